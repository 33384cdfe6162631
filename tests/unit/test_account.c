/*
 * test_account: names of mailboxes become names of directories, which must not lead anywhere else.
 */
#include "daemon/account.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void path(const char *maildir, const char *mailbox, const char *expected)
{
	struct buf out = {0};

	account_mailbox_path(&out, maildir, mailbox);
	ck_assert_str_eq(buf_string(&out), expected);
	buf_free(&out);
}

START_TEST(the_placeholder_is_filled_in)
{
	path("/m", "INBOX", "/m");
	path("/m/%{mailbox}", "INBOX", "/m/INBOX");
	path("/m/%{mailbox}/x/%{mailbox}", "a", "/m/a/x/a");
	path("%{mailbox}", "a", "a");
	path("/m/.%{mailbox}", "Lists/noise", "/m/.Lists.noise");
	path("/m/%{mailbo}", "a", "/m/%{mailbo}");
	path("/m/%{mailbox", "a", "/m/%{mailbox");
	path("/m/%%{mailbox}", "a", "/m/%a");
}
END_TEST

START_TEST(it_is_added_to_what_stands_there)
{
	struct buf out = {0};

	buf_text(&out, "before ");
	account_mailbox_path(&out, "/m/%{mailbox}", "a");
	ck_assert_str_eq(buf_string(&out), "before /m/a");
	buf_free(&out);
}
END_TEST

START_TEST(names_that_climb_or_hide)
{
	path("/m/%{mailbox}", "..", "/m/%2E%2E");
	path("/m/%{mailbox}", ".", "/m/%2E");
	path("/m/%{mailbox}", "../../etc", "/m/%2E%2E.%2E%2E.etc");
	path("/m/%{mailbox}", "/etc/passwd", "/m/%2Fetc.passwd");
	path("/m/%{mailbox}", "a/", "/m/a%2F");
	path("/m/%{mailbox}", "/", "/m/%2F");
	path("/m/%{mailbox}", ".hidden", "/m/%2Ehidden");
	path("/m/%{mailbox}", "a.b", "/m/a%2Eb");
	path("/m/%{mailbox}", "a//b", "/m/a..b");
	path("/m/%{mailbox}", "a:2,S", "/m/a%3A2,S");
	path("/m/%{mailbox}", "~", "/m/%7E");
	path("/m/%{mailbox}", "a\nb\x1b\x7f", "/m/a%0Ab%1B%7F");
	path("/m/%{mailbox}", "\\\"'`$(x);|*?", "/m/%5C%22%27%60%24%28x%29%3B%7C%2A%3F");
}
END_TEST

START_TEST(names_are_not_filled_in_twice)
{
	path("/m/%{mailbox}", "%{mailbox}", "/m/%25%7Bmailbox%7D");
	path("/m/%{mailbox}", "%2F", "/m/%252F");
}
END_TEST

START_TEST(readable_names_stay)
{
	path("/m/%{mailbox}", "Gesendet & Entw\xc3\xbcrfe", "/m/Gesendet & Entw\xc3\xbcrfe");
	path("/m/%{mailbox}", "&AOQ-_+=,@ 9", "/m/&AOQ-_+=,@ 9");
}
END_TEST

static char *component(const char *mailbox)
{
	struct buf out = {0};
	char *copy;

	account_mailbox_path(&out, "%{mailbox}", mailbox);
	copy = strdup(buf_string(&out));
	buf_free(&out);
	return copy;
}

START_TEST(canonical_names)
{
	path("/m/%{mailbox}", "Lists/users", "/m/Lists.users");
	path("/m/%{mailbox}", "/user/bob", "/m/%2Fuser.bob");
	path("/m/%{mailbox}", "Entw\xc3\xbcrfe/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
	     "/m/Entw\xc3\xbcrfe.\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
	path("/m/%{mailbox}", "[Gmail]/All Mail", "/m/%5BGmail%5D.All Mail");
	path("/m/%{mailbox}", "", "/m/");
	path("/m/%{mailbox}", "a/../../b", "/m/a.%2E%2E.%2E%2E.b");
}
END_TEST

static bool named(const char *maildir, const char *directory, const char *expected)
{
	struct buf out = {0};
	bool found = account_mailbox_named(&out, maildir, directory);

	ck_assert_str_eq(buf_string(&out), found ? expected : "");
	buf_free(&out);
	return found;
}

START_TEST(the_way_back)
{
	ck_assert(named("/m/%{mailbox}", "INBOX", "INBOX"));
	ck_assert(named("/m/%{mailbox}", "Lists.a%2Eb.%C3%BC", "") == false);
	ck_assert(named("/m/%{mailbox}", "Lists.a%2Eb.\xc3\xbc", "Lists/a.b/\xc3\xbc"));
	ck_assert(named("%{mailbox}/x", "a..b", "a//b"));
	ck_assert(named("/m/.%{mailbox}-in/%{mailbox}", ".Lists.users-in", "Lists/users"));
	ck_assert(!named("/m/.%{mailbox}-in", "Lists-in", ""));
	ck_assert(!named("/m/.%{mailbox}-in", ".Lists", ""));
	ck_assert(!named("/m/.%{mailbox}-in", ".-in", ""));
	ck_assert(!named("/m", "INBOX", ""));
	for (const char *const *odd = (const char *const[]){"..", ".", "", ".a", "a.", "%2f", "a%",
							    "a%2", "%41", "%00", "a:b", NULL};
	     *odd; odd++)
		ck_assert_msg(!named("/m/%{mailbox}", *odd, ""), "%s", *odd);
}
END_TEST

/* A file system ends a name at 255 octets: names that are longer stay apart all the same. */
START_TEST(long_names)
{
	enum { LEN = 1000 };
	static const char *const letters[] = {"aa", "!!", "\xc3\xa4", NULL};
	char name[LEN + 2];

	for (size_t kind = 0; letters[kind]; kind++) {
		for (size_t len = 190; len <= LEN; len += len < 260 ? 1 : 247) {
			char *one;
			char *other;
			char *dressed;

			for (size_t i = 0; i < len; i++)
				name[i] = letters[kind][i % 2];
			name[len] = '\0';
			one = component(name);
			ck_assert_uint_le(strlen(one), 200);
			ck_assert_ptr_null(strchr(one, '/'));
			name[len - 1] = 'b';
			other = component(name);
			ck_assert_str_ne(one, other);
			/* What the short form looks like is a name that is written otherwise. */
			dressed = component(one);
			if (strchr(one, '%'))
				ck_assert_str_ne(dressed, one);
			free(one);
			free(other);
			free(dressed);
		}
	}
}
END_TEST

/* Whatever the name is: one component, none of "", ".", "..", and no two names give the same. */
START_TEST(noise_stays_in_one_component_and_apart)
{
	enum { NAMES = 2000 };
	static const char letters[] = "//..%%aA2EF{}\x01\xff ";
	static char names[NAMES][8];
	static char *paths[NAMES];

	srand(5);
	for (size_t i = 0; i < NAMES; i++) {
		size_t len = 1 + (size_t)rand() % 6;
		struct buf out = {0};

		for (size_t k = 0; k < len; k++)
			names[i][k] = letters[(size_t)rand() % (sizeof letters - 1)];
		account_mailbox_path(&out, "%{mailbox}", names[i]);
		paths[i] = strdup(buf_string(&out));
		buf_free(&out);
		ck_assert_ptr_null(strchr(paths[i], '/'));
		ck_assert(*paths[i] && *paths[i] != '.');
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(
			    strcmp(paths[i], paths[k]) != 0 || strcmp(names[i], names[k]) == 0,
			    "\"%s\" and \"%s\" are both %s", names[i], names[k], paths[i]);
	}
	for (size_t i = 0; i < NAMES; i++)
		free(paths[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("account");
	TCase *tests = tcase_create("account");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_placeholder_is_filled_in);
	tcase_add_test(tests, it_is_added_to_what_stands_there);
	tcase_add_test(tests, names_that_climb_or_hide);
	tcase_add_test(tests, names_are_not_filled_in_twice);
	tcase_add_test(tests, readable_names_stay);
	tcase_add_test(tests, canonical_names);
	tcase_add_test(tests, the_way_back);
	tcase_add_test(tests, long_names);
	tcase_add_test(tests, noise_stays_in_one_component_and_apart);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
