/*
 * state_mend: changes that no visit makes, for a person who mends what is remembered. Like all
 * writing, through the writer's connection, between begin and commit.
 */
#include "state/state_db.h"

/* Binds a mailbox or account, and runs. */
static bool on_id(struct state *state, enum state_statement which, int64_t id, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, which, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, id);
	return state_db_run(state, which, err);
}

bool state_forget_settled(struct state *state, int64_t mailbox, struct err *err)
{
	return on_id(state, STATE_MEND_FORGET, mailbox, err);
}

bool state_add(struct state *state, int64_t mailbox, uint32_t validity, const struct state_row *row,
	       bool *added_r, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_MEND_ADD, err);

	*added_r = false;
	if (!stmt)
		return false;
	state_db_bind_row(stmt, mailbox, validity, row);
	if (!state_db_run(state, STATE_MEND_ADD, err))
		return false;
	*added_r = sqlite3_changes(state->writer) > 0;
	return true;
}

bool state_add_skipped(struct state *state, int64_t mailbox, uint32_t validity, uint32_t from,
		       uint32_t to, int64_t now, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_MEND_SKIPPED, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, validity);
	sqlite3_bind_int64(stmt, 3, from);
	sqlite3_bind_int64(stmt, 4, to);
	sqlite3_bind_int64(stmt, 5, now);
	return state_db_run(state, STATE_MEND_SKIPPED, err);
}

bool state_add_mailbox(struct state *state, const struct state_key *key,
		       struct state_mailbox *mailbox_r, struct err *err)
{
	struct state_key account = *key;
	sqlite3_stmt *stmt;
	int got;

	account.mailbox = NULL;
	if (!state_db_keyed(state, STATE_MEND_ACCOUNT, &account, err) ||
	    !state_db_run(state, STATE_MEND_ACCOUNT, err) ||
	    !state_db_keyed(state, STATE_MEND_MAILBOX, key, err) ||
	    !state_db_run(state, STATE_MEND_MAILBOX, err))
		return false;
	stmt = state_db_keyed(state, STATE_MEND_FIND, key, err);
	if (!stmt)
		return false;
	got = sqlite3_step(stmt);
	if (got == SQLITE_ROW)
		state_db_read_mailbox(stmt, mailbox_r);
	return state_db_read_ended(state, stmt, got, err) &&
	       (got == SQLITE_ROW || state_db_damaged(state, "it lost a mailbox", err));
}

bool state_drop_mailbox(struct state *state, const struct state_mailbox *mailbox, struct err *err)
{
	return on_id(state, STATE_MEND_DROP_MAILBOX, mailbox->id, err) &&
	       on_id(state, STATE_MEND_DROP_ACCOUNT, mailbox->account, err);
}

bool state_move_account(struct state *state, int64_t account, const char *user, const char *host,
			struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_MEND_MOVE, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, account);
	state_db_bind_text(stmt, 2, user);
	state_db_bind_text(stmt, 3, host);
	return state_db_run(state, STATE_MEND_MOVE, err);
}
