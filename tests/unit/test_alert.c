/*
 * test_alert: what a command is told, when, and that there is one at a time. Times are cut short.
 */
#include "daemon/alert.h"
#include "deliver_fixture.h"
#include "io/loop.h"
#include "util/log.h"

#include <signal.h>
#include <sys/wait.h>

enum { GATHER = 40, APART = 300, MOST = 1000 };

static struct loop *loop;
static struct alert *alert;
static int idle;

static void on_idle(void *ctx)
{
	ck_assert_ptr_eq(ctx, &idle);
	ck_assert(alert_idle(alert));
	idle++;
	loop_stop(loop);
}

static const char *const *shell(const char *script)
{
	static const char *argv[] = {"sh", "-c", NULL, NULL};

	argv[2] = script;
	return argv;
}

/* The script stands in the tests' directory, and appends what it is told to the file "told". */
static const char keeps[] = "{ cat; echo --; } >>told";

static void begin(const char *script)
{
	alert = alert_new(&(struct alert_params){.loop = loop,
						 .argv = script ? shell(script) : NULL,
						 .on_idle = on_idle,
						 .ctx = &idle,
						 .gather_ms = GATHER,
						 .apart_ms = APART,
						 .apart_most_ms = MOST,
						 .deadline_ms = 2000});
}

static void setup(void)
{
	root_make();
	ck_assert_int_eq(chdir(root), 0);
	loop = loop_new(NULL);
	idle = 0;
}

static void teardown(void)
{
	alert_free(&alert);
	loop_free(&loop);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	root_remove();
}

static const char *content(const char *path)
{
	static char text[200000];
	int fd = open(path, O_RDONLY);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

	ck_assert_int_ge(got, 0);
	text[got] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

/* Runs until nothing is to be told any more; milliseconds that it took. */
static uint64_t settle(void)
{
	uint64_t began = loop_now(loop);

	if (!alert_idle(alert))
		loop_run(loop);
	return loop_now(loop) - began;
}

static void stop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void wait_ms(uint64_t ms)
{
	struct loop_timer *timer = loop_timer_new(loop, stop, NULL);
	uint64_t end = loop_now(loop) + ms;

	/* That nothing is to be told any more stops the loop, too. */
	do {
		loop_timer_start(timer, ms);
		loop_run(loop);
	} while (loop_now(loop) < end);
	loop_timer_free(&timer);
}

START_TEST(what_comes_together_is_told_together)
{
	begin(keeps);
	ck_assert(alert_idle(alert));
	alert_say(alert, "box: it fails\n");
	ck_assert(!alert_idle(alert));
	alert_say(alert, "other: it fails\nother: and again\n");
	ck_assert_uint_ge(settle(), GATHER);
	ck_assert_str_eq(content("told"), "box: it fails\nother: it fails\nother: and again\n--\n");
	ck_assert_int_eq(idle, 1);
}
END_TEST

START_TEST(nobody_is_told_without_a_command)
{
	begin(NULL);
	alert_say(alert, "box: it fails\n");
	ck_assert(alert_idle(alert));
	alert_command(alert, shell(keeps));
	alert_say(alert, "");
	ck_assert(alert_idle(alert));
	alert_say(alert, "box: it fails again\n");
	alert_command(alert, NULL);
	ck_assert(alert_idle(alert));
	alert_command(alert, shell(keeps));
	alert_say(alert, "box: and again\n");
	settle();
	ck_assert_str_eq(content("told"), "box: and again\n--\n");
}
END_TEST

/* While it runs, more is said; a second one begins only when it has ended. */
START_TEST(there_is_one_at_a_time)
{
	begin("if mkdir lock; then cat; sleep .4; echo --; rmdir lock; else echo two; fi >>told");
	alert_say(alert, "one\n");
	while (!exists("lock"))
		wait_ms(10);
	alert_hurry(alert);
	alert_say(alert, "two\n");
	alert_say(alert, "three\n");
	ck_assert(!alert_idle(alert));
	settle();
	ck_assert_str_eq(content("told"), "one\n--\ntwo\nthree\n--\n");
	ck_assert_int_eq(idle, 1);
}
END_TEST

static void say_again(void *ctx)
{
	static int said;
	struct loop_timer **timer = ctx;
	char line[32];

	snprintf(line, sizeof line, "%d\n", said++);
	alert_say(alert, line);
	loop_timer_start(*timer, 10);
}

/* Many that come one after another: after 40 ms, 300 later, 600 later, then each second. */
START_TEST(a_storm_starts_a_few_commands)
{
	struct loop_timer *storm;
	unsigned runs = 0, lines = 0;

	begin("{ wc -l; } >>told");
	storm = loop_timer_new(loop, say_again, &storm);
	say_again(&storm);
	wait_ms(2500);
	loop_timer_free(&storm);
	alert_hurry(alert);
	settle();
	for (const char *line = content("told"); *line; line = strchr(line, '\n') + 1) {
		runs++;
		lines += (unsigned)strtoul(line, NULL, 10);
	}
	ck_assert_uint_ge(runs, 3);
	ck_assert_uint_le(runs, 5);
	ck_assert_uint_ge(lines, 50);
}
END_TEST

START_TEST(a_pause_makes_it_quick_again)
{
	begin(keeps);
	alert_say(alert, "one\n");
	settle();
	alert_say(alert, "two\n");
	ck_assert_uint_ge(settle(), APART - GATHER - 200);
	/* They followed each other closely, so the next is twice as far. */
	alert_say(alert, "three\n");
	ck_assert_uint_ge(settle(), APART);
	wait_ms(4 * APART + 200);
	alert_say(alert, "four\n");
	ck_assert_uint_lt(settle(), APART);
	ck_assert_str_eq(content("told"), "one\n--\ntwo\n--\nthree\n--\nfour\n--\n");
}
END_TEST

START_TEST(very_much_is_cut)
{
	char line[1001];
	const char *told;

	memset(line, 'x', sizeof line);
	line[999] = '\n';
	line[1000] = '\0';
	begin("cat >told");
	for (int i = 0; i < 100; i++)
		alert_say(alert, line);
	settle();
	told = content("told");
	ck_assert_uint_eq(strlen(told),
			  65000 + strlen("... and 35 more, which stand in the log\n"));
	ck_assert_ptr_nonnull(strstr(told, "\n... and 35 more, which stand in the log\n"));
}
END_TEST

/* Sends stderr to a file while it runs. */
static int divert(void)
{
	int kept = dup(STDERR_FILENO);
	int fd = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);

	dup2(fd, STDERR_FILENO);
	close(fd);
	return kept;
}

static void undivert(int kept)
{
	dup2(kept, STDERR_FILENO);
	close(kept);
}

static unsigned count(const char *text, const char *word)
{
	unsigned found = 0;

	for (; (text = strstr(text, word)); text++)
		found++;
	return found;
}

START_TEST(a_command_that_fails_is_told_once)
{
	int kept;

	begin("cat >>told; [ -e well ] || { echo no such user >&2; exit 67; }");
	alert_hurry(alert);
	kept = divert();
	for (int i = 0; i < 3; i++) {
		alert_say(alert, "box: it fails\n");
		settle();
	}
	undivert(kept);
	ck_assert_msg(count(content("log"), "\n") == 1, "%s", content("log"));
	ck_assert_ptr_nonnull(strstr(content("log"), "notify_command ended with exit code 67 (it "
						     "said: no such user)"));
	ck_assert_uint_eq(count(content("told"), "box"), 3);
	/* It works, and fails anew. */
	put("well", "", 0600);
	kept = divert();
	alert_say(alert, "box\n");
	settle();
	unlink("well");
	alert_say(alert, "box\n");
	settle();
	undivert(kept);
	ck_assert_msg(count(content("log"), "\n") == 2, "%s", content("log"));
}
END_TEST

START_TEST(a_command_that_is_not_there)
{
	const char *const argv[] = {"/nonexistent/tell", NULL};
	int kept;

	begin(NULL);
	alert_command(alert, argv);
	alert_hurry(alert);
	kept = divert();
	for (int i = 0; i < 2; i++) {
		alert_say(alert, "box: it fails\n");
		settle();
	}
	undivert(kept);
	ck_assert_uint_eq(count(content("log"), "notify_command could not be started: No such"), 1);
	ck_assert_uint_eq(count(content("log"), "\n"), 1);
}
END_TEST

START_TEST(a_command_that_hangs_is_killed)
{
	uint64_t took;
	int kept;

	begin("sleep 60 & echo $$ >pid; wait");
	alert_hurry(alert);
	kept = divert();
	alert_say(alert, "box: it fails\n");
	took = settle();
	undivert(kept);
	ck_assert_uint_ge(took, 2000);
	ck_assert_uint_lt(took, 20000);
	ck_assert_ptr_nonnull(strstr(content("log"), "notify_command did not end within 2 s"));
	ck_assert_int_eq(kill((pid_t)strtol(content("pid"), NULL, 10), 0), -1);
}
END_TEST

START_TEST(who_leaves_takes_it_along)
{
	begin("echo $$ >pid; exec sleep 60");
	alert_hurry(alert);
	alert_say(alert, "box: it fails\n");
	alert_say(alert, "box: and more\n");
	while (!*content("pid"))
		wait_ms(10);
	alert_free(&alert);
	for (int i = 0; !kill((pid_t)strtol(content("pid"), NULL, 10), 0); i++) {
		ck_assert_int_lt(i, 500);
		usleep(10000);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("alert");
	TCase *tests = tcase_create("alert");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, what_comes_together_is_told_together);
	tcase_add_test(tests, nobody_is_told_without_a_command);
	tcase_add_test(tests, there_is_one_at_a_time);
	tcase_add_test(tests, a_storm_starts_a_few_commands);
	tcase_add_test(tests, a_pause_makes_it_quick_again);
	tcase_add_test(tests, very_much_is_cut);
	tcase_add_test(tests, a_command_that_fails_is_told_once);
	tcase_add_test(tests, a_command_that_is_not_there);
	tcase_add_test(tests, a_command_that_hangs_is_killed);
	tcase_add_test(tests, who_leaves_takes_it_along);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
