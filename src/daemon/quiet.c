/*
 * quiet: whether a poll tells the user what came of it. Pure.
 */
#include "daemon/quiet.h"

#include <string.h>

enum {
	HOUR = 60 * 60,
	DAY = 24 * HOUR,
	EXPIRY_SOON = 14 * DAY,
};

static bool temporary(enum err_kind kind)
{
	return kind == ERR_UNREACHABLE || kind == ERR_TEMPORARY || kind == ERR_MESSAGE;
}

/* True if then is no further back than span. A time to come was written by a clock that ran ahead,
 * and must not silence anything until it is reached again. */
static bool within(int64_t then, int64_t now, int64_t span)
{
	return then <= now && now - then < span;
}

bool quiet_failed(const struct state_visit *before)
{
	return before->failing_since &&
	       strcmp(before->error_kind, err_kind_name(ERR_QUARANTINE)) != 0;
}

enum quiet_tells quiet_tells(const struct state_visit *before, const struct state_visit *after,
			     enum err_kind kind)
{
	bool told_today = before->reported && within(before->reported, after->tried, DAY);

	if (!kind)
		return before->reported && quiet_failed(before) ? QUIET_OVER : QUIET_NOTHING;
	if (kind == ERR_QUARANTINE)
		return QUIET_FAILURE;
	if (told_today && !strcmp(before->error_kind, after->error_kind))
		return QUIET_NOTHING;
	if (temporary(kind) && (told_today || within(after->failing_since, after->tried, HOUR)))
		return QUIET_NOTHING;
	return QUIET_FAILURE;
}

bool quiet_tells_expiry(const struct state_visit *after)
{
	return after->expires && after->expires - after->tried < EXPIRY_SOON &&
	       !within(after->warned, after->tried, DAY);
}

int64_t quiet_auth_wait(const struct state_visit *before, int64_t now)
{
	return before->auth_refused && within(before->auth_refused, now, HOUR)
		   ? HOUR - (now - before->auth_refused)
		   : 0;
}
