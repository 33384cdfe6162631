/*
 * batch: the commit protocol. One batch holds letters and changes of rows of one mailbox that
 * become durable together; the committer's thread takes the batches of all sessions at once.
 *
 * Flushing: few letters are flushed one by one; many by a syncfs() for each sink, which costs about
 * the same for ten as for two thousand, and next to nothing where another sink on the same file
 * system was just flushed. syncfs() reports errors since Linux 5.8, and only to a descriptor that
 * was opened before they happened, once: so each sink is flushed through its own directory. A flush
 * that failed is final: the letters it covered are removed and will be fetched anew, and so are
 * those that were being written at the time, since nobody will be told of their loss again.
 */
#include "session/batch.h"

#include "io/digest.h"
#include "io/disk.h"
#include "session/changes.h"
#include "util/crash.h"
#include "util/mem.h"
#include "util/names.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	BATCH_FSYNC_MAX = 32,	  /* letters that are flushed one by one */
	BATCH_LETTERS_MAX = 2000, /* then the batch is full */
	BATCH_OCTETS_MAX = 64 * 1024 * 1024,
	BATCH_AGE_MAX = 5000, /* milliseconds */
	BATCH_MOVED_WITHIN =
	    24 * 60 * 60 /* seconds in which a reader may have moved a letter away */
};

struct item {
	struct batch_letter shown;
	struct letter *letter; /* NULL for one that was recovered */
	bool recovered;
	bool stays;    /* whether its row is durable is not known: recovery decides */
	bool put_back; /* recovery found it not in place yet */
	bool settle;   /* recovery found it, in place or not */
};

struct batch {
	struct disk_job job; /* first: the committer gets jobs and means batches */
	struct batch_params params;
	struct item *items;
	size_t count, room;
	uint64_t octets;
	uint64_t since;
	struct changes changes;
	struct names discards, quarantines;
	char *mark; /* recovery is asked for */
	bool has_next, has_visit;
	uint32_t next;
	struct state_visit visit;
	void (*done)(void *ctx, struct batch *batch);
	void *ctx;
	struct err err;
};

struct committer {
	bool together; /* syncfs() can be trusted */
	struct state *state;
	struct disk *disk;
	const struct sink **failed; /* whose flush failed, until their next recovery */
	size_t failed_count, failed_room;
};

/* ---- filling a batch: on the loop ---- */

struct batch *batch_new(const struct batch_params *params)
{
	struct batch *batch = mem_new(1, sizeof *batch);

	batch->params = *params;
	return batch;
}

void batch_free(struct batch **batch_p)
{
	struct batch *batch = *batch_p;

	if (!batch)
		return;
	for (size_t i = 0; i < batch->count; i++) {
		struct item *item = &batch->items[i];

		if (item->letter && !item->stays)
			(void)batch->params.sink->ops->discard(batch->params.sink,
							       item->shown.row.name, NULL);
		letter_free(&item->letter);
		changes_free_row(&item->shown.row);
		free(item->shown.err);
	}
	free(batch->items);
	changes_free(&batch->changes);
	names_free(&batch->discards);
	names_free(&batch->quarantines);
	free(batch->mark);
	free(batch);
	*batch_p = NULL;
}

static struct item *add_item(struct batch *batch)
{
	if (batch->count == batch->room) {
		batch->room = batch->room ? batch->room * 2 : 16;
		batch->items = mem_resize(batch->items, batch->room, sizeof *batch->items);
	}
	batch->items[batch->count] = (struct item){.letter = NULL};
	return &batch->items[batch->count++];
}

void batch_take(struct batch *batch, struct letter **letter, uint32_t number,
		const struct state_row *row, uint64_t now)
{
	struct item *item = add_item(batch);
	struct state_row filled = *row;

	filled.is = STATE_TAKEN;
	filled.name = letter_name(*letter);
	filled.octets = letter_octets(*letter);
	changes_copy_row(&item->shown.row, &filled);
	item->shown.number = number;
	item->shown.validity = batch->params.validity;
	item->letter = *letter;
	*letter = NULL;
	if (batch->count == 1)
		batch->since = now;
	batch->octets += filled.octets;
	/* Beyond the few that are flushed one by one no descriptors are kept; what close() says is
	 * asked for, since some file systems report a full disk only then. */
	if (batch->count > BATCH_FSYNC_MAX)
		(void)letter_close(item->letter, batch->err.kind ? NULL : &batch->err);
}

bool batch_full(const struct batch *batch, uint64_t now)
{
	size_t most = batch->params.committer->together ? BATCH_LETTERS_MAX : BATCH_FSYNC_MAX;

	return batch->count >= most || batch->octets >= BATCH_OCTETS_MAX ||
	       (batch->count && now - batch->since >= BATCH_AGE_MAX);
}

bool batch_empty(const struct batch *batch)
{
	return !batch->count && !batch->changes.count && !batch->discards.count &&
	       !batch->quarantines.count && !batch->mark && !batch->has_next && !batch->has_visit;
}

static void add_change(struct batch *batch, enum change_kind kind, uint32_t validity,
		       const struct state_row *row)
{
	changes_add(&batch->changes,
		    &(struct change){.kind = kind, .validity = validity, .row = *row});
}

void batch_put(struct batch *batch, uint32_t validity, const struct state_row *row)
{
	add_change(batch, CHANGE_PUT, validity, row);
}

void batch_mark(struct batch *batch, uint32_t validity, const char *key, enum state_is is)
{
	struct state_row row = {.key = key, .is = is, .changed = time(NULL)};

	add_change(batch, CHANGE_MARK, validity, &row);
}

void batch_forget(struct batch *batch, uint32_t validity, const char *key)
{
	struct state_row row = {.key = key};

	add_change(batch, CHANGE_FORGET, validity, &row);
}

void batch_gone(struct batch *batch, uint32_t validity, const char *key, int64_t gone)
{
	struct state_row row = {.key = key, .gone = gone};

	add_change(batch, CHANGE_GONE, validity, &row);
}

void batch_forget_gone(struct batch *batch, int64_t before)
{
	changes_add(&batch->changes, &(struct change){.kind = CHANGE_FORGET_GONE, .at = before});
}

void batch_checked(struct batch *batch, int64_t begun, int64_t checked)
{
	changes_add(&batch->changes,
		    &(struct change){.kind = CHANGE_CHECKED, .begun = begun, .at = checked});
}

void batch_adopt(struct batch *batch, int64_t from, uint32_t validity)
{
	changes_add(&batch->changes,
		    &(struct change){.kind = CHANGE_ADOPT, .from = from, .validity = validity});
}

void batch_discard(struct batch *batch, const char *name)
{
	names_add(&batch->discards, name);
}

void batch_quarantine(struct batch *batch, const char *name)
{
	names_add(&batch->quarantines, name);
}

void batch_next(struct batch *batch, uint32_t next)
{
	batch->has_next = true;
	batch->next = next;
}

void batch_visit(struct batch *batch, const struct state_visit *visit)
{
	batch->has_visit = true;
	batch->visit = *visit;
}

void batch_recover(struct batch *batch, const char *mark, uint32_t next)
{
	batch->mark = mem_copy(mark);
	batch->next = next;
}

uint32_t batch_recovered_next(const struct batch *batch)
{
	return batch->next;
}

void batch_place_tag(const struct sink *sink, char out[BATCH_PLACE_TAG + 1])
{
	const char *path = sink->ops->path(sink);
	char digest[DIGEST_TEXT + 1];

	digest_text(path, strlen(path), digest);
	snprintf(out, BATCH_PLACE_TAG + 1, "P%.16s", digest);
}

void batch_recover_row(struct batch *batch, uint32_t validity, const struct state_row *row)
{
	struct item *item = add_item(batch);

	changes_copy_row(&item->shown.row, row);
	item->shown.validity = validity;
	item->recovered = true;
}

const struct err *batch_err(const struct batch *batch)
{
	return &batch->err;
}

size_t batch_letters(const struct batch *batch)
{
	return batch->count;
}

const struct batch_letter *batch_letter(const struct batch *batch, size_t index)
{
	return &batch->items[index].shown;
}

/* ---- sinks whose flush failed: on the committer's thread ---- */

static bool has_failed(const struct committer *committer, const struct sink *sink)
{
	for (size_t i = 0; i < committer->failed_count; i++)
		if (committer->failed[i] == sink)
			return true;
	return false;
}

static void note_failed(struct committer *committer, const struct sink *sink)
{
	if (has_failed(committer, sink))
		return;
	if (committer->failed_count == committer->failed_room) {
		committer->failed_room = committer->failed_room ? committer->failed_room * 2 : 4;
		committer->failed = mem_resize(committer->failed, committer->failed_room,
					       sizeof(const struct sink *));
	}
	committer->failed[committer->failed_count++] = sink;
}

/* A visit begins: nothing of its letters is written yet. */
static void trust_again(struct committer *committer, const struct sink *sink)
{
	for (size_t i = 0; i < committer->failed_count; i++)
		if (committer->failed[i] == sink)
			committer->failed[i--] = committer->failed[--committer->failed_count];
}

/* ---- recovery: on the committer's thread ---- */

/* True if a letter that is nowhere was moved away by a mail reader: it may have stood in a Maildir,
 * and not long ago. What was written to the spool, or into another Maildir before the configuration
 * changed, has not arrived here: a Maildir that the account delivers into by now says nothing about
 * it. */
static bool moved_by_reader(const struct sink *sink, const struct state_row *row)
{
	char tag[BATCH_PLACE_TAG + 1];

	batch_place_tag(sink, tag);
	return !sink->ops->hand && row->is == STATE_TAKEN && strstr(row->name, tag) &&
	       time(NULL) - row->taken <= BATCH_MOVED_WITHIN;
}

/* The message must be listed again. Keys of POP3 are no numbers below "next", which stays 1. */
static void go_back(struct batch *batch, const struct batch_letter *letter)
{
	const char *key = letter->row.key;
	uint64_t number;

	if (letter->validity != batch->params.validity ||
	    !str_number(key, strlen(key), UINT32_MAX, &number) || number >= batch->next)
		return;
	batch->has_next = true;
	batch->next = (uint32_t)number;
}

static void forget_nowhere(struct batch *batch, struct item *item)
{
	item->shown.came = BATCH_NOWHERE;
	add_change(batch, CHANGE_FORGET, item->shown.validity, &item->shown.row);
	go_back(batch, &item->shown);
}

/* A letter whose row says that an MDA is to have it stays in the spool; any other one is put in
 * place. The run before may have died between a rename and its flush: what is found in place is
 * made durable once more, since "delivered" allows the removal from the server. */
static bool recover_item(struct batch *batch, struct item *item)
{
	struct sink *sink = batch->params.sink;
	enum sink_where where;

	if (!sink->ops->find(sink, item->shown.row.name, &where, &batch->err))
		return false;
	item->shown.came = BATCH_PLACED;
	if (where == SINK_NOWHERE && !moved_by_reader(sink, &item->shown.row)) {
		forget_nowhere(batch, item);
	} else if (!sink->ops->hand) {
		item->put_back = where == SINK_TMP;
		item->settle = where != SINK_NOWHERE;
		batch_mark(batch, item->shown.validity, item->shown.row.key, STATE_DELIVERED);
	} else if (where == SINK_PLACED) {
		if (!sink->ops->quarantine(sink, item->shown.row.name, &batch->err))
			return false;
		item->shown.row.is = STATE_QUARANTINED;
		batch_mark(batch, item->shown.validity, item->shown.row.key, STATE_QUARANTINED);
	} else {
		return sink->ops->hold(sink, item->shown.row.name, &batch->err);
	}
	return true;
}

/* True of a letter that stood in tmp/ and is nowhere now. Readers take none from there, so another
 * program has removed it before it arrived. */
static bool vanished(struct sink *sink, const char *name)
{
	enum sink_where where;

	return sink->ops->find(sink, name, &where, NULL) && where == SINK_NOWHERE;
}

static bool put_back(struct batch *batch, struct item *item)
{
	struct sink *sink = batch->params.sink;

	if (sink->ops->place(sink, item->shown.row.name, &batch->err)) {
		crash_point("recover-placed");
		return true;
	}
	if (!vanished(sink, item->shown.row.name))
		return false;
	err_clear(&batch->err);
	forget_nowhere(batch, item);
	return true;
}

struct sweep {
	struct names known;
	struct names strays;
};

static void note_stray(void *ctx, const char *name)
{
	struct sweep *sweep = ctx;

	if (!names_hold(&sweep->known, name))
		names_add(&sweep->strays, name);
}

/* Strays go once the state is written: then no row can come to light any more that names one, see
 * record_all(). */
static bool sweep_strays(struct batch *batch)
{
	struct sink *sink = batch->params.sink;
	struct sweep sweep = {.known = {.count = 0}};
	bool ok;

	for (size_t i = 0; i < batch->count; i++)
		names_add(&sweep.known, batch->items[i].shown.row.name);
	names_sort(&sweep.known);
	ok = sink->ops->strays(sink, batch->mark, note_stray, &sweep, &batch->err);
	for (size_t i = 0; ok && i < sweep.strays.count; i++)
		batch_discard(batch, sweep.strays.all[i]);
	names_free(&sweep.known);
	names_free(&sweep.strays);
	return ok;
}

static bool recover(struct batch *batch)
{
	struct sink *sink = batch->params.sink;
	bool settle = false;

	crash_point("recover");
	if (!sink->ops->open(sink, &batch->err) || !sweep_strays(batch))
		return false;
	crash_point("recover-swept");
	for (size_t i = 0; i < batch->count; i++)
		if (!recover_item(batch, &batch->items[i]))
			return false;
	for (size_t i = 0; i < batch->count; i++) {
		settle = settle || batch->items[i].settle;
		if (batch->items[i].put_back && !put_back(batch, &batch->items[i]))
			return false;
	}
	return !settle || sink->ops->settle(sink, &batch->err);
}

/* ---- the commit: on the committer's thread ---- */

static struct batch *next_of(const struct batch *batch)
{
	return (struct batch *)batch->job.next;
}

static bool has_letters(const struct batch *batch)
{
	return !batch->err.kind && batch->count && batch->items[0].letter;
}

static bool prepare(struct batch *batch)
{
	struct sink *sink = batch->params.sink;

	if (batch->mark)
		trust_again(batch->params.committer, sink);
	if (batch->err.kind || (batch->mark && !recover(batch)))
		return false;
	if (has_letters(batch) && has_failed(batch->params.committer, sink))
		return err_set(&batch->err, ERR_MAIL,
			       "%s could not be flushed to the disk before; what was written "
			       "meanwhile may be lost and is fetched again",
			       sink->ops->path(sink));
	for (size_t i = 0; i < batch->quarantines.count; i++)
		if (!sink->ops->quarantine(sink, batch->quarantines.all[i], &batch->err))
			return false;
	return true;
}

static bool flush_one_by_one(struct batch *batch)
{
	const char *path = batch->params.sink->ops->path(batch->params.sink);

	for (size_t i = 0; i < batch->count; i++) {
		struct letter *letter = batch->items[i].letter;

		crash_point("batch-flush-one");
		if (!disk_flush_file(letter_fd(letter), path, &batch->err) ||
		    !letter_close(letter, &batch->err))
			return false;
	}
	return true;
}

/* One syncfs() for all batches of a sink, of which this is the first. */
static void flush_together(struct batch *first)
{
	struct sink *sink = first->params.sink;
	struct err err = {.kind = ERR_NONE};
	bool closed = true;

	for (struct batch *batch = first; batch; batch = next_of(batch))
		for (size_t i = 0; batch->params.sink == sink && has_letters(batch) && closed &&
				   i < batch->count && i < BATCH_FSYNC_MAX;
		     i++)
			closed = letter_close(batch->items[i].letter, &err);
	crash_point("batch-flush-together");
	if (closed &&
	    disk_flush_filesystem(sink->ops->directory(sink), sink->ops->path(sink), &err))
		return;
	note_failed(first->params.committer, sink);
	for (struct batch *batch = first; batch; batch = next_of(batch))
		if (batch->params.sink == sink && has_letters(batch))
			batch->err = err;
}

/* True if no batch before it in the list has letters of the same sink. */
static bool is_first_of_sink(const struct batch *list, const struct batch *batch)
{
	for (; list != batch; list = next_of(list))
		if (list->params.sink == batch->params.sink && has_letters(list))
			return false;
	return true;
}

static void flush_letters(const struct committer *committer, struct batch *list)
{
	bool all_few = true;
	size_t total = 0;

	for (struct batch *batch = list; batch; batch = next_of(batch)) {
		total += has_letters(batch) ? batch->count : 0;
		all_few = all_few && batch->count <= BATCH_FSYNC_MAX;
	}
	if (!total)
		return;
	crash_point("batch-flush");
	if (!committer->together || (all_few && total <= BATCH_FSYNC_MAX)) {
		for (struct batch *batch = list; batch; batch = next_of(batch))
			if (has_letters(batch))
				(void)flush_one_by_one(batch);
	} else {
		for (struct batch *batch = list; batch; batch = next_of(batch))
			if (has_letters(batch) && is_first_of_sink(list, batch))
				flush_together(batch);
	}
	for (struct batch *batch = list; batch; batch = next_of(batch))
		if (has_letters(batch))
			(void)batch->params.sink->ops->flush(batch->params.sink, &batch->err);
	crash_point("batch-flushed");
}

static bool record_sink(struct state *state, const struct batch *batch, struct err *err)
{
	const struct sink *sink = batch->params.sink;

	if (!batch->mark || !sink->ops->identity)
		return true;
	return state_put_maildir(state, sink->ops->path(sink), sink->ops->identity(sink), err);
}

static bool record(struct state *state, const struct batch *batch, struct err *err)
{
	bool ok = record_sink(state, batch, err);

	for (size_t i = 0; ok && i < batch->count; i++)
		if (batch->items[i].letter)
			ok = state_put(state, batch->params.mailbox, batch->params.validity,
				       &batch->items[i].shown.row, err);
	ok = ok && changes_record(&batch->changes, state, batch->params.mailbox, err);
	if (ok && batch->has_next)
		ok = state_put_mailbox(state, batch->params.mailbox, batch->params.validity,
				       batch->next, err);
	if (ok && batch->has_visit)
		ok = state_put_visit(state, batch->params.account, &batch->visit, err);
	return ok;
}

/*
 * All batches that got here stand or fall together. A COMMIT that failed may have happened after
 * all: where the log was written and only its flush failed, the next one to open the file finds it
 * whole and takes it for done. Letters that such a row may name stay, flushed as they are; recovery
 * puts them in place, or removes them where there is no row.
 */
static void record_all(struct state *state, struct batch *list)
{
	struct err err = {.kind = ERR_NONE};
	bool ok = true;
	bool any = false;

	for (struct batch *batch = list; batch; batch = next_of(batch))
		any = any || !batch->err.kind;
	if (!any)
		return;
	crash_point("batch-record");
	ok = state_begin(state, &err);
	for (struct batch *batch = list; ok && batch; batch = next_of(batch))
		if (!batch->err.kind)
			ok = record(state, batch, &err);
	if (ok && state_commit(state, &err)) {
		crash_point("batch-recorded");
		return;
	}
	state_rollback(state);
	for (struct batch *batch = list; batch; batch = next_of(batch)) {
		if (batch->err.kind)
			continue;
		batch->err = err;
		for (size_t i = 0; i < batch->count; i++)
			batch->items[i].stays = ok;
	}
}

/* A letter that cannot be put in place is recorded already: recovery tries again. */
/* Thousands of letters are held at a time, and few have anything to tell. */
static void stick(struct batch_letter *shown, enum batch_came came, const struct err *err)
{
	if (!shown->err)
		shown->err = mem_new(1, sizeof *shown->err);
	*shown->err = *err;
	shown->came = came;
}

static void place(struct batch *batch)
{
	struct sink *sink = batch->params.sink;
	bool any = false;
	struct err err;

	for (size_t i = 0; i < batch->count; i++) {
		struct batch_letter *shown = &batch->items[i].shown;

		letter_free(&batch->items[i].letter);
		crash_point("batch-place");
		if (!sink->ops->place(sink, shown->row.name, &err))
			stick(shown, vanished(sink, shown->row.name) ? BATCH_NOWHERE : BATCH_STUCK,
			      &err);
		any = true;
	}
	if (!any || sink->ops->settle(sink, &err))
		return;
	for (size_t i = 0; i < batch->count; i++)
		if (batch->items[i].shown.came != BATCH_NOWHERE)
			stick(&batch->items[i].shown, BATCH_STUCK, &err);
}

/* What was not recorded must not stay on the disk: it is fetched anew. */
static void undo(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (!batch->items[i].letter || batch->items[i].stays)
			continue;
		(void)batch->params.sink->ops->discard(batch->params.sink,
						       batch->items[i].shown.row.name, NULL);
		letter_free(&batch->items[i].letter);
	}
}

static void commit(void *ctx, struct disk_job *jobs)
{
	struct committer *committer = ctx;
	struct batch *list = (struct batch *)jobs;

	for (struct batch *batch = list; batch; batch = next_of(batch))
		(void)prepare(batch);
	flush_letters(committer, list);
	record_all(committer->state, list);
	for (struct batch *batch = list; batch; batch = next_of(batch)) {
		struct sink *sink = batch->params.sink;

		if (batch->err.kind) {
			undo(batch);
			continue;
		}
		if (has_letters(batch))
			place(batch);
		for (size_t i = 0; i < batch->discards.count; i++)
			(void)sink->ops->discard(sink, batch->discards.all[i], NULL);
	}
	crash_point("batch-done");
}

static void committed(struct disk_job *job)
{
	struct batch *batch = (struct batch *)job;

	batch->done(batch->ctx, batch);
}

void batch_commit(struct batch *batch, void (*done)(void *ctx, struct batch *batch), void *ctx)
{
	batch->done = done;
	batch->ctx = ctx;
	batch->job.done = committed;
	disk_submit(batch->params.committer->disk, &batch->job);
}

struct committer *committer_new(struct loop *loop, struct state *state, struct err *err)
{
	struct committer *committer = mem_new(1, sizeof *committer);

	committer->state = state;
	committer->together = disk_can_flush_filesystem();
	committer->disk = disk_new(loop, commit, committer, err);
	if (!committer->disk) {
		free(committer);
		return NULL;
	}
	return committer;
}

void committer_free(struct committer **committer)
{
	if (!*committer)
		return;
	disk_free(&(*committer)->disk);
	free((*committer)->failed);
	free(*committer);
	*committer = NULL;
}
