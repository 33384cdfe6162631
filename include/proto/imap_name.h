/*
 * imap_name: names of mailboxes, as the server writes them and as everyone else does.
 *
 * A canonical name is UTF-8 with "/" between its levels and without the prefix of the personal
 * namespace (RFC 2342); INBOX is in upper case. Where the personal namespace has a prefix, what
 * stands outside of it begins with "/". On the wire a name has the server's delimiter and prefix,
 * in modified UTF-7 (RFC 3501 section 5.1.3) or, where that was agreed on, UTF-8 (RFC 6855, 9051).
 * The two forms stand for each other without exception: a name that would not come out again as it
 * went in is none that we use. Pure.
 */
#ifndef MAILHAUL_PROTO_IMAP_NAME_H
#define MAILHAUL_PROTO_IMAP_NAME_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	IMAP_NAME_MAX = 1000,	/* octets of a canonical name */
	IMAP_PREFIX_MAX = 200,	/* octets of a namespace's prefix */
	IMAP_PATTERNS_MAX = 32, /* in a listing; beyond them everything is listed */
};

/* How a server writes names. */
struct imap_space {
	char prefix[IMAP_PREFIX_MAX + 1]; /* of the personal namespace, as on the wire */
	char delimiter;			  /* '\0': there are no levels, or it is not known */
	bool utf8;
};

/*
 * Appends the canonical name, and the same as the server has it: with prefix and delimiter, but
 * readable. NULL; or why the name cannot be used, in words that fit behind "because" — then what
 * was appended serves to show it, as well as it could be read.
 */
const char *imap_name_read(const struct imap_space *space, const void *wire, size_t len,
			   struct buf *name, struct buf *served);

/* Appends a canonical name as it goes on the wire. False, and nothing appended, for one that this
 * server cannot have. */
bool imap_name_write(const struct imap_space *space, const char *name, struct buf *wire);

/*
 * Appends a pattern for LIST under which every mailbox stands that the written item (a name or a
 * pattern, in canonical form or as the server has it) can mean, whatever the delimiter, the prefix
 * and the encoding are: it matches too much rather than too little.
 */
void imap_name_pattern(const char *item, struct buf *pattern);

#endif
