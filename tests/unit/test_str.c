/*
 * test_str: numbers that are refused, and text of strangers that must not steer a terminal.
 */
#include "util/str.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool number(const char *text, uint64_t max, uint64_t *value_r)
{
	return str_number(text, strlen(text), max, value_r);
}

START_TEST(numbers)
{
	uint64_t value = 0;

	ck_assert(number("0", 0, &value) && value == 0);
	ck_assert(number("0000000000000000000000000000007", 7, &value) && value == 7);
	ck_assert(number("4294967295", UINT32_MAX, &value) && value == UINT32_MAX);
	ck_assert(number("18446744073709551615", UINT64_MAX, &value) && value == UINT64_MAX);
	ck_assert(str_number("12x", 2, 99, &value) && value == 12);
}
END_TEST

START_TEST(no_numbers)
{
	static const char *const bad[] = {"",
					  " 1",
					  "1 ",
					  "+1",
					  "-1",
					  "1x",
					  "x1",
					  "0x1",
					  "1.0",
					  "\xd9\xa1",
					  "1\n",
					  "/",
					  ":",
					  "18446744073709551616",
					  "184467440737095516150",
					  "99999999999999999999",
					  "340282366920938463463374607431768211456"};
	uint64_t value = 42;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!number(bad[i], UINT64_MAX, &value), "%s", bad[i]);
	ck_assert(!number("4294967296", UINT32_MAX, &value));
	ck_assert(!number("8", 7, &value));
	ck_assert(!number("1", 0, &value));
	ck_assert(!str_number("1\0002", 3, 1000, &value));
	ck_assert_uint_eq(value, 42);
}
END_TEST

START_TEST(compares_without_case_but_only_ascii)
{
	ck_assert(str_is("StArTtLs", 8, "starttls"));
	ck_assert(!str_is("STARTTL", 7, "STARTTLS"));
	ck_assert(!str_is("STARTTLSX", 9, "STARTTLS"));
	ck_assert(!str_is("STARTTLS", 8, ""));
	ck_assert(str_is("", 0, ""));
	ck_assert(!str_is("a\0b", 3, "a"));
	ck_assert(!str_is("@", 1, "`"));
	ck_assert(!str_is("[", 1, "{"));
	ck_assert(!str_is("\xc4", 1, "\xe4"));
	ck_assert(str_same("Host.Example", "hOST.eXAMPLE"));
	ck_assert(!str_same("a", "ab"));
	ck_assert(!str_same("ab", "a"));
	ck_assert(str_begins("+ok done", 8, "+OK"));
	ck_assert(!str_begins("+o", 2, "+OK"));
	ck_assert(str_begins("x", 1, ""));
}
END_TEST

static void shows(const char *bytes, size_t len, const char *expected)
{
	struct buf out = {0};

	str_visible(&out, bytes, len, 4096);
	ck_assert_str_eq(buf_string(&out), expected);
	buf_free(&out);
}

#define SHOWS(text, expected) shows(text, sizeof(text) - 1, expected)

START_TEST(words_among_words)
{
	static const char words[] = "IMAP4rev1 sasl-ir AUTH=PLAIN";

	ck_assert(str_has_word(words, strlen(words), "imap4REV1"));
	ck_assert(str_has_word(words, strlen(words), "SASL-IR"));
	ck_assert(str_has_word(words, strlen(words), "AUTH=PLAIN"));
	ck_assert(!str_has_word(words, strlen(words) - 1, "AUTH=PLAIN"));
	ck_assert(!str_has_word(words, strlen(words), "IMAP4"));
	ck_assert(!str_has_word(words, strlen(words), "IR"));
	ck_assert(!str_has_word(words, strlen(words), "IMAP4rev1 sasl-ir"));
	ck_assert(str_has_word("a  b ", 5, "b"));
	ck_assert(!str_has_word(NULL, 0, "a"));
}
END_TEST

START_TEST(text_stays)
{
	SHOWS("", "");
	SHOWS("plain ~!\\", "plain ~!\\");
	SHOWS("Gr\xc3\xbc\xc3\x9f"
	      "e \xe2\x82\xac \xf0\x9f\x93\xac",
	      "Gr\xc3\xbc\xc3\x9f"
	      "e \xe2\x82\xac \xf0\x9f\x93\xac");
}
END_TEST

START_TEST(controls_are_shown)
{
	SHOWS("a\0b", "a\\x00b");
	SHOWS("\x1b]0;owned\x07\r\n\t\x7f", "\\x1B]0;owned\\x07\\x0D\\x0A\\x09\\x7F");
	/* C1 as UTF-8: CSI, NEL */
	SHOWS("\xc2\x9b"
	      "2J\xc2\x85",
	      "\\u{009B}2J\\u{0085}");
	/* bidirectional, zero-width, separators, byte order mark, tags */
	SHOWS("\xe2\x80\xae"
	      "fdp.exe\xe2\x81\xa6",
	      "\\u{202E}fdp.exe\\u{2066}");
	SHOWS("\xe2\x80\x8b\xe2\x80\x8d\xe2\x80\x8f", "\\u{200B}\\u{200D}\\u{200F}");
	SHOWS("\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf", "\\u{2028}\\u{2029}\\u{FEFF}");
	SHOWS("\xd8\x9c\xc2\xad\xe1\xa0\x8e", "\\u{061C}\\u{00AD}\\u{180E}");
	SHOWS("\xf3\xa0\x81\x81", "\\u{E0041}");
}
END_TEST

START_TEST(what_is_not_utf8_is_shown)
{
	SHOWS("\xff\xfe", "\\xFF\\xFE");
	SHOWS("\x80"
	      "a",
	      "\\x80a");
	/* C1 as a lone octet; overlong NUL, slash and euro; a surrogate; above U+10FFFF */
	SHOWS("\x9b", "\\x9B");
	SHOWS("\xc0\x80\xc0\xaf", "\\xC0\\x80\\xC0\\xAF");
	SHOWS("\xc1\xbf", "\\xC1\\xBF");
	SHOWS("\xe0\x9f\xbf", "\\xE0\\x9F\\xBF");
	SHOWS("\xf0\x82\x82\xac", "\\xF0\\x82\\x82\\xAC");
	SHOWS("\xed\xa0\x80", "\\xED\\xA0\\x80");
	SHOWS("\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80");
	SHOWS("\xf5\x80\x80\x80", "\\xF5\\x80\\x80\\x80");
	/* cut short at the end, or by another character */
	SHOWS("\xe2\x82", "\\xE2\\x82");
	SHOWS("\xe2\x82(", "\\xE2\\x82(");
	SHOWS("\xc3", "\\xC3");
}
END_TEST

/* Whatever comes, what is shown is UTF-8 without controls, and never longer than allowed. */
START_TEST(no_octets_get_through)
{
	unsigned char noise[64];
	char out[80];

	srand(2);
	for (int turn = 0; turn < 20000; turn++) {
		struct buf shown = {0};
		struct buf again = {0};
		size_t max = (size_t)rand() % 300;

		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (unsigned char)(rand() % 3 ? rand() % 64 + 0x80 : rand());
		str_visible(&shown, noise, sizeof noise, max);
		ck_assert_uint_le(shown.len, max + 3);
		str_visible(&again, shown.data, shown.len, 4096);
		ck_assert_str_eq(buf_string(&again), buf_string(&shown));
		noise[sizeof noise - 1] = '\0';
		str_visible_to(out, (size_t)turn % sizeof out, (const char *)noise);
		buf_free(&shown);
		buf_free(&again);
	}
}
END_TEST

START_TEST(stops_at_whole_characters)
{
	struct buf out = {0};

	buf_text(&out, "before ");
	str_visible(&out, "abcdef", 6, 4);
	ck_assert_str_eq(buf_string(&out), "before abcd...");
	buf_clear(&out);
	str_visible(&out, "abcd", 4, 4);
	ck_assert_str_eq(buf_string(&out), "abcd");
	buf_clear(&out);
	str_visible(&out, "ab\x1b", 3, 4);
	ck_assert_str_eq(buf_string(&out), "ab...");
	buf_clear(&out);
	str_visible(&out, "ab\xe2\x82\xac", 5, 4);
	ck_assert_str_eq(buf_string(&out), "ab...");
	buf_free(&out);
}
END_TEST

START_TEST(a_place_is_never_overrun)
{
	char out[12];

	for (size_t size = 1; size <= sizeof out; size++) {
		memset(out, '#', sizeof out);
		str_visible_to(out, size, "\x1b[31m and more");
		ck_assert_uint_lt(strlen(out), size);
		for (size_t i = size; i < sizeof out; i++)
			ck_assert_int_eq(out[i], '#');
	}
	str_visible_to(out, sizeof out, "short");
	ck_assert_str_eq(out, "short");
}
END_TEST

static void octets(uint64_t n, const char *expected)
{
	char out[32];

	ck_assert_str_eq(str_octets(out, n), expected);
}

START_TEST(octets_for_people)
{
	octets(0, "0 B");
	octets(999, "999 B");
	octets(1000, "1.0 kB");
	octets(999949, "999.9 kB");
	octets(999950, "1.0 MB");
	octets(1500000, "1.5 MB");
	octets(50000000, "50.0 MB");
	octets(999999999, "1.0 GB");
	octets(UINT64_MAX, "18446744.1 TB");
}
END_TEST

static void span(uint64_t n, const char *expected)
{
	char out[32];

	ck_assert_str_eq(str_span(out, n), expected);
}

START_TEST(spans_for_people)
{
	span(0, "0 s");
	span(59, "59 s");
	span(60, "1 min");
	span(3599, "59 min");
	span(3600, "1 h 0 min");
	span(86399, "23 h 59 min");
	span(86400, "1 d 0 h");
	span(3 * 86400 + 4 * 3600, "3 d 4 h");
	span(UINT64_MAX, "213503982334601 d 7 h");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("str");
	TCase *tests = tcase_create("str");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, numbers);
	tcase_add_test(tests, no_numbers);
	tcase_add_test(tests, compares_without_case_but_only_ascii);
	tcase_add_test(tests, words_among_words);
	tcase_add_test(tests, text_stays);
	tcase_add_test(tests, controls_are_shown);
	tcase_add_test(tests, what_is_not_utf8_is_shown);
	tcase_add_test(tests, no_octets_get_through);
	tcase_add_test(tests, stops_at_whole_characters);
	tcase_add_test(tests, a_place_is_never_overrun);
	tcase_add_test(tests, octets_for_people);
	tcase_add_test(tests, spans_for_people);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
