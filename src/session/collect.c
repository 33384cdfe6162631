/*
 * collect: one mailbox of a visit: recovery, listing, fetching into letters, commits, handing over,
 * removal. It takes the events of the source that belong to a mailbox; session drives it.
 *
 * A message becomes a letter as it streams; a letter that ended joins the open batch; a batch that
 * is full is committed while the next one fills. Outcomes go to the plan, whose "next" is recorded
 * with every batch.
 */
#include "session/collect.h"

#include "session/collect_parts.h"
#include "session/mark.h"
#include "util/crash.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Batches under way before the source is held back. */
enum { COLLECT_COMMITS_MAX = 2 };

static void commit_open(struct collect *collect);

/* ---- small things ---- */

static void step_now(void *ctx)
{
	struct collect *collect = ctx;

	collect->stepping = false;
	collect->params.on_step(collect->params.ctx);
}

void collect_step(struct collect *collect)
{
	if (collect->stepping)
		return;
	collect->stepping = true;
	loop_defer(collect->params.loop, step_now, collect);
}

void collect_fail(struct collect *collect, const struct err *err)
{
	if (collect->at == COLLECT_FAILED)
		return;
	collect->err = *err;
	collect->at = COLLECT_FAILED;
	collect_step(collect);
}

void collect_problem(struct collect *collect, const struct err *err)
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

struct batch *collect_batch(struct collect *collect)
{
	if (!collect->batch) {
		struct batch_params params = batch_params(collect);

		collect->batch = batch_new(&params);
	}
	return collect->batch;
}

/* Nothing is with the disk or the MDA. */
static bool at_rest(const struct collect *collect)
{
	return !collect->commits && !(collect->hand && hand_busy(collect->hand));
}

/* All is fetched, durable and handed over: the source may go on. A step that is still to be told of
 * does not matter: it tells of this, too, and nobody would look again after it. */
static void look_whether_settled(struct collect *collect)
{
	if (collect->at != COLLECT_SETTLING || !at_rest(collect))
		return;
	/* The account's next mailbox must see what was delivered here. */
	if (collect->shared_ids && collect->batch && !batch_empty(collect->batch)) {
		commit_open(collect);
		return;
	}
	collect->at = COLLECT_SETTLED;
	collect_step(collect);
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
		collect_fail(collect, result->err);
	else
		collect_problem(collect, result->err);
}

static void hand_idle(void *ctx, const struct err *failed)
{
	struct collect *collect = ctx;

	if (failed)
		collect_fail(collect, failed);
	look_whether_settled(collect);
	collect_step(collect);
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
		collect_problem(collect, &err);
		return;
	}
	if (!collect->hand || row->is == STATE_QUARANTINED)
		return;
	if (row->is == STATE_WAITING && row->next_try > time(NULL) && !collect->params.retry_now) {
		collect->counts.waiting++;
		err_set(&err, ERR_MESSAGE, "message %s still waits in the spool", row->key);
		collect_problem(collect, &err);
		return;
	}
	if (row->is == STATE_HANDED) {
		err_set(
		    &err, ERR_NONE,
		    "mailhaul ended while the MDA had message %s; it is handed over again and may "
		    "arrive twice",
		    row->key);
		collect_problem(collect, &err);
	}
	hand_add(collect->hand, 0, letter->validity, row);
}

static void recovered(void *ctx, struct batch *batch)
{
	struct collect *collect = ctx;

	collect->commits--;
	if (batch_err(batch)->kind) {
		collect_fail(collect, batch_err(batch));
	} else {
		collect->at = COLLECT_READY;
		collect->params.mailbox.next = batch_recovered_next(batch);
		for (size_t i = 0; i < batch_letters(batch); i++)
			recovered_letter(collect, batch_letter(batch, i));
	}
	batch_free(&batch);
	collect_step(collect);
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
		collect_fail(collect, &err);
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

bool collect_quiet(struct state *state, const struct state_mailbox *mailbox,
		   const struct retention *retention, uint32_t validity, uint32_t next, int64_t now,
		   bool *quiet_r, struct err *err)
{
	bool work = !validity || mailbox->validity != validity || !next || mailbox->next < next;

	*quiet_r = false;
	if (!work && !collect_unfinished(state, mailbox->id, &work, err))
		return false;
	if (!work && !retention_due(state, mailbox, retention, now, &work, err))
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
	if (params->look_only || params->mark_all) {
		collect->at = COLLECT_READY;
		collect_step(collect);
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
	header_scan_free(&collect->header);
	buf_free(&collect->taken);
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
	return at_rest(collect) && !collect->stepping;
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

void collect_confirm(struct collect *collect)
{
	collect->counts.removable += collect->unconfirmed;
	collect->unconfirmed = 0;
}

struct batch *collect_last_batch(struct collect *collect, bool removals_confirmed)
{
	struct batch *last;

	if (removals_confirmed) {
		const char *key = buf_string(&collect->removed);
		const char *end = key + collect->removed.len;

		for (; key < end; key += strlen(key) + 1)
			batch_mark(collect_batch(collect), collect->validity, key, STATE_REMOVED);
	}
	collect_forget_doubted(collect);
	if (collect->plan && !collect->params.look_only) {
		if (plan_next(collect->plan) != collect->params.mailbox.next ||
		    collect->validity != collect->params.mailbox.validity)
			record_next(collect, collect_batch(collect));
		collect_conclude(collect);
	}
	last = collect->batch;
	collect->batch = NULL;
	return last;
}

/* ---- listing ---- */

void collect_start(struct collect *collect, struct source *source, const char *received)
{
	const struct state_mailbox *known = &collect->params.mailbox;
	bool writing = false;
	struct err err;

	if (collect->at == COLLECT_FAILED)
		return;
	if (!collect_wants_writing(collect, &writing, &err) ||
	    !collect_wants_skipping(collect, &collect->skipping, &err)) {
		collect_fail(collect, &err);
		return;
	}
	if (collect->intake)
		intake_received(collect->intake, received);
	collect->at = COLLECT_BUSY;
	collect->from = known->next;
	source_select(source, collect->params.key.mailbox, writing);
	/* Without a listing there is nothing to save by asking for it at the same time. */
	if (!collect->skipping || collect->params.keys_return)
		source_list(source, collect->from, collect_list_wants(collect));
}

void collect_settle(struct collect *collect)
{
	collect_tell(collect);
	collect->at = COLLECT_SETTLING;
	if (collect->batch && (batch_letters(collect->batch) || collect->counts.recognised))
		commit_open(collect);
	look_whether_settled(collect);
}

/* ---- fetching ---- */

static void batch_done(void *ctx, struct batch *batch)
{
	struct collect *collect = ctx;

	collect->commits--;
	if (batch_err(batch)->kind)
		collect_fail(collect, batch_err(batch));
	for (size_t i = 0; !batch_err(batch)->kind && i < batch_letters(batch); i++) {
		const struct batch_letter *letter = batch_letter(batch, i);

		plan_settle(collect->plan, letter->number,
			    letter->came == BATCH_NOWHERE ? PLAN_LEFT : PLAN_TAKEN);
		if (letter->came == BATCH_NOWHERE) {
			batch_forget(collect_batch(collect), letter->validity, letter->row.key);
			collect_problem(collect, letter->err);
		} else if (letter->came == BATCH_STUCK) {
			collect_problem(collect, letter->err);
		} else if (collect->hand) {
			hand_add(collect->hand, letter->number, letter->validity, &letter->row);
		} else {
			batch_mark(collect_batch(collect), letter->validity, letter->row.key,
				   STATE_DELIVERED);
			delivered(collect, letter->number, letter->row.octets);
		}
	}
	batch_free(&batch);
	look_whether_settled(collect);
	collect_step(collect);
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

	collect->octets = 0;
	collect->too_large = false;
	header_scan_free(&collect->header);
	if (intake_begin(collect->intake, &err))
		return true;
	collect_fail(collect, &err);
	return false;
}

/* Sizes that servers tell beforehand are hints: this one is too large after all. The rest of it is
 * read over. */
static void drop_large(struct collect *collect)
{
	collect->too_large = true;
	intake_recognition(collect->intake, collect->digest);
	intake_drop(collect->intake);
}

static bool chunk(struct collect *collect, const struct source_event *ev)
{
	struct err err;

	collect->octets += ev->len;
	if (!collect->too_large && intake_has_message(collect->intake) &&
	    retention_too_large(&collect->params.retention, collect->octets))
		drop_large(collect);
	if (intake_octets(collect->intake, ev->bytes, ev->len, &err))
		return true;
	collect_fail(collect, &err);
	return false;
}

/*
 * A server may say that it removed a message and then fail to, or do it later (Courier's POP3
 * answers QUIT first). Such a message is removed again, not delivered again.
 */
static bool still_there(struct collect *collect, const struct source_event *ev, const char *digest)
{
	struct err err;

	if (!plan_is_returned(collect->plan, ev->number, digest))
		return false;
	err_set(&err, ERR_NONE,
		"the server still has message %s, which it said it had removed; it is not "
		"delivered again",
		ev->key);
	collect_problem(collect, &err);
	batch_mark(collect_batch(collect), collect->validity, ev->key, STATE_DELIVERED);
	plan_settle(collect->plan, ev->number, PLAN_DELIVERED);
	return true;
}

/* It ended: a letter, unless it is known already. */
static bool take(struct collect *collect, const struct source_event *ev)
{
	uint64_t now = loop_now(collect->params.loop);
	char mark[MARK_TEXT + 1];
	struct state_row row = {.key = ev->key, .mark = mark, .date = ev->date};
	struct letter *letter;
	struct err err;

	intake_recognition(collect->intake, collect->digest);
	if (collect_recognised(collect, ev, collect->digest) ||
	    still_there(collect, ev, collect->digest)) {
		intake_drop(collect->intake);
		return true;
	}
	mark_join(plan_id(collect->plan, ev->number), collect->digest, mark);
	letter = intake_end(collect->intake, collect->validity, ev->key, ev->date, &err);
	if (!letter) {
		collect_fail(collect, &err);
		return false;
	}
	row.taken = row.changed = time(NULL);
	batch_take(collect_batch(collect), &letter, ev->number, &row, now);
	plan_settle(collect->plan, ev->number, PLAN_COMING);
	if (collect->params.keys_return)
		buf_append(&collect->taken, ev->key, strlen(ev->key) + 1);
	collect->counts.fetched++;
	collect->params.on_progress(collect->params.ctx);
	if (batch_full(collect->batch, now))
		commit_open(collect);
	return true;
}

static bool end(struct collect *collect, const struct source_event *ev)
{
	bool wanted = plan_wants(collect->plan, ev->number);
	char mark[MARK_TEXT + 1];

	if (wanted && collect->too_large) {
		mark_join(plan_id(collect->plan, ev->number), collect->digest, mark);
		collect_leave_large(collect, ev->number, ev->key, mark, ev->octets);
	} else if (wanted && intake_has_message(collect->intake)) {
		return take(collect, ev);
	}
	intake_drop(collect->intake);
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
	collect_problem(collect, &err);
}

/* ---- headers alone ---- */

static bool begin_header(struct collect *collect)
{
	header_scan_free(&collect->header);
	collect->header = header_scan_new();
	return true;
}

static bool header_chunk(struct collect *collect, const struct source_event *ev)
{
	if (collect->header)
		(void)header_scan_feed(collect->header, ev->bytes, ev->len);
	return true;
}

/* ---- answers ---- */

/* Of a message that was to be fetched only the next listing shows whether it is gone or was kept
 * from us. One that was too large before is not listed again, nor one that was looked for. */
static void gone(struct collect *collect, const struct source_event *ev)
{
	if (collect->doubted) {
		collect_removed(collect, ev);
		return;
	}
	if (!collect->params.look_only &&
	    (collect->looking || (*ev->key && plan_is_beside(collect->plan, ev->number))))
		batch_gone(collect_batch(collect), collect->validity, ev->key, time(NULL));
	if (!collect->looking)
		plan_settle(collect->plan, ev->number, PLAN_LEFT);
}

/* The mailbox stays as it is; the others go on. */
static void verb_refused(struct collect *collect, const char *what, const struct source_event *ev)
{
	struct err err;

	err_set(&err, ERR_TEMPORARY, "the server refused to %s mailbox %s%s", what,
		collect->params.key.mailbox,
		str_same(ev->code, "NONEXISTENT") ? "; is that name right in \"mailboxes\"?" : "");
	err_server(&err, ev->text, strlen(ev->text));
	collect_problem(collect, &err);
}

static void leave(struct collect *collect)
{
	collect->at = COLLECT_DONE;
	collect_step(collect);
}

/* Where list waits behind it, its answer ends a mailbox that was not opened. */
static bool select_done(struct collect *collect, struct source *source,
			const struct source_event *ev)
{
	bool listing = !collect->skipping || collect->params.keys_return;

	if (ev->refused)
		verb_refused(collect, "open", ev);
	if (listing)
		return true;
	if (ev->refused)
		leave(collect);
	else if (plan_is_complete(collect->plan))
		return collect_listed(collect, source);
	else
		source_list(source, collect->from, 0);
	return true;
}

/* Where less was told than there is, what was left out must be listed again. What is skipped has no
 * rows, and would be taken for new then. */
static bool list_done(struct collect *collect, struct source *source, const struct source_event *ev)
{
	if (!collect->listed_again) {
		plan_listing_done(collect->plan);
		if (ev->unsure && !collect->skipping)
			plan_hold_next(collect->plan);
		return collect_listed(collect, source);
	}
	collect->listed_again = false;
	source_list(source, collect->from, collect_list_wants(collect));
	return true;
}

static bool done(struct collect *collect, struct source *source, const struct source_event *ev)
{
	switch (ev->verb) {
	case SOURCE_VERB_SELECT:
		return select_done(collect, source, ev);
	case SOURCE_VERB_LIST:
		if (collect->plan && !ev->refused)
			return list_done(collect, source, ev);
		if (collect->plan)
			verb_refused(collect, "list", ev);
		leave(collect);
		return true;
	case SOURCE_VERB_FETCH:
		collect_settle(collect);
		return true;
	case SOURCE_VERB_HEADERS:
		collect->wants_headers = false;
		/* Where the server has no command for it, the messages are fetched whole. */
		header_scan_free(&collect->header);
		crash_point("collect-recognised");
		collect_fetch(collect, source);
		return true;
	case SOURCE_VERB_REMOVE:
		if (ev->refused)
			verb_refused(collect, "remove messages from", ev);
		crash_point("collect-removed");
		collect_removal_done(collect, source, ev);
		collect_step(collect);
		return true;
	case SOURCE_VERB_PRESENT:
		if (collect->doubted) {
			collect_removal_known(collect, source, ev->refused);
			collect_step(collect);
			return true;
		}
		crash_point("collect-looked");
		collect->looking = false;
		collect->looked = !ev->refused;
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
		collect_selected(collect, ev);
		return true;
	case SOURCE_LISTED:
		if (!collect->listed_again)
			plan_listed(collect->plan, ev->number, ev->key, ev->octets, ev->id);
		return true;
	case SOURCE_BEGIN:
		return collect->wants_headers ? begin_header(collect) : begin(collect);
	case SOURCE_CHUNK:
		return collect->wants_headers ? header_chunk(collect, ev) : chunk(collect, ev);
	case SOURCE_END:
		if (!collect->wants_headers)
			return end(collect, ev);
		collect_header(collect, ev);
		return true;
	case SOURCE_GONE:
		gone(collect, ev);
		return true;
	case SOURCE_REFUSED:
		/* What has no header is fetched whole, and refused then. */
		if (!collect->wants_headers)
			refused(collect, ev);
		return true;
	case SOURCE_REMOVED:
		collect_removed(collect, ev);
		return true;
	case SOURCE_DONE:
		return done(collect, source, ev);
	default:
		return true;
	}
}
