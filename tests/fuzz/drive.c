/*
 * drive: takes a protocol engine through a session that an input describes, and judges it.
 */
#include "drive.h"

#include "fuzz.h"
#include "judge.h"
#include "util/mem.h"
#include "util/str.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
	VERBS_MAX = 48,	   /* in one input */
	NUMBERS_MAX = 600, /* of one set */
	NAMES_MAX = 8,
	ANSWERS_MAX = 16,
	ARGUMENT_MAX = 1000,
	TOKEN_OCTETS =
	    64 /* what the engine may say and tell for each octet or number, generously */
};

/* In front of each password and initial response, to find it again. */
#define SECRET "SHVzaDc"

/* A verb that is not done. */
struct asked {
	enum source_verb verb;
	uint32_t from; /* list */
	uint32_t last; /* list: the number before */
	uint32_t *numbers;
	bool *answered;
	size_t count;
};

struct drive {
	struct source *source;
	struct buf in;
	struct judge judge;
	size_t drip;
	bool imap;
	bool late;	  /* an octet more comes before the handshake */
	struct buf said;  /* by the server */
	bool secrets_out; /* it has told the secret itself, or the input holds it otherwise */

	struct asked asked[VERBS_MAX];
	size_t head, count;
	char *answers[ANSWERS_MAX]; /* to challenges; NULL cancels */
	size_t answer, answer_count;

	bool offered, login; /* AUTH_OFFERED, and what with it */
	bool authenticating, ready, finishing, finished, failed, ended;
	bool walled; /* octets in clear stood before the handshake: it must fail */
	bool challenged;
	bool open; /* a body is under way */
	uint32_t open_number;
	uint64_t open_octets, came;

	unsigned tags; /* that the server has said */
	size_t fed;    /* octets */
	size_t asking; /* octets and numbers that the session asked with */
	size_t events;
	uint64_t sum; /* of all events, chunks taken together */
};

/* ---- events -------------------------------------------------------------------------------- */

static struct asked *work(struct drive *d, enum source_verb verb)
{
	must(d->head < d->count);
	must(d->asked[d->head].verb == verb);
	return &d->asked[d->head];
}

static bool at_work(const struct drive *d, enum source_verb verb)
{
	return d->head < d->count && d->asked[d->head].verb == verb;
}

/* A number of the set at work has its answer: the only one. */
static void answered(struct asked *asked, uint32_t number)
{
	for (size_t i = 0; i < asked->count; i++) {
		if (asked->numbers[i] != number)
			continue;
		must(!asked->answered[i]);
		asked->answered[i] = true;
		return;
	}
	fuzz_broken(__FILE__, __LINE__, "it was asked for");
}

static void asked_drop(struct drive *d)
{
	struct asked *asked = &d->asked[d->head++];

	free(asked->numbers);
	free(asked->answered);
}

static void on_done(struct drive *d, const struct source_event *ev)
{
	const struct asked *asked;

	must(!d->open);
	if (ev->verb == SOURCE_VERB_AUTH) {
		must(d->authenticating && ev->refused);
		d->authenticating = false;
		return;
	}
	asked = work(d, ev->verb);
	/* present tells of those that are not there; and what was refused is not answered. */
	for (size_t i = 0; i < asked->count && !ev->refused && ev->verb != SOURCE_VERB_PRESENT; i++)
		must(asked->answered[i]);
	d->finished = ev->verb == SOURCE_VERB_FINISH;
	asked_drop(d);
}

static void on_listed(struct drive *d, const struct source_event *ev)
{
	struct asked *asked = work(d, SOURCE_VERB_LIST);

	must(ev->number > asked->last);
	must(!d->imap || ev->number >= asked->from);
	must(*ev->key);
	must(strlen(ev->id) <= 256 && (!*ev->id || strchr("EG", *ev->id)));
	asked->last = ev->number;
}

/* The verb at work brings bodies, or headers in their place. */
static struct asked *fetching(struct drive *d)
{
	return work(d, at_work(d, SOURCE_VERB_HEADERS) ? SOURCE_VERB_HEADERS : SOURCE_VERB_FETCH);
}

static void on_begin(struct drive *d, const struct source_event *ev)
{
	fetching(d);
	must(!d->open);
	d->open = true;
	d->open_number = ev->number;
	d->open_octets = ev->octets;
	d->came = 0;
}

static void on_end(struct drive *d, const struct source_event *ev)
{
	must(d->open);
	must(ev->number && (!d->open_number || d->open_number == ev->number));
	must(ev->octets == d->came && d->came);
	must(!d->imap || d->open_octets == d->came);
	answered(fetching(d), ev->number);
	d->open = false;
}

/* Without a number it takes back the body that is under way, which nobody asked for. */
static void on_refused(struct drive *d, const struct source_event *ev)
{
	struct asked *asked = &d->asked[d->head];

	must(d->head < d->count);
	must(asked->verb == SOURCE_VERB_FETCH || asked->verb == SOURCE_VERB_HEADERS ||
	     asked->verb == SOURCE_VERB_REMOVE);
	must(ev->number || d->open);
	if (ev->number)
		answered(asked, ev->number);
	must(!d->open || !d->open_number || !ev->number || d->open_number == ev->number);
	d->open = false;
}

/* What the engine emitted, and what it wrote into the trace. */
static void gather(struct drive *d)
{
	struct buf *out = source_out(d->source);
	struct buf *trace = source_trace(d->source);

	must(!fuzz_holds(out->data, out->len, SECRET) || source_out_secret(d->source) ||
	     d->secrets_out);
	must(!fuzz_holds(trace->data, trace->len, SECRET) || d->secrets_out);
	buf_clear(trace);
	judge_out(&d->judge, out);
	must(d->judge.octets <= 1000 + TOKEN_OCTETS * (d->fed + d->asking));
}

static void on_start_tls(struct drive *d)
{
	must(!d->judge.encrypted);
	gather(d);
	must(!d->in.len);
	if (d->late)
		buf_append(&d->in, "*", 1);
	d->walled = d->in.len > 0;
	source_tls_started(d->source);
	d->judge.encrypted = !d->walled;
}

static void on_offered(struct drive *d, const struct source_event *ev)
{
	must(d->judge.encrypted && !d->offered && !d->ready);
	d->offered = true;
	d->login = ev->login_command;
}

static void judge_strings(const struct source_event *ev)
{
	must(ev->key && ev->mechanisms && ev->capabilities && ev->text && ev->code);
	must(ev->name && ev->served && ev->wire && ev->attributes);
	must(strlen(ev->key) <= SOURCE_KEY_MAX);
	must(strlen(ev->text) <= SOURCE_TEXT_MAX);
	for (const char *c = ev->code; *c; c++)
		must(!islower((unsigned char)*c));
}

static uint64_t sum_text(uint64_t sum, const char *text)
{
	return fuzz_sum(sum, text, strlen(text) + 1);
}

static void sum_event(struct drive *d, enum source_what what, const struct source_event *ev)
{
	uint64_t numbers[] = {what,	ev->number, ev->octets, (uint64_t)ev->date, ev->validity,
			      ev->next, ev->exists, ev->verb,	ev->refused,	    ev->read_only};

	d->sum = fuzz_sum(d->sum, ev->bytes, ev->len);
	if (what == SOURCE_CHUNK)
		return;
	d->sum = fuzz_sum(d->sum, numbers, sizeof numbers);
	d->sum = sum_text(sum_text(sum_text(d->sum, ev->key), ev->text), ev->code);
	d->sum = sum_text(sum_text(d->sum, ev->mechanisms), ev->capabilities);
	d->sum = sum_text(sum_text(d->sum, ev->name), ev->attributes);
}

static void on_event(struct drive *d, enum source_what what, const struct source_event *ev)
{
	judge_strings(ev);
	sum_event(d, what, ev);
	must(!d->finished && !d->walled);
	must(!d->open || what == SOURCE_CHUNK || what == SOURCE_END || what == SOURCE_REFUSED);
	switch (what) {
	case SOURCE_START_TLS:
		on_start_tls(d);
		return;
	case SOURCE_AUTH_OFFERED:
		on_offered(d, ev);
		return;
	case SOURCE_CHALLENGE:
		must(d->authenticating && !d->challenged);
		d->challenged = true;
		return;
	case SOURCE_READY:
		must(d->judge.encrypted && !d->ready);
		d->ready = true;
		d->authenticating = false;
		return;
	case SOURCE_SELECTED:
		work(d, SOURCE_VERB_SELECT);
		must(!d->imap || ev->validity);
		return;
	case SOURCE_MAILBOX:
		work(d, SOURCE_VERB_MAILBOXES);
		must(ev->refused == (*ev->text != '\0'));
		return;
	case SOURCE_STATUS:
		work(d, SOURCE_VERB_STATUS);
		return;
	case SOURCE_LISTED:
		on_listed(d, ev);
		return;
	case SOURCE_BEGIN:
		on_begin(d, ev);
		return;
	case SOURCE_CHUNK:
		must(d->open && ev->len);
		d->came += ev->len;
		return;
	case SOURCE_END:
		on_end(d, ev);
		return;
	case SOURCE_GONE:
		must(at_work(d, SOURCE_VERB_FETCH) || at_work(d, SOURCE_VERB_HEADERS) ||
		     at_work(d, SOURCE_VERB_PRESENT) || at_work(d, SOURCE_VERB_REMOVE));
		answered(&d->asked[d->head], ev->number);
		return;
	case SOURCE_REFUSED:
		on_refused(d, ev);
		return;
	case SOURCE_REMOVED:
		answered(work(d, SOURCE_VERB_REMOVE), ev->number);
		return;
	case SOURCE_NEWS:
		work(d, SOURCE_VERB_IDLE);
		must(d->imap && ev->exists);
		return;
	case SOURCE_NOTICE:
	case SOURCE_BYE:
		must(d->judge.encrypted);
		return;
	case SOURCE_DONE:
		on_done(d, ev);
		return;
	default:
		fuzz_broken(__FILE__, __LINE__, "the event is known");
	}
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* It ended, and for good: whatever is asked of it. */
static void on_failed(struct drive *d)
{
	const struct err *err = source_err(d->source);
	struct source_set set = {.numbers = (uint32_t[]){1}, .count = 1};
	struct source_event ev;

	must(err->kind == ERR_TLS || err->kind == ERR_PROTOCOL || err->kind == ERR_TEMPORARY);
	must(*err->words);
	d->failed = true;
	d->sum = fuzz_sum(d->sum, &err->kind, sizeof err->kind);
	gather(d);
	buf_append(&d->in, "* OK\r\n+OK\r\n", 11);
	source_tls_started(d->source);
	source_respond(d->source, "Yg==");
	source_auth(d->source, "PLAIN", NULL);
	source_select(d->source, "INBOX", false);
	source_fetch(d->source, &set);
	source_finish(d->source);
	source_eof(d->source);
	must(source_next(d->source, &ev) == SOURCE_FAILED);
	must(!source_out(d->source)->len);
}

static void respond(struct drive *d)
{
	bool kept = d->answer < d->answer_count;

	d->challenged = false;
	d->judge.answers++;
	source_respond(d->source, kept ? d->answers[d->answer++] : "YWJj");
}

static void pump(struct drive *d)
{
	struct source_event ev;
	enum source_what what = SOURCE_FAILED;

	must(source_waiting_for(d->source));
	while (!d->failed) {
		while ((what = source_next(d->source, &ev)) > SOURCE_IDLE) {
			on_event(d, what, &ev);
			must(++d->events <= 1000 + (VERBS_MAX + 1) * (d->fed + d->asking));
		}
		if (what == SOURCE_FAILED) {
			on_failed(d);
			return;
		}
		must(!d->walled);
		gather(d);
		if (!d->challenged)
			break;
		respond(d);
	}
	if (d->failed)
		return;
	must(!d->ended || d->finished);
	must(what != SOURCE_NEED_VERB || d->judge.encrypted || d->finished);
	must(what != SOURCE_NEED_VERB || !d->ready || d->finished || d->head == d->count);
}

/* Only what is new, with what may have begun before it, can hold the secret now. */
static void hear(struct drive *d, const unsigned char *bytes, size_t len)
{
	size_t from;

	buf_append(&d->said, bytes, len);
	from = d->said.len - len;
	from -= from < sizeof SECRET ? from : sizeof SECRET;
	d->secrets_out |= fuzz_holds(d->said.data + from, d->said.len - from, SECRET);
}

static void feed(struct drive *d, const unsigned char *bytes, size_t len)
{
	while (len && !d->failed) {
		size_t piece = len < d->drip ? len : d->drip;

		buf_append(&d->in, bytes, piece);
		hear(d, bytes, piece);
		d->fed += piece;
		bytes += piece;
		len -= piece;
		pump(d);
	}
}

/* ---- what the session asks for ------------------------------------------------------------- */

static struct asked *ask(struct drive *d, enum source_verb verb)
{
	struct asked *asked = &d->asked[d->count++];

	*asked = (struct asked){.verb = verb};
	d->asking += 300; /* a command, with room */
	return asked;
}

static void ask_set(struct drive *d, enum source_verb verb, const char *text)
{
	struct asked *asked = ask(d, verb);
	struct source_set set;
	unsigned long last = 0;

	asked->numbers = mem_new(NUMBERS_MAX, sizeof *asked->numbers);
	asked->answered = mem_new(NUMBERS_MAX, sizeof *asked->answered);
	while (*text && asked->count < NUMBERS_MAX) {
		char *end;
		unsigned long from = strtoul(text, &end, 10);
		unsigned long to = *end == ':' ? strtoul(end + 1, &end, 10) : from;

		for (unsigned long n = from > last ? from : last + 1;
		     n <= to && n <= UINT32_MAX && asked->count < NUMBERS_MAX; n++)
			asked->numbers[asked->count++] = (uint32_t)(last = n);
		text = *end ? end + 1 : end;
	}
	d->asking += asked->count;
	set = (struct source_set){.numbers = asked->numbers, .count = asked->count};
	if (verb == SOURCE_VERB_FETCH)
		source_fetch(d->source, &set);
	else if (verb == SOURCE_VERB_HEADERS)
		source_headers(d->source, &set);
	else if (verb == SOURCE_VERB_PRESENT)
		source_present(d->source, &set);
	else
		source_remove(d->source, &set);
}

/* The words of an argument, each a string of its own; without those that are empty or there twice.
 */
static size_t split(char *argument, char **words)
{
	size_t count = 0;
	char *word;

	while (count < NAMES_MAX && (word = strsep(&argument, "\t"))) {
		bool fresh = *word;

		for (size_t i = 0; i < count; i++)
			fresh &= !str_same(words[i], word);
		if (fresh)
			words[count++] = word;
	}
	return count;
}

static void ask_names(struct drive *d, enum source_verb verb, char *argument)
{
	char *words[NAMES_MAX];
	size_t count = split(argument, words);

	if (!count || !d->imap)
		return;
	ask(d, verb);
	if (verb == SOURCE_VERB_MAILBOXES)
		source_mailboxes(d->source, (const char *const *)words, count);
	else
		source_status(d->source, (const char *const *)words, count);
}

/* base64 with the secret in front; what is none in the text is left out. */
static char *secret_of(const char *text, bool base64)
{
	struct buf secret = {0};
	char *copy;

	buf_text(&secret, SECRET);
	for (; *text; text++)
		if (!base64 || isalnum((unsigned char)*text) || *text == '+' || *text == '/')
			buf_append(&secret, text, 1);
	copy = mem_copy(buf_string(&secret));
	buf_free(&secret);
	return copy;
}

static bool may_log_in(const struct drive *d)
{
	return d->offered && !d->ready && !d->authenticating && d->head == d->count;
}

static void log_in(struct drive *d, char letter, char *argument)
{
	char *first = strsep(&argument, "\t");
	char *secret = argument ? secret_of(argument, letter == 'a') : NULL;

	d->judge.answers = 1;
	if (letter == 'a' && may_log_in(d)) {
		for (char *c = first; *c; c++)
			*c = (char)(isalnum((unsigned char)*c) ? toupper(*c) : '-');
		d->authenticating = true;
		source_auth(d->source, *first ? first : "PLAIN", secret);
	} else if (letter == 'l' && may_log_in(d) && d->login) {
		d->authenticating = true;
		source_login(d->source, first, secret ? secret : "");
	}
	mem_free_secret(&secret);
}

static void keep_answer(struct drive *d, char letter, const char *argument)
{
	char *answer = NULL;

	if (d->answer_count == ANSWERS_MAX)
		return;
	if (letter == 'r')
		answer = *argument ? secret_of(argument, true) : mem_copy("");
	d->answers[d->answer_count++] = answer;
}

static void ask_list(struct drive *d, const char *argument, unsigned wants)
{
	struct asked *asked = ask(d, SOURCE_VERB_LIST);

	asked->from = (uint32_t)strtoul(argument, NULL, 10);
	source_list(d->source, asked->from, wants);
}

static void ask_verb(struct drive *d, char letter, char *argument)
{
	switch (letter) {
	case 'm':
		ask_names(d, SOURCE_VERB_MAILBOXES, argument);
		return;
	case 't':
		ask_names(d, SOURCE_VERB_STATUS, argument);
		return;
	case 's':
	case 'w':
		ask(d, SOURCE_VERB_SELECT);
		source_select(d->source, argument, letter == 'w');
		return;
	case 'n':
		ask_list(d, argument, 0);
		return;
	case 'z':
		ask_list(d, argument, SOURCE_LIST_SIZES);
		return;
	case 'i':
		ask_list(d, argument, SOURCE_LIST_IDS);
		return;
	case 'f':
		ask_set(d, SOURCE_VERB_FETCH, argument);
		return;
	case 'h':
		ask_set(d, SOURCE_VERB_HEADERS, argument);
		return;
	case 'p':
		if (d->imap)
			ask_set(d, SOURCE_VERB_PRESENT, argument);
		return;
	case 'd':
		ask_set(d, SOURCE_VERB_REMOVE, argument);
		return;
	case 'y':
		ask(d, SOURCE_VERB_IDLE);
		source_idle(d->source);
		return;
	case 'q':
		ask(d, SOURCE_VERB_FINISH);
		d->finishing = true;
		source_finish(d->source);
		return;
	default:
		return;
	}
}

/* One thing that the session does. It asks for nothing behind finish, nor without end. */
static void act(struct drive *d, char letter, char *argument)
{
	d->asking += strlen(argument);
	if (letter == 'r' || letter == 'c')
		keep_answer(d, letter, argument);
	else if (letter == 'a' || letter == 'l')
		log_in(d, letter, argument);
	else if (letter == 'e' && !d->ended) {
		d->ended = true;
		source_eof(d->source);
	} else if (!d->finishing && d->count < VERBS_MAX && !d->authenticating)
		ask_verb(d, letter, argument);
	pump(d);
}

/* ---- an input ------------------------------------------------------------------------------ */

/* Takes the rest of a line as a string: what a configuration could hold, so no control characters
 * but in what is logged in with. */
static char *take_argument(const uint8_t **at, const uint8_t *end, char letter)
{
	const uint8_t *stop = memchr(*at, '\n', (size_t)(end - *at));
	size_t len = (size_t)((stop ? stop : end) - *at);
	char *argument = mem_copy_n((const char *)*at, len < ARGUMENT_MAX ? len : ARGUMENT_MAX);

	for (char *c = argument; *c; c++)
		if (letter != 'l' && *c != '\t' && (unsigned char)*c < ' ')
			*c = '_';
	*at += len + (stop != NULL);
	return argument;
}

static void follow(struct drive *d, const uint8_t *at, const uint8_t *end)
{
	struct buf server = {0};

	while (at < end && !d->failed && !d->ended) {
		char *argument;
		char letter;

		if (*at != DRIVE_MARK || at + 1 == end || at[1] == DRIVE_MARK) {
			at += *at == DRIVE_MARK && at + 1 < end;
			buf_append(&server, at++, 1);
			continue;
		}
		letter = (char)at[1];
		at += 2;
		if (letter == 'T') {
			buf_printf(&server, "a%u", ++d->tags);
			continue;
		}
		feed(d, server.data, server.len);
		buf_clear(&server);
		argument = take_argument(&at, end, letter);
		if (!d->failed)
			act(d, letter, argument);
		free(argument);
	}
	feed(d, server.data, d->ended ? 0 : server.len);
	buf_free(&server);
	if (!d->ended && !d->failed)
		act(d, 'e', (char[]){""});
}

/* True if it went on to the end of finish. */
static bool session(struct source *(*make)(const struct source_params *), bool imap,
		    const uint8_t *data, size_t size, size_t drip, uint64_t *sum_r)
{
	struct drive d = {.imap = imap, .drip = drip, .late = *data & 64};
	struct source_params params = {.in = &d.in,
				       .encrypted = *data & 1,
				       .trace = *data & 2,
				       .name = *data & 32 ? "mailhaul" : NULL,
				       .version = *data & 32 ? "1.0" : NULL};

	d.judge = (struct judge){.imap = imap, .encrypted = params.encrypted};
	d.secrets_out = fuzz_holds(data, size, SECRET);
	d.source = make(&params);
	follow(&d, data + 1, data + size);
	must(d.failed || d.finished);
	*sum_r = d.sum ^ d.judge.sum;
	source_free(&d.source);
	while (d.head < d.count)
		asked_drop(&d);
	for (size_t i = 0; i < d.answer_count; i++)
		free(d.answers[i]);
	buf_free(&d.in);
	buf_free(&d.said);
	return d.finished;
}

void drive(struct source *(*make)(const struct source_params *), bool imap, const uint8_t *data,
	   size_t size)
{
	size_t drip;
	uint64_t one = 0;
	uint64_t other = 0;
	bool whole;

	if (!size)
		return;
	drip = fuzz_drip(*data >> 2);
	whole = session(make, imap, data, size, drip, &one);
	/* Before TLS the pieces do make a difference: that is the wall. */
	if (!(*data & 1))
		return;
	whole &= session(make, imap, data, size, drip == SIZE_MAX ? 1 : SIZE_MAX, &other);
	/* POP3 has no tags: what comes before it was asked for is an answer or not by its time. */
	must(one == other || (!imap && !whole));
}
