/*
 * test_retention: what may go and when, marks of two parts, rows that are gone, rows that move.
 */
#include "session/retention.h"

#include "session/mark.h"

#include "state_fixture.h"

static struct state_mailbox other;

static void set_up(void)
{
	state_setup();
	other = mailbox("Other");
	begin();
}

static void put_row(int64_t of, uint32_t validity, struct state_row row)
{
	row.name = "";
	row.mark = row.mark ? row.mark : "";
	ck_good(state_put(state, of, validity, &row, &err));
}

static bool see_marked(void *ctx, int64_t of, uint32_t validity, const struct state_row *row)
{
	(void)of;
	return see(ctx, validity, row);
}

START_TEST(before)
{
	struct retention retention = {.keep = RETENTION_KEEP, .keep_for = 100};

	ck_assert_int_eq(retention_before(&retention, 1000), INT64_MIN);
	retention.keep = RETENTION_REMOVE;
	ck_assert_int_eq(retention_before(&retention, 1000), INT64_MAX);
	retention.keep = RETENTION_KEEP_FOR;
	ck_assert_int_eq(retention_before(&retention, 1000), 900);
	ck_assert(!retention_too_large(&retention, UINT64_MAX));
	retention.max_size = 5;
	ck_assert(!retention_too_large(&retention, 5));
	ck_assert(retention_too_large(&retention, 6));
}
END_TEST

START_TEST(warnings)
{
	struct retention retention = {.keep = RETENTION_KEEP};

	ck_assert_ptr_nonnull(retention_warning(&retention, "USER, EXPIRE 0, UIDL"));
	ck_assert_ptr_nonnull(retention_warning(&retention, "expire 0 USER"));
	ck_assert_ptr_null(retention_warning(&retention, "EXPIRE 60, X-EXPIRE 0"));
	ck_assert_ptr_null(retention_warning(&retention, "EXPIRE 05, EXPIRE NEVER"));
	ck_assert_ptr_null(retention_warning(&retention, ""));
	retention.keep = RETENTION_KEEP_FOR;
	ck_assert_ptr_nonnull(retention_warning(&retention, "EXPIRE 0"));
	retention.keep = RETENTION_REMOVE;
	ck_assert_ptr_null(retention_warning(&retention, "EXPIRE 0"));
}
END_TEST

START_TEST(when_it_is_time_to_look)
{
	struct state_mailbox mailbox = {.checked = 0};

	ck_assert(!retention_check_due(&mailbox, 100, 5000));
	mailbox.checked = 4901;
	ck_assert(!retention_check_due(&mailbox, 100, 5000));
	ck_assert(retention_check_due(&mailbox, 100, 5001));
	/* The clock was wrong then. */
	ck_assert(retention_check_due(&mailbox, 100, 4000));
}
END_TEST

START_TEST(a_mailbox_is_due_when_something_fits_again)
{
	struct retention retention = {.keep = RETENTION_KEEP, .max_size = 100};
	bool due = true;

	put_row(box.id, 7, (struct state_row){.key = "1", .is = STATE_OVERSIZE, .octets = 200});
	put_row(box.id, 6, (struct state_row){.key = "2", .is = STATE_OVERSIZE, .octets = 50});
	put_row(box.id, 7,
		(struct state_row){.key = "3", .is = STATE_OVERSIZE, .octets = 50, .gone = 1});
	ck_assert(state_put_mailbox(state, box.id, 7, 9, &err));
	commit();
	box.validity = 7;
	ck_assert(retention_due(state, &box, &retention, 1000, &due, &err));
	ck_assert(!due);
	retention.max_size = 0;
	ck_assert(retention_due(state, &box, &retention, 1000, &due, &err));
	ck_assert(due);
}
END_TEST

START_TEST(parts_of_a_mark)
{
	char mark[MARK_TEXT + 1];
	char longest[MARK_ID + 2];

	mark_join("G12", "abc", mark);
	ck_assert_str_eq(mark, "G12 abc");
	ck_assert_uint_eq(mark_id(mark), 3);
	ck_assert_str_eq(mark_digest_of(mark), "abc");
	mark_join("", "abc", mark);
	ck_assert_str_eq(mark, "abc");
	ck_assert_uint_eq(mark_id(mark), 0);
	ck_assert_str_eq(mark_digest_of(mark), "abc");
	mark_join("E12", "", mark);
	ck_assert_str_eq(mark, "E12");
	ck_assert_str_eq(mark_digest_of(mark), "");
	memset(longest, 'E', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	mark_join(longest, "abc", mark);
	ck_assert_str_eq(mark, "abc");
	mark_join(longest + 1, "0123456789abcdef0123456789abcdef", mark);
	ck_assert_uint_eq(mark_id(mark), MARK_ID);
	ck_assert_str_eq(mark_digest_of(mark), "0123456789abcdef0123456789abcdef");
}
END_TEST

START_TEST(a_message_in_all_mailboxes_of_the_account)
{
	struct state_key stranger = {"imap", "kim", "imap.example.org", "INBOX"};
	struct state_mailbox theirs;
	struct seen seen = {.count = 0};

	commit();
	ck_assert(state_mailbox(state, &stranger, &theirs, &err));
	begin();
	put_row(box.id, 7, (struct state_row){.key = "1", .is = STATE_DELIVERED, .mark = "G5 abc"});
	put_row(other.id, 7, (struct state_row){.key = "2", .is = STATE_WAITING, .mark = "G5"});
	put_row(other.id, 7,
		(struct state_row){.key = "3", .is = STATE_SKIPPED, .mark = "G55 abc"});
	put_row(other.id, 7, (struct state_row){.key = "4", .is = STATE_SKIPPED, .mark = "E5"});
	put_row(theirs.id, 7, (struct state_row){.key = "5", .is = STATE_SKIPPED, .mark = "G5"});
	commit();
	ck_assert(state_marked(state, box.account, "G5", see_marked, &seen, &err));
	ck_assert_msg(!strcmp(seen.keys, "1 2 ") || !strcmp(seen.keys, "2 1 "), "%s", seen.keys);
}
END_TEST

START_TEST(what_is_gone_is_neither_due_nor_kept_for_ever)
{
	struct seen seen = {.count = 0};

	put_row(box.id, 7, (struct state_row){.key = "1", .is = STATE_DELIVERED, .changed = 5});
	put_row(box.id, 7, (struct state_row){.key = "2", .is = STATE_DELIVERED, .changed = 5});
	put_row(box.id, 7, (struct state_row){.key = "3", .is = STATE_QUARANTINED, .changed = 5});
	put_row(box.id, 7, (struct state_row){.key = "4", .is = STATE_WAITING, .changed = 5});
	for (const char *key = "1"; *key < '5'; key = *key == '1' ? "3" : *key == '3' ? "4" : "5")
		ck_assert(state_gone(state, box.id, 7, key, 100, &err));
	commit();
	ck_assert(state_due(state, box.id, 50, see, &seen, &err));
	ck_assert_str_eq(seen.keys, "2 ");
	begin();
	ck_assert(state_forget_gone(state, box.id, 99, &err));
	commit();
	ck_assert_int_eq(look_up(state, box.id, 7, "1"), STATE_DELIVERED);
	begin();
	ck_assert(state_forget_gone(state, box.id, 100, &err));
	commit();
	ck_assert_int_eq(look_up(state, box.id, 7, "1"), 0);
	ck_assert_int_eq(look_up(state, box.id, 7, "2"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(state, box.id, 7, "3"), STATE_QUARANTINED);
	ck_assert_int_eq(look_up(state, box.id, 7, "4"), STATE_WAITING);
}
END_TEST

/* Within a mailbox letters are under way; another one is moved whole. */
START_TEST(adopted_rows)
{
	put_row(box.id, 0, (struct state_row){.key = "1", .is = STATE_DELIVERED});
	put_row(box.id, 0, (struct state_row){.key = "2", .is = STATE_WAITING});
	put_row(box.id, 1, (struct state_row){.key = "1", .is = STATE_SKIPPED});
	ck_assert(state_adopt(state, box.id, box.id, 1, &err));
	commit();
	ck_assert_int_eq(look_up(state, box.id, 1, "1"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(state, box.id, 0, "1"), 0);
	ck_assert_int_eq(look_up(state, box.id, 0, "2"), STATE_WAITING);
	begin();
	ck_assert(state_adopt(state, box.id, other.id, 3, &err));
	commit();
	ck_assert_int_eq(look_up(state, other.id, 3, "1"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(state, other.id, 3, "2"), STATE_WAITING);
	ck_assert_int_eq(look_up(state, box.id, 0, "2"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("retention");
	TCase *tests = tcase_create("retention");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, state_teardown);
	tcase_add_test(tests, before);
	tcase_add_test(tests, warnings);
	tcase_add_test(tests, when_it_is_time_to_look);
	tcase_add_test(tests, a_mailbox_is_due_when_something_fits_again);
	tcase_add_test(tests, parts_of_a_mark);
	tcase_add_test(tests, a_message_in_all_mailboxes_of_the_account);
	tcase_add_test(tests, what_is_gone_is_neither_due_nor_kept_for_ever);
	tcase_add_test(tests, adopted_rows);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
