/*
 * header: scanning the header of a message (RFC 5322) as it streams by.
 *
 * The scan works octet by octet, but only through the header; it keeps the topmost of six fields,
 * unfolded and trimmed, each up to a cap, and nothing else. A line that is no field (an mbox "From
 * " line, say) is passed over.
 */
#include "mail/header.h"

#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_OCTETS = 16, FIELDS = 6, SENDER_MAX = 254 };

enum scan_at {
	AT_LINE,  /* at the beginning of a line */
	IN_NAME,  /* of a field */
	IN_VALUE, /* of a field that is kept */
	IN_OTHER, /* in anything that is not kept */
	AT_END
};

struct header_scan {
	struct header_facts facts;
	enum scan_at at;
	bool cr;	     /* the last octet was a CR */
	struct buf *keeping; /* the field of the last line, if it is kept: it may be folded */
	bool seen[FIELDS];
	char name[NAME_MAX_OCTETS];
	size_t name_len;
};

static const char *const names[FIELDS] = {"Message-ID",	 "Date",    "From",
					  "Return-Path", "Subject", "X-Mailhaul-Id"};

static struct buf *field(struct header_scan *scan, size_t i)
{
	struct buf *const fields[FIELDS] = {&scan->facts.message_id, &scan->facts.date,
					    &scan->facts.from,	     &scan->facts.return_path,
					    &scan->facts.subject,    &scan->facts.mailhaul_id};

	return fields[i];
}

struct header_scan *header_scan_new(void)
{
	return mem_new(1, sizeof(struct header_scan));
}

void header_scan_free(struct header_scan **scan)
{
	if (!*scan)
		return;
	for (size_t i = 0; i < FIELDS; i++)
		buf_free(field(*scan, i));
	free(*scan);
	*scan = NULL;
}

static void trim(struct buf *value)
{
	while (value->len && strchr(" \t\r", value->data[value->len - 1]))
		value->len--;
}

/* The colon came: is the field one that is kept, and the first of its name? */
static void name_ended(struct header_scan *scan)
{
	size_t len = scan->name_len;

	while (len && (scan->name[len - 1] == ' ' || scan->name[len - 1] == '\t'))
		len--;
	scan->keeping = NULL;
	for (size_t i = 0; i < FIELDS; i++) {
		if (!str_is(scan->name, len, names[i]))
			continue;
		if (!scan->seen[i])
			scan->keeping = field(scan, i);
		scan->seen[i] = true;
	}
	scan->at = scan->keeping ? IN_VALUE : IN_OTHER;
}

/* A field that is too long is worth nothing: half a Message-ID recognises the wrong message. */
static void keep(struct header_scan *scan, unsigned char octet)
{
	if (!scan->keeping->len && (octet == ' ' || octet == '\t'))
		return;
	if (scan->keeping->len >= HEADER_FIELD_MAX) {
		buf_free(scan->keeping);
		scan->keeping = NULL;
		scan->at = IN_OTHER;
		return;
	}
	buf_append(scan->keeping, &octet, 1);
}

static void line_begins(struct header_scan *scan, unsigned char octet)
{
	if (octet == '\n') {
		scan->at = AT_END;
	} else if (octet == ' ' || octet == '\t') {
		scan->at = scan->keeping ? IN_VALUE : IN_OTHER;
		if (scan->keeping)
			keep(scan, ' ');
	} else {
		scan->keeping = NULL;
		scan->at = IN_NAME;
		scan->name[0] = (char)octet;
		scan->name_len = 1;
	}
}

static void take(struct header_scan *scan, unsigned char octet)
{
	if (scan->at == AT_LINE) {
		line_begins(scan, octet);
	} else if (octet == '\n') {
		scan->at = AT_LINE;
	} else if (scan->at == IN_NAME) {
		if (octet == ':')
			name_ended(scan);
		else if (scan->name_len == NAME_MAX_OCTETS)
			scan->at = IN_OTHER;
		else
			scan->name[scan->name_len++] = (char)octet;
	} else if (scan->at == IN_VALUE) {
		keep(scan, octet);
	}
}

bool header_scan_feed(struct header_scan *scan, const void *bytes, size_t len)
{
	const unsigned char *octets = bytes;

	for (size_t i = 0; i < len && scan->at != AT_END; i++) {
		/* A CR counts only when it is not part of a line end. */
		if (scan->cr && octets[i] != '\n')
			take(scan, '\r');
		scan->cr = octets[i] == '\r';
		if (!scan->cr)
			take(scan, octets[i]);
	}
	return scan->at != AT_END;
}

const struct header_facts *header_scan_facts(struct header_scan *scan)
{
	for (size_t i = 0; i < FIELDS; i++)
		trim(field(scan, i));
	return &scan->facts;
}

/* ---- Return-Path (RFC 5321 section 4.1.2) ---- */

static bool is_atext(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_let_dig(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_host_char(char c)
{
	return is_let_dig(c) || c == '-';
}

/* Each of these passes over one thing at *at, up to end; false if it does not stand there. */

static bool pass_dotted(const char **at, const char *end, bool (*allowed)(char))
{
	const char *c = *at;

	for (;;) {
		const char *label = c;

		while (c < end && allowed(*c))
			c++;
		if (c == label)
			return false;
		*at = c;
		if (c == end || *c != '.')
			return true;
		c++;
	}
}

static bool pass_quoted(const char **at, const char *end)
{
	const char *c = *at;

	if (c == end || *c++ != '"')
		return false;
	while (c < end && *c != '"') {
		if (*c == '\\' && ++c == end)
			return false;
		if (*c < ' ' || *c > '~')
			return false;
		c++;
	}
	if (c == end)
		return false;
	*at = c + 1;
	return true;
}

/* A label of a domain neither begins nor ends with a hyphen. */
static bool pass_host(const char **at, const char *end)
{
	const char *label = *at;

	if (!pass_dotted(at, end, is_host_char))
		return false;
	for (const char *c = label; c < *at; c++)
		if (*c == '-' && (c == label || c[-1] == '.' || c + 1 == *at || c[1] == '.'))
			return false;
	return true;
}

static bool pass_domain(const char **at, const char *end)
{
	const char *c = *at;

	if (c == end || *c != '[')
		return pass_host(at, end);
	for (c++; c < end && *c != ']'; c++)
		if (!is_host_char(*c) && *c != '.' && *c != ':')
			return false;
	if (c == end || c == *at + 1)
		return false;
	*at = c + 1;
	return true;
}

/* "@one,@two:" in front of the mailbox */
static bool pass_route(const char **at, const char *end)
{
	if (*at == end || **at != '@')
		return true;
	for (;;) {
		if (*at == end || *(*at)++ != '@' || !pass_domain(at, end) || *at == end)
			return false;
		if (**at == ':') {
			++*at;
			return true;
		}
		if (*(*at)++ != ',')
			return false;
	}
}

void header_sender(const char *return_path, char *out, size_t size)
{
	size_t len = strlen(return_path);
	const char *at = return_path;
	const char *end = return_path + len;
	const char *mailbox;

	*out = '\0';
	if (len < 2 || *at != '<' || end[-1] != '>')
		return;
	at++;
	end--;
	if (!pass_route(&at, end))
		return;
	mailbox = at;
	if (at == end || *at == '-')
		return;
	if (*at == '"' ? !pass_quoted(&at, end) : !pass_dotted(&at, end, is_atext))
		return;
	if (at == end || *at++ != '@' || !pass_domain(&at, end) || at != end)
		return;
	len = (size_t)(end - mailbox);
	if (len > SENDER_MAX || len >= size)
		return;
	memcpy(out, mailbox, len);
	out[len] = '\0';
}
