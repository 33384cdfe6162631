/*
 * tell: what the log says of the outcome of a visit, and how often: see quiet.h. Shared by poll and
 * the daemon.
 */
#ifndef MAILHAUL_DAEMON_TELL_H
#define MAILHAUL_DAEMON_TELL_H

#include "config/config.h"
#include "daemon/quiet.h"
#include "session/session.h"

/*
 * Says what is to be said of a visit that was not busy, and notes in "after", which is about to be
 * recorded, that it did. watched: a person looks on, to whom the log tells everything every time.
 * Gives what it told. news_r, where it is not NULL, gets what is news to one who does not look on
 * appended, line by line: the failure, again after a day, that it is over, a certificate that
 * expires soon.
 */
enum quiet_tells tell_outcome(const struct config_account *account,
			      const struct session_report *report, const struct state_visit *before,
			      struct state_visit *after, bool watched, struct buf *news_r);

#endif
