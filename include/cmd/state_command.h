/*
 * state_command: what the subcommands of "state" share: the mailboxes that are remembered, which of
 * them are meant, and their locks. One function for each subcommand.
 */
#ifndef MAILHAUL_CMD_STATE_COMMAND_H
#define MAILHAUL_CMD_STATE_COMMAND_H

#include "cmd/cmd.h"
#include "state/state.h"

/* A mailbox that is remembered. */
struct state_box {
	struct state_key key;
	struct state_mailbox is;
	const struct config_account *account; /* that collects it; NULL: none does */
	char *label; /* the account's name, or "imap:lee@mail.example.org" */
	bool chosen;
	struct state_lock *lock;
};

struct state_command {
	const struct cmd_options *options; /* names: what stands behind the subcommand */
	const struct config *config;
	struct state *state; /* NULL: there is none, and the subcommand needs none */
	struct state_box *boxes;
	size_t count;
	int code; /* to exit with where nothing failed */
};

/* Chooses the mailboxes of an account that is named as in the configuration, or as USER@HOST, with
 * "imap:" or "pop3:" in front where both are remembered. ERR_USAGE if there is no such account; one
 * of which nothing is remembered is no failure. */
bool state_command_choose(struct state_command *command, const char *name, struct err *err);

/* Chooses those of the accounts that are named from names on, or all where none is. */
bool state_command_choose_all(struct state_command *command, const char *const *names,
			      struct err *err);

/* True if the key belongs to the account that is named so: "imap:USER@HOST", "USER@HOST". */
bool state_command_is(const char *name, const struct state_key *key);

/* Locks a mailbox until the command ends, and reads what is known of it again. ERR_TEMPORARY if
 * another mailhaul is at work on it. */
bool state_command_lock(struct state_command *command, struct state_box *box, struct err *err);

/* The same for all that are chosen. */
bool state_command_lock_chosen(struct state_command *command, struct err *err);

/* Prints a text of strangers, control characters made visible. */
void state_command_print(const char *text);

/* True if what was done is to be told in words. */
bool state_command_tells(const struct state_command *command);

/* The subcommands. False: it failed. */
bool state_command_list(struct state_command *command, struct err *err);
bool state_command_forget(struct state_command *command, struct err *err);
bool state_command_move(struct state_command *command, struct err *err);
bool state_command_mark(struct state_command *command, struct err *err);
bool state_command_export(struct state_command *command, struct err *err);
bool state_command_import(struct state_command *command, struct err *err);
bool state_command_import_maildir(struct state_command *command, struct err *err);
bool state_command_reset(struct state_command *command, struct err *err);
bool state_command_quarantine_list(struct state_command *command, struct err *err);
bool state_command_quarantine_retry(struct state_command *command, struct err *err);
bool state_command_quarantine_drop(struct state_command *command, struct err *err);

#endif
