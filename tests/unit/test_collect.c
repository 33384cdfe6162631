/*
 * test_collect: what a mailbox of a visit makes of events that come at an awkward moment. The
 * server is a fake source; the state, the committer and the Maildir are real.
 */
#include "session/collect.h"

#include "commit_fixture.h"
#include "proto/source_ops.h"

static struct collect *collect;
static struct source source;
static struct err told;
static int steps;
static uint64_t progress; /* each message moves it when it is fetched, and when it is delivered */

static void do_select(struct source *unused, const char *mailbox, bool writing)
{
	(void)unused;
	note("select:%s%s ", mailbox, writing ? "!" : "");
}

static void do_list(struct source *unused, uint32_t from, unsigned wants)
{
	(void)unused;
	note("list:%u%s ", (unsigned)from, wants & SOURCE_LIST_SIZES ? "s" : "");
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

static void do_headers(struct source *unused, const struct source_set *set)
{
	(void)unused;
	do_set("headers", set);
}

static void do_present(struct source *unused, const struct source_set *set)
{
	(void)unused;
	do_set("present", set);
}

static void do_remove(struct source *unused, const struct source_set *set)
{
	(void)unused;
	do_set("remove", set);
}

static const struct source_ops source_ops = {.select = do_select,
					     .list = do_list,
					     .fetch = do_fetch,
					     .headers = do_headers,
					     .present = do_present,
					     .remove = do_remove};

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

static void (*at_first_delivery)(void *ctx);

static void on_progress(void *ctx)
{
	void (*first)(void *ctx) = at_first_delivery;

	progress++;
	if (!first || !collect_counts(collect)->delivered)
		return;
	at_first_delivery = NULL;
	loop_defer(loop, first, ctx);
}

static void begin_as(struct collect_params how)
{
	how.key = (struct state_key){
	    .protocol = "imap", .user = "lee", .host = "host", .mailbox = "INBOX"};
	ck_good(state_mailbox(state, &how.key, &box, &err));
	err_clear(&told);
	progress = 0;
	how.loop = loop;
	how.committer = committer;
	how.state = state;
	how.mailbox = box;
	how.sink = how.look_only || how.mark_all ? NULL : &spy.sink;
	how.max_attempts = 3;
	how.on_step = on_step;
	how.on_problem = on_problem;
	how.on_progress = on_progress;
	collect = collect_new(&how);
	loop_run(loop);
}

static void begin(bool keep, bool look_only)
{
	begin_as(
	    (struct collect_params){.retention = {.keep = keep ? RETENTION_KEEP : RETENTION_REMOVE},
				    .look_only = look_only});
}

static void last_done(void *ctx, struct batch *batch)
{
	(void)ctx;
	ck_assert_int_eq(batch_err(batch)->kind, ERR_NONE);
	batch_free(&batch);
}

static void setup(void)
{
	commit_setup();
	source = (struct source){.ops = &source_ops};
}

static void teardown(void)
{
	collect_free(&collect);
	commit_teardown();
}

static bool say(enum source_what what, struct source_event ev)
{
	ev.key = ev.key ? ev.key : "";
	ev.id = ev.id ? ev.id : "";
	ev.text = "words";
	ev.code = ev.code ? ev.code : "";
	return collect_event(collect, &source, what, &ev);
}

static bool say_done(enum source_verb verb, bool refused)
{
	return say(SOURCE_DONE, (struct source_event){.verb = verb, .refused = refused});
}

static void open_mailbox(uint32_t validity, uint32_t next)
{
	collect_start(collect, &source, "Received: from host");
	say(SOURCE_SELECTED,
	    (struct source_event){.validity = validity, .next = next, .exists = next - 1});
	say_done(SOURCE_VERB_SELECT, false);
}

/* Messages of so many octets, each. */
static void list_some(uint32_t first, uint32_t last, uint64_t octets, const char *id)
{
	char key[16];

	for (uint32_t i = first; i <= last; i++) {
		snprintf(key, sizeof key, "%u", (unsigned)i);
		say(SOURCE_LISTED,
		    (struct source_event){.number = i, .key = key, .octets = octets, .id = id});
	}
	say_done(SOURCE_VERB_LIST, false);
}

/* The mailbox is open and holds the messages 1 to count. */
static void list(uint32_t count)
{
	open_mailbox(7, count + 1);
	list_some(1, count, 0, "");
}

/* Whole, or its header: those with the same subject have the same digest. */
static void send_as(uint32_t number, const char *subject)
{
	char text[128];
	char key[16];

	snprintf(key, sizeof key, "%u", (unsigned)number);
	snprintf(text, sizeof text, "Message-ID: <%s>\r\n\r\nx\r\n", subject);
	say(SOURCE_BEGIN, (struct source_event){.number = number});
	say(SOURCE_CHUNK,
	    (struct source_event){.bytes = (const unsigned char *)text, .len = strlen(text)});
	say(SOURCE_END,
	    (struct source_event){.number = number, .key = key, .octets = strlen(text)});
}

static void send(uint32_t number)
{
	char subject[16];

	snprintf(subject, sizeof subject, "%u", (unsigned)number);
	send_as(number, subject);
}

/* The server removes what it was told to. */
static void removed_from_journal(void)
{
	char *at = strstr(journal, "remove:") + strlen("remove:");

	while (*at >= '0' && *at <= '9') {
		char key[16];

		snprintf(key, sizeof key, "%lu", strtoul(at, &at, 10));
		say(SOURCE_REMOVED, (struct source_event){.key = key});
		at += *at == ',';
	}
}

/* To the end of the mailbox: what is settled, removed, and what the last batch says. */
static void finish(void)
{
	struct batch *last;

	loop_run(loop);
	if (collect_at(collect) == COLLECT_SETTLED)
		collect_remove(collect, &source);
	if (collect_at(collect) == COLLECT_BUSY && strstr(journal, "remove:")) {
		removed_from_journal();
		say_done(SOURCE_VERB_REMOVE, false);
	}
	if (collect_at(collect) == COLLECT_BUSY)
		say_done(SOURCE_VERB_PRESENT, false);
	ck_assert_int_eq(collect_at(collect), COLLECT_DONE);
	loop_run(loop);
	last = collect_last_batch(collect, true);
	if (last) {
		batch_commit(last, last_done, NULL);
		loop_run(loop);
	}
	collect_free(&collect);
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

static void all_was_sent(void *ctx)
{
	(void)ctx;
	say_done(SOURCE_VERB_FETCH, false);
}

/* The last answer comes when the disk is done with all, and the collect has not told that yet. */
START_TEST(disk_and_server_are_done_at_once)
{
	enum { MANY = 2000 }; /* fill a batch */

	begin(false, false);
	list(MANY);
	at_first_delivery = all_was_sent;
	for (uint32_t i = 1; i <= MANY; i++)
		send(i);
	loop_run(loop);
	ck_assert_ptr_null(at_first_delivery);
	ck_assert_int_eq(collect_at(collect), COLLECT_SETTLED);
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
	for (int visit = 0; visit < 2; visit++) {
		begin_as((struct collect_params){.retention = {.keep = RETENTION_REMOVE},
						 .keys_return = true});
		*journal = '\0';
		open_mailbox(0, 0);
		list_some(1, 2, 0, "");
		send_as(1, "1");
		send_as(2, visit ? "3" : "2");
		say_done(SOURCE_VERB_FETCH, false);
		loop_run(loop);
		ck_assert_uint_eq(collect_counts(collect)->delivered, visit ? 1 : 2);
		ck_assert(!visit || strstr(told.words, "still has message 1"));
		finish();
		ck_assert_ptr_nonnull(strstr(journal, "remove:1,2 "));
	}
}
END_TEST

/* POP3: the second visit ends where the answers cannot be told apart. What it took is fetched
 * again, the settled and the one that was still to be settled; what the first visit took is not in
 * doubt. */
START_TEST(what_was_taken_in_doubt_is_forgotten)
{
	struct collect_params how = {.retention = {.keep = RETENTION_REMOVE}, .keys_return = true};
	struct batch *last;

	begin_as(how);
	open_mailbox(0, 0);
	list_some(1, 1, 0, "");
	send(1);
	say_done(SOURCE_VERB_FETCH, false);
	loop_run(loop);
	finish();
	begin_as(how);
	open_mailbox(0, 0);
	list_some(2, 3, 0, "");
	collect_doubt(collect);
	ck_assert_int_eq(told.kind, ERR_NONE);
	send(2);
	say_done(SOURCE_VERB_FETCH, false);
	loop_run(loop);
	send(3);
	collect_doubt(collect);
	ck_assert_ptr_nonnull(strstr(told.words, "fetched again next time"));
	collect_close(collect, false);
	loop_run(loop);
	ck_assert_int_eq(look_up(witness, box.id, 0, "2"), STATE_DELIVERED);
	last = collect_last_batch(collect, false);
	batch_commit(last, last_done, NULL);
	loop_run(loop);
	collect_free(&collect);
	ck_assert_int_eq(look_up(witness, box.id, 0, "1"), STATE_REMOVED);
	ck_assert_int_eq(look_up(witness, box.id, 0, "2"), 0);
	ck_assert_int_eq(look_up(witness, box.id, 0, "3"), 0);
}
END_TEST

/* ---- how long messages stay ---- */

#define DAY ((int64_t)24 * 60 * 60)

static void put_row(uint32_t validity, const char *key, struct state_row row)
{
	row.key = key;
	row.name = "";
	row.mark = row.mark ? row.mark : "";
	ck_good(state_begin(state, &err));
	ck_good(state_put(state, box.id, validity, &row, &err));
	ck_good(state_commit(state, &err));
}

static void put_delivered(uint32_t validity, const char *key, int64_t at)
{
	put_row(validity, key,
		(struct state_row){.is = STATE_DELIVERED, .taken = at, .changed = at});
}

static void put_mailbox(uint32_t validity, uint32_t next, int64_t checked)
{
	ck_good(state_begin(state, &err));
	ck_good(state_put_mailbox(state, box.id, validity, next, &err));
	ck_good(state_put_checked(state, box.id, 1, checked, &err));
	ck_good(state_commit(state, &err));
}

static const struct collect_params for_a_day = {
    .retention = {.keep = RETENTION_KEEP_FOR, .keep_for = DAY}};

START_TEST(what_is_due_is_removed_without_a_listing)
{
	int64_t now = time(NULL);

	put_mailbox(7, 10, now);
	put_delivered(7, "3", now - DAY - 1);
	put_delivered(7, "4", now - DAY + 100);
	put_delivered(7, "5", now + 100 * DAY); /* the clock was wrong */
	put_delivered(6, "6", now - 2 * DAY);	/* a number of another numbering */
	put_row(7, "7", (struct state_row){.is = STATE_SKIPPED, .taken = 1, .changed = 1});
	put_row(7, "8", (struct state_row){.is = STATE_QUARANTINED, .taken = 1, .changed = 1});
	begin_as(for_a_day);
	open_mailbox(7, 10);
	list_some(1, 0, 0, "");
	finish();
	ck_assert_ptr_nonnull(strstr(journal, "select:INBOX! list:10 "));
	ck_assert_ptr_nonnull(strstr(journal, "remove:3 "));
	ck_assert_int_eq(look_up(witness, box.id, 7, "3"), STATE_REMOVED);
	ck_assert_int_eq(look_up(witness, box.id, 7, "4"), STATE_DELIVERED);
}
END_TEST

START_TEST(nothing_due_is_read_only)
{
	int64_t now = time(NULL);
	bool due = true;
	struct retention retention = for_a_day.retention;

	put_mailbox(7, 10, now);
	put_delivered(7, "4", now - DAY + 100);
	ck_good(
	    state_mailbox(state, &(struct state_key){"imap", "lee", "host", "INBOX"}, &box, &err));
	ck_good(retention_due(state, &box, &retention, now, &due, &err));
	ck_assert(!due);
	ck_good(retention_due(state, &box, &retention, now + 200, &due, &err));
	ck_assert(due);
	retention.keep = RETENTION_REMOVE;
	ck_good(retention_due(state, &box, &retention, now, &due, &err));
	ck_assert(due);
	retention.keep = RETENTION_KEEP;
	ck_good(retention_due(state, &box, &retention, now + 200, &due, &err));
	ck_assert(!due);
	ck_good(retention_due(state, &box, &retention, now + 30 * DAY, &due, &err));
	ck_assert(due);
	begin_as(for_a_day);
	open_mailbox(7, 10);
	list_some(1, 0, 0, "");
	finish();
	ck_assert_ptr_nonnull(strstr(journal, "select:INBOX list:10 "));
	ck_assert_ptr_null(strstr(journal, "remove"));
	ck_assert_ptr_null(strstr(journal, "present"));
}
END_TEST

/* ---- what is too large, or too much ---- */

static struct collect_params at_most(uint64_t octets)
{
	return (struct collect_params){.retention = {.max_size = octets}};
}

START_TEST(what_is_too_large_stays_until_it_is_not)
{
	begin_as(at_most(1000));
	open_mailbox(7, 4);
	list_some(1, 2, 1001, "");
	ck_assert_uint_eq(collect_counts(collect)->left, 2);
	ck_assert_ptr_nonnull(strstr(told.words, "2 messages are larger than max_size"));
	ck_assert_ptr_nonnull(strstr(journal, "list:1s "));
	finish();
	ck_assert_int_eq(look_up(witness, box.id, 7, "2"), STATE_OVERSIZE);

	*journal = '\0';
	begin_as(at_most(1000));
	open_mailbox(7, 4);
	list_some(1, 0, 0, "");
	ck_assert_uint_eq(collect_counts(collect)->left, 0);
	ck_assert_int_eq(told.kind, ERR_NONE);
	ck_assert_str_eq(told.words, "");
	finish();
	ck_assert_ptr_null(strstr(journal, "fetch"));

	begin_as(at_most(2000));
	open_mailbox(7, 4);
	list_some(1, 0, 0, "");
	ck_assert_ptr_nonnull(strstr(journal, "fetch:1,2 "));
	send(1);
	say(SOURCE_GONE, (struct source_event){.number = 2, .key = "2"});
	say_done(SOURCE_VERB_FETCH, false);
	finish();
	ck_assert_int_eq(look_up(witness, box.id, 7, "1"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(witness, box.id, 7, "2"), STATE_OVERSIZE);

	*journal = '\0';
	begin_as(at_most(2000));
	ck_assert_uint_eq(box.next, 4);
	open_mailbox(7, 4);
	list_some(1, 0, 0, "");
	finish();
	ck_assert_ptr_null(strstr(journal, "fetch"));
}
END_TEST

/* The server told a smaller size, or none. */
START_TEST(too_large_in_the_middle)
{
	begin_as(at_most(20));
	open_mailbox(7, 3);
	list_some(1, 2, 5, "");
	send(1);
	say_done(SOURCE_VERB_FETCH, false);
	ck_assert_uint_eq(collect_counts(collect)->left, 1);
	finish();
	ck_assert_int_eq(look_up(witness, box.id, 7, "1"), STATE_OVERSIZE);
	ck_assert_int_eq(look_up(witness, box.id, 7, "2"), 0);
	ck_assert_ptr_null(strstr(journal, "place"));
}
END_TEST

START_TEST(no_more_than_allowed)
{
	uint32_t allowance = 3;

	begin_as((struct collect_params){.allowance = &allowance});
	list(5);
	ck_assert_ptr_nonnull(strstr(journal, "fetch:1,2,3 "));
	ck_assert_uint_eq(allowance, 0);
	ck_assert_uint_eq(collect_counts(collect)->put_off, 2);
	for (uint32_t i = 1; i <= 3; i++)
		send(i);
	say_done(SOURCE_VERB_FETCH, false);
	finish();
	begin(true, true);
	ck_assert_uint_eq(box.next, 4);
	list(5);
	ck_assert_uint_eq(collect_counts(collect)->fresh, 2);
}
END_TEST

/* ---- a first run, and what counts as known ---- */

START_TEST(a_first_run_that_skips_lists_nothing)
{
	begin_as((struct collect_params){.first_skip = true});
	open_mailbox(7, 100);
	ck_assert_uint_eq(collect_counts(collect)->skipped, 99);
	finish();
	ck_assert_ptr_null(strstr(journal, "list"));
	/* The account's visit failed elsewhere: what arrived meanwhile is collected. */
	begin_as((struct collect_params){.first_skip = true});
	ck_assert_uint_eq(box.next, 100);
	ck_assert_int_gt(box.begun, 0);
	open_mailbox(7, 101);
	list_some(100, 100, 0, "");
	ck_assert_ptr_nonnull(strstr(journal, "list:100 fetch:100 "));
}
END_TEST

START_TEST(without_uidnext_a_first_run_lists)
{
	begin_as((struct collect_params){.first_skip = true});
	collect_start(collect, &source, "");
	say(SOURCE_SELECTED, (struct source_event){.validity = 7, .exists = 3});
	say_done(SOURCE_VERB_SELECT, false);
	list_some(4, 6, 0, "");
	finish();
	ck_assert_ptr_nonnull(strstr(journal, "list:1 "));
	ck_assert_ptr_null(strstr(journal, "fetch"));
	begin(true, true);
	ck_assert_uint_eq(box.next, 7);
}
END_TEST

START_TEST(mark_all_leaves_what_is_unfinished)
{
	put_mailbox(7, 10, time(NULL));
	put_delivered(7, "3", 1);
	put_row(7, "9", (struct state_row){.is = STATE_WAITING, .taken = 1, .changed = 1});
	begin_as(
	    (struct collect_params){.mark_all = true, .retention = {.keep = RETENTION_REMOVE}});
	open_mailbox(7, 20);
	finish();
	ck_assert_str_eq(journal, "select:INBOX ");
	ck_assert_int_eq(look_up(witness, box.id, 7, "9"), STATE_WAITING);
	begin(true, true);
	ck_assert_uint_eq(box.next, 20);
}
END_TEST

/* ---- other numberings ---- */

START_TEST(known_by_the_header)
{
	struct collect_counts counts;

	begin(true, false);
	list(3);
	for (uint32_t i = 1; i <= 3; i++)
		send(i);
	say_done(SOURCE_VERB_FETCH, false);
	finish();
	*journal = '\0';

	begin_as(
	    (struct collect_params){.retention = {.keep = RETENTION_KEEP_FOR, .keep_for = DAY}});
	open_mailbox(8, 50);
	say_done(SOURCE_VERB_LIST, false);
	list_some(41, 44, 0, "");
	ck_assert_ptr_nonnull(strstr(journal, "list:4 list:1 headers:41,42,43,44 "));
	send_as(41, "3");
	send_as(42, "new");
	say(SOURCE_GONE, (struct source_event){.number = 43, .key = "43"});
	send_as(44, "1");
	say_done(SOURCE_VERB_HEADERS, false);
	ck_assert_ptr_nonnull(strstr(journal, "fetch:42 "));
	send_as(42, "new");
	say_done(SOURCE_VERB_FETCH, false);
	counts = *collect_counts(collect);
	ck_assert_uint_eq(counts.recognised, 2);
	ck_assert_uint_eq(counts.fetched, 1);
	ck_assert_ptr_nonnull(strstr(told.words, " 2 were recognised"));
	ck_assert_ptr_nonnull(strstr(told.words, ", 1 were fetched"));
	finish();
	ck_assert_int_eq(look_up(witness, box.id, 8, "41"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(witness, box.id, 8, "44"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(witness, box.id, 8, "42"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(witness, box.id, 7, "1"), 0);
	ck_assert_int_eq(look_up(witness, box.id, 7, "2"), STATE_DELIVERED);
}
END_TEST

/* Where only headers cannot be had, they come with the messages. */
START_TEST(known_although_headers_are_refused)
{
	put_mailbox(7, 4, time(NULL));
	begin(true, false);
	list(2);
	collect_free(&collect);
	begin(true, false);
	open_mailbox(7, 6);
	list_some(4, 5, 0, "");
	send_as(4, "a");
	send_as(5, "b");
	say_done(SOURCE_VERB_FETCH, false);
	finish();
	begin(true, false);
	open_mailbox(9, 3);
	say_done(SOURCE_VERB_LIST, false);
	list_some(1, 2, 0, "");
	say_done(SOURCE_VERB_HEADERS, true);
	send_as(1, "a");
	send_as(2, "c");
	say_done(SOURCE_VERB_FETCH, false);
	ck_assert_uint_eq(collect_counts(collect)->recognised, 1);
	ck_assert_uint_eq(collect_counts(collect)->fetched, 1);
	finish();
}
END_TEST

START_TEST(known_by_the_servers_id)
{
	put_row(7, "2", (struct state_row){.is = STATE_DELIVERED, .changed = 5, .mark = "Ex d"});
	put_mailbox(7, 10, time(NULL));
	begin(false, false);
	open_mailbox(8, 5);
	say_done(SOURCE_VERB_LIST, false);
	list_some(4, 4, 0, "Ex");
	ck_assert_ptr_null(strstr(journal, "headers"));
	ck_assert_ptr_null(strstr(journal, "fetch"));
	finish();
	ck_assert_ptr_nonnull(strstr(journal, "remove:4 "));
	ck_assert_int_eq(look_up(witness, box.id, 8, "4"), STATE_REMOVED);
}
END_TEST

/* At Gmail each label is a mailbox. */
START_TEST(known_in_another_mailbox)
{
	struct state_key key = {"imap", "lee", "host", "Label"};
	struct state_mailbox label;
	struct state_row row = {
	    .key = "9", .is = STATE_DELIVERED, .name = "", .mark = "G5 digest", .changed = 1};

	ck_good(state_mailbox(state, &key, &label, &err));
	ck_good(state_begin(state, &err));
	ck_good(state_put(state, label.id, 3, &row, &err));
	row.key = "10";
	row.is = STATE_WAITING;
	row.mark = "G6";
	ck_good(state_put(state, label.id, 3, &row, &err));
	ck_good(state_commit(state, &err));
	begin(false, false);
	open_mailbox(7, 5);
	say(SOURCE_LISTED, (struct source_event){.number = 1, .key = "1", .id = "G5"});
	say(SOURCE_LISTED, (struct source_event){.number = 2, .key = "2", .id = "G6"});
	say(SOURCE_LISTED, (struct source_event){.number = 3, .key = "3", .id = "G55"});
	say_done(SOURCE_VERB_LIST, false);
	ck_assert_ptr_nonnull(strstr(journal, "fetch:3 "));
	send(3);
	say_done(SOURCE_VERB_FETCH, false);
	finish();
	ck_assert_ptr_nonnull(strstr(journal, "remove:1,3 "));
	ck_assert_int_eq(look_up(witness, box.id, 7, "2"), STATE_SKIPPED);
}
END_TEST

START_TEST(another_host_is_recognised_and_its_rows_move)
{
	struct state_key key = {"imap", "lee", "old", "INBOX"};
	struct state_mailbox old;
	bool found;

	begin(true, false);
	list(2);
	send(1);
	send(2);
	say_done(SOURCE_VERB_FETCH, false);
	finish();
	ck_good(state_mailbox(state, &key, &old, &err));
	begin_as((struct collect_params){.inherits = old.id, .first_skip = true});
	collect_free(&collect);
	/* What is adopted is this test's INBOX, into one at another host. */
	key.host = "new";
	begin_as((struct collect_params){.retention = {.keep = RETENTION_KEEP}});
	collect_free(&collect);
	ck_good(state_mailbox(state, &key, &old, &err));
	collect = collect_new(&(struct collect_params){.loop = loop,
						       .committer = committer,
						       .state = state,
						       .key = key,
						       .mailbox = old,
						       .sink = &spy.sink,
						       .max_attempts = 3,
						       .first_skip = true,
						       .inherits = box.id,
						       .on_step = on_step,
						       .on_problem = on_problem,
						       .on_progress = on_progress});
	loop_run(loop);
	open_mailbox(7, 4);
	list_some(2, 3, 0, "");
	send_as(2, "2");
	send_as(3, "other");
	say_done(SOURCE_VERB_HEADERS, false);
	ck_assert_ptr_nonnull(strstr(journal, "headers:2,3 fetch:3 "));
	send_as(3, "other");
	say_done(SOURCE_VERB_FETCH, false);
	finish();
	ck_assert_int_eq(look_up(witness, old.id, 7, "2"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(witness, old.id, 0, "1"), STATE_DELIVERED);
	ck_assert_int_eq(look_up(witness, box.id, 7, "1"), 0);
	key.host = "host";
	ck_good(state_known_mailbox(state, &key, &found, &box, &err));
	ck_assert_uint_eq(box.next, 1);
	ck_assert_int_eq(box.begun, 0);
}
END_TEST

/* ---- what vanished ---- */

START_TEST(once_a_month_it_is_looked_for)
{
	int64_t now = time(NULL);

	put_mailbox(7, 10, now - 30 * DAY);
	put_delivered(7, "3", 1);
	put_delivered(7, "8", 1);
	put_delivered(7, "5", 1);
	put_row(7, "1",
		(struct state_row){.is = STATE_REMOVED, .changed = 1, .gone = now - 31 * DAY});
	begin(true, false);
	open_mailbox(7, 10);
	list_some(1, 0, 0, "");
	loop_run(loop);
	collect_remove(collect, &source);
	ck_assert_int_eq(collect_at(collect), COLLECT_BUSY);
	ck_assert_ptr_nonnull(strstr(journal, "present:3,5,8 "));
	say(SOURCE_GONE, (struct source_event){.number = 5, .key = "5"});
	finish();
	begin(true, true);
	ck_assert_int_ge(box.checked, now);
	ck_assert_int_eq(look_up(witness, box.id, 7, "1"), 0);
	ck_assert_int_eq(look_up(witness, box.id, 7, "5"), STATE_DELIVERED);
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
	tcase_add_test(tests, disk_and_server_are_done_at_once);
	tcase_add_test(tests, a_failure_stays_a_failure);
	tcase_add_test(tests, a_mailbox_that_is_refused_is_done);
	tcase_add_test(tests, test_counts_what_a_visit_would_remove);
	tcase_add_test(tests, what_was_removed_and_is_still_there_is_not_delivered_again);
	tcase_add_test(tests, what_was_taken_in_doubt_is_forgotten);
	tcase_add_test(tests, what_is_due_is_removed_without_a_listing);
	tcase_add_test(tests, nothing_due_is_read_only);
	tcase_add_test(tests, what_is_too_large_stays_until_it_is_not);
	tcase_add_test(tests, too_large_in_the_middle);
	tcase_add_test(tests, no_more_than_allowed);
	tcase_add_test(tests, a_first_run_that_skips_lists_nothing);
	tcase_add_test(tests, without_uidnext_a_first_run_lists);
	tcase_add_test(tests, mark_all_leaves_what_is_unfinished);
	tcase_add_test(tests, known_by_the_header);
	tcase_add_test(tests, known_although_headers_are_refused);
	tcase_add_test(tests, known_by_the_servers_id);
	tcase_add_test(tests, known_in_another_mailbox);
	tcase_add_test(tests, another_host_is_recognised_and_its_rows_move);
	tcase_add_test(tests, once_a_month_it_is_looked_for);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
