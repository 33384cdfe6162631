/*
 * test_walk: which mailboxes a visit opens, in what order, and which it leaves out. The server is a
 * fake source; the state, the committer and the Maildirs are real.
 */
#include "session/walk.h"

#include "commit_fixture.h"
#include "proto/source_ops.h"

static struct walk *walk;
static struct source source;
static struct session_params session;
static struct err told;
static unsigned problems;
static bool over;

static void note_names(const char *verb, const char *const *names, size_t count)
{
	note("%s:", verb);
	for (size_t i = 0; i < count; i++)
		note("%s%s", i ? "," : "", names[i]);
	note(" ");
}

static void do_mailboxes(struct source *unused, const char *const *items, size_t count)
{
	(void)unused;
	note_names("mailboxes", items, count);
}

static void do_status(struct source *unused, const char *const *names, size_t count)
{
	(void)unused;
	note_names("status", names, count);
}

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

static void do_set(struct source *unused, const struct source_set *set)
{
	(void)unused;
	note("set:%zu ", set->count);
}

static const struct source_ops source_ops = {.mailboxes = do_mailboxes,
					     .status = do_status,
					     .select = do_select,
					     .list = do_list,
					     .fetch = do_set,
					     .remove = do_set};

static void follow(void)
{
	bool now;

	ck_assert_int_eq(walk_follow(walk, &source, &now, &err), WALK_FINE);
	over |= now;
}

static void on_step(void *ctx)
{
	(void)ctx;
	ck_assert_ptr_null(walk_err(walk));
	follow();
}

static void on_problem(void *ctx, const struct err *problem)
{
	(void)ctx;
	told = *problem;
	problems++;
}

static void on_progress(void *ctx)
{
	(void)ctx;
}

static struct sink *make_sink(const struct session_sinks *sinks, const char *mailbox,
			      struct err *problem)
{
	(void)sinks;
	(void)problem;
	note("sink:%s ", mailbox);
	return maildir_new(&(struct maildir_params){
	    .path = at("%s", mailbox), .identity = "", .fresh = state_identity(state)});
}

#define BEGIN(...) begin((const char *const[]){__VA_ARGS__, NULL})

/* A visit of an account with these mailboxes, up to the login. */
static void begin(const char *const *items)
{
	session.mailboxes = items;
	for (session.mailbox_count = 0; items[session.mailbox_count];)
		session.mailbox_count++;
	*journal = '\0';
	problems = 0;
	over = false;
	walk = walk_new(&(struct walk_params){.session = &session,
					      .on_step = on_step,
					      .on_problem = on_problem,
					      .on_progress = on_progress});
	ck_assert_int_eq(walk_prepare(walk, &err), WALK_FINE);
	loop_run(loop);
	ck_assert(walk_prepared(walk));
	walk_begin(walk, &source, "Received: from host", "IMAP4rev1");
}

static void setup(void)
{
	commit_setup();
	source = (struct source){.ops = &source_ops};
	session = (struct session_params){.loop = loop,
					  .committer = committer,
					  .state = state,
					  .account = "box",
					  .protocol = "imap",
					  .user = "lee",
					  .conn = {.host = "host"},
					  .sinks = {.make = make_sink},
					  .keep = true,
					  .max_attempts = 3};
}

static void finish(void)
{
	loop_run(loop);
	ck_assert(walk_idle(walk));
	walk_free(&walk);
}

static void teardown(void)
{
	walk_free(&walk);
	commit_teardown();
}

static enum walk_is say(enum source_what what, struct source_event ev)
{
	ev.key = ev.key ? ev.key : "";
	ev.text = ev.text ? ev.text : "words";
	ev.code = "";
	ev.name = ev.name ? ev.name : "";
	ev.served = ev.served ? ev.served : ev.name;
	ev.wire = ev.wire ? ev.wire : ev.name;
	ev.attributes = ev.attributes ? ev.attributes : "";
	return walk_event(walk, &source, what, &ev, &err);
}

static void done(enum source_verb verb)
{
	ck_assert_int_eq(say(SOURCE_DONE, (struct source_event){.verb = verb}), WALK_FINE);
	follow();
	loop_run(loop);
}

static void mailbox(const char *name, uint32_t validity, uint32_t next)
{
	ck_assert_int_eq(say(SOURCE_MAILBOX,
			     (struct source_event){
				 .name = name, .validity = validity, .next = next, .exists = 5}),
			 WALK_FINE);
}

/* The mailbox that was opened has nothing. */
static void empty(uint32_t validity)
{
	say(SOURCE_SELECTED, (struct source_event){.validity = validity, .next = 1});
	done(SOURCE_VERB_SELECT);
	done(SOURCE_VERB_LIST);
}

static int64_t known(const char *name, uint32_t validity, uint32_t next)
{
	struct state_key key = {.protocol = "imap", .user = "lee", .host = "host", .mailbox = name};
	struct state_mailbox one;

	ck_good(state_mailbox(state, &key, &one, &err));
	ck_good(state_begin(state, &err));
	ck_good(state_put_mailbox(state, one.id, validity, next, &err));
	ck_good(state_commit(state, &err));
	return one.id;
}

/* What of the journal is about mailboxes, in order. */
static void happened(const char *expected)
{
	char seen[4096] = "";
	char *copy = strdup(journal);

	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		if (!strncmp(word, "mailboxes:", 10) || !strncmp(word, "status:", 7) ||
		    !strncmp(word, "select:", 7))
			snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", word);
	free(copy);
	ck_assert_str_eq(seen, expected);
}

START_TEST(only_inbox_goes_the_short_way)
{
	BEGIN("INBOX");
	happened("select:INBOX ");
	empty(7);
	ck_assert(over);
	finish();
}
END_TEST

START_TEST(in_the_order_of_the_list)
{
	BEGIN("Lists/*", "!Lists/noise", "INBOX", "Gone");
	happened("mailboxes:Lists/*,INBOX,Gone ");
	mailbox("Other", 7, 1);
	mailbox("INBOX", 7, 1);
	mailbox("Lists/noise", 7, 1);
	mailbox("Lists/b", 7, 1);
	mailbox("Lists/a", 7, 1);
	done(SOURCE_VERB_MAILBOXES);
	for (int i = 0; i < 4; i++) {
		ck_assert(!over);
		empty(7);
	}
	ck_assert(over);
	happened("mailboxes:Lists/*,INBOX,Gone select:Lists/a select:Lists/b select:INBOX "
		 "select:Gone ");
	finish();
}
END_TEST

START_TEST(quiet_ones_are_left_out)
{
	struct session_report report = {.mailbox_count = 0};

	known("quiet", 7, 5);
	known("behind", 7, 4);
	known("renewed", 7, 5);
	known("silent", 7, 5);
	BEGIN("*");
	mailbox("quiet", 7, 5);
	mailbox("behind", 7, 5);
	mailbox("renewed", 8, 5);
	mailbox("unknown", 7, 1);
	mailbox("silent", 7, 0);
	done(SOURCE_VERB_MAILBOXES);
	for (int i = 0; i < 4; i++)
		empty(7);
	ck_assert(over);
	happened("mailboxes:* select:behind select:renewed select:silent select:unknown ");
	walk_report(walk, &report);
	ck_assert_uint_eq(report.mailbox_count, 5);
	ck_assert_str_eq(report.mailboxes[1].name, "quiet");
	ck_assert(report.mailboxes[1].quiet && report.mailboxes[1].looked);
	ck_assert_uint_eq(report.mailboxes[1].counts.exists, 5);
	ck_assert(!report.mailboxes[0].quiet && report.mailboxes[0].looked);
	finish();
}
END_TEST

START_TEST(what_the_list_does_not_tell_is_asked_at_once)
{
	known("a", 7, 5);
	known("b", 7, 5);
	known("c", 7, 5);
	BEGIN("*");
	for (const char *name = "d\0c\0b\0a\0"; *name; name += 2)
		mailbox(name, 0, 0);
	done(SOURCE_VERB_MAILBOXES);
	happened("mailboxes:* status:c,b,a ");
	say(SOURCE_STATUS, (struct source_event){.name = "a", .validity = 7, .next = 5});
	say(SOURCE_STATUS, (struct source_event){.name = "nobody asked", .validity = 7});
	say(SOURCE_STATUS, (struct source_event){.name = "b", .refused = true, .text = "no"});
	say(SOURCE_STATUS, (struct source_event){.name = "c", .validity = 0, .next = 5});
	ck_assert_uint_eq(problems, 1);
	ck_assert_int_eq(told.kind, ERR_TEMPORARY);
	ck_assert_ptr_nonnull(strstr(told.words, "mailbox b"));
	ck_assert_str_eq(told.server, "no");
	done(SOURCE_VERB_STATUS);
	empty(7);
	empty(7);
	ck_assert(over);
	happened("mailboxes:* status:c,b,a select:c select:d ");
	finish();
}
END_TEST

START_TEST(one_alone_is_opened_unasked)
{
	known("a", 7, 5);
	BEGIN("a");
	mailbox("a", 0, 0);
	done(SOURCE_VERB_MAILBOXES);
	happened("mailboxes:a select:a ");
	empty(7);
	ck_assert(over);
	finish();
}
END_TEST

/* Removed from the server is what was delivered, though nothing new came. */
START_TEST(what_is_due_for_removal_is_work)
{
	struct state_row row = {.key = "3", .is = STATE_DELIVERED, .name = "x"};
	int64_t id = known("a", 7, 5);

	ck_good(state_begin(state, &err));
	ck_good(state_put(state, id, 7, &row, &err));
	ck_good(state_commit(state, &err));
	for (int keep = 0; keep < 2; keep++) {
		session.keep = keep;
		BEGIN("a");
		mailbox("a", 7, 5);
		done(SOURCE_VERB_MAILBOXES);
		happened(keep ? "mailboxes:a " : "mailboxes:a select:a! ");
		ck_assert(over == keep);
		walk_close(walk, false);
		finish();
	}
}
END_TEST

START_TEST(another_account_has_it)
{
	ck_good(state_claim(state, known("a", 7, 5), "other", &err));
	BEGIN("*");
	mailbox("a", 7, 9);
	mailbox("b", 7, 9);
	done(SOURCE_VERB_MAILBOXES);
	ck_assert_uint_eq(problems, 1);
	ck_assert_int_eq(told.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(told.words, "account \"other\""));
	happened("mailboxes:* select:b ");
	empty(7);
	ck_assert(over);
	finish();
}
END_TEST

START_TEST(another_mailhaul_has_it)
{
	struct state_lock *lock = state_lock(state, known("a", 7, 5), &err);
	bool now;

	ck_assert_ptr_nonnull(lock);
	BEGIN("*");
	mailbox("a", 7, 9);
	ck_assert_int_eq(say(SOURCE_DONE, (struct source_event){.verb = SOURCE_VERB_MAILBOXES}),
			 WALK_FINE);
	ck_assert_int_eq(walk_follow(walk, &source, &now, &err), WALK_BUSY);
	state_unlock(&lock);
	finish();
}
END_TEST

START_TEST(a_refused_list_ends_the_visit)
{
	BEGIN("*");
	ck_assert_int_eq(
	    say(SOURCE_DONE, (struct source_event){.verb = SOURCE_VERB_MAILBOXES, .refused = true}),
	    WALK_FAILED);
	ck_assert_int_eq(err.kind, ERR_TEMPORARY);
	ck_assert_str_eq(err.server, "words");
	finish();
}
END_TEST

/* Names that cannot be used are not opened; what matches nothing is known to the report. */
START_TEST(left_alone_and_unmatched)
{
	struct session_report report = {.mailbox_count = 0};

	BEGIN("*", "Lits/*", "\\Archive", "!x");
	say(SOURCE_MAILBOX, (struct source_event){.name = "bad", .refused = true});
	done(SOURCE_VERB_MAILBOXES);
	ck_assert(over);
	ck_assert_uint_eq(problems, 1);
	ck_assert_ptr_nonnull(strstr(told.words, "\\Archive"));
	walk_report(walk, &report);
	ck_assert_uint_eq(report.mailbox_count, 0);
	ck_assert_uint_eq(report.unmatched_count, 3);
	ck_assert_str_eq(report.unmatched[0], "Lits/*");
	finish();
}
END_TEST

/* A look makes no entries, locks nothing, and shows what is quiet, too. */
START_TEST(a_look)
{
	struct state_key key = {
	    .protocol = "imap", .user = "lee", .host = "host", .mailbox = "new"};
	struct state_mailbox one;
	bool found = true;

	session.look_only = true;
	known("a", 7, 5);
	BEGIN("*");
	mailbox("a", 7, 5);
	mailbox("new", 7, 5);
	done(SOURCE_VERB_MAILBOXES);
	happened("mailboxes:* select:new ");
	ck_assert_ptr_null(strstr(journal, "sink:"));
	empty(7);
	ck_assert(over);
	ck_good(state_known_mailbox(state, &key, &found, &one, &err));
	ck_assert(!found);
	finish();
}
END_TEST

/* Two thousand with news: few are open at a time, and none is forgotten. */
START_TEST(many_are_opened_one_after_the_other)
{
	enum { MANY = 2000 };
	struct session_report report = {.mailbox_count = 0};
	size_t open = 0;

	session.look_only = true;
	BEGIN("*");
	for (int i = 0; i < MANY; i++) {
		char name[16];

		snprintf(name, sizeof name, "%04d", i);
		mailbox(name, 7, 9);
	}
	done(SOURCE_VERB_MAILBOXES);
	for (int i = 0; i < MANY; i++) {
		ck_assert(!over);
		*journal = '\0';
		empty(7);
	}
	ck_assert(over);
	ck_assert(walk_idle(walk));
	walk_report(walk, &report);
	ck_assert_uint_eq(report.mailbox_count, MANY);
	for (size_t i = 0; i < MANY; i++)
		open += report.mailboxes[i].looked;
	ck_assert_uint_eq(open, MANY);
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("walk");
	TCase *tests = tcase_create("walk");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, only_inbox_goes_the_short_way);
	tcase_add_test(tests, in_the_order_of_the_list);
	tcase_add_test(tests, quiet_ones_are_left_out);
	tcase_add_test(tests, what_the_list_does_not_tell_is_asked_at_once);
	tcase_add_test(tests, one_alone_is_opened_unasked);
	tcase_add_test(tests, what_is_due_for_removal_is_work);
	tcase_add_test(tests, another_account_has_it);
	tcase_add_test(tests, another_mailhaul_has_it);
	tcase_add_test(tests, a_refused_list_ends_the_visit);
	tcase_add_test(tests, left_alone_and_unmatched);
	tcase_add_test(tests, a_look);
	tcase_add_test(tests, many_are_opened_one_after_the_other);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
