/*
 * imap_name: names of mailboxes, as the server writes them and as everyone else does.
 */
#include "proto/imap_name.h"

#include "util/str.h"

#include <stdint.h>
#include <string.h>

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* ---- modified UTF-7 ------------------------------------------------------------------------ */

static void utf8_put(struct buf *out, uint32_t p)
{
	unsigned char s[4];
	size_t len = 0;

	if (p < 0x80) {
		s[len++] = (unsigned char)p;
	} else if (p < 0x800) {
		s[len++] = (unsigned char)(0xc0 | p >> 6);
	} else if (p < 0x10000) {
		s[len++] = (unsigned char)(0xe0 | p >> 12);
		s[len++] = (unsigned char)(0x80 | (p >> 6 & 0x3f));
	} else {
		s[len++] = (unsigned char)(0xf0 | p >> 18);
		s[len++] = (unsigned char)(0x80 | (p >> 12 & 0x3f));
		s[len++] = (unsigned char)(0x80 | (p >> 6 & 0x3f));
	}
	if (p >= 0x80)
		s[len++] = (unsigned char)(0x80 | (p & 0x3f));
	buf_append(out, s, len);
}

/* What stands between "&" and "-": base64 of UTF-16, the higher octet first. */
static bool shifted(struct buf *out, const char *text, size_t len)
{
	uint32_t bits = 0;
	unsigned have = 0;
	uint32_t high = 0;

	for (size_t i = 0; i < len; i++) {
		const char *at = text[i] ? strchr(base64, text[i]) : NULL;
		uint32_t unit;

		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - base64);
		have += 6;
		if (have < 16)
			continue;
		have -= 16;
		unit = bits >> have & 0xffff;
		bits &= (1U << have) - 1;
		if (high) {
			if (unit < 0xdc00 || unit > 0xdfff)
				return false;
			utf8_put(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
			high = 0;
		} else if (unit >= 0xd800 && unit <= 0xdbff) {
			high = unit;
		} else if (unit >= 0xdc00 && unit <= 0xdfff) {
			return false;
		} else {
			utf8_put(out, unit);
		}
	}
	return !high && !bits && have < 6;
}

/* Takes too much rather than too little: whether it was well written shows when it is written
 * again. */
static bool utf7_decode(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char *end;

		if (text[i] < ' ' || text[i] > '~')
			return false;
		if (text[i] != '&') {
			buf_append(out, &text[i], 1);
			continue;
		}
		end = memchr(text + i, '-', len - i);
		if (!end)
			return false;
		i++;
		if (end == text + i)
			buf_text(out, "&");
		else if (!shifted(out, text + i, (size_t)(end - text) - i))
			return false;
		i = (size_t)(end - text);
	}
	return true;
}

struct shift {
	struct buf *out;
	uint32_t bits;
	unsigned have;
	bool open;
};

static void shift_unit(struct shift *shift, uint32_t unit)
{
	if (!shift->open)
		buf_text(shift->out, "&");
	shift->open = true;
	shift->bits = (shift->bits << 16 | unit) & 0x3fffff;
	for (shift->have += 16; shift->have >= 6; shift->have -= 6)
		buf_append(shift->out, &base64[shift->bits >> (shift->have - 6) & 0x3f], 1);
}

static void shift_end(struct shift *shift)
{
	if (!shift->open)
		return;
	if (shift->have)
		buf_append(shift->out, &base64[shift->bits << (6 - shift->have) & 0x3f], 1);
	buf_text(shift->out, "-");
	*shift = (struct shift){.out = shift->out};
}

static void utf7_encode(struct buf *out, const char *text, size_t len)
{
	struct shift shift = {.out = out};

	while (len) {
		uint32_t point = 0;
		size_t took = str_utf8(text, len, &point);

		if (point >= ' ' && point <= '~') {
			shift_end(&shift);
			buf_text(out, point == '&' ? "&-" : (char[]){(char)point, '\0'});
		} else if (point >= 0x10000) {
			shift_unit(&shift, 0xd800 + ((point - 0x10000) >> 10));
			shift_unit(&shift, 0xdc00 + (point & 0x3ff));
		} else {
			shift_unit(&shift, point);
		}
		text += took;
		len -= took;
	}
	shift_end(&shift);
}

/* ---- from the wire ------------------------------------------------------------------------- */

static bool is_utf8(const char *text, size_t len)
{
	uint32_t point;
	size_t took;

	for (; len; text += took, len -= took)
		if (!(took = str_utf8(text, len, &point)))
			return false;
	return true;
}

static bool holds_control(const char *text, size_t len)
{
	uint32_t point;
	size_t took;

	for (; len && (took = str_utf8(text, len, &point)); text += took, len -= took)
		if (point < ' ' || (point >= 0x7f && point <= 0x9f))
			return true;
	return false;
}

static bool decode(const struct imap_space *space, struct buf *out, const char *wire, size_t len)
{
	if (!space->utf8)
		return utf7_decode(out, wire, len);
	buf_append(out, wire, len);
	return is_utf8(wire, len);
}

/* RFC 3501 section 5.1: INBOX is the same in any case, and so are the names below it where it is
 * the prefix. */
static bool has_prefix(const struct imap_space *space, const char *wire, size_t len)
{
	size_t prefix = strlen(space->prefix);

	if (!prefix || len <= prefix)
		return false;
	return !memcmp(wire, space->prefix, prefix) ||
	       (str_begins(space->prefix, prefix, "INBOX") && str_begins(wire, len, space->prefix));
}

/* The levels of a decoded name, told apart by "/". False: there is one within a level. */
static bool add_levels(const struct imap_space *space, struct buf *name, const struct buf *text)
{
	bool fine = true;

	for (size_t i = 0; i < text->len; i++) {
		char c = (char)text->data[i];

		fine &= c != '/' || !space->delimiter || space->delimiter == '/';
		buf_append(name, space->delimiter && c == space->delimiter ? "/" : &c, 1);
	}
	return fine;
}

/* Does the name come out again as it went in? */
static bool comes_back(const struct imap_space *space, const char *name, const char *wire,
		       size_t len)
{
	struct buf again = {0};
	bool same = imap_name_write(space, name, &again) && again.len == len &&
		    (has_prefix(space, wire, len)
			 ? str_is(again.data, strlen(space->prefix), space->prefix) &&
			       !memcmp(again.data + strlen(space->prefix),
				       wire + strlen(space->prefix), len - strlen(space->prefix))
			 : !memcmp(again.data, wire, len));

	buf_free(&again);
	return same;
}

static const char *read_name(const struct imap_space *space, const char *wire, size_t len,
			     struct buf *name)
{
	bool inside = has_prefix(space, wire, len);
	bool outside = *space->prefix && !inside;
	size_t skip = inside ? strlen(space->prefix) : 0;
	size_t from = name->len;
	struct buf text = {0};
	const char *why = NULL;
	const char *plain;

	if (outside)
		buf_text(name, "/");
	if (!decode(space, &text, wire + skip, len - skip)) {
		why = space->utf8 ? "it is not UTF-8" : "it is not modified UTF-7 (RFC 3501)";
		buf_clear(&text);
		buf_append(&text, wire + skip, len - skip);
	}
	if (!add_levels(space, name, &text) && !why)
		why = "a / stands within one of its levels";
	buf_free(&text);
	plain = buf_string(name) + from;
	if (!why && holds_control(plain, name->len - from))
		why = "it holds a control character";
	if (!why && str_same(plain, "INBOX"))
		why = "it would be taken for the INBOX";
	if (!why && name->len - from > IMAP_NAME_MAX)
		why = "it is too long";
	if (!why && !comes_back(space, plain, wire, len))
		why = "it is not in the form that RFC 3501 demands";
	return why;
}

const char *imap_name_read(const struct imap_space *space, const void *wire, size_t len,
			   struct buf *name, struct buf *served)
{
	const char *text = wire;

	if (str_is(wire, len, "INBOX")) {
		buf_text(name, "INBOX");
		buf_text(served, "INBOX");
		return NULL;
	}
	if (!len || memchr(wire, '\0', len) || len > (size_t)8 * IMAP_NAME_MAX) {
		size_t shown = len < IMAP_NAME_MAX ? len : IMAP_NAME_MAX;

		buf_append(name, wire, shown);
		buf_append(served, wire, shown);
		return len ? "it is too long, or holds a NUL" : "it is empty";
	}
	if (!decode(space, served, text, len)) {
		buf_clear(served);
		buf_append(served, wire, len);
	}
	return read_name(space, text, len, name);
}

/* ---- to the wire --------------------------------------------------------------------------- */

bool imap_name_write(const struct imap_space *space, const char *name, struct buf *wire)
{
	bool outside = *space->prefix && *name == '/';
	struct buf text = {0};
	struct buf whole = {0};
	bool fine;

	if (str_same(name, "INBOX")) {
		buf_text(wire, "INBOX");
		return true;
	}
	if (!*name || (outside && !name[1]) || !is_utf8(name, strlen(name)))
		return false;
	for (const char *c = name + outside; *c; c++) {
		if (space->delimiter && space->delimiter != '/' && *c == space->delimiter) {
			buf_free(&text);
			return false;
		}
		buf_append(&text, *c == '/' && space->delimiter ? &space->delimiter : c, 1);
	}
	if (*space->prefix && !outside)
		buf_text(&whole, space->prefix);
	if (space->utf8)
		buf_append(&whole, text.data, text.len);
	else
		utf7_encode(&whole, (const char *)text.data, text.len);
	/* What would be read as another name: "/INBOX", or "NBOX" behind a prefix "I"; and from
	 * outside of the namespace into it. */
	fine = !str_is(whole.data, whole.len, "INBOX") &&
	       !(outside && has_prefix(space, (const char *)whole.data, whole.len));
	if (fine)
		buf_append(wire, whole.data, whole.len);
	buf_free(&text);
	buf_free(&whole);
	return fine;
}

/* ---- patterns ------------------------------------------------------------------------------ */

void imap_name_pattern(const char *item, struct buf *pattern)
{
	if (str_same(item, "INBOX")) {
		buf_text(pattern, "INBOX");
		return;
	}
	buf_text(pattern, "*");
	for (const char *c = item; *c; c++) {
		bool wild = strchr("/%*&", *c) || (unsigned char)*c < ' ' || *c == 0x7f ||
			    (unsigned char)*c >= 0x80;

		if (!wild)
			buf_append(pattern, c, 1);
		else if (pattern->data[pattern->len - 1] != '*')
			buf_text(pattern, "*");
	}
}
