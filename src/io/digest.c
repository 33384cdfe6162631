/*
 * digest: SHA-256, from GnuTLS.
 *
 * It cannot fail but by a broken library; then nothing that would be recognised by it is safe, and
 * the program ends.
 */
#include "io/digest.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHA256_OCTETS = 32 };

void digest_text(const void *bytes, size_t len, char out[DIGEST_TEXT + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[SHA256_OCTETS];
	int status = gnutls_hash_fast(GNUTLS_DIG_SHA256, len ? bytes : "", len, hash);

	if (status < 0) {
		fprintf(stderr, "mailhaul: SHA-256: %s\n", gnutls_strerror(status));
		abort();
	}
	for (size_t i = 0; i < DIGEST_TEXT / 2; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[DIGEST_TEXT] = '\0';
}
