/* host: what is an address, what a name, and what is neither. */
#include "io/host.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(what_is_an_address)
{
	static const struct {
		const char *text;
		size_t len;
	} addresses[] = {{"127.0.0.1", 4},
			 {"::1", 16},
			 {"fe80::1%eth0", 16},
			 {"127.0.0.1%eth0", 0},
			 {"[::1]", 0},
			 {"127.0.0", 0},
			 {"example.org", 0},
			 {"", 0},
			 {"0000000000000000000000000000000000000000000000000001", 0}};
	unsigned char octets[HOST_ADDRESS_MAX];

	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		size_t len = 0;
		bool is = host_is_address(addresses[i].text, octets, &len);

		ck_assert_msg(is == (addresses[i].len != 0) && (!is || len == addresses[i].len),
			      "%s", addresses[i].text);
	}
}
END_TEST

START_TEST(what_is_a_name)
{
	static const char *const names[][2] = {{"MAIL.Example.ORG", "mail.example.org"},
					       {"mail.example.org.", "mail.example.org."},
					       {"b\xc3\xbc"
						"cher.example",
						"xn--bcher-kva.example"},
					       {"::1", "::1"},
					       {"127.0.0.1", "127.0.0.1"},
					       {"_imap.example", "_imap.example"},
					       {"", NULL},
					       {"a b", NULL},
					       {"a..b", NULL},
					       {".a", NULL},
					       {"a/b", NULL},
					       {"b\xc3\xbc"
						"cher b",
						NULL},
					       {"\xff\xfe", NULL}};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct err err = {.kind = ERR_NONE};
		char *name = host_ascii(names[i][0], &err);

		if (!names[i][1])
			ck_assert_msg(!name && err.kind == ERR_CONFIG, "%s", names[i][0]);
		else
			ck_assert_str_eq(name, names[i][1]);
		free(name);
	}
}
END_TEST

/* 63 octets of a label and 253 of a name are fine, one more is not. */
START_TEST(lengths)
{
	char name[300] = "";
	struct err err;
	char *good;

	for (size_t label = 63; label <= 64; label++) {
		memset(name, 'a', label);
		memcpy(name + label, ".org", sizeof ".org");
		good = host_ascii(name, &err);
		ck_assert_int_eq(good != NULL, label == 63);
		free(good);
	}
	for (size_t len = 253; len <= 254; len++) {
		for (size_t i = 0; i < len; i++)
			name[i] = i % 50 == 49 ? '.' : 'a';
		name[len] = '\0';
		good = host_ascii(name, &err);
		ck_assert_int_eq(good != NULL, len == 253);
		free(good);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host");
	TCase *tests = tcase_create("host");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, what_is_an_address);
	tcase_add_test(tests, what_is_a_name);
	tcase_add_test(tests, lengths);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
