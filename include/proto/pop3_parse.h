/*
 * pop3_parse: the lines of POP3, read strictly; of proto/pop3 alone.
 */
#ifndef MAILHAUL_PROTO_POP3_PARSE_H
#define MAILHAUL_PROTO_POP3_PARSE_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	POP3_CODE_MAX = 32,	     /* octets of a response code that we keep, with its NUL */
	POP3_CAPA_LINES = 500,	     /* lines that an answer to CAPA may have */
	POP3_MESSAGES_MAX = 10000000 /* messages that a mailbox may hold */
};

enum pop3_status {
	POP3_OK,   /* +OK */
	POP3_ERR,  /* -ERR */
	POP3_MORE, /* "+ ": the server wants more (RFC 5034) */
	POP3_NONSENSE
};

/* The status of an answer's first line (without its end); text_r is where its text begins. */
enum pop3_status pop3_parse_status(const unsigned char *line, size_t len, size_t *text_r);

/* The response code "[CODE ...]" in front of a text (RFC 2449, 3206), in upper case; or "". */
void pop3_parse_code(const unsigned char *text, size_t len, char code_r[POP3_CODE_MAX]);

/* "number rest", as in STAT, UIDL and LIST: a number of at most max, and where the rest begins,
 * without spaces around it. */
bool pop3_parse_item(const unsigned char *line, size_t len, uint64_t max, uint64_t *number_r,
		     const unsigned char **rest_r, size_t *rest_len_r);

/* The size in the text of "+OK 120 octets"; 0 if there is none. */
uint64_t pop3_parse_octets(const unsigned char *text, size_t len);

/* True if s can be part of a command line: not NULL, no CR, no LF. (A NUL ends it.) */
bool pop3_fits_line(const char *s);

/* What CAPA told (RFC 2449). A zeroed one knows nothing. */
struct pop3_capa {
	bool stls;
	bool pipelining;
	bool top;
	bool user;
	bool sasl;
	unsigned lines;
	struct buf list;       /* the capabilities with their parameters, ", " between them */
	struct buf mechanisms; /* of SASL, upper case, one space between them */
};

/* Takes one line of the list. False if there are more than any server sends. */
bool pop3_capa_line(struct pop3_capa *capa, const unsigned char *line, size_t len);
void pop3_capa_forget(struct pop3_capa *capa);

#endif
