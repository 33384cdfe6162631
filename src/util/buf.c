/*
 * buf: a growable run of octets that is filled at its end and consumed at its front.
 *
 * The room in front, left by consuming, is used again before anything is allocated. Growing copies
 * by hand instead of realloc(), so that no stale copy of a secret is left behind.
 */
#include "util/buf.h"

#include "util/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_LEAST = 256 };

unsigned char *buf_reserve(struct buf *b, size_t len)
{
	size_t front = b->data ? (size_t)(b->data - b->base) : 0;
	unsigned char *base;
	size_t room;

	if (b->base && b->room - front - b->len >= len)
		return b->data + b->len;
	if (b->base && b->room - b->len >= len && front >= b->len) {
		memcpy(b->base, b->data, b->len);
		b->data = b->base;
		return b->data + b->len;
	}
	/* Doubling must not wrap round: such a length is not to be had, and mem_new() says so. */
	if (len > SIZE_MAX / 4 || b->room > SIZE_MAX / 4)
		(void)mem_new(SIZE_MAX, SIZE_MAX);
	room = b->room * 2 > BUF_LEAST ? b->room * 2 : BUF_LEAST;
	while (room - b->len < len)
		room *= 2;
	base = mem_new(room, 1);
	if (b->base && b->data) {
		memcpy(base, b->data, b->len);
		mem_wipe(b->base, b->room);
		free(b->base);
	}
	b->base = b->data = base;
	b->room = room;
	return b->data + b->len;
}

void buf_grow(struct buf *b, size_t len)
{
	b->len += len;
}

void buf_append(struct buf *b, const void *bytes, size_t len)
{
	if (!len)
		return;
	memcpy(buf_reserve(b, len), bytes, len);
	b->len += len;
}

void buf_text(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	size_t room = BUF_LEAST;
	va_list args;
	int len;

	/* Once more where the first guess is too small. */
	for (;;) {
		char *at = (char *)buf_reserve(b, room);

		va_start(args, format);
		len = vsnprintf(at, room, format, args);
		va_end(args);
		if (len < 0)
			return;
		if ((size_t)len < room)
			break;
		room = (size_t)len + 1;
	}
	b->len += (size_t)len;
}

void buf_consume(struct buf *b, size_t len)
{
	b->data += len;
	b->len -= len;
	if (!b->len)
		b->data = b->base;
}

char *buf_string(struct buf *b)
{
	*buf_reserve(b, 1) = '\0';
	return (char *)b->data;
}

void buf_fit(struct buf *b)
{
	struct buf fit = {.len = b->len, .room = b->len};

	if (b->room == b->len)
		return;
	if (b->len) {
		fit.base = fit.data = mem_new(b->len, 1);
		memcpy(fit.base, b->data, b->len);
	}
	buf_wipe(b);
	*b = fit;
}

void buf_clear(struct buf *b)
{
	b->data = b->base;
	b->len = 0;
}

void buf_free(struct buf *b)
{
	free(b->base);
	*b = (struct buf){0};
}

void buf_wipe(struct buf *b)
{
	mem_wipe(b->base, b->room);
	buf_free(b);
}
