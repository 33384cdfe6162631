/*
 * renamed: which mailbox an account had at a host that it does not have any more.
 */
#include "session/renamed.h"

#include "state_fixture.h"

static const char *configured;

static void set_up(void)
{
	state_setup();
	configured = "new";
}

static struct state_mailbox met(const char *protocol, const char *user, const char *host,
				const char *name, int64_t begun_at)
{
	struct state_key key = {protocol, user, host, name};
	struct state_mailbox found;

	ck_good(state_mailbox(state, &key, &found, &err));
	begin();
	ck_good(state_put_checked(state, found.id, begun_at, begun_at, &err));
	commit();
	ck_good(state_mailbox(state, &key, &found, &err));
	return found;
}

static bool is_configured(void *ctx, const struct state_key *key)
{
	(void)ctx;
	return !strcmp(key->host, configured);
}

static int64_t found_for(const struct state_mailbox *of)
{
	struct state_key key = {"imap", "lee", "new", "INBOX"};
	int64_t id = -1;

	ck_assert(renamed_from(state, &key, of, is_configured, NULL, &id, &err));
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

	tcase_add_checked_fixture(tests, set_up, state_teardown);
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
