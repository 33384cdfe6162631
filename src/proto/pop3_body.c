/*
 * pop3_body: a message as RETR sends it, with dot-stuffing undone (RFC 1939 section 3).
 *
 * A line ends with CRLF and with nothing else: a lone CR or LF is content, as is a dot behind one.
 * Whoever ends messages at LF . LF lets a sender cut mail. Nothing is copied and nothing is kept
 * but up to two octets of what may be the end.
 */
#include "proto/pop3_body.h"

#include <string.h>

/* At the start of a line: is this the end, a stuffed dot (taken away), or neither? */
static enum pop3_body_what line_start(struct pop3_body *body, struct buf *in)
{
	if (in->data[0] == '.') {
		if (in->len < 2 || (in->data[1] == '\r' && in->len < 3))
			return POP3_BODY_MORE;
		if (in->data[1] == '\r' && in->data[2] == '\n') {
			buf_consume(in, 3);
			return POP3_BODY_END;
		}
		buf_consume(in, 1);
	}
	body->place = POP3_BODY_WITHIN;
	return POP3_BODY_CHUNK;
}

/* How many of the octets can be given: all, or up to the next line that begins with a dot. */
static size_t span(struct pop3_body *body, const struct buf *in)
{
	const unsigned char *dotted;

	if (body->place == POP3_BODY_AFTER_CR && in->data[0] == '\n') {
		body->place = POP3_BODY_LINE_START;
		return 1;
	}
	dotted = memmem(in->data, in->len, "\r\n.", 3);
	if (dotted) {
		body->place = POP3_BODY_LINE_START;
		return (size_t)(dotted - in->data) + 2;
	}
	if (in->data[in->len - 1] == '\r')
		body->place = POP3_BODY_AFTER_CR;
	else if (in->len > 1 && !memcmp(in->data + in->len - 2, "\r\n", 2))
		body->place = POP3_BODY_LINE_START;
	else
		body->place = POP3_BODY_WITHIN;
	return in->len;
}

enum pop3_body_what pop3_body_next(struct pop3_body *body, struct buf *in,
				   const unsigned char **bytes_r, size_t *len_r)
{
	if (!in->len)
		return POP3_BODY_MORE;
	if (body->place == POP3_BODY_LINE_START) {
		enum pop3_body_what what = line_start(body, in);

		if (what != POP3_BODY_CHUNK)
			return what;
	}
	*bytes_r = in->data;
	*len_r = span(body, in);
	body->octets += *len_r;
	buf_consume(in, *len_r);
	return POP3_BODY_CHUNK;
}
