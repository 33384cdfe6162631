/*
 * fuzz: what the fuzz targets share.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fuzz_broken(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: it must be that %s\n", file, line, condition);
	abort();
}

size_t fuzz_drip(unsigned choice)
{
	static const size_t drips[] = {1, 2, 3, 7, 16, 64, 1000, SIZE_MAX};

	return drips[choice % (sizeof drips / sizeof *drips)];
}

/* FNV-1a */
uint64_t fuzz_sum(uint64_t sum, const void *bytes, size_t len)
{
	const unsigned char *octets = bytes;

	if (!sum)
		sum = 0xcbf29ce484222325U;
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ octets[i]) * 0x100000001b3U;
	return sum;
}

bool fuzz_holds(const void *bytes, size_t size, const char *text)
{
	return size && memmem(bytes, size, text, strlen(text)) != NULL;
}
