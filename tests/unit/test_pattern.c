/*
 * test_pattern: which mailboxes a list of items means.
 */
#include "session/pattern.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool hits[16];

static int choose_at(const char *const *items, struct pattern_mailbox mailbox, bool virtual_too)
{
	size_t count = 0;

	while (items[count])
		count++;
	memset(hits, 0, sizeof hits);
	return pattern_choose(items, count, &mailbox, virtual_too, hits);
}

static int choose(const char *const *items, const char *name)
{
	return choose_at(
	    items,
	    (struct pattern_mailbox){
		.name = name, .served = name, .wire = name, .attributes = "", .delimiter = '/'},
	    true);
}

#define ITEMS(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(wildcards)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} all[] = {
	    {"*", "", true},
	    {"*", "a/b", true},
	    {"%", "a", true},
	    {"%", "a/b", false},
	    {"a/%", "a/b", true},
	    {"a/%", "a/", true},
	    {"a/%", "a", false},
	    {"a/%", "a/b/c", false},
	    {"a/%/c", "a/b/c", true},
	    {"a*", "a", true},
	    {"a*", "ba", false},
	    {"*a", "ba", true},
	    {"%a", "b/a", false},
	    {"*%a", "b/a", true},
	    {"%*a", "b/a", true},
	    {"a%b*c", "axbyc", true},
	    {"a%b*c", "ax/byc", false},
	    {"a%b*c", "axbxbyc", true},
	    {"a", "A", false},
	    {"", "", true},
	    {"", "a", false},
	};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		ck_assert_msg(pattern_match(all[i].pattern, all[i].name, '/') == all[i].matches,
			      "%s and %s", all[i].pattern, all[i].name);
	ck_assert(pattern_match("%", "a/b", '.'));
	ck_assert(!pattern_match("%", "a.b", '.'));
	ck_assert(pattern_match("%", "a.b", '\0'));
}
END_TEST

/* A pattern and a name that take others years. */
START_TEST(time_is_bounded)
{
	char pattern[1001];
	char name[1001];
	clock_t began = clock();

	for (size_t i = 0; i < 1000; i++) {
		pattern[i] = i % 2 ? 'a' : '*';
		name[i] = 'a';
	}
	pattern[999] = 'b';
	pattern[1000] = name[1000] = '\0';
	for (int i = 0; i < 20; i++)
		ck_assert(!pattern_match(pattern, name, '/'));
	ck_assert_int_lt((clock() - began) / CLOCKS_PER_SEC, 5);
}
END_TEST

START_TEST(the_last_match_decides)
{
	const char *const *items =
	    ITEMS("INBOX", "Lists/*", "!Lists/noise", "!Lists/old/*", "Lists/old/good");

	ck_assert_int_eq(choose(items, "INBOX"), 0);
	ck_assert_int_eq(choose(items, "Lists/users"), 1);
	ck_assert_int_eq(choose(items, "Lists/noise"), PATTERN_NONE);
	ck_assert(hits[1] && hits[2] && !hits[0] && !hits[3]);
	ck_assert_int_eq(choose(items, "Lists/old/bad"), PATTERN_NONE);
	ck_assert_int_eq(choose(items, "Lists/old/good"), 1);
	ck_assert_int_eq(choose(items, "Lists"), PATTERN_NONE);
	ck_assert_int_eq(choose(items, "Other"), PATTERN_NONE);
	ck_assert_int_eq(choose(ITEMS("b", "a*"), "ab"), 1);
	ck_assert_int_eq(choose(ITEMS("a*", "!*", "ab"), "ab"), 0);
}
END_TEST

START_TEST(names_as_the_server_has_them)
{
	struct pattern_mailbox box = {.name = "Entw\xc3\xbcrfe/x",
				      .served = "INBOX.Entw\xc3\xbcrfe.x",
				      .wire = "INBOX.Entw&APw-rfe.x",
				      .attributes = "",
				      .delimiter = '.'};

	ck_assert_int_eq(choose_at(ITEMS("Entw\xc3\xbcrfe/x"), box, true), 0);
	ck_assert_int_eq(choose_at(ITEMS("INBOX.Entw\xc3\xbcrfe.x"), box, true), 0);
	ck_assert_int_eq(choose_at(ITEMS("INBOX.Entw&APw-rfe.x"), box, true), 0);
	ck_assert_int_eq(choose_at(ITEMS("INBOX.*.%"), box, true), 0);
	ck_assert_int_eq(choose_at(ITEMS("INBOX.%"), box, true), PATTERN_NONE);
	ck_assert_int_eq(choose_at(ITEMS("Entw%/%"), box, true), 0);
	ck_assert_int_eq(choose_at(ITEMS("%"), box, true), PATTERN_NONE);
	ck_assert_int_eq(choose_at(ITEMS("Entw&APw-rfe/x"), box, true), PATTERN_NONE);
	ck_assert_int_eq(choose_at(ITEMS("*", "!INBOX.Entw\xc3\xbcrfe.x"), box, true),
			 PATTERN_NONE);
}
END_TEST

START_TEST(special_uses)
{
	struct pattern_mailbox all = {.name = "[Gmail]/Alle",
				      .served = "[Gmail]/Alle",
				      .wire = "[Gmail]/Alle",
				      .attributes = "\\HasNoChildren \\All",
				      .delimiter = '/'};
	struct pattern_mailbox spam = all;

	spam.name = spam.served = spam.wire = "[Gmail]/Spam";
	spam.attributes = "\\Spam";
	ck_assert_int_eq(choose_at(ITEMS("x", "\\All"), all, false), 1);
	ck_assert_int_eq(choose_at(ITEMS("\\Al"), all, false), PATTERN_NONE);
	ck_assert_int_eq(choose_at(ITEMS("\\Archive"), all, false), PATTERN_NONE);
	ck_assert_int_eq(choose_at(ITEMS("*", "!\\All"), all, true), PATTERN_NONE);
	ck_assert_int_eq(choose_at(ITEMS("\\Junk"), spam, true), 0);
	ck_assert_int_eq(choose_at(ITEMS("*", "!\\Junk"), spam, true), PATTERN_NONE);
	/* At Gmail. */
	ck_assert_int_eq(choose_at(ITEMS("*"), all, true), 0);
	ck_assert_int_eq(choose_at(ITEMS("*"), all, false), PATTERN_NONE);
	ck_assert_int_eq(choose_at(ITEMS("[Gmail]/%"), all, false), PATTERN_NONE);
	ck_assert_int_eq(choose_at(ITEMS("[Gmail]/Alle"), all, false), 0);
	all.attributes = "\\Important";
	ck_assert_int_eq(choose_at(ITEMS("*"), all, false), PATTERN_NONE);
	all.attributes = "\\Flagged";
	ck_assert_int_eq(choose_at(ITEMS("*"), all, false), PATTERN_NONE);
	all.attributes = "\\Sent";
	ck_assert_int_eq(choose_at(ITEMS("*"), all, false), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pattern");
	TCase *tests = tcase_create("pattern");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, wildcards);
	tcase_add_test(tests, time_is_bounded);
	tcase_add_test(tests, the_last_match_decides);
	tcase_add_test(tests, names_as_the_server_has_them);
	tcase_add_test(tests, special_uses);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
