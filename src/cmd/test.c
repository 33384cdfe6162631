/*
 * test: connects, encrypts, logs in, and tells what a poll would do. Changes nothing.
 */
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "cmd/visits.h"

static void on_outcome(struct visits *visits, const struct config_account *account,
		       const struct session_report *report, const struct state_visit *before,
		       struct state_visit *after)
{
	(void)before;
	(void)after;
	report_test(visits_options(visits), account, report);
}

int cmd_test(const struct cmd_options *options, const struct config *config)
{
	return visits_run(&(struct visits_params){
	    .options = options, .config = config, .look_only = true, .on_outcome = on_outcome});
}
