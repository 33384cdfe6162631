/*
 * outcome: what a visit leaves behind in words and rows: how the connection was protected, the
 * Received: field, the account's row for status.
 */
#include "session/outcome.h"

#include "util/str.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { COMMENT_MAX = 200 };

void outcome_describe(struct session_security *security, const char *mechanism)
{
	const struct tls_info *tls = &security->tls;
	char date[32] = "?";
	struct tm tm;

	if (gmtime_r(&tls->expires, &tm))
		strftime(date, sizeof date, "%Y-%m-%d", &tm);
	snprintf(security->line, sizeof security->line,
		 "%s, %s, %s, %s, certificate verified by %s, valid until %s%s%s", security->mode,
		 tls->version, tls->cipher, tls->exchange, tls->verified, date,
		 *mechanism ? ", login by " : "", mechanism);
}

/* A comment of RFC 5322 may hold any text if these are quoted. */
static void comment(struct buf *out, const char *text)
{
	struct buf shown = {0};

	str_visible(&shown, text, strlen(text), COMMENT_MAX);
	for (size_t i = 0; i < shown.len; i++) {
		if (strchr("()\\", shown.data[i]))
			buf_text(out, "\\");
		buf_append(out, shown.data + i, 1);
	}
	buf_free(&shown);
}

void outcome_received(struct buf *out, const struct session_params *params,
		      const struct session_security *security)
{
	char host[128] = "localhost";

	(void)gethostname(host, sizeof host - 1);
	buf_printf(out, "Received: from %s (account of ", params->conn.host);
	comment(out, params->user);
	buf_printf(out, ")\n\tby %s (mailhaul %s) with %s\n\t(%s, %s, %s)", host, MAILHAUL_VERSION,
		   !strcmp(params->protocol, "imap") ? "IMAP" : "POP3", security->mode,
		   security->tls.version, security->tls.cipher);
}

int64_t outcome_day(int64_t at)
{
	time_t when = at;
	struct tm tm;

	if (!localtime_r(&when, &tm))
		return 0;
	return ((int64_t)tm.tm_year + 1900) * 10000 + ((int64_t)tm.tm_mon + 1) * 100 + tm.tm_mday;
}

/* A day that is not this one begins anew, whichever way the clock was set. */
static void count_today(struct state_visit *visit, int64_t now)
{
	int64_t day = outcome_day(now);

	if (visit->today != day)
		visit->today_messages = visit->today_octets = 0;
	visit->today = day;
	visit->today_messages += visit->messages;
	visit->today_octets += visit->octets;
}

struct state_visit outcome_visit(const struct session_report *report,
				 const struct state_visit *before, const char *passed_over,
				 bool auth_refused, int64_t now)
{
	struct state_visit visit = *before;

	visit.tried = now;
	visit.messages = report->counts.delivered;
	visit.octets = report->counts.octets;
	count_today(&visit, now);
	if (report->connected) {
		visit.expires = report->security.tls.expires;
		snprintf(visit.encryption, sizeof visit.encryption, "%.255s",
			 report->security.line);
	}
	if (*report->security.mechanism) {
		snprintf(visit.mechanism, sizeof visit.mechanism, "%s", report->security.mechanism);
		snprintf(visit.passed_over, sizeof visit.passed_over, "%s", passed_over);
		visit.auth_refused = 0;
	}
	snprintf(visit.error_kind, sizeof visit.error_kind, "%s",
		 report->err.kind ? err_kind_name(report->err.kind) : "");
	snprintf(visit.error, sizeof visit.error, "%s%s%s%s", report->err.words,
		 *report->err.server ? " (it said: " : "", report->err.server,
		 *report->err.server ? ")" : "");
	if (auth_refused)
		visit.auth_refused = now;
	if (!report->err.kind) {
		visit.succeeded = now;
		visit.failing_since = 0;
		visit.reported = 0;
	} else if (!visit.failing_since) {
		visit.failing_since = now;
	}
	return visit;
}
