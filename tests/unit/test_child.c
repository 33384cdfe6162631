/* child: exits, signals, deadlines, input left unread, too much output, grandchildren. */
#include "io/child.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEGA = 1 << 20, BIG = 50 * MEGA };

static struct loop *loop;
static struct child *child;
static int ends;
static bool free_at_end;

static void on_end(void *ctx, struct child *which)
{
	ck_assert_ptr_eq(ctx, &ends);
	ck_assert_ptr_eq(which, child);
	ends++;
	if (free_at_end)
		child_free(&child);
}

static void setup(void)
{
	loop = loop_new(NULL);
	ends = 0;
}

static void teardown(void)
{
	child_free(&child);
	loop_free(&loop);
	/* No zombie stays. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

static struct child_params params(const char *const *argv)
{
	return (struct child_params){.argv = argv,
				     .input_fd = -1,
				     .deadline_ms = 20000,
				     .output_max = 65536,
				     .on_end = on_end,
				     .ctx = &ends};
}

static const struct child_end *run(const struct child_params *how)
{
	child = child_new(loop, how);
	ck_assert_int_eq(ends, 0);
	loop_run(loop);
	ck_assert_int_eq(ends, 1);
	return child ? child_end(child) : NULL;
}

/* The scripts are run by sh -c, which stands in argv like any program. */
static const struct child_end *run_script(const char *script, int input_fd, uint64_t deadline_ms)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct child_params how = params(argv);

	how.input_fd = input_fd;
	how.deadline_ms = deadline_ms;
	return run(&how);
}

static int file_of(size_t size)
{
	char path[] = "/tmp/mailhaul-child-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	char *piece = malloc(MEGA);

	ck_assert_int_ge(fd, 0);
	unlink(path);
	for (size_t done = 0; done < size;) {
		size_t part = size - done < MEGA ? size - done : MEGA;

		for (size_t i = 0; i < part; i++)
			piece[i] = (char)('a' + (done + i) % 23);
		ck_assert_int_eq(write(fd, piece, part), (ssize_t)part);
		done += part;
	}
	free(piece);
	return fd;
}

static const char *words(void)
{
	static char text[128];

	return child_describe(child, text, sizeof text);
}

static uint64_t began;

static void expect_time(uint64_t least, uint64_t most)
{
	uint64_t took = loop_now(loop) - began;

	ck_assert_uint_ge(took, least);
	ck_assert_uint_le(took, most);
}

START_TEST(exit_codes)
{
	const struct child_end *end = run_script("exit 67", -1, 20000);

	ck_assert(end->started);
	ck_assert_int_eq(end->exit_code, 67);
	ck_assert_int_eq(end->signal, 0);
	ck_assert(!end->timed_out);
	ck_assert_str_eq(words(), "ended with exit code 67");
}
END_TEST

START_TEST(signals)
{
	const struct child_end *end = run_script("kill -SEGV $$", -1, 20000);

	ck_assert_int_eq(end->exit_code, -1);
	ck_assert_int_eq(end->signal, SIGSEGV);
	ck_assert_ptr_nonnull(strstr(words(), "signal 11 (Segmentation fault)"));
}
END_TEST

START_TEST(output_and_stderr)
{
	run_script("printf 'se\\0cret'; echo trouble >&2", -1, 20000);
	ck_assert_uint_eq(child_output(child)->len, 7);
	ck_assert_mem_eq(child_output(child)->data, "se\0cret", 7);
	ck_assert_str_eq(buf_string(child_stderr(child)), "trouble\n");
}
END_TEST

START_TEST(arguments_go_as_they_stand)
{
	const char *argv[] = {"printf", "%s|", "$(id) `id` ; a'b\"", "", "*", NULL};
	struct child_params how = params(argv);

	run(&how);
	ck_assert_str_eq(buf_string(child_output(child)), "$(id) `id` ; a'b\"||*|");
}
END_TEST

START_TEST(a_program_that_is_not_there)
{
	static const struct {
		const char *program;
		int sys;
		int exit_code;
	} programs[] = {{"/nonexistent/mda", ENOENT, 127},
			{"no-such-program-anywhere", ENOENT, 127},
			{"/etc/passwd", EACCES, 126},
			{"/", EACCES, 126},
			{"/etc/passwd/x", ENOTDIR, 127}};
	const char *argv[] = {programs[_i].program, NULL};
	struct child_params how = params(argv);
	const struct child_end *end;

	how.input_fd = file_of(10);
	end = run(&how);
	ck_assert(!end->started);
	ck_assert_int_eq(end->sys, programs[_i].sys);
	ck_assert_int_eq(end->exit_code, programs[_i].exit_code);
	ck_assert_uint_eq(end->input_left, 10);
	ck_assert_ptr_nonnull(strstr(words(), "could not be started: "));
	close(how.input_fd);
}
END_TEST

/* A script without #! would be given to a shell by execvp(). */
START_TEST(no_shell_guesses_what_a_file_is)
{
	char path[] = "/tmp/mailhaul-child-XXXXXX";
	int fd = mkstemp(path);
	const char *argv[] = {path, NULL};
	struct child_params how = params(argv);
	const struct child_end *end;

	ck_assert_int_eq(write(fd, "exit 0\n", 7), 7);
	fchmod(fd, 0700);
	close(fd);
	end = run(&how);
	unlink(path);
	ck_assert(!end->started);
	ck_assert_int_eq(end->sys, ENOEXEC);
	ck_assert_int_eq(end->exit_code, 126);
}
END_TEST

START_TEST(no_program_at_all)
{
	const char *argv[] = {NULL};
	struct child_params how = params(argv);

	ck_assert_int_eq(run(&how)->sys, ENOENT);
}
END_TEST

/* So many descriptors are left as a pipe after the other would need. */
START_TEST(no_descriptors_for_its_pipes)
{
	const char *argv[] = {"true", NULL};
	struct child_params how = params(argv);
	const struct child_end *end;
	struct rlimit few;

	how.input_fd = _i % 2 ? file_of(10) : -1;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &few), 0);
	few.rlim_cur = (rlim_t)dup(STDIN_FILENO) + (rlim_t)_i;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	end = run(&how);
	ck_assert(!end->started);
	ck_assert_int_eq(end->sys, EMFILE);
	ck_assert_int_eq(end->exit_code, 75);
}
END_TEST

START_TEST(input_that_is_no_file_starts_nothing)
{
	const char *argv[] = {"true", NULL};
	struct child_params how = params(argv);

	how.input_fd = 999;
	ck_assert_int_eq(run(&how)->sys, EBADF);
}
END_TEST

/* Whoever closed the standard descriptors gets pipes in their place, which must not be covered. */
START_TEST(without_standard_descriptors)
{
	int input = file_of(100);
	int kept[3];
	const struct child_end *end;

	for (int fd = 0; fd < 3; fd++) {
		kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
		close(fd);
	}
	end = run_script("cat; echo behind >&2", input, 20000);
	for (int fd = 0; fd < 3; fd++)
		dup2(kept[fd], fd);
	ck_assert_int_eq(end->exit_code, 0);
	ck_assert_uint_eq(child_output(child)->len, 100);
	ck_assert_str_eq(buf_string(child_stderr(child)), "behind\n");
	close(input);
}
END_TEST

START_TEST(input_is_fed_whole)
{
	static const struct {
		size_t size;
		const char *says;
	} sizes[] = {
	    {0, "0\n"}, {1, "1\n"}, {65536, "65536\n"}, {65537, "65537\n"}, {BIG, "52428800\n"}};
	int fd = file_of(sizes[_i].size);
	const struct child_end *end;

	/* Where the file stands does not matter. */
	lseek(fd, 3, SEEK_SET);
	end = run_script("wc -c", fd, 20000);
	ck_assert_int_eq(end->exit_code, 0);
	ck_assert_uint_eq(end->input_left, 0);
	ck_assert_str_eq(buf_string(child_output(child)), sizes[_i].says);
	close(fd);
}
END_TEST

START_TEST(input_keeps_its_octets)
{
	int fd = file_of(300000);
	const char *argv[] = {"cat", NULL};
	struct child_params how = params(argv);

	how.input_fd = fd;
	how.output_max = 400000;
	run(&how);
	ck_assert_uint_eq(child_output(child)->len, 300000);
	for (size_t i = 0; i < 300000; i++)
		if (child_output(child)->data[i] != 'a' + i % 23)
			ck_abort_msg("octet %zu is wrong", i);
	close(fd);
}
END_TEST

START_TEST(stdin_is_empty_without_input)
{
	run_script("wc -c; readlink /proc/self/fd/0 >&2", -1, 20000);
	ck_assert_str_eq(buf_string(child_output(child)), "0\n");
	ck_assert_str_eq(buf_string(child_stderr(child)), "/dev/null\n");
}
END_TEST

START_TEST(input_left_unread_is_counted)
{
	static const struct {
		size_t size;
		const char *script;
		size_t left;
	} cases[] = {
	    {5000, "exit 0", 5000},
	    {BIG, "exit 0", BIG},
	    {5000, "dd bs=1000 count=2 of=/dev/null 2>/dev/null", 3000},
	    {BIG, "dd bs=1000 count=2 of=/dev/null 2>/dev/null", BIG - 2000},
	    {5000, "dd bs=1 count=4999 of=/dev/null 2>/dev/null", 1},
	    {BIG, "exec <&-; sleep 0.2", BIG},
	};
	int fd = file_of(cases[_i].size);
	const struct child_end *end = run_script(cases[_i].script, fd, 20000);

	ck_assert_int_eq(end->exit_code, 0);
	ck_assert_uint_eq(end->input_left, cases[_i].left);
	close(fd);
}
END_TEST

START_TEST(input_that_cannot_be_read_kills_it)
{
	int fd = file_of(BIG);
	const char *argv[] = {"sh", "-c", "sleep 0.3; cat >/dev/null", NULL};
	struct child_params how = params(argv);
	const struct child_end *end;

	how.input_fd = fd;
	child = child_new(loop, &how);
	ck_assert_int_eq(ftruncate(fd, 100), 0);
	loop_run(loop);
	end = child_end(child);
	ck_assert(end->started);
	ck_assert_int_eq(end->signal, SIGKILL);
	ck_assert_int_eq(end->sys, EIO);
	ck_assert_uint_gt(end->input_left, 0);
	ck_assert_ptr_nonnull(strstr(words(), "input could not be read"));
	close(fd);
}
END_TEST

START_TEST(input_that_cannot_be_read_at_all_starts_nothing)
{
	char path[64];
	const char *argv[] = {"true", NULL};
	struct child_params how = params(argv);
	int fd = file_of(100);

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	how.input_fd = open(path, O_WRONLY | O_CLOEXEC);
	child = child_new(loop, &how);
	loop_run(loop);
	ck_assert(!child_end(child)->started);
	ck_assert_int_eq(child_end(child)->exit_code, 75);
	ck_assert_ptr_nonnull(
	    strstr(words(), "was not started, because its input could not be read"));
	close(how.input_fd);
	close(fd);
}
END_TEST

/* The grandchild is in the group too: if it lived, the pipes would stay open. */
START_TEST(the_deadline_kills_the_group)
{
	const struct child_end *end;

	began = loop_now(loop);
	end = run_script("trap '' TERM HUP INT; sleep 30 & sleep 30", -1, 300);
	ck_assert(end->timed_out);
	ck_assert_int_eq(end->signal, SIGKILL);
	ck_assert_str_eq(words(), "did not end within 0.3 s");
	expect_time(295, 900);
}
END_TEST

START_TEST(the_deadline_of_one_that_does_not_read)
{
	int fd = file_of(BIG);
	const struct child_end *end;

	began = loop_now(loop);
	end = run_script("sleep 30", fd, 300);
	ck_assert(end->timed_out);
	ck_assert_uint_eq(end->input_left, BIG);
	expect_time(295, 900);
	close(fd);
}
END_TEST

START_TEST(too_much_output_is_dropped)
{
	const char *argv[] = {"sh", "-c", "head -c 20000000 /dev/zero; exit 3", NULL};
	struct child_params how = params(argv);
	const struct child_end *end;

	how.output_max = 1000;
	end = run(&how);
	ck_assert_int_eq(end->exit_code, 3);
	ck_assert(!end->too_much);
	ck_assert_uint_eq(child_output(child)->len, 1000);
}
END_TEST

START_TEST(too_much_output_kills_where_strict)
{
	const char *argv[] = {"cat", "/dev/zero", NULL};
	struct child_params how = params(argv);
	const struct child_end *end;

	how.output_max = 1000;
	how.output_strict = true;
	end = run(&how);
	ck_assert(end->too_much);
	ck_assert(!end->timed_out);
	ck_assert_int_eq(end->signal, SIGKILL);
	ck_assert_uint_eq(child_output(child)->len, 1000);
	ck_assert_str_eq(words(), "printed more than 1000 octets");
}
END_TEST

START_TEST(exactly_the_most_is_not_too_much)
{
	const char *argv[] = {"head", "-c", "1000", "/dev/zero", NULL};
	struct child_params how = params(argv);
	const struct child_end *end;

	how.output_max = 1000;
	how.output_strict = true;
	end = run(&how);
	ck_assert(!end->too_much);
	ck_assert_int_eq(end->exit_code, 0);
	ck_assert_uint_eq(child_output(child)->len, 1000);
}
END_TEST

START_TEST(the_last_of_stderr_is_kept)
{
	run_script("seq 1 100000 >&2", -1, 20000);
	ck_assert_uint_eq(child_stderr(child)->len, 2048);
	ck_assert_mem_eq(child_stderr(child)->data + 2048 - 13, "99999\n100000\n", 13);
}
END_TEST

START_TEST(a_grandchild_that_holds_the_pipes_delays_by_a_second)
{
	const struct child_end *end;
	pid_t left;

	began = loop_now(loop);
	end = run_script("sleep 30 & echo $!; exit 5", -1, 20000);
	ck_assert_int_eq(end->exit_code, 5);
	expect_time(900, 2500);
	/* It is left alive. */
	left = (pid_t)strtol(buf_string(child_output(child)), NULL, 10);
	ck_assert_int_gt(left, 1);
	ck_assert_int_eq(kill(left, 0), 0);
	child_free(&child);
	ck_assert_int_eq(kill(left, 0), 0);
	kill(left, SIGKILL);
}
END_TEST

START_TEST(it_may_be_freed_in_on_end)
{
	free_at_end = true;
	run_script("exit 0", -1, 20000);
	ck_assert_ptr_null(child);
}
END_TEST

static void free_now(void *ctx)
{
	(void)ctx;
	child_free(&child);
}

START_TEST(free_kills_and_silences)
{
	const char *argv[] = {"sh", "-c", "sleep 30 & sleep 30", NULL};
	struct child_params how = params(argv);
	struct loop_timer *timer = loop_timer_new(loop, free_now, NULL);

	how.input_fd = file_of(BIG);
	began = loop_now(loop);
	child = child_new(loop, &how);
	loop_timer_start(timer, 100);
	loop_run(loop);
	ck_assert_int_eq(ends, 0);
	expect_time(95, 900);
	loop_timer_free(&timer);
	close(how.input_fd);
	for (int i = 0; i < 100 && waitpid(-1, NULL, WNOHANG) == 0; i++)
		usleep(10000);
}
END_TEST

/* A child must never take half of its input for the whole, whatever becomes of us. */
START_TEST(input_comes_whole_though_we_die)
{
	static const size_t sizes[] = {30000, 300000, (size_t)3 * MEGA};
	char path[] = "/tmp/mailhaul-child-XXXXXX";
	int out = mkostemp(path, O_CLOEXEC);
	int input = file_of(sizes[_i]);
	struct stat st = {0};
	char script[128];
	pid_t us;

	snprintf(script, sizeof script, "sleep 0.2; cat > %s", path);
	us = fork();
	if (us == 0) {
		const char *argv[] = {"sh", "-c", script, NULL};
		struct child_params how = params(argv);

		how.input_fd = input;
		child = child_new(loop, &how);
		_exit(child ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(us, NULL, 0), us);
	for (int i = 0; i < 100 && (size_t)st.st_size < sizes[_i]; i++) {
		usleep(50000);
		ck_assert_int_eq(fstat(out, &st), 0);
	}
	ck_assert_uint_eq((size_t)st.st_size, sizes[_i]);
	unlink(path);
	close(out);
	close(input);
}
END_TEST

START_TEST(it_begins_clean)
{
	int fd = open("/dev/null", O_RDONLY); /* not O_CLOEXEC */
	sigset_t set;

	ck_assert_int_ge(fd, 0);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	run_script(
	    "ls /proc/self/fd | tr '\\n' ' '; awk '{ print $1 == $5, $5 == $6 }' /proc/$$/stat; "
	    "sed -n 's/^Sig\\(Blk\\|Ign\\):.*\\(.......\\)$/\\1 \\2/p' /proc/self/status",
	    -1, 20000);
	/* 3 is the directory that ls reads. The C library ignores signals of its own (above 31). */
	ck_assert_str_eq(buf_string(child_output(child)),
			 "0 1 2 3 1 1\nBlk 0000000\nIgn 0000000\n");
	close(fd);
}
END_TEST

static struct child *many[20];
static int many_ends;

static void on_end_of_many(void *ctx, struct child *which)
{
	struct child **slot = ctx;

	ck_assert_ptr_eq(which, *slot);
	ck_assert_int_eq(child_end(which)->exit_code, (int)(slot - many));
	ck_assert_uint_eq(child_end(which)->input_left, 0);
	many_ends++;
	child_free(slot);
}

/* Each with a file of its own: its offset belongs to the child. */
START_TEST(many_at_once)
{
	char script[20][64];
	int files[20];

	for (int i = 0; i < 20; i++) {
		const char *argv[] = {"sh", "-c", script[i], NULL};
		struct child_params how = params(argv);

		snprintf(script[i], sizeof script[i], "cat >/dev/null; exit %d", i);
		how.input_fd = files[i] = file_of(200000);
		how.on_end = on_end_of_many;
		how.ctx = &many[i];
		many[i] = child_new(loop, &how);
	}
	loop_run(loop);
	ck_assert_int_eq(many_ends, 20);
	for (int i = 0; i < 20; i++)
		close(files[i]);
}
END_TEST

static void add_tests(TCase *tests)
{
	tcase_add_test(tests, exit_codes);
	tcase_add_test(tests, signals);
	tcase_add_test(tests, output_and_stderr);
	tcase_add_test(tests, arguments_go_as_they_stand);
	tcase_add_loop_test(tests, a_program_that_is_not_there, 0, 5);
	tcase_add_test(tests, no_shell_guesses_what_a_file_is);
	tcase_add_test(tests, no_program_at_all);
	tcase_add_loop_test(tests, no_descriptors_for_its_pipes, 0, 5);
	tcase_add_test(tests, input_that_is_no_file_starts_nothing);
	tcase_add_test(tests, without_standard_descriptors);
	tcase_add_loop_test(tests, input_is_fed_whole, 0, 5);
	tcase_add_test(tests, input_keeps_its_octets);
	tcase_add_test(tests, stdin_is_empty_without_input);
	tcase_add_loop_test(tests, input_left_unread_is_counted, 0, 6);
	tcase_add_test(tests, input_that_cannot_be_read_kills_it);
	tcase_add_test(tests, input_that_cannot_be_read_at_all_starts_nothing);
	tcase_add_test(tests, the_deadline_kills_the_group);
	tcase_add_test(tests, the_deadline_of_one_that_does_not_read);
	tcase_add_test(tests, too_much_output_is_dropped);
	tcase_add_test(tests, too_much_output_kills_where_strict);
	tcase_add_test(tests, exactly_the_most_is_not_too_much);
	tcase_add_test(tests, the_last_of_stderr_is_kept);
	tcase_add_test(tests, a_grandchild_that_holds_the_pipes_delays_by_a_second);
	tcase_add_test(tests, it_may_be_freed_in_on_end);
	tcase_add_test(tests, free_kills_and_silences);
	tcase_add_loop_test(tests, input_comes_whole_though_we_die, 0, 3);
	tcase_add_test(tests, it_begins_clean);
	tcase_add_test(tests, many_at_once);
}

int main(void)
{
	Suite *suite = suite_create("child");
	TCase *tests = tcase_create("child");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	add_tests(tests);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
