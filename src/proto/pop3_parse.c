/*
 * pop3_parse: the lines of POP3, read strictly (RFC 1939 section 3, RFC 2449 sections 3, 4 and 8,
 * RFC 3206, RFC 5034 section 4).
 */
#include "proto/pop3_parse.h"

#include "proto/source.h"
#include "util/str.h"

#include <string.h>

enum { MECHANISM_MAX = 20 }; /* RFC 4422 section 3.1 */

static bool is_space(unsigned char c)
{
	return c == ' ' || c == '\t';
}

static size_t word_len(const unsigned char *text, size_t len)
{
	size_t word = 0;

	while (word < len && !is_space(text[word]))
		word++;
	return word;
}

static size_t space_len(const unsigned char *text, size_t len)
{
	size_t space = 0;

	while (space < len && is_space(text[space]))
		space++;
	return space;
}

enum pop3_status pop3_parse_status(const unsigned char *line, size_t len, size_t *text_r)
{
	size_t word = word_len(line, len);

	*text_r = word + (word < len);
	if (str_is(line, word, "+OK"))
		return POP3_OK;
	if (str_is(line, word, "-ERR"))
		return POP3_ERR;
	if (str_is(line, word, "+"))
		return POP3_MORE;
	return POP3_NONSENSE;
}

void pop3_parse_code(const unsigned char *text, size_t len, char code_r[POP3_CODE_MAX])
{
	size_t n = 0;

	code_r[0] = '\0';
	if (!len || text[0] != '[' || !memchr(text, ']', len))
		return;
	for (size_t i = 1; text[i] != ']' && !is_space(text[i]); i++) {
		unsigned char c = text[i];

		if (c < 0x21 || c > 0x7e || n + 1 == POP3_CODE_MAX) {
			code_r[0] = '\0';
			return;
		}
		if (c >= 'a' && c <= 'z')
			c = (unsigned char)(c - ('a' - 'A'));
		code_r[n++] = (char)c;
	}
	code_r[n] = '\0';
}

bool pop3_parse_item(const unsigned char *line, size_t len, uint64_t max, uint64_t *number_r,
		     const unsigned char **rest_r, size_t *rest_len_r)
{
	size_t digits = word_len(line, len);
	size_t rest;

	if (!str_number(line, digits, max, number_r))
		return false;
	rest = digits + space_len(line + digits, len - digits);
	while (len > rest && is_space(line[len - 1]))
		len--;
	*rest_r = line + rest;
	*rest_len_r = len - rest;
	return true;
}

uint64_t pop3_parse_octets(const unsigned char *text, size_t len)
{
	const unsigned char *rest;
	size_t rest_len;
	uint64_t octets;

	if (pop3_parse_item(text, len, INT64_MAX, &octets, &rest, &rest_len) &&
	    str_begins(rest, rest_len, "octets"))
		return octets;
	return 0;
}

bool pop3_fits_line(const char *s)
{
	return s && !s[strcspn(s, "\r\n")];
}

/* Adds one mechanism, unless it is none by RFC 4422 or the list grows beyond reason. */
static void mechanism_add(struct buf *mechanisms, const unsigned char *word, size_t len)
{
	char upper[MECHANISM_MAX];

	if (!len || len > MECHANISM_MAX || mechanisms->len + len > SOURCE_TEXT_MAX)
		return;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = word[i];

		if (c >= 'a' && c <= 'z')
			c = (unsigned char)(c - ('a' - 'A'));
		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return;
		upper[i] = (char)c;
	}
	if (mechanisms->len)
		buf_text(mechanisms, " ");
	buf_append(mechanisms, upper, len);
}

static void mechanisms_add(struct buf *mechanisms, const unsigned char *text, size_t len)
{
	while (len) {
		size_t skip = space_len(text, len);
		size_t word = word_len(text + skip, len - skip);

		mechanism_add(mechanisms, text + skip, word);
		text += skip + word;
		len -= skip + word;
	}
}

/* Keeps the line for people; a NUL would end the string too early. */
static void list_add(struct buf *list, const unsigned char *line, size_t len)
{
	if (list->len + len + 2 > SOURCE_TEXT_MAX)
		return;
	if (list->len)
		buf_text(list, ", ");
	for (size_t i = 0; i < len; i++)
		buf_append(list, line[i] ? &line[i] : (const unsigned char *)"?", 1);
}

bool pop3_capa_line(struct pop3_capa *capa, const unsigned char *line, size_t len)
{
	size_t word = word_len(line, len);

	if (++capa->lines > POP3_CAPA_LINES)
		return false;
	list_add(&capa->list, line, len);
	if (str_is(line, word, "STLS"))
		capa->stls = true;
	else if (str_is(line, word, "PIPELINING"))
		capa->pipelining = true;
	else if (str_is(line, word, "TOP"))
		capa->top = true;
	else if (str_is(line, word, "USER"))
		capa->user = true;
	else if (str_is(line, word, "SASL")) {
		capa->sasl = true;
		mechanisms_add(&capa->mechanisms, line + word, len - word);
	}
	return true;
}

void pop3_capa_forget(struct pop3_capa *capa)
{
	buf_free(&capa->list);
	buf_free(&capa->mechanisms);
	*capa = (struct pop3_capa){0};
}
