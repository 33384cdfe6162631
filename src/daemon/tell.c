/*
 * tell: what the log says of the outcome of a visit, and how often: see quiet.h.
 */
#include "daemon/tell.h"

#include "util/log.h"
#include "util/str.h"

static void say(struct buf *text, struct buf *text_r)
{
	log_error("%s", buf_string(text));
	if (text_r)
		buf_append(text_r, text->data, text->len);
	buf_free(text);
}

static void tell_over(const struct config_account *account, const struct state_visit *before,
		      const struct state_visit *after, struct buf *text_r)
{
	int64_t failed = after->tried - before->failing_since;
	struct buf text = {0};
	char span[32];

	buf_printf(&text, "%s: works again", account->name);
	if (before->failing_since && failed >= 0)
		buf_printf(&text, ", after %s of failing", str_span(span, (uint64_t)failed));
	say(&text, text_r);
}

static void tell_failure(const struct config_account *account, const struct session_report *report,
			 struct buf *text_r)
{
	const struct err *err = &report->err;
	struct buf text = {0};

	if (err->kind == ERR_QUARANTINE && report->counts.quarantined > 1)
		log_error("%s: %llu messages went into the quarantine; here is why the first did:",
			  account->name, (unsigned long long)report->counts.quarantined);
	buf_printf(&text, "%s: %s", account->name, err->words);
	if (*err->server)
		buf_printf(&text, " (it said: %s)", err->server);
	say(&text, text_r);
}

static void tell_expiry(const struct config_account *account, struct state_visit *after,
			bool watched)
{
	int64_t left = after->expires - after->tried;
	char span[32];
	struct state_visit never = *after;

	never.warned = 0;
	if (!quiet_tells_expiry(watched ? &never : after))
		return;
	after->warned = after->tried;
	if (left > 0)
		log_warning("%s: the server's certificate expires in %s", account->name,
			    str_span(span, (uint64_t)left));
	else
		log_warning("%s: the server's certificate has expired", account->name);
}

enum quiet_tells tell_outcome(const struct config_account *account,
			      const struct session_report *report, const struct state_visit *before,
			      struct state_visit *after, bool watched, struct buf *text_r)
{
	enum quiet_tells tells = quiet_tells(before, after, report->err.kind);

	if (watched && report->err.kind)
		tells = QUIET_FAILURE;
	if (tells == QUIET_FAILURE) {
		/* Who watches saw what befell single messages when it happened. */
		if (!watched || err_scope(report->err.kind) != ERR_SCOPE_MESSAGE)
			tell_failure(account, report, text_r);
		after->reported = after->tried;
	} else if (tells == QUIET_OVER) {
		tell_over(account, before, after, text_r);
	}
	if (report->connected)
		tell_expiry(account, after, watched);
	return tells;
}
