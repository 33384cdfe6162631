/*
 * oauth: what XOAUTH2 (as Google and Microsoft describe it) and OAUTHBEARER (RFC 7628) say.
 */
#ifndef MAILHAUL_AUTH_OAUTH_H
#define MAILHAUL_AUTH_OAUTH_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

struct oauth_params {
	bool bearer; /* OAUTHBEARER, else XOAUTH2 */
	const char *user;
	const char *token;
	const char *host; /* both for OAUTHBEARER only */
	uint16_t port;
};

/* Appends the one message of the client. Fails with ERR_AUTH for a token or a user with octets that
 * no token or user can have; neither is shown then. */
bool oauth_message(struct buf *out, const struct oauth_params *params, struct err *err);

/* The octets that answer the server's challenge, which says why it refuses the token; the refusal
 * proper comes after. */
const char *oauth_answer(bool bearer);

#endif
