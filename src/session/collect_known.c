/*
 * collect_known: from a complete listing to what is fetched.
 *
 * In this order, each leaving less to fetch: what has a row; what an account that begins leaves
 * alone; what is known under another numbering, by the server's ids; what is known in another
 * mailbox of the account (Gmail); what is too large; at last what is known under another numbering
 * by its header, for which all headers are asked for in one go. What then is left is fetched.
 */
#include "session/collect_parts.h"

#include "session/mark.h"
#include "util/crash.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum {
	RENUMBERED_LEAST = 3, /* known messages, below which a new listing is just new mail */
	POP3_BEFORE = 1,      /* validities that no server gives: rows that only recognise */
	IMAP_BEFORE = 0
};

static uint32_t validity_before(const struct collect *collect)
{
	return collect->params.keys_return ? POP3_BEFORE : IMAP_BEFORE;
}

unsigned collect_list_wants(const struct collect *collect)
{
	return SOURCE_LIST_IDS | (collect->params.retention.max_size ? SOURCE_LIST_SIZES : 0U);
}

/* ---- the mailbox is open ---- */

bool collect_wants_skipping(struct collect *collect, bool *skipping_r, struct err *err)
{
	const struct collect_params *params = &collect->params;
	bool known = params->mailbox.begun || params->mailbox.next > 1 || params->inherits;

	*skipping_r = params->mark_all;
	if (params->mark_all || !params->first_skip || known)
		return true;
	if (!state_others(params->state, params->mailbox.id, UINT32_MAX, &known, err))
		return false;
	*skipping_r = !known;
	return true;
}

static void tell_renumbered(struct collect *collect, uint32_t validity)
{
	struct err err;

	err_set(&err, ERR_NONE,
		"UIDVALIDITY of mailbox %s changed from %" PRIu32 " to %" PRIu32
		": the server numbers its messages anew; those that were delivered before are "
		"recognised",
		collect->params.key.mailbox, collect->params.mailbox.validity, validity);
	collect_problem(collect, &err);
}

/* How many messages there may be that count as known from now on, without a listing. */
static void count_skipped(struct collect *collect, const struct source_event *ev, uint32_t next)
{
	uint64_t most = ev->next > next ? ev->next - next : 0;

	collect->counts.skipped = most < ev->exists ? most : ev->exists;
}

void collect_selected(struct collect *collect, const struct source_event *ev)
{
	const struct state_mailbox *known = &collect->params.mailbox;
	bool anew = known->validity && known->validity != ev->validity;

	collect->counts.exists = ev->exists;
	if (anew) {
		collect->from = 1;
		collect->renumbered = true;
		collect->listed_again = !collect->skipping;
		if (!collect->params.mark_all)
			tell_renumbered(collect, ev->validity);
	}
	collect->validity = ev->validity;
	plan_free(&collect->plan);
	collect->plan = plan_new(&(struct plan_params){
	    .removable = collect->params.mark_all
			     ? INT64_MIN
			     : retention_before(&collect->params.retention, time(NULL)),
	    .next = collect->from,
	    .end = ev->next,
	    .keys_return = collect->params.keys_return});
	if (!collect->skipping || !ev->next)
		return;
	count_skipped(collect, ev, collect->from);
	plan_listing_done(collect->plan);
}

/* ---- what has a row ---- */

struct lookup {
	struct collect *collect;
	size_t rows;
};

static const char *listed_key(void *ctx, size_t index)
{
	struct lookup *lookup = ctx;

	return plan_at(lookup->collect->plan, index).key;
}

static void listed_known(void *ctx, size_t index, const struct state_row *row)
{
	struct lookup *lookup = ctx;
	struct collect *collect = lookup->collect;

	lookup->rows++;
	if (row->is == STATE_OVERSIZE &&
	    !retention_too_large(&collect->params.retention, row->octets))
		return;
	plan_known(collect->plan, index, row);
	if (row->is == STATE_REMOVED)
		plan_returned(collect->plan, index, mark_digest_of(row->mark));
	if (row->gone && row->is != STATE_REMOVED && !collect->params.look_only)
		batch_gone(collect_batch(collect), collect->validity, row->key, 0);
}

static bool look_up(struct collect *collect, size_t *rows_r, struct err *err)
{
	struct lookup lookup = {.collect = collect};
	bool ok = state_find(collect->params.state, collect->params.mailbox.id, collect->validity,
			     plan_count(collect->plan), listed_key, listed_known, &lookup, err);

	*rows_r = lookup.rows;
	return ok;
}

/* ---- what is left alone ---- */

/* In POP3 a message is known only by its row; in IMAP "next" moves past it. */
static void leave_alone(struct collect *collect)
{
	for (size_t i = 0; i < plan_count(collect->plan); i++) {
		struct plan_message message = plan_at(collect->plan, i);
		struct state_row row = {.key = message.key,
					.is = STATE_SKIPPED,
					.mark = message.id,
					.octets = message.octets,
					.taken = time(NULL)};

		if (!message.is_new)
			continue;
		collect->counts.skipped++;
		row.changed = row.taken;
		if (collect->params.keys_return && !collect->params.look_only)
			batch_put(collect_batch(collect), collect->validity, &row);
		plan_settle(collect->plan, message.number, PLAN_TAKEN);
	}
}

static bool skip_large(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct collect *collect = ctx;

	batch_mark(collect_batch(collect), validity, row->key, STATE_SKIPPED);
	return true;
}

/* What counts as known does not come when max_size is raised. */
static bool leave_all_large(struct collect *collect, struct err *err)
{
	return state_each(collect->params.state, collect->params.mailbox.id,
			  STATE_MASK(STATE_OVERSIZE), skip_large, collect, err);
}

void collect_leave_large(struct collect *collect, uint32_t number, const char *key,
			 const char *mark, uint64_t octets)
{
	struct state_row row = {
	    .key = key, .is = STATE_OVERSIZE, .mark = mark, .octets = octets, .taken = time(NULL)};

	row.changed = row.taken;
	collect->counts.left++;
	if (octets > collect->largest)
		collect->largest = octets;
	if (!collect->params.look_only)
		batch_put(collect_batch(collect), collect->validity, &row);
	plan_settle(collect->plan, number, PLAN_TAKEN);
}

static void leave_large(struct collect *collect)
{
	for (size_t i = 0; i < plan_count(collect->plan); i++) {
		struct plan_message message = plan_at(collect->plan, i);

		if (message.is_new &&
		    retention_too_large(&collect->params.retention, message.octets))
			collect_leave_large(collect, message.number, message.key, message.id,
					    message.octets);
	}
}

static bool add_fitting(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct collect *collect = ctx;
	uint64_t number;

	if (validity == collect->validity && !row->gone &&
	    !retention_too_large(&collect->params.retention, row->octets) &&
	    str_number(row->key, strlen(row->key), UINT32_MAX, &number) && number)
		plan_again(collect->plan, (uint32_t)number, row->key, row->octets);
	return true;
}

/* What was too large and is not any more: IMAP's listing, which begins at "next", does not show it.
 */
static bool add_all_fitting(struct collect *collect, struct err *err)
{
	return collect->params.keys_return ||
	       state_each(collect->params.state, collect->params.mailbox.id,
			  STATE_MASK(STATE_OVERSIZE), add_fitting, collect, err);
}

/* ---- what is known in another mailbox ---- */

struct elsewhere {
	bool known;
	bool delivered;
	int64_t since; /* when it was delivered */
};

/* What is too large there may have vanished before it could be fetched. */
static bool look_elsewhere(void *ctx, int64_t mailbox, uint32_t validity,
			   const struct state_row *row)
{
	struct elsewhere *elsewhere = ctx;

	(void)mailbox;
	(void)validity;
	if (row->is == STATE_OVERSIZE && row->gone)
		return true;
	elsewhere->known = true;
	elsewhere->delivered = row->is == STATE_DELIVERED || row->is == STATE_REMOVED;
	elsewhere->since = row->is == STATE_DELIVERED ? row->changed : row->taken;
	return !elsewhere->delivered;
}

/* At Gmail a label is a mailbox. A message that was delivered from another one is removed from here
 * as if it had been delivered from here, then. */
static bool skip_known_elsewhere(struct collect *collect, struct err *err)
{
	for (size_t i = 0; i < plan_count(collect->plan); i++) {
		struct plan_message message = plan_at(collect->plan, i);
		struct elsewhere elsewhere = {.known = false};
		struct state_row row = {
		    .key = message.key, .mark = message.id, .taken = time(NULL)};

		collect->shared_ids = collect->shared_ids || *message.id == 'G';
		if (!message.is_new || *message.id != 'G')
			continue;
		if (!state_marked(collect->params.state, collect->params.mailbox.account,
				  message.id, look_elsewhere, &elsewhere, err))
			return false;
		if (!elsewhere.known)
			continue;
		if (elsewhere.delivered)
			row.taken = elsewhere.since;
		row.changed = row.taken;
		row.is = elsewhere.delivered ? STATE_DELIVERED : STATE_SKIPPED;
		if (!collect->params.look_only)
			batch_put(collect_batch(collect), collect->validity, &row);
		plan_recognised(collect->plan, message.number, &row);
	}
	return true;
}

/* ---- what is known under another numbering ---- */

/* The row moves. One that still waits for the MDA, or was left alone, stays where it is, and its
 * message is never removed under this number. One that can only recognise has done so, and could
 * else take a message that comes later for known. */
static void move_row(struct collect *collect, uint32_t number, const char *key, const char *id,
		     uint32_t validity, const struct state_row *known)
{
	struct state_row row = *known;
	char mark[MARK_TEXT + 1];

	mark_join(id, mark_digest_of(known->mark), mark);
	row.key = key;
	row.mark = mark;
	row.gone = 0;
	if (known->is == STATE_DELIVERED || known->is == STATE_REMOVED)
		row.is = STATE_DELIVERED;
	else if (known->is != STATE_OVERSIZE)
		row.is = STATE_SKIPPED;
	if (!collect->params.look_only) {
		if (row.is != STATE_SKIPPED ||
		    (known->is == STATE_SKIPPED && validity == validity_before(collect)))
			batch_forget(collect_batch(collect), validity, known->key);
		batch_put(collect_batch(collect), collect->validity, &row);
	}
	plan_recognised(collect->plan, number, &row);
	collect->counts.recognised++;
}

/* What was too large and would be fetched now is new, for all that matters: its row goes. */
static bool counts_as_known(struct collect *collect, uint32_t validity, const struct state_row *row)
{
	if (!row)
		return false;
	if (row->is != STATE_OVERSIZE ||
	    retention_too_large(&collect->params.retention, row->octets))
		return true;
	if (!collect->params.look_only)
		batch_forget(collect_batch(collect), validity, row->key);
	return false;
}

static void recognise_ids(struct collect *collect)
{
	for (size_t i = 0; i < plan_count(collect->plan); i++) {
		struct plan_message message = plan_at(collect->plan, i);
		const struct state_row *known;
		uint32_t validity = 0;

		if (!message.is_new || !*message.id)
			continue;
		known = recognise_id(collect->before, message.id, &validity);
		if (counts_as_known(collect, validity, known))
			move_row(collect, message.number, message.key, message.id, validity, known);
	}
}

bool collect_recognised(struct collect *collect, const struct source_event *ev, const char *digest)
{
	const struct state_row *known;
	uint32_t validity = 0;

	if (!collect->before)
		return false;
	known = recognise_digest(collect->before, digest, ev->date, 0, &validity);
	if (!counts_as_known(collect, validity, known))
		return false;
	move_row(collect, ev->number, ev->key, plan_id(collect->plan, ev->number), validity, known);
	return true;
}

void collect_header(struct collect *collect, const struct source_event *ev)
{
	char digest[DIGEST_TEXT + 1];

	if (!collect->header || !plan_wants(collect->plan, ev->number))
		return;
	mark_digest(header_scan_facts(collect->header), digest);
	(void)collect_recognised(collect, ev, digest);
}

static bool count_known(void *ctx, uint32_t validity, const struct state_row *row)
{
	size_t *count = ctx;

	*count += validity != POP3_BEFORE && !row->gone && row->is != STATE_REMOVED;
	return true;
}

/* A POP3 server that lists as many messages as before, and none by a UIDL that is known, has
 * numbered them anew. */
static bool look_whether_renumbered(struct collect *collect, size_t rows, struct err *err)
{
	size_t listed = plan_count(collect->plan);
	size_t known = 0;
	uint32_t every = 0;

	if (!collect->params.keys_return || rows || !listed || collect->params.inherits)
		return true;
	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		every |= STATE_MASK(is);
	if (!state_each(collect->params.state, collect->params.mailbox.id, every, count_known,
			&known, err))
		return false;
	collect->renumbered =
	    known >= RENUMBERED_LEAST && listed >= known / 2 && listed / 2 <= known;
	if (collect->renumbered && !collect->params.mark_all) {
		err_set(err, ERR_NONE,
			"the server lists %zu messages, and knows none of the %zu UIDLs that it "
			"gave before: it numbers its messages anew; those that were delivered "
			"before are recognised",
			listed, known);
		collect_problem(collect, err);
	}
	return true;
}

/* Loads what may recognise. What is adopted moves with the first rows that are written. */
static bool load_before(struct collect *collect, struct err *err)
{
	struct recognise_params params = {.state = collect->params.state,
					  .mailbox = collect->params.mailbox.id,
					  .validity = collect->validity,
					  .adopted_as = validity_before(collect)};

	params.adopted = collect->params.inherits;
	if (!params.adopted && collect->renumbered && collect->params.keys_return)
		params.adopted = params.mailbox;
	recognise_free(&collect->before);
	collect->before = recognise_new(&params, err);
	if (err->kind)
		return false;
	collect->renumbered |= params.adopted != 0;
	if (params.adopted && !collect->params.look_only) {
		crash_point("collect-adopt");
		batch_adopt(collect_batch(collect), params.adopted, params.adopted_as);
	}
	if (collect->before)
		recognise_ids(collect);
	return true;
}

/* ---- all together ---- */

static void look_only(struct collect *collect)
{
	size_t fresh = plan_new_ones(collect->plan).count;
	bool at_once = collect->params.retention.keep == RETENTION_REMOVE;

	if (collect->params.allowance && fresh > *collect->params.allowance) {
		collect->counts.put_off = fresh - *collect->params.allowance;
		fresh = *collect->params.allowance;
	}
	if (collect->params.allowance)
		*collect->params.allowance -= (uint32_t)fresh;
	collect->counts.fresh = fresh;
	collect->counts.removable = plan_remove(collect->plan).count + (at_once ? fresh : 0);
	collect->at = COLLECT_DONE;
	collect_step(collect);
}

void collect_fetch(struct collect *collect, struct source *source)
{
	uint32_t *allowance = collect->params.allowance;
	struct source_set set;

	if (collect->params.look_only) {
		look_only(collect);
		return;
	}
	set = plan_fetch(collect->plan, allowance ? *allowance : SIZE_MAX);
	collect->counts.fresh = set.count;
	collect->counts.put_off = plan_put_off(collect->plan);
	if (allowance)
		*allowance -= (uint32_t)set.count;
	if (set.count)
		source_fetch(source, &set);
	else
		collect_settle(collect);
}

/* What tells the known from the new before anything is fetched. */
static bool sort_out(struct collect *collect, size_t rows, struct err *err)
{
	bool wanted;

	if (!look_whether_renumbered(collect, rows, err))
		return false;
	/* Also where nothing is left: what is known has vanished then. */
	wanted =
	    plan_new_ones(collect->plan).count || collect->renumbered || collect->params.inherits;
	if (wanted && !load_before(collect, err))
		return false;
	if (!skip_known_elsewhere(collect, err))
		return false;
	leave_large(collect);
	return add_all_fitting(collect, err) && collect_add_due(collect, err);
}

bool collect_listed(struct collect *collect, struct source *source)
{
	struct source_set set;
	size_t rows = 0;
	struct err err;
	bool ok = look_up(collect, &rows, &err);

	if (ok && collect->skipping) {
		leave_alone(collect);
		ok = !collect->params.mark_all || leave_all_large(collect, &err);
	} else {
		ok = ok && sort_out(collect, rows, &err);
	}
	if (!ok || (!collect->params.look_only && !collect_note_gone(collect, &err))) {
		collect_fail(collect, &err);
		return false;
	}
	set = plan_new_ones(collect->plan);
	if (set.count && collect->before && recognise_left(collect->before)) {
		collect->wants_headers = true;
		source_headers(source, &set);
	} else {
		collect_fetch(collect, source);
	}
	return true;
}

void collect_tell(struct collect *collect)
{
	const struct collect_counts *counts = &collect->counts;
	char largest[32];
	struct err err;

	if (collect->before && (collect->renumbered || counts->recognised)) {
		err_set(&err, ERR_NONE,
			"mailbox %s: of the messages %s %" PRIu64
			" were recognised and not delivered again, %" PRIu64 " were fetched",
			collect->params.key.mailbox,
			collect->renumbered ? "that the server numbered anew"
					    : "that are new on the server",
			counts->recognised, counts->fetched);
		collect_problem(collect, &err);
	}
	if (counts->left) {
		err_set(&err, ERR_NONE,
			"mailbox %s: %" PRIu64 " message%s larger than max_size, and left on the "
			"server; the largest has %s",
			collect->params.key.mailbox, counts->left,
			counts->left == 1 ? " is" : "s are", str_octets(largest, collect->largest));
		collect_problem(collect, &err);
	}
}
