/*
 * renamed: which mailbox an account had at a host that it does not have any more.
 */
#include "session/renamed.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char directory[] = "/tmp/mailhaul-renamed-XXXXXX";
static struct state *state;
static struct err err;
static const char *configured;

static void set_up(void)
{
	snprintf(directory, sizeof directory, "/tmp/mailhaul-renamed-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	state = state_open(directory, &err);
	ck_assert_msg(state != NULL, "%s", err.words);
	configured = "new";
}

static void tear_down(void)
{
	char command[96];

	state_free(&state);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

static struct state_mailbox met(const char *protocol, const char *user, const char *host,
				const char *mailbox, int64_t begun)
{
	struct state_key key = {protocol, user, host, mailbox};
	struct state_mailbox found;

	ck_assert(state_mailbox(state, &key, &found, &err));
	ck_assert(state_begin(state, &err));
	ck_assert(state_put_checked(state, found.id, begun, begun, &err));
	ck_assert(state_commit(state, &err));
	ck_assert(state_mailbox(state, &key, &found, &err));
	return found;
}

static bool is_configured(void *ctx, const struct state_key *key)
{
	(void)ctx;
	return !strcmp(key->host, configured);
}

static int64_t found_for(const struct state_mailbox *mailbox)
{
	struct state_key key = {"imap", "lee", "new", "INBOX"};
	int64_t id = -1;

	ck_assert(renamed_from(state, &key, mailbox, is_configured, NULL, &id, &err));
	return id;
}

START_TEST(only_what_is_the_same_but_for_its_host)
{
	struct state_mailbox mine;

	met("imap", "kim", "old", "INBOX", 5);
	met("pop3", "lee", "old", "INBOX", 5);
	met("imap", "lee", "old", "Other", 5);
	met("imap", "lee", "never", "INBOX", 0);
	mine = met("imap", "lee", "new", "INBOX", 0);
	ck_assert_int_eq(found_for(&mine), 0);
}
END_TEST

START_TEST(of_several_the_last_that_is_not_configured)
{
	struct state_mailbox oldest = met("imap", "lee", "oldest", "INBOX", 5);
	struct state_mailbox old = met("imap", "lee", "old", "INBOX", 5);
	struct state_mailbox mine = met("imap", "lee", "new", "INBOX", 0);

	ck_assert_int_eq(found_for(&mine), old.id);
	configured = "old";
	ck_assert_int_eq(found_for(&mine), oldest.id);
}
END_TEST

START_TEST(without_a_mailbox_any_of_them)
{
	struct state_key key = {"imap", "lee", "new", NULL};
	struct state_mailbox none = {.id = 0};
	struct state_mailbox old;
	int64_t id = -1;

	met("imap", "kim", "old", "INBOX", 5);
	met("imap", "lee", "new", "INBOX", 5);
	ck_assert(renamed_from(state, &key, &none, is_configured, NULL, &id, &err));
	ck_assert_int_eq(id, 0);
	old = met("imap", "lee", "old", "Other", 5);
	ck_assert(renamed_from(state, &key, &none, is_configured, NULL, &id, &err));
	ck_assert_int_eq(id, old.id);
}
END_TEST

START_TEST(not_for_a_mailbox_that_was_collected)
{
	struct state_mailbox mine;

	met("imap", "lee", "old", "INBOX", 5);
	mine = met("imap", "lee", "new", "INBOX", 6);
	ck_assert_int_eq(found_for(&mine), 0);
	mine.begun = 0;
	mine.validity = 3;
	ck_assert_int_eq(found_for(&mine), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("renamed");
	TCase *tests = tcase_create("renamed");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, only_what_is_the_same_but_for_its_host);
	tcase_add_test(tests, of_several_the_last_that_is_not_configured);
	tcase_add_test(tests, without_a_mailbox_any_of_them);
	tcase_add_test(tests, not_for_a_mailbox_that_was_collected);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
