/*
 * run_dialog: replays transcripts against the protocol engines, each at several drip sizes.
 *
 *     run_dialog [FILE...]    the directory of a file names its engine: imap/ or pop3/; without
 *                             files, all of tests/dialog
 *
 * A transcript is lines of text. Escapes in it: \r \n \t \" \\ \xNN. Empty lines and lines that
 * begin with # are skipped.
 *
 *     O: encrypted | trace | remembers | name NAME VERSION     before all else: how the engine is
 *                     made;
 *                     whole: replayed all at once only, where the drip changes what must happen
 *     S: text         the server sends text and CRLF; "S| text" sends no CRLF; "S* N text" sends
 *                     text N times, without CRLF
 *     C: text         the next line that the client sends is exactly this; "C! text": and it is
 *                     marked as a secret; "C| text": the next octets, without CRLF; "C-": after
 *                     all that was sent has been read, the client has sent nothing more
 *     E: NAME ...     the next event. Words behind it: key=value (exact) or key~value (part of it),
 *                     a verb, "refused", "unsure", "read_only", "initial_response",
 *                     "login_command" (the opposite: a "!" before it), or a quoted string: the
 *                     bytes of CHUNK and CHALLENGE, the text of others. repeat=N: the bytes are
 *                     the string N times. FAILED takes the kind of the error and part of its
 *                     words; server~ of the server's. Fields not named are not compared, but DONE
 *                     is refused, or unsure, only where that is said. Neighbouring chunks count
 *                     as one. IDLE: the engine wants a verb.
 *     V: verb ...     tls_started, auth MECH [INITIAL], respond BASE64, cancel, login USER
 *                     PASSWORD, select MAILBOX [writing], mailboxes ITEM..., status NAME...,
 *                     list FROM [sizes|ids], fetch SET, headers SET, present SET, remove SET,
 *                     idle, finish, eof (after all that was sent has been read). SET is like
 * 1,2,5:9. W: text         after all that was sent has been read, the engine waits for this T: text
 * the trace, whole and in order; compared at the end
 *
 * Events and client lines are compared each in their own order; a verb is given once all that
 * stands above it came. At the end nothing may be left over. Besides, two things hold in every
 * replay: the engine lets no more than IN_MAX octets gather in its input, and before tls_started
 * it emits nothing but what the wall of STARTTLS allows.
 */
#include "proto/imap.h"
#include "proto/pop3.h"
#include "script.h"
#include "util/mem.h"
#include "util/str.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_MAX = 300000, DRIP_ALL = 65536 };

/* A deep copy of an event. */
struct happened {
	enum source_what what;
	struct source_event ev;
	char *key, *id, *mechanisms, *capabilities, *name, *served, *wire, *attributes, *text,
	    *code;
	struct buf bytes;
};

struct replay {
	const struct script *script;
	const struct line *at;
	size_t drip;
	struct source *source;
	struct buf in;
	struct buf server; /* sent by the server, not yet read */
	struct buf client; /* sent by the client, not yet compared */
	struct buf trace;
	struct happened *events;
	size_t head, count;
	bool encrypted, tracing, secret, failed;
	size_t judged; /* octets of client that the wall has judged */
};

static const char *const whats[SOURCE_WHATS] = {
    [SOURCE_FAILED] = "FAILED",	      [SOURCE_NEED_BYTES] = "NEED_BYTES",
    [SOURCE_IDLE] = "IDLE",	      [SOURCE_START_TLS] = "START_TLS",
    [SOURCE_CHALLENGE] = "CHALLENGE", [SOURCE_AUTH_OFFERED] = "AUTH_OFFERED",
    [SOURCE_READY] = "READY",	      [SOURCE_MAILBOX] = "MAILBOX",
    [SOURCE_STATUS] = "STATUS",	      [SOURCE_SELECTED] = "SELECTED",
    [SOURCE_LISTED] = "LISTED",	      [SOURCE_BEGIN] = "BEGIN",
    [SOURCE_CHUNK] = "CHUNK",	      [SOURCE_END] = "END",
    [SOURCE_GONE] = "GONE",	      [SOURCE_REFUSED] = "REFUSED",
    [SOURCE_REMOVED] = "REMOVED",     [SOURCE_NEWS] = "NEWS",
    [SOURCE_NOTICE] = "NOTICE",	      [SOURCE_BYE] = "BYE",
    [SOURCE_DONE] = "DONE",
};

static const char *const verbs[SOURCE_VERBS] = {
    [SOURCE_VERB_MAILBOXES] = "mailboxes", [SOURCE_VERB_STATUS] = "status",
    [SOURCE_VERB_AUTH] = "auth",	   [SOURCE_VERB_SELECT] = "select",
    [SOURCE_VERB_LIST] = "list",	   [SOURCE_VERB_FETCH] = "fetch",
    [SOURCE_VERB_HEADERS] = "headers",	   [SOURCE_VERB_PRESENT] = "present",
    [SOURCE_VERB_REMOVE] = "remove",	   [SOURCE_VERB_IDLE] = "idle",
    [SOURCE_VERB_FINISH] = "finish",
};

__attribute__((format(printf, 2, 3))) static bool complain(struct replay *r, const char *format,
							   ...)
{
	va_list args;

	if (r->failed)
		return false;
	r->failed = true;
	printf("%s:%d: drip %zu: ", r->script->path, r->at ? r->at->number : 0, r->drip);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return false;
}

/* ---- events -------------------------------------------------------------------------------- */

static void happened_free(struct happened *h)
{
	free(h->key);
	free(h->id);
	free(h->mechanisms);
	free(h->capabilities);
	free(h->name);
	free(h->served);
	free(h->wire);
	free(h->attributes);
	free(h->text);
	free(h->code);
	buf_free(&h->bytes);
}

static void event_keep(struct replay *r, enum source_what what, const struct source_event *ev)
{
	struct happened *last = r->count > r->head ? &r->events[r->count - 1] : NULL;
	struct happened *h;

	if (last && last->what == SOURCE_CHUNK && what == SOURCE_CHUNK) {
		buf_append(&last->bytes, ev->bytes, ev->len);
		return;
	}
	r->events = mem_resize(r->events, r->count + 1, sizeof *r->events);
	h = &r->events[r->count++];
	*h = (struct happened){.what = what,
			       .ev = *ev,
			       .key = mem_copy(ev->key),
			       .id = mem_copy(ev->id),
			       .mechanisms = mem_copy(ev->mechanisms),
			       .capabilities = mem_copy(ev->capabilities),
			       .name = mem_copy(ev->name),
			       .served = mem_copy(ev->served),
			       .wire = mem_copy(ev->wire),
			       .attributes = mem_copy(ev->attributes),
			       .text = mem_copy(ev->text),
			       .code = mem_copy(ev->code)};
	if (what == SOURCE_CHUNK || what == SOURCE_CHALLENGE)
		buf_append(&h->bytes, ev->bytes, ev->len);
}

static void happened_print(const struct replay *r, const struct happened *h)
{
	const struct source_event *ev = &h->ev;
	struct buf shown = {0};

	str_visible(&shown, h->bytes.data, h->bytes.len, 400);
	printf("    %s", whats[h->what]);
	if (h->what == SOURCE_FAILED)
		printf(" %s \"%s\" server=\"%s\"", err_kind_name(source_err(r->source)->kind),
		       source_err(r->source)->words, source_err(r->source)->server);
	if (h->what == SOURCE_DONE)
		printf(" %s%s%s", verbs[ev->verb], ev->refused ? " refused" : "",
		       ev->unsure ? " unsure" : "");
	printf(" number=%u octets=%llu exists=%u validity=%u next=%u date=%lld", ev->number,
	       (unsigned long long)ev->octets, ev->exists, ev->validity, ev->next,
	       (long long)ev->date);
	printf(" key=\"%s\" text=\"%s\" code=\"%s\"", h->key, h->text, h->code);
	if (h->what == SOURCE_AUTH_OFFERED)
		printf(" mechanisms=\"%s\"%s%s", h->mechanisms,
		       ev->initial_response ? " initial_response" : "",
		       ev->login_command ? " login_command" : "");
	if (h->what == SOURCE_MAILBOX || h->what == SOURCE_STATUS)
		printf(" name=\"%s\" served=\"%s\" wire=\"%s\" attributes=\"%s\" delimiter=%d%s",
		       h->name, h->served, h->wire, h->attributes, ev->delimiter,
		       ev->refused ? " refused" : "");
	if (h->what == SOURCE_READY)
		printf(" capabilities=\"%s\"", h->capabilities);
	if (h->bytes.len)
		printf(" (%zu) \"%s\"", h->bytes.len, buf_string(&shown));
	putchar('\n');
	buf_free(&shown);
}

/* ---- the driver ---------------------------------------------------------------------------- */

/* Nothing but these may be emitted in clear. */
static void wall_judge(struct replay *r)
{
	static const char *const allowed[] = {"CAPABILITY", "STARTTLS", "LOGOUT",
					      "CAPA",	    "STLS",	"QUIT"};

	while (r->judged < r->client.len) {
		const unsigned char *line = r->client.data + r->judged;
		size_t left = r->client.len - r->judged;
		const unsigned char *end = memmem(line, left, "\r\n", 2);
		const unsigned char *word = line;
		bool fine = r->encrypted;

		if (!end) {
			if (!r->encrypted)
				complain(r, "half a line in clear");
			return;
		}
		r->judged += (size_t)(end - line) + 2;
		if (r->script->imap && memchr(line, ' ', (size_t)(end - line)))
			word = (const unsigned char *)memchr(line, ' ', (size_t)(end - line)) + 1;
		for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
			fine |= str_is(word, (size_t)(end - word), allowed[i]);
		if (!fine)
			complain(r, "sent in clear: %.*s", (int)(end - line), (const char *)line);
	}
}

static void gather(struct replay *r)
{
	struct buf *out = source_out(r->source);
	struct buf *trace = source_trace(r->source);

	if (out->len)
		r->secret = source_out_secret(r->source);
	buf_append(&r->client, out->data, out->len);
	buf_consume(out, out->len);
	buf_append(&r->trace, trace->data, trace->len);
	buf_clear(trace);
	wall_judge(r);
}

static bool feed(struct replay *r)
{
	size_t len = r->server.len < r->drip ? r->server.len : r->drip;

	if (!len)
		return false;
	buf_append(&r->in, r->server.data, len);
	buf_consume(&r->server, len);
	return true;
}

/* Asks once, feeding where octets are wanted. False when the engine can go no further. */
static bool pump(struct replay *r)
{
	struct source_event ev;
	enum source_what what = source_next(r->source, &ev);

	gather(r);
	if (r->in.len > IN_MAX)
		return complain(r, "%zu octets gathered in the input", r->in.len);
	if (what == SOURCE_FAILED) {
		if (r->count && r->events[r->count - 1].what == SOURCE_FAILED)
			return false;
		event_keep(r, what, &ev);
		return true;
	}
	if (what == SOURCE_NEED_BYTES || what == SOURCE_NEED_VERB)
		return feed(r);
	event_keep(r, what, &ev);
	return true;
}

static void pump_all(struct replay *r)
{
	while (!r->failed && pump(r))
		;
}

/* ---- what is expected ---------------------------------------------------------------------- */

static const char *field_text(const struct happened *h, const char *name)
{
	if (!strcmp(name, "key"))
		return h->key;
	if (!strcmp(name, "name"))
		return h->name;
	if (!strcmp(name, "served"))
		return h->served;
	if (!strcmp(name, "wire"))
		return h->wire;
	if (!strcmp(name, "attributes"))
		return h->attributes;
	if (!strcmp(name, "id"))
		return h->id;
	if (!strcmp(name, "text"))
		return h->text;
	if (!strcmp(name, "code"))
		return h->code;
	if (!strcmp(name, "mechanisms"))
		return h->mechanisms;
	if (!strcmp(name, "capabilities"))
		return h->capabilities;
	return NULL;
}

static bool field_number(const struct happened *h, const char *name, uint64_t *value_r)
{
	if (!strcmp(name, "number"))
		*value_r = h->ev.number;
	else if (!strcmp(name, "octets"))
		*value_r = h->ev.octets;
	else if (!strcmp(name, "validity"))
		*value_r = h->ev.validity;
	else if (!strcmp(name, "next"))
		*value_r = h->ev.next;
	else if (!strcmp(name, "exists"))
		*value_r = h->ev.exists;
	else if (!strcmp(name, "date"))
		*value_r = (uint64_t)h->ev.date;
	else if (!strcmp(name, "len"))
		*value_r = h->bytes.len;
	else
		return false;
	return true;
}

static bool field_flag(const struct happened *h, const char *name)
{
	return (!strcmp(name, "read_only") && h->ev.read_only) ||
	       (!strcmp(name, "initial_response") && h->ev.initial_response) ||
	       (!strcmp(name, "login_command") && h->ev.login_command);
}

static bool bytes_match(const struct happened *h, const struct word *word, uint64_t repeat)
{
	if (h->bytes.len != word->value.len * repeat)
		return false;
	for (size_t i = 0; i < h->bytes.len; i += word->value.len)
		if (memcmp(h->bytes.data + i, word->value.data, word->value.len) != 0)
			return false;
	return true;
}

static bool quoted_match(const struct replay *r, const struct happened *h, const struct word *word,
			 uint64_t repeat)
{
	const char *value = (const char *)word->value.data;

	if (h->what == SOURCE_FAILED)
		return strstr(source_err(r->source)->words, value) != NULL;
	if (h->what == SOURCE_CHUNK || h->what == SOURCE_CHALLENGE)
		return bytes_match(h, word, repeat);
	return !strcmp(h->text, value);
}

static bool bare_match(const struct replay *r, const struct happened *h, const char *value)
{
	if (!strcmp(value, "refused") || !strcmp(value, "unsure"))
		return true;
	if (h->what == SOURCE_FAILED)
		return !strcmp(err_kind_name(source_err(r->source)->kind), value);
	if (h->what == SOURCE_DONE)
		return !strcmp(verbs[h->ev.verb], value);
	return *value == '!' ? !field_flag(h, value + 1) : field_flag(h, value);
}

static bool word_match(const struct replay *r, const struct happened *h, const struct word *word,
		       uint64_t repeat)
{
	const char *value = (const char *)word->value.data;
	const char *text;
	uint64_t have;
	uint64_t want;

	if (word->relation == '"')
		return quoted_match(r, h, word, repeat);
	if (word->relation == 'w')
		return bare_match(r, h, value);
	if (!strcmp(word->name, "repeat"))
		return true;
	text = !strcmp(word->name, "server") ? source_err(r->source)->server
					     : field_text(h, word->name);
	if (text)
		return word->relation == '=' ? !strcmp(text, value) : strstr(text, value) != NULL;
	return field_number(h, word->name, &have) &&
	       str_number(value, word->value.len, UINT64_MAX, &want) && have == want;
}

static bool event_match(const struct replay *r, const struct happened *h, const struct word *words,
			size_t count)
{
	bool refused = false;
	bool unsure = false;
	uint64_t repeat = 1;

	if (strcmp(whats[h->what], word_text(words, count, 0)) != 0)
		return false;
	for (size_t i = 1; i < count; i++) {
		refused |= !strcmp((const char *)words[i].value.data, "refused");
		unsure |= !strcmp((const char *)words[i].value.data, "unsure");
		if (!strcmp(words[i].name, "repeat"))
			str_number(words[i].value.data, words[i].value.len, UINT32_MAX, &repeat);
	}
	if (h->what != SOURCE_REFUSED && (h->ev.refused != refused || h->ev.unsure != unsure))
		return false;
	for (size_t i = 1; i < count; i++)
		if (!word_match(r, h, &words[i], repeat))
			return false;
	return true;
}

/* A chunk is whole once something else follows it, or nothing can. */
static bool event_wait(struct replay *r)
{
	while (!r->failed && r->head == r->count)
		if (!pump(r))
			return r->head < r->count;
	while (!r->failed && r->events[r->head].what == SOURCE_CHUNK && r->head + 1 == r->count)
		if (!pump(r))
			break;
	return !r->failed;
}

static bool expect_idle(struct replay *r)
{
	struct source_event ev;
	enum source_what what;

	pump_all(r);
	if (r->failed || r->head < r->count) {
		complain(r, "expected IDLE, got:");
		if (r->head < r->count)
			happened_print(r, &r->events[r->head]);
		return false;
	}
	what = source_next(r->source, &ev);
	return what == SOURCE_NEED_VERB || complain(r, "expected IDLE, got %s while waiting for %s",
						    whats[what], source_waiting_for(r->source));
}

static bool expect_event(struct replay *r, const char *text)
{
	struct word words[WORDS_MAX];
	size_t count = words_split(words, text);
	bool fine;

	if (count && !strcmp(word_text(words, count, 0), "IDLE")) {
		words_free(words, count);
		return expect_idle(r);
	}
	fine = event_wait(r);
	if (!fine) {
		complain(r, "expected %s\n    got nothing; the engine waits for %s", text,
			 source_waiting_for(r->source));
	} else {
		fine = event_match(r, &r->events[r->head], words, count);
		if (!fine) {
			complain(r, "expected %s, got:", text);
			happened_print(r, &r->events[r->head]);
		}
		happened_free(&r->events[r->head++]);
	}
	words_free(words, count);
	return fine;
}

static bool expect_silence(struct replay *r)
{
	struct buf got = {0};

	pump_all(r);
	if (r->client.len) {
		str_visible(&got, r->client.data, r->client.len, 400);
		complain(r, "expected the client to send nothing\n    got: %s", buf_string(&got));
	}
	buf_free(&got);
	return !r->failed;
}

static bool expect_client(struct replay *r, char variant, const char *text)
{
	struct buf want = {0};
	struct buf got = {0};
	size_t len;
	bool fine;

	unescape(&want, text, "");
	if (variant != '|')
		buf_text(&want, "\r\n");
	while (!r->failed && r->client.len < want.len && pump(r))
		;
	len = r->client.len < want.len ? r->client.len : want.len;
	fine = !r->failed && len && len == want.len && !memcmp(r->client.data, want.data, len);
	if (!fine) {
		str_visible(&got, r->client.data, r->client.len, 400);
		complain(r, "expected the client to send: %s\n    got: %s", text, buf_string(&got));
		if (r->head < r->count)
			happened_print(r, &r->events[r->head]);
	} else {
		buf_consume(&r->client, len);
		r->judged -= len < r->judged ? len : r->judged;
	}
	if (fine && variant == '!' && !r->secret)
		fine = complain(r, "not marked as a secret: %s", text);
	buf_free(&want);
	buf_free(&got);
	return fine;
}

/* ---- verbs --------------------------------------------------------------------------------- */

static bool give_set(struct replay *r, const char *verb, const char *text)
{
	static const struct {
		const char *name;
		void (*say)(struct source *source, const struct source_set *set);
	} sets[] = {{"fetch", source_fetch},
		    {"headers", source_headers},
		    {"present", source_present},
		    {"remove", source_remove}};
	uint32_t *numbers = NULL;
	struct source_set set = {0};

	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		if (strcmp(verb, sets[i].name) != 0)
			continue;
		set_read(text ? text : "", &numbers, &set.count);
		set.numbers = numbers;
		sets[i].say(r->source, &set);
		free(numbers);
		return true;
	}
	return false;
}

static bool verb_give(struct replay *r, const char *verb, const char *a, const char *b)
{
	if (!strcmp(verb, "tls_started")) {
		r->encrypted = true;
		source_tls_started(r->source);
	} else if (!strcmp(verb, "auth") && a)
		source_auth(r->source, a, b);
	else if (!strcmp(verb, "respond"))
		source_respond(r->source, a ? a : "");
	else if (!strcmp(verb, "cancel"))
		source_respond(r->source, NULL);
	else if (!strcmp(verb, "login") && a && b)
		source_login(r->source, a, b);
	else if (!strcmp(verb, "select") && a)
		source_select(r->source, a, b && !strcmp(b, "writing"));
	else if (!strcmp(verb, "list"))
		source_list(r->source, a ? (uint32_t)strtoul(a, NULL, 10) : 1,
			    !b			? 0
			    : !strcmp(b, "ids") ? SOURCE_LIST_IDS
						: SOURCE_LIST_SIZES);
	else if (give_set(r, verb, a))
		return true;
	else if (!strcmp(verb, "idle"))
		source_idle(r->source);
	else if (!strcmp(verb, "finish"))
		source_finish(r->source);
	else if (!strcmp(verb, "read")) {
		while (feed(r))
			;
	} else if (!strcmp(verb, "eof")) {
		pump_all(r);
		source_eof(r->source);
	} else
		return complain(r, "no such verb, or too few words: %s", verb);
	return true;
}

static void give_names(struct replay *r, struct word *words, size_t count)
{
	const char *names[WORDS_MAX];

	for (size_t i = 1; i < count; i++)
		names[i - 1] = word_text(words, count, i);
	if (!strcmp(word_text(words, count, 0), "mailboxes"))
		source_mailboxes(r->source, names, count - 1);
	else
		source_status(r->source, names, count - 1);
}

static bool takes_names(const char *verb)
{
	return !strcmp(verb, "mailboxes") || !strcmp(verb, "status");
}

static bool give(struct replay *r, const char *text)
{
	struct word words[WORDS_MAX];
	size_t count = words_split(words, text);
	bool fine = count > 0;

	if (fine && takes_names(word_text(words, count, 0)))
		give_names(r, words, count);
	else if (fine)
		fine = verb_give(r, word_text(words, count, 0), word_text(words, count, 1),
				 word_text(words, count, 2));
	words_free(words, count);
	return fine;
}

/* ---- a replay ------------------------------------------------------------------------------ */

static void server_send(struct replay *r, const struct line *line)
{
	const char *text = line->text;
	struct buf once = {0};
	unsigned long times = 1;
	char *end;

	if (line->variant == '*') {
		times = strtoul(text, &end, 10);
		text = *end ? end + 1 : end;
	}
	unescape(&once, text, "");
	while (times--)
		buf_append(&r->server, once.data, once.len);
	if (line->variant == ':')
		buf_text(&r->server, "\r\n");
	buf_free(&once);
}

static bool expect_waiting(struct replay *r, const char *text)
{
	pump_all(r);
	return !r->failed && (!strcmp(source_waiting_for(r->source), text) ||
			      complain(r, "expected to wait for: %s\n    got: %s", text,
				       source_waiting_for(r->source)));
}

static bool step(struct replay *r, const struct line *line)
{
	switch (line->kind) {
	case 'S':
		server_send(r, line);
		return true;
	case 'C':
		return line->variant == '-' ? expect_silence(r)
					    : expect_client(r, line->variant, line->text);
	case 'E':
		return expect_event(r, line->text);
	case 'V':
		return give(r, line->text);
	case 'W':
		return expect_waiting(r, line->text);
	default:
		return true;
	}
}

static void expect_trace(struct replay *r)
{
	struct buf want = {0};

	for (size_t i = 0; i < r->script->count; i++)
		if (r->script->lines[i].kind == 'T') {
			unescape(&want, r->script->lines[i].text, "");
			buf_text(&want, "\n");
		}
	if (want.len &&
	    (want.len != r->trace.len || memcmp(want.data, r->trace.data, want.len) != 0))
		complain(r, "expected the trace:\n%s    got:\n%s", buf_string(&want),
			 buf_string(&r->trace));
	buf_free(&want);
}

static void expect_rest(struct replay *r)
{
	struct buf shown = {0};

	pump_all(r);
	if (r->failed)
		return;
	if (r->head < r->count) {
		complain(r, "at the end an unexpected event:");
		happened_print(r, &r->events[r->head]);
	}
	if (r->client.len) {
		str_visible(&shown, r->client.data, r->client.len, 400);
		complain(r, "at the end the client sent: %s", buf_string(&shown));
	}
	buf_free(&shown);
	if (!r->failed)
		expect_trace(r);
}

static void replay_open(struct replay *r, struct word *words, size_t *words_r)
{
	struct source_params params = {.in = &r->in};

	for (size_t i = 0; i < r->script->count; i++) {
		const struct line *line = &r->script->lines[i];
		size_t count;

		if (line->kind != 'O')
			continue;
		words_free(words, *words_r);
		count = *words_r = words_split(words, line->text);
		params.encrypted |= !strcmp(word_text(words, count, 0), "encrypted");
		params.remembers |= !strcmp(word_text(words, count, 0), "remembers");
		params.trace |= !strcmp(word_text(words, count, 0), "trace");
		if (!strcmp(word_text(words, count, 0), "name")) {
			params.name = word_text(words, count, 1);
			params.version = word_text(words, count, 2);
		}
	}
	r->encrypted = params.encrypted;
	r->source = r->script->imap ? imap_new(&params) : pop3_new(&params);
}

static bool replay(const struct script *script, size_t drip)
{
	struct replay r = {.script = script, .drip = drip};
	struct word words[WORDS_MAX];
	size_t count = 0;

	replay_open(&r, words, &count);
	for (size_t i = 0; i < script->count && !r.failed; i++) {
		r.at = &script->lines[i];
		if (!step(&r, r.at))
			r.failed = true;
	}
	expect_rest(&r);
	source_free(&r.source);
	for (size_t i = r.head; i < r.count; i++)
		happened_free(&r.events[i]);
	free(r.events);
	buf_free(&r.in);
	buf_free(&r.server);
	buf_free(&r.client);
	buf_free(&r.trace);
	words_free(words, count);
	return !r.failed;
}

static void run(const char *path, unsigned *passed, unsigned *failed)
{
	static const size_t drips[] = {1, 2, 3, 7, 64, DRIP_ALL};
	struct script script = {.path = path};
	char *text = script_read(&script);
	bool known = script_engine(&script);

	for (size_t d = 0; d < sizeof drips / sizeof *drips; d++) {
		if (script_whole(&script) && drips[d] != DRIP_ALL)
			continue;
		if (known && replay(&script, drips[d]))
			++*passed;
		else
			++*failed;
	}
	free(script.lines);
	free(text);
}

int main(int argc, char **argv)
{
	unsigned passed = 0;
	unsigned failed = 0;
	glob_t all;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			run(argv[i], &passed, &failed);
	} else if (!glob("tests/dialog/*/*.txt", 0, NULL, &all)) {
		for (size_t i = 0; i < all.gl_pathc; i++)
			run(all.gl_pathv[i], &passed, &failed);
		globfree(&all);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
