/*
 * status: what the last visit of each account left behind in the state, and what the daemon, where
 * there is one, does now. Connects to no server.
 */
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/status_report.h"
#include "cmd/table.h"
#include "daemon/account.h"
#include "util/log.h"
#include "util/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ---- what the daemon tells ----------------------------------------------------------------- */

/* Puts the page of answers from that account on into all, under the accounts' names. Gives from
 * where the next page goes; 0: this was the last, -1: it failed. */
static json_int_t ask_page(struct ask *ask, json_int_t from, json_t *all, struct err *err)
{
	json_int_t next = -1;
	const char *event;
	json_t *answer;

	if (!ask_tell(ask, json_pack("{s:s, s:I}", "request", "status", "from", from), err))
		return -1;
	while (next < 0 && (answer = ask_next(ask, &event, err))) {
		const char *name = json_string_value(json_object_get(answer, "account"));

		if (name && !strcmp(event, "now"))
			json_object_set(all, name, answer);
		else if (!strcmp(event, "end"))
			next = json_integer_value(json_object_get(answer, "next"));
		json_decref(answer);
	}
	return next;
}

/* NULL: there is no daemon, or it does not tell, which is said. */
static json_t *ask_daemon(const struct config *config)
{
	struct err err;
	struct ask *ask = ask_new(config, &err);
	json_t *all = ask ? json_object() : NULL;
	json_int_t from = 0;

	while (ask && (from = ask_page(ask, from, all, &err)) > 0)
		;
	if (err.kind) {
		log_warning("%s", err.words);
		json_decref(all);
		all = NULL;
	}
	ask_free(&ask);
	return all;
}

/* ---- what the state has -------------------------------------------------------------------- */

struct gather {
	const struct config *config;
	struct status_account *to;
	int64_t *ids;
};

static bool add(void *ctx, const struct state_key *key, const struct state_mailbox *mailbox)
{
	struct gather *gather = ctx;
	struct status_account *to = gather->to;

	if (cmd_account_of(gather->config, key) != to->account)
		return true;
	to->mailboxes = mem_resize(to->mailboxes, to->count + 1, sizeof *to->mailboxes);
	gather->ids = mem_resize(gather->ids, to->count + 1, sizeof *gather->ids);
	to->mailboxes[to->count] = (struct status_mailbox){.name = mem_copy(key->mailbox)};
	gather->ids[to->count++] = mailbox->id;
	return true;
}

static bool count_rows(struct state *state, struct gather *gather, struct err *err)
{
	struct status_account *to = gather->to;
	struct state_key key = {.protocol = account_protocol(to->account),
				.user = to->account->user,
				.host = to->account->host};

	if (!state_mailboxes(state, &key, add, gather, err))
		return false;
	for (size_t i = 0; i < to->count; i++) {
		if (!state_count(state, gather->ids[i], to->mailboxes[i].counts, err))
			return false;
		for (size_t k = 0; k < STATE_IS_END; k++)
			to->sums[k] += to->mailboxes[i].counts[k];
	}
	return true;
}

static bool gather(const struct config *config, struct state *state, struct status_account *to,
		   struct err *err)
{
	const struct config_account *account = to->account;
	struct gather gather = {.config = config, .to = to};
	bool ok = state_visit(state, account_protocol(account), account->user, account->host,
			      &to->visit, err) &&
		  count_rows(state, &gather, err);

	free(gather.ids);
	return ok;
}

/* ---- showing ------------------------------------------------------------------------------- */

/* One look at all of it. */
struct look {
	struct status_account *all;
	size_t count;
	json_t *now;
};

static void look_free(struct look *look)
{
	for (size_t i = 0; i < look->count; i++) {
		for (size_t k = 0; k < look->all[i].count; k++)
			free(look->all[i].mailboxes[k].name);
		free(look->all[i].mailboxes);
	}
	free(look->all);
	json_decref(look->now);
}

/* Zeros where there is no state yet. */
static bool take_look(const struct config *config, const struct config_account *const *accounts,
		      size_t count, struct state *state, struct look *look_r, struct err *err)
{
	bool ok = true;

	*look_r = (struct look){.all = mem_new(count + 1, sizeof *look_r->all),
				.count = count,
				.now = ask_daemon(config)};
	for (size_t i = 0; ok && i < count; i++) {
		look_r->all[i].account = accounts[i];
		look_r->all[i].now = json_object_get(look_r->now, accounts[i]->name);
		ok = !state || gather(config, state, &look_r->all[i], err);
	}
	return ok;
}

static void show(const struct cmd_options *options, const struct look *look)
{
	struct winsize size;
	size_t width = SIZE_MAX;
	struct buf page = {0};

	for (size_t i = 0; options->json && i < look->count; i++)
		report_object(status_report_json(&look->all[i], time(NULL)));
	if (options->json)
		return;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		width = size.ws_col;
	status_report_text(&page, look->all, look->count, look->now != NULL, options->verbosity > 0,
			   width);
	fputs(buf_string(&page), stdout);
	buf_free(&page);
}

/* ---- --watch ------------------------------------------------------------------------------- */

static volatile sig_atomic_t watched_enough;

static void on_signal(int signum)
{
	(void)signum;
	watched_enough = true;
}

/* As many lines of the page as the terminal has, each cleared before. */
static void redraw(const struct cmd_options *options, const struct look *look)
{
	struct winsize size = {.ws_row = 0};
	struct buf page = {0};
	struct buf screen = {0};
	size_t left;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	status_report_text(&page, look->all, look->count, look->now != NULL, options->verbosity > 0,
			   size.ws_col);
	buf_text(&screen, "\033[H");
	left = size.ws_row - 1U;
	for (char *line = buf_string(&page), *end; left && *line; line = end + 1, left--) {
		end = line + strcspn(line, "\n");
		*end = '\0';
		buf_text(&screen, "\033[K");
		table_line(&screen, line, size.ws_col);
	}
	buf_text(&screen, "\033[J");
	fputs(buf_string(&screen), stdout);
	fflush(stdout);
	buf_free(&screen);
	buf_free(&page);
}

static bool watch(const struct cmd_options *options, const struct config *config,
		  const struct config_account *const *accounts, size_t count, struct err *err)
{
	const struct sigaction act = {.sa_handler = on_signal};
	const struct timespec second = {.tv_sec = 1};
	struct state *state = NULL;
	bool ok = true;

	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	fputs("\033[2J", stdout);
	while (ok && !watched_enough) {
		struct look look = {.count = 0};

		/* The state may come into being meanwhile. */
		if (!state)
			state = state_open_existing(config->state_dir, err);
		ok = (state || !err->kind) && take_look(config, accounts, count, state, &look, err);
		if (ok)
			redraw(options, &look);
		look_free(&look);
		if (ok && !watched_enough)
			nanosleep(&second, NULL);
	}
	state_free(&state);
	return ok;
}

/* ---- the command --------------------------------------------------------------------------- */

static bool show_once(const struct cmd_options *options, const struct config *config,
		      const struct config_account *const *accounts, size_t count, struct err *err)
{
	struct state *state = state_open_existing(config->state_dir, err);
	struct look look = {.count = 0};
	bool ok = (state || !err->kind) && take_look(config, accounts, count, state, &look, err);

	if (ok)
		show(options, &look);
	look_free(&look);
	state_free(&state);
	return ok;
}

int cmd_status(const struct cmd_options *options, const struct config *config)
{
	const struct config_account **accounts = NULL;
	struct err err = {.kind = ERR_NONE};
	size_t count = 0;
	bool ok;

	if (options->watch && (options->json || !isatty(STDOUT_FILENO)))
		ok = err_set(&err, ERR_USAGE, "--watch is for a terminal%s",
			     options->json ? ", and not for --json" : "");
	else
		ok = cmd_accounts(options, config, &accounts, &count, &err);
	if (ok)
		ok = options->watch ? watch(options, config, accounts, count, &err)
				    : show_once(options, config, accounts, count, &err);
	if (!ok)
		log_error("%s", err.words);
	free(accounts);
	return ok ? 0 : err_exit_code(err.kind);
}
