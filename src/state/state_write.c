/*
 * state_write: changing the state, through the connection that belongs to the committer's thread.
 */
#include "state/state_db.h"

#include "util/crash.h"

bool state_begin(struct state *state, struct err *err)
{
	crash_point("state-begin");
	return state_db_execute(state, state->writer, "BEGIN IMMEDIATE", err);
}

bool state_commit(struct state *state, struct err *err)
{
	bool ok;

	crash_point("state-before-commit");
	ok = state_db_execute(state, state->writer, "COMMIT", err);
	crash_point("state-after-commit");
	return ok;
}

void state_rollback(struct state *state)
{
	(void)sqlite3_exec(state->writer, "ROLLBACK", NULL, NULL, NULL);
}

static sqlite3_stmt *for_message(struct state *state, enum state_statement which, int64_t mailbox,
				 uint32_t validity, const char *key, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, which, err);

	if (!stmt)
		return NULL;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, validity);
	state_db_bind_text(stmt, 3, key);
	return stmt;
}

bool state_put(struct state *state, int64_t mailbox, uint32_t validity, const struct state_row *row,
	       struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_WRITE_PUT, err);

	if (!stmt)
		return false;
	state_db_bind_row(stmt, mailbox, validity, row);
	return state_db_run(state, STATE_WRITE_PUT, err);
}

bool state_mark(struct state *state, int64_t mailbox, uint32_t validity, const char *key,
		enum state_is is, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = for_message(state, STATE_WRITE_MARK, mailbox, validity, key, err);

	if (!stmt)
		return false;
	sqlite3_bind_int(stmt, 4, (int)is);
	sqlite3_bind_int64(stmt, 5, now);
	return state_db_run(state, STATE_WRITE_MARK, err);
}

bool state_forget(struct state *state, int64_t mailbox, uint32_t validity, const char *key,
		  struct err *err)
{
	return for_message(state, STATE_WRITE_FORGET, mailbox, validity, key, err) &&
	       state_db_run(state, STATE_WRITE_FORGET, err);
}

bool state_gone(struct state *state, int64_t mailbox, uint32_t validity, const char *key,
		int64_t gone, struct err *err)
{
	sqlite3_stmt *stmt = for_message(state, STATE_WRITE_GONE, mailbox, validity, key, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 4, gone);
	return state_db_run(state, STATE_WRITE_GONE, err);
}

bool state_forget_gone(struct state *state, int64_t mailbox, int64_t before, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_WRITE_FORGET_GONE, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, before);
	return state_db_run(state, STATE_WRITE_FORGET_GONE, err);
}

bool state_put_checked(struct state *state, int64_t mailbox, int64_t begun, int64_t checked,
		       struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_WRITE_CHECKED, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, begun);
	sqlite3_bind_int64(stmt, 3, checked);
	return state_db_run(state, STATE_WRITE_CHECKED, err);
}

bool state_rename(struct state *state, int64_t mailbox, const char *name, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_WRITE_RENAME, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	state_db_bind_text(stmt, 2, name);
	return state_db_run(state, STATE_WRITE_RENAME, err);
}

bool state_adopt(struct state *state, int64_t from, int64_t to, uint32_t validity, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_WRITE_ADOPT, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, from);
	sqlite3_bind_int64(stmt, 2, to);
	sqlite3_bind_int64(stmt, 3, validity);
	return state_db_run(state, STATE_WRITE_ADOPT, err);
}

bool state_put_mailbox(struct state *state, int64_t mailbox, uint32_t validity, uint32_t next,
		       struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_WRITE_MAILBOX, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, validity);
	sqlite3_bind_int64(stmt, 3, next);
	return state_db_run(state, STATE_WRITE_MAILBOX, err);
}

bool state_put_visit(struct state *state, int64_t account, const struct state_visit *visit,
		     struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_WRITE_VISIT, err);

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
	state_db_bind_text(stmt, 11, visit->error_kind);
	state_db_bind_text(stmt, 12, visit->error);
	state_db_bind_text(stmt, 13, visit->encryption);
	state_db_bind_text(stmt, 14, visit->mechanism);
	state_db_bind_text(stmt, 15, visit->passed_over);
	sqlite3_bind_int64(stmt, 16, visit->today);
	sqlite3_bind_int64(stmt, 17, (sqlite3_int64)visit->today_messages);
	sqlite3_bind_int64(stmt, 18, (sqlite3_int64)visit->today_octets);
	return state_db_run(state, STATE_WRITE_VISIT, err);
}

bool state_put_maildir(struct state *state, const char *path, const char *identity, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_WRITE_MAILDIR, err);

	if (!stmt)
		return false;
	state_db_bind_text(stmt, 1, path);
	state_db_bind_text(stmt, 2, identity);
	return state_db_run(state, STATE_WRITE_MAILDIR, err);
}
