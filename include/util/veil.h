/*
 * veil: secrets that must not be shown, whatever a server says.
 *
 * A server that repeats a command it does not understand repeats the password. What others said is
 * therefore cut before it is shown or stored: the secret itself, as a quoted string, in base64 on
 * its own or within more, and as it looks once control characters are made visible. Our own words
 * are not touched: there a gap would tell more than it hides.
 *
 * May be used from every thread.
 */
#ifndef MAILHAUL_UTIL_VEIL_H
#define MAILHAUL_UTIL_VEIL_H

#include "util/buf.h"

#include <stddef.h>

struct veil;

/* Hides a secret from now on; *veil may hold others already, or be NULL. What is shorter than
 * VEIL_LEAST octets cannot be told from the rest of a text and is left alone. */
enum { VEIL_LEAST = 4 };
void veil_hide(struct veil **veil, const char *secret);

/* Hides a SASL response: as it is, in base64; and, for they can help to guess a password, the
 * digest behind its last space (CRAM-MD5), the proof behind its last ",p=" (SCRAM, RFC 5802). */
void veil_hide_response(struct veil **veil, const char *base64);

/* Forgets and wipes what *veil hid, and clears it. */
void veil_lift(struct veil **veil);

/* Appends the octets to out, with <cut> in the place of all that any veil hides. bytes may be NULL
 * where len is 0. */
void veil_cut(struct buf *out, const void *bytes, size_t len);

#endif
