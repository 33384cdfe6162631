/*
 * test_state_network: where the directory lies on a network file system the state works without
 * WAL, and a file that was moved there, or back, is changed over with all that its log holds.
 */
#include "state_fixture.h"

#include "state/state_files.h"
#include "util/log.h"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <sys/wait.h>

enum { MODE_AT = 18, ROLLBACK = 1, WAL = 2 /* SQLite, "Database File Format" */ };

static bool network;

/* Stands in front of the C library's. */
int statfs(const char *path, struct statfs *fs)
{
	ck_assert_ptr_nonnull(path);
	*fs = (struct statfs){.f_type = network ? NFS_SUPER_MAGIC : EXT4_SUPER_MAGIC};
	return 0;
}

static void reopen(bool on_network)
{
	state_free(&state);
	network = on_network;
	state = state_open(at("state"), &err);
	ck_good(state != NULL);
}

static void setup(void)
{
	log_set_level(LOG_LEVEL_WARNING);
	network = true;
	state_setup();
}

static int mode(void)
{
	FILE *file = fopen(at("state/state.db"), "r");
	int octet;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, MODE_AT, SEEK_SET), 0);
	octet = fgetc(file);
	fclose(file);
	return octet;
}

static bool there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

START_TEST(which_file_systems)
{
	static const uint32_t local[] = {EXT4_SUPER_MAGIC,	XFS_SUPER_MAGIC,
					 BTRFS_SUPER_MAGIC,	TMPFS_MAGIC,
					 OVERLAYFS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */};
	static const uint32_t shared[] = {0x6969,     0x517b,	  0xff534d42,
					  0xfe534d42, 0x65735546, 0x01021997};

	for (size_t i = 0; i < sizeof local / sizeof *local; i++)
		ck_assert(state_wants_wal(local[i]));
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
		ck_assert(!state_wants_wal(shared[i]));
}
END_TEST

START_TEST(the_usual_things)
{
	struct state_mailbox other;

	begin();
	store("1", STATE_TAKEN, 1);
	store("2", STATE_DELIVERED, 2);
	ck_assert(there(at("state/state.db-journal")));
	commit();
	ck_assert_int_eq(mode(), ROLLBACK);
	ck_assert(!there(at("state/state.db-wal")) && !there(at("state/state.db-shm")));
	ck_assert_int_eq(found("1"), STATE_TAKEN);
	begin();
	store("1", STATE_DELIVERED, 1);
	state_rollback(state);
	ck_assert_int_eq(found("1"), STATE_TAKEN);
	other = mailbox("Lists");
	ck_assert_int_ne(other.id, box.id);
	reopen(true);
	ck_assert_str_eq(rows(box.id, EVERY), "1 2 ");
}
END_TEST

/* A transaction that is larger than the cache locks nobody out before it is committed. */
START_TEST(reading_while_much_is_written)
{
	begin();
	for (int i = 0; i < 20000; i++) {
		char key[16];

		snprintf(key, sizeof key, "%d", i);
		store(key, STATE_DELIVERED, i);
		if (i % 5000 == 4999)
			ck_assert_int_eq(found("0"), 0);
	}
	commit();
	ck_assert_int_eq(found("19999"), STATE_DELIVERED);
}
END_TEST

/* What died while it wrote is rolled back, or, with WAL and its log, is whole after the move. */
static void check_after_death(bool on_network)
{
	int status = -1;
	pid_t child;

	reopen(on_network);
	state_free(&state);
	if (!(child = fork())) {
		reopen(on_network);
		begin();
		store("safe", STATE_DELIVERED, 1);
		commit();
		begin();
		store("lost", STATE_DELIVERED, 1);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	reopen(!on_network);
	ck_assert_int_eq(mode(), on_network ? WAL : ROLLBACK);
	ck_assert_int_eq(found("safe"), STATE_DELIVERED);
	ck_assert_int_eq(found("lost"), 0);
	ck_assert(there(at("state/state.db-wal")) == on_network);
	begin();
	store("more", STATE_DELIVERED, 1);
	commit();
	reopen(on_network);
	ck_assert_int_eq(mode(), on_network ? ROLLBACK : WAL);
	ck_assert_int_eq(found("more"), STATE_DELIVERED);
}

START_TEST(moved_to_the_network)
{
	check_after_death(false);
}
END_TEST

START_TEST(moved_to_a_local_disk)
{
	check_after_death(true);
}
END_TEST

START_TEST(many_at_once)
{
	enum { PROCESSES = 6, EACH = 20 };
	pid_t children[PROCESSES];

	state_free(&state);
	for (int i = 0; i < PROCESSES; i++) {
		if ((children[i] = fork()))
			continue;
		reopen(true);
		for (int k = 0; k < EACH; k++) {
			char key[16];

			snprintf(key, sizeof key, "%d", i * EACH + k);
			begin();
			store(key, STATE_DELIVERED, 1);
			commit();
			(void)found("0");
		}
		_exit(0);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status = -1;

		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert_int_eq(status, 0);
	}
	reopen(true);
	for (int i = 0; i < PROCESSES * EACH; i++) {
		char key[16];

		snprintf(key, sizeof key, "%d", i);
		ck_assert_int_eq(found(key), STATE_DELIVERED);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state_network");
	TCase *all = tcase_create("state_network");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, setup, state_teardown);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, which_file_systems);
	tcase_add_test(all, the_usual_things);
	tcase_add_test(all, reading_while_much_is_written);
	tcase_add_test(all, moved_to_the_network);
	tcase_add_test(all, moved_to_a_local_disk);
	tcase_add_test(all, many_at_once);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
