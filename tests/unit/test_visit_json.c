/* test_visit_json: what is written is read again, and what is missing or wrong counts as unknown.
 */
#include "daemon/visit_json.h"

#include "session/outcome.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char maildir[] = "/home/lee/Mail";
static char name[] = "work";
static char host[] = "mail.example.org";
static const struct config_account account = {.name = name, .host = host, .maildir = maildir};

/* By way of a line, as between a daemon and a poll. The object lives as long as the report. */
static json_t *through(json_t *object)
{
	char *line = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_t *read = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	ck_assert_ptr_nonnull(read);
	free(line);
	json_decref(object);
	return read;
}

static struct session_report a_report(void)
{
	struct session_report report = {.connected = true,
					.capabilities = "",
					.security = {.mode = "STARTTLS",
						     .mechanism = "PLAIN",
						     .tls = {.version = "TLS 1.3",
							     .cipher = "TLS_AES_256_GCM_SHA384",
							     .exchange = "ECDHE X25519",
							     .verified = "CA",
							     .issuer = "CN=\xc3\xa4",
							     .expires = 1800000000}},
					.counts = {.fresh = 1,
						   .delivered = 2,
						   .octets = 1ULL << 40,
						   .removable = 4,
						   .waiting = 5,
						   .quarantined = 6,
						   .recognised = 7,
						   .left = 8,
						   .put_off = 9,
						   .skipped = 10}};

	err_set(&report.err, ERR_AUTH, "it \"said\"\nno");
	err_server(&report.err,
		   "go \xff"
		   "away",
		   8);
	outcome_describe(&report.security, "PLAIN");
	return report;
}

START_TEST(there_and_back)
{
	struct session_report report = a_report();
	json_t *object = through(visit_json(&account, &report));
	json_t *again;
	struct session_report read;

	visit_json_read(object, &read);
	ck_assert_int_eq(read.err.kind, ERR_AUTH);
	ck_assert_str_eq(read.err.words, report.err.words);
	ck_assert_str_eq(read.err.server, report.err.server);
	ck_assert_str_eq(read.security.line, report.security.line);
	ck_assert_int_eq(read.security.tls.expires, 1800000000);
	ck_assert(read.connected && !read.busy);
	ck_assert_mem_eq(&read.counts, &report.counts, sizeof read.counts);
	again = visit_json(&account, &read);
	ck_assert(json_equal(object, again));
	json_decref(again);
	json_decref(object);
}
END_TEST

START_TEST(nothing_is_known)
{
	struct session_report read;
	struct session_report busy = {
	    .busy = true, .capabilities = "", .security = {.mode = "", .mechanism = ""}};
	json_t *object = through(visit_json(&account, &busy));

	visit_json_read(object, &read);
	ck_assert(read.busy && !read.connected && !read.err.kind);
	ck_assert(json_is_null(json_object_get(object, "encryption")));
	ck_assert(json_is_null(json_object_get(object, "error")));
	json_decref(object);
}
END_TEST

START_TEST(what_is_wrong_is_unknown)
{
	static const char *const lines[] = {
	    "{}", "{\"error\":{\"kind\":7}}", "{\"error\":{\"kind\":\"fly\"}}",
	    "{\"encryption\":{\"expires\":\"tomorrow\",\"mode\":null},\"new\":\"x\"}",
	    "{\"delivered\":-1,\"busy\":1,\"encryption\":[],\"error\":\"no\"}"};
	static const enum err_kind kinds[] = {ERR_NONE, ERR_INTERNAL, ERR_INTERNAL, ERR_NONE,
					      ERR_NONE};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		json_t *object = json_loads(lines[i], 0, NULL);
		struct session_report read;

		visit_json_read(object, &read);
		ck_assert_int_eq(read.err.kind, kinds[i]);
		ck_assert(!read.busy && !read.counts.fresh && !read.counts.delivered);
		ck_assert_int_eq(read.security.tls.expires, 0);
		ck_assert_str_eq(read.security.mechanism, "");
		json_decref(object);
	}
}
END_TEST

START_TEST(rows)
{
	struct state_visit row = {.tried = 1,
				  .failing_since = 2,
				  .reported = 3,
				  .warned = 4,
				  .expires = 5,
				  .error_kind = "tls"};
	json_t *object = through(visit_json_row(&row));
	struct state_visit read;

	visit_json_read_row(object, &read);
	ck_assert_int_eq(read.tried, 1);
	ck_assert_int_eq(read.failing_since, 2);
	ck_assert_int_eq(read.reported, 3);
	ck_assert_int_eq(read.warned, 4);
	ck_assert_int_eq(read.expires, 5);
	ck_assert_str_eq(read.error_kind, "tls");
	json_decref(object);
	visit_json_read_row(NULL, &read);
	ck_assert_int_eq(read.tried, 0);
}
END_TEST

START_TEST(texts_that_are_not_utf_8)
{
	json_t *text = visit_json_text("a\xff");

	ck_assert_str_eq(json_string_value(text), "a\\xFF");
	json_decref(text);
	text = visit_json_text("");
	ck_assert(json_is_null(text));
	json_decref(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("visit_json");
	TCase *tests = tcase_create("visit_json");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, there_and_back);
	tcase_add_test(tests, nothing_is_known);
	tcase_add_test(tests, what_is_wrong_is_unknown);
	tcase_add_test(tests, rows);
	tcase_add_test(tests, texts_that_are_not_utf_8);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
