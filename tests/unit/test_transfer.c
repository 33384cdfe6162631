/*
 * test_transfer: the lines of an export, whole and damaged.
 */
#include "state/transfer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct transfer_line line;
static struct err err;

#define ck_good(call) ck_assert_msg((call), "%s", err.words)
#define ck_fails(call, words_in)                                                                   \
	do {                                                                                       \
		err_clear(&err);                                                                   \
		ck_assert(!(call));                                                                \
		ck_assert_int_eq(err.kind, ERR_STATE);                                             \
		ck_assert_msg(strstr(err.words, (words_in)), "%s", err.words);                     \
	} while (0)

static bool parse(const char *text)
{
	return transfer_parse(text, strlen(text), &line, &err);
}

/* Written and read again; the octets in between are valid until the next call. */
static const char *round_trip(const struct transfer_line *from)
{
	static struct buf out;

	buf_clear(&out);
	ck_good(transfer_write(&out, from, &err));
	ck_assert(out.len && out.data[out.len - 1] == '\n');
	ck_assert_ptr_null(memchr(out.data, '\n', out.len - 1));
	ck_good(transfer_parse(out.data, out.len - 1, &line, &err));
	ck_assert_int_eq(line.kind, from->kind);
	return buf_string(&out);
}

START_TEST(a_head)
{
	const char *text = round_trip(
	    &(struct transfer_line){.kind = TRANSFER_HEAD, .identity = "0123456789abcdef"});

	ck_assert_ptr_nonnull(strstr(text, "\"mailhaul_state\":1,\"version\":1,"));
	ck_assert_str_eq(line.identity, "0123456789abcdef");
	transfer_free(&line);
	ck_assert_ptr_null(line.held);
	(void)round_trip(&(struct transfer_line){.kind = TRANSFER_HEAD, .identity = ""});
	ck_assert_str_eq(line.identity, "");
	transfer_free(&line);
	ck_fails(parse("{\"mailhaul_state\":2,\"identity\":\"\"}"),
		 "another version of mailhaul (form 2; this one reads form 1)");
	ck_fails(parse("{\"mailhaul_state\":\"1\",\"identity\":\"\"}"), "no whole number");
}
END_TEST

START_TEST(a_mailbox)
{
	struct transfer_line from = {
	    .kind = TRANSFER_MAILBOX,
	    .key = {"imap", "lee@x \"q\"", "mail.example.org", "Entw\xc3\xbcrfe/\\"},
	    .mailbox = {.validity = UINT32_MAX, .next = UINT32_MAX, .begun = 5, .checked = 6},
	    .succeeded = 7};

	(void)round_trip(&from);
	ck_assert_str_eq(line.key.protocol, "imap");
	ck_assert_str_eq(line.key.user, from.key.user);
	ck_assert_str_eq(line.key.host, from.key.host);
	ck_assert_str_eq(line.key.mailbox, from.key.mailbox);
	ck_assert_uint_eq(line.mailbox.validity, UINT32_MAX);
	ck_assert_uint_eq(line.mailbox.next, UINT32_MAX);
	ck_assert_int_eq(line.mailbox.begun, 5);
	ck_assert_int_eq(line.mailbox.checked, 6);
	ck_assert_int_eq(line.succeeded, 7);
	transfer_free(&line);
	from.key.mailbox = "\xff";
	ck_fails(transfer_write(&(struct buf){0}, &from, &err), "UTF-8");
}
END_TEST

START_TEST(a_message)
{
	struct transfer_line from = {.kind = TRANSFER_MESSAGE,
				     .validity = 7,
				     .row = {.key = "a b",
					     .taken = 253402300799,
					     .changed = 2,
					     .attempts = UINT32_MAX,
					     .name = "1.x:2,S",
					     .mark = "G1",
					     .octets = INT64_MAX,
					     .date = 4,
					     .gone = 5}};

	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++) {
		from.row.is = (enum state_is)is;
		(void)round_trip(&from);
		ck_assert_int_eq(line.row.is, from.row.is);
		ck_assert_uint_eq(line.validity, 7);
		ck_assert_str_eq(line.row.key, "a b");
		ck_assert_int_eq(line.row.taken, from.row.taken);
		ck_assert_int_eq(line.row.changed, 2);
		ck_assert_uint_eq(line.row.attempts, UINT32_MAX);
		ck_assert_str_eq(line.row.name, "1.x:2,S");
		ck_assert_str_eq(line.row.mark, "G1");
		ck_assert_uint_eq(line.row.octets, INT64_MAX);
		ck_assert_int_eq(line.row.date, 4);
		ck_assert_int_eq(line.row.gone, 5);
		transfer_free(&line);
	}
}
END_TEST

START_TEST(an_end)
{
	(void)round_trip(
	    &(struct transfer_line){.kind = TRANSFER_END, .mailboxes = 3, .messages = 5000000000});
	ck_assert_uint_eq(line.mailboxes, 3);
	ck_assert_uint_eq(line.messages, 5000000000);
	transfer_free(&line);
}
END_TEST

#define MESSAGE                                                                                    \
	"{\"message\":\"1\",\"validity\":7,\"state\":\"delivered\",\"taken\":1,\"changed\":1,"     \
	"\"attempts\":0,\"letter\":\"\",\"mark\":\"\",\"octets\":1,\"date\":0,\"gone\":0}"

/* The message, with something put in place of something else. */
static const char *with(const char *what, const char *instead)
{
	static char text[8192];
	const char *at_it = strstr(MESSAGE, what);

	ck_assert_ptr_nonnull(at_it);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at_it - MESSAGE), MESSAGE, instead,
		 at_it + strlen(what));
	return text;
}

START_TEST(every_field_is_wanted)
{
	static const char *const fields[] = {"validity", "state", "taken",  "changed", "attempts",
					     "letter",	 "mark",  "octets", "date",    "gone"};

	ck_good(parse(MESSAGE));
	transfer_free(&line);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		char what[32];
		char said[64];

		snprintf(what, sizeof what, "\"%s\":", fields[i]);
		snprintf(said, sizeof said, "\"%s\" is missing", fields[i]);
		ck_fails(parse(with(what, "\"other\":")), said);
		ck_assert_ptr_null(line.held);
	}
	ck_fails(parse(with("\"message\"", "\"massage\"")), "no line of an export");
}
END_TEST

START_TEST(every_field_is_checked)
{
	static const struct {
		const char *what, *instead, *said;
	} wrong[] = {
	    {"\"1\"", "\"\"", "\"message\" is empty"},
	    {"\"1\"", "1", "\"message\" is no text"},
	    {"\"1\"", "null", "\"message\" is no text"},
	    {"\"1\"", "\"a\\nb\"", "control"},
	    {"\"1\"", "\"a\\u007fb\"", "control"},
	    {"\"1\"", "\"a\\u0000b\"", "no JSON"},
	    {"\"1\"", "\"\xff\"", "no JSON"},
	    {"7", "4294967296", "out of range"},
	    {"7", "-1", "out of range"},
	    {"7", "1.5", "no whole number"},
	    {"7", "\"7\"", "no whole number"},
	    {"7", "99999999999999999999", "no JSON"},
	    {"7", "true", "no whole number"},
	    {"delivered", "Delivered", "no state"},
	    {"delivered", "", "no state"},
	    {"\"taken\":1", "\"taken\":253402300800", "out of range"},
	    {"\"attempts\":0", "\"attempts\":4294967296", "out of range"},
	    {"\"octets\":1", "\"octets\":-1", "out of range"},
	    {"\"letter\":\"\"", "\"letter\":\"a/b\"", "no name of a letter"},
	    {"\"letter\":\"\"", "\"letter\":\"..\"", "no name of a letter"},
	    {"\"gone\":0", "\"gone\":0,\"gone\":0", "no JSON"},
	    {"{", "[{", "no JSON"},
	    {"}", "", "no JSON"},
	    {"}", "} x", "no JSON"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		ck_fails(parse(with(wrong[i].what, wrong[i].instead)), wrong[i].said);
		ck_assert_ptr_null(line.held);
	}
	ck_good(parse(with("\"gone\":0", "\"gone\":0,\"of a later version\":[1,{}]")));
	transfer_free(&line);
}
END_TEST

START_TEST(a_mailbox_is_checked)
{
#define REST ",\"user\":\"u\",\"host\":\"h\",\"begun\":0,\"checked\":0,\"succeeded\":0"
	ck_good(
	    parse("{\"mailbox\":\"m\",\"protocol\":\"pop3\",\"validity\":0,\"next\":1" REST "}"));
	transfer_free(&line);
	ck_fails(
	    parse("{\"mailbox\":\"m\",\"protocol\":\"smtp\",\"validity\":0,\"next\":1" REST "}"),
	    "neither imap nor pop3");
	ck_fails(
	    parse("{\"mailbox\":\"m\",\"protocol\":\"imap\",\"validity\":0,\"next\":0" REST "}"),
	    "\"next\" is out of range");
	ck_fails(
	    parse("{\"mailbox\":\"\",\"protocol\":\"imap\",\"validity\":0,\"next\":1" REST "}"),
	    "\"mailbox\" is empty");
}
END_TEST

START_TEST(lines_that_are_none)
{
	static const char *const none[] = {"",	   " ",		  "[]", "1",
					   "null", "\"message\"", "{}", "{\"a\":1}"};
	char *text = malloc(TRANSFER_LINE_MAX + 2);
	char long_one[TRANSFER_TEXT_MAX + 32];

	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		ck_fails(parse(none[i]), "no ");
	memset(text, ' ', TRANSFER_LINE_MAX + 1);
	memcpy(text, MESSAGE, strlen(MESSAGE));
	ck_good(transfer_parse(text, TRANSFER_LINE_MAX, &line, &err));
	transfer_free(&line);
	ck_fails(transfer_parse(text, TRANSFER_LINE_MAX + 1, &line, &err), "too long");
	/* Deep, and long in one field. */
	memset(text, '[', TRANSFER_LINE_MAX);
	ck_fails(transfer_parse(text, TRANSFER_LINE_MAX, &line, &err), "no JSON");
	for (size_t len = TRANSFER_TEXT_MAX; len <= TRANSFER_TEXT_MAX + 1; len++) {
		memset(text, 'm', len);
		text[len] = '\0';
		snprintf(long_one, sizeof long_one, "\"mark\":\"%s\"", text);
		if (len > TRANSFER_TEXT_MAX)
			ck_fails(parse(with("\"mark\":\"\"", long_one)), "\"mark\" is too long");
		else
			ck_good(parse(with("\"mark\":\"\"", long_one)));
		transfer_free(&line);
	}
	free(text);
}
END_TEST

/* What a file holds is nobody's word: no octet of it may upset the reader. */
START_TEST(any_octet_anywhere)
{
	char text[sizeof MESSAGE];

	for (size_t i = 0; i < sizeof MESSAGE - 1; i++)
		for (unsigned octet = 0; octet < 256; octet += 5) {
			memcpy(text, MESSAGE, sizeof text);
			text[i] = (char)octet;
			err_clear(&err);
			if (transfer_parse(text, sizeof text - 1, &line, &err))
				transfer_free(&line);
			else
				ck_assert_int_eq(err.kind, ERR_STATE);
		}
	for (size_t len = 0; len < sizeof MESSAGE - 1; len++)
		ck_fails(transfer_parse(MESSAGE, len, &line, &err), "no JSON");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transfer");
	TCase *tests = tcase_create("transfer");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, a_head);
	tcase_add_test(tests, a_mailbox);
	tcase_add_test(tests, a_message);
	tcase_add_test(tests, an_end);
	tcase_add_test(tests, every_field_is_wanted);
	tcase_add_test(tests, every_field_is_checked);
	tcase_add_test(tests, a_mailbox_is_checked);
	tcase_add_test(tests, lines_that_are_none);
	tcase_add_test(tests, any_octet_anywhere);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
