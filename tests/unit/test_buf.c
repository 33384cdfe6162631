/*
 * test_buf: octets in at the end, out at the front, compared with a plain array.
 */
#include "util/buf.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(printing_fits_exactly)
{
	char text[1100];

	for (size_t len = 0; len < sizeof text; len++) {
		struct buf b = {0};

		memset(text, 'z', len);
		text[len] = '\0';
		buf_text(&b, "+");
		buf_printf(&b, "%s", text);
		ck_assert_uint_eq(b.len, len + 1);
		ck_assert_str_eq(buf_string(&b) + 1, text);
		buf_free(&b);
	}
}
END_TEST

START_TEST(an_empty_one_is_a_string)
{
	struct buf b = {0};

	ck_assert_str_eq(buf_string(&b), "");
	ck_assert_uint_eq(b.len, 0);
	buf_clear(&b);
	buf_append(&b, NULL, 0);
	buf_free(&b);
	ck_assert_ptr_null(b.base);
	buf_free(&b);
	buf_wipe(&b);
}
END_TEST

START_TEST(a_string_does_not_count_its_nul)
{
	struct buf b = {0};

	for (size_t i = 0; i < 256; i++)
		buf_append(&b, "x", 1);
	ck_assert_uint_eq(strlen(buf_string(&b)), 256);
	buf_text(&b, "y");
	ck_assert_uint_eq(b.len, 257);
	ck_assert_str_eq(buf_string(&b) + 255, "xy");
	buf_free(&b);
}
END_TEST

START_TEST(prints_what_is_longer_than_its_room)
{
	struct buf b = {0};
	char *expected = malloc(5001);

	memset(expected, 'a', 5000);
	expected[5000] = '\0';
	buf_text(&b, "<");
	buf_printf(&b, "%s%d", expected, 7);
	buf_text(&b, ">");
	ck_assert_uint_eq(b.len, 5003);
	ck_assert_int_eq(memcmp(b.data, "<aaa", 4), 0);
	ck_assert_str_eq(buf_string(&b) + 4999, "aa7>");
	free(expected);
	buf_free(&b);
}
END_TEST

/* Random appends and consumes: the contents must be those of a queue. */
START_TEST(behaves_as_a_queue)
{
	static unsigned char model[1 << 20];
	size_t first = 0;
	size_t last = 0;
	struct buf b = {0};

	srand(1);
	while (last < sizeof model - 2000) {
		size_t add = (size_t)rand() % 1500;
		size_t take;

		for (size_t i = 0; i < add; i++)
			model[last + i] = (unsigned char)rand();
		if (add % 2) {
			memcpy(buf_reserve(&b, add + 100), model + last, add);
			buf_grow(&b, add);
		} else {
			buf_append(&b, model + last, add);
		}
		last += add;
		take = (size_t)rand() % 1600;
		if (take > last - first)
			take = last - first;
		buf_consume(&b, take);
		first += take;
		ck_assert_uint_eq(b.len, last - first);
		ck_assert_int_eq(memcmp(b.data, model + first, b.len), 0);
		ck_assert_uint_le(b.len + (size_t)(b.data - b.base), b.room);
	}
	buf_free(&b);
}
END_TEST

/* A connection's buffer must not grow with what went through it. */
START_TEST(what_goes_through_does_not_make_it_grow)
{
	struct buf b = {0};
	char piece[100] = {0};

	for (int i = 0; i < 100000; i++) {
		buf_append(&b, piece, sizeof piece);
		buf_consume(&b, i % 2 ? 100 : 99);
		if (b.len > 200)
			buf_consume(&b, b.len - 50);
	}
	ck_assert_uint_le(b.room, 1024);
	buf_free(&b);
}
END_TEST

START_TEST(consuming_leaves_pointers_good)
{
	struct buf b = {0};
	const unsigned char *second;

	buf_text(&b, "onetwo");
	second = b.data + 3;
	buf_consume(&b, 3);
	ck_assert_ptr_eq(b.data, second);
	ck_assert_int_eq(memcmp(second, "two", 3), 0);
	buf_consume(&b, 3);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_ptr_eq(b.data, b.base);
	buf_free(&b);
}
END_TEST

/* A length that cannot be had ends the program and never gives a room that is too small. */
START_TEST(an_impossible_length_ends_the_program)
{
	static const size_t lengths[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 2,
					 SIZE_MAX / 4 * 3};

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		int status = 0;
		pid_t child = fork();

		if (!child) {
			struct buf b = {0};

			alarm(10);
			close(STDERR_FILENO);
			buf_text(&b, "x");
			buf_reserve(&b, lengths[i]);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) != 0, "status %x", status);
	}
}
END_TEST

START_TEST(gives_back_what_it_does_not_need)
{
	struct buf b = {0};
	unsigned char *kept;

	buf_fit(&b);
	ck_assert_ptr_null(b.base);
	buf_text(&b, "gone stays");
	buf_consume(&b, 5);
	buf_fit(&b);
	ck_assert_uint_eq(b.room, 5);
	ck_assert_uint_eq(b.len, 5);
	ck_assert_ptr_eq(b.data, b.base);
	kept = b.base;
	buf_fit(&b);
	ck_assert_ptr_eq(b.base, kept);
	ck_assert_str_eq(buf_string(&b), "stays");
	buf_clear(&b);
	buf_fit(&b);
	ck_assert_ptr_null(b.base);
	ck_assert_uint_eq(b.room, 0);
	buf_text(&b, "again");
	ck_assert_str_eq(buf_string(&b), "again");
	buf_free(&b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tests = tcase_create("buf");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, an_empty_one_is_a_string);
	tcase_add_test(tests, printing_fits_exactly);
	tcase_add_test(tests, a_string_does_not_count_its_nul);
	tcase_add_test(tests, prints_what_is_longer_than_its_room);
	tcase_add_test(tests, behaves_as_a_queue);
	tcase_add_test(tests, what_goes_through_does_not_make_it_grow);
	tcase_add_test(tests, consuming_leaves_pointers_good);
	tcase_add_test(tests, gives_back_what_it_does_not_need);
	tcase_add_test(tests, an_impossible_length_ends_the_program);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
