/*
 * mem: memory that is there or ends the program, and secrets that are wiped.
 *
 * Running out of memory is not an error that a caller could mend: the program
 * says so and leaves with exit code 70. The state file and the commit protocol
 * make that as safe as a power cut.
 */
#ifndef MAILHAUL_UTIL_MEM_H
#define MAILHAUL_UTIL_MEM_H

#include <stddef.h>

/* Zeroed memory for count things of size octets; never NULL. Free with free(). */
void *mem_new(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/* Like realloc() for count things of size octets; never NULL, growth is not zeroed. */
void *mem_resize(void *old, size_t count, size_t size) __attribute__((returns_nonnull));

/* A copy of a string (NULL gives NULL), or of its first len octets with a NUL behind. */
char *mem_copy(const char *string);
char *mem_copy_n(const char *bytes, size_t len) __attribute__((returns_nonnull));

/* A string made as printf() makes it. */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Overwrites len octets in a way the compiler keeps. */
void mem_wipe(void *secret, size_t len);

/* Wipes a string, frees it and clears the pointer. NULL and a pointer to NULL are allowed. */
void mem_free_secret(char **secret);

#endif
