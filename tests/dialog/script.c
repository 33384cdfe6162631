/*
 * script: the text of a transcript, in lines and words. Trouble with it ends the program.
 */
#include "script.h"

#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

const char *unescape(struct buf *out, const char *text, const char *stop)
{
	for (; *text && !strchr(stop, *text); text++) {
		char c = *text;

		if (c == '\\') {
			c = *++text;
			if (c == 'r')
				c = '\r';
			else if (c == 'n')
				c = '\n';
			else if (c == 't')
				c = '\t';
			else if (c == 'x' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
				c = (char)(hex(text[1]) * 16 + hex(text[2]));
				text += 2;
			} else if (c != '\\' && c != '"') {
				fprintf(stderr, "bad escape: %s\n", text - 1);
				exit(2);
			}
		}
		buf_append(out, &c, 1);
	}
	return text;
}

size_t words_split(struct word *words, const char *text)
{
	size_t count = 0;

	for (;;) {
		struct word *word = &words[count];
		size_t name;

		text += strspn(text, " ");
		if (!*text)
			return count;
		if (++count > WORDS_MAX) {
			fprintf(stderr, "too many words\n");
			exit(2);
		}
		*word = (struct word){.relation = 'w'};
		name = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
		if (name && name < sizeof word->name && (text[name] == '=' || text[name] == '~')) {
			memcpy(word->name, text, name);
			word->relation = text[name];
			text += name + 1;
		} else if (*text == '"') {
			word->relation = '"';
		}
		if (*text == '"') {
			text = unescape(&word->value, text + 1, "\"");
			text += *text == '"';
		} else {
			text = unescape(&word->value, text, " ");
		}
		buf_string(&word->value);
	}
}

void words_free(struct word *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_free(&words[i].value);
}

const char *word_text(const struct word *words, size_t count, size_t i)
{
	return i < count ? (const char *)words[i].value.data : NULL;
}

static void script_add(struct script *script, char *text, int number)
{
	struct line *line;

	if (!*text || *text == '#')
		return;
	if (!strchr("OSCEVWT", *text) || !text[1] || !strchr(":|*!-", text[1])) {
		fprintf(stderr, "%s:%d: not a line of a transcript: %s\n", script->path, number,
			text);
		exit(2);
	}
	script->lines = mem_resize(script->lines, script->count + 1, sizeof *script->lines);
	line = &script->lines[script->count++];
	*line = (struct line){number, text[0], text[1], text + 2 + (text[2] == ' ')};
}

char *script_read(struct script *script)
{
	struct buf all = {0};
	FILE *file = fopen(script->path, "r");
	char *rest;
	char *line;
	int number = 0;

	if (!file) {
		perror(script->path);
		exit(2);
	}
	for (size_t got = 1; got;) {
		got = fread(buf_reserve(&all, 4096), 1, 4096, file);
		buf_grow(&all, got);
	}
	fclose(file);
	rest = buf_string(&all);
	while ((line = strsep(&rest, "\n")))
		script_add(script, line, ++number);
	return (char *)all.base;
}

void set_read(const char *text, uint32_t **numbers_r, size_t *count_r)
{
	size_t count = 0;
	uint32_t *numbers = NULL;

	while (*text) {
		char *end;
		unsigned long from = strtoul(text, &end, 10);
		unsigned long to = *end == ':' ? strtoul(end + 1, &end, 10) : from;

		for (unsigned long n = from; n <= to; n++) {
			numbers = mem_resize(numbers, count + 1, sizeof *numbers);
			numbers[count++] = (uint32_t)n;
		}
		text = *end ? end + 1 : end;
	}
	*numbers_r = numbers;
	*count_r = count;
}

bool script_engine(struct script *script)
{
	script->imap = strstr(script->path, "imap/") != NULL;
	return script->imap || strstr(script->path, "pop3/") != NULL;
}

bool script_whole(const struct script *script)
{
	for (size_t i = 0; i < script->count; i++)
		if (script->lines[i].kind == 'O' && !strcmp(script->lines[i].text, "whole"))
			return true;
	return false;
}
