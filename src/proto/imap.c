/*
 * imap: the middle of the IMAP engine (RFC 3501, 9051): the table of its steps, the loop that its
 * driver turns, and what responses lead to.
 *
 * Its states are the commands in flight, oldest first; the table of steps names each, says whether
 * it may be sent in clear, and what its answer leads to. Tagged answers must come in the order of
 * the commands; untagged ones may come at any moment and are taken by their type.
 */
#include "proto/imap.h"

#include "proto/imap_engine.h"
#include "util/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CRLF = 2 };

/* ---- what all files use -------------------------------------------------------------------- */

struct err *imap_fail(struct imap *im, enum err_kind kind, const char *words)
{
	static struct err unheard;

	if (im->source.err)
		return &unheard;
	err_set(source_broken(&im->source), kind, "%s", words);
	return im->source.err;
}

void imap_fail_line(struct imap *im, const struct imap_line *line, const char *words)
{
	err_server(imap_fail(im, ERR_PROTOCOL, words), line->raw.bytes, line->raw.len);
}

struct source_event *imap_event(struct imap *im, enum source_what what)
{
	size_t slot = im->event_count;

	if (slot == IMAP_EVENTS_MAX) {
		imap_fail(im, ERR_INTERNAL, "too many events at once");
		slot--;
	} else {
		im->event_count++;
	}
	if (!im->events)
		im->events = mem_new(IMAP_EVENTS_MAX, sizeof *im->events);
	im->whats[slot] = what;
	im->events[slot] = SOURCE_EVENT_EMPTY;
	return &im->events[slot];
}

bool imap_is_sent(const struct imap *im, enum imap_step step)
{
	for (size_t i = 0; i < im->sent_count; i++)
		if (im->sent[i].step == step)
			return true;
	return false;
}

void imap_name(struct imap *im, struct source_event *ev, uint32_t uid)
{
	ev->number = uid;
	if (!uid)
		return;
	snprintf(im->key, sizeof im->key, "%u", uid);
	ev->key = im->key;
}

void imap_sweep(struct imap *im, enum source_what what, size_t from, size_t end)
{
	im->sweep.active = true;
	im->sweep.what = what;
	im->sweep.at = from;
	im->sweep.end = end;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static void job_names(struct imap_job *job, const char *const *names, size_t count)
{
	job->count = count;
	job->names = mem_new(count + 1, sizeof *job->names);
	for (size_t i = 0; i < count; i++)
		job->names[i] = mem_copy(names[i]);
}

static struct imap_job *job_add(struct imap *im, enum source_verb verb)
{
	struct imap_job **last = &im->jobs;
	struct imap_job *job = mem_new(1, sizeof *job);

	while (*last)
		last = &(*last)->next;
	*last = job;
	job->verb = verb;
	return job;
}

static void job_set(struct imap_job *job, const struct source_set *set)
{
	job->count = set->count;
	job->numbers = mem_new(set->count + 1, sizeof *job->numbers);
	job->answered = mem_new(set->count + 1, 1);
	if (set->count)
		memcpy(job->numbers, set->numbers, set->count * sizeof *job->numbers);
}

/* Forgets the first job. */
void imap_job_drop(struct imap *im)
{
	struct imap_job *job = im->jobs;

	im->jobs = job->next;
	mem_free_secret(&job->name);
	mem_free_secret(&job->secret);
	for (size_t i = 0; job->names && job->names[i]; i++)
		free(job->names[i]);
	free(job->names);
	free(job->numbers);
	free(job->answered);
	free(job->text);
	free(job->code);
	free(job);
}

void imap_done(struct imap *im)
{
	struct source_event *ev = imap_event(im, SOURCE_DONE);

	ev->verb = im->jobs->verb;
	ev->unsure = im->jobs->unsure;
	imap_job_drop(im);
}

void imap_done_refused(struct imap *im)
{
	struct source_event *ev = imap_event(im, SOURCE_DONE);

	ev->verb = im->jobs->verb;
	ev->refused = true;
	ev->unsure = im->jobs->unsure;
	ev->text = buf_string(&im->text);
	ev->code = im->code;
	imap_job_drop(im);
}

void imap_note_refusal(struct imap *im)
{
	struct imap_job *job = im->jobs;

	if (job->refused)
		return;
	job->refused = true;
	job->text = mem_copy(buf_string(&im->text));
	job->code = mem_copy(im->code);
}

void imap_done_at_last(struct imap *im)
{
	const struct imap_job *job = im->jobs;

	if (!job->refused) {
		imap_done(im);
		return;
	}
	buf_clear(&im->text);
	buf_text(&im->text, job->text);
	snprintf(im->code, sizeof im->code, "%s", job->code);
	imap_done_refused(im);
}

/* ---- finish -------------------------------------------------------------------------------- */

static void finish_feed(struct imap *im, struct imap_job *job)
{
	if (job->started || im->sent_count)
		return;
	job->started = true;
	imap_say(im, IMAP_STEP_LOGOUT, "LOGOUT");
}

static void answer_logout(struct imap *im, const struct imap_sent *sent,
			  const struct imap_line *line)
{
	(void)sent;
	im->phase = IMAP_OVER;
	if (line->status == IMAP_OK)
		imap_done(im);
	else
		imap_done_refused(im);
}

/* ---- the table ----------------------------------------------------------------------------- */

/* Whatever it is: what it told stood in untagged lines. */
static void answer_any(struct imap *im, const struct imap_sent *sent, const struct imap_line *line)
{
	(void)im;
	(void)sent;
	(void)line;
}

const struct imap_step_ops imap_steps[] = {
    [IMAP_STEP_GREETING] = {"the greeting", true, imap_greeting_answer},
    [IMAP_STEP_CAPABILITY] = {"the answer to CAPABILITY", true, imap_capability_answer},
    [IMAP_STEP_STARTTLS] = {"the answer to STARTTLS", true, imap_starttls_answer},
    [IMAP_STEP_AUTHENTICATE] = {"the answer to AUTHENTICATE", false, imap_auth_answer},
    [IMAP_STEP_LOGIN] = {"the answer to LOGIN", false, imap_auth_answer},
    [IMAP_STEP_ID] = {"the answer to ID", false, answer_any},
    [IMAP_STEP_ENABLE] = {"the answer to ENABLE", false, answer_any},
    [IMAP_STEP_NAMESPACE] = {"the answer to NAMESPACE", false, answer_any},
    [IMAP_STEP_MAILBOXES] = {"the list of mailboxes", false, imap_boxes_answer},
    [IMAP_STEP_STATUS] = {"the answer to STATUS", false, imap_status_answer},
    [IMAP_STEP_SELECT] = {"the answer to SELECT", false, imap_select_answer},
    [IMAP_STEP_LIST] = {"the list of messages", false, imap_list_answer},
    [IMAP_STEP_FETCH] = {"the answer to UID FETCH", false, imap_fetch_answer},
    [IMAP_STEP_PRESENT] = {"the answer to UID SEARCH", false, imap_present_answer},
    [IMAP_STEP_STORE] = {"the answer to UID STORE", false, imap_store_answer},
    [IMAP_STEP_EXPUNGE] = {"the answer to UID EXPUNGE", false, imap_expunge_answer},
    [IMAP_STEP_IDLE] = {"the answer to IDLE", false, imap_idle_answer},
    [IMAP_STEP_LOGOUT] = {"the answer to LOGOUT", true, answer_logout},
};

_Static_assert(sizeof imap_steps / sizeof *imap_steps == IMAP_STEPS, "every step is in the table");

static const struct {
	enum imap_phase phase; /* where the verb may be said */
	void (*feed)(struct imap *im, struct imap_job *job);
} verbs[SOURCE_VERBS] = {
    [SOURCE_VERB_AUTH] = {IMAP_OFFERED, imap_auth_feed},
    [SOURCE_VERB_MAILBOXES] = {IMAP_LOGGED_IN, imap_boxes_feed},
    [SOURCE_VERB_STATUS] = {IMAP_LOGGED_IN, imap_status_feed},
    [SOURCE_VERB_SELECT] = {IMAP_LOGGED_IN, imap_select_feed},
    [SOURCE_VERB_LIST] = {IMAP_LOGGED_IN, imap_list_feed},
    [SOURCE_VERB_FETCH] = {IMAP_LOGGED_IN, imap_fetch_feed},
    [SOURCE_VERB_HEADERS] = {IMAP_LOGGED_IN, imap_fetch_feed},
    [SOURCE_VERB_PRESENT] = {IMAP_LOGGED_IN, imap_present_feed},
    [SOURCE_VERB_REMOVE] = {IMAP_LOGGED_IN, imap_remove_feed},
    [SOURCE_VERB_IDLE] = {IMAP_LOGGED_IN, imap_idle_feed},
    [SOURCE_VERB_FINISH] = {IMAP_CLEAR, finish_feed}, /* at any moment */
};

static const char *imap_waiting_for(const struct source *source)
{
	const struct imap *im = (const struct imap *)source;

	if (!im->greeted)
		return imap_steps[IMAP_STEP_GREETING].name;
	if (im->phase == IMAP_HANDSHAKING)
		return "the TLS handshake";
	if (im->sent_count && im->sent[0].step == IMAP_STEP_IDLE)
		return imap_idle_waits_for(im);
	return im->sent_count ? imap_steps[im->sent[0].step].name : "the next command";
}

/* ---- what the server says ------------------------------------------------------------------ */

static void keep_text(struct imap *im, const struct imap_line *line)
{
	size_t len = line->text.len < SOURCE_TEXT_MAX ? line->text.len : SOURCE_TEXT_MAX;
	size_t code = line->code.len < sizeof im->code ? line->code.len : sizeof im->code - 1;

	buf_clear(&im->text);
	buf_append(&im->text, line->text.bytes, len);
	for (size_t i = 0; i < code; i++)
		im->code[i] = (char)toupper(line->code.bytes[i]);
	im->code[code] = '\0';
}

static void on_bye(struct imap *im, const struct imap_line *line)
{
	char words[160];

	im->bye = true;
	if (im->encrypted) {
		struct source_event *ev = imap_event(im, SOURCE_BYE);

		ev->text = buf_string(&im->text);
		ev->code = im->code;
	}
	if (imap_is_sent(im, IMAP_STEP_LOGOUT))
		return;
	snprintf(words, sizeof words, "server ended the session while we waited for %s",
		 imap_waiting_for(&im->source));
	/* With its code: what an ALERT or a referral says in clear is not shown (session). */
	err_server(imap_fail(im, ERR_TEMPORARY, words), line->raw.bytes, line->raw.len);
}

/* What holds for every status, tagged or not. */
static void on_status(struct imap *im, const struct imap_line *line)
{
	keep_text(im, line);
	if (!strcmp(im->code, "CAPABILITY"))
		imap_learn_span(im, line->args);
	if (!strcmp(im->code, "ALERT") && im->encrypted) {
		struct source_event *ev = imap_event(im, SOURCE_NOTICE);

		ev->text = buf_string(&im->text);
		ev->code = "ALERT";
	}
	if (line->form == IMAP_UNTAGGED && line->status == IMAP_BYE)
		on_bye(im, line);
	else if (line->form == IMAP_UNTAGGED && im->encrypted)
		imap_mailbox_code(im, line);
}

static void on_untagged(struct imap *im, const struct imap_line *line)
{
	uint64_t number;

	if (line->rest || (line->count > 1 && imap_token_is(&line->tokens[1], "FETCH"))) {
		imap_fetch_part(im, IMAP_LINE, line);
	} else if (imap_token_is(&line->tokens[0], "CAPABILITY")) {
		imap_learn_line(im, line);
	} else if (imap_boxes_line(im, line)) {
		return;
	} else if (imap_token_is(&line->tokens[0], "ESEARCH")) {
		imap_esearch(im, line);
	} else if (line->count > 1 && imap_token_number(&line->tokens[0], UINT32_MAX, &number)) {
		imap_mailbox_number(im, line, (uint32_t)number);
	}
}

static void on_tagged(struct imap *im, const struct imap_line *line)
{
	struct imap_sent sent;
	char tag[16] = "";

	if (im->sent_count)
		snprintf(tag, sizeof tag, "a%u", im->sent[0].tag);
	if (line->status == IMAP_NO_STATUS) {
		imap_fail_line(im, line, "server sent an answer that is neither OK, NO nor BAD");
		return;
	}
	if (!im->sent_count || line->tag.len != strlen(tag) ||
	    memcmp(line->tag.bytes, tag, strlen(tag)) != 0) {
		imap_fail_line(im, line, "server answered a command that was not sent");
		return;
	}
	sent = im->sent[0];
	im->sent_count--;
	memmove(im->sent, im->sent + 1, im->sent_count * sizeof *im->sent);
	if (!im->sent_count) {
		buf_wipe(&im->line);
		im->cut_count = 0;
	}
	imap_steps[sent.step].answer(im, &sent, line);
}

static void on_line(struct imap *im, const struct imap_line *line)
{
	imap_trace_line(im, IMAP_LINE, line);
	im->useful = line->form != IMAP_UNTAGGED;
	if (line->status != IMAP_NO_STATUS)
		on_status(im, line);
	if (im->source.err)
		return;
	if (!im->greeted)
		imap_greeting_answer(im, NULL, line);
	else if (line->form == IMAP_CONTINUE)
		imap_continue(im, line);
	else if (line->form == IMAP_TAGGED)
		on_tagged(im, line);
	else if (line->status == IMAP_NO_STATUS)
		on_untagged(im, line);
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Sends what may be sent for the job at work. */
static void work(struct imap *im)
{
	struct imap_job *job = im->jobs;

	if (!job || im->challenged || im->line.len || !im->greeted)
		return;
	if (job->verb == SOURCE_VERB_FINISH)
		im->id_due = im->enable_due = false;
	else if (im->phase != verbs[job->verb].phase)
		return;
	if (im->id_due)
		imap_say_id(im);
	if (im->enable_due)
		imap_say_enable(im);
	verbs[job->verb].feed(im, job);
}

/* One step of a sweep. False at its end. */
static bool sweep(struct imap *im, struct source_event *ev, enum source_what *what_r)
{
	struct imap_job *job = im->jobs;

	if (im->telling && imap_boxes_tell(im, ev, what_r))
		return true;
	while (im->sweep.active && im->sweep.at < im->sweep.end) {
		size_t at = im->sweep.at++;

		*what_r = im->sweep.what;
		if (*what_r == SOURCE_LISTED) {
			imap_name(im, ev, im->listed[at].uid);
			ev->octets = im->listed[at].octets;
			if (im->listed[at].id)
				ev->id = (const char *)im->ids.data + im->listed[at].id;
			return true;
		}
		if (*what_r != SOURCE_REMOVED && job->answered[at])
			continue;
		imap_name(im, ev, job->numbers[at]);
		if (*what_r == SOURCE_REFUSED) {
			ev->text = buf_string(&im->text);
			ev->code = im->code;
		}
		return true;
	}
	if (im->sweep.active && im->sweep.what == SOURCE_LISTED) {
		free(im->listed);
		im->listed = NULL;
		im->listed_count = im->listed_room = 0;
		buf_free(&im->ids);
		imap_done(im);
	}
	im->sweep.active = false;
	return false;
}

static void on_eof(struct imap *im)
{
	char words[160];

	if (im->bye && imap_is_sent(im, IMAP_STEP_LOGOUT)) {
		im->phase = IMAP_OVER;
		im->sent_count = 0;
		imap_done(im);
		return;
	}
	snprintf(words, sizeof words, "server closed the connection while we waited for %s",
		 imap_waiting_for(&im->source));
	imap_fail(im, ERR_TEMPORARY, words);
}

/* Reads what is there. False if something more must come first. */
static bool hear(struct imap *im)
{
	struct imap_line line;
	enum imap_what what;
	struct err err;

	if (im->challenged || im->phase == IMAP_HANDSHAKING)
		return false;
	what = imap_parse_next(im->parse, &line, &err);
	switch (what) {
	case IMAP_MORE:
		return false;
	case IMAP_BROKEN:
		err_wrap(&err, "waiting for %s", imap_waiting_for(&im->source));
		if (!im->source.err)
			*source_broken(&im->source) = err;
		return true;
	case IMAP_LINE:
		on_line(im, &line);
		im->source.chatter += im->useful ? 0 : line.raw.len + CRLF;
		return true;
	case IMAP_BODY:
		imap_trace_line(im, what, &line);
		imap_fetch_part(im, what, &line);
		im->source.chatter += im->message.taking ? 0 : line.raw.len;
		return true;
	case IMAP_OCTETS:
		imap_fetch_octets(im, &line);
		im->source.chatter += im->message.taking ? 0 : line.bytes.len;
		return true;
	}
	return true;
}

static bool event_pop(struct imap *im, struct source_event *ev, enum source_what *what_r)
{
	if (im->event_head == im->event_count) {
		im->event_head = im->event_count = 0;
		return false;
	}
	*ev = im->events[im->event_head];
	*what_r = im->whats[im->event_head++];
	return true;
}

static enum source_what imap_next(struct source *source, struct source_event *ev)
{
	struct imap *im = (struct imap *)source;
	enum source_what what;

	for (;;) {
		if (event_pop(im, ev, &what))
			return what;
		if (source->err)
			return SOURCE_FAILED;
		if (im->phase == IMAP_OVER) {
			buf_consume(source->in, source->in->len);
			return SOURCE_NEED_VERB;
		}
		if (sweep(im, ev, &what))
			return what;
		if (im->phase == IMAP_HANDSHAKING)
			imap_wall_holds(im);
		work(im);
		if (im->event_count || im->telling || source->err || hear(im))
			continue;
		if (!source->eof)
			break;
		on_eof(im);
	}
	imap_idle_rest(im);
	return !im->greeted || (im->sent_count && !im->challenged) ? SOURCE_NEED_BYTES
								   : SOURCE_NEED_VERB;
}

/* ---- the verbs and the making -------------------------------------------------------------- */

static void imap_auth(struct source *source, const char *mechanism, const char *initial)
{
	struct imap_job *job = job_add((struct imap *)source, SOURCE_VERB_AUTH);

	job->name = mem_copy(mechanism);
	job->secret = mem_copy(initial);
}

static void imap_login(struct source *source, const char *user, const char *password)
{
	struct imap_job *job = job_add((struct imap *)source, SOURCE_VERB_AUTH);

	job->login = true;
	job->name = mem_copy(user);
	job->secret = mem_copy(password);
}

static void imap_mailboxes(struct source *source, const char *const *items, size_t count)
{
	job_names(job_add((struct imap *)source, SOURCE_VERB_MAILBOXES), items, count);
}

static void imap_status(struct source *source, const char *const *names, size_t count)
{
	job_names(job_add((struct imap *)source, SOURCE_VERB_STATUS), names, count);
}

static void imap_select(struct source *source, const char *mailbox, bool writing)
{
	struct imap_job *job = job_add((struct imap *)source, SOURCE_VERB_SELECT);

	job->name = mem_copy(mailbox);
	job->writing = writing;
}

static void imap_list(struct source *source, uint32_t from, unsigned wants)
{
	struct imap_job *job = job_add((struct imap *)source, SOURCE_VERB_LIST);

	job->from = from;
	job->wants = wants;
}

static void imap_fetch(struct source *source, const struct source_set *set)
{
	job_set(job_add((struct imap *)source, SOURCE_VERB_FETCH), set);
}

static void imap_headers(struct source *source, const struct source_set *set)
{
	job_set(job_add((struct imap *)source, SOURCE_VERB_HEADERS), set);
}

static void imap_present(struct source *source, const struct source_set *set)
{
	job_set(job_add((struct imap *)source, SOURCE_VERB_PRESENT), set);
}

static void imap_remove(struct source *source, const struct source_set *set)
{
	job_set(job_add((struct imap *)source, SOURCE_VERB_REMOVE), set);
}

static void imap_idle(struct source *source)
{
	job_add((struct imap *)source, SOURCE_VERB_IDLE);
}

static void imap_finish(struct source *source)
{
	job_add((struct imap *)source, SOURCE_VERB_FINISH);
}

static void imap_free(struct source *source)
{
	struct imap *im = (struct imap *)source;

	while (im->jobs)
		imap_job_drop(im);
	imap_parse_free(&im->parse);
	buf_wipe(&im->line);
	imap_boxes_forget(im);
	buf_free(&im->name);
	buf_free(&im->served);
	buf_free(&im->text);
	buf_free(&im->capabilities);
	buf_free(&im->mechanisms);
	free(im->listed);
	free(im->sent);
	free(im->events);
	buf_free(&im->ids);
	free(im->program);
	free(im->version);
	free(im);
}

static const struct source_ops imap_ops = {
    .free = imap_free,
    .next = imap_next,
    .waiting_for = imap_waiting_for,
    .tls_started = imap_tls_started,
    .auth = imap_auth,
    .respond = imap_respond,
    .login = imap_login,
    .mailboxes = imap_mailboxes,
    .status = imap_status,
    .select = imap_select,
    .list = imap_list,
    .fetch = imap_fetch,
    .headers = imap_headers,
    .present = imap_present,
    .remove = imap_remove,
    .idle = imap_idle,
    .finish = imap_finish,
};

struct source *imap_new(const struct source_params *params)
{
	struct imap *im = mem_new(1, sizeof *im);

	im->source = (struct source){.ops = &imap_ops, .in = params->in, .tracing = params->trace};
	im->parse = imap_parse_new(params->in);
	im->encrypted = params->encrypted;
	im->remembers = params->remembers;
	im->phase = params->encrypted ? IMAP_GREETED : IMAP_CLEAR;
	im->program = mem_copy(params->name);
	im->version = mem_copy(params->version);
	return &im->source;
}
