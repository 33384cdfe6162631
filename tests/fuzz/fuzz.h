/*
 * fuzz: what the fuzz targets share. Each target is one file, fuzz_NAME.c, that defines the
 * function which libFuzzer calls; replay.c calls the same one for inputs that were kept.
 */
#ifndef MAILHAUL_FUZZ_H
#define MAILHAUL_FUZZ_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tries one input, returns 0. What must not be ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Says what must be and is not, and aborts, so that the fuzzer keeps the input. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_broken(__FILE__, __LINE__, #condition);                               \
	} while (0)

_Noreturn void fuzz_broken(const char *file, int line, const char *condition);

/* The sizes of the pieces in which an input comes, and which of them a number chooses. */
size_t fuzz_drip(unsigned choice);

/* A sum over octets that depends on their order, to compare two runs by; begin with 0. */
uint64_t fuzz_sum(uint64_t sum, const void *bytes, size_t len);

/* Are len octets found in the bytes? */
bool fuzz_holds(const void *bytes, size_t size, const char *text);

#endif
