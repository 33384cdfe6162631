/*
 * check: the configuration has been read by now, and every mistake reported; what is left is to say
 * that there was none, that the accounts that were named are there, and with -v what holds for
 * them. Connects to nothing.
 */
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "util/log.h"

#include <stdlib.h>

int cmd_check(const struct cmd_options *options, const struct config *config)
{
	const struct config_account **accounts = NULL;
	struct err err = {.kind = ERR_NONE};
	size_t count;

	if (!cmd_accounts(options, config, &accounts, &count, &err)) {
		log_error("%s", err.words);
		return err_exit_code(err.kind);
	}
	report_checked(options, config);
	if (options->verbosity)
		report_options(options, config, accounts, count);
	free(accounts);
	return 0;
}
