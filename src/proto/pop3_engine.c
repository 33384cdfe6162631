/*
 * pop3_engine: how the POP3 engine waits, reads, speaks and fails (RFC 1939 section 3).
 *
 * What was sent and not yet answered stands in a ring, in the order of sending; between commands
 * stand marks of our own, such as the DONE of a verb, whose turn comes when all in front of them is
 * answered. One table (states) says for each what errors call it and what its answer leads to.
 */
#include "proto/pop3_engine.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

/* Anything but name may be NULL. With rest, +OK is followed by lines up to a single dot; without
 * line these are a message. What has a mark is our own, and the server owes nothing for it. */
static const struct state_row {
	const char *name;
	const char *rest;
	pop3_answer *answer;
	pop3_line *line;
	pop3_end *end;
	pop3_mark *mark;
} states[POP3_STATES] = {
    [POP3_GREETING] = {.name = "the greeting", .answer = pop3_on_greeting},
    [POP3_CAPA] = {.name = "the answer to CAPA",
		   .rest = "the rest of the capabilities",
		   .answer = pop3_on_capa,
		   .line = pop3_line_capa,
		   .end = pop3_end_capa},
    [POP3_STLS] = {.name = "the answer to STLS", .answer = pop3_on_stls},
    [POP3_AUTH] = {.name = "the answer to AUTH", .answer = pop3_on_auth},
    [POP3_USER] = {.name = "the answer to USER", .answer = pop3_on_user},
    [POP3_PASS] = {.name = "the answer to PASS", .answer = pop3_on_pass},
    [POP3_STAT] = {.name = "the answer to STAT", .answer = pop3_on_stat},
    [POP3_UIDL] = {.name = "the answer to UIDL",
		   .rest = "the rest of the answer to UIDL",
		   .answer = pop3_on_uidl,
		   .line = pop3_line_uidl,
		   .end = pop3_end_uidl},
    /* A refused LIST costs only the sizes, which are hints. */
    [POP3_LIST] = {.name = "the answer to LIST",
		   .rest = "the rest of the answer to LIST",
		   .line = pop3_line_list},
    [POP3_RETR] = {.name = "the answer to RETR",
		   .rest = "the rest of a message",
		   .answer = pop3_on_retr},
    [POP3_TOP] = {.name = "the answer to TOP",
		  .rest = "the rest of a header",
		  .answer = pop3_on_top},
    [POP3_DELE] = {.name = "the answer to DELE", .answer = pop3_on_dele},
    [POP3_QUIT] = {.name = "the answer to QUIT", .answer = pop3_on_quit},
    [POP3_NOOP] = {.name = "the answer to NOOP"},
    [POP3_TLS] = {.name = "the start of TLS", .mark = pop3_mark_tls},
    [POP3_CHALLENGE] = {.name = "our answer to a challenge", .mark = pop3_mark_challenge},
    [POP3_UNFIT] = {.name = "nothing", .mark = pop3_mark_unfit},
    [POP3_MISSING] = {.name = "nothing", .mark = pop3_mark_missing},
    [POP3_NEVER] = {.name = "nothing", .mark = pop3_mark_never},
    [POP3_REPORT] = {.name = "nothing", .mark = pop3_mark_report},
    [POP3_DONE] = {.name = "nothing", .mark = pop3_mark_done},
};

/* ---- the ring -------------------------------------------------------------------------------- */

void pop3_push(struct pop3 *p, enum pop3_state state, uint32_t number)
{
	p->ring[(p->first + p->count++) % POP3_RING] = (struct pop3_sent){state, number};
	p->waiting += !states[state].mark;
}

void pop3_pop(struct pop3 *p)
{
	p->waiting -= !states[p->ring[p->first].state].mark;
	p->first = (p->first + 1) % POP3_RING;
	p->count--;
	p->within = false;
	p->lines = 0;
}

const char *pop3_waits_for(const struct pop3 *p)
{
	const struct state_row *row = &states[p->ring[p->first].state];

	if (!p->count)
		return "our next command";
	return p->within ? row->rest : row->name;
}

/* ---- what we say ----------------------------------------------------------------------------- */

void pop3_trace(struct pop3 *p, const char *who, const void *bytes, size_t len, const char *behind)
{
	if (!p->source.tracing)
		return;
	buf_text(&p->source.trace, who);
	str_visible(&p->source.trace, bytes, len, 2 * (size_t)SOURCE_TEXT_MAX);
	buf_text(&p->source.trace, behind);
	buf_text(&p->source.trace, "\n");
}

void pop3_say_words(struct pop3 *p, const char *words)
{
	buf_text(&p->source.out, words);
	buf_text(&p->source.out, "\r\n");
	pop3_trace(p, "C: ", words, strlen(words), "");
}

void pop3_say(struct pop3 *p, enum pop3_state state, const char *command, uint32_t number)
{
	char line[32];

	if (number)
		snprintf(line, sizeof line, "%s %u", command, number);
	else
		snprintf(line, sizeof line, "%s", command);
	pop3_say_words(p, line);
	pop3_push(p, state, number);
}

void pop3_say_secret(struct pop3 *p, const char *opening, const char *secret)
{
	p->source.out_secret = true;
	buf_text(&p->source.out, opening);
	buf_text(&p->source.out, secret);
	buf_text(&p->source.out, "\r\n");
	pop3_trace(p, "C: ", opening, strlen(opening), "<cut>");
}

/* ---- failures -------------------------------------------------------------------------------- */

enum source_what pop3_failed(struct pop3 *p, enum err_kind kind, const char *words)
{
	err_set(source_broken(&p->source), kind, "%s", words);
	err_server(source_broken(&p->source), p->text.data, p->text.len);
	return SOURCE_FAILED;
}

enum source_what pop3_broke(struct pop3 *p, const char *what, const void *line, size_t len)
{
	err_set(source_broken(&p->source), ERR_PROTOCOL, "server sent %s while we waited for %s",
		what, pop3_waits_for(p));
	err_server(source_broken(&p->source), line, len);
	return SOURCE_FAILED;
}

enum source_what pop3_need_bytes(struct pop3 *p)
{
	bool quit = p->count && p->ring[p->first].state == POP3_QUIT;

	if (!p->source.eof)
		return SOURCE_NEED_BYTES;
	err_set(source_broken(&p->source), ERR_TEMPORARY,
		"server closed the connection while waiting for %s%s", pop3_waits_for(p),
		quit ? "; it did not confirm the removals" : "");
	return SOURCE_FAILED;
}

enum source_what pop3_unasked(struct pop3 *p)
{
	size_t len = p->source.in->len;

	return pop3_broke(p, "what was not asked for", p->source.in->data, len < 64 ? len : 64);
}

/* ---- what we read ---------------------------------------------------------------------------- */

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
		*what_r = pop3_broke(p, "a line without end", in->data, 64);
		return false;
	}
	if (!end) {
		p->scanned = len;
		*what_r = pop3_need_bytes(p);
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
	if (p->count && p->ring[p->first].state == POP3_AUTH && len > 2 && !memcmp(line, "+ ", 2))
		pop3_trace(p, "S: ", line, 2, "<cut>");
	else
		pop3_trace(p, "S: ", line, len, "");
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

void pop3_tell_text(struct pop3 *p, struct source_event *ev)
{
	ev->text = buf_string(&p->text);
	ev->code = p->code;
}

void pop3_keep_refusal(struct pop3 *p)
{
	buf_clear(&p->kept);
	buf_append(&p->kept, p->text.data, p->text.len);
	memcpy(p->kept_code, p->code, sizeof p->kept_code);
}

void pop3_tell_refusal(struct pop3 *p, struct source_event *ev)
{
	ev->refused = true;
	ev->text = buf_string(&p->kept);
	ev->code = p->kept_code;
}

/* ---- the engine ------------------------------------------------------------------------------ */

/* The answers to RETR do not say of which message they are: one too many moves all behind it. */
static void look_whether_astray(struct pop3 *p)
{
	p->source.astray = p->gave && (!p->count || p->ring[p->first].state == POP3_NOOP);
}

/* Nothing is outstanding: what the server says now is its farewell, or nonsense. */
static enum source_what idle(struct pop3 *p)
{
	const unsigned char *line;
	enum source_what what;
	size_t len;
	size_t text;

	if (!p->source.in->len)
		return p->source.eof ? pop3_need_bytes(p) : SOURCE_NEED_VERB;
	if (!take_line(p, &line, &len, &what))
		return what == SOURCE_NEED_BYTES && !p->verbs ? SOURCE_NEED_VERB : what;
	trace_line(p, line, len);
	if (pop3_parse_status(line, len, &text) != POP3_ERR) {
		look_whether_astray(p);
		return pop3_broke(p, "a line that answers nothing", line, len);
	}
	keep_text(p, line + text, len - text);
	return pop3_failed(p, ERR_TEMPORARY, "server ended the session");
}

static enum source_what answer(struct pop3 *p, struct source_event *ev)
{
	const struct pop3_sent sent = p->ring[p->first];
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
	if (status == POP3_NONSENSE || (status == POP3_MORE && sent.state != POP3_AUTH)) {
		look_whether_astray(p);
		return pop3_broke(p, "a line that is no answer", line, len);
	}
	keep_text(p, line + text, len - text);
	if (status == POP3_MORE)
		return pop3_on_challenge(p, ev);
	if (status == POP3_OK && row->rest)
		p->within = true;
	else
		pop3_pop(p);
	return row->answer ? row->answer(p, status == POP3_OK, sent.number, ev) : POP3_CONTINUE;
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
			pop3_pop(p);
			return row->end ? row->end(p, ev) : POP3_CONTINUE;
		}
		line++;
		len--;
	}
	return row->line(p, line, len) ? POP3_CONTINUE : SOURCE_FAILED;
}

enum source_what pop3_step(struct pop3 *p, struct source_event *ev)
{
	const struct state_row *row;

	if (p->ended) {
		buf_consume(p->source.in, p->source.in->len);
		return SOURCE_NEED_VERB;
	}
	if (!p->count && p->source.in->len)
		return idle(p);
	pop3_send_more(p);
	if (!p->count)
		return idle(p);
	row = &states[p->ring[p->first].state];
	if (row->mark)
		return row->mark(p, p->ring[p->first].number, ev);
	if (!p->within)
		return answer(p, ev);
	return row->line ? further_line(p, ev) : pop3_body_more(p, ev);
}
