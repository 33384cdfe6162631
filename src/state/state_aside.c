/*
 * state_aside: a damaged file is kept aside, on demand, so that mailhaul can begin anew.
 *
 * Nobody else does that: a state that is set aside unseen means that all mail is fetched again.
 * Nothing is salvaged, either: rows out of a damaged file could say of a message that it was
 * delivered, which allows its removal from the server.
 */
#include "state/state_db.h"
#include "state/state_files.h"
#include "util/crash.h"
#include "util/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The first word of a statement: "ok" if all is well. True also where damage hinders it. */
static bool ask(const struct state *state, sqlite3 *db, const char *sql, bool *ok_r,
		struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int got = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	bool read;

	if (got == SQLITE_OK)
		got = sqlite3_step(stmt);
	*ok_r = got == SQLITE_ROW && !strcmp(state_db_text(stmt, 0), "ok");
	read = got == SQLITE_ROW || (got & 0xff) == SQLITE_CORRUPT ||
	       (got & 0xff) == SQLITE_NOTADB || (got & 0xff) == SQLITE_ERROR ||
	       state_db_fail(state, db, err);
	sqlite3_finalize(stmt);
	return read;
}

/* What is whole in itself may still be a newer one or a stranger's, which is an error. */
static bool look(const struct state *state, sqlite3 *db, bool *whole_r, struct err *err)
{
	int version = 0;

	if (!ask(state, db, "PRAGMA integrity_check(1)", whole_r, err) || !*whole_r)
		return !err->kind;
	if (!state_db_version(state, db, &version, err))
		return false;
	if (!version) {
		*whole_r = !state_was_used(state->directory);
		return true;
	}
	return ask(state, db,
		   "SELECT 'ok' FROM identity WHERE length(id) = 16 AND (SELECT count(*) FROM "
		   "sqlite_schema WHERE name IN ('account', 'mailbox', 'message', 'maildir', "
		   "'unfinished', 'settled')) = 6",
		   whole_r, err);
}

/* Looking changes nothing: what the log holds stays there. */
static bool is_whole(const struct state *state, bool *whole_r, struct err *err)
{
	sqlite3 *db = NULL;
	bool ok;

	err_clear(err);
	*whole_r = false;
	ok = sqlite3_open_v2(state->path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK ||
	     state_db_fail(state, db, err);
	if (ok)
		sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	ok = ok && look(state, db, whole_r, err);
	sqlite3_close(db);
	return ok;
}

/* The log goes first: without the file it would be applied to the next one of that name. */
static bool move_all(const struct state *state, const char *as, struct err *err)
{
	static const char *const parts[] = {"-wal", "-shm", "-journal", ""};
	bool ok = true;

	for (size_t i = 0; ok && i < sizeof parts / sizeof *parts; i++) {
		char *from = mem_printf("%s%s", state->path, parts[i]);
		char *to = mem_printf("%s%s", as, parts[i]);

		ok = !rename(from, to) || (errno == ENOENT && *parts[i]) ||
		     err_sys(err, ERR_STATE, errno, "cannot rename %s to %s", from, to);
		free(from);
		free(to);
		crash_point("state-aside");
	}
	return ok && state_flush_directory(state->directory, err);
}

static bool set_aside(const struct state *state, char **as_r, struct err *err)
{
	char date[32];
	time_t now = time(NULL);
	bool whole = false;
	struct tm tm;

	if (!is_whole(state, &whole, err))
		return false;
	if (whole)
		return err_set(err, ERR_USAGE,
			       "the state file %s is not damaged; nothing was done. What shall be "
			       "fetched again is forgotten by mailhaul state forget",
			       state->path);
	gmtime_r(&now, &tm);
	strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &tm);
	*as_r = mem_printf("%s.damaged-%s", state->path, date);
	if (move_all(state, *as_r, err))
		return true;
	free(*as_r);
	*as_r = NULL;
	return false;
}

bool state_set_aside(const char *directory, char **as_r, struct err *err)
{
	struct state state = {.directory = mem_copy(directory),
			      .path = mem_printf("%s/state.db", directory)};
	struct state_locks *locks = NULL;
	struct stat st;
	bool ok = true;

	err_clear(err);
	*as_r = NULL;
	if (lstat(state.path, &st))
		ok = errno == ENOENT ||
		     err_sys(err, ERR_STATE, errno, "cannot open the state file %s", state.path);
	else if (!S_ISREG(st.st_mode))
		ok = err_set(err, ERR_STATE,
			     "the state file %s is not a regular file; move it aside", state.path);
	else
		ok = (locks = state_lock_all(directory, err)) && set_aside(&state, as_r, err);
	state_unlock_all(&locks);
	free(state.directory);
	free(state.path);
	return ok;
}
