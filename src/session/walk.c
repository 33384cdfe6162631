/*
 * walk: the mailboxes of one visit: which there are, in what order they are visited, which have
 * nothing to do. What each holds while it is open is walk_box's affair.
 *
 * Boxes stand in the order in which they were met until the server's list is whole; then they are
 * sorted.
 */
#include "session/walk.h"

#include "session/pattern.h"
#include "session/walk_box.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* With unfinished letters, opened before the connection is made. What is more than these waits for
 * its turn in the walk, so that the number of open files stays bounded. */
enum { WALK_RECOVER_MAX = 8 };

struct walk {
	struct walk_params params;
	const struct session_params *session;
	struct walk_box **boxes;
	size_t count, room;
	size_t before;	    /* of them stand in front for what is unfinished, until all is sorted */
	size_t current;	    /* index of the box that is with the source */
	bool at_work;	    /* there is such a box */
	bool brief;	    /* the short way */
	bool gmail;	    /* one message may stand in several mailboxes */
	uint32_t allowance; /* messages that may still be fetched, where they are limited */
	bool listed;	    /* the server told all its mailboxes */
	bool begun;	    /* which are visited is known */
	bool over;
	bool *hits; /* which of the account's items match something */
	const char *received;
	struct session_mailbox *shown;
	const char **unmatched;
	struct err err;
};

/* ---- boxes --------------------------------------------------------------------------------- */

static struct walk_box *box_add(struct walk *walk, const char *name)
{
	if (walk->count == walk->room) {
		walk->room = walk->room ? 2 * walk->room : 8;
		walk->boxes = mem_resize(walk->boxes, walk->room, sizeof(struct walk_box *));
	}
	return walk->boxes[walk->count++] =
		   walk_box_new(&walk->params, name,
				walk->session->max_messages ? &walk->allowance : NULL, &walk->err);
}

/* One with unfinished letters, by its name. */
static struct walk_box *box_before(const struct walk *walk, const char *name)
{
	for (size_t i = 0; i < walk->before; i++)
		if (!strcmp(walk->boxes[i]->name, name))
			return walk->boxes[i];
	return NULL;
}

static void problem(struct walk *walk, const struct err *err)
{
	walk->params.on_problem(walk->params.ctx, err);
}

/* ---- closing ------------------------------------------------------------------------------- */

bool walk_idle(struct walk *walk)
{
	bool idle = true;

	for (size_t i = 0; i < walk->count; i++) {
		walk_box_reap(walk->boxes[i]);
		idle &= walk_box_idle(walk->boxes[i]);
	}
	return idle;
}

void walk_close(struct walk *walk, bool hasten)
{
	for (size_t i = 0; i < walk->count; i++)
		if (walk->boxes[i]->collect)
			collect_close(walk->boxes[i]->collect, hasten);
}

void walk_abort(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		if (walk->boxes[i]->collect)
			collect_abort(walk->boxes[i]->collect);
}

void walk_doubt(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		if (walk->boxes[i]->collect)
			collect_doubt(walk->boxes[i]->collect);
}

void walk_confirm(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		if (walk->boxes[i]->collect)
			collect_confirm(walk->boxes[i]->collect);
}

void walk_last_batches(struct walk *walk, bool removals_confirmed,
		       void (*commit)(void *ctx, struct batch *batch), void *ctx)
{
	for (size_t i = 0; i < walk->count; i++) {
		struct walk_box *box = walk->boxes[i];
		struct batch *last = box->collect && !box->closing
					 ? collect_last_batch(box->collect, removals_confirmed)
					 : NULL;

		if (last)
			commit(ctx, last);
	}
}

/* ---- life ---------------------------------------------------------------------------------- */

struct walk *walk_new(const struct walk_params *params)
{
	struct walk *walk = mem_new(1, sizeof *walk);
	const struct session_params *session = params->session;

	walk->params = *params;
	walk->session = session;
	walk->allowance = session->max_messages;
	walk->hits = mem_new(session->mailbox_count + 1, sizeof *walk->hits);
	walk->brief = session->mailbox_count == 1 &&
		      (session->known_there || !strcmp(session->mailboxes[0], "INBOX"));
	return walk;
}

void walk_free(struct walk **walk_p)
{
	struct walk *walk = *walk_p;

	if (!walk)
		return;
	for (size_t i = 0; i < walk->count; i++)
		walk_box_free(&walk->boxes[i]);
	free(walk->boxes);
	free(walk->hits);
	free(walk->shown);
	free(walk->unmatched);
	free(walk);
	*walk_p = NULL;
}

const struct err *walk_err(const struct walk *walk)
{
	if (walk->err.kind)
		return &walk->err;
	for (size_t i = 0; i < walk->count; i++)
		if (walk->boxes[i]->collect &&
		    collect_at(walk->boxes[i]->collect) == COLLECT_FAILED)
			return collect_err(walk->boxes[i]->collect);
	return NULL;
}

bool walk_full(const struct walk *walk)
{
	return walk->at_work && walk->boxes[walk->current]->collect &&
	       collect_full(walk->boxes[walk->current]->collect);
}

/* ---- before the connection ----------------------------------------------------------------- */

/* Mailboxes of other accounts of this user and host are theirs to recover: their letters lie in
 * other places. */
static bool is_ours(struct walk *walk, const char *name)
{
	struct pattern_mailbox mailbox = {
	    .name = name, .served = name, .wire = name, .attributes = "", .delimiter = '/'};
	bool *hits = mem_new(walk->session->mailbox_count + 1, sizeof *hits);
	bool ours = pattern_choose(walk->session->mailboxes, walk->session->mailbox_count, &mailbox,
				   false, hits) != PATTERN_NONE;

	free(hits);
	return ours;
}

static bool add_known(void *ctx, const struct state_key *key, const struct state_mailbox *mailbox)
{
	struct walk *walk = ctx;

	if (is_ours(walk, key->mailbox))
		box_add(walk, key->mailbox)->known = *mailbox;
	return true;
}

/* Boxes of all that is unfinished, and no others. */
static bool add_unfinished(struct walk *walk, struct err *err)
{
	struct state_key key = walk_box_key(&walk->params, NULL);
	size_t kept = 0;
	bool fine = state_mailboxes(walk->session->state, &key, add_known, walk, err);

	for (size_t i = 0; i < walk->count; i++) {
		struct walk_box *box = walk->boxes[i];
		bool unfinished = false;

		fine = fine &&
		       collect_unfinished(walk->session->state, box->known.id, &unfinished, err);
		if (unfinished) {
			box->at = WALK_BOX_WAITING;
			walk->boxes[kept++] = box;
			continue;
		}
		walk_box_free(&box);
	}
	walk->count = walk->before = kept;
	return fine;
}

enum walk_is walk_prepare(struct walk *walk, struct err *err)
{
	if (walk->brief) {
		struct walk_box *box = box_add(walk, walk->session->mailboxes[0]);

		box->rank = 0;
		walk->hits[0] = true;
		walk->at_work = true;
	} else if (!walk->session->look_only && !walk->session->mark_all &&
		   !add_unfinished(walk, err)) {
		return WALK_FAILED;
	}
	for (size_t i = 0; i < walk->count && i < WALK_RECOVER_MAX; i++) {
		enum walk_is is = walk_box_open(walk->boxes[i], err);

		if (is != WALK_FINE)
			return is;
		if (!err->kind)
			continue;
		if (walk->brief)
			return WALK_FAILED;
		problem(walk, err);
	}
	return WALK_FINE;
}

bool walk_prepared(const struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		if (walk->boxes[i]->collect &&
		    collect_at(walk->boxes[i]->collect) == COLLECT_RECOVERING)
			return false;
	return true;
}

/* ---- asking the server --------------------------------------------------------------------- */

void walk_begin(struct walk *walk, struct source *source, const char *received,
		const char *capabilities)
{
	const struct session_params *session = walk->session;
	const char **asked;
	size_t count = 0;

	walk->received = received;
	walk->gmail = str_has_word(capabilities, strlen(capabilities), "X-GM-EXT-1");
	if (walk->brief) {
		walk->begun = true;
		collect_start(walk->boxes[0]->collect, source, received);
		return;
	}
	asked = mem_new(session->mailbox_count + 1, sizeof *asked);
	for (size_t i = 0; i < session->mailbox_count; i++)
		if (!pattern_takes_away(session->mailboxes[i]))
			asked[count++] = session->mailboxes[i];
	source_mailboxes(source, asked, count);
	free(asked);
}

/* What older versions, for which names were as on the wire, knew of a mailbox stays known. One that
 * is open under its old name, for its unfinished letters, waits for the next visit. */
static bool take_over(struct walk *walk, const struct source_event *ev, bool *later_r,
		      struct err *err)
{
	struct state_key key = walk_box_key(&walk->params, ev->name);
	bool differ = strcmp(ev->name, ev->wire) != 0;

	*later_r = differ && box_before(walk, ev->wire);
	if (!differ || *later_r || walk->session->look_only)
		return true;
	return state_called_before(walk->session->state, &key, ev->wire, err);
}

/* The attributes that say what a mailbox is for, not how it hangs in the tree. */
static char *uses(const char *attributes)
{
	static const char *const others[] = {
	    "\\HasChildren", "\\HasNoChildren", "\\Marked", "\\Unmarked",
	    "\\Noinferiors", "\\Subscribed",	"\\Remote",
	};
	struct buf out = {0};
	char *copy;

	for (const char *at = attributes; *at;) {
		size_t len = strcspn(at, " ");
		bool other = *at != '\\';

		for (size_t i = 0; i < sizeof others / sizeof *others; i++)
			other |= str_is(at, len, others[i]);
		if (!other) {
			buf_text(&out, out.len ? " " : "");
			buf_append(&out, at, len);
		}
		at += len;
		at += *at == ' ';
	}
	copy = mem_copy(buf_string(&out));
	buf_free(&out);
	return copy;
}

static void told(struct walk_box *box, const struct source_event *ev)
{
	box->validity = ev->validity;
	box->next = ev->next;
	box->exists = ev->exists;
}

static enum walk_is on_mailbox(struct walk *walk, const struct source_event *ev, struct err *err)
{
	struct pattern_mailbox mailbox = {.name = ev->name,
					  .served = ev->served,
					  .wire = ev->wire,
					  .attributes = ev->attributes,
					  .delimiter = ev->delimiter};
	int rank = pattern_choose(walk->session->mailboxes, walk->session->mailbox_count, &mailbox,
				  !walk->gmail, walk->hits);
	struct walk_box *box;
	bool later;

	if (rank == PATTERN_NONE)
		return WALK_FINE;
	if (ev->refused) {
		log_notice("%s: mailbox %s is left alone because %s", walk->session->account,
			   ev->served, ev->text);
		return WALK_FINE;
	}
	if (!take_over(walk, ev, &later, err))
		return WALK_FAILED;
	if (later)
		return WALK_FINE;
	box = box_before(walk, ev->name); /* the server's come once each */
	if (!box)
		box = box_add(walk, ev->name);
	box->rank = rank;
	free(box->attributes);
	box->attributes = uses(ev->attributes);
	told(box, ev);
	return WALK_FINE;
}

/* Found at the same place of the list: by name. What is only to be recovered comes last. */
static int by_rank(const void *a, const void *b)
{
	const struct walk_box *x = *(struct walk_box *const *)a;
	const struct walk_box *y = *(struct walk_box *const *)b;

	if ((x->rank == PATTERN_NONE) != (y->rank == PATTERN_NONE))
		return x->rank == PATTERN_NONE ? 1 : -1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* A name that the server does not list is opened all the same: some servers hide mailboxes, and
 * others say best themselves what is wrong with it. */
static void miss(struct walk *walk, size_t i)
{
	const char *item = walk->session->mailboxes[i];
	struct err err;

	if (pattern_is_attribute(item) && !pattern_takes_away(item)) {
		err_set(&err, ERR_TEMPORARY,
			"no mailbox on the server is marked as %s (RFC 6154); name it instead, in "
			"\"mailboxes\"",
			item);
		problem(walk, &err);
	} else if (pattern_is_wild(item) || pattern_takes_away(item)) {
		log_notice("%s: %s, in \"mailboxes\", matches no mailbox on the server",
			   walk->session->account, item);
	} else {
		struct walk_box *box = box_before(walk, item);

		(box ? box : box_add(walk, item))->rank = (int)i;
	}
}

/* ---- which are quiet ----------------------------------------------------------------------- */

/* Whether it is quiet, waiting, or (where the server has not told enough yet) to be asked for. */
static bool decide(struct walk *walk, struct walk_box *box, bool *ask_r, struct err *err)
{
	const struct session_params *session = walk->session;
	struct state_key key = walk_box_key(&walk->params, box->name);
	bool known;
	bool quiet = false;

	*ask_r = false;
	if (box->rank == PATTERN_NONE || box->at == WALK_BOX_OPEN || box->at == WALK_BOX_CLOSED)
		return true;
	if (!state_known_mailbox(session->state, &key, &known, &box->known, err))
		return false;
	if (known && !walk_box_claim(box, err)) {
		problem(walk, err);
		box->at = WALK_BOX_CLOSED;
		return true;
	}
	if (known && box->known.validity && !box->validity && box->at != WALK_BOX_ASKED) {
		*ask_r = true;
		return true;
	}
	/* What is to count as fetched may lie where nothing is new, too large to have been. */
	if (known && !session->mark_all &&
	    !collect_quiet(session->state, &box->known, &session->retention, box->validity,
			   box->next, time(NULL), &quiet, err))
		return false;
	box->at = quiet ? WALK_BOX_QUIET : WALK_BOX_WAITING;
	if (quiet)
		box->counts.exists = box->exists;
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(struct walk_box *const *)a)->name, (*(struct walk_box *const *)b)->name);
}

static enum walk_is decide_all(struct walk *walk, struct source *source, struct err *err)
{
	const char **names = mem_new(walk->count + 1, sizeof *names);
	struct walk_box *one = NULL;
	size_t count = 0;
	bool fine = true;

	for (size_t i = 0; fine && i < walk->count; i++) {
		bool ask;

		fine = decide(walk, walk->boxes[i], &ask, err);
		if (!ask)
			continue;
		one = walk->boxes[i];
		one->at = WALK_BOX_ASKED;
		names[count++] = one->name;
	}
	/* To open a single one costs no more than to ask. */
	if (count == 1)
		one->at = WALK_BOX_WAITING;
	else if (count)
		source_status(source, names, count);
	walk->before = 0;
	walk->begun = count < 2;
	if (walk->count)
		qsort(walk->boxes, walk->count, sizeof(struct walk_box *),
		      walk->begun ? by_rank : compare_names);
	free(names);
	return fine ? WALK_FINE : WALK_FAILED;
}

static int by_name(const void *name, const void *box)
{
	return strcmp(name, (*(struct walk_box *const *)box)->name);
}

static void on_status(struct walk *walk, const struct source_event *ev)
{
	struct walk_box **found =
	    bsearch(ev->name, walk->boxes, walk->count, sizeof(struct walk_box *), by_name);
	struct err err;

	if (!found || (*found)->at != WALK_BOX_ASKED)
		return;
	if (!ev->refused) {
		told(*found, ev);
		return;
	}
	err_set(&err, ERR_TEMPORARY, "the server refused to tell what lies in mailbox %s",
		ev->name);
	err_server(&err, ev->text, strlen(ev->text));
	problem(walk, &err);
	(*found)->at = WALK_BOX_CLOSED;
}

/* The server's list is whole. */
static enum walk_is listed(struct walk *walk, struct source *source, const struct source_event *ev,
			   struct err *err)
{
	if (ev->refused) {
		err_set(err, ERR_TEMPORARY, "the server refused to list its mailboxes");
		err_server(err, ev->text, strlen(ev->text));
		return WALK_FAILED;
	}
	walk->listed = true;
	for (size_t i = 0; i < walk->session->mailbox_count; i++)
		if (!walk->hits[i])
			miss(walk, i);
	return decide_all(walk, source, err);
}

enum walk_is walk_event(struct walk *walk, struct source *source, enum source_what what,
			const struct source_event *ev, struct err *err)
{
	struct walk_box *box = walk->at_work ? walk->boxes[walk->current] : NULL;

	if (what == SOURCE_MAILBOX)
		return on_mailbox(walk, ev, err);
	if (what == SOURCE_STATUS) {
		on_status(walk, ev);
		return WALK_FINE;
	}
	if (what == SOURCE_DONE && ev->verb == SOURCE_VERB_MAILBOXES)
		return listed(walk, source, ev, err);
	if (what == SOURCE_DONE && ev->verb == SOURCE_VERB_STATUS)
		return decide_all(walk, source, err);
	if (!box || !box->collect)
		return WALK_FINE;
	box->selected |= what == SOURCE_SELECTED;
	if (collect_event(box->collect, source, what, ev))
		return WALK_FINE;
	*err = *collect_err(box->collect);
	return WALK_FAILED;
}

/* ---- from one to the next ------------------------------------------------------------------ */

/* At Gmail a message may stand in the next mailbox, too: what became of it must be known there. */
static bool must_wait(struct walk *walk)
{
	return walk->gmail && !walk_idle(walk);
}

/* Opens the next that waits; over where there is none. */
static enum walk_is next(struct walk *walk, struct err *err)
{
	enum walk_is is = WALK_FINE;

	while (!walk->at_work && walk->current < walk->count && !must_wait(walk)) {
		struct walk_box *box = walk->boxes[walk->current];

		if (box->at == WALK_BOX_WAITING) {
			is = walk_box_open(box, err);
			if (is != WALK_FINE)
				return is;
			if (err->kind)
				problem(walk, err);
		}
		walk->at_work = box->at == WALK_BOX_OPEN && !box->closing;
		if (!walk->at_work)
			walk->current++;
	}
	return is;
}

static void leave(struct walk *walk)
{
	walk_box_leave(walk->boxes[walk->current]);
	walk->at_work = false;
	walk->current++;
}

/* Goes one step on with the box at work. False: it must be waited for. */
static bool advance(struct walk *walk, struct source *source)
{
	struct walk_box *box = walk->boxes[walk->current];

	switch (collect_at(box->collect)) {
	case COLLECT_READY:
		if (box->rank == PATTERN_NONE)
			leave(walk);
		else
			collect_start(box->collect, source, walk->received);
		return box->rank == PATTERN_NONE;
	case COLLECT_SETTLED:
		collect_remove(box->collect, source);
		return true;
	case COLLECT_DONE:
		/* What goes the short way stays open: in POP3 the goodbye is still to come. */
		if (walk->brief)
			walk->current++;
		else
			leave(walk);
		walk->at_work = false;
		return true;
	default:
		return false;
	}
}

enum walk_is walk_follow(struct walk *walk, struct source *source, bool *over_r, struct err *err)
{
	*over_r = false;
	if (!walk->begun || walk->over)
		return WALK_FINE;
	(void)walk_idle(walk);
	do {
		enum walk_is is = next(walk, err);

		if (is != WALK_FINE)
			return is;
	} while (walk->at_work && advance(walk, source));
	if (walk->current < walk->count)
		return WALK_FINE;
	walk->over = *over_r = true;
	return WALK_FINE;
}

/* ---- reporting ----------------------------------------------------------------------------- */

void walk_counts(const struct walk *walk, struct collect_counts *sum_r)
{
	memset(sum_r, 0, sizeof *sum_r);
	for (size_t i = 0; i < walk->count; i++) {
		const struct collect_counts *add = walk_box_counts(walk->boxes[i]);

		sum_r->fresh += add->fresh;
		sum_r->fetched += add->fetched;
		sum_r->delivered += add->delivered;
		sum_r->octets += add->octets;
		sum_r->waiting += add->waiting;
		sum_r->quarantined += add->quarantined;
		sum_r->removable += add->removable;
		sum_r->left += add->left;
		sum_r->skipped += add->skipped;
		sum_r->put_off += add->put_off;
		sum_r->recognised += add->recognised;
		sum_r->exists += add->exists;
	}
}

/* A name that the server does not list may still be there: then it could be opened. */
static bool matches_nothing(const struct walk *walk, size_t item)
{
	const char *text = walk->session->mailboxes[item];

	if (walk->hits[item])
		return false;
	if (pattern_is_wild(text) || pattern_is_attribute(text) || pattern_takes_away(text))
		return true;
	for (size_t i = 0; i < walk->count; i++)
		if (walk->boxes[i]->rank == (int)item && walk->boxes[i]->selected)
			return false;
	return walk->over;
}

void walk_report(struct walk *walk, struct session_report *report)
{
	size_t items = walk->session->mailbox_count;
	size_t shown = 0;
	size_t unmatched = 0;

	walk_counts(walk, &report->counts);
	walk->shown = mem_resize(walk->shown, walk->count + 1, sizeof *walk->shown);
	walk->unmatched = mem_resize(walk->unmatched, items + 1, sizeof *walk->unmatched);
	for (size_t i = 0; i < walk->count; i++) {
		const struct walk_box *box = walk->boxes[i];

		if (box->rank != PATTERN_NONE)
			walk->shown[shown++] = (struct session_mailbox){
			    .name = box->name,
			    .attributes = box->attributes,
			    .quiet = box->at == WALK_BOX_QUIET,
			    .looked = box->at == WALK_BOX_QUIET || box->selected,
			    .counts = *walk_box_counts(box)};
	}
	for (size_t i = 0; walk->listed && i < items; i++)
		if (matches_nothing(walk, i))
			walk->unmatched[unmatched++] = walk->session->mailboxes[i];
	report->mailboxes = walk->shown;
	report->mailbox_count = shown;
	report->unmatched = walk->unmatched;
	report->unmatched_count = unmatched;
}
