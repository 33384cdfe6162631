/*
 * test_err: the table of kinds against the interface, and words that are cut and made visible.
 */
#include "util/err.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char long_path[5000];

static void make_long(const char *unit)
{
	size_t len = strlen(unit);

	for (size_t i = 0; i + len < sizeof long_path; i += len)
		memcpy(long_path + i, unit, len + 1);
}

/* However long the path, the reason is what helps. */
START_TEST(words_may_be_made_of_the_old_ones)
{
	struct err err;

	err_sys(&err, ERR_MAIL, EIO, "old");
	err_server(&err, "BYE", 3);
	err_set(&err, ERR_TEMPORARY, "new, after %s (%s)", err.words, err.server);
	ck_assert_str_eq(err.words, "new, after old: Input/output error (BYE)");
	ck_assert_int_eq(err.kind, ERR_TEMPORARY);
	ck_assert_str_eq(err.server, "");
}
END_TEST

START_TEST(the_reason_is_never_cut)
{
	struct err err;

	static const char reason[] = ": No space left on device";

	for (size_t shift = 0; shift < 4; shift++) {
		make_long("\xe2\x82\xac");
		err_sys(&err, ERR_MAIL, ENOSPC, "%.*s%s", (int)shift, "abc", long_path);
		ck_assert_uint_lt(strlen(err.words), sizeof err.words);
		ck_assert_uint_gt(strlen(err.words), sizeof err.words - 16);
		ck_assert_str_eq(err.words + strlen(err.words) - strlen(reason), reason);
		/* No character is halved: making it visible again changes nothing. */
		err_wrap(&err, "x");
		ck_assert_ptr_null(strstr(err.words + 700, "\\x"));
	}
}
END_TEST

START_TEST(exit_codes_are_those_of_the_interface)
{
	static const int codes[ERR_KINDS] = {
	    [ERR_USAGE] = 64,	    [ERR_CONFIG] = 78,	  [ERR_INTERNAL] = 70,
	    [ERR_MAIL] = 73,	    [ERR_STATE] = 74,	  [ERR_AUTH] = 77,
	    [ERR_TLS] = 76,	    [ERR_PROTOCOL] = 76,  [ERR_QUARANTINE] = 65,
	    [ERR_UNREACHABLE] = 69, [ERR_TEMPORARY] = 75, [ERR_MESSAGE] = 75,
	};

	for (unsigned kind = 0; kind < ERR_KINDS; kind++) {
		ck_assert_int_eq(err_exit_code((enum err_kind)kind), codes[kind]);
		ck_assert_uint_gt(strlen(err_kind_name((enum err_kind)kind)), 0);
		/* struct state_visit keeps the name in 16 octets. */
		ck_assert_uint_lt(strlen(err_kind_name((enum err_kind)kind)), 16);
		for (unsigned other = 0; other < kind; other++)
			ck_assert_str_ne(err_kind_name((enum err_kind)kind),
					 err_kind_name((enum err_kind)other));
	}
}
END_TEST

/* 78 70 73 74 77 76 65 69 75 */
START_TEST(the_gravest_counts)
{
	static const enum err_kind falling[] = {
	    ERR_CONFIG, ERR_INTERNAL,	ERR_MAIL,	 ERR_STATE,	ERR_AUTH,
	    ERR_TLS,	ERR_QUARANTINE, ERR_UNREACHABLE, ERR_TEMPORARY, ERR_NONE};
	size_t count = sizeof falling / sizeof *falling;

	for (size_t i = 0; i < count; i++)
		for (size_t j = i; j < count; j++) {
			ck_assert_int_eq(err_graver(falling[i], falling[j]), falling[i]);
			ck_assert_int_eq(err_graver(falling[j], falling[i]), falling[i]);
		}
	ck_assert_int_eq(err_graver(ERR_NONE, ERR_MESSAGE), ERR_MESSAGE);
	ck_assert_int_eq(err_graver(ERR_MESSAGE, ERR_TEMPORARY), ERR_TEMPORARY);
	ck_assert_int_eq(err_exit_code(err_graver(ERR_TLS, ERR_PROTOCOL)), 76);
}
END_TEST

START_TEST(sets_wraps_and_clears)
{
	struct err err;

	memset(&err, 0x55, sizeof err);
	ck_assert(!err_set(&err, ERR_TLS, "no %s", "cipher"));
	ck_assert_int_eq(err.kind, ERR_TLS);
	ck_assert_int_eq(err.sys, 0);
	ck_assert_str_eq(err.words, "no cipher");
	ck_assert_str_eq(err.server, "");
	ck_assert(!err_wrap(&err, "account %s", "work"));
	ck_assert_str_eq(err.words, "account work: no cipher");
	ck_assert_int_eq(err.kind, ERR_TLS);
	ck_assert(!err_sys(&err, ERR_MAIL, ENOSPC, "cannot write %s", "x"));
	ck_assert_str_eq(err.words, "cannot write x: No space left on device");
	ck_assert_int_eq(err.sys, ENOSPC);
	err_clear(&err);
	ck_assert_int_eq(err.kind, ERR_NONE);
	ck_assert_str_eq(err.words, "");
}
END_TEST

START_TEST(nobody_has_to_want_an_error)
{
	ck_assert(!err_set(NULL, ERR_TLS, "x"));
	ck_assert(!err_sys(NULL, ERR_TLS, EIO, "x"));
	ck_assert(!err_wrap(NULL, "x"));
	err_server(NULL, "x", 1);
	err_clear(NULL);
}
END_TEST

START_TEST(words_are_one_line_and_fit)
{
	struct err err;
	char long_text[4000];

	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	err_set(&err, ERR_CONFIG, "a\nb\x1b[2J%s", "\r");
	ck_assert_str_eq(err.words, "a\\x0Ab\\x1B[2J\\x0D");
	err_wrap(&err, "c\n%s", "d");
	ck_assert_str_eq(err.words, "c\\x0Ad: a\\x0Ab\\x1B[2J\\x0D");
	err_set(&err, ERR_CONFIG, "%s", long_text);
	ck_assert_uint_lt(strlen(err.words), sizeof err.words);
	err_sys(&err, ERR_CONFIG, EIO, "%s", long_text);
	ck_assert_uint_lt(strlen(err.words), sizeof err.words);
	err_set(&err, ERR_CONFIG, "inner");
	err_wrap(&err, "%s", long_text);
	ck_assert_uint_lt(strlen(err.words), sizeof err.words);
	for (int i = 0; i < 1000; i++)
		err_wrap(&err, "again");
	ck_assert_uint_lt(strlen(err.words), sizeof err.words);
	ck_assert_int_eq(strncmp(err.words, "again: again: ", 14), 0);
}
END_TEST

START_TEST(the_server_is_quoted_visibly)
{
	struct err err;
	char noise[1000];

	err_set(&err, ERR_AUTH, "refused");
	err_server(&err, "NO \0bad\x1b", 8);
	ck_assert_str_eq(err.server, "NO \\x00bad\\x1B");
	ck_assert_str_eq(err.words, "refused");
	err_wrap(&err, "account");
	ck_assert_str_eq(err.server, "NO \\x00bad\\x1B");
	memset(noise, 1, sizeof noise);
	err_server(&err, noise, sizeof noise);
	ck_assert_uint_lt(strlen(err.server), sizeof err.server);
	ck_assert_str_eq(err.server + strlen(err.server) - 3, "...");
	err_server(&err, NULL, 0);
	ck_assert_str_eq(err.server, "");
}
END_TEST

START_TEST(want_of_descriptors_is_temporary)
{
	struct err err;

	err_sys(&err, ERR_CONFIG, EMFILE, "ca_file");
	ck_assert_int_eq(err.kind, ERR_TEMPORARY);
	err_sys(&err, ERR_STATE, ENFILE, "a lock");
	ck_assert_int_eq(err.kind, ERR_TEMPORARY);
	err_sys(&err, ERR_STATE, EACCES, "a lock");
	ck_assert_int_eq(err.kind, ERR_STATE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("err");
	TCase *tests = tcase_create("err");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, exit_codes_are_those_of_the_interface);
	tcase_add_test(tests, the_reason_is_never_cut);
	tcase_add_test(tests, words_may_be_made_of_the_old_ones);
	tcase_add_test(tests, the_gravest_counts);
	tcase_add_test(tests, sets_wraps_and_clears);
	tcase_add_test(tests, nobody_has_to_want_an_error);
	tcase_add_test(tests, words_are_one_line_and_fit);
	tcase_add_test(tests, the_server_is_quoted_visibly);
	tcase_add_test(tests, want_of_descriptors_is_temporary);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
