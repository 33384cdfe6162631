/*
 * Tests of config_keep: which accounts are the same, and who has which struct afterwards.
 */
#include "config/config_keep.h"

#include "config/config_print.h"
#include "util/mem.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64];
static char *path;

static void set_up(void)
{
	snprintf(directory, sizeof directory, "/tmp/mailhaul-keep-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	path = mem_printf("%s/config.yaml", directory);
	setenv("HOME", "/home/lee", 1);
}

static void tear_down(void)
{
	unlink(path);
	rmdir(directory);
	free(path);
}

static void told(void *ctx, const struct config_mistake *mistake)
{
	(void)ctx;
	ck_assert_msg(mistake->warning, "%u: %s", mistake->line, mistake->text);
}

static struct config *load(const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct err err;
	struct config *config;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	config = config_load(path, told, NULL, &err);
	ck_assert_msg(config != NULL, "%s\n%s", err.words, text);
	return config;
}

/* ---- the same ---- */

/* Whether accounts that say this, and what all have, are the same. */
static bool same(const char *one, const char *two)
{
	char *text = mem_printf("accounts:\n"
				"  one: {user: lee, %s}\n"
				"  two: {user: kim, %s}\n",
				one, two);
	struct config *config = load(text);
	bool is;

	/* In the file it would be a mistake: two accounts that collect one mailbox. */
	free(config->accounts[1]->user);
	config->accounts[1]->user = mem_copy("lee");
	is = config_same_account(config->accounts[0], config->accounts[1]);
	ck_assert(config_same_account(config->accounts[1], config->accounts[0]) == is);
	config_free(&config);
	free(text);
	return is;
}

#define SOME "host: h.example, password_file: p, deliver: {maildir: /m}"

/* For each option that an account may have: its text and another one. */
START_TEST(every_option_counts)
{
	static const struct {
		const char *name, *one, *two;
	} cases[] = {
	    {"protocol", SOME ", protocol: imap, port: 1", SOME ", protocol: pop3, port: 1"},
	    {"host", SOME, "host: i.example, password_file: p, deliver: {maildir: /m}"},
	    {"port", SOME ", port: 143", SOME ", port: 144"},
	    {"auth", SOME ", auth: plain", SOME ", auth: login"},
	    {"password_command",
	     "password_command: [a, b], host: h.example, deliver: {maildir: /m}",
	     "password_command: [a, b, c], host: h.example, deliver: {maildir: /m}"},
	    {"password_file", SOME, "host: h.example, password_file: q, deliver: {maildir: /m}"},
	    {"password", "password: Sesame, host: h.example, deliver: {maildir: /m}",
	     "password: sesame, host: h.example, deliver: {maildir: /m}"},
	    {"credential", "credential: a, host: h.example, deliver: {maildir: /m}",
	     "credential: b, host: h.example, deliver: {maildir: /m}"},
	    {"netrc", "netrc: true, host: h.example, deliver: {maildir: /m}",
	     "password: 'true', host: h.example, deliver: {maildir: /m}"},
	    {"token_command", "token_command: [a], host: h.example, deliver: {maildir: /m}",
	     "password_command: [a], host: h.example, deliver: {maildir: /m}"},
	    {"mailboxes", SOME ", mailboxes: [INBOX, a]", SOME ", mailboxes: [a, INBOX]"},
	    {"keep", SOME ", keep: 30d", SOME ", keep: 31d"},
	    {"keep", SOME ", keep: true", SOME ", keep: false"},
	    {"max_size", SOME ", max_size: 1M", SOME ", max_size: 1025K"},
	    {"max_messages", SOME, SOME ", max_messages: 1"},
	    {"first_run", SOME, SOME ", first_run: skip"},
	    {"max_attempts", SOME, SOME ", max_attempts: 6"},
	    {"interval", SOME, SOME ", interval: 301s"},
	    {"idle", SOME, SOME ", idle: false"},
	    {"timeout", SOME, SOME ", timeout: 4m"},
	    {"mode", SOME ", port: 1, tls: starttls", SOME ", port: 1, tls: implicit"},
	    {"ca_file", SOME ", tls: {ca_file: a}", SOME ", tls: {ca_file: b}"},
	    {"pin_sha256", SOME,
	     SOME ", tls: {pin_sha256: "
		  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=}"},
	    {"server_name", SOME, SOME ", tls: {server_name: i.example}"},
	    {"min_version", SOME, SOME ", tls: {min_version: '1.3'}"},
	    {"client_cert", SOME, SOME ", tls: {client_cert: c}"},
	    {"client_key", SOME ", tls: {client_cert: c}",
	     SOME ", tls: {client_cert: c, client_key: k}"},
	    {"maildir", SOME, "host: h.example, password_file: p, deliver: {maildir: /M}"},
	    {"mda", "host: h.example, password_file: p, deliver: {mda: [a, b]}",
	     "host: h.example, password_file: p, deliver: {mda: ['a b']}"},
	    {"mda_timeout", "host: h.example, password_file: p, deliver: {maildir: /m}",
	     "host: h.example, password_file: p, deliver: {maildir: /m, mda_timeout: 1s}"},
	    {"mda_may_skip_input", SOME,
	     "host: h.example, password_file: p, deliver: {maildir: /m, mda_may_skip_input: true}"},
	};
	const size_t count = sizeof cases / sizeof *cases;

	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		bool tried = option->place == OPTION_TOP || option->type == OPTION_SECTION ||
			     !strcmp(option->name, "user");

		for (size_t j = 0; j < count; j++)
			tried |= !strcmp(cases[j].name, option->name);
		ck_assert_msg(tried, "%s is not tried here", option->name);
	}
	for (size_t j = 0; j < count; j++) {
		ck_assert_msg(!same(cases[j].one, cases[j].two), "%s", cases[j].name);
		ck_assert_msg(same(cases[j].one, cases[j].one), "%s", cases[j].name);
		ck_assert_msg(same(cases[j].two, cases[j].two), "%s", cases[j].name);
	}
}
END_TEST

/* The same in other words: what counts is the value. */
START_TEST(words_do_not_count)
{
	ck_assert(same(SOME, "protocol: imap, deliver: {maildir: /m/}, tls: starttls, port: 143, "
			     "keep: true, interval: 300s, idle: True, mailboxes: inbox, "
			     "auth: Auto, host: h.example, password_file: p"));
}
END_TEST

START_TEST(users_count)
{
	struct config *config = load("accounts:\n"
				     "  one: {user: lee, " SOME "}\n"
				     "  two: {user: kim, " SOME "}\n");

	ck_assert(!config_same_account(config->accounts[0], config->accounts[1]));
	config_free(&config);
}
END_TEST

/* ---- two configurations ---- */

/* Several accounts: the file has grown in front, one has changed, one is gone, one is new. */
START_TEST(who_is_the_same_is_kept)
{
	static const char password[] = "password: Sesame, deliver: {maildir: /m}}\n";
	char *before = mem_printf("accounts:\n"
				  "  same: {host: a.example, user: u, %s"
				  "  gone: {host: b.example, user: u, %s"
				  "  other: {host: c.example, user: u, %s"
				  "  also: {host: d.example, user: u, %s",
				  password, password, password, password);
	char *after = mem_printf("defaults:\n  timeout: 3m\naccounts:\n"
				 "  also: {host: d.example, user: u, %s"
				 "  new: {host: b.example, user: u, %s"
				 "  other: {host: c.example, user: u, keep: false, %s"
				 "  same: {host: a.example, user: u, %s",
				 password, password, password, password);
	struct config *old = load(before), *fresh = load(after);
	const struct config_account *same = config_find(old, "same");
	const struct config_account *also = config_find(old, "also");
	const struct config_account *other = config_find(fresh, "other");
	char *origin;

	ck_assert_uint_eq(same->line, 2);
	config_keep(fresh, old);
	ck_assert_ptr_eq(config_find(fresh, "same"), same);
	ck_assert_ptr_eq(config_find(fresh, "also"), also);
	ck_assert_ptr_eq(config_find(fresh, "other"), other);
	ck_assert_ptr_ne(config_find(old, "same"), same);
	ck_assert_ptr_ne(config_find(old, "other"), other);
	config_free(&old);
	ck_assert_uint_eq(fresh->count, 4);
	ck_assert_str_eq(fresh->accounts[0]->name, "also");
	ck_assert_str_eq(fresh->accounts[1]->name, "new");
	ck_assert_str_eq(fresh->accounts[3]->name, "same");
	ck_assert_str_eq(same->host, "a.example");
	ck_assert_str_eq(same->password.value, "Sesame");
	/* It stands elsewhere now, and its timeout comes from defaults, with the same value. */
	ck_assert_uint_eq(same->line, 7);
	origin = config_print_origin(fresh, same, option_find(OPTION_ACCOUNT, "timeout"), false);
	ck_assert_str_eq(origin, "defaults, config.yaml:2");
	free(origin);
	config_free(&fresh);
	free(before);
	free(after);
}
END_TEST

/* What was borrowed outlives any number of reloads. */
START_TEST(again_and_again)
{
	struct config *config = load("accounts: {one: {user: lee, " SOME "}}\n");
	const struct config_account *one = config->accounts[0];

	for (int i = 0; i < 3; i++) {
		struct config *fresh = load("accounts: {one: {user: lee, " SOME "}}\n");

		config_keep(fresh, config);
		config_free(&config);
		config = fresh;
		ck_assert_ptr_eq(config->accounts[0], one);
		ck_assert_str_eq(one->user, "lee");
	}
	config_free(&config);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_keep");
	TCase *tests = tcase_create("config_keep");
	SRunner *runner;
	int failures;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, every_option_counts);
	tcase_add_test(tests, words_do_not_count);
	tcase_add_test(tests, users_count);
	tcase_add_test(tests, who_is_the_same_is_kept);
	tcase_add_test(tests, again_and_again);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
