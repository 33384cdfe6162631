/*
 * outcome: what a visit leaves behind in words and rows: how the connection was protected, the
 * Received: field, the account's row for status. Pure, but for the name of this host.
 */
#ifndef MAILHAUL_SESSION_OUTCOME_H
#define MAILHAUL_SESSION_OUTCOME_H

#include "session/session.h"

/* Fills in security->line from the rest; mechanism "" before the login. */
void outcome_describe(struct session_security *security, const char *mechanism);

/* Appends the Received: field (RFC 5321 section 4.4) up to its semicolon. */
void outcome_received(struct buf *out, const struct session_params *params,
		      const struct session_security *security);

/* The local day of a time, as 20261231. */
int64_t outcome_day(int64_t at);

/* The row after a visit that ended now. passed_over: by the login, if there was one. */
struct state_visit outcome_visit(const struct session_report *report,
				 const struct state_visit *before, const char *passed_over,
				 bool auth_refused, int64_t now);

#endif
