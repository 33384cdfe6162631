/*
 * sasl: SASL exchanges (RFC 4422) by GNU SASL, in base64 as IMAP and POP3 carry them.
 *
 * A step may take seconds (SCRAM with a large iteration count): call it on a worker thread.
 */
#ifndef MAILHAUL_AUTH_SASL_H
#define MAILHAUL_AUTH_SASL_H

#include "util/err.h"

#include <stdbool.h>

enum { SASL_ITERATIONS_MAX = 1000000 };

struct sasl;

struct sasl_params {
	const char *mechanism; /* upper case */
	const char *user;
	const char *password;
	const char *service; /* "imap", "pop" */
	const char *host;
};

/* True for PLAIN, LOGIN, SCRAM-SHA-1, SCRAM-SHA-256 and CRAM-MD5. */
bool sasl_knows(const char *mechanism);

/* True if the client speaks first in this mechanism, so that there is an initial response. */
bool sasl_client_first(const char *mechanism);

/* Strings are copied. NULL with ERR_AUTH or ERR_INTERNAL. */
struct sasl *sasl_new(const struct sasl_params *params, struct err *err);

/* Wipes and frees. */
void sasl_free(struct sasl **sasl);

/*
 * One step. challenge: base64 from the server ("" if it was empty), or NULL to ask for the initial
 * response. *response_r: base64 to send ("" possible; as an initial response an empty one is "="),
 * to be freed with mem_free_secret(). Fails with ERR_PROTOCOL for a challenge that is no base64,
 * longer than 64 KB or malformed; with ERR_AUTH for an iteration count below 4,096 (SCRAM) or above
 * the maximum and for a server signature that is false: then the server is not who it says.
 */
bool sasl_step(struct sasl *sasl, const char *challenge, char **response_r, struct err *err);

/* True once the mechanism considers the exchange complete; in SCRAM only after the server proved
 * that it knows the password, too. An OK from the server before that is a fraud. */
bool sasl_finished(const struct sasl *sasl);

#endif
