/*
 * conn: one TCP connection: names resolved, every address tried, TLS laid over it, and no wait
 * without a deadline.
 */
#ifndef MAILHAUL_IO_CONN_H
#define MAILHAUL_IO_CONN_H

#include "io/loop.h"
#include "io/tls.h"

#include <stdint.h>

struct conn;

enum conn_what {
	CONN_OPEN, /* connected in clear (not for implicit TLS): the STARTTLS dialogue may begin */
	CONN_SECURED,  /* handshake done and verified; conn_tls() tells */
	CONN_READABLE, /* conn_in() has more than before */
	CONN_EOF,      /* the peer ended the stream (with or without close_notify) */
	CONN_FAILED    /* err; nothing more will come but the owner's conn_free() */
};

struct conn_params {
	const char *host; /* name (UTF-8 allowed) or address */
	uint16_t port;
	bool implicit;	       /* the TLS handshake comes first */
	struct tls_params tls; /* strings and arrays are copied, trust is borrowed */
	uint64_t connect_ms;   /* for each address: 10,000, or the silence where that is less */
	uint64_t handshake_ms; /* 30,000, or the silence where that is less */
	uint64_t silence_ms;   /* the longest wait for an octet while reading, and for one to leave;
				  0: any */
	/* Called on the loop, never from within a conn_ function. err only with CONN_FAILED. May
	 * free the connection. */
	void (*on)(void *ctx, enum conn_what what, const struct err *err);
	void *ctx;
};

/* Begins at once. Never fails itself: CONN_FAILED tells (ERR_UNREACHABLE with each address and why,
 * ERR_TLS, ERR_TEMPORARY). */
struct conn *conn_new(struct loop *loop, const struct conn_params *params);

/* Closes (with close_notify when encrypted, sent as far as the socket takes it at once), wipes and
 * frees. No callback comes after it. */
void conn_free(struct conn **conn);

/* After CONN_OPEN: lays TLS over the connection; what stands in conn_in() must be empty. */
void conn_start_tls(struct conn *conn);

/* What was received and, after CONN_SECURED, decrypted. The owner consumes it. Never grows by more
 * than about 64 KB between two callbacks; while it holds more than 256 KB nothing is read. That is
 * looked at after each callback and in conn_write() and conn_pause(): an owner who consumes at
 * another time says conn_pause(conn, false) afterwards. */
struct buf *conn_in(struct conn *conn);

/* Takes everything out of bytes and sends it; wipes bytes if secret. Nothing is refused: the owner
 * bounds what it sends. But a secret before CONN_SECURED is not sent: it ends the connection. */
void conn_write(struct conn *conn, struct buf *bytes, bool secret);

/* While paused nothing is read and the silence does not count. A new connection is not paused. */
void conn_pause(struct conn *conn, bool paused);

/* Another silence_ms from now on (0: any silence is borne), counted from now. While nothing else
 * counts, the system's keep-alive ends a connection whose peer has vanished, after three minutes.
 */
void conn_patience(struct conn *conn, uint64_t silence_ms);

/* Gives all later events to another owner. What was told before is not told again: what stands in
 * conn_in(), and that CONN_EOF came, he has to know from the first one. */
void conn_direct(struct conn *conn, void (*on)(void *ctx, enum conn_what what, const struct err *),
		 void *ctx);

/* Frees what is not needed while nothing happens; it is made anew when something does. For a
 * connection that is going to listen: said after each event that left conn_in() empty, and after
 * each conn_write(). */
void conn_rest(struct conn *conn);

/* NULL before CONN_SECURED. */
const struct tls_info *conn_tls(const struct conn *conn);

/* The channel binding of the connection (tls.h). False before CONN_SECURED, or where it has none.
 */
bool conn_binding(const struct conn *conn, struct tls_binding *binding_r);

/* Octets that were put into conn_in() so far. */
uint64_t conn_received(const struct conn *conn);

/* The address connected to, "127.0.0.2:143"; "" before. */
const char *conn_peer(const struct conn *conn);

#endif
