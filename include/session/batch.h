/*
 * batch: the commit protocol. One batch holds letters and changes of rows of one mailbox that
 * become durable together; the committer's thread takes the batches of all sessions at once.
 *
 * In this order, each step for all batches before the next:
 *   1. recovery, where the batch asks for it; letters that must go into the quarantine go there;
 *   2. the letters' data is flushed, then the directories they stand in;
 *   3. one transaction records the letters as taken, with all other changes: the commit point;
 *   4. each letter is put in place, and the directories are flushed;
 *   5. files that the new rows make superfluous are removed.
 * The row of a letter that was put in place is to be marked as delivered in the next batch of its
 * mailbox; a crash before that is mended by recovery, which finds the letter in place.
 */
#ifndef MAILHAUL_SESSION_BATCH_H
#define MAILHAUL_SESSION_BATCH_H

#include "deliver/sink.h"
#include "io/loop.h"
#include "mail/letter.h"
#include "state/state.h"

struct committer;

/* state and loop are borrowed and outlive the committer. NULL on failure. */
struct committer *committer_new(struct loop *loop, struct state *state, struct err *err);

/* Waits for what is under way. */
void committer_free(struct committer **committer);

struct batch;

struct batch_params {
	struct committer *committer;
	struct sink *sink; /* borrowed; NULL: the batch has no letters */
	int64_t account;   /* ids of the state */
	int64_t mailbox;
	uint32_t validity;
};

struct batch *batch_new(const struct batch_params *params);

/* Before batch_commit(), or from done on. Letters that were never committed leave the disk. */
void batch_free(struct batch **batch);

/* An ended letter and the row it becomes. The letter belongs to the batch; of the row, which is
 * copied, "is", name and octets are filled in. number is the source's; now is loop_now(). */
void batch_take(struct batch *batch, struct letter **letter, uint32_t number,
		const struct state_row *row, uint64_t now);

/* True if the batch should be committed: by count, size or age. */
bool batch_full(const struct batch *batch, uint64_t now);

/* True if there is nothing to commit. */
bool batch_empty(const struct batch *batch);

/* A row as it shall be (copied); or a new state for an existing one; or no row any more. */
void batch_put(struct batch *batch, uint32_t validity, const struct state_row *row);
void batch_mark(struct batch *batch, uint32_t validity, const char *key, enum state_is is);

void batch_forget(struct batch *batch, uint32_t validity, const char *key);

/* state_gone(), state_forget_gone(), state_put_checked() of the batch's mailbox. */
void batch_gone(struct batch *batch, uint32_t validity, const char *key, int64_t gone);
void batch_forget_gone(struct batch *batch, int64_t before);
void batch_checked(struct batch *batch, int64_t begun, int64_t checked);

/* Rows that only recognise from now on, under a validity that the server never gives: those of
 * another mailbox, which is left as if it had never been visited; or the settled ones of this one
 * (its letters are under way). Before all other changes of the batch. */
void batch_adopt(struct batch *batch, int64_t from, uint32_t validity);

/* A file of the sink that goes once the rows are durable; a letter of the sink that moves into the
 * quarantine before the rows say so. */
void batch_discard(struct batch *batch, const char *name);
void batch_quarantine(struct batch *batch, const char *name);

/* The mailbox's validity and "next"; what the visit leaves behind (copied). */
void batch_next(struct batch *batch, uint32_t next);
void batch_visit(struct batch *batch, const struct state_visit *visit);

/*
 * Recovery: the sink is opened and its identity remembered; each letter that was added by
 * batch_recover_row() is looked for, and put in place or recognised where it stands; letters whose
 * name carries the mark and that have no row are removed. next is the mailbox's: where the letter
 * of a message below it is nowhere, "next" goes back to that message in the same transaction, since
 * otherwise no listing would show it again.
 */
void batch_recover(struct batch *batch, const char *mark, uint32_t next);
void batch_recover_row(struct batch *batch, uint32_t validity, const struct state_row *row);

/* "next" after the recovery. */
uint32_t batch_recovered_next(const struct batch *batch);

/* Part of the name of each letter: the place it is written to. A letter that is nowhere was moved
 * by a mail reader only if it was written to where the account still delivers. */
enum { BATCH_PLACE_TAG = 17 };
void batch_place_tag(const struct sink *sink, char out[BATCH_PLACE_TAG + 1]);

/* Starts the commit. done is called on the loop; from then on the batch is its owner's again. */
void batch_commit(struct batch *batch, void (*done)(void *ctx, struct batch *batch), void *ctx);

/* ERR_NONE, or why nothing of the batch is durable. */
const struct err *batch_err(const struct batch *batch);

enum batch_came {
	BATCH_PLACED, /* in place, or safe in the spool: durable either way */
	BATCH_STUCK,  /* durable and recorded, but could not be put in place: recovery will */
	BATCH_NOWHERE /* recovery did not find it, and forgot its row; or another program took it
			 away before it was in place, and its row is still to be forgotten: fetch it
			 again */
};

struct batch_letter {
	uint32_t number; /* 0 for one that was recovered */
	uint32_t validity;
	enum batch_came came;
	struct state_row row; /* as it was recorded */
	struct err *err; /* with BATCH_STUCK, and with BATCH_NOWHERE of a letter that was new; else
			    NULL */
};

/* The letters, in the order in which they were taken. Owned by the batch. */
size_t batch_letters(const struct batch *batch);
const struct batch_letter *batch_letter(const struct batch *batch, size_t index);

#endif
