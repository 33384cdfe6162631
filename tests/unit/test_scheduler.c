/*
 * test_scheduler: the order of due times, slots in all and for each host, nobody who waits for
 * ever, and how little is compared for it, which is counted and not timed.
 */
#include "daemon/scheduler.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 10000, LOG = 14 /* 2 to its power is more */ };

static struct scheduler *scheduler;
static char owners[COUNT];
static struct turn *turns[COUNT];

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

static void add(size_t i, const char *host)
{
	turns[i] = scheduler_add(scheduler, host, &owners[i]);
}

static void due(size_t i, uint64_t at)
{
	scheduler_due(scheduler, turns[i], at);
}

static void add_due(size_t i, const char *host, uint64_t at)
{
	add(i, host);
	due(i, at);
}

static void done(size_t i)
{
	scheduler_done(scheduler, turns[i]);
}

static void drop(size_t i)
{
	scheduler_remove(scheduler, &turns[i]);
	ck_assert_ptr_null(turns[i]);
}

/* The number of the turn that comes next; -1: none. */
static int next(uint64_t now)
{
	const char *owner = scheduler_next(scheduler, now);

	return owner ? (int)(owner - owners) : -1;
}

static uint64_t wait_from(uint64_t now)
{
	return scheduler_wait(scheduler, now);
}

static bool idle(void)
{
	return scheduler_idle(scheduler);
}

/* ---- when ---- */

START_TEST(nothing_to_do)
{
	with(1, 1);
	ck_assert(idle());
	ck_assert_int_eq(next(0), -1);
	ck_assert_int_eq(next(UINT64_MAX), -1);
	ck_assert_uint_eq(wait_from(0), UINT64_MAX);
}
END_TEST

START_TEST(none_is_due_until_it_is_told)
{
	with(1, 1);
	add(0, "a");
	ck_assert_uint_eq(scheduler_when(turns[0]), UINT64_MAX);
	ck_assert_int_eq(next(UINT64_MAX), -1);
	ck_assert_uint_eq(wait_from(5), UINT64_MAX);
	ck_assert(idle());
	due(0, 100);
	ck_assert(!idle());
	ck_assert_uint_eq(scheduler_when(turns[0]), 100);
	ck_assert_uint_eq(wait_from(5), 95);
	ck_assert_int_eq(next(99), -1);
	ck_assert_uint_eq(wait_from(99), 1);
	ck_assert_int_eq(next(100), 0);
	ck_assert_uint_eq(scheduler_when(turns[0]), UINT64_MAX);
	ck_assert(!idle());
	ck_assert_int_eq(next(200), -1);
	ck_assert_uint_eq(wait_from(200), UINT64_MAX);
	done(0);
	ck_assert(idle());
	ck_assert_int_eq(next(UINT64_MAX), -1);
}
END_TEST

START_TEST(the_longest_due_comes_first)
{
	with(10, 10);
	add_due(0, "a", 30);
	add_due(1, "b", 10);
	add_due(2, "a", 20);
	add_due(3, "c", 20);
	add_due(4, "b", 40);
	ck_assert_int_eq(next(35), 1);
	ck_assert_int_eq(next(35), 2);
	ck_assert_int_eq(next(35), 3);
	ck_assert_int_eq(next(35), 0);
	ck_assert_int_eq(next(35), -1);
	ck_assert_uint_eq(wait_from(35), 5);
	ck_assert_int_eq(next(40), 4);
}
END_TEST

/* Also where it has waited at its host since it became due, while others became due elsewhere. */
START_TEST(who_waits_keeps_its_place)
{
	with(1, 1);
	add_due(0, "a", 1);
	add_due(1, "a", 3);
	add_due(2, "b", 2);
	ck_assert_int_eq(next(5), 0);
	ck_assert_int_eq(next(5), -1);
	add_due(3, "b", 4);
	add_due(4, "a", 1);
	done(0);
	ck_assert_int_eq(next(6), 4);
	done(4);
	ck_assert_int_eq(next(6), 2);
	done(2);
	ck_assert_int_eq(next(6), 1);
	done(1);
	ck_assert_int_eq(next(6), 3);
}
END_TEST

START_TEST(a_new_time_replaces_the_old)
{
	with(1, 1);
	add_due(0, "a", 10);
	add_due(1, "a", 20);
	add_due(2, "a", 30);
	due(0, 40);
	due(2, 5);
	ck_assert_uint_eq(wait_from(0), 5);
	scheduler_not_due(scheduler, turns[1]);
	ck_assert_uint_eq(scheduler_when(turns[1]), UINT64_MAX);
	ck_assert_int_eq(next(25), 2);
	done(2);
	ck_assert_int_eq(next(25), -1);
	ck_assert_uint_eq(wait_from(25), 15);
	due(0, UINT64_MAX);
	ck_assert_uint_eq(wait_from(25), UINT64_MAX);
	ck_assert(idle());
}
END_TEST

START_TEST(a_new_time_for_one_that_waits)
{
	with(1, 1);
	add_due(0, "a", 1);
	add_due(1, "a", 2);
	add_due(2, "a", 3);
	add_due(3, "a", 4);
	ck_assert_int_eq(next(9), 0);
	ck_assert_uint_eq(scheduler_when(turns[1]), 2);
	due(1, 20);
	ck_assert_uint_eq(wait_from(9), 11);
	scheduler_not_due(scheduler, turns[2]);
	done(0);
	ck_assert_int_eq(next(9), 3);
	done(3);
	ck_assert_int_eq(next(19), -1);
	ck_assert_int_eq(next(20), 1);
	done(1);
	ck_assert(idle());
}
END_TEST

START_TEST(a_time_told_while_it_runs_holds_from_its_end)
{
	with(2, 2);
	add_due(0, "a", 1);
	ck_assert_int_eq(next(1), 0);
	due(0, 1);
	ck_assert_uint_eq(scheduler_when(turns[0]), 1);
	ck_assert_int_eq(next(50), -1);
	ck_assert_uint_eq(wait_from(50), UINT64_MAX);
	done(0);
	ck_assert(!idle());
	ck_assert_int_eq(next(50), 0);
	due(0, 70);
	done(0);
	ck_assert_uint_eq(wait_from(50), 20);
	ck_assert_int_eq(next(70), 0);
	due(0, 90);
	scheduler_not_due(scheduler, turns[0]);
	done(0);
	ck_assert(idle());
}
END_TEST

START_TEST(a_turn_comes_again_and_again)
{
	with(1, 1);
	add_due(0, "a", 0);
	for (uint64_t now = 0; now < 1000; now += 10) {
		ck_assert_int_eq(next(now), 0);
		due(0, now + 10);
		done(0);
		ck_assert_int_eq(next(now + 9), -1);
	}
}
END_TEST

/* ---- slots ---- */

START_TEST(first_told_first_served)
{
	with(2, 2);
	for (size_t i = 0; i < 4; i++)
		add(i, "a");
	for (size_t i = 0; i < 4; i++)
		due(3 - i, 0);
	ck_assert_int_eq(next(0), 3);
	ck_assert_int_eq(next(0), 2);
	ck_assert_int_eq(next(0), -1);
	done(2);
	ck_assert_int_eq(next(0), 1);
	ck_assert_int_eq(next(0), -1);
	done(3);
	done(1);
	ck_assert_int_eq(next(0), 0);
	ck_assert(!idle());
	done(0);
	ck_assert(idle());
}
END_TEST

START_TEST(a_full_host_does_not_hold_up_others)
{
	char host[] = "Mail.Example";

	with(10, 1);
	add_due(0, host, 0);
	host[0] = 'X'; /* it was copied */
	add_due(1, "mail.EXAMPLE", 0);
	add_due(2, "other", 0);
	add_due(3, "mail.example.", 0);
	ck_assert_int_eq(next(0), 0);
	ck_assert_int_eq(next(0), 2);
	ck_assert_int_eq(next(0), 3);
	ck_assert_int_eq(next(0), -1);
	done(2);
	ck_assert_int_eq(next(0), -1);
	done(0);
	ck_assert_int_eq(next(0), 1);
}
END_TEST

START_TEST(who_comes_connected_takes_no_slot_of_its_host)
{
	with(4, 1);
	for (size_t i = 0; i < 6; i++) {
		add(i, "host");
		scheduler_connected(turns[i], i % 2);
		due(i, i);
	}
	ck_assert_int_eq(next(9), 0);
	ck_assert_int_eq(next(9), 1);
	ck_assert_int_eq(next(9), 3);
	ck_assert_int_eq(next(9), 5);
	ck_assert_int_eq(next(9), -1);
	done(1);
	ck_assert_int_eq(next(9), -1);
	scheduler_connected(turns[0], true);
	done(0);
	ck_assert_int_eq(next(9), 2);
	/* What was told holds from when it is due again. */
	due(0, 9);
	ck_assert_int_eq(next(9), 0);
	scheduler_connected(turns[5], false);
	done(5);
	due(5, 9);
	ck_assert_int_eq(next(9), -1);
	drop(3);
	drop(2);
	ck_assert_int_eq(next(9), 4);
	done(4);
	ck_assert_int_eq(next(9), 5);
}
END_TEST

START_TEST(done_for_one_that_waits_does_nothing)
{
	with(1, 1);
	add_due(0, "a", 0);
	add_due(1, "a", 0);
	ck_assert_int_eq(next(0), 0);
	done(1);
	ck_assert_int_eq(next(0), -1);
	done(0);
	done(0);
	ck_assert_int_eq(next(0), 1);
	ck_assert_int_eq(next(0), -1);
}
END_TEST

/* Else the owner would ask again and again, to no avail. */
START_TEST(who_waits_for_a_slot_is_not_waited_for)
{
	with(2, 1);
	add_due(0, "a", 0);
	add_due(1, "a", 0);
	add_due(2, "a", 50);
	add_due(3, "b", 100);
	add_due(4, "c", 0);
	ck_assert_uint_eq(wait_from(10), 0);
	ck_assert_int_eq(next(10), 0);
	ck_assert_uint_eq(wait_from(10), 0); /* the next would be given one */
	ck_assert_int_eq(next(10), 4);
	ck_assert_int_eq(next(10), -1);
	ck_assert_uint_eq(wait_from(10), 40);
	ck_assert_uint_eq(wait_from(60), 0); /* nobody was asked since */
	ck_assert_int_eq(next(60), -1);
	ck_assert_uint_eq(wait_from(60), 40);
	ck_assert_int_eq(next(100), -1);
	ck_assert_uint_eq(wait_from(100), UINT64_MAX);
	done(4);
	ck_assert_uint_eq(wait_from(100), 0);
	ck_assert_int_eq(next(100), 3);
	ck_assert_uint_eq(wait_from(100), UINT64_MAX);
}
END_TEST

START_TEST(other_limits)
{
	with(2, 2);
	for (size_t i = 0; i < 8; i++)
		add_due(i, i < 6 ? "a" : "b", 0);
	ck_assert_int_eq(next(0), 0);
	ck_assert_int_eq(next(0), 1);
	ck_assert_int_eq(next(0), -1);
	scheduler_limits(scheduler, 5, 3);
	ck_assert_uint_eq(wait_from(0), 0);
	ck_assert_int_eq(next(0), 2);
	ck_assert_int_eq(next(0), 6);
	ck_assert_int_eq(next(0), 7);
	ck_assert_int_eq(next(0), -1);
	scheduler_limits(scheduler, 1, 1);
	done(0);
	done(1);
	ck_assert_int_eq(next(0), -1);
	done(6);
	done(7);
	ck_assert_int_eq(next(0), -1);
	done(2);
	ck_assert_int_eq(next(0), 3);
	ck_assert_int_eq(next(0), -1);
	scheduler_limits(scheduler, 100, 100);
	ck_assert_int_eq(next(0), 4);
	ck_assert_int_eq(next(0), 5);
	ck_assert_int_eq(next(0), -1);
}
END_TEST

/* ---- leaving ---- */

START_TEST(who_leaves_is_gone)
{
	with(1, 1);
	for (size_t i = 0; i < 6; i++)
		add_due(i, i < 4 ? "a" : "b", i < 3 ? i : 50);
	add(6, "c");
	ck_assert_int_eq(next(9), 0);
	drop(1); /* it waits */
	drop(3); /* it is not due yet */
	drop(6); /* it will never be */
	ck_assert_int_eq(next(9), -1);
	due(0, 60);
	drop(0); /* it runs, and its slot is free */
	ck_assert_int_eq(next(9), 2);
	drop(2); /* the last of its host */
	ck_assert_uint_eq(wait_from(9), 41);
	ck_assert_int_eq(next(50), 4);
	drop(5);
	drop(4);
	ck_assert(idle());
	ck_assert_int_eq(next(UINT64_MAX), -1);
	scheduler_remove(scheduler, &turns[4]);
	add_due(0, "a", 60);
	ck_assert_int_eq(next(60), 0);
}
END_TEST

/* Where turns stand, wait and run. */
START_TEST(all_leave_at_once)
{
	with(2, 1);
	add(0, "a");
	add_due(1, "a", 0);
	add_due(2, "a", 0);
	add_due(3, "b", 0);
	add_due(4, "c", 0);
	add_due(5, "d", 90);
	ck_assert_int_eq(next(0), 1);
	ck_assert_int_eq(next(0), 3);
	ck_assert_int_eq(next(0), -1);
}
END_TEST

/* ---- storms ---- */

static uint64_t compared;

static void storm(size_t hosts)
{
	compared = 0;
	for (size_t i = 0; i < COUNT; i++) {
		char host[16];

		snprintf(host, sizeof host, "h%zu", i % hosts);
		add(i, host);
	}
}

/* Every turn comes once, those of equal times in order; what is compared for each is a few times
 * the logarithm of their number. */
static void expect_all(uint64_t now, size_t slots)
{
	for (size_t i = 0; i < COUNT; i++) {
		ck_assert_int_eq(next(now), (int)i);
		if (i + 1 >= slots) {
			ck_assert_int_eq(next(now), -1);
			done(i + 1 - slots);
		}
	}
	ck_assert_int_eq(next(now), -1);
	for (size_t i = COUNT + 1 - slots; i < COUNT; i++)
		done(i);
	ck_assert(idle());
	ck_assert_uint_le(scheduler_compared(scheduler) - compared, (uint64_t)COUNT * 5 * LOG);
	compared = scheduler_compared(scheduler);
}

START_TEST(a_storm_at_one_host)
{
	with(64, 4);
	storm(1);
	for (size_t i = 0; i < COUNT; i++)
		due(i, 7);
	expect_all(7, 4);
	for (size_t i = COUNT; i > 0; i--)
		due(i - 1, i);
	expect_all(COUNT, 4);
}
END_TEST

START_TEST(a_storm_at_many_hosts)
{
	with(64, 4);
	storm(COUNT);
	for (size_t i = 0; i < COUNT; i++)
		due(i, 7);
	expect_all(7, 64);
	for (size_t i = COUNT; i > 0; i--)
		due(i - 1, i);
	expect_all(COUNT, 64);
}
END_TEST

START_TEST(a_storm_at_some_hosts)
{
	with(64, 4);
	storm(100);
	for (size_t i = 0; i < COUNT; i++)
		due(i, i / 10);
	expect_all(COUNT, 64);
}
END_TEST

/* 9,900 that wait at full hosts cost those of other hosts nothing. */
START_TEST(full_hosts_are_not_looked_at)
{
	uint64_t before;

	with(COUNT, 1);
	for (size_t i = 0; i < COUNT - 100; i++) {
		char host[16];

		snprintf(host, sizeof host, "h%zu", i % 100);
		add_due(i, host, 0);
	}
	while (next(0) >= 0)
		;
	before = scheduler_compared(scheduler);
	for (size_t i = COUNT - 100; i < COUNT; i++) {
		add_due(i, "free", 1);
		ck_assert_int_eq(next(1), (int)i);
		ck_assert_int_eq(next(1), -1);
		done(i);
	}
	ck_assert_uint_le(scheduler_compared(scheduler) - before, 100 * (uintmax_t)8);
}
END_TEST

/* Turns at one host that come again as soon as they may do not outrun those that come seldom. */
START_TEST(nobody_waits_for_ever)
{
	size_t served[50] = {0};

	with(2, 2);
	for (size_t i = 0; i < 50; i++)
		add_due(i, i % 2 ? "a" : "b", 0);
	for (uint64_t now = 1; now <= 500; now++) {
		int first = next(now);
		int second = next(now);

		ck_assert_int_ge(first, 0);
		ck_assert_int_ge(second, 0);
		served[first]++;
		served[second]++;
		due((size_t)first, now);
		due((size_t)second, now);
		done((size_t)first);
		done((size_t)second);
	}
	for (size_t i = 0; i < 50; i++)
		ck_assert_uint_eq(served[i], 20);
}
END_TEST

/* ---- against what is obviously right ---- */

enum { SOME = 60, HOSTS = 7 };

static struct {
	uint64_t at, serial;
	bool runs;
} model[SOME];
static size_t model_most, model_per_host;

static size_t model_running(size_t host)
{
	size_t running = 0;

	for (size_t i = 0; i < SOME; i++)
		running += model[i].runs && (host == HOSTS || i % HOSTS == host);
	return running;
}

static int model_next(uint64_t now)
{
	int best = -1;

	if (model_running(HOSTS) >= model_most)
		return -1;
	for (int i = 0; i < SOME; i++) {
		if (model[i].runs || model[i].at > now || model[i].at == UINT64_MAX ||
		    model_running((size_t)i % HOSTS) >= model_per_host)
			continue;
		if (best < 0 || model[i].at < model[best].at ||
		    (model[i].at == model[best].at && model[i].serial < model[best].serial))
			best = i;
	}
	if (best >= 0) {
		model[best].runs = true;
		model[best].at = UINT64_MAX;
	}
	return best;
}

static uint64_t model_wait(uint64_t now)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < SOME; i++)
		if (!model[i].runs && model[i].at > now && model[i].at < least)
			least = model[i].at;
	return least == UINT64_MAX ? least : least - now;
}

static void model_add(size_t i)
{
	char host[16];

	snprintf(host, sizeof host, "host%zu", i % HOSTS);
	add(i, host);
	model[i].at = UINT64_MAX;
	model[i].runs = false;
}

static void do_something(uint64_t now)
{
	static uint64_t serial;
	size_t i = (size_t)rand() % SOME;

	switch (rand() % 16) {
	case 0:
		drop(i);
		model_add(i);
		break;
	case 1:
		scheduler_not_due(scheduler, turns[i]);
		model[i].at = UINT64_MAX;
		break;
	case 2:
		model_most = 1 + (size_t)rand() % 12;
		model_per_host = 1 + (size_t)rand() % 4;
		scheduler_limits(scheduler, model_most, model_per_host);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		done(i);
		model[i].runs = false;
		break;
	default:
		model[i].at = now + (uint64_t)rand() % 40 - (now < 20 ? 0 : 20);
		model[i].serial = serial++;
		due(i, model[i].at);
	}
}

START_TEST(it_does_what_is_obviously_right)
{
	uint64_t given = 0;

	srand(4);
	model_most = 6;
	model_per_host = 2;
	with(model_most, model_per_host);
	for (size_t i = 0; i < SOME; i++)
		model_add(i);
	for (uint64_t now = 0; now < 50000; now += (uint64_t)rand() % 3) {
		int mine;
		size_t i = (size_t)rand() % SOME;

		do_something(now);
		if (rand() % 2)
			continue;
		do {
			mine = model_next(now);
			ck_assert_int_eq(next(now), mine);
			given += mine >= 0;
		} while (mine >= 0);
		ck_assert_uint_eq(wait_from(now), model_wait(now));
		ck_assert_uint_eq(scheduler_when(turns[i]), model[i].at);
	}
	ck_assert_uint_gt(given, 2000);
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
	tcase_add_test(tests, none_is_due_until_it_is_told);
	tcase_add_test(tests, the_longest_due_comes_first);
	tcase_add_test(tests, who_waits_keeps_its_place);
	tcase_add_test(tests, a_new_time_replaces_the_old);
	tcase_add_test(tests, a_new_time_for_one_that_waits);
	tcase_add_test(tests, a_time_told_while_it_runs_holds_from_its_end);
	tcase_add_test(tests, a_turn_comes_again_and_again);
	tcase_add_test(tests, first_told_first_served);
	tcase_add_test(tests, a_full_host_does_not_hold_up_others);
	tcase_add_test(tests, who_comes_connected_takes_no_slot_of_its_host);
	tcase_add_test(tests, done_for_one_that_waits_does_nothing);
	tcase_add_test(tests, who_waits_for_a_slot_is_not_waited_for);
	tcase_add_test(tests, other_limits);
	tcase_add_test(tests, who_leaves_is_gone);
	tcase_add_test(tests, all_leave_at_once);
	tcase_add_test(tests, a_storm_at_one_host);
	tcase_add_test(tests, a_storm_at_many_hosts);
	tcase_add_test(tests, a_storm_at_some_hosts);
	tcase_add_test(tests, full_hosts_are_not_looked_at);
	tcase_add_test(tests, nobody_waits_for_ever);
	tcase_add_test(tests, it_does_what_is_obviously_right);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
