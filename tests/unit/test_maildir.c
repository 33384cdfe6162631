/*
 * test_maildir: the Maildir that is made, the one that is known, and letters in it.
 */
#include "deliver/maildir.h"

#include "deliver_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define FRESH "0123456789abcdef"
#define OTHER "fedcba9876543210"

static struct sink *sink;

static struct sink *maildir(const char *path, const char *identity, const char *fresh)
{
	return maildir_new(
	    &(struct maildir_params){.path = path, .identity = identity, .fresh = fresh});
}

static bool opens(void)
{
	return sink->ops->open(sink, &err);
}

static void setup(void)
{
	root_make();
	sink = maildir(at("Mail/INBOX"), "", FRESH);
}

static void teardown(void)
{
	sink->ops->free(sink);
	root_remove();
}

static void again(const char *identity)
{
	sink->ops->free(sink);
	sink = maildir(at("Mail/INBOX"), identity, OTHER);
}

static enum sink_where where(const char *name)
{
	enum sink_where found = SINK_NOWHERE;

	ck_good(sink->ops->find(sink, name, &found, &err));
	return found;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_msg(stat(path, &st) == 0, "%s", path);
	return st.st_mode & 0777;
}

/* ---- open ---- */

START_TEST(a_new_maildir_is_made_private)
{
	ck_good(opens());
	ck_assert_int_eq(mode_of(at("Mail")), 0700);
	ck_assert_int_eq(mode_of(at("Mail/INBOX")), 0700);
	ck_assert_int_eq(mode_of(at("Mail/INBOX/cur")), 0700);
	ck_assert_int_eq(mode_of(at("Mail/INBOX/new")), 0700);
	ck_assert_int_eq(mode_of(at("Mail/INBOX/tmp")), 0700);
	ck_assert_int_eq(mode_of(at("Mail/INBOX/mailhaul-id")), 0600);
	ck_assert_str_eq(sink->ops->identity(sink), FRESH);
	ck_assert(strncmp(contents(at("Mail/INBOX/mailhaul-id")), FRESH "\n", 17) == 0);
	ck_assert_str_eq(sink->ops->path(sink), at("Mail/INBOX"));
	ck_good(sink->ops->flush(sink, &err));
	ck_good(sink->ops->flush(sink, &err));
	ck_good(opens());
}
END_TEST

START_TEST(nothing_of_the_identity_is_left_in_tmp)
{
	const struct dirent *entry;
	DIR *dir;
	int count = 0;

	ck_good(opens());
	dir = opendir(at("Mail/INBOX/tmp"));
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	ck_assert_int_eq(count, 0);
}
END_TEST

/* However it came there: a power cut may bring back one of two names of a file. */
START_TEST(what_is_left_of_making_it_is_removed)
{
	const char *left = "Mail/INBOX/tmp/mailhaul-id." FRESH;

	ck_good(opens());
	put(at("%s", left), FRESH "\n", 0600);
	put(at("Mail/INBOX/tmp/mailhaul-id.another1"), "x", 0600);
	again("");
	ck_good(opens());
	ck_assert(!exists(at("%s", left)));
	put(at("%s", left), FRESH "\n", 0600);
	again(FRESH);
	ck_good(opens());
	ck_assert(!exists(at("%s", left)));
	ck_assert(exists(at("Mail/INBOX/tmp/mailhaul-id.another1")));
}
END_TEST

START_TEST(the_identity_that_stands_is_kept)
{
	ck_good(opens());
	again("");
	ck_good(opens());
	ck_assert_str_eq(sink->ops->identity(sink), FRESH);
	again(FRESH);
	ck_good(opens());
	ck_assert_str_eq(sink->ops->identity(sink), FRESH);
}
END_TEST

static bool beaten;

/* Stands in front of the C library's: another mailhaul of the same state is a little faster. */
int renameat2(int from, const char *name, int to, const char *as, unsigned flags)
{
	if (beaten)
		syscall(SYS_renameat2, from, name, to, as, flags);
	return (int)syscall(SYS_renameat2, from, name, to, as, flags);
}

START_TEST(two_may_make_it_at_once)
{
	beaten = true;
	ck_good(opens());
	ck_assert_str_eq(sink->ops->identity(sink), FRESH);
}
END_TEST

START_TEST(a_maildir_of_another_program_is_taken_over)
{
	make(at("Mail"));
	make(at("Mail/INBOX"));
	make(at("Mail/INBOX/cur"));
	make(at("Mail/INBOX/new"));
	put(at("Mail/INBOX/dovecot.index"), "x", 0600);
	ck_good(opens());
	ck_assert(exists(at("Mail/INBOX/tmp")));
	ck_assert_str_eq(sink->ops->identity(sink), FRESH);
}
END_TEST

START_TEST(a_half_made_maildir_is_finished)
{
	make(at("Mail"));
	make(at("Mail/INBOX"));
	make(at("Mail/INBOX/tmp"));
	put(at("Mail/INBOX/tmp/mailhaul-id." FRESH), "half", 0600);
	ck_good(opens());
	ck_assert_str_eq(sink->ops->identity(sink), FRESH);
}
END_TEST

START_TEST(a_trailing_slash_does_no_harm)
{
	sink->ops->free(sink);
	sink = maildir(at("Mail/x//"), "", FRESH);
	ck_good(opens());
	/* The state knows the Maildir by the path as it was named. */
	ck_assert_str_eq(sink->ops->path(sink), at("Mail/x//"));
	ck_assert(exists(at("Mail/x/tmp")));
	ck_good(sink->ops->flush(sink, &err));
}
END_TEST

START_TEST(a_file_in_its_place_is_refused)
{
	make(at("Mail"));
	put(at("Mail/INBOX"), "From x\n", 0600);
	ck_fails(opens(), ERR_MAIL, "is a file, not a Maildir");
	ck_assert_str_eq(contents(at("Mail/INBOX")), "From x\n");
}
END_TEST

START_TEST(a_file_above_it_is_refused)
{
	put(at("Mail"), "From x\n", 0600);
	ck_fails(opens(), ERR_MAIL, at("Mail/INBOX"));
	ck_assert_int_eq(err.sys, ENOTDIR);
}
END_TEST

START_TEST(a_directory_with_other_things_is_refused)
{
	make(at("Mail"));
	make(at("Mail/INBOX"));
	make(at("Mail/INBOX/tmp"));
	put(at("Mail/INBOX/letter.odt"), "x", 0600);
	ck_fails(opens(), ERR_MAIL, "is not empty and no Maildir");
	ck_assert(!exists(at("Mail/INBOX/new")));
	ck_assert(!exists(at("Mail/INBOX/mailhaul-id")));
}
END_TEST

START_TEST(cur_that_is_a_file_is_refused)
{
	make(at("Mail"));
	make(at("Mail/INBOX"));
	put(at("Mail/INBOX/cur"), "x", 0600);
	ck_fails(opens(), ERR_MAIL, at("Mail/INBOX/cur"));
	ck_fails(opens(), ERR_MAIL, at("Mail/INBOX/cur"));
	ck_assert_int_eq(sink->ops->directory(sink), -1);
}
END_TEST

START_TEST(a_known_maildir_that_is_missing_is_not_made)
{
	again(FRESH);
	ck_fails(opens(), ERR_MAIL, "is not the one mailhaul delivered into before");
	ck_assert_ptr_nonnull(strstr(err.words, "is its disk mounted?"));
	ck_assert(!exists(at("Mail")));
}
END_TEST

START_TEST(a_known_maildir_without_identity_is_refused)
{
	make(at("Mail"));
	make(at("Mail/INBOX"));
	again(FRESH);
	ck_fails(opens(), ERR_MAIL, "it has no file mailhaul-id");
	ck_assert(!exists(at("Mail/INBOX/new")));
	put(at("Mail/INBOX/unrelated"), "", 0600);
	ck_fails(opens(), ERR_MAIL, "it has no file mailhaul-id");
	ck_assert(!exists(at("Mail/INBOX/new")));
}
END_TEST

START_TEST(a_known_maildir_with_another_identity_is_refused)
{
	ck_good(opens());
	again(OTHER);
	ck_fails(opens(), ERR_MAIL, "is another one's");
	/* What the message tells people to do must help. */
	put(at("Mail/INBOX/mailhaul-id"), OTHER "\n", 0600);
	ck_good(opens());
}
END_TEST

START_TEST(a_damaged_identity_is_refused)
{
	static const char *const damaged[] = {"", "\n", "with space", "0123456789abcdef0",
					      "\xff\xfe\n"};

	ck_good(opens());
	for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		put(at("Mail/INBOX/mailhaul-id"), damaged[i], 0600);
		again("");
		ck_fails(opens(), ERR_MAIL, "is damaged");
		again(FRESH);
		ck_fails(opens(), ERR_MAIL, "is damaged");
	}
}
END_TEST

START_TEST(a_restored_maildir_gets_its_directories_again)
{
	ck_good(opens());
	ck_assert_int_eq(rmdir(at("Mail/INBOX/tmp")), 0);
	ck_assert_int_eq(rmdir(at("Mail/INBOX/new")), 0);
	ck_assert_int_eq(rmdir(at("Mail/INBOX/cur")), 0);
	again(FRESH);
	ck_good(opens());
	ck_assert(exists(at("Mail/INBOX/tmp")));
	ck_assert(exists(at("Mail/INBOX/new")));
	ck_assert(exists(at("Mail/INBOX/cur")));
	ck_good(sink->ops->flush(sink, &err));
}
END_TEST

START_TEST(what_cannot_be_written_is_said)
{
	if (geteuid() == 0)
		return;
	make(at("Mail"));
	ck_assert_int_eq(chmod(at("Mail"), 0500), 0);
	ck_fails(opens(), ERR_MAIL, "Permission denied");
	ck_assert_int_eq(chmod(at("Mail"), 0700), 0);
	ck_good(opens());
	put(at("Mail/INBOX/tmp/a"), "a", 0600);
	ck_assert_int_eq(chmod(at("Mail/INBOX/new"), 0500), 0);
	ck_fails(sink->ops->place(sink, "a", &err), ERR_MAIL, "Permission denied");
	ck_assert_int_eq(where("a"), SINK_TMP);
	ck_assert_int_eq(chmod(at("Mail/INBOX/new"), 0700), 0);
	ck_good(sink->ops->place(sink, "a", &err));
}
END_TEST

START_TEST(a_disk_that_cannot_be_written_is_said)
{
	sink->ops->free(sink);
	sink = maildir("/proc/mailhaul/INBOX", "", FRESH);
	ck_fails(opens(), ERR_MAIL, "/proc/mailhaul/INBOX");
	ck_assert_int_ne(err.sys, 0);
}
END_TEST

/* ---- letters ---- */

START_TEST(a_letter_is_placed_and_found)
{
	ck_good(opens());
	ck_assert_int_eq(where("1.M2.h"), SINK_NOWHERE);
	put(at("Mail/INBOX/tmp/1.M2.h"), "text", 0600);
	ck_assert_int_eq(where("1.M2.h"), SINK_TMP);
	ck_good(sink->ops->flush(sink, &err));
	ck_good(sink->ops->place(sink, "1.M2.h", &err));
	ck_assert_int_eq(where("1.M2.h"), SINK_PLACED);
	ck_assert(!exists(at("Mail/INBOX/tmp/1.M2.h")));
	ck_assert_str_eq(contents(at("Mail/INBOX/new/1.M2.h")), "text");
	ck_good(sink->ops->settle(sink, &err));
	ck_good(sink->ops->place(sink, "1.M2.h", &err));
}
END_TEST

START_TEST(a_letter_is_found_under_any_flags)
{
	static const char *const seen[] = {"a:2,", "b:2,FRS", "c", "d,U=17:2,S", "e,S=12,W=13:2,"};
	static const char *const names[] = {"a", "b", "c", "d", "e"};

	ck_good(opens());
	for (size_t i = 0; i < 5; i++)
		put(at("Mail/INBOX/cur/%s", seen[i]), "x", 0600);
	put(at("Mail/INBOX/new/f,U=18"), "x", 0600);
	for (size_t i = 0; i < 5; i++)
		ck_assert_int_eq(where(names[i]), SINK_PLACED);
	ck_assert_int_eq(where("f"), SINK_PLACED);
	ck_assert_int_eq(where("aa"), SINK_NOWHERE);
	ck_assert_int_eq(where("2,FRS"), SINK_NOWHERE);
}
END_TEST

START_TEST(a_letter_that_a_reader_took_is_placed)
{
	ck_good(opens());
	put(at("Mail/INBOX/tmp/a"), "x", 0600);
	put(at("Mail/INBOX/tmp/b"), "x", 0600);
	/* The names are read before the letters are placed: they must not be missed after that. */
	ck_assert_int_eq(where("z"), SINK_NOWHERE);
	ck_good(sink->ops->place(sink, "a", &err));
	ck_good(sink->ops->place(sink, "b", &err));
	ck_assert_int_eq(rename(at("Mail/INBOX/new/a"), at("Mail/INBOX/cur/a:2,S")), 0);
	ck_assert_int_eq(where("a"), SINK_PLACED);
	ck_good(sink->ops->place(sink, "a", &err));
	ck_good(sink->ops->settle(sink, &err));
	ck_assert_int_eq(rename(at("Mail/INBOX/new/b"), at("Mail/INBOX/cur/b:2,T")), 0);
	ck_assert_int_eq(where("b"), SINK_PLACED);
	ck_good(sink->ops->place(sink, "b", &err));
}
END_TEST

START_TEST(settling_forgets_the_names)
{
	ck_good(opens());
	ck_assert_int_eq(where("a"), SINK_NOWHERE);
	put(at("Mail/INBOX/cur/a:2,"), "x", 0600);
	ck_good(sink->ops->settle(sink, &err));
	ck_assert_int_eq(where("a"), SINK_PLACED);
}
END_TEST

START_TEST(a_letter_that_is_nowhere_cannot_be_placed)
{
	ck_good(opens());
	ck_fails(sink->ops->place(sink, "a", &err), ERR_MAIL, "tmp/a");
	ck_assert_int_eq(err.sys, ENOENT);
}
END_TEST

START_TEST(nothing_is_ever_overwritten)
{
	ck_good(opens());
	put(at("Mail/INBOX/new/a"), "theirs", 0600);
	put(at("Mail/INBOX/tmp/a"), "ours", 0600);
	ck_fails(sink->ops->place(sink, "a", &err), ERR_MAIL, "File exists");
	ck_assert_str_eq(contents(at("Mail/INBOX/new/a")), "theirs");
	ck_assert_str_eq(contents(at("Mail/INBOX/tmp/a")), "ours");
}
END_TEST

START_TEST(a_move_that_was_cut_short_is_finished)
{
	ck_good(opens());
	put(at("Mail/INBOX/tmp/a"), "ours", 0600);
	ck_assert_int_eq(link(at("Mail/INBOX/tmp/a"), at("Mail/INBOX/new/a")), 0);
	ck_assert_int_eq(where("a"), SINK_TMP);
	ck_good(sink->ops->place(sink, "a", &err));
	ck_assert(!exists(at("Mail/INBOX/tmp/a")));
	ck_assert_str_eq(contents(at("Mail/INBOX/new/a")), "ours");
	ck_assert_int_eq(where("a"), SINK_PLACED);
}
END_TEST

/* From here on the kernel refuses a system call, as a file system that lacks it would. */
static void refuse(unsigned call, unsigned with)
{
	struct sock_filter steps[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | with),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof steps / sizeof *steps, .filter = steps};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void place_two(void)
{
	ck_good(opens());
	put(at("Mail/INBOX/tmp/a"), "a", 0600);
	put(at("Mail/INBOX/tmp/b"), "b", 0600);
	put(at("Mail/INBOX/new/b"), "theirs", 0600);
	ck_good(sink->ops->place(sink, "a", &err));
	ck_assert_str_eq(contents(at("Mail/INBOX/new/a")), "a");
	ck_assert(!exists(at("Mail/INBOX/tmp/a")));
	ck_fails(sink->ops->place(sink, "b", &err), ERR_MAIL, "File exists");
	ck_assert_str_eq(contents(at("Mail/INBOX/new/b")), "theirs");
	ck_assert_str_eq(contents(at("Mail/INBOX/tmp/b")), "b");
}

/* In a process of its own: a filter stays for ever. */
static void in_child(void (*test)(void))
{
	pid_t pid = fork();
	int status = -1;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		test();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void without_noreplace(void)
{
	refuse(__NR_renameat2, EINVAL);
	place_two();
}

static void without_links(void)
{
	refuse(__NR_renameat2, EINVAL);
	refuse(__NR_linkat, EPERM);
	place_two();
}

START_TEST(file_systems_without_noreplace_are_served)
{
	in_child(_i ? without_links : without_noreplace);
}
END_TEST

static char strayed[256];

static void note_stray(void *ctx, const char *name)
{
	ck_assert_ptr_eq(ctx, strayed);
	snprintf(strayed + strlen(strayed), sizeof strayed - strlen(strayed), "%s ", name);
	ck_good(sink->ops->discard(sink, name, &err));
}

START_TEST(only_marked_letters_in_tmp_are_strays)
{
	ck_good(opens());
	put(at("Mail/INBOX/tmp/1.MARK.h"), "x", 0600);
	put(at("Mail/INBOX/tmp/1.MURK.h"), "x", 0600);
	put(at("Mail/INBOX/new/2.MARK.h"), "x", 0600);
	ck_good(sink->ops->strays(sink, ".MARK.", note_stray, strayed, &err));
	ck_assert_str_eq(strayed, "1.MARK.h ");
	ck_assert(!exists(at("Mail/INBOX/tmp/1.MARK.h")));
	ck_assert(exists(at("Mail/INBOX/tmp/1.MURK.h")));
	ck_assert(exists(at("Mail/INBOX/new/2.MARK.h")));
	ck_good(sink->ops->discard(sink, "1.MARK.h", &err));
}
END_TEST

START_TEST(names_that_lead_elsewhere_are_refused)
{
	static const char *const names[] = {"", ".", "..", "../x", "a/b", ".hidden"};
	enum sink_where found;

	ck_good(opens());
	put(at("Mail/x"), "x", 0600);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		ck_fails(sink->ops->discard(sink, names[i], &err), ERR_INTERNAL, "no name");
		ck_fails(sink->ops->place(sink, names[i], &err), ERR_INTERNAL, "no name");
		ck_fails(sink->ops->find(sink, names[i], &found, &err), ERR_INTERNAL, "no name");
	}
}
END_TEST

START_TEST(thousands_of_questions_cost_one_reading)
{
	struct timespec begin;
	struct timespec end;

	ck_good(opens());
	for (int i = 0; i < 3000; i++)
		put(at("Mail/INBOX/cur/%d.x:2,S", i), "", 0600);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 6000; i++) {
		char name[32];

		snprintf(name, sizeof name, "%d.x", i);
		ck_assert_int_eq(where(name), i < 3000 ? SINK_PLACED : SINK_NOWHERE);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* One reading takes milliseconds; 6,000 would take many seconds. */
	ck_assert_int_le(end.tv_sec - begin.tv_sec, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("maildir");
	TCase *opening = tcase_create("open");
	TCase *letters = tcase_create("letters");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(opening, setup, teardown);
	tcase_add_test(opening, a_new_maildir_is_made_private);
	tcase_add_test(opening, nothing_of_the_identity_is_left_in_tmp);
	tcase_add_test(opening, what_is_left_of_making_it_is_removed);
	tcase_add_test(opening, the_identity_that_stands_is_kept);
	tcase_add_test(opening, two_may_make_it_at_once);
	tcase_add_test(opening, a_maildir_of_another_program_is_taken_over);
	tcase_add_test(opening, a_half_made_maildir_is_finished);
	tcase_add_test(opening, a_trailing_slash_does_no_harm);
	tcase_add_test(opening, a_file_in_its_place_is_refused);
	tcase_add_test(opening, a_file_above_it_is_refused);
	tcase_add_test(opening, a_directory_with_other_things_is_refused);
	tcase_add_test(opening, cur_that_is_a_file_is_refused);
	tcase_add_test(opening, a_known_maildir_that_is_missing_is_not_made);
	tcase_add_test(opening, a_known_maildir_without_identity_is_refused);
	tcase_add_test(opening, a_known_maildir_with_another_identity_is_refused);
	tcase_add_test(opening, a_damaged_identity_is_refused);
	tcase_add_test(opening, a_restored_maildir_gets_its_directories_again);
	tcase_add_test(opening, what_cannot_be_written_is_said);
	tcase_add_test(opening, a_disk_that_cannot_be_written_is_said);
	suite_add_tcase(suite, opening);
	tcase_add_checked_fixture(letters, setup, teardown);
	tcase_set_timeout(letters, 60);
	tcase_add_test(letters, a_letter_is_placed_and_found);
	tcase_add_test(letters, a_letter_is_found_under_any_flags);
	tcase_add_test(letters, a_letter_that_a_reader_took_is_placed);
	tcase_add_test(letters, settling_forgets_the_names);
	tcase_add_test(letters, a_letter_that_is_nowhere_cannot_be_placed);
	tcase_add_test(letters, nothing_is_ever_overwritten);
	tcase_add_test(letters, a_move_that_was_cut_short_is_finished);
	tcase_add_loop_test(letters, file_systems_without_noreplace_are_served, 0, 2);
	tcase_add_test(letters, only_marked_letters_in_tmp_are_strays);
	tcase_add_test(letters, names_that_lead_elsewhere_are_refused);
	tcase_add_test(letters, thousands_of_questions_cost_one_reading);
	suite_add_tcase(suite, letters);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
