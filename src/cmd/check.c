/*
 * check: the configuration has been read by now, and every mistake reported; what is left is to say
 * that there was none. Connects to nothing.
 */
#include "cmd/cmd.h"
#include "cmd/report.h"

int cmd_check(const struct cmd_options *options, const struct config *config)
{
	report_checked(options, config);
	return 0;
}
