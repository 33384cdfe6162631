/*
 * Names of mailboxes: modified UTF-7, delimiters and prefixes. The input: a flag for UTF-8, the
 * delimiter, the prefix on a line, then a name. Besides not crashing: what is read from the wire
 * comes out again as it went in, and what is written is read again as it was.
 */
#include "fuzz.h"
#include "proto/imap_name.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

/* A delimiter and a prefix such as the engine takes from a server. */
static void take_space(struct imap_space *space, const uint8_t **data, size_t *size)
{
	const uint8_t *end = memchr(*data + 2, '\n', *size - 2);
	size_t len = end ? (size_t)(end - *data) - 2 : 0;
	unsigned char delimiter = (*data)[1];

	*space = (struct imap_space){.utf8 = **data & 1};
	if (delimiter > ' ' && delimiter <= '~' && !strchr("%*&", delimiter))
		space->delimiter = (char)delimiter;
	for (size_t i = 0; i < len && i < IMAP_PREFIX_MAX; i++) {
		unsigned char c = (*data)[2 + i];

		if (c >= ' ' && c <= '~')
			space->prefix[strlen(space->prefix)] = (char)c;
	}
	*data += 2 + len + (end != NULL);
	*size -= 2 + len + (end != NULL);
}

static bool is_inbox(const void *bytes, size_t len)
{
	return str_is(bytes, len, "INBOX");
}

static void from_wire(const struct imap_space *space, const uint8_t *wire, size_t len)
{
	struct buf name = {0};
	struct buf served = {0};
	struct buf again = {0};
	const char *why = imap_name_read(space, wire, len, &name, &served);

	if (!why) {
		must(name.len && name.len <= IMAP_NAME_MAX);
		must(imap_name_write(space, buf_string(&name), &again));
		must(is_inbox(wire, len) == is_inbox(name.data, name.len));
		must(is_inbox(wire, len) ||
		     (again.len == len &&
		      !strncasecmp((const char *)again.data, (const char *)wire, len)));
	}
	buf_free(&name);
	buf_free(&served);
	buf_free(&again);
}

static void to_wire(const struct imap_space *space, const char *text)
{
	struct buf wire = {0};
	struct buf name = {0};
	struct buf served = {0};

	if (imap_name_write(space, text, &wire)) {
		must(wire.len);
		for (size_t i = 0; i < wire.len && !space->utf8; i++)
			must(wire.data[i] >= ' ' && wire.data[i] <= '~');
		if (!imap_name_read(space, wire.data, wire.len, &name, &served))
			must(is_inbox(text, strlen(text)) || !strcmp(buf_string(&name), text));
	} else {
		must(!wire.len);
	}
	buf_clear(&wire);
	imap_name_pattern(text, &wire);
	must(wire.len);
	for (size_t i = 0; i < wire.len; i++)
		must(wire.data[i] >= ' ' && wire.data[i] <= '~' && wire.data[i] != '&');
	buf_free(&wire);
	buf_free(&name);
	buf_free(&served);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap_space space;
	char *text;

	if (size < 3)
		return 0;
	take_space(&space, &data, &size);
	from_wire(&space, data, size);
	text = mem_copy_n((const char *)data, size);
	to_wire(&space, text);
	free(text);
	return 0;
}
