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
#include <unistd.h>

static struct loop *loop;
static struct keyring *keyring;
static struct source source;
static struct login *login;
static struct secret secret;
static struct err err;
static char said[512];
static char first[512]; /* the last initial response, in base64 */
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
	note("auth", mechanism);
	snprintf(first, sizeof first, "%s", initial ? initial : "");
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
						 .keyring = keyring,
						 .secret = &secret,
						 .user = "lee",
						 .host = "mail.test",
						 .port = 143,
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
	keyring = keyring_new(loop);
	source = (struct source){.ops = &ops};
	secret = (struct secret){.kind = SECRET_VALUE, .value = mem_copy("s3cret")};
	said[0] = '\0';
}

static void teardown(void)
{
	login_free(&login);
	login_free(&login);
	secret_free(&secret);
	keyring_free(&keyring);
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

static enum login_verdict refuse(const char *code)
{
	struct source_event ev = {
	    .verb = SOURCE_VERB_AUTH, .refused = true, .text = "no", .code = code};
	enum login_verdict verdict;

	said[0] = '\0';
	verdict = login_refused(login, &ev, &err);
	loop_run(loop);
	return verdict;
}

static void challenge(const char *base64)
{
	struct source_event ev = {.bytes = (const unsigned char *)base64, .len = strlen(base64)};

	said[0] = '\0';
	ck_assert(login_challenge(login, &ev, &err));
	loop_run(loop);
}

static void bind_channel(void)
{
	login_secured(login,
		      &(struct tls_binding){.name = "tls-exporter",
					    .octets = {'o', 'c', 't', 'e', 't', 's'},
					    .len = 6},
		      false);
}

/* Secrets by a command. */
static void by_command(enum secret_kind kind, const char *script)
{
	secret_free(&secret);
	secret = (struct secret){.kind = kind, .argv = mem_new(4, sizeof(char *))};
	secret.argv[0] = mem_copy("sh");
	secret.argv[1] = mem_copy("-c");
	secret.argv[2] = mem_copy(script);
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
	ck_assert_int_eq(refuse(""), LOGIN_FAILED);
	ck_assert_str_eq(said, "");
	begin("SCRAM-SHA-256-PLUS", "");
	bind_channel();
	loop_run(loop);
	ck_assert_str_eq(offer("PLAIN SCRAM-SHA-256", true), "");
	ck_assert_str_eq(offer("PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", true),
			 "auth(SCRAM-SHA-256-PLUS) ");
	ck_assert_int_eq(refuse(""), LOGIN_FAILED);
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
	ck_assert_int_eq(refuse("AUTHENTICATIONFAILED"), LOGIN_ANOTHER_MECHANISM);
	ck_assert_str_eq(err.words,
			 "server refused the login of user lee by SCRAM-SHA-256 although "
			 "it offers it; trying PLAIN instead");
	ck_assert_str_eq(err.server, "no");
	ck_assert_str_eq(said, "auth(PLAIN) ");
	ck_assert_str_eq(login_mechanism(login), "PLAIN");
	ck_assert_str_eq(login_passed_over(login), "SCRAM-SHA-256");
	ck_assert_int_eq(refuse("AUTHENTICATIONFAILED"), LOGIN_FAILED);
	ck_assert_int_eq(err.kind, ERR_AUTH);
}
END_TEST

START_TEST(the_channel_is_bound_where_both_can)
{
	begin("AUTO", "");
	loop_run(loop);
	ck_assert_str_eq(offer("SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN", true),
			 "auth(SCRAM-SHA-256) ");
	begin("AUTO", "");
	bind_channel();
	loop_run(loop);
	ck_assert_str_eq(offer("SCRAM-SHA-1-PLUS SCRAM-SHA-1 SCRAM-SHA-256 PLAIN", true),
			 "auth(SCRAM-SHA-256) ");
	ck_assert_str_eq(offer("SCRAM-SHA-1-PLUS SCRAM-SHA-1", true), "auth(SCRAM-SHA-1-PLUS) ");
	ck_assert_str_eq(offer("SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN", true),
			 "auth(SCRAM-SHA-256-PLUS) ");
}
END_TEST

/* Step by step down, each time visibly; and the next visit begins where this one arrived. */
START_TEST(after_plus_comes_the_same_without)
{
	begin("AUTO", "");
	bind_channel();
	loop_run(loop);
	offer("PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-1", true);
	ck_assert_int_eq(refuse(""), LOGIN_ANOTHER_MECHANISM);
	ck_assert_str_eq(said, "auth(SCRAM-SHA-256) ");
	ck_assert_str_eq(login_passed_over(login), "SCRAM-SHA-256-PLUS");
	ck_assert_int_eq(refuse(""), LOGIN_ANOTHER_MECHANISM);
	ck_assert_str_eq(said, "auth(PLAIN) ");
	ck_assert_str_eq(login_passed_over(login), "SCRAM-SHA-256");
	ck_assert_int_eq(refuse(""), LOGIN_FAILED);
	begin("AUTO", "SCRAM-SHA-1-PLUS");
	bind_channel();
	loop_run(loop);
	ck_assert_str_eq(offer("PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", true),
			 "auth(SCRAM-SHA-256) ");
	ck_assert_str_eq(login_passed_over(login), "SCRAM-SHA-1-PLUS");
	ck_assert_str_eq(offer("SCRAM-SHA-256-PLUS", false), "auth(SCRAM-SHA-256-PLUS) ");
	begin("AUTO", "SCRAM-SHA-256");
	bind_channel();
	loop_run(loop);
	ck_assert_str_eq(offer("PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS", true), "auth(PLAIN) ");
}
END_TEST

START_TEST(after_plus_plain_where_nothing_else_is_offered)
{
	begin("AUTO", "");
	bind_channel();
	loop_run(loop);
	offer("PLAIN SCRAM-SHA-256-PLUS SCRAM-SHA-1", true);
	ck_assert_int_eq(refuse(""), LOGIN_ANOTHER_MECHANISM);
	ck_assert_str_eq(said, "auth(PLAIN) ");
}
END_TEST

/* A refusal from within the exchange is an exchange to be cancelled, and a login that is refused.
 * A signature that is false, or a message that is none, ends it all. */
START_TEST(a_scram_that_the_server_breaks_off)
{
	begin("AUTO", "");
	loop_run(loop);
	offer("SCRAM-SHA-256 PLAIN", true);
	challenge("ZT1vdGhlci1lcnJvcg=="); /* e=other-error */
	ck_assert_str_eq(said, "respond() ");
	ck_assert_int_eq(step_err.kind, ERR_NONE);
	ck_assert_int_eq(refuse(""), LOGIN_ANOTHER_MECHANISM);
	ck_assert_str_eq(err.server, "other-error; no");
	ck_assert_str_eq(said, "auth(PLAIN) ");
	begin("AUTO", "");
	loop_run(loop);
	offer("SCRAM-SHA-256 PLAIN", true);
	challenge("cj1mYWxzZSxzPVFTWENSK1E2c2VrOGJmOTIsaT00MDk2"); /* another's nonce */
	ck_assert_str_eq(said, "");
	ck_assert_int_eq(step_err.kind, ERR_AUTH);
}
END_TEST

START_TEST(a_certificate_is_enough)
{
	static const struct tls_binding none = {.len = 0};

	secret_free(&secret);
	begin("AUTO", "");
	loop_run(loop);
	ck_assert_int_eq(steps, 1);
	ck_assert_int_eq(step_err.kind, ERR_NONE);
	login_secured(login, &none, true);
	ck_assert_str_eq(offer("PLAIN EXTERNAL", true), "auth(EXTERNAL) ");
	ck_assert_str_eq(first, "bGVl");
	ck_assert(login_accepted(login, &err));
	ck_assert_str_eq(offer("PLAIN LOGIN SCRAM-SHA-256", true), "");
	/* The server did not ask for it. */
	begin("AUTO", "");
	loop_run(loop);
	login_secured(login, &none, false);
	ck_assert_str_eq(offer("PLAIN EXTERNAL", true), "");
	ck_assert_int_eq(err.kind, ERR_AUTH);
	begin("EXTERNAL", "");
	loop_run(loop);
	login_secured(login, &none, false);
	offer("PLAIN EXTERNAL", true);
	ck_assert_int_eq(refuse(""), LOGIN_FAILED);
	ck_assert_ptr_nonnull(strstr(err.words, "client_cert"));
}
END_TEST

START_TEST(a_token_is_for_oauth_alone)
{
	by_command(SECRET_TOKEN, "echo t0ken");
	begin("AUTO", "");
	loop_run(loop);
	ck_assert_str_eq(offer("PLAIN XOAUTH2", true), "auth(XOAUTH2) ");
	ck_assert_str_eq(first, "dXNlcj1sZWUBYXV0aD1CZWFyZXIgdDBrZW4BAQ==");
	ck_assert_str_eq(offer("PLAIN XOAUTH2 OAUTHBEARER", true), "auth(OAUTHBEARER) ");
	ck_assert_str_eq(offer("PLAIN SCRAM-SHA-256 LOGIN", true), "");
	ck_assert_int_eq(err.kind, ERR_AUTH);
	by_command(SECRET_COMMAND, "echo t0ken");
	begin("AUTO", "");
	loop_run(loop);
	ck_assert_str_eq(offer("OAUTHBEARER XOAUTH2 EXTERNAL", false), "");
	ck_assert_str_eq(offer("OAUTHBEARER XOAUTH2 EXTERNAL", true), "login(t0ken) ");
}
END_TEST

/* The command says another word each time. */
START_TEST(a_refused_token_is_asked_for_once_more)
{
	char script[128];

	snprintf(script, sizeof script,
		 "echo x >>/tmp/mailhaul-test-token-%ld; cat "
		 "/tmp/mailhaul-test-token-%ld | tr -d '\\n'",
		 (long)getpid(), (long)getpid());
	by_command(SECRET_TOKEN, script);
	begin("XOAUTH2", "");
	loop_run(loop);
	ck_assert_str_eq(offer("XOAUTH2", true), "auth(XOAUTH2) ");
	challenge("eyJzdGF0dXMiOiI0MDAifQ==");
	ck_assert_str_eq(said, "respond() ");
	ck_assert_int_eq(refuse("AUTHENTICATIONFAILED"), LOGIN_ANOTHER_TOKEN);
	ck_assert_str_eq(err.server, "{\"status\":\"400\"}; no");
	ck_assert_str_eq(said, "auth(XOAUTH2) ");
	ck_assert_str_eq(first, "dXNlcj1sZWUBYXV0aD1CZWFyZXIgeHgBAQ=="); /* xx */
	challenge("eyJzdGF0dXMiOiI0MDEifQ==");
	ck_assert_int_eq(refuse(""), LOGIN_FAILED);
	ck_assert_int_eq(err.kind, ERR_AUTH);
	ck_assert_str_eq(err.server, "{\"status\":\"401\"}; no");
	ck_assert_ptr_nonnull(strstr(err.words, "another token"));
	ck_assert_str_eq(said, "");
	snprintf(script, sizeof script, "/tmp/mailhaul-test-token-%ld", (long)getpid());
	unlink(script);
}
END_TEST

/* What goes wrong the second time is told through on_step, and a login may go while it is asked. */
START_TEST(the_second_token_may_fail_too)
{
	char path[64], script[256];

	snprintf(path, sizeof path, "/tmp/mailhaul-test-once-%ld", (long)getpid());
	snprintf(script, sizeof script, "[ ! -e %s ] && echo x >%s && echo t0ken", path, path);
	by_command(SECRET_TOKEN, script);
	begin("AUTO", "");
	loop_run(loop);
	offer("XOAUTH2", true);
	ck_assert_int_eq(refuse(""), LOGIN_ANOTHER_TOKEN);
	ck_assert_int_eq(step_err.kind, ERR_AUTH);
	ck_assert_ptr_nonnull(strstr(step_err.words, "token_command"));
	unlink(path);
	by_command(SECRET_TOKEN, "echo t0ken; sleep 0.1");
	begin("AUTO", "");
	loop_run(loop);
	offer("XOAUTH2", true);
	steps = 0;
	ck_assert_int_eq(login_refused(login, &(struct source_event){.text = "", .code = ""}, &err),
			 LOGIN_ANOTHER_TOKEN);
	login_free(&login);
	loop_run(loop);
	ck_assert_int_eq(steps, 0);
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
	ck_assert_int_eq(refuse("UNAVAILABLE"), LOGIN_FAILED);
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
/* A step may take seconds, and the connection go meanwhile. */
START_TEST(what_is_under_way_when_the_connection_goes)
{
	struct source_event ev = {.mechanisms = "PLAIN", .initial_response = true};

	begin("AUTO", "");
	loop_run(loop);
	ck_assert_int_eq(steps, 1);
	ck_assert(login_offered(login, &source, &ev, &err));
	login_abandon(login);
	loop_run(loop);
	ck_assert_str_eq(said, "");
	ck_assert_int_eq(steps, 1);
	ck_assert_str_eq(login_mechanism(login), "PLAIN");

	begin("AUTO", "");
	login_abandon(login);
	loop_run(loop);
	ck_assert_int_eq(steps, 0);
	login_abandon(NULL);
}
END_TEST

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
	tcase_add_test(tests, the_channel_is_bound_where_both_can);
	tcase_add_test(tests, after_plus_comes_the_same_without);
	tcase_add_test(tests, after_plus_plain_where_nothing_else_is_offered);
	tcase_add_test(tests, a_scram_that_the_server_breaks_off);
	tcase_add_test(tests, a_certificate_is_enough);
	tcase_add_test(tests, a_token_is_for_oauth_alone);
	tcase_add_test(tests, a_refused_token_is_asked_for_once_more);
	tcase_add_test(tests, the_second_token_may_fail_too);
	tcase_add_test(tests, not_now_is_not_refused);
	tcase_add_test(tests, yes_before_the_proof_is_fraud);
	tcase_add_test(tests, a_challenge_that_nothing_asked_for);
	tcase_add_test(tests, what_is_under_way_when_the_connection_goes);
	tcase_add_test(tests, a_login_may_go_at_any_time);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
