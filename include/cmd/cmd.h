/*
 * cmd: what the commands share: the options of the command line, and one function for each command.
 */
#ifndef MAILHAUL_CMD_CMD_H
#define MAILHAUL_CMD_CMD_H

#include "config/config.h"
#include "state/state.h"

#include <stdbool.h>
#include <stddef.h>

struct cmd_options {
	const char *file; /* of the configuration */
	bool quiet;
	unsigned verbosity;
	bool json;
	bool trace;
	bool all;		  /* --all, which "state" alone knows */
	bool maildir;		  /* --maildir, the same */
	bool watch;		  /* --watch, which "status" alone knows */
	const char *const *names; /* accounts that were named; NULL at the end */
};

/* The accounts that were named, or all. array_r is to be freed. False: a name is not there. */
bool cmd_accounts(const struct cmd_options *options, const struct config *config,
		  const struct config_account ***array_r, size_t *count_r, struct err *err);

/* The account that collects a mailbox; NULL: none of the configuration does. Where several share a
 * login, with other mailboxes each, the first that means it, or else the first. */
const struct config_account *cmd_account_of(const struct config *config,
					    const struct state_key *key);

/* Each takes a loaded configuration and gives the exit code. */
int cmd_poll(const struct cmd_options *options, const struct config *config);
int cmd_daemon(const struct cmd_options *options, const struct config *config);
int cmd_test(const struct cmd_options *options, const struct config *config);
int cmd_status(const struct cmd_options *options, const struct config *config);
int cmd_check(const struct cmd_options *options, const struct config *config);
int cmd_state(const struct cmd_options *options, const struct config *config);

#endif
