/* digest: against the vectors of FIPS 180-2. */
#include "io/digest.h"

#include <check.h>
#include <stdlib.h>

static const struct {
	const char *text;
	size_t len;
	const char *digest;
} vectors[] = {
    {"", 0, "e3b0c44298fc1c149afbf4c8996fb924"},
    {"abc", 3, "ba7816bf8f01cfea414140de5dae2223"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
     "248d6a61d20638b8e5c026930c3e6039"},
    {"a\0b", 3, "59b271ae1bbcb1d31d41929817f4b16f"},
};

START_TEST(known)
{
	char text[DIGEST_TEXT + 1];

	digest_text(vectors[_i].text, vectors[_i].len, text);
	ck_assert_str_eq(text, vectors[_i].digest);
}
END_TEST

START_TEST(nothing_at_all)
{
	char text[DIGEST_TEXT + 1];

	digest_text(NULL, 0, text);
	ck_assert_str_eq(text, vectors[0].digest);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("digest");
	TCase *tests = tcase_create("digest");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_loop_test(tests, known, 0, sizeof vectors / sizeof *vectors);
	tcase_add_test(tests, nothing_at_all);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
