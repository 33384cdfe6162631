/*
 * plan: what to fetch and what to remove in one visit of one mailbox, and how far it got. Pure.
 *
 * Fed with what the server listed and what the state knows of each message, it gives the sets for
 * source_fetch() and source_remove(), and follows the outcome of each message, so that the
 * mailbox's "next" only ever moves past messages that are safe.
 */
#ifndef MAILHAUL_SESSION_PLAN_H
#define MAILHAUL_SESSION_PLAN_H

#include "proto/source.h"
#include "state/state.h"

struct plan;

struct plan_params {
	bool keep;     /* delivered messages stay on the server */
	uint32_t next; /* the mailbox's "next" so far: where the listing began */
	uint32_t end;  /* UIDNEXT as the server gave it; 0: not known */
	/* A key that was removed and is listed again belongs to a new message (POP3, RFC 1939
	 * section 7 lets a UIDL be used again after the removal). */
	bool keys_return;
};

struct plan *plan_new(const struct plan_params *params);
void plan_free(struct plan **plan);

/* One listed message, in ascending order of numbers; lower or equal ones are ignored. key is
 * copied. It counts as new until plan_known(). */
void plan_listed(struct plan *plan, uint32_t number, const char *key);

/* How many were listed; the key of one, by index; what the state knows of it. */
size_t plan_count(const struct plan *plan);
const char *plan_key_at(const struct plan *plan, size_t index);
void plan_known(struct plan *plan, size_t index, enum state_is is);

/* Besides, where keys return: the message that had this key had this mark (copied), and was
 * removed. It is fetched, and only its mark tells whether it is another one. */
void plan_returned(struct plan *plan, size_t index, const char *mark);
bool plan_is_returned(const struct plan *plan, uint32_t number, const char *mark);

/* The listing is complete. Until then "next" does not move. */
void plan_listing_done(struct plan *plan);

/* One delivered message that the listing did not cover (IMAP, below "next"), due for removal. */
void plan_delivered(struct plan *plan, uint32_t number, const char *key);

/* What is to be fetched; what may be removed by now, each number once over the plan's life. Owned
 * by the plan until the next call of the same function. */
struct source_set plan_fetch(struct plan *plan);
struct source_set plan_remove(struct plan *plan);

enum plan_outcome {
	PLAN_COMING,	/* it came, and is on its way to the disk */
	PLAN_TAKEN,	/* has a durable row: need not be fetched again */
	PLAN_DELIVERED, /* and is delivered: may be removed unless kept */
	PLAN_LEFT	/* did not come: fetched at the next visit, if it is listed then */
};

void plan_settle(struct plan *plan, uint32_t number, enum plan_outcome outcome);

/* True if the number is to be fetched and has no outcome yet. */
bool plan_wants(const struct plan *plan, uint32_t number);

/* Every number below it is settled: what the mailbox's "next" may become. */
uint32_t plan_next(const struct plan *plan);

#endif
