/*
 * test_hand: verdicts become rows, nothing is handed over before that is durable, and nothing goes
 * on after what cannot go on.
 */
#include "session/hand.h"

#include "commit_fixture.h"

static struct hand *hand;
static struct err idle_failed;
static int idles;
static bool free_when_idle;
static const char *add_in_result;

static const int64_t MINUTE = 60, HOUR = 3600, DAY = 86400;

static void queue(const char *name, int64_t age, uint32_t attempts, int64_t next_try);

static void on_result(void *ctx, const struct hand_result *result)
{
	ck_assert_ptr_eq(ctx, &spy);
	ck_assert(hand_busy(hand));
	note("result:%s=%d#%u ", result->key, (int)result->is, (unsigned)result->number);
	ck_assert_uint_eq(result->octets, 5);
	ck_assert_int_eq(result->err == NULL, result->is == STATE_DELIVERED);
	if (result->err) {
		note("[%s] ", err_kind_name(result->err->kind));
		ck_assert_ptr_nonnull(strstr(result->err->words, "the program said"));
		ck_assert_str_eq(result->err->server, "stderr");
	}
	if (add_in_result) {
		const char *name = add_in_result;

		add_in_result = NULL;
		queue(name, 0, 0, 0);
	}
}

static void on_idle(void *ctx, const struct err *failed)
{
	ck_assert_ptr_eq(ctx, &spy);
	ck_assert(!hand_busy(hand));
	note("idle ");
	idles++;
	idle_failed = failed ? *failed : (struct err){.kind = ERR_NONE};
	if (free_when_idle)
		hand_free(&hand);
}

static void setup(void)
{
	commit_setup();
	spy.ops.hand = spy_hand;
	idles = 0;
	free_when_idle = false;
	add_in_result = NULL;
	hand = hand_new(&(struct hand_params){.batch = params_of(&spy),
					      .max_attempts = 3,
					      .on_result = on_result,
					      .on_idle = on_idle,
					      .ctx = &spy});
	ck_assert(!hand_busy(hand));
}

static void teardown(void)
{
	hand_free(&hand);
	hand_free(&hand);
	commit_teardown();
}

/* A letter that stands in the spool, queued. */
static void queue(const char *name, int64_t age, uint32_t attempts, int64_t next_try)
{
	char copy[32];
	struct state_row row = {.key = copy,
				.name = copy,
				.mark = "m",
				.is = next_try ? STATE_WAITING : STATE_TAKEN,
				.taken = time(NULL) - age,
				.attempts = attempts,
				.next_try = next_try,
				.octets = 5};

	snprintf(copy, sizeof copy, "%s", name);
	put(at("Mail/tmp/%s", name), "text\n", 0600);
	hand_add(hand, (uint32_t)strtoul(name + 1, NULL, 10), 7, &row);
	memset(copy, 'x', sizeof copy - 1);
	ck_assert(hand_busy(hand));
}

static void run(void)
{
	int before = idles;

	loop_run(loop);
	ck_assert_int_eq(idles, before + 1);
}

static struct state_row row;

static bool see(void *ctx, uint32_t validity, const struct state_row *seen)
{
	ck_assert_uint_eq(validity, 7);
	if (strcmp(seen->key, ctx) != 0)
		return true;
	ck_assert_str_eq(seen->name, ctx);
	ck_assert_str_eq(seen->mark, "m");
	ck_assert_uint_eq(seen->octets, 5);
	row = *seen;
	return false;
}

/* The durable row of a letter; its strings are not kept. */
static struct state_row row_of(const char *name)
{
	uint32_t all = 0;

	for (unsigned is = 1; is < STATE_IS_END; is++)
		all |= STATE_MASK(is);
	row = (struct state_row){.key = NULL};
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): see() only reads it. */
	ck_good(state_each(witness, box.id, all, see, (void *)(uintptr_t)name, &err));
	return row;
}

START_TEST(handed_is_durable_before_and_delivered_after)
{
	queue("L1", 0, 0, 0);
	run();
	ck_assert_str_eq(journal, "hand:L1=2 result:L1=3#1 discard:L1=3 idle ");
	ck_assert_int_eq(row_of("L1").is, STATE_DELIVERED);
	ck_assert(!exists(at("Mail/tmp/L1")));
	ck_assert_int_eq(idle_failed.kind, ERR_NONE);
}
END_TEST

START_TEST(one_after_the_other_in_order)
{
	queue("L1", 0, 0, 0);
	queue("L2", 0, 0, 0);
	queue("L3", 0, 0, 0);
	spy.verdicts = "dad";
	run();
	ck_assert_str_eq(journal, "hand:L1=2 result:L1=3#1 discard:L1=3 "
				  "hand:L2=2 result:L2=6#2 [message] "
				  "hand:L3=2 result:L3=3#3 discard:L3=3 idle ");
	ck_assert(exists(at("Mail/tmp/L2")));
}
END_TEST

START_TEST(more_may_be_added_at_any_time)
{
	add_in_result = "L2";
	queue("L1", 0, 0, 0);
	run();
	ck_assert_ptr_nonnull(
	    strstr(journal, "result:L1=3#1 discard:L1=3 hand:L2=2 result:L2=3#2"));
	queue("L3", 0, 0, 0);
	run();
	ck_assert_int_eq(row_of("L3").is, STATE_DELIVERED);
}
END_TEST

START_TEST(the_owner_may_free_it_when_idle)
{
	free_when_idle = true;
	queue("L1", 0, 0, 0);
	run();
	ck_assert_ptr_null(hand);
}
END_TEST

/* Fails for now; says in how many seconds it is to be tried again. */
static int64_t waits(int64_t age, bool first)
{
	int64_t now = time(NULL);
	struct state_row after;

	spy.verdicts = "l";
	queue("L1", age, 2, first ? 0 : now);
	run();
	after = row_of("L1");
	ck_assert_int_eq(after.is, STATE_WAITING);
	ck_assert_uint_eq(after.attempts, 2);
	ck_assert_int_le(after.changed - now, 5);
	ck_assert(exists(at("Mail/tmp/L1")));
	return after.next_try - after.changed;
}

START_TEST(waits_grow_with_the_age)
{
	ck_assert_int_eq(waits(0, true), 0);
	ck_assert_int_eq(waits(2 * MINUTE, false), 5 * MINUTE);
	ck_assert_int_eq(waits(6 * MINUTE, false), 15 * MINUTE);
	ck_assert_int_eq(waits(20 * MINUTE, false), HOUR);
	ck_assert_int_eq(waits(2 * HOUR, false), 4 * HOUR);
	ck_assert_int_eq(waits(5 * DAY - HOUR, false), 4 * HOUR);
	/* A clock that was set back. */
	ck_assert_int_ge(waits(-10 * DAY, false), 0);
}
END_TEST

/* However long the queue or the program took: the first retry comes with the next poll. */
START_TEST(the_first_retry_comes_with_the_next_poll)
{
	ck_assert_int_eq(waits(10 * MINUTE, true), 0);
	ck_assert_int_eq(waits(3 * HOUR, true), 0);
}
END_TEST

START_TEST(after_five_days_it_is_quarantined)
{
	spy.verdicts = "l";
	queue("L1", 5 * DAY + MINUTE, 0, 1);
	run();
	ck_assert_str_eq(journal, "hand:L1=2 result:L1=7#1 [quarantine] quarantine:L1=2 idle ");
	ck_assert_int_eq(row_of("L1").is, STATE_QUARANTINED);
	ck_assert(exists(at("Mail/new/L1")) && !exists(at("Mail/tmp/L1")));
}
END_TEST

START_TEST(attempts_are_counted_to_the_quarantine)
{
	spy.verdicts = "aaa";
	queue("L1", 0, 0, 0);
	run();
	ck_assert_int_eq(row_of("L1").is, STATE_WAITING);
	ck_assert_uint_eq(row_of("L1").attempts, 1);
	ck_assert_int_le(row_of("L1").next_try, time(NULL));
	queue("L1", 0, 1, 1);
	run();
	ck_assert_int_eq(row_of("L1").is, STATE_WAITING);
	ck_assert_uint_eq(row_of("L1").attempts, 2);
	queue("L1", 0, 2, 1);
	*journal = '\0';
	run();
	ck_assert_str_eq(journal, "hand:L1=2 result:L1=7#1 [quarantine] quarantine:L1=2 idle ");
	ck_assert_uint_eq(row_of("L1").attempts, 3);
	ck_assert_int_eq(row_of("L1").is, STATE_QUARANTINED);
	ck_assert(exists(at("Mail/new/L1")));
}
END_TEST

START_TEST(a_broken_set_up_stops_the_queue)
{
	queue("L1", 0, 1, 0);
	queue("L2", 0, 0, 0);
	spy.verdicts = "b";
	run();
	ck_assert_str_eq(journal, "hand:L1=2 result:L1=6#1 [configuration] idle ");
	ck_assert_int_eq(row_of("L1").is, STATE_WAITING);
	ck_assert_uint_eq(row_of("L1").attempts, 1);
	ck_assert(exists(at("Mail/tmp/L1")) && exists(at("Mail/tmp/L2")));
	ck_assert_ptr_null(row_of("L2").key);
	hand_add(hand, 3, 7, &(struct state_row){.key = "L3", .name = "L3", .mark = ""});
	ck_assert(!hand_busy(hand));
}
END_TEST

START_TEST(what_is_not_begun_stays_when_stopped)
{
	queue("L1", 0, 0, 0);
	queue("L2", 0, 0, 0);
	hand_stop(hand);
	hand_add(hand, 3, 7, &(struct state_row){.key = "L3", .name = "L3", .mark = ""});
	run();
	ck_assert_str_eq(journal, "hand:L1=2 result:L1=3#1 discard:L1=3 idle ");
	ck_assert(exists(at("Mail/tmp/L2")));
}
END_TEST

START_TEST(nothing_is_handed_over_that_is_not_recorded)
{
	fill_the_disk();
	queue("L1", 0, 0, 0);
	queue("L2", 0, 0, 0);
	run();
	ck_assert_str_eq(journal, "idle ");
	ck_assert_int_eq(idle_failed.kind, ERR_STATE);
	limit(RLIM_INFINITY);
	ck_assert(exists(at("Mail/tmp/L1")) && exists(at("Mail/tmp/L2")));
	ck_assert_ptr_null(row_of("L1").key);
}
END_TEST

/* The program has it and the disk is full: the letter stays, its row says handed, no more begin. */
START_TEST(a_verdict_that_cannot_be_recorded_stops_the_queue)
{
	queue("L1", 0, 0, 0);
	queue("L2", 0, 0, 0);
	while (!strstr(journal, "hand:L1")) {
		loop_defer(loop, (void (*)(void *))(void (*)(void))loop_stop, loop);
		loop_run(loop);
	}
	fill_the_disk();
	run();
	ck_assert_int_eq(idle_failed.kind, ERR_STATE);
	limit(RLIM_INFINITY);
	ck_assert_int_eq(row_of("L1").is, STATE_HANDED);
	ck_assert(exists(at("Mail/tmp/L1")) && exists(at("Mail/tmp/L2")));
	ck_assert_ptr_null(strstr(journal, "hand:L2"));
}
END_TEST

START_TEST(a_quarantine_that_fails_stops_the_queue)
{
	spy.verdicts = "a";
	spy.fails = "quarantine";
	queue("L1", 0, 2, 1);
	queue("L2", 0, 0, 0);
	run();
	ck_assert_int_eq(idle_failed.kind, ERR_MAIL);
	ck_assert_int_eq(row_of("L1").is, STATE_HANDED);
	ck_assert(exists(at("Mail/tmp/L1")));
	ck_assert_ptr_null(strstr(journal, "hand:L2"));
}
END_TEST

START_TEST(freed_with_a_queue)
{
	struct state_row waiting = {.key = "L1", .name = "L1", .mark = ""};

	spy.verdicts = "b";
	queue("L1", 0, 0, 0);
	hand_add(hand, 2, 7, &waiting);
	hand_add(hand, 3, 7, &waiting);
	run();
	hand_free(&hand);
	ck_assert_ptr_null(hand);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hand");
	TCase *tests = tcase_create("hand");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, handed_is_durable_before_and_delivered_after);
	tcase_add_test(tests, one_after_the_other_in_order);
	tcase_add_test(tests, more_may_be_added_at_any_time);
	tcase_add_test(tests, the_owner_may_free_it_when_idle);
	tcase_add_test(tests, waits_grow_with_the_age);
	tcase_add_test(tests, the_first_retry_comes_with_the_next_poll);
	tcase_add_test(tests, after_five_days_it_is_quarantined);
	tcase_add_test(tests, attempts_are_counted_to_the_quarantine);
	tcase_add_test(tests, a_broken_set_up_stops_the_queue);
	tcase_add_test(tests, what_is_not_begun_stays_when_stopped);
	tcase_add_test(tests, nothing_is_handed_over_that_is_not_recorded);
	tcase_add_test(tests, a_verdict_that_cannot_be_recorded_stops_the_queue);
	tcase_add_test(tests, a_quarantine_that_fails_stops_the_queue);
	tcase_add_test(tests, freed_with_a_queue);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
