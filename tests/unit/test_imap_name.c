/*
 * test_imap_name: names of mailboxes from the wire and to it, and what must not become one.
 */
#include "proto/imap_name.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct imap_space slash = {.delimiter = '/'};
static struct imap_space dots = {.delimiter = '.', .prefix = "INBOX."};
static struct imap_space flat = {.delimiter = '\0'};
static struct imap_space utf8 = {.delimiter = '/', .utf8 = true};

/* The name on the wire means this one, and the other way about. */
static void both(const struct imap_space *space, const char *wire, const char *name)
{
	struct buf got = {0};
	struct buf served = {0};
	const char *why = imap_name_read(space, wire, strlen(wire), &got, &served);

	ck_assert_msg(!why, "%s: %s", wire, why);
	ck_assert_str_eq(buf_string(&got), name);
	buf_clear(&got);
	ck_assert(imap_name_write(space, name, &got));
	ck_assert_str_eq(buf_string(&got), wire);
	buf_free(&got);
	buf_free(&served);
}

static void refused(const struct imap_space *space, const char *wire, size_t len, const char *words)
{
	struct buf got = {0};
	struct buf served = {0};
	const char *why = imap_name_read(space, wire, len, &got, &served);

	ck_assert_msg(why && strstr(why, words), "%s: %s", wire, why ? why : "taken");
	buf_free(&got);
	buf_free(&served);
}

static void impossible(const struct imap_space *space, const char *name)
{
	struct buf got = {0};

	ck_assert_msg(!imap_name_write(space, name, &got), "%s", name);
	ck_assert_uint_eq(got.len, 0);
	buf_free(&got);
}

START_TEST(examples_of_the_standard)
{
	/* RFC 3501 section 5.1.3, RFC 2152. */
	both(&slash, "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
	     "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
	both(&slash, "Entw&APw-rfe", "Entw\xc3\xbcrfe");
	both(&slash, "Hi Mom -&Jjo--!", "Hi Mom -\xe2\x98\xba-!");
	both(&slash, "R&-D &- &-&-", "R&D & &&");
	both(&slash, "&2D3eAA-", "\xf0\x9f\x98\x80");
	both(&slash, "&AOQA9gD8AN8-", "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f");
	both(&slash, "[Gmail]/All Mail", "[Gmail]/All Mail");
	both(&slash, "a.b\\\"%*", "a.b\\\"%*");
	both(&utf8, "Entw\xc3\xbcrfe & x", "Entw\xc3\xbcrfe & x");
}
END_TEST

START_TEST(levels_and_prefix)
{
	both(&dots, "INBOX", "INBOX");
	both(&dots, "INBOX.Lists.users", "Lists/users");
	both(&dots, "INBOX.INBOX.x", "INBOX/x");
	both(&dots, "user.bob", "/user/bob");
	both(&dots, "INBOXES", "/INBOXES");
	refused(&dots, "INBOX..x", 8, "form that RFC 3501"); /* would be taken for "x" */
	both(&dots, "x.", "/x/");
	both(&dots, ".x", "//x");
	both(&flat, "a/b.c", "a/b.c");
	both(&slash, "/abs", "/abs");
	both(&slash, "a//b", "a//b");
}
END_TEST

START_TEST(inbox_in_any_case)
{
	struct buf got = {0};
	struct buf served = {0};

	ck_assert_ptr_null(imap_name_read(&dots, "inBox", 5, &got, &served));
	ck_assert_str_eq(buf_string(&got), "INBOX");
	buf_clear(&got);
	ck_assert(imap_name_write(&dots, "inbox", &got));
	ck_assert_str_eq(buf_string(&got), "INBOX");
	buf_clear(&got);
	ck_assert_ptr_null(imap_name_read(&dots, "Inbox.a", 7, &got, &served));
	ck_assert_str_eq(buf_string(&got), "a");
	buf_free(&got);
	buf_free(&served);
}
END_TEST

START_TEST(as_the_server_has_it)
{
	struct buf got = {0};
	struct buf served = {0};

	ck_assert_ptr_null(imap_name_read(&dots, "INBOX.Entw&APw-rfe.x", 20, &got, &served));
	ck_assert_str_eq(buf_string(&got), "Entw\xc3\xbcrfe/x");
	ck_assert_str_eq(buf_string(&served), "INBOX.Entw\xc3\xbcrfe.x");
	buf_free(&got);
	buf_free(&served);
}
END_TEST

START_TEST(names_that_are_none)
{
	char longest[9000];

	refused(&slash, "", 0, "empty");
	refused(&slash, "a\0b", 3, "NUL");
	refused(&slash, "a\x1b[1m", 5, "UTF-7");
	refused(&slash, "a\r\nb", 4, "UTF-7");
	refused(&slash, "\xc3\xa4", 2, "UTF-7");
	refused(&slash, "&", 1, "UTF-7");
	refused(&slash, "&AOQ", 4, "UTF-7");
	refused(&slash, "&A-", 3, "UTF-7");
	refused(&slash, "&A O-", 5, "UTF-7");
	refused(&slash, "&AOQ/-", 6, "UTF-7");
	refused(&slash, "&AOR-", 5, "UTF-7");		   /* bits left over */
	refused(&slash, "&2AA-", 5, "UTF-7");		   /* half of a pair */
	refused(&slash, "&3AA-", 5, "UTF-7");		   /* the other half */
	refused(&slash, "&AAA-", 5, "control");		   /* NUL */
	refused(&slash, "&ABs-", 5, "control");		   /* ESC */
	refused(&slash, "&AJs-", 5, "control");		   /* CSI */
	refused(&slash, "&AGE-", 5, "form that RFC 3501"); /* "a" needs no shift */
	refused(&slash, "&AC8-", 5, "form that RFC 3501"); /* "/" in disguise */
	refused(&slash, "&AOQ-&APY-", 10, "form that RFC 3501");
	refused(&utf8, "\xff", 1, "not UTF-8");
	refused(&utf8, "\xed\xa0\x80", 3, "not UTF-8");
	refused(&utf8, "\xc0\xaf", 2, "not UTF-8");
	refused(&utf8, "a\x7f", 2, "control");
	refused(&dots, "INBOX.a/b", 9, "within one of its levels");
	refused(&dots, "INBOX.inbox", 11, "INBOX");
	memset(longest, 'a', sizeof longest);
	refused(&slash, longest, sizeof longest, "too long");
	refused(&slash, longest, IMAP_NAME_MAX + 1, "too long");
	impossible(&dots, "a.b");
	impossible(&dots, "/");
	impossible(&dots, "/inbox"); /* would be the INBOX */
	impossible(&(struct imap_space){.prefix = "I"}, "NBOX");
	impossible(&dots, "/INBOX/x"); /* would be "x" */
	impossible(&slash, "");
	impossible(&slash, "\xff");
}
END_TEST

/* Whatever comes: what is taken comes out again as it went in, and no two give the same name. */
START_TEST(noise)
{
	enum { NAMES = 3000 };
	static const char letters[] = "&&--AOQ,a./I\x01\xc3\xa4 ";
	static char wires[NAMES][10];
	static char *names[NAMES];
	const struct imap_space *const spaces[] = {&slash, &dots, &flat, &utf8, NULL};

	srand(7);
	for (size_t s = 0; spaces[s]; s++) {
		for (size_t i = 0; i < NAMES; i++) {
			struct buf name = {0};
			struct buf served = {0};
			struct buf again = {0};
			size_t len = 1 + (size_t)rand() % (sizeof wires[i] - 2);
			const char *why;

			memset(wires[i], 0, sizeof wires[i]);
			for (size_t k = 0; k < len; k++)
				wires[i][k] = letters[(size_t)rand() % (sizeof letters - 1)];
			why = imap_name_read(spaces[s], wires[i], len, &name, &served);
			names[i] = why ? NULL : strdup(buf_string(&name));
			if (!why) {
				ck_assert(imap_name_write(spaces[s], names[i], &again));
				ck_assert_str_eq(buf_string(&again), wires[i]);
			}
			for (size_t k = 0; names[i] && k < i; k++)
				ck_assert(!names[k] || strcmp(names[i], names[k]) != 0 ||
					  !strcmp(wires[i], wires[k]));
			buf_free(&name);
			buf_free(&served);
			buf_free(&again);
		}
		for (size_t i = 0; i < NAMES; i++)
			free(names[i]);
	}
}
END_TEST

static void pattern(const char *item, const char *expected)
{
	struct buf got = {0};

	imap_name_pattern(item, &got);
	ck_assert_str_eq(buf_string(&got), expected);
	buf_free(&got);
}

START_TEST(patterns_for_any_server)
{
	pattern("INBOX", "INBOX");
	pattern("*", "*");
	pattern("%", "*");
	pattern("Lists/users", "*Lists*users");
	pattern("Lists/%", "*Lists*");
	pattern("/user/*/x", "*user*x");
	pattern("Entw\xc3\xbcrfe", "*Entw*rfe");
	pattern("R&D", "*R*D");
	pattern("INBOX.Lists.users", "*INBOX.Lists.users");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("imap_name");
	TCase *tests = tcase_create("imap_name");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, examples_of_the_standard);
	tcase_add_test(tests, levels_and_prefix);
	tcase_add_test(tests, inbox_in_any_case);
	tcase_add_test(tests, as_the_server_has_it);
	tcase_add_test(tests, names_that_are_none);
	tcase_add_test(tests, noise);
	tcase_add_test(tests, patterns_for_any_server);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
