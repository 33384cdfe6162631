/*
 * pop3_body: a message as RETR sends it, with dot-stuffing undone; of proto/pop3 alone.
 */
#ifndef MAILHAUL_PROTO_POP3_BODY_H
#define MAILHAUL_PROTO_POP3_BODY_H

#include "util/buf.h"

#include <stddef.h>
#include <stdint.h>

enum pop3_body_what {
	POP3_BODY_MORE, /* more octets are needed */
	POP3_BODY_CHUNK,
	POP3_BODY_END
};

/* A zeroed one stands at the beginning of a message. */
struct pop3_body {
	enum { POP3_BODY_LINE_START, POP3_BODY_WITHIN, POP3_BODY_AFTER_CR } place;
	uint64_t octets; /* that came out */
};

/* Consumes from in what it gives. The chunk points into in, and is good until in grows. */
enum pop3_body_what pop3_body_next(struct pop3_body *body, struct buf *in,
				   const unsigned char **bytes_r, size_t *len_r);

#endif
