/*
 * status: what the last visit of each account left behind in the state. Connects to nothing.
 */
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "daemon/account.h"
#include "util/log.h"

#include <stdlib.h>

struct sums {
	const struct config *config;
	const struct config_account *account;
	struct state *state;
	uint64_t *counts;
	struct err *err;
	bool ok;
};

static bool add_counts(void *ctx, const struct state_key *key, const struct state_mailbox *mailbox)
{
	struct sums *sums = ctx;
	uint64_t counts[STATE_IS_END] = {0};

	if (cmd_account_of(sums->config, key) != sums->account)
		return true;
	sums->ok = state_count(sums->state, mailbox->id, counts, sums->err);
	for (size_t i = 0; i < STATE_IS_END; i++)
		sums->counts[i] += counts[i];
	return sums->ok;
}

/* What is known of an account; zeros where there is no state yet. */
static bool look(struct state *state, const struct config *config,
		 const struct config_account *account, struct state_visit *visit_r,
		 uint64_t counts[STATE_IS_END], struct err *err)
{
	struct state_key key = {
	    .protocol = account_protocol(account), .user = account->user, .host = account->host};
	struct sums sums = {.config = config,
			    .account = account,
			    .state = state,
			    .counts = counts,
			    .err = err,
			    .ok = true};

	*visit_r = (struct state_visit){.tried = 0};
	return !state || (state_visit(state, key.protocol, key.user, key.host, visit_r, err) &&
			  state_mailboxes(state, &key, add_counts, &sums, err) && sums.ok);
}

static bool show(const struct cmd_options *options, const struct config *config,
		 struct state *state, const struct config_account *account, struct err *err)
{
	uint64_t counts[STATE_IS_END] = {0};
	struct state_visit visit;

	if (!look(state, config, account, &visit, counts, err))
		return false;
	report_status(options, account, &visit, counts);
	return true;
}

int cmd_status(const struct cmd_options *options, const struct config *config)
{
	const struct config_account **accounts = NULL;
	struct err err = {.kind = ERR_NONE};
	struct state *state = NULL;
	size_t count = 0;
	bool ok = cmd_accounts(options, config, &accounts, &count, &err);

	if (ok) {
		state = state_open_existing(config->state_dir, &err);
		ok = state || !err.kind;
	}
	for (size_t i = 0; ok && i < count; i++)
		ok = show(options, config, state, accounts[i], &err);
	if (!ok)
		log_error("%s", err.words);
	state_free(&state);
	free(accounts);
	return err_exit_code(err.kind);
}
