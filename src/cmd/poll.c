/*
 * poll: collects once and ends; for cron. Says as much as "Use from cron" in mailhaul(1) allows;
 * the exit code always tells the truth.
 */
#include "cmd/cmd.h"
#include "cmd/quiet.h"
#include "cmd/report.h"
#include "cmd/visits.h"
#include "util/log.h"
#include "util/str.h"

#include <time.h>
#include <unistd.h>

/* A person watches: everything is told, every time. */
static bool watched(const struct cmd_options *options)
{
	return !options->quiet && (options->verbosity || isatty(STDERR_FILENO));
}

static void tell_over(const struct config_account *account, const struct state_visit *before,
		      const struct state_visit *after)
{
	int64_t failed = after->tried - before->failing_since;
	char span[32];

	if (before->failing_since && failed >= 0)
		log_error("%s: works again, after %s of failing", account->name,
			  str_span(span, (uint64_t)failed));
	else
		log_error("%s: works again", account->name);
}

static void tell_failure(const struct config_account *account, const struct session_report *report)
{
	const struct err *err = &report->err;

	if (err->kind == ERR_QUARANTINE && report->counts.quarantined > 1)
		log_error("%s: %llu messages went into the quarantine; here is why the first did:",
			  account->name, (unsigned long long)report->counts.quarantined);
	if (*err->server)
		log_error("%s: %s (it said: %s)", account->name, err->words, err->server);
	else
		log_error("%s: %s", account->name, err->words);
}

static void tell_expiry(const struct cmd_options *options, const struct config_account *account,
			struct state_visit *after)
{
	int64_t left = after->expires - after->tried;
	char span[32];
	struct state_visit never = *after;

	never.warned = 0;
	if (!quiet_tells_expiry(watched(options) ? &never : after))
		return;
	after->warned = after->tried;
	if (left > 0)
		log_warning("%s: the server's certificate expires in %s", account->name,
			    str_span(span, (uint64_t)left));
	else
		log_warning("%s: the server's certificate has expired", account->name);
}

static void on_outcome(struct visits *visits, const struct config_account *account,
		       const struct session_report *report, const struct state_visit *before,
		       struct state_visit *after)
{
	const struct cmd_options *options = visits_options(visits);
	enum quiet_tells tells = quiet_tells(before, after, report->err.kind);

	if (report->busy) {
		if (options->json)
			report_visit(options, account, report);
		else if (options->verbosity)
			log_notice("%s: another mailhaul is at work on it", account->name);
		return;
	}
	if (watched(options) && report->err.kind)
		tells = QUIET_FAILURE;
	if (tells == QUIET_FAILURE) {
		/* Who watches saw what befell single messages when it happened. */
		if (!watched(options) || err_scope(report->err.kind) != ERR_SCOPE_MESSAGE)
			tell_failure(account, report);
		after->reported = after->tried;
	} else if (tells == QUIET_OVER) {
		tell_over(account, before, after);
	}
	if (report->connected)
		tell_expiry(options, account, after);
	report_visit(options, account, report);
}

/* An account whose login was refused is left alone for an hour, unless it was named. */
static bool wants(struct visits *visits, const struct config_account *account,
		  const struct state_visit *before)
{
	const struct cmd_options *options = visits_options(visits);
	int64_t wait = *options->names ? 0 : quiet_auth_wait(before, time(NULL));
	char span[32];

	if (!wait)
		return true;
	visits_note(visits, ERR_AUTH);
	if (watched(options))
		log_error(
		    "%s: left alone, because the last login was refused; it is tried again in "
		    "%s, or at once with: mailhaul poll %s",
		    account->name, str_span(span, (uint64_t)wait), account->name);
	return false;
}

int cmd_poll(const struct cmd_options *options, const struct config *config)
{
	return visits_run(&(struct visits_params){
	    .options = options, .config = config, .on_outcome = on_outcome, .wants = wants});
}
