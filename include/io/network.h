/*
 * network: tells when the machine's network has come back, or the machine itself.
 */
#ifndef MAILHAUL_IO_NETWORK_H
#define MAILHAUL_IO_NETWORK_H

#include "io/loop.h"

enum {
	NETWORK_SETTLE_MS = 1000,	  /* from the first sign until it is told */
	NETWORK_LOOK_MS = 15000,	  /* how often the clocks are compared */
	NETWORK_SUSPENDED_LEAST_MS = 5000 /* shorter sleeps are none */
};

struct network;

/*
 * Calls on_change on the loop when a route or an address has come that was not there before
 * (rtnetlink, RFC 3549), and, with resumed, when the machine was suspended and runs again. Where
 * netlink is not allowed it only notices the latter. Keeps the loop alive.
 */
struct network *network_new(struct loop *loop, void (*on_change)(void *ctx, bool resumed),
			    void *ctx);

/* Where the time comes from, and how it is waited for; milliseconds. */
struct network_clock {
	uint64_t (*running)(void); /* stands still while the machine is suspended */
	uint64_t (*boottime)(void);
	uint64_t look_ms;
	uint64_t settle_ms;
};

/* As network_new(), for tests: with a clock of their own, which is copied. */
struct network *network_new_by(struct loop *loop, const struct network_clock *clock,
			       void (*on_change)(void *ctx, bool resumed), void *ctx);

/* May be called inside on_change. */
void network_free(struct network **network);

#endif
