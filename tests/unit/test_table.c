/* test_table: columns are aligned, left out where nothing stands in them, and fit the terminal. */
#include "cmd/table.h"

#include <check.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>

static const char *const heads[] = {"NAME", "EMPTY", "NOW", "LAST", NULL};

static void expect(size_t width, const char *wanted)
{
	struct table *table = table_new(heads);
	struct buf out = {0};
	const char *const cells[] = {"work", "", "listening", "1", "h\xc3\xb6me\033", "", "", "22"};

	for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
		table_cell(table, cells[i]);
	table_print(table, &out, width);
	ck_assert_str_eq(buf_string(&out), wanted);
	buf_free(&out);
	table_free(&table);
	ck_assert_ptr_null(table);
	table_free(&table);
}

START_TEST(aligned)
{
	expect(SIZE_MAX, "NAME      NOW        LAST\n"
			 "work      listening  1\n"
			 "h\xc3\xb6me\\x1B             22\n");
	expect(25, "NAME      NOW        LAST\n"
		   "work      listening  1\n"
		   "h\xc3\xb6me\\x1B             22\n");
}
END_TEST

/* What does not fit goes, and all behind it. */
START_TEST(narrow)
{
	expect(24, "NAME      NOW\nwork      listening\nh\xc3\xb6me\\x1B\n");
	expect(18, "NAME\nwork\nh\xc3\xb6me\\x1B\n");
	expect(7, "NAME\nwork\nh\xc3\xb6me...\n");
	expect(2, "..\n..\n..\n");
}
END_TEST

START_TEST(lines)
{
	struct buf out = {0};

	table_line(&out, "12345678", 8);
	table_line(&out, "123456789", 8);
	table_line(&out, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 5);
	table_line(&out, "", 0);
	ck_assert_str_eq(buf_string(&out), "12345678\n12345...\n\xe6\x97\xa5...\n\n");
	buf_free(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table");
	TCase *tests = tcase_create("table");
	SRunner *runner;
	int failed;

	setlocale(LC_CTYPE, "C.UTF-8");
	tcase_add_test(tests, aligned);
	tcase_add_test(tests, narrow);
	tcase_add_test(tests, lines);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
