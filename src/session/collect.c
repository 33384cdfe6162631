/*
 * collect: one mailbox of a visit: recovery, listing, fetching into letters, commits, handing over,
 * removal. It takes the events of the source that belong to a mailbox; session drives it.
 *
 * A message becomes a letter as it streams; a letter that ended joins the open batch; a batch that
 * is full is committed while the next one fills. Outcomes go to the plan, whose "next" is recorded
 * with every batch.
 */
#include "session/collect.h"

#include "session/hand.h"
#include "session/intake.h"
#include "session/plan.h"
#include "session/recognise.h"
#include "util/crash.h"
#include "util/mem.h"
#include "util/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Batches under way before the source is held back. */
enum { COLLECT_COMMITS_MAX = 2 };

struct collect {
	struct collect_params params;
	enum collect_at at;
	struct err err;
	struct collect_counts counts;
	struct plan *plan;
	struct hand *hand;	  /* NULL where the sink needs none */
	struct batch *batch;	  /* the open one; NULL while there is nothing in it */
	struct intake *intake;	  /* NULL when look_only */
	struct recognise *before; /* known under another validity; NULL if nothing is */
	size_t recognised;
	uint32_t validity;  /* of this session */
	uint32_t from;	    /* where the listing began */
	bool listed_again;  /* a changed validity made the first listing void */
	unsigned commits;   /* under way */
	bool stepping;	    /* on_step is deferred */
	struct buf removed; /* keys the server said it removed, each with its NUL */
};

static void commit_open(struct collect *collect);

/* ---- small things ---- */

static void step_now(void *ctx)
{
	struct collect *collect = ctx;

	collect->stepping = false;
	collect->params.on_step(collect->params.ctx);
}

static void step(struct collect *collect)
{
	if (collect->stepping)
		return;
	collect->stepping = true;
	loop_defer(collect->params.loop, step_now, collect);
}

static void fail(struct collect *collect, const struct err *err)
{
	if (collect->at == COLLECT_FAILED)
		return;
	collect->err = *err;
	collect->at = COLLECT_FAILED;
	step(collect);
}

static void problem(struct collect *collect, const struct err *err)
{
	collect->params.on_problem(collect->params.ctx, err);
}

static struct batch_params batch_params(const struct collect *collect)
{
	return (struct batch_params){.committer = collect->params.committer,
				     .sink = collect->params.sink,
				     .account = collect->params.mailbox.account,
				     .mailbox = collect->params.mailbox.id,
				     .validity = collect->validity};
}

static struct batch *open_batch(struct collect *collect)
{
	if (!collect->batch) {
		struct batch_params params = batch_params(collect);

		collect->batch = batch_new(&params);
	}
	return collect->batch;
}

/* All is fetched, durable and handed over: the source may go on. */
static void look_whether_settled(struct collect *collect)
{
	if (collect->at == COLLECT_SETTLING && collect_idle(collect)) {
		collect->at = COLLECT_SETTLED;
		step(collect);
	}
}

static void delivered(struct collect *collect, uint32_t number, uint64_t octets)
{
	collect->counts.delivered++;
	collect->counts.octets += octets;
	if (number && collect->plan)
		plan_settle(collect->plan, number, PLAN_DELIVERED);
	collect->params.on_progress(collect->params.ctx);
}

/* ---- handing over ---- */

static void hand_result(void *ctx, const struct hand_result *result)
{
	struct collect *collect = ctx;

	if (result->is == STATE_DELIVERED) {
		delivered(collect, result->number, result->octets);
		return;
	}
	if (result->is == STATE_QUARANTINED)
		collect->counts.quarantined++;
	else
		collect->counts.waiting++;
	if (result->err->kind == ERR_CONFIG)
		fail(collect, result->err);
	else
		problem(collect, result->err);
}

static void hand_idle(void *ctx, const struct err *failed)
{
	struct collect *collect = ctx;

	if (failed)
		fail(collect, failed);
	look_whether_settled(collect);
	step(collect);
}

/* ---- recovery ---- */

static bool recover_row(void *ctx, uint32_t validity, const struct state_row *row)
{
	batch_recover_row(ctx, validity, row);
	return true;
}

static void recovered_letter(struct collect *collect, const struct batch_letter *letter)
{
	const struct state_row *row = &letter->row;
	struct err err;

	if (letter->came == BATCH_NOWHERE) {
		err_set(&err, ERR_NONE,
			"message %s was taken but its letter %s is nowhere to be found; it will be "
			"fetched again",
			row->key, row->name);
		problem(collect, &err);
		return;
	}
	if (!collect->hand || row->is == STATE_QUARANTINED)
		return;
	if (row->is == STATE_WAITING && row->next_try > time(NULL) && !collect->params.retry_now) {
		collect->counts.waiting++;
		err_set(&err, ERR_MESSAGE, "message %s still waits in the spool", row->key);
		problem(collect, &err);
		return;
	}
	if (row->is == STATE_HANDED) {
		err_set(
		    &err, ERR_NONE,
		    "mailhaul ended while the MDA had message %s; it is handed over again and may "
		    "arrive twice",
		    row->key);
		problem(collect, &err);
	}
	hand_add(collect->hand, 0, letter->validity, row);
}

static void recovered(void *ctx, struct batch *batch)
{
	struct collect *collect = ctx;

	collect->commits--;
	if (batch_err(batch)->kind) {
		fail(collect, batch_err(batch));
	} else {
		collect->at = COLLECT_READY;
		collect->params.mailbox.next = batch_recovered_next(batch);
		for (size_t i = 0; i < batch_letters(batch); i++)
			recovered_letter(collect, batch_letter(batch, i));
	}
	batch_free(&batch);
	step(collect);
}

/* What only the next visit can end. */
static const uint32_t unfinished =
    STATE_MASK(STATE_TAKEN) | STATE_MASK(STATE_HANDED) | STATE_MASK(STATE_WAITING);

static void recover(struct collect *collect)
{
	struct batch_params params = batch_params(collect);
	struct batch *batch = batch_new(&params);
	struct err err;

	batch_recover(batch, intake_name_mark(collect->intake), collect->params.mailbox.next);
	if (!state_each(collect->params.state, collect->params.mailbox.id, unfinished, recover_row,
			batch, &err)) {
		batch_free(&batch);
		fail(collect, &err);
		return;
	}
	collect->commits++;
	batch_commit(batch, recovered, collect);
}

/* ---- whether there is anything to do ---- */

static bool one_is_enough(void *ctx, uint32_t validity, const struct state_row *row)
{
	(void)validity;
	(void)row;
	*(bool *)ctx = true;
	return false;
}

bool collect_unfinished(struct state *state, int64_t mailbox, bool *unfinished_r, struct err *err)
{
	*unfinished_r = false;
	return state_each(state, mailbox, unfinished, one_is_enough, unfinished_r, err);
}

bool collect_quiet(struct state *state, const struct state_mailbox *mailbox, bool keep,
		   uint32_t validity, uint32_t next, bool *quiet_r, struct err *err)
{
	bool work = !validity || mailbox->validity != validity || !next || mailbox->next < next;

	*quiet_r = false;
	if (!work && !collect_unfinished(state, mailbox->id, &work, err))
		return false;
	if (!work && !keep && !state_due(state, mailbox->id, INT64_MAX, one_is_enough, &work, err))
		return false;
	*quiet_r = !work;
	return true;
}

/* ---- life ---- */

struct collect *collect_new(const struct collect_params *params)
{
	struct collect *collect = mem_new(1, sizeof *collect);

	collect->params = *params;
	collect->validity = params->mailbox.validity;
	if (params->look_only) {
		collect->at = COLLECT_READY;
		step(collect);
		return collect;
	}
	collect->intake = intake_new(&(struct intake_params){.sink = params->sink,
							     .state = params->state,
							     .key = &collect->params.key,
							     .mailbox = params->mailbox.id});
	if (params->sink->ops->hand) {
		collect->hand = hand_new(&(struct hand_params){.batch = batch_params(collect),
							       .max_attempts = params->max_attempts,
							       .on_result = hand_result,
							       .on_idle = hand_idle,
							       .ctx = collect});
	}
	recover(collect);
	return collect;
}

void collect_free(struct collect **collect_p)
{
	struct collect *collect = *collect_p;

	if (!collect)
		return;
	intake_free(&collect->intake);
	batch_free(&collect->batch);
	hand_free(&collect->hand);
	plan_free(&collect->plan);
	recognise_free(&collect->before);
	buf_free(&collect->removed);
	free(collect);
	*collect_p = NULL;
}

enum collect_at collect_at(const struct collect *collect)
{
	return collect->at;
}

const struct err *collect_err(const struct collect *collect)
{
	return &collect->err;
}

const struct collect_counts *collect_counts(const struct collect *collect)
{
	return &collect->counts;
}

bool collect_full(const struct collect *collect)
{
	return collect->commits > COLLECT_COMMITS_MAX;
}

bool collect_idle(const struct collect *collect)
{
	return !collect->commits && !collect->stepping &&
	       !(collect->hand && hand_busy(collect->hand));
}

void collect_close(struct collect *collect, bool hasten)
{
	if (collect->intake)
		intake_drop(collect->intake);
	if (hasten && collect->hand)
		hand_stop(collect->hand);
	if (collect->batch && batch_letters(collect->batch))
		commit_open(collect);
}

void collect_abort(struct collect *collect)
{
	if (collect->hand)
		hand_abort(collect->hand);
}

/* Numbers of POP3 mean nothing in the next session. */
static void record_next(struct collect *collect, struct batch *batch)
{
	if (collect->plan && !collect->params.keys_return && collect->at != COLLECT_FAILED)
		batch_next(batch, plan_next(collect->plan));
}

struct batch *collect_last_batch(struct collect *collect, bool removals_confirmed)
{
	struct batch *last;

	if (removals_confirmed) {
		const char *key = buf_string(&collect->removed);
		const char *end = key + collect->removed.len;

		for (; key < end; key += strlen(key) + 1)
			batch_mark(open_batch(collect), collect->validity, key, STATE_REMOVED);
	}
	if (collect->plan && !collect->params.look_only &&
	    (plan_next(collect->plan) != collect->params.mailbox.next ||
	     collect->validity != collect->params.mailbox.validity))
		record_next(collect, open_batch(collect));
	last = collect->batch;
	collect->batch = NULL;
	return last;
}

/* ---- listing ---- */

void collect_start(struct collect *collect, struct source *source, const char *received)
{
	bool writing = !collect->params.keep && !collect->params.look_only;

	if (collect->at == COLLECT_FAILED)
		return;
	if (collect->intake)
		intake_received(collect->intake, received);
	collect->at = COLLECT_BUSY;
	collect->from = collect->params.mailbox.next;
	source_select(source, collect->params.key.mailbox, writing);
	source_list(source, collect->from, false);
}

static void selected(struct collect *collect, const struct source_event *ev)
{
	const struct state_mailbox *known = &collect->params.mailbox;

	collect->counts.exists = ev->exists;
	if (known->validity && known->validity != ev->validity) {
		struct err err;

		err_set(&err, ERR_NONE,
			"UIDVALIDITY of mailbox %s changed from %" PRIu32 " to %" PRIu32
			": the server numbers its messages anew; all of them are fetched, and "
			"those that "
			"were delivered before are recognised",
			collect->params.key.mailbox, known->validity, ev->validity);
		problem(collect, &err);
		collect->from = 1;
		collect->listed_again = true;
	}
	collect->validity = ev->validity;
	plan_free(&collect->plan);
	collect->plan = plan_new(&(struct plan_params){.keep = collect->params.keep,
						       .next = collect->from,
						       .end = ev->next,
						       .keys_return = collect->params.keys_return});
}

static const char *listed_key(void *ctx, size_t index)
{
	return plan_key_at(ctx, index);
}

static void listed_known(void *ctx, size_t index, const struct state_row *row)
{
	plan_known(ctx, index, row->is);
}

static bool look_up_listed(struct collect *collect)
{
	struct err err;

	if (state_find(collect->params.state, collect->params.mailbox.id, collect->validity,
		       plan_count(collect->plan), listed_key, listed_known, collect->plan, &err))
		return true;
	fail(collect, &err);
	return false;
}

static bool add_delivered(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct collect *collect = ctx;
	uint64_t number;

	if (validity == collect->validity &&
	    str_number(row->key, strlen(row->key), UINT32_MAX, &number) && number)
		plan_delivered(collect->plan, (uint32_t)number, row->key);
	return true;
}

/* What IMAP's listing, which begins at "next", does not show: delivered earlier, still there. */
static bool add_all_delivered(struct collect *collect)
{
	struct err err;

	if (collect->params.keep || collect->params.keys_return)
		return true;
	if (state_each(collect->params.state, collect->params.mailbox.id,
		       STATE_MASK(STATE_DELIVERED), add_delivered, collect, &err))
		return true;
	fail(collect, &err);
	return false;
}

static void settle_or_end(struct collect *collect)
{
	struct err err;

	if (collect->recognised) {
		err_set(&err, ERR_NONE,
			"mailbox %s: %zu of the messages that the server numbered anew were "
			"recognised and "
			"not delivered again",
			collect->params.key.mailbox, collect->recognised);
		problem(collect, &err);
	}
	collect->at = COLLECT_SETTLING;
	if (collect->batch && batch_letters(collect->batch))
		commit_open(collect);
	look_whether_settled(collect);
}

static bool load_before(struct collect *collect)
{
	struct err err;

	recognise_free(&collect->before);
	collect->before = recognise_new(collect->params.state, collect->params.mailbox.id,
					collect->validity, &err);
	if (!err.kind)
		return true;
	fail(collect, &err);
	return false;
}

static bool list_done(struct collect *collect, struct source *source)
{
	struct source_set set;

	if (collect->listed_again) {
		collect->listed_again = false;
		source_list(source, collect->from, false);
		return true;
	}
	plan_listing_done(collect->plan);
	if (!look_up_listed(collect) || !add_all_delivered(collect))
		return false;
	set = plan_fetch(collect->plan);
	collect->counts.fresh = set.count;
	if (collect->params.look_only) {
		collect->counts.removable =
		    plan_remove(collect->plan).count + (collect->params.keep ? 0 : set.count);
		collect->at = COLLECT_DONE;
		step(collect);
		return true;
	}
	if (!set.count) {
		settle_or_end(collect);
		return true;
	}
	if (!load_before(collect))
		return false;
	source_fetch(source, &set);
	return true;
}

/* ---- fetching ---- */

static void batch_done(void *ctx, struct batch *batch)
{
	struct collect *collect = ctx;

	collect->commits--;
	if (batch_err(batch)->kind)
		fail(collect, batch_err(batch));
	for (size_t i = 0; !batch_err(batch)->kind && i < batch_letters(batch); i++) {
		const struct batch_letter *letter = batch_letter(batch, i);

		plan_settle(collect->plan, letter->number, PLAN_TAKEN);
		if (letter->came == BATCH_STUCK) {
			problem(collect, &letter->err);
		} else if (collect->hand) {
			hand_add(collect->hand, letter->number, letter->validity, &letter->row);
		} else {
			batch_mark(open_batch(collect), letter->validity, letter->row.key,
				   STATE_DELIVERED);
			delivered(collect, letter->number, letter->row.octets);
		}
	}
	batch_free(&batch);
	look_whether_settled(collect);
	step(collect);
}

static void commit_open(struct collect *collect)
{
	struct batch *batch = collect->batch;

	record_next(collect, batch);
	collect->batch = NULL;
	collect->commits++;
	batch_commit(batch, batch_done, collect);
}

static bool begin(struct collect *collect)
{
	struct err err;

	if (intake_begin(collect->intake, &err))
		return true;
	fail(collect, &err);
	return false;
}

static bool chunk(struct collect *collect, const struct source_event *ev)
{
	struct err err;

	if (intake_octets(collect->intake, ev->bytes, ev->len, &err))
		return true;
	fail(collect, &err);
	return false;
}

/*
 * A message that is known under an older validity is not delivered again: its row moves. One that
 * still waits for the MDA, or was left alone, keeps its row, and is never removed under this
 * number.
 */
static bool recognised(struct collect *collect, const struct source_event *ev, const char *mark)
{
	const struct state_row *known = NULL;
	struct state_row row;
	uint32_t validity;

	if (collect->before)
		known = recognise_take(collect->before, mark, &validity);
	if (!known)
		return false;
	row = *known;
	row.key = ev->key;
	row.changed = time(NULL);
	if (known->is == STATE_DELIVERED || known->is == STATE_REMOVED) {
		row.is = STATE_DELIVERED;
		batch_forget(open_batch(collect), validity, known->key);
	} else {
		row.is = STATE_SKIPPED;
	}
	batch_put(open_batch(collect), collect->validity, &row);
	plan_settle(collect->plan, ev->number,
		    row.is == STATE_DELIVERED ? PLAN_DELIVERED : PLAN_TAKEN);
	collect->recognised++;
	return true;
}

static bool end(struct collect *collect, const struct source_event *ev)
{
	uint64_t now = loop_now(collect->params.loop);
	char mark[DIGEST_TEXT + 1];
	struct state_row row = {.key = ev->key, .mark = mark, .date = ev->date};
	struct letter *letter;
	struct err err;

	if (!intake_has_message(collect->intake) || !plan_wants(collect->plan, ev->number)) {
		intake_drop(collect->intake);
		return true;
	}
	intake_recognition(collect->intake, mark);
	if (recognised(collect, ev, mark)) {
		intake_drop(collect->intake);
		return true;
	}
	letter = intake_end(collect->intake, collect->validity, ev->key, ev->date, &err);
	if (!letter) {
		fail(collect, &err);
		return false;
	}
	row.taken = row.changed = time(NULL);
	batch_take(open_batch(collect), &letter, ev->number, &row, now);
	plan_settle(collect->plan, ev->number, PLAN_COMING);
	collect->counts.fetched++;
	collect->params.on_progress(collect->params.ctx);
	if (batch_full(collect->batch, now))
		commit_open(collect);
	return true;
}

static void refused(struct collect *collect, const struct source_event *ev)
{
	struct err err;

	intake_drop(collect->intake);
	if (!ev->number || !plan_wants(collect->plan, ev->number))
		return;
	plan_settle(collect->plan, ev->number, PLAN_LEFT);
	err_set(&err, ERR_MESSAGE,
		"the server did not give message %s; it is tried again next time", ev->key);
	err_server(&err, ev->text, strlen(ev->text));
	problem(collect, &err);
}

/* ---- removing ---- */

void collect_remove(struct collect *collect, struct source *source)
{
	struct source_set set = plan_remove(collect->plan);

	if (!set.count) {
		collect->at = COLLECT_DONE;
		return;
	}
	crash_point("collect-remove");
	collect->at = COLLECT_BUSY;
	source_remove(source, &set);
}

/* The mailbox stays as it is; the others go on. */
static void verb_refused(struct collect *collect, const char *what, const struct source_event *ev)
{
	struct err err;

	err_set(&err, ERR_TEMPORARY, "the server refused to %s mailbox %s%s", what,
		collect->params.key.mailbox,
		str_same(ev->code, "NONEXISTENT") ? "; is that name right in \"mailboxes\"?" : "");
	err_server(&err, ev->text, strlen(ev->text));
	problem(collect, &err);
}

static void leave(struct collect *collect)
{
	collect->at = COLLECT_DONE;
	step(collect);
}

static bool done(struct collect *collect, struct source *source, const struct source_event *ev)
{
	switch (ev->verb) {
	case SOURCE_VERB_SELECT:
		/* The answer to list, which waits behind it, then ends the mailbox. */
		if (ev->refused)
			verb_refused(collect, "open", ev);
		return true;
	case SOURCE_VERB_LIST:
		if (collect->plan && !ev->refused)
			return list_done(collect, source);
		if (collect->plan)
			verb_refused(collect, "list", ev);
		leave(collect);
		return true;
	case SOURCE_VERB_FETCH:
		settle_or_end(collect);
		return true;
	case SOURCE_VERB_REMOVE:
		if (ev->refused)
			verb_refused(collect, "remove messages from", ev);
		crash_point("collect-removed");
		leave(collect);
		return true;
	default:
		return true;
	}
}

bool collect_event(struct collect *collect, struct source *source, enum source_what what,
		   const struct source_event *ev)
{
	/* A commit or the MDA failed, and the session does not know yet. */
	if (collect->at == COLLECT_FAILED)
		return false;
	switch (what) {
	case SOURCE_SELECTED:
		selected(collect, ev);
		return true;
	case SOURCE_LISTED:
		if (!collect->listed_again)
			plan_listed(collect->plan, ev->number, ev->key);
		return true;
	case SOURCE_BEGIN:
		return begin(collect);
	case SOURCE_CHUNK:
		return chunk(collect, ev);
	case SOURCE_END:
		return end(collect, ev);
	case SOURCE_GONE:
		/* Only the next listing shows whether it is gone or was kept from us. */
		plan_settle(collect->plan, ev->number, PLAN_LEFT);
		return true;
	case SOURCE_REFUSED:
		refused(collect, ev);
		return true;
	case SOURCE_REMOVED:
		buf_append(&collect->removed, ev->key, strlen(ev->key) + 1);
		collect->counts.removable++;
		return true;
	case SOURCE_DONE:
		return done(collect, source, ev);
	default:
		return true;
	}
}
