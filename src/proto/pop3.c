/*
 * pop3: the POP3 engine (RFC 1939; RFC 2449 CAPA and PIPELINING, 2595 STLS, 5034 AUTH, 2449 and
 * 3206 response codes). Its contract is proto/source.h.
 *
 * What was sent and not yet answered stands in a ring, in the order of sending; between commands
 * stand marks of our own, such as the DONE of a verb, whose turn comes when all in front of them is
 * answered. One table (states) says for each what errors call it and what its answer leads to.
 *
 * Flights: select asks STAT, and UIDL with it where PIPELINING is offered, for a list nearly always
 * follows; list asks UIDL if that was not done and LIST if sizes are wanted. So select and list
 * queued together take one flight. RETR and DELE go out by windows, across verbs, and the window is
 * filled again while half of it is outstanding, so that it never runs dry. QUIT is a commit: it
 * waits until all else is answered. Without PIPELINING each command waits for the answer before.
 */
#include "proto/pop3.h"

#include "proto/pop3_body.h"
#include "proto/pop3_list.h"
#include "proto/pop3_parse.h"
#include "proto/source_ops.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW = 512,	/* commands outstanding; some 6 KB, less than any TCP window */
	RING = 1024,	/* commands and marks */
	RING_SPARE = 8, /* what one step of a verb may add */
	AUTH_MAX = 255, /* octets of an AUTH line with its CRLF (RFC 2449 section 4) */
};

/* No event yet: ask again. */
#define CONTINUE SOURCE_WHATS

enum state {
	GREETING,
	CAPA,
	STLS,
	TLS,
	AUTH,
	CHALLENGE,
	USER,
	PASS,
	STAT,
	UIDL,
	LIST,
	RETR,
	DELE,
	QUIT,
	UNFIT,
	MISSING,
	REPORT,
	DONE_SELECT,
	DONE_FETCH,
	DONE_REMOVE,
	STATES
};

struct sent {
	enum state state;
	uint32_t number;
};

struct verb {
	struct verb *next;
	enum source_verb kind;
	bool sizes;
	unsigned step;
	uint32_t *numbers;
	size_t count, at;
};

struct pop3 {
	struct source source;
	struct sent ring[RING];
	size_t first, count;
	size_t waiting; /* of count: commands, not marks */
	bool filling;	/* the window is being filled */
	bool within;	/* the answer's first line came, its further lines come */
	bool encrypted;
	bool offered; /* AUTH_OFFERED was said, and no login succeeded */
	bool ready;
	bool ended;
	size_t scanned; /* octets of the input known to hold no LF */

	struct pop3_capa capa;
	bool capa_refused;
	char *initial;	/* goes out when the server asks for it */
	char *password; /* goes out when USER is answered */
	bool user_refused;

	uint32_t exists;
	bool stat_pending, select_refused;
	bool uidl_asked, uidl_refused, list_asked;
	struct pop3_list list;
	size_t reported, lines;
	struct pop3_body body;

	struct verb *verbs, **last;
	struct buf text; /* of the last answer; what events point to */
	struct buf kept; /* the text of a refusal that is told later */
	struct buf key;
	char code[POP3_CODE_MAX];
	char kept_code[POP3_CODE_MAX];
};

/* All but name may be NULL. With rest, +OK is followed by lines up to a single dot; without line
 * these are a message. A state with mark waits for nothing: it is our own. */
struct state_row {
	const char *name;
	const char *rest;
	enum source_what (*answer)(struct pop3 *, bool ok, uint32_t number, struct source_event *);
	bool (*line)(struct pop3 *, const unsigned char *line, size_t len);
	enum source_what (*end)(struct pop3 *, struct source_event *);
	enum source_what (*mark)(struct pop3 *, uint32_t number, struct source_event *);
};

static const struct state_row states[STATES];

static struct pop3 *pop3_of(struct source *source)
{
	return (struct pop3 *)source;
}

/* ---- the ring ------------------------------------------------------------------------------ */

static void push(struct pop3 *p, enum state state, uint32_t number)
{
	p->ring[(p->first + p->count++) % RING] = (struct sent){state, number};
	p->waiting += !states[state].mark;
}

static void pop(struct pop3 *p)
{
	p->waiting -= !states[p->ring[p->first].state].mark;
	p->first = (p->first + 1) % RING;
	p->count--;
	p->within = false;
	p->lines = 0;
}

static const char *waiting_for(const struct pop3 *p)
{
	const struct state_row *row = &states[p->ring[p->first].state];

	if (!p->count)
		return "our next command";
	return p->within ? row->rest : row->name;
}

/* ---- what we say --------------------------------------------------------------------------- */

static void trace(struct pop3 *p, const char *who, const void *bytes, size_t len,
		  const char *behind)
{
	if (!p->source.tracing)
		return;
	buf_text(&p->source.trace, who);
	str_visible(&p->source.trace, bytes, len, 2 * (size_t)SOURCE_TEXT_MAX);
	buf_text(&p->source.trace, behind);
	buf_text(&p->source.trace, "\n");
}

static void say(struct pop3 *p, enum state state, const char *command, uint32_t number)
{
	char line[32];

	if (number)
		snprintf(line, sizeof line, "%s %u", command, number);
	else
		snprintf(line, sizeof line, "%s", command);
	buf_text(&p->source.out, line);
	buf_text(&p->source.out, "\r\n");
	trace(p, "C: ", line, strlen(line), "");
	push(p, state, number);
}

static void say_secret(struct pop3 *p, const char *open, const char *secret)
{
	p->source.out_secret = true;
	buf_text(&p->source.out, open);
	buf_text(&p->source.out, secret);
	buf_text(&p->source.out, "\r\n");
	trace(p, "C: ", open, strlen(open), "<cut>");
}

static void say_user(struct pop3 *p, const char *user)
{
	buf_text(&p->source.out, "USER ");
	buf_text(&p->source.out, user);
	buf_text(&p->source.out, "\r\n");
	trace(p, "C: USER ", user, strlen(user), "");
	push(p, USER, 0);
}

/* ---- failures ------------------------------------------------------------------------------ */

/* Always SOURCE_FAILED: the words of the last answer become the server's. */
static enum source_what failed(struct pop3 *p, enum err_kind kind, const char *words)
{
	err_set(&p->source.err, kind, "%s", words);
	err_server(&p->source.err, p->text.data, p->text.len);
	return SOURCE_FAILED;
}

static enum source_what broke(struct pop3 *p, const char *what, const void *line, size_t len)
{
	err_set(&p->source.err, ERR_PROTOCOL, "server sent %s while we waited for %s", what,
		waiting_for(p));
	err_server(&p->source.err, line, len);
	return SOURCE_FAILED;
}

static enum source_what need_bytes(struct pop3 *p)
{
	bool quit = p->count && p->ring[p->first].state == QUIT;

	if (!p->source.eof)
		return SOURCE_NEED_BYTES;
	err_set(&p->source.err, ERR_TEMPORARY,
		"server closed the connection while waiting for %s%s", waiting_for(p),
		quit ? "; it did not confirm the removals" : "");
	return SOURCE_FAILED;
}

static enum source_what no_stls(struct pop3 *p, const char *why)
{
	err_set(&p->source.err, ERR_TLS,
		"server %s STLS; nothing was sent. If your provider serves only port 995, set tls: "
		"implicit.",
		why);
	err_server(&p->source.err, p->text.data, p->text.len);
	return SOURCE_FAILED;
}

/* ---- what we read -------------------------------------------------------------------------- */

/* Takes one line, without its end. False: what_r says what to do instead. */
static bool take_line(struct pop3 *p, const unsigned char **line_r, size_t *len_r,
		      enum source_what *what_r)
{
	struct buf *in = p->source.in;
	const unsigned char *end = NULL;
	size_t len = in->len;

	if (len > p->scanned)
		end = memchr(in->data + p->scanned, '\n', len - p->scanned);
	if (end)
		len = (size_t)(end - in->data);
	if (len > SOURCE_TEXT_MAX) {
		*what_r = broke(p, "a line without end", in->data, 64);
		return false;
	}
	if (!end) {
		p->scanned = len;
		*what_r = need_bytes(p);
		return false;
	}
	p->scanned = 0;
	*line_r = in->data;
	*len_r = len && end[-1] == '\r' ? len - 1 : len;
	buf_consume(in, len + 1);
	return true;
}

/* A challenge can help to guess the password. */
static void trace_line(struct pop3 *p, const unsigned char *line, size_t len)
{
	if (p->count && p->ring[p->first].state == AUTH && len > 2 && !memcmp(line, "+ ", 2))
		trace(p, "S: ", line, 2, "<cut>");
	else
		trace(p, "S: ", line, len, "");
}

/* Keeps an answer's text as a string: a NUL would end it too early. */
static void keep_text(struct pop3 *p, const unsigned char *text, size_t len)
{
	buf_clear(&p->text);
	buf_append(&p->text, text, len);
	for (size_t i = 0; i < len; i++)
		if (!p->text.data[i])
			p->text.data[i] = '?';
	pop3_parse_code(text, len, p->code);
}

static void tell_text(struct pop3 *p, struct source_event *ev)
{
	ev->text = buf_string(&p->text);
	ev->code = p->code;
}

static void keep_refusal(struct pop3 *p)
{
	buf_clear(&p->kept);
	buf_append(&p->kept, p->text.data, p->text.len);
	memcpy(p->kept_code, p->code, sizeof p->kept_code);
}

static void tell_refusal(struct pop3 *p, struct source_event *ev)
{
	ev->refused = true;
	ev->text = buf_string(&p->kept);
	ev->code = p->kept_code;
}

static void tell_message(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	const struct pop3_message *message = pop3_list_find(&p->list, number);

	ev->number = number;
	if (message) {
		ev->key = pop3_list_key(&p->list, message, &p->key);
		ev->octets = message->octets;
	}
}

/* ---- greeting, capabilities, encryption ---------------------------------------------------- */

static enum source_what on_greeting(struct pop3 *p, bool ok, uint32_t number,
				    struct source_event *ev)
{
	(void)number;
	(void)ev;
	if (!ok)
		return failed(p, ERR_TEMPORARY, "server does not want to serve us");
	say(p, CAPA, "CAPA", 0);
	return CONTINUE;
}

static enum source_what after_capa(struct pop3 *p, struct source_event *ev)
{
	if (p->encrypted) {
		p->offered = true;
		ev->mechanisms = buf_string(&p->capa.mechanisms);
		ev->initial_response = p->capa.sasl;
		ev->login_command = p->capa.user || p->capa_refused;
		return SOURCE_AUTH_OFFERED;
	}
	if (!p->capa.stls && !p->capa_refused) {
		buf_clear(&p->text);
		return no_stls(p, "does not offer");
	}
	say(p, STLS, "STLS", 0);
	return CONTINUE;
}

static enum source_what on_capa(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	p->capa_refused = !ok;
	return ok ? CONTINUE : after_capa(p, ev);
}

static bool capa_line(struct pop3 *p, const unsigned char *line, size_t len)
{
	if (pop3_capa_line(&p->capa, line, len))
		return true;
	broke(p, "capabilities without end", line, len);
	return false;
}

static enum source_what on_stls(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	(void)ev;
	if (!ok)
		return no_stls(p, p->capa_refused ? "does not offer" : "refused");
	push(p, TLS, 0);
	if (p->source.in->len)
		return CONTINUE;
	return SOURCE_START_TLS;
}

/* Until the driver says that TLS runs, whatever arrives in clear may be anybody's. */
static enum source_what mark_tls(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	(void)ev;
	if (p->source.in->len) {
		buf_clear(&p->text);
		return failed(p, ERR_TLS,
			      "octets in clear followed the server's answer to STLS, perhaps not "
			      "from the server; nothing was sent");
	}
	return p->source.eof ? need_bytes(p) : SOURCE_NEED_VERB;
}

static void pop3_tls_started(struct source *source)
{
	struct pop3 *p = pop3_of(source);

	if (!p->count || p->ring[p->first].state != TLS) {
		err_set(&source->err, ERR_INTERNAL, "TLS was started when POP3 did not ask for it");
		return;
	}
	if (source->in->len)
		return;
	pop(p);
	p->encrypted = true;
	p->capa_refused = false;
	pop3_capa_forget(&p->capa);
	say(p, CAPA, "CAPA", 0);
}

/* ---- login --------------------------------------------------------------------------------- */

static enum source_what logged_in(struct pop3 *p, struct source_event *ev)
{
	p->offered = false;
	p->ready = true;
	mem_free_secret(&p->initial);
	mem_free_secret(&p->password);
	ev->capabilities = buf_string(&p->capa.list);
	return SOURCE_READY;
}

static enum source_what login_refused(struct pop3 *p, struct source_event *ev)
{
	mem_free_secret(&p->initial);
	mem_free_secret(&p->password);
	ev->verb = SOURCE_VERB_AUTH;
	ev->refused = true;
	tell_text(p, ev);
	return SOURCE_DONE;
}

static enum source_what on_auth(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	return ok ? logged_in(p, ev) : login_refused(p, ev);
}

/* "+ base64": an initial response that could not go with AUTH goes now. */
static enum source_what on_challenge(struct pop3 *p, struct source_event *ev)
{
	if (p->initial) {
		say_secret(p, "", strcmp(p->initial, "=") != 0 ? p->initial : "");
		mem_free_secret(&p->initial);
		return CONTINUE;
	}
	p->ring[p->first].state = CHALLENGE;
	p->waiting--;
	ev->bytes = p->text.data;
	ev->len = p->text.len;
	return SOURCE_CHALLENGE;
}

static enum source_what mark_challenge(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	(void)ev;
	if (p->source.in->len)
		return broke(p, "something", p->source.in->data,
			     p->source.in->len < 64 ? p->source.in->len : 64);
	return p->source.eof ? need_bytes(p) : SOURCE_NEED_VERB;
}

static enum source_what on_user(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	p->user_refused = !ok;
	if (p->count) {
		/* PASS went with USER, and has its own answer. */
		if (!ok)
			keep_refusal(p);
		return CONTINUE;
	}
	if (!ok)
		return login_refused(p, ev);
	say_secret(p, "PASS ", p->password);
	push(p, PASS, 0);
	mem_free_secret(&p->password);
	return CONTINUE;
}

static enum source_what on_pass(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	enum source_what what;

	(void)number;
	if (ok)
		return logged_in(p, ev);
	what = login_refused(p, ev);
	if (p->user_refused)
		tell_refusal(p, ev);
	return what;
}

static enum source_what mark_unfit(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	pop(p);
	return login_refused(p, ev);
}

static bool may_log_in(struct pop3 *p)
{
	if (p->source.err.kind != ERR_NONE)
		return false;
	if (!p->offered || p->count)
		return err_set(&p->source.err, ERR_INTERNAL, "a POP3 login that was not asked for");
	if (p->source.in->len) {
		broke(p, "something", p->source.in->data,
		      p->source.in->len < 64 ? p->source.in->len : 64);
		return false;
	}
	return true;
}

/* Secrets that cannot be part of a line are never sent, and refused as if by the server. */
static bool fits(struct pop3 *p, const char *what, const char *s)
{
	static const char words[] = " has a line break in it, or is too long; it was not sent";

	if (pop3_fits_line(s) && strlen(s) < SOURCE_COMMAND_MAX)
		return true;
	buf_clear(&p->text);
	buf_text(&p->text, what);
	buf_text(&p->text, words);
	p->code[0] = '\0';
	push(p, UNFIT, 0);
	return false;
}

static void pop3_auth(struct source *source, const char *mechanism, const char *initial)
{
	struct pop3 *p = pop3_of(source);
	char *open;

	if (!may_log_in(p) || !fits(p, "the SASL mechanism", mechanism) ||
	    (initial && !fits(p, "the initial response", initial)))
		return;
	open = mem_printf("AUTH %s%s", mechanism, initial ? " " : "");
	/* Microsoft's servers take XOAUTH2 on two lines only. */
	if (initial && !str_same(mechanism, "XOAUTH2") &&
	    strlen(open) + strlen(initial) + 2 <= AUTH_MAX) {
		say_secret(p, open, initial);
	} else {
		if (initial) {
			open[strlen(open) - 1] = '\0';
			mem_free_secret(&p->initial);
			p->initial = mem_copy(initial);
		}
		buf_text(&source->out, open);
		buf_text(&source->out, "\r\n");
		trace(p, "C: ", open, strlen(open), "");
	}
	push(p, AUTH, 0);
	free(open);
}

static void pop3_respond(struct source *source, const char *base64)
{
	struct pop3 *p = pop3_of(source);

	if (source->err.kind != ERR_NONE)
		return;
	if (!p->count || p->ring[p->first].state != CHALLENGE ||
	    (base64 && !pop3_fits_line(base64))) {
		err_set(&source->err, ERR_INTERNAL, "a SASL response that was not asked for");
		return;
	}
	if (source->in->len)
		return;
	if (base64) {
		say_secret(p, "", base64);
	} else {
		buf_text(&source->out, "*\r\n");
		trace(p, "C: ", "*", 1, "");
	}
	p->ring[p->first].state = AUTH;
	p->waiting++;
}

static void pop3_login(struct source *source, const char *user, const char *password)
{
	struct pop3 *p = pop3_of(source);

	if (!may_log_in(p) || !fits(p, "the user name", user) || !fits(p, "the password", password))
		return;
	p->user_refused = false;
	say_user(p, user);
	if (p->capa.pipelining) {
		say_secret(p, "PASS ", password);
		push(p, PASS, 0);
	} else {
		mem_free_secret(&p->password);
		p->password = mem_copy(password);
	}
}

/* ---- select and list ----------------------------------------------------------------------- */

static enum source_what on_stat(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	const unsigned char *rest;
	size_t rest_len;
	uint64_t exists = 0;

	(void)number;
	p->stat_pending = false;
	p->select_refused = !ok;
	if (!ok) {
		keep_refusal(p);
		return CONTINUE;
	}
	if (!pop3_parse_item(p->text.data, p->text.len, POP3_MESSAGES_MAX, &exists, &rest,
			     &rest_len))
		return failed(p, ERR_PROTOCOL, "server's answer to STAT has no number of messages");
	p->exists = (uint32_t)exists;
	ev->exists = p->exists;
	return SOURCE_SELECTED;
}

static enum source_what mark_done_select(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	pop(p);
	ev->verb = SOURCE_VERB_SELECT;
	if (p->select_refused)
		tell_refusal(p, ev);
	return SOURCE_DONE;
}

static enum source_what on_uidl(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	(void)ev;
	p->uidl_refused = !ok;
	if (!ok && !p->select_refused)
		keep_refusal(p);
	return CONTINUE;
}

/* A line of UIDL or LIST: a number that STAT allows, and what stands behind it. */
static bool item_line(struct pop3 *p, const unsigned char *line, size_t len, uint32_t *number_r,
		      const unsigned char **rest_r, size_t *rest_len_r)
{
	uint64_t number;

	if (!pop3_parse_item(line, len, p->exists, &number, rest_r, rest_len_r) || !number) {
		broke(p, "a message number that STAT does not allow", line, len);
		return false;
	}
	if (++p->lines > p->exists) {
		broke(p, "more messages than STAT told of", line, len);
		return false;
	}
	*number_r = (uint32_t)number;
	return true;
}

static bool uidl_line(struct pop3 *p, const unsigned char *line, size_t len)
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
		broke(p, wrong, line, len);
	return !wrong;
}

static enum source_what end_uidl(struct pop3 *p, struct source_event *ev)
{
	(void)ev;
	buf_clear(&p->text);
	return pop3_list_seal(&p->list)
		   ? CONTINUE
		   : failed(p, ERR_PROTOCOL, "server's answer to UIDL has a message number twice");
}

/* A refused LIST costs only the sizes, which are hints. */
static enum source_what on_list(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)p;
	(void)ok;
	(void)number;
	(void)ev;
	return CONTINUE;
}

static bool list_line(struct pop3 *p, const unsigned char *line, size_t len)
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

static enum source_what end_list(struct pop3 *p, struct source_event *ev)
{
	(void)p;
	(void)ev;
	return CONTINUE;
}

/* UIDL and LIST are in: one LISTED each time, at last the DONE. */
static enum source_what mark_report(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	if (!p->select_refused && p->uidl_refused && p->exists) {
		err_set(
		    &p->source.err, ERR_PROTOCOL,
		    "server has no UIDL, so mailhaul cannot tell new messages from old and would "
		    "fetch everything again each time; nothing was fetched");
		err_server(&p->source.err, p->kept.data, p->kept.len);
		return SOURCE_FAILED;
	}
	if (p->reported < p->list.count) {
		tell_message(p, p->list.messages[p->reported++].number, ev);
		return SOURCE_LISTED;
	}
	p->reported = 0;
	pop(p);
	ev->verb = SOURCE_VERB_LIST;
	if (p->select_refused)
		tell_refusal(p, ev);
	return SOURCE_DONE;
}

/* ---- messages ------------------------------------------------------------------------------ */

static enum source_what refused(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	tell_message(p, number, ev);
	tell_text(p, ev);
	return SOURCE_REFUSED;
}

static enum source_what on_retr(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	if (!ok)
		return refused(p, number, ev);
	p->body = (struct pop3_body){0};
	tell_message(p, number, ev);
	if (!ev->octets)
		ev->octets = pop3_parse_octets(p->text.data, p->text.len);
	return SOURCE_BEGIN;
}

static enum source_what body_end(struct pop3 *p, struct source_event *ev)
{
	uint32_t number = p->ring[p->first].number;
	char words[48];

	snprintf(words, sizeof words, "<%llu octets>", (unsigned long long)p->body.octets);
	trace(p, "S: ", words, strlen(words), "");
	pop(p);
	tell_message(p, number, ev);
	ev->octets = p->body.octets;
	if (p->body.octets)
		return SOURCE_END;
	ev->text = "server sent an empty message";
	return SOURCE_REFUSED;
}

static enum source_what body_next(struct pop3 *p, struct source_event *ev)
{
	switch (pop3_body_next(&p->body, p->source.in, &ev->bytes, &ev->len)) {
	case POP3_BODY_CHUNK:
		return SOURCE_CHUNK;
	case POP3_BODY_END:
		return body_end(p, ev);
	case POP3_BODY_MORE:
	default:
		return need_bytes(p);
	}
}

static enum source_what on_dele(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	if (!ok)
		return refused(p, number, ev);
	tell_message(p, number, ev);
	return SOURCE_REMOVED;
}

static enum source_what mark_missing(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	pop(p);
	ev->number = number;
	return SOURCE_GONE;
}

static enum source_what mark_done_fetch(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	pop(p);
	ev->verb = SOURCE_VERB_FETCH;
	return SOURCE_DONE;
}

static enum source_what mark_done_remove(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	pop(p);
	ev->verb = SOURCE_VERB_REMOVE;
	return SOURCE_DONE;
}

static enum source_what on_quit(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	p->ended = true;
	ev->verb = SOURCE_VERB_FINISH;
	ev->refused = !ok;
	tell_text(p, ev);
	return SOURCE_DONE;
}

static const struct state_row states[STATES] = {
    [GREETING] = {"the greeting", NULL, on_greeting, NULL, NULL, NULL},
    [CAPA] = {"the answer to CAPA", "the rest of the capabilities", on_capa, capa_line, after_capa,
	      NULL},
    [STLS] = {"the answer to STLS", NULL, on_stls, NULL, NULL, NULL},
    [TLS] = {"the start of TLS", NULL, NULL, NULL, NULL, mark_tls},
    [AUTH] = {"the answer to AUTH", NULL, on_auth, NULL, NULL, NULL},
    [CHALLENGE] = {"our answer to a challenge", NULL, NULL, NULL, NULL, mark_challenge},
    [USER] = {"the answer to USER", NULL, on_user, NULL, NULL, NULL},
    [PASS] = {"the answer to PASS", NULL, on_pass, NULL, NULL, NULL},
    [STAT] = {"the answer to STAT", NULL, on_stat, NULL, NULL, NULL},
    [UIDL] = {"the answer to UIDL", "the rest of the answer to UIDL", on_uidl, uidl_line, end_uidl,
	      NULL},
    [LIST] = {"the answer to LIST", "the rest of the answer to LIST", on_list, list_line, end_list,
	      NULL},
    [RETR] = {"the answer to RETR", "the rest of a message", on_retr, NULL, NULL, NULL},
    [DELE] = {"the answer to DELE", NULL, on_dele, NULL, NULL, NULL},
    [QUIT] = {"the answer to QUIT", NULL, on_quit, NULL, NULL, NULL},
    [UNFIT] = {"nothing", NULL, NULL, NULL, NULL, mark_unfit},
    [MISSING] = {"nothing", NULL, NULL, NULL, NULL, mark_missing},
    [REPORT] = {"nothing", NULL, NULL, NULL, NULL, mark_report},
    [DONE_SELECT] = {"nothing", NULL, NULL, NULL, NULL, mark_done_select},
    [DONE_FETCH] = {"nothing", NULL, NULL, NULL, NULL, mark_done_fetch},
    [DONE_REMOVE] = {"nothing", NULL, NULL, NULL, NULL, mark_done_remove},
};

/* ---- the verbs that queue ------------------------------------------------------------------ */

static bool step_select(struct pop3 *p, struct verb *verb)
{
	if (verb->step++) {
		p->uidl_asked = true;
		say(p, UIDL, "UIDL", 0);
		return true;
	}
	pop3_list_forget(&p->list);
	p->exists = 0;
	p->uidl_asked = p->uidl_refused = p->list_asked = p->select_refused = false;
	p->stat_pending = true;
	say(p, STAT, "STAT", 0);
	push(p, DONE_SELECT, 0);
	return !p->capa.pipelining;
}

static bool step_list(struct pop3 *p, struct verb *verb)
{
	bool pointless = !p->stat_pending && !p->exists;

	if (!p->uidl_asked && !pointless) {
		p->uidl_asked = true;
		say(p, UIDL, "UIDL", 0);
	} else if (verb->sizes && !p->list_asked && !pointless) {
		p->list_asked = true;
		say(p, LIST, "LIST", 0);
	} else {
		push(p, REPORT, 0);
		return true;
	}
	return false;
}

/* One message of a set, or the DONE behind the last. */
static bool step_set(struct pop3 *p, struct verb *verb)
{
	bool fetch = verb->kind == SOURCE_VERB_FETCH;
	uint32_t number;

	if (verb->at == verb->count) {
		push(p, fetch ? DONE_FETCH : DONE_REMOVE, 0);
		return true;
	}
	number = verb->numbers[verb->at++];
	if (!number || number > p->exists)
		push(p, MISSING, number);
	else
		say(p, fetch ? RETR : DELE, fetch ? "RETR" : "DELE", number);
	return false;
}

static bool step_finish(struct pop3 *p, struct verb *verb)
{
	(void)verb;
	say(p, QUIT, "QUIT", 0);
	return true;
}

static bool (*const steps[SOURCE_VERBS])(struct pop3 *, struct verb *) = {
    [SOURCE_VERB_SELECT] = step_select, [SOURCE_VERB_LIST] = step_list,
    [SOURCE_VERB_FETCH] = step_set,	[SOURCE_VERB_REMOVE] = step_set,
    [SOURCE_VERB_FINISH] = step_finish,
};

static bool may_send(struct pop3 *p, const struct verb *verb)
{
	if (verb->kind == SOURCE_VERB_FINISH)
		return !p->count && (p->ready || p->offered);
	if (!p->ready || p->count + RING_SPARE > RING)
		return false;
	if (!p->capa.pipelining)
		return !p->waiting;
	if (p->stat_pending && verb->kind != SOURCE_VERB_SELECT && verb->kind != SOURCE_VERB_LIST)
		return false;
	if (p->waiting <= WINDOW / 2)
		p->filling = true;
	else if (p->waiting >= WINDOW)
		p->filling = false;
	return p->filling;
}

static void verb_free(struct verb *verb)
{
	free(verb->numbers);
	free(verb);
}

static void send_more(struct pop3 *p)
{
	while (p->verbs && may_send(p, p->verbs)) {
		struct verb *verb = p->verbs;

		if (!steps[verb->kind](p, verb))
			continue;
		p->verbs = verb->next;
		if (!p->verbs)
			p->last = &p->verbs;
		verb_free(verb);
	}
}

static struct verb *verb_add(struct source *source, enum source_verb kind)
{
	struct pop3 *p = pop3_of(source);
	struct verb *verb = mem_new(1, sizeof *verb);

	verb->kind = kind;
	*p->last = verb;
	p->last = &verb->next;
	return verb;
}

static void pop3_select(struct source *source, const char *mailbox, bool writing)
{
	(void)mailbox;
	(void)writing;
	verb_add(source, SOURCE_VERB_SELECT);
}

static void pop3_list(struct source *source, uint32_t from, bool sizes)
{
	(void)from;
	verb_add(source, SOURCE_VERB_LIST)->sizes = sizes;
}

static void set_add(struct source *source, enum source_verb kind, const struct source_set *set)
{
	struct verb *verb = verb_add(source, kind);

	verb->count = set->count;
	verb->numbers = mem_new(set->count, sizeof *verb->numbers);
	if (set->count)
		memcpy(verb->numbers, set->numbers, set->count * sizeof *verb->numbers);
}

static void pop3_fetch(struct source *source, const struct source_set *set)
{
	set_add(source, SOURCE_VERB_FETCH, set);
}

static void pop3_remove(struct source *source, const struct source_set *set)
{
	set_add(source, SOURCE_VERB_REMOVE, set);
}

static void pop3_finish(struct source *source)
{
	verb_add(source, SOURCE_VERB_FINISH);
}

/* ---- the engine ---------------------------------------------------------------------------- */

/* Nothing is outstanding: what the server says now is its farewell, or nonsense. */
static enum source_what idle(struct pop3 *p)
{
	const unsigned char *line;
	enum source_what what;
	size_t len;
	size_t text;

	if (!p->source.in->len)
		return p->source.eof ? need_bytes(p) : SOURCE_NEED_VERB;
	if (!take_line(p, &line, &len, &what))
		return what == SOURCE_NEED_BYTES && !p->verbs ? SOURCE_NEED_VERB : what;
	trace_line(p, line, len);
	if (pop3_parse_status(line, len, &text) != POP3_ERR)
		return broke(p, "a line that answers nothing", line, len);
	keep_text(p, line + text, len - text);
	return failed(p, ERR_TEMPORARY, "server ended the session");
}

static enum source_what answer(struct pop3 *p, struct source_event *ev)
{
	const struct sent sent = p->ring[p->first];
	const struct state_row *row = &states[sent.state];
	const unsigned char *line;
	enum pop3_status status;
	enum source_what what;
	size_t len;
	size_t text;

	if (!take_line(p, &line, &len, &what))
		return what;
	trace_line(p, line, len);
	status = pop3_parse_status(line, len, &text);
	if (status == POP3_NONSENSE || (status == POP3_MORE && sent.state != AUTH))
		return broke(p, "a line that is no answer", line, len);
	keep_text(p, line + text, len - text);
	if (status == POP3_MORE)
		return on_challenge(p, ev);
	if (status == POP3_OK && row->rest)
		p->within = true;
	else
		pop(p);
	return row->answer(p, status == POP3_OK, sent.number, ev);
}

static enum source_what further_line(struct pop3 *p, struct source_event *ev)
{
	const struct state_row *row = &states[p->ring[p->first].state];
	const unsigned char *line;
	enum source_what what;
	size_t len;

	if (!take_line(p, &line, &len, &what))
		return what;
	trace_line(p, line, len);
	if (len && line[0] == '.') {
		if (len == 1) {
			pop(p);
			return row->end(p, ev);
		}
		line++;
		len--;
	}
	return row->line(p, line, len) ? CONTINUE : SOURCE_FAILED;
}

static enum source_what step(struct pop3 *p, struct source_event *ev)
{
	const struct state_row *row;

	if (p->ended) {
		buf_consume(p->source.in, p->source.in->len);
		return SOURCE_NEED_VERB;
	}
	if (!p->count && p->source.in->len)
		return idle(p);
	send_more(p);
	if (!p->count)
		return idle(p);
	row = &states[p->ring[p->first].state];
	if (row->mark)
		return row->mark(p, p->ring[p->first].number, ev);
	if (!p->within)
		return answer(p, ev);
	return row->line ? further_line(p, ev) : body_next(p, ev);
}

static enum source_what pop3_next(struct source *source, struct source_event *ev)
{
	enum source_what what;

	do
		what = step(pop3_of(source), ev);
	while (what == CONTINUE);
	return what;
}

static const char *pop3_waiting_for(const struct source *source)
{
	return waiting_for((const struct pop3 *)source);
}

static void pop3_free(struct source *source)
{
	struct pop3 *p = pop3_of(source);

	while (p->verbs) {
		struct verb *verb = p->verbs;

		p->verbs = verb->next;
		verb_free(verb);
	}
	mem_free_secret(&p->initial);
	mem_free_secret(&p->password);
	pop3_capa_forget(&p->capa);
	pop3_list_forget(&p->list);
	buf_free(&p->text);
	buf_free(&p->kept);
	buf_free(&p->key);
	free(p);
}

static const struct source_ops pop3_ops = {
    .free = pop3_free,
    .next = pop3_next,
    .waiting_for = pop3_waiting_for,
    .tls_started = pop3_tls_started,
    .auth = pop3_auth,
    .respond = pop3_respond,
    .login = pop3_login,
    .select = pop3_select,
    .list = pop3_list,
    .fetch = pop3_fetch,
    .remove = pop3_remove,
    .finish = pop3_finish,
};

struct source *pop3_new(const struct source_params *params)
{
	struct pop3 *p = mem_new(1, sizeof *p);

	p->source = (struct source){.ops = &pop3_ops, .in = params->in, .tracing = params->trace};
	p->encrypted = params->encrypted;
	p->last = &p->verbs;
	push(p, GREETING, 0);
	return &p->source;
}
