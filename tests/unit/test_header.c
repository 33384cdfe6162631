/*
 * test_header: headers in pieces of any size, and Return-Paths that nobody should be handed.
 */
#include "mail/header.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct expected {
	const char *message_id, *date, *from, *return_path;
};

static void same(const struct buf *have, const char *want, const char *what, size_t cut)
{
	ck_assert_msg(have->len == strlen(want) &&
			  !memcmp(have->data ? have->data : (const void *)"", want, have->len),
		      "%s is \"%.*s\", not \"%s\", when cut at %zu", what, (int)have->len,
		      (const char *)have->data, want, cut);
}

static void check_facts(struct header_scan *scan, const struct expected *want, size_t cut)
{
	const struct header_facts *facts = header_scan_facts(scan);

	same(&facts->message_id, want->message_id, "Message-ID", cut);
	same(&facts->date, want->date, "Date", cut);
	same(&facts->from, want->from, "From", cut);
	same(&facts->return_path, want->return_path, "Return-Path", cut);
}

/* Whole, in two pieces at every octet, and one octet a time. */
static void scans(const char *text, size_t len, bool ends, const struct expected *want)
{
	struct header_scan *scan;

	for (size_t cut = 0; cut <= len; cut++) {
		bool more;

		scan = header_scan_new();
		header_scan_feed(scan, text, cut);
		more = header_scan_feed(scan, text + cut, len - cut);
		ck_assert_int_eq(more, !ends);
		check_facts(scan, want, cut);
		header_scan_free(&scan);
		ck_assert_ptr_null(scan);
	}
	scan = header_scan_new();
	for (size_t i = 0; i < len; i++)
		header_scan_feed(scan, text + i, 1);
	check_facts(scan, want, 1);
	header_scan_free(&scan);
}

#define SCANS(text, ends, ...)                                                                     \
	scans(text, sizeof(text) - 1, ends, &(const struct expected){__VA_ARGS__})

START_TEST(the_four_fields)
{
	SCANS("Return-Path: <a@b.example>\r\nReceived: x\r\nDate: Mon, 1 Jan\r\n"
	      "From: Lee <lee@example.org>\r\nMessage-ID: <1@x>\r\nSubject: s\r\n\r\n"
	      "From: body\r\nDate: body\r\n",
	      true, "<1@x>", "Mon, 1 Jan", "Lee <lee@example.org>", "<a@b.example>");
	SCANS("MESSAGE-id:<1@x>\nfrom:a\ndate:b\nreturn-PATH:c\n\nx", true, "<1@x>", "b", "a", "c");
}
END_TEST

START_TEST(a_subject)
{
	static const char text[] = "subject: one\r\n two \r\nSubject: three\r\n\r\n";
	struct header_scan *scan = header_scan_new();

	ck_assert(!header_scan_feed(scan, text, sizeof text - 1));
	same(&header_scan_facts(scan)->subject, "one two", "Subject", 0);
	header_scan_free(&scan);
}
END_TEST

START_TEST(the_topmost_wins)
{
	SCANS("From: one\r\nFrom: two\r\nDate:\r\nDate: later\r\n\r\n", true, "", "", "one", "");
}
END_TEST

START_TEST(folded_fields)
{
	SCANS("Message-ID:\r\n <1@x>\r\nFrom: a\r\n\tb\r\n  c\r\nX: y\r\n z\r\nDate: d \t \r\n "
	      "\r\n\r\n",
	      true, "<1@x>", "d", "a b  c", "");
	/* Folded lines behind fields that are not kept belong to those. */
	SCANS("Subject: s\n Message-ID: <no@x>\nFrom: a\nFrom: b\n c\nDate: d\n\n", true, "", "d",
	      "a", "");
	/* A folded line before any field. */
	SCANS(" From: no\nFrom: yes\n\n", true, "", "", "yes", "");
}
END_TEST

START_TEST(mixed_line_ends)
{
	SCANS("From: a\nDate: b\r\nMessage-ID: c\n\r\nReturn-Path: no\n", true, "c", "b", "a", "");
	SCANS("From: a\r\nDate: b\r\n\nMessage-ID: no\r\n", true, "", "b", "a", "");
	/* A lone CR ends no line, and so begins no field. */
	SCANS("From: a\rDate: no\r\n\r\n", true, "", "", "a\rDate: no", "");
	SCANS("\rFrom: no\r\nDate: d\r\n\r\n", true, "", "d", "", "");
	/* CR CR LF is a CR and a line end, and no end of the header. */
	SCANS("From: a\r\r\nDate: d\r\r\n\r\r\nMessage-ID: m\n\n", true, "m", "d", "a", "");
}
END_TEST

START_TEST(messages_without_an_end)
{
	SCANS("", false, "", "", "", "");
	SCANS("From: a", false, "", "", "a", "");
	SCANS("From: a\r", false, "", "", "a", "");
	SCANS("From", false, "", "", "", "");
	SCANS("From: a\r\n", false, "", "", "a", "");
	SCANS("\r\nFrom: body\r\n\r\n", true, "", "", "", "");
	SCANS("\n", true, "", "", "", "");
}
END_TEST

START_TEST(lines_that_are_no_fields)
{
	SCANS("From lee@example.org Mon Jan  1 10:00:00 2024\nFrom: a\n\n", true, "", "", "a", "");
	SCANS(">From x: y\nno colon here\n: no name\nFrom\nDate: d\n\n", true, "", "d", "", "");
	SCANS("From-Other: x\nXFrom: y\nFro: z\nFroms: z\nMessage-IDs: q\n\n", true, "", "", "",
	      "");
	/* Obsolete syntax: white space in front of the colon. */
	SCANS("From \t: a\n\n", true, "", "", "a", "");
	SCANS("A-name-that-is-longer-than-any-we-look-for: From: x\nFrom: a\n\n", true, "", "", "a",
	      "");
}
END_TEST

START_TEST(octets_of_any_kind)
{
	struct header_scan *scan = header_scan_new();
	static const char text[] = "Fr\0om: no\nFrom: a\0b\xff\nDate\0: no\n\n";
	const struct header_facts *facts;

	ck_assert(!header_scan_feed(scan, text, sizeof text - 1));
	facts = header_scan_facts(scan);
	ck_assert_uint_eq(facts->from.len, 4);
	ck_assert_int_eq(memcmp(facts->from.data, "a\0b\xff", 4), 0);
	ck_assert_uint_eq(facts->date.len, 0);
	header_scan_free(&scan);
}
END_TEST

START_TEST(feeding_more_does_nothing)
{
	struct header_scan *scan = header_scan_new();

	ck_assert(header_scan_feed(scan, "From: a\n", 8));
	ck_assert(header_scan_feed(scan, NULL, 0));
	ck_assert(!header_scan_feed(scan, "\nDate: no\n\n", 11));
	ck_assert(!header_scan_feed(scan, "Date: no\n", 9));
	check_facts(scan, &(const struct expected){"", "", "a", ""}, 0);
	header_scan_free(&scan);
	header_scan_free(&scan);
}
END_TEST

static void feed_many(struct header_scan *scan, const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		header_scan_feed(scan, text, strlen(text));
}

/* Half a Message-ID would recognise the wrong message: too long is worth nothing. */
START_TEST(an_endless_field_is_worth_nothing_and_costs_nothing)
{
	struct header_scan *scan = header_scan_new();

	header_scan_feed(scan, "Message-ID: <", 13);
	feed_many(scan, "xxxxxxxxxxxxxxxx", 1000000);
	ck_assert_uint_le(header_scan_facts(scan)->message_id.room, (size_t)3 * HEADER_FIELD_MAX);
	feed_many(scan, "\r\n more>\r\nMessage-ID: <no@x>\r\nFrom: a\r\n", 1);
	feed_many(scan, " folded\r\n", 1000);
	feed_many(scan, "Date: d\r\n\r\n", 1);
	check_facts(scan, &(const struct expected){"", "d", "", ""}, 0);
	header_scan_free(&scan);
}
END_TEST

START_TEST(a_field_may_be_as_long_as_the_header_says)
{
	for (size_t len = HEADER_FIELD_MAX - 2; len <= HEADER_FIELD_MAX + 1; len++) {
		struct header_scan *scan = header_scan_new();

		header_scan_feed(scan, "From: ", 6);
		feed_many(scan, "x", len);
		header_scan_feed(scan, "\n\n", 2);
		ck_assert_uint_eq(header_scan_facts(scan)->from.len,
				  len <= HEADER_FIELD_MAX ? len : 0);
		header_scan_free(&scan);
	}
}
END_TEST

static void sender(const char *path, const char *expected)
{
	char out[256];

	memset(out, '#', sizeof out);
	header_sender(path, out, sizeof out);
	ck_assert_msg(!strcmp(out, expected), "%s gives \"%s\", not \"%s\"", path, out, expected);
}

START_TEST(senders)
{
	sender("<lee@example.org>", "lee@example.org");
	sender("<Lee.Ann+tag@Example.ORG>", "Lee.Ann+tag@Example.ORG");
	sender("<!#$%&'*+/=?^_`{|}~-@a>", "!#$%&'*+/=?^_`{|}~-@a");
	sender("<a@[192.0.2.1]>", "a@[192.0.2.1]");
	sender("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]");
	sender("<a@xn--bcher-kva.example>", "a@xn--bcher-kva.example");
	sender("<\"a b\"@c.example>", "\"a b\"@c.example");
	sender("<\"a\\\"b\\\\@>\"@c>", "\"a\\\"b\\\\@>\"@c");
	sender("<\"\"@c>", "\"\"@c");
	sender("<\"-f\"@c>", "\"-f\"@c");
	/* Source routes are dropped. */
	sender("<@one.example:a@b>", "a@b");
	sender("<@one,@[192.0.2.1],@three:a@b>", "a@b");
}
END_TEST

START_TEST(no_senders)
{
	static const char *const bad[] = {
	    "", "<", ">", "<>", "< >", "a@b", "<a@b", "a@b>", " <a@b>", "<a@b> ", "<<a@b>>",
	    "<a@b><c@d>", "<a@b> (comment)", "Lee <a@b>", "<a>", "<Postmaster>", "<@>", "<a@>",
	    "<@b>", "<a@@b>", "<a@b@c>",
	    /* options */
	    "<-f@b>", "<-oQ/tmp@b>", "<--@b>", "<-@b>", "<@x:-f@b>",
	    /* white space, controls, 8-bit */
	    "<a b@c>", "<a @b>", "<a@ b>", "<a\tb@c>", "<a@b\n>", "<a\n-f@b>", "<\x01@b>",
	    "<a\x7f@b>", "<\xc3\xbc@b>", "<a@\xc3\xbc>", "<\"a\nb\"@c>", "<\"a\\\nb\"@c>",
	    "<\"\xc3\xbc\"@c>", "<\"\x7f\"@c>", "<\"a\tb\"@c>",
	    /* dots */
	    "<.a@b>", "<a.@b>", "<a..b@c>", "<a@.b>", "<a@b.>", "<a@b..c>",
	    /* quotes */
	    "<\"a@b>", "<a\"@b>", "<\"a\"b@c>", "<\"a\".b@c>", "<\"a\\\"@b>", "<\"a\"@\"b\">",
	    "<a\\b@c>", "<\"a\">",
	    /* routes */
	    "<@a:>", "<@a>", "<@a,:b@c>", "<@a,b:c@d>", "<@:a@b>", "<@a;b@c>", "<@a,@b@c>",
	    "<,@a:b@c>",
	    /* domains */
	    "<a@b_c>", "<a@b,c>", "<a@b;c>", "<a@b/c>", "<a@[>", "<a@[1.2.3.4>", "<a@1.2.3.4]>",
	    "<a@[1.2.3.4]x>", "<a@[1 2]>", "<a@[]>", "<a@[[1]]>", "<a@-b>", "<a@b->", "<a@b.-c>",
	    "<a@b-.c>", "<@-a:b@c>",
	    /* what a shell or a header would take amiss */
	    "<a(b)@c>", "<a;b@c>", "<a,b@c>", "<a:b@c>", "<a<b@c>", "<a@b>\r\nX: y>"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		sender(bad[i], "");
}
END_TEST

START_TEST(senders_have_a_length)
{
	char path[600];
	char out[512];

	for (size_t len = 250; len <= 258; len++) {
		memset(path, 'a', sizeof path);
		path[0] = '<';
		memcpy(path + 1 + len - 2, "@b>", 4);
		header_sender(path, out, sizeof out);
		ck_assert_uint_eq(strlen(out), len <= 254 ? len : 0);
		header_sender(path, out, 256);
		ck_assert_uint_eq(strlen(out), len <= 254 ? len : 0);
	}
}
END_TEST

/* Whatever is given: what is returned never begins with '-', is short, printable, and has one
 * piece unless it is quoted. */
START_TEST(noise_never_becomes_an_option)
{
	static const char letters[] = "<>@@..--\"\\ab,:[]1 \x80\n";
	char path[24];
	char out[256];
	int found = 0;

	srand(3);
	for (int turn = 0; turn < 300000; turn++) {
		size_t len = (size_t)rand() % (sizeof path - 3);

		path[0] = '<';
		for (size_t i = 0; i < len; i++)
			path[1 + i] = letters[(size_t)rand() % (sizeof letters - 1)];
		path[1 + len] = '>';
		path[2 + len] = '\0';
		header_sender(path, out, sizeof out);
		if (!*out)
			continue;
		found++;
		ck_assert(*out != '-');
		ck_assert_ptr_nonnull(strchr(out, '@'));
		for (const char *c = out; *c; c++)
			ck_assert(*c >= ' ' && *c <= '~' && (*c != ' ' || *out == '"'));
	}
	ck_assert_int_gt(found, 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("header");
	TCase *tests = tcase_create("header");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_four_fields);
	tcase_add_test(tests, a_subject);
	tcase_add_test(tests, the_topmost_wins);
	tcase_add_test(tests, folded_fields);
	tcase_add_test(tests, mixed_line_ends);
	tcase_add_test(tests, messages_without_an_end);
	tcase_add_test(tests, lines_that_are_no_fields);
	tcase_add_test(tests, octets_of_any_kind);
	tcase_add_test(tests, feeding_more_does_nothing);
	tcase_add_test(tests, an_endless_field_is_worth_nothing_and_costs_nothing);
	tcase_add_test(tests, a_field_may_be_as_long_as_the_header_says);
	tcase_add_test(tests, senders);
	tcase_add_test(tests, no_senders);
	tcase_add_test(tests, senders_have_a_length);
	tcase_add_test(tests, noise_never_becomes_an_option);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
