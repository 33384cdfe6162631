/*
 * state: what mailhaul remembers, in one SQLite file that survives kill -9 and power cuts.
 *
 * WAL with synchronous=FULL: a commit is durable when it returns. Two connections: the reader
 * belongs to the loop and never waits for the writer's flush; the writer belongs to the committer's
 * thread. The few rows that name an account or a mailbox are made through the reader, with a busy
 * time-out, when they are first needed.
 *
 * Every row stands in one of two partial indices: what is not finished, so that a visit of a
 * mailbox with a million delivered messages reads none of them, and what is settled.
 */
#include "state/state.h"

#include "state/state_files.h"
#include "util/crash.h"
#include "util/mem.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	STATE_APPLICATION = 0x6d68616c, /* "mhal" */
	STATE_SCHEMA = 1,
	STATE_BUSY_SECONDS = 10
};

/* Bits of states, as in STATE_MASK(). Written as "state IN (...)" they would cost every row that is
 * written several temporary tables. */
#define UNFINISHED "(1 << state) & 70"
#define SETTLED	   "(1 << state) & 184"

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
    " UNIQUE (protocol, user, host));"
    "CREATE TABLE mailbox ("
    " id INTEGER PRIMARY KEY, account INTEGER NOT NULL REFERENCES account, name TEXT NOT NULL,"
    " validity INTEGER NOT NULL DEFAULT 0, next INTEGER NOT NULL DEFAULT 1,"
    " UNIQUE (account, name));"
    "CREATE TABLE message ("
    " mailbox INTEGER NOT NULL REFERENCES mailbox, validity INTEGER NOT NULL, key TEXT NOT NULL,"
    " state INTEGER NOT NULL, taken INTEGER NOT NULL, changed INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, next_try INTEGER NOT NULL, name TEXT NOT NULL,"
    " mark TEXT NOT NULL, octets INTEGER NOT NULL, date INTEGER NOT NULL,"
    " PRIMARY KEY (mailbox, validity, key)) WITHOUT ROWID;"
    "CREATE INDEX unfinished ON message (mailbox, taken, name) WHERE " UNFINISHED ";"
    "CREATE INDEX settled ON message (mailbox, state, taken) WHERE " SETTLED ";"
    "CREATE TABLE maildir (path TEXT PRIMARY KEY, identity TEXT NOT NULL) WITHOUT ROWID;";

_Static_assert(STATE_IS_END == 8 && (STATE_MASK(STATE_TAKEN) | STATE_MASK(STATE_HANDED) |
				     STATE_MASK(STATE_WAITING)) == 70,
	       "UNFINISHED, SETTLED and READ_EACH name all states");

enum statement {
	READ_FIND,
	READ_EACH,
	READ_OTHERS,
	READ_COUNT,
	READ_VISIT,
	READ_MAILDIR,
	READ_MAILBOX,
	ADD_ACCOUNT,
	ADD_MAILBOX,
	WRITE_PUT,
	WRITE_MARK,
	WRITE_FORGET,
	WRITE_MAILBOX,
	WRITE_VISIT,
	WRITE_MAILDIR,
	STATEMENTS
};

#define ROWS_BY(index)                                                                             \
	"SELECT key, state, taken, changed, attempts, next_try, name, mark, octets, date,"         \
	" validity FROM message INDEXED BY " index " WHERE mailbox = ?1 AND "
#define SETTLED_ROWS(state)                                                                        \
	" UNION ALL " ROWS_BY("settled") SETTLED " AND state = " state " AND ?2 & (1 << " state ")"

static const char *const statements[STATEMENTS] = {
    [READ_FIND] = "SELECT state FROM message WHERE mailbox = ?1 AND validity = ?2 AND key = ?3",
    /* Each part comes in order out of its index, and they are merged: nothing is sorted but rows of
     * the same second, however many there are. */
    [READ_EACH] =
	ROWS_BY("unfinished") UNFINISHED " AND ?2 & 70 AND ?2 & (1 << state)" SETTLED_ROWS("3")
	    SETTLED_ROWS("4") SETTLED_ROWS("5") SETTLED_ROWS("7") " ORDER BY taken, name",
    [READ_OTHERS] = "SELECT EXISTS (SELECT 1 FROM message WHERE mailbox = ?1 AND validity < ?2)"
		    " OR EXISTS (SELECT 1 FROM message WHERE mailbox = ?1 AND validity > ?2)",
    [READ_COUNT] = "SELECT state, count(*) FROM message INDEXED BY settled"
		   " WHERE mailbox = ?1 AND " SETTLED " GROUP BY state UNION ALL"
		   " SELECT state, count(*) FROM message INDEXED BY unfinished"
		   " WHERE mailbox = ?1 AND " UNFINISHED " GROUP BY state",
    [READ_VISIT] = "SELECT tried, succeeded, messages, octets, failing_since, reported,"
		   " auth_refused, expires, warned, error_kind, error, encryption, mechanism,"
		   " passed_over FROM account WHERE protocol = ?1 AND user = ?2 AND host = ?3",
    [READ_MAILDIR] = "SELECT identity FROM maildir WHERE path = ?1",
    [READ_MAILBOX] = "SELECT account.id, mailbox.id, validity, next FROM account JOIN mailbox"
		     " ON mailbox.account = account.id"
		     " WHERE protocol = ?1 AND user = ?2 AND host = ?3 AND name = ?4",
    [ADD_ACCOUNT] = "INSERT OR IGNORE INTO account (protocol, user, host) VALUES (?1, ?2, ?3)",
    [ADD_MAILBOX] = "INSERT OR IGNORE INTO mailbox (account, name) SELECT id, ?4 FROM account"
		    " WHERE protocol = ?1 AND user = ?2 AND host = ?3",
    [WRITE_PUT] = "INSERT OR REPLACE INTO message VALUES"
		  " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [WRITE_MARK] = "UPDATE message SET state = ?4, changed = ?5"
		   " WHERE mailbox = ?1 AND validity = ?2 AND key = ?3",
    [WRITE_FORGET] = "DELETE FROM message WHERE mailbox = ?1 AND validity = ?2 AND key = ?3",
    [WRITE_MAILBOX] = "UPDATE mailbox SET validity = ?2, next = ?3 WHERE id = ?1",
    [WRITE_VISIT] = "UPDATE account SET tried = ?2, succeeded = ?3, messages = ?4, octets = ?5,"
		    " failing_since = ?6, reported = ?7, auth_refused = ?8, expires = ?9,"
		    " warned = ?10, error_kind = ?11, error = ?12, encryption = ?13,"
		    " mechanism = ?14, passed_over = ?15 WHERE id = ?1",
    [WRITE_MAILDIR] = "INSERT OR REPLACE INTO maildir VALUES (?1, ?2)",
};

struct state {
	char *directory;
	char *path;
	sqlite3 *reader, *writer;
	sqlite3_stmt *made[STATEMENTS];
	char identity[STATE_IDENTITY + 1];
};

/* ---- errors ---- */

static bool damaged(const struct state *state, const char *how, struct err *err)
{
	return err_set(err, ERR_STATE,
		       "the state file %s is damaged (%s). Move it aside, with its -wal and -shm: "
		       "mailhaul then begins anew and fetches again what still lies on the servers",
		       state->path, how);
}

static bool fail(const struct state *state, sqlite3 *db, struct err *err)
{
	int code = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
	int sys = db ? sqlite3_system_errno(db) : 0;

	switch (code & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return damaged(state, sqlite3_errmsg(db), err);
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

static sqlite3 *connection_of(const struct state *state, enum statement which)
{
	return which < WRITE_PUT ? state->reader : state->writer;
}

static sqlite3_stmt *statement(struct state *state, enum statement which, struct err *err)
{
	sqlite3 *db = connection_of(state, which);

	if (!state->made[which] &&
	    sqlite3_prepare_v3(db, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
			       &state->made[which], NULL) != SQLITE_OK) {
		(void)fail(state, db, err);
		return NULL;
	}
	sqlite3_reset(state->made[which]);
	return state->made[which];
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	sqlite3_bind_text(stmt, at, text ? text : "", -1, SQLITE_STATIC);
}

static const char *column_text(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return text ? (const char *)text : "";
}

/* Runs a statement that gives no rows, and lets go of what was bound. */
static bool run(struct state *state, enum statement which, struct err *err)
{
	sqlite3_stmt *stmt = state->made[which];
	bool ok = sqlite3_step(stmt) == SQLITE_DONE;

	if (!ok)
		(void)fail(state, connection_of(state, which), err);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return ok;
}

/* Ends a reading whose last step gave "got"; what failed is asked for before the reset. */
static bool read_ended(const struct state *state, sqlite3_stmt *stmt, int got, struct err *err)
{
	bool ok = got == SQLITE_ROW || got == SQLITE_DONE || fail(state, state->reader, err);

	sqlite3_reset(stmt);
	return ok;
}

static bool execute(const struct state *state, sqlite3 *db, const char *sql, struct err *err)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK || fail(state, db, err);
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
		(void)fail(state, db, err);
	sqlite3_finalize(stmt);
	return ok;
}

/* ---- opening ---- */

/* A symbolic link in its place was refused; one further up is the user's own affair, which is why
 * SQLITE_OPEN_NOFOLLOW, that refuses both, is not asked for. */
static bool open_connection(const struct state *state, sqlite3 **db_r, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(state->path, db_r, flags, NULL) != SQLITE_OK)
		return fail(state, *db_r, err);
	sqlite3_extended_result_codes(*db_r, 1);
	sqlite3_busy_timeout(*db_r, STATE_BUSY_SECONDS * 1000);
	if (sqlite3_db_readonly(*db_r, "main"))
		return err_sys(err, ERR_STATE, EACCES, "cannot write the state file %s",
			       state->path);
	return execute(state, *db_r,
		       "PRAGMA synchronous = FULL; PRAGMA cache_size = -512;"
		       "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = OFF;"
		       "PRAGMA temp_store = MEMORY",
		       err);
}

/* 0 for a file in which there is nothing yet. A file of someone else is left as it is. */
static bool read_schema(const struct state *state, sqlite3 *db, int *version_r, struct err *err)
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

/* Two processes may find the file new at the same time: the second sees what the first made. */
static bool make_schema(const struct state *state, sqlite3 *db, struct err *err)
{
	char numbers[96];
	int version = 0;
	bool ok;

	if (!execute(state, db, "BEGIN IMMEDIATE", err))
		return false;
	snprintf(numbers, sizeof numbers, "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 STATE_APPLICATION, STATE_SCHEMA);
	ok = read_schema(state, db, &version, err) &&
	     (version || (execute(state, db, schema, err) && execute(state, db, numbers, err))) &&
	     execute(state, db, "COMMIT", err);
	if (!ok)
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return ok;
}

/*
 * Read in one transaction, while another process may make it. WAL is a property of the file: it is
 * set only once the file is known to be ours. Two processes that set it at the same time would find
 * each other in the way, for which SQLite does not wait.
 */
static bool open_schema(const struct state *state, sqlite3 *db, struct err *err)
{
	int version = 0;
	bool ok = execute(state, db, "BEGIN", err) && read_schema(state, db, &version, err);
	int alone = -1;

	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	if (ok && !version)
		ok = (alone = state_enter_alone(state->directory, err)) >= 0;
	ok = ok && execute(state, db, "PRAGMA journal_mode = WAL", err) &&
	     (version || make_schema(state, db, err));
	if (alone >= 0)
		close(alone);
	return ok;
}

static bool read_identity(struct state *state, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int got = sqlite3_prepare_v2(state->reader, "SELECT id FROM identity", -1, &stmt, NULL);

	if (got == SQLITE_OK && (got = sqlite3_step(stmt)) == SQLITE_ROW)
		snprintf(state->identity, sizeof state->identity, "%s", column_text(stmt, 0));
	if (got != SQLITE_ROW && got != SQLITE_DONE)
		(void)fail(state, state->reader, err);
	else if (strlen(state->identity) != STATE_IDENTITY)
		(void)damaged(state, "it has no identity", err);
	else
		got = SQLITE_OK;
	sqlite3_finalize(stmt);
	return got == SQLITE_OK;
}

struct state *state_open(const char *directory, struct err *err)
{
	struct state *state = mem_new(1, sizeof *state);

	/* The library's own accounting costs a lock at every allocation. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	state->directory = mem_copy(directory);
	state->path = mem_printf("%s/state.db", directory);
	if (!state_make_files(directory, state->path, err) ||
	    !open_connection(state, &state->writer, err) ||
	    !open_schema(state, state->writer, err) ||
	    !open_connection(state, &state->reader, err) ||
	    /* Moving the log into the file is work for the committer's thread alone. */
	    !execute(state, state->reader, "PRAGMA wal_autocheckpoint = 0", err) ||
	    !read_identity(state, err))
		state_free(&state);
	return state;
}

void state_free(struct state **state_p)
{
	struct state *state = *state_p;

	if (!state)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(state->made[i]);
	sqlite3_close(state->reader);
	sqlite3_close(state->writer);
	free(state->directory);
	free(state->path);
	free(state);
	*state_p = NULL;
}

const char *state_identity(const struct state *state)
{
	return state->identity;
}

const char *state_directory(const struct state *state)
{
	return state->directory;
}

/* ---- mailboxes ---- */

static sqlite3_stmt *keyed(struct state *state, enum statement which, const struct state_key *key,
			   struct err *err)
{
	sqlite3_stmt *stmt = statement(state, which, err);

	if (!stmt)
		return NULL;
	bind_text(stmt, 1, key->protocol);
	bind_text(stmt, 2, key->user);
	bind_text(stmt, 3, key->host);
	if (key->mailbox)
		bind_text(stmt, 4, key->mailbox);
	return stmt;
}

static bool read_mailbox(struct state *state, const struct state_key *key, bool *found_r,
			 struct state_mailbox *mailbox_r, struct err *err)
{
	sqlite3_stmt *stmt = keyed(state, READ_MAILBOX, key, err);
	int got;

	if (!stmt)
		return false;
	got = sqlite3_step(stmt);
	*found_r = got == SQLITE_ROW;
	if (*found_r)
		*mailbox_r =
		    (struct state_mailbox){.account = sqlite3_column_int64(stmt, 0),
					   .id = sqlite3_column_int64(stmt, 1),
					   .validity = (uint32_t)sqlite3_column_int64(stmt, 2),
					   .next = (uint32_t)sqlite3_column_int64(stmt, 3)};
	return read_ended(state, stmt, got, err);
}

bool state_mailbox(struct state *state, const struct state_key *key,
		   struct state_mailbox *mailbox_r, struct err *err)
{
	struct state_key account = *key;
	bool found = false;

	if (!read_mailbox(state, key, &found, mailbox_r, err))
		return false;
	if (found)
		return true;
	account.mailbox = NULL;
	if (!execute(state, state->reader, "BEGIN IMMEDIATE", err))
		return false;
	if (!keyed(state, ADD_ACCOUNT, &account, err) || !run(state, ADD_ACCOUNT, err) ||
	    !keyed(state, ADD_MAILBOX, key, err) || !run(state, ADD_MAILBOX, err) ||
	    !read_mailbox(state, key, &found, mailbox_r, err) ||
	    !execute(state, state->reader, "COMMIT", err)) {
		(void)sqlite3_exec(state->reader, "ROLLBACK", NULL, NULL, NULL);
		return false;
	}
	return found || err_set(err, ERR_STATE, "the state file %s lost a mailbox", state->path);
}

/* ---- reading ---- */

static void read_row(sqlite3_stmt *stmt, struct state_row *row)
{
	*row = (struct state_row){.key = column_text(stmt, 0),
				  .is = (enum state_is)sqlite3_column_int(stmt, 1),
				  .taken = sqlite3_column_int64(stmt, 2),
				  .changed = sqlite3_column_int64(stmt, 3),
				  .attempts = (uint32_t)sqlite3_column_int64(stmt, 4),
				  .next_try = sqlite3_column_int64(stmt, 5),
				  .name = column_text(stmt, 6),
				  .mark = column_text(stmt, 7),
				  .octets = (uint64_t)sqlite3_column_int64(stmt, 8),
				  .date = sqlite3_column_int64(stmt, 9)};
}

bool state_find(struct state *state, int64_t mailbox, uint32_t validity, size_t count,
		const char *(*key)(void *ctx, size_t index),
		void (*known)(void *ctx, size_t index, enum state_is is), void *ctx,
		struct err *err)
{
	sqlite3_stmt *stmt = statement(state, READ_FIND, err);
	int got = SQLITE_DONE;

	/* One transaction, or each look-up would lock the file. */
	if (!stmt || !execute(state, state->reader, "BEGIN", err))
		return false;
	for (size_t i = 0; i < count && (got == SQLITE_DONE || got == SQLITE_ROW); i++) {
		sqlite3_bind_int64(stmt, 1, mailbox);
		sqlite3_bind_int64(stmt, 2, validity);
		bind_text(stmt, 3, key(ctx, i));
		got = sqlite3_step(stmt);
		if (got == SQLITE_ROW)
			known(ctx, i, (enum state_is)sqlite3_column_int(stmt, 0));
		sqlite3_reset(stmt);
	}
	if (got != SQLITE_ROW && got != SQLITE_DONE)
		(void)fail(state, state->reader, err);
	(void)sqlite3_exec(state->reader, "COMMIT", NULL, NULL, NULL);
	return got == SQLITE_ROW || got == SQLITE_DONE;
}

bool state_each(struct state *state, int64_t mailbox, uint32_t mask,
		bool (*each)(void *ctx, uint32_t validity, const struct state_row *row), void *ctx,
		struct err *err)
{
	sqlite3_stmt *stmt = statement(state, READ_EACH, err);
	struct state_row row;
	int got;

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, mask);
	while ((got = sqlite3_step(stmt)) == SQLITE_ROW) {
		read_row(stmt, &row);
		if (!each(ctx, (uint32_t)sqlite3_column_int64(stmt, 10), &row))
			break;
	}
	return read_ended(state, stmt, got, err);
}

bool state_others(struct state *state, int64_t mailbox, uint32_t validity, bool *others_r,
		  struct err *err)
{
	sqlite3_stmt *stmt = statement(state, READ_OTHERS, err);
	int got;

	*others_r = false;
	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, validity);
	got = sqlite3_step(stmt);
	*others_r = got == SQLITE_ROW && sqlite3_column_int(stmt, 0);
	return read_ended(state, stmt, got, err);
}

bool state_count(struct state *state, int64_t mailbox, uint64_t counts_r[STATE_IS_END],
		 struct err *err)
{
	sqlite3_stmt *stmt = statement(state, READ_COUNT, err);
	int got;

	memset(counts_r, 0, STATE_IS_END * sizeof *counts_r);
	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	while ((got = sqlite3_step(stmt)) == SQLITE_ROW) {
		int is = sqlite3_column_int(stmt, 0);

		if (is > 0 && is < STATE_IS_END)
			counts_r[is] = (uint64_t)sqlite3_column_int64(stmt, 1);
	}
	return read_ended(state, stmt, got, err);
}

#define COPY_COLUMN(stmt, column, field)                                                           \
	snprintf(field, sizeof(field), "%s", column_text(stmt, column))

bool state_visit(struct state *state, const char *protocol, const char *user, const char *host,
		 struct state_visit *visit_r, struct err *err)
{
	struct state_key key = {.protocol = protocol, .user = user, .host = host};
	sqlite3_stmt *stmt = keyed(state, READ_VISIT, &key, err);
	int got;

	*visit_r = (struct state_visit){.tried = 0};
	if (!stmt)
		return false;
	got = sqlite3_step(stmt);
	if (got == SQLITE_ROW) {
		visit_r->tried = sqlite3_column_int64(stmt, 0);
		visit_r->succeeded = sqlite3_column_int64(stmt, 1);
		visit_r->messages = (uint64_t)sqlite3_column_int64(stmt, 2);
		visit_r->octets = (uint64_t)sqlite3_column_int64(stmt, 3);
		visit_r->failing_since = sqlite3_column_int64(stmt, 4);
		visit_r->reported = sqlite3_column_int64(stmt, 5);
		visit_r->auth_refused = sqlite3_column_int64(stmt, 6);
		visit_r->expires = sqlite3_column_int64(stmt, 7);
		visit_r->warned = sqlite3_column_int64(stmt, 8);
		COPY_COLUMN(stmt, 9, visit_r->error_kind);
		COPY_COLUMN(stmt, 10, visit_r->error);
		COPY_COLUMN(stmt, 11, visit_r->encryption);
		COPY_COLUMN(stmt, 12, visit_r->mechanism);
		COPY_COLUMN(stmt, 13, visit_r->passed_over);
	}
	return read_ended(state, stmt, got, err);
}

bool state_maildir(struct state *state, const char *path, char *identity_r, struct err *err)
{
	sqlite3_stmt *stmt = statement(state, READ_MAILDIR, err);
	int got;

	*identity_r = '\0';
	if (!stmt)
		return false;
	bind_text(stmt, 1, path);
	got = sqlite3_step(stmt);
	if (got == SQLITE_ROW)
		snprintf(identity_r, STATE_IDENTITY + 1, "%s", column_text(stmt, 0));
	return read_ended(state, stmt, got, err);
}

/* ---- writing ---- */

bool state_begin(struct state *state, struct err *err)
{
	crash_point("state-begin");
	return execute(state, state->writer, "BEGIN IMMEDIATE", err);
}

bool state_commit(struct state *state, struct err *err)
{
	bool ok;

	crash_point("state-before-commit");
	ok = execute(state, state->writer, "COMMIT", err);
	crash_point("state-after-commit");
	return ok;
}

void state_rollback(struct state *state)
{
	(void)sqlite3_exec(state->writer, "ROLLBACK", NULL, NULL, NULL);
}

static sqlite3_stmt *for_message(struct state *state, enum statement which, int64_t mailbox,
				 uint32_t validity, const char *key, struct err *err)
{
	sqlite3_stmt *stmt = statement(state, which, err);

	if (!stmt)
		return NULL;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, validity);
	bind_text(stmt, 3, key);
	return stmt;
}

bool state_put(struct state *state, int64_t mailbox, uint32_t validity, const struct state_row *row,
	       struct err *err)
{
	sqlite3_stmt *stmt = for_message(state, WRITE_PUT, mailbox, validity, row->key, err);

	if (!stmt)
		return false;
	sqlite3_bind_int(stmt, 4, (int)row->is);
	sqlite3_bind_int64(stmt, 5, row->taken);
	sqlite3_bind_int64(stmt, 6, row->changed);
	sqlite3_bind_int64(stmt, 7, row->attempts);
	sqlite3_bind_int64(stmt, 8, row->next_try);
	bind_text(stmt, 9, row->name);
	bind_text(stmt, 10, row->mark);
	sqlite3_bind_int64(stmt, 11, (sqlite3_int64)row->octets);
	sqlite3_bind_int64(stmt, 12, row->date);
	return run(state, WRITE_PUT, err);
}

bool state_mark(struct state *state, int64_t mailbox, uint32_t validity, const char *key,
		enum state_is is, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = for_message(state, WRITE_MARK, mailbox, validity, key, err);

	if (!stmt)
		return false;
	sqlite3_bind_int(stmt, 4, (int)is);
	sqlite3_bind_int64(stmt, 5, now);
	return run(state, WRITE_MARK, err);
}

bool state_forget(struct state *state, int64_t mailbox, uint32_t validity, const char *key,
		  struct err *err)
{
	return for_message(state, WRITE_FORGET, mailbox, validity, key, err) &&
	       run(state, WRITE_FORGET, err);
}

bool state_put_mailbox(struct state *state, int64_t mailbox, uint32_t validity, uint32_t next,
		       struct err *err)
{
	sqlite3_stmt *stmt = statement(state, WRITE_MAILBOX, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, validity);
	sqlite3_bind_int64(stmt, 3, next);
	return run(state, WRITE_MAILBOX, err);
}

bool state_put_visit(struct state *state, int64_t account, const struct state_visit *visit,
		     struct err *err)
{
	sqlite3_stmt *stmt = statement(state, WRITE_VISIT, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, account);
	sqlite3_bind_int64(stmt, 2, visit->tried);
	sqlite3_bind_int64(stmt, 3, visit->succeeded);
	sqlite3_bind_int64(stmt, 4, (sqlite3_int64)visit->messages);
	sqlite3_bind_int64(stmt, 5, (sqlite3_int64)visit->octets);
	sqlite3_bind_int64(stmt, 6, visit->failing_since);
	sqlite3_bind_int64(stmt, 7, visit->reported);
	sqlite3_bind_int64(stmt, 8, visit->auth_refused);
	sqlite3_bind_int64(stmt, 9, visit->expires);
	sqlite3_bind_int64(stmt, 10, visit->warned);
	bind_text(stmt, 11, visit->error_kind);
	bind_text(stmt, 12, visit->error);
	bind_text(stmt, 13, visit->encryption);
	bind_text(stmt, 14, visit->mechanism);
	bind_text(stmt, 15, visit->passed_over);
	return run(state, WRITE_VISIT, err);
}

bool state_put_maildir(struct state *state, const char *path, const char *identity, struct err *err)
{
	sqlite3_stmt *stmt = statement(state, WRITE_MAILDIR, err);

	if (!stmt)
		return false;
	bind_text(stmt, 1, path);
	bind_text(stmt, 2, identity);
	return run(state, WRITE_MAILDIR, err);
}
