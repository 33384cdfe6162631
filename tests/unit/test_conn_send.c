/* conn: what is sent when the peer is slow, full or gone; and what an owner may do at odd times. */
#include "conn_fixture.h"

enum { MEGA = 1 << 20, MANY = 20 * MEGA };

static void write_many(size_t octets, char fill)
{
	struct buf bytes = {0};

	memset(buf_reserve(&bytes, octets), fill, octets);
	buf_grow(&bytes, octets);
	conn_write(us.conn, &bytes, false);
	buf_free(&bytes);
}

/* ---- a peer that is gone --------------------------------------------------------------------- */

static void serve_and_vanish(int fd)
{
	usleep(200000);
	reset(fd);
}

static void flood_and_look_away(enum conn_what what)
{
	if (what != CONN_OPEN)
		return;
	write_many(MANY, 'x');
	conn_pause(us.conn, true);
}

START_TEST(a_peer_that_vanishes_while_we_send)
{
	peer_open(serve_and_vanish);
	us.hook = flood_and_look_away;
	run_usual(false);
	ck_assert_str_eq(us.events, "OF");
	ck_assert_int_eq(us.err.kind, ERR_TEMPORARY);
	ck_assert_ptr_nonnull(strstr(us.err.words, "broke: "));
}
END_TEST

static void write_to_the_dead(void *ctx)
{
	(void)ctx;
	if (!us.conn)
		return;
	write_many(10, 'x');
	loop_defer(loop, write_to_the_dead, NULL);
}

static void write_on(enum conn_what what)
{
	if (what == CONN_OPEN) {
		conn_pause(us.conn, true);
		write_text("go\r\n", false);
		loop_defer(loop, write_to_the_dead, NULL);
	}
}

static void serve_none(int fd)
{
	hear_line(fd);
	reset(fd);
}

START_TEST(writing_to_a_peer_that_is_gone_fails_once)
{
	peer_open(serve_none);
	us.hook = write_on;
	run_usual(false);
	ck_assert_str_eq(us.events, "OF");
	ck_assert_ptr_nonnull(strstr(us.err.words, "broke: "));
}
END_TEST

/* ---- a peer that is slow --------------------------------------------------------------------- */

static void serve_slowly(int fd)
{
	static char piece[MEGA];
	size_t got = 0;
	ssize_t n;

	while (got < MANY && (n = read(fd, piece, sizeof piece)) > 0) {
		got += (size_t)n;
		usleep(100000);
	}
	say(fd, got == MANY ? "all\r\n" : "not all\r\n");
}

static void flood(enum conn_what what)
{
	if (what == CONN_OPEN)
		write_many(MANY, 'x');
}

START_TEST(a_peer_that_takes_is_not_silent)
{
	struct conn_params params;
	uint64_t begin = loop_now(loop);

	peer_open(serve_slowly);
	params = usual();
	params.silence_ms = 1000;
	us.hook = flood;
	run(&params);
	ck_assert_str_eq(us.events, "ORE");
	ck_assert_str_eq(buf_string(&us.got), "all\r\n");
	expect_time(begin, 1500, 60000);
}
END_TEST

static void take_in_order(gnutls_session_t session, int fd)
{
	static char piece[50000];
	char last = 'a';
	bool good = true;
	size_t got = 0;
	ssize_t n;

	(void)fd;
	usleep(200000);
	while (got < MANY && (n = tls_hear(session, piece, sizeof piece)) > 0)
		for (ssize_t i = 0; i < n; i++, got++) {
			good = good && piece[i] >= last;
			last = piece[i];
		}
	tls_say(session, good && last == 'd' ? "good" : "bad");
	gnutls_bye(session, GNUTLS_SHUT_WR);
}

static void serve_order(int fd)
{
	secured(fd, take_in_order);
}

static void write_behind(void *ctx)
{
	static char next = 'b';

	(void)ctx;
	write_many(MANY / 4, next++);
	if (next <= 'd')
		loop_defer(loop, write_behind, NULL);
}

static void write_in_parts(enum conn_what what)
{
	if (what != CONN_SECURED)
		return;
	write_many(MANY / 4, 'a');
	loop_defer(loop, write_behind, NULL);
}

START_TEST(what_waits_to_be_sent_keeps_its_order)
{
	peer_open(serve_order);
	us.hook = write_in_parts;
	run_usual(true);
	ck_assert_str_eq(us.events, "SRE");
	ck_assert_str_eq(buf_string(&us.got), "good");
}
END_TEST

static void serve_two_words(int fd)
{
	say(fd, "one ");
	usleep(200000);
	say(fd, "two");
}

static void take_long(enum conn_what what)
{
	if (what == CONN_READABLE && us.got.len == 4)
		usleep(2000000);
}

START_TEST(an_owner_who_takes_long_is_no_silence)
{
	struct conn_params params;

	peer_open(serve_two_words);
	params = usual();
	params.silence_ms = 1500;
	us.hook = take_long;
	run(&params);
	ck_assert_str_eq(buf_string(&us.got), "one two");
	ck_assert_str_eq(us.events, "ORE");
}
END_TEST

/* ---- what an owner may do -------------------------------------------------------------------- */

static void serve_listening(int fd)
{
	hear_line(fd);
}

static void two_secrets(enum conn_what what)
{
	if (what != CONN_OPEN)
		return;
	write_text("a LOGIN x password\r\n", true);
	write_text("b LOGIN x password\r\n", true);
}

START_TEST(no_secret_leaves_in_clear_behind_another)
{
	peer_open(serve_listening);
	us.hook = two_secrets;
	run_usual(false);
	ck_assert_int_eq(us.err.kind, ERR_TLS);
	ck_assert_str_eq(us.events, "OF");
	peer_close();
	peer.port = 0;
	ck_assert_uint_eq(peer.heard_len, 0);
}
END_TEST

static void free_at_open(enum conn_what what)
{
	if (what == CONN_OPEN)
		conn_free(&us.conn);
}

static void on_open(void *ctx, enum conn_what what, const struct err *err)
{
	(void)ctx;
	(void)err;
	free_at_open(what);
}

START_TEST(it_may_be_freed_when_it_opens)
{
	struct conn_params params;

	peer_open(serve_listening);
	params = usual();
	params.on = on_open;
	run(&params);
	ck_assert_ptr_null(us.conn);
}
END_TEST

static void greet(gnutls_session_t session, int fd)
{
	(void)fd;
	tls_say(session, "hello");
	gnutls_bye(session, GNUTLS_SHUT_WR);
}

static void serve_upgrade(int fd)
{
	hear_line(fd);
	secured(fd, greet);
}

static void upgrade_now(void *ctx)
{
	(void)ctx;
	conn_start_tls(us.conn);
	conn_start_tls(us.conn);
}

static void upgrade_later(enum conn_what what)
{
	if (what != CONN_OPEN)
		return;
	write_text("go\r\n", false);
	loop_defer(loop, upgrade_now, NULL);
}

static struct tls_binding binding;
static bool bound;
static uint64_t received;

static void note_binding(enum conn_what what)
{
	upgrade_later(what);
	if (what == CONN_OPEN)
		ck_assert(!conn_binding(us.conn, &binding));
	if (what == CONN_SECURED)
		bound = conn_binding(us.conn, &binding);
	if (what == CONN_READABLE)
		received = conn_received(us.conn);
}

START_TEST(tls_may_begin_out_of_nowhere)
{
	peer_open(serve_upgrade);
	us.hook = note_binding;
	run_usual(false);
	ck_assert_str_eq(us.events, "OSRE");
	ck_assert_str_eq(buf_string(&us.got), "hello");
	ck_assert(bound);
	ck_assert_str_eq(binding.name, "tls-exporter");
	ck_assert_uint_eq(binding.len, 32);
	ck_assert_uint_eq(received, 5);
}
END_TEST

static void serve_greeting(int fd)
{
	secured(fd, greet);
}

START_TEST(one_of_several_pins_is_enough)
{
	static const char other[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	struct conn_params params;

	peer_open(serve_greeting);
	params = usual();
	params.implicit = true;
	params.tls.pins = (const char *const[]){other, cert.pin, NULL};
	run(&params);
	ck_assert_str_eq(us.events, "SRE");
	ck_assert_str_eq(us.tls.verified, "pin");
}
END_TEST

START_TEST(a_name_that_is_none_begins_no_handshake)
{
	struct conn_params params;

	peer_open(serve_greeting);
	params = usual();
	params.implicit = true;
	params.tls.name = "no such name";
	run(&params);
	ck_assert_str_eq(us.events, "F");
	ck_assert_int_eq(us.err.kind, ERR_CONFIG);
}
END_TEST

static void add_tests(TCase *tests)
{
	tcase_add_test(tests, a_peer_that_vanishes_while_we_send);
	tcase_add_test(tests, writing_to_a_peer_that_is_gone_fails_once);
	tcase_add_test(tests, a_peer_that_takes_is_not_silent);
	tcase_add_test(tests, an_owner_who_takes_long_is_no_silence);
	tcase_add_test(tests, what_waits_to_be_sent_keeps_its_order);
	tcase_add_test(tests, no_secret_leaves_in_clear_behind_another);
	tcase_add_test(tests, it_may_be_freed_when_it_opens);
	tcase_add_test(tests, tls_may_begin_out_of_nowhere);
	tcase_add_test(tests, one_of_several_pins_is_enough);
	tcase_add_test(tests, a_name_that_is_none_begins_no_handshake);
}

int main(void)
{
	Suite *suite = suite_create("conn_send");
	TCase *tests = tcase_create("conn_send");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	add_tests(tests);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
