/*
 * imap_command: how the IMAP engine writes its commands, and the trace of the dialogue.
 *
 * A command is written whole into im->line. Strings go out quoted where they can be, else as
 * synchronising literals (RFC 3501 section 4.3): then the line is cut there, and each rest waits
 * for the server's "+". Nothing leaves before TLS but what the table of steps allows (the wall).
 */
#include "proto/imap_engine.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

enum { TRACE_LINE_MAX = 2000 };

static void trace(struct imap *im, const char *who, const void *bytes, size_t len, const char *end)
{
	struct buf *out = &im->source.trace;

	if (!im->source.tracing)
		return;
	buf_text(out, who);
	str_visible(out, bytes, len, TRACE_LINE_MAX);
	buf_printf(out, "%s\n", end);
}

struct buf *imap_begin(struct imap *im, enum imap_step step)
{
	im->saying = step;
	im->cut_count = 0;
	buf_clear(&im->line);
	buf_printf(&im->line, "a%u ", ++im->tags);
	return &im->line;
}

/* RFC 6855 section 3: UTF-8 may be quoted once it was agreed on. */
static bool quotable(const struct imap *im, const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c == 0x7f || *c == '\r' || *c == '\n' ||
		    ((unsigned char)*c >= 0x80 && !im->space.utf8))
			return false;
	return true;
}

void imap_string(struct imap *im, const char *text)
{
	if (!quotable(im, text) && im->cut_count < IMAP_CUTS_MAX) {
		buf_printf(&im->line, "{%zu}\r\n", strlen(text));
		im->cuts[im->cut_count++] = im->line.len;
		buf_text(&im->line, text);
		return;
	}
	buf_text(&im->line, "\"");
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			buf_text(&im->line, "\\");
		buf_append(&im->line, c, 1);
	}
	buf_text(&im->line, "\"");
}

/* Sends im->line up to its next cut; what waits behind it stays. */
static void send_part(struct imap *im)
{
	size_t len = im->cut_count ? im->cuts[0] : im->line.len;

	buf_append(&im->source.out, im->line.data, len);
	buf_consume(&im->line, len);
	if (!im->cut_count) {
		buf_wipe(&im->line);
		return;
	}
	im->cut_count--;
	for (size_t i = 0; i < im->cut_count; i++)
		im->cuts[i] = im->cuts[i + 1] - len;
}

void imap_send(struct imap *im, size_t secret_at)
{
	if ((!im->encrypted && !imap_steps[im->saying].in_clear) ||
	    im->sent_count == IMAP_SENT_MAX) {
		buf_wipe(&im->line);
		im->cut_count = 0;
		imap_fail(im, ERR_INTERNAL, "a command was about to be sent where none may be");
		return;
	}
	if (secret_at)
		trace(im, "C: ", im->line.data, secret_at, "<cut>");
	else
		trace(im, "C: ", im->line.data, im->line.len, "");
	im->source.out_secret |= secret_at > 0;
	buf_text(&im->line, "\r\n");
	if (im->sent_count == im->sent_room) {
		im->sent_room = im->sent_room ? im->sent_room * 2 : 4;
		im->sent = mem_resize(im->sent, im->sent_room, sizeof *im->sent);
	}
	im->sent[im->sent_count++] = (struct imap_sent){
	    .step = im->saying, .tag = im->tags, .end = im->jobs ? im->jobs->said : 0};
	send_part(im);
}

void imap_say(struct imap *im, enum imap_step step, const char *word)
{
	buf_text(imap_begin(im, step), word);
	imap_send(im, 0);
}

void imap_send_rest(struct imap *im)
{
	im->source.out_secret |= im->saying == IMAP_STEP_LOGIN;
	send_part(im);
}

void imap_send_answer(struct imap *im, const char *text, bool secret)
{
	im->source.out_secret |= secret;
	trace(im, "C: ", text, secret ? 0 : strlen(text), secret ? "<cut>" : "");
	buf_text(&im->source.out, text);
	buf_text(&im->source.out, "\r\n");
}

size_t imap_set(struct buf *out, const uint32_t *numbers, size_t count, size_t max)
{
	size_t at = 0;
	size_t used = 0;

	while (at < count && used + sizeof "4294967295:4294967295," <= max) {
		size_t before = out->len;
		size_t last = at;

		while (last + 1 < count && numbers[last + 1] == numbers[last] + 1)
			last++;
		buf_printf(out, "%s%u", at ? "," : "", numbers[at]);
		if (last > at)
			buf_printf(out, ":%u", numbers[last]);
		used += out->len - before;
		at = last + 1;
	}
	return at;
}

/* RFC 2971: its answer is read and ignored; some providers want it before they open a mailbox. */
void imap_say_id(struct imap *im)
{
	im->id_due = false;
	buf_text(imap_begin(im, IMAP_STEP_ID), "ID (\"name\" ");
	imap_string(im, im->program);
	if (im->version) {
		buf_text(&im->line, " \"version\" ");
		imap_string(im, im->version);
	}
	buf_text(&im->line, ")");
	imap_send(im, 0);
}

/* RFC 5161, 6855: names of mailboxes are UTF-8 from its answer on. */
void imap_say_enable(struct imap *im)
{
	im->enable_due = false;
	imap_say(im, IMAP_STEP_ENABLE, "ENABLE UTF8=ACCEPT");
}

/* The quoted string that is a message's body. */
static const struct imap_token *quoted_body(const struct imap *im, const struct imap_line *line)
{
	for (size_t i = 1; i < line->count; i++)
		if (line->tokens[i].kind == IMAP_QUOTED && imap_is_body(im, &line->tokens[i - 1]))
			return &line->tokens[i];
	return NULL;
}

void imap_trace_line(struct imap *im, enum imap_what what, const struct imap_line *line)
{
	const struct imap_token *body = what == IMAP_LINE ? quoted_body(im, line) : NULL;
	const char *who = line->rest ? "S: ..." : "S: ";
	char size[48];

	if (!im->source.tracing)
		return;
	if (what == IMAP_BODY) {
		const struct imap_token *name = &line->tokens[line->count - 1];

		snprintf(size, sizeof size, " <%llu octets>", (unsigned long long)line->octets);
		trace(im, who, line->raw.bytes, name->at + name->len, size);
	} else if (body) {
		snprintf(size, sizeof size, "<%zu octets>...", body->len);
		trace(im, who, line->raw.bytes, body->at - 1, size);
	} else {
		trace(im, who, line->raw.bytes, line->raw.len, "");
	}
}
