/*
 * tls_verify: is this the server that was meant? Asked in the middle of the handshake.
 *
 * For src/io/tls.c only. Either the certificate's chain leads to the trust set, for the purpose of
 * a TLS server, and names the host (RFC 9525); or its key is one of the pinned ones, and then
 * nothing else is asked.
 */
#ifndef MAILHAUL_IO_TLS_VERIFY_H
#define MAILHAUL_IO_TLS_VERIFY_H

#include "io/host.h"
#include "io/tls.h"

#include <gnutls/gnutls.h>

enum { PIN_OCTETS = 32 };

/* Who is meant. */
struct tls_identity {
	char *name; /* A-labels without a dot at the end, or an address */
	unsigned char address[HOST_ADDRESS_MAX];
	size_t address_len; /* 0 for a name */
	unsigned char pins[TLS_PINS_MAX][PIN_OCTETS];
	size_t pin_count;
};

/* Fails with ERR_CONFIG. */
bool tls_identity_init(struct tls_identity *who, const char *name, const char *const *pins,
		       struct err *err);
void tls_identity_clear(struct tls_identity *who);

/* Fills verified, issuer, pin and expires; or fails with ERR_TLS. */
bool tls_verify(gnutls_session_t session, const struct tls_identity *who, struct tls_info *info,
		struct err *err);

#endif
