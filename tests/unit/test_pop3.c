/*
 * test_pop3: what transcripts cannot show of the POP3 engine: much data, windows, random content,
 * and the parsers beneath it.
 */
#include "proto/pop3.h"
#include "proto/pop3_body.h"
#include "proto/pop3_list.h"
#include "proto/pop3_parse.h"
#include "util/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECE = 65536, IN_MAX = 300000 };

struct bench {
	struct buf in;
	struct source *source;
	struct source_event ev;
};

static void send_text(struct bench *b, const char *text)
{
	buf_text(&b->in, text);
}

static enum source_what next(struct bench *b)
{
	return source_next(b->source, &b->ev);
}

/* Consumes what the client sent, which must be this. */
static void sent(struct bench *b, const char *text)
{
	struct buf *out = source_out(b->source);

	ck_assert_str_eq(buf_string(out), text);
	buf_consume(out, out->len);
}

static void open_ready(struct bench *b, const char *capabilities)
{
	struct source_params params = {.in = &b->in, .encrypted = true};

	*b = (struct bench){0};
	b->source = pop3_new(&params);
	send_text(b, "+OK\r\n+OK\r\n");
	send_text(b, capabilities);
	send_text(b, "SASL PLAIN\r\n.\r\n");
	ck_assert_int_eq(next(b), SOURCE_AUTH_OFFERED);
	sent(b, "CAPA\r\n");
	source_auth(b->source, "PLAIN", "AGEAYg==");
	sent(b, "AUTH PLAIN AGEAYg==\r\n");
	send_text(b, "+OK\r\n");
	ck_assert_int_eq(next(b), SOURCE_READY);
}

static void bench_close(struct bench *b)
{
	source_free(&b->source);
	ck_assert_ptr_null(b->source);
	buf_free(&b->in);
}

/* Selects and lists count messages, with unique-ids that differ or are all the same. */
static void list_many(struct bench *b, unsigned count, bool same)
{
	source_select(b->source, "INBOX", false);
	source_list(b->source, 1, false);
	ck_assert_int_eq(next(b), SOURCE_NEED_BYTES);
	buf_printf(&b->in, "+OK %u 1\r\n+OK\r\n", count);
	ck_assert_int_eq(next(b), SOURCE_SELECTED);
	ck_assert_int_eq(next(b), SOURCE_DONE);
	for (unsigned i = 1; i <= count; i++) {
		buf_printf(&b->in, "%u 00000%08x4a5b6c7d\r\n", i, same ? 0 : i);
		if (b->in.len > PIECE)
			ck_assert_int_eq(next(b), SOURCE_NEED_BYTES);
	}
	send_text(b, ".\r\n");
	for (unsigned i = 1; i <= count; i++) {
		ck_assert_int_eq(next(b), SOURCE_LISTED);
		ck_assert_uint_eq(b->ev.number, i);
	}
	ck_assert_int_eq(next(b), SOURCE_DONE);
	buf_clear(source_out(b->source));
}

static double cpu_seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* Pulls until the engine wants more; counts the octets of chunks. */
static enum source_what drain(struct bench *b, uint64_t *octets)
{
	enum source_what what;

	while ((what = next(b)) == SOURCE_CHUNK)
		*octets += b->ev.len;
	return what;
}

/* Many times what it takes; ThreadSanitizer makes everything slow. */
#ifdef __SANITIZE_THREAD__
enum { SECONDS_MAX = 60 };
#else
enum { SECONDS_MAX = 5 };
#endif

START_TEST(streams_a_message_of_50_mb)
{
	static const char line[] = "..A line of seventy-six octets, as base64 has it, that goes "
				   "on and on abcdefg\r\n";
	struct bench b;
	struct buf piece = {0};
	uint64_t octets = 0;
	uint64_t lines = 0;
	double start;

	open_ready(&b, "PIPELINING\r\n");
	list_many(&b, 1, false);
	source_fetch(b.source, &(struct source_set){(const uint32_t[]){1}, 1});
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	send_text(&b, "+OK\r\n");
	ck_assert_int_eq(next(&b), SOURCE_BEGIN);
	start = cpu_seconds();
	while (lines * (sizeof line - 1) < 50000000) {
		/* The input's end falls anywhere in a line. */
		for (; piece.len < PIECE; lines++)
			buf_append(&piece, line, sizeof line - 1);
		buf_append(&b.in, piece.data, PIECE);
		buf_consume(&piece, PIECE);
		ck_assert_int_eq(drain(&b, &octets), SOURCE_NEED_BYTES);
		ck_assert_uint_lt(b.in.room, IN_MAX);
		ck_assert_uint_le(b.in.len, 2);
	}
	buf_append(&b.in, piece.data, piece.len);
	send_text(&b, ".\r\n");
	ck_assert_int_eq(drain(&b, &octets), SOURCE_END);
	ck_assert_uint_eq(b.ev.octets, octets);
	ck_assert_uint_eq(octets, lines * (sizeof line - 2));
	ck_assert_msg(cpu_seconds() - start < SECONDS_MAX, "took %.1f s", cpu_seconds() - start);
	ck_assert_int_eq(next(&b), SOURCE_DONE);
	buf_free(&piece);
	bench_close(&b);
}
END_TEST

static size_t commands_sent(struct bench *b)
{
	struct buf *out = source_out(b->source);
	size_t commands = 0;

	for (size_t i = 0; i < out->len; i++)
		commands += out->data[i] == '\n';
	buf_clear(out);
	return commands;
}

static uint32_t *numbers_to(unsigned count)
{
	uint32_t *numbers = mem_new(count, sizeof *numbers);

	for (unsigned i = 0; i < count; i++)
		numbers[i] = i + 1;
	return numbers;
}

START_TEST(keeps_the_window_from_running_dry)
{
	enum { MESSAGES = 3000 };
	uint32_t *numbers = numbers_to(MESSAGES);
	struct bench b;
	size_t outstanding = 0;
	size_t refills = 0;
	unsigned ended = 0;

	open_ready(&b, "PIPELINING\r\n");
	list_many(&b, MESSAGES, false);
	source_fetch(b.source, &(struct source_set){numbers, 1000});
	source_fetch(b.source, &(struct source_set){numbers + 1000, MESSAGES - 1000});
	for (enum source_what what = next(&b); ended < MESSAGES; what = next(&b)) {
		size_t more = commands_sent(&b);

		outstanding += more;
		refills += more > 0;
		ck_assert_uint_le(outstanding, 512);
		if (what == SOURCE_NEED_BYTES) {
			ck_assert_uint_gt(outstanding, 0);
			if (ended + outstanding < MESSAGES)
				ck_assert_uint_ge(outstanding, 256);
			send_text(&b, "+OK\r\nx\r\n.\r\n");
		} else if (what == SOURCE_END) {
			ck_assert_uint_eq(b.ev.number, ++ended);
			outstanding--;
		}
	}
	ck_assert_uint_eq(outstanding, 0);
	ck_assert_uint_le(refills, 12);
	free(numbers);
	bench_close(&b);
}
END_TEST

START_TEST(takes_500_in_one_flight_and_waits_without_pipelining)
{
	uint32_t *numbers = numbers_to(500);
	struct bench b;

	open_ready(&b, "PIPELINING\r\n");
	list_many(&b, 500, false);
	source_fetch(b.source, &(struct source_set){numbers, 500});
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	ck_assert_uint_eq(commands_sent(&b), 500);
	bench_close(&b);

	open_ready(&b, "");
	source_select(b.source, "INBOX", false);
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	sent(&b, "STAT\r\n");
	send_text(&b, "+OK 500 1\r\n");
	ck_assert_int_eq(next(&b), SOURCE_SELECTED);
	ck_assert_int_eq(next(&b), SOURCE_DONE);
	source_remove(b.source, &(struct source_set){numbers, 500});
	source_finish(b.source);
	for (unsigned i = 1; i <= 500; i++) {
		ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
		ck_assert_uint_eq(commands_sent(&b), 1);
		send_text(&b, "+OK\r\n");
		ck_assert_int_eq(next(&b), SOURCE_REMOVED);
		ck_assert_str_eq(b.ev.key, "");
	}
	ck_assert_int_eq(next(&b), SOURCE_DONE);
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	sent(&b, "QUIT\r\n");
	free(numbers);
	bench_close(&b);
}
END_TEST

/* QUIT commits, and STAT says which messages there are: others wait for them. */
START_TEST(holds_back_what_must_wait)
{
	static const uint32_t numbers[] = {1, 2};
	struct bench b;

	open_ready(&b, "PIPELINING\r\n");
	list_many(&b, 2, false);
	source_remove(b.source, &(struct source_set){numbers, 2});
	source_select(b.source, "INBOX", false);
	source_fetch(b.source, &(struct source_set){numbers, 2});
	source_finish(b.source);
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	sent(&b, "DELE 1\r\nDELE 2\r\n");
	send_text(&b, "+OK\r\n+OK\r\n");
	ck_assert_int_eq(next(&b), SOURCE_REMOVED);
	ck_assert_str_ne(b.ev.key, "");
	ck_assert_int_eq(next(&b), SOURCE_REMOVED);
	ck_assert_str_ne(b.ev.key, "");
	ck_assert_int_eq(next(&b), SOURCE_DONE);
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	sent(&b, "STAT\r\nUIDL\r\n");
	send_text(&b, "+OK 1 2\r\n");
	ck_assert_int_eq(next(&b), SOURCE_SELECTED);
	ck_assert_int_eq(next(&b), SOURCE_DONE);
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	sent(&b, "RETR 1\r\n");
	send_text(&b, "+OK\r\n1 a\r\n.\r\n-ERR\r\n");
	ck_assert_int_eq(next(&b), SOURCE_REFUSED);
	ck_assert_str_eq(b.ev.key, "a");
	ck_assert_int_eq(next(&b), SOURCE_GONE);
	ck_assert_int_eq(next(&b), SOURCE_DONE);
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	sent(&b, "QUIT\r\n");
	bench_close(&b);
}
END_TEST

/* More numbers that do not exist than the ring holds. */
START_TEST(tells_of_many_that_are_gone)
{
	uint32_t *numbers = numbers_to(5000);
	struct bench b;
	unsigned gone = 0;

	open_ready(&b, "PIPELINING\r\n");
	list_many(&b, 1, false);
	source_fetch(b.source, &(struct source_set){numbers + 1, 4999});
	while (next(&b) == SOURCE_GONE)
		ck_assert_uint_eq(b.ev.number, ++gone + 1);
	ck_assert_uint_eq(gone, 4999);
	ck_assert_uint_eq(commands_sent(&b), 0);
	ck_assert_int_eq(next(&b), SOURCE_NEED_VERB);
	free(numbers);
	bench_close(&b);
}
END_TEST

/* STAT may lie: memory is taken for what came, and time stays reasonable. */
START_TEST(lists_many_messages)
{
	struct bench b;
	double start = cpu_seconds();

	open_ready(&b, "PIPELINING\r\n");
	list_many(&b, 200000, false);
	bench_close(&b);
	open_ready(&b, "PIPELINING\r\n");
	list_many(&b, 100000, true);
	bench_close(&b);
	open_ready(&b, "PIPELINING\r\n");
	source_select(b.source, "INBOX", false);
	source_list(b.source, 1, false);
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	send_text(&b, "+OK 10000000 1\r\n+OK\r\n10000000 last\r\n.\r\n");
	ck_assert_int_eq(next(&b), SOURCE_SELECTED);
	ck_assert_int_eq(next(&b), SOURCE_DONE);
	ck_assert_int_eq(next(&b), SOURCE_LISTED);
	ck_assert_uint_eq(b.ev.number, 10000000);
	ck_assert_str_eq(b.ev.key, "last");
	bench_close(&b);
	ck_assert_msg(cpu_seconds() - start < 10, "took %.1f s", cpu_seconds() - start);
}
END_TEST

/* ---- the body ------------------------------------------------------------------------------ */

/* Stuffs as RFC 1939 says, octet by octet. */
static void stuff(struct buf *out, const struct buf *message)
{
	for (size_t i = 0; i < message->len; i++) {
		bool start = i == 0 || (i >= 2 && !memcmp(message->data + i - 2, "\r\n", 2));

		if (start && message->data[i] == '.')
			buf_text(out, ".");
		buf_append(out, message->data + i, 1);
	}
	buf_text(out, ".\r\n");
}

static bool unstuff(struct buf *got, const struct buf *wire, size_t drip)
{
	struct pop3_body body = {0};
	struct buf in = {0};
	const unsigned char *bytes;
	size_t len;
	bool ended = false;

	for (size_t i = 0; i < wire->len; i += drip) {
		enum pop3_body_what what;

		buf_append(&in, wire->data + i, wire->len - i < drip ? wire->len - i : drip);
		while ((what = pop3_body_next(&body, &in, &bytes, &len)) == POP3_BODY_CHUNK) {
			ck_assert_uint_gt(len, 0);
			buf_append(got, bytes, len);
		}
		if (what == POP3_BODY_END) {
			ended = true;
			ck_assert_uint_eq(in.len, 0);
			ck_assert_uint_ge(i + drip, wire->len);
		}
	}
	ck_assert_uint_eq(body.octets, got->len);
	buf_free(&in);
	return ended;
}

START_TEST(undoes_what_stuffing_does)
{
	static const char *const parts[] = {"\r", "\n", ".", "\r\n", "\r\n.", "a", "..", "\n."};
	unsigned seed = 1;

	for (unsigned round = 0; round < 4000; round++) {
		struct buf message = {0};
		struct buf wire = {0};
		unsigned count = round % 23;

		for (unsigned i = 0; i < count; i++)
			buf_text(&message, parts[(unsigned)rand_r(&seed) % 8]);
		buf_text(&message, "\r\n");
		stuff(&wire, &message);
		for (size_t drip = 1; drip < 9; drip++) {
			struct buf got = {0};

			ck_assert(unstuff(&got, &wire, drip));
			ck_assert_mem_eq(buf_string(&got), message.data, message.len);
			ck_assert_uint_eq(got.len, message.len);
			buf_free(&got);
		}
		buf_free(&message);
		buf_free(&wire);
	}
}
END_TEST

/* ---- the parsers --------------------------------------------------------------------------- */

static void check_code(const char *text, const char *want)
{
	char code[POP3_CODE_MAX];

	pop3_parse_code((const unsigned char *)text, strlen(text), code);
	ck_assert_str_eq(code, want);
}

START_TEST(reads_codes)
{
	check_code("[AUTH] no", "AUTH");
	check_code("[sys/temp]", "SYS/TEMP");
	check_code("[LOGIN-DELAY 300] wait", "LOGIN-DELAY");
	check_code("", "");
	check_code("[", "");
	check_code("[]", "");
	check_code("[ AUTH]", "");
	check_code("[AUTH", "");
	check_code(" [AUTH]", "");
	check_code("[AU\x80TH]", "");
	check_code("[0123456789012345678901234567890]", "0123456789012345678901234567890");
	check_code("[01234567890123456789012345678901]", "");
}
END_TEST

START_TEST(reads_sizes_in_answers)
{
	static const struct {
		const char *text;
		uint64_t octets;
	} rows[] = {
	    {"120 octets", 120}, {"120 OCTETS follow", 120},	     {"120", 0}, {"octets 120", 0},
	    {"-120 octets", 0},	 {"99999999999999999999 octets", 0}, {"", 0}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_uint_eq(
		    pop3_parse_octets((const unsigned char *)rows[i].text, strlen(rows[i].text)),
		    rows[i].octets);
}
END_TEST

START_TEST(bounds_what_capabilities_keep)
{
	struct pop3_capa capa = {0};
	static const char sasl[5] = {'S', 'A', 'S', 'L', ' '};
	char line[8000];

	memset(line, 'X', sizeof line);
	memcpy(line, sasl, sizeof sasl);
	for (size_t i = 6; i < sizeof line; i += 4)
		line[i] = ' ';
	for (unsigned i = 0; i < POP3_CAPA_LINES; i++)
		ck_assert(pop3_capa_line(&capa, (const unsigned char *)line, sizeof line));
	ck_assert(!pop3_capa_line(&capa, (const unsigned char *)line, sizeof line));
	ck_assert_uint_le(capa.list.len, SOURCE_TEXT_MAX);
	ck_assert_uint_le(capa.mechanisms.len, SOURCE_TEXT_MAX + 64);
	pop3_capa_forget(&capa);
	ck_assert_uint_eq(capa.list.len, 0);
}
END_TEST

START_TEST(ranks_equal_ids)
{
	static const char *const ids[] = {"b", "a", "b", "a", "b"};
	static const char *const keys[] = {"b", "a", "b 2", "a 2", "b 3"};
	static const uint32_t order[] = {4, 0, 2, 1, 3};
	struct pop3_list list = {0};
	struct buf key = {0};

	ck_assert_ptr_null(pop3_list_find(&list, 1));
	for (size_t i = 0; i < 5; i++)
		ck_assert_ptr_null(
		    pop3_list_add(&list, order[i] + 1, (const unsigned char *)ids[order[i]], 1));
	ck_assert(pop3_list_seal(&list));
	for (uint32_t i = 0; i < 5; i++)
		ck_assert_str_eq(pop3_list_key(&list, pop3_list_find(&list, i + 1), &key), keys[i]);
	ck_assert_ptr_null(pop3_list_find(&list, 0));
	ck_assert_ptr_null(pop3_list_find(&list, 6));
	ck_assert_ptr_null(pop3_list_add(&list, 3, (const unsigned char *)"c", 1));
	ck_assert(!pop3_list_seal(&list));
	pop3_list_forget(&list);
	buf_free(&key);
}
END_TEST

/* ---- secrets ------------------------------------------------------------------------------- */

START_TEST(marks_secrets_until_they_are_sent)
{
	struct bench b;
	struct source_params params = {.in = &b.in, .encrypted = true, .trace = true};

	b = (struct bench){0};
	b.source = pop3_new(&params);
	send_text(&b, "+OK\r\n+OK\r\nUSER\r\nPIPELINING\r\n.\r\n");
	ck_assert_int_eq(next(&b), SOURCE_AUTH_OFFERED);
	ck_assert(!source_out_secret(b.source));
	source_login(b.source, "alice", "secret");
	ck_assert(source_out_secret(b.source));
	buf_clear(source_out(b.source));
	ck_assert(!source_out_secret(b.source));
	send_text(&b, "+OK\r\n+OK\r\n");
	ck_assert_int_eq(next(&b), SOURCE_READY);
	source_select(b.source, "INBOX", false);
	ck_assert_int_eq(next(&b), SOURCE_NEED_BYTES);
	ck_assert_uint_gt(source_out(b.source)->len, 0);
	ck_assert(!source_out_secret(b.source));
	ck_assert_ptr_null(strstr(buf_string(source_trace(b.source)), "secret"));
	bench_close(&b);
}
END_TEST

/* Whatever comes, the engine ends or asks for more; it never says anything in clear. */
START_TEST(survives_noise)
{
	static const char *const parts[] = {"+OK",  "-ERR",   "\r\n", "+ ",	" 1", " 2",
					    "STLS", ".\r\n",  "\x00", "\xff",	".",  " ",
					    "x",    "[AUTH]", "SASL", "+OK\r\n"};
	static const uint32_t numbers[] = {1, 2, 3};
	unsigned seed = 7;

	for (unsigned round = 0; round < 5000; round++) {
		struct bench b = {0};
		struct source_params params = {.in = &b.in, .encrypted = round % 2, .trace = true};
		bool clear = !params.encrypted;

		b.source = pop3_new(&params);
		for (unsigned i = 0; i < 200; i++) {
			enum source_what what = next(&b);

			if (clear && source_out(b.source)->len)
				ck_assert(!strcmp(buf_string(source_out(b.source)), "CAPA\r\n") ||
					  !strcmp(buf_string(source_out(b.source)), "STLS\r\n"));
			buf_clear(source_out(b.source));
			buf_clear(source_trace(b.source));
			if (what == SOURCE_FAILED)
				break;
			if (what == SOURCE_START_TLS) {
				clear = false;
				source_tls_started(b.source);
			} else if (what == SOURCE_AUTH_OFFERED) {
				source_auth(b.source, "PLAIN", round % 3 ? "AGEAYg==" : NULL);
			} else if (what == SOURCE_CHALLENGE) {
				source_respond(b.source, "");
			} else if (what == SOURCE_READY) {
				source_select(b.source, "INBOX", true);
				source_list(b.source, 1, true);
			} else if (what == SOURCE_DONE && b.ev.verb == SOURCE_VERB_LIST) {
				source_fetch(b.source, &(struct source_set){numbers, 3});
				source_remove(b.source, &(struct source_set){numbers, 3});
				source_finish(b.source);
			} else if (what == SOURCE_NEED_BYTES || what == SOURCE_NEED_VERB) {
				send_text(&b, parts[(unsigned)rand_r(&seed) % 16]);
				if ((unsigned)rand_r(&seed) % 3 == 0)
					send_text(&b, "+OK 2 3\r\n");
				if ((unsigned)rand_r(&seed) % 100 == 0)
					source_eof(b.source);
			}
			ck_assert(source_waiting_for(b.source));
		}
		bench_close(&b);
	}
}
END_TEST

static Suite *pop3_suite(void)
{
	Suite *suite = suite_create("pop3");
	TCase *tests = tcase_create("pop3");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, streams_a_message_of_50_mb);
	tcase_add_test(tests, keeps_the_window_from_running_dry);
	tcase_add_test(tests, takes_500_in_one_flight_and_waits_without_pipelining);
	tcase_add_test(tests, holds_back_what_must_wait);
	tcase_add_test(tests, tells_of_many_that_are_gone);
	tcase_add_test(tests, lists_many_messages);
	tcase_add_test(tests, undoes_what_stuffing_does);
	tcase_add_test(tests, reads_codes);
	tcase_add_test(tests, reads_sizes_in_answers);
	tcase_add_test(tests, bounds_what_capabilities_keep);
	tcase_add_test(tests, ranks_equal_ids);
	tcase_add_test(tests, marks_secrets_until_they_are_sent);
	tcase_add_test(tests, survives_noise);
	suite_add_tcase(suite, tests);
	return suite;
}

int main(void)
{
	SRunner *runner = srunner_create(pop3_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
