/*
 * str: strict numbers, comparisons without locale, and text of strangers made fit to be shown.
 */
#ifndef MAILHAUL_UTIL_STR_H
#define MAILHAUL_UTIL_STR_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ASCII, for strspn() and strchr(). */
#define STR_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define STR_DIGITS  "0123456789"

/* True if all len octets are decimal digits (at least one) and the value is at most max. */
bool str_number(const void *digits, size_t len, uint64_t max, uint64_t *value_r);

/* ASCII comparison without regard to case; len octets of bytes against the whole of word. */
bool str_is(const void *bytes, size_t len, const char *word);
bool str_same(const char *a, const char *b);

/* True if text begins with prefix, ASCII case disregarded. */
bool str_begins(const void *bytes, size_t len, const char *prefix);

/* Is word one of the words that stand there with spaces between them? */
bool str_has_word(const void *bytes, size_t len, const char *word);

bool str_is_ascii(const char *text);

/* Decodes the UTF-8 sequence (RFC 3629) that the len octets begin with; returns how many octets it
 * has, 0 if there is none. */
size_t str_utf8(const void *bytes, size_t len, uint32_t *point_r);

/*
 * Appends text as a person may safely see it on a terminal: control characters (C0, DEL, C1),
 * bidirectional controls, line and paragraph separators, zero-width characters and octets that are
 * not UTF-8 become \xNN or \u{NNNN}; everything else stays. Stops after max octets of output and
 * says so with "...".
 */
void str_visible(struct buf *out, const void *bytes, size_t len, size_t max);

/* The same for a string, in place of a buffer: cut to size octets, always NUL-terminated. */
void str_visible_to(char *out, size_t size, const char *text);

/* Is this a character that steers a terminal or the order of the text, or that cannot be seen? */
bool str_steers(uint32_t point);

/*
 * Writes count octets as "1.5 MB", or seconds as "3 d 4 h", for people.
 * out must have at least 32 octets; returns out.
 */
char *str_octets(char *out, uint64_t octets);
char *str_span(char *out, uint64_t seconds);

#endif
