/*
 * status: what the last visit of each account left behind in the state. Connects to nothing.
 */
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "daemon/account.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdlib.h>

struct gather {
	const struct config *config;
	const struct config_account *account;
	struct report_mailboxes mailboxes;
	int64_t *ids;
};

static bool add(void *ctx, const struct state_key *key, const struct state_mailbox *mailbox)
{
	struct gather *gather = ctx;
	struct report_mailboxes *to = &gather->mailboxes;

	if (cmd_account_of(gather->config, key) != gather->account)
		return true;
	to->all = mem_resize(to->all, to->count + 1, sizeof *to->all);
	gather->ids = mem_resize(gather->ids, to->count + 1, sizeof *gather->ids);
	to->all[to->count] = (struct report_mailbox){.name = mem_copy(key->mailbox)};
	gather->ids[to->count++] = mailbox->id;
	return true;
}

static bool count_rows(struct state *state, struct gather *gather, struct err *err)
{
	struct report_mailboxes *to = &gather->mailboxes;
	struct state_key key = {.protocol = account_protocol(gather->account),
				.user = gather->account->user,
				.host = gather->account->host};

	if (!state_mailboxes(state, &key, add, gather, err))
		return false;
	for (size_t i = 0; i < to->count; i++) {
		if (!state_count(state, gather->ids[i], to->all[i].counts, err))
			return false;
		for (size_t k = 0; k < STATE_IS_END; k++)
			to->sums[k] += to->all[i].counts[k];
	}
	return true;
}

/* Zeros where there is no state yet. */
static bool show(const struct cmd_options *options, const struct config *config,
		 struct state *state, const struct config_account *account, struct err *err)
{
	struct gather gather = {.config = config, .account = account};
	struct state_visit visit = {.tried = 0};
	bool ok = !state || (state_visit(state, account_protocol(account), account->user,
					 account->host, &visit, err) &&
			     count_rows(state, &gather, err));

	if (ok)
		report_status(options, account, &visit, &gather.mailboxes);
	for (size_t i = 0; i < gather.mailboxes.count; i++)
		free(gather.mailboxes.all[i].name);
	free(gather.mailboxes.all);
	free(gather.ids);
	return ok;
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
