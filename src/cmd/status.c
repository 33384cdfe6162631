/*
 * status: what the last visit of each account left behind in the state. Connects to nothing.
 */
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "daemon/account.h"
#include "util/log.h"

#include <stdlib.h>

static bool count_rows(struct state *state, const struct config_account *account,
		       uint64_t sums[STATE_IS_END], struct err *err)
{
	static char name[] = "INBOX";
	static char *const inbox[] = {name, NULL};
	char *const *names = account->protocol == CONFIG_IMAP ? account->mailboxes : inbox;

	for (; *names; names++) {
		struct state_key key = {.protocol = account_protocol(account),
					.user = account->user,
					.host = account->host,
					.mailbox = *names};
		uint64_t counts[STATE_IS_END] = {0};
		struct state_mailbox mailbox;

		if (!state_mailbox(state, &key, &mailbox, err) ||
		    !state_count(state, mailbox.id, counts, err))
			return false;
		for (size_t i = 0; i < STATE_IS_END; i++)
			sums[i] += counts[i];
	}
	return true;
}

static bool show(const struct cmd_options *options, struct state *state,
		 const struct config_account *account, struct err *err)
{
	uint64_t counts[STATE_IS_END] = {0};
	struct state_visit visit;

	if (!state_visit(state, account_protocol(account), account->user, account->host, &visit,
			 err) ||
	    !count_rows(state, account, counts, err))
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
		state = state_open(config->state_dir, &err);
		ok = state != NULL;
	}
	for (size_t i = 0; ok && i < count; i++)
		ok = show(options, state, accounts[i], &err);
	if (!ok)
		log_error("%s", err.words);
	state_free(&state);
	free(accounts);
	return err_exit_code(err.kind);
}
