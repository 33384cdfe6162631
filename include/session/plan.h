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
	int64_t removable; /* what was delivered then or before may go: retention_before() */
	uint32_t next;	   /* the mailbox's "next" so far: where the listing began */
	uint32_t end;	   /* UIDNEXT as the server gave it; 0: not known */
	/* A key that was removed and is listed again belongs to a new message (POP3, RFC 1939
	 * section 7 lets a UIDL be used again after the removal). */
	bool keys_return;
};

struct plan *plan_new(const struct plan_params *params);
void plan_free(struct plan **plan);

/* One listed message, in ascending order of numbers; lower or equal ones are ignored. key and id
 * (SOURCE_LISTED) are copied; octets may be 0. It counts as new until plan_known(). */
void plan_listed(struct plan *plan, uint32_t number, const char *key, uint64_t octets,
		 const char *id);

struct plan_message {
	uint32_t number;
	const char *key;
	const char *id;	 /* "" if it has none */
	uint64_t octets; /* as it was listed */
	bool is_new;	 /* to be fetched, no outcome yet */
};

/* How many there are; one of them by index. It is the plan's until the next one is added. */
size_t plan_count(const struct plan *plan);
struct plan_message plan_at(const struct plan *plan, size_t index);

/* What the state knows of one that was listed. */
void plan_known(struct plan *plan, size_t index, const struct state_row *row);

/* Besides, where keys return: the message that had this key had this digest (mark.h; copied), and
 * was removed. It is fetched, and only its digest tells whether it is another one. */
void plan_returned(struct plan *plan, size_t index, const char *digest);
bool plan_is_returned(const struct plan *plan, uint32_t number, const char *digest);

/* The listing is complete. Until then "next" does not move. */
void plan_listing_done(struct plan *plan);

/* The server has not listed all that is there: "next" stays, and the next visit lists it again. */
void plan_hold_next(struct plan *plan);
bool plan_is_complete(const struct plan *plan);

/* A message that the listing did not cover (IMAP, below "next"): delivered, and due for removal; or
 * to be fetched after all. Neither holds "next" back: they have rows. */
void plan_delivered(struct plan *plan, uint32_t number, const char *key);
void plan_again(struct plan *plan, uint32_t number, const char *key, uint64_t octets);
bool plan_is_beside(const struct plan *plan, uint32_t number);

/* All that is new; or no more than so many of it, and the rest is left for the next visit. Owned by
 * the plan until the next call of either or of plan_remove(). */
struct source_set plan_new_ones(struct plan *plan);
struct source_set plan_fetch(struct plan *plan, size_t most);

/* How many plan_fetch() left. */
size_t plan_put_off(const struct plan *plan);

/* What may be removed by now, each number once over the plan's life. */
struct source_set plan_remove(struct plan *plan);

enum plan_outcome {
	PLAN_COMING,	/* it came, and is on its way to the disk */
	PLAN_TAKEN,	/* has a durable row: need not be fetched again */
	PLAN_DELIVERED, /* and is delivered just now: may be removed if that is to be at once */
	PLAN_LEFT	/* did not come: fetched at the next visit, if it is listed then */
};

void plan_settle(struct plan *plan, uint32_t number, enum plan_outcome outcome);

/* It turned out to be a message that the state knows. */
void plan_recognised(struct plan *plan, uint32_t number, const struct state_row *row);

/* True if the number is to be fetched and has no outcome yet. */
bool plan_wants(const struct plan *plan, uint32_t number);

/* The server's id of a message; "" if it has none. */
const char *plan_id(const struct plan *plan, uint32_t number);

/* Every number below it is settled: what the mailbox's "next" may become. */
uint32_t plan_next(const struct plan *plan);

#endif
