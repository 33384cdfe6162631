/*
 * quiet: whether a poll tells the user what came of it. Pure.
 *
 * Without a terminal (cron) nothing is said when all went well. A temporary failure is told once it
 * has lasted an hour, a persistent one at once, each again after a day, and once when it is over.
 */
#ifndef MAILHAUL_DAEMON_QUIET_H
#define MAILHAUL_DAEMON_QUIET_H

#include "state/state.h"
#include "util/err.h"

#include <stdbool.h>

enum quiet_tells { QUIET_NOTHING, QUIET_FAILURE, QUIET_OVER };

/* before: what the state knew; after: as it is about to be recorded. */
enum quiet_tells quiet_tells(const struct state_visit *before, const struct state_visit *after,
			     enum err_kind kind);

/* Did the account fail, so that it can work again? A message that went into the quarantine is told,
 * and is no failure that lasts. */
bool quiet_failed(const struct state_visit *before);

/* A certificate that expires within 14 days is told once a day. */
bool quiet_tells_expiry(const struct state_visit *after);

/* A login that the server refused is tried again after an hour, so that no provider locks the user
 * out. Seconds to wait; 0: now. */
int64_t quiet_auth_wait(const struct state_visit *before, int64_t now);

#endif
