/*
 * heap: what comes first by time, out of many: adding, moving and taking cost the logarithm of how
 * many there are. Equal times come in the order of their serials.
 */
#ifndef MAILHAUL_UTIL_HEAP_H
#define MAILHAUL_UTIL_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stands in what is sorted, in one heap at a time. Zeroed at first. */
struct heap_node {
	uint64_t at;
	uint64_t serial;
	size_t place; /* from 1; 0: in no heap */
	void *owner;
};

/* Zeroed at first. */
struct heap {
	struct heap_node **nodes;
	size_t count, room;
	uint64_t compared; /* how often two nodes were, for tests that count instead of timing */
};

/* Puts a node in, or in its right place after its time has changed. */
void heap_put(struct heap *heap, struct heap_node *node);

/* Takes a node out; nothing if it is in no heap. */
void heap_take(struct heap *heap, struct heap_node *node);

/* The first; NULL: none. It stays. */
struct heap_node *heap_first(const struct heap *heap);

/* The nodes are their owners', and count as in no heap no longer: free them, too. */
void heap_free(struct heap *heap);

#endif
