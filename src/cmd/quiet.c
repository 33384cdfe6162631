/*
 * quiet: whether a poll tells the user what came of it. Pure.
 */
#include "cmd/quiet.h"

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

enum quiet_tells quiet_tells(const struct state_visit *before, const struct state_visit *after,
			     enum err_kind kind)
{
	bool told_today = before->reported && after->tried - before->reported < DAY;

	if (!kind)
		return before->reported ? QUIET_OVER : QUIET_NOTHING;
	if (kind == ERR_QUARANTINE)
		return QUIET_FAILURE;
	if (told_today && !strcmp(before->error_kind, after->error_kind))
		return QUIET_NOTHING;
	if (temporary(kind) && (told_today || after->tried - after->failing_since < HOUR))
		return QUIET_NOTHING;
	return QUIET_FAILURE;
}

bool quiet_tells_expiry(const struct state_visit *after)
{
	return after->expires && after->expires - after->tried < EXPIRY_SOON &&
	       after->tried - after->warned >= DAY;
}

int64_t quiet_auth_wait(const struct state_visit *before, int64_t now)
{
	int64_t since = now - before->auth_refused;

	return before->auth_refused && since >= 0 && since < HOUR ? HOUR - since : 0;
}
