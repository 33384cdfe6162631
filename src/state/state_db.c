/*
 * state_db: the schema and its migrations, connections, statements, errors.
 *
 * WAL with synchronous=FULL, or a rollback journal where the file system is not good for WAL: a
 * commit is durable when it returns. Every row stands in one of two partial indices: what is not
 * finished, so that a visit of a mailbox with a million delivered messages reads none of them, and
 * what is settled. Two more hold what is gone from the server, to be forgotten, and the few marks
 * that count in a whole account.
 */
#include "state/state_db.h"

#include "state/state_files.h"
#include "util/crash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	STATE_APPLICATION = 0x6d68616c, /* "mhal" */
	STATE_SCHEMA = 3,
	STATE_BUSY_SECONDS = 10
};

/* Bits of states, as in STATE_MASK(). Written as "state IN (...)" they would cost every row that is
 * written several temporary tables. */
#define UNFINISHED "(1 << state) & 70"
#define SETTLED	   "(1 << state) & 440"

#define MARKED "substr(mark, 1, 1) = 'G'"

#define INDEX_UNFINISHED                                                                           \
	"CREATE INDEX unfinished ON message (mailbox, taken, name) WHERE " UNFINISHED ";"
#define INDICES                                                                                    \
	"CREATE INDEX settled ON message (mailbox, state, taken) WHERE " SETTLED ";"               \
	"CREATE INDEX gone ON message (mailbox, gone) WHERE gone > 0;"                             \
	"CREATE INDEX marks ON message (mark) WHERE " MARKED ";"

static const char schema[] =
    "CREATE TABLE identity (id TEXT NOT NULL);"
    "INSERT INTO identity VALUES (lower(hex(randomblob(8))));"
    "CREATE TABLE account ("
    " id INTEGER PRIMARY KEY, protocol TEXT NOT NULL, user TEXT NOT NULL,"
    " host TEXT NOT NULL COLLATE NOCASE,"
    " tried INTEGER NOT NULL DEFAULT 0, succeeded INTEGER NOT NULL DEFAULT 0,"
    " messages INTEGER NOT NULL DEFAULT 0, octets INTEGER NOT NULL DEFAULT 0,"
    " failing_since INTEGER NOT NULL DEFAULT 0, reported INTEGER NOT NULL DEFAULT 0,"
    " auth_refused INTEGER NOT NULL DEFAULT 0, expires INTEGER NOT NULL DEFAULT 0,"
    " warned INTEGER NOT NULL DEFAULT 0,"
    " error_kind TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',"
    " encryption TEXT NOT NULL DEFAULT '', mechanism TEXT NOT NULL DEFAULT '',"
    " passed_over TEXT NOT NULL DEFAULT '',"
    " today INTEGER NOT NULL DEFAULT 0, today_messages INTEGER NOT NULL DEFAULT 0,"
    " today_octets INTEGER NOT NULL DEFAULT 0,"
    " UNIQUE (protocol, user, host));"
    "CREATE TABLE mailbox ("
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
    " PRIMARY KEY (mailbox, validity, key)) WITHOUT ROWID;" INDEX_UNFINISHED INDICES
    "CREATE TABLE maildir (path TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;";

/* From the form that stands at each place to the next one. */
static const char *const migrations[STATE_SCHEMA] = {
    [1] = "ALTER TABLE mailbox ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;"
	  "ALTER TABLE mailbox ADD COLUMN checked INTEGER NOT NULL DEFAULT 0;"
	  "ALTER TABLE message ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;"
	  "UPDATE mailbox SET begun = (SELECT succeeded FROM account WHERE id = account);"
	  "UPDATE message SET gone = changed WHERE state = 4;"
	  "DROP INDEX settled;" INDICES,
    [2] = "ALTER TABLE account ADD COLUMN today INTEGER NOT NULL DEFAULT 0;"
	  "ALTER TABLE account ADD COLUMN today_messages INTEGER NOT NULL DEFAULT 0;"
	  "ALTER TABLE account ADD COLUMN today_octets INTEGER NOT NULL DEFAULT 0;",
};

_Static_assert(STATE_IS_END == 9 && (STATE_MASK(STATE_TAKEN) | STATE_MASK(STATE_HANDED) |
				     STATE_MASK(STATE_WAITING)) == 70,
	       "UNFINISHED, SETTLED and STATE_READ_EACH name all states");

#define COLUMNS                                                                                    \
	"key, state, taken, changed, attempts, next_try, name, mark, octets, date, gone, validity"
#define ROWS_BY(index)                                                                             \
	"SELECT " COLUMNS " FROM message INDEXED BY " index " WHERE mailbox = ?1 AND "
#define SETTLED_ROWS(state)                                                                        \
	" UNION ALL " ROWS_BY("settled") SETTLED " AND state = " state " AND ?2 & (1 << " state ")"

#define FIND_MAILBOX                                                                               \
	"SELECT account.id, mailbox.id, validity, next, begun, checked"                            \
	" FROM account JOIN mailbox ON mailbox.account = account.id"                               \
	" WHERE protocol = ?1 AND user = ?2 AND host = ?3 AND name = ?4"
#define ADD_ACCOUNT "INSERT OR IGNORE INTO account (protocol, user, host) VALUES (?1, ?2, ?3)"
#define ADD_MAILBOX                                                                                \
	"INSERT OR IGNORE INTO mailbox (account, name) SELECT id, ?4 FROM account"                 \
	" WHERE protocol = ?1 AND user = ?2 AND host = ?3"
#define ROW_VALUES " INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"

static const char *const statements[STATE_STATEMENTS] = {
    [STATE_READ_FIND] =
	"SELECT " COLUMNS " FROM message WHERE mailbox = ?1 AND validity = ?2 AND key = ?3",
    /* Each part comes in order out of its index, and they are merged: nothing is sorted but rows of
     * the same second, however many there are. */
    [STATE_READ_EACH] = ROWS_BY("unfinished") UNFINISHED
    " AND ?2 & 70 AND ?2 & (1 << state)" SETTLED_ROWS("3") SETTLED_ROWS("4") SETTLED_ROWS("5")
	SETTLED_ROWS("7") SETTLED_ROWS("8") " ORDER BY taken, name",
    [STATE_READ_DUE] = ROWS_BY("settled") SETTLED " AND state = 3 AND taken <= ?2 AND changed <= ?2"
						  " AND gone = 0 ORDER BY taken",
    [STATE_READ_MARK] = "SELECT " COLUMNS ", mailbox FROM message INDEXED BY marks WHERE " MARKED
			" AND mark >= ?2 AND mark < ?2 || '!' AND mailbox IN (SELECT id FROM "
			"mailbox WHERE account = ?1)",
    [STATE_READ_OTHERS] =
	"SELECT EXISTS (SELECT 1 FROM message WHERE mailbox = ?1 AND validity < ?2)"
	" OR EXISTS (SELECT 1 FROM message WHERE mailbox = ?1 AND validity > ?2)",
    [STATE_READ_COUNT] = "SELECT state, count(*) FROM message INDEXED BY settled"
			 " WHERE mailbox = ?1 AND " SETTLED " GROUP BY state UNION ALL"
			 " SELECT state, count(*) FROM message INDEXED BY unfinished"
			 " WHERE mailbox = ?1 AND " UNFINISHED " GROUP BY state",
    [STATE_READ_QUARANTINED] =
	"SELECT count(*) FROM message INDEXED BY settled WHERE " SETTLED " AND state = 7"
	" AND mailbox IN (SELECT mailbox.id FROM account JOIN mailbox"
	" ON mailbox.account = account.id WHERE protocol = ?1 AND user = ?2 AND host = ?3)",
    [STATE_READ_VISIT] = "SELECT tried, succeeded, messages, octets, failing_since, reported,"
			 " auth_refused, expires, warned, error_kind, error, encryption, mechanism,"
			 " passed_over, today, today_messages, today_octets FROM account WHERE "
			 "protocol = ?1 AND user = ?2 AND host = ?3",
    [STATE_READ_MAILDIR] = "SELECT identity FROM maildir WHERE path = ?1",
    [STATE_READ_MAILBOX] = FIND_MAILBOX,
    [STATE_READ_MAILBOXES] = "SELECT account.id, mailbox.id, validity, next, begun, checked,"
			     " protocol, user, host, name FROM account JOIN mailbox"
			     " ON mailbox.account = account.id WHERE ?1 = '' OR"
			     " (protocol = ?1 AND user = ?2 AND host = ?3) ORDER BY mailbox.id",
    [STATE_READ_ACCOUNT] = "SELECT id FROM account WHERE protocol = ?1 AND user = ?2"
			   " AND host = ?3",
    [STATE_ADD_ACCOUNT] = ADD_ACCOUNT,
    [STATE_ADD_MAILBOX] = ADD_MAILBOX,
    [STATE_CALL_MAILBOX] = "UPDATE OR IGNORE mailbox SET name = ?4 WHERE name = ?5 AND account ="
			   " (SELECT id FROM account WHERE protocol = ?1 AND user = ?2"
			   " AND host = ?3)",
    [STATE_WRITE_PUT] = "INSERT OR REPLACE" ROW_VALUES,
    [STATE_WRITE_MARK] = "UPDATE message SET state = ?4, changed = ?5,"
			 " gone = CASE WHEN ?4 = 4 THEN ?5 ELSE gone END"
			 " WHERE mailbox = ?1 AND validity = ?2 AND key = ?3",
    [STATE_WRITE_GONE] = "UPDATE message SET gone = ?4"
			 " WHERE mailbox = ?1 AND validity = ?2 AND key = ?3",
    [STATE_WRITE_FORGET_GONE] = "DELETE FROM message INDEXED BY gone WHERE mailbox = ?1"
				" AND gone > 0 AND gone <= ?2 AND " SETTLED " AND state != 7",
    [STATE_WRITE_CHECKED] = "UPDATE mailbox SET begun = ?2, checked = ?3 WHERE id = ?1",
    [STATE_WRITE_RENAME] = "UPDATE mailbox SET name = ?2 WHERE id = ?1",
    [STATE_WRITE_ADOPT] = "UPDATE OR REPLACE message SET mailbox = ?2, validity = ?3"
			  " WHERE mailbox = ?1 AND (mailbox != ?2 OR " SETTLED ")",
    [STATE_WRITE_FORGET] = "DELETE FROM message WHERE mailbox = ?1 AND validity = ?2 AND key = ?3",
    [STATE_WRITE_MAILBOX] = "UPDATE mailbox SET validity = ?2, next = ?3 WHERE id = ?1",
    [STATE_WRITE_VISIT] =
	"UPDATE account SET tried = ?2, succeeded = ?3, messages = ?4, octets = ?5,"
	" failing_since = ?6, reported = ?7, auth_refused = ?8, expires = ?9,"
	" warned = ?10, error_kind = ?11, error = ?12, encryption = ?13,"
	" mechanism = ?14, passed_over = ?15, today = ?16, today_messages = ?17,"
	" today_octets = ?18 WHERE id = ?1",
    [STATE_WRITE_MAILDIR] = "INSERT OR REPLACE INTO maildir VALUES (?1, ?2)",
    [STATE_MEND_FIND] = FIND_MAILBOX,
    [STATE_MEND_ACCOUNT] = ADD_ACCOUNT,
    [STATE_MEND_MAILBOX] = ADD_MAILBOX,
    [STATE_MEND_ADD] = "INSERT OR IGNORE" ROW_VALUES,
    [STATE_MEND_SKIPPED] =
	"WITH RECURSIVE uid (n) AS (SELECT ?3 WHERE ?3 < ?4 UNION ALL"
	" SELECT n + 1 FROM uid WHERE n + 1 < ?4) INSERT OR IGNORE INTO message"
	" SELECT ?1, ?2, CAST(n AS TEXT), 5, ?5, ?5, 0, 0, '', '', 0, 0, 0 FROM uid",
    [STATE_MEND_FORGET] = "DELETE FROM message WHERE mailbox = ?1 AND " SETTLED " AND state != 7",
    [STATE_MEND_DROP_MAILBOX] = "DELETE FROM mailbox WHERE id = ?1"
				" AND NOT EXISTS (SELECT 1 FROM message WHERE mailbox = ?1)",
    [STATE_MEND_DROP_ACCOUNT] = "DELETE FROM account WHERE id = ?1"
				" AND NOT EXISTS (SELECT 1 FROM mailbox WHERE account = ?1)",
    [STATE_MEND_MOVE] = "UPDATE account SET user = ?2, host = ?3 WHERE id = ?1",
};

/* ---- errors ---- */

bool state_db_damaged(const struct state *state, const char *how, struct err *err)
{
	return err_set(
	    err, ERR_STATE,
	    "the state file %s is damaged (%s). mailhaul state reset keeps it aside; "
	    "mailhaul then begins anew and fetches again what still lies on the servers, "
	    "but for what mailhaul state import --maildir finds delivered",
	    state->path, how);
}

bool state_db_fail(const struct state *state, sqlite3 *db, struct err *err)
{
	int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
	int sys = db ? sqlite3_system_errno(db) : 0;

	switch (code & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return state_db_damaged(state, sqlite3_errmsg(db), err);
	case SQLITE_FULL:
		return err_sys(err, ERR_STATE, ENOSPC, "cannot write the state file %s",
			       state->path);
	case SQLITE_IOERR:
		if (sys)
			return err_sys(err, ERR_STATE, sys,
				       "cannot read or write the state file %s", state->path);
		break;
	case SQLITE_BUSY:
		return err_set(err, ERR_STATE, "the state file %s is in use by another program",
			       state->path);
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return err_set(
		    err, ERR_STATE,
		    "cannot write the state file %s (%s): does it, with its directory, belong "
		    "to the user that runs mailhaul?",
		    state->path, sys ? strerror(sys) : sqlite3_errmsg(db));
	}
	return err_set(err, ERR_STATE, "the state file %s: %s", state->path, sqlite3_errmsg(db));
}

/* ---- statements ---- */

static sqlite3 *connection_of(const struct state *state, enum state_statement which)
{
	return which < STATE_WRITE_PUT ? state->reader : state->writer;
}

sqlite3_stmt *state_db_statement(struct state *state, enum state_statement which, struct err *err)
{
	sqlite3 *db = connection_of(state, which);

	if (!state->made[which] &&
	    sqlite3_prepare_v3(db, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
			       &state->made[which], NULL) != SQLITE_OK) {
		(void)state_db_fail(state, db, err);
		return NULL;
	}
	sqlite3_reset(state->made[which]);
	return state->made[which];
}

void state_db_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	sqlite3_bind_text(stmt, at, text ? text : "", -1, SQLITE_STATIC);
}

const char *state_db_text(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return text ? (const char *)text : "";
}

void state_db_read_mailbox(sqlite3_stmt *stmt, struct state_mailbox *mailbox_r)
{
	*mailbox_r = (struct state_mailbox){.account = sqlite3_column_int64(stmt, 0),
					    .id = sqlite3_column_int64(stmt, 1),
					    .validity = (uint32_t)sqlite3_column_int64(stmt, 2),
					    .next = (uint32_t)sqlite3_column_int64(stmt, 3),
					    .begun = sqlite3_column_int64(stmt, 4),
					    .checked = sqlite3_column_int64(stmt, 5)};
}

void state_db_bind_row(sqlite3_stmt *stmt, int64_t mailbox, uint32_t validity,
		       const struct state_row *row)
{
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, validity);
	state_db_bind_text(stmt, 3, row->key);
	sqlite3_bind_int(stmt, 4, (int)row->is);
	sqlite3_bind_int64(stmt, 5, row->taken);
	sqlite3_bind_int64(stmt, 6, row->changed);
	sqlite3_bind_int64(stmt, 7, row->attempts);
	sqlite3_bind_int64(stmt, 8, row->next_try);
	state_db_bind_text(stmt, 9, row->name);
	state_db_bind_text(stmt, 10, row->mark);
	sqlite3_bind_int64(stmt, 11, (sqlite3_int64)row->octets);
	sqlite3_bind_int64(stmt, 12, row->date);
	sqlite3_bind_int64(stmt, 13, row->gone);
}

/* Runs a statement that gives no rows, and lets go of what was bound. */
bool state_db_run(struct state *state, enum state_statement which, struct err *err)
{
	sqlite3_stmt *stmt = state->made[which];
	bool ok = sqlite3_step(stmt) == SQLITE_DONE;

	if (!ok)
		(void)state_db_fail(state, connection_of(state, which), err);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return ok;
}

/* Ends a reading whose last step gave "got"; what failed is asked for before the reset. */
bool state_db_read_ended(const struct state *state, sqlite3_stmt *stmt, int got, struct err *err)
{
	bool ok = got == SQLITE_ROW || got == SQLITE_DONE ||
		  state_db_fail(state, sqlite3_db_handle(stmt), err);

	sqlite3_reset(stmt);
	return ok;
}

bool state_db_execute(const struct state *state, sqlite3 *db, const char *sql, struct err *err)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ||
	       state_db_fail(state, db, err);
}

static bool pragma_number(const struct state *state, sqlite3 *db, const char *sql, int *value_r,
			  struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	bool ok = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		  sqlite3_step(stmt) == SQLITE_ROW;

	if (ok)
		*value_r = sqlite3_column_int(stmt, 0);
	else
		(void)state_db_fail(state, db, err);
	sqlite3_finalize(stmt);
	return ok;
}

/* ---- opening ---- */

/* A symbolic link in its place was refused; one further up is the user's own affair, which is why
 * SQLITE_OPEN_NOFOLLOW, that refuses both, is not asked for. */
bool state_db_open(const struct state *state, sqlite3 **db_r, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(state->path, db_r, flags, NULL) != SQLITE_OK)
		return state_db_fail(state, *db_r, err);
	sqlite3_extended_result_codes(*db_r, 1);
	sqlite3_busy_timeout(*db_r, STATE_BUSY_SECONDS * 1000);
	if (sqlite3_db_readonly(*db_r, "main"))
		return err_sys(err, ERR_STATE, EACCES, "cannot write the state file %s",
			       state->path);
	/* Without WAL a commit is durable once the journal's directory is flushed, too (EXTRA); and
	 * a large transaction must not lock out the reader before it is committed. */
	if (!state->wal && !state_db_execute(state, *db_r, "PRAGMA cache_spill = OFF", err))
		return false;
	return state_db_execute(
		   state, *db_r,
		   state->wal ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = EXTRA", err) &&
	       state_db_execute(state, *db_r,
				"PRAGMA cache_size = -512;"
				"PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = OFF;"
				"PRAGMA temp_store = MEMORY",
				err);
}

bool state_db_version(const struct state *state, sqlite3 *db, int *version_r, struct err *err)
{
	int application = 0;
	int tables = 0;

	if (!pragma_number(state, db, "PRAGMA application_id", &application, err) ||
	    !pragma_number(state, db, "PRAGMA user_version", version_r, err) ||
	    !pragma_number(state, db, "SELECT count(*) FROM sqlite_schema", &tables, err))
		return false;
	if (!application && !*version_r && !tables)
		return true;
	if (application != STATE_APPLICATION || *version_r < 1)
		return err_set(err, ERR_STATE, "%s is not a state file of mailhaul; move it aside",
			       state->path);
	if (*version_r > STATE_SCHEMA)
		return err_set(
		    err, ERR_STATE,
		    "the state file %s was written by a newer mailhaul (form %d, this one "
		    "knows %d); nothing was done. Install that version again",
		    state->path, *version_r, STATE_SCHEMA);
	return true;
}

/* Brings a file of an older form up to date, step by step. */
static bool migrate(const struct state *state, sqlite3 *db, int version, struct err *err)
{
	for (; version < STATE_SCHEMA; version++)
		if (!state_db_execute(state, db, migrations[version], err))
			return false;
	return true;
}

/* Two processes may find the file new, or of an older form, at the same time: the second sees what
 * the first made. */
static bool make_schema(const struct state *state, sqlite3 *db, struct err *err)
{
	char numbers[96];
	int version = 0;
	bool ok;

	if (!state_db_execute(state, db, "BEGIN IMMEDIATE", err))
		return false;
	snprintf(numbers, sizeof numbers, "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 STATE_APPLICATION, STATE_SCHEMA);
	ok = state_db_version(state, db, &version, err);
	crash_point("state-migrate");
	/* What was cut to nothing is not taken for a first start. */
	if (ok && !version && !state->fresh && state_was_used(state->directory))
		ok = state_db_damaged(state, "it is empty, though it was used before", err);
	if (ok && version != STATE_SCHEMA)
		ok = (version ? migrate(state, db, version, err)
			      : state_db_execute(state, db, schema, err)) &&
		     state_db_execute(state, db, numbers, err);
	crash_point("state-migrate-commit");
	ok = ok && state_db_execute(state, db, "COMMIT", err);
	if (!ok)
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	crash_point("state-migrated");
	return ok;
}

/*
 * Read in one transaction, while another process may make it. WAL is a property of the file: it is
 * set, or taken from a file that was moved to where it is not safe, only once the file is known to
 * be ours. Two processes that do so at the same time would find each other in the way, for which
 * SQLite does not wait.
 */
bool state_db_schema(const struct state *state, sqlite3 *db, struct err *err)
{
	int version = 0;
	int as_wanted = 0;
	bool ok =
	    state_db_execute(state, db, "BEGIN", err) &&
	    state_db_version(state, db, &version, err) &&
	    pragma_number(state, db,
			  state->wal ? "SELECT journal_mode = 'wal' FROM pragma_journal_mode"
				     : "SELECT journal_mode = 'delete' FROM pragma_journal_mode",
			  &as_wanted, err);
	int alone = -1;

	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	if (ok && (version != STATE_SCHEMA || !as_wanted))
		ok = (alone = state_enter_alone(state->directory, err)) >= 0;
	ok = ok &&
	     state_db_execute(
		 state, db,
		 state->wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE", err) &&
	     (version == STATE_SCHEMA || make_schema(state, db, err));
	if (alone >= 0)
		close(alone);
	return ok;
}

sqlite3_stmt *state_db_keyed(struct state *state, enum state_statement which,
			     const struct state_key *key, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, which, err);

	if (!stmt)
		return NULL;
	state_db_bind_text(stmt, 1, key->protocol);
	state_db_bind_text(stmt, 2, key->user);
	state_db_bind_text(stmt, 3, key->host);
	if (key->mailbox)
		state_db_bind_text(stmt, 4, key->mailbox);
	return stmt;
}
