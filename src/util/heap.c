/*
 * heap: a binary heap of nodes that know their place in it, so that any of them can leave.
 */
#include "util/heap.h"

#include "util/mem.h"

#include <stdlib.h>

enum { HEAP_ROOM = 8 };

static bool before(struct heap *heap, const struct heap_node *a, const struct heap_node *b)
{
	heap->compared++;
	return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

static void set(struct heap *heap, size_t place, struct heap_node *node)
{
	heap->nodes[place - 1] = node;
	node->place = place;
}

static void up(struct heap *heap, struct heap_node *node)
{
	size_t place = node->place;

	while (place > 1 && before(heap, node, heap->nodes[place / 2 - 1])) {
		set(heap, place, heap->nodes[place / 2 - 1]);
		place /= 2;
	}
	set(heap, place, node);
}

static void down(struct heap *heap, struct heap_node *node)
{
	size_t place = node->place;

	while (place <= heap->count / 2) {
		size_t child = 2 * place;

		if (child < heap->count && before(heap, heap->nodes[child], heap->nodes[child - 1]))
			child++;
		if (!before(heap, heap->nodes[child - 1], node))
			break;
		set(heap, place, heap->nodes[child - 1]);
		place = child;
	}
	set(heap, place, node);
}

void heap_put(struct heap *heap, struct heap_node *node)
{
	if (!node->place) {
		if (heap->count == heap->room) {
			heap->room = heap->room ? 2 * heap->room : HEAP_ROOM;
			heap->nodes =
			    mem_resize(heap->nodes, heap->room, sizeof(struct heap_node *));
		}
		set(heap, ++heap->count, node);
	}
	up(heap, node);
	down(heap, node);
}

void heap_take(struct heap *heap, struct heap_node *node)
{
	size_t place = node->place;
	struct heap_node *last;

	if (!place)
		return;
	last = heap->nodes[--heap->count];
	node->place = 0;
	if (last == node)
		return;
	set(heap, place, last);
	up(heap, last);
	down(heap, last);
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count ? heap->nodes[0] : NULL;
}

void heap_free(struct heap *heap)
{
	free(heap->nodes);
	*heap = (struct heap){.count = 0};
}
