/*
 * Tests of secret: freed whole, and wiped before.
 */
#include "config/secret.h"

#include "util/mem.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(every_kind_is_freed_and_cleared)
{
	struct secret value = {.kind = SECRET_VALUE, .value = mem_copy("hunter2")};
	struct secret file = {.kind = SECRET_FILE, .value = mem_copy("/secret")};
	struct secret command = {.kind = SECRET_COMMAND, .argv = mem_new(3, sizeof(char *))};
	struct secret none = {.kind = SECRET_NONE};
	enum { ALL = 4 };
	struct secret *all[ALL] = {&value, &file, &command, &none};

	command.argv[0] = mem_copy("pass");
	command.argv[1] = mem_copy("work");
	for (size_t i = 0; i < ALL; i++) {
		/* Twice: what was cleared can be freed again. */
		secret_free(all[i]);
		secret_free(all[i]);
		ck_assert_int_eq(all[i]->kind, SECRET_NONE);
		ck_assert_ptr_null(all[i]->value);
		ck_assert_ptr_null(all[i]->argv);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("secret");
	TCase *tests = tcase_create("secret");
	SRunner *runner;
	int failures;

	tcase_add_test(tests, every_kind_is_freed_and_cleared);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
