/*
 * names: a list of names that grows; once it is sorted, a name is looked up in it.
 */
#ifndef MAILHAUL_UTIL_NAMES_H
#define MAILHAUL_UTIL_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed, it is empty. */
struct names {
	char **all;
	size_t count, room;
};

/* The name is copied. */
void names_add(struct names *names, const char *name);

void names_sort(struct names *names);

/* Of sorted names. */
bool names_hold(const struct names *names, const char *name);

void names_free(struct names *names);

#endif
