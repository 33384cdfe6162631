/*
 * state_change: "state forget", "state move", "state mark-all-fetched" and "state reset".
 *
 * What has a letter here, in the spool or in the quarantine, is never forgotten: its letter would
 * be an orphan, and the message would come twice. And nothing is fetched again that was not
 * forgotten: where "next" goes back, the UIDs above that have no row get one.
 */
#include "cmd/report.h"
#include "cmd/state_command.h"
#include "cmd/visits.h"
#include "daemon/account.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BACK_MAX = 1000000 /* UIDs that "next" goes back for single messages */ };

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* Ends the transaction, well or not. */
static bool settle(struct state *state, bool ok, struct err *err)
{
	if (ok && state_commit(state, err))
		return true;
	state_rollback(state);
	return false;
}

/* ---- forget ---- */

static uint64_t with_letter(const uint64_t counts[STATE_IS_END])
{
	return counts[STATE_TAKEN] + counts[STATE_HANDED] + counts[STATE_WAITING] +
	       counts[STATE_QUARANTINED];
}

static void tell_forgotten(const struct state_command *command, const struct state_box *box,
			   uint64_t forgotten, uint64_t stay)
{
	if (command->options->json)
		report_object(json_pack("{s:s, s:s, s:s, s:I, s:I}", "event", "forget", "account",
					box->label, "mailbox", box->key.mailbox, "forgotten",
					(json_int_t)forgotten, "stay", (json_int_t)stay));
	if (!state_command_tells(command))
		return;
	printf("%s, mailbox ", box->label);
	state_command_print(box->key.mailbox);
	printf(": %" PRIu64 " message%s forgotten", forgotten, plural(forgotten));
	if (stay)
		printf("; %" PRIu64 " with a letter in the spool or the quarantine stay%s", stay,
		       stay == 1 ? "s" : "");
	putchar('\n');
}

/* An entry of an account that nobody collects goes with its rows. */
static bool forget_everything(struct state_command *command, const struct state_box *box,
			      struct err *err)
{
	struct state *state = command->state;
	const struct state_mailbox *is = &box->is;
	uint64_t counts[STATE_IS_END];
	uint64_t all = 0;
	bool ok;

	if (!state_count(state, is->id, counts, err) || !state_begin(state, err))
		return false;
	ok = state_forget_settled(state, is->id, err) &&
	     state_put_mailbox(state, is->id, is->validity, 1, err) &&
	     state_put_checked(state, is->id, 0, 0, err) &&
	     (box->account || state_drop_mailbox(state, is, err));
	if (!settle(state, ok, err))
		return false;
	for (size_t i = 0; i < STATE_IS_END; i++)
		all += counts[i];
	tell_forgotten(command, box, all - with_letter(counts), with_letter(counts));
	return true;
}

struct forgetting {
	struct state_box *box;
	const char *const *keys;
	size_t count;
	enum state_is *is; /* of each key; 0: it has no row */
	uint32_t lowest;   /* UID among them, IMAP */
};

static const char *forgetting_key(void *ctx, size_t index)
{
	return ((struct forgetting *)ctx)->keys[index];
}

static void forgetting_known(void *ctx, size_t index, const struct state_row *row)
{
	((struct forgetting *)ctx)->is[index] = row->is;
}

/* A UID below "next" is known even where it has no row. */
static bool key_known(struct forgetting *forgetting, size_t index)
{
	const char *key = forgetting->keys[index];
	uint64_t uid = 0;

	if (strcmp(forgetting->box->key.protocol, "imap") != 0)
		return forgetting->is[index];
	if (!str_number(key, strlen(key), UINT32_MAX, &uid) || !uid)
		return false;
	if (uid < forgetting->lowest)
		forgetting->lowest = (uint32_t)uid;
	return forgetting->is[index] || uid < forgetting->box->is.next;
}

static bool keys_good(struct state_command *command, struct forgetting *forgetting, struct err *err)
{
	const struct state_box *box = forgetting->box;

	if (!state_find(command->state, box->is.id, box->is.validity, forgetting->count,
			forgetting_key, forgetting_known, forgetting, err))
		return false;
	for (size_t i = 0; i < forgetting->count; i++) {
		const char *key = forgetting->keys[i];

		if (!key_known(forgetting, i))
			return err_set(err, ERR_USAGE,
				       "%s, mailbox %s: no message %s is remembered; nothing was "
				       "changed",
				       box->label, box->key.mailbox, key);
		if (forgetting->is[i] == STATE_QUARANTINED)
			return err_set(err, ERR_USAGE,
				       "message %s is in the quarantine: mailhaul state quarantine "
				       "retry, or drop, comes first; nothing was changed",
				       key);
		if (forgetting->is[i] == STATE_TAKEN || forgetting->is[i] == STATE_HANDED ||
		    forgetting->is[i] == STATE_WAITING)
			return err_set(err, ERR_USAGE,
				       "message %s is not delivered yet: its letter is here, and "
				       "the next poll goes on with it; nothing was changed",
				       key);
	}
	if (forgetting->lowest < box->is.next && box->is.next - forgetting->lowest > BACK_MAX)
		return err_set(err, ERR_USAGE,
			       "message %" PRIu32
			       " lies too far back to be forgotten alone; use --all",
			       forgetting->lowest);
	return true;
}

static bool forget_keys(struct state_command *command, struct forgetting *forgetting,
			struct err *err)
{
	struct state *state = command->state;
	const struct state_mailbox *is = &forgetting->box->is;
	uint32_t lowest;
	bool ok = true;

	if (!keys_good(command, forgetting, err) || !state_begin(state, err))
		return false;
	lowest = forgetting->lowest;
	if (lowest < is->next)
		ok = state_add_skipped(state, is->id, is->validity, lowest, is->next, time(NULL),
				       err) &&
		     state_put_mailbox(state, is->id, is->validity, lowest, err);
	for (size_t i = 0; ok && i < forgetting->count; i++)
		ok = state_forget(state, is->id, is->validity, forgetting->keys[i], err);
	if (!settle(state, ok, err))
		return false;
	tell_forgotten(command, forgetting->box, forgetting->count, 0);
	return true;
}

/* Of the chosen, only those of this name; NULL: all. */
static size_t narrow(struct state_command *command, const char *mailbox, struct state_box **last_r)
{
	size_t count = 0;

	*last_r = NULL;
	for (size_t i = 0; i < command->count; i++) {
		struct state_box *box = &command->boxes[i];

		box->chosen = box->chosen &&
			      (!mailbox || !strcmp(box->key.mailbox, mailbox) ||
			       (str_same(box->key.mailbox, "INBOX") && str_same(mailbox, "INBOX")));
		count += box->chosen;
		if (box->chosen)
			*last_r = box;
	}
	return count;
}

bool state_command_forget(struct state_command *command, struct err *err)
{
	const char *const *names = command->options->names;
	struct forgetting forgetting = {.lowest = UINT32_MAX};
	bool ok = true;

	if (command->options->all ? names[1] && names[2] : !names[1] || !names[2])
		return err_set(err, ERR_USAGE,
			       "forget wants ACCOUNT MAILBOX KEY..., or ACCOUNT [MAILBOX] --all");
	if (!state_command_choose(command, names[0], err))
		return false;
	if (!narrow(command, names[1], &forgetting.box))
		return err_set(err, ERR_USAGE, "nothing is remembered of %s%s%s", names[0],
			       names[1] ? ", mailbox " : "", names[1] ? names[1] : "");
	if (!state_command_lock_chosen(command, err))
		return false;
	for (size_t i = 0; ok && command->options->all && i < command->count; i++)
		if (command->boxes[i].chosen)
			ok = forget_everything(command, &command->boxes[i], err);
	if (command->options->all)
		return ok;
	forgetting.keys = names + 2;
	while (forgetting.keys[forgetting.count])
		forgetting.count++;
	forgetting.is = mem_new(forgetting.count, sizeof *forgetting.is);
	ok = forget_keys(command, &forgetting, err);
	free(forgetting.is);
	return ok;
}

/* ---- move ---- */

/* True if nothing would be lost with the entry. */
static bool box_empty(struct state_command *command, const struct state_box *box, bool *empty_r,
		      struct err *err)
{
	uint64_t counts[STATE_IS_END];

	if (!state_count(command->state, box->is.id, counts, err))
		return false;
	*empty_r = box->is.next <= 1;
	for (size_t i = 0; i < STATE_IS_END; i++)
		*empty_r = *empty_r && !counts[i];
	return true;
}

static bool lock_empty(struct state_command *command, struct state_box *box, struct err *err)
{
	bool empty = false;

	if (!state_command_lock(command, box, err) || !box_empty(command, box, &empty, err))
		return false;
	return empty || err_set(err, ERR_USAGE,
				"%s, mailbox %s: something is remembered of it already; forget "
				"that first, if it shall go: mailhaul state forget %s %s --all",
				box->label, box->key.mailbox, box->label, box->key.mailbox);
}

static void tell_moved(const struct state_command *command, const char *from, const char *to)
{
	if (command->options->json)
		report_object(
		    json_pack("{s:s, s:s, s:s}", "event", "move", "from", from, "to", to));
	if (state_command_tells(command))
		printf("what was remembered of %s is remembered of %s now\n", from, to);
}

static struct state_box *box_named(struct state_command *command,
				   const struct config_account *account, const char *mailbox)
{
	for (size_t i = 0; i < command->count; i++)
		if (command->boxes[i].account &&
		    str_same(command->boxes[i].key.host, account->host) &&
		    !strcmp(command->boxes[i].key.user, account->user) &&
		    !strcmp(command->boxes[i].key.protocol, account_protocol(account)) &&
		    !strcmp(command->boxes[i].key.mailbox, mailbox))
			return &command->boxes[i];
	return NULL;
}

static bool move_mailbox(struct state_command *command, const struct config_account *account,
			 struct err *err)
{
	struct state *state = command->state;
	const char *from_name = command->options->names[1];
	const char *to_name = command->options->names[2];
	struct state_box *from = box_named(command, account, from_name);
	struct state_box *to = box_named(command, account, to_name);

	if (account->protocol != CONFIG_IMAP)
		return err_set(err, ERR_USAGE, "%s: POP3 has one mailbox only", account->name);
	if (!from)
		return err_set(err, ERR_USAGE, "%s: nothing is remembered of mailbox %s",
			       account->name, from_name);
	if (from == to)
		return err_set(err, ERR_USAGE, "%s: that is the same mailbox", account->name);
	if (!state_command_lock(command, from, err) || (to && !lock_empty(command, to, err)) ||
	    !state_begin(state, err))
		return false;
	if (!settle(state,
		    (!to || state_drop_mailbox(state, &to->is, err)) &&
			state_rename(state, from->is.id, to_name, err),
		    err))
		return false;
	tell_moved(command, from_name, to_name);
	return true;
}

static bool of_account(const struct state_box *box, const struct config_account *account)
{
	return !strcmp(box->key.protocol, account_protocol(account)) &&
	       !strcmp(box->key.user, account->user) && str_same(box->key.host, account->host);
}

/* The mailboxes that the name means, of the account's protocol, are chosen and locked. */
static bool lock_source(struct state_command *command, const struct config_account *account,
			int64_t *id_r, struct err *err)
{
	const char *name = command->options->names[0];

	*id_r = 0;
	for (size_t i = 0; i < command->count; i++) {
		struct state_box *box = &command->boxes[i];

		if (strcmp(box->key.protocol, account_protocol(account)) != 0 ||
		    !state_command_is(name, &box->key))
			continue;
		if (of_account(box, account))
			return err_set(err, ERR_USAGE, "%s is %s itself", name, account->name);
		if (box->account)
			return err_set(err, ERR_USAGE,
				       "the configuration still collects %s as %s, which would "
				       "fetch everything again",
				       name, box->account->name);
		*id_r = box->is.account;
		if (!state_command_lock(command, box, err))
			return false;
	}
	return *id_r || err_set(err, ERR_USAGE, "nothing is remembered of %s by %s", name,
				account->protocol == CONFIG_IMAP ? "IMAP" : "POP3");
}

static bool move_account(struct state_command *command, const struct config_account *account,
			 struct err *err)
{
	struct state *state = command->state;
	int64_t id = 0;
	bool ok = true;

	if (!lock_source(command, account, &id, err))
		return false;
	for (size_t i = 0; i < command->count; i++)
		if (of_account(&command->boxes[i], account) &&
		    !lock_empty(command, &command->boxes[i], err))
			return false;
	if (!state_begin(state, err))
		return false;
	for (size_t i = 0; ok && i < command->count; i++)
		if (of_account(&command->boxes[i], account))
			ok = state_drop_mailbox(state, &command->boxes[i].is, err);
	if (!settle(state, ok && state_move_account(state, id, account->user, account->host, err),
		    err))
		return false;
	tell_moved(command, command->options->names[0], account->name);
	return true;
}

bool state_command_move(struct state_command *command, struct err *err)
{
	const char *const *names = command->options->names;
	const char *name = names[2] ? names[0] : names[1];
	const struct config_account *account = config_find(command->config, name);

	if (!account)
		return err_set(err, ERR_USAGE, "there is no account \"%s\" in %s", name,
			       command->options->file);
	if (!command->state)
		return err_set(err, ERR_USAGE, "nothing is remembered yet");
	return names[2] ? move_mailbox(command, account, err) : move_account(command, account, err);
}

/* ---- mark-all-fetched ---- */

static void marked(struct visits *visits, const struct config_account *account,
		   const struct session_report *report, const struct state_visit *before,
		   struct state_visit *after)
{
	const struct cmd_options *options = visits_options(visits);
	uint64_t count = report->counts.skipped;

	(void)before;
	(void)after;
	if (report->busy) {
		visits_note(visits, ERR_TEMPORARY);
		log_error("%s: another mailhaul is at work on it; nothing was changed",
			  account->name);
	} else if (report->err.kind) {
		log_error("%s: %s%s%s%s", account->name, report->err.words,
			  *report->err.server ? " (it said: " : "", report->err.server,
			  *report->err.server ? ")" : "");
	} else if (options->json) {
		report_object(json_pack("{s:s, s:s, s:I}", "event", "mark", "account",
					account->name, "marked", (json_int_t)count));
	} else if (!options->quiet) {
		printf("%s: %" PRIu64 " message%s on the server count%s as fetched now\n",
		       account->name, count, plural(count), count == 1 ? "s" : "");
	}
}

bool state_command_mark(struct state_command *command, struct err *err)
{
	(void)err;
	command->code = visits_run(&(struct visits_params){.options = command->options,
							   .config = command->config,
							   .mark_all = true,
							   .on_outcome = marked});
	return true;
}

/* ---- reset ---- */

bool state_command_reset(struct state_command *command, struct err *err)
{
	char *as = NULL;

	if (!state_set_aside(command->config->state_dir, &as, err))
		return false;
	if (command->options->json && as)
		report_object(json_pack("{s:s, s:s}", "event", "reset", "file", as));
	if (state_command_tells(command) && as)
		printf(
		    "the damaged state is kept as %s\nThe next poll fetches again what still lies "
		    "on the servers. mailhaul state import --maildir ACCOUNT, before that, spares "
		    "what stands in a Maildir; mailhaul state mark-all-fetched all that is there "
		    "now\n",
		    as);
	else if (state_command_tells(command))
		puts("nothing is remembered yet");
	free(as);
	return true;
}
