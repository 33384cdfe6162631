/*
 * walk_box: one mailbox of a visit on its way: found (the server listed it, or a letter of it is
 * unfinished), then quiet or waiting, then open, then closed. For walk.c, which decides where it
 * goes; here is what an open one holds: lock, sink and collect.
 */
#ifndef MAILHAUL_SESSION_WALK_BOX_H
#define MAILHAUL_SESSION_WALK_BOX_H

#include "session/walk.h"

enum walk_box_at {
	WALK_BOX_FOUND,
	WALK_BOX_ASKED, /* STATUS will tell */
	WALK_BOX_QUIET,
	WALK_BOX_WAITING,
	WALK_BOX_OPEN,
	WALK_BOX_CLOSED
};

struct walk_box {
	const struct walk_params *params;
	struct err *trouble; /* of the walk: why something could not be recorded */
	char *name;
	char *attributes;
	enum walk_box_at at;
	int rank; /* the place of the item that brings it in; PATTERN_NONE: only to be recovered */
	uint32_t validity, next, exists; /* as the server told; validity 0: it did not */
	struct state_mailbox known;	 /* id 0: it is not known */
	struct state_lock *lock;
	struct sink *sink;
	struct collect *collect;
	struct collect_counts counts; /* of a collect that is freed */
	unsigned commits;
	bool closing;  /* closed once it is idle */
	bool selected; /* the server opened it */
};

/* params and trouble are borrowed. */
struct walk_box *walk_box_new(const struct walk_params *params, const char *name,
			      struct err *trouble);
void walk_box_free(struct walk_box **box);

/* The key under which the state has a mailbox of the account. */
struct state_key walk_box_key(const struct walk_params *params, const char *name);

/* False: another account of the configuration collects the mailbox, which is known. */
bool walk_box_claim(const struct walk_box *box, struct err *err);

/* Takes the lock, makes the sink and begins with the recovery. With WALK_FINE err may still say
 * that another account has claimed the mailbox: then it is closed. */
enum walk_is walk_box_open(struct walk_box *box, struct err *err);

/* Records what an open box still knows, and closes it once that is done: see walk_box_reap(). */
void walk_box_leave(struct walk_box *box);

/* Closes a box that was left and is idle. */
void walk_box_reap(struct walk_box *box);

/* True when nothing is under way any more. */
bool walk_box_idle(const struct walk_box *box);

const struct collect_counts *walk_box_counts(const struct walk_box *box);

#endif
