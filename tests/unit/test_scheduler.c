/*
 * test_scheduler: slots in all and for each host, and nobody who waits for ever.
 */
#include "daemon/scheduler.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct scheduler *scheduler;
static char accounts[1000];
static struct turn *turns[1000];

static void setup(void)
{
	scheduler = NULL;
}

static void teardown(void)
{
	scheduler_free(&scheduler);
	ck_assert_ptr_null(scheduler);
	scheduler_free(&scheduler);
}

static void with(size_t most, size_t most_per_host)
{
	scheduler = scheduler_new(most, most_per_host);
}

static void add(size_t account, const char *host)
{
	turns[account] = scheduler_add(scheduler, host, &accounts[account]);
	scheduler_due(scheduler, turns[account], 0);
}

/* The number of the account that comes next; -1: none. */
static int next(void)
{
	const char *account = scheduler_next(scheduler, 0);

	return account ? (int)(account - accounts) : -1;
}

static void done(size_t account)
{
	scheduler_done(scheduler, turns[account]);
}

START_TEST(nothing_to_do)
{
	with(1, 1);
	ck_assert(scheduler_idle(scheduler));
	ck_assert_int_eq(next(), -1);
	ck_assert(scheduler_idle(scheduler));
}
END_TEST

START_TEST(first_come_first_served)
{
	with(2, 2);
	for (size_t i = 0; i < 4; i++)
		add(i, "a");
	ck_assert_int_eq(next(), 0);
	ck_assert_int_eq(next(), 1);
	ck_assert_int_eq(next(), -1);
	done(1);
	ck_assert_int_eq(next(), 2);
	ck_assert_int_eq(next(), -1);
	done(0);
	done(2);
	ck_assert_int_eq(next(), 3);
	ck_assert(!scheduler_idle(scheduler));
	done(3);
	ck_assert(scheduler_idle(scheduler));
}
END_TEST

START_TEST(a_full_host_does_not_hold_up_others)
{
	char host[] = "Mail.Example";

	with(10, 1);
	add(0, host);
	host[0] = 'X'; /* it was copied */
	add(1, "mail.EXAMPLE");
	add(2, "other");
	add(3, "mail.example.");
	ck_assert_int_eq(next(), 0);
	ck_assert_int_eq(next(), 2);
	ck_assert_int_eq(next(), 3);
	ck_assert_int_eq(next(), -1);
	done(2);
	ck_assert_int_eq(next(), -1);
	done(0);
	ck_assert_int_eq(next(), 1);
}
END_TEST

START_TEST(done_for_one_that_waits_does_nothing)
{
	with(1, 1);
	add(0, "a");
	add(1, "a");
	ck_assert_int_eq(next(), 0);
	done(1);
	ck_assert_int_eq(next(), -1);
	done(0);
	done(0);
	ck_assert_int_eq(next(), 1);
	ck_assert_int_eq(next(), -1);
}
END_TEST

START_TEST(the_queue_goes_on_behind_the_last)
{
	with(1, 1);
	add(0, "a");
	ck_assert_int_eq(next(), 0);
	add(1, "b");
	ck_assert_int_eq(next(), -1);
	done(0);
	ck_assert_int_eq(next(), 1);
	done(1);
	add(2, "c");
	add(3, "c");
	ck_assert_int_eq(next(), 2);
	done(2);
	add(4, "c");
	ck_assert_int_eq(next(), 3);
	done(3);
	ck_assert_int_eq(next(), 4);
	done(4);
	ck_assert(scheduler_idle(scheduler));
}
END_TEST

START_TEST(limits_hold_whatever_ends_first)
{
	enum { MOST = 7, PER_HOST = 2, HOSTS = 9, ACCOUNTS = 1000 };
	static bool runs[ACCOUNTS];
	size_t began = 0;
	size_t ended = 0;

	srand(4);
	with(MOST, PER_HOST);
	for (size_t i = 0; i < ACCOUNTS; i++) {
		char host[16];

		snprintf(host, sizeof host, "h%zu", i % HOSTS);
		add(i, host);
	}
	while (ended < ACCOUNTS) {
		int account = next();
		size_t per_host[HOSTS] = {0};
		size_t all = 0;

		if (account >= 0) {
			ck_assert(!runs[account]);
			runs[account] = true;
			began++;
		}
		for (size_t i = 0; i < ACCOUNTS; i++)
			if (runs[i]) {
				all++;
				per_host[i % HOSTS]++;
				ck_assert_uint_le(per_host[i % HOSTS], PER_HOST);
			}
		ck_assert_uint_le(all, MOST);
		ck_assert(account >= 0 || all > 0);
		if (account >= 0 && rand() % 3)
			continue;
		for (size_t i = (size_t)rand() % ACCOUNTS, n = 0; n < ACCOUNTS; n++, i++)
			if (runs[i % ACCOUNTS]) {
				runs[i % ACCOUNTS] = false;
				done(i % ACCOUNTS);
				ended++;
				break;
			}
	}
	ck_assert_uint_eq(began, ACCOUNTS);
	ck_assert(scheduler_idle(scheduler));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scheduler");
	TCase *tests = tcase_create("scheduler");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, nothing_to_do);
	tcase_add_test(tests, first_come_first_served);
	tcase_add_test(tests, a_full_host_does_not_hold_up_others);
	tcase_add_test(tests, done_for_one_that_waits_does_nothing);
	tcase_add_test(tests, the_queue_goes_on_behind_the_last);
	tcase_add_test(tests, limits_hold_whatever_ends_first);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
