/*
 * test_letters: what stands in a Maildir is read by its headers, whoever moves it meanwhile, and
 * nothing else is.
 */
#include "deliver/letters.h"

#include "deliver_fixture.h"

static char seen[512];
static unsigned calls;
static uint64_t refused;
static bool move_at_first;

static bool each(void *ctx, const struct header_facts *facts, int64_t date)
{
	size_t len = strlen(seen);

	ck_assert_ptr_eq(ctx, &calls);
	ck_assert_int_gt(date, 0);
	calls++;
	snprintf(seen + len, sizeof seen - len, "%.*s ", (int)facts->mailhaul_id.len,
		 facts->mailhaul_id.len ? (const char *)facts->mailhaul_id.data : "");
	if (move_at_first)
		ck_assert(!rename(at("m/cur/b"), at("m/cur/b:2,S")) || calls > 1);
	if (move_at_first && calls == 1)
		ck_assert_int_eq(rename(at("m/cur/c"), at("m/new/c")), 0);
	return facts->mailhaul_id.len > 0;
}

static uint64_t read_all(void)
{
	struct letters_counts counts = {0};
	char maildir[512];

	snprintf(maildir, sizeof maildir, "%s", at("m"));
	/* What changed just now is read more than once. */
	usleep(move_at_first ? 0 : 50000);
	seen[0] = '\0';
	calls = 0;
	ck_assert_msg(letters_read(maildir, each, &calls, &counts, &err), "%s", err.words);
	refused = counts.refused;
	return counts.unreadable;
}

static void setup(void)
{
	root_make();
	make(at("m"));
	make(at("m/cur"));
	move_at_first = false;
}

START_TEST(headers_only)
{
	make(at("m/new"));
	put(at("m/new/a"), "Received: x\n y\nX-Mailhaul-Id: 1\nX-Mailhaul-Id: 9\n\n", 0600);
	put(at("m/cur/b:2,S"), "Subject: s\r\nx-mailhaul-id:  2 \r\n\r\nX-Mailhaul-Id: 8\n", 0600);
	put(at("m/cur/.hidden"), "X-Mailhaul-Id: 7\n\n", 0600);
	ck_assert_uint_eq(read_all(), 0);
	ck_assert_str_eq(seen, "1 2 ");
}
END_TEST

START_TEST(what_is_no_letter)
{
	put(at("m/cur/a"), "X-Mailhaul-Id: 1", 0600);
	make(at("m/cur/directory"));
	ck_assert_int_eq(symlink(at("m/cur/a"), at("m/cur/link")), 0);
	ck_assert_int_eq(mkfifo(at("m/cur/pipe"), 0600), 0);
	ck_assert_uint_eq(read_all(), 3);
	ck_assert_str_eq(seen, "1 ");
}
END_TEST

/* A header that never ends is given up: what follows is not looked at. */
START_TEST(a_header_without_end)
{
	FILE *file = fopen(at("m/cur/a"), "w");

	ck_assert_ptr_nonnull(file);
	for (int i = 0; i < 1 << 19; i++)
		fputs("A:b\n", file);
	fputs("X-Mailhaul-Id: 1\n\n", file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_uint_eq(read_all(), 0);
	ck_assert_str_eq(seen, " ");
	ck_assert_uint_eq(refused, 1);
}
END_TEST

/* A reader goes on while we do: all letters come, some of them twice. */
START_TEST(letters_that_are_moved)
{
	make(at("m/new"));
	put(at("m/new/a"), "X-Mailhaul-Id: 1\n\n", 0600);
	put(at("m/cur/b"), "X-Mailhaul-Id: 2\n\n", 0600);
	put(at("m/cur/c"), "X-Mailhaul-Id: 3\n\n", 0600);
	ck_assert_uint_eq(read_all(), 0);
	ck_assert_uint_eq(calls, 3);
	move_at_first = true;
	put(at("m/cur/foreign"), "\n", 0600);
	(void)read_all();
	ck_assert_uint_gt(calls, 4);
	ck_assert_uint_eq(refused, 1);
	for (const char *id = "1\0002\0003\0"; *id; id += 2)
		ck_assert_msg(strstr(seen, id), "%s", seen);
}
END_TEST

START_TEST(no_maildir)
{
	struct letters_counts counts = {0};

	ck_assert(letters_is_maildir(at("m")));
	ck_assert(!letters_is_maildir(at("m/cur")));
	ck_assert(!letters_is_maildir(at("nowhere")));
	put(at("m/new"), "", 0600);
	ck_fails(letters_read(at("m"), each, &calls, &counts, &err), ERR_MAIL, "m/new");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("letters");
	TCase *all = tcase_create("letters");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, setup, root_remove);
	tcase_add_test(all, headers_only);
	tcase_add_test(all, what_is_no_letter);
	tcase_add_test(all, a_header_without_end);
	tcase_add_test(all, letters_that_are_moved);
	tcase_add_test(all, no_maildir);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
