/*
 * status: what the last visit of each account left behind in the state. Connects to nothing.
 */
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "daemon/account.h"
#include "session/pattern.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdlib.h>

struct gather {
	const struct config_account *account;
	struct report_mailboxes mailboxes;
	int64_t *ids;
};

/* Only the server knows which mailboxes an attribute means: with one in the list all are shown. */
static bool is_ours(const struct config_account *account, const char *name)
{
	const char *const *items = account_mailboxes(account);
	struct pattern_mailbox mailbox = {
	    .name = name, .served = name, .wire = name, .attributes = "", .delimiter = '/'};
	bool ours = false;
	size_t count = 0;
	bool *hits;

	for (; items[count]; count++)
		ours |= pattern_is_attribute(items[count]) && !pattern_takes_away(items[count]);
	hits = mem_new(count + 1, sizeof *hits);
	ours |= pattern_choose(items, count, &mailbox, true, hits) != PATTERN_NONE;
	free(hits);
	return ours;
}

static bool add(void *ctx, const struct state_key *key, const struct state_mailbox *mailbox)
{
	struct gather *gather = ctx;
	struct report_mailboxes *to = &gather->mailboxes;

	if (!is_ours(gather->account, key->mailbox))
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

static bool show(const struct cmd_options *options, struct state *state,
		 const struct config_account *account, struct err *err)
{
	struct gather gather = {.account = account};
	struct state_visit visit;
	bool ok = state_visit(state, account_protocol(account), account->user, account->host,
			      &visit, err) &&
		  count_rows(state, &gather, err);

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
