/* network: a network of our own, where the machine allows one, and clocks of our own. */
#include "io/network.h"

#include <arpa/inet.h>
#include <check.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SETTLE_MS = 100, NEVER_MS = 3600000 };

static struct loop *loop;
static struct network *network;
static int changes;
static int resumes;
static bool free_then;

static void on_change(void *ctx, bool resumed)
{
	ck_assert_ptr_eq(ctx, &changes);
	changes += !resumed;
	resumes += resumed;
	if (free_then)
		network_free(&network);
}

static void setup(void)
{
	loop = loop_new(NULL);
	changes = resumes = 0;
	free_then = false;
}

static void teardown(void)
{
	network_free(&network);
	ck_assert(loop_free(&loop));
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

/* Until it is told of a change, or would have been. */
static void settle(void)
{
	run_for(SETTLE_MS + 300);
}

/* ---- clocks of our own ------------------------------------------------------------------------
 */

static uint64_t is_running;
static uint64_t is_boottime;

static uint64_t running(void)
{
	return is_running;
}

static uint64_t boottime(void)
{
	return is_boottime;
}

static void begin(uint64_t look_ms)
{
	const struct network_clock clock = {
	    .running = running, .boottime = boottime, .look_ms = look_ms, .settle_ms = SETTLE_MS};

	is_running = 1000000;
	is_boottime = 9000000; /* it has slept before */
	network = network_new_by(loop, &clock, on_change, &changes);
}

/* ---- a network of our own ---------------------------------------------------------------------
 */

static bool alone(void)
{
	struct ifreq lo = {.ifr_name = "lo"};
	int fd;
	int failed;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		fprintf(stderr, "network: skipped: no network namespaces here\n");
		return false;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	lo.ifr_flags = IFF_UP | IFF_RUNNING;
	failed = ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	if (failed)
		fprintf(stderr, "network: skipped: this network namespace stays down\n");
	return !failed;
}

/* 10.9.8.7, as a router's announcements renew it, or not any more. */
static void address(unsigned short type, unsigned short flags)
{
	struct {
		struct nlmsghdr header;
		struct ifaddrmsg address;
		struct rtattr attribute;
		struct in_addr local;
	} ask = {.header = {.nlmsg_len = sizeof ask,
			    .nlmsg_type = type,
			    .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags)},
		 .address = {.ifa_family = AF_INET,
			     .ifa_prefixlen = 24,
			     .ifa_index = if_nametoindex("lo")},
		 .attribute = {.rta_len = RTA_LENGTH(sizeof ask.local), .rta_type = IFA_LOCAL},
		 .local.s_addr = inet_addr("10.9.8.7")};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr err;
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	ck_assert_int_eq(send(fd, &ask, sizeof ask, 0), (int)sizeof ask);
	ck_assert_int_ge(recv(fd, &answer, sizeof answer, 0), (int)sizeof answer.header);
	ck_assert_int_eq(answer.err.error, 0);
	close(fd);
}

static void route(unsigned long what)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("192.0.2.0")};
	struct sockaddr_in mask = {.sin_family = AF_INET,
				   .sin_addr.s_addr = inet_addr("255.255.255.0")};
	char lo[] = "lo";
	struct rtentry entry = {.rt_flags = RTF_UP, .rt_dev = lo};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&entry.rt_dst, &to, sizeof to);
	memcpy(&entry.rt_genmask, &mask, sizeof mask);
	ck_assert_int_eq(ioctl(fd, what, &entry), 0);
	close(fd);
}

START_TEST(an_address_that_comes)
{
	uint64_t before;

	if (!alone())
		return;
	network = network_new(loop, on_change, &changes);
	run_for(NETWORK_SETTLE_MS + 200);
	ck_assert_int_eq(changes, 0);
	before = loop_now(loop);
	address(RTM_NEWADDR, NLM_F_CREATE);
	free_then = true;
	loop_run(loop);
	ck_assert_int_eq(changes, 1);
	ck_assert_int_eq(resumes, 0);
	ck_assert_uint_ge(loop_now(loop) - before, NETWORK_SETTLE_MS - 10);
}
END_TEST

START_TEST(an_address_that_is_renewed_counts_once)
{
	if (!alone())
		return;
	begin(NEVER_MS);
	address(RTM_NEWADDR, NLM_F_CREATE);
	settle();
	ck_assert_int_eq(changes, 1);
	address(RTM_NEWADDR, NLM_F_REPLACE);
	address(RTM_NEWADDR, NLM_F_REPLACE);
	settle();
	ck_assert_int_eq(changes, 1);
	address(RTM_DELADDR, 0);
	settle();
	ck_assert_int_eq(changes, 1);
	address(RTM_NEWADDR, NLM_F_CREATE);
	settle();
	ck_assert_int_eq(changes, 2);
}
END_TEST

START_TEST(a_route_that_comes)
{
	if (!alone())
		return;
	begin(NEVER_MS);
	route(SIOCADDRT);
	settle();
	ck_assert_int_eq(changes, 1);
	route(SIOCDELRT);
	settle();
	ck_assert_int_eq(changes, 1);
	for (int i = 0; i < 3; i++) {
		route(SIOCADDRT);
		route(SIOCDELRT);
	}
	settle();
	ck_assert_int_eq(changes, 2);
}
END_TEST

/* More than the kernel keeps for us: what was lost may have been a change. */
START_TEST(a_flood_of_changes_is_one)
{
	if (!alone())
		return;
	begin(NEVER_MS);
	for (int i = 0; i < 2000; i++) {
		route(SIOCADDRT);
		route(SIOCDELRT);
	}
	settle();
	ck_assert_int_eq(changes, 1);
	route(SIOCADDRT);
	settle();
	ck_assert_int_eq(changes, 2);
}
END_TEST

/* ---- a machine that sleeps --------------------------------------------------------------------
 */

static void pass(uint64_t run, uint64_t slept)
{
	is_running += run;
	is_boottime += run + slept;
	run_for(60);
}

START_TEST(a_machine_that_was_suspended)
{
	begin(10);
	pass(0, 0);
	pass(3600000, 0);
	pass(10, 4900);
	ck_assert_int_eq(resumes, 0);
	pass(10, 5100);
	ck_assert_int_eq(resumes, 1);
	pass(1000000, 0);
	ck_assert_int_eq(resumes, 1);
	pass(0, 86400000);
	ck_assert_int_eq(resumes, 2);
	is_boottime -= 50000000; /* cannot be, and harms nobody */
	run_for(60);
	ck_assert_int_eq(resumes, 2);
	free_then = true;
	pass(0, 6000);
	ck_assert_int_eq(resumes, 3);
	ck_assert_ptr_null(network);
	ck_assert_int_eq(changes, 0);
}
END_TEST

/* A network that comes back within one waking is told of as the waking. */
START_TEST(a_change_may_show_the_waking_first)
{
	if (!alone())
		return;
	begin(NEVER_MS);
	is_boottime += 6000;
	route(SIOCADDRT);
	settle();
	ck_assert_int_eq(changes, 0);
	ck_assert_int_eq(resumes, 1);
}
END_TEST

START_TEST(without_netlink_waking_is_noticed_all_the_same)
{
	struct rlimit before;
	struct rlimit none;

	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	begin(10);
	setrlimit(RLIMIT_NOFILE, &before);
	ck_assert_ptr_nonnull(network);
	pass(0, 6000);
	ck_assert_int_eq(resumes, 1);
}
END_TEST

/* The system's clocks do not look like a waking. */
START_TEST(nothing_happens)
{
	network = network_new(loop, on_change, &changes);
	run_for(100);
	ck_assert_int_eq(resumes, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("network");
	TCase *tests = tcase_create("network");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, an_address_that_comes);
	tcase_add_test(tests, an_address_that_is_renewed_counts_once);
	tcase_add_test(tests, a_route_that_comes);
	tcase_add_test(tests, a_flood_of_changes_is_one);
	tcase_add_test(tests, a_machine_that_was_suspended);
	tcase_add_test(tests, a_change_may_show_the_waking_first);
	tcase_add_test(tests, without_netlink_waking_is_noticed_all_the_same);
	tcase_add_test(tests, nothing_happens);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
