/*
 * metrics: figures for Prometheus, in its text format, for the textfile collector of its node
 * exporter.
 *
 * The file is replaced as a whole. One that cannot be written is told in the log once, and stops
 * nothing.
 */
#ifndef MAILHAUL_DAEMON_METRICS_H
#define MAILHAUL_DAEMON_METRICS_H

#include "config/config.h"
#include "io/loop.h"
#include "session/session.h"
#include "state/state.h"

struct metrics;

/* What an account of a daemon does now. */
struct metrics_now {
	unsigned listening; /* connections */
	unsigned open;	    /* connections, those that listen among them */
	int64_t next;	    /* Unix time of its next visit; 0: there is none */
};

struct metrics_params {
	struct loop *loop; /* borrowed, as is the state */
	struct state *state;
	/* Of the account that has this place in the configuration. */
	void (*look)(void *ctx, size_t place, struct metrics_now *now_r);
	void *ctx;
	uint64_t apart_ms; /* at least, from one writing to the next; 0: as everybody has it */
};

/* Writes nothing before metrics_accounts(). */
struct metrics *metrics_new(const struct metrics_params *params);

/* Writes once more, then frees. */
void metrics_free(struct metrics **metrics);

/* The accounts, and the file, from now on; borrowed. What was counted of those that are the same
 * structs as before goes on. Writes at once. */
void metrics_accounts(struct metrics *metrics, const struct config *config);

/* What came of a visit; after: as it is recorded. */
void metrics_visited(struct metrics *metrics, const struct config_account *account,
		     const struct collect_counts *counts, const struct state_visit *after);

/* Something else has changed. Cheap; it is written soon. */
void metrics_touch(struct metrics *metrics);

/* What the state knows, without what only a daemon does. False: err says why, in words that name
 * the file; true where none is wanted. */
bool metrics_write(const struct config *config, struct state *state, struct err *err);

#endif
