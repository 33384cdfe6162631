/*
 * test_places: what descriptors go to, with few and with many.
 */
#include "daemon/places.h"
#include "util/mem.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { ACCOUNTS = 100 };

static char inbox[] = "INBOX";
static char lists[] = "Lists";
static char pattern[] = "*";
static char not_trash[] = "!Trash";
static char *one[] = {inbox, NULL};
static char *two[] = {inbox, lists, not_trash, NULL};
static char *all[] = {pattern, NULL};
static struct config_account *accounts[ACCOUNTS];
static struct config config;
static struct places places;

/* Each with so many mailboxes; a limit that a test sets is that of its own process. */
static void setup(void)
{
	config = (struct config){.accounts = accounts, .count = ACCOUNTS, .max_connections = 64};
	places = (struct places){.visits = 0};
	for (size_t i = 0; i < ACCOUNTS; i++) {
		accounts[i] = mem_new(1, sizeof **accounts);
		accounts[i]->protocol = CONFIG_IMAP;
		accounts[i]->idle = true;
		accounts[i]->mailboxes = one;
	}
	/* What is warned of is looked at end to end. */
	ck_assert(freopen("/dev/null", "w", stderr) != NULL);
}

static void teardown(void)
{
	for (size_t i = 0; i < ACCOUNTS; i++)
		free(accounts[i]);
}

static void with(rlim_t descriptors)
{
	struct rlimit files;

	ck_assert(!getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = descriptors;
	ck_assert(!setrlimit(RLIMIT_NOFILE, &files));
	places_share(&places, &config);
}

START_TEST(enough_for_all)
{
	with(64 + 64 * 24 + 100);
	ck_assert_uint_eq(places.visits, 64);
	ck_assert_uint_eq(places.listens, 100);
}
END_TEST

START_TEST(few_accounts_make_few_visits)
{
	config.count = 3;
	with(64 + 3 * 24 + 3);
	ck_assert_uint_eq(places.visits, 3);
	ck_assert_uint_eq(places.listens, 3);
	config.count = 0;
	with(64);
	ck_assert_uint_eq(places.visits, 1);
}
END_TEST

START_TEST(visits_give_way_first)
{
	with(64 + 64 * 24 + 100 - 1);
	ck_assert_uint_eq(places.visits, (64 * 24 + 99) / 2 / 24);
	ck_assert_uint_ge(places.listens, 100);
}
END_TEST

START_TEST(never_fewer_than_one_visit)
{
	with(64 + 24 + 10);
	ck_assert_uint_eq(places.visits, 1);
	ck_assert_uint_eq(places.listens, 10);
	with(20);
	ck_assert_uint_eq(places.visits, 1);
	ck_assert_uint_eq(places.listens, 0);
	ck_assert(!places_take(&places));
}
END_TEST

/* What makes 100 accounts want more than so many is what they listen to. */
static bool suffice(rlim_t listening)
{
	with(64 + 64 * 24 + listening);
	return places.visits == 64;
}

START_TEST(what_accounts_want)
{
	ck_assert(suffice(100));
	ck_assert(!suffice(99));
	accounts[0]->protocol = CONFIG_POP3;
	accounts[1]->idle = false;
	ck_assert(suffice(98));
	ck_assert(!suffice(97));
	accounts[2]->mailboxes = two;
	ck_assert(suffice(99));
	ck_assert(!suffice(98));
	accounts[3]->mailboxes = all;
	ck_assert(suffice(103));
	ck_assert(!suffice(102));
}
END_TEST

START_TEST(places_are_taken_and_given_back)
{
	with(64 + 24 + 2);
	ck_assert(places_take(&places));
	ck_assert(!places_full(&places));
	ck_assert(places_take(&places));
	ck_assert(places_full(&places));
	ck_assert(!places_take(&places));
	places_give(&places);
	ck_assert(places_take(&places));
	with(64 + 24 + 1);
	ck_assert(!places_take(&places));
	places_give(&places);
	ck_assert(!places_take(&places));
	places_give(&places);
	ck_assert(places_take(&places));
}
END_TEST

START_TEST(it_notes_what_it_is_for)
{
	struct err err;

	err_sys(&err, ERR_MAIL, ENOSPC, "a letter");
	places_note(&places, &err);
	ck_assert(!places.said);
	err_sys(&err, ERR_MAIL, EMFILE, "a letter");
	places_note(&places, &err);
	ck_assert(places.said);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("places");
	TCase *tests = tcase_create("places");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, enough_for_all);
	tcase_add_test(tests, few_accounts_make_few_visits);
	tcase_add_test(tests, visits_give_way_first);
	tcase_add_test(tests, never_fewer_than_one_visit);
	tcase_add_test(tests, what_accounts_want);
	tcase_add_test(tests, places_are_taken_and_given_back);
	tcase_add_test(tests, it_notes_what_it_is_for);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
