/*
 * poll: collects once and ends; for cron. Says as much as "Use from cron" in mailhaul(1) allows;
 * the exit code always tells the truth. Where a daemon holds the state, it is asked to visit, and
 * what came of it is told in the same way.
 */
#include "cmd/cmd.h"
#include "cmd/poll_daemon.h"
#include "cmd/report.h"
#include "cmd/visits.h"
#include "daemon/tell.h"
#include "util/log.h"
#include "util/str.h"

#include <time.h>
#include <unistd.h>

/* A person watches: everything is told, every time. */
static bool watched(const struct cmd_options *options)
{
	return !options->quiet && (options->verbosity || isatty(STDERR_FILENO));
}

/* news: for those who do not look on; NULL: somebody else tells them. */
static void tell(const struct cmd_options *options, const struct config_account *account,
		 const struct session_report *report, const struct state_visit *before,
		 struct state_visit *after, struct buf *news)
{
	if (report->busy) {
		if (options->json)
			report_visit(options, account, report);
		else if (options->verbosity)
			log_notice("%s: another mailhaul is at work on it", account->name);
		return;
	}
	(void)tell_outcome(account, report, before, after, watched(options), news);
	report_visit(options, account, report);
}

/* The daemon's visit, which has its own ways of telling. */
static void tell_visit(const struct cmd_options *options, const struct config_account *account,
		       const struct session_report *report, const struct state_visit *before,
		       struct state_visit *after)
{
	tell(options, account, report, before, after, NULL);
}

static void tell_alone(const struct cmd_options *options, const struct config_account *account,
		       int64_t seconds)
{
	char span[32];

	if (watched(options))
		log_error(
		    "%s: left alone, because the last login was refused; it is tried again in "
		    "%s, or at once with: mailhaul poll %s",
		    account->name, str_span(span, (uint64_t)seconds), account->name);
}

static void on_outcome(struct visits *visits, const struct config_account *account,
		       const struct session_report *report, const struct state_visit *before,
		       struct state_visit *after)
{
	struct buf news = {0};

	tell(visits_options(visits), account, report, before, after, &news);
	visits_alert(visits, buf_string(&news));
	buf_free(&news);
}

/* An account whose login was refused is left alone for an hour, unless it was named. */
static bool wants(struct visits *visits, const struct config_account *account,
		  const struct state_visit *before)
{
	const struct cmd_options *options = visits_options(visits);
	int64_t wait = *options->names ? 0 : quiet_auth_wait(before, time(NULL));

	if (!wait)
		return true;
	visits_note(visits, ERR_AUTH);
	tell_alone(options, account, wait);
	return false;
}

int cmd_poll(const struct cmd_options *options, const struct config *config)
{
	int code;

	if (poll_daemon(&(struct poll_daemon_params){.options = options,
						     .config = config,
						     .on_visit = tell_visit,
						     .on_alone = tell_alone},
			&code))
		return code;
	return visits_run(&(struct visits_params){.options = options,
						  .config = config,
						  .tells = true,
						  .on_outcome = on_outcome,
						  .wants = wants});
}
