/*
 * test_batch: the order of the commit protocol, every step of it failing, and recovery.
 */
#include "session/batch.h"

#include "commit_fixture.h"

#include <glob.h>

static int ended;

static void done(void *ctx, struct batch *batch)
{
	(void)batch;
	if (ctx)
		note("done:%s ", (const char *)ctx);
	ended++;
}

static struct batch *begun(struct spy *s)
{
	struct batch_params params = params_of(s);

	return batch_new(&params);
}

static void take(struct batch *batch, struct spy *s, const char *name, uint32_t number)
{
	struct letter *letter =
	    letter_new(&(struct letter_params){.directory = spy_directory(&s->sink),
					       .path = "tmp",
					       .name = name,
					       .received = "Received: here\n"},
		       &err);
	struct state_row row = {.key = name, .taken = 5, .changed = 5, .mark = "m"};

	ck_good(letter != NULL);
	ck_good(letter_write(letter, "From: x\r\n\r\n", 11, &err));
	ck_good(letter_end(letter, ID, 0, &err));
	batch_take(batch, &letter, number, &row, 1000);
	ck_assert_ptr_null(letter);
}

static void take_many(struct batch *batch, struct spy *s, const char *prefix, uint32_t count)
{
	for (uint32_t i = 1; i <= count; i++) {
		char name[32];

		snprintf(name, sizeof name, "L%s%03u", prefix, (unsigned)i);
		take(batch, s, name, i);
	}
}

static void commit(struct batch *batch)
{
	ended = 0;
	batch_commit(batch, done, NULL);
	loop_run(loop);
	ck_assert_int_eq(ended, 1);
}

static void commits(struct batch **batch)
{
	commit(*batch);
	ck_assert_msg(!batch_err(*batch)->kind, "%s", batch_err(*batch)->words);
	batch_free(batch);
}

static size_t files(const char *pattern)
{
	glob_t found;
	size_t count;

	if (glob(pattern, 0, NULL, &found))
		return 0;
	count = found.gl_pathc;
	globfree(&found);
	return count;
}

static void journal_is(const char *expected)
{
	ck_assert_str_eq(journal, expected);
}

/* ---- a commit ---- */

START_TEST(flushed_then_recorded_then_placed)
{
	struct batch *batch = begun(&spy);
	const struct batch_letter *letter;

	ck_assert(batch_empty(batch));
	take(batch, &spy, "La", 11);
	take(batch, &spy, "Lb", 12);
	ck_assert(!batch_empty(batch));
	commit(batch);
	journal_is("fsync:La fsync:Lb flush place:La=1 place:Lb=1 settle ");
	ck_assert_int_eq(batch_err(batch)->kind, ERR_NONE);
	ck_assert_uint_eq(batch_letters(batch), 2);
	letter = batch_letter(batch, 1);
	ck_assert_uint_eq(letter->number, 12);
	ck_assert_uint_eq(letter->validity, 7);
	ck_assert_int_eq(letter->came, BATCH_PLACED);
	ck_assert_str_eq(letter->row.key, "Lb");
	ck_assert_str_eq(letter->row.name, "Lb");
	ck_assert_uint_eq(letter->row.octets, 11);
	ck_assert_int_eq(letter->row.is, STATE_TAKEN);
	ck_assert_int_eq(durable("La"), STATE_TAKEN);
	batch_free(&batch);
	ck_assert(exists(at("Mail/new/La")) && exists(at("Mail/new/Lb")));
	ck_assert_uint_eq(files(at("Mail/tmp/*")), 0);
}
END_TEST

START_TEST(what_was_never_committed_leaves_the_disk)
{
	struct batch *batch = begun(&spy);

	take_many(batch, &spy, "x", 40);
	ck_assert_uint_eq(files(at("Mail/tmp/L*")), 40);
	batch_free(&batch);
	ck_assert_ptr_null(batch);
	batch_free(&batch);
	ck_assert_uint_eq(files(at("Mail/tmp/L*")), 0);
}
END_TEST

static void refuses(struct batch *batch, enum err_kind kind)
{
	commit(batch);
	ck_assert_int_eq(batch_err(batch)->kind, kind);
	for (size_t i = 0; i < batch_letters(batch); i++)
		ck_assert_int_eq(durable(batch_letter(batch, i)->row.key), 0);
	ck_assert_ptr_null(strstr(journal, "place:"));
	batch_free(&batch);
}

START_TEST(a_record_that_fails_does_nothing_else)
{
	struct batch *batch = begun(&spy);

	take_many(batch, &spy, "x", 3);
	batch_mark(batch, 7, "old", STATE_DELIVERED);
	batch_discard(batch, "Lold");
	fill_the_disk();
	refuses(batch, ERR_STATE);
	ck_assert_ptr_null(strstr(journal, "discard:Lold"));
	limit(RLIM_INFINITY);
	batch = begun(&spy);
	take_many(batch, &spy, "y", 3);
	commits(&batch);
	ck_assert_int_eq(durable("Ly001"), STATE_TAKEN);
	ck_assert_uint_eq(files(at("Mail/new/L*")), 3);
}
END_TEST

static bool give(void *ctx, uint32_t validity, const struct state_row *row)
{
	batch_recover_row(ctx, validity, row);
	return true;
}

static struct batch *recovery(struct spy *s)
{
	struct batch *batch = begun(s);

	batch_recover(batch, MARK, 100);
	ck_good(state_each(state, box.id,
			   STATE_MASK(STATE_TAKEN) | STATE_MASK(STATE_HANDED) |
			       STATE_MASK(STATE_WAITING),
			   give, batch, &err));
	return batch;
}

START_TEST(a_flush_that_fails_leaves_nothing)
{
	for (int turn = 0; turn < 3; turn++) {
		struct batch *batch = begun(&spy);

		take_many(batch, &spy, "x", turn == 2 ? 40 : 3);
		fail_fsync = turn == 0;
		spy.fails = turn == 1 ? "flush" : NULL;
		fail_syncfs = turn == 2;
		refuses(batch, ERR_MAIL);
		ck_assert_uint_eq(files(at("Mail/*/L*")), 0);
	}
	fail_syncfs = false;
	{
		struct batch *batch = recovery(&spy);

		commits(&batch);
		batch = begun(&spy);
		take_many(batch, &spy, "y", 3);
		commits(&batch);
		ck_assert_uint_eq(files(at("Mail/new/L*")), 3);
	}
}
END_TEST

START_TEST(what_cannot_be_placed_is_stuck_until_recovery)
{
	struct batch *batch = begun(&spy);

	take_many(batch, &spy, "x", 3);
	spy.fails = "place";
	spy.fails_for = "Lx002";
	commit(batch);
	ck_assert_int_eq(batch_err(batch)->kind, ERR_NONE);
	ck_assert_int_eq(batch_letter(batch, 0)->came, BATCH_PLACED);
	ck_assert_int_eq(batch_letter(batch, 1)->came, BATCH_STUCK);
	ck_assert_int_eq(batch_letter(batch, 1)->err->kind, ERR_MAIL);
	ck_assert_int_eq(batch_letter(batch, 2)->came, BATCH_PLACED);
	batch_free(&batch);
	ck_assert_int_eq(durable("Lx002"), STATE_TAKEN);
	ck_assert(exists(at("Mail/tmp/Lx002")));

	/* Recovery that cannot place it either changes nothing. */
	batch = recovery(&spy);
	commit(batch);
	ck_assert_int_eq(batch_err(batch)->kind, ERR_MAIL);
	batch_free(&batch);
	ck_assert_int_eq(durable("Lx001"), STATE_TAKEN);
	ck_assert(exists(at("Mail/tmp/Lx002")));

	spy.fails = NULL;
	batch = recovery(&spy);
	ck_assert_uint_eq(batch_letters(batch), 3);
	commits(&batch);
	ck_assert(exists(at("Mail/new/Lx002")));
	ck_assert_int_eq(durable("Lx001"), STATE_DELIVERED);
	ck_assert_int_eq(durable("Lx002"), STATE_DELIVERED);
}
END_TEST

/* Another program empties tmp/ between the commit and the rename. Nobody but us moves letters from
 * there, so it has not arrived, however young its row is. */
START_TEST(what_vanishes_before_it_is_placed_is_nowhere)
{
	struct batch *batch = begun(&spy);

	take_many(batch, &spy, "x", 3);
	spy.vanishes = "Lx002";
	commit(batch);
	ck_assert_int_eq(batch_err(batch)->kind, ERR_NONE);
	ck_assert_int_eq(batch_letter(batch, 0)->came, BATCH_PLACED);
	ck_assert_int_eq(batch_letter(batch, 1)->came, BATCH_NOWHERE);
	ck_assert_int_eq(batch_letter(batch, 1)->err->kind, ERR_MAIL);
	ck_assert_int_eq(batch_letter(batch, 2)->came, BATCH_PLACED);
	batch_free(&batch);

	batch = begun(&spy);
	take_many(batch, &spy, "y", 2);
	spy.vanishes = "Ly001";
	spy.fails = "settle";
	commit(batch);
	ck_assert_int_eq(batch_letter(batch, 0)->came, BATCH_NOWHERE);
	ck_assert_int_eq(batch_letter(batch, 1)->came, BATCH_STUCK);
	batch_free(&batch);
}
END_TEST

START_TEST(what_is_not_settled_is_stuck)
{
	struct batch *batch = begun(&spy);

	take_many(batch, &spy, "x", 2);
	spy.fails = "settle";
	commit(batch);
	ck_assert_int_eq(batch_err(batch)->kind, ERR_NONE);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(batch_letter(batch, i)->came, BATCH_STUCK);
		ck_assert_int_eq(batch_letter(batch, i)->err->kind, ERR_MAIL);
	}
	batch_free(&batch);
	ck_assert_int_eq(durable("Lx001"), STATE_TAKEN);
}
END_TEST

START_TEST(many_letters_are_flushed_at_once)
{
	struct batch *batch = begun(&spy);

	take_many(batch, &spy, "x", 33);
	commit(batch);
	ck_assert_int_eq(strncmp(journal, "syncfs flush place:Lx001=1 place:Lx002=1 ", 41), 0);
	ck_assert_ptr_null(strstr(journal, "fsync:L"));
	batch_free(&batch);
	ck_assert_uint_eq(files(at("Mail/new/L*")), 33);
	*journal = '\0';
	batch = begun(&spy);
	take_many(batch, &spy, "y", 32);
	commits(&batch);
	ck_assert_ptr_null(strstr(journal, "syncfs"));
	ck_assert_ptr_nonnull(strstr(journal, "fsync:Ly032 flush "));
}
END_TEST

START_TEST(thousands_do_not_run_out_of_descriptors)
{
	struct batch *batch = begun(&spy);
	struct rlimit now = {.rlim_cur = 100, .rlim_max = 100};

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
	take_many(batch, &spy, "x", 900);
	commits(&batch);
	ck_assert_uint_eq(files(at("Mail/new/L*")), 900);
}
END_TEST

/* ---- several batches in one commit ---- */

/* Holds the committer in its flush until more batches wait behind it. */
static sem_t gate;

static struct batch *hold(void)
{
	struct batch *batch = begun(&spy);

	sem_init(&gate, 0, 0);
	take(batch, &spy, "Lgate", 1);
	spy.wait_in_flush = &gate;
	ended = 0;
	batch_commit(batch, done, NULL);
	while (!noted("flush"))
		usleep(1000);
	return batch;
}

static void release(struct batch *held, int count)
{
	*journal = '\0';
	spy.wait_in_flush = NULL;
	sem_post(&gate);
	loop_run(loop);
	ck_assert_int_eq(ended, count + 1);
	ck_assert_int_eq(batch_err(held)->kind, ERR_NONE);
	batch_free(&held);
}

START_TEST(batches_that_wait_are_committed_together)
{
	struct batch *held = hold();
	struct batch *one = begun(&spy);
	struct batch *two = begun(&spy2);
	const char *recorded;
	char first[] = "one";
	char second[] = "two";

	take(one, &spy, "La", 1);
	take(two, &spy2, "Lb", 1);
	batch_commit(one, done, first);
	batch_commit(two, done, second);
	release(held, 2);
	recorded = strstr(journal, "fsync:La");
	ck_assert_ptr_nonnull(recorded);
	ck_assert_str_eq(recorded, "fsync:La fsync:Lb flush flush place:La=1 settle place:Lb=1 "
				   "settle done:one done:two ");
	batch_free(&one);
	batch_free(&two);
}
END_TEST

START_TEST(one_that_fails_does_not_hurt_the_others)
{
	struct batch *held = hold();
	struct batch *one = begun(&spy2);
	struct batch *two = begun(&spy);

	spy2.fails = "flush";
	take(one, &spy2, "La", 1);
	take(two, &spy, "Lb", 1);
	batch_commit(one, done, NULL);
	batch_commit(two, done, NULL);
	release(held, 2);
	ck_assert_int_eq(batch_err(one)->kind, ERR_MAIL);
	ck_assert_int_eq(batch_err(two)->kind, ERR_NONE);
	ck_assert_int_eq(durable("La"), 0);
	ck_assert_int_eq(durable("Lb"), STATE_TAKEN);
	ck_assert(!exists(at("Other/tmp/La")) && exists(at("Mail/new/Lb")));
	batch_free(&one);
	batch_free(&two);
}
END_TEST

/* syncfs() vouches only for writes since its own descriptor was opened, and each sink has one. */
START_TEST(each_sink_is_flushed_by_a_descriptor_of_its_own)
{
	struct batch *held = hold();
	struct batch *one = begun(&spy);
	struct batch *two = begun(&spy2);
	const char *first;

	take_many(one, &spy, "a", 40);
	take_many(two, &spy2, "b", 40);
	batch_commit(one, done, NULL);
	batch_commit(two, done, NULL);
	release(held, 2);
	first = strstr(journal, "syncfs syncfs flush flush ");
	ck_assert_ptr_nonnull(first);
	ck_assert_uint_eq(files(at("Mail/new/La*")), 40);
	ck_assert_uint_eq(files(at("Other/new/Lb*")), 40);
	batch_free(&one);
	batch_free(&two);
}
END_TEST

/* The kernel tells a failed write once. Letters that waited meanwhile may be those that are lost,
 * even though the next flush says that all is well: nothing more goes there in this visit. */
START_TEST(after_a_failed_flush_a_sink_is_not_trusted_until_recovery)
{
	struct batch *one = begun(&spy);
	struct batch *before = begun(&spy);
	struct batch *other = begun(&spy2);

	take_many(one, &spy, "a", 40);
	take_many(before, &spy, "b", 40);
	take_many(other, &spy2, "o", 40);
	fail_syncfs = true;
	commit(one);
	ck_assert_int_eq(batch_err(one)->kind, ERR_MAIL);
	batch_free(&one);
	fail_syncfs = false;
	commit(before);
	ck_assert_int_eq(batch_err(before)->kind, ERR_MAIL);
	batch_free(&before);
	before = begun(&spy);
	take(before, &spy, "Lb001", 1);
	commit(before);
	ck_assert_int_eq(batch_err(before)->kind, ERR_MAIL);
	batch_free(&before);
	ck_assert_int_eq(durable("Lb001"), 0);
	ck_assert_uint_eq(files(at("Mail/*/L*")), 0);
	commits(&other);
	ck_assert_uint_eq(files(at("Other/new/Lo*")), 40);
	/* Rows go on. */
	before = begun(&spy);
	batch_put(before, 7, &(struct state_row){.key = "row", .is = STATE_SKIPPED});
	commits(&before);
	before = recovery(&spy);
	commits(&before);
	before = begun(&spy);
	take_many(before, &spy, "c", 40);
	commits(&before);
	ck_assert_uint_eq(files(at("Mail/new/Lc*")), 40);
}
END_TEST

/* ---- rows without letters ---- */

START_TEST(rows_marks_next_and_visit)
{
	struct batch *batch = begun(NULL);
	struct state_visit visit = {.tried = 42, .error = "words"};
	struct state_visit back;
	struct state_mailbox again;
	char key[] = "key";

	batch_put(batch, 7, &(struct state_row){.key = key, .is = STATE_SKIPPED});
	ck_assert(!batch_empty(batch));
	batch_put(batch, 7, &(struct state_row){.key = "other", .is = STATE_TAKEN});
	batch_mark(batch, 7, "other", STATE_DELIVERED);
	batch_next(batch, 99);
	batch_visit(batch, &visit);
	key[0] = 'x';
	visit.tried = 0;
	commits(&batch);
	ck_assert_int_eq(durable("key"), STATE_SKIPPED);
	ck_assert_int_eq(durable("other"), STATE_DELIVERED);
	ck_good(state_mailbox(state, &(struct state_key){"imap", "lee", "host", "INBOX"}, &again,
			      &err));
	ck_assert_uint_eq(again.next, 99);
	ck_assert_uint_eq(again.validity, 7);
	ck_good(state_visit(state, "imap", "lee", "host", &back, &err));
	ck_assert_int_eq(back.tried, 42);
	ck_assert_str_eq(back.error, "words");
}
END_TEST

START_TEST(an_empty_batch_is_done)
{
	struct batch *batch = begun(NULL);

	commits(&batch);
	journal_is("");
}
END_TEST

START_TEST(files_go_after_the_record_and_into_the_quarantine_before)
{
	struct batch *batch = begun(&spy);

	put(at("Mail/tmp/Lq"), "q", 0600);
	put(at("Mail/tmp/Ld"), "d", 0600);
	batch_put(batch, 7, &(struct state_row){.key = "Lq", .is = STATE_QUARANTINED});
	batch_put(batch, 7, &(struct state_row){.key = "Ld", .is = STATE_DELIVERED});
	batch_quarantine(batch, "Lq");
	batch_discard(batch, "Ld");
	batch_discard(batch, "Lnone");
	commits(&batch);
	journal_is("quarantine:Lq=0 discard:Ld=3 discard:Lnone=0 ");
	ck_assert(!exists(at("Mail/tmp/Ld")));
	*journal = '\0';
	batch = begun(&spy);
	batch_put(batch, 7, &(struct state_row){.key = "Lx", .is = STATE_QUARANTINED});
	batch_quarantine(batch, "Lx");
	spy.fails = "quarantine";
	commit(batch);
	ck_assert_int_eq(batch_err(batch)->kind, ERR_MAIL);
	ck_assert_int_eq(durable("Lx"), 0);
	batch_free(&batch);
}
END_TEST

START_TEST(full)
{
	struct batch *batch = begun(&spy);

	ck_assert(!batch_full(batch, 1000000000));
	take(batch, &spy, "La", 1);
	ck_assert(!batch_full(batch, 1000));
	ck_assert(!batch_full(batch, 5999));
	ck_assert(batch_full(batch, 6000));
	take_many(batch, &spy, "x", 1998);
	ck_assert(!batch_full(batch, 1000));
	take(batch, &spy, "Lb", 1);
	ck_assert(batch_full(batch, 1000));
	batch_free(&batch);
}
END_TEST

/* ---- recovery ---- */

static void remember_named(const char *key, const char *name, enum state_is is, int64_t age)
{
	struct state_row row = {
	    .key = key, .is = is, .taken = time(NULL) - age, .name = name, .mark = "m"};

	ck_good(state_begin(state, &err));
	ck_good(state_put(state, box.id, 7, &row, &err));
	ck_good(state_commit(state, &err));
}

static void remember(const char *key, enum state_is is, int64_t age)
{
	remember_named(key, key, is, age);
}

START_TEST(recovery_finds_letters_wherever_they_are)
{
	struct batch *batch;
	char identity[STATE_IDENTITY + 1];
	char tag[BATCH_PLACE_TAG + 1];

	remember("L1", STATE_TAKEN, 10);
	put(at("Mail/tmp/L1"), "1", 0600);
	remember("L2", STATE_TAKEN, 10);
	put(at("Mail/new/L2"), "2", 0600);
	remember("L3", STATE_TAKEN, 1000000);
	put(at("Mail/cur/L3:2,RS"), "3", 0600);
	batch_place_tag(&spy.sink, tag);
	remember_named("L4", tag, STATE_TAKEN, 10);
	remember_named("L5", tag, STATE_TAKEN, INT64_C(2) * 86400);
	remember("L6", STATE_DELIVERED, INT64_C(2) * 86400);
	batch = recovery(&spy);
	ck_assert(!batch_empty(batch));
	commit(batch);
	ck_assert_int_eq(batch_err(batch)->kind, ERR_NONE);
	ck_assert_uint_eq(batch_letters(batch), 5);
	for (size_t i = 0; i < 5; i++) {
		const struct batch_letter *letter = batch_letter(batch, i);

		ck_assert_uint_eq(letter->number, 0);
		ck_assert_uint_eq(letter->validity, 7);
		ck_assert_int_eq(letter->came,
				 strcmp(letter->row.key, "L5") ? BATCH_PLACED : BATCH_NOWHERE);
	}
	batch_free(&batch);
	ck_assert_str_eq(contents(at("Mail/new/L1")), "1");
	ck_assert(!exists(at("Mail/tmp/L1")));
	ck_assert(exists(at("Mail/new/L2")) && exists(at("Mail/cur/L3:2,RS")));
	for (const char *key = "1234"; *key; key++)
		ck_assert_int_eq(durable((char[]){'L', *key, 0}), STATE_DELIVERED);
	ck_assert_int_eq(durable("L5"), 0);
	ck_assert_int_eq(durable("L6"), STATE_DELIVERED);
	ck_good(state_maildir(state, at("Mail"), identity, &err));
	ck_assert_str_eq(identity, "0123456789abcdef");
}
END_TEST

START_TEST(recovery_sweeps_only_what_is_ours_and_has_no_row)
{
	struct batch *batch;

	remember("L1" MARK, STATE_TAKEN, 10);
	put(at("Mail/tmp/L1" MARK), "1", 0600);
	put(at("Mail/tmp/L2" MARK ".host"), "2", 0600);
	put(at("Mail/tmp/L3H0123456789abcdefA11Z.host"), "3", 0600);
	put(at("Mail/tmp/L4Hfedcba9876543210A1Z.host"), "4", 0600);
	put(at("Mail/tmp/1700000000.M1P2.host"), "5", 0600);
	put(at("Mail/new/L6" MARK), "6", 0600);
	batch = recovery(&spy);
	commits(&batch);
	ck_assert(exists(at("Mail/new/L1" MARK)));
	ck_assert(!exists(at("Mail/tmp/L2" MARK ".host")));
	ck_assert(exists(at("Mail/tmp/L3H0123456789abcdefA11Z.host")));
	ck_assert(exists(at("Mail/tmp/L4Hfedcba9876543210A1Z.host")));
	ck_assert(exists(at("Mail/tmp/1700000000.M1P2.host")));
	ck_assert(exists(at("Mail/new/L6" MARK)));
}
END_TEST

/* The run before may have died between the rename and its flush. Removal from the server follows
 * "delivered", so the rename must be durable first. */
START_TEST(what_recovery_finds_in_place_is_settled_before_it_counts)
{
	struct batch *batch;

	remember("L1", STATE_TAKEN, 10);
	put(at("Mail/new/L1"), "1", 0600);
	batch = recovery(&spy);
	commits(&batch);
	ck_assert_ptr_nonnull(strstr(journal, "settle "));
	remember("L1", STATE_TAKEN, 10);
	spy.fails = "settle";
	batch = recovery(&spy);
	commit(batch);
	ck_assert_int_eq(batch_err(batch)->kind, ERR_MAIL);
	ck_assert_int_eq(durable("L1"), STATE_TAKEN);
	batch_free(&batch);
}
END_TEST

/* Letters that waited for an MDA stand in the spool. Once the account delivers into a Maildir they
 * are not there, and no reader has moved them. */
START_TEST(what_waited_for_an_mda_has_not_arrived_in_a_maildir)
{
	struct batch *batch;

	remember("L1", STATE_WAITING, 10);
	remember("L2", STATE_HANDED, 10);
	remember_named("L3", "L3P0123456789abcdef", STATE_TAKEN, 10);
	batch = recovery(&spy);
	commit(batch);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(batch_letter(batch, i)->came, BATCH_NOWHERE);
	batch_free(&batch);
	ck_assert_int_eq(durable("L1"), 0);
	ck_assert_int_eq(durable("L2"), 0);
	ck_assert_int_eq(durable("L3"), 0);
}
END_TEST

/* An IMAP listing begins at "next": a message that must be fetched again has to be behind it. */
START_TEST(next_goes_back_to_what_is_nowhere)
{
	struct state_key name = {
	    .protocol = "imap", .user = "lee", .host = "host", .mailbox = "INBOX"};
	struct state_mailbox found;
	struct batch *batch;

	remember_named("120", "a", STATE_WAITING, 10);
	remember_named("31", "b", STATE_WAITING, 10);
	remember_named("57", "c", STATE_WAITING, 10);
	batch = recovery(&spy);
	commit(batch);
	ck_assert_uint_eq(batch_recovered_next(batch), 31);
	batch_free(&batch);
	ck_good(state_mailbox(state, &name, &found, &err));
	ck_assert_int_eq(found.id, box.id);
	ck_assert_uint_eq(found.next, 31);
}
END_TEST

START_TEST(recovery_that_fails_changes_nothing)
{
	static const char *const steps[] = {"open", "strays", "find", "place", "settle"};

	remember("L1", STATE_TAKEN, 10);
	remember("L2", STATE_TAKEN, INT64_C(2) * 86400);
	put(at("Mail/tmp/L1"), "1", 0600);
	put(at("Mail/tmp/Lstray" MARK), "x", 0600);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct batch *batch = recovery(&spy);
		char identity[STATE_IDENTITY + 1];

		spy.fails = steps[i];
		commit(batch);
		ck_assert_msg(batch_err(batch)->kind == ERR_MAIL, "%s", steps[i]);
		batch_free(&batch);
		ck_assert_int_eq(durable("L1"), STATE_TAKEN);
		ck_assert_int_eq(durable("L2"), STATE_TAKEN);
		ck_assert(exists(at("Mail/tmp/L1")) || exists(at("Mail/new/L1")));
		ck_good(state_maildir(state, at("Mail"), identity, &err));
		ck_assert_str_eq(identity, "");
	}
	spy.fails = NULL;
	{
		struct batch *batch = recovery(&spy);

		commits(&batch);
		ck_assert(exists(at("Mail/new/L1")));
		ck_assert(!exists(at("Mail/tmp/Lstray" MARK)));
		ck_assert_int_eq(durable("L1"), STATE_DELIVERED);
		ck_assert_int_eq(durable("L2"), 0);
	}
}
END_TEST

static void take_of_this_state(struct batch *batch)
{
	for (uint32_t i = 1; i <= 3; i++) {
		char name[48];

		snprintf(name, sizeof name, "L%u" MARK, (unsigned)i);
		take(batch, &spy, name, i);
	}
}

/* A COMMIT that fails may have happened: the letters stay until recovery knows. Without rows they
 * go, once something was written behind that COMMIT; with rows they are put in place. */
START_TEST(a_record_that_fails_leaves_the_letters_to_recovery)
{
	for (int happened = 0; happened < 2; happened++) {
		struct batch *batch = begun(&spy);

		take_of_this_state(batch);
		fill_the_disk();
		refuses(batch, ERR_STATE);
		limit(RLIM_INFINITY);
		ck_assert_uint_eq(files(at("Mail/tmp/L*")), 3);
		if (happened)
			remember("L2" MARK, STATE_TAKEN, 10);
		batch = recovery(&spy);
		commits(&batch);
		ck_assert_uint_eq(files(at("Mail/tmp/L*")), 0);
		ck_assert_uint_eq(files(at("Mail/new/L*")), (size_t)happened);
		ck_assert_int_eq(durable("L2" MARK), happened ? STATE_DELIVERED : 0);
	}
}
END_TEST

START_TEST(strays_stay_until_recovery_is_recorded)
{
	struct batch *batch;

	put(at("Mail/tmp/Lstray" MARK), "x", 0600);
	batch = recovery(&spy);
	fill_the_disk();
	refuses(batch, ERR_STATE);
	ck_assert(exists(at("Mail/tmp/Lstray" MARK)));
	limit(RLIM_INFINITY);
	batch = recovery(&spy);
	commits(&batch);
	ck_assert(!exists(at("Mail/tmp/Lstray" MARK)));
}
END_TEST

START_TEST(what_vanishes_while_it_is_recovered_is_nowhere)
{
	char tag[BATCH_PLACE_TAG + 1];
	char name[48];
	struct batch *batch;

	batch_place_tag(&spy.sink, tag);
	snprintf(name, sizeof name, "L1%s", tag);
	remember_named("31", name, STATE_TAKEN, 10);
	put(at("Mail/tmp/%s", name), "1", 0600);
	spy.vanishes = name;
	batch = recovery(&spy);
	commit(batch);
	ck_assert_msg(!batch_err(batch)->kind, "%s", batch_err(batch)->words);
	ck_assert_int_eq(batch_letter(batch, 0)->came, BATCH_NOWHERE);
	ck_assert_uint_eq(batch_recovered_next(batch), 31);
	batch_free(&batch);
	ck_assert_int_eq(durable("31"), 0);
}
END_TEST

/* With an MDA: what stands in the spool is held there, whatever its age; what is in the quarantine
 * counts as quarantined; what is nowhere is forgotten, however young. */
START_TEST(recovery_of_a_spool)
{
	struct batch *batch;

	spy.ops.hand = spy_hand;
	remember("L1", STATE_TAKEN, 10);
	put(at("Mail/tmp/L1"), "1", 0600);
	remember("L2", STATE_WAITING, INT64_C(3) * 86400);
	put(at("Mail/tmp/L2"), "2", 0600);
	remember("L3", STATE_HANDED, 10);
	put(at("Mail/new/L3"), "3", 0600);
	remember("L4", STATE_HANDED, 10);
	batch = recovery(&spy);
	commit(batch);
	ck_assert_int_eq(batch_err(batch)->kind, ERR_NONE);
	ck_assert_ptr_null(strstr(journal, "place:"));
	for (size_t i = 0; i < batch_letters(batch); i++) {
		const struct batch_letter *letter = batch_letter(batch, i);

		if (!strcmp(letter->row.key, "L3"))
			ck_assert_int_eq(letter->row.is, STATE_QUARANTINED);
		ck_assert_int_eq(letter->came,
				 strcmp(letter->row.key, "L4") ? BATCH_PLACED : BATCH_NOWHERE);
	}
	batch_free(&batch);
	ck_assert_int_eq(durable("L1"), STATE_TAKEN);
	ck_assert_int_eq(durable("L2"), STATE_WAITING);
	ck_assert_int_eq(durable("L3"), STATE_QUARANTINED);
	ck_assert_int_eq(durable("L4"), 0);
	ck_assert_ptr_nonnull(strstr(journal, "quarantine:L3"));
	ck_assert_ptr_nonnull(strstr(journal, "hold:L1"));
	ck_assert_ptr_nonnull(strstr(journal, "hold:L2"));
	ck_assert_ptr_null(strstr(journal, "hold:L3"));
	ck_assert_ptr_null(strstr(journal, "hold:L4"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("batch");
	TCase *tests = tcase_create("batch");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, commit_setup, commit_teardown);
	tcase_add_test(tests, flushed_then_recorded_then_placed);
	tcase_add_test(tests, what_was_never_committed_leaves_the_disk);
	tcase_add_test(tests, a_flush_that_fails_leaves_nothing);
	tcase_add_test(tests, a_record_that_fails_does_nothing_else);
	tcase_add_test(tests, what_vanishes_before_it_is_placed_is_nowhere);
	tcase_add_test(tests, what_cannot_be_placed_is_stuck_until_recovery);
	tcase_add_test(tests, what_is_not_settled_is_stuck);
	tcase_add_test(tests, many_letters_are_flushed_at_once);
	tcase_add_test(tests, thousands_do_not_run_out_of_descriptors);
	tcase_add_test(tests, batches_that_wait_are_committed_together);
	tcase_add_test(tests, one_that_fails_does_not_hurt_the_others);
	tcase_add_test(tests, each_sink_is_flushed_by_a_descriptor_of_its_own);
	tcase_add_test(tests, after_a_failed_flush_a_sink_is_not_trusted_until_recovery);
	tcase_add_test(tests, rows_marks_next_and_visit);
	tcase_add_test(tests, an_empty_batch_is_done);
	tcase_add_test(tests, files_go_after_the_record_and_into_the_quarantine_before);
	tcase_add_test(tests, full);
	tcase_add_test(tests, recovery_finds_letters_wherever_they_are);
	tcase_add_test(tests, recovery_sweeps_only_what_is_ours_and_has_no_row);
	tcase_add_test(tests, what_recovery_finds_in_place_is_settled_before_it_counts);
	tcase_add_test(tests, what_waited_for_an_mda_has_not_arrived_in_a_maildir);
	tcase_add_test(tests, next_goes_back_to_what_is_nowhere);
	tcase_add_test(tests, recovery_that_fails_changes_nothing);
	tcase_add_test(tests, a_record_that_fails_leaves_the_letters_to_recovery);
	tcase_add_test(tests, strays_stay_until_recovery_is_recorded);
	tcase_add_test(tests, what_vanishes_while_it_is_recovered_is_nowhere);
	tcase_add_test(tests, recovery_of_a_spool);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
