/*
 * str: strict numbers, comparisons without locale, and text of strangers made fit to be shown.
 */
#include "util/str.h"

#include <stdio.h>
#include <string.h>

bool str_number(const void *digits, size_t len, uint64_t max, uint64_t *value_r)
{
	const unsigned char *digit = digits;
	uint64_t value = 0;

	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint64_t add;

		if (digit[i] < '0' || digit[i] > '9')
			return false;
		add = (uint64_t)(digit[i] - '0');
		if (value > (UINT64_MAX - add) / 10)
			return false;
		value = value * 10 + add;
		if (value > max)
			return false;
	}
	*value_r = value;
	return true;
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool str_begins(const void *bytes, size_t len, const char *prefix)
{
	const unsigned char *have = bytes;
	size_t want = strlen(prefix);

	if (len < want)
		return false;
	for (size_t i = 0; i < want; i++)
		if (lower(have[i]) != lower((unsigned char)prefix[i]))
			return false;
	return true;
}

bool str_is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

bool str_has_word(const void *bytes, size_t len, const char *word)
{
	const unsigned char *at = bytes;

	while (len) {
		const unsigned char *space = memchr(at, ' ', len);
		size_t one = space ? (size_t)(space - at) : len;

		if (str_is(at, one, word))
			return true;
		one += space != NULL;
		at += one;
		len -= one;
	}
	return false;
}

bool str_is(const void *bytes, size_t len, const char *word)
{
	return len == strlen(word) && str_begins(bytes, len, word);
}

bool str_same(const char *a, const char *b)
{
	return str_is(a, strlen(a), b);
}

size_t str_utf8(const void *bytes, size_t len, uint32_t *point_r)
{
	const unsigned char *s = bytes;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t point;
	size_t need;

	if (!len)
		return 0;
	if (s[0] < 0x80) {
		*point_r = s[0];
		return 1;
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		need = 2;
		point = s[0] & 0x1fU;
	} else if ((s[0] & 0xf0) == 0xe0) {
		need = 3;
		point = s[0] & 0x0fU;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		need = 4;
		point = s[0] & 0x07U;
	} else {
		return 0;
	}
	if (len < need)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (s[i] & 0x3fU);
	}
	if (point < least[need] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*point_r = point;
	return need;
}

bool str_steers(uint32_t p)
{
	return p < 0x20 || (p >= 0x7f && p <= 0x9f) || p == 0xad || p == 0x61c || p == 0x180e ||
	       (p >= 0x200b && p <= 0x200f) || (p >= 0x2028 && p <= 0x202e) ||
	       (p >= 0x2060 && p <= 0x206f) || p == 0xfeff || (p >= 0xfff9 && p <= 0xfffb) ||
	       (p >= 0xe0000 && p <= 0xe007f);
}

void str_visible(struct buf *out, const void *bytes, size_t len, size_t max)
{
	const unsigned char *s = bytes;
	size_t before = out->len;

	for (size_t i = 0; i < len;) {
		uint32_t point = 0;
		size_t took = str_utf8(s + i, len - i, &point);
		char shown[16];

		if (!took)
			snprintf(shown, sizeof shown, "\\x%02X", (unsigned)s[i]);
		else if (point < 0x80 && str_steers(point))
			snprintf(shown, sizeof shown, "\\x%02X", (unsigned)point);
		else if (str_steers(point))
			snprintf(shown, sizeof shown, "\\u{%04X}", (unsigned)point);
		else
			shown[snprintf(shown, sizeof shown, "%.*s", (int)took,
				       (const char *)s + i)] = 0;
		if (out->len - before + strlen(shown) > max) {
			buf_text(out, "...");
			return;
		}
		buf_text(out, shown);
		i += took ? took : 1;
	}
}

void str_visible_to(char *out, size_t size, const char *text)
{
	struct buf shown = {0};

	if (size > 4)
		str_visible(&shown, text, strlen(text), size - 4);
	snprintf(out, size, "%s", buf_string(&shown));
	buf_free(&shown);
}

char *str_octets(char *out, uint64_t octets)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB"};
	double value = (double)octets;
	size_t unit = 0;

	if (octets < 1000) {
		snprintf(out, 32, "%u B", (unsigned)octets);
		return out;
	}
	for (value /= 1000; value >= 999.95 && unit + 1 < sizeof units / sizeof *units; unit++)
		value /= 1000;
	snprintf(out, 32, "%.1f %s", value, units[unit]);
	return out;
}

char *str_span(char *out, uint64_t seconds)
{
	unsigned long days = (unsigned long)(seconds / 86400);
	unsigned hours = (unsigned)(seconds / 3600 % 24);
	unsigned minutes = (unsigned)(seconds / 60 % 60);

	if (days)
		snprintf(out, 32, "%lu d %u h", days, hours);
	else if (hours)
		snprintf(out, 32, "%u h %u min", hours, minutes);
	else if (minutes)
		snprintf(out, 32, "%u min", minutes);
	else
		snprintf(out, 32, "%u s", (unsigned)(seconds % 60));
	return out;
}
