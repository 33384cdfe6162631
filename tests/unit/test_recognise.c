/*
 * recognise: what was known under an older UIDVALIDITY.
 */
#include "session/recognise.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static char directory[] = "/tmp/mailhaul-recognise-XXXXXX";
static struct state *state;
static struct state_mailbox box;
static struct err err;

static void set_up(void)
{
	struct state_key key = {"imap", "lee", "imap.example.org", "INBOX"};

	snprintf(directory, sizeof directory, "/tmp/mailhaul-recognise-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	state = state_open(directory, &err);
	ck_assert_msg(state != NULL, "%s", err.words);
	ck_assert(state_mailbox(state, &key, &box, &err));
	ck_assert(state_begin(state, &err));
}

static void tear_down(void)
{
	char command[96];

	state_free(&state);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
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
	recognise = recognise_new(state, box.id, validity, &err);
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
	row = recognise_take(recognise, "b", &validity);
	ck_assert_ptr_nonnull(row);
	ck_assert_str_eq(row->key, "1");
	ck_assert_int_eq(row->taken, 7);
	ck_assert_uint_eq(validity, 3);
	ck_assert_ptr_null(recognise_take(recognise, "b", &validity));
	ck_assert_ptr_nonnull(recognise_take(recognise, "a", &validity));
	ck_assert_ptr_nonnull(recognise_take(recognise, "a", &validity));
	ck_assert_ptr_null(recognise_take(recognise, "a", &validity));
	ck_assert_ptr_null(recognise_take(recognise, "c", &validity));
	ck_assert_ptr_null(recognise_take(recognise, "", &validity));
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
		row = recognise_take(recognise, mark, &validity);
		ck_assert_ptr_nonnull(row);
		ck_assert_int_eq((int)row->is, is);
	}
	recognise_free(&recognise);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recognise");
	TCase *tests = tcase_create("recognise");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, nothing_is_known_under_another_validity);
	tcase_add_test(tests, each_known_message_recognises_one);
	tcase_add_test(tests, every_state_recognises);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
