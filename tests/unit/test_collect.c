/*
 * test_collect: what a mailbox of a visit makes of events that come at an awkward moment. The
 * server is a fake source; the state, the committer and the Maildir are real.
 */
#include "session/collect.h"

#include "commit_fixture.h"
#include "proto/source_ops.h"

static struct collect *collect;
static struct source source;
static bool keys_return;
static struct err told;
static int steps;
static uint64_t progress; /* each message moves it when it is fetched, and when it is delivered */

static void do_select(struct source *unused, const char *mailbox, bool writing)
{
	(void)unused;
	note("select:%s%s ", mailbox, writing ? "!" : "");
}

static void do_list(struct source *unused, uint32_t from, bool sizes)
{
	(void)unused;
	(void)sizes;
	note("list:%u ", (unsigned)from);
}

static void do_set(const char *verb, const struct source_set *set)
{
	note("%s:", verb);
	for (size_t i = 0; i < set->count; i++)
		note("%s%u", i ? "," : "", (unsigned)set->numbers[i]);
	note(" ");
}

static void do_fetch(struct source *unused, const struct source_set *set)
{
	(void)unused;
	do_set("fetch", set);
}

static void do_remove(struct source *unused, const struct source_set *set)
{
	(void)unused;
	do_set("remove", set);
}

static const struct source_ops source_ops = {
    .select = do_select, .list = do_list, .fetch = do_fetch, .remove = do_remove};

static void on_step(void *ctx)
{
	(void)ctx;
	steps++;
}

static void on_problem(void *ctx, const struct err *problem)
{
	(void)ctx;
	told = *problem;
}

static void on_progress(void *ctx)
{
	(void)ctx;
	progress++;
}

static void begin(bool keep, bool look_only)
{
	struct state_key key = {
	    .protocol = "imap", .user = "lee", .host = "host", .mailbox = "INBOX"};

	ck_good(state_mailbox(state, &key, &box, &err));
	err_clear(&told);
	progress = 0;
	collect = collect_new(&(struct collect_params){.loop = loop,
						       .committer = committer,
						       .state = state,
						       .key = key,
						       .mailbox = box,
						       .sink = look_only ? NULL : &spy.sink,
						       .keep = keep,
						       .max_attempts = 3,
						       .look_only = look_only,
						       .keys_return = keys_return,
						       .on_step = on_step,
						       .on_problem = on_problem,
						       .on_progress = on_progress});
	loop_run(loop);
}

static void setup(void)
{
	commit_setup();
	source = (struct source){.ops = &source_ops};
	keys_return = false;
}

static void teardown(void)
{
	collect_free(&collect);
	commit_teardown();
}

static bool say(enum source_what what, struct source_event ev)
{
	ev.key = ev.key ? ev.key : "";
	ev.text = "words";
	ev.code = ev.code ? ev.code : "";
	return collect_event(collect, &source, what, &ev);
}

static bool say_done(enum source_verb verb, bool refused)
{
	return say(SOURCE_DONE, (struct source_event){.verb = verb, .refused = refused});
}

/* The mailbox is open and holds the messages 1 to count. */
static void list(uint32_t count)
{
	char key[16];

	collect_start(collect, &source, "Received: from host");
	say(SOURCE_SELECTED,
	    (struct source_event){.validity = 7, .next = count + 1, .exists = count});
	say_done(SOURCE_VERB_SELECT, false);
	for (uint32_t i = 1; i <= count; i++) {
		snprintf(key, sizeof key, "%u", (unsigned)i);
		say(SOURCE_LISTED, (struct source_event){.number = i, .key = key});
	}
	say_done(SOURCE_VERB_LIST, false);
}

static void send_text(uint32_t number, const char *text)
{
	char key[16];

	snprintf(key, sizeof key, "%u", (unsigned)number);
	say(SOURCE_BEGIN, (struct source_event){.number = number});
	say(SOURCE_CHUNK,
	    (struct source_event){.bytes = (const unsigned char *)text, .len = strlen(text)});
	say(SOURCE_END, (struct source_event){.number = number, .key = key});
}

static void send(uint32_t number)
{
	send_text(number, "Subject: x\r\n\r\nx\r\n");
}

static void on_last(void *ctx, struct batch *batch)
{
	(void)ctx;
	ck_assert_int_eq(batch_err(batch)->kind, ERR_NONE);
	batch_free(&batch);
}

START_TEST(fetched_delivered_removed)
{
	begin(false, false);
	ck_assert_int_eq(collect_at(collect), COLLECT_READY);
	list(2);
	send(1);
	send(2);
	say_done(SOURCE_VERB_FETCH, false);
	ck_assert_int_eq(collect_at(collect), COLLECT_SETTLING);
	loop_run(loop);
	ck_assert_int_eq(collect_at(collect), COLLECT_SETTLED);
	ck_assert_uint_eq(progress, 4);
	collect_remove(collect, &source);
	ck_assert_ptr_nonnull(strstr(journal, "select:INBOX! list:1 fetch:1,2 "));
	ck_assert_ptr_nonnull(strstr(journal, "remove:1,2 "));
	say_done(SOURCE_VERB_REMOVE, false);
	ck_assert_int_eq(collect_at(collect), COLLECT_DONE);
	loop_run(loop);
}
END_TEST

/* The disk fails while the server goes on talking: what it says must not cover that up, or the
 * visit would end as if all were well. */
START_TEST(a_failure_stays_a_failure)
{
	begin(false, false);
	list(3);
	send(1);
	spy.fails = "flush";
	collect_close(collect, false);
	loop_run(loop);
	ck_assert_int_eq(collect_at(collect), COLLECT_FAILED);
	ck_assert_int_eq(collect_err(collect)->kind, ERR_MAIL);
	ck_assert(!say(SOURCE_GONE, (struct source_event){.number = 2, .key = "2"}));
	ck_assert(!say_done(SOURCE_VERB_FETCH, false));
	ck_assert_int_eq(collect_at(collect), COLLECT_FAILED);
	collect_start(collect, &source, "");
	ck_assert_int_eq(collect_at(collect), COLLECT_FAILED);
	loop_run(loop);
}
END_TEST

START_TEST(a_mailbox_that_is_refused_is_done)
{
	begin(true, false);
	collect_start(collect, &source, "Received: from host");
	ck_assert(say(SOURCE_DONE, (struct source_event){.verb = SOURCE_VERB_SELECT,
							 .refused = true,
							 .code = "NONEXISTENT"}));
	ck_assert_int_eq(told.kind, ERR_TEMPORARY);
	ck_assert_ptr_nonnull(strstr(told.words, "INBOX"));
	ck_assert_ptr_nonnull(strstr(told.words, "mailboxes"));
	ck_assert(say_done(SOURCE_VERB_LIST, false));
	ck_assert_int_eq(collect_at(collect), COLLECT_DONE);
	ck_assert_ptr_null(collect_last_batch(collect, true));
	loop_run(loop);
}
END_TEST

/* With keep: false a visit also removes what it fetches. */
START_TEST(test_counts_what_a_visit_would_remove)
{
	for (int keep = 0; keep < 2; keep++) {
		begin(keep, true);
		list(5);
		ck_assert_int_eq(collect_at(collect), COLLECT_DONE);
		ck_assert_uint_eq(collect_counts(collect)->fresh, 5);
		ck_assert_uint_eq(collect_counts(collect)->removable, keep ? 0 : 5);
		ck_assert_ptr_null(strstr(journal, "!"));
		ck_assert_ptr_null(strstr(journal, "fetch"));
		loop_run(loop);
		collect_free(&collect);
	}
}
END_TEST

/* POP3: the server confirms the removal of two messages and has both keys the next time; behind one
 * of them stands another message. */
START_TEST(what_was_removed_and_is_still_there_is_not_delivered_again)
{
	keys_return = true;
	for (int visit = 0; visit < 2; visit++) {
		struct batch *last;

		begin(false, false);
		list(2);
		send_text(1, "Message-ID: <1@x>\r\n\r\nx\r\n");
		send_text(2, visit ? "Message-ID: <3@x>\r\n\r\nx\r\n"
				   : "Message-ID: <2@x>\r\n\r\nx\r\n");
		say_done(SOURCE_VERB_FETCH, false);
		loop_run(loop);
		ck_assert_int_eq(collect_at(collect), COLLECT_SETTLED);
		ck_assert_uint_eq(collect_counts(collect)->delivered, visit ? 1 : 2);
		ck_assert(!visit || strstr(told.words, "still has message 1"));
		*journal = '\0';
		collect_remove(collect, &source);
		ck_assert_ptr_nonnull(strstr(journal, "remove:1,2 "));
		say(SOURCE_REMOVED, (struct source_event){.number = 1, .key = "1"});
		say(SOURCE_REMOVED, (struct source_event){.number = 2, .key = "2"});
		say_done(SOURCE_VERB_REMOVE, false);
		last = collect_last_batch(collect, true);
		batch_commit(last, on_last, NULL);
		loop_run(loop);
		collect_free(&collect);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("collect");
	TCase *tests = tcase_create("collect");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, fetched_delivered_removed);
	tcase_add_test(tests, a_failure_stays_a_failure);
	tcase_add_test(tests, a_mailbox_that_is_refused_is_done);
	tcase_add_test(tests, test_counts_what_a_visit_would_remove);
	tcase_add_test(tests, what_was_removed_and_is_still_there_is_not_delivered_again);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
