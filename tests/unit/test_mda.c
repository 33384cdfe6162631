/*
 * test_mda: real programs that take a letter, refuse it, die, hang, or do not read; and what
 * strangers may and may not put into their arguments.
 */
#include "deliver/mda.h"

#include "deliver_fixture.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

enum { LARGE = 1024 * 1024, DEADLINE_MS = 20000, SHORT_MS = 300 };

static struct loop *loop;
static struct sink *sink;

/* What done() was told. */
static struct {
	int calls;
	bool handing;
	enum sink_verdict verdict;
	struct err err;
} told;

static struct mda_params params(const char *const *argv)
{
	return (struct mda_params){.loop = loop,
				   .state_dir = at("state"),
				   .argv = argv,
				   .account = "work",
				   .mailbox = "Lists/linux",
				   .user = "lee",
				   .deadline_ms = DEADLINE_MS};
}

static void use(const struct mda_params *p)
{
	if (sink)
		sink->ops->free(sink);
	sink = mda_new(p);
	ck_good(sink->ops->open(sink, &err));
}

static void setup(void)
{
	root_make();
	loop = loop_new(&err);
	ck_assert_ptr_nonnull(loop);
	sink = NULL;
	memset(&told, 0, sizeof told);
}

static void teardown(void)
{
	if (sink)
		sink->ops->free(sink);
	loop_free(&loop);
	root_remove();
}

static void done(void *ctx, enum sink_verdict verdict, const struct err *why)
{
	ck_assert_ptr_eq(ctx, &told);
	ck_assert(!told.handing);
	told.calls++;
	told.verdict = verdict;
	told.err = *why;
	loop_stop(loop);
}

static void hand_uid(const char *name, const char *uid)
{
	int calls = told.calls;

	told.handing = true;
	sink->ops->hand(sink, &(struct sink_letter){.name = name, .uid = uid}, done, &told);
	told.handing = false;
	loop_run(loop);
	ck_assert_int_eq(told.calls, calls + 1);
}

/* A letter "a" is handed to a shell that runs the script. */
static void script_with(const char *script, uint64_t deadline_ms, bool may_skip)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	struct mda_params p = params(argv);

	p.deadline_ms = deadline_ms;
	p.may_skip_input = may_skip;
	use(&p);
	if (!exists(at("state/spool/a")))
		put(at("state/spool/a"), "Subject: x\n\ntext\n", 0600);
	hand_uid("a", "17");
}

static void script(const char *text)
{
	script_with(text, DEADLINE_MS, false);
}

static void put_large(void)
{
	char *text = malloc(LARGE + 1);

	memset(text, 'x', LARGE);
	memcpy(text, "Subject: x\n\n", 12);
	text[LARGE] = '\0';
	if (!exists(at("state"))) {
		make(at("state"));
		make(at("state/spool"));
	}
	put(at("state/spool/a"), text, 0600);
	free(text);
}

static void told_is(enum sink_verdict verdict, enum err_kind kind, const char *words)
{
	ck_assert_msg(told.verdict == verdict, "verdict %d: %s", (int)told.verdict, told.err.words);
	ck_assert_int_eq(told.err.kind, kind);
	ck_assert_msg(strstr(told.err.words, words), "%s", told.err.words);
}

/* ---- how it ends ---- */

START_TEST(a_program_that_takes_the_letter_delivers)
{
	script("cat >/dev/null");
	told_is(SINK_DELIVERED, ERR_NONE, "");
	ck_assert(exists(at("state/spool/a")));
}
END_TEST

START_TEST(the_whole_letter_comes_in)
{
	char command[700];

	put_large();
	snprintf(command, sizeof command, "cat > %s", at("out"));
	script(command);
	told_is(SINK_DELIVERED, ERR_NONE, "");
	snprintf(command, sizeof command, "cmp -s %s %s", at("out"), at("state/spool/a"));
	ck_assert_int_eq(system(command), 0); /* NOLINT(cert-env33-c): paths of our own */
}
END_TEST

static const struct {
	int code;
	enum sink_verdict verdict;
	enum err_kind kind;
} ends[] = {
    {1, SINK_LATER, ERR_TEMPORARY},   {2, SINK_LATER, ERR_TEMPORARY},
    {63, SINK_LATER, ERR_TEMPORARY},  {64, SINK_ATTEMPT, ERR_MESSAGE},
    {65, SINK_ATTEMPT, ERR_MESSAGE},  {66, SINK_LATER, ERR_TEMPORARY},
    {67, SINK_ATTEMPT, ERR_MESSAGE},  {68, SINK_ATTEMPT, ERR_MESSAGE},
    {69, SINK_ATTEMPT, ERR_MESSAGE},  {70, SINK_LATER, ERR_TEMPORARY},
    {71, SINK_LATER, ERR_TEMPORARY},  {72, SINK_LATER, ERR_TEMPORARY},
    {73, SINK_LATER, ERR_TEMPORARY},  {74, SINK_LATER, ERR_TEMPORARY},
    {75, SINK_LATER, ERR_TEMPORARY},  {76, SINK_ATTEMPT, ERR_MESSAGE},
    {77, SINK_ATTEMPT, ERR_MESSAGE},  {78, SINK_BROKEN, ERR_CONFIG},
    {79, SINK_LATER, ERR_TEMPORARY},  {99, SINK_LATER, ERR_TEMPORARY},
    {126, SINK_BROKEN, ERR_CONFIG},   {127, SINK_BROKEN, ERR_CONFIG},
    {128, SINK_LATER, ERR_TEMPORARY}, {255, SINK_LATER, ERR_TEMPORARY},
};

START_TEST(exit_codes_are_judged_by_the_table)
{
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		char command[64];
		char words[64];

		snprintf(command, sizeof command, "%sexit %d", i % 2 ? "cat >/dev/null; " : "",
			 ends[i].code);
		script(command);
		snprintf(words, sizeof words, "sh ended with exit code %d", ends[i].code);
		told_is(ends[i].verdict, ends[i].kind, words);
	}
}
END_TEST

START_TEST(a_signal_means_later)
{
	script("kill -9 $$");
	told_is(SINK_LATER, ERR_TEMPORARY, "sh was killed by signal 9");
}
END_TEST

START_TEST(a_program_that_hangs_is_ended)
{
	struct timespec begin;
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	script_with("trap '' TERM; cat >/dev/null; sleep 60", SHORT_MS, false);
	clock_gettime(CLOCK_MONOTONIC, &end);
	told_is(SINK_LATER, ERR_TEMPORARY, "sh did not end within");
	ck_assert_int_le(end.tv_sec - begin.tv_sec, 10);
}
END_TEST

START_TEST(a_program_that_neither_reads_nor_ends_is_ended)
{
	put_large();
	script_with("sleep 60", SHORT_MS, false);
	told_is(SINK_LATER, ERR_TEMPORARY, "sh did not end within");
}
END_TEST

START_TEST(unread_input_is_an_attempt)
{
	script("exit 0");
	told_is(SINK_ATTEMPT, ERR_MESSAGE, "left 17 octets of the letter unread");
	put_large();
	script("exit 0");
	told_is(SINK_ATTEMPT, ERR_MESSAGE, "left 1048576 octets of the letter unread");
}
END_TEST

START_TEST(input_read_in_part_is_an_attempt)
{
	put_large();
	script("dd bs=1 count=1000 of=/dev/null 2>/dev/null");
	told_is(SINK_ATTEMPT, ERR_MESSAGE, "left 1047576 octets of the letter unread");
}
END_TEST

START_TEST(input_may_be_skipped_where_the_user_says_so)
{
	put_large();
	script_with("exit 0", DEADLINE_MS, true);
	told_is(SINK_DELIVERED, ERR_NONE, "");
	script_with("exit 67", DEADLINE_MS, true);
	told_is(SINK_ATTEMPT, ERR_MESSAGE, "exit code 67");
}
END_TEST

START_TEST(an_exit_code_goes_before_unread_input)
{
	put_large();
	script("exit 75");
	told_is(SINK_LATER, ERR_TEMPORARY, "exit code 75");
}
END_TEST

START_TEST(what_cannot_be_started_is_broken)
{
	const char *missing[] = {at("no-such-program"), NULL};
	const char *plain[] = {at("plain"), NULL};
	struct mda_params p = params(missing);

	use(&p);
	put(at("state/spool/a"), "x", 0600);
	put(at("plain"), "#!/bin/sh\nexit 0\n", 0600);
	hand_uid("a", "1");
	told_is(SINK_BROKEN, ERR_CONFIG, "no-such-program could not be started");
	ck_assert_int_eq(told.err.sys, ENOENT);
	p = params(plain);
	use(&p);
	hand_uid("a", "1");
	told_is(SINK_BROKEN, ERR_CONFIG, "plain could not be started");
	ck_assert_int_eq(told.err.sys, EACCES);
}
END_TEST

START_TEST(a_letter_that_is_missing_is_said)
{
	const char *argv[] = {"/bin/cat", NULL};
	struct mda_params p = params(argv);

	use(&p);
	hand_uid("b", "1");
	told_is(SINK_LATER, ERR_MAIL, "spool/b");
}
END_TEST

/* ---- what it says ---- */

START_TEST(the_last_lines_of_stderr_are_kept)
{
	script("cat >/dev/null; yes noise | head -c 3000000 >&2; "
	       "printf 'quota is full\\n\\033[31mcall\\r\\n  the admin\\n\\n' >&2; exit 75");
	told_is(SINK_LATER, ERR_TEMPORARY, "exit code 75");
	ck_assert_msg(strstr(told.err.server, "quota is full / \\x1b[31mcall /   the admin") ||
			  strstr(told.err.server, "quota is full / \\x1B[31mcall /   the admin"),
		      "%s", told.err.server);
	ck_assert_ptr_null(strstr(told.err.server, "..."));
}
END_TEST

START_TEST(one_long_line_of_stderr_is_cut)
{
	script("cat >/dev/null; yes | tr -d '\\n' | head -c 5000 >&2; exit 1");
	told_is(SINK_LATER, ERR_TEMPORARY, "exit code 1");
	ck_assert_int_ge((int)strlen(told.err.server), 300);
}
END_TEST

START_TEST(octets_that_are_no_text_are_made_visible)
{
	script("cat >/dev/null; head -c 2000 /dev/zero >&2; exit 1");
	ck_assert_int_ge((int)strlen(told.err.server), 1);
	script("cat >/dev/null; printf '\\377\\376\\n \\n' >&2; exit 1");
	ck_assert_ptr_nonnull(strstr(told.err.server, "\\x"));
}
END_TEST

START_TEST(what_it_says_on_stdout_does_no_harm)
{
	put_large();
	script("yes | head -c 3000000; cat >/dev/null");
	told_is(SINK_DELIVERED, ERR_NONE, "");
	ck_assert_str_eq(told.err.server, "");
}
END_TEST

/* ---- arguments ---- */

/* Hands "a" to a script that writes its arguments, one a line, and gives what it wrote; or NULL
 * where it was not run. */
static const char *arguments(const char *one, const char *two, const char *mailbox, const char *uid)
{
	const char *argv[] = {at("mda"), one, two, NULL};
	struct mda_params p = params(argv);
	char text[1200];

	if (mailbox)
		p.mailbox = mailbox;
	unlink(at("args"));
	snprintf(text, sizeof text,
		 "#!/bin/sh\ncat >/dev/null\nfor a; do printf '<%%s>\\n' \"$a\"; done > %s\n",
		 at("args"));
	put(at("mda"), text, 0700);
	use(&p);
	if (!exists(at("state/spool/a")))
		put(at("state/spool/a"), "Subject: x\n\ntext\n", 0600);
	hand_uid("a", uid);
	return contents(at("args"));
}

static void letter_from(const char *return_path)
{
	char text[1024];

	snprintf(text, sizeof text,
		 "Received: from imap.example.org\n\tby mailhaul\nX-Mailhaul-Id: 0123\n"
		 "Return-Path: %s\nReturn-Path: <second@example.org>\nSubject: x\n\n"
		 "Return-Path: <body@example.org>\n",
		 return_path);
	if (!exists(at("state"))) {
		make(at("state"));
		make(at("state/spool"));
	}
	put(at("state/spool/a"), text, 0600);
}

START_TEST(placeholders_are_filled_in)
{
	letter_from("<a.b@example.org>");
	ck_assert_str_eq(
	    arguments("%{sender}", "to=%{account}+%{user}:%{mailbox}#%{uid}", NULL, "17"),
	    "<a.b@example.org>\n<to=work+lee:Lists/linux#17>\n");
	told_is(SINK_DELIVERED, ERR_NONE, "");
	ck_assert_str_eq(arguments("100%%", "%%{uid} %5 {x} %", NULL, "17"),
			 "<100%>\n<%{uid} %5 {x} %>\n");
	ck_assert_str_eq(arguments("-f", "", NULL, "17"), "<-f>\n<>\n");
}
END_TEST

START_TEST(no_sender_is_an_empty_argument)
{
	letter_from("<>");
	ck_assert_str_eq(arguments("-f", "%{sender}", NULL, "17"), "<-f>\n<>\n");
	letter_from("<-oX@example.org>");
	ck_assert_str_eq(arguments("-f", "%{sender}", NULL, "17"), "<-f>\n<>\n");
	letter_from("<a b@example.org> -be");
	ck_assert_str_eq(arguments("-f", "%{sender}", NULL, "17"), "<-f>\n<>\n");
	put(at("state/spool/a"), "Subject: x\n\nReturn-Path: <body@example.org>\n", 0600);
	ck_assert_str_eq(arguments("-f", "%{sender}", NULL, "17"), "<-f>\n<>\n");
}
END_TEST

START_TEST(an_empty_letter_has_no_sender)
{
	make(at("state"));
	make(at("state/spool"));
	put(at("state/spool/a"), "", 0600);
	ck_assert_str_eq(arguments("-f", "%{sender}", NULL, "17"), "<-f>\n<>\n");
	told_is(SINK_DELIVERED, ERR_NONE, "");
}
END_TEST

START_TEST(no_shell_sees_what_strangers_wrote)
{
	ck_assert_str_eq(arguments("%{uid}", "x", NULL, "$(touch${IFS}x);`id`|a&b'\"*"),
			 "<$(touch${IFS}x);`id`|a&b'\"*>\n<x>\n");
}
END_TEST

START_TEST(a_uid_leads_nowhere)
{
	ck_assert_str_eq(arguments("/var/%{uid}", "%{uid}", NULL, "../../etc/x"),
			 "</var/.._.._etc_x>\n<.._.._etc_x>\n");
	ck_assert_str_eq(arguments("/var/%{uid}/x", "y", NULL, ".."), "</var/_/x>\n<y>\n");
	ck_assert_str_eq(arguments("%{uid}", "y", NULL, "a\nb\033[c d\177\200"),
			 "<a_b_[c_d__>\n<y>\n");
}
END_TEST

START_TEST(a_value_never_becomes_an_option)
{
	ck_assert_ptr_null(arguments("%{uid}", "x", NULL, "-oX"));
	told_is(SINK_BROKEN, ERR_CONFIG, "would take for an option");
	ck_assert_ptr_null(arguments("x", "%{mailbox}", "-oX", "17"));
	told_is(SINK_BROKEN, ERR_CONFIG, "would take for an option");
	ck_assert_ptr_null(arguments("x", "%{sender}%{uid}", NULL, "-oX"));
	told_is(SINK_BROKEN, ERR_CONFIG, "would take for an option");
	ck_assert_str_eq(arguments("-x%{uid}", "y%{uid}", NULL, "-oX"), "<-x-oX>\n<y-oX>\n");
}
END_TEST

START_TEST(a_mailbox_never_leads_away)
{
	static const char *const names[] = {"..", "../x", "a/../b", "a/..", "/etc", "a\nb"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		ck_assert_ptr_null(arguments("Mail/%{mailbox}", "x", names[i], "17"));
		told_is(SINK_BROKEN, ERR_CONFIG, "mda: ");
	}
	ck_assert_str_eq(arguments("%{mailbox}", "x", "..a/b../...", "17"), "<..a/b../...>\n<x>\n");
}
END_TEST

START_TEST(unknown_placeholders_are_refused)
{
	ck_assert_ptr_null(arguments("%{nonsense}", "x", NULL, "17"));
	told_is(SINK_BROKEN, ERR_CONFIG, "%{nonsense} is not known");
	ck_assert_ptr_null(arguments("%{}", "x", NULL, "17"));
	told_is(SINK_BROKEN, ERR_CONFIG, "is not known");
}
END_TEST

START_TEST(the_program_is_never_filled_in)
{
	const char *argv[] = {"/bin/%{uid}", NULL};
	struct mda_params p = params(argv);

	use(&p);
	put(at("state/spool/a"), "x", 0600);
	hand_uid("a", "sh");
	told_is(SINK_BROKEN, ERR_CONFIG, "the program must be named as it is");
}
END_TEST

/* ---- order ---- */

static void next(void *ctx, enum sink_verdict verdict, const struct err *why)
{
	(void)why;
	ck_assert_int_eq(verdict, SINK_DELIVERED);
	if (++told.calls < 3)
		sink->ops->hand(sink, &(struct sink_letter){.name = "a", .uid = "1"}, next, ctx);
	else
		loop_stop(loop);
}

START_TEST(the_next_letter_may_be_handed_over_in_done)
{
	script("cat >/dev/null");
	told.calls = 0;
	sink->ops->hand(sink, &(struct sink_letter){.name = "a", .uid = "1"}, next, NULL);
	loop_run(loop);
	ck_assert_int_eq(told.calls, 3);
}
END_TEST

static void leave(void *ctx, enum sink_verdict verdict, const struct err *why)
{
	(void)ctx;
	(void)verdict;
	ck_assert_int_eq(why->kind, ERR_TEMPORARY);
	sink->ops->free(sink);
	sink = NULL;
	told.calls++;
	loop_stop(loop);
}

START_TEST(the_sink_may_be_freed_in_done)
{
	script("cat >/dev/null; exit 1");
	sink->ops->hand(sink, &(struct sink_letter){.name = "a", .uid = "1"}, leave, NULL);
	loop_run(loop);
	ck_assert_int_eq(told.calls, 2);
	ck_assert_ptr_null(sink);
}
END_TEST

static void stop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void run_for(uint64_t milliseconds)
{
	struct loop_timer *timer = loop_timer_new(loop, stop, NULL);

	loop_timer_start(timer, milliseconds);
	loop_run(loop);
	loop_timer_free(&timer);
}

START_TEST(freeing_ends_the_program)
{
	char command[600];
	const char *argv[] = {"/bin/sh", "-c", command, NULL};
	struct mda_params p = params(argv);
	pid_t pid = 0;

	snprintf(command, sizeof command, "echo $$ > %s.x; mv %s.x %s; sleep 60", at("pid"),
		 at("pid"), at("pid"));
	use(&p);
	put_large();
	sink->ops->hand(sink, &(struct sink_letter){.name = "a", .uid = "1"}, done, &told);
	for (int i = 0; i < 100 && !exists(at("pid")); i++)
		run_for(50);
	pid = (pid_t)strtol(contents(at("pid")), NULL, 10);
	ck_assert_int_gt(pid, 1);
	ck_assert_int_eq(kill(pid, 0), 0);
	sink->ops->free(sink);
	sink = NULL;
	for (int i = 0; i < 100 && kill(pid, 0) == 0; i++)
		run_for(50);
	ck_assert_int_eq(kill(pid, 0), -1);
	ck_assert_int_eq(told.calls, 0);
}
END_TEST

START_TEST(freeing_forgets_a_failure)
{
	const char *argv[] = {"/bin/cat", NULL};
	struct mda_params p = params(argv);

	use(&p);
	sink->ops->hand(sink, &(struct sink_letter){.name = "no", .uid = "1"}, done, &told);
	sink->ops->free(sink);
	sink = NULL;
	run_for(50);
	ck_assert_int_eq(told.calls, 0);
}
END_TEST

START_TEST(letters_stay_in_the_spool)
{
	const char *argv[] = {"/bin/cat", NULL};
	struct mda_params p = params(argv);
	enum sink_where where;

	use(&p);
	put(at("state/spool/a"), "x", 0600);
	ck_assert_str_eq(sink->ops->path(sink), at("state/spool"));
	ck_assert_ptr_null(sink->ops->identity);
	ck_good(sink->ops->flush(sink, &err));
	ck_good(sink->ops->place(sink, "a", &err));
	ck_good(sink->ops->settle(sink, &err));
	ck_good(sink->ops->find(sink, "a", &where, &err));
	ck_assert_int_eq(where, SINK_TMP);
	ck_good(sink->ops->quarantine(sink, "a", &err));
	ck_good(sink->ops->find(sink, "a", &where, &err));
	ck_assert_int_eq(where, SINK_PLACED);
	put(at("state/spool/b"), "x", 0600);
	ck_good(sink->ops->discard(sink, "b", &err));
	ck_good(sink->ops->find(sink, "b", &where, &err));
	ck_assert_int_eq(where, SINK_NOWHERE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mda");
	TCase *all = tcase_create("mda");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(all, setup, teardown);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, a_program_that_takes_the_letter_delivers);
	tcase_add_test(all, the_whole_letter_comes_in);
	tcase_add_test(all, exit_codes_are_judged_by_the_table);
	tcase_add_test(all, a_signal_means_later);
	tcase_add_test(all, a_program_that_hangs_is_ended);
	tcase_add_test(all, a_program_that_neither_reads_nor_ends_is_ended);
	tcase_add_test(all, unread_input_is_an_attempt);
	tcase_add_test(all, input_read_in_part_is_an_attempt);
	tcase_add_test(all, input_may_be_skipped_where_the_user_says_so);
	tcase_add_test(all, an_exit_code_goes_before_unread_input);
	tcase_add_test(all, what_cannot_be_started_is_broken);
	tcase_add_test(all, a_letter_that_is_missing_is_said);
	tcase_add_test(all, the_last_lines_of_stderr_are_kept);
	tcase_add_test(all, one_long_line_of_stderr_is_cut);
	tcase_add_test(all, octets_that_are_no_text_are_made_visible);
	tcase_add_test(all, what_it_says_on_stdout_does_no_harm);
	tcase_add_test(all, placeholders_are_filled_in);
	tcase_add_test(all, no_sender_is_an_empty_argument);
	tcase_add_test(all, an_empty_letter_has_no_sender);
	tcase_add_test(all, no_shell_sees_what_strangers_wrote);
	tcase_add_test(all, a_uid_leads_nowhere);
	tcase_add_test(all, a_value_never_becomes_an_option);
	tcase_add_test(all, a_mailbox_never_leads_away);
	tcase_add_test(all, unknown_placeholders_are_refused);
	tcase_add_test(all, the_program_is_never_filled_in);
	tcase_add_test(all, the_next_letter_may_be_handed_over_in_done);
	tcase_add_test(all, the_sink_may_be_freed_in_done);
	tcase_add_test(all, freeing_ends_the_program);
	tcase_add_test(all, freeing_forgets_a_failure);
	tcase_add_test(all, letters_stay_in_the_spool);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
