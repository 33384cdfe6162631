/* notify: real datagrams to a socket of ours. */
#include "io/notify.h"

#include "util/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FULL = 4096 };

static struct loop *loop;
static struct notify *notify;
static int manager;
static char path[64];

/* Begins with "@" for an abstract name. */
static void manage(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(sizeof at.sun_family + strlen(name));

	memcpy(at.sun_path, name, strlen(name));
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&at, len), 0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static const char *datagram(void)
{
	static char text[512];
	ssize_t got = recv(manager, text, sizeof text - 1, 0);

	if (got < 0)
		return "nothing";
	text[got] = '\0';
	return text;
}

static void setup(void)
{
	loop = loop_new(NULL);
	manager = -1;
	snprintf(path, sizeof path, "/tmp/mailhaul-notify-%ld", (long)getpid());
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void teardown(void)
{
	notify_free(&notify);
	ck_assert(loop_free(&loop));
	close(manager);
	unlink(path);
}

static void stop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void run_for(uint64_t milliseconds)
{
	struct loop_timer *timer = loop_timer_new(loop, stop, NULL);

	loop_timer_start(timer, milliseconds);
	loop_run(loop);
	loop_timer_free(&timer);
}

START_TEST(without_a_manager_nothing_is_said)
{
	static const char *const none[] = {NULL, "", "@", "relative", "vsock:2:1234"};

	if (none[_i])
		setenv("NOTIFY_SOCKET", none[_i], 1);
	setenv("WATCHDOG_USEC", "1000000", 1);
	notify = notify_new(loop);
	ck_assert_ptr_null(notify);
	ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
	notify_say(notify, "READY=%d", 1);
}
END_TEST

START_TEST(each_message_is_a_datagram)
{
	char *abstract = mem_printf("@mailhaul-notify-%ld", (long)getpid());

	manage(_i == 0 ? path : abstract);
	notify = notify_new(loop);
	ck_assert_ptr_nonnull(notify);
	notify_say(notify, "READY=1\nSTATUS=%d accounts, %s", 213, "209 listening");
	notify_say(notify, "STOPPING=1");
	ck_assert_str_eq(datagram(), "READY=1\nSTATUS=213 accounts, 209 listening");
	ck_assert_str_eq(datagram(), "STOPPING=1");
	ck_assert_str_eq(datagram(), "nothing");
	free(abstract);
}
END_TEST

START_TEST(children_do_not_speak_for_us)
{
	manage(path);
	setenv("WATCHDOG_USEC", "1000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify = notify_new(loop);
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
	ck_assert_ptr_null(getenv("WATCHDOG_PID"));
}
END_TEST

START_TEST(reloading_tells_the_time)
{
	unsigned long long usec = 0;
	struct timespec now;
	const char *text;

	manage(path);
	notify = notify_new(loop);
	notify_say(notify, _i == 0 ? "RELOADING=1\nSTATUS=reads anew" : "STATUS=x\nRELOADING=1");
	clock_gettime(CLOCK_MONOTONIC, &now);
	text = strstr(datagram(), "\nMONOTONIC_USEC=");
	ck_assert_ptr_nonnull(text);
	usec = strtoull(text + 16, NULL, 10);
	ck_assert_uint_le(usec / 1000000, (uint64_t)now.tv_sec);
	ck_assert_uint_ge(usec / 1000000 + 1, (uint64_t)now.tv_sec);
}
END_TEST

START_TEST(the_watchdog_hears_that_the_loop_turns)
{
	int heard = 0;

	manage(path);
	setenv("WATCHDOG_USEC", "200000", 1);
	if (_i == 1) {
		char *pid = mem_printf("%ld", (long)getpid());

		setenv("WATCHDOG_PID", pid, 1);
		free(pid);
	}
	notify = notify_new(loop);
	run_for(550);
	while (strcmp(datagram(), "WATCHDOG=1") == 0)
		heard++;
	ck_assert_int_ge(heard, 3);
	ck_assert_int_le(heard, 6);
}
END_TEST

START_TEST(a_watchdog_of_another_process_hears_nothing)
{
	static const char *const usec[] = {"200000", "", "-1", "soon", "0"};

	manage(path);
	setenv("WATCHDOG_USEC", usec[_i], 1);
	if (_i == 0)
		setenv("WATCHDOG_PID", "1", 1);
	notify = notify_new(loop);
	run_for(250);
	ck_assert_str_eq(datagram(), "nothing");
}
END_TEST

/* Neither blocks nor is anything lost, nor told in another order. */
START_TEST(a_manager_without_room_hears_it_later)
{
	int fillers = 0;

	manage(path);
	setenv("NOTIFY_SOCKET", path, 1);
	notify = notify_new(loop);
	for (int i = 0; i < FULL; i++)
		notify_say(notify, "X");
	notify_say(notify, "READY=1");
	ck_assert_str_eq(datagram(), "X");
	notify_say(notify, "STATUS=later");
	for (const char *text = datagram(); strcmp(text, "STATUS=later") != 0; text = datagram()) {
		if (strcmp(text, "nothing") == 0)
			run_for(50);
		else if (strcmp(text, "READY=1") == 0)
			fillers = -fillers;
		else
			fillers++;
	}
	ck_assert_int_eq(fillers, -(FULL - 1));
}
END_TEST

START_TEST(a_manager_that_is_gone_is_no_harm)
{
	manage(path);
	notify = notify_new(loop);
	close(manager);
	notify_say(notify, "READY=1");
	unlink(path);
	notify_say(notify, "READY=1");
	run_for(150);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("notify");
	TCase *tests = tcase_create("notify");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 30);
	tcase_add_loop_test(tests, without_a_manager_nothing_is_said, 0, 5);
	tcase_add_loop_test(tests, each_message_is_a_datagram, 0, 2);
	tcase_add_test(tests, children_do_not_speak_for_us);
	tcase_add_loop_test(tests, reloading_tells_the_time, 0, 2);
	tcase_add_loop_test(tests, the_watchdog_hears_that_the_loop_turns, 0, 2);
	tcase_add_loop_test(tests, a_watchdog_of_another_process_hears_nothing, 0, 5);
	tcase_add_test(tests, a_manager_without_room_hears_it_later);
	tcase_add_test(tests, a_manager_that_is_gone_is_no_harm);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
