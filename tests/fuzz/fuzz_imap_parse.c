/*
 * The IMAP parser: whatever comes, in whatever pieces. The first octet chooses the pieces; the rest
 * is what the server sends. Besides not crashing: every token, text and code lies within its part,
 * depths fit together, sizes are within the bounds, and the pieces make no difference.
 */
#include "fuzz.h"
#include "proto/imap_parse.h"

#include <string.h>

static bool within(struct imap_span all, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	return !len || (at >= all.bytes && at + len <= all.bytes + all.len);
}

static void judge_tokens(const struct imap_line *line)
{
	unsigned depth = line->count ? line->tokens[0].depth : 0;

	must(line->count <= IMAP_TOKENS_MAX);
	for (size_t i = 0; i < line->count; i++) {
		const struct imap_token *token = &line->tokens[i];
		uint64_t number;
		time_t date;

		must(token->depth == depth - (token->kind == IMAP_CLOSE && i != 0));
		depth = token->depth + (token->kind == IMAP_OPEN);
		must(depth <= IMAP_DEPTH_MAX);
		must(within(line->raw, token->bytes, token->len));
		must(!imap_token_number(token, 1000, &number) || number <= 1000);
		(void)imap_date(token->bytes, token->len, &date);
	}
}

static void judge(const struct imap_line *line, enum imap_what what)
{
	must(what == IMAP_LINE || line->count);
	must(line->rest || line->tag.len);
	must(within(line->raw, line->tag.bytes, line->rest ? 0 : line->tag.len));
	must(within(line->raw, line->text.bytes, line->text.len));
	must(within(line->raw, line->code.bytes, line->code.len));
	must(within(line->raw, line->args.bytes, line->args.len));
	must(line->raw.len <= IMAP_LINE_MAX + IMAP_LITERAL_MAX + 2);
	judge_tokens(line);
}

static uint64_t sum_line(uint64_t sum, struct imap_line *line)
{
	sum = fuzz_sum(sum, line->raw.bytes, line->raw.len);
	sum = fuzz_sum(sum, &line->status, sizeof line->status);
	sum = fuzz_sum(sum, &line->octets, sizeof line->octets);
	for (size_t i = 0; i < line->count; i++) {
		struct imap_token *token = &line->tokens[i];

		sum = fuzz_sum(sum, &token->kind, sizeof token->kind);
		sum = fuzz_sum(sum, &token->at, sizeof token->at);
		if (token->kind == IMAP_QUOTED)
			must(imap_unescape(token->bytes, token->len) <= token->len);
	}
	return sum;
}

static uint64_t parse(const uint8_t *data, size_t size, size_t drip)
{
	struct buf in = {0};
	struct imap_parse *parse = imap_parse_new(&in);
	enum imap_what what = IMAP_MORE;
	uint64_t sum = 0;
	uint64_t body = 0;

	while (what != IMAP_BROKEN && (size || what != IMAP_MORE)) {
		struct imap_line line;
		struct err err;

		if (what == IMAP_MORE) {
			size_t len = size < drip ? size : drip;

			buf_append(&in, data, len);
			data += len;
			size -= len;
		}
		what = imap_parse_next(parse, &line, &err);
		if (what == IMAP_OCTETS) {
			must(line.bytes.len && line.bytes.len <= body);
			body -= line.bytes.len;
			sum = fuzz_sum(sum, line.bytes.bytes, line.bytes.len);
		} else if (what == IMAP_LINE || what == IMAP_BODY) {
			must(!body);
			judge(&line, what);
			sum = sum_line(sum, &line);
			body = what == IMAP_BODY ? line.octets : 0;
		}
	}
	sum = fuzz_sum(sum, &what, sizeof what);
	imap_parse_free(&parse);
	buf_free(&in);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t drip = size ? fuzz_drip(*data) : 1;

	if (size)
		must(parse(data + 1, size - 1, drip) ==
		     parse(data + 1, size - 1, drip == SIZE_MAX ? 1 : SIZE_MAX));
	return 0;
}
