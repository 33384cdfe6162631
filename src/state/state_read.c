/*
 * state_read: reading the state, through the connection that belongs to the loop.
 */
#include "state/state_db.h"

#include <stdio.h>
#include <string.h>

static void read_row(sqlite3_stmt *stmt, struct state_row *row)
{
	*row = (struct state_row){.key = state_db_text(stmt, 0),
				  .is = (enum state_is)sqlite3_column_int(stmt, 1),
				  .taken = sqlite3_column_int64(stmt, 2),
				  .changed = sqlite3_column_int64(stmt, 3),
				  .attempts = (uint32_t)sqlite3_column_int64(stmt, 4),
				  .next_try = sqlite3_column_int64(stmt, 5),
				  .name = state_db_text(stmt, 6),
				  .mark = state_db_text(stmt, 7),
				  .octets = (uint64_t)sqlite3_column_int64(stmt, 8),
				  .date = sqlite3_column_int64(stmt, 9),
				  .gone = sqlite3_column_int64(stmt, 10)};
}

bool state_find(struct state *state, int64_t mailbox, uint32_t validity, size_t count,
		const char *(*key)(void *ctx, size_t index),
		void (*known)(void *ctx, size_t index, const struct state_row *row), void *ctx,
		struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_READ_FIND, err);
	int got = SQLITE_DONE;

	/* One transaction, or each look-up would lock the file. */
	if (!stmt || !state_db_execute(state, state->reader, "BEGIN", err))
		return false;
	for (size_t i = 0; i < count && (got == SQLITE_DONE || got == SQLITE_ROW); i++) {
		sqlite3_bind_int64(stmt, 1, mailbox);
		sqlite3_bind_int64(stmt, 2, validity);
		state_db_bind_text(stmt, 3, key(ctx, i));
		got = sqlite3_step(stmt);
		if (got == SQLITE_ROW) {
			struct state_row row;

			read_row(stmt, &row);
			known(ctx, i, &row);
		}
		sqlite3_reset(stmt);
	}
	if (got != SQLITE_ROW && got != SQLITE_DONE)
		(void)state_db_fail(state, state->reader, err);
	(void)sqlite3_exec(state->reader, "COMMIT", NULL, NULL, NULL);
	return got == SQLITE_ROW || got == SQLITE_DONE;
}

/* Gives each row to a caller until it has enough. */
static bool give_rows(struct state *state, sqlite3_stmt *stmt,
		      bool (*each)(void *ctx, uint32_t validity, const struct state_row *row),
		      void *ctx, struct err *err)
{
	struct state_row row;
	int got;

	while ((got = sqlite3_step(stmt)) == SQLITE_ROW) {
		read_row(stmt, &row);
		if (!each(ctx, (uint32_t)sqlite3_column_int64(stmt, 11), &row))
			break;
	}
	return state_db_read_ended(state, stmt, got, err);
}

bool state_each(struct state *state, int64_t mailbox, uint32_t mask,
		bool (*each)(void *ctx, uint32_t validity, const struct state_row *row), void *ctx,
		struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_READ_EACH, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, mask);
	return give_rows(state, stmt, each, ctx, err);
}

bool state_due(struct state *state, int64_t mailbox, int64_t before,
	       bool (*each)(void *ctx, uint32_t validity, const struct state_row *row), void *ctx,
	       struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_READ_DUE, err);

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, before);
	return give_rows(state, stmt, each, ctx, err);
}

bool state_marked(struct state *state, int64_t account, const char *mark,
		  bool (*each)(void *ctx, int64_t mailbox, uint32_t validity,
			       const struct state_row *row),
		  void *ctx, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_READ_MARK, err);
	struct state_row row;
	int got;

	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, account);
	state_db_bind_text(stmt, 2, mark);
	while ((got = sqlite3_step(stmt)) == SQLITE_ROW) {
		read_row(stmt, &row);
		if (!each(ctx, sqlite3_column_int64(stmt, 12),
			  (uint32_t)sqlite3_column_int64(stmt, 11), &row))
			break;
	}
	return state_db_read_ended(state, stmt, got, err);
}

bool state_others(struct state *state, int64_t mailbox, uint32_t validity, bool *others_r,
		  struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_READ_OTHERS, err);
	int got;

	*others_r = false;
	if (!stmt)
		return false;
	sqlite3_bind_int64(stmt, 1, mailbox);
	sqlite3_bind_int64(stmt, 2, validity);
	got = sqlite3_step(stmt);
	*others_r = got == SQLITE_ROW && sqlite3_column_int(stmt, 0);
	return state_db_read_ended(state, stmt, got, err);
}

bool state_count(struct state *state, int64_t mailbox, uint64_t counts_r[STATE_IS_END],
		 struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_READ_COUNT, err);
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
	return state_db_read_ended(state, stmt, got, err);
}

bool state_quarantined(struct state *state, const char *protocol, const char *user,
		       const char *host, uint64_t *count_r, struct err *err)
{
	struct state_key key = {.protocol = protocol, .user = user, .host = host};
	sqlite3_stmt *stmt = state_db_keyed(state, STATE_READ_QUARANTINED, &key, err);
	int got;

	*count_r = 0;
	if (!stmt)
		return false;
	got = sqlite3_step(stmt);
	if (got == SQLITE_ROW)
		*count_r = (uint64_t)sqlite3_column_int64(stmt, 0);
	return state_db_read_ended(state, stmt, got, err);
}

#define COPY_COLUMN(stmt, column, field)                                                           \
	snprintf(field, sizeof(field), "%s", state_db_text(stmt, column))

bool state_visit(struct state *state, const char *protocol, const char *user, const char *host,
		 struct state_visit *visit_r, struct err *err)
{
	struct state_key key = {.protocol = protocol, .user = user, .host = host};
	sqlite3_stmt *stmt = state_db_keyed(state, STATE_READ_VISIT, &key, err);
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
		visit_r->today = sqlite3_column_int64(stmt, 14);
		visit_r->today_messages = (uint64_t)sqlite3_column_int64(stmt, 15);
		visit_r->today_octets = (uint64_t)sqlite3_column_int64(stmt, 16);
	}
	return state_db_read_ended(state, stmt, got, err);
}

bool state_maildir(struct state *state, const char *path, char *identity_r, struct err *err)
{
	sqlite3_stmt *stmt = state_db_statement(state, STATE_READ_MAILDIR, err);
	int got;

	*identity_r = '\0';
	if (!stmt)
		return false;
	state_db_bind_text(stmt, 1, path);
	got = sqlite3_step(stmt);
	if (got == SQLITE_ROW)
		snprintf(identity_r, STATE_IDENTITY + 1, "%s", state_db_text(stmt, 0));
	return state_db_read_ended(state, stmt, got, err);
}
