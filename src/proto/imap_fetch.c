/*
 * imap_fetch: FETCH responses, and the verbs fetch and headers of the IMAP engine (RFC 3501
 * sections 6.4.5, 6.4.8, 7.4.2).
 *
 * Every FETCH is matched by its UID against what was asked and not yet answered, never by its
 * number or its place; its items may stand in any order. A body whose UID stands behind it is told
 * as BEGIN with number 0 and named at its END, or disowned with REFUSED. What was not asked for is
 * read over. A uid that no FETCH answered is gone when the command was taken (RFC 3501: unknown
 * uids are ignored), and refused when it was not (RFC 2180: what came before a NO counts).
 */
#include "proto/imap_engine.h"

#include "util/str.h"

enum { SET_ROOM = SOURCE_COMMAND_MAX - 100 };

#define HEADERS "BODY[HEADER.FIELDS"

/* ---- the verb ------------------------------------------------------------------------------ */

void imap_fetch_feed(struct imap *im, struct imap_job *job)
{
	while (job->said < job->count && im->sent_count < IMAP_FETCHES_MAX) {
		struct buf *line = imap_begin(im, IMAP_STEP_FETCH);

		if (!job->started)
			im->strayed = false;
		job->started = true;
		buf_text(line, "UID FETCH ");
		job->said +=
		    imap_set(line, job->numbers + job->said, job->count - job->said, SET_ROOM);
		buf_text(line, job->verb == SOURCE_VERB_HEADERS
				   ? " (UID INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE "
				     "FROM)])"
				   : " (UID INTERNALDATE BODY.PEEK[])");
		imap_send(im, 0);
	}
	if (!im->sent_count)
		imap_done(im);
}

/* A server that sends bodies without their uids may have sent these: they are not gone. */
void imap_fetch_answer(struct imap *im, const struct imap_sent *sent, const struct imap_line *line)
{
	struct imap_job *job = im->jobs;
	enum source_what what = SOURCE_REFUSED;

	if (line->status == IMAP_OK && im->strayed) {
		buf_clear(&im->text);
		buf_text(&im->text, "server sent a body without its UID");
	} else if (line->status == IMAP_OK) {
		what = SOURCE_GONE;
	}
	imap_sweep(im, what, job->heard, sent->end);
	job->heard = sent->end;
}

static bool asks_for_bodies(const struct imap *im)
{
	return im->jobs &&
	       (im->jobs->verb == SOURCE_VERB_FETCH || im->jobs->verb == SOURCE_VERB_HEADERS) &&
	       imap_is_sent(im, IMAP_STEP_FETCH);
}

unsigned char *imap_awaited(struct imap *im, uint32_t uid)
{
	struct imap_job *job = im->jobs;
	size_t low = job->heard;
	size_t high = job->said;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (job->numbers[middle] == uid)
			return job->answered[middle] ? NULL : &job->answered[middle];
		if (job->numbers[middle] < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static unsigned char *awaited(struct imap *im, uint32_t uid)
{
	return asks_for_bodies(im) ? imap_awaited(im, uid) : NULL;
}

bool imap_is_body(const struct imap *im, const struct imap_token *name)
{
	if (im->jobs && im->jobs->verb == SOURCE_VERB_HEADERS)
		return name->kind == IMAP_ATOM && str_begins(name->bytes, name->len, HEADERS);
	return imap_token_is(name, "BODY[]");
}

/* ---- items --------------------------------------------------------------------------------- */

static bool item_uid(struct imap_message *message, const struct imap_token *value)
{
	uint64_t uid;

	if (!imap_token_number(value, UINT32_MAX, &uid) || !uid ||
	    (message->uid && message->uid != uid))
		return false;
	message->uid = (uint32_t)uid;
	return true;
}

/* A body that is no literal: NIL, or a quoted string. */
static bool item_body(struct imap_message *message, struct imap_token *value)
{
	if (message->streaming || message->quoted)
		return true;
	if (imap_token_is(value, "NIL") || (value->kind == IMAP_QUOTED && !value->len)) {
		message->empty = true;
		return true;
	}
	if (value->kind != IMAP_QUOTED)
		return false;
	message->quoted = value;
	return true;
}

/* EMAILID (M1), X-GM-MSGID 1: the value's only token. */
static void item_id(struct imap_message *message, const struct imap_token *value,
		    const struct imap_token *end)
{
	if (value->kind == IMAP_OPEN && ++value == end)
		return;
	if (value->kind == IMAP_ATOM)
		message->id = (struct imap_span){value->bytes, value->len};
}

static bool item(struct imap *im, const struct imap_token *name, struct imap_token *value,
		 const struct imap_token *end)
{
	struct imap_message *message = &im->message;

	if (imap_token_is(name, "UID"))
		return item_uid(message, value);
	if (imap_is_body(im, name))
		return item_body(message, value);
	if (imap_token_is(name, "EMAILID") || imap_token_is(name, "X-GM-MSGID"))
		item_id(message, value, end);
	if (imap_token_is(name, "RFC822.SIZE"))
		message->sized = imap_token_number(value, INT64_MAX, &message->size);
	else if (imap_token_is(name, "INTERNALDATE") && value->kind != IMAP_ATOM)
		(void)imap_date(value->bytes, value->len, &message->date);
	return true;
}

/* Pairs of a name and a value up to the end of the list, or to the name of a body. */
static bool items(struct imap *im, const struct imap_line *line, bool body)
{
	size_t end = body ? line->count - 1 : line->count;

	for (size_t i = line->rest ? 0 : 3; i < end;) {
		const struct imap_token *name = &line->tokens[i++];
		struct imap_token *value = &line->tokens[i];

		if (name->kind == IMAP_CLOSE && name->depth == 0)
			return i == line->count;
		if (name->kind != IMAP_ATOM || i >= end || value->kind == IMAP_CLOSE)
			return false;
		if (!item(im, name, value, line->tokens + end))
			return false;
		i++;
		if (value->kind == IMAP_OPEN) {
			while (i < end && line->tokens[i].depth > value->depth)
				i++;
			i++;
		}
	}
	return body;
}

/* ---- responses ----------------------------------------------------------------------------- */

static void begin_body(struct imap *im, const struct imap_line *line)
{
	struct imap_message *message = &im->message;
	struct source_event *ev;

	message->taking = false;
	if (!imap_is_body(im, &line->tokens[line->count - 1]) || message->streaming)
		return;
	if (!asks_for_bodies(im) || (message->uid && !awaited(im, message->uid)))
		return;
	if (!line->octets) {
		message->empty = true;
		return;
	}
	message->streaming = message->taking = true;
	message->octets = line->octets;
	ev = imap_event(im, SOURCE_BEGIN);
	imap_name(im, ev, message->uid);
	ev->octets = line->octets;
}

static void refuse(struct imap *im, uint32_t uid, const char *text)
{
	struct source_event *ev = imap_event(im, SOURCE_REFUSED);

	imap_name(im, ev, uid);
	ev->text = text;
}

static void tell_end(struct imap *im)
{
	struct source_event *ev = imap_event(im, SOURCE_END);

	imap_name(im, ev, im->message.uid);
	ev->octets = im->message.octets;
	ev->date = im->message.date;
}

static void tell_quoted(struct imap *im)
{
	struct imap_message *message = &im->message;
	struct source_event *ev;

	message->octets = imap_unescape(message->quoted->bytes, message->quoted->len);
	ev = imap_event(im, SOURCE_BEGIN);
	imap_name(im, ev, message->uid);
	ev->octets = message->octets;
	ev = imap_event(im, SOURCE_CHUNK);
	ev->bytes = message->quoted->bytes;
	ev->len = (size_t)message->octets;
	tell_end(im);
}

/* The response is whole. */
static void end_message(struct imap *im)
{
	struct imap_message *message = &im->message;
	unsigned char *waits = message->uid ? awaited(im, message->uid) : NULL;
	bool came = message->streaming || message->quoted || message->empty;

	if (message->uid && imap_is_sent(im, IMAP_STEP_LIST))
		imap_list_note(im, message);
	if (message->uid && imap_is_sent(im, IMAP_STEP_PRESENT))
		imap_present_note(im, message->uid);
	if (!message->uid && came && imap_is_sent(im, IMAP_STEP_FETCH))
		im->strayed = true;
	if (!waits) {
		if (message->streaming) {
			im->source.chatter += message->octets;
			refuse(im, 0, "server sent a body that was not asked for");
		}
		return;
	}
	if (!came)
		return;
	im->useful = true;
	*waits = 1;
	if (message->streaming)
		tell_end(im);
	else if (message->quoted)
		tell_quoted(im);
	else
		refuse(im, message->uid, "server sent no body");
}

void imap_fetch_part(struct imap *im, enum imap_what what, const struct imap_line *line)
{
	uint64_t number;

	if (!line->rest) {
		im->message = (struct imap_message){0};
		if (line->count < 4 || line->tokens[2].kind != IMAP_OPEN ||
		    !imap_token_number(&line->tokens[0], UINT32_MAX, &number)) {
			imap_fail_line(im, line, "server sent a FETCH without a list");
			return;
		}
	}
	/* A quoted body lies in the part it came in: it cannot wait for another part to end. */
	if (!items(im, line, what == IMAP_BODY) || (what == IMAP_BODY && im->message.quoted)) {
		imap_fail_line(im, line, "server sent a FETCH that cannot be understood");
		return;
	}
	if (what == IMAP_BODY)
		begin_body(im, line);
	else
		end_message(im);
}

void imap_fetch_octets(struct imap *im, const struct imap_line *line)
{
	struct source_event *ev;

	if (!im->message.taking)
		return;
	ev = imap_event(im, SOURCE_CHUNK);
	ev->bytes = line->bytes.bytes;
	ev->len = line->bytes.len;
}
