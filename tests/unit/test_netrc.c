/*
 * test_netrc: whose password is found, in files as people write them, and in files that are none.
 */
#include "auth/netrc.h"

#include "util/mem.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct err err;

/* lee's password at mail.test; "" if there is none, "!" if the file is none. */
static const char *found_in(const void *bytes, size_t len)
{
	static char password[64];
	char *found = NULL;

	err_clear(&err);
	if (!netrc_find(bytes, len, "mail.test", "lee", &found, &err)) {
		ck_assert_ptr_null(found);
		return err.kind == ERR_CONFIG ? "!" : "";
	}
	ck_assert_uint_lt(strlen(found), sizeof password);
	strcpy(password, found);
	mem_free_secret(&found);
	return password;
}

static const char *found(const char *text)
{
	return found_in(text, strlen(text));
}

START_TEST(whose_password)
{
	static const struct {
		const char *text, *password;
	} files[] = {
	    {"machine mail.test login lee password one", "one"},
	    {"machine mail.test\n\tlogin lee\r\n\tpassword one\n", "one"},
	    {"machine MAIL.Test password one login lee", "one"},
	    {"machine mail.test login Lee password one", ""},
	    {"machine mail.test.org login lee password one", ""},
	    {"machine mail.tes login lee password one", ""},
	    {"machine a login lee password x machine mail.test login lee password one", "one"},
	    {"machine mail.test login kim password x machine mail.test login lee password one",
	     "one"},
	    {"machine mail.test login lee password one machine mail.test login lee password two",
	     "one"},
	    {"machine mail.test login lee account a machine mail.test login lee password two",
	     "two"},
	    {"machine mail.test password one", "one"},
	    {"default login lee password one", "one"},
	    {"default password one machine mail.test login lee password two", "one"},
	    {"machine mail.test login lee password two default password one", "two"},
	    {"default login kim password one", ""},
	    {"machine mail.test login lee", ""},
	    {"", ""},
	    {" \n\t", ""},
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		ck_assert_msg(!strcmp(found(files[i].text), files[i].password), "%s: \"%s\"",
			      files[i].text, found(files[i].text));
}
END_TEST

START_TEST(how_words_are_written)
{
	static const struct {
		const char *text, *password;
	} files[] = {
	    {"machine mail.test login lee password \"a b\"", "a b"},
	    {"machine mail.test login lee password \"a\\\"\\\\b\\n\\t\\r\\x\"", "a\"\\b\n\t\rx"},
	    {"machine mail.test login lee password a\"b", "a\"b"},
	    {"machine mail.test login lee password a\\\\b", "a\\b"},
	    {"machine mail.test login lee password #one", "#one"},
	    {"machine mail.test login lee password machine", "machine"},
	    {"# machine mail.test login lee password x\nmachine mail.test # here\nlogin lee "
	     "password one",
	     "one"},
	    {"machine \"mail.test\" login \"lee\" \"password\" one", "one"},
	    {"machine mail.test login lee password \"\"", ""},
	    {"machine mail.test login lee password a\\", "a\\"},
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		ck_assert_msg(!strcmp(found(files[i].text), files[i].password), "%s: \"%s\"",
			      files[i].text, found(files[i].text));
}
END_TEST

START_TEST(macros_are_skipped)
{
	ck_assert_str_eq(found("machine a login b macdef init\nmachine mail.test login lee "
			       "password x\n\nmachine mail.test login lee password one"),
			 "one");
	ck_assert_str_eq(found("macdef init\r\ncd /\r\n\r\nmachine mail.test password one"), "one");
	ck_assert_str_eq(found("macdef init\nmachine mail.test login lee password x\n"), "");
	ck_assert_str_eq(found("macdef init"), "");
}
END_TEST

START_TEST(what_is_no_netrc)
{
	static const char *const bad[] = {
	    "machine",
	    "machine mail.test login",
	    "machine mail.test password",
	    "machine mail.test login lee password \"one",
	    "machine mail.test login lee passwort one",
	    "mail.test:lee:one",
	    "macdef",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_str_eq(found(bad[i]), "!");
	ck_assert_str_eq(found("\n\nmachine mail.test\nlogin lee s3cret one"), "!");
	ck_assert_ptr_nonnull(strstr(err.words, "line 4"));
	ck_assert_ptr_null(strstr(err.words, "s3cret"));
}
END_TEST

START_TEST(octets_of_every_kind)
{
	static const char nul[] = "machine mail.test login lee password a\0b";
	static char large[NETRC_MAX + 1];
	unsigned char noise[64];

	ck_assert_str_eq(found_in(nul, sizeof nul - 1), "");
	memset(large, ' ', sizeof large);
	ck_assert_str_eq(found_in(large, sizeof large), "!");
	ck_assert_str_eq(found_in(large, sizeof large - 1), "");
	srand(7);
	for (int i = 0; i < 20000; i++) {
		static const char *const words[] = {"machine", "mail.test", "login",  "lee",
						    "default", "password",  "macdef", "\"",
						    "\\",      "#",	    "\n",     "\n\n"};
		size_t len = 0;

		while (len < 50) {
			const char *word = words[(size_t)rand() % 12];

			memcpy(noise + len, word, strlen(word));
			len += strlen(word);
			noise[len++] = rand() % 4 ? ' ' : (unsigned char)rand();
		}
		(void)found_in(noise, len);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("netrc");
	TCase *tests = tcase_create("netrc");
	SRunner *runner;
	int failures;

	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, whose_password);
	tcase_add_test(tests, how_words_are_written);
	tcase_add_test(tests, macros_are_skipped);
	tcase_add_test(tests, what_is_no_netrc);
	tcase_add_test(tests, octets_of_every_kind);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
