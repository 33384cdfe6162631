/*
 * look_up: one key of the state, for tests; state_find() looks up many.
 */
#ifndef MAILHAUL_TESTS_LOOK_UP_H
#define MAILHAUL_TESTS_LOOK_UP_H

#include "state/state.h"

#include <check.h>

struct look_up {
	const char *key;
	enum state_is is;
};

static inline const char *look_up_key(void *ctx, size_t index)
{
	(void)index;
	return ((struct look_up *)ctx)->key;
}

static inline void look_up_known(void *ctx, size_t index, const struct state_row *row)
{
	(void)index;
	((struct look_up *)ctx)->is = row->is;
}

/* What the state knows of it; 0 for nothing. */
static inline enum state_is look_up(struct state *state, int64_t mailbox, uint32_t validity,
				    const char *key)
{
	struct look_up look = {.key = key};
	struct err err = {.kind = ERR_NONE};

	ck_assert_msg(
	    state_find(state, mailbox, validity, 1, look_up_key, look_up_known, &look, &err), "%s",
	    err.words);
	return look.is;
}

#endif
