/*
 * local: a Unix-domain stream socket on which processes of one user exchange lines.
 *
 * A line ends with a line feed, which is not shown here, and holds neither NUL nor more than
 * LOCAL_LINE_MAX octets: who sends other lines is dropped.
 */
#ifndef MAILHAUL_IO_LOCAL_H
#define MAILHAUL_IO_LOCAL_H

#include "io/loop.h"

enum {
	LOCAL_LINE_MAX = 65536,
	LOCAL_PEERS_MAX = 32,	   /* further ones wait until one of these has gone */
	LOCAL_QUEUE_MAX = 8 << 20, /* octets that a peer may leave unread; then it is dropped */
	LOCAL_LINGER_MS = 3000	   /* what a peer that was ended takes nothing for: dropped */
};

/* ---- the server -------------------------------------------------------------------------------
 */

struct local;
struct local_peer;

struct local_params {
	/* A line of a peer; borrowed until the callback returns. Any function may be called in it,
	 * local_free() too. */
	void (*on_line)(void *ctx, struct local_peer *peer, const char *line);
	/* The peer is gone, or was dropped, or local_end() is done; the pointer is void afterwards.
	 * Never from within a local_ function; not at local_free(). Closing its writing half alone
	 * is going, too. */
	void (*on_gone)(void *ctx, struct local_peer *peer);
	void *ctx;
};

/*
 * Listens on path, which only its user (mode 0600) and root can connect to: others are turned away
 * whatever the mode became. A socket on which nobody listens any more is replaced. NULL with
 * ERR_STATE, naming the path: somebody listens there, it is no socket, it cannot be made.
 */
struct local *local_new(struct loop *loop, const char *path, const struct local_params *params,
			struct err *err);

/* Says a line. Never blocks; does nothing for a peer that was dropped or ended. */
void local_say(struct local_peer *peer, const char *line);

/* Takes no more lines of the peer, and closes when what was said has left. */
void local_end(struct local_peer *peer);

/* Drops the peers, and removes the socket from its directory if it is still this one. */
void local_free(struct local **local);

/* ---- the client, which blocks -----------------------------------------------------------------
 */

struct local_client;

/* NULL with ERR_NONE: nobody listens there. Else NULL with ERR_STATE (not allowed, no socket) or
 * ERR_TEMPORARY (no answer within 10 s). */
struct local_client *local_connect(const char *path, struct err *err);

/* Fails with ERR_TEMPORARY where the server is gone, or takes nothing for 10 s. */
bool local_tell(struct local_client *client, const char *line, struct err *err);

/* The next line; free it with free(). wait_ms: how long to wait for it at most, UINT64_MAX without
 * end. NULL with ERR_NONE: the server has closed, after whole lines. Else NULL with ERR_TEMPORARY.
 */
char *local_hear(struct local_client *client, uint64_t wait_ms, struct err *err);

/* NULL is allowed in it. */
void local_close(struct local_client **client);

#endif
