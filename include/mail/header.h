/*
 * header: scanning the header of a message (RFC 5322) as it streams by, and the lines we add.
 */
#ifndef MAILHAUL_MAIL_HEADER_H
#define MAILHAUL_MAIL_HEADER_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum { HEADER_FIELD_MAX = 2048 /* octets kept of one field */ };

/* What is kept: the topmost of each; unfolded, trimmed, "" where it is missing or too long. */
struct header_facts {
	struct buf message_id;
	struct buf date;
	struct buf from;
	struct buf return_path;
	struct buf subject;
	struct buf mailhaul_id; /* of a letter that mailhaul wrote */
};

struct header_scan;

struct header_scan *header_scan_new(void);
void header_scan_free(struct header_scan **scan);

/* Feeds octets in pieces of any size, CRLF or LF. Returns false once the header has ended: there is
 * no need to feed more, and feeding more does nothing. */
bool header_scan_feed(struct header_scan *scan, const void *bytes, size_t len);

/* Owned by the scan; whole once the header ended, or the message did. */
const struct header_facts *header_scan_facts(struct header_scan *scan);

/*
 * The envelope sender of a Return-Path field: the mailbox of an RFC 5321 path without its angle
 * brackets and source route, "" for <>, for what does not parse, has control or 8-bit characters or
 * white space outside of quotes, is longer than 254 octets, or begins with '-'. size at least 256.
 */
void header_sender(const char *return_path, char *out, size_t size);

#endif
