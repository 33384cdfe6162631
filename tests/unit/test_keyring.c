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
#include <sys/syscall.h>
#include <time.h>
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
static time_t ahead;  /* seconds */

/* In place of the library's, for libuv too: clocks that tests can set forward. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int failed = (int)syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += ahead;
	return failed;
}

static void nothing(void *ctx)
{
	(void)ctx;
}

/* Runs what is due by then: the ring's own timers keep no loop alive. */
static void later(time_t seconds)
{
	struct loop_timer *timer = loop_timer_new(loop, nothing, NULL);

	ahead += seconds;
	loop_timer_start(timer, 1);
	loop_run(loop);
	loop_timer_free(&timer);
}

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

START_TEST(a_secret_is_kept_for_five_minutes)
{
	by_script("true");
	ask(0, 0);
	loop_run(loop);
	later(299);
	ask(1, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[1].secret, "run 1");
	later(2);
	ask(2, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[2].secret, "run 2");
	/* The time counts from the last run. */
	later(299);
	ask(3, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[3].secret, "run 2");
}
END_TEST

START_TEST(what_is_forgotten_is_run_again)
{
	by_script("true");
	keyring_forget(ring, &secret);
	ask(0, 0);
	keyring_forget(ring, &secret);
	loop_run(loop);
	ask(1, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[1].secret, "run 1");
	keyring_forget(ring, &secret);
	ask(2, 0);
	ask(3, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[2].secret, "run 2");
	ck_assert_str_eq(askers[3].secret, "run 2");
	ck_assert_int_gt(askers[2].edition, askers[1].edition);
}
END_TEST

/* One that was refused long ago is still known from one that was fetched since. */
START_TEST(editions_outlive_what_they_count)
{
	by_script("true");
	ask(0, 0);
	loop_run(loop);
	later(301);
	for (int i = 1; i < 4; i++) {
		ask(i, askers[0].edition);
		loop_run(loop);
		ck_assert_str_eq(askers[i].secret, "run 2");
		ck_assert_uint_gt(askers[i].edition, askers[0].edition);
	}
}
END_TEST

START_TEST(a_failure_is_kept_for_one_minute)
{
	secret = (struct secret){.kind = SECRET_COMMAND, .argv = mem_new(4, sizeof(char *))};
	secret.argv[0] = mem_copy("sh");
	secret.argv[1] = mem_copy("-c");
	secret.argv[2] =
	    mem_printf("echo x >>%s; test $(wc -l <%s) = 2 && echo mended", path, path);
	ask(0, 0);
	loop_run(loop);
	later(59);
	ask(1, 0);
	loop_run(loop);
	ck_assert_int_eq(askers[1].err.kind, ERR_AUTH);
	later(2);
	ask(2, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[2].secret, "mended");
	later(200);
	ask(3, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[3].secret, "mended");
	ck_assert_int_eq(runs(), 2);
}
END_TEST

/* Those who were about to be told of what goes just now are told. */
START_TEST(an_answer_that_is_on_its_way)
{
	by_script("true");
	ask(0, 0);
	loop_run(loop);
	ahead += 301;
	ask(1, 0);
	askers[1].drops = &askers[2];
	ask(2, 0);
	ask(3, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[1].secret, "run 1");
	ck_assert_int_eq(askers[2].answers, 0);
	ck_assert_str_eq(askers[3].secret, "run 1");
	ask(4, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[4].secret, "run 2");
}
END_TEST

/* Sanitizers keep what was freed elsewhere. */
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__

/* Whether these octets stand anywhere in the heap. */
static bool heap_holds(const char *octets)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	char *begin = NULL, *end = NULL;

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof line, maps) && !strstr(line, "[heap]"))
		;
	fclose(maps);
	ck_assert_int_eq(sscanf(line, "%p-%p", (void **)&begin, (void **)&end), 2);
	return memmem(begin, (size_t)(end - begin), octets, strlen(octets)) != NULL;
}

START_TEST(what_is_not_kept_is_wiped)
{
	static const char word[] = "Sesame-is-open";

	secret = (struct secret){.kind = SECRET_COMMAND, .argv = mem_new(4, sizeof(char *))};
	secret.argv[0] = mem_copy("printf");
	secret.argv[1] = mem_copy("Ses%s");
	secret.argv[2] = mem_copy("ame-is-open");
	ask(0, 0);
	loop_run(loop);
	ck_assert_str_eq(askers[0].secret, word);
	later(299);
	ck_assert(heap_holds(word));
	later(2);
	ck_assert(!heap_holds(word));
}
END_TEST

#endif

/* A command that was ended, because nobody waited any more, gave no answer that could be shared. */
START_TEST(what_was_ended_is_run_again)
{
	by_script("true");
	ask(0, 0);
	loop_run(loop);
	ask(1, askers[0].edition);
	keyring_drop(&askers[1].wish);
	ask(2, 0);
	loop_run(loop);
	ck_assert_int_eq(askers[2].answers, 1);
	ck_assert_int_eq(askers[2].err.kind, ERR_NONE);
	ck_assert_int_eq(strncmp(askers[2].secret, "run ", 4), 0);
	ask(3, askers[2].edition);
	keyring_drop(&askers[3].wish);
	later(0);
	ask(4, 0);
	loop_run(loop);
	ck_assert_int_eq(askers[4].answers, 1);
	ck_assert_int_eq(askers[4].err.kind, ERR_NONE);
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
	tcase_add_test(tests, a_secret_is_kept_for_five_minutes);
	tcase_add_test(tests, what_is_forgotten_is_run_again);
	tcase_add_test(tests, editions_outlive_what_they_count);
	tcase_add_test(tests, a_failure_is_kept_for_one_minute);
	tcase_add_test(tests, an_answer_that_is_on_its_way);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	tcase_add_test(tests, what_is_not_kept_is_wiped);
#endif
	tcase_add_test(tests, what_was_ended_is_run_again);
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
