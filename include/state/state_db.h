/*
 * state_db: what the files of the state share: its connections and prepared statements. For
 * src/state alone; the only header that names SQLite.
 *
 *     state.c        opening, mailboxes and accounts
 *     state_db.c     the schema and its migration, statements, errors
 *     state_read.c   reading, on the loop
 *     state_write.c  writing, on the committer's thread
 *     state_aside.c  what becomes of a damaged file
 *     state_mend.c   the same, for a person who mends what is remembered
 */
#ifndef MAILHAUL_STATE_STATE_DB_H
#define MAILHAUL_STATE_STATE_DB_H

#include "state/state.h"

#include <sqlite3.h>

/* Those before STATE_WRITE_PUT belong to the reader, the others to the writer. */
enum state_statement {
	STATE_READ_FIND,
	STATE_READ_EACH,
	STATE_READ_DUE,
	STATE_READ_MARK,
	STATE_READ_OTHERS,
	STATE_READ_COUNT,
	STATE_READ_QUARANTINED,
	STATE_READ_VISIT,
	STATE_READ_MAILDIR,
	STATE_READ_MAILBOX,
	STATE_READ_MAILBOXES,
	STATE_READ_ACCOUNT,
	STATE_ADD_ACCOUNT,
	STATE_ADD_MAILBOX,
	STATE_CALL_MAILBOX,
	STATE_WRITE_PUT,
	STATE_WRITE_MARK,
	STATE_WRITE_GONE,
	STATE_WRITE_FORGET,
	STATE_WRITE_FORGET_GONE,
	STATE_WRITE_MAILBOX,
	STATE_WRITE_CHECKED,
	STATE_WRITE_VISIT,
	STATE_WRITE_MAILDIR,
	STATE_WRITE_RENAME,
	STATE_WRITE_ADOPT,
	STATE_MEND_FIND,
	STATE_MEND_ACCOUNT,
	STATE_MEND_MAILBOX,
	STATE_MEND_ADD,
	STATE_MEND_SKIPPED,
	STATE_MEND_FORGET,
	STATE_MEND_DROP_MAILBOX,
	STATE_MEND_DROP_ACCOUNT,
	STATE_MEND_MOVE,
	STATE_STATEMENTS
};

struct state_claim;
struct state_claimer;

struct state {
	char *directory;
	char *path;
	bool fresh; /* the file was made at this opening */
	bool wal;   /* what the file system is good for; else a rollback journal */
	sqlite3 *reader, *writer;
	sqlite3_stmt *made[STATE_STATEMENTS];
	struct state_claim *claims;
	struct state_claimer *claimers;
	char identity[STATE_IDENTITY + 1];
};

/* What SQLite says last of a connection (NULL: there is none) as an error; false. */
bool state_db_fail(const struct state *state, sqlite3 *db, struct err *err);
bool state_db_damaged(const struct state *state, const char *how, struct err *err);

/* One or more statements without rows. */
bool state_db_execute(const struct state *state, sqlite3 *db, const char *sql, struct err *err);

/* Opens one connection to the file, which exists. */
bool state_db_open(const struct state *state, sqlite3 **db_r, struct err *err);

/* The form of the file, 0 if there is nothing in it yet. A newer one and a file of someone else are
 * errors. */
bool state_db_version(const struct state *state, sqlite3 *db, int *version_r, struct err *err);

/* Makes the schema in an empty file, brings an older one up to date, refuses a newer one. */
bool state_db_schema(const struct state *state, sqlite3 *db, struct err *err);

/* The statement, prepared and reset; NULL on failure. */
sqlite3_stmt *state_db_statement(struct state *state, enum state_statement which, struct err *err);

/* The same with protocol, user, host and, unless that is NULL, mailbox bound as 1 to 4. */
sqlite3_stmt *state_db_keyed(struct state *state, enum state_statement which,
			     const struct state_key *key, struct err *err);

/* Runs a statement that gives no rows, and lets go of what was bound. */
bool state_db_run(struct state *state, enum state_statement which, struct err *err);

/* Ends a reading whose last step gave "got"; what failed is asked for before the reset. */
bool state_db_read_ended(const struct state *state, sqlite3_stmt *stmt, int got, struct err *err);

/* NULL is bound, and read, as "". */
void state_db_bind_text(sqlite3_stmt *stmt, int at, const char *text);
const char *state_db_text(sqlite3_stmt *stmt, int column);

/* A mailbox as the statements that find one give it; a row bound as those that write one want it.
 */
void state_db_read_mailbox(sqlite3_stmt *stmt, struct state_mailbox *mailbox_r);
void state_db_bind_row(sqlite3_stmt *stmt, int64_t mailbox, uint32_t validity,
		       const struct state_row *row);

#endif
