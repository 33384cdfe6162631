/*
 * test_names: growing, sorting, looking up.
 */
#include "util/names.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

START_TEST(nothing_is_held_by_none)
{
	struct names names = {.count = 0};

	names_sort(&names);
	ck_assert(!names_hold(&names, ""));
	names_free(&names);
}
END_TEST

START_TEST(what_was_added_is_held)
{
	struct names names = {.count = 0};
	char name[8];

	for (int i = 99; i >= 0; i--) {
		snprintf(name, sizeof name, "%d", 2 * i);
		names_add(&names, name);
	}
	names_sort(&names);
	ck_assert_uint_eq(names.count, 100);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "%d", i);
		ck_assert_int_eq(names_hold(&names, name), i % 2 == 0);
	}
	names_free(&names);
	ck_assert_uint_eq(names.count, 0);
	ck_assert(!names_hold(&names, "2"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names");
	TCase *tests = tcase_create("names");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, nothing_is_held_by_none);
	tcase_add_test(tests, what_was_added_is_held);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
