/*
 * cmd: what the commands share.
 */
#include "cmd/cmd.h"

#include "daemon/account.h"
#include "session/pattern.h"
#include "util/mem.h"

#include <stdlib.h>

static bool listed(const struct config_account *const *array, size_t count,
		   const struct config_account *account)
{
	for (size_t i = 0; i < count; i++)
		if (array[i] == account)
			return true;
	return false;
}

bool cmd_accounts(const struct cmd_options *options, const struct config *config,
		  const struct config_account ***array_r, size_t *count_r, struct err *err)
{
	const struct config_account **array =
	    mem_new(config->count, sizeof(const struct config_account *));
	size_t count = 0;

	for (const char *const *name = options->names; *name; name++) {
		const struct config_account *account = config_find(config, *name);

		if (!account) {
			free(array);
			return err_set(err, ERR_USAGE, "there is no account \"%s\" in %s", *name,
				       options->file);
		}
		if (!listed(array, count, account))
			array[count++] = account;
	}
	for (size_t i = 0; !*options->names && i < config->count; i++)
		array[count++] = config->accounts[i];
	*array_r = array;
	*count_r = count;
	return true;
}

/* Only the server knows which mailboxes an attribute means: with one in the list it may be any. */
static bool means_mailbox(const struct config_account *account, const char *name)
{
	const char *const *items = account_mailboxes(account);
	struct pattern_mailbox mailbox = {
	    .name = name, .served = name, .wire = name, .attributes = "", .delimiter = '/'};
	bool means = false;
	size_t count = 0;
	bool *hits;

	for (; items[count]; count++)
		means |= pattern_is_attribute(items[count]) && !pattern_takes_away(items[count]);
	hits = mem_new(count + 1, sizeof *hits);
	means |= pattern_choose(items, count, &mailbox, true, hits) != PATTERN_NONE;
	free(hits);
	return means;
}

const struct config_account *cmd_account_of(const struct config *config,
					    const struct state_key *key)
{
	const struct config_account *found = NULL;

	for (unsigned i = 0; i < config->count; i++) {
		const struct config_account *account = config->accounts[i];

		if (!account_has(account, key))
			continue;
		if (means_mailbox(account, key->mailbox))
			return account;
		if (!found)
			found = account;
	}
	return found;
}
