/*
 * walk: the mailboxes of one visit: which there are, in what order they are visited, which have
 * nothing to do.
 *
 * A list that is just INBOX (also in POP3), or one mailbox that is known to be there, goes the
 * short way: that mailbox is opened before the connection is made, and closed with it. Any other
 * asks the server first. Then few mailboxes are open at a time, however many there are: those with
 * unfinished letters from before, and the one that is being visited.
 */
#ifndef MAILHAUL_SESSION_WALK_H
#define MAILHAUL_SESSION_WALK_H

#include "session/session.h"

struct walk;

struct walk_params {
	const struct session_params *session; /* borrowed */

	/* As in struct collect_params. */
	void (*on_step)(void *ctx);
	void (*on_problem)(void *ctx, const struct err *err);
	void (*on_progress)(void *ctx);
	void *ctx;
};

struct walk *walk_new(const struct walk_params *params);

/* Only when walk_idle(), or when the loop has ended. */
void walk_free(struct walk **walk);

enum walk_is {
	WALK_FINE,
	WALK_BUSY,  /* another mailhaul has a mailbox */
	WALK_FAILED /* err says why */
};

/* Before the connection: opens what goes the short way, or what is unfinished. */
enum walk_is walk_prepare(struct walk *walk, struct err *err);

/* True once all that walk_prepare() opened has recovered. */
bool walk_prepared(const struct walk *walk);

/* A failure of any mailbox that is open; NULL if there is none. */
const struct err *walk_err(const struct walk *walk);

/* After the login. received: the Received: field up to its semicolon, borrowed; capabilities as the
 * server gave them. Asks the server for its mailboxes, or visits the first. */
void walk_begin(struct walk *walk, struct source *source, const char *received,
		const char *capabilities);

/* Takes what the source says of mailboxes and messages. */
enum walk_is walk_event(struct walk *walk, struct source *source, enum source_what what,
			const struct source_event *ev, struct err *err);

/* Goes on with what the present mailbox has reached; opens the next. over_r: there is none, the
 * source may be told to finish. Said once. */
enum walk_is walk_follow(struct walk *walk, struct source *source, bool *over_r, struct err *err);

/* True while so much waits for the disk that the source should not be read. */
bool walk_full(const struct walk *walk);

/* The source is gone; see collect_close() and collect_abort(). */
void walk_close(struct walk *walk, bool hasten);
void walk_abort(struct walk *walk);

/* True when nothing is under way any more. Frees what is over. */
bool walk_idle(struct walk *walk);

/* The server's answers cannot be told apart: see collect_doubt(). */
void walk_doubt(struct walk *walk);

/* The server confirmed the end of the session: see collect_confirm(). */
void walk_confirm(struct walk *walk);

/* Calls commit with each batch of collect_last_batch() of the mailboxes that are still open. */
void walk_last_batches(struct walk *walk, bool removals_confirmed,
		       void (*commit)(void *ctx, struct batch *batch), void *ctx);

/* Fills in the counts; and what belongs to mailboxes, which is good until the next call. */
void walk_counts(const struct walk *walk, struct collect_counts *sum_r);
void walk_report(struct walk *walk, struct session_report *report);

#endif
