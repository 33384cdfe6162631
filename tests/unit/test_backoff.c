/*
 * test_backoff: each rule at both ends of its jitter, what servers say of the time, and what they
 * say that means nothing.
 */
#include "daemon/backoff.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND	 ((uint64_t)1000)
#define MINUTE	 (60 * SECOND)
#define HOUR	 (60 * MINUTE)
#define DAY	 (24 * HOUR)
#define INTERVAL (5 * MINUTE)

static struct backoff backoff;
static struct err err;
static struct backoff_visit visit;

static void setup(void)
{
	backoff = (struct backoff){.failures = 0};
	err = (struct err){.kind = ERR_NONE};
	visit = (struct backoff_visit){.err = &err, .capabilities = "", .interval_ms = INTERVAL};
}

static void befell(enum err_kind kind, const char *server)
{
	err_set(&err, kind, "it failed");
	err_server(&err, server, strlen(server));
}

/* What follows the visit at the least chance and at the greatest; the latter counts. */
static void expect(uint64_t least, uint64_t most)
{
	struct backoff before = backoff;
	uint64_t low = backoff_after(&before, &visit, 0);
	uint64_t high = backoff_after(&backoff, &visit, UINT32_MAX);

	ck_assert_uint_eq(low, least);
	ck_assert_uint_le(high, most);
	ck_assert_uint_ge(high + 2 + most / 1000000, most);
}

/* Within a fifth of it. */
static void expect_about(uint64_t ms)
{
	expect(ms - ms / 5, ms + ms / 5);
}

static void expect_growing(const uint64_t *waits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		expect_about(waits[i]);
		ck_assert_uint_eq(backoff.failures, i + 1);
		ck_assert_int_eq(backoff.kind, err.kind);
	}
}

static void expect_well(void)
{
	ck_assert_uint_eq(backoff.failures, 0);
	ck_assert_int_eq(backoff.kind, ERR_NONE);
	ck_assert(!backoff_is_network(&backoff));
}

#define EXPECT_GROWING(...)                                                                        \
	do {                                                                                       \
		const uint64_t waits[] = {__VA_ARGS__};                                            \
		expect_growing(waits, sizeof waits / sizeof *waits);                               \
	} while (0)

/* ---- when all is well ---- */

START_TEST(after_success_comes_the_interval)
{
	expect(INTERVAL - INTERVAL / 10, INTERVAL + INTERVAL / 10);
	expect_well();
	ck_assert_uint_eq(backoff_after(&backoff, &visit, UINT32_MAX / 2 + 1), INTERVAL);
	visit.interval_ms = 7 * DAY;
	expect(7 * DAY - 7 * DAY / 10, 7 * DAY + 7 * DAY / 10);
	visit.capabilities = NULL;
	expect(7 * DAY - 7 * DAY / 10, 7 * DAY + 7 * DAY / 10);
}
END_TEST

START_TEST(chance_spreads_evenly)
{
	unsigned tenths[10] = {0};
	uint64_t first = INTERVAL - INTERVAL / 10;

	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t ms = backoff_after(&backoff, &visit, (uint32_t)(i * UINT32_MAX / 1000));

		ck_assert_uint_ge(ms, first);
		ck_assert_uint_lt(ms, first + INTERVAL / 5);
		tenths[(ms - first) / (INTERVAL / 50)]++;
	}
	for (size_t i = 0; i < 10; i++) {
		ck_assert_uint_ge(tenths[i], 95);
		ck_assert_uint_le(tenths[i], 105);
	}
}
END_TEST

START_TEST(login_delay_is_a_floor)
{
	visit.interval_ms = MINUTE;
	visit.capabilities = "TOP, UIDL, LOGIN-DELAY 300, EXPIRE 30";
	expect(300 * SECOND, 300 * SECOND);
	visit.capabilities = "LOGIN-DELAY 900 USER";
	expect(900 * SECOND, 900 * SECOND);
	visit.capabilities = "TOP, login-delay 900";
	expect(900 * SECOND, 900 * SECOND);
	visit.interval_ms = INTERVAL;
	visit.capabilities = "UIDL, LOGIN-DELAY 280";
	expect(280 * SECOND, INTERVAL + INTERVAL / 10);
	visit.interval_ms = HOUR;
	expect(HOUR - HOUR / 10, HOUR + HOUR / 10);
}
END_TEST

/* Who could log in must not do so again sooner, whatever failed then. */
START_TEST(login_delay_is_a_floor_after_failures_too)
{
	visit.capabilities = "LOGIN-DELAY 300";
	befell(ERR_TEMPORARY, "");
	expect(300 * SECOND, 300 * SECOND);
	befell(ERR_MAIL, "");
	expect(300 * SECOND, 300 * SECOND);
	visit.capabilities = "";
	befell(ERR_UNREACHABLE, "");
	expect_about(MINUTE);
}
END_TEST

START_TEST(who_listens_need_not_log_in)
{
	visit.listening = true;
	visit.interval_ms = MINUTE;
	visit.capabilities = "LOGIN-DELAY 300";
	expect(MINUTE - MINUTE / 10, MINUTE + MINUTE / 10);
}
END_TEST

START_TEST(login_delays_that_mean_nothing)
{
	static const char *const nothing[] = {"LOGIN-DELAY",
					      "LOGIN-DELAY x",
					      "LOGIN-DELAY -1",
					      "XLOGIN-DELAY 4000",
					      "IMPLEMENTATION LOGIN-DELAY 4000",
					      "LOGIN-DELAYS 4000",
					      "LOGIN-DELAY 99999999999999999999",
					      "LOGIN-DELAY 0",
					      "TOP, ",
					      ", "};

	for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
		visit.capabilities = nothing[i];
		expect(INTERVAL - INTERVAL / 10, INTERVAL + INTERVAL / 10);
	}
	visit.capabilities = "LOGIN-DELAY 4000000000";
	expect(DAY, DAY);
}
END_TEST

/* The others go on, at the interval. */
START_TEST(one_message_holds_up_nobody)
{
	for (int i = 0; i < 5; i++) {
		befell(i % 2 ? ERR_MESSAGE : ERR_QUARANTINE, "NO [UNAVAILABLE] not this one");
		expect(INTERVAL - INTERVAL / 10, INTERVAL + INTERVAL / 10);
		expect_well();
		befell(ERR_TEMPORARY, "the disk of the user is full");
		visit.whole = true;
		expect(INTERVAL - INTERVAL / 10, INTERVAL + INTERVAL / 10);
		expect_well();
	}
}
END_TEST

/* ---- failures ---- */

START_TEST(the_network)
{
	befell(ERR_UNREACHABLE, "");
	EXPECT_GROWING(MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 16 * MINUTE, 32 * MINUTE, HOUR,
		       HOUR, HOUR);
	ck_assert(backoff_is_network(&backoff));
	befell(ERR_TEMPORARY, "");
	expect_about(HOUR); /* the same failure in another shape */
	ck_assert(backoff_is_network(&backoff));
	err_clear(&err);
	expect(INTERVAL - INTERVAL / 10, INTERVAL + INTERVAL / 10);
	expect_well();
	befell(ERR_TEMPORARY, "");
	expect_about(MINUTE);
}
END_TEST

START_TEST(a_short_interval_begins_shorter)
{
	visit.interval_ms = 10 * SECOND;
	befell(ERR_UNREACHABLE, "");
	EXPECT_GROWING(10 * SECOND, 20 * SECOND, 40 * SECOND, 80 * SECOND, 160 * SECOND,
		       320 * SECOND, 640 * SECOND, 1280 * SECOND, 2560 * SECOND, HOUR, HOUR);
	setup();
	visit.interval_ms = DAY;
	befell(ERR_UNREACHABLE, "");
	EXPECT_GROWING(MINUTE, 2 * MINUTE);
}
END_TEST

START_TEST(for_ever_is_no_longer_than_the_longest)
{
	befell(ERR_UNREACHABLE, "");
	for (int i = 0; i < 1000; i++)
		(void)backoff_after(&backoff, &visit, 0);
	expect_about(HOUR);
	backoff.failures = (unsigned)-1;
	expect_about(HOUR);
}
END_TEST

/* A server that answered is there, however the network changes. */
START_TEST(who_asks_to_wait_is_not_without_network)
{
	static const char *const words[] = {"[UNAVAILABLE] the user database is away",
					    "NO [unavailable]", "-ERR [SYS/TEMP] later",
					    "* BYE shutting down"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		setup();
		befell(ERR_TEMPORARY, words[i]);
		EXPECT_GROWING(MINUTE, 2 * MINUTE);
		ck_assert(!backoff_is_network(&backoff));
	}
	befell(ERR_TEMPORARY, "");
	expect_about(4 * MINUTE);
	ck_assert(backoff_is_network(&backoff));
	/* A server may have no words, and its code stands in ours. */
	err_set(&err, ERR_TEMPORARY, "server does not let us log in now [UNAVAILABLE]");
	expect_about(8 * MINUTE);
	ck_assert(!backoff_is_network(&backoff));
	err_set(&err, ERR_UNREACHABLE, "cannot connect to x: [2001:db8::1]:143: no route");
	expect_about(16 * MINUTE);
	ck_assert(backoff_is_network(&backoff));
}
END_TEST

START_TEST(its_code_counts_more_than_our_kind)
{
	befell(ERR_AUTH, "[UNAVAILABLE] try later");
	visit.refused = true;
	EXPECT_GROWING(MINUTE, 2 * MINUTE);
	befell(ERR_PROTOCOL, "[SYS/TEMP]");
	expect_about(4 * MINUTE);
	befell(ERR_AUTH, "[IN-USE] by another session");
	expect_about(8 * MINUTE);
}
END_TEST

START_TEST(in_use_waits_a_minute_at_least)
{
	visit.interval_ms = 10 * SECOND;
	befell(ERR_TEMPORARY, "[IN-USE]");
	expect(MINUTE, MINUTE);
	expect(MINUTE, MINUTE);
	expect(MINUTE, MINUTE);
	expect(64 * SECOND, 96 * SECOND);
	ck_assert(!backoff_is_network(&backoff));
	befell(ERR_TEMPORARY, "[INUSE] another session"); /* IMAP's word (RFC 5530) */
	backoff.failures = 0;
	expect(MINUTE, MINUTE);
}
END_TEST

START_TEST(login_delay_that_was_not_kept)
{
	befell(ERR_TEMPORARY, "[LOGIN-DELAY] minimum time between mail checks violated");
	EXPECT_GROWING(5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, HOUR, HOUR);
	ck_assert(!backoff_is_network(&backoff));
	befell(ERR_TEMPORARY, "[LOGIN-DELAY] 3 logins; wait 15 minutes");
	expect(15 * MINUTE, 18 * MINUTE);
	befell(ERR_TEMPORARY, "[login-delay] wait 90seconds");
	expect(90 * SECOND, 108 * SECOND);
	befell(ERR_TEMPORARY, "[LOGIN-DELAY] wait 4000000000 hours");
	expect(DAY, DAY + DAY / 5);
}
END_TEST

/* What the last login told is what the server means now. */
START_TEST(login_delay_is_remembered)
{
	visit.capabilities = "LOGIN-DELAY 900";
	expect(900 * SECOND, 900 * SECOND);
	visit.capabilities = "";
	befell(ERR_TEMPORARY, "[LOGIN-DELAY] too soon");
	expect(900 * SECOND, 1080 * SECOND);
	expect(900 * SECOND, 1080 * SECOND);
	visit.capabilities = "TOP";
	err_clear(&err);
	expect(INTERVAL - INTERVAL / 10, INTERVAL + INTERVAL / 10);
	visit.capabilities = "";
	befell(ERR_TEMPORARY, "[LOGIN-DELAY] too soon");
	expect_about(5 * MINUTE);
}
END_TEST

START_TEST(what_exchange_suggests)
{
	static const struct {
		const char *said;
		uint64_t ms;
	} cases[] = {
	    {"NO Request is throttled. Suggested Backoff Time: 299502 milliseconds", 299502},
	    {"BYE Connection closed. suggested backoff time: 300 seconds.", 300 * SECOND},
	    {"Suggested Backoff Time:7ms", SECOND},
	    {"Suggested Backoff Time: 0 milliseconds", SECOND},
	    {"Suggested Backoff Time: 2 minutes", 2 * MINUTE},
	    {"Suggested Backoff Time: 1 hour", HOUR},
	    {"Suggested Backoff Time: 4294967295 seconds", 6 * HOUR},
	};
	static const enum err_kind kinds[] = {ERR_TEMPORARY, ERR_PROTOCOL, ERR_AUTH};

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			befell(kinds[k], cases[i].said);
			expect(cases[i].ms, cases[i].ms);
			ck_assert(!backoff_is_network(&backoff));
		}
	ck_assert_uint_eq(backoff.failures, sizeof cases / sizeof *cases);
	/* A message that it will not give now: the interval, or that if it is longer. */
	befell(ERR_MESSAGE, cases[0].said);
	expect(299502, INTERVAL + INTERVAL / 10);
}
END_TEST

START_TEST(suggestions_that_mean_nothing)
{
	static const char *const nothing[] = {
	    "Suggested Backoff Time:", "Suggested Backoff Time: soon",
	    "Suggested Backoff Time: 5 fortnights", "Suggested Backoff Time: -5 seconds",
	    "Suggested Backoff Time: 99999999999999999999 seconds"};

	for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
		setup();
		befell(ERR_TEMPORARY, nothing[i]);
		expect_about(MINUTE);
	}
}
END_TEST

START_TEST(a_refused_login)
{
	befell(ERR_AUTH, "[AUTHENTICATIONFAILED] Authentication failed.");
	visit.refused = true;
	expect(HOUR, HOUR + HOUR / 5); /* never sooner */
	setup();
	befell(ERR_AUTH, "");
	visit.refused = true;
	(void)backoff_after(&backoff, &visit, 0);
	for (uint64_t ms = 2 * HOUR; ms < DAY; ms *= 2)
		expect_about(ms);
	expect_about(DAY);
	expect_about(DAY);
	ck_assert_uint_eq(backoff.failures, 7);
	ck_assert(!backoff_is_network(&backoff));
	/* It counts anew when something else came in between. */
	befell(ERR_UNREACHABLE, "");
	expect_about(MINUTE);
	befell(ERR_AUTH, "");
	expect(HOUR, HOUR + HOUR / 5);
}
END_TEST

START_TEST(a_secret_that_is_not_to_be_had)
{
	befell(ERR_AUTH, "gpg: decryption failed: No secret key");
	EXPECT_GROWING(HOUR, HOUR, HOUR);
	ck_assert(!backoff_is_network(&backoff));
}
END_TEST

START_TEST(encryption_or_protocol_refused)
{
	befell(ERR_TLS, "");
	EXPECT_GROWING(5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, 80 * MINUTE, 160 * MINUTE,
		       320 * MINUTE, 6 * HOUR, 6 * HOUR);
	befell(ERR_PROTOCOL, "* what?");
	expect_about(6 * HOUR);
	setup();
	visit.interval_ms = 10 * SECOND; /* which does not shorten it */
	befell(ERR_PROTOCOL, "");
	EXPECT_GROWING(5 * MINUTE, 10 * MINUTE);
	ck_assert(!backoff_is_network(&backoff));
}
END_TEST

START_TEST(mail_or_state_cannot_be_written)
{
	befell(ERR_MAIL, "");
	EXPECT_GROWING(MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 15 * MINUTE, 15 * MINUTE);
	befell(ERR_STATE, "");
	expect_about(15 * MINUTE);
	ck_assert(!backoff_is_network(&backoff));
}
END_TEST

START_TEST(what_only_a_person_can_mend)
{
	static const enum err_kind kinds[] = {ERR_CONFIG, ERR_USAGE, ERR_INTERNAL};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		setup();
		befell(kinds[i], "");
		EXPECT_GROWING(HOUR, HOUR, HOUR);
		ck_assert(!backoff_is_network(&backoff));
		err_clear(&err);
		expect(INTERVAL - INTERVAL / 10, INTERVAL + INTERVAL / 10);
		expect_well();
	}
}
END_TEST

/* Found out after the login; who mends it need not think of us. */
START_TEST(an_mda_that_is_not_set_up)
{
	visit.capabilities = "IMAP4rev1 IDLE";
	befell(ERR_CONFIG, "exim: [UNAVAILABLE] cannot open configuration file");
	EXPECT_GROWING(HOUR, HOUR, HOUR);
}
END_TEST

START_TEST(no_failure_is_without_a_wait)
{
	for (unsigned kind = ERR_NONE + 1; kind < ERR_KINDS; kind++)
		for (int login = 0; login < 2; login++) {
			setup();
			visit.capabilities = login ? "IMAP4rev1" : "";
			befell((enum err_kind)kind, "");
			ck_assert_uint_ge(backoff_after(&backoff, &visit, 0), 48 * SECOND);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backoff");
	TCase *tests = tcase_create("backoff");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, after_success_comes_the_interval);
	tcase_add_test(tests, chance_spreads_evenly);
	tcase_add_test(tests, login_delay_is_a_floor);
	tcase_add_test(tests, login_delay_is_a_floor_after_failures_too);
	tcase_add_test(tests, who_listens_need_not_log_in);
	tcase_add_test(tests, login_delays_that_mean_nothing);
	tcase_add_test(tests, one_message_holds_up_nobody);
	tcase_add_test(tests, the_network);
	tcase_add_test(tests, a_short_interval_begins_shorter);
	tcase_add_test(tests, for_ever_is_no_longer_than_the_longest);
	tcase_add_test(tests, who_asks_to_wait_is_not_without_network);
	tcase_add_test(tests, its_code_counts_more_than_our_kind);
	tcase_add_test(tests, in_use_waits_a_minute_at_least);
	tcase_add_test(tests, login_delay_that_was_not_kept);
	tcase_add_test(tests, login_delay_is_remembered);
	tcase_add_test(tests, what_exchange_suggests);
	tcase_add_test(tests, suggestions_that_mean_nothing);
	tcase_add_test(tests, a_refused_login);
	tcase_add_test(tests, a_secret_that_is_not_to_be_had);
	tcase_add_test(tests, encryption_or_protocol_refused);
	tcase_add_test(tests, mail_or_state_cannot_be_written);
	tcase_add_test(tests, what_only_a_person_can_mend);
	tcase_add_test(tests, an_mda_that_is_not_set_up);
	tcase_add_test(tests, no_failure_is_without_a_wait);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
