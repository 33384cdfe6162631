/*
 * recognise: tells messages that were delivered before from new ones, after the server gave its
 * messages new UIDs.
 */
#include "session/recognise.h"

#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

struct known {
	struct state_row row;
	uint32_t validity;
	bool taken;
};

struct recognise {
	struct known *all; /* sorted by mark */
	size_t count, room;
	uint32_t validity; /* the present one, which is left out */
};

static bool add(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct recognise *recognise = ctx;
	struct known *known;

	if (validity == recognise->validity || !*row->mark)
		return true;
	if (recognise->count == recognise->room) {
		recognise->room = recognise->room ? recognise->room * 2 : 64;
		recognise->all =
		    mem_resize(recognise->all, recognise->room, sizeof *recognise->all);
	}
	known = &recognise->all[recognise->count++];
	*known = (struct known){.row = *row, .validity = validity};
	known->row.key = mem_copy(row->key);
	known->row.mark = mem_copy(row->mark);
	known->row.name = "";
	return true;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct known *)a)->row.mark, ((const struct known *)b)->row.mark);
}

struct recognise *recognise_new(struct state *state, int64_t mailbox, uint32_t validity,
				struct err *err)
{
	struct recognise *recognise;
	uint32_t every = 0;
	bool others = false;

	err_clear(err);
	if (!state_others(state, mailbox, validity, &others, err) || !others)
		return NULL;
	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		every |= STATE_MASK(is);
	recognise = mem_new(1, sizeof *recognise);
	recognise->validity = validity;
	if (!state_each(state, mailbox, every, add, recognise, err))
		recognise_free(&recognise);
	else if (recognise->count)
		qsort(recognise->all, recognise->count, sizeof *recognise->all, compare);
	return recognise;
}

void recognise_free(struct recognise **recognise_p)
{
	struct recognise *recognise = *recognise_p;

	if (!recognise)
		return;
	for (size_t i = 0; i < recognise->count; i++) {
		/* NOLINTBEGIN(performance-no-int-to-ptr): held as const, and ours to free. */
		free((char *)(uintptr_t)recognise->all[i].row.key);
		free((char *)(uintptr_t)recognise->all[i].row.mark);
		/* NOLINTEND(performance-no-int-to-ptr) */
	}
	free(recognise->all);
	free(recognise);
	*recognise_p = NULL;
}

const struct state_row *recognise_take(struct recognise *recognise, const char *mark,
				       uint32_t *validity_r)
{
	struct known wanted = {.row = {.mark = mark}};
	struct known *known;

	if (!*mark || !recognise->count)
		return NULL;
	known = bsearch(&wanted, recognise->all, recognise->count, sizeof *recognise->all, compare);
	if (!known)
		return NULL;
	while (known > recognise->all && !compare(known - 1, &wanted))
		known--;
	for (; known < recognise->all + recognise->count && !compare(known, &wanted); known++) {
		if (known->taken)
			continue;
		known->taken = true;
		*validity_r = known->validity;
		return &known->row;
	}
	return NULL;
}
