/*
 * plan: what is fetched, what is removed, and how far "next" may go.
 */
#include "session/plan.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct plan *made(bool keep, uint32_t next, uint32_t end)
{
	struct plan *plan = plan_new(&(struct plan_params){
	    .removable = keep ? INT64_MIN : INT64_MAX, .next = next, .end = end});

	plan_listing_done(plan);
	return plan;
}

static void know(struct plan *plan, uint32_t number, const char *key, enum state_is is)
{
	plan_listed(plan, number, key, 0, "");
	if (is)
		plan_known(plan, plan_count(plan) - 1, &(struct state_row){.is = is, .changed = 5});
}

static void listed(struct plan *plan, uint32_t number, enum state_is is)
{
	char key[16];

	snprintf(key, sizeof key, "%u", (unsigned)number);
	know(plan, number, key, is);
}

START_TEST(fetches_what_is_not_known)
{
	struct plan *plan = made(true, 5, 9);
	struct source_set set;

	listed(plan, 5, STATE_DELIVERED);
	listed(plan, 6, 0);
	listed(plan, 7, STATE_QUARANTINED);
	listed(plan, 8, 0);
	set = plan_fetch(plan, SIZE_MAX);
	ck_assert_uint_eq(set.count, 2);
	ck_assert_uint_eq(set.numbers[0], 6);
	ck_assert_uint_eq(set.numbers[1], 8);
	ck_assert_uint_eq(plan_remove(plan).count, 0);
	plan_free(&plan);
}
END_TEST

START_TEST(repeated_and_descending_numbers_are_ignored)
{
	struct plan *plan = made(true, 1, 0);

	listed(plan, 7, 0);
	listed(plan, 7, 0);
	listed(plan, 3, 0);
	ck_assert_uint_eq(plan_fetch(plan, SIZE_MAX).count, 1);
	plan_free(&plan);
}
END_TEST

START_TEST(next_stops_at_the_first_unsettled)
{
	struct plan *plan = made(true, 10, 40);

	ck_assert_uint_eq(plan_next(plan), 40);
	listed(plan, 20, 0);
	listed(plan, 21, 0);
	listed(plan, 22, 0);
	ck_assert_uint_eq(plan_next(plan), 20);
	plan_settle(plan, 21, PLAN_TAKEN);
	ck_assert_uint_eq(plan_next(plan), 20);
	plan_settle(plan, 20, PLAN_COMING);
	ck_assert(!plan_wants(plan, 20));
	ck_assert_uint_eq(plan_next(plan), 20);
	plan_settle(plan, 20, PLAN_TAKEN);
	ck_assert_uint_eq(plan_next(plan), 22);
	plan_settle(plan, 22, PLAN_LEFT);
	ck_assert_uint_eq(plan_next(plan), 22);
	plan_free(&plan);
}
END_TEST

START_TEST(next_stays_until_the_listing_is_complete)
{
	struct plan *plan =
	    plan_new(&(struct plan_params){.removable = INT64_MIN, .next = 3, .end = 40});

	ck_assert_uint_eq(plan_next(plan), 3);
	listed(plan, 8, STATE_DELIVERED);
	ck_assert_uint_eq(plan_next(plan), 3);
	plan_listing_done(plan);
	ck_assert_uint_eq(plan_next(plan), 40);
	plan_free(&plan);
}
END_TEST

START_TEST(next_is_held_where_the_listing_left_some_out)
{
	struct plan *plan = made(true, 1, 9);

	listed(plan, 5, STATE_DELIVERED);
	listed(plan, 6, 0);
	plan_listing_done(plan);
	plan_hold_next(plan);
	ck_assert(plan_is_complete(plan));
	ck_assert_uint_eq(plan_fetch(plan, SIZE_MAX).count, 1);
	plan_settle(plan, 6, PLAN_DELIVERED);
	ck_assert_uint_eq(plan_next(plan), 1);
	plan_free(&plan);
}
END_TEST

START_TEST(next_goes_behind_the_last_without_uidnext)
{
	struct plan *plan = made(true, 1, 0);

	listed(plan, 4, 0);
	plan_settle(plan, 4, PLAN_DELIVERED);
	ck_assert_uint_eq(plan_next(plan), 5);
	plan_free(&plan);
}
END_TEST

START_TEST(the_highest_uid_does_not_wrap)
{
	struct plan *plan = made(true, 1, 0);

	listed(plan, UINT32_MAX, 0);
	plan_settle(plan, UINT32_MAX, PLAN_DELIVERED);
	ck_assert_uint_ge(plan_next(plan), 1);
	ck_assert_uint_eq(plan_count(plan), 1);
	plan_free(&plan);
}
END_TEST

START_TEST(removes_only_what_is_delivered_and_once)
{
	struct plan *plan = made(false, 1, 0);
	struct source_set set;

	listed(plan, 3, STATE_DELIVERED);
	listed(plan, 4, 0);
	listed(plan, 5, STATE_QUARANTINED);
	listed(plan, 6, STATE_SKIPPED);
	listed(plan, 7, STATE_WAITING);
	plan_delivered(plan, 1, "1");
	plan_delivered(plan, 3, "3");
	set = plan_remove(plan);
	ck_assert_uint_eq(set.count, 2);
	ck_assert_uint_eq(set.numbers[0], 1);
	ck_assert_uint_eq(set.numbers[1], 3);
	plan_settle(plan, 4, PLAN_TAKEN);
	ck_assert_uint_eq(plan_remove(plan).count, 0);
	plan_settle(plan, 4, PLAN_DELIVERED);
	ck_assert_uint_eq(plan_remove(plan).count, 1);
	ck_assert_uint_eq(plan_remove(plan).count, 0);
	plan_free(&plan);
}
END_TEST

START_TEST(a_removed_key_that_returns_is_new_where_keys_return)
{
	struct plan *imap = made(false, 1, 0);
	struct plan *pop3 =
	    plan_new(&(struct plan_params){.removable = INT64_MAX, .next = 1, .keys_return = true});

	know(imap, 1, "1", STATE_REMOVED);
	know(pop3, 1, "a", STATE_REMOVED);
	ck_assert_uint_eq(plan_fetch(imap, SIZE_MAX).count, 0);
	ck_assert_uint_eq(plan_fetch(pop3, SIZE_MAX).count, 1);
	plan_free(&imap);
	plan_free(&pop3);
}
END_TEST

START_TEST(a_mark_tells_whether_a_removed_message_is_still_there)
{
	struct plan *imap = made(false, 1, 0);
	struct plan *pop3 = plan_new(&(struct plan_params){.next = 1, .keys_return = true});

	know(imap, 1, "1", STATE_REMOVED);
	plan_returned(imap, 0, "mark");
	ck_assert(!plan_is_returned(imap, 1, "mark"));
	know(pop3, 1, "a", STATE_REMOVED);
	know(pop3, 2, "b", STATE_REMOVED);
	know(pop3, 3, "c", 0);
	plan_returned(pop3, 0, "mark");
	plan_returned(pop3, 1, "");
	ck_assert(plan_is_returned(pop3, 1, "mark"));
	ck_assert(!plan_is_returned(pop3, 1, "other"));
	ck_assert(!plan_is_returned(pop3, 2, ""));
	ck_assert(!plan_is_returned(pop3, 3, "mark"));
	ck_assert(!plan_is_returned(pop3, 4, "mark"));
	plan_free(&imap);
	plan_free(&pop3);
}
END_TEST

START_TEST(copies_are_removed_together)
{
	struct plan *plan =
	    plan_new(&(struct plan_params){.removable = INT64_MAX, .next = 1, .keys_return = true});
	struct source_set set;

	know(plan, 1, "same", STATE_DELIVERED);
	know(plan, 2, "other", STATE_DELIVERED);
	know(plan, 3, "same 2", 0);
	know(plan, 4, "same-but-longer", STATE_DELIVERED);
	set = plan_remove(plan);
	ck_assert_uint_eq(set.count, 2);
	ck_assert_uint_eq(set.numbers[0], 2);
	ck_assert_uint_eq(set.numbers[1], 4);
	plan_free(&plan);

	plan =
	    plan_new(&(struct plan_params){.removable = INT64_MAX, .next = 1, .keys_return = true});
	know(plan, 1, "same", STATE_DELIVERED);
	know(plan, 2, "same 2", STATE_DELIVERED);
	ck_assert_uint_eq(plan_remove(plan).count, 2);
	plan_free(&plan);
}
END_TEST

START_TEST(wants_only_what_is_open)
{
	struct plan *plan = made(true, 1, 0);

	listed(plan, 2, 0);
	ck_assert(plan_wants(plan, 2));
	ck_assert(!plan_wants(plan, 3));
	ck_assert_str_eq(plan_at(plan, 0).key, "2");
	plan_settle(plan, 2, PLAN_LEFT);
	ck_assert(!plan_wants(plan, 2));
	plan_free(&plan);
}
END_TEST

START_TEST(removes_what_was_delivered_long_enough_ago)
{
	struct plan *plan = plan_new(&(struct plan_params){.removable = 100, .next = 1});
	struct state_row old = {.is = STATE_DELIVERED, .changed = 100};
	struct state_row young = {.is = STATE_DELIVERED, .changed = 101};
	struct source_set set;

	listed(plan, 3, 0);
	listed(plan, 4, 0);
	listed(plan, 5, 0);
	listed(plan, 6, 0);
	plan_known(plan, 0, &old);
	plan_known(plan, 1, &young);
	plan_recognised(plan, 5, &old);
	plan_settle(plan, 6, PLAN_DELIVERED);
	set = plan_remove(plan);
	ck_assert_uint_eq(set.count, 2);
	ck_assert_uint_eq(set.numbers[0], 3);
	ck_assert_uint_eq(set.numbers[1], 5);
	plan_free(&plan);
}
END_TEST

START_TEST(fetches_no_more_than_allowed_and_next_stays)
{
	struct plan *plan = made(true, 1, 9);
	struct source_set set;

	for (uint32_t i = 1; i <= 5; i++)
		listed(plan, i, 0);
	ck_assert_uint_eq(plan_new_ones(plan).count, 5);
	set = plan_fetch(plan, 2);
	ck_assert_uint_eq(set.count, 2);
	ck_assert_uint_eq(set.numbers[1], 2);
	ck_assert_uint_eq(plan_put_off(plan), 3);
	plan_settle(plan, 1, PLAN_DELIVERED);
	plan_settle(plan, 2, PLAN_DELIVERED);
	ck_assert_uint_eq(plan_next(plan), 3);
	plan_free(&plan);
}
END_TEST

START_TEST(what_stands_beside_the_listing_does_not_hold_next_back)
{
	struct plan *plan = made(true, 50, 60);

	listed(plan, 51, STATE_DELIVERED);
	plan_again(plan, 7, "7", 99);
	plan_again(plan, 51, "51", 99);
	ck_assert(plan_is_beside(plan, 7));
	ck_assert(!plan_is_beside(plan, 51));
	ck_assert_uint_eq(plan_fetch(plan, SIZE_MAX).count, 1);
	ck_assert_uint_eq(plan_next(plan), 60);
	plan_free(&plan);
}
END_TEST

START_TEST(messages_keep_size_and_id)
{
	struct plan *plan = made(true, 1, 0);

	plan_listed(plan, 4, "4", 1234, "Gx");
	ck_assert_uint_eq(plan_at(plan, 0).octets, 1234);
	ck_assert_str_eq(plan_at(plan, 0).id, "Gx");
	ck_assert(plan_at(plan, 0).is_new);
	ck_assert_str_eq(plan_id(plan, 4), "Gx");
	ck_assert_str_eq(plan_id(plan, 5), "");
	plan_free(&plan);
}
END_TEST

START_TEST(copies_are_kept_together_until_all_are_due)
{
	struct plan *plan =
	    plan_new(&(struct plan_params){.removable = 100, .next = 1, .keys_return = true});
	struct state_row young = {.is = STATE_DELIVERED, .changed = 101};

	know(plan, 1, "same", STATE_DELIVERED);
	know(plan, 2, "same 2", 0);
	plan_known(plan, 1, &young);
	ck_assert_uint_eq(plan_remove(plan).count, 0);
	plan_free(&plan);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan");
	TCase *tests = tcase_create("plan");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, fetches_what_is_not_known);
	tcase_add_test(tests, repeated_and_descending_numbers_are_ignored);
	tcase_add_test(tests, next_stops_at_the_first_unsettled);
	tcase_add_test(tests, next_stays_until_the_listing_is_complete);
	tcase_add_test(tests, next_is_held_where_the_listing_left_some_out);
	tcase_add_test(tests, next_goes_behind_the_last_without_uidnext);
	tcase_add_test(tests, the_highest_uid_does_not_wrap);
	tcase_add_test(tests, removes_only_what_is_delivered_and_once);
	tcase_add_test(tests, a_removed_key_that_returns_is_new_where_keys_return);
	tcase_add_test(tests, a_mark_tells_whether_a_removed_message_is_still_there);
	tcase_add_test(tests, copies_are_removed_together);
	tcase_add_test(tests, wants_only_what_is_open);
	tcase_add_test(tests, removes_what_was_delivered_long_enough_ago);
	tcase_add_test(tests, fetches_no_more_than_allowed_and_next_stays);
	tcase_add_test(tests, what_stands_beside_the_listing_does_not_hold_next_back);
	tcase_add_test(tests, messages_keep_size_and_id);
	tcase_add_test(tests, copies_are_kept_together_until_all_are_due);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
