/*
 * test_state_mend: what a person may change: forgetting, adding, moving.
 */
#include "state_fixture.h"

static uint32_t next_of(int64_t id, const struct state_key *key)
{
	struct state_mailbox is;
	bool known;

	ck_good(state_known_mailbox(state, key, &known, &is, &err));
	ck_assert(known && is.id == id);
	return is.next;
}

START_TEST(names_of_states)
{
	ck_assert_str_eq(state_is_name(STATE_DELIVERED), "delivered");
	ck_assert_str_eq(state_is_name(STATE_OVERSIZE), "oversize");
	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		ck_assert_ptr_nonnull(state_is_name((enum state_is)is));
	ck_assert_ptr_null(state_is_name(0));
	ck_assert_ptr_null(state_is_name(STATE_IS_END));
}
END_TEST

START_TEST(what_has_a_letter_is_not_forgotten)
{
	struct state_mailbox other = mailbox("Other");
	struct state_row row = row_of("1", STATE_DELIVERED, 1);

	begin();
	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		store(state_is_name((enum state_is)is), (enum state_is)is, is);
	ck_good(state_put(state, other.id, VALIDITY, &row, &err));
	ck_good(state_forget_settled(state, box.id, &err));
	commit();
	ck_assert_str_eq(rows(box.id, EVERY), "taken handed waiting quarantined ");
	ck_assert_str_eq(rows(other.id, EVERY), "1 ");
}
END_TEST

START_TEST(what_is_known_is_not_added)
{
	struct state_row row = row_of("1", STATE_DELIVERED, 1);
	bool added;

	begin();
	store("1", STATE_WAITING, 5);
	ck_good(state_add(state, box.id, VALIDITY, &row, &added, &err));
	ck_assert(!added);
	ck_good(state_add(state, box.id, VALIDITY + 1, &row, &added, &err));
	ck_assert(added);
	row.key = "2";
	ck_good(state_add(state, box.id, VALIDITY, &row, &added, &err));
	ck_assert(added);
	ck_good(state_add(state, box.id, VALIDITY, &row, &added, &err));
	ck_assert(!added);
	commit();
	ck_assert_int_eq(found("1"), STATE_WAITING);
	ck_assert_int_eq(found("2"), STATE_DELIVERED);
}
END_TEST

START_TEST(uids_without_a_row_are_passed_over)
{
	begin();
	store("4", STATE_DELIVERED, 1);
	ck_good(state_add_skipped(state, box.id, VALIDITY, 3, 6, 99, &err));
	ck_good(state_add_skipped(state, box.id, VALIDITY, 9, 9, 99, &err));
	ck_good(state_add_skipped(state, box.id, VALIDITY, UINT32_MAX - 1, UINT32_MAX, 99, &err));
	commit();
	ck_assert_int_eq(found("2"), 0);
	ck_assert_int_eq(found("3"), STATE_SKIPPED);
	ck_assert_int_eq(found("4"), STATE_DELIVERED);
	ck_assert_int_eq(found("5"), STATE_SKIPPED);
	ck_assert_int_eq(found("6"), 0);
	ck_assert_int_eq(found("9"), 0);
	ck_assert_int_eq(found("4294967294"), STATE_SKIPPED);
	ck_assert_int_eq(found("4294967295"), 0);
}
END_TEST

START_TEST(a_mailbox_is_added_in_a_transaction)
{
	struct state_key key = {"pop3", "kim", "other.example.org", "INBOX"};
	struct state_mailbox added;
	struct state_mailbox again;
	bool known;

	begin();
	ck_good(state_add_mailbox(state, &key, &added, &err));
	ck_good(state_add_mailbox(state, &key, &again, &err));
	ck_assert_int_eq(again.id, added.id);
	ck_assert_uint_eq(added.next, 1);
	state_rollback(state);
	ck_good(state_known_mailbox(state, &key, &known, &again, &err));
	ck_assert(!known);
	begin();
	ck_good(state_add_mailbox(state, &key, &added, &err));
	commit();
	ck_good(state_mailbox(state, &key, &again, &err));
	ck_assert_int_eq(again.id, added.id);
	begin();
	ck_good(state_add_mailbox(
	    state, &(struct state_key){"imap", "lee", "MAIL.example.org", "INBOX"}, &again, &err));
	commit();
	ck_assert_int_eq(again.id, box.id);
}
END_TEST

START_TEST(an_empty_mailbox_is_dropped)
{
	struct state_key key = {"imap", "lee", "mail.example.org", "INBOX"};
	struct state_mailbox other = mailbox("Other");
	struct state_visit visit = {.tried = 5, .succeeded = 5};
	struct state_mailbox is;
	bool known;

	begin();
	ck_good(state_put_visit(state, box.account, &visit, &err));
	store("1", STATE_DELIVERED, 1);
	ck_good(state_drop_mailbox(state, &box, &err));
	commit();
	ck_assert_int_eq(found("1"), STATE_DELIVERED);
	(void)next_of(box.id, &key);
	begin();
	ck_good(state_forget(state, box.id, VALIDITY, "1", &err));
	ck_good(state_drop_mailbox(state, &box, &err));
	commit();
	ck_good(state_known_mailbox(state, &key, &known, &is, &err));
	ck_assert(!known);
	ck_good(state_visit(state, "imap", "lee", "mail.example.org", &visit, &err));
	ck_assert_int_eq(visit.succeeded, 5);
	begin();
	ck_good(state_drop_mailbox(state, &other, &err));
	commit();
	ck_good(state_visit(state, "imap", "lee", "mail.example.org", &visit, &err));
	ck_assert_int_eq(visit.succeeded, 0);
}
END_TEST

START_TEST(an_account_moves)
{
	struct state_key to = {"imap", "lee2", "new.example.org", "INBOX"};
	struct state_visit visit = {.succeeded = 5};
	struct state_mailbox other;

	begin();
	store("1", STATE_DELIVERED, 1);
	ck_good(state_put_mailbox(state, box.id, VALIDITY, 9, &err));
	ck_good(state_put_visit(state, box.account, &visit, &err));
	ck_good(state_move_account(state, box.account, "lee2", "new.example.org", &err));
	commit();
	ck_assert_uint_eq(next_of(box.id, &to), 9);
	ck_assert_int_eq(found("1"), STATE_DELIVERED);
	ck_good(state_visit(state, "imap", "lee2", "NEW.example.org", &visit, &err));
	ck_assert_int_eq(visit.succeeded, 5);
	/* Not onto another one. */
	other = mailbox("INBOX");
	begin();
	ck_assert(!state_move_account(state, box.account, "lee", "mail.example.org", &err));
	ck_assert_int_eq(err.kind, ERR_STATE);
	state_rollback(state);
	ck_assert_int_ne(other.id, box.id);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state_mend");
	TCase *tests = tcase_create("state_mend");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, state_setup, state_teardown);
	tcase_add_test(tests, names_of_states);
	tcase_add_test(tests, what_has_a_letter_is_not_forgotten);
	tcase_add_test(tests, what_is_known_is_not_added);
	tcase_add_test(tests, uids_without_a_row_are_passed_over);
	tcase_add_test(tests, a_mailbox_is_added_in_a_transaction);
	tcase_add_test(tests, an_empty_mailbox_is_dropped);
	tcase_add_test(tests, an_account_moves);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
