/*
 * control: the daemon's socket, control.sock in state_dir: for those who ask it to poll, or what it
 * does.
 *
 * Each peer has at most one poll under way, in which it waits for each account once: so the memory
 * of all that are asked for is bounded by LOCAL_PEERS_MAX and the number of accounts.
 */
#include "daemon/control.h"

#include "daemon/visit_json.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

/* What is known of a visit between its outcome and its end. */
struct rows {
	struct state_visit before;
	struct state_visit after;
};

/* An account that a peer waits for. */
struct ask {
	char *account; /* its name, the key */
	bool now;
	bool left;	/* the account it was asked for is not there any more */
	uint64_t visit; /* the first one that answers */
	struct rows *rows;
	struct collect_counts sum; /* of the visits that went on */
	UT_hash_handle hh;
};

/* A peer with a poll under way. */
struct asker {
	struct asker *next;
	struct local_peer *peer;
	struct ask *asks;
};

struct control {
	struct control_params params;
	struct local *local;
	struct loop_timer *alive;
	struct asker *askers;
};

/* ---- saying -------------------------------------------------------------------------------- */

/* Frees the object. */
static void say(struct local_peer *peer, json_t *object)
{
	char *line;

	json_object_set_new(object, "version", json_integer(VISIT_JSON_VERSION));
	line = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	if (line)
		local_say(peer, line);
	free(line);
}

static void say_event(struct local_peer *peer, const char *event)
{
	say(peer, json_pack("{s:s}", "event", event));
}

static void say_error(struct local_peer *peer, const char *text)
{
	say(peer, json_pack("{s:s, s:s}", "event", "error", "text", text));
}

static void say_unknown(struct local_peer *peer, const char *account)
{
	say(peer, json_pack("{s:s, s:o}", "event", "unknown", "account", visit_json_text(account)));
}

/* ---- poll ---------------------------------------------------------------------------------- */

static void ask_free(struct asker *asker, struct ask *ask)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the table has another head by then */
	HASH_DEL(asker->asks, ask);
	free(ask->account);
	free(ask->rows);
	free(ask);
}

static struct asker *asker_of(const struct control *control, const struct local_peer *peer)
{
	struct asker *asker = control->askers;

	while (asker && asker->peer != peer)
		asker = asker->next;
	return asker;
}

static struct ask *find_ask(const struct asker *asker, const char *account)
{
	struct ask *ask;

	HASH_FIND_STR(asker->asks, account, ask);
	return ask;
}

static void asker_free(struct control *control, struct asker *asker)
{
	struct asker **at = &control->askers;
	struct ask *ask;
	struct ask *next;

	while (*at != asker)
		at = &(*at)->next;
	*at = asker->next;
	HASH_ITER(hh, asker->asks, ask, next)
	ask_free(asker, ask);
	free(asker);
	if (!control->askers)
		loop_timer_stop(control->alive);
}

/* Its poll is done when it waits for no account any more. */
static void look_whether_done(struct control *control, struct asker *asker)
{
	if (asker->asks)
		return;
	say_event(asker->peer, "end");
	asker_free(control, asker);
}

/* Frees the ask where the account is left alone. */
static void begin(struct control *control, struct asker *asker, struct ask *ask, size_t index)
{
	int64_t seconds = control->params.poll(control->params.ctx, index, ask->now, &ask->visit);

	if (!seconds)
		return;
	say(asker->peer, json_pack("{s:s, s:s, s:I}", "event", "alone", "account", ask->account,
				   "seconds", (json_int_t)seconds));
	ask_free(asker, ask);
}

static void ask_for(struct control *control, struct asker *asker, const char *account, size_t index,
		    bool now)
{
	struct ask *ask;

	if (find_ask(asker, account))
		return;
	ask = mem_new(1, sizeof *ask);
	ask->account = mem_copy(account);
	ask->now = now;
	HASH_ADD_KEYPTR(hh, asker->asks, ask->account, strlen(ask->account), ask);
	begin(control, asker, ask, index);
}

static void ask_for_all(struct control *control, struct asker *asker)
{
	struct control_account account;

	for (size_t i = 0; control->params.look(control->params.ctx, i, &account); i++)
		ask_for(control, asker, account.name, i, false);
}

static void ask_for_these(struct control *control, struct asker *asker, const json_t *names)
{
	size_t index;
	size_t i;
	json_t *name;

	json_array_foreach(names, i, name)
	{
		const char *account = json_string_value(name);

		if (control->params.find(control->params.ctx, account, &index))
			ask_for(control, asker, account, index, true);
		else
			say_unknown(asker->peer, account);
	}
}

static bool all_strings(const json_t *array)
{
	size_t i;
	json_t *one;

	json_array_foreach(array, i, one) if (!json_is_string(one)) return false;
	return json_is_array(array);
}

static void serve_poll(struct control *control, struct local_peer *peer, const json_t *request)
{
	const json_t *names = json_object_get(request, "accounts");
	struct asker *asker;

	if (names && !all_strings(names)) {
		say_error(peer, "\"accounts\" is no list of names");
		return;
	}
	if (asker_of(control, peer)) {
		say_error(peer, "one poll at a time: the last one has not ended");
		return;
	}
	asker = mem_new(1, sizeof *asker);
	asker->peer = peer;
	asker->next = control->askers;
	control->askers = asker;
	loop_timer_start(control->alive, CONTROL_ALIVE_MS);
	if (names)
		ask_for_these(control, asker, names);
	else
		ask_for_all(control, asker);
	look_whether_done(control, asker);
}

static void on_alive(void *ctx)
{
	struct control *control = ctx;

	for (struct asker *asker = control->askers; asker; asker = asker->next)
		say_event(asker->peer, "alive");
	loop_timer_start(control->alive, CONTROL_ALIVE_MS);
}

/* ---- what comes of it ---------------------------------------------------------------------- */

void control_outcome(struct control *control, const struct config_account *account,
		     const struct state_visit *before, const struct state_visit *after)
{
	struct asker *asker = control ? control->askers : NULL;

	for (; asker; asker = asker->next) {
		struct ask *ask = find_ask(asker, account->name);

		if (!ask)
			continue;
		if (!ask->rows)
			ask->rows = mem_new(1, sizeof *ask->rows);
		ask->rows->before = *before;
		ask->rows->after = *after;
	}
}

static void add(struct collect_counts *sum, const struct collect_counts *more)
{
	sum->fresh += more->fresh;
	sum->delivered += more->delivered;
	sum->octets += more->octets;
	sum->waiting += more->waiting;
	sum->quarantined += more->quarantined;
	sum->removable += more->removable;
	sum->recognised += more->recognised;
}

static void answer(struct asker *asker, struct ask *ask, const struct config_account *account,
		   const struct session_report *report)
{
	static const struct rows unknown;
	const struct rows *rows = ask->rows ? ask->rows : &unknown;
	struct session_report all = *report;
	json_t *object;

	add(&all.counts, &ask->sum);
	object = visit_json(account, &all);
	json_object_set_new(object, "before", visit_json_row(&rows->before));
	json_object_set_new(object, "after", visit_json_row(&rows->after));
	say(asker->peer, object);
	ask_free(asker, ask);
}

/* A visit that was asked for, or one before it that failed: then the next may be far away. */
static bool answers(const struct ask *ask, uint64_t number, const struct session_report *report)
{
	return number >= ask->visit || report->busy || !report->whole;
}

void control_ended(struct control *control, const struct config_account *account, uint64_t number,
		   bool goes_on, const struct session_report *report)
{
	struct asker *asker = control ? control->askers : NULL;
	struct asker *next;

	for (; asker; asker = next) {
		struct ask *ask = find_ask(asker, account->name);

		next = asker->next;
		if (!ask || !answers(ask, number, report))
			continue;
		if (goes_on)
			add(&ask->sum, &report->counts);
		else
			answer(asker, ask, account, report);
		look_whether_done(control, asker);
	}
}

void control_left(struct control *control, const struct config_account *account)
{
	struct asker *asker = control ? control->askers : NULL;

	for (; asker; asker = asker->next) {
		struct ask *ask = find_ask(asker, account->name);

		if (ask)
			ask->left = true;
	}
}

static void ask_again(struct control *control, struct asker *asker, struct ask *ask)
{
	size_t index;

	ask->left = false;
	if (control->params.find(control->params.ctx, ask->account, &index)) {
		begin(control, asker, ask, index);
		return;
	}
	say_unknown(asker->peer, ask->account);
	ask_free(asker, ask);
}

void control_changed(struct control *control)
{
	struct asker *asker = control ? control->askers : NULL;
	struct asker *next_asker;

	for (; asker; asker = next_asker) {
		struct ask *ask;
		struct ask *next;

		next_asker = asker->next;
		HASH_ITER(hh, asker->asks, ask, next)
		if (ask->left)
			ask_again(control, asker, ask);
		look_whether_done(control, asker);
	}
}

/* ---- status -------------------------------------------------------------------------------- */

static json_t *seconds(uint64_t ms)
{
	return ms == UINT64_MAX ? json_null() : json_integer((json_int_t)(ms / 1000));
}

static json_t *doing(const char *what, uint64_t since_ms)
{
	bool lasts = !strcmp(what, "visiting") || !strcmp(what, "listening");

	return json_pack("{s:s, s:o}", "doing", what, "seconds",
			 seconds(lasts ? since_ms : UINT64_MAX));
}

static json_t *now_json(const struct control_account *account)
{
	json_t *object = doing(account->is.doing, account->is.since_ms);
	json_t *mailboxes = json_array();

	json_object_set_new(object, "event", json_string("now"));
	json_object_set_new(object, "account", json_string(account->name));
	json_object_set_new(object, "failures", json_integer(account->is.failures));
	json_object_set_new(object, "next_seconds", seconds(account->is.next_ms));
	for (size_t i = 0; i < account->ear_count; i++) {
		const struct watch_ear *ear = &account->ears[i];
		json_t *mailbox = doing(ear->doing, ear->since_ms);

		json_object_set_new(mailbox, "name", visit_json_text(ear->mailbox));
		json_array_append_new(mailboxes, mailbox);
	}
	json_object_set_new(object, "mailboxes", mailboxes);
	return object;
}

static void serve_status(struct control *control, struct local_peer *peer, const json_t *request)
{
	json_int_t from = json_integer_value(json_object_get(request, "from"));
	struct control_account account;
	json_t *end = json_pack("{s:s}", "event", "end");
	size_t index = from > 0 ? (size_t)from : 0;
	size_t shown = 0;
	bool more;

	while ((more = control->params.look(control->params.ctx, index, &account)) &&
	       shown < CONTROL_PAGE) {
		say(peer, now_json(&account));
		index++;
		shown++;
	}
	if (more)
		json_object_set_new(end, "next", json_integer((json_int_t)index));
	say(peer, end);
}

/* ---- requests ------------------------------------------------------------------------------ */

static void serve(struct control *control, struct local_peer *peer, const json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "request"));

	if (json_integer_value(json_object_get(request, "version")) != VISIT_JSON_VERSION)
		say_error(peer, "this daemon speaks version 1 of its language only");
	else if (what && !strcmp(what, "poll"))
		serve_poll(control, peer, request);
	else if (what && !strcmp(what, "status"))
		serve_status(control, peer, request);
	else
		say_error(peer, "there is no such request");
}

static void on_line(void *ctx, struct local_peer *peer, const char *line)
{
	json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(request))
		serve(ctx, peer, request);
	else
		say_error(peer, "a request is a JSON object on one line");
	json_decref(request);
}

static void on_gone(void *ctx, struct local_peer *peer)
{
	struct control *control = ctx;
	struct asker *asker = asker_of(control, peer);

	if (asker)
		asker_free(control, asker);
}

/* ---- life ---------------------------------------------------------------------------------- */

struct control *control_new(const struct control_params *params, struct err *err)
{
	struct control *control = mem_new(1, sizeof *control);
	char *path = mem_printf("%s/control.sock", params->directory);

	control->params = *params;
	control->alive = loop_timer_new(params->loop, on_alive, control);
	control->local = local_new(
	    params->loop, path,
	    &(struct local_params){.on_line = on_line, .on_gone = on_gone, .ctx = control}, err);
	free(path);
	if (!control->local)
		control_free(&control);
	return control;
}

void control_free(struct control **control_p)
{
	struct control *control = *control_p;

	*control_p = NULL;
	if (!control)
		return;
	while (control->askers)
		asker_free(control, control->askers);
	local_free(&control->local);
	loop_timer_free(&control->alive);
	free(control);
}
