/*
 * tell: what the log says of the outcome of a visit, and how often: see quiet.h.
 *
 * Who looks on is told more often, which is no reason to tell others less: only what is news to
 * them counts as told.
 */
#include "daemon/tell.h"

#include "util/log.h"
#include "util/str.h"

static void note(struct buf *news_r, bool news, struct buf *text)
{
	if (!news || !news_r)
		return;
	buf_append(news_r, text->data, text->len);
	buf_text(news_r, "\n");
}

static void tell_over(const struct config_account *account, const struct state_visit *before,
		      const struct state_visit *after, bool news, struct buf *news_r)
{
	int64_t failed = after->tried - before->failing_since;
	struct buf text = {0};
	char span[32];

	buf_printf(&text, "%s: works again", account->name);
	if (before->failing_since && failed >= 0)
		buf_printf(&text, ", after %s of failing", str_span(span, (uint64_t)failed));
	log_error("%s", buf_string(&text));
	note(news_r, news, &text);
	buf_free(&text);
}

static void tell_failure(const struct config_account *account, const struct session_report *report,
			 bool watched, bool news, struct buf *news_r)
{
	const struct err *err = &report->err;
	struct buf text = {0};

	buf_printf(&text, "%s: ", account->name);
	if (err->kind == ERR_QUARANTINE && report->counts.quarantined > 1)
		buf_printf(&text, "%llu messages went into the quarantine; the first: ",
			   (unsigned long long)report->counts.quarantined);
	buf_text(&text, err->words);
	if (*err->server)
		buf_printf(&text, " (it said: %s)", err->server);
	/* Who watches saw what befell single messages when it happened. */
	if (!watched || err_scope(err->kind) != ERR_SCOPE_MESSAGE)
		log_error("%s", buf_string(&text));
	note(news_r, news, &text);
	buf_free(&text);
}

static void tell_expiry(const struct config_account *account, struct state_visit *after,
			bool watched, struct buf *news_r)
{
	int64_t left = after->expires - after->tried;
	bool news = quiet_tells_expiry(after);
	struct state_visit never = *after;
	struct buf text = {0};
	char span[32];

	never.warned = 0;
	if (!news && !(watched && quiet_tells_expiry(&never)))
		return;
	if (news)
		after->warned = after->tried;
	buf_printf(&text, "%s: the server's certificate ", account->name);
	if (left > 0)
		buf_printf(&text, "expires in %s", str_span(span, (uint64_t)left));
	else
		buf_text(&text, "has expired");
	log_warning("%s", buf_string(&text));
	note(news_r, news, &text);
	buf_free(&text);
}

enum quiet_tells tell_outcome(const struct config_account *account,
			      const struct session_report *report, const struct state_visit *before,
			      struct state_visit *after, bool watched, struct buf *news_r)
{
	enum quiet_tells news = quiet_tells(before, after, report->err.kind);
	enum quiet_tells tells = news;

	if (watched && report->err.kind)
		tells = QUIET_FAILURE;
	else if (watched && quiet_failed(before))
		tells = QUIET_OVER;
	if (tells == QUIET_FAILURE)
		tell_failure(account, report, watched, news == QUIET_FAILURE, news_r);
	else if (tells == QUIET_OVER)
		tell_over(account, before, after, news == QUIET_OVER, news_r);
	if (news == QUIET_FAILURE)
		after->reported = after->tried;
	if (report->connected)
		tell_expiry(account, after, watched, news_r);
	return tells;
}
