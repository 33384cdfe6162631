/* veil: what servers repeat of our secrets is cut. */
#include "util/err.h"
#include "util/veil.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char secret[] = "s3cret {\"w0rd\\}";

static void cut_is(const char *text, const char *wanted)
{
	struct buf out = {0};

	veil_cut(&out, text, strlen(text));
	ck_assert_str_eq(buf_string(&out), wanted);
	buf_free(&out);
}

START_TEST(what_is_cut)
{
	struct veil *veil = NULL;

	cut_is("s3cret {\"w0rd\\} as it is", "s3cret {\"w0rd\\} as it is");
	veil_hide(&veil, secret);
	cut_is("", "");
	cut_is("nothing of it: s3cret {\"w0rd", "nothing of it: s3cret {\"w0rd");
	cut_is("what is s3cret {\"w0rd\\}?", "what is <cut>?");
	cut_is("LOGIN lee \"s3cret {\\\"w0rd\\\\}\"", "LOGIN lee \"<cut>\"");
	cut_is("czNjcmV0IHsidzByZFx9", "<cut>");
	/* \0lee\0 and a\0lee\0 in front of it: the other alignments */
	cut_is("AUTH PLAIN AGxlZQBzM2NyZXQgeyJ3MHJkXH0=!", "AUTH PLAIN AGxlZQB<cut>!");
	cut_is("YQBsZWUAczNjcmV0IHsidzByZFx9 x", "YQBsZWUA<cut> x");
	cut_is("s3cret {\"w0rd\\}s3cret {\"w0rd\\}", "<cut><cut>");
	veil_lift(&veil);
	ck_assert_ptr_null(veil);
	cut_is("s3cret {\"w0rd\\}", "s3cret {\"w0rd\\}");
}
END_TEST

START_TEST(several_secrets_and_several_veils)
{
	struct veil *one = NULL;
	struct veil *other = NULL;

	veil_hide(&one, "first");
	veil_hide(&one, "second");
	veil_hide(&other, "firstly");
	cut_is("first, second, firstly", "<cut>, <cut>, <cut>");
	veil_lift(&one);
	cut_is("first, second, firstly", "first, second, <cut>");
	veil_lift(&other);
	veil_lift(&other);
}
END_TEST

START_TEST(what_is_too_short_is_left_alone)
{
	struct veil *veil = NULL;

	veil_hide(&veil, "a");
	veil_hide(&veil, "");
	veil_hide_response(&veil, "");
	veil_hide_response(&veil, "=");
	cut_is("a banana", "a banana");
	veil_lift(&veil);
}
END_TEST

START_TEST(responses)
{
	struct veil *veil = NULL;

	/* RFC 2195 section 2. */
	veil_hide_response(&veil, "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw");
	cut_is("tim b913a602c7eda7a495b4e6e7334d3890", "tim <cut>");
	cut_is("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw?", "<cut>?");
	veil_lift(&veil);
	/* RFC 7677 section 3. */
	veil_hide_response(
	    &veil, "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhO"
		   "bEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==");
	cut_is("c=biws,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ= x", "c=biws,p=<cut> x");
	veil_lift(&veil);
}
END_TEST

/* Also once it was made visible, and where NULs stand around it. */
START_TEST(control_characters_and_nuls)
{
	struct veil *veil = NULL;
	struct buf out = {0};

	veil_hide(&veil, "pass\x01word");
	cut_is("pass\\x01word", "<cut>");
	veil_cut(&out, "\0lee\0pass\x01word\0", 15);
	ck_assert_uint_eq(out.len, 11);
	ck_assert_mem_eq(out.data, "\0lee\0<cut>\0", 11);
	buf_free(&out);
	veil_lift(&veil);
}
END_TEST

START_TEST(words_of_a_server)
{
	struct veil *veil = NULL;
	struct err err = {0};
	char text[600];

	veil_hide(&veil, secret);
	/* Where the words end early, a part of it would be left. */
	snprintf(text, sizeof text, "%0*d%s%0*d", (int)sizeof err.server - 12, 0, secret, 200, 0);
	err_server(&err, text, strlen(text));
	ck_assert_ptr_null(strstr(err.server, "s3"));
	veil_lift(&veil);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("veil");
	TCase *tests = tcase_create("veil");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, what_is_cut);
	tcase_add_test(tests, several_secrets_and_several_veils);
	tcase_add_test(tests, what_is_too_short_is_left_alone);
	tcase_add_test(tests, responses);
	tcase_add_test(tests, control_characters_and_nuls);
	tcase_add_test(tests, words_of_a_server);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
