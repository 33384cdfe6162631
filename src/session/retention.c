/*
 * retention: what stays on the server, and how long.
 */
#include "session/retention.h"

#include "util/str.h"

#include <string.h>

int64_t retention_before(const struct retention *retention, int64_t now)
{
	switch (retention->keep) {
	case RETENTION_REMOVE:
		return INT64_MAX;
	case RETENTION_KEEP_FOR:
		return now - retention->keep_for;
	case RETENTION_KEEP:
	default:
		return INT64_MIN;
	}
}

bool retention_too_large(const struct retention *retention, uint64_t octets)
{
	return retention->max_size && octets > retention->max_size;
}

bool retention_check_due(const struct state_mailbox *mailbox, int64_t period, int64_t now)
{
	return mailbox->checked && (now - mailbox->checked >= period || mailbox->checked > now);
}

struct look {
	const struct retention *retention;
	uint32_t validity;
	bool found;
};

static bool is_due(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct look *look = ctx;

	(void)row;
	look->found = validity == look->validity;
	return !look->found;
}

static bool fits(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct look *look = ctx;

	look->found = validity == look->validity && !row->gone &&
		      !retention_too_large(look->retention, row->octets);
	return !look->found;
}

bool retention_due(struct state *state, const struct state_mailbox *mailbox,
		   const struct retention *retention, int64_t now, bool *due_r, struct err *err)
{
	struct look look = {.retention = retention, .validity = mailbox->validity};
	int64_t before = retention_before(retention, now);

	look.found = retention_check_due(mailbox, RETENTION_FORGET, now);
	if (!look.found && before > INT64_MIN &&
	    !state_due(state, mailbox->id, before, is_due, &look, err))
		return false;
	if (!look.found &&
	    !state_each(state, mailbox->id, STATE_MASK(STATE_OVERSIZE), fits, &look, err))
		return false;
	*due_r = look.found;
	return true;
}

const char *retention_warning(const struct retention *retention, const char *capabilities)
{
	static const char word[] = "EXPIRE 0";

	if (retention->keep == RETENTION_REMOVE)
		return NULL;
	for (const char *at = capabilities; *at; at += strspn(at, ", ")) {
		size_t len = strcspn(at, ",");

		if (str_begins(at, len, word) &&
		    (len == sizeof word - 1 || at[sizeof word - 1] == ' '))
			return "the server removes what was retrieved by itself (EXPIRE 0), "
			       "whatever \"keep\" says";
		at += len;
	}
	return NULL;
}
