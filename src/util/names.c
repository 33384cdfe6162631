/*
 * names: a list of names that grows; once it is sorted, a name is looked up in it.
 */
#include "util/names.h"

#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

void names_add(struct names *names, const char *name)
{
	if (names->count == names->room) {
		names->room = names->room ? names->room * 2 : 8;
		names->all = mem_resize(names->all, names->room, sizeof *names->all);
	}
	names->all[names->count++] = mem_copy(name);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_sort(struct names *names)
{
	if (names->count)
		qsort(names->all, names->count, sizeof *names->all, compare);
}

bool names_hold(const struct names *names, const char *name)
{
	return names->count &&
	       bsearch(&name, names->all, names->count, sizeof *names->all, compare);
}

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->all[i]);
	free(names->all);
	*names = (struct names){.count = 0};
}
