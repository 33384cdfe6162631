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
 * recorded, that it did. watched: a person looks on, to whom everything is told every time. Gives
 * what was told; text_r, where it is not NULL, gets the line of it appended.
 */
enum quiet_tells tell_outcome(const struct config_account *account,
			      const struct session_report *report, const struct state_visit *before,
			      struct state_visit *after, bool watched, struct buf *text_r);

#endif
