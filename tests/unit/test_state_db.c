/*
 * test_state_db: a file of form 1 or 2, as it was written before, becomes one of form 3.
 */
#include "state_fixture.h"

#include <sqlite3.h>

/* Forms 1 and 2, word for word but for the journal that all have in common. */
#define TABLES_1                                                                                   \
	"CREATE TABLE identity (id TEXT NOT NULL);"                                                \
	"INSERT INTO identity VALUES ('0123456789abcdef');"                                        \
	"CREATE TABLE account ("                                                                   \
	" id INTEGER PRIMARY KEY, protocol TEXT NOT NULL, user TEXT NOT NULL,"                     \
	" host TEXT NOT NULL COLLATE NOCASE,"                                                      \
	" tried INTEGER NOT NULL DEFAULT 0, succeeded INTEGER NOT NULL DEFAULT 0,"                 \
	" messages INTEGER NOT NULL DEFAULT 0, octets INTEGER NOT NULL DEFAULT 0,"                 \
	" failing_since INTEGER NOT NULL DEFAULT 0, reported INTEGER NOT NULL DEFAULT 0,"          \
	" auth_refused INTEGER NOT NULL DEFAULT 0, expires INTEGER NOT NULL DEFAULT 0,"            \
	" warned INTEGER NOT NULL DEFAULT 0,"                                                      \
	" error_kind TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',"                    \
	" encryption TEXT NOT NULL DEFAULT '', mechanism TEXT NOT NULL DEFAULT '',"                \
	" passed_over TEXT NOT NULL DEFAULT '',"                                                   \
	" UNIQUE (protocol, user, host));"
#define ROWS                                                                                       \
	"INSERT INTO account (id, protocol, user, host, tried, succeeded, mechanism)"              \
	" VALUES (3, 'imap', 'lee', 'mail.example.org', 200, 100, 'PLAIN'),"                       \
	" (4, 'pop3', 'lee', 'mail.example.org', 300, 0, '');"                                     \
	"INSERT INTO mailbox (id, account, name, validity, next)"                                  \
	" VALUES (5, 3, 'INBOX', 7, 99), (6, 4, 'INBOX', 0, 1);"                                   \
	"INSERT INTO maildir VALUES ('/mail', 'abc');"

static const char form_1[] =
    "PRAGMA journal_mode = WAL;" TABLES_1 "CREATE TABLE mailbox ("
    " id INTEGER PRIMARY KEY, account INTEGER NOT NULL REFERENCES account, name TEXT NOT NULL,"
    " validity INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 1,"
    " UNIQUE (account, name));"
    "CREATE TABLE message ("
    " mailbox INTEGER NOT NULL REFERENCES mailbox, validity INTEGER NOT NULL, key TEXT NOT NULL,"
    " state INTEGER NOT NULL, taken INTEGER NOT NULL, changed INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, next_try INTEGER NOT NULL, name TEXT NOT NULL,"
    " mark TEXT NOT NULL, octets INTEGER NOT NULL, date INTEGER NOT NULL,"
    " PRIMARY KEY (mailbox, validity, key)) WITHOUT ROWID;"
    "CREATE INDEX unfinished ON message (mailbox, taken, name) WHERE (1 << state) & 70;"
    "CREATE INDEX settled ON message (mailbox, state, taken) WHERE (1 << state) & 184;"
    "CREATE TABLE maildir (path TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = 0x6d68616c; PRAGMA user_version = 1;" ROWS;

static const char form_2[] =
    "PRAGMA journal_mode = WAL;" TABLES_1 "CREATE TABLE mailbox ("
    " id INTEGER PRIMARY KEY, account INTEGER NOT NULL REFERENCES account, name TEXT NOT NULL,"
    " validity INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 1,"
    " begun INTEGER NOT NULL DEFAULT 0, checked INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE (account, name));"
    "CREATE TABLE message ("
    " mailbox INTEGER NOT NULL REFERENCES mailbox, validity INTEGER NOT NULL, key TEXT NOT NULL,"
    " state INTEGER NOT NULL, taken INTEGER NOT NULL, changed INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, next_try INTEGER NOT NULL, name TEXT NOT NULL,"
    " mark TEXT NOT NULL, octets INTEGER NOT NULL, date INTEGER NOT NULL,"
    " gone INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (mailbox, validity, key)) WITHOUT ROWID;"
    "CREATE INDEX unfinished ON message (mailbox, taken, name) WHERE (1 << state) & 70;"
    "CREATE INDEX settled ON message (mailbox, state, taken) WHERE (1 << state) & 440;"
    "CREATE INDEX gone ON message (mailbox, gone) WHERE gone > 0;"
    "CREATE INDEX marks ON message (mark) WHERE substr(mark, 1, 1) = 'G';"
    "CREATE TABLE maildir (path TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = 0x6d68616c; PRAGMA user_version = 2;" ROWS
    "UPDATE mailbox SET begun = 100, checked = 50 WHERE id = 5;";

static const char *const forms[] = {form_1, form_2};
enum { FORMS = sizeof forms / sizeof *forms };

/* Row N of mailbox 5 is in state N: 'kN', taken 1000 + N, changed 2000 + N. */
enum { OLD_STATES = 7 };

static void run(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &why) == SQLITE_OK, "%s: %s", sql, why);
}

static sqlite3 *opened(const char *path)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

/* form: from 0. */
static void make_old(int form)
{
	sqlite3 *db;

	make(at("old"));
	db = opened(at("old/state.db"));
	run(db, forms[form]);
	for (int i = 1; i <= OLD_STATES; i++) {
		char insert[256];

		snprintf(
		    insert, sizeof insert,
		    "INSERT INTO message VALUES (5, 7, 'k%d', %d, %d, %d, %d, 5, 'n%d', 'm%d', "
		    "%d, 6%s)",
		    i, i, 1000 + i, 2000 + i, i, i, i, 100 * i,
		    !form		 ? ""
		    : i == STATE_REMOVED ? ", 2004"
					 : ", 0");
		run(db, insert);
	}
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* All that a query gives, "|" between columns and a space behind rows. */
static const char *asked(const char *path, const char *sql)
{
	static char out[4][4096];
	static unsigned turn;
	char *text = out[turn++ % 4];
	sqlite3 *db = opened(path);
	sqlite3_stmt *stmt = NULL;

	*text = '\0';
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(stmt); i++) {
			const char *value = (const char *)sqlite3_column_text(stmt, i);
			size_t len = strlen(text);

			snprintf(text + len, sizeof out[0] - len, "%s%s", value ? value : "NULL",
				 i + 1 < sqlite3_column_count(stmt) ? "|" : " ");
		}
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return text;
}

struct old_row {
	int64_t gone[OLD_STATES + 1];
	unsigned count;
};

static bool see_old(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct old_row *old = ctx;
	int i = (int)row->is;
	char text[16];

	ck_assert_uint_eq(validity, 7);
	ck_assert_int_le(i, OLD_STATES);
	snprintf(text, sizeof text, "k%d", i);
	ck_assert_str_eq(row->key, text);
	*text = 'n';
	ck_assert_str_eq(row->name, text);
	*text = 'm';
	ck_assert_str_eq(row->mark, text);
	ck_assert_int_eq(row->taken, 1000 + i);
	ck_assert_int_eq(row->changed, 2000 + i);
	ck_assert_uint_eq(row->attempts, (unsigned)i);
	ck_assert_int_eq(row->next_try, 5);
	ck_assert_uint_eq(row->octets, (uint64_t)i * 100);
	ck_assert_int_eq(row->date, 6);
	old->gone[i] = row->gone;
	old->count++;
	return true;
}

START_TEST(nothing_is_lost_on_the_way)
{
	struct state_key key = {"imap", "lee", "mail.example.org", "INBOX"};
	struct state *old;
	struct state_mailbox is;
	struct state_visit visit;
	struct old_row rows_seen = {.count = 0};
	char identity[STATE_IDENTITY + 1];
	bool known = false;

	make_old(_i);
	old = state_open(at("old"), &err);
	ck_good(old != NULL);
	ck_assert_str_eq(state_identity(old), "0123456789abcdef");
	ck_good(state_known_mailbox(old, &key, &known, &is, &err));
	ck_assert(known && is.id == 5 && is.account == 3 && is.validity == 7 && is.next == 99);
	ck_assert_int_eq(is.begun, 100);
	ck_assert_int_eq(is.checked, _i ? 50 : 0);
	ck_good(state_each(old, 5, EVERY, see_old, &rows_seen, &err));
	ck_assert_uint_eq(rows_seen.count, OLD_STATES);
	for (int i = 1; i <= OLD_STATES; i++)
		ck_assert_int_eq(rows_seen.gone[i], i == STATE_REMOVED ? 2000 + i : 0);
	ck_good(state_visit(old, "imap", "lee", "mail.example.org", &visit, &err));
	ck_assert_int_eq(visit.tried, 200);
	ck_assert_int_eq(visit.succeeded, 100);
	ck_assert_str_eq(visit.mechanism, "PLAIN");
	ck_assert(!visit.today && !visit.today_messages && !visit.today_octets);
	ck_good(state_maildir(old, "/mail", identity, &err));
	ck_assert_str_eq(identity, "abc");
	/* Of an account that never succeeded no mailbox was listed. */
	key.protocol = "pop3";
	ck_good(state_known_mailbox(old, &key, &known, &is, &err));
	ck_assert(known && is.id == 6 && is.begun == 0 && is.next == 1);
	state_free(&old);
}
END_TEST

/* Rows are written by the place of their columns. */
START_TEST(it_becomes_what_a_new_file_is)
{
	static const char *const same[] = {
	    "PRAGMA user_version",
	    "PRAGMA application_id",
	    "PRAGMA table_info(account)",
	    "PRAGMA table_info(mailbox)",
	    "PRAGMA table_info(message)",
	    "PRAGMA table_info(maildir)",
	    "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql > '' ORDER BY name"};
	struct state *old;

	make_old(_i);
	old = state_open(at("old"), &err);
	ck_good(old != NULL);
	state_free(&old);
	state_free(&state);
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		const char *fresh = asked(at("state/state.db"), same[i]);

		ck_assert_str_ne(fresh, "");
		ck_assert_str_eq(asked(at("old/state.db"), same[i]), fresh);
	}
	ck_assert_str_eq(asked(at("old/state.db"), "PRAGMA integrity_check"), "ok ");
	old = state_open(at("old"), &err);
	ck_good(old != NULL);
	state_free(&old);
}
END_TEST

/* A state is brought up to date by whoever opens it, but not made. */
START_TEST(opening_what_is_there)
{
	struct state *there;

	err_set(&err, ERR_STATE, "of before");
	ck_assert_ptr_null(state_open_existing(at("none"), &err));
	ck_assert_int_eq(err.kind, ERR_NONE);
	ck_assert(!exists(at("none")));
	make(at("empty"));
	ck_assert_ptr_null(state_open_existing(at("empty"), &err));
	ck_assert_int_eq(err.kind, ERR_NONE);
	ck_assert(!exists(at("empty/state.db")));
	make_old(0);
	there = state_open_existing(at("old"), &err);
	ck_good(there != NULL);
	state_free(&there);
	put(at("empty/state.db"), "no state at all, but long enough to be read as one", 0600);
	ck_fails(state_open_existing(at("empty"), &err), ERR_STATE, at("empty/state.db"));
	put(at("file"), "x", 0600);
	ck_fails(state_open_existing(at("file"), &err), ERR_STATE, "file");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state_db");
	TCase *tests = tcase_create("state_db");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, state_setup, state_teardown);
	tcase_add_loop_test(tests, nothing_is_lost_on_the_way, 0, FORMS);
	tcase_add_loop_test(tests, it_becomes_what_a_new_file_is, 0, FORMS);
	tcase_add_test(tests, opening_what_is_there);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
