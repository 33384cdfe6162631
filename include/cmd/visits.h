/*
 * visits: visits several accounts at the same time on one loop, within the slots; shared by poll
 * and test.
 */
#ifndef MAILHAUL_CMD_VISITS_H
#define MAILHAUL_CMD_VISITS_H

#include "cmd/cmd.h"
#include "session/session.h"

struct visits;

struct visits_params {
	const struct cmd_options *options;
	const struct config *config;
	bool look_only;
	bool mark_all; /* account.h */
	bool tells;    /* notify_command and metrics_file are for these visits, too */
	/* One account's outcome, before it is recorded in "after". */
	void (*on_outcome)(struct visits *visits, const struct config_account *account,
			   const struct session_report *report, const struct state_visit *before,
			   struct state_visit *after);
	/* Asked before an account is visited: false leaves it out. */
	bool (*wants)(struct visits *visits, const struct config_account *account,
		      const struct state_visit *before);
};

/* Visits all the accounts of the options; INT and TERM end it early. Gives the exit code. */
int visits_run(const struct visits_params *params);

const struct cmd_options *visits_options(const struct visits *visits);

/* Lines for notify_command, which runs before the visits end; only where the visits tell. */
void visits_alert(struct visits *visits, const char *lines);

/* Makes the exit code at least as grave. */
void visits_note(struct visits *visits, enum err_kind kind);

#endif
