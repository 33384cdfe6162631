/* conn: against real sockets; the peer is a thread. */
#include "io/conn.h"

#include "tls_lab.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

enum { BIG = 20 * 1024 * 1024 };

static struct lab lab;
static struct lab_cert cert;
static struct tls_trust *trust;
static struct loop *loop;

/* ---- the peer ---------------------------------------------------------------------------------
 */

static struct {
	int listening;
	uint16_t port;
	pthread_t thread;
	bool runs;
	void (*serve)(int fd);
	char heard[4096]; /* what came in clear */
	size_t heard_len;
} peer;

static void *peer_run(void *arg)
{
	int fd = accept(peer.listening, NULL, NULL);

	(void)arg;
	if (fd < 0)
		return NULL;
	peer.serve(fd);
	close(fd);
	return NULL;
}

static void peer_open(void (*serve)(int fd))
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	socklen_t len = sizeof at;

	peer.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(peer.listening, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(peer.listening, 8), 0);
	getsockname(peer.listening, (struct sockaddr *)&at, &len);
	peer.port = ntohs(at.sin_port);
	peer.serve = serve;
	if (serve) {
		ck_assert_int_eq(pthread_create(&peer.thread, NULL, peer_run, NULL), 0);
		peer.runs = true;
	}
}

static void peer_close(void)
{
	shutdown(peer.listening, SHUT_RDWR);
	if (peer.runs)
		pthread_join(peer.thread, NULL);
	close(peer.listening);
}

/* Reads one line in clear. */
static void hear_line(int fd)
{
	char c;

	while (peer.heard_len < sizeof peer.heard - 1 && read(fd, &c, 1) == 1) {
		peer.heard[peer.heard_len++] = c;
		if (c == '\n')
			return;
	}
}

static void say(int fd, const char *text)
{
	(void)!write(fd, text, strlen(text));
}

static void reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* Encrypts and runs a dialogue. */
static void secured(int fd, void (*dialogue)(gnutls_session_t session, int fd))
{
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session = lab_server(&cert, NULL, &credentials);
	int status;

	gnutls_transport_set_int(session, fd);
	do
		status = gnutls_handshake(session);
	while (status < 0 && !gnutls_error_is_fatal(status));
	if (status == 0)
		dialogue(session, fd);
	lab_server_free(session, credentials);
}

static void tls_say(gnutls_session_t session, const char *text)
{
	gnutls_record_send(session, text, strlen(text));
}

static ssize_t tls_hear(gnutls_session_t session, char *out, size_t size)
{
	ssize_t got;

	do
		got = gnutls_record_recv(session, out, size);
	while (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED);
	return got;
}

/* ---- our side ---------------------------------------------------------------------------------
 */

static struct {
	struct conn *conn;
	char events[64]; /* O S R E F; one R for many in a row */
	struct err err;
	struct buf got;
	struct tls_info tls;
	char address[64];
	void (*hook)(enum conn_what what);
	bool keep; /* leave what came in conn_in() */
	bool stay; /* do not free at CONN_EOF */
} us;

static void write_text(const char *text, bool secret)
{
	struct buf bytes = {0};

	buf_text(&bytes, text);
	conn_write(us.conn, &bytes, secret);
	ck_assert_uint_eq(bytes.len, 0);
	buf_free(&bytes);
}

static void on_event(void *ctx, enum conn_what what, const struct err *err)
{
	static const char letters[] = "OSREF";
	size_t len = strlen(us.events);
	struct buf *in = conn_in(us.conn);

	ck_assert_ptr_eq(ctx, &us);
	if (!(what == CONN_READABLE && len && us.events[len - 1] == 'R'))
		us.events[len] = letters[what];
	if (what == CONN_READABLE && !us.keep) {
		buf_append(&us.got, in->data, in->len);
		buf_consume(in, in->len);
	}
	if (what == CONN_SECURED) {
		us.tls = *conn_tls(us.conn);
		snprintf(us.address, sizeof us.address, "%s", conn_peer(us.conn));
	}
	ck_assert_int_eq(err != NULL, what == CONN_FAILED);
	if (err)
		us.err = *err;
	if (us.hook)
		us.hook(what);
	if ((what == CONN_EOF && !us.stay) || what == CONN_FAILED)
		conn_free(&us.conn);
}

/* Long enough to be no part of what is tested. ThreadSanitizer makes everything slow. */
#ifdef __SANITIZE_THREAD__
enum { PATIENCE_MS = 20000 };
#else
enum { PATIENCE_MS = 2000 };
#endif

static struct conn_params usual(void)
{
	return (struct conn_params){.host = "127.0.0.1",
				    .port = peer.port,
				    .tls = {.trust = trust, .name = "mail.test"},
				    .connect_ms = 1000,
				    .handshake_ms = PATIENCE_MS,
				    .silence_ms = PATIENCE_MS,
				    .on = on_event,
				    .ctx = &us};
}

static void run(const struct conn_params *params)
{
	us.conn = conn_new(loop, params);
	ck_assert_str_eq(us.events, "");
	loop_run(loop);
}

static void run_usual(bool implicit)
{
	struct conn_params params = usual();

	params.implicit = implicit;
	run(&params);
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
	conn_free(&us.conn);
	loop_free(&loop);
	if (peer.port)
		peer_close();
	tls_trust_free(&trust);
	lab_cert_free(&cert);
	lab_close(&lab);
	buf_free(&us.got);
}

/* ---- implicit TLS -----------------------------------------------------------------------------
 */

static void greet_and_end(gnutls_session_t session, int fd)
{
	char line[64] = "";

	(void)fd;
	tls_say(session, "* OK hello\r\n");
	tls_hear(session, line, sizeof line - 1);
	tls_say(session, line);
	gnutls_bye(session, GNUTLS_SHUT_WR);
}

static void serve_implicit(int fd)
{
	secured(fd, greet_and_end);
}

static void answer_greeting(enum conn_what what)
{
	if (what == CONN_READABLE && us.got.len == 12)
		write_text("a secret\r\n", true);
}

START_TEST(implicit_tls)
{
	peer_open(serve_implicit);
	us.hook = answer_greeting;
	run_usual(true);
	ck_assert_str_eq(us.events, "SRE");
	ck_assert_str_eq(buf_string(&us.got), "* OK hello\r\na secret\r\n");
	ck_assert_str_eq(us.tls.verified, "CA");
	ck_assert_str_eq(us.tls.version, "TLS 1.3");
	ck_assert_ptr_nonnull(strstr(us.address, "127.0.0.1:"));
}
END_TEST

static void send_big(gnutls_session_t session, int fd)
{
	static char piece[50000];

	(void)fd;
	for (size_t sent = 0; sent < BIG;) {
		ssize_t n;

		for (size_t i = 0; i < sizeof piece; i++)
			piece[i] = (char)((sent + i) % 251);
		n = gnutls_record_send(session, piece, sizeof piece);
		if (n < 0)
			return;
		sent += (size_t)n;
	}
	gnutls_bye(session, GNUTLS_SHUT_WR);
}

static void serve_big(int fd)
{
	secured(fd, send_big);
}

static void check_big(void)
{
	ck_assert_str_eq(us.events, "SRE");
	ck_assert_uint_ge(us.got.len, BIG);
	for (size_t i = 0; i < us.got.len; i++)
		if (us.got.data[i] != i % 251)
			ck_abort_msg("octet %zu is wrong", i);
}

START_TEST(twenty_megabytes_come_whole)
{
	peer_open(serve_big);
	run_usual(true);
	check_big();
}
END_TEST

static struct loop_timer *slow;
static size_t most;

static void consume_slowly(void *ctx)
{
	struct buf *in = conn_in(us.conn);

	(void)ctx;
	most = in->len > most ? in->len : most;
	buf_append(&us.got, in->data, in->len);
	buf_consume(in, in->len);
	conn_pause(us.conn, false);
	if (!strchr(us.events, 'E') || in->len)
		loop_timer_start(slow, 1);
	else
		loop_timer_free(&slow);
}

START_TEST(an_owner_who_does_not_consume_bounds_what_is_read)
{
	peer_open(serve_big);
	us.keep = us.stay = true;
	slow = loop_timer_new(loop, consume_slowly, NULL);
	loop_timer_start(slow, 300);
	run_usual(true);
	us.events[3] = '\0';
	check_big();
	ck_assert_uint_gt(most, 131072);
	ck_assert_uint_le(most, 327680);
}
END_TEST

static void receive_big(gnutls_session_t session, int fd)
{
	char piece[50000];
	size_t got = 0;
	ssize_t n;

	(void)fd;
	usleep(100000);
	while (got < BIG && (n = tls_hear(session, piece, sizeof piece)) > 0)
		for (ssize_t i = 0; i < n; i++, got++)
			if ((unsigned char)piece[i] != got % 251)
				return;
	tls_say(session, got == BIG ? "good" : "bad");
	gnutls_bye(session, GNUTLS_SHUT_WR);
}

static void serve_receiving(int fd)
{
	secured(fd, receive_big);
}

static void send_us_big(enum conn_what what)
{
	struct buf bytes = {0};

	if (what != CONN_SECURED)
		return;
	for (size_t done = 0; done < BIG; done += 1 << 20) {
		unsigned char *at = buf_reserve(&bytes, 1 << 20);

		for (size_t i = 0; i < 1 << 20; i++)
			at[i] = (unsigned char)((done + i) % 251);
		buf_grow(&bytes, 1 << 20);
		conn_write(us.conn, &bytes, false);
	}
	buf_free(&bytes);
}

START_TEST(much_can_be_sent)
{
	peer_open(serve_receiving);
	us.hook = send_us_big;
	run_usual(true);
	ck_assert_str_eq(us.events, "SRE");
	ck_assert_str_eq(buf_string(&us.got), "good");
}
END_TEST

/* ---- STARTTLS ---------------------------------------------------------------------------------
 */

static void serve_starttls(int fd)
{
	say(fd, "* OK in clear\r\n");
	hear_line(fd);
	say(fd, "OK begin\r\n");
	secured(fd, greet_and_end);
}

static void upgrade(enum conn_what what)
{
	if (what != CONN_READABLE)
		return;
	if (strcmp(buf_string(&us.got), "* OK in clear\r\n") == 0)
		write_text("STARTTLS\r\n", false);
	else if (strcmp(buf_string(&us.got), "OK begin\r\n") == 0)
		conn_start_tls(us.conn);
	else
		write_text("secret\r\n", true);
	buf_clear(&us.got);
}

START_TEST(starttls)
{
	peer_open(serve_starttls);
	us.hook = upgrade;
	run_usual(false);
	ck_assert_str_eq(us.events, "ORSRE");
	ck_assert_str_eq(peer.heard, "STARTTLS\r\n");
}
END_TEST

static void serve_injection(int fd)
{
	say(fd, "* OK in clear\r\n");
	hear_line(fd);
	say(fd, "OK begin\r\n* CAPABILITY evil\r\n");
	hear_line(fd);
}

static void upgrade_with_leftover(enum conn_what what)
{
	if (what == CONN_READABLE && !peer.heard_len)
		buf_consume(conn_in(us.conn), conn_in(us.conn)->len);
	if (what == CONN_READABLE && conn_in(us.conn)->len > 10) {
		buf_consume(conn_in(us.conn), 10);
		conn_start_tls(us.conn);
	} else if (what == CONN_READABLE) {
		buf_consume(conn_in(us.conn), conn_in(us.conn)->len);
		write_text("STARTTLS\r\n", false);
	}
}

START_TEST(what_was_injected_before_tls_ends_it)
{
	peer_open(serve_injection);
	us.keep = true;
	us.hook = upgrade_with_leftover;
	run_usual(false);
	ck_assert_str_eq(us.events, "ORF");
	ck_assert_int_eq(us.err.kind, ERR_TLS);
	ck_assert_ptr_nonnull(strstr(us.err.words, "in clear"));
}
END_TEST

static void secret_at_once(enum conn_what what)
{
	if (what == CONN_OPEN)
		write_text("a LOGIN x password\r\n", true);
}

static void serve_listening(int fd)
{
	say(fd, "* OK\r\n");
	hear_line(fd);
}

START_TEST(a_secret_never_leaves_in_clear)
{
	peer_open(serve_listening);
	us.hook = secret_at_once;
	run_usual(false);
	ck_assert_int_eq(us.err.kind, ERR_TLS);
	ck_assert_ptr_nonnull(strchr(us.events, 'F'));
	peer_close();
	peer.port = 0;
	ck_assert_uint_eq(peer.heard_len, 0);
}
END_TEST

static void serve_hello_in_clear(int fd)
{
	say(fd, "* OK I want STARTTLS\r\n");
	hear_line(fd);
}

START_TEST(implicit_tls_to_a_port_in_clear)
{
	peer_open(serve_hello_in_clear);
	run_usual(true);
	ck_assert_str_eq(us.events, "F");
	ck_assert_int_eq(us.err.kind, ERR_TLS);
	ck_assert_ptr_nonnull(strstr(us.err.words, "tls: starttls"));
}
END_TEST

START_TEST(a_wrong_name_is_refused)
{
	struct conn_params params;

	peer_open(serve_implicit);
	params = usual();
	params.implicit = true;
	params.tls.name = "other.test";
	run(&params);
	ck_assert_str_eq(us.events, "F");
	ck_assert_int_eq(us.err.kind, ERR_TLS);
	ck_assert_ptr_nonnull(strstr(us.err.words, "mail.test"));
}
END_TEST

/* ---- ends -------------------------------------------------------------------------------------
 */

static void cut(gnutls_session_t session, int fd)
{
	(void)fd;
	tls_say(session, "half a");
}

static void serve_cut(int fd)
{
	secured(fd, cut);
}

START_TEST(fin_without_close_notify_is_eof)
{
	peer_open(serve_cut);
	run_usual(true);
	ck_assert_str_eq(us.events, "SRE");
	ck_assert_str_eq(buf_string(&us.got), "half a");
}
END_TEST

static void cut_hard(gnutls_session_t session, int fd)
{
	tls_say(session, "half a");
	usleep(100000);
	reset(fd);
}

static void serve_reset(int fd)
{
	secured(fd, cut_hard);
}

START_TEST(rst_is_a_failure)
{
	peer_open(serve_reset);
	run_usual(true);
	ck_assert_str_eq(us.events, "SRF");
	ck_assert_int_eq(us.err.kind, ERR_TEMPORARY);
}
END_TEST

static void serve_close_in_handshake(int fd)
{
	char some[8];

	(void)!read(fd, some, sizeof some);
	shutdown(fd, SHUT_WR);
	usleep(50000);
}

START_TEST(the_end_within_the_handshake)
{
	peer_open(serve_close_in_handshake);
	run_usual(true);
	ck_assert_str_eq(us.events, "F");
	ck_assert_int_eq(us.err.kind, ERR_TEMPORARY);
	ck_assert_ptr_nonnull(strstr(us.err.words, "nothing was sent"));
}
END_TEST

static void serve_bye_and_reset(int fd)
{
	say(fd, "* BYE too busy\r\n");
	shutdown(fd, SHUT_RD);
	usleep(200000);
}

static void write_late(void *ctx)
{
	(void)ctx;
	write_text("A CAPABILITY\r\n", false);
	conn_pause(us.conn, false);
	loop_timer_free(&slow);
}

static void pause_at_open(enum conn_what what)
{
	if (what != CONN_OPEN)
		return;
	conn_pause(us.conn, true);
	slow = loop_timer_new(loop, write_late, NULL);
	loop_timer_start(slow, 400);
}

START_TEST(what_the_peer_said_before_it_hung_up_is_heard)
{
	peer_open(serve_bye_and_reset);
	us.hook = pause_at_open;
	run_usual(false);
	ck_assert_str_eq(buf_string(&us.got), "* BYE too busy\r\n");
}
END_TEST

/* ---- time -------------------------------------------------------------------------------------
 */

static void serve_nothing(int fd)
{
	char some[256];

	while (read(fd, some, sizeof some) > 0)
		;
}

static void expect_time(uint64_t begin, uint64_t least, uint64_t most_ms)
{
	uint64_t took = loop_now(loop) - begin;

	ck_assert_uint_ge(took, least);
	ck_assert_uint_le(took, most_ms);
}

START_TEST(silence_ends_it)
{
	struct conn_params params;
	uint64_t begin = loop_now(loop);

	peer_open(serve_nothing);
	params = usual();
	params.silence_ms = 300;
	run(&params);
	ck_assert_str_eq(us.events, "OF");
	ck_assert_int_eq(us.err.kind, ERR_TEMPORARY);
	ck_assert_ptr_nonnull(strstr(us.err.words, "was silent for 0.3 s"));
	expect_time(begin, 295, 1500);
}
END_TEST

START_TEST(a_handshake_without_end)
{
	struct conn_params params;
	uint64_t begin = loop_now(loop);

	peer_open(serve_nothing);
	params = usual();
	params.implicit = true;
	params.handshake_ms = 300;
	run(&params);
	ck_assert_str_eq(us.events, "F");
	ck_assert_int_eq(us.err.kind, ERR_TEMPORARY);
	ck_assert_ptr_nonnull(strstr(us.err.words, "handshake within 0.3 s"));
	expect_time(begin, 295, 1500);
}
END_TEST

static void drip(int fd)
{
	for (int i = 0; i < 8; i++) {
		say(fd, "x");
		usleep(100000);
	}
}

START_TEST(each_octet_begins_the_silence_anew)
{
	struct conn_params params;

	peer_open(drip);
	params = usual();
	params.silence_ms = 400;
	run(&params);
	ck_assert_str_eq(us.events, "ORE");
	ck_assert_uint_eq(us.got.len, 8);
}
END_TEST

static void resume(void *ctx)
{
	(void)ctx;
	conn_pause(us.conn, false);
	loop_timer_free(&slow);
}

static void pause_long(enum conn_what what)
{
	if (what != CONN_OPEN)
		return;
	conn_pause(us.conn, true);
	slow = loop_timer_new(loop, resume, NULL);
	loop_timer_start(slow, 700);
}

START_TEST(a_pause_is_no_silence)
{
	struct conn_params params;
	uint64_t begin = loop_now(loop);

	peer_open(serve_nothing);
	params = usual();
	params.silence_ms = 300;
	us.hook = pause_long;
	run(&params);
	ck_assert_str_eq(us.events, "OF");
	expect_time(begin, 995, 2000);
}
END_TEST

static void serve_deaf(int fd)
{
	(void)fd;
	sleep(2);
}

static void flood(enum conn_what what)
{
	struct buf bytes = {0};

	if (what != CONN_OPEN)
		return;
	memset(buf_reserve(&bytes, BIG), 'x', BIG);
	buf_grow(&bytes, BIG);
	conn_write(us.conn, &bytes, false);
	conn_pause(us.conn, true);
	buf_free(&bytes);
}

START_TEST(a_window_of_zero_is_silence)
{
	struct conn_params params;
	uint64_t begin = loop_now(loop);

	peer_open(serve_deaf);
	params = usual();
	params.silence_ms = 300;
	us.hook = flood;
	run(&params);
	ck_assert_str_eq(us.events, "OF");
	ck_assert_ptr_nonnull(strstr(us.err.words, "has taken nothing"));
	expect_time(begin, 295, 1900);
}
END_TEST

/* ---- connecting -------------------------------------------------------------------------------
 */

START_TEST(refused)
{
	struct conn_params params;

	peer_open(NULL);
	params = usual();
	close(peer.listening);
	run(&params);
	ck_assert_str_eq(us.events, "F");
	ck_assert_int_eq(us.err.kind, ERR_UNREACHABLE);
	ck_assert_int_eq(us.err.sys, ECONNREFUSED);
	ck_assert_ptr_nonnull(strstr(us.err.words, "127.0.0.1:"));
	ck_assert_ptr_nonnull(strstr(us.err.words, "connection refused"));
	peer.port = 0;
}
END_TEST

/* "localhost" is 127.0.0.1 and, on most machines, ::1, where nobody listens. */
START_TEST(every_address_is_tried)
{
	struct conn_params params;

	peer_open(serve_implicit);
	params = usual();
	params.host = "localhost";
	params.implicit = true;
	us.hook = answer_greeting;
	run(&params);
	ck_assert_msg(strcmp(us.events, "SRE") == 0, "%s %s", us.events, us.err.words);
}
END_TEST

START_TEST(no_answer_to_the_connect)
{
	struct conn_params params;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	int filler[4];
	uint64_t begin;

	/* A full backlog drops further SYNs. */
	peer_open(NULL);
	listen(peer.listening, 0);
	at.sin_port = htons(peer.port);
	for (int i = 0; i < 4; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(filler[i], (struct sockaddr *)&at, sizeof at);
	}
	usleep(50000);
	params = usual();
	params.connect_ms = 300;
	begin = loop_now(loop);
	run(&params);
	ck_assert_str_eq(us.events, "F");
	ck_assert_int_eq(us.err.kind, ERR_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(us.err.words, "timed out"));
	expect_time(begin, 295, 1500);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
}
END_TEST

START_TEST(names_that_are_none)
{
	struct conn_params params = usual();

	params.host = "no such host";
	run(&params);
	ck_assert_str_eq(us.events, "F");
	ck_assert_int_eq(us.err.kind, ERR_CONFIG);
	memset(us.events, 0, sizeof us.events);
	params.host = "nowhere.invalid";
	params.connect_ms = 20000;
	run(&params);
	ck_assert_str_eq(us.events, "F");
	ck_assert_int_eq(us.err.kind, ERR_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(us.err.words, "nowhere.invalid"));
}
END_TEST

/* ---- freeing at any moment --------------------------------------------------------------------
 */

static enum conn_what last_moment;

static void free_at_moment(enum conn_what what)
{
	if (what == last_moment) {
		us.hook = NULL;
		us.stay = true;
	}
}

static void on_event_freeing(void *ctx, enum conn_what what, const struct err *err)
{
	on_event(ctx, what, err);
	if (us.stay)
		conn_free(&us.conn);
}

START_TEST(free_inside_each_callback)
{
	static const char *const expected[] = {"", "S", "SR", "SRE"};
	struct conn_params params;

	peer_open(serve_implicit);
	params = usual();
	params.implicit = true;
	params.on = on_event_freeing;
	last_moment = (enum conn_what)_i;
	us.hook = free_at_moment;
	us.conn = conn_new(loop, &params);
	loop_run(loop);
	ck_assert_str_eq(us.events, expected[_i]);
	ck_assert_ptr_null(us.conn);
}
END_TEST

static void free_now(void *ctx)
{
	(void)ctx;
	conn_free(&us.conn);
	loop_timer_free(&slow);
}

START_TEST(free_at_odd_times)
{
	static const char *const hosts[] = {"localhost", "127.0.0.1"};
	struct conn_params params;

	peer_open(serve_implicit);
	params = usual();
	params.implicit = true;
	params.host = hosts[_i % 2];
	us.conn = conn_new(loop, &params);
	if (_i < 2) {
		conn_free(&us.conn);
	} else {
		slow = loop_timer_new(loop, free_now, NULL);
		loop_timer_start(slow, (uint64_t)_i / 2 - 1);
	}
	loop_run(loop);
	ck_assert_ptr_null(us.conn);
	ck_assert_ptr_null(strchr(us.events, 'F'));
}
END_TEST

static void add_tests(TCase *tests)
{
	tcase_add_test(tests, implicit_tls);
	tcase_add_test(tests, twenty_megabytes_come_whole);
	tcase_add_test(tests, an_owner_who_does_not_consume_bounds_what_is_read);
	tcase_add_test(tests, much_can_be_sent);
	tcase_add_test(tests, starttls);
	tcase_add_test(tests, what_was_injected_before_tls_ends_it);
	tcase_add_test(tests, a_secret_never_leaves_in_clear);
	tcase_add_test(tests, implicit_tls_to_a_port_in_clear);
	tcase_add_test(tests, a_wrong_name_is_refused);
	tcase_add_test(tests, fin_without_close_notify_is_eof);
	tcase_add_test(tests, rst_is_a_failure);
	tcase_add_test(tests, the_end_within_the_handshake);
	tcase_add_test(tests, what_the_peer_said_before_it_hung_up_is_heard);
	tcase_add_test(tests, silence_ends_it);
	tcase_add_test(tests, a_handshake_without_end);
	tcase_add_test(tests, each_octet_begins_the_silence_anew);
	tcase_add_test(tests, a_pause_is_no_silence);
	tcase_add_test(tests, a_window_of_zero_is_silence);
	tcase_add_test(tests, refused);
	tcase_add_test(tests, every_address_is_tried);
	tcase_add_test(tests, no_answer_to_the_connect);
	tcase_add_test(tests, names_that_are_none);
	tcase_add_loop_test(tests, free_inside_each_callback, CONN_SECURED, CONN_READABLE + 1);
	tcase_add_loop_test(tests, free_at_odd_times, 0, 12);
}

int main(void)
{
	Suite *suite = suite_create("conn");
	TCase *tests = tcase_create("conn");
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
