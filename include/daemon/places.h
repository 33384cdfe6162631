/*
 * places: what the descriptors go to that this process may have (RLIMIT_NOFILE): to visits first,
 * and what they leave to connections that listen. Where they do not suffice, that is said, fewer
 * visits are made at once, and mailboxes that find no place are polled.
 */
#ifndef MAILHAUL_DAEMON_PLACES_H
#define MAILHAUL_DAEMON_PLACES_H

#include "config/config.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Zeroed at first; then places_share(). */
struct places {
	size_t visits;	/* at once: at most max_connections, or the accounts; at least 1 */
	size_t listens; /* connections that may listen */
	size_t taken;	/* of them */
	bool said;	/* that descriptors have run out */
};

/* Shares the descriptors out anew, as the configuration needs them; logs a warning where it needs
 * more than there are. What is taken beyond that stays. */
void places_share(struct places *places, const struct config *config);

/* Looks whether a visit failed for want of a descriptor, and warns of it, once. */
void places_note(struct places *places, const struct err *err);

/* A place for a connection that listens. False: none is left. */
bool places_take(struct places *places);
void places_give(struct places *places);
bool places_full(const struct places *places);

#endif
