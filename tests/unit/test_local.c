/* local: real sockets; the clients are threads. */
#include "io/local.h"

#include "util/buf.h"
#include "util/mem.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 20000, CROWD = LOCAL_PEERS_MAX + 2 };

static char dir[64];
static char path[512];
static struct loop *loop;
static struct local *server;
static struct buf heard; /* lines with a bar behind each, and a dash for each peer that went */
static struct local_peer *last;
static void (*hook)(struct local_peer *peer, const char *line);
static int goners; /* the loop stops when so many have gone */

static void on_line(void *ctx, struct local_peer *peer, const char *line)
{
	ck_assert_ptr_eq(ctx, &heard);
	buf_printf(&heard, "%.40s|", line);
	last = peer;
	if (hook)
		hook(peer, line);
}

static void on_gone(void *ctx, struct local_peer *peer)
{
	ck_assert_ptr_eq(ctx, &heard);
	ck_assert_ptr_nonnull(peer);
	buf_text(&heard, "-");
	if (--goners <= 0)
		loop_stop(loop);
}

static const struct local_params params = {.on_line = on_line, .on_gone = on_gone, .ctx = &heard};

static void open_server(void)
{
	struct err err = {0};

	server = local_new(loop, path, &params, &err);
	ck_assert_msg(server != NULL, "%s", err.words);
}

static void setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/mailhaul-local-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/control.sock", dir);
	loop = loop_new(NULL);
	goners = 1;
}

static void teardown(void)
{
	char command[128];

	local_free(&server);
	ck_assert(loop_free(&loop));
	buf_free(&heard);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- clients ----------------------------------------------------------------------------------
 */

static struct local_client *join(void)
{
	struct err err;
	struct local_client *client = local_connect(path, &err);

	ck_assert_msg(client != NULL, "%s", err.words);
	return client;
}

static void tell(struct local_client *client, const char *line)
{
	struct err err;

	ck_assert_msg(local_tell(client, line, &err), "%s", err.words);
}

static void expect(struct local_client *client, const char *wanted)
{
	struct err err;
	char *line = local_hear(client, WAIT_MS, &err);

	if (wanted) {
		ck_assert_msg(line != NULL, "%s", err.words);
		ck_assert_str_eq(line, wanted);
	} else {
		ck_assert_ptr_null(line);
		ck_assert_msg(err.kind == ERR_NONE, "%s", err.words);
	}
	free(line);
}

/* Runs a client beside the loop, until the loop ends. */
static void run_with(void *(*client)(void *arg))
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, client, NULL), 0);
	loop_run(loop);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* What no honest client says. */
static int raw(const char *bytes, size_t len)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	while (len) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);

		if (sent < 0)
			break;
		bytes += sent;
		len -= (size_t)sent;
	}
	return fd;
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static void answer(struct local_peer *peer, const char *line)
{
	char *reply = mem_printf("you said \"%s\"", line);

	local_say(peer, reply);
	local_say(peer, "");
	free(reply);
	if (strcmp(line, "enough") == 0)
		local_end(peer);
}

static void *chat(void *arg)
{
	struct local_client *client = join();

	tell(client, "hello");
	expect(client, "you said \"hello\"");
	expect(client, "");
	tell(client, "\nenough\nnever taken");
	expect(client, "you said \"\"");
	expect(client, "");
	expect(client, "you said \"enough\"");
	expect(client, "");
	expect(client, NULL);
	local_close(&client);
	ck_assert_ptr_null(client);
	return arg;
}

START_TEST(lines_go_both_ways)
{
	hook = answer;
	open_server();
	run_with(chat);
	ck_assert_str_eq(buf_string(&heard), "hello||enough|-");
}
END_TEST

static void *leave(void *arg)
{
	int fd = raw("one\ntwo\nhalf of thr", 19);

	close(fd);
	return arg;
}

START_TEST(a_peer_that_goes_is_told_of)
{
	open_server();
	run_with(leave);
	ck_assert_str_eq(buf_string(&heard), "one|two|-");
}
END_TEST

static void expect_dropped(const char *bytes, size_t len)
{
	char some[16];
	int fd = raw(bytes, len);

	ck_assert_int_le(read(fd, some, sizeof some), 0);
	close(fd);
}

static void *say_nul(void *arg)
{
	expect_dropped("good\nwith\0zero\nmore\n", 20);
	return arg;
}

static void *say_without_end(void *arg)
{
	static char bytes[5 + LOCAL_LINE_MAX + 1] = "good\n";

	memset(bytes + 5, 'x', sizeof bytes - 5);
	expect_dropped(bytes, sizeof bytes);
	return arg;
}

START_TEST(who_sends_what_is_no_line_is_dropped)
{
	open_server();
	run_with(_i == 0 ? say_nul : say_without_end);
	ck_assert_str_eq(buf_string(&heard), "good|-");
}
END_TEST

static void *say_long(void *arg)
{
	struct local_client *client = join();
	char *line = mem_new(LOCAL_LINE_MAX + 1, 1);

	memset(line, 'y', LOCAL_LINE_MAX);
	tell(client, line);
	expect(client, line);
	free(line);
	local_close(&client);
	return arg;
}

START_TEST(the_longest_line_goes_whole)
{
	hook = local_say;
	open_server();
	run_with(say_long);
}
END_TEST

/* ---- peers that do not read -------------------------------------------------------------------
 */

enum { MUCH = 3 << 20, PIECE = 1000 };

static char piece[PIECE + 1];

static void say_much(struct local_peer *peer, const char *line)
{
	(void)line;
	memset(piece, 'z', PIECE);
	for (size_t said = 0; said < MUCH; said += PIECE)
		local_say(peer, piece);
	local_end(peer);
}

static void *hear_much(void *arg)
{
	struct local_client *client = join();

	tell(client, "go");
	sleep(1);
	for (size_t got = 0; got < MUCH; got += PIECE)
		expect(client, piece);
	expect(client, NULL);
	local_close(&client);
	return arg;
}

START_TEST(what_was_said_comes_before_the_end)
{
	hook = say_much;
	open_server();
	run_with(hear_much);
	ck_assert_str_eq(buf_string(&heard), "go|-");
}
END_TEST

static void say_too_much(struct local_peer *peer, const char *line)
{
	for (int i = 0; i < 5; i++)
		if (strcmp(line, "too") == 0)
			for (size_t said = 0; said < MUCH; said += PIECE)
				local_say(peer, piece);
}

static uint64_t begun;
static atomic_bool staying;

static void *hear_nothing(void *arg)
{
	int fd = raw(staying ? "go\n" : "too\nmore\n", staying ? 3 : 9);

	while (staying)
		usleep(10000);
	sleep(1);
	close(fd);
	return arg;
}

START_TEST(who_reads_nothing_is_dropped)
{
	memset(piece, 'z', PIECE);
	hook = say_too_much;
	open_server();
	run_with(hear_nothing);
	ck_assert_str_eq(buf_string(&heard), "too|-");
}
END_TEST

START_TEST(who_reads_nothing_has_no_end_for_ever)
{
	pthread_t thread;

	hook = say_much;
	staying = true;
	open_server();
	begun = loop_now(loop);
	ck_assert_int_eq(pthread_create(&thread, NULL, hear_nothing, NULL), 0);
	loop_run(loop);
	ck_assert_uint_ge(loop_now(loop) - begun, LOCAL_LINGER_MS - 10);
	ck_assert_uint_le(loop_now(loop) - begun, LOCAL_LINGER_MS + 6000);
	staying = false;
	pthread_join(thread, NULL);
}
END_TEST

/* ---- many peers -------------------------------------------------------------------------------
 */

static void greet(struct local_peer *peer, const char *line)
{
	local_say(peer, line);
}

static void *crowd(void *arg)
{
	struct local_client *clients[CROWD];
	struct err err;

	for (size_t i = 0; i < CROWD; i++) {
		clients[i] = join();
		tell(clients[i], "in");
	}
	for (size_t i = 0; i < LOCAL_PEERS_MAX; i++)
		expect(clients[i], "in");
	ck_assert_ptr_null(local_hear(clients[LOCAL_PEERS_MAX], 200, &err));
	ck_assert_int_eq(err.kind, ERR_TEMPORARY);
	local_close(&clients[0]);
	expect(clients[LOCAL_PEERS_MAX], "in");
	ck_assert_ptr_null(local_hear(clients[LOCAL_PEERS_MAX + 1], 200, &err));
	local_close(&clients[1]);
	expect(clients[LOCAL_PEERS_MAX + 1], "in");
	for (size_t i = 2; i < CROWD; i++)
		local_close(&clients[i]);
	return arg;
}

START_TEST(those_who_are_too_many_wait)
{
	hook = greet;
	goners = CROWD;
	open_server();
	run_with(crowd);
	ck_assert_uint_eq(heard.len, strlen("in|-") * CROWD);
}
END_TEST

/* ---- the end of the server --------------------------------------------------------------------
 */

static void free_server(struct local_peer *peer, const char *line)
{
	local_say(peer, line);
	local_free(&server);
	loop_stop(loop);
}

static void *see_it_end(void *arg)
{
	struct local_client *client = join();
	struct err err;
	char *line;

	tell(client, "bye\nmore");
	line = local_hear(client, WAIT_MS, &err);
	free(line);
	if (line)
		expect(client, NULL);
	sleep(1);
	ck_assert(!local_tell(client, "nobody", &err));
	ck_assert_int_eq(err.kind, ERR_TEMPORARY);
	local_close(&client);
	return arg;
}

START_TEST(the_server_may_end_inside_a_line)
{
	hook = free_server;
	open_server();
	run_with(see_it_end);
	ck_assert_str_eq(buf_string(&heard), "bye|");
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* ---- the socket's path ------------------------------------------------------------------------
 */

START_TEST(only_the_user_may_connect)
{
	struct stat st;
	mode_t before = umask(0);

	open_server();
	umask(before);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_int_eq(st.st_mode & 07777, 0600);
}
END_TEST

/* Gives 0 where the server hung up at once. */
static int be_a_stranger(void)
{
	char some[16];

	if (setgid(65534) || setuid(65534))
		return 2;
	return read(raw("let me in\n", 10), some, sizeof some) <= 0 ? 0 : 1;
}

static void *send_a_stranger(void *arg)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(be_a_stranger());
	waitpid(pid, &status, 0);
	ck_assert_int_eq(status, 0);
	return chat(arg);
}

/* Only root can play another user. */
START_TEST(strangers_are_turned_away_whatever_the_mode)
{
	if (geteuid() != 0) {
		fprintf(stderr, "local: skipped: only root can play another user\n");
		return;
	}
	open_server();
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	hook = answer;
	run_with(send_a_stranger);
	ck_assert_str_eq(buf_string(&heard), "hello||enough|-");
}
END_TEST

START_TEST(nobody_listens)
{
	struct err err = {.kind = ERR_INTERNAL};

	ck_assert_ptr_null(local_connect(path, &err));
	ck_assert_int_eq(err.kind, ERR_NONE);
}
END_TEST

/* As a process leaves it that is killed. */
static void leave_a_socket(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	close(fd);
}

START_TEST(a_socket_left_behind_is_replaced)
{
	struct err err = {.kind = ERR_INTERNAL};

	leave_a_socket();
	ck_assert_ptr_null(local_connect(path, &err));
	ck_assert_int_eq(err.kind, ERR_NONE);
	hook = answer;
	open_server();
	run_with(chat);
}
END_TEST

START_TEST(a_server_that_lives_is_not_replaced)
{
	struct err err = {0};

	open_server();
	ck_assert_ptr_null(local_new(loop, path, &params, &err));
	ck_assert_int_eq(err.kind, ERR_STATE);
	ck_assert_ptr_nonnull(strstr(err.words, "control.sock: Address already in use"));
	hook = answer;
	goners = 2; /* looking whether it lives is a short visit, too */
	run_with(chat);
}
END_TEST

START_TEST(a_file_is_not_replaced)
{
	struct err err = {0};

	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	ck_assert_ptr_null(local_new(loop, path, &params, &err));
	ck_assert_int_eq(err.kind, ERR_STATE);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(only_ones_own_socket_is_removed)
{
	open_server();
	ck_assert_int_eq(unlink(path), 0);
	leave_a_socket();
	local_free(&server);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_long_path)
{
	size_t len = (size_t)snprintf(path, sizeof path, "%s", dir);

	while (len < 300) {
		len += (size_t)snprintf(path + len, sizeof path - len, "/a-rather-long-directory");
		ck_assert_int_eq(mkdir(path, 0700), 0);
	}
	snprintf(path + len, sizeof path - len, "/control.sock");
	hook = answer;
	open_server();
	ck_assert_int_eq(access(path, F_OK), 0);
	run_with(chat);
	local_free(&server);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(paths_that_cannot_be)
{
	struct err err = {0};

	snprintf(path, sizeof path, "%s/missing/control.sock", dir);
	ck_assert_ptr_null(local_new(loop, path, &params, &err));
	ck_assert_int_eq(err.kind, ERR_STATE);
	ck_assert_ptr_nonnull(strstr(err.words, "missing/control.sock: No such file"));
	snprintf(path, sizeof path, "%s/%0150d", dir, 7);
	ck_assert_ptr_null(local_new(loop, path, &params, &err));
	ck_assert_ptr_nonnull(strstr(err.words, "is too long"));
	ck_assert_ptr_null(local_connect(path, &err));
	ck_assert_int_eq(err.kind, ERR_STATE);
}
END_TEST

static void add_tests(TCase *tests)
{
	tcase_add_test(tests, lines_go_both_ways);
	tcase_add_test(tests, a_peer_that_goes_is_told_of);
	tcase_add_loop_test(tests, who_sends_what_is_no_line_is_dropped, 0, 2);
	tcase_add_test(tests, the_longest_line_goes_whole);
	tcase_add_test(tests, what_was_said_comes_before_the_end);
	tcase_add_test(tests, who_reads_nothing_is_dropped);
	tcase_add_test(tests, who_reads_nothing_has_no_end_for_ever);
	tcase_add_test(tests, those_who_are_too_many_wait);
	tcase_add_test(tests, the_server_may_end_inside_a_line);
	tcase_add_test(tests, only_the_user_may_connect);
	tcase_add_test(tests, strangers_are_turned_away_whatever_the_mode);
	tcase_add_test(tests, nobody_listens);
	tcase_add_test(tests, a_socket_left_behind_is_replaced);
	tcase_add_test(tests, a_server_that_lives_is_not_replaced);
	tcase_add_test(tests, a_file_is_not_replaced);
	tcase_add_test(tests, only_ones_own_socket_is_removed);
	tcase_add_test(tests, a_long_path);
	tcase_add_test(tests, paths_that_cannot_be);
}

int main(void)
{
	Suite *suite = suite_create("local");
	TCase *tests = tcase_create("local");
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
