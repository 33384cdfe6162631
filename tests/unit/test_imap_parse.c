/*
 * The parser of IMAP responses: every input is read whole and octet by octet, and both must tell
 * the same; what cannot be must be refused; a stream of any size must not gather.
 */
#include "proto/imap_parse.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* What the parser says of an input, as text: one line each for what it hands out. */
static void tell_line(struct buf *out, enum imap_what what, const struct imap_line *line)
{
	static const char *const kinds[] = {"a", "q", "l", "(", ")"};

	buf_printf(out, "%s%d", line->rest ? "rest" : "line", line->form);
	if (line->status != IMAP_NO_STATUS || line->form == IMAP_CONTINUE)
		buf_printf(
		    out, " status%d code=%.*s args=%.*s text=%.*s", line->status,
		    (int)line->code.len, line->code.bytes ? (const char *)line->code.bytes : "",
		    (int)line->args.len, line->args.bytes ? (const char *)line->args.bytes : "",
		    (int)line->text.len, (const char *)line->text.bytes);
	else
		for (size_t i = 0; i < line->count; i++)
			buf_printf(out, " %s%u:%.*s", kinds[line->tokens[i].kind],
				   line->tokens[i].depth, (int)line->tokens[i].len,
				   (const char *)line->tokens[i].bytes);
	if (what == IMAP_BODY)
		buf_printf(out, " body %llu", (unsigned long long)line->octets);
	buf_text(out, "\n");
}

static char *told(const char *bytes, size_t len, size_t drip)
{
	struct buf in = {0};
	struct buf out = {0};
	struct imap_parse *parse = imap_parse_new(&in);
	struct imap_line line;
	struct err err;
	bool octets = false;
	char *result;

	for (size_t at = 0; at <= len;) {
		enum imap_what what = imap_parse_next(parse, &line, &err);

		if (octets && what != IMAP_OCTETS && what != IMAP_MORE) {
			buf_text(&out, "\n");
			octets = false;
		}
		if (what == IMAP_MORE) {
			size_t some = len - at < drip ? len - at : drip;

			if (at == len)
				break;
			buf_append(&in, bytes + at, some);
			at += some;
		} else if (what == IMAP_BROKEN) {
			buf_printf(&out, "broken: %s\n", err.words);
			ck_assert_int_eq(err.kind, ERR_PROTOCOL);
			break;
		} else if (what == IMAP_OCTETS) {
			octets = true;
			buf_append(&out, line.bytes.bytes, line.bytes.len);
		} else {
			tell_line(&out, what, &line);
		}
	}
	result = strdup(buf_string(&out));
	imap_parse_free(&parse);
	ck_assert_ptr_null(parse);
	buf_free(&in);
	buf_free(&out);
	return result;
}

static void tells(const char *bytes, const char *expected)
{
	static const size_t drips[] = {1, 2, 3, 5, 100000};

	for (size_t i = 0; i < sizeof drips / sizeof *drips; i++) {
		char *got = told(bytes, strlen(bytes), drips[i]);

		ck_assert_str_eq(got, expected);
		free(got);
	}
}

static void refuses(const char *bytes, const char *words)
{
	static const size_t drips[] = {1, 7, 100000};

	for (size_t i = 0; i < sizeof drips / sizeof *drips; i++) {
		char *got = told(bytes, strlen(bytes), drips[i]);

		ck_assert_msg(strstr(got, words) != NULL, "%s: expected %s, got %s", bytes, words,
			      got);
		free(got);
	}
}

START_TEST(statuses)
{
	tells("* OK hello there\r\n", "line0 status1 code= args= text=hello there\n");
	tells("* ok\r\n", "line0 status1 code= args= text=\n");
	tells("a1 NO [ALERT] no\r\n", "line2 status2 code=ALERT args= text=no\n");
	tells("a1 BAD [UIDNEXT 7]\n", "line2 status3 code=UIDNEXT args=7 text=\n");
	tells("* PREAUTH [X (a \"b\")] y ] z\r\n",
	      "line0 status4 code=X args=(a \"b\") text=y ] z\n");
	tells("* BYE [open\r\n", "line0 status5 code= args= text=[open\n");
	tells("* OK []x\r\n", "line0 status1 code= args= text=x\n");
	tells("* OK (\" {5}\r\n", "line0 status1 code= args= text=(\" {5}\n");
	tells("+ cj1h\r\n+\r\n+ \r\n", "line1 status0 code= args= text=cj1h\n"
				       "line1 status0 code= args= text=\n"
				       "line1 status0 code= args= text=\n");
	/* BYE and PREAUTH are untagged only */
	tells("a1 BYE x\r\n", "line2 a0:BYE a0:x\n");
	tells("+OK POP3\r\n", "line2 a0:POP3\n");
}
END_TEST

START_TEST(tokens)
{
	tells("* LIST (\\Noselect \\*) \"/\" ~foo\r\n",
	      "line0 a0:LIST (0:( a1:\\Noselect a1:\\* )0:) q0:/ a0:~foo\n");
	tells("* X \"a \\\"b\\\\\" \"\" NIL 12\r\n",
	      "line0 a0:X q0:a \\\"b\\\\ q0: a0:NIL a0:12\n");
	tells("* X {3}\r\na\r\n y ~{2}\r\n)( {0}\r\n\r\n", "line0 a0:X l0:a\r\n a0:y l0:)( l0:\n");
	tells("* X {1+}\r\na\r\n", "line0 a0:X l0:a\n");
	tells("* X (a(b)(c (d)))\r\n",
	      "line0 a0:X (0:( a1:a (1:( a2:b )1:) (1:( a2:c (2:( a3:d )2:) )1:) )0:)\n");
	tells("*  X   y \r\n* Z\n", "line0 a0:X a0:y\nline0 a0:Z\n");
}
END_TEST

START_TEST(bodies)
{
	tells("* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\r\n* OK x\r\n",
	      "line0 a0:1 a0:FETCH (0:( a1:UID a1:5 a1:BODY[] body 3\nabc\nrest0 )0:)\n"
	      "line0 status1 code= args= text=x\n");
	tells("* 1 fetch (body[header.fields (a \"b\")]<0> {1}\r\n) RFC822 ~{2}\r\n\r\n UID 1)\r\n",
	      "line0 a0:1 a0:fetch (0:( a1:body[header.fields (a \"b\")]<0> body 1\n)\n"
	      "rest0 a1:RFC822 body 2\n\r\n\nrest0 a1:UID a1:1 )0:)\n");
	tells("* 1 FETCH (BODY[] {0}\r\n)\r\n",
	      "line0 a0:1 a0:FETCH (0:( a1:BODY[] body 0\nrest0 )0:)\n");
	tells("* 1 FETCH (ENVELOPE ({1}\r\na) BODY[] \"q\")\r\n",
	      "line0 a0:1 a0:FETCH (0:( a1:ENVELOPE (1:( l2:a )1:) a1:BODY[] q1:q )0:)\n");
	/* a body is one only where FETCH has it */
	tells("* X (BODY[] {1}\r\na)\r\n", "line0 a0:X (0:( a1:BODY[] l1:a )0:)\n");
	tells("* 1 FETCH (BODY[] {9223372036854775807}\r\nab",
	      "line0 a0:1 a0:FETCH (0:( a1:BODY[] body 9223372036854775807\nab");
}
END_TEST

START_TEST(refusals)
{
	refuses("\r\n", "without a tag");
	refuses(" OK\r\n", "without a tag");
	refuses("* \r\n", "without a response");
	refuses("*\r\n", "without a response");
	refuses("* X )\r\n", ") too many");
	refuses("* X (\r\n", "not closed");
	refuses("* X \"a\r\n", "not closed");
	refuses("* X \"a\\\r\n", "not closed");
	refuses("* 1 FETCH (BODY[ \r\n", "not closed");
	refuses("* X a\rb", "CR without its LF");
	refuses("* X \x01\r\n", "control");
	refuses("\x16\x03", "no text");
	refuses("* X {}\r\n", "proper size");
	refuses("* X {-1}\r\n", "proper size");
	refuses("* X {1 }\r\n", "proper size");
	refuses("* X {1}x", "proper size");
	refuses("* X {+}\r\n", "proper size");
	refuses("* X {65537}\r\n", "too large");
	refuses("* X {4294967295}\r\n", "too large");
	refuses("* X {18446744073709551615}\r\n", "cannot be");
	refuses("* 1 FETCH (BODY[] {9223372036854775808}\r\n", "cannot be");
	refuses("* 1 FETCH (BODY[] {999999999999999999999999999999}\r\n", "cannot be");
	/* nested BODY[] is no body */
	refuses("* 1 FETCH (X (BODY[] {65537}\r\n", "too large");
}
END_TEST

START_TEST(what_broke_stays_broken)
{
	struct buf in = {0};
	struct imap_parse *parse = imap_parse_new(&in);
	struct imap_line line;
	struct err err;

	buf_text(&in, "* X )\r\n");
	ck_assert_int_eq(imap_parse_next(parse, &line, &err), IMAP_BROKEN);
	buf_clear(&in);
	buf_text(&in, "* OK fine\r\n");
	ck_assert_int_eq(imap_parse_next(parse, &line, &err), IMAP_BROKEN);
	imap_parse_free(&parse);
	imap_parse_free(&parse);
	buf_free(&in);
}
END_TEST

START_TEST(limits)
{
	char line[2 * IMAP_LINE_MAX];
	struct buf in = {0};

	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	refuses(line, "line without end");
	memcpy(line, "* OK ", 5);
	refuses(line, "line without end");
	memcpy(line, "* X \"", 5);
	refuses(line, "line without end");
	/* as one line that is whole already */
	memcpy(line, "* OK ", 5);
	memcpy(line + sizeof line - 3, "\r\n", 2);
	refuses(line, "line without end");
	memset(line, '(', sizeof line - 1);
	memcpy(line, "* X ", 4);
	refuses(line, "nested too deep");
	/* just so long is fine */
	buf_text(&in, "* OK ");
	while (in.len < IMAP_LINE_MAX - 2)
		buf_text(&in, "y");
	buf_text(&in, "\r\n");
	for (size_t drip = 1; drip < 100000; drip += 99998) {
		char *got = told((char *)in.data, in.len, drip);

		ck_assert_ptr_null(strstr(got, "broken"));
		free(got);
	}
	buf_free(&in);
}
END_TEST

/* One literal as large as may be, in a line as long as may be, is taken; two are not. */
START_TEST(literals_together)
{
	struct buf in = {0};
	char *got;

	buf_printf(&in, "* X {%d}\r\n", IMAP_LITERAL_MAX);
	for (int i = 0; i < IMAP_LITERAL_MAX; i++)
		buf_text(&in, "z");
	got = told((char *)in.data, in.len, 4096);
	ck_assert_str_eq(got, "");
	free(got);
	buf_text(&in, " {1}\r\n");
	got = told((char *)in.data, in.len, 4096);
	ck_assert_ptr_nonnull(strstr(got, "too large"));
	free(got);
	in.len -= strlen(" {1}\r\n");
	buf_text(&in, "\r\n* OK\r\n* X {1}\r\na\r\n");
	got = told((char *)in.data, in.len, 1);
	ck_assert_msg(!strstr(got, "broken"), "%s", strstr(got, "broken"));
	ck_assert_ptr_nonnull(strstr(got, "line0 a0:X l0:a\n"));
	free(got);
	buf_free(&in);
}
END_TEST

/* The buffer may move between two calls. */
START_TEST(moves)
{
	static const char text[] = "* 1 FETCH (UID 5 X {4}\r\na\"b) BODY[] {2}\r\nhi)\r\n";
	struct buf in = {0};
	struct imap_parse *parse = imap_parse_new(&in);
	struct imap_line line;
	struct err err;

	for (size_t i = 0; i < strlen(text); i++) {
		struct buf moved = {0};
		enum imap_what what;

		buf_append(&moved, in.data, in.len);
		buf_append(&moved, text + i, 1);
		buf_wipe(&in);
		in = moved;
		what = imap_parse_next(parse, &line, &err);
		ck_assert_int_ne(what, IMAP_BROKEN);
		if (what != IMAP_BODY)
			continue;
		ck_assert_uint_eq(line.count, 8);
		ck_assert(imap_token_is(&line.tokens[3], "uid"));
		ck_assert(!memcmp(line.tokens[6].bytes, "a\"b)", 4));
		ck_assert(imap_token_is(&line.tokens[7], "BODY[]"));
	}
	imap_parse_free(&parse);
	buf_free(&in);
}
END_TEST

START_TEST(values)
{
	char text[] = "a\\\"b\\\\c";
	uint64_t n;
	unsigned char digits[] = "4294967295";
	struct imap_token token = {.kind = IMAP_ATOM, .bytes = digits, .len = 10};

	ck_assert_uint_eq(imap_unescape((unsigned char *)text, strlen(text)), 5);
	ck_assert(!memcmp(text, "a\"b\\c", 5));
	ck_assert(imap_token_number(&token, UINT32_MAX, &n) && n == UINT32_MAX);
	ck_assert(!imap_token_number(&token, UINT32_MAX - 1, &n));
	token.kind = IMAP_QUOTED;
	ck_assert(!imap_token_number(&token, UINT32_MAX, &n));
	ck_assert(!imap_token_is(&token, "4294967295"));
}
END_TEST

static const struct {
	const char *text;
	long long date;
} dates[] = {
    {"17-Jul-1996 02:44:25 -0700", 837596665}, {" 1-Jan-1970 00:00:00 +0000", 0},
    {"01-jan-1970 01:00:00 +0100", 0},	       {"29-Feb-2024 23:59:59 +0000", 1709251199},
    {"01-Mar-2000 00:00:00 +0000", 951868800}, {"31-Dec-2099 23:59:60 -0030", 4102446600},
    {"01-Jan-1969 00:00:00 +0000", -31536000}, {"19-Jan-2038 03:14:08 +0000", 2147483648},
};

START_TEST(date_good)
{
	time_t date = -1;

	ck_assert(imap_date(dates[_i].text, strlen(dates[_i].text), &date));
	ck_assert_int_eq(date, dates[_i].date);
}
END_TEST

static const char *const not_dates[] = {"",
					"17-Jul-1996 02:44:25",
					"17-Jul-1996 02:44:25 07000",
					"00-Jul-1996 02:44:25 -0700",
					"32-Jul-1996 02:44:25 -0700",
					"17-Jux-1996 02:44:25 -0700",
					"17-Jul-0000 02:44:25 -0700",
					"17-Jul-19x6 02:44:25 -0700",
					"17-Jul-1996 24:44:25 -0700",
					"17-Jul-1996 02:60:25 -0700",
					"17-Jul-1996 02:44:61 -0700",
					"17-Jul-1996 02:44:25 -2400",
					"17-Jul-1996 02:44:25 -0060",
					"17-Jul-1996T02:44:25 -0700",
					"17-Jul-1996 02:44:25 *0700",
					"--17-Jul-1996 02:44:25 +00"};

START_TEST(date_bad)
{
	time_t date;

	ck_assert(!imap_date(not_dates[_i], strlen(not_dates[_i]), &date));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("imap_parse");
	TCase *tests = tcase_create("imap_parse");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, statuses);
	tcase_add_test(tests, tokens);
	tcase_add_test(tests, bodies);
	tcase_add_test(tests, refusals);
	tcase_add_test(tests, what_broke_stays_broken);
	tcase_add_test(tests, limits);
	tcase_add_test(tests, literals_together);
	tcase_add_test(tests, moves);
	tcase_add_test(tests, values);
	tcase_add_loop_test(tests, date_good, 0, sizeof dates / sizeof *dates);
	tcase_add_loop_test(tests, date_bad, 0, sizeof not_dates / sizeof *not_dates);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
