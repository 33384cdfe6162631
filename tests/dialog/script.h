/*
 * script: the text of a transcript, in lines and words. Trouble with it ends the program.
 */
#ifndef MAILHAUL_DIALOG_SCRIPT_H
#define MAILHAUL_DIALOG_SCRIPT_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORDS_MAX = 32 };

struct line {
	int number;
	char kind;
	char variant; /* ':' '|' '*' '!' '-' */
	char *text;   /* raw, escapes not yet undone */
};

struct script {
	const char *path;
	struct line *lines;
	size_t count;
	bool imap;
};

struct word {
	char name[32]; /* before = or ~; "" for a bare or quoted word */
	char relation; /* '=' '~', 'w' bare, '"' quoted */
	struct buf value;
};

/* Reads script->path into its lines, which point into what is returned. */
char *script_read(struct script *script);

/* Notes which engine the path names; false if none. */
bool script_engine(struct script *script);

/* Is it to be replayed all at once only? */
bool script_whole(const struct script *script);

/* Appends text without its escapes, up to its end or to one of stop; returns where it ended. */
const char *unescape(struct buf *out, const char *text, const char *stop);

/* Splits into at most WORDS_MAX words; word_text gives NULL behind the last. */
size_t words_split(struct word *words, const char *text);
const char *word_text(const struct word *words, size_t count, size_t i);
void words_free(struct word *words, size_t count);

/* Reads a set like 1,2,5:9; the caller frees the numbers. */
void set_read(const char *text, uint32_t **numbers_r, size_t *count_r);

#endif
