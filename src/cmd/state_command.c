/*
 * state_command: "state": looks at what is remembered, and mends it. Each subcommand is a row of
 * the table below and a function in a file of its own kind:
 *
 *     state_list.c        list
 *     state_change.c      forget, move, mark-all-fetched, reset
 *     state_transfer.c    export, import
 *     state_maildir.c     import --maildir
 *     state_quarantine.c  quarantine list, retry, drop
 *
 * Whoever changes something holds the lock of the mailbox, as a visit does.
 */
#include "cmd/state_command.h"

#include "util/buf.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state_need {
	NEED_NONE, /* of a state that is open */
	NEED_FOUND,
	NEED_MADE
};

enum state_option { NO_OPTION, MAY_ALL, MUST_MAILDIR };

static const struct subcommand {
	const char *group; /* the word in front of the name; "" if none */
	const char *name;
	bool (*run)(struct state_command *command, struct err *err);
	enum state_need need;
	unsigned least, most; /* words behind it */
	enum state_option option;
	const char *words;
	const char *help;
} subcommands[] = {
    {"", "list", state_command_list, NEED_FOUND, 0, UINT32_MAX, NO_OPTION, "[ACCOUNT...]",
     "what is remembered of each mailbox; -v: of each message"},
    {"", "forget", state_command_forget, NEED_FOUND, 1, UINT32_MAX, MAY_ALL,
     "ACCOUNT MAILBOX KEY... | ACCOUNT [MAILBOX] --all",
     "what is still on the server is fetched again"},
    {"", "move", state_command_move, NEED_FOUND, 2, 3, NO_OPTION,
     "USER@HOST ACCOUNT | ACCOUNT MAILBOX NEW-MAILBOX",
     "after a server or a mailbox was renamed: nothing is fetched again"},
    {"", "mark-all-fetched", state_command_mark, NEED_NONE, 0, UINT32_MAX, NO_OPTION,
     "[ACCOUNT...]", "what is on the server now counts as fetched"},
    {"", "export", state_command_export, NEED_FOUND, 0, UINT32_MAX, NO_OPTION, "[ACCOUNT...]",
     "write what is remembered to standard output"},
    {"", "import", state_command_import, NEED_MADE, 0, 1, NO_OPTION, "[FILE]",
     "remember what an export holds, too"},
    {"", "import", state_command_import_maildir, NEED_MADE, 1, 2, MUST_MAILDIR,
     "--maildir ACCOUNT [DIR]",
     "after the state was lost: what mailhaul delivered there is not fetched again"},
    {"", "reset", state_command_reset, NEED_NONE, 0, 0, NO_OPTION, "",
     "keep a damaged state aside, and begin anew"},
    {"quarantine", "list", state_command_quarantine_list, NEED_FOUND, 0, UINT32_MAX, NO_OPTION,
     "[ACCOUNT...]", "the letters that could not be delivered"},
    {"quarantine", "retry", state_command_quarantine_retry, NEED_FOUND, 1, UINT32_MAX, MAY_ALL,
     "ACCOUNT KEY... | ACCOUNT --all", "the next poll tries to deliver them again"},
    {"quarantine", "drop", state_command_quarantine_drop, NEED_FOUND, 1, UINT32_MAX, MAY_ALL,
     "ACCOUNT KEY... | ACCOUNT --all", "remove the letters here; the server keeps them"},
};

static bool usage(const char *what, const char *word)
{
	if (what)
		fprintf(stderr, "mailhaul state: %s%s\n", what, word);
	fputs("usage: mailhaul state SUBCOMMAND [arguments]\n\n", stderr);
	for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
		const struct subcommand *one = &subcommands[i];

		fprintf(stderr, "  %s%s%s %s\n      %s\n", one->group, *one->group ? " " : "",
			one->name, one->words, one->help);
	}
	fputs("\nSee mailhaul(1).\n", stderr);
	return false;
}

/* NULL after it told what is wrong. *names moves behind the words that name it. */
static const struct subcommand *find(const char *const **names, bool maildir)
{
	const char *group = "";
	bool known = false;

	if (!**names)
		return usage(NULL, ""), NULL;
	if (!strcmp(**names, "quarantine"))
		group = *(*names)++;
	for (size_t i = 0; **names && i < sizeof subcommands / sizeof *subcommands; i++) {
		const struct subcommand *one = &subcommands[i];

		if (strcmp(one->group, group) != 0 || strcmp(one->name, **names) != 0)
			continue;
		known = true;
		if (maildir != (one->option == MUST_MAILDIR))
			continue;
		(*names)++;
		return one;
	}
	if (known)
		(void)usage("--maildir does not belong to ", **names);
	else
		(void)usage(**names ? "there is no such subcommand: " : "which subcommand of ",
			    **names ? **names : group);
	return NULL;
}

static bool words_good(const struct subcommand *one, const struct cmd_options *options)
{
	unsigned count = 0;

	while (options->names[count])
		count++;
	if (options->all && one->option != MAY_ALL)
		return usage("--all does not belong to ", one->name);
	return (count >= one->least && count <= one->most) ||
	       usage(count < one->least ? "more is wanted behind " : "less is wanted behind ",
		     one->name);
}

/* ---- the mailboxes ---- */

static bool add_box(void *ctx, const struct state_key *key, const struct state_mailbox *mailbox)
{
	struct state_command *command = ctx;
	struct state_box *box;

	command->boxes = mem_resize(command->boxes, command->count + 1, sizeof *command->boxes);
	box = &command->boxes[command->count++];
	*box = (struct state_box){.key = {.protocol = mem_copy(key->protocol),
					  .user = mem_copy(key->user),
					  .host = mem_copy(key->host),
					  .mailbox = mem_copy(key->mailbox)},
				  .is = *mailbox,
				  .account = cmd_account_of(command->config, key)};
	box->label = box->account ? mem_copy(box->account->name)
				  : mem_printf("%s:%s@%s", key->protocol, key->user, key->host);
	return true;
}

static void free_boxes(struct state_command *command)
{
	for (size_t i = 0; i < command->count; i++) {
		struct state_box *box = &command->boxes[i];

		state_unlock(&box->lock);
		/* NOLINTBEGIN(performance-no-int-to-ptr): held as const, and ours to free. */
		free((char *)(uintptr_t)box->key.protocol);
		free((char *)(uintptr_t)box->key.user);
		free((char *)(uintptr_t)box->key.host);
		free((char *)(uintptr_t)box->key.mailbox);
		/* NOLINTEND(performance-no-int-to-ptr) */
		free(box->label);
	}
	free(command->boxes);
}

/* ---- which are meant ---- */

bool state_command_is(const char *name, const struct state_key *key)
{
	size_t user = strlen(key->user);
	const char *at;

	if (str_begins(name, strlen(name), key->protocol) && name[strlen(key->protocol)] == ':')
		name += strlen(key->protocol) + 1;
	/* The user may have an @, the host has none. */
	at = strrchr(name, '@');
	return at && (size_t)(at - name) == user && !strncmp(name, key->user, user) &&
	       str_same(at + 1, key->host);
}

static bool choose_remains(struct state_command *command, const char *name, struct err *err)
{
	const struct state_box *first = NULL;

	for (size_t i = 0; i < command->count; i++) {
		struct state_box *box = &command->boxes[i];

		if (!state_command_is(name, &box->key))
			continue;
		if (first && strcmp(first->key.protocol, box->key.protocol) != 0)
			return err_set(err, ERR_USAGE,
				       "%s is remembered for IMAP and for POP3; write imap:%s or "
				       "pop3:%s",
				       name, name, name);
		first = box;
		box->chosen = true;
	}
	return first ||
	       err_set(err, ERR_USAGE,
		       "there is no account \"%s\" in %s, and nothing is remembered of a USER@HOST "
		       "of that name",
		       name, command->options->file);
}

bool state_command_choose(struct state_command *command, const char *name, struct err *err)
{
	const struct config_account *account = config_find(command->config, name);

	if (!account)
		return choose_remains(command, name, err);
	for (size_t i = 0; i < command->count; i++)
		if (command->boxes[i].account == account)
			command->boxes[i].chosen = true;
	return true;
}

bool state_command_choose_all(struct state_command *command, const char *const *names,
			      struct err *err)
{
	for (size_t i = 0; !*names && i < command->count; i++)
		command->boxes[i].chosen = true;
	for (; *names; names++)
		if (!state_command_choose(command, *names, err))
			return false;
	return true;
}

bool state_command_lock(struct state_command *command, struct state_box *box, struct err *err)
{
	bool found = false;

	if (!box->lock)
		box->lock = state_lock(command->state, box->is.id, err);
	if (!box->lock)
		return err->kind ? false
				 : err_set(err, ERR_TEMPORARY,
					   "%s, mailbox %s: another mailhaul is at work on it; "
					   "nothing was changed",
					   box->label, box->key.mailbox);
	/* Whoever held the lock may have moved on meanwhile. */
	return state_known_mailbox(command->state, &box->key, &found, &box->is, err) &&
	       (found || err_set(err, ERR_TEMPORARY,
				 "%s, mailbox %s: another mailhaul forgot or moved it just now; "
				 "nothing was changed",
				 box->label, box->key.mailbox));
}

bool state_command_lock_chosen(struct state_command *command, struct err *err)
{
	for (size_t i = 0; i < command->count; i++)
		if (command->boxes[i].chosen &&
		    !state_command_lock(command, &command->boxes[i], err))
			return false;
	return true;
}

/* ---- telling ---- */

void state_command_print(const char *text)
{
	struct buf shown = {0};

	str_visible(&shown, text, strlen(text), SIZE_MAX / 2);
	fputs(buf_string(&shown), stdout);
	buf_free(&shown);
}

bool state_command_tells(const struct state_command *command)
{
	return !command->options->quiet && !command->options->json;
}

/* ---- running ---- */

static bool open_state(struct state_command *command, enum state_need need, struct err *err)
{
	const char *directory = command->config->state_dir;

	if (need == NEED_NONE)
		return true;
	command->state =
	    need == NEED_MADE ? state_open(directory, err) : state_open_existing(directory, err);
	if (!command->state)
		return !err->kind;
	return state_mailboxes(command->state, NULL, add_box, command, err);
}

int cmd_state(const struct cmd_options *options, const struct config *config)
{
	struct cmd_options behind = *options;
	struct state_command command = {.options = &behind, .config = config};
	struct err err = {.kind = ERR_NONE};
	const struct subcommand *one = find(&behind.names, options->maildir);

	if (!one || !words_good(one, &behind))
		return err_exit_code(ERR_USAGE);
	if (!open_state(&command, one->need, &err) || !one->run(&command, &err))
		log_error("%s", err.words);
	free_boxes(&command);
	state_free(&command.state);
	return err.kind ? err_exit_code(err.kind) : command.code;
}
