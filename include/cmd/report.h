/*
 * report: what the commands print on stdout: for people, or one JSON object a line (--json), each
 * with the "version" of its form.
 */
#ifndef MAILHAUL_CMD_REPORT_H
#define MAILHAUL_CMD_REPORT_H

#include "cmd/cmd.h"
#include "session/session.h"

/* A mistake or warning in the configuration; in text on stderr. */
void report_mistake(const struct cmd_options *options, const struct config_mistake *mistake);

/* The configuration was read and has no mistake. */
void report_checked(const struct cmd_options *options, const struct config *config);

/* The options in effect for these accounts, and for all of mailhaul; secrets cut. */
void report_options(const struct cmd_options *options, const struct config *config,
		    const struct config_account *const *accounts, size_t count);

/* What came of one account's visit. In text only for a terminal, or with -v. */
void report_visit(const struct cmd_options *options, const struct config_account *account,
		  const struct session_report *report);

/* What "test" found. */
void report_test(const struct cmd_options *options, const struct config_account *account,
		 const struct session_report *report);

/* Rows in each state, of each mailbox and over all. */
struct report_mailboxes {
	struct report_mailbox {
		char *name;
		uint64_t counts[STATE_IS_END];
	} * all;
	size_t count;
	uint64_t sums[STATE_IS_END];
};

/* One account's row of "status". */
void report_status(const struct cmd_options *options, const struct config_account *account,
		   const struct state_visit *visit, const struct report_mailboxes *mailboxes);

#endif
