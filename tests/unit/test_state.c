/*
 * test_state: files that are no state, several processes, kill -9, full disks, and rows.
 */
#include "look_up.h"

#include "state/state.h"

#include "deliver_fixture.h"

#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct state *state;
static struct state_mailbox box;

static struct state *opened(void)
{
	return state_open(at("state"), &err);
}

static struct state_mailbox mailbox(struct state *of, const char *user, const char *host,
				    const char *name)
{
	struct state_mailbox found;

	ck_good(state_mailbox(
	    of,
	    &(struct state_key){.protocol = "imap", .user = user, .host = host, .mailbox = name},
	    &found, &err));
	return found;
}

static void setup(void)
{
	root_make();
	state = opened();
	ck_good(state != NULL);
	box = mailbox(state, "lee", "mail.example.org", "INBOX");
}

static void teardown(void)
{
	state_free(&state);
	root_remove();
}

static struct state_row row_of(const char *key, enum state_is is, int64_t taken)
{
	return (struct state_row){
	    .key = key, .is = is, .taken = taken, .changed = taken, .name = key, .mark = ""};
}

static void store(const char *key, enum state_is is, int64_t taken)
{
	struct state_row row = row_of(key, is, taken);

	ck_good(state_put(state, box.id, 7, &row, &err));
}

static enum state_is found_by(struct state *by, const char *key)
{
	return look_up(by, box.id, 7, key);
}

static enum state_is found(const char *key)
{
	return found_by(state, key);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_msg(stat(path, &st) == 0, "%s", path);
	return st.st_mode & 0777;
}

/* ---- opening ---- */

START_TEST(what_is_made_is_private)
{
	struct state *other;

	umask(0);
	other = state_open(at("deep/er/state"), &err);
	ck_good(other != NULL);
	ck_assert_str_eq(state_directory(other), at("deep/er/state"));
	ck_assert_uint_eq(strlen(state_identity(other)), STATE_IDENTITY);
	ck_assert_uint_eq(strspn(state_identity(other), "0123456789abcdef"), STATE_IDENTITY);
	ck_assert_str_ne(state_identity(other), state_identity(state));
	ck_assert_int_eq(mode_of(at("deep")), 0700);
	ck_assert_int_eq(mode_of(at("deep/er")), 0700);
	ck_assert_int_eq(mode_of(at("deep/er/state")), 0700);
	ck_assert_int_eq(mode_of(at("deep/er/state/state.db")), 0600);
	ck_assert_int_eq(mode_of(at("deep/er/state/state.db-wal")), 0600);
	ck_assert_int_eq(mode_of(at("deep/er/state/state.db-shm")), 0600);
	state_free(&other);
	ck_assert_ptr_null(other);
	state_free(&other);
}
END_TEST

START_TEST(what_was_remembered_is_there_again)
{
	char identity[STATE_IDENTITY + 1];
	struct state_mailbox again;

	snprintf(identity, sizeof identity, "%s", state_identity(state));
	ck_good(state_begin(state, &err));
	store("1", STATE_DELIVERED, 1);
	ck_good(state_put_mailbox(state, box.id, 7, 2, &err));
	ck_good(state_commit(state, &err));
	state_free(&state);
	state = opened();
	ck_good(state != NULL);
	ck_assert_str_eq(state_identity(state), identity);
	again = mailbox(state, "lee", "mail.example.org", "INBOX");
	ck_assert_int_eq(again.id, box.id);
	ck_assert_uint_eq(again.validity, 7);
	ck_assert_uint_eq(again.next, 2);
	ck_assert_int_eq(found("1"), STATE_DELIVERED);
}
END_TEST

/* A home or /var that is a symbolic link is common. */
START_TEST(a_directory_behind_a_link)
{
	struct state *other;

	make(at("real"));
	ck_assert_int_eq(symlink(at("real"), at("link")), 0);
	other = state_open(at("link/state"), &err);
	ck_good(other != NULL);
	state_free(&other);
	other = state_open(at("link"), &err);
	ck_good(other != NULL);
	state_free(&other);
}
END_TEST

START_TEST(a_file_that_is_a_link_is_refused)
{
	make(at("other"));
	put(at("victim"), "", 0600);
	ck_assert_int_eq(symlink(at("victim"), at("other/state.db")), 0);
	ck_fails(state_open(at("other"), &err), ERR_STATE, at("other/state.db"));
	ck_assert_str_eq(contents(at("victim")), "");
}
END_TEST

START_TEST(strange_directories)
{
	put(at("file"), "x", 0600);
	ck_fails(state_open(at("file"), &err), ERR_STATE, "file");
	ck_fails(state_open(at("file/below"), &err), ERR_STATE, "file/below");
	ck_fails(state_open("", &err), ERR_STATE, "");
	ck_fails(state_open("/proc/no/such", &err), ERR_STATE, "/proc/no/such");
	make(at("taken"));
	make(at("taken/state.db"));
	ck_fails(state_open(at("taken"), &err), ERR_STATE, "state.db");
}
END_TEST

/* Overwrites octets of the file in the test's own directory "other". */
static void damage(off_t where, const void *bytes, size_t len)
{
	int fd = open(at("other/state.db"), O_RDWR);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, where), (ssize_t)len);
	close(fd);
}

static void make_other(void)
{
	struct state *other = state_open(at("other"), &err);

	ck_good(other != NULL);
	state_free(&other);
}

START_TEST(garbage_is_said_to_be_damaged)
{
	char noise[8192];

	memset(noise, 'x', sizeof noise - 1);
	noise[sizeof noise - 1] = '\0';
	make(at("other"));
	put(at("other/state.db"), noise, 0600);
	ck_fails(state_open(at("other"), &err), ERR_STATE, at("other/state.db"));
	ck_assert_ptr_nonnull(strstr(err.words, "damaged"));
	ck_assert_ptr_nonnull(strstr(err.words, "mailhaul state reset"));
	put(at("other/state.db"), "short", 0600);
	ck_fails(state_open(at("other"), &err), ERR_STATE, "damaged");
	ck_assert_str_eq(contents(at("other/state.db")), "short");
}
END_TEST

START_TEST(a_truncated_file_is_said_to_be_damaged)
{
	make_other();
	ck_assert_int_eq(truncate(at("other/state.db"), 4096), 0);
	ck_fails(state_open(at("other"), &err), ERR_STATE, "damaged");
	ck_assert_int_eq(truncate(at("other/state.db"), 3000), 0);
	ck_fails(state_open(at("other"), &err), ERR_STATE, "damaged");
}
END_TEST

START_TEST(a_newer_form_is_left_alone)
{
	static const unsigned char version[] = {0, 0, 0, 99};

	make_other();
	damage(60, version, sizeof version);
	ck_fails(state_open(at("other"), &err), ERR_STATE, "newer mailhaul");
	ck_assert_ptr_nonnull(strstr(err.words, "99"));
	ck_assert_ptr_nonnull(strstr(err.words, at("other/state.db")));
}
END_TEST

START_TEST(a_form_that_never_was)
{
	static const unsigned char none[4] = {0};

	make_other();
	damage(60, none, sizeof none);
	ck_fails(state_open(at("other"), &err), ERR_STATE, at("other/state.db"));
	damage(60, "\xff\xff\xff\xff", 4);
	ck_fails(state_open(at("other"), &err), ERR_STATE, at("other/state.db"));
}
END_TEST

START_TEST(a_file_of_another_program_is_left_alone)
{
	static const unsigned char none[4] = {0};

	make_other();
	damage(68, "abcd", 4);
	ck_fails(state_open(at("other"), &err), ERR_STATE, "is not a state file of mailhaul");
	/* One that does not name its program, but is not empty either. */
	damage(68, none, sizeof none);
	damage(60, none, sizeof none);
	ck_fails(state_open(at("other"), &err), ERR_STATE, "is not a state file of mailhaul");
}
END_TEST

START_TEST(what_cannot_be_written_is_an_error)
{
	const char *mode = getenv("CK_FORK");

	/* Root writes everywhere: become somebody else, which this process cannot take back. */
	if (geteuid() == 0) {
		if (mode && !strcmp(mode, "no"))
			return;
		ck_assert_int_eq(chown(root, 65534, 65534), 0);
		ck_assert_int_eq(chown(at("state"), 65534, 65534), 0);
		ck_assert_int_eq(setgroups(0, NULL), 0);
		ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
		ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
		ck_fails(opened(), ERR_STATE, "state.db");
	}
	make(at("closed"));
	ck_assert_int_eq(chmod(at("closed"), 0500), 0);
	ck_fails(state_open(at("closed"), &err), ERR_STATE, at("closed/state.db"));
	ck_fails(state_open(at("closed/below"), &err), ERR_STATE, at("closed/below"));
	ck_assert_int_eq(chmod(at("closed"), 0700), 0);
	make_other();
	ck_assert_int_eq(chmod(at("other/state.db"), 0400), 0);
	ck_fails(state_open(at("other"), &err), ERR_STATE, at("other/state.db"));
	ck_assert_int_eq(chmod(at("other/state.db"), 0600), 0);
	ck_assert_int_eq(chmod(at("other"), 0500), 0);
	ck_fails(state_open(at("other"), &err), ERR_STATE, at("other/state.db"));
	ck_assert_ptr_nonnull(strstr(err.words, "user that runs mailhaul"));
	ck_assert_int_eq(chmod(at("other"), 0700), 0);
}
END_TEST

/* ---- several processes ---- */

static void one_of_many(void)
{
	struct state *mine = state_open(at("new"), &err);
	struct state_row row = row_of("x", STATE_TAKEN, 1);
	struct state_mailbox mine_box;
	char key[16];

	alarm(60);
	if (!mine) {
		fprintf(stderr, "%s\n", err.words);
		_exit(1);
	}
	mine_box = mailbox(mine, "lee", "h", "INBOX");
	snprintf(key, sizeof key, "%d", (int)getpid());
	row.key = row.name = key;
	if (!state_begin(mine, &err) || !state_put(mine, mine_box.id, 7, &row, &err) ||
	    !state_commit(mine, &err)) {
		fprintf(stderr, "%s\n", err.words);
		_exit(2);
	}
	state_free(&mine);
	_exit(0);
}

START_TEST(many_processes_open_a_new_state_at_once)
{
	enum { MANY = 8 };

	for (int turn = 0; turn < 5; turn++) {
		struct state *mine;
		uint64_t counts[STATE_IS_END];
		pid_t children[MANY];
		int good = 0;

		for (int i = 0; i < MANY; i++) {
			children[i] = fork();
			if (!children[i])
				one_of_many();
		}
		for (int i = 0; i < MANY; i++) {
			int status = -1;

			waitpid(children[i], &status, 0);
			good += WIFEXITED(status) && !WEXITSTATUS(status);
		}
		ck_assert_int_eq(good, MANY);
		mine = state_open(at("new"), &err);
		ck_good(mine != NULL);
		ck_good(state_count(mine, mailbox(mine, "lee", "h", "INBOX").id, counts, &err));
		ck_assert_uint_eq(counts[STATE_TAKEN], MANY);
		state_free(&mine);
		remove_tree(at("new"));
	}
}
END_TEST

static struct state_lock *lock_box(struct state *of)
{
	return state_lock(of, box.id, &err);
}

static struct state_lock *lock_for_daemon(struct state *of)
{
	return state_lock_daemon(of, &err);
}

/* Starts a process that holds the lock; returns when it does. */
static pid_t holder(struct state_lock *(*lock)(struct state *of))
{
	int ends[2];
	char octet;
	pid_t child;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	if (!child) {
		struct state *mine = opened();

		if (!mine || !lock(mine))
			_exit(1);
		(void)!write(ends[1], "x", 1);
		alarm(60);
		pause();
		_exit(0);
	}
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &octet, 1), 1);
	close(ends[0]);
	return child;
}

START_TEST(a_lock_dies_with_its_process)
{
	pid_t child = holder(lock_box);
	struct state_lock *lock;
	struct state_lock *other;

	memset(&err, 0x55, sizeof err);
	ck_assert_ptr_null(state_lock(state, box.id, &err));
	ck_assert_int_eq(err.kind, ERR_NONE);
	other = state_lock(state, box.id + 1, &err);
	ck_good(other != NULL);
	state_unlock(&other);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	lock = state_lock(state, box.id, &err);
	ck_good(lock != NULL);
	/* Two accounts of one process with the same mailbox shut each other out as well. */
	ck_assert_ptr_null(state_lock(state, box.id, &err));
	ck_assert_int_eq(err.kind, ERR_NONE);
	state_unlock(&lock);
	ck_assert_ptr_null(lock);
	state_unlock(&lock);
	lock = state_lock(state, box.id, &err);
	ck_good(lock != NULL);
	state_unlock(&lock);
	ck_assert_int_eq(mode_of(at("state/locks")), 0700);
}
END_TEST

/* Its own lock is none of a mailbox. */
START_TEST(one_daemon_a_state)
{
	pid_t child = holder(lock_for_daemon);
	struct state_lock *lock, *visit;

	memset(&err, 0x55, sizeof err);
	ck_assert_ptr_null(state_lock_daemon(state, &err));
	ck_assert_int_eq(err.kind, ERR_NONE);
	ck_good((visit = state_lock(state, box.id, &err)) != NULL);
	state_unlock(&visit);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_good((lock = state_lock_daemon(state, &err)) != NULL);
	ck_assert_ptr_null(state_lock_daemon(state, &err));
	ck_assert_int_eq(err.kind, ERR_NONE);
	state_unlock(&lock);
	ck_good((lock = state_lock_daemon(state, &err)) != NULL);
	state_unlock(&lock);
}
END_TEST

START_TEST(a_lock_that_cannot_be_made_is_an_error)
{
	put(at("state/locks"), "x", 0600);
	ck_fails(state_lock(state, box.id, &err), ERR_STATE, at("state/locks"));
	ck_fails(state_lock_daemon(state, &err), ERR_STATE, at("state/locks"));
	ck_assert_int_eq(unlink(at("state/locks")), 0);
	ck_assert_int_eq(symlink(at("nowhere"), at("state/locks")), 0);
	ck_fails(state_lock(state, box.id, &err), ERR_STATE, at("state/locks"));
}
END_TEST

START_TEST(kill_loses_nothing_that_was_committed)
{
	int ends[2];
	char octet;
	int status;
	pid_t child;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	if (!child) {
		state = opened();
		for (int i = 0; i < 3; i++) {
			char key[16];

			snprintf(key, sizeof key, "%d", i);
			state_begin(state, &err);
			store(key, STATE_TAKEN, i);
			if (i < 2)
				state_commit(state, &err);
		}
		(void)!write(ends[1], "x", 1);
		pause();
		_exit(0);
	}
	ck_assert_int_eq(read(ends[0], &octet, 1), 1);
	ck_assert_int_eq(found("2"), 0);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	ck_assert_int_eq(found("0"), STATE_TAKEN);
	ck_assert_int_eq(found("1"), STATE_TAKEN);
	ck_assert_int_eq(found("2"), 0);
	ck_good(state_begin(state, &err));
	ck_good(state_commit(state, &err));
}
END_TEST

/* ---- mailboxes ---- */

START_TEST(mailboxes_are_told_apart)
{
	struct state_mailbox one;

	ck_assert_int_gt(box.id, 0);
	ck_assert_int_gt(box.account, 0);
	ck_assert_uint_eq(box.validity, 0);
	ck_assert_uint_eq(box.next, 1);
	one = mailbox(state, "lee", "MAIL.Example.ORG", "INBOX");
	ck_assert_int_eq(one.id, box.id);
	ck_assert_int_eq(one.account, box.account);
	one = mailbox(state, "lee", "mail.example.org", "Inbox");
	ck_assert_int_ne(one.id, box.id);
	ck_assert_int_eq(one.account, box.account);
	one = mailbox(state, "Lee", "mail.example.org", "INBOX");
	ck_assert_int_ne(one.id, box.id);
	ck_assert_int_ne(one.account, box.account);
	one = mailbox(state, "lee", "mail.example.net", "INBOX");
	ck_assert_int_ne(one.account, box.account);
	ck_good(state_mailbox(
	    state, &(struct state_key){"pop3", "lee", "mail.example.org", "INBOX"}, &one, &err));
	ck_assert_int_ne(one.account, box.account);
	one = mailbox(state, "'; DROP TABLE message; --", "\xff\xfe", "%_\"'");
	ck_assert_int_eq(mailbox(state, "'; DROP TABLE message; --", "\xff\xfe", "%_\"'").id,
			 one.id);
}
END_TEST

START_TEST(validity_and_next_of_a_mailbox)
{
	struct state_mailbox other = mailbox(state, "lee", "mail.example.org", "Other");
	struct state_mailbox again;

	ck_good(state_begin(state, &err));
	ck_good(state_put_mailbox(state, box.id, UINT32_MAX, UINT32_MAX, &err));
	ck_good(state_commit(state, &err));
	again = mailbox(state, "lee", "mail.example.org", "INBOX");
	ck_assert_uint_eq(again.validity, UINT32_MAX);
	ck_assert_uint_eq(again.next, UINT32_MAX);
	ck_assert_uint_eq(mailbox(state, "lee", "mail.example.org", "Other").next, other.next);
}
END_TEST

/* ---- rows ---- */

struct seen {
	char keys[512];
	size_t stop_after;
	size_t count;
	struct state_row last;
	uint32_t validity;
};

static bool see(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct seen *seen = ctx;

	strncat(seen->keys, row->key, sizeof seen->keys - strlen(seen->keys) - 2);
	strncat(seen->keys, " ", sizeof seen->keys - strlen(seen->keys) - 1);
	seen->last = *row;
	seen->validity = validity;
	return ++seen->count != seen->stop_after;
}

static const char *each(uint32_t mask, size_t stop_after)
{
	static struct seen seen;

	seen = (struct seen){.stop_after = stop_after};
	ck_good(state_each(state, box.id, mask, see, &seen, &err));
	ck_assert(!stop_after || seen.count <= stop_after);
	return seen.keys;
}

static bool see_all(void *ctx, uint32_t validity, const struct state_row *row)
{
	ck_assert_uint_eq(validity, UINT32_MAX);
	ck_assert_str_eq(row->key, "key with \"quotes\" \xff");
	ck_assert_int_eq(row->is, STATE_WAITING);
	ck_assert_int_eq(row->taken, 1700000000);
	ck_assert_int_eq(row->changed, 1700000001);
	ck_assert_uint_eq(row->attempts, 3);
	ck_assert_int_eq(row->next_try, 1700000002);
	ck_assert_str_eq(row->name, "name");
	ck_assert_str_eq(row->mark, "mark");
	ck_assert_uint_eq(row->octets, 5000000000);
	ck_assert_int_eq(row->date, -5);
	++*(int *)ctx;
	return true;
}

START_TEST(a_row_is_kept_whole)
{
	struct state_row row = {.key = "key with \"quotes\" \xff",
				.is = STATE_WAITING,
				.taken = 1700000000,
				.changed = 1700000001,
				.attempts = 3,
				.next_try = 1700000002,
				.name = "name",
				.mark = "mark",
				.octets = 5000000000,
				.date = -5};
	int count = 0;

	ck_good(state_begin(state, &err));
	ck_good(state_put(state, box.id, UINT32_MAX, &row, &err));
	ck_good(state_commit(state, &err));
	ck_good(state_each(state, box.id, STATE_MASK(STATE_WAITING), see_all, &count, &err));
	ck_assert_int_eq(count, 1);
}
END_TEST

START_TEST(rows_are_keyed_by_mailbox_validity_and_key)
{
	struct state_mailbox other = mailbox(state, "lee", "mail.example.org", "Other");

	ck_good(state_begin(state, &err));
	store("1", STATE_TAKEN, 1);
	ck_good(state_commit(state, &err));
	ck_assert_int_eq(found("1"), STATE_TAKEN);
	ck_assert_int_eq(found("2"), 0);
	ck_assert_int_eq(found("1 "), 0);
	ck_assert_int_eq(found(""), 0);
	ck_assert_int_eq(look_up(state, box.id, 8, "1"), 0);
	ck_assert_int_eq(look_up(state, other.id, 7, "1"), 0);
}
END_TEST

START_TEST(keys_are_compared_with_case)
{
	ck_good(state_begin(state, &err));
	store("abc", STATE_TAKEN, 1);
	store("ABC", STATE_DELIVERED, 1);
	ck_good(state_commit(state, &err));
	ck_assert_int_eq(found("abc"), STATE_TAKEN);
	ck_assert_int_eq(found("ABC"), STATE_DELIVERED);
}
END_TEST

static bool see_mark(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct seen *seen = ctx;

	seen->count++;
	ck_assert_uint_eq(validity, 7);
	ck_assert_int_eq(row->is, STATE_HANDED);
	ck_assert_int_eq(row->changed, 99);
	ck_assert_int_eq(row->taken, 5);
	ck_assert_uint_eq(row->attempts, 2);
	ck_assert_int_eq(row->next_try, 77);
	ck_assert_str_eq(row->name, "n");
	ck_assert_str_eq(row->mark, "m");
	return true;
}

START_TEST(mark_changes_only_the_state)
{
	struct state_row row = {.key = "1",
				.is = STATE_WAITING,
				.taken = 5,
				.attempts = 2,
				.next_try = 77,
				.name = "n",
				.mark = "m"};
	struct seen seen = {.count = 0};

	ck_good(state_begin(state, &err));
	ck_good(state_put(state, box.id, 7, &row, &err));
	ck_good(state_mark(state, box.id, 7, "1", STATE_HANDED, 99, &err));
	ck_good(state_mark(state, box.id, 7, "none", STATE_HANDED, 99, &err));
	ck_good(state_commit(state, &err));
	ck_good(state_each(state, box.id, STATE_MASK(STATE_HANDED), see_mark, &seen, &err));
	ck_assert_uint_eq(seen.count, 1);
	ck_assert_int_eq(found("none"), 0);
}
END_TEST

static void store_some(void)
{
	ck_good(state_begin(state, &err));
	store("t9", STATE_TAKEN, 9);
	store("d5", STATE_DELIVERED, 5);
	store("h2", STATE_HANDED, 2);
	store("w7", STATE_WAITING, 7);
	store("r1", STATE_REMOVED, 1);
	store("s3", STATE_SKIPPED, 3);
	store("q4", STATE_QUARANTINED, 4);
	store("d1", STATE_DELIVERED, 1);
	store("t8", STATE_TAKEN, 8);
	store("t2", STATE_TAKEN, 2);
	ck_good(state_commit(state, &err));
}

START_TEST(each_gives_the_states_of_the_mask_in_order)
{
	uint32_t all = 0;

	for (unsigned is = 1; is < STATE_IS_END; is++)
		all |= STATE_MASK(is);
	store_some();
	ck_assert_str_eq(each(STATE_MASK(STATE_TAKEN), 0), "t2 t8 t9 ");
	ck_assert_str_eq(
	    each(STATE_MASK(STATE_TAKEN) | STATE_MASK(STATE_HANDED) | STATE_MASK(STATE_WAITING), 0),
	    "h2 t2 w7 t8 t9 ");
	ck_assert_str_eq(each(STATE_MASK(STATE_DELIVERED), 0), "d1 d5 ");
	ck_assert_str_eq(each(STATE_MASK(STATE_QUARANTINED), 0), "q4 ");
	ck_assert_str_eq(each(STATE_MASK(STATE_SKIPPED) | STATE_MASK(STATE_REMOVED), 0), "r1 s3 ");
	ck_assert_str_eq(each(STATE_MASK(STATE_DELIVERED) | STATE_MASK(STATE_TAKEN), 0),
			 "d1 t2 d5 t8 t9 ");
	ck_assert_str_eq(each(all, 0), "d1 r1 h2 t2 s3 q4 d5 w7 t8 t9 ");
	ck_assert_str_eq(each(0, 0), "");
}
END_TEST

START_TEST(each_stops_when_it_is_told)
{
	store_some();
	ck_assert_str_eq(each(STATE_MASK(STATE_TAKEN), 2), "t2 t8 ");
	ck_assert_str_eq(each(STATE_MASK(STATE_DELIVERED) | STATE_MASK(STATE_TAKEN), 1), "d1 ");
	ck_assert_str_eq(each(STATE_MASK(STATE_TAKEN), 0), "t2 t8 t9 ");
}
END_TEST

static bool see_and_ask(void *ctx, uint32_t validity, const struct state_row *row)
{
	char key[16];

	(void)validity;
	snprintf(key, sizeof key, "%s", row->key);
	ck_assert_int_eq(found(row->key), row->is);
	ck_assert_str_eq(row->key, key);
	++*(int *)ctx;
	return true;
}

START_TEST(other_questions_may_be_asked_meanwhile)
{
	int count = 0;

	store_some();
	ck_good(state_each(state, box.id, STATE_MASK(STATE_TAKEN), see_and_ask, &count, &err));
	ck_assert_int_eq(count, 3);
}
END_TEST

START_TEST(counts)
{
	uint64_t counts_of[STATE_IS_END];

	store_some();
	ck_good(state_count(state, box.id, counts_of, &err));
	ck_assert_uint_eq(counts_of[0], 0);
	ck_assert_uint_eq(counts_of[STATE_TAKEN], 3);
	ck_assert_uint_eq(counts_of[STATE_DELIVERED], 2);
	ck_assert_uint_eq(counts_of[STATE_QUARANTINED], 1);
	ck_good(state_count(state, box.id + 1, counts_of, &err));
	ck_assert_uint_eq(counts_of[STATE_TAKEN], 0);
}
END_TEST

/* ---- transactions ---- */

START_TEST(what_is_rolled_back_never_was)
{
	ck_good(state_begin(state, &err));
	store("1", STATE_TAKEN, 1);
	ck_good(state_commit(state, &err));
	ck_good(state_begin(state, &err));
	store("2", STATE_TAKEN, 1);
	ck_good(state_mark(state, box.id, 7, "1", STATE_DELIVERED, 2, &err));
	ck_good(state_put_mailbox(state, box.id, 7, 100, &err));
	state_rollback(state);
	state_rollback(state);
	ck_assert_int_eq(found("1"), STATE_TAKEN);
	ck_assert_int_eq(found("2"), 0);
	ck_assert_uint_eq(mailbox(state, "lee", "mail.example.org", "INBOX").next, 1);
	ck_good(state_begin(state, &err));
	ck_good(state_forget(state, box.id, 7, "1", &err));
	ck_good(state_forget(state, box.id, 7, "none", &err));
	ck_good(state_commit(state, &err));
	ck_assert_int_eq(found("1"), 0);
}
END_TEST

START_TEST(the_reader_sees_what_is_committed_and_nothing_else)
{
	struct state *other = opened();

	ck_good(other != NULL);
	for (int i = 0; i < 20; i++) {
		char key[16];

		snprintf(key, sizeof key, "%d", i);
		ck_good(state_begin(state, &err));
		store(key, STATE_TAKEN, i);
		ck_assert_int_eq(found(key), 0);
		ck_assert_int_eq(found_by(other, key), 0);
		ck_good(state_commit(state, &err));
		ck_assert_int_eq(found(key), STATE_TAKEN);
		ck_assert_int_eq(found_by(other, key), STATE_TAKEN);
	}
	state_free(&other);
}
END_TEST

static void limit(rlim_t octets)
{
	struct rlimit now;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &now);
	now.rlim_cur = octets;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &now), 0);
}

static bool fill(int first, int count)
{
	char key[64];

	if (!state_begin(state, &err))
		return false;
	for (int i = first; i < first + count; i++) {
		struct state_row row = row_of(key, STATE_TAKEN, i);

		snprintf(key, sizeof key, "%060d", i);
		if (!state_put(state, box.id, 7, &row, &err)) {
			state_rollback(state);
			return false;
		}
	}
	if (state_commit(state, &err))
		return true;
	state_rollback(state);
	return false;
}

static uint64_t taken(void)
{
	uint64_t counts_of[STATE_IS_END];

	ck_good(state_count(state, box.id, counts_of, &err));
	return counts_of[STATE_TAKEN];
}

START_TEST(a_full_disk_fails_the_commit_and_nothing_else)
{
	struct stat st;

	ck_good(fill(0, 10));
	ck_assert_int_eq(stat(at("state/state.db-wal"), &st), 0);
	/* No room at all; room for some pages; a transaction that outgrows the cache. */
	for (int i = 0; i < 3; i++) {
		limit((rlim_t)st.st_size + (rlim_t)(i * 10000));
		ck_fails(fill(1000, i == 2 ? 20000 : 300), ERR_STATE, at("state/state.db"));
		ck_assert_uint_eq(taken(), 10);
		limit(RLIM_INFINITY);
		ck_assert_uint_eq(taken(), 10);
	}
	ck_good(fill(1000, 300));
	ck_assert_uint_eq(taken(), 310);
	state_free(&state);
	state = opened();
	ck_good(state != NULL);
	ck_assert_uint_eq(taken(), 310);
}
END_TEST

/* ---- visits and Maildirs ---- */

START_TEST(a_visit_is_kept_whole)
{
	struct state_visit visit;
	struct state_visit back;

	memset(&back, 0x55, sizeof back);
	ck_good(state_visit(state, "imap", "nobody", "nowhere", &back, &err));
	ck_assert_int_eq(back.tried, 0);
	ck_assert_str_eq(back.error, "");
	memset(&visit, 0, sizeof visit);
	visit.tried = 1;
	visit.succeeded = 2;
	visit.messages = 3;
	visit.octets = 5000000000;
	visit.failing_since = 4;
	visit.reported = 5;
	visit.auth_refused = 6;
	visit.expires = 7000000000;
	visit.warned = 8;
	visit.today = 20261231;
	visit.today_messages = 6000000000;
	visit.today_octets = 9000000000;
	memset(visit.error_kind, 'k', sizeof visit.error_kind - 1);
	memset(visit.error, 'e', sizeof visit.error - 1);
	memset(visit.encryption, 'c', sizeof visit.encryption - 1);
	memset(visit.mechanism, 'm', sizeof visit.mechanism - 1);
	memset(visit.passed_over, 'p', sizeof visit.passed_over - 1);
	ck_good(state_begin(state, &err));
	ck_good(state_put_visit(state, box.account, &visit, &err));
	ck_good(state_commit(state, &err));
	ck_good(state_visit(state, "imap", "lee", "MAIL.EXAMPLE.ORG", &back, &err));
	ck_assert_int_eq(back.tried, 1);
	ck_assert_int_eq(back.succeeded, 2);
	ck_assert_uint_eq(back.messages, 3);
	ck_assert_uint_eq(back.octets, 5000000000);
	ck_assert_int_eq(back.failing_since, 4);
	ck_assert_int_eq(back.reported, 5);
	ck_assert_int_eq(back.auth_refused, 6);
	ck_assert_int_eq(back.expires, 7000000000);
	ck_assert_int_eq(back.warned, 8);
	ck_assert_int_eq(back.today, 20261231);
	ck_assert_uint_eq(back.today_messages, 6000000000);
	ck_assert_uint_eq(back.today_octets, 9000000000);
	ck_assert_str_eq(back.error_kind, visit.error_kind);
	ck_assert_str_eq(back.error, visit.error);
	ck_assert_str_eq(back.encryption, visit.encryption);
	ck_assert_str_eq(back.mechanism, visit.mechanism);
	ck_assert_str_eq(back.passed_over, visit.passed_over);
	ck_good(state_visit(state, "pop3", "lee", "mail.example.org", &back, &err));
	ck_assert_int_eq(back.tried, 0);
}
END_TEST

START_TEST(maildirs_and_their_identities)
{
	char identity[STATE_IDENTITY + 1] = "x";

	ck_good(state_maildir(state, "/mail", identity, &err));
	ck_assert_str_eq(identity, "");
	ck_good(state_begin(state, &err));
	ck_good(state_put_maildir(state, "/mail", "0123456789abcdef", &err));
	ck_good(state_put_maildir(state, "/Mail", "other", &err));
	ck_good(state_put_maildir(state, "/null", NULL, &err));
	ck_good(state_commit(state, &err));
	ck_good(state_maildir(state, "/mail", identity, &err));
	ck_assert_str_eq(identity, "0123456789abcdef");
	ck_good(state_maildir(state, "/null", identity, &err));
	ck_assert_str_eq(identity, "");
	ck_good(state_begin(state, &err));
	ck_good(state_put_maildir(state, "/mail", "fedcba9876543210", &err));
	ck_good(state_commit(state, &err));
	ck_good(state_maildir(state, "/mail", identity, &err));
	ck_assert_str_eq(identity, "fedcba9876543210");
}
END_TEST

static const struct state_key other = {
    .protocol = "imap", .user = "someone", .host = "other.example.org", .mailbox = "INBOX"};

static struct state_mailbox entry(struct state_key key)
{
	return mailbox(state, key.user, key.host, key.mailbox);
}

START_TEST(an_account_without_a_mailbox)
{
	struct state_mailbox known;
	int64_t account = 0;
	int64_t again = 0;
	bool there = true;

	ck_good(state_account(state, &other, &account, &err));
	ck_assert_int_gt(account, 0);
	ck_good(state_known_mailbox(state, &other, &there, &known, &err));
	ck_assert(!there);
	ck_assert_int_eq(entry(other).account, account);
	ck_good(state_account(state, &other, &again, &err));
	ck_assert_int_eq(again, account);
}
END_TEST

/* Older versions knew a mailbox by its name on the wire. */
START_TEST(a_mailbox_that_was_called_otherwise)
{
	struct state_key old = other;
	struct state_key now = other;
	struct state_mailbox before;
	struct state_mailbox known;
	bool there = true;

	old.mailbox = "INBOX.Lists.users";
	now.mailbox = "Lists/users";
	ck_good(state_called_before(state, &now, old.mailbox, &err));
	ck_good(state_known_mailbox(state, &now, &there, &known, &err));
	ck_assert(!there);
	before = entry(old);
	ck_good(state_called_before(state, &now, old.mailbox, &err));
	ck_good(state_known_mailbox(state, &old, &there, &known, &err));
	ck_assert(!there);
	ck_assert_int_eq(entry(now).id, before.id);
	/* Where the new name is known, both stay. */
	(void)entry(old);
	ck_good(state_called_before(state, &now, old.mailbox, &err));
	ck_assert_int_eq(entry(now).id, before.id);
	ck_assert_int_ne(entry(old).id, before.id);
}
END_TEST

START_TEST(two_accounts_claim_one_mailbox)
{
	int64_t id = entry(other).id;

	ck_good(state_claim(state, id, "work", &err));
	ck_good(state_claim(state, id, "work", &err));
	ck_good(state_claim(state, id + 1, "home", &err));
	ck_assert(!state_claim(state, id, "home", &err));
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(err.words, "\"work\""));
}
END_TEST

/* All that an account claimed, nothing of others. */
START_TEST(what_is_released_may_be_claimed_by_another)
{
	int64_t id = entry(other).id;

	for (int64_t i = 0; i < 100; i++)
		ck_good(state_claim(state, id + i, i % 2 ? "home" : "work", &err));
	state_release(state, "nobody");
	state_release(state, "work");
	state_release(state, "work");
	for (int64_t i = 0; i < 100; i++)
		ck_assert(state_claim(state, id + i, "new", &err) == !(i % 2));
	ck_good(state_claim(state, id + 1, "home", &err));
	ck_good(state_claim(state, id + 100, "work", &err));
	state_release(state, "home");
	ck_good(state_claim(state, id + 1, "work", &err));
	ck_assert(!state_claim(state, id + 2, "work", &err));
	ck_assert_ptr_nonnull(strstr(err.words, "\"new\""));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state");
	TCase *tests = tcase_create("state");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, what_is_made_is_private);
	tcase_add_test(tests, an_account_without_a_mailbox);
	tcase_add_test(tests, a_mailbox_that_was_called_otherwise);
	tcase_add_test(tests, two_accounts_claim_one_mailbox);
	tcase_add_test(tests, what_is_released_may_be_claimed_by_another);
	tcase_add_test(tests, what_was_remembered_is_there_again);
	tcase_add_test(tests, a_directory_behind_a_link);
	tcase_add_test(tests, a_file_that_is_a_link_is_refused);
	tcase_add_test(tests, strange_directories);
	tcase_add_test(tests, garbage_is_said_to_be_damaged);
	tcase_add_test(tests, a_truncated_file_is_said_to_be_damaged);
	tcase_add_test(tests, a_newer_form_is_left_alone);
	tcase_add_test(tests, a_form_that_never_was);
	tcase_add_test(tests, a_file_of_another_program_is_left_alone);
	tcase_add_test(tests, what_cannot_be_written_is_an_error);
	tcase_add_test(tests, many_processes_open_a_new_state_at_once);
	tcase_add_test(tests, a_lock_dies_with_its_process);
	tcase_add_test(tests, one_daemon_a_state);
	tcase_add_test(tests, a_lock_that_cannot_be_made_is_an_error);
	tcase_add_test(tests, kill_loses_nothing_that_was_committed);
	tcase_add_test(tests, mailboxes_are_told_apart);
	tcase_add_test(tests, validity_and_next_of_a_mailbox);
	tcase_add_test(tests, a_row_is_kept_whole);
	tcase_add_test(tests, rows_are_keyed_by_mailbox_validity_and_key);
	tcase_add_test(tests, keys_are_compared_with_case);
	tcase_add_test(tests, mark_changes_only_the_state);
	tcase_add_test(tests, each_gives_the_states_of_the_mask_in_order);
	tcase_add_test(tests, each_stops_when_it_is_told);
	tcase_add_test(tests, other_questions_may_be_asked_meanwhile);
	tcase_add_test(tests, counts);
	tcase_add_test(tests, what_is_rolled_back_never_was);
	tcase_add_test(tests, the_reader_sees_what_is_committed_and_nothing_else);
	tcase_add_test(tests, a_full_disk_fails_the_commit_and_nothing_else);
	tcase_add_test(tests, a_visit_is_kept_whole);
	tcase_add_test(tests, maildirs_and_their_identities);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
