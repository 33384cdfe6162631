/*
 * imap_parse: takes IMAP responses apart (RFC 3501 and 9051, section 9), incrementally and in
 * place.
 *
 * It never reads: it looks at the octets that stand in a struct buf, takes away what is whole, and
 * says IMAP_MORE for the rest. No octet is looked at twice, however finely the octets drip in.
 * A response comes as one IMAP_LINE with all its tokens; the literals of message bodies in FETCH
 * responses, of any size, split it and come as a stream:
 *
 *     IMAP_BODY (tokens up to the body's name) · IMAP_OCTETS* · IMAP_LINE or IMAP_BODY (the rest)
 *
 * Everything else is capped: a line without its literals, each literal that is not a body and all
 * of a response together, the depth of lists and the number of tokens.
 */
#ifndef MAILHAUL_PROTO_IMAP_PARSE_H
#define MAILHAUL_PROTO_IMAP_PARSE_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
	IMAP_LINE_MAX = 65536,	  /* octets of a response without literals */
	IMAP_LITERAL_MAX = 65536, /* octets of all literals of a response that are no bodies */
	IMAP_DEPTH_MAX = 32,	  /* lists in lists */
	IMAP_TOKENS_MAX = 8192	  /* tokens of a response, or of its part up to a body */
};

enum imap_what {
	IMAP_MORE,   /* nothing whole yet */
	IMAP_BROKEN, /* err says how; nothing more will come */
	IMAP_LINE,   /* a whole response; with line.rest what stood behind its last body */
	IMAP_BODY,  /* a response up to a body; its last token names the body; octets is its size */
	IMAP_OCTETS /* bytes, len: some of the body */
};

enum imap_kind {
	IMAP_ATOM,   /* also numbers, NIL, flags, BODY[...] with its section */
	IMAP_QUOTED, /* without its quotes; backslashes still stand, see imap_unescape() */
	IMAP_LITERAL,
	IMAP_OPEN,
	IMAP_CLOSE
};

struct imap_token {
	enum imap_kind kind;
	unsigned depth; /* how many lists it stands in; a parenthesis stands outside of its own */
	unsigned char *bytes;
	size_t len;
	size_t at;
};

enum imap_form {
	IMAP_UNTAGGED, /* "* ..." */
	IMAP_CONTINUE, /* "+ ..." */
	IMAP_TAGGED
};

enum imap_status { IMAP_NO_STATUS, IMAP_OK, IMAP_NO, IMAP_BAD, IMAP_PREAUTH, IMAP_BYE };

struct imap_span {
	const unsigned char *bytes;
	size_t len;
};

/* All it points to stays good until something is appended to the buffer. */
struct imap_line {
	enum imap_form form;
	struct imap_span tag;
	bool rest;		   /* the part behind a body: tokens go on where they were cut */
	struct imap_token *tokens; /* behind the tag; for a status only its word */
	size_t count;
	enum imap_status status;
	struct imap_span text;	/* a status's words, or all that stands behind "+ " */
	struct imap_span code;	/* a status's [code], without brackets and arguments */
	struct imap_span args;	/* what stands behind the code within the brackets */
	struct imap_span raw;	/* the part as it came, without its end of line */
	uint64_t octets;	/* with IMAP_BODY */
	struct imap_span bytes; /* with IMAP_OCTETS */
};

struct imap_parse;

/* in is borrowed. */
struct imap_parse *imap_parse_new(struct buf *in);
void imap_parse_free(struct imap_parse **parse);

/* Between two responses: gives back what only a response needs. Within one: nothing happens. */
void imap_parse_rest(struct imap_parse *parse);

enum imap_what imap_parse_next(struct imap_parse *parse, struct imap_line *line, struct err *err);

/* An atom that equals word, ASCII case disregarded. */
bool imap_token_is(const struct imap_token *token, const char *word);

/* An atom that is a number of at most max. */
bool imap_token_number(const struct imap_token *token, uint64_t max, uint64_t *value_r);

/* Takes the backslashes out of a quoted string in place; returns its new length. */
size_t imap_unescape(unsigned char *bytes, size_t len);

/* A date-time ("17-Jul-1996 02:44:25 -0700") in UTC. */
bool imap_date(const void *text, size_t len, time_t *date_r);

#endif
