/* loop: order, one-shot timers, freeing things inside their own callbacks, workers, signals. */
#include "io/loop.h"

#include "util/buf.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct loop *loop;
static struct buf seen;
static struct loop_timer *timer;
static struct loop_signal *handle;

static void setup(void)
{
	loop = loop_new(NULL);
	ck_assert_ptr_nonnull(loop);
	seen = (struct buf){0};
}

static void teardown(void)
{
	loop_free(&loop);
	ck_assert_ptr_null(loop);
	buf_free(&seen);
}

/* Callbacks take a pointer to what may be written: a copy that lives as long as the test. */
static void *word(const char *text)
{
	static char words[16][16];
	static unsigned next;
	char *copy = words[next++ % 16];

	snprintf(copy, sizeof words[0], "%s", text);
	return copy;
}

static void note(void *ctx)
{
	buf_text(&seen, ctx);
}

static void defer_more(void *ctx)
{
	note(ctx);
	loop_defer(loop, note, word("3"));
}

START_TEST(deferred_calls_keep_their_order)
{
	loop_defer(loop, defer_more, word("1"));
	loop_defer(loop, note, word("2"));
	ck_assert_uint_eq(seen.len, 0);
	loop_run(loop);
	ck_assert_str_eq(buf_string(&seen), "123");
}
END_TEST

START_TEST(what_is_deferred_and_never_run_is_freed)
{
	loop_defer(loop, note, word("never"));
	loop_free(&loop);
	ck_assert_uint_eq(seen.len, 0);
}
END_TEST

static void defer_for_ever(void *ctx)
{
	loop_defer(loop, defer_for_ever, ctx);
}

static void stop(void *ctx)
{
	note(ctx);
	loop_stop(loop);
}

START_TEST(deferring_for_ever_starves_nothing)
{
	loop_defer(loop, defer_for_ever, NULL);
	timer = loop_timer_new(loop, stop, word("t"));
	loop_timer_start(timer, 5);
	loop_run(loop);
	ck_assert_str_eq(buf_string(&seen), "t");
	loop_timer_free(&timer);
}
END_TEST

static void free_timer(void *ctx)
{
	note(ctx);
	loop_timer_free(&timer);
	ck_assert_ptr_null(timer);
}

START_TEST(a_timer_fires_once_and_may_be_freed_in_its_callback)
{
	uint64_t begin = loop_now(loop);

	timer = loop_timer_new(loop, free_timer, word("x"));
	loop_timer_start(timer, 5000);
	loop_timer_start(timer, 20);
	loop_run(loop);
	ck_assert_str_eq(buf_string(&seen), "x");
	ck_assert_uint_ge(loop_now(loop) - begin, 19);
	ck_assert_uint_lt(loop_now(loop) - begin, 4000);
}
END_TEST

START_TEST(a_timer_counts_from_its_start_not_from_the_turn)
{
	uint64_t begin;

	timer = loop_timer_new(loop, free_timer, word("x"));
	usleep(60000);
	begin = loop_now(loop);
	loop_timer_start(timer, 50);
	loop_run(loop);
	ck_assert_uint_ge(loop_now(loop) - begin, 49);
}
END_TEST

/* It fires while there is something else to wait for, and only then. */
START_TEST(a_timer_in_the_background_keeps_no_loop_alive)
{
	struct loop_timer *behind = loop_timer_new(loop, note, word("b"));

	timer = loop_timer_new(loop, note, word("t"));
	loop_timer_background(behind);
	loop_timer_start(behind, 10);
	loop_run(loop);
	ck_assert_str_eq(buf_string(&seen), "");
	loop_timer_start(timer, 50);
	loop_timer_start(behind, 20);
	loop_run(loop);
	ck_assert_str_eq(buf_string(&seen), "bt");
	loop_timer_start(behind, 10000);
	loop_run(loop);
	loop_timer_free(&behind);
	loop_timer_free(&timer);
}
END_TEST

START_TEST(stopped_and_freed_timers_do_not_fire)
{
	struct loop_timer *other = loop_timer_new(loop, note, word("stopped"));

	timer = loop_timer_new(loop, note, word("freed"));
	loop_timer_start(timer, 1);
	loop_timer_start(other, 1);
	loop_timer_free(&timer);
	loop_timer_stop(other);
	loop_run(loop);
	ck_assert_uint_eq(seen.len, 0);
	loop_timer_free(&other);
	loop_timer_free(&other);
}
END_TEST

static void on_signal(void *ctx, int signum)
{
	note(ctx);
	ck_assert_int_eq(signum, SIGUSR1);
	loop_signal_free(&handle);
	loop_timer_free(&timer);
}

START_TEST(a_signal_is_told_on_the_loop)
{
	handle = loop_signal_new(loop, SIGUSR1, on_signal, word("s"));
	timer = loop_timer_new(loop, note, word("too late"));
	loop_timer_start(timer, 5000);
	raise(SIGUSR1);
	ck_assert_uint_eq(seen.len, 0);
	loop_run(loop);
	ck_assert_str_eq(buf_string(&seen), "s");
}
END_TEST

START_TEST(a_signal_does_not_keep_the_loop_alive)
{
	handle = loop_signal_new(loop, SIGUSR1, on_signal, word("s"));
	loop_run(loop);
	loop_signal_free(&handle);
}
END_TEST

START_TEST(sigpipe_is_ignored)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	close(ends[0]);
	ck_assert_int_eq(write(ends[1], "x", 1), -1);
	close(ends[1]);
}
END_TEST

struct job {
	pthread_t loop_thread;
	int worked;
	int done;
};

static void work(void *ctx)
{
	struct job *job = ctx;

	job->worked = !pthread_equal(pthread_self(), job->loop_thread);
}

static void done(void *ctx)
{
	struct job *job = ctx;

	job->done = job->worked && pthread_equal(pthread_self(), job->loop_thread);
}

START_TEST(work_runs_on_a_thread_and_done_on_the_loop)
{
	struct job job = {.loop_thread = pthread_self()};

	loop_work(loop, work, done, &job);
	loop_run(loop);
	ck_assert_int_eq(job.done, 1);
}
END_TEST

static void sleep_long(void *ctx)
{
	(void)ctx;
	sleep(6);
}

START_TEST(a_stuck_worker_does_not_hold_loop_free)
{
	uint64_t begin = loop_now(loop);
	struct loop *other = loop_new(NULL);

	loop_work(loop, sleep_long, note, word("never"));
	loop_free(&loop);
	ck_assert_uint_lt(loop_now(other) - begin, 4000);
	loop_free(&other);
}
END_TEST

START_TEST(without_descriptors_there_is_no_loop)
{
	struct rlimit none;
	struct err err;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &none), 0);
	none.rlim_cur = (rlim_t)dup(STDIN_FILENO);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_ptr_null(loop_new(&err));
	ck_assert_int_eq(err.kind, ERR_INTERNAL);
	ck_assert_ptr_nonnull(strstr(err.words, "cannot make an event loop: "));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tests = tcase_create("loop");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, deferred_calls_keep_their_order);
	tcase_add_test(tests, what_is_deferred_and_never_run_is_freed);
	tcase_add_test(tests, deferring_for_ever_starves_nothing);
	tcase_add_test(tests, a_timer_fires_once_and_may_be_freed_in_its_callback);
	tcase_add_test(tests, a_timer_counts_from_its_start_not_from_the_turn);
	tcase_add_test(tests, a_timer_in_the_background_keeps_no_loop_alive);
	tcase_add_test(tests, stopped_and_freed_timers_do_not_fire);
	tcase_add_test(tests, a_signal_is_told_on_the_loop);
	tcase_add_test(tests, a_signal_does_not_keep_the_loop_alive);
	tcase_add_test(tests, sigpipe_is_ignored);
	tcase_add_test(tests, work_runs_on_a_thread_and_done_on_the_loop);
	tcase_add_test(tests, a_stuck_worker_does_not_hold_loop_free);
	tcase_add_test(tests, without_descriptors_there_is_no_loop);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
