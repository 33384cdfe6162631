/*
 * collect: one mailbox of a visit: recovery, listing, fetching into letters, commits, handing over,
 * removal. It takes the events of the source that belong to a mailbox; session drives it.
 */
#ifndef MAILHAUL_SESSION_COLLECT_H
#define MAILHAUL_SESSION_COLLECT_H

#include "proto/source.h"
#include "session/batch.h"
#include "session/retention.h"

struct collect;

struct collect_params {
	struct loop *loop;
	struct committer *committer;
	struct state *state;
	struct state_key key; /* strings are borrowed */
	struct state_mailbox mailbox;
	struct sink *sink; /* borrowed */
	struct retention retention;
	uint32_t *allowance; /* how many messages the visit may still fetch; NULL: no limit. What
				is fetched is taken off. */
	uint32_t max_attempts;
	bool keys_return; /* plan.h */
	bool look_only;	  /* test: list and count, change nothing, recover nothing */
	bool mark_all; /* what is there, and not known, counts as known: nothing is fetched, handed
			  over or removed. sink is NULL. */
	bool first_skip;  /* the same if nothing is known of the mailbox yet */
	int64_t inherits; /* another mailbox, of a host that the account had before: what is known
			     of it recognises messages here, and moves here; 0: none */
	bool retry_now;	  /* letters that wait in the spool are tried whatever their next_try */

	/* The collect has got further: see collect_at(). Called from the loop, never from within a
	 * collect_ function. */
	void (*on_step)(void *ctx);
	/* One message, or the mailbox, had a problem; the others go on. */
	void (*on_problem)(void *ctx, const struct err *err);
	/* A message was fetched, or delivered: collect_counts() has moved. */
	void (*on_progress)(void *ctx);
	void *ctx;
};

enum collect_at {
	COLLECT_RECOVERING, /* wait for on_step */
	COLLECT_READY,	    /* collect_start() may be called */
	COLLECT_BUSY,	    /* with the source */
	COLLECT_SETTLING, /* all is fetched; commits and the MDA are under way: wait for on_step */
	COLLECT_SETTLED,  /* collect_remove() may be called */
	COLLECT_DONE,	  /* with this mailbox of the source */
	COLLECT_FAILED	  /* collect_err() */
};

struct collect_counts {
	uint64_t fresh;	  /* to be fetched in this visit */
	uint64_t fetched; /* of them, whole */
	uint64_t delivered;
	uint64_t octets;  /* of them */
	uint64_t waiting; /* put off, in the spool */
	uint64_t quarantined;
	uint64_t removable;  /* look_only: how many a visit would remove, or were removed */
	uint64_t left;	     /* too large, left on the server */
	uint64_t skipped;    /* left alone as if they were known: first_skip, mark_all */
	uint64_t put_off;    /* beyond the allowance, left for the next visit */
	uint64_t recognised; /* under another numbering: not fetched, or not delivered again */
	uint64_t exists;     /* on the server */
};

/* True if a visit left something of the mailbox unfinished: only opening it can end that. */
bool collect_unfinished(struct state *state, int64_t mailbox, bool *unfinished_r, struct err *err);

/* True if there is nothing to do in the mailbox: the server has it under the same validity and with
 * no uid that we do not know, nothing is unfinished, and retention_due() has nothing for it. now:
 * Unix time. */
bool collect_quiet(struct state *state, const struct state_mailbox *mailbox,
		   const struct retention *retention, uint32_t validity, uint32_t next, int64_t now,
		   bool *quiet_r, struct err *err);

/* Begins with recovery at once. Never fails itself. */
struct collect *collect_new(const struct collect_params *params);

/* Only when collect_idle(), or when the loop has ended. */
void collect_free(struct collect **collect);

enum collect_at collect_at(const struct collect *collect);
const struct err *collect_err(const struct collect *collect);
const struct collect_counts *collect_counts(const struct collect *collect);

/* Queues the first verbs. received: the Received: field up to its semicolon, borrowed. */
void collect_start(struct collect *collect, struct source *source, const char *received);

/* Takes SELECTED, LISTED, BEGIN, CHUNK, END, GONE, REFUSED, REMOVED and DONE of its verbs. False:
 * the mailbox or the whole session cannot go on (COLLECT_FAILED). */
bool collect_event(struct collect *collect, struct source *source, enum source_what what,
		   const struct source_event *ev);

/* Removes from the server what may go; COLLECT_BUSY, or COLLECT_DONE if there is nothing. */
void collect_remove(struct collect *collect, struct source *source);

/* True while so much waits for the disk that the source should not be read. */
bool collect_full(const struct collect *collect);

/* The source is gone: what is whole is committed, what is not is forgotten. hasten: letters that
 * the MDA has not begun stay in the spool. */
void collect_close(struct collect *collect, bool hasten);

/* After a hasty collect_close(): ends what the MDA has in hand. */
void collect_abort(struct collect *collect);

/* True when nothing is under way any more. */
bool collect_idle(const struct collect *collect);

/* Which message of this visit came under which key is not known (source_astray()): the last batch
 * forgets those that were taken, so that they are fetched again. */
void collect_doubt(struct collect *collect);

/* The end of the session was confirmed: POP3's removals count. */
void collect_confirm(struct collect *collect);

/* What the end of the visit makes durable: marks, "next", and the removals if the server confirmed
 * them. To be committed by the session; NULL if there is nothing. */
struct batch *collect_last_batch(struct collect *collect, bool removals_confirmed);

#endif
