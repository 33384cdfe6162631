/*
 * hand: the letters of one mailbox that an MDA is to have, one after the other, each with its rows
 * made durable before and after: taken or waiting -> handed -> delivered, waiting or quarantined.
 *
 * One transaction a letter: what became of one letter and that the next is handed over go together.
 */
#include "session/hand.h"

#include "util/crash.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	MINUTE = 60,
	HOUR = 60 * MINUTE,
	HAND_GIVE_UP = 5 * 24 * HOUR /* seconds after which a letter that waits is quarantined */
};

struct errand {
	struct errand *next;
	uint32_t number;
	uint32_t validity;
	struct state_row row;
};

struct hand {
	struct hand_params params;
	struct errand *first, **last;
	struct errand *now;  /* the one that is handed over */
	struct batch *batch; /* what the next commit says */
	bool committing;
	bool running; /* the MDA runs */
	bool stopped;
	struct err failed;
};

static void go_on(struct hand *hand);

static struct batch *next_batch(struct hand *hand)
{
	if (!hand->batch)
		hand->batch = batch_new(&hand->params.batch);
	return hand->batch;
}

struct hand *hand_new(const struct hand_params *params)
{
	struct hand *hand = mem_new(1, sizeof *hand);

	hand->params = *params;
	hand->last = &hand->first;
	return hand;
}

static void free_errand(struct errand **errand_p)
{
	struct errand *errand = *errand_p;

	if (!errand)
		return;
	/* NOLINTBEGIN(performance-no-int-to-ptr): held as const, and ours to free. */
	free((char *)(uintptr_t)errand->row.key);
	free((char *)(uintptr_t)errand->row.name);
	free((char *)(uintptr_t)errand->row.mark);
	/* NOLINTEND(performance-no-int-to-ptr) */
	free(errand);
	*errand_p = NULL;
}

void hand_free(struct hand **hand_p)
{
	struct hand *hand = *hand_p;

	if (!hand)
		return;
	while (hand->first) {
		struct errand *errand = hand->first;

		hand->first = errand->next;
		free_errand(&errand);
	}
	free_errand(&hand->now);
	if (!hand->committing)
		batch_free(&hand->batch);
	free(hand);
	*hand_p = NULL;
}

void hand_add(struct hand *hand, uint32_t number, uint32_t validity, const struct state_row *row)
{
	struct errand *errand;

	if (hand->stopped)
		return;
	errand = mem_new(1, sizeof *errand);
	errand->number = number;
	errand->validity = validity;
	errand->row = *row;
	errand->row.key = mem_copy(row->key);
	errand->row.name = mem_copy(row->name);
	errand->row.mark = mem_copy(row->mark);
	*hand->last = errand;
	hand->last = &errand->next;
	if (!hand->now && !hand->committing)
		go_on(hand);
}

void hand_stop(struct hand *hand)
{
	hand->stopped = true;
}

void hand_abort(struct hand *hand)
{
	struct sink *sink = hand->params.batch.sink;

	if (hand->running && sink->ops->stop)
		sink->ops->stop(sink);
}

bool hand_busy(const struct hand *hand)
{
	return hand->committing || hand->running;
}

/* The first retry comes with the next poll, however long the letter stood in the queue or the MDA
 * took; the others at intervals that grow with its age. */
static int64_t next_try(const struct state_row *row, int64_t now)
{
	static const int64_t minute = MINUTE;
	int64_t age = now - row->taken;

	if (!row->next_try)
		return now;
	if (age < 5 * minute)
		return now + 5 * minute;
	if (age < 15 * minute)
		return now + 15 * minute;
	return now + (age < HOUR ? HOUR : 4 * HOUR);
}

static void quarantine(struct hand *hand, struct errand *errand, struct err *err)
{
	struct err why = *err;

	errand->row.is = STATE_QUARANTINED;
	batch_quarantine(next_batch(hand), errand->row.name);
	err_set(err, ERR_QUARANTINE,
		"message %s could not be delivered and is in the quarantine now; it stays on the "
		"server: %s",
		errand->row.key, why.words);
	memcpy(err->server, why.server, sizeof err->server);
}

static void judge(struct hand *hand, struct errand *errand, enum sink_verdict verdict,
		  struct err *err)
{
	int64_t now = time(NULL);
	int64_t later = next_try(&errand->row, now);

	errand->row.changed = now;
	errand->row.is = STATE_WAITING;
	errand->row.next_try = now;
	switch (verdict) {
	case SINK_DELIVERED:
		errand->row.is = STATE_DELIVERED;
		batch_discard(next_batch(hand), errand->row.name);
		return;
	case SINK_LATER:
		errand->row.next_try = later;
		if (now - errand->row.taken > HAND_GIVE_UP)
			quarantine(hand, errand, err);
		else
			err_wrap(err, "message %s waits in the spool", errand->row.key);
		return;
	case SINK_ATTEMPT:
		errand->row.attempts++;
		if (errand->row.attempts >= hand->params.max_attempts)
			quarantine(hand, errand, err);
		else
			err_wrap(err, "message %s waits in the spool (attempt %u of %u)",
				 errand->row.key, errand->row.attempts, hand->params.max_attempts);
		return;
	case SINK_BROKEN:
		hand->stopped = true;
		return;
	}
}

static void handed(void *ctx, enum sink_verdict verdict, const struct err *why)
{
	struct hand *hand = ctx;
	struct errand *errand = hand->now;
	struct err err = why ? *why : (struct err){.kind = ERR_NONE};

	crash_point("hand-verdict");
	judge(hand, errand, verdict, &err);
	batch_put(next_batch(hand), errand->validity, &errand->row);
	hand->params.on_result(
	    hand->params.ctx,
	    &(struct hand_result){.number = errand->number,
				  .key = errand->row.key,
				  .is = errand->row.is,
				  .octets = errand->row.octets,
				  .err = verdict == SINK_DELIVERED ? NULL : &err});
	free_errand(&hand->now);
	hand->running = false;
	go_on(hand);
}

static void committed(void *ctx, struct batch *batch)
{
	struct hand *hand = ctx;

	hand->committing = false;
	if (batch_err(batch)->kind) {
		hand->failed = *batch_err(batch);
		hand->stopped = true;
		free_errand(&hand->now);
	}
	batch_free(&batch);
	if (hand->now) {
		struct sink *sink = hand->params.batch.sink;

		crash_point("hand-handed");
		hand->running = true;
		sink->ops->hand(
		    sink,
		    &(struct sink_letter){.name = hand->now->row.name, .uid = hand->now->row.key},
		    handed, hand);
		return;
	}
	go_on(hand);
}

/* Takes the next letter, if there is one, and makes durable what is to be said: then either the MDA
 * starts, or the queue is idle. */
static void go_on(struct hand *hand)
{
	struct batch *batch;

	if (hand->first && !hand->stopped) {
		hand->now = hand->first;
		hand->first = hand->now->next;
		if (!hand->first)
			hand->last = &hand->first;
		hand->now->row.is = STATE_HANDED;
		hand->now->row.changed = time(NULL);
		batch_put(next_batch(hand), hand->now->validity, &hand->now->row);
	}
	batch = hand->batch;
	hand->batch = NULL;
	if (batch) {
		hand->committing = true;
		batch_commit(batch, committed, hand);
		return;
	}
	hand->params.on_idle(hand->params.ctx, hand->failed.kind ? &hand->failed : NULL);
}
