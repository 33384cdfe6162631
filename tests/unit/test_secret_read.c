/*
 * test_secret_read: secrets that stand in files, and files that are not trusted.
 */
#include "session/secret_read.h"

#include "util/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char path[128];
static struct err err;

static void setup(void)
{
	snprintf(directory, sizeof directory, "/tmp/mailhaul-test-secret-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/file", directory);
}

static void teardown(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void put(const void *bytes, size_t len, mode_t mode)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

/* The secret, or "" and err. */
static const char *read_secret(enum secret_kind kind, const char *value)
{
	static char secret[64];
	struct secret where = {.kind = kind, .value = mem_copy(value)};
	char *found;

	err_clear(&err);
	if (!secret_read(&where, "mail.test", "lee", &found, &err)) {
		ck_assert_ptr_null(found);
		ck_assert_int_ne(err.kind, ERR_NONE);
		found = mem_copy("");
	}
	snprintf(secret, sizeof secret, "%s", found);
	mem_free_secret(&found);
	secret_free(&where);
	return secret;
}

static const char *given_by(const char *bytes, size_t len, mode_t mode)
{
	put(bytes, len, mode);
	return read_secret(SECRET_FILE, path);
}

START_TEST(a_secret_is_one_line)
{
	ck_assert_str_eq(given_by("word", 4, 0600), "word");
	ck_assert_str_eq(given_by("a word \r\nchatter\n", 17, 0600), "a word ");
	ck_assert_str_eq(given_by("", 0, 0600), "");
	ck_assert_int_eq(err.kind, ERR_AUTH);
	ck_assert_str_eq(given_by("\nword\n", 6, 0600), "");
	ck_assert_str_eq(given_by("wo\0rd\n", 6, 0600), "");
	ck_assert_ptr_null(strstr(err.words, "wo\\"));
}
END_TEST

START_TEST(files_that_are_not_trusted)
{
	ck_assert_str_eq(given_by("word", 4, 0640), "");
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(err.words, "chmod 600"));
	ck_assert_str_eq(read_secret(SECRET_FILE, directory), "");
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_str_eq(read_secret(SECRET_FILE, "/nonexistent"), "");
	ck_assert_int_eq(err.kind, ERR_AUTH);
	ck_assert_str_eq(read_secret(SECRET_NONE, NULL), "");
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	/* One that would make who opens it wait. */
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_str_eq(read_secret(SECRET_FILE, path), "");
	ck_assert_int_eq(err.kind, ERR_CONFIG);
}
END_TEST

START_TEST(a_credential_of_systemd)
{
	ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	put("word\n", 5, 0440);
	ck_assert_str_eq(read_secret(SECRET_CREDENTIAL, "file"), "");
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(err.words, "CREDENTIALS_DIRECTORY is not set"));
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", directory, 1), 0);
	ck_assert_str_eq(read_secret(SECRET_CREDENTIAL, "file"), "word");
	ck_assert_str_eq(read_secret(SECRET_CREDENTIAL, "other"), "");
	ck_assert_int_eq(err.kind, ERR_AUTH);
}
END_TEST

START_TEST(the_netrc)
{
	static const char text[] = "machine mail.test login lee password word\n";

	put(text, sizeof text - 1, 0600);
	ck_assert_int_eq(setenv("NETRC", path, 1), 0);
	ck_assert_str_eq(read_secret(SECRET_NETRC, NULL), "word");
	put(text, sizeof text - 1, 0604);
	ck_assert_str_eq(read_secret(SECRET_NETRC, NULL), "");
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(err.words, "chmod 600"));
	ck_assert_ptr_nonnull(strstr(err.words, path));
	put("machine", 7, 0600);
	ck_assert_str_eq(read_secret(SECRET_NETRC, NULL), "");
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(err.words, path));
	ck_assert_int_eq(setenv("NETRC", "/nonexistent/netrc", 1), 0);
	ck_assert_str_eq(read_secret(SECRET_NETRC, NULL), "");
	ck_assert_int_eq(err.kind, ERR_AUTH);
	/* Without the variable it stands in the home. */
	unlink(path);
	snprintf(path, sizeof path, "%s/.netrc", directory);
	put(text, sizeof text - 1, 0600);
	ck_assert_int_eq(unsetenv("NETRC"), 0);
	ck_assert_int_eq(setenv("HOME", directory, 1), 0);
	ck_assert_str_eq(read_secret(SECRET_NETRC, NULL), "word");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("secret_read");
	TCase *tests = tcase_create("secret_read");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_secret_is_one_line);
	tcase_add_test(tests, files_that_are_not_trusted);
	tcase_add_test(tests, a_credential_of_systemd);
	tcase_add_test(tests, the_netrc);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
