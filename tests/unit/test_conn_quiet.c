/* conn: a connection that listens for days, handed from owner to owner, and what it costs. */
#include "io/conn.h"

#include "tls_lab.h"

#include <dirent.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Below what design and memory of thousands of listeners are reckoned with. */
enum { MANY = 100, HEAP_MAX = 12 * 1024 };

static struct lab lab;
static struct lab_cert cert;
static struct tls_trust *trust;
static struct loop *loop;

/* ---- the peer: a process of its own, so that its heap is not ours
 * --------------------------------
 */

static struct {
	int listening;
	uint16_t port;
	pid_t pid;
	int orders[2]; /* each octet written here has every connection say a line */
} peer;

static gnutls_session_t welcome(int fd)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session = lab_server(&cert, NULL, &credentials);
	int status;

	gnutls_transport_set_int(session, fd);
	do
		status = gnutls_handshake(session);
	while (status < 0 && !gnutls_error_is_fatal(status));
	gnutls_record_send(session, "* OK hello\r\n", 12);
	return session;
}

static void serve(int count)
{
	gnutls_session_t sessions[MANY];
	char order;

	for (int i = 0; i < count; i++)
		sessions[i] = welcome(accept(peer.listening, NULL, NULL));
	while (read(peer.orders[0], &order, 1) == 1)
		for (int i = 0; i < count; i++)
			gnutls_record_send(sessions[i], "* 1 EXISTS\r\n", 12);
	_exit(0);
}

static void peer_open(int count)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	socklen_t len = sizeof at;

	peer.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(peer.listening, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(peer.listening, MANY), 0);
	getsockname(peer.listening, (struct sockaddr *)&at, &len);
	peer.port = ntohs(at.sin_port);
	ck_assert_int_eq(pipe(peer.orders), 0);
	peer.pid = fork();
	if (peer.pid == 0) {
		close(peer.orders[1]);
		serve(count);
	}
	close(peer.orders[0]);
}

static void peer_speaks(void *ctx)
{
	(void)ctx;
	ck_assert_int_eq(write(peer.orders[1], "x", 1), 1);
}

/* ---- our side ---------------------------------------------------------------------------------
 */

static struct conn *conns[MANY];
static int opened;
static int heard;  /* lines, by the first owner */
static int heirs;  /* lines, by the second */
static int wanted; /* the loop stops when so many lines were heard */
static struct err failure;

static void on_line(struct conn **conn, int *count, enum conn_what what, const struct err *err)
{
	struct buf *in = conn_in(*conn);

	if (what == CONN_FAILED) {
		failure = *err;
		conn_free(conn);
		loop_stop(loop);
		return;
	}
	while (in->len >= 12) {
		buf_consume(in, 12);
		++*count;
	}
	conn_rest(*conn);
	if (heard + heirs == wanted)
		loop_stop(loop);
}

static void on_event(void *ctx, enum conn_what what, const struct err *err)
{
	on_line(ctx, &heard, what, err);
}

static void on_heir(void *ctx, enum conn_what what, const struct err *err)
{
	on_line(ctx, &heirs, what, err);
}

static void open_one(const char *const *pins, uint64_t silence_ms)
{
	struct conn **conn = &conns[opened++];
	struct conn_params params = {.host = "127.0.0.1",
				     .port = peer.port,
				     .implicit = true,
				     .tls = {.trust = trust, .name = "mail.test", .pins = pins},
				     .connect_ms = 1000,
				     .handshake_ms = 5000,
				     .silence_ms = silence_ms,
				     .on = on_event,
				     .ctx = conn};

	*conn = conn_new(loop, &params);
	wanted = opened;
	loop_run(loop);
	ck_assert_int_eq(heard, opened);
}

static void setup(void)
{
	lab_open(&lab);
	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, &cert);
	trust = tls_trust_new(lab.ca_file, NULL);
	loop = loop_new(NULL);
}

static void teardown(void)
{
	for (int i = 0; i < opened; i++)
		conn_free(&conns[i]);
	loop_free(&loop);
	close(peer.orders[1]);
	close(peer.listening);
	kill(peer.pid, SIGKILL);
	waitpid(peer.pid, NULL, 0);
	tls_trust_free(&trust);
	lab_cert_free(&cert);
	lab_close(&lab);
}

static void in_a_while(uint64_t milliseconds, void (*what)(void *ctx))
{
	static struct loop_timer *timers[4];
	static int next;

	timers[next] = loop_timer_new(loop, what, NULL);
	loop_timer_start(timers[next++], milliseconds);
}

static void stop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

/* ---- patience ---------------------------------------------------------------------------------
 */

START_TEST(patience_bears_silence)
{
	peer_open(1);
	open_one(NULL, 200);
	conn_patience(conns[0], _i == 0 ? 0 : 60000);
	in_a_while(600, peer_speaks);
	wanted = 2;
	loop_run(loop);
	ck_assert_int_eq(heard, 2);
	ck_assert_int_eq(failure.kind, ERR_NONE);
}
END_TEST

/* A shorter time counts from when it is said, though the longer one was running. */
START_TEST(patience_has_an_end)
{
	uint64_t begin;

	peer_open(1);
	open_one(NULL, 60000);
	if (_i == 1)
		conn_patience(conns[0], 0);
	begin = loop_now(loop);
	conn_patience(conns[0], 300);
	loop_run(loop);
	ck_assert_int_eq(failure.kind, ERR_TEMPORARY);
	ck_assert_ptr_nonnull(strstr(failure.words, "was silent for 0.3 s"));
	ck_assert_uint_ge(loop_now(loop) - begin, 295);
	ck_assert_uint_le(loop_now(loop) - begin, 3000);
}
END_TEST

static int socket_of(const struct conn *conn)
{
	DIR *dir = opendir("/proc/self/fd");
	char shown[64];
	int found = -1;

	for (struct dirent *entry; found < 0 && (entry = readdir(dir)) != NULL;) {
		struct sockaddr_in at = {0};
		socklen_t len = sizeof at;
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (getpeername(fd, (struct sockaddr *)&at, &len))
			continue;
		snprintf(shown, sizeof shown, "127.0.0.1:%u", ntohs(at.sin_port));
		if (strcmp(shown, conn_peer(conn)) == 0)
			found = fd;
	}
	closedir(dir);
	return found;
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	getsockopt(fd, level, name, &value, &len);
	return value;
}

START_TEST(a_vanished_peer_is_noticed_by_the_system)
{
	int fd;

	peer_open(1);
	open_one(NULL, 0);
	fd = socket_of(conns[0]);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 120);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 30);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 180000);
}
END_TEST

/* ---- owners -----------------------------------------------------------------------------------
 */

START_TEST(another_owner_hears_what_comes_later)
{
	peer_open(1);
	open_one(NULL, 2000);
	conn_direct(conns[0], on_heir, &conns[0]);
	in_a_while(1, peer_speaks);
	wanted = 2;
	loop_run(loop);
	ck_assert_int_eq(heard, 1);
	ck_assert_int_eq(heirs, 1);
	in_a_while(5000, stop);
	loop_run(loop);
	ck_assert_int_eq(failure.kind, ERR_TEMPORARY);
	ck_assert_ptr_null(conns[0]);
}
END_TEST

/* ---- memory -----------------------------------------------------------------------------------
 */

static void open_many(const char *const *pins)
{
	peer_open(MANY);
	for (int i = 0; i < MANY; i++)
		open_one(pins, 0);
}

/* The first connections also pay for what all share. */
START_TEST(a_resting_connection_is_small)
{
	const char *const pins[] = {cert.pin, NULL};
	size_t few;
	size_t each;

	peer_open(MANY);
	for (int i = 0; i < MANY / 10; i++)
		open_one(_i == 1 ? pins : NULL, 0);
	few = mallinfo2().uordblks;
	while (opened < MANY)
		open_one(_i == 1 ? pins : NULL, 0);
	each = (mallinfo2().uordblks - few) / (MANY - MANY / 10);
	ck_assert_uint_le(each, HEAP_MAX);
}
END_TEST

START_TEST(a_resting_connection_goes_on)
{
	open_many(NULL);
	for (int i = 0; i < MANY; i++)
		conn_rest(conns[i]);
	in_a_while(1, peer_speaks);
	wanted = 2 * MANY;
	loop_run(loop);
	ck_assert_int_eq(heard, wanted);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conn_quiet");
	TCase *tests = tcase_create("conn_quiet");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, patience_bears_silence, 0, 2);
	tcase_add_loop_test(tests, patience_has_an_end, 0, 2);
	tcase_add_test(tests, a_vanished_peer_is_noticed_by_the_system);
	tcase_add_test(tests, another_owner_hears_what_comes_later);
	tcase_add_loop_test(tests, a_resting_connection_is_small, 0, 2);
	tcase_add_test(tests, a_resting_connection_goes_on);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
