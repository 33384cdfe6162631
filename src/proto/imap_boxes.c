/*
 * imap_boxes: the verbs mailboxes and status of the IMAP engine: which mailboxes there are and what
 * lies in them (RFC 3501 sections 6.3.8 and 6.3.10; RFC 2342 NAMESPACE, RFC 5258 LIST-EXTENDED, RFC
 * 5819 LIST-STATUS, RFC 6154 SPECIAL-USE; RFC 9051).
 *
 * Delimiter and prefix come with the answers, and asking for them first would cost a flight. So the
 * patterns we send match whatever they are, and too much; our driver knows the exact rules. What
 * the server lists is gathered until its last answer and then told, each mailbox once: so a server
 * may answer in any order and as often as it likes.
 */
#include "proto/imap_engine.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { ATTRIBUTES_MAX = 500, LINE_ROOM = SOURCE_COMMAND_MAX - 200 };

#define ITEMS "(MESSAGES UIDNEXT UIDVALIDITY)"

struct imap_box {
	UT_hash_handle hh;
	char *attributes;
	char *text; /* why the server does not tell its status */
	uint32_t validity, next, exists;
	bool asked;	 /* for its status, by name */
	bool impossible; /* on this server: wire is the name that was asked for */
	bool listed;	 /* and can be opened */
	bool told;	 /* STATUS came */
	char wire[];
};

/* ---- what the server said of mailboxes ----------------------------------------------------- */

void imap_boxes_forget(struct imap *im)
{
	struct imap_box *box = im->boxes;

	HASH_CLEAR(hh, im->boxes);
	while (box) {
		struct imap_box *next = box->hh.next;

		free(box->attributes);
		free(box->text);
		free(box);
		box = next;
	}
	im->boxes_octets = 0;
	im->box = NULL;
}

static struct imap_box *box_find(struct imap *im, const char *wire, size_t len)
{
	struct imap_box *box;

	if (str_is(wire, len, "INBOX"))
		wire = "INBOX";
	HASH_FIND(hh, im->boxes, wire, len, box);
	return box;
}

/* The mailbox of this name, made where there is none. NULL: there are too many. */
static struct imap_box *box_get(struct imap *im, const char *wire, size_t len)
{
	struct imap_box *box = box_find(im, wire, len);

	if (box)
		return box;
	im->boxes_octets += len;
	if (HASH_COUNT(im->boxes) == IMAP_BOXES_MAX || im->boxes_octets > IMAP_BOXES_OCTETS) {
		imap_fail(im, ERR_PROTOCOL, "server lists more mailboxes than an account can have");
		return NULL;
	}
	box = mem_new(1, sizeof *box + len + 1);
	memcpy(box->wire, str_is(wire, len, "INBOX") ? "INBOX" : wire, len);
	HASH_ADD(hh, im->boxes, wire, len, box);
	im->useful = true;
	return box;
}

/* The text of a string or an atom; false for a parenthesis. */
static bool text_of(struct imap_token *token, const char **text_r, size_t *len_r)
{
	if (token->kind == IMAP_OPEN || token->kind == IMAP_CLOSE)
		return false;
	if (token->kind == IMAP_QUOTED) {
		token->len = imap_unescape(token->bytes, token->len);
		token->kind = IMAP_LITERAL;
	}
	*text_r = (const char *)token->bytes;
	*len_r = token->len;
	return true;
}

/* NIL, and what could not be told from a pattern or from text in another encoding, is none. */
static char delimiter_of(struct imap_token *token)
{
	const char *text;
	size_t len;

	if (token->kind == IMAP_ATOM || !text_of(token, &text, &len) || len != 1 || *text <= ' ' ||
	    *text > '~' || strchr("%*&", *text))
		return '\0';
	return *text;
}

static void on_list(struct imap *im, const struct imap_line *line)
{
	struct buf attributes = {0};
	bool closed = false;
	struct imap_box *box;
	const char *text;
	size_t len;
	size_t i = 2;

	if (line->count < 5 || line->tokens[1].kind != IMAP_OPEN)
		return;
	for (; i < line->count && line->tokens[i].kind != IMAP_CLOSE; i++) {
		const struct imap_token *token = &line->tokens[i];

		closed |=
		    imap_token_is(token, "\\Noselect") || imap_token_is(token, "\\NonExistent");
		if (token->kind != IMAP_ATOM || attributes.len + token->len >= ATTRIBUTES_MAX)
			continue;
		buf_text(&attributes, attributes.len ? " " : "");
		buf_append(&attributes, token->bytes, token->len);
	}
	if (i + 2 < line->count && text_of(&line->tokens[i + 2], &text, &len) && len) {
		char delimiter = delimiter_of(&line->tokens[i + 1]);

		if (!im->space.delimiter)
			im->space.delimiter = delimiter;
		box = closed ? NULL : box_get(im, text, len);
		if (box) {
			box->listed = true;
			im->boxes_octets += box->attributes ? 0 : attributes.len;
			free(box->attributes);
			box->attributes = mem_copy(buf_string(&attributes));
		}
	}
	buf_free(&attributes);
}

static void on_status(struct imap *im, const struct imap_line *line)
{
	struct imap_box *box;
	const char *text;
	size_t len;

	if (line->count < 4 || line->tokens[2].kind != IMAP_OPEN ||
	    !text_of(&line->tokens[1], &text, &len) || !len)
		return;
	box = box_get(im, text, len);
	im->useful |= box && !box->told;
	for (size_t i = 3; box && i + 1 < line->count && line->tokens[i].kind == IMAP_ATOM;
	     i += 2) {
		const struct imap_token *name = &line->tokens[i];
		uint64_t number = 0;

		(void)imap_token_number(&line->tokens[i + 1], UINT32_MAX, &number);
		box->told = true;
		if (imap_token_is(name, "MESSAGES"))
			box->exists = (uint32_t)number;
		else if (imap_token_is(name, "UIDNEXT"))
			box->next = (uint32_t)number;
		else if (imap_token_is(name, "UIDVALIDITY"))
			box->validity = (uint32_t)number;
	}
}

static bool printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

/* Of the personal namespaces the one without a prefix counts, else the first. */
static void on_namespace(struct imap *im, const struct imap_line *line)
{
	bool first = true;

	if (line->count < 2 || line->tokens[1].kind != IMAP_OPEN)
		return;
	for (size_t i = 2; i + 2 < line->count && line->tokens[i].depth > 0; i++) {
		const char *text;
		size_t len;

		if (line->tokens[i].kind != IMAP_OPEN || line->tokens[i].depth != 1 ||
		    !text_of(&line->tokens[i + 1], &text, &len))
			continue;
		if (len > IMAP_PREFIX_MAX || !printable(text, len) || (!first && len))
			continue;
		memcpy(im->space.prefix, text, len);
		im->space.prefix[len] = '\0';
		im->space.delimiter = delimiter_of(&line->tokens[i + 2]);
		im->spaced = true;
		first = false;
		if (!len)
			return;
	}
}

bool imap_boxes_line(struct imap *im, const struct imap_line *line)
{
	static const struct {
		const char *word;
		void (*on)(struct imap *im, const struct imap_line *line);
		enum imap_step asked[2];
	} lines[] = {
	    {"LIST", on_list, {IMAP_STEP_MAILBOXES, IMAP_STEP_MAILBOXES}},
	    {"STATUS", on_status, {IMAP_STEP_MAILBOXES, IMAP_STEP_STATUS}},
	    {"NAMESPACE", on_namespace, {IMAP_STEP_NAMESPACE, IMAP_STEP_NAMESPACE}},
	};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		if (!imap_token_is(&line->tokens[0], lines[i].word))
			continue;
		if (imap_is_sent(im, lines[i].asked[0]) || imap_is_sent(im, lines[i].asked[1]))
			lines[i].on(im, line);
		return true;
	}
	if (!imap_token_is(&line->tokens[0], "ENABLED"))
		return false;
	for (size_t i = 1; i < line->count && imap_is_sent(im, IMAP_STEP_ENABLE); i++)
		im->space.utf8 |= imap_token_is(&line->tokens[i], "UTF8=ACCEPT");
	return true;
}

/* ---- status -------------------------------------------------------------------------------- */

/* Sends STATUS for the job's next name, or notes why it cannot. */
static void say_status(struct imap *im, struct imap_job *job)
{
	const char *name = job->names[job->said++];
	struct buf wire = {0};
	struct imap_box *box;

	if (!imap_name_write(&im->space, name, &wire)) {
		buf_text(&wire, name);
		box = box_get(im, buf_string(&wire), wire.len);
		if (box && !box->text)
			box->text = mem_copy("this server cannot have a mailbox of that name");
		if (box)
			box->impossible = true;
	} else {
		box = box_get(im, buf_string(&wire), wire.len);
		buf_text(imap_begin(im, IMAP_STEP_STATUS), "STATUS ");
		imap_string(im, buf_string(&wire));
		buf_text(&im->line, " " ITEMS);
		imap_send(im, 0);
	}
	if (box)
		box->asked = true;
	buf_free(&wire);
}

void imap_status_feed(struct imap *im, struct imap_job *job)
{
	if (!job->started)
		imap_boxes_forget(im);
	job->started = true;
	while (job->said < job->count && im->sent_count < IMAP_STATUSES_MAX && !im->line.len &&
	       !im->source.err)
		say_status(im, job);
	if (im->sent_count || job->said < job->count)
		return;
	im->telling = true;
	im->box = im->boxes;
}

/* Which name it answers is known by the place of the command. */
void imap_status_answer(struct imap *im, const struct imap_sent *sent, const struct imap_line *line)
{
	struct imap_job *job = im->jobs;
	struct buf wire = {0};
	struct imap_box *box = NULL;

	if (line->status == IMAP_OK || !sent->end || sent->end > job->count)
		return;
	if (imap_name_write(&im->space, job->names[sent->end - 1], &wire))
		box = box_find(im, buf_string(&wire), wire.len);
	if (box && !box->text)
		box->text = mem_copy(buf_string(&im->text));
	buf_free(&wire);
}

/* ---- mailboxes ----------------------------------------------------------------------------- */

static bool is_attribute(const char *item)
{
	return *item == '\\';
}

static bool tells_status(const struct imap *im)
{
	return imap_supports(im, "LIST-STATUS");
}

static bool extended(const struct imap *im)
{
	return imap_supports(im, "LIST-EXTENDED");
}

static bool special_use(const struct imap *im)
{
	return imap_supports(im, "SPECIAL-USE");
}

/* What follows the patterns, and the command is sent. */
static void list_end(struct imap *im)
{
	bool status = tells_status(im);
	bool use = special_use(im);

	if (status || use) {
		buf_text(&im->line, " RETURN (");
		buf_text(&im->line, use ? "SPECIAL-USE" : "");
		buf_text(&im->line, status && use ? " " : "");
		buf_text(&im->line, status ? "STATUS " ITEMS : "");
		buf_text(&im->line, ")");
	}
	imap_send(im, 0);
}

static void list_begin(struct imap *im, const char *selection)
{
	buf_text(imap_begin(im, IMAP_STEP_MAILBOXES), "LIST ");
	buf_text(&im->line, selection);
	buf_text(&im->line, "\"\" ");
}

static void list_everything(struct imap *im, const char *selection)
{
	list_begin(im, selection);
	imap_string(im, "*");
	list_end(im);
}

struct patterns {
	char *texts[IMAP_PATTERNS_MAX];
	size_t count;
	size_t octets;
	bool everything;
	bool attributes; /* items that only the attributes can tell */
};

static void patterns_add(struct patterns *patterns, const char *item)
{
	struct buf text = {0};

	if (is_attribute(item)) {
		patterns->attributes = true;
		return;
	}
	imap_name_pattern(item, &text);
	patterns->octets += 2 * text.len + 3;
	patterns->everything |= !strcmp(buf_string(&text), "*") ||
				patterns->count == IMAP_PATTERNS_MAX ||
				patterns->octets > LINE_ROOM;
	for (size_t i = 0; i < patterns->count && !patterns->everything; i++) {
		if (strcmp(patterns->texts[i], buf_string(&text)) != 0)
			continue;
		buf_free(&text);
		return;
	}
	if (!patterns->everything)
		patterns->texts[patterns->count++] = mem_copy(buf_string(&text));
	buf_free(&text);
}

/* Several patterns in one command (RFC 5258), or one command for each. */
static void list_patterns(struct imap *im, const struct patterns *patterns)
{
	bool together = extended(im) && patterns->count > 1;

	for (size_t i = 0; i < patterns->count; i++) {
		if (!together || !i)
			list_begin(im, "");
		if (together)
			buf_text(&im->line, i ? " " : "(");
		imap_string(im, patterns->texts[i]);
		if (!together)
			list_end(im);
	}
	if (!together)
		return;
	buf_text(&im->line, ")");
	list_end(im);
}

static void say_lists(struct imap *im, const struct imap_job *job)
{
	struct patterns patterns = {.count = 0};

	for (size_t i = 0; i < job->count; i++)
		patterns_add(&patterns, job->names[i]);
	if (patterns.attributes && !(special_use(im) && extended(im)))
		patterns.everything = true;
	if (patterns.everything)
		list_everything(im, "");
	else
		list_patterns(im, &patterns);
	if (patterns.attributes && !patterns.everything)
		list_everything(im, "(SPECIAL-USE) ");
	for (size_t i = 0; i < patterns.count; i++)
		free(patterns.texts[i]);
}

/* A name whose form on the wire is known before the server told how it writes names. */
static bool is_plain(const struct imap *im, const char *item)
{
	bool ascii = printable(item, strlen(item));

	return !is_attribute(item) && !strpbrk(item, "*%") && strlen(item) <= IMAP_NAME_MAX &&
	       (ascii || !imap_is_sent(im, IMAP_STEP_ENABLE));
}

/*
 * Where LIST does not tell it, STATUS of names as they are written goes along, so that quiet
 * mailboxes cost no second flight where the server writes them in the same way. A NO is no failure.
 */
void imap_boxes_feed(struct imap *im, struct imap_job *job)
{
	if (!job->started) {
		imap_boxes_forget(im);
		if (!im->spaced && imap_supports(im, "NAMESPACE"))
			imap_say(im, IMAP_STEP_NAMESPACE, "NAMESPACE");
		say_lists(im, job);
		if (tells_status(im))
			job->said = job->count;
	}
	job->started = true;
	while (job->said < job->count && im->sent_count < IMAP_STATUSES_MAX && !im->line.len &&
	       !im->source.err) {
		if (is_plain(im, job->names[job->said]))
			say_status(im, job);
		else
			job->said++;
	}
	if (im->sent_count || job->said < job->count)
		return;
	im->telling = true;
	im->box = im->boxes;
}

void imap_boxes_answer(struct imap *im, const struct imap_sent *sent, const struct imap_line *line)
{
	(void)sent;
	if (line->status != IMAP_OK)
		imap_note_refusal(im);
}

/* ---- telling ------------------------------------------------------------------------------- */

static void tell(struct imap *im, const struct imap_box *box, struct source_event *ev)
{
	const char *why;

	buf_clear(&im->name);
	buf_clear(&im->served);
	why = imap_name_read(&im->space, box->wire, box->hh.keylen, &im->name, &im->served);
	ev->name = buf_string(&im->name);
	ev->served = buf_string(&im->served);
	ev->wire = box->wire;
	ev->attributes = box->attributes ? box->attributes : "";
	ev->delimiter = im->space.delimiter;
	ev->validity = box->validity;
	ev->next = box->next;
	ev->exists = box->exists;
	ev->refused = why != NULL;
	ev->text = why ? why : "";
}

static bool tell_status(struct imap *im, const struct imap_box *box, struct source_event *ev)
{
	if (!box->asked)
		return false;
	tell(im, box, ev);
	if (box->impossible)
		ev->name = box->wire;
	ev->refused = !box->told;
	ev->text = box->text ? box->text : "";
	return true;
}

static void tell_end(struct imap *im)
{
	im->telling = false;
	imap_boxes_forget(im);
	imap_done_at_last(im);
}

bool imap_boxes_tell(struct imap *im, struct source_event *ev, enum source_what *what_r)
{
	bool status = im->jobs->verb == SOURCE_VERB_STATUS;

	*what_r = status ? SOURCE_STATUS : SOURCE_MAILBOX;
	while (im->box) {
		const struct imap_box *box = im->box;

		im->box = box->hh.next;
		if (status && tell_status(im, box, ev))
			return true;
		if (!status && (box->listed || (box->asked && box->told))) {
			tell(im, box, ev);
			return true;
		}
	}
	tell_end(im);
	return false;
}
