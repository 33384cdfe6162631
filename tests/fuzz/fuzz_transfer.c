/*
 * The lines of an export of the state, which anybody may have written. The input: lines. Besides
 * not crashing: a line is refused with words, or every text of it is there, short and without
 * control characters, no letter is a path, and it is written as a line that says the same when it
 * is read.
 */
#include "fuzz.h"
#include "state/transfer.h"

#include <string.h>

static void judge_text(const char *text)
{
	must(text && strlen(text) <= TRANSFER_TEXT_MAX);
	for (; *text; text++)
		must((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void judge(const struct transfer_line *line)
{
	switch (line->kind) {
	case TRANSFER_HEAD:
		judge_text(line->identity);
		return;
	case TRANSFER_MAILBOX:
		judge_text(line->key.user);
		judge_text(line->key.host);
		judge_text(line->key.mailbox);
		must(!strcmp(line->key.protocol, "imap") || !strcmp(line->key.protocol, "pop3"));
		must(line->mailbox.next);
		return;
	case TRANSFER_MESSAGE:
		judge_text(line->row.key);
		judge_text(line->row.mark);
		judge_text(line->row.name);
		must(*line->row.key && !strchr(line->row.name, '/') && *line->row.name != '.');
		must(line->row.is >= STATE_TAKEN && line->row.is < STATE_IS_END);
		must(line->row.taken >= 0 && line->row.changed >= 0 && line->row.gone >= 0);
		return;
	case TRANSFER_END:
		return;
	}
}

/* Appends the line that it makes, if it is one. */
static bool take(const void *bytes, size_t len, struct buf *out)
{
	struct err err = {.kind = ERR_NONE};
	struct transfer_line line;

	if (!transfer_parse(bytes, len, &line, &err)) {
		must(err.kind == ERR_STATE && *err.words);
		must(!line.held);
		return false;
	}
	judge(&line);
	must(transfer_write(out, &line, &err));
	must(out->len && !memchr(out->data, '\n', out->len - 1));
	transfer_free(&line);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;
		struct buf out = {0};
		struct buf again = {0};

		if (take(data, len, &out)) {
			must(take(out.data, out.len - 1, &again));
			must(out.len == again.len && !memcmp(out.data, again.data, out.len));
		}
		buf_free(&out);
		buf_free(&again);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
	return 0;
}
