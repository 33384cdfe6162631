/*
 * collect_parts: what the files of collect share; nobody else includes it.
 *
 *     collect.c         recovery, fetching into letters, commits, handing over; the events
 *     collect_known.c   from a complete listing to what is fetched: what is known already, also
 *                       under another numbering, in another mailbox or at another host, and what
 *                       is left alone
 *     collect_retain.c  removing, looking for what vanished, forgetting
 */
#ifndef MAILHAUL_SESSION_COLLECT_PARTS_H
#define MAILHAUL_SESSION_COLLECT_PARTS_H

#include "mail/header.h"
#include "session/collect.h"
#include "session/hand.h"
#include "session/intake.h"
#include "session/plan.h"
#include "session/recognise.h"

struct collect {
	struct collect_params params;
	enum collect_at at;
	struct err err;
	struct collect_counts counts;
	struct plan *plan;
	struct hand *hand;     /* NULL where the sink needs none */
	struct batch *batch;   /* the open one; NULL while there is nothing in it */
	struct intake *intake; /* NULL when look_only or mark_all */
	uint32_t validity;     /* of this session */
	uint32_t from;	       /* where the listing began */
	bool listed_again;     /* a changed validity made the first listing void */
	bool skipping;	       /* what is new counts as known */
	unsigned commits;      /* under way */
	bool stepping;	       /* on_step is deferred */
	bool shared_ids;       /* the server's ids name messages in all mailboxes (X-GM-MSGID) */

	/* The message that is being fetched. */
	uint64_t octets;
	bool too_large; /* it was dropped in the middle */
	char digest[DIGEST_TEXT + 1];
	bool wants_headers;	    /* only those are being fetched */
	struct header_scan *header; /* of the present one */
	uint64_t largest;	    /* of those that are left because of their size */

	struct recognise *before; /* known under another numbering; NULL if nothing is */
	bool renumbered;	  /* in this visit */

	struct buf taken;     /* POP3: keys of this visit's letters, each with its NUL */
	struct buf removed;   /* keys the server said it removed, each with its NUL */
	uint64_t unconfirmed; /* POP3: so many of them */
	uint64_t doubted; /* IMAP: removable, if it turns out that all of them are removed; else 0
			   */
	bool looking;	  /* for what vanished */
	bool looked;
	bool in_doubt; /* what was taken may belong to others of them */
};

/* ---- collect.c ---- */

void collect_fail(struct collect *collect, const struct err *err);
void collect_problem(struct collect *collect, const struct err *err);

/* on_step comes, soon. */
void collect_step(struct collect *collect);

/* The open batch, begun if need be. */
struct batch *collect_batch(struct collect *collect);

/* All that was to be fetched came. */
void collect_settle(struct collect *collect);

/* ---- collect_known.c ---- */

/* How source_list() is to be asked. */
unsigned collect_list_wants(const struct collect *collect);

/* True if all that is there counts as known. */
bool collect_wants_skipping(struct collect *collect, bool *skipping_r, struct err *err);

/* The mailbox is open: is it numbered anew? Is nothing to be listed? */
void collect_selected(struct collect *collect, const struct source_event *ev);

/* The listing is complete. False: failed. */
bool collect_listed(struct collect *collect, struct source *source);

/* Fetches what is left to be fetched, once recognising has done what it can. */
void collect_fetch(struct collect *collect, struct source *source);

/* A header came whole; or a message, with its digest: true if it is known already. */
void collect_header(struct collect *collect, const struct source_event *ev);
bool collect_recognised(struct collect *collect, const struct source_event *ev, const char *digest);

/* A message is larger than max_size: it gets a row that says so. */
void collect_leave_large(struct collect *collect, uint32_t number, const char *key,
			 const char *mark, uint64_t octets);

/* Says what became of messages that are known, or too large. */
void collect_tell(struct collect *collect);

/* ---- collect_retain.c ---- */

/* True if the mailbox must be opened for writing. */
bool collect_wants_writing(struct collect *collect, bool *writing_r, struct err *err);

/* Adds to the plan what is due for removal and was not listed. */
bool collect_add_due(struct collect *collect, struct err *err);

/* POP3's listing is complete: what is missing in it is gone, what is back is not. */
bool collect_note_gone(struct collect *collect, struct err *err);

/* The server said that it removed a message. */
void collect_removed(struct collect *collect, const struct source_event *ev);

/* The answer to remove is complete: asks which are still there where the server is not sure. */
void collect_removal_done(struct collect *collect, struct source *source,
			  const struct source_event *ev);

/* Of those it has told which are gone. refused: nothing. */
void collect_removal_known(struct collect *collect, struct source *source, bool refused);

/* All is removed that may be: looks for what vanished, if it is time to. COLLECT_BUSY, or
 * COLLECT_DONE. */
void collect_after_removal(struct collect *collect, struct source *source);

/* After collect_doubt(): the open batch forgets what was taken. */
void collect_forget_doubted(struct collect *collect);

/* The mailbox's own end, in the last batch: what is gone under older numberings, begun, checked. */
void collect_conclude(struct collect *collect);

#endif
