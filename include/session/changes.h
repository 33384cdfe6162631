/*
 * changes: changes of rows and of a mailbox that a batch makes durable, in the order in which they
 * were added. Used by batch alone.
 */
#ifndef MAILHAUL_SESSION_CHANGES_H
#define MAILHAUL_SESSION_CHANGES_H

#include "state/state.h"

enum change_kind {
	CHANGE_PUT,
	CHANGE_MARK,
	CHANGE_FORGET,
	CHANGE_GONE,	    /* row.gone */
	CHANGE_FORGET_GONE, /* at: gone since then or longer */
	CHANGE_CHECKED,	    /* begun, at */
	CHANGE_ADOPT	    /* from, validity */
};

struct change {
	enum change_kind kind;
	uint32_t validity;
	struct state_row row; /* where a row is changed */
	int64_t at;
	int64_t begun;
	int64_t from;
};

/* A zeroed one is empty. */
struct changes {
	struct change *all;
	size_t count, room;
};

/* Copies the change, with the strings of its row. */
void changes_add(struct changes *changes, const struct change *change);
void changes_free(struct changes *changes);

/* On the committer's thread, between state_begin() and state_commit(). */
bool changes_record(const struct changes *changes, struct state *state, int64_t mailbox,
		    struct err *err);

/* Copies a row with its strings (NULL becomes ""); frees what was copied. */
void changes_copy_row(struct state_row *to, const struct state_row *from);
void changes_free_row(struct state_row *row);

#endif
