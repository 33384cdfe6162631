/*
 * test_keyring: a command is run once however many ask, all get the same answer, and what nobody
 * waits for ends.
 */
#include "session/keyring.h"

#include "util/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ASKERS = 5 };

struct asker {
	struct keyring_wish *wish;
	char secret[64];
	unsigned edition;
	struct err err;
	int answers;
	struct asker *drops; /* whose wish goes when this one is answered */
};

static struct loop *loop;
static struct keyring *ring;
static struct asker askers[ASKERS];
static struct secret secret;
static char path[64]; /* a line for each run */

static void setup(void)
{
	loop = loop_new(NULL);
	ring = keyring_new(loop);
	memset(askers, 0, sizeof askers);
	snprintf(path, sizeof path, "/tmp/mailhaul-test-keyring-%ld", (long)getpid());
}

static void teardown(void)
{
	for (int i = 0; i < ASKERS; i++)
		keyring_drop(&askers[i].wish);
	keyring_free(&ring);
	ck_assert_ptr_null(ring);
	keyring_free(&ring);
	secret_free(&secret);
	ck_assert(loop_free(&loop));
	unlink(path);
}

/* Each run leaves a line, and prints how many there are. */
static void by_script(const char *more)
{
	secret_free(&secret);
	secret = (struct secret){.kind = SECRET_TOKEN, .argv = mem_new(4, sizeof(char *))};
	secret.argv[0] = mem_copy("sh");
	secret.argv[1] = mem_copy("-c");
	secret.argv[2] = mem_printf("echo x >>%s; %s; echo run $(wc -l <%s)", path, more, path);
}

static int runs(void)
{
	FILE *file = fopen(path, "r");
	int lines = 0;

	for (int c; file && (c = getc(file)) != EOF;)
		lines += c == '\n';
	if (file)
		fclose(file);
	return lines;
}

static void on_answer(void *ctx, const char *answer, unsigned edition, const struct err *err)
{
	struct asker *asker = ctx;

	ck_assert((answer != NULL) == (err == NULL));
	asker->answers++;
	asker->edition = edition;
	snprintf(asker->secret, sizeof asker->secret, "%s", answer ? answer : "");
	asker->err = err ? *err : (struct err){.kind = ERR_NONE};
	keyring_drop(&asker->wish);
	if (asker->drops)
		keyring_drop(&asker->drops->wish);
}

static void ask(int i, unsigned refused)
{
	askers[i].wish = keyring_ask(ring, &(struct keyring_params){.secret = &secret,
								    .host = "mail.test",
								    .user = "lee",
								    .deadline_ms = 500,
								    .refused = refused,
								    .on_answer = on_answer,
								    .ctx = &askers[i]});
	ck_assert_int_eq(askers[i].answers, 0);
}

START_TEST(once_for_all)
{
	by_script("sleep 0.1");
	for (int i = 0; i < 3; i++)
		ask(i, 0);
	loop_run(loop);
	ask(3, 0);
	ask(4, 0);
	loop_run(loop);
	for (int i = 0; i < ASKERS; i++) {
		ck_assert_int_eq(askers[i].answers, 1);
		ck_assert_str_eq(askers[i].secret, "run 1");
	}
	ck_assert_int_eq(runs(), 1);
}
END_TEST

START_TEST(another_command_is_another)
{
	by_script("true");
	ask(0, 0);
	loop_run(loop);
	by_script(":");
	ask(1, 0);
	loop_run(loop);
	secret.kind = SECRET_COMMAND;
	ask(2, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[1].secret, "run 2");
	ck_assert_str_eq(askers[2].secret, "run 3");
}
END_TEST

/* Of several who were refused the first has it run again. */
START_TEST(refused_secrets_are_fetched_anew_once)
{
	by_script("sleep 0.1");
	for (int i = 0; i < 3; i++)
		ask(i, 0);
	loop_run(loop);
	for (int i = 0; i < 3; i++) {
		askers[i].answers = 0;
		ck_assert_uint_eq(askers[i].edition, 1);
		ask(i, askers[i].edition);
	}
	loop_run(loop);
	ask(3, 1);
	loop_run(loop);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(askers[i].answers, 1);
		ck_assert_str_eq(askers[i].secret, "run 2");
	}
	ck_assert_int_eq(runs(), 2);
}
END_TEST

START_TEST(a_failure_is_shared_too)
{
	by_script("echo no key >&2; exit 3");
	ask(0, 0);
	ask(1, 0);
	loop_run(loop);
	ask(2, 0);
	loop_run(loop);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(askers[i].answers, 1);
		ck_assert_int_eq(askers[i].err.kind, ERR_AUTH);
		ck_assert_ptr_nonnull(strstr(askers[i].err.words, "token_command sh"));
		ck_assert_ptr_nonnull(strstr(askers[i].err.words, "exit code 3"));
		ck_assert_str_eq(askers[i].err.server, "no key");
	}
	ck_assert_int_eq(runs(), 1);
}
END_TEST

START_TEST(commands_that_hang_or_flood)
{
	by_script("sleep 100");
	ask(0, 0);
	loop_run(loop);
	ck_assert_ptr_nonnull(strstr(askers[0].err.words, "did not end within 0.5 s"));
	by_script("head -c 50000000 /dev/zero | tr '\\0' x");
	ask(1, 0);
	loop_run(loop);
	ck_assert_ptr_nonnull(strstr(askers[1].err.words, "printed more than 16384 octets"));
	ck_assert_ptr_null(strstr(askers[1].err.words, "xxxx"));
	ck_assert_str_eq(askers[1].err.server, "");
}
END_TEST

/* Whoever goes takes nothing from those who stay; when all have gone, the command ends. */
START_TEST(wishes_are_dropped)
{
	by_script("sleep 0.1");
	for (int i = 0; i < 3; i++)
		ask(i, 0);
	keyring_drop(&askers[1].wish);
	askers[0].drops = &askers[2];
	loop_run(loop);
	ck_assert_str_eq(askers[0].secret, "run 1");
	ck_assert_int_eq(askers[1].answers, 0);
	ck_assert_int_eq(askers[2].answers, 0);
	/* Also what is known already is told later, and need not be. */
	ask(1, 0);
	keyring_drop(&askers[1].wish);
	loop_run(loop);
	ck_assert_int_eq(askers[1].answers, 0);
	/* What was ended is begun again for the next who asks. */
	by_script("sleep 0.2");
	ask(1, 0);
	keyring_drop(&askers[1].wish);
	ask(2, 0);
	loop_run(loop);
	ck_assert_int_eq(askers[1].answers, 0);
	ck_assert_int_eq(askers[2].answers, 1);
	ck_assert_int_eq(askers[2].err.kind, ERR_NONE);
}
END_TEST

START_TEST(what_needs_no_command)
{
	secret = (struct secret){.kind = SECRET_VALUE, .value = mem_copy("word")};
	ask(0, 0);
	ask(1, 0);
	keyring_drop(&askers[1].wish);
	loop_run(loop);
	ck_assert_str_eq(askers[0].secret, "word");
	ck_assert_int_eq(askers[1].answers, 0);
	secret_free(&secret);
	secret = (struct secret){.kind = SECRET_FILE, .value = mem_copy("/nonexistent")};
	askers[0].answers = 0;
	ask(0, 0);
	loop_run(loop);
	ck_assert_int_eq(askers[0].answers, 1);
	ck_assert_int_eq(askers[0].err.kind, ERR_AUTH);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keyring");
	TCase *tests = tcase_create("keyring");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, once_for_all);
	tcase_add_test(tests, another_command_is_another);
	tcase_add_test(tests, refused_secrets_are_fetched_anew_once);
	tcase_add_test(tests, a_failure_is_shared_too);
	tcase_add_test(tests, commands_that_hang_or_flood);
	tcase_add_test(tests, wishes_are_dropped);
	tcase_add_test(tests, what_needs_no_command);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
