/*
 * state: what mailhaul remembers, in one SQLite file that survives kill -9 and power cuts.
 *
 * Two connections: the reader belongs to the loop and never waits for the writer's flush; the
 * writer belongs to the committer's thread. The few rows that name an account or a mailbox are made
 * through the reader, with a busy time-out, when they are first needed.
 */
#include "state/state.h"

#include "state/state_db.h"
#include "state/state_files.h"
#include "util/crash.h"
#include "util/log.h"
#include "util/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>

struct state_claim {
	UT_hash_handle hh;
	int64_t mailbox;
	struct state_claimer *by;
	struct state_claim *next; /* of the same claimer */
};

struct state_claimer {
	UT_hash_handle hh;
	char *account;
	struct state_claim *claims;
};

static bool read_identity(struct state *state, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int got = sqlite3_prepare_v2(state->reader, "SELECT id FROM identity", -1, &stmt, NULL);

	if (got == SQLITE_OK && (got = sqlite3_step(stmt)) == SQLITE_ROW)
		snprintf(state->identity, sizeof state->identity, "%s", state_db_text(stmt, 0));
	if (got != SQLITE_ROW && got != SQLITE_DONE)
		(void)state_db_fail(state, state->reader, err);
	else if (strlen(state->identity) != STATE_IDENTITY)
		(void)state_db_damaged(state, "it has no identity", err);
	else
		got = SQLITE_OK;
	sqlite3_finalize(stmt);
	return got == SQLITE_OK;
}

static struct state *state_new(const char *directory)
{
	struct state *state = mem_new(1, sizeof *state);

	state->directory = mem_copy(directory);
	state->path = mem_printf("%s/state.db", directory);
	return state;
}

static bool make_files(struct state *state, struct err *err)
{
	if (!state_make_files(state->directory, state->path, &state->fresh, err))
		return false;
	state->wal = state_may_wal(state->directory);
	if (!state->wal)
		log_notice("the state directory %s lies on a network file system, or one by FUSE: "
			   "the state is written in a way that is slower, and as safe as the locks "
			   "there are; a local disk is better",
			   state->directory);
	return true;
}

static bool open_file(struct state *state, struct err *err)
{
	/* The library's own accounting costs a lock at every allocation. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	return make_files(state, err) && state_db_open(state, &state->writer, err) &&
	       state_db_schema(state, state->writer, err) &&
	       state_db_open(state, &state->reader, err) &&
	       /* Moving the log into the file is work for the committer's thread alone. */
	       state_db_execute(state, state->reader, "PRAGMA wal_autocheckpoint = 0", err) &&
	       read_identity(state, err);
}

struct state *state_open(const char *directory, struct err *err)
{
	struct state *state = state_new(directory);

	if (!open_file(state, err))
		state_free(&state);
	return state;
}

struct state *state_open_existing(const char *directory, struct err *err)
{
	struct state *state = state_new(directory);
	struct stat st;

	err_clear(err);
	if ((lstat(state->path, &st) && errno == ENOENT) || !open_file(state, err))
		state_free(&state);
	return state;
}

static void drop_claimer(struct state *state, struct state_claimer *claimer)
{
	while (claimer->claims) {
		struct state_claim *claim = claimer->claims;

		claimer->claims = claim->next;
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it stands in the table */
		HASH_DEL(state->claims, claim);
		free(claim);
	}
	HASH_DEL(state->claimers, claimer);
	free(claimer->account);
	free(claimer);
}

void state_free(struct state **state_p)
{
	struct state *state = *state_p;

	if (!state)
		return;
	for (size_t i = 0; i < STATE_STATEMENTS; i++)
		sqlite3_finalize(state->made[i]);
	sqlite3_close(state->reader);
	sqlite3_close(state->writer);
	while (state->claimers)
		drop_claimer(state, state->claimers);
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

const char *state_is_name(enum state_is is)
{
	static const char *const names[STATE_IS_END] = {[STATE_TAKEN] = "taken",
							[STATE_HANDED] = "handed",
							[STATE_DELIVERED] = "delivered",
							[STATE_REMOVED] = "removed",
							[STATE_SKIPPED] = "skipped",
							[STATE_WAITING] = "waiting",
							[STATE_QUARANTINED] = "quarantined",
							[STATE_OVERSIZE] = "oversize"};

	return is < STATE_IS_END ? names[is] : NULL;
}

/* ---- mailboxes ---- */

bool state_known_mailbox(struct state *state, const struct state_key *key, bool *found_r,
			 struct state_mailbox *mailbox_r, struct err *err)
{
	sqlite3_stmt *stmt = state_db_keyed(state, STATE_READ_MAILBOX, key, err);
	int got;

	*found_r = false;
	if (!stmt)
		return false;
	got = sqlite3_step(stmt);
	*found_r = got == SQLITE_ROW;
	if (*found_r)
		state_db_read_mailbox(stmt, mailbox_r);
	return state_db_read_ended(state, stmt, got, err);
}

bool state_mailboxes(struct state *state, const struct state_key *account,
		     bool (*each)(void *ctx, const struct state_key *key,
				  const struct state_mailbox *mailbox),
		     void *ctx, struct err *err)
{
	struct state_key all = {.protocol = "", .user = "", .host = ""};
	struct state_key owner = account ? *account : all;
	sqlite3_stmt *stmt;
	int got;

	owner.mailbox = NULL;
	stmt = state_db_keyed(state, STATE_READ_MAILBOXES, &owner, err);
	if (!stmt)
		return false;
	while ((got = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct state_mailbox mailbox;

		state_db_read_mailbox(stmt, &mailbox);
		if (!each(ctx,
			  &(struct state_key){.protocol = state_db_text(stmt, 6),
					      .user = state_db_text(stmt, 7),
					      .host = state_db_text(stmt, 8),
					      .mailbox = state_db_text(stmt, 9)},
			  &mailbox))
			break;
	}
	return state_db_read_ended(state, stmt, got, err);
}

bool state_mailbox(struct state *state, const struct state_key *key,
		   struct state_mailbox *mailbox_r, struct err *err)
{
	struct state_key account = *key;
	bool found = false;

	if (!state_known_mailbox(state, key, &found, mailbox_r, err))
		return false;
	if (found)
		return true;
	account.mailbox = NULL;
	crash_point("state-mailbox");
	if (!state_db_execute(state, state->reader, "BEGIN IMMEDIATE", err))
		return false;
	if (!state_db_keyed(state, STATE_ADD_ACCOUNT, &account, err) ||
	    !state_db_run(state, STATE_ADD_ACCOUNT, err) ||
	    !state_db_keyed(state, STATE_ADD_MAILBOX, key, err) ||
	    !state_db_run(state, STATE_ADD_MAILBOX, err) ||
	    !state_known_mailbox(state, key, &found, mailbox_r, err) ||
	    !state_db_execute(state, state->reader, "COMMIT", err)) {
		(void)sqlite3_exec(state->reader, "ROLLBACK", NULL, NULL, NULL);
		return false;
	}
	crash_point("state-mailbox-made");
	return found || err_set(err, ERR_STATE, "the state file %s lost a mailbox", state->path);
}

bool state_account(struct state *state, const struct state_key *key, int64_t *account_r,
		   struct err *err)
{
	struct state_key account = *key;
	sqlite3_stmt *stmt;
	int got;

	account.mailbox = NULL;
	if (!state_db_keyed(state, STATE_ADD_ACCOUNT, &account, err) ||
	    !state_db_run(state, STATE_ADD_ACCOUNT, err))
		return false;
	stmt = state_db_keyed(state, STATE_READ_ACCOUNT, &account, err);
	if (!stmt)
		return false;
	got = sqlite3_step(stmt);
	*account_r = got == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	return state_db_read_ended(state, stmt, got, err);
}

bool state_called_before(struct state *state, const struct state_key *key, const char *older,
			 struct err *err)
{
	struct state_key before = *key;
	struct state_mailbox mailbox;
	sqlite3_stmt *stmt;
	bool found = false;

	before.mailbox = older;
	if (!state_known_mailbox(state, &before, &found, &mailbox, err))
		return false;
	if (!found)
		return true;
	stmt = state_db_keyed(state, STATE_CALL_MAILBOX, key, err);
	if (!stmt)
		return false;
	state_db_bind_text(stmt, 5, older);
	return state_db_run(state, STATE_CALL_MAILBOX, err);
}

/* ---- claims ---- */

static struct state_claimer *claimer_of(struct state *state, const char *account)
{
	struct state_claimer *claimer;

	HASH_FIND_STR(state->claimers, account, claimer);
	if (claimer)
		return claimer;
	claimer = mem_new(1, sizeof *claimer);
	claimer->account = mem_copy(account);
	HASH_ADD_KEYPTR(hh, state->claimers, claimer->account, strlen(account), claimer);
	return claimer;
}

bool state_claim(struct state *state, int64_t mailbox, const char *account, struct err *err)
{
	struct state_claim *claim;

	HASH_FIND(hh, state->claims, &mailbox, sizeof mailbox, claim);
	if (claim)
		return !strcmp(claim->by->account, account) ||
		       err_set(err, ERR_CONFIG, "account \"%s\" collects it, too",
			       claim->by->account);
	claim = mem_new(1, sizeof *claim);
	claim->mailbox = mailbox;
	claim->by = claimer_of(state, account);
	claim->next = claim->by->claims;
	claim->by->claims = claim;
	HASH_ADD(hh, state->claims, mailbox, sizeof claim->mailbox, claim);
	return true;
}

void state_release(struct state *state, const char *account)
{
	struct state_claimer *claimer;

	HASH_FIND_STR(state->claimers, account, claimer);
	if (claimer)
		drop_claimer(state, claimer);
}
