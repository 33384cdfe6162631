/*
 * transfer: the lines of an export of the state, each to and from its octets. Pure.
 *
 * An export is JSON lines: one that says what it is, then each mailbox followed by its messages,
 * and a last one with the counts, without which it was cut off. Whoever reads it checks that order;
 * this room checks every field of a line.
 */
#ifndef MAILHAUL_STATE_TRANSFER_H
#define MAILHAUL_STATE_TRANSFER_H

#include "state/state.h"
#include "util/buf.h"

enum {
	TRANSFER_FORM = 1,	   /* of the exports that are written and read */
	TRANSFER_LINE_MAX = 65536, /* octets of a line */
	TRANSFER_TEXT_MAX = 4096   /* octets of one text in it */
};

enum transfer_kind { TRANSFER_HEAD, TRANSFER_MAILBOX, TRANSFER_MESSAGE, TRANSFER_END };

struct transfer_line {
	enum transfer_kind kind;
	const char *identity; /* TRANSFER_HEAD: of the state it was made from; "" if it had none */
	struct state_key key; /* TRANSFER_MAILBOX */
	struct state_mailbox mailbox; /* its validity, next, begun and checked */
	int64_t succeeded;	      /* Unix time of its account's last good visit; 0: none */
	uint32_t validity;	      /* TRANSFER_MESSAGE */
	struct state_row row;	      /* next_try does not travel */
	uint64_t mailboxes, messages; /* TRANSFER_END */
	void *held;		      /* what the strings point into, after transfer_parse() */
};

/* Reads one line, without its line end. False with ERR_STATE: it is no JSON, of another form, lacks
 * a field, or a field is not what it must be. To be freed if true. */
bool transfer_parse(const void *bytes, size_t len, struct transfer_line *line_r, struct err *err);
void transfer_free(struct transfer_line *line);

/* Appends the line with its LF; held is not looked at. False (ERR_STATE) for a text that is not
 * UTF-8. */
bool transfer_write(struct buf *out, const struct transfer_line *line, struct err *err);

#endif
