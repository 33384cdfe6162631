/*
 * Tests of option_table: that its rows make sense, and that the manual page names the same options.
 */
#include "config/option_table.h"

#include "util/mem.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(rows_make_sense)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];
		bool chooses = o->type == OPTION_CHOICE || o->type == OPTION_SWITCH ||
			       o->type == OPTION_MECHANISM;
		bool ranges = o->type == OPTION_NUMBER || o->type == OPTION_PORT ||
			      o->type == OPTION_DURATION || o->type == OPTION_SIZE ||
			      o->type == OPTION_KEEP;

		ck_assert_msg(chooses == (o->choices != NULL), "%s", o->name);
		ck_assert_msg(ranges == (o->most > o->least), "%s", o->name);
		ck_assert_msg(o->help && *o->help, "%s", o->name);
		ck_assert_uint_lt(o->type, OPTION_TYPES);
		ck_assert_ptr_eq(option_find(o->place, o->name), o);
		/* Only secrets share a field. */
		for (size_t j = 0; j < i; j++)
			if (option_table[j].offset == o->offset && o->offset &&
			    (option_table[j].place == OPTION_TOP) == (o->place == OPTION_TOP))
				ck_assert_msg(o->type >= OPTION_SECRET, "%s", o->name);
	}
}
END_TEST

START_TEST(nearest_names)
{
	static const struct {
		const char *name, *nearest;
	} cases[] = {{"hots", "host"},
		     {"HOST", "host"},
		     {"hst", "host"},
		     {"passwrod", "password"},
		     {"mailbox", "mailboxes"},
		     {"protocl", "protocol"},
		     {"password-file", "password_file"}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_str_eq(option_nearest(OPTION_ACCOUNT, cases[i].name), cases[i].nearest);
	ck_assert_ptr_null(option_nearest(OPTION_ACCOUNT, "schedule"));
	ck_assert_ptr_null(option_nearest(OPTION_ACCOUNT, "zz"));
	ck_assert_ptr_null(option_nearest(OPTION_ACCOUNT, ""));
	ck_assert_ptr_null(option_nearest(
	    OPTION_TOP, "a_name_that_is_much_longer_than_any_option_could_ever_be_in_this_table"));
	/* Names of other places are not near. */
	ck_assert_ptr_null(option_nearest(OPTION_DELIVER, "hots"));
}
END_TEST

START_TEST(where_options_belong)
{
	ck_assert_ptr_nonnull(strstr(option_belongs(OPTION_ACCOUNT, "maildir"), "deliver"));
	ck_assert_ptr_nonnull(strstr(option_belongs(OPTION_TOP, "ca_file"), "tls"));
	ck_assert_ptr_nonnull(strstr(option_belongs(OPTION_TOP, "host"), "account"));
	ck_assert_ptr_nonnull(strstr(option_belongs(OPTION_TLS, "run_as"), "top"));
	ck_assert_ptr_null(option_belongs(OPTION_TLS, "nonsense"));
}
END_TEST

START_TEST(sections)
{
	ck_assert_int_eq(option_inside(option_find(OPTION_TOP, "defaults")), OPTION_ACCOUNT);
	ck_assert_int_eq(option_inside(option_find(OPTION_TOP, "accounts")), OPTION_ACCOUNT);
	ck_assert_int_eq(option_inside(option_find(OPTION_ACCOUNT, "tls")), OPTION_TLS);
	ck_assert_int_eq(option_inside(option_find(OPTION_ACCOUNT, "deliver")), OPTION_DELIVER);
}
END_TEST

/* ---- the manual page ---- */

/* The options of the manual page stand in lists, one ".It Cm name" each, below ".Ss" headings. */
static const struct {
	const char *heading;
	enum option_place place;
} headings[] = {{".Ss Top level", OPTION_TOP},
		{".Ss Account", OPTION_ACCOUNT},
		{".Ss Mapping tls", OPTION_TLS},
		{".Ss Mapping deliver", OPTION_DELIVER}};

enum { PLACES = sizeof headings / sizeof *headings };

static char *page(void)
{
	FILE *file = fopen("man/mailhaul.yaml.5", "r");
	char *text = mem_new(200000, 1);

	ck_assert_msg(file != NULL, "run in the project's directory");
	ck_assert_uint_gt(fread(text, 1, 199999, file), 1000);
	fclose(file);
	return text;
}

START_TEST(the_manual_page_agrees)
{
	bool told[OPTION_COUNT_MAX] = {false};
	char *text = page();
	int place = -1;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strncmp(line, ".Ss", 3) || !strncmp(line, ".Sh", 3))
			place = -1;
		for (int i = 0; i < PLACES; i++)
			if (!strcmp(line, headings[i].heading))
				place = (int)headings[i].place;
		if (place >= 0 && !strncmp(line, ".It Cm ", 7)) {
			size_t len = strcspn(line + 7, " ");
			char *name = mem_copy_n(line + 7, len);
			const struct option *o = option_find((enum option_place)place, name);

			ck_assert_msg(o != NULL, "the manual page knows %s, the table not", name);
			ck_assert_msg(!told[o - option_table], "%s stands twice", name);
			told[o - option_table] = true;
			free(name);
		}
	}
	for (size_t i = 0; i < option_count; i++)
		ck_assert_msg(told[i], "the manual page lacks %s", option_table[i].name);
	free(text);
}
END_TEST

/* Each default stands in the manual page, near its option, as ".It Cm name ... default". */
START_TEST(the_manual_page_tells_the_defaults)
{
	char *text = page();

	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];
		char *item = mem_printf("\n.It Cm %s ", o->name);
		const char *at = strstr(text, item);

		free(item);
		if (!o->fallback)
			continue;
		ck_assert_msg(at != NULL, "%s", o->name);
		item = mem_printf("Default: %s.", o->fallback);
		ck_assert_msg(
		    strstr(at, item) != NULL &&
			(!strstr(at + 1, "\n.It ") || strstr(at, item) < strstr(at + 1, "\n.It ")),
		    "%s: the page does not say %s", o->name, item);
		free(item);
	}
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("option_table");
	TCase *tests = tcase_create("option_table");
	SRunner *runner;
	int failures;

	tcase_add_test(tests, rows_make_sense);
	tcase_add_test(tests, nearest_names);
	tcase_add_test(tests, where_options_belong);
	tcase_add_test(tests, sections);
	tcase_add_test(tests, the_manual_page_agrees);
	tcase_add_test(tests, the_manual_page_tells_the_defaults);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
