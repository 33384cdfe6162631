/*
 * collect_retain: removing what is due, looking for what vanished, forgetting: also what was taken
 * under a key that may not be its own.
 *
 * What is due is known from the state alone (IMAP), or from the listing that POP3 needs anyway.
 * What vanished from a POP3 server the listing tells, which is compared with the rows once a day.
 * An IMAP server is asked once in 30 days, after all else of the visit. An empty poll reads none of
 * the rows of what was delivered.
 */
#include "session/collect_parts.h"

#include "util/crash.h"
#include "util/mem.h"
#include "util/str.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DAY = 24 * 60 * 60 };

#define EVER_SETTLED                                                                               \
	(STATE_MASK(STATE_DELIVERED) | STATE_MASK(STATE_SKIPPED) | STATE_MASK(STATE_QUARANTINED) | \
	 STATE_MASK(STATE_OVERSIZE))

/* ---- uids ---- */

struct numbers {
	uint32_t validity;
	uint32_t *all;
	size_t count, room;
};

static void add_uid(struct numbers *numbers, const char *key)
{
	uint64_t number;

	if (!str_number(key, strlen(key), UINT32_MAX, &number) || !number)
		return;
	if (numbers->count == numbers->room) {
		numbers->room = numbers->room ? numbers->room * 2 : 256;
		numbers->all = mem_resize(numbers->all, numbers->room, sizeof *numbers->all);
	}
	numbers->all[numbers->count++] = (uint32_t)number;
}

static bool add_number(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct numbers *numbers = ctx;

	if (validity == numbers->validity && !row->gone)
		add_uid(numbers, row->key);
	return true;
}

/* ---- removing ---- */

static bool found_one(void *ctx, uint32_t validity, const struct state_row *row)
{
	bool *found = ctx;

	(void)validity;
	(void)row;
	*found = true;
	return false;
}

bool collect_wants_writing(struct collect *collect, bool *writing_r, struct err *err)
{
	const struct retention *retention = &collect->params.retention;
	int64_t before;

	*writing_r = false;
	if (collect->params.look_only || collect->params.mark_all ||
	    retention->keep == RETENTION_KEEP)
		return true;
	if (retention->keep == RETENTION_REMOVE || collect->params.keys_return) {
		*writing_r = true;
		return true;
	}
	before = retention_before(retention, time(NULL));
	return state_due(collect->params.state, collect->params.mailbox.id, before, found_one,
			 writing_r, err) &&
	       (!collect->params.inherits ||
		state_due(collect->params.state, collect->params.inherits, before, found_one,
			  writing_r, err));
}

static bool add_due(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct collect *collect = ctx;
	uint64_t number;

	if (validity == collect->validity &&
	    str_number(row->key, strlen(row->key), UINT32_MAX, &number) && number)
		plan_delivered(collect->plan, (uint32_t)number, row->key);
	return true;
}

bool collect_add_due(struct collect *collect, struct err *err)
{
	int64_t before = retention_before(&collect->params.retention, time(NULL));

	return collect->params.keys_return || collect->params.mark_all || before == INT64_MIN ||
	       state_due(collect->params.state, collect->params.mailbox.id, before, add_due,
			 collect, err);
}

void collect_remove(struct collect *collect, struct source *source)
{
	struct source_set set = plan_remove(collect->plan);

	if (!set.count) {
		collect_after_removal(collect, source);
		return;
	}
	crash_point("collect-remove");
	collect->at = COLLECT_BUSY;
	source_remove(source, &set);
}

/* In POP3 it counts once the end of the session is confirmed. */
void collect_removed(struct collect *collect, const struct source_event *ev)
{
	buf_append(&collect->removed, ev->key, strlen(ev->key) + 1);
	if (collect->params.keys_return)
		collect->unconfirmed++;
	else
		collect->counts.removable++;
}

/* Until the answer comes none of them counts as removed. */
static void ask_whether_removed(struct collect *collect, struct source *source)
{
	const char *key = buf_string(&collect->removed);
	const char *end = key + collect->removed.len;
	struct numbers asked = {.count = 0};

	for (; key < end; key += strlen(key) + 1)
		add_uid(&asked, key);
	buf_clear(&collect->removed);
	collect->counts.removable -= asked.count;
	collect->doubted = asked.count + collect->counts.removable;
	collect->at = COLLECT_BUSY;
	source_present(source, &(struct source_set){.numbers = asked.all, .count = asked.count});
	free(asked.all);
}

void collect_removal_done(struct collect *collect, struct source *source,
			  const struct source_event *ev)
{
	if (ev->unsure && collect->removed.len)
		ask_whether_removed(collect, source);
	else
		collect_after_removal(collect, source);
}

/* Their rows stay as they are, so that the next visit removes them. */
void collect_removal_known(struct collect *collect, struct source *source, bool refused)
{
	uint64_t left = collect->doubted - collect->counts.removable;
	struct err err;

	collect->doubted = 0;
	if (left) {
		err_set(&err, ERR_TEMPORARY,
			"mailbox %s: the server %s %" PRIu64 " message%s that it said it had "
			"removed; the next poll removes %s again",
			collect->params.key.mailbox, refused ? "may still have" : "still has", left,
			left == 1 ? "" : "s", left == 1 ? "it" : "them");
		collect_problem(collect, &err);
	}
	collect_after_removal(collect, source);
}

/* ---- what vanished ---- */

struct missing {
	struct collect *collect;
	const char **listed; /* in order */
	size_t count;
};

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool note_missing(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct missing *missing = ctx;
	struct collect *collect = missing->collect;

	if (validity == collect->validity && !row->gone &&
	    !bsearch(&row->key, missing->listed, missing->count, sizeof *missing->listed,
		     compare_keys))
		batch_gone(collect_batch(collect), validity, row->key, time(NULL));
	return true;
}

bool collect_note_gone(struct collect *collect, struct err *err)
{
	const struct state_mailbox *mailbox = &collect->params.mailbox;
	struct missing missing = {.collect = collect};
	bool ok;

	if (!collect->params.keys_return || collect->renumbered || !mailbox->checked ||
	    !retention_check_due(mailbox, DAY, time(NULL)))
		return true;
	missing.listed = mem_new(plan_count(collect->plan) + 1, sizeof *missing.listed);
	for (size_t i = 0; i < plan_count(collect->plan); i++)
		missing.listed[missing.count++] = plan_at(collect->plan, i).key;
	qsort(missing.listed, missing.count, sizeof *missing.listed, compare_keys);
	ok = state_each(collect->params.state, mailbox->id, EVER_SETTLED, note_missing, &missing,
			err);
	free(missing.listed);
	collect->looked = ok;
	return ok;
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a;
	uint32_t right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

void collect_after_removal(struct collect *collect, struct source *source)
{
	struct numbers numbers = {.validity = collect->validity};
	struct err err;

	collect->at = COLLECT_DONE;
	if (collect->params.keys_return || collect->params.mark_all ||
	    !retention_check_due(&collect->params.mailbox, RETENTION_FORGET, time(NULL)))
		return;
	if (!state_each(collect->params.state, collect->params.mailbox.id, EVER_SETTLED, add_number,
			&numbers, &err)) {
		free(numbers.all);
		collect_fail(collect, &err);
		return;
	}
	collect->looked = !numbers.count;
	if (numbers.count) {
		qsort(numbers.all, numbers.count, sizeof *numbers.all, compare_numbers);
		collect->at = COLLECT_BUSY;
		collect->looking = true;
		source_present(
		    source, &(struct source_set){.numbers = numbers.all, .count = numbers.count});
	}
	free(numbers.all);
}

/* ---- what is in doubt ---- */

void collect_doubt(struct collect *collect)
{
	struct err err;

	collect->in_doubt = collect->taken.len != 0;
	if (!collect->in_doubt)
		return;
	err_set(&err, ERR_PROTOCOL,
		"the server gave more answers than it was asked for, so which of them belongs to "
		"which message is not known; what was fetched now is fetched again next time, and "
		"nothing is removed");
	collect_problem(collect, &err);
}

void collect_forget_doubted(struct collect *collect)
{
	const char *key = buf_string(&collect->taken);
	const char *end = key + collect->taken.len;

	for (; collect->in_doubt && key < end; key += strlen(key) + 1)
		batch_forget(collect_batch(collect), collect->validity, key);
}

/* ---- the end ---- */

static void note_rest(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct collect *collect = ctx;

	if (!row->gone && STATE_MASK(row->is) & EVER_SETTLED)
		batch_gone(collect_batch(collect), validity, row->key, time(NULL));
}

/* Whoever ends before the mailbox is done leaves all this to the next visit. */
void collect_conclude(struct collect *collect)
{
	const struct state_mailbox *mailbox = &collect->params.mailbox;
	int64_t now = time(NULL);

	if (!plan_is_complete(collect->plan) || collect->at != COLLECT_DONE)
		return;
	if (collect->before)
		recognise_rest(collect->before, note_rest, collect);
	batch_forget_gone(collect_batch(collect), now - RETENTION_FORGET);
	if (!mailbox->begun || !mailbox->checked || collect->looked)
		batch_checked(collect_batch(collect), mailbox->begun ? mailbox->begun : now,
			      mailbox->checked && !collect->looked ? mailbox->checked : now);
}
