/*
 * alert: tells a person who reads no logs: runs notify_command with the text on its stdin.
 *
 * What is said within some seconds goes into one run, and while more comes the runs are further and
 * further apart: a host that is down starts a few commands, however many accounts it has. There is
 * never more than one at a time. A command that fails is told in the log once, and loses its text,
 * which stands in the log anyway.
 */
#ifndef MAILHAUL_DAEMON_ALERT_H
#define MAILHAUL_DAEMON_ALERT_H

#include "io/loop.h"

#include <stdbool.h>

struct alert;

struct alert_params {
	struct loop *loop;	    /* borrowed, as is argv */
	const char *const *argv;    /* NULL at the end; NULL: nobody is to be told */
	void (*on_idle)(void *ctx); /* nothing waits or runs any more; from the loop; may be NULL */
	void *ctx;
	/* 0: as everybody has them. Milliseconds that the first text waits for others; at least
	 * from one run to the next, doubled while more comes, and at most; for a run. */
	uint64_t gather_ms;
	uint64_t apart_ms;
	uint64_t apart_most_ms;
	uint64_t deadline_ms;
};

struct alert *alert_new(const struct alert_params *params);

/* What runs is killed, what waits is lost. */
void alert_free(struct alert **alert);

/* Another command from the next run on; borrowed likewise. */
void alert_command(struct alert *alert, const char *const *argv);

/* Lines, each with its end. */
void alert_say(struct alert *alert, const char *lines);

/* What waits, and what is said from now on, is told as soon as nothing runs. */
void alert_hurry(struct alert *alert);

/* Nothing waits or runs. */
bool alert_idle(const struct alert *alert);

#endif
