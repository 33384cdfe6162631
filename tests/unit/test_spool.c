/*
 * test_spool: letters that wait for their program, and the quarantine.
 */
#include "deliver/spool.h"

#include "deliver_fixture.h"

#include <errno.h>

static struct spool *spool;

static void setup(void)
{
	root_make();
	spool = spool_new(at("state"));
}

static void teardown(void)
{
	spool_free(&spool);
	ck_assert_ptr_null(spool);
	root_remove();
}

static enum sink_where where(const char *name)
{
	enum sink_where found = SINK_NOWHERE;

	ck_good(spool_find(spool, name, &found, &err));
	return found;
}

START_TEST(nothing_is_made_before_it_is_opened)
{
	ck_assert(!exists(at("state")));
	ck_assert_int_eq(spool_directory(spool), -1);
	ck_good(spool_open(spool, &err));
	ck_good(spool_open(spool, &err));
	ck_assert(exists(at("state/spool")));
	ck_assert(exists(at("state/quarantine/cur")));
	ck_assert(exists(at("state/quarantine/new")));
	ck_assert(exists(at("state/quarantine/tmp")));
	ck_assert_str_eq(spool_path(spool), at("state/spool"));
	ck_assert_int_ge(spool_directory(spool), 0);
	ck_good(spool_flush(spool, &err));
	ck_good(spool_flush(spool, &err));
}
END_TEST

START_TEST(mail_in_it_is_private)
{
	struct stat st;

	umask(0);
	ck_good(spool_open(spool, &err));
	ck_assert_int_eq(stat(at("state/spool"), &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0700);
	ck_assert_int_eq(stat(at("state/quarantine"), &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0700);
}
END_TEST

START_TEST(a_letter_waits_and_goes)
{
	char text[16] = "";
	int fd;

	ck_good(spool_open(spool, &err));
	ck_assert_int_eq(where("a"), SINK_NOWHERE);
	put(at("state/spool/a"), "letter", 0600);
	ck_assert_int_eq(where("a"), SINK_TMP);
	fd = spool_read(spool, "a", &err);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(read(fd, text, sizeof text), 6);
	close(fd);
	ck_good(spool_discard(spool, "a", &err));
	ck_good(spool_discard(spool, "a", &err));
	ck_assert_int_eq(where("a"), SINK_NOWHERE);
	ck_fails(spool_read(spool, "a", &err) >= 0, ERR_MAIL, "spool/a");
	ck_assert_int_eq(err.sys, ENOENT);
}
END_TEST

START_TEST(the_quarantine_is_a_maildir)
{
	ck_good(spool_open(spool, &err));
	put(at("state/spool/a"), "letter", 0600);
	ck_good(spool_quarantine(spool, "a", &err));
	ck_assert(!exists(at("state/spool/a")));
	ck_assert_str_eq(contents(at("state/quarantine/new/a")), "letter");
	ck_assert_int_eq(where("a"), SINK_PLACED);
	ck_good(spool_quarantine(spool, "a", &err));
	ck_assert_int_eq(rename(at("state/quarantine/new/a"), at("state/quarantine/cur/a:2,S")), 0);
	ck_assert_int_eq(where("a"), SINK_PLACED);
	ck_good(spool_quarantine(spool, "a", &err));
	ck_fails(spool_quarantine(spool, "b", &err), ERR_MAIL, "spool/b");
	ck_assert_int_eq(err.sys, ENOENT);
}
END_TEST

START_TEST(the_quarantine_overwrites_nothing)
{
	ck_good(spool_open(spool, &err));
	put(at("state/spool/a"), "second", 0600);
	put(at("state/quarantine/new/a"), "first", 0600);
	ck_fails(spool_quarantine(spool, "a", &err), ERR_MAIL, "File exists");
	ck_assert_str_eq(contents(at("state/quarantine/new/a")), "first");
	ck_assert_str_eq(contents(at("state/spool/a")), "second");
}
END_TEST

static char *quarantined(const char *name)
{
	static char *path;

	free(path);
	ck_good(spool_quarantined(spool, name, &path, &err));
	return path;
}

START_TEST(a_letter_comes_back_from_the_quarantine)
{
	ck_good(spool_open(spool, &err));
	put(at("state/quarantine/new/a"), "a", 0600);
	put(at("state/quarantine/cur/b,U=3:2,S"), "b", 0600);
	put(at("state/quarantine/cur/bb:2,"), "other", 0600);
	ck_assert_str_eq(quarantined("a"), at("state/quarantine/new/a"));
	ck_assert_str_eq(quarantined("b"), at("state/quarantine/cur/b,U=3:2,S"));
	ck_assert_ptr_null(quarantined("c"));
	ck_good(spool_take_back(spool, "a", &err));
	ck_good(spool_take_back(spool, "b", &err));
	ck_assert_str_eq(contents(at("state/spool/a")), "a");
	ck_assert_str_eq(contents(at("state/spool/b")), "b");
	ck_assert_int_eq(where("b"), SINK_TMP);
	ck_assert_ptr_null(quarantined("a"));
	ck_assert_ptr_null(quarantined("b"));
	ck_fails(spool_take_back(spool, "c", &err), ERR_MAIL, "letter c");
	/* And goes there again. */
	ck_good(spool_quarantine(spool, "b", &err));
	ck_assert_str_eq(quarantined("b"), at("state/quarantine/new/b"));
	/* Never over another one. */
	put(at("state/spool/b"), "of old", 0600);
	ck_fails(spool_take_back(spool, "b", &err), ERR_MAIL, "File exists");
	ck_assert_str_eq(contents(at("state/spool/b")), "of old");
	ck_fails(spool_take_back(spool, "../a", &err), ERR_INTERNAL, "no name");
	ck_assert_ptr_null(quarantined("a"));
}
END_TEST

START_TEST(a_move_back_that_was_cut_short_is_finished)
{
	ck_good(spool_open(spool, &err));
	put(at("state/spool/a"), "a", 0600);
	put(at("state/spool/b"), "b", 0600);
	ck_assert_int_eq(link(at("state/spool/b"), at("state/quarantine/new/b")), 0);
	put(at("state/quarantine/new/c"), "c", 0600);
	ck_good(spool_hold(spool, "a", &err));
	ck_good(spool_hold(spool, "b", &err));
	ck_assert_str_eq(contents(at("state/spool/a")), "a");
	ck_assert_str_eq(contents(at("state/spool/b")), "b");
	ck_assert_ptr_null(quarantined("b"));
	ck_assert_str_eq(quarantined("c"), at("state/quarantine/new/c"));
	ck_fails(spool_hold(spool, "../a", &err), ERR_INTERNAL, "no name");
}
END_TEST

START_TEST(a_letter_is_dropped)
{
	ck_good(spool_open(spool, &err));
	put(at("state/quarantine/new/a"), "a", 0600);
	put(at("state/quarantine/cur/b:2,S"), "b", 0600);
	put(at("state/spool/c"), "c", 0600);
	ck_good(spool_drop(spool, "a", &err));
	ck_good(spool_drop(spool, "a", &err));
	ck_good(spool_drop(spool, "b", &err));
	ck_good(spool_drop(spool, "c", &err));
	ck_assert(!exists(at("state/quarantine/new/a")));
	ck_assert(!exists(at("state/quarantine/cur/b:2,S")));
	ck_assert_str_eq(contents(at("state/spool/c")), "c");
	ck_fails(spool_drop(spool, "../spool/c", &err), ERR_INTERNAL, "no name");
	ck_fails(spool_drop(spool, "", &err), ERR_INTERNAL, "no name");
}
END_TEST

static int strays;

static void note_stray(void *ctx, const char *name)
{
	ck_assert_ptr_null(ctx);
	ck_assert_str_eq(name, "1.x.mark");
	strays++;
}

START_TEST(strays_carry_the_mark)
{
	ck_good(spool_open(spool, &err));
	put(at("state/spool/1.x.mark"), "", 0600);
	put(at("state/spool/2.x"), "", 0600);
	put(at("state/quarantine/new/3.x.mark"), "", 0600);
	ck_good(spool_strays(spool, ".mark", note_stray, NULL, &err));
	ck_assert_int_eq(strays, 1);
}
END_TEST

START_TEST(a_symbolic_link_is_not_followed)
{
	ck_good(spool_open(spool, &err));
	ck_assert_int_eq(symlink("/etc/passwd", at("state/spool/a")), 0);
	ck_fails(spool_read(spool, "a", &err) >= 0, ERR_MAIL, "spool/a");
}
END_TEST

START_TEST(a_file_in_its_place_is_said)
{
	make(at("state"));
	put(at("state/spool"), "", 0600);
	ck_fails(spool_open(spool, &err), ERR_MAIL, "state/spool");
	ck_assert_int_eq(unlink(at("state/spool")), 0);
	ck_assert_int_eq(remove_tree(at("state/quarantine")), 0);
	put(at("state/quarantine"), "", 0600);
	ck_fails(spool_open(spool, &err), ERR_MAIL, "state/quarantine");
	ck_assert_int_eq(unlink(at("state/quarantine")), 0);
	ck_good(spool_open(spool, &err));
}
END_TEST

START_TEST(what_cannot_be_written_is_said)
{
	if (geteuid() == 0)
		return;
	ck_assert_int_eq(mkdir(at("state"), 0500), 0);
	ck_fails(spool_open(spool, &err), ERR_MAIL, "Permission denied");
	ck_assert_int_eq(chmod(at("state"), 0700), 0);
	ck_good(spool_open(spool, &err));
	put(at("state/spool/a"), "", 0600);
	ck_assert_int_eq(chmod(at("state/spool"), 0500), 0);
	ck_fails(spool_discard(spool, "a", &err), ERR_MAIL, "Permission denied");
	ck_fails(spool_quarantine(spool, "a", &err), ERR_MAIL, "Permission denied");
	ck_assert_int_eq(chmod(at("state/spool"), 0700), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spool");
	TCase *all = tcase_create("spool");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, nothing_is_made_before_it_is_opened);
	tcase_add_test(all, mail_in_it_is_private);
	tcase_add_test(all, a_letter_waits_and_goes);
	tcase_add_test(all, the_quarantine_is_a_maildir);
	tcase_add_test(all, the_quarantine_overwrites_nothing);
	tcase_add_test(all, a_letter_comes_back_from_the_quarantine);
	tcase_add_test(all, a_move_back_that_was_cut_short_is_finished);
	tcase_add_test(all, a_letter_is_dropped);
	tcase_add_test(all, strays_carry_the_mark);
	tcase_add_test(all, a_symbolic_link_is_not_followed);
	tcase_add_test(all, a_file_in_its_place_is_said);
	tcase_add_test(all, what_cannot_be_written_is_said);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
