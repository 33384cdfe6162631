/*
 * daemon: stays, and collects each account when it is due or when its server tells of mail.
 */
#include "daemon/daemon.h"
#include "cmd/cmd.h"
#include "util/log.h"

#include <unistd.h>

int cmd_daemon(const struct cmd_options *options, const struct config *config)
{
	if (config->log == CONFIG_LOG_SYSLOG)
		log_set_target(LOG_TARGET_SYSLOG);
	return daemon_run(&(struct daemon_params){
	    .config = config,
	    .file = options->file,
	    .watched = !options->quiet && (options->verbosity || isatty(STDERR_FILENO))});
}
