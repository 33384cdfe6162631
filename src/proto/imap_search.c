/*
 * imap_search: the ids by which a server names messages whatever their numbering (EMAILID of RFC
 * 8474, X-GM-MSGID), and the verb present.
 *
 * present asks by UID SEARCH RETURN (ALL), whose answer is as short as a set (RFC 4731), else by
 * UID FETCH (UID). So that the answer's line stays below what the parser takes, even where only
 * every second message is left of a range, a command names a bounded number of messages.
 */
#include "proto/imap_engine.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

enum {
	SET_ROOM = SOURCE_COMMAND_MAX - 100,
	PRESENT_MAX = 5000, /* messages in one command: 11 octets of the answer each */
	ID_MAX = 255	    /* RFC 8474 section 4 */
};

/* ---- ids ----------------------------------------------------------------------------------- */

/* Where a server has both, only Gmail's says that a message is the same in all its mailboxes. */
const char *imap_id_item(const struct imap *im, char *letter_r)
{
	if (imap_offers(im, "X-GM-EXT-1")) {
		*letter_r = 'G';
		return "X-GM-MSGID";
	}
	if (imap_offers(im, "OBJECTID")) {
		*letter_r = 'E';
		return "EMAILID";
	}
	return NULL;
}

uint32_t imap_id_keep(struct imap *im, struct imap_span id)
{
	char letter;
	uint32_t at;

	if (!id.len || id.len > ID_MAX || !(im->jobs->wants & SOURCE_LIST_IDS) ||
	    !imap_id_item(im, &letter))
		return 0;
	for (size_t i = 0; i < id.len; i++)
		if (id.bytes[i] <= ' ' || id.bytes[i] >= 0x7f)
			return 0;
	if (im->ids.len + id.len >= IMAP_IDS_MAX) {
		imap_fail(im, ERR_PROTOCOL,
			  "server sends more ids of messages than fit into memory");
		return 0;
	}
	if (!im->ids.len)
		buf_append(&im->ids, "", 1);
	at = (uint32_t)im->ids.len;
	buf_append(&im->ids, &letter, 1);
	buf_append(&im->ids, id.bytes, id.len);
	buf_append(&im->ids, "", 1);
	return at;
}

/* ---- present ------------------------------------------------------------------------------- */

static void say_part(struct imap *im, struct imap_job *job)
{
	struct buf *line = imap_begin(im, IMAP_STEP_PRESENT);
	size_t left = job->count - job->said;
	bool search = imap_supports(im, "ESEARCH");

	buf_text(line, search ? "UID SEARCH RETURN (ALL) UID " : "UID FETCH ");
	job->said += imap_set(line, job->numbers + job->said,
			      left < PRESENT_MAX ? left : PRESENT_MAX, SET_ROOM);
	if (!search)
		buf_text(line, " (UID)");
	imap_send(im, 0);
}

void imap_present_feed(struct imap *im, struct imap_job *job)
{
	job->started = true;
	while (!job->refused && job->said < job->count && im->sent_count < IMAP_FETCHES_MAX)
		say_part(im, job);
	if (!im->sent_count)
		imap_done_at_last(im);
}

void imap_present_note(struct imap *im, uint32_t uid)
{
	unsigned char *waits = im->jobs->verb == SOURCE_VERB_PRESENT ? imap_awaited(im, uid) : NULL;

	im->useful |= waits != NULL;
	if (waits)
		*waits = 1;
}

/* The first of the job's numbers in flight that is not lower. */
static size_t from_number(const struct imap_job *job, uint64_t number)
{
	size_t low = job->heard;
	size_t high = job->said;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (job->numbers[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* One part of a set: "7" or "7:9", in either order. */
static bool note_part(struct imap *im, const unsigned char *text, size_t len)
{
	struct imap_job *job = im->jobs;
	const unsigned char *colon = memchr(text, ':', len);
	size_t first_len = colon ? (size_t)(colon - text) : len;
	uint64_t first;
	uint64_t last;

	if (!str_number(text, first_len, UINT32_MAX, &first))
		return false;
	last = first;
	if (colon && !str_number(colon + 1, len - first_len - 1, UINT32_MAX, &last))
		return false;
	if (last < first) {
		uint64_t swap = first;

		first = last;
		last = swap;
	}
	for (size_t i = from_number(job, first); i < job->said && job->numbers[i] <= last; i++)
		job->answered[i] = 1;
	return true;
}

static bool note_set(struct imap *im, const struct imap_token *set)
{
	const unsigned char *at = set->bytes;
	const unsigned char *end = at + set->len;

	while (at < end) {
		const unsigned char *comma = memchr(at, ',', (size_t)(end - at));
		const unsigned char *stop = comma ? comma : end;

		if (!note_part(im, at, (size_t)(stop - at)))
			return false;
		at = stop + 1;
	}
	return true;
}

/* The command in flight that has this tag, and asks which messages are there; NULL if none. */
static struct imap_sent *search_of(struct imap *im, const struct imap_token *tag)
{
	char text[16];

	for (size_t i = 0; i < im->sent_count; i++) {
		snprintf(text, sizeof text, "a%u", im->sent[i].tag);
		if (im->sent[i].step == IMAP_STEP_PRESENT && tag->len == strlen(text) &&
		    !memcmp(tag->bytes, text, tag->len))
			return &im->sent[i];
	}
	return NULL;
}

/* The answer names the command that it belongs to (RFC 4466): ESEARCH (TAG "a5") UID ALL 2,4:6. One
 * without ALL says that none is there. Dovecot sends those of several commands before it says OK to
 * the first. */
void imap_esearch(struct imap *im, const struct imap_line *line)
{
	const struct imap_token *tokens = line->tokens;
	struct imap_sent *search;

	if (line->count < 5 || !imap_token_is(&tokens[2], "TAG"))
		return;
	search = search_of(im, &tokens[3]);
	if (!search)
		return;
	im->useful = !search->searched;
	search->searched = true;
	for (size_t i = 5; i + 1 < line->count; i++)
		if (imap_token_is(&tokens[i], "ALL") && !note_set(im, &tokens[i + 1])) {
			imap_fail_line(im, line, "server sent a set that cannot be understood");
			return;
		}
}

/* Without an answer that can be trusted nothing is said to be gone. */
void imap_present_answer(struct imap *im, const struct imap_sent *sent,
			 const struct imap_line *line)
{
	struct imap_job *job = im->jobs;

	if (line->status == IMAP_OK && (sent->searched || !imap_supports(im, "ESEARCH")))
		imap_sweep(im, SOURCE_GONE, job->heard, sent->end);
	else
		imap_note_refusal(im);
	job->heard = sent->end;
}
