/*
 * daemon: stays, visits each account when it is due and listens in between, until a signal ends it.
 *
 * Each account has its watch; the scheduler says whose turn it is. A configuration that is read
 * anew takes over the accounts that are the same in both, so that their watches, and all that
 * borrowed from them, go on; the other watches are stopped, and the old configuration is freed when
 * the last of them has ended.
 */
#include "daemon/daemon.h"

#include "config/config_keep.h"
#include "daemon/account.h"
#include "daemon/alert.h"
#include "daemon/control.h"
#include "daemon/metrics.h"
#include "daemon/quiet.h"
#include "daemon/scheduler.h"
#include "daemon/tell.h"
#include "daemon/watch.h"
#include "io/network.h"
#include "io/notify.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* With what freeing may take, less than the five seconds of mailhaul(1), "SIGNALS". */
enum {
	DAEMON_MDA_MS = 2500,	/* for an MDA to end by itself */
	DAEMON_GRACE_MS = 1000, /* after that */
	DAEMON_STATUS_MS = 1000 /* how often the service manager is told at most */
};

/* What was read before, and is still borrowed from. */
struct generation {
	struct generation *next;
	struct config *config;
};

struct daemon {
	struct daemon_params params;
	const struct config *config; /* in force */
	struct config *own;	     /* the same, if it was read anew */
	struct generation *old;
	struct account_shared *shared;
	struct loop *loop;
	struct scheduler *scheduler;
	struct places places;
	struct watch **watches; /* one for each account, in its order */
	size_t count;
	struct watch **leaving; /* of accounts that changed or went */
	size_t leaving_count;
	struct loop_timer *clock;  /* the next account becomes due */
	struct loop_timer *status; /* the service manager is told */
	struct loop_timer *grace;
	struct network *network;
	struct notify *notify;
	struct control *control; /* NULL: nobody can ask */
	struct alert *alert;
	struct metrics *metrics;
	bool asked; /* look() is about to run */
	bool news;  /* the service manager is about to be told */
	bool stopping;
	bool hurrying;
	bool out_of_grace;
};

/* ---- whose turn it is ---------------------------------------------------------------------- */

static void reap(struct daemon *daemon)
{
	size_t kept = 0;

	for (size_t i = 0; i < daemon->leaving_count; i++) {
		if (watch_idle(daemon->leaving[i]))
			watch_free(&daemon->leaving[i]);
		else
			daemon->leaving[kept++] = daemon->leaving[i];
	}
	daemon->leaving_count = kept;
	while (!kept && daemon->old) {
		struct generation *old = daemon->old;

		daemon->old = old->next;
		config_free(&old->config);
		free(old);
	}
}

static bool all_idle(const struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->count; i++)
		if (!watch_idle(daemon->watches[i]))
			return false;
	return !daemon->leaving_count;
}

static void look(void *ctx)
{
	struct daemon *daemon = ctx;
	struct watch *watch;
	uint64_t wait;

	daemon->asked = false;
	reap(daemon);
	if (daemon->stopping) {
		if (all_idle(daemon) && alert_idle(daemon->alert))
			loop_stop(daemon->loop);
		return;
	}
	while ((watch = scheduler_next(daemon->scheduler, loop_now(daemon->loop))))
		watch_run(watch);
	wait = scheduler_wait(daemon->scheduler, loop_now(daemon->loop));
	if (wait == UINT64_MAX)
		loop_timer_stop(daemon->clock);
	else
		loop_timer_start(daemon->clock, wait);
}

static void tell_soon(struct daemon *daemon)
{
	if (!daemon->notify || daemon->news)
		return;
	daemon->news = true;
	loop_timer_start(daemon->status, DAEMON_STATUS_MS);
}

/* Something has changed. */
static void look_soon(struct daemon *daemon)
{
	tell_soon(daemon);
	if (daemon->asked)
		return;
	daemon->asked = true;
	loop_defer(daemon->loop, look, daemon);
}

static void on_change(void *ctx, struct watch *watch)
{
	struct daemon *daemon = ctx;

	(void)watch;
	metrics_touch(daemon->metrics);
	look_soon(daemon);
}

static void on_told(void *ctx)
{
	look_soon(ctx);
}

static void on_clock(void *ctx)
{
	look_soon(ctx);
}

/* ---- what is told -------------------------------------------------------------------------- */

static void tell_delivery(const struct config_account *account, const struct session_report *report)
{
	const struct collect_counts *counts = &report->counts;
	char size[32];

	if (counts->delivered)
		log_info("%s: %llu message%s (%s) delivered%s%s", account->name,
			 (unsigned long long)counts->delivered, counts->delivered == 1 ? "" : "s",
			 str_octets(size, counts->octets), report->connected ? "; " : "",
			 report->security.line);
}

static void on_outcome(void *ctx, struct watch *watch, const struct session_report *report,
		       const struct state_visit *before, struct state_visit *after)
{
	struct daemon *daemon = ctx;
	const struct config_account *account = watch_account(watch);
	struct buf news = {0};

	places_note(&daemon->places, &report->err);
	control_outcome(daemon->control, account, before, after);
	tell_delivery(account, report);
	(void)tell_outcome(account, report, before, after, daemon->params.watched, &news);
	alert_say(daemon->alert, buf_string(&news));
	buf_free(&news);
	metrics_visited(daemon->metrics, account, &report->counts, after);
}

static void look_at_account(void *ctx, size_t place, struct metrics_now *now_r)
{
	const struct daemon *daemon = ctx;
	struct watch_view view = watch_view(daemon->watches[place]);

	*now_r = (struct metrics_now){
	    .listening = view.ears,
	    .open = view.ears + !strcmp(view.doing, "visiting"),
	    .next = view.next_ms == UINT64_MAX ? 0 : time(NULL) + (int64_t)(view.next_ms / 1000)};
}

static bool is_leaving(const struct daemon *daemon, const struct watch *watch)
{
	for (size_t i = 0; i < daemon->leaving_count; i++)
		if (daemon->leaving[i] == watch)
			return true;
	return false;
}

static void on_visited(void *ctx, struct watch *watch, bool whole, bool goes_on,
		       const struct session_report *report)
{
	struct daemon *daemon = ctx;

	if (!is_leaving(daemon, watch))
		control_ended(daemon->control, watch_account(watch),
			      whole ? watch_visits(watch) : 0, goes_on, report);
}

static void on_status(void *ctx)
{
	struct daemon *daemon = ctx;
	size_t listening = 0;
	size_t failing = 0;

	for (size_t i = 0; i < daemon->count; i++) {
		struct watch_view view = watch_view(daemon->watches[i]);

		listening += view.ears > 0;
		failing += view.failures > 0;
	}
	notify_say(daemon->notify, "STATUS=%zu account%s, %zu listening, %zu in backoff",
		   daemon->count, daemon->count == 1 ? "" : "s", listening, failing);
	daemon->news = false;
}

/* ---- accounts ------------------------------------------------------------------------------ */

/* A restart is no reason to poll all again, nor to try a login again that was refused. */
static uint64_t first_ms(struct daemon *daemon, const struct config_account *account)
{
	struct state_visit last;
	struct err err;
	int64_t now = time(NULL);
	int64_t wait;
	int64_t since;

	if (!account_last_visit(daemon->shared, account, &last, &err))
		return 0;
	wait = quiet_auth_wait(&last, now);
	if (wait)
		return (uint64_t)wait * 1000;
	since = now - last.tried;
	if (*last.error_kind || since < 0 || (uint64_t)since * 1000 >= account->interval_ms ||
	    (account->idle && account->protocol == CONFIG_IMAP))
		return 0;
	return account->interval_ms - (uint64_t)since * 1000;
}

static struct watch *start(struct daemon *daemon, const struct config_account *account)
{
	return watch_new(&(struct watch_params){.shared = daemon->shared,
						.scheduler = daemon->scheduler,
						.places = &daemon->places,
						.account = account,
						.first_ms = first_ms(daemon, account),
						.on_outcome = on_outcome,
						.on_end = on_visited,
						.on_change = on_change,
						.ctx = daemon});
}

static int by_address(const void *a, const void *b)
{
	const struct config_account *x = watch_account(*(struct watch *const *)a);
	const struct config_account *y = watch_account(*(struct watch *const *)b);

	return ((uintptr_t)x > (uintptr_t)y) - ((uintptr_t)x < (uintptr_t)y);
}

static int is_of(const void *account, const void *watch)
{
	const struct config_account *mine = watch_account(*(struct watch *const *)watch);

	return ((uintptr_t)account > (uintptr_t)mine) - ((uintptr_t)account < (uintptr_t)mine);
}

static void leave(struct daemon *daemon, struct watch *watch)
{
	control_left(daemon->control, watch_account(watch));
	state_release(account_state(daemon->shared), watch_account(watch)->name);
	watch_stop(watch);
	daemon->leaving =
	    mem_resize(daemon->leaving, daemon->leaving_count + 1, sizeof(struct watch *));
	daemon->leaving[daemon->leaving_count++] = watch;
}

/* A watch for each account of the configuration: those that are there go on. */
static void start_all(struct daemon *daemon, const struct config *config)
{
	struct watch **watches = mem_new(config->count + 1, sizeof(struct watch *));
	bool *stays = mem_new(daemon->count + 1, sizeof *stays);
	struct watch **found;

	if (daemon->count)
		qsort(daemon->watches, daemon->count, sizeof(struct watch *), by_address);
	for (unsigned i = 0; daemon->count && i < config->count; i++) {
		found = bsearch(config->accounts[i], daemon->watches, daemon->count,
				sizeof(struct watch *), is_of);
		if (!found)
			continue;
		watches[i] = *found;
		stays[found - daemon->watches] = true;
	}
	for (size_t i = 0; i < daemon->count; i++)
		if (!stays[i])
			leave(daemon, daemon->watches[i]);
	for (unsigned i = 0; i < config->count; i++)
		if (!watches[i])
			watches[i] = start(daemon, config->accounts[i]);
	free(stays);
	free(daemon->watches);
	daemon->watches = watches;
	daemon->count = config->count;
}

/* ---- who asks ------------------------------------------------------------------------------ */

static bool on_look(void *ctx, size_t index, struct control_account *account_r)
{
	const struct daemon *daemon = ctx;
	const struct watch *watch;

	if (index >= daemon->count)
		return false;
	watch = daemon->watches[index];
	*account_r =
	    (struct control_account){.name = watch_account(watch)->name, .is = watch_view(watch)};
	while (account_r->ear_count < WATCH_EARS_MAX &&
	       watch_ear(watch, account_r->ear_count, &account_r->ears[account_r->ear_count]))
		account_r->ear_count++;
	return true;
}

static bool on_find(void *ctx, const char *name, size_t *index_r)
{
	const struct daemon *daemon = ctx;
	const struct config_account *account = config_find(daemon->config, name);

	for (*index_r = 0; account && *index_r < daemon->count; ++*index_r)
		if (daemon->config->accounts[*index_r] == account)
			return true;
	return false;
}

/* An account whose login was refused is left alone for an hour, unless it was named. */
static int64_t on_poll(void *ctx, size_t index, bool now, uint64_t *visit_r)
{
	struct daemon *daemon = ctx;
	struct watch *watch = daemon->watches[index];
	struct state_visit last;
	struct err err;
	int64_t wait = 0;

	if (!now && account_last_visit(daemon->shared, watch_account(watch), &last, &err))
		wait = quiet_auth_wait(&last, time(NULL));
	if (wait)
		return wait;
	if (now)
		account_secret_anew(daemon->shared, watch_account(watch));
	*visit_r = watch_visits(watch) + 1;
	watch_poll(watch, now);
	return 0;
}

static void serve(struct daemon *daemon)
{
	struct err err;

	daemon->control =
	    control_new(&(struct control_params){.loop = daemon->loop,
						 .directory = daemon->config->state_dir,
						 .look = on_look,
						 .find = on_find,
						 .poll = on_poll,
						 .ctx = daemon},
			&err);
	if (!daemon->control)
		log_warning("%s; poll and status cannot ask this daemon", err.words);
}

/* ---- signals ------------------------------------------------------------------------------- */

static void on_mistake(void *ctx, const struct config_mistake *mistake)
{
	(void)ctx;
	log_line(mistake->warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "%s:%u:%u: %s",
		 mistake->file, mistake->line, mistake->column, mistake->text);
}

static void take_over(struct daemon *daemon, struct config *fresh)
{
	struct generation *old = mem_new(1, sizeof *old);

	config_keep(fresh, daemon->config);
	old->config = daemon->own;
	old->next = daemon->old;
	daemon->old = old;
	daemon->own = fresh;
	daemon->config = fresh;
	account_reconfigure(daemon->shared, fresh);
	places_share(&daemon->places, fresh);
	scheduler_limits(daemon->scheduler, daemon->places.visits, fresh->max_connections_per_host);
	start_all(daemon, fresh);
	control_changed(daemon->control);
	alert_command(daemon->alert, (const char *const *)fresh->notify_command);
	metrics_accounts(daemon->metrics, fresh);
	look_soon(daemon);
}

static void on_hangup(void *ctx, int signum)
{
	struct daemon *daemon = ctx;
	struct config *fresh;
	struct err err;

	(void)signum;
	if (daemon->stopping)
		return;
	notify_say(daemon->notify, "RELOADING=1");
	fresh = config_load(daemon->params.file, on_mistake, NULL, &err);
	if (fresh && strcmp(fresh->state_dir, daemon->config->state_dir) != 0) {
		err_set(&err, ERR_CONFIG, "state_dir has changed, which needs a restart");
		config_free(&fresh);
	}
	if (fresh) {
		take_over(daemon, fresh);
		log_notice("the configuration was read anew: %zu accounts", daemon->count);
	} else {
		log_error("%s; the configuration stays as it was", err.words);
	}
	notify_say(daemon->notify, "READY=1");
}

static void on_usr1(void *ctx, int signum)
{
	struct daemon *daemon = ctx;
	uint64_t visit;

	(void)signum;
	for (size_t i = 0; i < daemon->count; i++)
		(void)on_poll(daemon, i, false, &visit);
}

static void on_network(void *ctx, bool resumed)
{
	struct daemon *daemon = ctx;

	log_info("%s", resumed ? "the machine was asleep" : "the network has changed");
	for (size_t i = 0; i < daemon->count; i++)
		watch_wake(daemon->watches[i]);
}

static void stop_all(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->count; i++)
		watch_stop(daemon->watches[i]);
	for (size_t i = 0; i < daemon->leaving_count; i++)
		watch_stop(daemon->leaving[i]);
}

static void out_of_grace(void *ctx)
{
	struct daemon *daemon = ctx;

	if (!daemon->hurrying) {
		daemon->hurrying = true;
		loop_timer_start(daemon->grace, DAEMON_GRACE_MS);
		stop_all(daemon);
		return;
	}
	/* Else it is notify_command that runs, and is given up. */
	daemon->out_of_grace = !all_idle(daemon);
	if (daemon->out_of_grace)
		log_warning("leaving in the middle of a visit; the next one mends what is "
			    "unfinished");
	loop_stop(daemon->loop);
}

static void on_end(void *ctx, int signum)
{
	struct daemon *daemon = ctx;

	(void)signum;
	if (daemon->stopping)
		return;
	daemon->stopping = true;
	notify_say(daemon->notify, "STOPPING=1");
	loop_timer_start(daemon->grace, DAEMON_MDA_MS);
	stop_all(daemon);
	alert_hurry(daemon->alert);
	look_soon(daemon);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void run(struct daemon *daemon)
{
	struct loop *loop = daemon->loop;
	struct loop_signal *signals[] = {loop_signal_new(loop, SIGTERM, on_end, daemon),
					 loop_signal_new(loop, SIGINT, on_end, daemon),
					 loop_signal_new(loop, SIGHUP, on_hangup, daemon),
					 loop_signal_new(loop, SIGUSR1, on_usr1, daemon)};

	daemon->clock = loop_timer_new(loop, on_clock, daemon);
	daemon->status = loop_timer_new(loop, on_status, daemon);
	daemon->grace = loop_timer_new(loop, out_of_grace, daemon);
	daemon->network = network_new(loop, on_network, daemon);
	daemon->notify = notify_new(loop);
	daemon->alert = alert_new(
	    &(struct alert_params){.loop = loop,
				   .argv = (const char *const *)daemon->config->notify_command,
				   .on_idle = on_told,
				   .ctx = daemon});
	daemon->metrics =
	    metrics_new(&(struct metrics_params){.loop = loop,
						 .state = account_state(daemon->shared),
						 .look = look_at_account,
						 .ctx = daemon});
	start_all(daemon, daemon->config);
	serve(daemon);
	metrics_accounts(daemon->metrics, daemon->config);
	notify_say(daemon->notify, "READY=1");
	if (daemon->notify)
		on_status(daemon);
	loop_run(loop);
	control_free(&daemon->control);
	for (size_t i = 0; i < sizeof signals / sizeof(struct loop_signal *); i++)
		loop_signal_free(&signals[i]);
	loop_timer_free(&daemon->clock);
	loop_timer_free(&daemon->status);
	loop_timer_free(&daemon->grace);
	network_free(&daemon->network);
	notify_free(&daemon->notify);
	alert_free(&daemon->alert);
	metrics_free(&daemon->metrics);
}

int daemon_run(const struct daemon_params *params)
{
	struct daemon daemon = {.params = *params, .config = params->config};
	struct state_lock *lock = NULL;
	struct err err = {.kind = ERR_NONE};

	daemon.shared = account_shared_new(params->config, &err);
	if (daemon.shared)
		lock = state_lock_daemon(account_state(daemon.shared), &err);
	if (!lock) {
		if (!err.kind)
			err_set(&err, ERR_TEMPORARY, "a daemon is at work in %s already",
				params->config->state_dir);
		log_error("%s", err.words);
		account_shared_free(&daemon.shared);
		return err_exit_code(err.kind);
	}
	daemon.loop = account_loop(daemon.shared);
	places_share(&daemon.places, params->config);
	daemon.scheduler =
	    scheduler_new(daemon.places.visits, params->config->max_connections_per_host);
	run(&daemon);
	if (daemon.out_of_grace)
		_exit(0);
	for (size_t i = 0; i < daemon.count; i++)
		watch_free(&daemon.watches[i]);
	for (size_t i = 0; i < daemon.leaving_count; i++)
		watch_free(&daemon.leaving[i]);
	daemon.leaving_count = 0;
	reap(&daemon);
	free(daemon.watches);
	free(daemon.leaving);
	scheduler_free(&daemon.scheduler);
	state_unlock(&lock);
	if (!account_shared_free(&daemon.shared))
		_exit(0);
	config_free(&daemon.own);
	return 0;
}
