/*
 * test_tell: what the log says of an account over days, and what is news to one who does not look
 * on. Each visit begins with what the one before left behind, as in the daemon and in polls.
 */
#include "daemon/tell.h"

#include "deliver_fixture.h"
#include "session/outcome.h"
#include "util/log.h"

static const int64_t NOW = 1700000000, MINUTE = 60, HOUR = 3600, DAY = 86400;

static char name[] = "box";
static struct config_account account = {.name = name};
static struct session_report report;
static struct state_visit known;
static struct buf news;
static enum quiet_tells tells;

static void setup(void)
{
	root_make();
	known = (struct state_visit){.tried = 0};
	report = (struct session_report){
	    .connected = true,
	    .security = {.mode = "STARTTLS", .mechanism = "", .tls = {.expires = NOW + 90 * DAY}}};
}

static void teardown(void)
{
	buf_free(&news);
	root_remove();
}

/* A visit that ends so at that time. Gives what the log said of it, without time stamps; what was
 * news stands in news. */
static const char *visit_as(int64_t when, enum err_kind kind, const char *words, bool watched)
{
	static char said[8192];
	int kept = dup(STDERR_FILENO);
	int fd = open(at("log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct state_visit after;
	char *end = said;

	err_clear(&report.err);
	if (kind)
		err_set(&report.err, kind, "%s", words);
	after = outcome_visit(&report, &known, "", false, when);
	buf_free(&news);
	dup2(fd, STDERR_FILENO);
	close(fd);
	tells = tell_outcome(&account, &report, &known, &after, watched, &news);
	dup2(kept, STDERR_FILENO);
	close(kept);
	known = after;
	*said = '\0';
	for (const char *line = contents(at("log")); *line; line = strchr(line, '\n') + 1) {
		const char *words_of = strstr(line, "mailhaul: ") + strlen("mailhaul: ");

		end +=
		    snprintf(end, 4000, "%.*s", (int)(strchr(line, '\n') + 1 - words_of), words_of);
	}
	return said;
}

static const char *visit(int64_t when, enum err_kind kind, const char *words)
{
	return visit_as(when, kind, words, false);
}

/* The log said this, and it was news. */
#define ck_told(call, text)                                                                        \
	do {                                                                                       \
		ck_assert_str_eq((call), (text));                                                  \
		ck_assert_str_eq(buf_string(&news), (text));                                       \
	} while (0)

/* An account that fails for good, visited by a daemon for three days. */
START_TEST(a_failing_account_is_told_once_and_again_after_a_day)
{
	unsigned told = 0;

	for (int64_t when = 0; when < 3 * DAY; when += 5 * MINUTE) {
		const char *said = visit(NOW + when, ERR_AUTH, "refused");

		if (!*said) {
			ck_assert_uint_eq(news.len, 0);
			ck_assert_int_eq((int)tells, QUIET_NOTHING);
			continue;
		}
		ck_assert_int_eq(when % DAY, 0);
		ck_assert_str_eq(said, "box: refused\n");
		ck_assert_str_eq(buf_string(&news), "box: refused\n");
		ck_assert_int_eq((int)tells, QUIET_FAILURE);
		told++;
	}
	ck_assert_uint_eq(told, 3);
	ck_told(visit(NOW + 3 * DAY - 60, ERR_NONE, ""),
		"box: works again, after 2 d 23 h of failing\n");
	ck_assert_int_eq((int)tells, QUIET_OVER);
	for (int64_t when = 3 * DAY; when < 5 * DAY; when += 5 * MINUTE)
		ck_told(visit(NOW + when, ERR_NONE, ""), "");
}
END_TEST

START_TEST(a_host_that_is_away_for_a_while_is_not_told)
{
	for (int64_t when = 0; when < HOUR; when += 5 * MINUTE)
		ck_told(visit(NOW + when, ERR_UNREACHABLE, "no answer"), "");
	ck_told(visit(NOW + HOUR - 1, ERR_NONE, ""), "");
	for (int64_t when = 2 * HOUR; when < 3 * HOUR; when += 5 * MINUTE)
		ck_told(visit(NOW + when, ERR_UNREACHABLE, "no answer"), "");
	ck_told(visit(NOW + 3 * HOUR, ERR_UNREACHABLE, "no answer"), "box: no answer\n");
	ck_told(visit(NOW + 4 * HOUR, ERR_UNREACHABLE, "no answer"), "");
	ck_told(visit(NOW + 5 * HOUR, ERR_NONE, ""),
		"box: works again, after 3 h 0 min of failing\n");
}
END_TEST

/* Who looks on hears it each time, which makes it neither more nor less often news. */
START_TEST(who_looks_on_hears_all)
{
	static const char away[] = "box: no answer\n";

	ck_assert_str_eq(visit_as(NOW, ERR_UNREACHABLE, "no answer", true), away);
	ck_assert_uint_eq(news.len, 0);
	ck_assert_str_eq(visit_as(NOW + 30 * MINUTE, ERR_UNREACHABLE, "no answer", true), away);
	ck_assert_uint_eq(news.len, 0);
	ck_told(visit_as(NOW + HOUR, ERR_UNREACHABLE, "no answer", true), away);
	ck_assert_str_eq(visit_as(NOW + 2 * HOUR, ERR_UNREACHABLE, "no answer", true), away);
	ck_assert_uint_eq(news.len, 0);
	ck_told(visit_as(NOW + HOUR + DAY, ERR_UNREACHABLE, "no answer", true), away);
	ck_told(visit_as(NOW + 2 * DAY, ERR_NONE, "", true),
		"box: works again, after 2 d 0 h of failing\n");
	ck_told(visit_as(NOW + 3 * DAY, ERR_NONE, "", true), "");
	/* It was over before it was news. */
	(void)visit_as(NOW + 4 * DAY, ERR_UNREACHABLE, "no answer", true);
	ck_assert_str_eq(visit_as(NOW + 4 * DAY + MINUTE, ERR_NONE, "", true),
			 "box: works again, after 1 min of failing\n");
	ck_assert_uint_eq(news.len, 0);
}
END_TEST

START_TEST(what_the_server_said_is_told)
{
	static const char said[] = "Try later";
	struct state_visit after = known;

	err_set(&report.err, ERR_AUTH, "refused");
	err_server(&report.err, said, strlen(said));
	(void)tell_outcome(&account, &report, &known, &after, false, &news);
	ck_assert_str_eq(buf_string(&news), "box: refused (it said: Try later)\n");
	/* Nobody wants the news. */
	(void)tell_outcome(&account, &report, &known, &after, false, NULL);
}
END_TEST

START_TEST(each_quarantine_is_news)
{
	report.counts.quarantined = 1;
	ck_told(visit(NOW, ERR_QUARANTINE, "message 7 was refused"),
		"box: message 7 was refused\n");
	report.counts.quarantined = 3;
	ck_told(visit(NOW + 60, ERR_QUARANTINE, "message 8 was refused"),
		"box: 3 messages went into the quarantine; the first: message 8 was refused\n");
	/* Who looks on saw it when it happened; to others it is news. */
	ck_assert_str_eq(visit_as(NOW + 120, ERR_QUARANTINE, "message 9 was refused", true), "");
	ck_assert_ptr_nonnull(strstr(buf_string(&news), "message 9 was refused\n"));
	ck_told(visit_as(NOW + 180, ERR_NONE, "", true), "");
	ck_assert_int_eq((int)tells, QUIET_NOTHING);
}
END_TEST

START_TEST(a_certificate_that_expires_is_news_once_a_day)
{
	report.security.tls.expires = NOW + 3 * DAY;
	ck_assert_str_eq(visit(NOW, ERR_NONE, ""),
			 "warning: box: the server's certificate expires in 3 d 0 h\n");
	ck_assert_str_eq(buf_string(&news), "box: the server's certificate expires in 3 d 0 h\n");
	ck_told(visit(NOW + HOUR, ERR_NONE, ""), "");
	ck_assert_ptr_nonnull(strstr(visit_as(NOW + 2 * HOUR, ERR_NONE, "", true), "expires in"));
	ck_assert_uint_eq(news.len, 0);
	(void)visit(NOW + DAY, ERR_NONE, "");
	ck_assert_str_eq(buf_string(&news), "box: the server's certificate expires in 2 d 0 h\n");
	(void)visit(NOW + 3 * DAY, ERR_AUTH, "refused");
	ck_assert_str_eq(buf_string(&news),
			 "box: refused\nbox: the server's certificate has expired\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tell");
	TCase *tests = tcase_create("tell");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_failing_account_is_told_once_and_again_after_a_day);
	tcase_add_test(tests, a_host_that_is_away_for_a_while_is_not_told);
	tcase_add_test(tests, who_looks_on_hears_all);
	tcase_add_test(tests, what_the_server_said_is_told);
	tcase_add_test(tests, each_quarantine_is_news);
	tcase_add_test(tests, a_certificate_that_expires_is_news_once_a_day);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
