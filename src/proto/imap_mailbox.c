/*
 * imap_mailbox: the verbs select, list and remove of the IMAP engine (RFC 3501 sections 6.3.1,
 * 6.3.2, 6.4.6, 6.4.8; RFC 4315 UIDPLUS).
 *
 * Listing gathers the uids until the tagged answer, then sorts them and drops doubles: so a server
 * may answer in any order and as often as it likes. Removing expunges by uid or not at all: without
 * UIDPLUS or IMAP4rev2 messages are only marked, and a mailbox is never closed by CLOSE, because
 * both would take messages that others marked. Servers may answer OK and leave messages (Dovecot,
 * while another session expunges, too): then the EXPUNGEs are not as many as they should be.
 */
#include "proto/imap_engine.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>

enum { SET_ROOM = SOURCE_COMMAND_MAX - 100 };

/* ---- select -------------------------------------------------------------------------------- */

void imap_select_feed(struct imap *im, struct imap_job *job)
{
	struct buf wire = {0};

	if (job->started)
		return;
	job->started = true;
	im->validity = im->next = im->exists = 0;
	im->heeded = im->arrivals;
	if (!imap_name_write(&im->space, job->name, &wire)) {
		buf_clear(&im->text);
		buf_text(&im->text, "this server cannot have a mailbox of that name");
		*im->code = '\0';
		imap_done_refused(im);
		return;
	}
	im->writable = job->writing;
	buf_text(imap_begin(im, IMAP_STEP_SELECT), job->writing ? "SELECT " : "EXAMINE ");
	imap_string(im, buf_string(&wire));
	imap_send(im, 0);
	buf_free(&wire);
}

void imap_select_answer(struct imap *im, const struct imap_sent *sent, const struct imap_line *line)
{
	struct source_event *ev;

	(void)sent;
	if (line->status != IMAP_OK) {
		im->validity = 0;
		imap_done_refused(im);
		return;
	}
	if (!im->validity) {
		imap_fail_line(im, line,
			       "server opened the mailbox without telling its UIDVALIDITY");
		return;
	}
	/*
	 * Courier writes down the uids of a mailbox that is SELECTed, and not of one that is
	 * EXAMINEd: in the next session other messages may have them, and there may be another
	 * UIDVALIDITY. It is known by the UIDNEXT that it does not tell.
	 */
	if (im->remembers && !im->next && !im->jobs->writing) {
		im->jobs->writing = true;
		im->jobs->started = false;
		return;
	}
	if (str_is(line->code.bytes, line->code.len, "READ-ONLY"))
		im->writable = false;
	ev = imap_event(im, SOURCE_SELECTED);
	ev->validity = im->validity;
	ev->next = im->next;
	ev->exists = im->exists;
	ev->read_only = !im->writable;
	imap_done(im);
}

void imap_mailbox_code(struct imap *im, const struct imap_line *line)
{
	uint64_t number = 0;
	bool fine = str_number(line->args.bytes, line->args.len, UINT32_MAX, &number);

	if (str_is(line->code.bytes, line->code.len, "UIDVALIDITY")) {
		if (!fine || !number)
			imap_fail_line(im, line, "server told a UIDVALIDITY that is none");
		else if (imap_is_sent(im, IMAP_STEP_SELECT))
			im->validity = (uint32_t)number;
		else if (im->validity && im->validity != number)
			imap_fail_line(im, line,
				       "server changed the UIDVALIDITY of an open mailbox");
	} else if (str_is(line->code.bytes, line->code.len, "UIDNEXT") &&
		   imap_is_sent(im, IMAP_STEP_SELECT)) {
		im->next = fine ? (uint32_t)number : 0;
	}
}

void imap_mailbox_number(struct imap *im, const struct imap_line *line, uint32_t number)
{
	if (imap_token_is(&line->tokens[1], "EXISTS")) {
		/* A message arrived since the mailbox was opened: the next uid is no longer known.
		 */
		bool arrived = number > im->exists && !imap_is_sent(im, IMAP_STEP_SELECT);

		if (arrived)
			im->next = 0;
		im->arrivals += arrived;
		im->exists = number;
		imap_news(im);
	} else if (imap_token_is(&line->tokens[1], "EXPUNGE")) {
		im->exists -= im->exists > 0;
		if (!im->exists)
			im->heeded = im->arrivals; /* all that arrived has gone */
		if (im->jobs)
			im->jobs->awaits--;
	}
}

/* ---- list ---------------------------------------------------------------------------------- */

void imap_list_feed(struct imap *im, struct imap_job *job)
{
	const char *id;
	char letter;

	if (job->started)
		return;
	job->started = true;
	im->listed_count = 0;
	buf_clear(&im->ids);
	im->noted = 0;
	im->unsorted = false;
	if (!job->from)
		job->from = 1;
	job->arrivals = im->arrivals;
	if (!im->exists || (im->next && job->from >= im->next)) {
		im->heeded = im->arrivals;
		imap_done(im);
		return;
	}
	job->awaits = im->exists;
	id = job->wants & SOURCE_LIST_IDS ? imap_id_item(im, &letter) : NULL;
	buf_printf(imap_begin(im, IMAP_STEP_LIST), "UID FETCH %u:* (UID%s%s%s)", job->from,
		   job->wants & SOURCE_LIST_SIZES ? " RFC822.SIZE" : "", id ? " " : "",
		   id ? id : "");
	imap_send(im, 0);
}

static int by_uid(const void *a, const void *b)
{
	const struct imap_listed *x = a;
	const struct imap_listed *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static void listed_sort(struct imap *im)
{
	size_t put = 0;

	if (!im->unsorted)
		return;
	qsort(im->listed, im->listed_count, sizeof *im->listed, by_uid);
	for (size_t i = 0; i < im->listed_count; i++)
		if (!put || im->listed[put - 1].uid != im->listed[i].uid)
			im->listed[put++] = im->listed[i];
	im->listed_count = put;
	im->unsorted = false;
}

/* Room for one more. Doubles are dropped before anything grows, so that a server that repeats
 * itself costs no memory; that sorting is done only once the room is used up keeps it cheap. */
static bool listed_room(struct imap *im)
{
	if (im->listed_count < im->listed_room)
		return true;
	listed_sort(im);
	if (im->listed_count <= im->listed_room / 2 && im->listed_room)
		return true;
	if (im->listed_room >= IMAP_LISTED_MAX) {
		imap_fail(im, ERR_PROTOCOL, "server lists more messages than a mailbox can have");
		return false;
	}
	im->listed_room = im->listed_room ? im->listed_room * 2 : 64;
	im->listed = mem_resize(im->listed, im->listed_room, sizeof *im->listed);
	return true;
}

void imap_list_note(struct imap *im, const struct imap_message *message)
{
	const struct imap_job *job = im->jobs;
	uint32_t uid = message->uid;
	bool sizes;

	if (!job || uid < job->from)
		return;
	sizes = job->wants & SOURCE_LIST_SIZES;
	if (sizes && !message->sized)
		return;
	im->useful = im->noted++ < im->exists;
	if (!listed_room(im))
		return;
	if (im->listed_count && im->listed[im->listed_count - 1].uid >= uid)
		im->unsorted = true;
	im->listed[im->listed_count++] = (struct imap_listed){
	    .uid = uid, .octets = sizes ? message->size : 0, .id = imap_id_keep(im, message->id)};
}

void imap_list_answer(struct imap *im, const struct imap_sent *sent, const struct imap_line *line)
{
	(void)sent;
	if (line->status != IMAP_OK) {
		imap_done_refused(im);
		return;
	}
	/* From 1 on, "*" at least must have been answered; who believed that nothing is there would
	 * pass all of it over for ever. Perhaps others have just emptied the mailbox. */
	if (im->jobs->from == 1 && im->exists && !im->listed_count) {
		imap_fail(im, ERR_TEMPORARY, "server says that there are messages, and lists none");
		return;
	}
	im->heeded = im->jobs->arrivals;
	listed_sort(im);
	im->jobs->unsure = im->jobs->from == 1 && (int64_t)im->listed_count < im->jobs->awaits;
	imap_sweep(im, SOURCE_LISTED, 0, im->listed_count);
}

/* ---- remove -------------------------------------------------------------------------------- */

void imap_remove_feed(struct imap *im, struct imap_job *job)
{
	while (job->said < job->count && !job->refused && im->sent_count < IMAP_STORES_MAX) {
		struct buf *line = imap_begin(im, IMAP_STEP_STORE);
		const uint32_t *numbers = job->numbers + job->said;
		size_t fitted;

		job->started = true;
		buf_text(line, "UID STORE ");
		fitted = imap_set(line, numbers, job->count - job->said, SET_ROOM);
		job->said += fitted;
		buf_text(line, " +FLAGS.SILENT (\\Deleted)");
		imap_send(im, 0);
		if (!imap_supports(im, "UIDPLUS"))
			continue;
		buf_text(imap_begin(im, IMAP_STEP_EXPUNGE), "UID EXPUNGE ");
		imap_set(line, numbers, fitted, SET_ROOM);
		imap_send(im, 0);
		job->awaits += (int64_t)fitted;
	}
	if (im->sent_count)
		return;
	job->unsure = imap_supports(im, "UIDPLUS") && job->awaits;
	imap_done_at_last(im);
}

void imap_store_answer(struct imap *im, const struct imap_sent *sent, const struct imap_line *line)
{
	im->jobs->marked = line->status == IMAP_OK;
	if (!im->jobs->marked)
		imap_note_refusal(im);
	if (im->sent_count && im->sent[0].step == IMAP_STEP_EXPUNGE)
		return;
	if (im->jobs->marked)
		imap_sweep(im, SOURCE_REMOVED, im->jobs->heard, sent->end);
	im->jobs->heard = sent->end;
}

void imap_expunge_answer(struct imap *im, const struct imap_sent *sent,
			 const struct imap_line *line)
{
	if (line->status != IMAP_OK)
		imap_note_refusal(im);
	if (line->status == IMAP_OK && im->jobs->marked)
		imap_sweep(im, SOURCE_REMOVED, im->jobs->heard, sent->end);
	else
		im->jobs->awaits -= (int64_t)(sent->end - im->jobs->heard);
	im->jobs->heard = sent->end;
}
