/*
 * test_state_aside: every kind of damage is told from a whole file, and kept aside with all that
 * belongs to it; what is whole, newer or of someone else is left alone.
 */
#include "look_up.h"

#include "deliver_fixture.h"
#include "util/log.h"

#include <sys/wait.h>

enum { PAGE = 4096, ROWS = 2000 };

static struct state *state;
static struct state_mailbox box;
static char *as;

/* A state with rows; left by a death, so that its log stands beside it. */
static void fill(bool dies)
{
	struct state_key key = {"imap", "lee", "imap.example.org", "INBOX"};
	struct state_lock *lock;

	ck_good((state = state_open(at("s"), &err)) != NULL);
	ck_good(state_mailbox(state, &key, &box, &err));
	ck_good((lock = state_lock(state, box.id, &err)) != NULL);
	ck_good(state_begin(state, &err));
	for (int i = 0; i < ROWS; i++) {
		char text[16];
		struct state_row row = {
		    .key = text, .is = STATE_DELIVERED, .taken = i, .mark = text};

		snprintf(text, sizeof text, "%d", i);
		row.name = "a name of some length, as names are";
		ck_good(state_put(state, box.id, 1, &row, &err));
	}
	ck_good(state_commit(state, &err));
	if (dies)
		_exit(0);
	state_unlock(&lock);
	state_free(&state);
}

static void setup(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	root_make();
	fill(false);
	as = NULL;
}

static void teardown(void)
{
	state_free(&state);
	free(as);
	root_remove();
}

static void write_at(const char *path, long where, int octet, size_t len)
{
	FILE *file = fopen(path, "r+");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, where, SEEK_SET), 0);
	while (len--)
		ck_assert_int_ne(fputc(octet, file), EOF);
	ck_assert_int_eq(fclose(file), 0);
}

static bool there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* Opening it, or reading all rows, says "damaged"; and so does the looking that keeps it aside. */
static void check_damage(void)
{
	struct state *found = NULL;
	bool ok = (state = state_open(at("s"), &err)) != NULL;

	for (int i = 0; ok && i < ROWS; i++) {
		char text[16];
		struct look_up look = {.key = text};

		snprintf(text, sizeof text, "%d", i);
		ok = state_find(state, box.id, 1, 1, look_up_key, look_up_known, &look, &err);
	}
	ck_assert(!ok);
	ck_assert_int_eq(err.kind, ERR_STATE);
	ck_assert_msg(strstr(err.words, "damaged") && strstr(err.words, "mailhaul state reset"),
		      "%s", err.words);
	state_free(&state);
	ck_good(state_set_aside(at("s"), &as, &err));
	ck_assert_ptr_nonnull(as);
	ck_assert_ptr_nonnull(strstr(as, "/state.db.damaged-20"));
	ck_assert(there(as) && !there(at("s/state.db")) && !there(at("s/state.db-wal")));
	ck_good((found = state_open(at("s"), &err)) != NULL);
	state_free(&found);
}

START_TEST(cut_short)
{
	struct stat st;

	ck_assert_int_eq(stat(at("s/state.db"), &st), 0);
	ck_assert_int_eq(truncate(at("s/state.db"), st.st_size / 2), 0);
	check_damage();
}
END_TEST

START_TEST(cut_to_nothing)
{
	ck_assert_int_eq(truncate(at("s/state.db"), 0), 0);
	check_damage();
}
END_TEST

START_TEST(zeroed_pages)
{
	struct stat st;

	ck_assert_int_eq(stat(at("s/state.db"), &st), 0);
	write_at(at("s/state.db"), 14L * PAGE, 0, (size_t)(st.st_size - 14L * PAGE));
	check_damage();
}
END_TEST

START_TEST(a_zeroed_beginning)
{
	write_at(at("s/state.db"), 0, 0, PAGE);
	check_damage();
}
END_TEST

START_TEST(noise)
{
	write_at(at("s/state.db"), 0, 'x', (size_t)3 * PAGE);
	check_damage();
}
END_TEST

START_TEST(its_log_goes_with_it)
{
	int status = -1;
	pid_t child = fork();

	if (!child)
		fill(true);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert(there(at("s/state.db-wal")));
	write_at(at("s/state.db"), 0, 'x', 200);
	ck_good(state_set_aside(at("s"), &as, &err));
	ck_assert(there(as) && !there(at("s/state.db-wal")) && !there(at("s/state.db-shm")));
	ck_assert_int_eq(strncmp(contents(as), "xxxx", 4), 0);
	ck_assert(there(at("s/%s-wal", strrchr(as, '/') + 1)));
}
END_TEST

/* A log of noise is none: nothing of it is believed. */
START_TEST(a_log_of_noise)
{
	struct look_up look = {.key = "7"};

	put(at("s/state.db-wal"), "noise", 0600);
	write_at(at("s/state.db-wal"), 5, 'x', (size_t)3 * PAGE);
	ck_fails(state_set_aside(at("s"), &as, &err), ERR_USAGE, "not damaged");
	ck_good((state = state_open(at("s"), &err)) != NULL);
	ck_good(state_find(state, box.id, 1, 1, look_up_key, look_up_known, &look, &err));
	ck_assert_int_eq((int)look.is, STATE_DELIVERED);
}
END_TEST

START_TEST(what_is_left_alone)
{
	struct state_lock *lock;

	ck_fails(state_set_aside(at("s"), &as, &err), ERR_USAGE, "not damaged; nothing was done");
	ck_assert_ptr_null(as);
	ck_good(state_set_aside(at("nowhere"), &as, &err));
	ck_assert_ptr_null(as);
	ck_assert(!there(at("nowhere")));
	write_at(at("s/state.db"), 63, 99, 1);
	ck_fails(state_set_aside(at("s"), &as, &err), ERR_STATE, "newer mailhaul");
	make(at("d"));
	make(at("d/state.db"));
	ck_fails(state_set_aside(at("d"), &as, &err), ERR_STATE, "not a regular file");
	write_at(at("s/state.db"), 63, 3, 1);
	/* A first start that died is no damage. */
	make(at("e"));
	put(at("e/state.db"), "", 0600);
	ck_fails(state_set_aside(at("e"), &as, &err), ERR_USAGE, "not damaged");
	/* While another mailhaul is at work. */
	ck_good((state = state_open(at("s"), &err)) != NULL);
	ck_good((lock = state_lock(state, box.id, &err)) != NULL);
	ck_fails(state_set_aside(at("s"), &as, &err), ERR_TEMPORARY, "at work");
	state_unlock(&lock);
	/* Or a daemon has it open, though it visits nothing just now. */
	ck_good((lock = state_lock_daemon(state, &err)) != NULL);
	ck_fails(state_set_aside(at("s"), &as, &err), ERR_TEMPORARY, "at work");
	state_unlock(&lock);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state_aside");
	TCase *all = tcase_create("state_aside");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, cut_short);
	tcase_add_test(all, cut_to_nothing);
	tcase_add_test(all, zeroed_pages);
	tcase_add_test(all, a_zeroed_beginning);
	tcase_add_test(all, noise);
	tcase_add_test(all, its_log_goes_with_it);
	tcase_add_test(all, a_log_of_noise);
	tcase_add_test(all, what_is_left_alone);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
