/*
 * recognise: what was known under an older UIDVALIDITY.
 */
#include "session/recognise.h"

#include "state_fixture.h"

static void set_up(void)
{
	state_setup();
	begin();
}

static void known(uint32_t validity, const char *key, const char *mark, enum state_is is)
{
	struct state_row row = {.key = key, .mark = mark, .is = is, .name = "", .taken = 7};

	ck_assert(state_put(state, box.id, validity, &row, &err));
}

static struct recognise *load(uint32_t validity)
{
	struct recognise *recognise;

	ck_assert(state_commit(state, &err));
	recognise = recognise_new(
	    &(struct recognise_params){.state = state, .mailbox = box.id, .validity = validity},
	    &err);
	ck_assert_int_eq(err.kind, ERR_NONE);
	return recognise;
}

START_TEST(nothing_is_known_under_another_validity)
{
	known(3, "1", "a", STATE_DELIVERED);
	ck_assert_ptr_null(load(3));
}
END_TEST

START_TEST(each_known_message_recognises_one)
{
	struct recognise *recognise;
	const struct state_row *row;
	uint32_t validity = 0;

	known(3, "1", "b", STATE_DELIVERED);
	known(3, "2", "a", STATE_REMOVED);
	known(9, "7", "a", STATE_DELIVERED);
	known(5, "1", "c", STATE_DELIVERED);
	known(3, "4", "", STATE_DELIVERED);
	recognise = load(5);
	row = recognise_digest(recognise, "b", 0, 0, &validity);
	ck_assert_ptr_nonnull(row);
	ck_assert_str_eq(row->key, "1");
	ck_assert_int_eq(row->taken, 7);
	ck_assert_uint_eq(validity, 3);
	ck_assert_ptr_null(recognise_digest(recognise, "b", 0, 0, &validity));
	ck_assert_ptr_nonnull(recognise_digest(recognise, "a", 0, 0, &validity));
	ck_assert_ptr_nonnull(recognise_digest(recognise, "a", 0, 0, &validity));
	ck_assert_ptr_null(recognise_digest(recognise, "a", 0, 0, &validity));
	ck_assert_ptr_null(recognise_digest(recognise, "c", 0, 0, &validity));
	ck_assert_ptr_null(recognise_digest(recognise, "", 0, 0, &validity));
	recognise_free(&recognise);
	ck_assert_ptr_null(recognise);
}
END_TEST

START_TEST(every_state_recognises)
{
	struct recognise *recognise;
	uint32_t validity = 0;
	char mark[32];

	for (int is = STATE_TAKEN; is < STATE_IS_END; is++) {
		snprintf(mark, sizeof mark, "mark %d", is);
		known(1, mark, mark, (enum state_is)is);
	}
	recognise = load(2);
	for (int is = STATE_TAKEN; is < STATE_IS_END; is++) {
		const struct state_row *row;

		snprintf(mark, sizeof mark, "mark %d", is);
		row = recognise_digest(recognise, mark, 0, 0, &validity);
		ck_assert_ptr_nonnull(row);
		ck_assert_int_eq((int)row->is, is);
	}
	recognise_free(&recognise);
}
END_TEST

static const char *key_of(const struct state_row *row)
{
	return row ? row->key : "none";
}

/* A row may have both; one without an id is found by its digest though the server has ids now. */
START_TEST(by_id_first_then_by_digest)
{
	struct recognise *recognise;
	uint32_t validity = 0;

	known(3, "1", "E1 d1", STATE_DELIVERED);
	known(3, "2", "G22", STATE_DELIVERED);
	known(3, "3", "d3", STATE_DELIVERED);
	known(3, "4", "E11 d1", STATE_DELIVERED);
	recognise = load(5);
	ck_assert_uint_eq(recognise_left(recognise), 3);
	ck_assert_str_eq(key_of(recognise_id(recognise, "E1", &validity)), "1");
	ck_assert_ptr_null(recognise_id(recognise, "E1", &validity));
	ck_assert_ptr_null(recognise_id(recognise, "d3", &validity));
	ck_assert_ptr_null(recognise_id(recognise, "", &validity));
	ck_assert_str_eq(key_of(recognise_id(recognise, "G22", &validity)), "2");
	ck_assert_uint_eq(recognise_left(recognise), 2);
	ck_assert_str_eq(key_of(recognise_digest(recognise, "d1", 0, 0, &validity)), "4");
	ck_assert_str_eq(key_of(recognise_digest(recognise, "d3", 0, 0, &validity)), "3");
	ck_assert_ptr_null(recognise_digest(recognise, "E1", 0, 0, &validity));
	ck_assert_uint_eq(recognise_left(recognise), 0);
	recognise_free(&recognise);
}
END_TEST

START_TEST(size_and_date_break_ties)
{
	struct recognise *recognise;
	uint32_t validity = 0;
	struct state_row row = {.mark = "d", .is = STATE_DELIVERED, .name = ""};

	for (int i = 0; i < 4; i++) {
		char key[8];

		snprintf(key, sizeof key, "%d", i);
		row.key = key;
		row.date = i < 2 ? 100 : 200;
		row.octets = i % 2 ? 11 : 10;
		ck_assert(state_put(state, box.id, 3, &row, &err));
	}
	recognise = load(5);
	ck_assert_str_eq(key_of(recognise_digest(recognise, "d", 200, 11, &validity)), "3");
	ck_assert_str_eq(key_of(recognise_digest(recognise, "d", 200, 11, &validity)), "2");
	ck_assert_str_eq(key_of(recognise_digest(recognise, "d", 999, 11, &validity)), "1");
	ck_assert_str_eq(key_of(recognise_digest(recognise, "d", 0, 0, &validity)), "0");
	ck_assert_ptr_null(recognise_digest(recognise, "d", 0, 0, &validity));
	recognise_free(&recognise);
}
END_TEST

/* POP3: all that is settled is about to move; what waits stays where it is, and recognises, too. */
START_TEST(rows_that_are_about_to_be_adopted)
{
	struct state_key other = {"imap", "lee", "old.example.org", "INBOX"};
	struct state_mailbox old;
	struct recognise *recognise;
	uint32_t validity = 0;

	known(0, "a", "d1", STATE_DELIVERED);
	known(0, "b", "d2", STATE_WAITING);
	known(0, "c", "d3", STATE_REMOVED);
	known(0, "t", "d4", STATE_TAKEN);
	ck_assert(state_commit(state, &err));
	recognise = recognise_new(
	    &(struct recognise_params){
		.state = state, .mailbox = box.id, .adopted = box.id, .adopted_as = 1},
	    &err);
	ck_assert_str_eq(key_of(recognise_digest(recognise, "d1", 0, 0, &validity)), "a");
	ck_assert_uint_eq(validity, 1);
	ck_assert_str_eq(key_of(recognise_digest(recognise, "d2", 0, 0, &validity)), "b");
	ck_assert_uint_eq(validity, 0);
	ck_assert_ptr_null(recognise_digest(recognise, "d3", 0, 0, &validity));
	recognise_free(&recognise);

	ck_assert(state_mailbox(state, &other, &old, &err));
	recognise = recognise_new(
	    &(struct recognise_params){
		.state = state, .mailbox = old.id, .validity = 9, .adopted = box.id},
	    &err);
	ck_assert_str_eq(key_of(recognise_digest(recognise, "d3", 0, 0, &validity)), "c");
	ck_assert_uint_eq(validity, 0);
	ck_assert_ptr_null(recognise_digest(recognise, "d4", 0, 0, &validity));
	recognise_free(&recognise);
}
END_TEST

static void count_rest(void *ctx, uint32_t validity, const struct state_row *row)
{
	(void)row;
	*(int *)ctx += validity == 3;
}

/* As many as a hostile server likes to send: the search must not grow with those used up. */
START_TEST(many_copies_of_one_message)
{
	enum { MANY = 50000 };
	struct recognise *recognise;
	uint32_t validity = 0;
	int rest = 0;

	for (int i = 0; i < MANY; i++) {
		char key[8];

		snprintf(key, sizeof key, "%d", i);
		known(3, key, "same", STATE_DELIVERED);
	}
	recognise = load(5);
	for (int i = 0; i < MANY - 2; i++)
		ck_assert_ptr_nonnull(recognise_digest(recognise, "same", 0, 0, &validity));
	recognise_rest(recognise, count_rest, &rest);
	ck_assert_int_eq(rest, 2);
	recognise_free(&recognise);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recognise");
	TCase *tests = tcase_create("recognise");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, state_teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, nothing_is_known_under_another_validity);
	tcase_add_test(tests, each_known_message_recognises_one);
	tcase_add_test(tests, every_state_recognises);
	tcase_add_test(tests, by_id_first_then_by_digest);
	tcase_add_test(tests, size_and_date_break_ties);
	tcase_add_test(tests, rows_that_are_about_to_be_adopted);
	tcase_add_test(tests, many_copies_of_one_message);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
