/*
 * watch: one account of the daemon: visits it when it is due, and listens in between.
 *
 * A watch visits all mailboxes of its account, and listens on up to WATCH_EARS_MAX of them, each by
 * a connection of its own (an ear), in the order of the account's list; the others are polled. One
 * visit at a time: of all mailboxes, or of the one where there is news.
 */
#ifndef MAILHAUL_DAEMON_WATCH_H
#define MAILHAUL_DAEMON_WATCH_H

#include "config/config.h"
#include "daemon/account.h"
#include "daemon/places.h"
#include "daemon/scheduler.h"

enum {
	WATCH_EARS_MAX = 5,
	WATCH_SHARE = 5000 /* messages: then the account lets others go first */
};

struct watch;

struct watch_params {
	struct account_shared *shared; /* borrowed, as is all below */
	struct scheduler *scheduler;
	struct places *places;
	const struct config_account *account;
	uint64_t first_ms; /* until the first visit */
	/* A visit ended; "after" is about to be recorded. */
	void (*on_outcome)(void *ctx, struct watch *watch, const struct session_report *report,
			   const struct state_visit *before, struct state_visit *after);
	/* That visit is over, and recorded; or it found another mailhaul at work (report->busy), of
	 * which on_outcome is not told. goes_on: only the account's share was fetched, and the next
	 * visit goes on with the rest. */
	void (*on_end)(void *ctx, struct watch *watch, bool whole, bool goes_on,
		       const struct session_report *report);
	/* Its turn or what it does has changed: the scheduler is to be asked. From the loop. */
	void (*on_change)(void *ctx, struct watch *watch);
	void *ctx;
};

struct watch *watch_new(const struct watch_params *params);

/* Only when watch_idle(), or when the loop has ended. */
void watch_free(struct watch **watch);

/* scheduler_next() gave it its turn. */
void watch_run(struct watch *watch);

/* Visits all mailboxes as soon as it gets its turn. now: also what waits for its next attempt. */
void watch_poll(struct watch *watch, bool retry_now);

/* The network is back, or the machine has woken up: what failed for want of it is tried at once,
 * and connections are asked whether they live. */
void watch_wake(struct watch *watch);

/* Begins nothing more, closes what listens, ends its visit soon (session_stop()). */
void watch_stop(struct watch *watch);

/* True if no visit is under way. */
bool watch_idle(const struct watch *watch);

const struct config_account *watch_account(const struct watch *watch);

/* How many visits of all mailboxes it has begun. One that is asked for now is a later one. */
uint64_t watch_visits(const struct watch *watch);

/* What it does, for people and scripts. */
struct watch_view {
	const char *doing; /* "visiting", "listening", "waiting", "failing" */
	uint64_t since_ms; /* for how long it is visiting, or listening; 0 otherwise */
	unsigned ears;	   /* that listen */
	uint64_t next_ms;  /* until its next visit of all mailboxes; UINT64_MAX: none */
	unsigned failures; /* in a row */
};
struct watch_view watch_view(const struct watch *watch);

/* A mailbox that it would listen on. */
struct watch_ear {
	const char *mailbox; /* borrowed */
	const char *doing;   /* "visiting", "listening", "waiting" (to listen), "polled" */
	uint64_t since_ms;   /* as above */
};

/* From 0; false: there is no such ear. */
bool watch_ear(const struct watch *watch, size_t index, struct watch_ear *ear_r);

#endif
