/*
 * state_transfer: "state export" and "state import".
 *
 * An export is one moment of the state: all of it is read while the reading of the mailboxes is
 * under way, which holds SQLite to what was there when it began. An import is one transaction, all
 * or nothing. What is known already stays as it is; letters do not travel, so what waited for its
 * delivery there is left out, and fetched again here.
 */
#include "cmd/report.h"
#include "cmd/state_command.h"
#include "state/transfer.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- export ---- */

struct exporting {
	struct state_command *command;
	uint64_t mailboxes, messages;
	struct err *err;
	bool ok;
};

static bool write_line(struct exporting *exporting, const struct transfer_line *line)
{
	struct buf out = {0};

	exporting->ok = transfer_write(&out, line, exporting->err);
	if (exporting->ok && fwrite(out.data, 1, out.len, stdout) != out.len)
		exporting->ok =
		    err_sys(exporting->err, ERR_STATE, errno, "cannot write the export");
	buf_free(&out);
	return exporting->ok;
}

static bool export_message(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct exporting *exporting = ctx;
	struct transfer_line line = {.kind = TRANSFER_MESSAGE, .validity = validity, .row = *row};

	/* Of a letter in its place nothing is wanted any more. */
	if (row->is != STATE_QUARANTINED)
		line.row.name = "";
	exporting->messages++;
	return write_line(exporting, &line);
}

static bool wanted(const struct state_command *command, const struct state_mailbox *mailbox)
{
	if (!*command->options->names)
		return true;
	for (size_t i = 0; i < command->count; i++)
		if (command->boxes[i].chosen && command->boxes[i].is.id == mailbox->id)
			return true;
	return false;
}

static bool export_mailbox(void *ctx, const struct state_key *key,
			   const struct state_mailbox *mailbox)
{
	struct exporting *exporting = ctx;
	struct state *state = exporting->command->state;
	struct transfer_line line = {.kind = TRANSFER_MAILBOX, .key = *key, .mailbox = *mailbox};
	struct state_visit visit;
	uint32_t every = 0;

	if (!wanted(exporting->command, mailbox))
		return true;
	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		every |= STATE_MASK(is);
	exporting->mailboxes++;
	exporting->ok =
	    state_visit(state, key->protocol, key->user, key->host, &visit, exporting->err);
	line.succeeded = visit.succeeded;
	return exporting->ok && write_line(exporting, &line) &&
	       (state_each(state, mailbox->id, every, export_message, exporting, exporting->err) ||
		(exporting->ok = false)) &&
	       exporting->ok;
}

bool state_command_export(struct state_command *command, struct err *err)
{
	struct exporting exporting = {.command = command, .err = err, .ok = true};
	struct state *state = command->state;

	if (!state_command_choose_all(command, command->options->names, err) ||
	    !write_line(&exporting,
			&(struct transfer_line){.kind = TRANSFER_HEAD,
						.identity = state ? state_identity(state) : ""}))
		return false;
	if (state &&
	    (!state_mailboxes(state, NULL, export_mailbox, &exporting, err) || !exporting.ok))
		return false;
	if (!write_line(&exporting, &(struct transfer_line){.kind = TRANSFER_END,
							    .mailboxes = exporting.mailboxes,
							    .messages = exporting.messages}))
		return false;
	if (fflush(stdout))
		return err_sys(err, ERR_STATE, errno, "cannot write the export");
	log_notice("exported: %" PRIu64 " messages in %" PRIu64 " mailboxes", exporting.messages,
		   exporting.mailboxes);
	return true;
}

/* ---- import ---- */

struct import_lock {
	int64_t mailbox;
	struct state_lock *lock;
};

struct importing {
	struct state_command *command;
	struct state *state;
	FILE *in;
	const char *name; /* of the file, for messages */
	uint64_t line;
	bool ended;

	/* The mailbox whose lines are read. */
	bool in_mailbox, imap;
	struct state_mailbox mine, theirs;
	struct import_lock *locks; /* of all mailboxes so far */
	size_t lock_count;
	uint32_t lowest_left; /* UID of a message that is left out */

	uint64_t mailboxes, messages; /* lines that were read */
	uint64_t added, known, left, unconfigured;
};

/* Where the listing of the mailbox begins from now on: as far as either knew all, and never behind
 * a message that is left out. */
static void join_mailbox(struct importing *importing)
{
	struct state_mailbox *mine = &importing->mine;
	const struct state_mailbox *theirs = &importing->theirs;
	uint32_t next =
	    theirs->next < importing->lowest_left ? theirs->next : importing->lowest_left;

	if (mine->validity && mine->validity != theirs->validity)
		return;
	mine->validity = theirs->validity;
	mine->next = mine->next > next ? mine->next : next;
	mine->begun = mine->begun ? mine->begun : theirs->begun;
	mine->checked = mine->checked ? mine->checked : theirs->checked;
}

static bool end_mailbox(struct importing *importing, struct err *err)
{
	struct state_mailbox *mine = &importing->mine;

	if (!importing->in_mailbox)
		return true;
	importing->in_mailbox = false;
	join_mailbox(importing);
	return state_put_mailbox(importing->state, mine->id, mine->validity, mine->next, err) &&
	       state_put_checked(importing->state, mine->id, mine->begun, mine->checked, err);
}

static bool lock_mailbox(struct importing *importing, const struct state_key *key, struct err *err)
{
	int64_t id = importing->mine.id;
	struct state_lock *lock;

	for (size_t i = 0; i < importing->lock_count; i++)
		if (importing->locks[i].mailbox == id)
			return err_set(err, ERR_STATE, "this mailbox stands in the export twice");
	lock = state_lock(importing->state, id, err);
	if (!lock && !err->kind)
		err_set(err, ERR_TEMPORARY,
			"mailbox %s of %s@%s: another mailhaul is at work on it", key->mailbox,
			key->user, key->host);
	if (!lock)
		return false;
	importing->locks =
	    mem_resize(importing->locks, importing->lock_count + 1, sizeof *importing->locks);
	importing->locks[importing->lock_count++] =
	    (struct import_lock){.mailbox = id, .lock = lock};
	return true;
}

/* An account that was collected there is no new one here. */
static bool note_success(struct importing *importing, const struct transfer_line *line,
			 struct err *err)
{
	struct state_visit visit;

	if (!state_visit(importing->state, line->key.protocol, line->key.user, line->key.host,
			 &visit, err))
		return false;
	if (visit.succeeded || !line->succeeded)
		return true;
	visit.succeeded = line->succeeded;
	return state_put_visit(importing->state, importing->mine.account, &visit, err);
}

static bool begin_mailbox(struct importing *importing, const struct transfer_line *line,
			  struct err *err)
{
	importing->mailboxes++;
	importing->in_mailbox = true;
	importing->imap = !strcmp(line->key.protocol, "imap");
	importing->theirs = line->mailbox;
	importing->lowest_left = UINT32_MAX;
	if (!importing->imap && (strcmp(line->key.mailbox, "INBOX") != 0 ||
				 line->mailbox.next != 1 || line->mailbox.validity))
		return err_set(err, ERR_STATE, "no mailbox of POP3 is like that");
	importing->unconfigured += !cmd_account_of(importing->command->config, &line->key);
	return state_add_mailbox(importing->state, &line->key, &importing->mine, err) &&
	       lock_mailbox(importing, &line->key, err) && note_success(importing, line, err);
}

static bool unfinished(enum state_is is)
{
	return is == STATE_TAKEN || is == STATE_HANDED || is == STATE_WAITING;
}

static bool take_message(struct importing *importing, const struct transfer_line *line,
			 struct err *err)
{
	const char *key = line->row.key;
	uint64_t uid = 0;
	bool added = false;

	importing->messages++;
	if (!importing->in_mailbox)
		return err_set(err, ERR_STATE, "a message stands in front of the first mailbox");
	/* What an import of a Maildir made (validity 0) has no UID. */
	if (importing->imap && line->validity &&
	    (!str_number(key, strlen(key), UINT32_MAX, &uid) || !uid))
		return err_set(err, ERR_STATE, "\"message\" is no UID");
	if (unfinished(line->row.is)) {
		importing->left++;
		if (importing->imap && line->validity == importing->theirs.validity &&
		    uid < importing->lowest_left)
			importing->lowest_left = (uint32_t)uid;
		return true;
	}
	if (!state_add(importing->state, importing->mine.id, line->validity, &line->row, &added,
		       err))
		return false;
	importing->added += added;
	importing->known += !added;
	return true;
}

static bool end_of_export(struct importing *importing, const struct transfer_line *line,
			  struct err *err)
{
	importing->ended = true;
	return (line->mailboxes == importing->mailboxes && line->messages == importing->messages) ||
	       err_set(err, ERR_STATE,
		       "the export holds %" PRIu64 " messages in %" PRIu64
		       " mailboxes, and its last line says %" PRIu64 " in %" PRIu64,
		       importing->messages, importing->mailboxes, line->messages, line->mailboxes);
}

static bool take_line(struct importing *importing, const struct transfer_line *line,
		      struct err *err)
{
	if ((importing->line == 1) != (line->kind == TRANSFER_HEAD))
		return err_set(err, ERR_STATE, "%s",
			       importing->line == 1 ? "no export of mailhaul begins like that"
						    : "another export begins");
	if (importing->ended)
		return err_set(err, ERR_STATE, "something follows the end of the export");
	switch (line->kind) {
	case TRANSFER_HEAD:
		return true;
	case TRANSFER_MAILBOX:
		return end_mailbox(importing, err) && begin_mailbox(importing, line, err);
	case TRANSFER_MESSAGE:
		return take_message(importing, line, err);
	case TRANSFER_END:
		return end_mailbox(importing, err) && end_of_export(importing, line, err);
	}
	return false;
}

/* One line without its end, no more octets than a line may have and one; false at the end. */
static bool read_line(FILE *in, char *bytes, size_t *len_r)
{
	int c = EOF;

	*len_r = 0;
	while (*len_r <= TRANSFER_LINE_MAX && (c = getc_unlocked(in)) != EOF && c != '\n')
		bytes[(*len_r)++] = (char)c;
	return c != EOF || *len_r;
}

static bool read_lines(struct importing *importing, struct err *err)
{
	char *bytes = mem_new(TRANSFER_LINE_MAX + 1, 1);
	bool ok = true;
	size_t len;

	while (ok && read_line(importing->in, bytes, &len)) {
		struct transfer_line line;

		importing->line++;
		ok = transfer_parse(bytes, len, &line, err);
		if (ok) {
			ok = take_line(importing, &line, err);
			transfer_free(&line);
		}
		if (!ok && err->kind == ERR_STATE)
			(void)err_wrap(err, "%s, line %" PRIu64, importing->name, importing->line);
	}
	free(bytes);
	if (ok && ferror(importing->in))
		return err_sys(err, ERR_STATE, errno, "cannot read %s", importing->name);
	return ok && (importing->ended ||
		      err_set(err, ERR_STATE,
			      "%s ends after line %" PRIu64
			      ", and its last line is missing: the export was cut off",
			      importing->name, importing->line));
}

static void tell_imported(const struct importing *importing)
{
	const struct state_command *command = importing->command;

	if (command->options->json)
		report_object(json_pack(
		    "{s:s, s:I, s:I, s:I, s:I, s:I}", "event", "import", "mailboxes",
		    (json_int_t)importing->mailboxes, "added", (json_int_t)importing->added,
		    "known", (json_int_t)importing->known, "left", (json_int_t)importing->left,
		    "unconfigured", (json_int_t)importing->unconfigured));
	if (!state_command_tells(command))
		return;
	printf("imported: %" PRIu64 " messages in %" PRIu64 " mailboxes; %" PRIu64
	       " of them were known already\n",
	       importing->added + importing->known, importing->mailboxes, importing->known);
	if (importing->left)
		printf("%" PRIu64 " more waited there for their delivery, and are fetched again\n",
		       importing->left);
	if (importing->unconfigured)
		printf("%" PRIu64
		       " of the mailboxes belong to no account of the configuration; see "
		       "mailhaul state list\n",
		       importing->unconfigured);
}

/* While the state is being written no poll can record anything: what comes from a pipe, which may
 * be slow, is read to its end first. */
static FILE *read_to_end(FILE *from, struct err *err)
{
	FILE *whole = tmpfile();
	char bytes[65536];
	size_t got = 0;

	while (whole && (got = fread(bytes, 1, sizeof bytes, from)) > 0)
		if (fwrite(bytes, 1, got, whole) != got)
			break;
	if (whole && !got && !ferror(from) && !fflush(whole)) {
		rewind(whole);
		return whole;
	}
	(void)err_sys(err, ERR_STATE, errno, "cannot copy the export to a temporary file");
	if (whole)
		fclose(whole);
	return NULL;
}

static FILE *open_export(struct importing *importing, struct err *err)
{
	const char *name = importing->command->options->names[0];
	bool named = name && strcmp(name, "-") != 0;
	FILE *in = named ? fopen(name, "re") : stdin;
	FILE *whole;
	struct stat st;

	importing->name = named ? name : "standard input";
	if (!in || fstat(fileno(in), &st)) {
		(void)err_sys(err, ERR_STATE, errno, "cannot read %s", importing->name);
		return NULL;
	}
	if (S_ISREG(st.st_mode))
		return in;
	whole = read_to_end(in, err);
	fclose(in);
	return whole;
}

bool state_command_import(struct state_command *command, struct err *err)
{
	struct importing importing = {.command = command, .state = command->state};
	bool ok;

	importing.in = open_export(&importing, err);
	ok = importing.in && state_begin(command->state, err);
	if (ok) {
		ok = read_lines(&importing, err) && state_commit(command->state, err);
		if (!ok)
			state_rollback(command->state);
	}
	if (ok)
		tell_imported(&importing);
	else
		(void)err_wrap(err, "nothing was imported");
	if (importing.in)
		fclose(importing.in);
	for (size_t i = 0; i < importing.lock_count; i++)
		state_unlock(&importing.locks[i].lock);
	free(importing.locks);
	return ok;
}
