/*
 * poll_daemon: a poll that the daemon which holds the state makes, and that tells what came of it.
 *
 * The daemon says of each account what came of its visit as soon as that has ended, and at the end
 * that this was all. An account of which it has said nothing is none of its configuration.
 */
#include "cmd/poll_daemon.h"

#include "cmd/ask.h"
#include "daemon/visit_json.h"
#include "util/log.h"
#include "util/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct poll {
	const struct poll_daemon_params *params;
	const struct config_account **accounts;
	bool *told; /* of each of them */
	size_t count;
	enum err_kind gravest;
};

/* For the handler of signals: what the process leaves with. */
static volatile sig_atomic_t code_so_far;

static void note(struct poll *poll, enum err_kind kind)
{
	poll->gravest = err_graver(poll->gravest, kind);
	code_so_far = err_exit_code(err_graver(poll->gravest, ERR_TEMPORARY));
}

static void on_signal(int signum)
{
	(void)signum;
	_exit(code_so_far);
}

static void leave_at_signals(void)
{
	struct sigaction act = {.sa_handler = on_signal};

	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
}

/* The account that an answer is of, and was not told of before; NULL: none of those chosen. */
static const struct config_account *account_of(struct poll *poll, const json_t *answer)
{
	const char *name = json_string_value(json_object_get(answer, "account"));

	for (size_t i = 0; name && i < poll->count; i++) {
		if (poll->told[i] || strcmp(poll->accounts[i]->name, name) != 0)
			continue;
		poll->told[i] = true;
		return poll->accounts[i];
	}
	return NULL;
}

static void take_visit(struct poll *poll, const json_t *answer)
{
	const struct config_account *account = account_of(poll, answer);
	struct session_report report;
	struct state_visit before;
	struct state_visit after;

	if (!account)
		return;
	visit_json_read(answer, &report);
	visit_json_read_row(json_object_get(answer, "before"), &before);
	visit_json_read_row(json_object_get(answer, "after"), &after);
	poll->params->on_visit(poll->params->options, account, &report, &before, &after);
	note(poll, report.err.kind);
}

static void take_alone(struct poll *poll, const json_t *answer)
{
	const struct config_account *account = account_of(poll, answer);

	if (!account)
		return;
	poll->params->on_alone(poll->params->options, account,
			       json_integer_value(json_object_get(answer, "seconds")));
	note(poll, ERR_AUTH);
}

/* Those of which the daemon has not said anything: its configuration is an older one. */
static void tell_unknown(struct poll *poll)
{
	for (size_t i = 0; i < poll->count; i++) {
		if (poll->told[i])
			continue;
		log_error("%s: the daemon at work does not know this account; let it read the "
			  "configuration again (HUP)",
			  poll->accounts[i]->name);
		note(poll, ERR_CONFIG);
	}
}

static json_t *request_of(const struct poll *poll)
{
	json_t *request = json_pack("{s:s}", "request", "poll");
	json_t *names = json_array();

	for (size_t i = 0; i < poll->count; i++)
		json_array_append_new(names, json_string(poll->accounts[i]->name));
	if (*poll->params->options->names)
		json_object_set(request, "accounts", names);
	json_decref(names);
	return request;
}

static bool run(struct poll *poll, struct ask *ask, struct err *err)
{
	const char *event;
	json_t *answer;
	bool ended = false;

	if (!ask_tell(ask, request_of(poll), err))
		return false;
	while (!ended && (answer = ask_next(ask, &event, err))) {
		if (!strcmp(event, "visit"))
			take_visit(poll, answer);
		else if (!strcmp(event, "alone"))
			take_alone(poll, answer);
		ended = !strcmp(event, "end");
		json_decref(answer);
	}
	if (ended)
		tell_unknown(poll);
	return ended;
}

static bool choose(struct poll *poll, struct err *err)
{
	if (!cmd_accounts(poll->params->options, poll->params->config, &poll->accounts,
			  &poll->count, err))
		return false;
	poll->told = mem_new(poll->count + 1, sizeof *poll->told);
	return true;
}

bool poll_daemon(const struct poll_daemon_params *params, int *code_r)
{
	struct poll poll = {.params = params};
	struct err err;
	struct ask *ask = ask_new(params->config, &err);

	if (!ask && !err.kind)
		return false;
	if (params->options->trace)
		log_warning("a daemon polls: the dialogue is in its log, if it has --trace");
	note(&poll, ERR_NONE);
	leave_at_signals();
	if (!ask || !choose(&poll, &err) || !run(&poll, ask, &err)) {
		log_error("%s", err.words);
		note(&poll, err.kind);
	}
	ask_free(&ask);
	free(poll.accounts);
	free(poll.told);
	*code_r = err_exit_code(poll.gravest);
	return true;
}
