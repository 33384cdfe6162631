/*
 * backoff: how long until the next visit, by what came of the last ones. Pure.
 *
 * A visit that went well is followed by another after the account's interval. One that failed is
 * tried again after a time that grows with each failure of the same kind, by how likely it is that
 * it is over by then, and what trying costs. What the server itself says of the time counts.
 */
#ifndef MAILHAUL_DAEMON_BACKOFF_H
#define MAILHAUL_DAEMON_BACKOFF_H

#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Zeroed at first. */
struct backoff {
	unsigned failures;	 /* in a row that are waited for in the same way; 0: all is well */
	enum err_kind kind;	 /* of the last one; ERR_NONE: all is well */
	unsigned rule;		 /* by which it is waited */
	bool server_spoke;	 /* so that it is not the network that fails */
	uint64_t login_delay_ms; /* what the server told at the last login; 0: nothing */
};

struct backoff_visit {
	const struct err *err;	  /* what came of it; its server words count */
	const char *capabilities; /* as the server gave them after login; "" or NULL: no login */
	uint64_t interval_ms;
	bool listening; /* the connection stays, so that the next visit needs no login */
	bool refused;	/* with ERR_AUTH: by the server. Else no secret was to be had */
	bool whole;	/* with ERR_TEMPORARY: the visit came to its end all the same, and only a
			   message or a mailbox was put off */
};

/* Milliseconds until the next visit. chance is a random number, by which accounts do not march in
 * step. */
uint64_t backoff_after(struct backoff *backoff, const struct backoff_visit *visit, uint32_t chance);

/* True if the last visit failed for what may be want of network, and is worth trying again at once
 * when the network is back. */
bool backoff_is_network(const struct backoff *backoff);

#endif
