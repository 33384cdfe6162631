/*
 * Scanning the header of a message, and the sender in a Return-Path. The first octet chooses the
 * pieces in which the message comes. Besides not crashing: what is kept is short and on one line,
 * the pieces make no difference, and a sender can be given to any program as an argument.
 */
#include "fuzz.h"
#include "mail/header.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static void judge_sender(const char *return_path)
{
	char sender[256];

	header_sender(return_path, sender, sizeof sender);
	must(strlen(sender) <= 254);
	must(sender[0] != '-');
	must(!*sender || strrchr(sender, '@'));
	for (const char *c = sender; *c; c++)
		must(*c >= ' ' && *c <= '~');
}

static uint64_t judge_fact(uint64_t sum, const struct buf *fact)
{
	must(fact->len <= HEADER_FIELD_MAX);
	must(!fact->len || !memchr(fact->data, '\n', fact->len));
	return fuzz_sum(fuzz_sum(sum, &fact->len, sizeof fact->len), fact->data, fact->len);
}

static uint64_t scan(const uint8_t *data, size_t size, size_t drip)
{
	struct header_scan *scan = header_scan_new();
	const struct header_facts *facts;
	struct buf path = {0};
	bool more = true;
	uint64_t sum = 0;

	while (size) {
		size_t len = size < drip ? size : drip;
		bool before = more;

		more = header_scan_feed(scan, data, len);
		must(before || !more);
		data += len;
		size -= len;
	}
	facts = header_scan_facts(scan);
	sum = judge_fact(sum, &facts->message_id);
	sum = judge_fact(sum, &facts->date);
	sum = judge_fact(sum, &facts->from);
	sum = judge_fact(sum, &facts->return_path);
	buf_append(&path, facts->return_path.data, facts->return_path.len);
	judge_sender(buf_string(&path));
	buf_free(&path);
	header_scan_free(&scan);
	return fuzz_sum(sum, &more, sizeof more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t drip = size ? fuzz_drip(*data) : 1;
	char *text;

	if (!size)
		return 0;
	must(scan(data + 1, size - 1, drip) ==
	     scan(data + 1, size - 1, drip == SIZE_MAX ? 1 : SIZE_MAX));
	text = mem_copy_n((const char *)data + 1, size - 1);
	judge_sender(text);
	free(text);
	return 0;
}
