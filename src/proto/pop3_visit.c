/*
 * pop3_visit: the verbs of the POP3 engine after the login (RFC 1939 sections 5 to 7, RFC 2449
 * PIPELINING).
 *
 * Flights: select asks STAT, and UIDL with it where PIPELINING is offered, for a list nearly always
 * follows; list asks UIDL if that was not done, and LIST if sizes are wanted. So select and list
 * queued together take one flight. RETR, TOP and DELE go out by windows, across verbs, and the
 * window is filled again while half of it is outstanding, so that it never runs dry. QUIT is a
 * commit: it waits until all else is answered, but for the NOOPs that prove what came. Without
 * PIPELINING each command waits for the answer before.
 */
#include "proto/pop3_engine.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW = 512, /* commands outstanding; some 6 KB, less than any TCP window */
	STEP_MAX = 3, /* what one step of a verb may add to the ring */
	PROOFS = 2
};

static void tell_message(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	const struct pop3_message *message = pop3_list_find(&p->list, number);

	ev->number = number;
	if (message) {
		ev->key = pop3_list_key(&p->list, message, &p->key);
		ev->octets = message->octets;
	}
}

/* ---- select and list ------------------------------------------------------------------------- */

enum source_what pop3_on_stat(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	const unsigned char *rest;
	size_t rest_len;
	uint64_t exists = 0;

	(void)number;
	p->stat_pending = false;
	p->select_refused = !ok;
	if (!ok) {
		pop3_keep_refusal(p);
		return POP3_CONTINUE;
	}
	if (!pop3_parse_item(p->text.data, p->text.len, POP3_MESSAGES_MAX, &exists, &rest,
			     &rest_len))
		return pop3_failed(p, ERR_PROTOCOL,
				   "server's answer to STAT has no number of messages");
	p->exists = (uint32_t)exists;
	ev->exists = p->exists;
	return SOURCE_SELECTED;
}

enum source_what pop3_mark_done(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	pop3_pop(p);
	ev->verb = (enum source_verb)number;
	if (ev->verb == SOURCE_VERB_SELECT && p->select_refused)
		pop3_tell_refusal(p, ev);
	return SOURCE_DONE;
}

enum source_what pop3_on_uidl(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	(void)ev;
	p->uidl_refused = !ok;
	if (!ok && !p->select_refused)
		pop3_keep_refusal(p);
	return POP3_CONTINUE;
}

/* A line of UIDL or LIST: a number that STAT allows, and what stands behind it. */
static bool item_line(struct pop3 *p, const unsigned char *line, size_t len, uint32_t *number_r,
		      const unsigned char **rest_r, size_t *rest_len_r)
{
	uint64_t number;

	if (!pop3_parse_item(line, len, p->exists, &number, rest_r, rest_len_r) || !number) {
		pop3_broke(p, "a message number that STAT does not allow", line, len);
		return false;
	}
	if (++p->lines > p->exists) {
		pop3_broke(p, "more messages than STAT told of", line, len);
		return false;
	}
	*number_r = (uint32_t)number;
	return true;
}

bool pop3_line_uidl(struct pop3 *p, const unsigned char *line, size_t len)
{
	const unsigned char *id;
	const char *wrong;
	uint32_t number;
	size_t id_len;

	if (p->select_refused)
		return true;
	if (!item_line(p, line, len, &number, &id, &id_len))
		return false;
	wrong = pop3_list_add(&p->list, number, id, id_len);
	if (wrong)
		pop3_broke(p, wrong, line, len);
	return !wrong;
}

enum source_what pop3_end_uidl(struct pop3 *p, struct source_event *ev)
{
	(void)ev;
	buf_clear(&p->text);
	return pop3_list_seal(&p->list)
		   ? POP3_CONTINUE
		   : pop3_failed(p, ERR_PROTOCOL,
				 "server's answer to UIDL has a message number twice");
}

bool pop3_line_list(struct pop3 *p, const unsigned char *line, size_t len)
{
	struct pop3_message *message;
	const unsigned char *rest;
	uint32_t number;
	uint64_t octets;
	size_t rest_len;

	if (p->select_refused)
		return true;
	if (!item_line(p, line, len, &number, &rest, &rest_len))
		return false;
	message = pop3_list_find(&p->list, number);
	if (message && pop3_parse_item(rest, rest_len, INT64_MAX, &octets, &rest, &rest_len))
		message->octets = octets;
	return true;
}

/* UIDL and LIST are in: one LISTED each time, at last the DONE. */
enum source_what pop3_mark_report(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	if (!p->select_refused && p->uidl_refused && p->exists) {
		err_set(
		    source_broken(&p->source), ERR_PROTOCOL,
		    "server has no UIDL, so mailhaul cannot tell new messages from old and would "
		    "fetch everything again each time; nothing was fetched");
		err_server(source_broken(&p->source), p->kept.data, p->kept.len);
		return SOURCE_FAILED;
	}
	if (p->reported < p->list.count) {
		tell_message(p, p->list.messages[p->reported++].number, ev);
		return SOURCE_LISTED;
	}
	p->reported = 0;
	pop3_pop(p);
	ev->verb = SOURCE_VERB_LIST;
	if (p->select_refused)
		pop3_tell_refusal(p, ev);
	return SOURCE_DONE;
}

/* ---- messages -------------------------------------------------------------------------------- */

static enum source_what refused(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	tell_message(p, number, ev);
	pop3_tell_text(p, ev);
	return SOURCE_REFUSED;
}

enum source_what pop3_on_retr(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	if (!ok)
		return refused(p, number, ev);
	p->body = (struct pop3_body){0};
	tell_message(p, number, ev);
	if (!ev->octets)
		ev->octets = pop3_parse_octets(p->text.data, p->text.len);
	return SOURCE_BEGIN;
}

/* The size of the whole message says nothing of its header. */
enum source_what pop3_on_top(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	enum source_what what = pop3_on_retr(p, ok, number, ev);

	ev->octets = 0;
	return what;
}

static enum source_what body_end(struct pop3 *p, struct source_event *ev)
{
	uint32_t number = p->ring[p->first].number;
	char words[48];

	snprintf(words, sizeof words, "<%llu octets>", (unsigned long long)p->body.octets);
	pop3_trace(p, "S: ", words, strlen(words), "");
	pop3_pop(p);
	tell_message(p, number, ev);
	ev->octets = p->body.octets;
	p->gave = true;
	p->proofs = 0;
	if (p->body.octets)
		return SOURCE_END;
	ev->text = "server sent an empty message";
	return SOURCE_REFUSED;
}

enum source_what pop3_body_more(struct pop3 *p, struct source_event *ev)
{
	switch (pop3_body_next(&p->body, p->source.in, &ev->bytes, &ev->len)) {
	case POP3_BODY_CHUNK:
		return SOURCE_CHUNK;
	case POP3_BODY_END:
		return body_end(p, ev);
	case POP3_BODY_MORE:
	default:
		return pop3_need_bytes(p);
	}
}

enum source_what pop3_on_dele(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	if (!ok)
		return refused(p, number, ev);
	tell_message(p, number, ev);
	return SOURCE_REMOVED;
}

enum source_what pop3_mark_missing(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	pop3_pop(p);
	ev->number = number;
	return SOURCE_GONE;
}

enum source_what pop3_mark_never(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	pop3_pop(p);
	ev->verb = (enum source_verb)number;
	ev->refused = true;
	ev->text = "the server has no command for it";
	return SOURCE_DONE;
}

enum source_what pop3_on_quit(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	p->ended = true;
	ev->verb = SOURCE_VERB_FINISH;
	ev->refused = !ok;
	pop3_tell_text(p, ev);
	return SOURCE_DONE;
}

/* ---- the verbs that queue -------------------------------------------------------------------- */

/* Each sends one piece of a verb; true when that was the last. */

static bool step_select(struct pop3 *p, struct pop3_verb *verb)
{
	if (verb->step++) {
		p->uidl_asked = true;
		pop3_say(p, POP3_UIDL, "UIDL", 0);
		return true;
	}
	pop3_list_forget(&p->list);
	p->exists = 0;
	p->uidl_asked = p->uidl_refused = p->list_asked = p->select_refused = false;
	p->stat_pending = true;
	pop3_say(p, POP3_STAT, "STAT", 0);
	pop3_push(p, POP3_DONE, SOURCE_VERB_SELECT);
	return !p->capa.pipelining;
}

static bool step_list(struct pop3 *p, struct pop3_verb *verb)
{
	bool pointless = !p->stat_pending && !p->exists;

	if (!p->uidl_asked && !pointless) {
		p->uidl_asked = true;
		pop3_say(p, POP3_UIDL, "UIDL", 0);
	} else if (verb->wants & SOURCE_LIST_SIZES && !p->list_asked && !pointless) {
		p->list_asked = true;
		pop3_say(p, POP3_LIST, "LIST", 0);
	} else {
		pop3_push(p, POP3_REPORT, 0);
		return true;
	}
	return false;
}

static void say_message(struct pop3 *p, enum source_verb verb, uint32_t number)
{
	char top[32];

	if (verb == SOURCE_VERB_FETCH) {
		pop3_say(p, POP3_RETR, "RETR", number);
	} else if (verb == SOURCE_VERB_HEADERS) {
		snprintf(top, sizeof top, "TOP %u 0", number);
		pop3_say_words(p, top);
		pop3_push(p, POP3_TOP, number);
	} else {
		pop3_say(p, POP3_DELE, "DELE", number);
	}
}

static bool step_never(struct pop3 *p, struct pop3_verb *verb)
{
	pop3_push(p, POP3_NEVER, verb->kind);
	return true;
}

/*
 * Before anything follows from the messages that came: was there an answer too many? Its first line
 * passes for an answer to what is said next, its second for none. So NOOP is said twice.
 */
static bool prove(struct pop3 *p)
{
	if (!p->gave || p->proofs == PROOFS)
		return false;
	p->proofs++;
	pop3_say(p, POP3_NOOP, "NOOP", 0);
	return true;
}

/* One message of a set, or the DONE behind the last. */
static bool step_set(struct pop3 *p, struct pop3_verb *verb)
{
	uint32_t number;

	if (verb->kind == SOURCE_VERB_HEADERS && !p->capa.top)
		return step_never(p, verb);
	if (verb->kind == SOURCE_VERB_REMOVE && !verb->at && prove(p))
		return false;
	if (verb->at == verb->count) {
		pop3_push(p, POP3_DONE, verb->kind);
		return true;
	}
	number = verb->numbers[verb->at++];
	if (!number || number > p->exists)
		pop3_push(p, POP3_MISSING, number);
	else
		say_message(p, verb->kind, number);
	return false;
}

static bool step_finish(struct pop3 *p, struct pop3_verb *verb)
{
	(void)verb;
	while (prove(p))
		if (!p->capa.pipelining)
			return false;
	pop3_say(p, POP3_QUIT, "QUIT", 0);
	return true;
}

static bool (*const steps[SOURCE_VERBS])(struct pop3 *, struct pop3_verb *) = {
    [SOURCE_VERB_SELECT] = step_select, [SOURCE_VERB_LIST] = step_list,
    [SOURCE_VERB_FETCH] = step_set,	[SOURCE_VERB_HEADERS] = step_set,
    [SOURCE_VERB_PRESENT] = step_never, [SOURCE_VERB_REMOVE] = step_set,
    [SOURCE_VERB_IDLE] = step_never,	[SOURCE_VERB_FINISH] = step_finish,
};

/* A new listing, and the end, wait until all else is answered. */
static bool may_send(struct pop3 *p, const struct pop3_verb *verb)
{
	if (verb->kind == SOURCE_VERB_FINISH)
		return !p->count && (p->ready || p->offered);
	if (!p->ready || p->count + STEP_MAX > POP3_RING)
		return false;
	if (verb->kind == SOURCE_VERB_SELECT && !verb->step)
		return !p->count;
	if (!p->capa.pipelining)
		return !p->waiting;
	/* Which numbers exist must be known before messages are asked for. */
	if (p->stat_pending && verb->kind != SOURCE_VERB_SELECT && verb->kind != SOURCE_VERB_LIST)
		return false;
	if (p->waiting <= WINDOW / 2)
		p->filling = true;
	else if (p->waiting >= WINDOW)
		p->filling = false;
	return p->filling;
}

static void verb_drop(struct pop3 *p)
{
	struct pop3_verb *verb = p->verbs;

	p->verbs = verb->next;
	if (!p->verbs)
		p->last = &p->verbs;
	free(verb->numbers);
	free(verb);
}

void pop3_send_more(struct pop3 *p)
{
	while (p->verbs && may_send(p, p->verbs)) {
		struct pop3_verb *verb = p->verbs;

		if (steps[verb->kind](p, verb))
			verb_drop(p);
	}
}

void pop3_forget_verbs(struct pop3 *p)
{
	while (p->verbs)
		verb_drop(p);
}

static struct pop3_verb *verb_add(struct source *source, enum source_verb kind)
{
	struct pop3 *p = pop3_of(source);
	struct pop3_verb *verb = mem_new(1, sizeof *verb);

	verb->kind = kind;
	*p->last = verb;
	p->last = &verb->next;
	return verb;
}

void pop3_select(struct source *source, const char *mailbox, bool writing)
{
	(void)mailbox;
	(void)writing;
	verb_add(source, SOURCE_VERB_SELECT);
}

void pop3_list(struct source *source, uint32_t from, unsigned wants)
{
	(void)from;
	verb_add(source, SOURCE_VERB_LIST)->wants = wants;
}

static void set_add(struct source *source, enum source_verb kind, const struct source_set *set)
{
	struct pop3_verb *verb = verb_add(source, kind);

	verb->count = set->count;
	verb->numbers = mem_new(set->count, sizeof *verb->numbers);
	if (set->count)
		memcpy(verb->numbers, set->numbers, set->count * sizeof *verb->numbers);
}

void pop3_fetch(struct source *source, const struct source_set *set)
{
	set_add(source, SOURCE_VERB_FETCH, set);
}

void pop3_headers(struct source *source, const struct source_set *set)
{
	set_add(source, SOURCE_VERB_HEADERS, set);
}

void pop3_present(struct source *source, const struct source_set *set)
{
	set_add(source, SOURCE_VERB_PRESENT, set);
}

void pop3_remove(struct source *source, const struct source_set *set)
{
	set_add(source, SOURCE_VERB_REMOVE, set);
}

void pop3_idle(struct source *source)
{
	verb_add(source, SOURCE_VERB_IDLE);
}

void pop3_finish(struct source *source)
{
	verb_add(source, SOURCE_VERB_FINISH);
}
