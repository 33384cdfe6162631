/*
 * The IMAP engine, where a transcript does not reach: octets behind the answer to STARTTLS in one
 * read, a large body in bounded memory, flights, a window of commands, verbs out of place, and how
 * little an engine holds that only listens.
 * The dialogues themselves stand in tests/dialog/imap.
 */
#include "proto/imap.h"

#include "util/mem.h"

#include <check.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct buf in;
static struct source *source;
static struct source_event ev;

static void engine(bool encrypted)
{
	struct source_params params = {.in = &in, .encrypted = encrypted};

	in = (struct buf){0};
	source = imap_new(&params);
}

static void engine_free(void)
{
	source_free(&source);
	ck_assert_ptr_null(source);
	buf_free(&in);
}

static void server(const char *text)
{
	buf_text(&in, text);
}

static void expect(enum source_what what)
{
	enum source_what got = source_next(source, &ev);

	ck_assert_msg(got == what, "expected %d, got %d: %s", what, got, source_err(source)->words);
}

static void client(const char *text)
{
	struct buf *out = source_out(source);

	ck_assert_str_eq(buf_string(out), text);
	buf_clear(out);
}

static void log_in(void)
{
	engine(true);
	server("* PREAUTH [CAPABILITY IMAP4rev1 UIDPLUS] in\r\n");
	expect(SOURCE_READY);
}

static void fetch(const uint32_t *numbers, size_t count)
{
	struct source_set set = {numbers, count};

	source_fetch(source, &set);
}

START_TEST(wall_injection)
{
	engine(false);
	server("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n");
	expect(SOURCE_NEED_BYTES);
	client("a1 STARTTLS\r\n");
	server("a1 OK begin\r\n* CAPABILITY AUTH=EVIL\r\n");
	expect(SOURCE_FAILED);
	ck_assert_int_eq(source_err(source)->kind, ERR_TLS);
	ck_assert_ptr_nonnull(
	    strstr(source_err(source)->words, "server sent data behind its answer to STARTTLS"));
	client("");
	source_tls_started(source);
	expect(SOURCE_FAILED);
	client("");
	engine_free();
}
END_TEST

/* The octets come after START_TLS was said, but not through TLS. */
START_TEST(wall_injection_late)
{
	for (int asked = 0; asked < 2; asked++) {
		engine(false);
		server("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n");
		expect(SOURCE_NEED_BYTES);
		client("a1 STARTTLS\r\n");
		server("a1 OK begin\r\n");
		expect(SOURCE_START_TLS);
		expect(SOURCE_NEED_VERB);
		server("*");
		if (asked)
			expect(SOURCE_FAILED);
		source_tls_started(source);
		expect(SOURCE_FAILED);
		ck_assert_int_eq(source_err(source)->kind, ERR_TLS);
		client("");
		engine_free();
	}
}
END_TEST

/* As many mailboxes as a server likes cost no more memory than is allowed; then it ends. */
START_TEST(mailboxes_without_end)
{
	static const char *const everything[] = {"*"};
	size_t lines = 0;

	engine(true);
	server("* PREAUTH [CAPABILITY IMAP4rev1] in\r\n");
	expect(SOURCE_READY);
	source_mailboxes(source, everything, 1);
	expect(SOURCE_NEED_BYTES);
	client("a1 LIST \"\" \"*\"\r\n");
	for (; lines < 1000000; lines++) {
		char line[64];

		snprintf(line, sizeof line, "* LIST () \"/\" box%zu\r\n", lines);
		server(line);
		if (source_next(source, &ev) == SOURCE_FAILED)
			break;
	}
	ck_assert_uint_eq(lines, 20000);
	ck_assert_int_eq(source_err(source)->kind, ERR_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(source_err(source)->words, "more mailboxes than"));
	engine_free();
}
END_TEST

/* Long names count by their octets. */
START_TEST(mailboxes_of_endless_names)
{
	static const char *const everything[] = {"*"};
	static char line[50000];
	size_t lines = 0;

	engine(true);
	server("* PREAUTH [CAPABILITY IMAP4rev1] in\r\n");
	expect(SOURCE_READY);
	source_mailboxes(source, everything, 1);
	expect(SOURCE_NEED_BYTES);
	for (; lines < 20000; lines++) {
		int len = snprintf(line, sizeof line, "* LIST () \"/\" box%zu", lines);

		memset(line + len, 'x', 40000);
		snprintf(line + len + 40000, 3, "\r\n");
		server(line);
		if (source_next(source, &ev) == SOURCE_FAILED)
			break;
	}
	ck_assert_uint_lt(lines, 300);
	ck_assert_int_eq(source_err(source)->kind, ERR_PROTOCOL);
	engine_free();
}
END_TEST

/* However many names, the commands in flight are bounded, and each name is answered. */
START_TEST(statuses_in_a_window)
{
	enum { NAMES = 1000 };
	static char texts[NAMES][16];
	static const char *names[NAMES];
	size_t answered = 0;
	size_t told = 0;

	for (size_t i = 0; i < NAMES; i++) {
		snprintf(texts[i], sizeof texts[i], "box%zu", i);
		names[i] = texts[i];
	}
	engine(true);
	server("* PREAUTH [CAPABILITY IMAP4rev1] in\r\n");
	expect(SOURCE_READY);
	source_status(source, names, NAMES);
	while (answered < NAMES) {
		struct buf *out = source_out(source);
		char line[96];
		size_t sent = 0;

		expect(SOURCE_NEED_BYTES);
		for (size_t i = 0; i < out->len; i++)
			sent += out->data[i] == '\n';
		ck_assert_uint_ge(sent, 1);
		ck_assert_uint_le(sent, 256);
		buf_consume(out, out->len);
		for (; sent; sent--, answered++) {
			snprintf(line, sizeof line,
				 "* STATUS box%zu (UIDVALIDITY 7 UIDNEXT %zu)\r\na%zu OK\r\n",
				 answered, answered + 1, answered + 1);
			server(line);
		}
	}
	for (; source_next(source, &ev) == SOURCE_STATUS; told++)
		ck_assert(!ev.refused && ev.next == told + 1 && !strcmp(ev.name, names[told]));
	ck_assert_uint_eq(told, NAMES);
	ck_assert_int_eq(ev.verb, SOURCE_VERB_STATUS);
	engine_free();
}
END_TEST

/* The driver may not lead around the wall either. */
START_TEST(wall_driver)
{
	engine(false);
	source_tls_started(source);
	source_login(source, "alice", "secret");
	source_finish(source);
	expect(SOURCE_NEED_BYTES);
	client("");
	server("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n");
	expect(SOURCE_NEED_BYTES);
	client("a1 STARTTLS\r\n");
	source_tls_started(source);
	expect(SOURCE_NEED_BYTES);
	client("");
	engine_free();
}
END_TEST

START_TEST(tls_and_capability_in_one_flight)
{
	engine(false);
	server("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n");
	expect(SOURCE_NEED_BYTES);
	client("a1 STARTTLS\r\n");
	server("a1 OK begin\r\n");
	expect(SOURCE_START_TLS);
	source_tls_started(source);
	client("a2 CAPABILITY\r\n");
	engine_free();
}
END_TEST

START_TEST(secrets_are_marked)
{
	engine(true);
	server("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n");
	expect(SOURCE_AUTH_OFFERED);
	ck_assert(!source_out_secret(source));
	source_auth(source, "PLAIN", "AGEAYg==");
	expect(SOURCE_NEED_BYTES);
	ck_assert(source_out_secret(source));
	client("a1 AUTHENTICATE PLAIN AGEAYg==\r\n");
	expect(SOURCE_NEED_BYTES);
	ck_assert(!source_out_secret(source));
	engine_free();
}
END_TEST

/* 50 MB, 64 KB at a time: neither the input nor the engine gathers them, and none is copied. */
START_TEST(large_body)
{
	static const uint64_t size = 50ULL * 1024 * 1024;
	static unsigned char piece[65536];
	uint32_t number = 5;
	uint64_t sent = 0;
	uint64_t came = 0;
	size_t before;

	memset(piece, 'm', sizeof piece);
	log_in();
	fetch(&number, 1);
	expect(SOURCE_NEED_BYTES);
	server("* 1 FETCH (UID 5 BODY[] {52428800}\r\n");
	expect(SOURCE_BEGIN);
	ck_assert_uint_eq(ev.octets, size);
	before = mallinfo2().uordblks;
	for (;;) {
		enum source_what what = source_next(source, &ev);

		if (what == SOURCE_CHUNK) {
			ck_assert(ev.bytes >= in.base && ev.bytes + ev.len <= in.base + in.room);
			came += ev.len;
			continue;
		}
		ck_assert_int_eq(what, SOURCE_NEED_BYTES);
		ck_assert_uint_eq(in.len, 0);
		if (sent == size)
			break;
		buf_append(&in, piece, sizeof piece);
		sent += sizeof piece;
	}
	ck_assert_uint_eq(came, size);
	ck_assert_uint_le(in.room, 4 * sizeof piece);
	ck_assert_uint_le(mallinfo2().uordblks, before + 4 * sizeof piece);
	server(")\r\na1 OK done\r\n");
	expect(SOURCE_END);
	ck_assert_uint_eq(ev.octets, size);
	expect(SOURCE_DONE);
	engine_free();
}
END_TEST

/* A line that drips in must not be looked at from its start for each octet. */
START_TEST(drip_is_linear)
{
	clock_t start = clock();

	log_in();
	for (int round = 0; round < 10; round++) {
		server("* X \"");
		for (int i = 0; i < 60000; i++) {
			buf_append(&in, "a", 1);
			expect(SOURCE_NEED_VERB);
		}
		server("\"\r\n");
		expect(SOURCE_NEED_VERB);
		ck_assert_uint_eq(in.len, 0);
	}
	ck_assert_int_lt((clock() - start) / CLOCKS_PER_SEC, 5);
	engine_free();
}
END_TEST

/* A flood of responses that mean nothing costs no memory. */
START_TEST(flood)
{
	size_t before;

	log_in();
	server("* 1 FETCH (FLAGS (\\Seen))\r\n* LIST () \"/\" {3}\r\nabc\r\n* 5 EXISTS\r\n");
	expect(SOURCE_NEED_VERB);
	before = mallinfo2().uordblks;
	for (int i = 0; i < 100000; i++) {
		server(
		    "* 1 FETCH (FLAGS (\\Seen))\r\n* LIST () \"/\" {3}\r\nabc\r\n* 5 EXISTS\r\n");
		expect(SOURCE_NEED_VERB);
	}
	ck_assert_uint_le(mallinfo2().uordblks, before + 4096);
	engine_free();
}
END_TEST

/* How many commands wait to be sent, none of them too long. */
static size_t commands_out(void)
{
	const char *line = buf_string(source_out(source));
	size_t count = 0;

	for (; *line; line = strchr(line, '\n') + 1, count++)
		ck_assert_uint_le((size_t)(strchr(line, '\n') - line) + 1, SOURCE_COMMAND_MAX);
	buf_clear(source_out(source));
	return count;
}

/* Ten thousand scattered uids: every command fits, and the next is sent before the one in front of
 * it is answered. */
START_TEST(fetch_window)
{
	uint32_t numbers[10000];
	size_t gone = 0;
	size_t sent;
	enum source_what what = SOURCE_NEED_BYTES;

	for (uint32_t i = 0; i < 10000; i++)
		numbers[i] = 4000000001U + 2 * i;
	log_in();
	fetch(numbers, 10000);
	expect(SOURCE_NEED_BYTES);
	sent = commands_out();
	ck_assert_uint_eq(sent, 2);
	for (size_t tag = 1; what == SOURCE_NEED_BYTES; tag++) {
		ck_assert_uint_le(tag, sent);
		buf_printf(&in, "a%zu OK done\r\n", tag);
		while ((what = source_next(source, &ev)) == SOURCE_GONE)
			ck_assert_uint_eq(ev.number, numbers[gone++]);
		sent += commands_out();
		ck_assert_uint_le(sent, tag + 2);
	}
	ck_assert_int_eq(what, SOURCE_DONE);
	ck_assert_uint_eq(gone, 10000);
	ck_assert_uint_le(sent, 10000 / 650);
	engine_free();
}
END_TEST

/* A hundred thousand messages in the worst order. */
START_TEST(list_backwards)
{
	uint32_t expected = 1;

	log_in();
	source_select(source, "INBOX", false);
	expect(SOURCE_NEED_BYTES);
	server("* 100000 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\na1 OK\r\n");
	expect(SOURCE_SELECTED);
	expect(SOURCE_DONE);
	source_list(source, 1, false);
	for (uint32_t uid = 100000; uid; uid--) {
		buf_printf(&in, "* 1 FETCH (UID %u)\r\n", uid);
		expect(SOURCE_NEED_BYTES);
	}
	server("a2 OK\r\n");
	for (; expected <= 100000; expected++) {
		expect(SOURCE_LISTED);
		ck_assert_uint_eq(ev.number, expected);
	}
	expect(SOURCE_DONE);
	engine_free();
}
END_TEST

/* What a verb leaves undone is freed (and, for a secret, wiped) with the engine. */
START_TEST(freed_in_the_middle)
{
	uint32_t number = 5;

	engine(true);
	source_login(source, "alice",
		     "s\xc3\xa9"
		     "cret");
	fetch(&number, 1);
	source_select(source, "INBOX", true);
	server("* OK [CAPABILITY IMAP4rev1] hello\r\n");
	expect(SOURCE_AUTH_OFFERED);
	expect(SOURCE_NEED_BYTES);
	client("a1 LOGIN \"alice\" {7}\r\n");
	engine_free();
	source_free(&source);
}
END_TEST

/* What moves nothing on is counted to the octet; what was asked for is none of it. */
START_TEST(chatter_is_counted)
{
	static const char chat[] = "* OK still here\r\n* 2 EXISTS\r\n* FLAGS (a)\r\n"
				   "* 1 FETCH (FLAGS (\\Seen))\r\n"
				   "* 9 FETCH (UID 9 BODY[] {3}\r\nabc UID 9)\r\n";
	static const char repeated[] = "* 2 FETCH (UID 2)\r\n";
	uint64_t before;

	log_in();
	source_select(source, "INBOX", false);
	expect(SOURCE_NEED_BYTES);
	client("a1 EXAMINE \"INBOX\"\r\n");
	server("* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\na1 OK\r\n");
	expect(SOURCE_SELECTED);
	expect(SOURCE_DONE);
	source_list(source, 1, false);
	expect(SOURCE_NEED_BYTES);
	client("a2 UID FETCH 1:* (UID)\r\n");
	before = source_chatter(source);
	server("* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n");
	expect(SOURCE_NEED_BYTES);
	ck_assert_uint_eq(source_chatter(source), before);
	server(repeated);
	expect(SOURCE_NEED_BYTES);
	ck_assert_uint_eq(source_chatter(source), before + strlen(repeated));
	server("a2 OK\r\n");
	expect(SOURCE_LISTED);
	expect(SOURCE_LISTED);
	expect(SOURCE_DONE);
	fetch((const uint32_t[]){1, 2}, 2);
	expect(SOURCE_NEED_BYTES);
	client("a3 UID FETCH 1:2 (UID INTERNALDATE BODY.PEEK[])\r\n");
	before = source_chatter(source);
	server("* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n");
	expect(SOURCE_BEGIN);
	expect(SOURCE_CHUNK);
	expect(SOURCE_END);
	expect(SOURCE_NEED_BYTES);
	ck_assert_uint_eq(source_chatter(source), before);
	server(chat);
	expect(SOURCE_NEED_BYTES);
	ck_assert_uint_eq(source_chatter(source), before + strlen(chat));
	engine_free();
}
END_TEST

#define DOVECOT                                                                                    \
	"IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES "    \
	"THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN "    \
	"NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES "   \
	"WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW "       \
	"STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"

/* A visit as it goes with Dovecot, up to where it listens. */
static void listen_after_visit(void)
{
	struct source_params params = {
	    .in = &in, .encrypted = true, .name = "mailhaul", .version = "1.0"};
	uint32_t number = 1;

	in = (struct buf){0};
	source = imap_new(&params);
	server("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n");
	expect(SOURCE_AUTH_OFFERED);
	source_auth(source, "PLAIN", "AGFsaWNlAHNlY3JldA==");
	expect(SOURCE_NEED_BYTES);
	server("a1 OK [CAPABILITY " DOVECOT "] Logged in\r\n");
	expect(SOURCE_READY);
	source_mailboxes(source, (const char *const[]){"*"}, 1);
	expect(SOURCE_NEED_BYTES);
	server("a2 OK ID\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\na3 OK\r\n");
	for (int i = 0; i < 50; i++)
		buf_printf(&in, "* LIST () \"/\" \"box %d\"\r\n", i);
	server("a4 OK\r\n");
	for (int i = 0; i < 50; i++)
		expect(SOURCE_MAILBOX);
	expect(SOURCE_DONE);
	source_select(source, "INBOX", false);
	expect(SOURCE_NEED_BYTES);
	server("* 500 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\na5 OK\r\n");
	expect(SOURCE_SELECTED);
	expect(SOURCE_DONE);
	source_list(source, 1, SOURCE_LIST_IDS);
	expect(SOURCE_NEED_BYTES);
	for (int i = 1; i <= 500; i++)
		buf_printf(&in, "* %d FETCH (UID %d)\r\n", i, i);
	server("a6 OK\r\n");
	for (int i = 1; i <= 500; i++)
		expect(SOURCE_LISTED);
	expect(SOURCE_DONE);
	fetch(&number, 1);
	expect(SOURCE_NEED_BYTES);
	server("* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\na7 OK\r\n");
	expect(SOURCE_BEGIN);
	expect(SOURCE_CHUNK);
	expect(SOURCE_END);
	expect(SOURCE_DONE);
	source_idle(source);
	expect(SOURCE_NEED_BYTES);
	ck_assert_ptr_nonnull(strstr(buf_string(source_out(source)), "\r\na8 IDLE\r\n"));
	buf_clear(source_out(source));
	server("+ idling\r\n");
	expect(SOURCE_NEED_BYTES);
	buf_free(&in);
}

/* Ten thousand of them are to fit where ten thousand connections do. Also once more was heard. */
START_TEST(listening_costs_little)
{
	enum { ENGINES = 500, MOST = 2560 };
	struct source *engines[ENGINES];
	size_t before = mallinfo2().uordblks;

	for (size_t i = 0; i < ENGINES; i++) {
		listen_after_visit();
		engines[i] = source;
	}
	ck_assert_uint_le(mallinfo2().uordblks, before + (size_t)ENGINES * MOST);
	for (size_t i = 0; i < ENGINES; i++) {
		source = engines[i];
		server("* OK Still here\r\n* 501 EXISTS\r\n");
		expect(SOURCE_NEWS);
		expect(SOURCE_NEED_BYTES);
		buf_free(&in);
	}
	ck_assert_uint_le(mallinfo2().uordblks, before + (size_t)ENGINES * MOST);
	for (size_t i = 0; i < ENGINES; i++)
		source_free(&engines[i]);
}
END_TEST

/* News is of use; that the server is still there, and what was told before, is not. */
START_TEST(chatter_in_idle_is_counted)
{
	static const char chat[] = "* OK Still here\r\n* 501 EXISTS\r\n* 3 EXPUNGE\r\n";
	uint64_t before;

	listen_after_visit();
	before = source_chatter(source);
	server("* 501 EXISTS\r\n");
	expect(SOURCE_NEWS);
	expect(SOURCE_NEED_BYTES);
	ck_assert_uint_eq(source_chatter(source), before);
	server(chat);
	expect(SOURCE_NEED_BYTES);
	ck_assert_uint_eq(source_chatter(source), before + strlen(chat));
	engine_free();
}
END_TEST

START_TEST(failure_is_final)
{
	log_in();
	server("a9 OK\r\n");
	expect(SOURCE_FAILED);
	server("* OK\r\n");
	source_finish(source);
	source_eof(source);
	expect(SOURCE_FAILED);
	ck_assert_int_eq(source_err(source)->kind, ERR_PROTOCOL);
	client("");
	engine_free();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("imap");
	TCase *tests = tcase_create("imap");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, wall_injection);
	tcase_add_test(tests, wall_injection_late);
	tcase_add_test(tests, wall_driver);
	tcase_add_test(tests, mailboxes_without_end);
	tcase_add_test(tests, mailboxes_of_endless_names);
	tcase_add_test(tests, statuses_in_a_window);
	tcase_add_test(tests, tls_and_capability_in_one_flight);
	tcase_add_test(tests, secrets_are_marked);
	tcase_add_test(tests, large_body);
	tcase_add_test(tests, drip_is_linear);
	tcase_add_test(tests, flood);
	tcase_add_test(tests, fetch_window);
	tcase_add_test(tests, list_backwards);
	tcase_add_test(tests, freed_in_the_middle);
	tcase_add_test(tests, chatter_is_counted);
	tcase_add_test(tests, listening_costs_little);
	tcase_add_test(tests, chatter_in_idle_is_counted);
	tcase_add_test(tests, failure_is_final);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
