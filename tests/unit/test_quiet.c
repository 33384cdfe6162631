/*
 * test_quiet: what cron hears, against the table in the interface, and clocks that jump.
 */
#include "daemon/quiet.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MINUTE = 60, HOUR = 3600, DAY = 86400;
enum { NOW = 1700000000 };

/* A run of polls as cron sees it: what one leaves behind is what the next begins with. */
static struct state_visit known;

static enum quiet_tells poll(int64_t when, enum err_kind kind)
{
	struct state_visit after = known;
	enum quiet_tells tells;

	after.tried = when;
	snprintf(after.error_kind, sizeof after.error_kind, "%s", kind ? err_kind_name(kind) : "");
	after.failing_since = kind ? (known.failing_since ? known.failing_since : when) : 0;
	tells = quiet_tells(&known, &after, kind);
	if (tells == QUIET_FAILURE)
		after.reported = when;
	else if (!kind)
		after.reported = 0;
	known = after;
	return tells;
}

static void setup(void)
{
	memset(&known, 0, sizeof known);
}

START_TEST(nothing_is_said_when_all_goes_well)
{
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(poll(NOW + i * HOUR, ERR_NONE), QUIET_NOTHING);
}
END_TEST

START_TEST(a_temporary_failure_is_told_after_an_hour)
{
	static const enum err_kind kinds[] = {ERR_UNREACHABLE, ERR_TEMPORARY, ERR_MESSAGE};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		setup();
		ck_assert_int_eq(poll(NOW, kinds[i]), QUIET_NOTHING);
		ck_assert_int_eq(poll(NOW + HOUR - 1, kinds[i]), QUIET_NOTHING);
		ck_assert_int_eq(poll(NOW + HOUR, kinds[i]), QUIET_FAILURE);
		ck_assert_int_eq(poll(NOW + HOUR + 5 * MINUTE, kinds[i]), QUIET_NOTHING);
		ck_assert_int_eq(poll(NOW + HOUR + DAY - 1, kinds[i]), QUIET_NOTHING);
		ck_assert_int_eq(poll(NOW + HOUR + DAY, kinds[i]), QUIET_FAILURE);
		ck_assert_int_eq(poll(NOW + 2 * DAY, ERR_NONE), QUIET_OVER);
		ck_assert_int_eq(poll(NOW + 2 * DAY + HOUR, ERR_NONE), QUIET_NOTHING);
	}
}
END_TEST

START_TEST(a_short_temporary_failure_is_never_told)
{
	ck_assert_int_eq(poll(NOW, ERR_UNREACHABLE), QUIET_NOTHING);
	ck_assert_int_eq(poll(NOW + 30 * MINUTE, ERR_TEMPORARY), QUIET_NOTHING);
	ck_assert_int_eq(poll(NOW + 50 * MINUTE, ERR_NONE), QUIET_NOTHING);
	ck_assert_int_eq(poll(NOW + 70 * MINUTE, ERR_UNREACHABLE), QUIET_NOTHING);
	ck_assert_int_eq(poll(NOW + 100 * MINUTE, ERR_NONE), QUIET_NOTHING);
}
END_TEST

START_TEST(a_persistent_failure_is_told_once_a_day)
{
	static const enum err_kind kinds[] = {ERR_CONFIG, ERR_INTERNAL, ERR_MAIL,    ERR_STATE,
					      ERR_AUTH,	  ERR_TLS,	ERR_PROTOCOL};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		setup();
		ck_assert_int_eq(poll(NOW, kinds[i]), QUIET_FAILURE);
		ck_assert_int_eq(poll(NOW + 5 * MINUTE, kinds[i]), QUIET_NOTHING);
		ck_assert_int_eq(poll(NOW + DAY - 1, kinds[i]), QUIET_NOTHING);
		ck_assert_int_eq(poll(NOW + DAY, kinds[i]), QUIET_FAILURE);
		ck_assert_int_eq(poll(NOW + DAY + HOUR, ERR_NONE), QUIET_OVER);
		ck_assert_int_eq(poll(NOW + DAY + 2 * HOUR, kinds[i]), QUIET_FAILURE);
	}
}
END_TEST

START_TEST(another_persistent_failure_is_news)
{
	ck_assert_int_eq(poll(NOW, ERR_AUTH), QUIET_FAILURE);
	ck_assert_int_eq(poll(NOW + HOUR, ERR_TLS), QUIET_FAILURE);
	/* A temporary one after it is not, the same day. */
	ck_assert_int_eq(poll(NOW + 3 * HOUR, ERR_UNREACHABLE), QUIET_NOTHING);
	ck_assert_int_eq(poll(NOW + 4 * HOUR, ERR_NONE), QUIET_OVER);
}
END_TEST

START_TEST(a_message_in_quarantine_is_always_told)
{
	ck_assert_int_eq(poll(NOW, ERR_QUARANTINE), QUIET_FAILURE);
	ck_assert_int_eq(poll(NOW + MINUTE, ERR_QUARANTINE), QUIET_FAILURE);
	/* The account did not fail, so it does not work again. */
	ck_assert_int_eq(poll(NOW + HOUR, ERR_NONE), QUIET_NOTHING);
}
END_TEST

/* A clock that ran ahead when something was told must not keep quiet until it is reached again. */
START_TEST(a_clock_that_is_set_back_does_not_silence)
{
	ck_assert_int_eq(poll(NOW + 400 * DAY, ERR_AUTH), QUIET_FAILURE);
	ck_assert_int_eq(poll(NOW, ERR_AUTH), QUIET_FAILURE);
	ck_assert_int_eq(poll(NOW + HOUR, ERR_AUTH), QUIET_NOTHING);
	setup();
	ck_assert_int_eq(poll(NOW + 400 * DAY, ERR_UNREACHABLE), QUIET_NOTHING);
	ck_assert_int_eq(poll(NOW, ERR_UNREACHABLE), QUIET_FAILURE);
}
END_TEST

static bool warns(int64_t expires, int64_t warned)
{
	return quiet_tells_expiry(
	    &(struct state_visit){.tried = NOW, .expires = expires, .warned = warned});
}

START_TEST(a_certificate_is_told_from_fourteen_days)
{
	ck_assert(!warns(0, 0));
	ck_assert(!warns(NOW + 14 * DAY + 1, 0));
	ck_assert(warns(NOW + 14 * DAY - 1, 0));
	ck_assert(warns(NOW - 1, 0));
	ck_assert(!warns(NOW + DAY, NOW - DAY + 1));
	ck_assert(warns(NOW + DAY, NOW - DAY));
	ck_assert(!warns(NOW + DAY, NOW));
	ck_assert(warns(NOW + DAY, NOW + 400 * DAY));
}
END_TEST

static int64_t waits(int64_t refused)
{
	return quiet_auth_wait(&(struct state_visit){.auth_refused = refused}, NOW);
}

START_TEST(a_refused_login_waits_an_hour)
{
	ck_assert_int_eq(waits(0), 0);
	ck_assert_int_eq(waits(NOW), HOUR);
	ck_assert_int_eq(waits(NOW - 10 * MINUTE), 50 * MINUTE);
	ck_assert_int_eq(waits(NOW - HOUR + 1), 1);
	ck_assert_int_eq(waits(NOW - HOUR), 0);
	ck_assert_int_eq(waits(NOW - 400 * DAY), 0);
	ck_assert_int_eq(waits(NOW + 400 * DAY), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quiet");
	TCase *tests = tcase_create("quiet");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, nothing_is_said_when_all_goes_well);
	tcase_add_test(tests, a_temporary_failure_is_told_after_an_hour);
	tcase_add_test(tests, a_short_temporary_failure_is_never_told);
	tcase_add_test(tests, a_persistent_failure_is_told_once_a_day);
	tcase_add_test(tests, another_persistent_failure_is_news);
	tcase_add_test(tests, a_message_in_quarantine_is_always_told);
	tcase_add_test(tests, a_clock_that_is_set_back_does_not_silence);
	tcase_add_test(tests, a_certificate_is_told_from_fourteen_days);
	tcase_add_test(tests, a_refused_login_waits_an_hour);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
