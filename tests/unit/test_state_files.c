/*
 * test_state_files: files that are no state are refused and left as they are; several processes, a
 * full disk and a second opening meet at one that is.
 */
#include "look_up.h"

#include "deliver_fixture.h"
#include "small_disk.h"

#include <dirent.h>
#include <sys/wait.h>

static struct state *state;
static const struct state_key inbox = {
    .protocol = "imap", .user = "lee", .host = "imap.example.org", .mailbox = "INBOX"};

static void reopen(void)
{
	state_free(&state);
	ck_assert_ptr_null(state);
	state = state_open(at("s"), &err);
	ck_assert_msg(state, "%s", err.words);
}

static void setup(void)
{
	root_make();
	reopen();
}

static void teardown(void)
{
	state_free(&state);
	root_remove();
}

static struct state_mailbox mailbox_of(struct state_key key)
{
	struct state_mailbox mailbox = {.id = -1};

	ck_good(state_mailbox(state, &key, &mailbox, &err));
	ck_assert_int_gt(mailbox.account, 0);
	ck_assert_int_gt(mailbox.id, 0);
	return mailbox;
}

static void put_row(int64_t mailbox, uint32_t validity, const char *key, enum state_is is,
		    int64_t taken, const char *name)
{
	struct state_row row = {.key = key, .is = is, .taken = taken, .name = name};

	ck_good(state_put(state, mailbox, validity, &row, &err));
}

START_TEST(no_program_inherits_its_files)
{
	struct state_lock *lock = state_lock(state, mailbox_of(inbox).id, &err);
	DIR *fds = opendir("/proc/self/fd");
	unsigned seen = 0;

	ck_assert_ptr_nonnull(lock);
	for (struct dirent *entry; (entry = readdir(fds));) {
		char target[512] = "";

		if (readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1) < 0 ||
		    strncmp(target, root, strlen(root)) != 0)
			continue;
		ck_assert_msg(fcntl((int)strtol(entry->d_name, NULL, 10), F_GETFD) & FD_CLOEXEC,
			      "%s", target);
		seen++;
	}
	closedir(fds);
	ck_assert_uint_ge(seen, 4);
	state_unlock(&lock);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	make(at("a"));
	put(at("elsewhere"), "", 0600);
	ck_assert_int_eq(symlink(at("elsewhere"), at("a/state.db")), 0);
	ck_fails(state_open(at("a"), &err), ERR_STATE, "not a regular file");
	make(at("b"));
	make(at("b/state.db"));
	ck_fails(state_open(at("b"), &err), ERR_STATE, "b/state.db");
	make(at("c"));
	ck_assert_int_eq(mkfifo(at("c/state.db"), 0600), 0);
	ck_fails(state_open(at("c"), &err), ERR_STATE, "c/state.db");
	put(at("d"), "", 0600);
	ck_fails(state_open(at("d"), &err), ERR_STATE, "Not a directory");
	ck_fails(state_open("", &err), ERR_STATE, "cannot make the state directory");
}
END_TEST

/* Octets of the file; the header's fields are big-endian (SQLite, "Database File Format"). */
static void patch(long where, const void *bytes, size_t len)
{
	FILE *file = fopen(at("s/state.db"), "r+");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, where, SEEK_SET), 0);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

enum { USER_VERSION = 60, APPLICATION_ID = 68 };

static char *slurp(size_t *len_r)
{
	FILE *file = fopen(at("s/state.db"), "r");
	static char bytes[1 << 20];

	ck_assert_ptr_nonnull(file);
	*len_r = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	return bytes;
}

/* The refusal leaves every octet as it was, and makes no log beside it. */
static void check_refused(const char *words)
{
	size_t before_len;
	size_t after_len;
	char *before = slurp(&before_len);
	char *copy = malloc(before_len);

	memcpy(copy, before, before_len);
	ck_fails((state = state_open(at("s"), &err)), ERR_STATE, words);
	ck_assert_msg(strstr(err.words, "s/state.db"), "%s", err.words);
	before = slurp(&after_len);
	ck_assert_uint_eq(before_len, after_len);
	ck_assert_mem_eq(before, copy, after_len);
	free(copy);
}

START_TEST(a_newer_schema_is_refused)
{
	state_free(&state);
	patch(USER_VERSION, "\0\0\0\4", 4);
	check_refused("written by a newer mailhaul (form 4, this one knows 3)");
	patch(USER_VERSION, "\x7f\xff\xff\xff", 4);
	check_refused("written by a newer mailhaul");
	patch(USER_VERSION, "\0\0\0\3", 4);
	reopen();
}
END_TEST

START_TEST(the_file_of_another_program_is_refused)
{
	state_free(&state);
	patch(APPLICATION_ID, "\0\0\0\0", 4);
	check_refused("not a state file of mailhaul; move it aside");
	patch(USER_VERSION, "\0\0\0\0", 4);
	check_refused("not a state file of mailhaul; move it aside");
	patch(APPLICATION_ID, "mhal", 4);
	check_refused("not a state file of mailhaul; move it aside");
}
END_TEST

START_TEST(a_damaged_file_is_refused)
{
	state_free(&state);
	ck_assert_int_eq(truncate(at("s/state.db"), 12288), 0);
	check_refused("damaged");
	ck_assert_int_eq(truncate(at("s/state.db"), 700), 0);
	check_refused("damaged");
	ck_assert_ptr_nonnull(strstr(err.words, "mailhaul state reset"));
	put(at("s/state.db"),
	    "this was never a database, though it is long enough to be read "
	    "as the one hundred octets that a database begins with",
	    0600);
	check_refused("damaged");
	ck_assert_ptr_nonnull(strstr(err.words, "fetches again"));
	/* What a power cut left of the first start: nothing is lost, so it begins anew. */
	put(at("s/state.db"), "", 0600);
	reopen();
}
END_TEST

START_TEST(damage_further_in_is_said_when_met)
{
	struct state_mailbox box = mailbox_of(inbox);
	char rubbish[4096];
	struct look_up look = {.key = "1999"};
	struct stat st;

	memset(rubbish, 0x5a, sizeof rubbish);
	ck_good(state_begin(state, &err));
	for (int i = 0; i < 2000; i++) {
		char key[16];

		snprintf(key, sizeof key, "%d", i);
		put_row(box.id, 1, key, STATE_DELIVERED, 1, "a name of some length, as names are");
	}
	ck_good(state_commit(state, &err));
	state_free(&state);
	ck_assert_int_eq(stat(at("s/state.db"), &st), 0);
	for (long page = 14; page < st.st_size / 4096; page++)
		patch(page * 4096, rubbish, sizeof rubbish);
	reopen();
	ck_fails(state_find(state, box.id, 1, 1, look_up_key, look_up_known, &look, &err),
		 ERR_STATE, "damaged");
	ck_assert_int_eq(look.is, 0);
}
END_TEST

START_TEST(a_full_disk_is_said)
{
	bool ok = true;
	int64_t id;

	make(at("small"));
	if (!small_disk_mount(at("small"), "size=1m"))
		return;
	state_free(&state);
	ck_good((state = state_open(at("small/s"), &err)) != NULL);
	id = mailbox_of(inbox).id;
	ck_good(state_begin(state, &err));
	put_row(id, 1, "before", STATE_DELIVERED, 1, "n");
	ck_good(state_commit(state, &err));
	small_disk_fill(at("small/fill"), 16384);
	ck_good(state_begin(state, &err));
	for (int i = 0; ok && i < 2000; i++) {
		char key[16];
		struct state_row row = {.key = key, .is = STATE_TAKEN, .name = "a longer name"};

		snprintf(key, sizeof key, "%d", i);
		ok = state_put(state, id, 1, &row, &err);
	}
	ok = ok && state_commit(state, &err);
	ck_assert(!ok);
	ck_assert_int_eq(err.kind, ERR_STATE);
	ck_assert_msg(strstr(err.words, "small/s/state.db") && strstr(err.words, "No space left"),
		      "%s", err.words);
	state_rollback(state);
	ck_assert_int_eq(look_up(state, id, 1, "before"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(state, id, 1, "0"), 0);
	/* And where there never was room for one. */
	small_disk_fill(at("small/fill"), 4096);
	ck_fails(state_open(at("small/t"), &err), ERR_STATE, "No space left");
	/* Once there is room again, the same connection goes on. */
	ck_assert_int_eq(unlink(at("small/fill")), 0);
	ck_good(state_begin(state, &err));
	put_row(id, 1, "after", STATE_TAKEN, 1, "n");
	ck_good(state_commit(state, &err));
	state_free(&state);
	umount2(at("small"), MNT_DETACH);
}
END_TEST

START_TEST(many_may_find_it_new)
{
	enum { PROCESSES = 6 };
	pid_t children[PROCESSES];
	int start[2];

	state_free(&state);
	for (size_t round = 0; round < 10; round++) {
		ck_assert_int_eq(pipe(start), 0);
		for (size_t i = 0; i < PROCESSES; i++) {
			if ((children[i] = fork()))
				continue;
			/* All at once, when the pipe is closed. */
			close(start[1]);
			(void)!read(start[0], &(char){0}, 1);
			state = state_open(at("new%zu", round), &err);
			if (!state)
				fprintf(stderr, "%s\n", err.words);
			else
				(void)mailbox_of(inbox);
			_exit(!state);
		}
		close(start[0]);
		close(start[1]);
		for (size_t i = 0; i < PROCESSES; i++) {
			int status = -1;

			ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
			ck_assert_int_eq(status, 0);
		}
	}
}
END_TEST

/* POSIX locks go with the first descriptor of the file that the process closes. */
START_TEST(opening_it_twice_keeps_its_locks)
{
	struct state *second = state_open(at("s"), &err);
	int status = -1;
	pid_t child;

	ck_assert_ptr_nonnull(second);
	state_free(&second);
	if (!(child = fork())) {
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int fd = open(at("s/state.db"), O_RDWR | O_CLOEXEC);

		_exit(fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state_files");
	TCase *all = tcase_create("state_files");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, no_program_inherits_its_files);
	tcase_add_test(all, what_is_no_file_is_refused);
	tcase_add_test(all, a_newer_schema_is_refused);
	tcase_add_test(all, the_file_of_another_program_is_refused);
	tcase_add_test(all, a_damaged_file_is_refused);
	tcase_add_test(all, damage_further_in_is_said_when_met);
	tcase_add_test(all, a_full_disk_is_said);
	tcase_add_test(all, many_may_find_it_new);
	tcase_add_test(all, opening_it_twice_keeps_its_locks);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
