/*
 * visits: visits several accounts at the same time on one loop, within the slots; shared by poll
 * and test.
 *
 * A signal ends every visit early: what is whole is committed, an MDA that is at work has a moment
 * to end, then it is stopped. A visit that does not end within the grace is left as a crash would
 * leave it, which recovery mends.
 */
#include "cmd/visits.h"

#include "cmd/progress.h"
#include "daemon/account.h"
#include "daemon/alert.h"
#include "daemon/metrics.h"
#include "daemon/scheduler.h"
#include "util/log.h"
#include "util/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* With what freeing may take, less than the five seconds of mailhaul(1), "SIGNALS". */
enum {
	VISITS_MDA_MS = 2500,  /* for an MDA to end by itself */
	VISITS_GRACE_MS = 1000 /* after that */
};

struct visit {
	struct visits *visits;
	const struct config_account *account;
	struct turn *turn;
	struct session *session;
	struct collect_counts counts;
};

struct visits {
	struct visits_params params;
	struct account_shared *shared;
	struct scheduler *scheduler;
	struct visit *all;
	size_t count;
	struct loop_timer *grace;
	struct alert *alert;
	enum err_kind gravest;
	bool stopping;
	bool hurrying; /* MDAs are stopped too */
	bool out_of_grace;
};

static void start_waiting(struct visits *visits);

const struct cmd_options *visits_options(const struct visits *visits)
{
	return visits->params.options;
}

void visits_note(struct visits *visits, enum err_kind kind)
{
	visits->gravest = err_graver(visits->gravest, kind);
}

void visits_alert(struct visits *visits, const char *lines)
{
	alert_say(visits->alert, lines);
}

static void on_progress(void *ctx, struct session *session, const struct collect_counts *counts)
{
	struct visit *visit = ctx;
	struct visits *visits = visit->visits;
	uint64_t fetched = 0;
	uint64_t delivered = 0;
	uint64_t total = 0;
	uint64_t octets = 0;

	(void)session;
	visit->counts = *counts;
	for (size_t i = 0; i < visits->count; i++) {
		fetched += visits->all[i].counts.fetched;
		delivered += visits->all[i].counts.delivered;
		total += visits->all[i].counts.fresh;
		octets += visits->all[i].counts.octets;
	}
	if (!visits->params.options->quiet && !visits->params.options->trace)
		progress_show(fetched, delivered, total, octets,
			      loop_now(account_loop(visits->shared)));
}

static void on_outcome(void *ctx, const struct session_report *report,
		       const struct state_visit *before, struct state_visit *after)
{
	struct visit *visit = ctx;

	progress_clear();
	visit->visits->params.on_outcome(visit->visits, visit->account, report, before, after);
}

static void on_end(void *ctx, struct session *session)
{
	struct visit *visit = ctx;
	struct visits *visits = visit->visits;

	visits_note(visits, session_report(session)->err.kind);
	session_free(&visit->session);
	scheduler_done(visits->scheduler, visit->turn);
	start_waiting(visits);
}

/* False: the visit is over before it began. */
static bool start(struct visits *visits, struct visit *visit)
{
	struct account_visit how = {.look_only = visits->params.look_only,
				    .mark_all = visits->params.mark_all,
				    .retry_now = *visits->params.options->names != NULL,
				    .on_progress = on_progress,
				    .on_outcome = on_outcome,
				    .on_end = on_end,
				    .ctx = visit};
	struct state_visit before;
	struct err err;

	if (!account_last_visit(visits->shared, visit->account, &before, &err)) {
		log_error("%s: %s", visit->account->name, err.words);
		visits_note(visits, err.kind);
		return false;
	}
	if (visits->params.wants && !visits->params.wants(visits, visit->account, &before))
		return false;
	visit->session = account_begin(visits->shared, visit->account, &how);
	return true;
}

static bool any_runs(const struct visits *visits)
{
	for (size_t i = 0; i < visits->count; i++)
		if (visits->all[i].session)
			return true;
	return false;
}

static void start_waiting(struct visits *visits)
{
	uint64_t now = loop_now(account_loop(visits->shared));
	struct visit *visit;

	while (!visits->stopping && (visit = scheduler_next(visits->scheduler, now)))
		if (!start(visits, visit))
			scheduler_done(visits->scheduler, visit->turn);
	if ((!visits->stopping && !scheduler_idle(visits->scheduler)) || any_runs(visits))
		return;
	alert_hurry(visits->alert);
	if (alert_idle(visits->alert))
		loop_stop(account_loop(visits->shared));
}

static void on_told(void *ctx)
{
	start_waiting(ctx);
}

static void stop_all(struct visits *visits)
{
	for (size_t i = 0; i < visits->count; i++)
		if (visits->all[i].session)
			session_stop(visits->all[i].session);
}

static void out_of_grace(void *ctx)
{
	struct visits *visits = ctx;

	if (!visits->hurrying) {
		visits->hurrying = true;
		loop_timer_start(visits->grace, VISITS_GRACE_MS);
		stop_all(visits);
		return;
	}
	/* Else it is notify_command that runs, and is given up. */
	visits->out_of_grace = any_runs(visits);
	if (visits->out_of_grace)
		log_warning("leaving in the middle of a visit; the next one mends what is "
			    "unfinished");
	loop_stop(account_loop(visits->shared));
}

static void on_signal(void *ctx, int signum)
{
	struct visits *visits = ctx;

	(void)signum;
	if (visits->stopping)
		return;
	visits->stopping = true;
	visits_note(visits, ERR_TEMPORARY);
	loop_timer_start(visits->grace, VISITS_MDA_MS);
	stop_all(visits);
	start_waiting(visits);
}

static void run(struct visits *visits, const struct config_account **accounts)
{
	struct loop *loop = account_loop(visits->shared);
	struct loop_signal *on_int = loop_signal_new(loop, SIGINT, on_signal, visits);
	struct loop_signal *on_term = loop_signal_new(loop, SIGTERM, on_signal, visits);
	const char *const *argv = (const char *const *)visits->params.config->notify_command;

	visits->grace = loop_timer_new(loop, out_of_grace, visits);
	visits->alert = alert_new(&(struct alert_params){.loop = loop,
							 .argv = visits->params.tells ? argv : NULL,
							 .on_idle = on_told,
							 .ctx = visits});
	for (size_t i = 0; i < visits->count; i++) {
		struct visit *visit = &visits->all[i];

		visit->visits = visits;
		visit->account = accounts[i];
		visit->turn = scheduler_add(visits->scheduler, accounts[i]->host, visit);
		scheduler_due(visits->scheduler, visit->turn, 0);
	}
	start_waiting(visits);
	if (!scheduler_idle(visits->scheduler))
		loop_run(loop);
	loop_timer_free(&visits->grace);
	alert_free(&visits->alert);
	loop_signal_free(&on_int);
	loop_signal_free(&on_term);
}

/* Leaves as by kill -9, which the commit protocol makes safe at any moment: neither a thread nor
 * the disk is waited for. */
static void leave(const struct visits *visits)
{
	fflush(stdout);
	_exit(err_exit_code(visits->gravest));
}

/* Cron would say it all day: only who looks on hears that it failed. */
static void write_metrics(const struct visits *visits)
{
	struct err err;

	if (!metrics_write(visits->params.config, account_state(visits->shared), &err))
		log_notice("%s", err.words);
}

int visits_run(const struct visits_params *params)
{
	const struct config *config = params->config;
	struct visits visits = {.params = *params, .gravest = ERR_NONE};
	const struct config_account **accounts = NULL;
	struct err err = {.kind = ERR_NONE};

	if (cmd_accounts(params->options, config, &accounts, &visits.count, &err))
		visits.shared = account_shared_new(config, &err);
	if (!visits.shared) {
		log_error("%s", err.words);
		free(accounts);
		return err_exit_code(err.kind);
	}
	visits.all = mem_new(visits.count, sizeof *visits.all);
	visits.scheduler = scheduler_new(config->max_connections, config->max_connections_per_host);
	log_set_curtain(progress_clear);
	run(&visits, accounts);
	progress_clear();
	log_set_curtain(NULL);
	if (params->tells && !visits.out_of_grace)
		write_metrics(&visits);
	if (visits.out_of_grace)
		leave(&visits);
	for (size_t i = 0; i < visits.count; i++)
		session_free(&visits.all[i].session);
	scheduler_free(&visits.scheduler);
	if (!account_shared_free(&visits.shared))
		leave(&visits);
	free(visits.all);
	free(accounts);
	return err_exit_code(visits.gravest);
}
