/*
 * control: the daemon's socket, control.sock in state_dir: for those who ask it to poll, or what it
 * does. Each request and each answer is a line that holds a JSON object with "version" (1).
 *
 *   {"version":1,"request":"poll"}                       visit all accounts now
 *   {"version":1,"request":"poll","accounts":["work"]}   these, also after a refused login
 *   {"version":1,"request":"status","from":0}            what each account does, from that one on
 *
 * The answers, each with its "event":
 *
 *   visit    what came of an account's visit: the object that poll prints, with "before" and
 *            "after", by which it is judged whether that is to be told
 *   alone    "account" is left alone for "seconds", because its login was refused
 *   unknown  the daemon has no such "account"
 *   now      what an account does
 *   alive    a poll goes on; every CONTROL_ALIVE_MS
 *   error    the request cannot be served: "text"
 *   end      of what was asked; of a status with "next", from where it goes on
 *
 * Who asks may go at any time. Nothing secret is told.
 */
#ifndef MAILHAUL_DAEMON_CONTROL_H
#define MAILHAUL_DAEMON_CONTROL_H

#include "daemon/watch.h"
#include "io/local.h"

enum {
	CONTROL_PAGE = 200,	 /* accounts in one answer to "status" */
	CONTROL_ALIVE_MS = 20000 /* so often who waits for a poll hears of it at least */
};

struct control;

/* What an account does. Strings are borrowed until the next call. */
struct control_account {
	const char *name;
	struct watch_view is;
	size_t ear_count;
	struct watch_ear ears[WATCH_EARS_MAX];
};

struct control_params {
	struct loop *loop;
	const char *directory; /* where the socket stands */
	/* Accounts have numbers from 0, good until the present callback returns. False: there is
	 * none of that number, or name. */
	bool (*look)(void *ctx, size_t index, struct control_account *account_r);
	bool (*find)(void *ctx, const char *name, size_t *index_r);
	/* Asks for a visit; now: whatever happened before. visit_r: which of the account's visits
	 * of all mailboxes it will be, counted from 1. Gives 0, or for how many seconds the account
	 * is left alone instead. */
	int64_t (*poll)(void *ctx, size_t index, bool now, uint64_t *visit_r);
	void *ctx;
};

/* NULL on failure. */
struct control *control_new(const struct control_params *params, struct err *err);
void control_free(struct control **control); /* NULL is allowed in it, as for all below */

/* A visit's outcome stands; "after" as it was before anything was told. */
void control_outcome(struct control *control, const struct config_account *account,
		     const struct state_visit *before, const struct state_visit *after);

/* A visit is over: those who wait for it are told. number: which of the account's it is, if it was
 * one of all mailboxes; else 0. goes_on: the next visit goes on with what this one left. */
void control_ended(struct control *control, const struct config_account *account, uint64_t number,
		   bool goes_on, const struct session_report *report);

/* An account is not visited any more as it was; control_changed() follows. */
void control_left(struct control *control, const struct config_account *account);

/* The accounts are others now: what was waited for of those that left is asked for again, where
 * there is an account of that name. */
void control_changed(struct control *control);

#endif
