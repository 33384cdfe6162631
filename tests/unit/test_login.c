/*
 * test_login: which mechanism is tried, what is remembered of a refusal, and that a login may go at
 * any time. The server is a fake source that notes what is said to it.
 */
#include "session/login.h"

#include "proto/source_ops.h"
#include "util/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct loop *loop;
static struct source source;
static struct login *login;
static struct secret secret;
static struct err err;
static char said[512];
static int steps;
static struct err step_err;

static void note(const char *verb, const char *text)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof said - len, "%s(%s) ", verb, text ? text : "");
}

static void say_auth(struct source *unused, const char *mechanism, const char *initial)
{
	(void)unused;
	(void)initial;
	note("auth", mechanism);
}

static void say_respond(struct source *unused, const char *base64)
{
	(void)unused;
	note("respond", base64);
}

static void say_login(struct source *unused, const char *user, const char *password)
{
	(void)unused;
	(void)user;
	note("login", password);
}

static const struct source_ops ops = {.auth = say_auth, .respond = say_respond, .login = say_login};

static void on_step(void *ctx, const struct err *failed)
{
	ck_assert_ptr_eq(ctx, &steps);
	steps++;
	step_err = failed ? *failed : (struct err){.kind = ERR_NONE};
}

static void begin(const char *auth, const char *passed_over)
{
	login_free(&login);
	steps = 0;
	login = login_new(&(struct login_params){.loop = loop,
						 .secret = &secret,
						 .user = "lee",
						 .host = "mail.test",
						 .service = "imap",
						 .auth = auth,
						 .passed_over = passed_over,
						 .deadline_ms = 2000,
						 .on_step = on_step,
						 .ctx = &steps});
}

static void setup(void)
{
	loop = loop_new(NULL);
	source = (struct source){.ops = &ops};
	secret = (struct secret){.kind = SECRET_VALUE, .value = mem_copy("s3cret")};
	said[0] = '\0';
}

static void teardown(void)
{
	login_free(&login);
	login_free(&login);
	secret_free(&secret);
	ck_assert(loop_free(&loop));
}

/* The server offers; what the login says to that. */
static const char *offer(const char *mechanisms, bool login_command)
{
	struct source_event ev = {
	    .mechanisms = mechanisms, .initial_response = true, .login_command = login_command};

	said[0] = '\0';
	err_clear(&err);
	if (login_offered(login, &source, &ev, &err))
		loop_run(loop);
	return said;
}

static bool refuse(const char *code)
{
	struct source_event ev = {
	    .verb = SOURCE_VERB_AUTH, .refused = true, .text = "no", .code = code};
	bool again;

	said[0] = '\0';
	again = login_refused(login, &ev, &err);
	loop_run(loop);
	return again;
}

START_TEST(the_strongest_that_is_offered)
{
	static const struct {
		const char *mechanisms;
		bool command;
		const char *said;
	} offers[] = {
	    {"PLAIN LOGIN SCRAM-SHA-1 SCRAM-SHA-256", true, "auth(SCRAM-SHA-256) "},
	    {"PLAIN LOGIN SCRAM-SHA-1", true, "auth(SCRAM-SHA-1) "},
	    {"LOGIN PLAIN CRAM-MD5", true, "auth(PLAIN) "},
	    {"LOGIN", true, "auth(LOGIN) "},
	    {"", true, "login(s3cret) "},
	    {"XPLAIN PLAINX CRAM-MD5", false, ""},
	};

	for (size_t i = 0; i < sizeof offers / sizeof *offers; i++) {
		begin("AUTO", "");
		loop_run(loop);
		ck_assert_int_eq(steps, 1);
		ck_assert_str_eq(offer(offers[i].mechanisms, offers[i].command), offers[i].said);
		ck_assert_int_eq(err.kind, *offers[i].said ? ERR_NONE : ERR_AUTH);
	}
}
END_TEST

START_TEST(a_named_one_or_none)
{
	begin("SCRAM-SHA-1", "SCRAM-SHA-1");
	loop_run(loop);
	ck_assert_str_eq(offer("PLAIN SCRAM-SHA-256", true), "");
	ck_assert_int_eq(err.kind, ERR_AUTH);
	ck_assert_ptr_nonnull(strstr(err.words, "no password was sent"));
	ck_assert_str_eq(offer("PLAIN SCRAM-SHA-1", true), "auth(SCRAM-SHA-1) ");
	ck_assert(!refuse(""));
	ck_assert_str_eq(said, "");
	begin("LOGIN-COMMAND", "");
	loop_run(loop);
	ck_assert_str_eq(offer("PLAIN", false), "");
	ck_assert_str_eq(offer("PLAIN", true), "login(s3cret) ");
}
END_TEST

START_TEST(after_scram_plain_is_tried_once_and_remembered)
{
	begin("AUTO", "");
	loop_run(loop);
	ck_assert_str_eq(offer("SCRAM-SHA-256 PLAIN", true), "auth(SCRAM-SHA-256) ");
	ck_assert(refuse("AUTHENTICATIONFAILED"));
	ck_assert_str_eq(said, "auth(PLAIN) ");
	ck_assert_str_eq(login_mechanism(login), "PLAIN");
	ck_assert_str_eq(login_passed_over(login), "SCRAM-SHA-256");
	ck_assert(!refuse("AUTHENTICATIONFAILED"));
	ck_assert_int_eq(err.kind, ERR_AUTH);
}
END_TEST

/* Otherwise each visit would begin with a refused login, now by the one and now by the other. */
START_TEST(who_refuses_one_scram_is_not_asked_by_the_other)
{
	static const char *const passed[] = {"SCRAM-SHA-256", "SCRAM-SHA-1"};

	for (size_t i = 0; i < 2; i++) {
		begin("AUTO", passed[i]);
		loop_run(loop);
		ck_assert_str_eq(offer("SCRAM-SHA-1 SCRAM-SHA-256 PLAIN", true), "auth(PLAIN) ");
		ck_assert_str_eq(login_passed_over(login), passed[i]);
	}
}
END_TEST

START_TEST(what_was_passed_over_is_better_than_nothing)
{
	begin("AUTO", "SCRAM-SHA-256");
	loop_run(loop);
	ck_assert_str_eq(offer("SCRAM-SHA-256", false), "auth(SCRAM-SHA-256) ");
	ck_assert_str_eq(offer("SCRAM-SHA-256", true), "login(s3cret) ");
}
END_TEST

START_TEST(not_now_is_not_refused)
{
	begin("AUTO", "");
	loop_run(loop);
	offer("SCRAM-SHA-256 PLAIN", true);
	ck_assert(!refuse("UNAVAILABLE"));
	ck_assert_int_eq(err.kind, ERR_TEMPORARY);
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(yes_before_the_proof_is_fraud)
{
	begin("AUTO", "");
	loop_run(loop);
	offer("SCRAM-SHA-256", false);
	ck_assert(!login_accepted(login, &err));
	ck_assert_int_eq(err.kind, ERR_AUTH);
	begin("AUTO", "");
	loop_run(loop);
	offer("PLAIN", false);
	ck_assert(login_accepted(login, &err));
}
END_TEST

START_TEST(a_challenge_that_nothing_asked_for)
{
	struct source_event ev = {.bytes = (const unsigned char *)"", .len = 0};

	begin("AUTO", "");
	loop_run(loop);
	offer("", true);
	ck_assert(!login_challenge(login, &ev, &err));
	ck_assert_int_eq(err.kind, ERR_PROTOCOL);
}
END_TEST

/* It may go before it was told of its secret, and while a step or a command is under way. */
START_TEST(a_login_may_go_at_any_time)
{
	struct source_event ev = {.mechanisms = "SCRAM-SHA-256", .initial_response = true};
	char sleep_word[] = "sleep";
	char time_word[] = "100";
	char *sleeper[] = {sleep_word, time_word, NULL};

	begin("AUTO", "");
	login_free(&login);
	loop_run(loop);
	ck_assert_int_eq(steps, 0);
	begin("AUTO", "");
	loop_run(loop);
	ck_assert(login_offered(login, &source, &ev, &err));
	login_free(&login);
	loop_run(loop);
	ck_assert_int_eq(steps, 1);
	secret_free(&secret);
	secret = (struct secret){.kind = SECRET_COMMAND, .argv = sleeper};
	begin("AUTO", "");
	login_free(&login);
	loop_run(loop);
	ck_assert_int_eq(steps, 0);
	secret = (struct secret){.kind = SECRET_NONE};
}
END_TEST

/* What a command or a file gives. */
static const char *given_by(const char *bytes, size_t len, mode_t mode)
{
	static char path[64];
	FILE *file;

	snprintf(path, sizeof path, "/tmp/mailhaul-test-login-%ld", (long)getpid());
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
	secret_free(&secret);
	secret = (struct secret){.kind = SECRET_FILE, .value = mem_copy(path)};
	begin("LOGIN-COMMAND", "");
	loop_run(loop);
	ck_assert_int_eq(steps, 1);
	unlink(path);
	return step_err.kind ? "" : offer("", true);
}

START_TEST(a_secret_is_one_line)
{
	ck_assert_str_eq(given_by("word", 4, 0600), "login(word) ");
	ck_assert_str_eq(given_by("a word \r\nchatter\n", 17, 0600), "login(a word ) ");
	ck_assert_str_eq(given_by("", 0, 0600), "");
	ck_assert_int_eq(step_err.kind, ERR_AUTH);
	ck_assert_str_eq(given_by("\nword\n", 6, 0600), "");
	ck_assert_str_eq(given_by("wo\0rd\n", 6, 0600), "");
	ck_assert_ptr_null(strstr(step_err.words, "wo\\"));
	ck_assert_str_eq(given_by("word", 4, 0640), "");
	ck_assert_int_eq(step_err.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(step_err.words, "chmod 600"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("login");
	TCase *tests = tcase_create("login");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, the_strongest_that_is_offered);
	tcase_add_test(tests, a_named_one_or_none);
	tcase_add_test(tests, after_scram_plain_is_tried_once_and_remembered);
	tcase_add_test(tests, who_refuses_one_scram_is_not_asked_by_the_other);
	tcase_add_test(tests, what_was_passed_over_is_better_than_nothing);
	tcase_add_test(tests, not_now_is_not_refused);
	tcase_add_test(tests, yes_before_the_proof_is_fraud);
	tcase_add_test(tests, a_challenge_that_nothing_asked_for);
	tcase_add_test(tests, a_login_may_go_at_any_time);
	tcase_add_test(tests, a_secret_is_one_line);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
