/*
 * test_state_write: what is due, gone, marked, renamed and adopted; mailboxes as they are listed.
 * The rest of reading and writing stands in test_state.c.
 */
#include "state_fixture.h"

static void store_full(int64_t of, uint32_t validity, const struct state_row *row)
{
	ck_good(state_put(state, of, validity, row, &err));
}

/* ---- mailboxes ---- */

struct mailboxes {
	char names[256];
	size_t stop_after, count;
	struct state_mailbox last;
};

static bool see_mailbox(void *ctx, const struct state_key *key, const struct state_mailbox *is)
{
	struct mailboxes *seen = ctx;
	size_t len = strlen(seen->names);

	snprintf(seen->names + len, sizeof seen->names - len, "%s:%s@%s/%s ", key->protocol,
		 key->user, key->host, key->mailbox);
	seen->last = *is;
	return ++seen->count != seen->stop_after;
}

START_TEST(mailboxes_as_they_were_met)
{
	struct state_key account = {"imap", "lee", "MAIL.EXAMPLE.ORG", "ignored"};
	struct mailboxes seen = {.count = 0};
	struct state_mailbox is;

	ck_good(state_mailbox(
	    state, &(struct state_key){"pop3", "lee", "mail.example.org", "INBOX"}, &is, &err));
	(void)mailbox("A");
	begin();
	ck_good(state_put_mailbox(state, box.id, 7, 12, &err));
	ck_good(state_put_checked(state, box.id, 100, 200, &err));
	commit();
	ck_good(state_mailboxes(state, NULL, see_mailbox, &seen, &err));
	ck_assert_str_eq(seen.names,
			 "imap:lee@mail.example.org/INBOX "
			 "pop3:lee@mail.example.org/INBOX imap:lee@mail.example.org/A ");
	seen = (struct mailboxes){.count = 0};
	ck_good(state_mailboxes(state, &account, see_mailbox, &seen, &err));
	ck_assert_str_eq(seen.names,
			 "imap:lee@mail.example.org/INBOX imap:lee@mail.example.org/A ");
	seen = (struct mailboxes){.stop_after = 1};
	ck_good(state_mailboxes(state, &account, see_mailbox, &seen, &err));
	ck_assert_uint_eq(seen.count, 1);
	ck_assert_int_eq(seen.last.id, box.id);
	ck_assert_int_eq(seen.last.account, box.account);
	ck_assert_uint_eq(seen.last.validity, 7);
	ck_assert_uint_eq(seen.last.next, 12);
	ck_assert_int_eq(seen.last.begun, 100);
	ck_assert_int_eq(seen.last.checked, 200);
}
END_TEST

START_TEST(asking_for_a_mailbox_makes_none)
{
	struct state_key key = {"imap", "lee", "mail.example.org", "Other"};
	struct mailboxes seen = {.count = 0};
	struct state_mailbox is;
	bool known = true;

	ck_good(state_known_mailbox(state, &key, &known, &is, &err));
	ck_assert(!known);
	ck_good(state_mailboxes(state, NULL, see_mailbox, &seen, &err));
	ck_assert_uint_eq(seen.count, 1);
	key.mailbox = "INBOX";
	ck_good(state_known_mailbox(state, &key, &known, &is, &err));
	ck_assert(known && is.id == box.id);
}
END_TEST

START_TEST(a_mailbox_gets_another_name)
{
	struct state_key key = {"imap", "lee", "mail.example.org", "New"};
	struct state_mailbox is;
	bool known;

	(void)mailbox("Taken");
	begin();
	store("1", STATE_DELIVERED, 1);
	ck_good(state_rename(state, box.id, "New", &err));
	commit();
	ck_good(state_known_mailbox(state, &key, &known, &is, &err));
	ck_assert(known && is.id == box.id);
	ck_assert_int_eq(found("1"), STATE_DELIVERED);
	begin();
	ck_assert(!state_rename(state, box.id, "Taken", &err));
	ck_assert_int_eq(err.kind, ERR_STATE);
	state_rollback(state);
	key.mailbox = "INBOX";
	ck_good(state_known_mailbox(state, &key, &known, &is, &err));
	ck_assert(!known);
}
END_TEST

/* ---- due and gone ---- */

static const char *due(int64_t before)
{
	static struct seen seen;

	seen = (struct seen){.count = 0};
	ck_good(state_due(state, box.id, before, see, &seen, &err));
	return seen.keys;
}

START_TEST(what_is_due_for_removal)
{
	struct state_row late = row_of("late", STATE_DELIVERED, 10);
	struct state_mailbox other = mailbox("Other");
	struct state_row elsewhere = row_of("elsewhere", STATE_DELIVERED, 1);
	struct seen seen = {.stop_after = 1};

	/* It waited for its MDA: what counts is when it was delivered. */
	late.changed = 50;
	begin();
	store("b", STATE_DELIVERED, 20);
	store("a", STATE_DELIVERED, 10);
	store("c", STATE_DELIVERED, 30);
	store("gone", STATE_DELIVERED, 5);
	store_full(box.id, VALIDITY, &late);
	store_full(other.id, VALIDITY, &elsewhere);
	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		if (is != STATE_DELIVERED)
			store(state_is_name((enum state_is)is), (enum state_is)is, 1);
	ck_good(state_gone(state, box.id, VALIDITY, "gone", 6, &err));
	commit();
	ck_assert_str_eq(due(9), "");
	ck_assert_str_eq(due(10), "a ");
	ck_assert_str_eq(due(29), "a b ");
	ck_assert_str_eq(due(49), "a b c ");
	/* Rows of the same second come as they like. */
	ck_assert_uint_eq(strlen(due(50)), strlen("a late b c "));
	ck_assert_ptr_nonnull(strstr(due(50), "late "));
	ck_good(state_due(state, box.id, 49, see, &seen, &err));
	ck_assert_uint_eq(seen.count, 1);
}
END_TEST

START_TEST(what_is_gone_is_forgotten_in_time)
{
	struct state_mailbox other = mailbox("Other");

	begin();
	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++) {
		store(state_is_name((enum state_is)is), (enum state_is)is, is);
		ck_good(state_gone(state, box.id, VALIDITY, state_is_name((enum state_is)is), 100,
				   &err));
	}
	store("here", STATE_DELIVERED, 11);
	store("back", STATE_DELIVERED, 12);
	store("later", STATE_SKIPPED, 13);
	ck_good(state_gone(state, box.id, VALIDITY, "back", 90, &err));
	ck_good(state_gone(state, box.id, VALIDITY, "back", 0, &err));
	ck_good(state_gone(state, box.id, VALIDITY, "later", 101, &err));
	ck_good(state_forget_gone(state, box.id, 99, &err));
	commit();
	ck_assert_int_eq(found("delivered"), STATE_DELIVERED);
	begin();
	ck_good(state_forget_gone(state, other.id, 1000, &err));
	ck_good(state_forget_gone(state, box.id, 100, &err));
	commit();
	/* What has a letter here stays, in the spool as in the quarantine. */
	ck_assert_str_eq(rows(box.id, EVERY), "taken handed waiting quarantined here back later ");
}
END_TEST

static bool see_gone(void *ctx, uint32_t validity, const struct state_row *row)
{
	(void)validity;
	*(int64_t *)ctx = row->gone;
	return true;
}

START_TEST(a_removed_message_is_gone)
{
	int64_t gone = -1;

	begin();
	store("1", STATE_DELIVERED, 5);
	ck_good(state_mark(state, box.id, VALIDITY, "1", STATE_REMOVED, 77, &err));
	commit();
	ck_good(state_each(state, box.id, EVERY, see_gone, &gone, &err));
	ck_assert_int_eq(gone, 77);
}
END_TEST

START_TEST(what_is_too_large_is_counted_and_listed)
{
	uint64_t counts[STATE_IS_END];

	begin();
	store("large", STATE_OVERSIZE, 2);
	store("huge", STATE_OVERSIZE, 1);
	store("small", STATE_DELIVERED, 3);
	commit();
	ck_assert_str_eq(rows(box.id, STATE_MASK(STATE_OVERSIZE)), "huge large ");
	ck_assert_str_eq(rows(box.id, EVERY), "huge large small ");
	ck_good(state_count(state, box.id, counts, &err));
	ck_assert_uint_eq(counts[STATE_OVERSIZE], 2);
	ck_assert_uint_eq(counts[STATE_DELIVERED], 1);
}
END_TEST

/* ---- marks and adoption ---- */

struct marked {
	char where[256];
	size_t stop_after, count;
};

static bool see_marked(void *ctx, int64_t of, uint32_t validity, const struct state_row *row)
{
	struct marked *seen = ctx;
	size_t len = strlen(seen->where);

	snprintf(seen->where + len, sizeof seen->where - len, "%s/%u/%s ",
		 of == box.id ? "INBOX" : "other", (unsigned)validity, row->key);
	return ++seen->count != seen->stop_after;
}

START_TEST(a_mark_is_found_in_all_mailboxes_of_an_account)
{
	struct state_mailbox other = mailbox("Other");
	struct state_mailbox foreign;
	struct state_row row = row_of("1", STATE_DELIVERED, 1);
	struct marked seen = {.count = 0};

	ck_good(state_mailbox(state,
			      &(struct state_key){"imap", "kim", "mail.example.org", "INBOX"},
			      &foreign, &err));
	begin();
	row.mark = "G42";
	store_full(box.id, 7, &row);
	store_full(foreign.id, 7, &row);
	row.key = "2";
	store_full(other.id, 9, &row);
	row.key = "3";
	row.mark = "G421";
	store_full(box.id, 7, &row);
	row.key = "4";
	row.mark = "E42";
	store_full(box.id, 7, &row);
	commit();
	ck_good(state_marked(state, box.account, "G42", see_marked, &seen, &err));
	ck_assert_uint_eq(seen.count, 2);
	ck_assert_ptr_nonnull(strstr(seen.where, "INBOX/7/1 "));
	ck_assert_ptr_nonnull(strstr(seen.where, "other/9/2 "));
	seen = (struct marked){.stop_after = 1};
	ck_good(state_marked(state, box.account, "G42", see_marked, &seen, &err));
	ck_assert_uint_eq(seen.count, 1);
	seen = (struct marked){.count = 0};
	ck_good(state_marked(state, box.account, "G4", see_marked, &seen, &err));
	ck_good(state_marked(state, box.account, "G", see_marked, &seen, &err));
	ck_assert_uint_eq(seen.count, 0);
}
END_TEST

START_TEST(rows_are_adopted)
{
	struct state_mailbox to = mailbox("To");
	struct state_row row = row_of("1", STATE_DELIVERED, 1);

	begin();
	store_full(box.id, 7, &row);
	store_full(box.id, 8, &row);
	row.key = "2";
	store_full(box.id, 7, &row);
	row.key = "3";
	store_full(to.id, 9, &row);
	ck_good(state_adopt(state, box.id, to.id, 0, &err));
	commit();
	ck_assert_str_eq(rows(box.id, EVERY), "");
	/* Two of one key become one. */
	ck_assert_uint_eq(strlen(rows(to.id, EVERY)), strlen("0:1 0:2 9:3 "));
	ck_assert_int_eq(look_up(state, to.id, 0, "1"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(state, to.id, 0, "2"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(state, to.id, 9, "3"), STATE_DELIVERED);
	begin();
	ck_good(state_adopt(state, to.id, to.id, 5, &err));
	commit();
	ck_assert_int_eq(look_up(state, to.id, 5, "3"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(state, to.id, 9, "3"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state_write");
	TCase *tests = tcase_create("state_write");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, state_setup, state_teardown);
	tcase_add_test(tests, mailboxes_as_they_were_met);
	tcase_add_test(tests, asking_for_a_mailbox_makes_none);
	tcase_add_test(tests, a_mailbox_gets_another_name);
	tcase_add_test(tests, what_is_due_for_removal);
	tcase_add_test(tests, what_is_gone_is_forgotten_in_time);
	tcase_add_test(tests, a_removed_message_is_gone);
	tcase_add_test(tests, what_is_too_large_is_counted_and_listed);
	tcase_add_test(tests, a_mark_is_found_in_all_mailboxes_of_an_account);
	tcase_add_test(tests, rows_are_adopted);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
