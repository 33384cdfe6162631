/*
 * listener: listens on a connection that a visit has left behind, until there is news (IDLE, RFC
 * 2177). There may be thousands of them: it holds next to nothing.
 *
 * A server that never pushes is asked all the same: in each span IDLE is begun anew, and what the
 * server tells then counts. What does not answer that is dead.
 */
#ifndef MAILHAUL_SESSION_LISTENER_H
#define MAILHAUL_SESSION_LISTENER_H

#include "io/loop.h"
#include "session/link.h"

#include <stdint.h>

/* The longest span: servers may hang up after 30 minutes of idling (RFC 2177). */
enum { LISTENER_SPAN_MAX_MS = 28 * 60 * 1000 };

enum listener_what {
	LISTENER_NEWS,	  /* visit the mailbox */
	LISTENER_PUSHED,  /* the same, and the server told it by itself */
	LISTENER_REFUSED, /* the server does not let us listen (now); the connection is good */
	LISTENER_LOST	  /* the connection is gone; err says why */
};

struct listener;

struct listener_params {
	struct loop *loop;
	const char *account; /* for the log; borrowed, as is host */
	const char *host;
	uint64_t silence_ms; /* how long an answer may take */
	uint64_t span_ms;    /* until IDLE is begun anew */
	/* Once, from the loop. err with LISTENER_LOST. May free the listener or take the link. */
	void (*on)(void *ctx, enum listener_what what, const struct err *err);
	void *ctx;
};

/* Takes the link over; the mailbox that is open there is listened to. */
struct listener *listener_new(const struct listener_params *params, struct link **link);

/* Frees the listener and gives its link, for a visit to begin with; NULL: it is lost. */
struct link *listener_take(struct listener **listener);

/* Closes the connection. Nothing if it is NULL. */
void listener_free(struct listener **listener);

/* The server's next sign of life is due soon: the machine slept, or the network has changed. */
void listener_probe(struct listener *listener);

#endif
