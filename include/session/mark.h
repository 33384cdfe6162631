/*
 * mark: what recognises a message under another numbering (state.h): the id that the server gives
 * it, and a digest of its Message-ID, Date and From.
 */
#ifndef MAILHAUL_SESSION_MARK_H
#define MAILHAUL_SESSION_MARK_H

#include "io/digest.h"
#include "mail/header.h"

enum { MARK_ID = 256, MARK_TEXT = MARK_ID + 1 + DIGEST_TEXT };

/* "" if the message has none of the three fields. */
void mark_digest(const struct header_facts *facts, char digest_r[DIGEST_TEXT + 1]);

/* Either part may be ""; an id that is too long is left out. */
void mark_join(const char *id, const char *digest, char mark_r[MARK_TEXT + 1]);

/* The length of the id at the mark's beginning, 0 if it has none; the digest, "" if none. */
size_t mark_id(const char *mark);
const char *mark_digest_of(const char *mark);

#endif
