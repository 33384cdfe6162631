/*
 * outcome: the words and the row that a visit leaves behind.
 */
#include "session/outcome.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NOW = 1000000 };

static struct session_security security;

static void set_up(void)
{
	security = (struct session_security){
	    .mode = "STARTTLS",
	    .mechanism = "PLAIN",
	    .tls = {.version = "TLS 1.3",
		    .cipher = "TLS_AES_256_GCM_SHA384",
		    .exchange = "ECDHE X25519",
		    .verified = "pin",
		    .expires = 86400},
	};
}

START_TEST(the_line_names_all_that_protects)
{
	outcome_describe(&security, "");
	ck_assert_str_eq(security.line,
			 "STARTTLS, TLS 1.3, TLS_AES_256_GCM_SHA384, ECDHE X25519, certificate "
			 "verified by pin, valid until 1970-01-02");
	outcome_describe(&security, "PLAIN");
	ck_assert_ptr_nonnull(strstr(security.line, ", login by PLAIN"));
}
END_TEST

START_TEST(the_received_field_cannot_be_broken_by_a_name)
{
	struct session_params params = {.protocol = "pop3",
					.user = "lee) \\ (\r\nX-Evil: yes",
					.conn = {.host = "pop.example.org"}};
	struct buf out = {0};

	outcome_received(&out, &params, &security);
	ck_assert_ptr_nonnull(
	    strstr(buf_string(&out), "Received: from pop.example.org (account of lee\\) \\\\ \\("));
	ck_assert_ptr_null(strstr(buf_string(&out), "\nX-Evil"));
	ck_assert_ptr_nonnull(strstr(buf_string(&out), "with POP3\n\t(STARTTLS, TLS 1.3, "));
	buf_free(&out);
}
END_TEST

START_TEST(a_failure_lasts_from_its_first_visit)
{
	struct session_report report = {.security = security};
	struct state_visit before = {.succeeded = 5, .auth_refused = 0};
	struct state_visit visit;

	report.security.mechanism = "";
	err_set(&report.err, ERR_AUTH, "refused");
	visit = outcome_visit(&report, &before, "", true, NOW);
	ck_assert_int_eq(visit.failing_since, NOW);
	ck_assert_int_eq(visit.auth_refused, NOW);
	ck_assert_int_eq(visit.succeeded, 5);
	ck_assert_str_eq(visit.error_kind, "auth");
	visit.reported = NOW;
	visit = outcome_visit(&report, &visit, "", false, NOW + 10);
	ck_assert_int_eq(visit.failing_since, NOW);
	ck_assert_int_eq(visit.auth_refused, NOW);
	ck_assert_int_eq(visit.reported, NOW);
}
END_TEST

/* What a visit at a time leaves behind, of so many messages of 1,000 octets. */
static struct state_visit visited(const struct state_visit *before, int64_t when, uint64_t messages)
{
	struct session_report report = {.security = security};

	report.security.mechanism = "";
	report.counts.delivered = messages;
	report.counts.octets = messages * 1000;
	return outcome_visit(&report, before, "", false, when);
}

START_TEST(a_day_is_the_one_of_the_place)
{
	setenv("TZ", "XST-3:30", 1);
	tzset();
	/* 2023-11-14 22:13:20 UTC, which is tomorrow there. */
	ck_assert_int_eq(outcome_day(1700000000), 20231115);
	ck_assert_int_eq(outcome_day(1700000000 - 2 * 3600), 20231114);
}
END_TEST

START_TEST(what_came_today_is_added_up)
{
	struct state_visit visit = {.today = 0};
	int64_t noon = 1700049600; /* 2023-11-15 12:00 */

	setenv("TZ", "UTC", 1);
	tzset();
	visit = visited(&visit, noon, 3);
	visit = visited(&visit, noon + 60, 0);
	visit = visited(&visit, noon + 43199, 4);
	ck_assert_int_eq(visit.today, 20231115);
	ck_assert_uint_eq(visit.today_messages, 7);
	ck_assert_uint_eq(visit.today_octets, 7000);
	visit = visited(&visit, noon + 43200, 2);
	ck_assert_int_eq(visit.today, 20231116);
	ck_assert_uint_eq(visit.today_messages, 2);
	ck_assert_uint_eq(visit.today_octets, 2000);
	/* A clock that ran ahead and was set back. */
	visit = visited(&visit, noon, 1);
	ck_assert_int_eq(visit.today, 20231115);
	ck_assert_uint_eq(visit.today_messages, 1);
	visit = visited(&visit, noon + 43200, 0);
	ck_assert_uint_eq(visit.today_messages, 0);
	ck_assert_uint_eq(visit.today_octets, 0);
}
END_TEST

START_TEST(a_success_ends_it)
{
	struct session_report report = {.security = security, .connected = true};
	struct state_visit before = {.failing_since = 3,
				     .reported = 4,
				     .auth_refused = 3,
				     .error = "x",
				     .error_kind = "tls"};
	struct state_visit visit;

	outcome_describe(&report.security, "PLAIN");
	visit = outcome_visit(&report, &before, "SCRAM-SHA-1", false, NOW);
	ck_assert_int_eq(visit.failing_since, 0);
	ck_assert_int_eq(visit.reported, 0);
	ck_assert_int_eq(visit.auth_refused, 0);
	ck_assert_int_eq(visit.succeeded, NOW);
	ck_assert_int_eq(visit.expires, 86400);
	ck_assert_str_eq(visit.error, "");
	ck_assert_str_eq(visit.error_kind, "");
	ck_assert_str_eq(visit.mechanism, "PLAIN");
	ck_assert_str_eq(visit.passed_over, "SCRAM-SHA-1");
	ck_assert_str_eq(visit.encryption, report.security.line);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("outcome");
	TCase *tests = tcase_create("outcome");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, the_line_names_all_that_protects);
	tcase_add_test(tests, the_received_field_cannot_be_broken_by_a_name);
	tcase_add_test(tests, a_failure_lasts_from_its_first_visit);
	tcase_add_test(tests, a_success_ends_it);
	tcase_add_test(tests, a_day_is_the_one_of_the_place);
	tcase_add_test(tests, what_came_today_is_added_up);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
