/*
 * replay: calls a fuzz target for inputs that were kept, without a fuzzer.
 *
 *     replay_NAME FILE...    NAME.seeds holds an input on each line, with the escapes \\ \r \n \t
 *                            \xNN; any other file is one input, as the fuzzer leaves it
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned replayed;

static void read_file(const char *path, struct buf *all)
{
	FILE *file = fopen(path, "r");

	if (!file) {
		perror(path);
		exit(2);
	}
	for (size_t got = 1; got;) {
		got = fread(buf_reserve(all, 65536), 1, 65536, file);
		buf_grow(all, got);
	}
	fclose(file);
}

/* A copy of its own size, so that a sanitizer sees what is read beyond it. */
static void replay(const void *bytes, size_t len)
{
	unsigned char *input = malloc(len ? len : 1);

	if (!input)
		exit(2);
	if (len)
		memcpy(input, bytes, len);
	(void)LLVMFuzzerTestOneInput(input, len);
	free(input);
	replayed++;
}

/* The octet at *at, which then stands behind it. */
static char take_octet(const char **at)
{
	const char *c = *at;
	char hex[3] = "";

	if (*c != '\\' || !c[1]) {
		++*at;
		return *c;
	}
	*at = c + 2;
	switch (c[1]) {
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'x':
		memcpy(hex, c + 2, strnlen(c + 2, 2));
		*at = c + 2 + strlen(hex);
		return (char)strtoul(hex, NULL, 16);
	default:
		return c[1];
	}
}

static void replay_line(const char *path, unsigned number, const char *line)
{
	struct buf input = {0};

	for (const char *at = line; *at;) {
		char c = take_octet(&at);

		buf_append(&input, &c, 1);
	}
	/* Which one it was, should it crash. */
	if (getenv("V"))
		fprintf(stderr, "%s:%u\n", path, number);
	replay(input.data, input.len);
	buf_free(&input);
}

static void replay_file(const char *path)
{
	const char *dot = strrchr(path, '.');
	struct buf all = {0};
	unsigned number = 0;
	char *rest;
	char *line;

	read_file(path, &all);
	if (!dot || strcmp(dot, ".seeds") != 0) {
		replay(all.data, all.len);
	} else {
		rest = buf_string(&all);
		while ((line = strsep(&rest, "\n")))
			if (++number && *line && *line != '#')
				replay_line(path, number, line);
	}
	buf_free(&all);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay_file(argv[i]);
	printf("%u passed, 0 failed\n", replayed);
	return replayed ? 0 : 1;
}
