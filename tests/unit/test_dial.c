/* dial: addresses that cannot be tried, and a name server that does not answer. What a connection
 * makes of it stands in test_conn. */
#include "io/dial.h"

#include "io/loop.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

static struct loop *loop;
static struct dial *dial;
static struct err why;
static char peer[DIAL_PEER_MAX];
static int calls;

static void closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_done(void *ctx, uv_tcp_t *tcp, const char *address, const struct err *err)
{
	(void)ctx;
	calls++;
	snprintf(peer, sizeof peer, "%s", address);
	if (tcp)
		uv_close((uv_handle_t *)tcp, closed);
	else
		why = *err;
	dial_free(&dial);
}

static void try_host(const char *host, uint16_t port, uint64_t connect_ms)
{
	dial = dial_new(
	    loop, &(struct dial_params){
		      .host = host, .port = port, .connect_ms = connect_ms, .on_done = on_done});
	loop_run(loop);
	ck_assert_int_eq(calls, 1);
}

static void setup(void)
{
	loop = loop_new(NULL);
}

static void teardown(void)
{
	loop_free(&loop);
}

/* Connecting fails at once, before anything is waited for. */
START_TEST(an_address_that_cannot_be_tried)
{
	try_host("255.255.255.255", 1, 5000);
	ck_assert_int_eq(why.kind, ERR_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(why.words, "255.255.255.255:1: "));
	ck_assert_int_ne(why.sys, 0);
}
END_TEST

START_TEST(no_descriptor_is_left)
{
	struct rlimit none;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &none), 0);
	none.rlim_cur = (rlim_t)dup(STDIN_FILENO);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	try_host("127.0.0.1", 1, 5000);
	ck_assert_int_eq(why.sys, EMFILE);
}
END_TEST

START_TEST(an_address_of_ipv6)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char expected[DIAL_PEER_MAX];
	bool there = fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof at) && !listen(fd, 1) &&
		     !getsockname(fd, (struct sockaddr *)&at, &len);

	try_host("::1", there ? ntohs(at.sin6_port) : 1, 5000);
	snprintf(expected, sizeof expected, "[::1]:%u", there ? ntohs(at.sin6_port) : 1);
	if (there)
		ck_assert_str_eq(peer, expected);
	else
		ck_assert_ptr_nonnull(strstr(why.words, expected)); /* a machine without IPv6 */
	if (fd >= 0)
		close(fd);
}
END_TEST

static void be_busy(void *ctx)
{
	(void)ctx;
	usleep(600000);
}

static void nothing(void *ctx)
{
	(void)ctx;
}

/* As a name server that does not answer: all that could ask it is busy. */
START_TEST(a_name_that_nobody_answers)
{
	for (int i = 0; i < 16; i++)
		loop_work(loop, be_busy, nothing, NULL);
	dial = dial_new(
	    loop, &(struct dial_params){
		      .host = "nowhere.invalid", .port = 1, .connect_ms = 200, .on_done = on_done});
	while (!calls)
		uv_run(loop_uv(loop), UV_RUN_ONCE);
	ck_assert_int_eq(why.kind, ERR_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(why.words, "no answer within 0.2 s"));
	loop_run(loop);
	ck_assert_int_eq(calls, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dial");
	TCase *tests = tcase_create("dial");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, an_address_that_cannot_be_tried);
	tcase_add_test(tests, no_descriptor_is_left);
	tcase_add_test(tests, an_address_of_ipv6);
	tcase_add_test(tests, a_name_that_nobody_answers);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
