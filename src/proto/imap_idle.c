/*
 * imap_idle: the verb idle of the IMAP engine (RFC 2177; RFC 9051 section 6.3.13), and how little
 * memory an engine keeps that only listens.
 *
 * Whether something arrived is known from EXISTS alone, whichever command it came with: each that
 * tells of more messages than there were is an arrival, which a later list, or NEWS, heeds. So
 * nothing is missed between the end of a list and the server's "+".
 *
 * DONE answers "+" (RFC 2177 section 3): where a verb waits already, it waits for that.
 */
#include "proto/imap_engine.h"
#include "util/mem.h"

#include <stdlib.h>

/* A verb that waits may look at the mailbox itself. What it does not see is told when the engine
 * listens again. */
void imap_news(struct imap *im)
{
	const struct imap_job *job = im->jobs;

	if (!job || job->verb != SOURCE_VERB_IDLE || im->arrivals == im->heeded ||
	    (job->next && job->next->verb != SOURCE_VERB_IDLE))
		return;
	im->heeded = im->arrivals;
	im->useful = true;
	imap_event(im, SOURCE_NEWS)->exists = im->exists;
}

static void idle_refuse(struct imap *im, const char *why)
{
	buf_clear(&im->text);
	buf_text(&im->text, why);
	*im->code = '\0';
	imap_done_refused(im);
}

static void idle_begin(struct imap *im, struct imap_job *job)
{
	if (!im->validity) {
		idle_refuse(im, "no mailbox is selected");
	} else if (!imap_supports(im, "IDLE")) {
		idle_refuse(im, "server does not offer IDLE");
	} else if (job->next) {
		imap_done(im);
	} else {
		job->started = true;
		imap_say(im, IMAP_STEP_IDLE, "IDLE");
		imap_news(im);
	}
}

void imap_idle_feed(struct imap *im, struct imap_job *job)
{
	if (!job->started) {
		idle_begin(im, job);
	} else if (job->next && job->accepted && !job->ended) {
		job->ended = true;
		imap_send_answer(im, "DONE", false);
	}
}

bool imap_idle_continue(struct imap *im)
{
	struct imap_job *job = im->jobs;

	if (!im->sent_count || im->sent[0].step != IMAP_STEP_IDLE || job->accepted)
		return false;
	job->accepted = true;
	return true;
}

/* An OK to what we did not end is a refusal, too: who asked again would be answered so again. */
void imap_idle_answer(struct imap *im, const struct imap_sent *sent, const struct imap_line *line)
{
	(void)sent;
	if (im->jobs->ended && line->status == IMAP_OK)
		imap_done(im);
	else
		imap_done_refused(im);
}

const char *imap_idle_waits_for(const struct imap *im)
{
	if (im->jobs->ended)
		return "the answer to DONE";
	return im->jobs->accepted ? "news of the mailbox" : imap_steps[IMAP_STEP_IDLE].name;
}

/* What was sent may have held secrets. */
static void give_back(struct buf *b)
{
	if (!b->len)
		buf_wipe(b);
}

void imap_idle_rest(struct imap *im)
{
	if (!im->sent_count || im->sent[0].step != IMAP_STEP_IDLE || !im->jobs->accepted ||
	    im->source.in->len)
		return;
	imap_parse_rest(im->parse);
	give_back(&im->source.out);
	give_back(&im->source.trace);
	buf_free(&im->line);
	buf_free(&im->text);
	buf_free(&im->mechanisms);
	buf_free(&im->name);
	buf_free(&im->served);
	buf_free(&im->ids);
	buf_fit(&im->capabilities);
	imap_boxes_forget(im);
	free(im->listed);
	im->listed = NULL;
	im->listed_count = im->listed_room = 0;
	free(im->events);
	im->events = NULL;
	if (im->sent_room > im->sent_count) {
		im->sent_room = im->sent_count;
		im->sent = mem_resize(im->sent, im->sent_room, sizeof *im->sent);
	}
}
