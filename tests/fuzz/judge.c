/*
 * judge: what an engine emits, looked at as a server would.
 */
#include "judge.h"

#include "fuzz.h"
#include "proto/source.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

static bool one_of(const char *const *words, const unsigned char *line, size_t len)
{
	const unsigned char *space = memchr(line, ' ', len);

	if (space)
		len = (size_t)(space - line);
	for (; *words; words++)
		if (str_is(line, len, *words))
			return true;
	return false;
}

/* An answer to a challenge, or an initial response on a line of its own. */
static bool is_answer(struct judge *judge, const unsigned char *line, size_t len)
{
	static const char base64[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

	if (!judge->answers)
		return false;
	for (size_t i = 0; i < len && !(len == 1 && *line == '*'); i++)
		if (!line[i] || !strchr(base64, line[i]))
			return false;
	judge->answers--;
	return true;
}

/* DONE, once for each IDLE. */
static bool ends_idle(struct judge *judge, const unsigned char *line, size_t len)
{
	bool ends = judge->idles && len == 4 && !memcmp(line, "DONE", len);

	judge->idles &= !ends;
	return ends;
}

/* The literal's size that a line of IMAP ends with; 0 if none. */
static size_t literal_of(const unsigned char *line, size_t len)
{
	size_t at = len;
	uint64_t octets = 0;

	if (!len || line[--at] != '}')
		return 0;
	while (at && line[at - 1] >= '0' && line[at - 1] <= '9')
		at--;
	if (!at || line[at - 1] != '{' || !str_number(line + at, len - 1 - at, 100000, &octets))
		return 0;
	return (size_t)octets;
}

/* The length of the next tag and its space, if the line begins with them; else 0. */
static size_t tag_of(const struct judge *judge, const unsigned char *line, size_t len)
{
	char tag[16];
	size_t tag_len = (size_t)snprintf(tag, sizeof tag, "a%u ", judge->tags + 1);

	return len > tag_len && !memcmp(line, tag, tag_len) ? tag_len : 0;
}

static void imap_line(struct judge *judge, const unsigned char *line, size_t len)
{
	static const char *const clear[] = {"CAPABILITY", "STARTTLS", "LOGOUT", NULL};
	static const char *const commands[] = {
	    "CAPABILITY", "LOGOUT", "AUTHENTICATE", "LOGIN",  "ID",	   "SELECT", "EXAMINE",
	    "UID",	  "LIST",   "STATUS",	    "ENABLE", "NAMESPACE", "IDLE",   NULL};
	size_t tag = tag_of(judge, line, len);

	if (!judge->within && !tag) {
		must(judge->encrypted &&
		     (ends_idle(judge, line, len) || is_answer(judge, line, len)));
		return;
	}
	if (!judge->within) {
		judge->tags++;
		must(one_of(judge->encrypted ? commands : clear, line + tag, len - tag));
		judge->idles = str_is(line + tag, len - tag, "IDLE");
	}
	judge->literal = literal_of(line, len);
	judge->within = judge->fresh = judge->literal > 0;
}

static void pop3_line(struct judge *judge, const unsigned char *line, size_t len)
{
	static const char *const clear[] = {"CAPA", "STLS", "QUIT", NULL};
	static const char *const commands[] = {"CAPA", "QUIT", "AUTH", "USER", "PASS",
					       "STAT", "UIDL", "LIST", "RETR", "DELE",
					       "TOP",  "NOOP", NULL};

	must(one_of(judge->encrypted ? commands : clear, line, len) ||
	     (judge->encrypted && is_answer(judge, line, len)));
}

void judge_out(struct judge *judge, struct buf *out)
{
	judge->octets += out->len;
	judge->sum = fuzz_sum(judge->sum, out->data, out->len);
	while (out->len) {
		const unsigned char *end;
		size_t len;

		/* Where the server refused a literal, the next command stands in its place. */
		if (judge->fresh && tag_of(judge, out->data, out->len))
			judge->literal = 0, judge->within = false;
		judge->fresh = false;
		if (judge->literal) {
			len = judge->literal < out->len ? judge->literal : out->len;
			judge->literal -= len;
			buf_consume(out, len);
			continue;
		}
		end = memmem(out->data, out->len, "\r\n", 2);
		must(end);
		len = (size_t)(end - out->data);
		must(len <= SOURCE_COMMAND_MAX);
		must(!memchr(out->data, '\0', len) && !memchr(out->data, '\n', len) &&
		     !memchr(out->data, '\r', len));
		if (judge->imap)
			imap_line(judge, out->data, len);
		else
			pop3_line(judge, out->data, len);
		buf_consume(out, len + 2);
	}
}
