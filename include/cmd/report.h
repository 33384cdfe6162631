/*
 * report: what the commands print on stdout: for people, or one JSON object a line (--json), each
 * with the "version" of its form.
 */
#ifndef MAILHAUL_CMD_REPORT_H
#define MAILHAUL_CMD_REPORT_H

#include "cmd/cmd.h"
#include "session/session.h"

#include <jansson.h>

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

/* For the commands that print by themselves: an object gets its version, is printed as one line and
 * freed; a time in UTC, null for 0; how long ago a time was, "never" for 0, in out. */
void report_object(json_t *object);
json_t *report_time(int64_t at);
const char *report_ago(char *out, size_t size, int64_t then, int64_t now);

#endif
