/*
 * buf: a growable run of octets that is filled at its end and consumed at its
 * front. A zeroed struct buf is an empty one. The fields are for reading only.
 */
#ifndef MAILHAUL_UTIL_BUF_H
#define MAILHAUL_UTIL_BUF_H

#include <stddef.h>

struct buf {
	unsigned char
	    *data;  /* the first octet not yet consumed; NULL while nothing was allocated */
	size_t len; /* octets that stand there */
	unsigned char *base; /* what was allocated */
	size_t room;	     /* octets allocated at base */
};

/* Appends len octets. bytes may be NULL when len is 0, and must not point into b. */
void buf_append(struct buf *b, const void *bytes, size_t len);

/* Appends a string, or what printf() would make of it. */
void buf_text(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Gives room for at least len octets behind the end; after writing n of them say
 * buf_grow(b, n). Moves the contents: pointers into b are void afterwards.
 */
unsigned char *buf_reserve(struct buf *b, size_t len) __attribute__((returns_nonnull));
void buf_grow(struct buf *b, size_t len);

/* Takes len octets (at most b->len) away from the front. Pointers into b stay good until the
 * next call that appends or reserves. */
void buf_consume(struct buf *b, size_t len);

/* Appends a NUL that does not count in len, and gives the contents as a string owned by b. */
char *buf_string(struct buf *b) __attribute__((returns_nonnull));

/* Gives back the memory that the contents do not need: of an empty b, all. Moves the contents. */
void buf_fit(struct buf *b);

/* Empties b and keeps its memory; or frees it; or wipes all it ever held, then frees it. */
void buf_clear(struct buf *b);
void buf_free(struct buf *b);
void buf_wipe(struct buf *b);

#endif
