/*
 * digest: SHA-256, from GnuTLS.
 */
#ifndef MAILHAUL_IO_DIGEST_H
#define MAILHAUL_IO_DIGEST_H

#include <stddef.h>

enum { DIGEST_TEXT = 32 }; /* hexadecimal digits of the first 128 bits of SHA-256 */

/* Lower-case hexadecimal and a NUL. */
void digest_text(const void *bytes, size_t len, char out[DIGEST_TEXT + 1]);

#endif
