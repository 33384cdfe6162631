/*
 * test_log: levels, the form of a line, and lines that strangers try to forge.
 */
#include "util/log.h"

#include "util/buf.h"

#include <check.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

static int ends[2];
static int saved;
static int raised;
static struct buf system_log;

/* ---- in place of the system's log, which a test cannot read ---- */

static void note_system(int priority, const char *format, va_list args)
{
	char words[200];

	vsnprintf(words, sizeof words, format, args);
	buf_printf(&system_log, "[%d] %s\n", priority, words);
}

void openlog(const char *ident, int options, int facility)
{
	(void)options;
	buf_printf(&system_log, "open %s %d\n", ident, facility == LOG_MAIL);
}

void closelog(void)
{
	buf_text(&system_log, "close\n");
}

#undef syslog
void syslog(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note_system(priority, format, args);
	va_end(args);
}

/* What syslog() is where the compiler fortifies. */
void __syslog_chk(int priority, int flag, const char *format, ...); /* NOLINT: its name */
void __syslog_chk(int priority, int flag, const char *format, ...)  /* NOLINT: its name */
{
	va_list args;

	(void)flag;
	va_start(args, format);
	note_system(priority, format, args);
	va_end(args);
}

/* ---- and of stderr ---- */

static void setup(void)
{
	ck_assert_int_eq(pipe(ends), 0);
	saved = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	raised = 0;
	unsetenv("JOURNAL_STREAM");
	log_set_level(LOG_LEVEL_NOTICE);
	log_set_target(LOG_TARGET_STDERR);
	log_set_curtain(NULL);
	buf_clear(&system_log);
}

static void teardown(void)
{
	close(ends[0]);
	buf_free(&system_log);
}

/* All that was logged; nothing can be logged after it. */
static const char *logged(void)
{
	static char text[65536];
	size_t len = 0;
	ssize_t got;

	dup2(saved, STDERR_FILENO);
	while ((got = read(ends[0], text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)got;
	text[len] = '\0';
	return text;
}

static size_t lines(const char *text)
{
	size_t count = 0;

	for (; (text = strchr(text, '\n')); text++)
		count++;
	return count;
}

static void raise_curtain(void)
{
	raised++;
}

START_TEST(a_line_has_a_stamp_and_its_words)
{
	int year;
	int month;
	int day;
	int end = 0;
	int fields;
	const char *text;

	log_warning("%s is %d", "x", 5);
	text = logged();
	/* NOLINTNEXTLINE(cert-err34-c): no more than four digits each. */
	fields = sscanf(text, "%4d-%2d-%2dT%*2d:%*2d:%*2d%*5c %n", &year, &month, &day, &end);
	ck_assert_int_eq(fields, 3);
	ck_assert_str_eq(text + end, "mailhaul: warning: x is 5\n");
}
END_TEST

/* As systemd tells its services which stderr it gave them. */
static void stderr_is_the_journal(int more)
{
	char stream[64];
	struct stat st;

	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino + (uintmax_t)more);
	setenv("JOURNAL_STREAM", stream, 1);
}

START_TEST(the_journal_gets_priorities)
{
	stderr_is_the_journal(0);
	log_set_level(LOG_LEVEL_TRACE);
	log_error("error\n<0>x");
	log_warning("warning");
	log_notice("notice");
	log_info("info");
	log_debug("debug");
	log_line(LOG_LEVEL_TRACE, "trace");
	ck_assert_str_eq(logged(), "<3>error\\x0A<0>x\n<4>warning: warning\n<5>notice\n<6>info\n"
				   "<7>debug\n<7>trace\n");
}
END_TEST

/* Begun by systemd, but with its stderr sent elsewhere. */
START_TEST(another_file_is_not_the_journal)
{
	const char *text;

	stderr_is_the_journal(1);
	log_error("x");
	setenv("JOURNAL_STREAM", "", 1);
	log_error("y");
	setenv("JOURNAL_STREAM", "8:", 1);
	log_error("z");
	text = logged();
	ck_assert_ptr_null(strchr(text, '<'));
	ck_assert_ptr_nonnull(strstr(text, " mailhaul: x\n"));
	ck_assert_ptr_nonnull(strstr(text, " mailhaul: y\n"));
	ck_assert_ptr_nonnull(strstr(text, " mailhaul: z\n"));
}
END_TEST

START_TEST(syslog_in_place_of_stderr)
{
	char want[200];

	stderr_is_the_journal(0);
	log_set_curtain(raise_curtain);
	log_set_target(LOG_TARGET_SYSLOG);
	log_set_target(LOG_TARGET_SYSLOG);
	log_error("100%% of\n%s", "%s");
	log_warning("w");
	log_notice("n");
	log_info("not shown");
	log_set_level(LOG_LEVEL_TRACE);
	log_info("i");
	log_line(LOG_LEVEL_TRACE, "t");
	log_set_target(LOG_TARGET_STDERR);
	ck_assert_int_eq(raised, 0);
	log_error("on stderr");
	snprintf(want, sizeof want,
		 "open mailhaul 1\n[%d] 100%% of\\x0A%%s\n[%d] warning: w\n[%d] n\n[%d] i\n"
		 "[%d] t\nclose\n",
		 LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG);
	ck_assert_str_eq(buf_string(&system_log), want);
	ck_assert_str_eq(logged(), "<3>on stderr\n");
}
END_TEST

START_TEST(levels_above_are_dropped)
{
	const char *text;

	log_info("info");
	log_debug("debug");
	log_line(LOG_LEVEL_TRACE, "trace");
	log_notice("notice");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("warning");
	log_error("error");
	ck_assert(!log_wants(LOG_LEVEL_WARNING));
	log_set_level(LOG_LEVEL_TRACE);
	ck_assert(log_wants(LOG_LEVEL_TRACE));
	log_line(LOG_LEVEL_TRACE, "dialogue");
	text = logged();
	ck_assert_uint_eq(lines(text), 3);
	ck_assert_ptr_nonnull(strstr(text, "mailhaul: notice\n"));
	ck_assert_ptr_nonnull(strstr(text, "mailhaul: error\n"));
	ck_assert_ptr_nonnull(strstr(text, "mailhaul: dialogue\n"));
}
END_TEST

START_TEST(nobody_forges_a_line)
{
	const char *text;

	log_notice("%s", "subject\nmailhaul: all is well\r\x1b[2K\xe2\x80\xae");
	text = logged();
	ck_assert_uint_eq(lines(text), 1);
	ck_assert_ptr_nonnull(
	    strstr(text, "subject\\x0Amailhaul: all is well\\x0D\\x1B[2K\\u{202E}\n"));
}
END_TEST

START_TEST(a_line_has_an_end)
{
	char *noise = malloc(20001);
	const char *text;

	memset(noise, 1, 20000);
	noise[20000] = '\0';
	log_notice("%s", noise);
	log_notice("next");
	text = logged();
	ck_assert_uint_eq(lines(text), 2);
	ck_assert_uint_lt(strlen(text), 5000);
	ck_assert_ptr_nonnull(strstr(text, "mailhaul: next\n"));
	free(noise);
}
END_TEST

START_TEST(the_curtain_is_raised_for_lines_that_are_shown)
{
	log_set_curtain(raise_curtain);
	log_debug("not shown");
	ck_assert_int_eq(raised, 0);
	log_notice("shown");
	ck_assert_int_eq(raised, 1);
	log_set_curtain(NULL);
	log_notice("shown");
	ck_assert_int_eq(raised, 1);
	ck_assert_uint_eq(lines(logged()), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("log");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_line_has_a_stamp_and_its_words);
	tcase_add_test(tests, the_journal_gets_priorities);
	tcase_add_test(tests, another_file_is_not_the_journal);
	tcase_add_test(tests, syslog_in_place_of_stderr);
	tcase_add_test(tests, levels_above_are_dropped);
	tcase_add_test(tests, nobody_forges_a_line);
	tcase_add_test(tests, a_line_has_an_end);
	tcase_add_test(tests, the_curtain_is_raised_for_lines_that_are_shown);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
