/*
 * conn_fixture: a connection to a peer on the loopback, which is a thread; what the tests of conn
 * share.
 */
#ifndef MAILHAUL_TEST_CONN_FIXTURE_H
#define MAILHAUL_TEST_CONN_FIXTURE_H

#include "io/conn.h"

#include "tls_lab.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

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

static inline void *peer_run(void *arg)
{
	int fd = accept(peer.listening, NULL, NULL);

	(void)arg;
	if (fd < 0)
		return NULL;
	peer.serve(fd);
	close(fd);
	return NULL;
}

static inline void peer_open(void (*serve)(int fd))
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

static inline void peer_close(void)
{
	shutdown(peer.listening, SHUT_RDWR);
	if (peer.runs)
		pthread_join(peer.thread, NULL);
	close(peer.listening);
}

/* Reads one line in clear. */
static inline void hear_line(int fd)
{
	char c;

	while (peer.heard_len < sizeof peer.heard - 1 && read(fd, &c, 1) == 1) {
		peer.heard[peer.heard_len++] = c;
		if (c == '\n')
			return;
	}
}

static inline void say(int fd, const char *text)
{
	(void)!write(fd, text, strlen(text));
}

static inline void reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* Encrypts and runs a dialogue. */
static inline void secured(int fd, void (*dialogue)(gnutls_session_t session, int fd))
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

static inline void tls_say(gnutls_session_t session, const char *text)
{
	gnutls_record_send(session, text, strlen(text));
}

static inline ssize_t tls_hear(gnutls_session_t session, char *out, size_t size)
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

static inline void write_text(const char *text, bool secret)
{
	struct buf bytes = {0};

	buf_text(&bytes, text);
	conn_write(us.conn, &bytes, secret);
	ck_assert_uint_eq(bytes.len, 0);
	buf_free(&bytes);
}

static inline void on_event(void *ctx, enum conn_what what, const struct err *err)
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

static inline struct conn_params usual(void)
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

static inline void run(const struct conn_params *params)
{
	us.conn = conn_new(loop, params);
	ck_assert_str_eq(us.events, "");
	loop_run(loop);
}

static inline void run_usual(bool implicit)
{
	struct conn_params params = usual();

	params.implicit = implicit;
	run(&params);
}

static inline void setup(void)
{
	lab_open(&lab);
	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, &cert);
	trust = tls_trust_new(lab.ca_file, NULL);
	loop = loop_new(NULL);
}

static inline void teardown(void)
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

static inline void expect_time(uint64_t begin, uint64_t least, uint64_t most)
{
	uint64_t took = loop_now(loop) - begin;

	ck_assert_uint_ge(took, least);
	ck_assert_uint_le(took, most);
}

#endif
