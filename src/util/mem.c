/*
 * mem: memory that is there or ends the program, and secrets that are wiped.
 */
#include "util/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* EX_SOFTWARE of sysexits: what the interface calls an internal error. */
enum { EXIT_OUT_OF_MEMORY = 70 };

static void out_of_memory(void)
{
	static const char words[] = "mailhaul: out of memory\n";

	(void)!write(STDERR_FILENO, words, sizeof words - 1);
	_exit(EXIT_OUT_OF_MEMORY);
}

void *mem_new(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);

	if (!memory)
		out_of_memory();
	return memory;
}

void *mem_resize(void *old, size_t count, size_t size)
{
	void *memory;

	if (size && count > SIZE_MAX / size)
		out_of_memory();
	memory = realloc(old, count && size ? count * size : 1);
	if (!memory)
		out_of_memory();
	return memory;
}

char *mem_copy_n(const char *bytes, size_t len)
{
	char *copy = mem_new(len + 1, 1);

	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

char *mem_copy(const char *string)
{
	return string ? mem_copy_n(string, strlen(string)) : NULL;
}

char *mem_printf(const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		out_of_memory();
	return text;
}

void mem_wipe(void *secret, size_t len)
{
	if (len)
		explicit_bzero(secret, len);
}

void mem_free_secret(char **secret)
{
	if (!secret || !*secret)
		return;
	mem_wipe(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}
