/*
 * hand: the letters of one mailbox that an MDA is to have, one after the other, each with its rows
 * made durable before and after: taken or waiting -> handed -> delivered, waiting or quarantined.
 *
 * Before the MDA starts, "handed" is durable, so that a crash in the only window in which a message
 * could be doubled is recognised. After a verdict the file leaves the spool once the row is
 * durable.
 */
#ifndef MAILHAUL_SESSION_HAND_H
#define MAILHAUL_SESSION_HAND_H

#include "session/batch.h"

struct hand;

struct hand_result {
	uint32_t number; /* of the source in this session; 0: from an earlier one */
	const char *key;
	enum state_is is; /* STATE_DELIVERED, STATE_WAITING or STATE_QUARANTINED */
	uint64_t octets;
	const struct err
	    *err; /* why not delivered: ERR_MESSAGE, ERR_QUARANTINE; ERR_CONFIG: the set-up
		     is broken, nothing more is handed over; NULL when delivered */
};

struct hand_params {
	struct batch_params batch; /* sink, committer and ids */
	uint32_t max_attempts;
	void (*on_result)(void *ctx, const struct hand_result *result);
	/* The queue is empty or stopped, and everything is durable. failed: a commit failed
	 * (ERR_STATE, ERR_MAIL), or NULL. May free the hand. */
	void (*on_idle)(void *ctx, const struct err *failed);
	void *ctx;
};

struct hand *hand_new(const struct hand_params *params);

/* Not while a commit is under way, unless the loop has ended. An MDA that runs is stopped when the
 * sink is freed; that must come before the loop runs again. */
void hand_free(struct hand **hand);

/* Queues a letter of the spool; the row is copied. Does nothing once the queue was stopped. */
void hand_add(struct hand *hand, uint32_t number, uint32_t validity, const struct state_row *row);

/* Letters that are not begun stay in the spool for the next visit. */
void hand_stop(struct hand *hand);

/* After that: the letter that the MDA has is taken away from it, and waits in the spool too. */
void hand_abort(struct hand *hand);

/* True until on_idle was called after the last hand_add(). */
bool hand_busy(const struct hand *hand);

#endif
