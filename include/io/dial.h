/*
 * dial: from a host's name to a connected socket, every address tried in turn.
 *
 * For src/io/conn.c only.
 */
#ifndef MAILHAUL_IO_DIAL_H
#define MAILHAUL_IO_DIAL_H

#include "io/loop.h"

#include <stdint.h>

enum { DIAL_PEER_MAX = 64 };

struct dial;
struct uv_tcp_s;

struct dial_params {
	const char *host; /* copied */
	uint16_t port;
	uint64_t connect_ms; /* for the name, and again for each address */
	/* On the loop, once. tcp is the caller's now: to be closed, then freed with free(); peer is
	 * "127.0.0.2:143". Or tcp is NULL, and err says why: ERR_CONFIG (no host name) or
	 * ERR_UNREACHABLE with each address and its reason. May free the dial. */
	void (*on_done)(void *ctx, struct uv_tcp_s *tcp, const char *peer, const struct err *err);
	void *ctx;
};

struct dial *dial_new(struct loop *loop, const struct dial_params *params);

/* Gives up, if it is not done; no callback comes after it. */
void dial_free(struct dial **dial);

#endif
