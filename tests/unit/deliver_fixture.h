/*
 * deliver_fixture: a directory of its own for every test of the deliveries, and files in it.
 */
#ifndef MAILHAUL_TESTS_DELIVER_FIXTURE_H
#define MAILHAUL_TESTS_DELIVER_FIXTURE_H

#include "util/err.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/mailhaul-unit-XXXXXX";
static struct err err;

/* A path below the directory of the test; one of eight that are in use at once. */
__attribute__((format(printf, 1, 2), unused)) static const char *at(const char *format, ...)
{
	static char paths[8][512];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	va_list args;
	int len = snprintf(path, sizeof paths[0], "%s/", root);

	va_start(args, format);
	vsnprintf(path + len, sizeof paths[0] - (size_t)len, format, args);
	va_end(args);
	return path;
}

__attribute__((unused)) static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_msg(fd >= 0, "%s", path);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(close(fd), 0);
}

/* What stands in a file, up to 8 KB; NULL if there is none. */
__attribute__((unused)) static const char *contents(const char *path)
{
	static char text[8192];
	int fd = open(path, O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return NULL;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	ck_assert_int_ge(got, 0);
	text[got] = '\0';
	return text;
}

__attribute__((unused)) static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

__attribute__((unused)) static void make(const char *path)
{
	ck_assert_msg(mkdir(path, 0700) == 0, "%s", path);
}

#define ck_good(call) ck_assert_msg((call), "%s", err.words)
#define ck_fails(call, error_kind, words_in)                                                       \
	do {                                                                                       \
		err_clear(&err);                                                                   \
		ck_assert(!(call));                                                                \
		ck_assert_int_eq(err.kind, (error_kind));                                          \
		ck_assert_msg(strstr(err.words, (words_in)), "%s", err.words);                     \
	} while (0)

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static int remove_tree(const char *path)
{
	return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void root_make(void)
{
	ck_assert_ptr_nonnull(mkdtemp(root));
	err_clear(&err);
}

static void root_remove(void)
{
	remove_tree(root);
}

#endif
