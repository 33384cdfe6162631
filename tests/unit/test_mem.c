/*
 * test_mem: memory that is there or ends the program, copies, and wiping.
 */
#include "util/mem.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers have a say of their own on requests that cannot be met. */
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#endif
#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#endif

static volatile size_t most = SIZE_MAX;

/* The exit code of a child that runs call and then leaves with 0; its stderr goes to words. */
static int exit_of(void (*call)(void), char *words, size_t size)
{
	int ends[2];
	int status = 0;
	size_t len = 0;
	ssize_t got;
	pid_t child;

	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	if (!child) {
		dup2(ends[1], STDERR_FILENO);
		call();
		_exit(0);
	}
	close(ends[1]);
	while (len < size - 1 && (got = read(ends[0], words + len, size - 1 - len)) > 0)
		len += (size_t)got;
	words[len] = '\0';
	close(ends[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void new_too_much(void)
{
	mem_new(most / 2, 1);
}

static void new_overflows(void)
{
	mem_new(most / 2, 8);
}

static void resize_overflows(void)
{
	mem_resize(NULL, most / 4 + 2, 4);
}

static void resize_too_much(void)
{
	mem_resize(mem_new(1, 1), most / 2, 1);
}

START_TEST(what_cannot_be_had_ends_the_program_with_70)
{
	static void (*const calls[])(void) = {new_too_much, new_overflows, resize_overflows,
					      resize_too_much};
	char words[4096];

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		ck_assert_int_eq(exit_of(calls[i], words, sizeof words), 70);
		ck_assert_ptr_nonnull(strstr(words, "mailhaul: out of memory\n"));
	}
}
END_TEST

START_TEST(nothing_is_a_thing_too)
{
	void *none = mem_new(0, 0);

	ck_assert_ptr_nonnull(none);
	none = mem_resize(none, 0, 8);
	ck_assert_ptr_nonnull(none);
	free(none);
}
END_TEST

START_TEST(new_memory_is_zeroed_and_resizing_keeps_it)
{
	unsigned char *bytes = mem_new(100, 10);

	for (size_t i = 0; i < 1000; i++)
		ck_assert_uint_eq(bytes[i], 0);
	memset(bytes, 7, 1000);
	bytes = mem_resize(bytes, 5000, 10);
	for (size_t i = 0; i < 1000; i++)
		ck_assert_uint_eq(bytes[i], 7);
	free(bytes);
}
END_TEST

START_TEST(copies)
{
	char *copy = mem_copy("text");

	ck_assert_str_eq(copy, "text");
	free(copy);
	ck_assert_ptr_null(mem_copy(NULL));
	copy = mem_copy_n("a\0b", 3);
	ck_assert_int_eq(memcmp(copy, "a\0b", 4), 0);
	free(copy);
	copy = mem_copy_n(NULL, 0);
	ck_assert_str_eq(copy, "");
	free(copy);
	copy = mem_printf("%s/%d", "x", 5);
	ck_assert_str_eq(copy, "x/5");
	free(copy);
}
END_TEST

START_TEST(wipes)
{
	char secret[16] = "0123456789";
	char *owned = mem_copy("secret");
	char *none = NULL;

	mem_wipe(secret, 4);
	ck_assert_int_eq(memcmp(secret, "\0\0\0\0", 4), 0);
	ck_assert_str_eq(secret + 4, "456789");
	mem_wipe(NULL, 0);
	mem_free_secret(&owned);
	ck_assert_ptr_null(owned);
	mem_free_secret(&owned);
	mem_free_secret(&none);
	mem_free_secret(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mem");
	TCase *tests = tcase_create("mem");
	SRunner *runner;
	int failed;

	tcase_add_test(tests, what_cannot_be_had_ends_the_program_with_70);
	tcase_add_test(tests, nothing_is_a_thing_too);
	tcase_add_test(tests, new_memory_is_zeroed_and_resizing_keeps_it);
	tcase_add_test(tests, copies);
	tcase_add_test(tests, wipes);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
