/*
 * sasl: SASL exchanges (RFC 4422) by GNU SASL, and the two of OAuth that it does not know, in
 * base64 as IMAP and POP3 carry them.
 *
 * A step may take seconds (SCRAM with a large iteration count): call it on a worker thread.
 */
#ifndef MAILHAUL_AUTH_SASL_H
#define MAILHAUL_AUTH_SASL_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SASL_ITERATIONS_MAX = 1000000 };

struct sasl;

struct sasl_params {
	const char *mechanism; /* upper case */
	const char *user;
	const char *password; /* or the token; NULL for EXTERNAL, which needs neither */
	const char *service;  /* "imap", "pop" */
	const char *host;
	uint16_t port;
	const char *binding; /* for -PLUS: "tls-exporter" or "tls-unique", and its octets */
	const void *binding_octets;
	size_t binding_len;
};

/* True for PLAIN, LOGIN, EXTERNAL, CRAM-MD5, SCRAM-SHA-1 and -256 and their -PLUS, XOAUTH2 and
 * OAUTHBEARER. */
bool sasl_knows(const char *mechanism);

/* True if the client speaks first in this mechanism, so that there is an initial response. */
bool sasl_client_first(const char *mechanism);

/* Strings are copied. NULL with ERR_AUTH (also for -PLUS without a binding) or ERR_INTERNAL. */
struct sasl *sasl_new(const struct sasl_params *params, struct err *err);

/* Wipes and frees. */
void sasl_free(struct sasl **sasl);

/*
 * One step. challenge: base64 from the server ("" if it was empty), or NULL to ask for the initial
 * response. *response_r: base64 to send ("" possible; as an initial response an empty one is "="),
 * to be freed with mem_free_secret(). Fails with ERR_PROTOCOL for a challenge that is no base64,
 * longer than 64 KB or malformed; with ERR_AUTH for an iteration count below 4,096 (SCRAM) or above
 * the maximum, for a server signature that is false (then the server is not who it says), and for a
 * SCRAM error that the server tells (sasl_refusal).
 */
bool sasl_step(struct sasl *sasl, const char *challenge, char **response_r, struct err *err);

/* True once the mechanism considers the exchange complete; in SCRAM only after the server proved
 * that it knows the password, too. An OK from the server before that is a fraud. */
bool sasl_finished(const struct sasl *sasl);

/*
 * True once the server has said within the exchange that it refuses, and why (*text_r, as it came:
 * the JSON of OAuth, the error of SCRAM; valid while sasl is). In OAuth the step has succeeded, and
 * its answer goes to the server; in SCRAM it has failed, and the exchange is to be cancelled. The
 * refusal proper follows. Never for SCRAM's channel-bindings-dont-match, which says that somebody
 * stands between the server and us.
 */
bool sasl_refusal(const struct sasl *sasl, const char **text_r);

#endif
