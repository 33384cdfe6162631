/*
 * poll_daemon: a poll that the daemon which holds the state makes, and that tells what came of it.
 */
#ifndef MAILHAUL_CMD_POLL_DAEMON_H
#define MAILHAUL_CMD_POLL_DAEMON_H

#include "cmd/cmd.h"
#include "session/session.h"

struct poll_daemon_params {
	const struct cmd_options *options;
	const struct config *config;
	/* What came of an account; the daemon has recorded "after" already. */
	void (*on_visit)(const struct cmd_options *options, const struct config_account *account,
			 const struct session_report *report, const struct state_visit *before,
			 struct state_visit *after);
	/* The account was not visited, and is left alone for so long. */
	void (*on_alone)(const struct cmd_options *options, const struct config_account *account,
			 int64_t seconds);
};

/* False: there is no daemon, and nothing was done. Else gives the exit code in code_r. INT and TERM
 * end the process; what the daemon was asked to do goes on. */
bool poll_daemon(const struct poll_daemon_params *params, int *code_r);

#endif
