/*
 * retention: what stays on the server, and how long.
 */
#ifndef MAILHAUL_SESSION_RETENTION_H
#define MAILHAUL_SESSION_RETENTION_H

#include "state/state.h"

enum retention_keep {
	RETENTION_KEEP,
	RETENTION_REMOVE, /* what is delivered, at once */
	RETENTION_KEEP_FOR
};

enum { RETENTION_FORGET = 30 * 24 * 60 * 60 /* seconds after which what is gone is forgotten */ };

struct retention {
	enum retention_keep keep;
	int64_t keep_for;  /* seconds since the delivery, with RETENTION_KEEP_FOR */
	uint64_t max_size; /* octets; larger messages are left on the server; 0: no limit */
};

/* What was delivered at this Unix time or before it may be removed: INT64_MIN: nothing, INT64_MAX:
 * all. A delivery that lies in the future, for a clock that was wrong, is not due. */
int64_t retention_before(const struct retention *retention, int64_t now);

/* True if a message of this size is left on the server. */
bool retention_too_large(const struct retention *retention, uint64_t octets);

/* True if the mailbox wants a visit although the server has nothing new in it: something is to be
 * removed, or was too large and is not any more, or it is time to look for what vanished (IMAP).
 * Reads one row where there is something, and of those that are too large all. */
bool retention_due(struct state *state, const struct state_mailbox *mailbox,
		   const struct retention *retention, int64_t now, bool *due_r, struct err *err);

/* True if it is time to look for what vanished, which is done each period seconds. */
bool retention_check_due(const struct state_mailbox *mailbox, int64_t period, int64_t now);

/* A warning for people where a server's capabilities (POP3's CAPA) say that it removes by itself
 * what was retrieved, although it is to stay; NULL if there is none. */
const char *retention_warning(const struct retention *retention, const char *capabilities);

#endif
