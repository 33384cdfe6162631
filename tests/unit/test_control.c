/* test_control: a real socket; the accounts are this test's, the client is a thread. */
#include "daemon/control.h"

#include "util/mem.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { WAIT_MS = 20000, MANY = CONTROL_PAGE + 7 };

static char dir[64];
static struct loop *loop;
static struct control *control;
static size_t account_count;
static char names[MANY][24];
static uint64_t visits[MANY]; /* begun so far */
static int64_t alone;	      /* seconds for which the second account is left alone */
static int asked;	      /* for a visit */
static bool asked_now;
static struct loop_timer *step; /* what befalls once the client has asked */
static void (*befalls)(void);

static bool look(void *ctx, size_t index, struct control_account *account_r)
{
	ck_assert_ptr_eq(ctx, names);
	if (index >= account_count)
		return false;
	*account_r = (struct control_account){
	    .name = names[index],
	    .is = {.doing = "listening", .since_ms = 61000, .next_ms = UINT64_MAX, .failures = 0},
	    .ear_count = 1,
	    .ears = {{.mailbox = "INBOX", .doing = "polled", .since_ms = 5000}}};
	return true;
}

static bool find(void *ctx, const char *name, size_t *index_r)
{
	ck_assert_ptr_eq(ctx, names);
	for (*index_r = 0; *index_r < account_count; ++*index_r)
		if (!strcmp(names[*index_r], name))
			return true;
	return false;
}

static int64_t poll_it(void *ctx, size_t index, bool now, uint64_t *visit_r)
{
	ck_assert_ptr_eq(ctx, names);
	asked++;
	asked_now = now;
	if (index == 1 && alone && !now)
		return alone;
	*visit_r = visits[index] + 1;
	if (befalls)
		loop_timer_start(step, 20);
	return 0;
}

static void on_step(void *ctx)
{
	(void)ctx;
	befalls();
}

static void setup(void)
{
	struct err err = {0};

	snprintf(dir, sizeof dir, "/tmp/mailhaul-control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	loop = loop_new(NULL);
	account_count = 2;
	memset(visits, 0, sizeof visits);
	alone = 0;
	asked = 0;
	befalls = NULL;
	for (size_t i = 0; i < MANY; i++)
		snprintf(names[i], sizeof names[i], "account%zu", i);
	step = loop_timer_new(loop, on_step, NULL);
	control = control_new(&(struct control_params){.loop = loop,
						       .directory = dir,
						       .look = look,
						       .find = find,
						       .poll = poll_it,
						       .ctx = names},
			      &err);
	ck_assert_msg(control != NULL, "%s", err.words);
}

static void teardown(void)
{
	char command[128];

	control_free(&control);
	ck_assert_ptr_null(control);
	loop_timer_free(&step);
	ck_assert(loop_free(&loop));
	snprintf(command, sizeof command, "rmdir %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- the client ---------------------------------------------------------------------------- */

static const char *const *requests; /* NULL at the end */
static const char *const *answers;  /* what each must hold, in their order */
static bool leaves;		    /* without waiting for an answer */

static void *client(void *arg)
{
	char *path = mem_printf("%s/control.sock", dir);
	struct err err;
	struct local_client *to = local_connect(path, &err);

	ck_assert_msg(to != NULL, "%s", err.words);
	for (size_t i = 0; requests[i]; i++)
		ck_assert(local_tell(to, requests[i], &err));
	for (size_t i = 0; !leaves && answers[i]; i++) {
		char *line = local_hear(to, WAIT_MS, &err);

		ck_assert_msg(line != NULL, "no answer with %s: %s", answers[i], err.words);
		ck_assert_msg(strstr(line, answers[i]) != NULL, "no %s in %s", answers[i], line);
		ck_assert_ptr_nonnull(strstr(line, "\"version\":1"));
		free(line);
	}
	local_close(&to);
	free(path);
	return arg;
}

static struct loop_timer *ends;

static void look_for_end(void *ctx)
{
	pthread_t *thread = ctx;
	void *result;

	if (!pthread_tryjoin_np(*thread, &result))
		loop_stop(loop);
	else
		loop_timer_start(ends, 5);
}

static void converse(const char *const *say, const char *const *hear)
{
	pthread_t thread;

	requests = say;
	answers = hear;
	ck_assert_int_eq(pthread_create(&thread, NULL, client, NULL), 0);
	ends = loop_timer_new(loop, look_for_end, &thread);
	loop_timer_start(ends, 5);
	loop_run(loop);
	loop_timer_free(&ends);
}

#define SAY(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define HEAR(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- visits -------------------------------------------------------------------------------- */

static struct config_account account_of(size_t index)
{
	static char maildir[] = "/nowhere";

	return (struct config_account){
	    .name = names[index], .host = names[index], .maildir = maildir};
}

/* One of the account ends. number 0: not of all mailboxes. */
static void visit(size_t index, uint64_t number, bool goes_on, uint64_t delivered,
		  enum err_kind kind, bool busy)
{
	struct config_account account = account_of(index);
	struct state_visit before = {.reported = 11};
	struct state_visit after = {.tried = 22};
	struct session_report report = {.busy = busy,
					.whole = !kind,
					.capabilities = "",
					.counts = {.delivered = delivered},
					.security = {.mode = "", .mechanism = ""}};

	if (kind)
		err_set(&report.err, kind, "it failed");
	if (!busy)
		control_outcome(control, &account, &before, &after);
	control_ended(control, &account, number, goes_on, &report);
}

static void both_end(void)
{
	visit(1, 1, false, 4, ERR_NONE, false);
	visit(0, 1, false, 3, ERR_NONE, false);
}

START_TEST(all_accounts)
{
	struct stat is;
	char *path = mem_printf("%s/control.sock", dir);

	ck_assert_int_eq(stat(path, &is), 0);
	ck_assert_int_eq(is.st_mode & 0777, 0600);
	free(path);
	befalls = both_end;
	converse(SAY("{\"version\":1,\"request\":\"poll\"}"),
		 HEAR("\"account\":\"account1\"", "\"delivered\":3", "\"event\":\"end\""));
	ck_assert_int_eq(asked, 2);
	ck_assert(!asked_now);
}
END_TEST

START_TEST(named_ones)
{
	befalls = both_end;
	alone = 60;
	converse(SAY("{\"version\":1,\"request\":\"poll\",\"accounts\":[\"account1\","
		     "\"nobody\",\"account1\"]}"),
		 HEAR("{\"event\":\"unknown\",\"account\":\"nobody\"",
		      "\"before\":{\"tried\":0,\"failing_since\":0,\"reported\":11",
		      "\"event\":\"end\""));
	ck_assert_int_eq(asked, 1);
	ck_assert(asked_now);
	converse(SAY("{\"version\":1,\"request\":\"poll\",\"accounts\":[]}"),
		 HEAR("\"event\":\"end\""));
}
END_TEST

START_TEST(who_is_left_alone)
{
	befalls = both_end;
	alone = 60;
	converse(SAY("{\"version\":1,\"request\":\"poll\"}"),
		 HEAR("{\"event\":\"alone\",\"account\":\"account1\",\"seconds\":60",
		      "\"account\":\"account0\"", "\"event\":\"end\""));
}
END_TEST

/* Neither the visit that was under way answers, nor one of a single mailbox. */
static void earlier_ones_end(void)
{
	visit(0, 7, false, 1, ERR_NONE, false);
	visit(0, 0, false, 1, ERR_NONE, false);
	visit(0, 8, false, 5, ERR_MESSAGE, false);
}

START_TEST(the_visit_that_was_asked_for)
{
	account_count = 1;
	visits[0] = 7;
	befalls = earlier_ones_end;
	converse(SAY("{\"version\":1,\"request\":\"poll\"}"),
		 HEAR("\"delivered\":5", "\"event\":\"end\""));
}
END_TEST

static void earlier_one_fails(void)
{
	visit(0, 0, false, 1, ERR_UNREACHABLE, false);
}

/* The next visit may be an hour away. */
START_TEST(an_earlier_one_that_fails)
{
	account_count = 1;
	visits[0] = 7;
	befalls = earlier_one_fails;
	converse(SAY("{\"version\":1,\"request\":\"poll\"}"),
		 HEAR("\"kind\":\"unreachable\"", "\"event\":\"end\""));
}
END_TEST

static void is_busy(void)
{
	visit(0, 1, false, 0, ERR_NONE, true);
}

START_TEST(busy_ones)
{
	account_count = 1;
	befalls = is_busy;
	converse(SAY("{\"version\":1,\"request\":\"poll\"}"),
		 HEAR("\"busy\":true", "\"event\":\"end\""));
}
END_TEST

static void shares_end(void)
{
	visit(0, 1, true, 5000, ERR_NONE, false);
	visit(0, 2, true, 5000, ERR_NONE, false);
	visit(0, 3, false, 21, ERR_NONE, false);
}

START_TEST(shares_are_added_up)
{
	account_count = 1;
	befalls = shares_end;
	converse(SAY("{\"version\":1,\"request\":\"poll\"}"),
		 HEAR("\"delivered\":10021", "\"event\":\"end\""));
}
END_TEST

/* One account goes, the other one becomes another, which has made no visit yet. */
static void accounts_change(void)
{
	struct config_account changed = account_of(0);
	struct config_account gone = account_of(1);

	control_left(control, &changed);
	control_left(control, &gone);
	account_count = 1;
	visits[0] = 0;
	befalls = both_end;
	control_changed(control);
}

START_TEST(a_reload)
{
	visits[0] = 9;
	befalls = accounts_change;
	converse(SAY("{\"version\":1,\"request\":\"poll\"}"),
		 HEAR("{\"event\":\"unknown\",\"account\":\"account1\"", "\"delivered\":3",
		      "\"event\":\"end\""));
	ck_assert_int_eq(asked, 3);
}
END_TEST

START_TEST(one_poll_at_a_time)
{
	befalls = both_end;
	converse(
	    SAY("{\"version\":1,\"request\":\"poll\"}", "{\"version\":1,\"request\":\"poll\"}"),
	    HEAR("\"event\":\"error\"", "account1", "account0", "\"event\":\"end\""));
	ck_assert_int_eq(asked, 2);
}
END_TEST

START_TEST(who_leaves)
{
	befalls = NULL;
	leaves = true;
	converse(SAY("{\"version\":1,\"request\":\"poll\"}"), HEAR("nothing"));
	leaves = false;
	both_end();
	converse(SAY("{\"version\":1,\"request\":\"fly\"}"), HEAR("\"event\":\"error\""));
	both_end();
}
END_TEST

START_TEST(malformed)
{
	static const char *const lines[] = {"",
					    "hello",
					    "[]",
					    "{",
					    "{\"version\":1}",
					    "{\"version\":2,\"request\":\"poll\"}",
					    "{\"request\":\"poll\"}",
					    "{\"version\":\"1\",\"request\":\"poll\"}",
					    "{\"version\":1,\"request\":7}",
					    "{\"version\":1,\"request\":\"poll\",\"accounts\":{}}",
					    "{\"version\":1,\"request\":\"poll\",\"accounts\":[1]}",
					    "{\"version\":1,\"version\":1,\"request\":\"poll\"}"};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		converse(SAY(lines[i], "{\"version\":1,\"request\":\"status\"}"),
			 HEAR("\"event\":\"error\",\"text\":", "account0", "account1",
			      "\"event\":\"end\""));
	ck_assert_int_eq(asked, 0);
}
END_TEST

START_TEST(status)
{
	converse(SAY("{\"version\":1,\"request\":\"status\"}"),
		 HEAR("{\"doing\":\"listening\",\"seconds\":61,\"event\":\"now\","
		      "\"account\":\"account0\",\"failures\":0,\"next_seconds\":null,"
		      "\"mailboxes\":[{\"doing\":\"polled\",\"seconds\":null,\"name\":\"INBOX\"}]",
		      "account1", "{\"event\":\"end\",\"version\":1}"));
	account_count = MANY;
	converse(SAY("{\"version\":1,\"request\":\"status\",\"from\":200}"),
		 HEAR("account200", "account201", "account202", "account203", "account204",
		      "account205", "account206", "{\"event\":\"end\",\"version\":1}"));
	converse(SAY("{\"version\":1,\"request\":\"status\",\"from\":100000}"),
		 HEAR("{\"event\":\"end\",\"version\":1}"));
}
END_TEST

/* A daemon without a socket has no control. */
START_TEST(none)
{
	struct control *absent = NULL;
	struct config_account account = account_of(0);
	struct session_report report = {.busy = false};

	control_outcome(absent, &account, NULL, NULL);
	control_ended(absent, &account, 1, false, &report);
	control_left(absent, &account);
	control_changed(absent);
	control_free(&absent);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tests = tcase_create("control");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, all_accounts);
	tcase_add_test(tests, named_ones);
	tcase_add_test(tests, who_is_left_alone);
	tcase_add_test(tests, the_visit_that_was_asked_for);
	tcase_add_test(tests, an_earlier_one_that_fails);
	tcase_add_test(tests, busy_ones);
	tcase_add_test(tests, shares_are_added_up);
	tcase_add_test(tests, a_reload);
	tcase_add_test(tests, one_poll_at_a_time);
	tcase_add_test(tests, who_leaves);
	tcase_add_test(tests, malformed);
	tcase_add_test(tests, status);
	tcase_add_test(tests, none);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
