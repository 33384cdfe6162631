/*
 * cmd: what the commands share.
 */
#include "cmd/cmd.h"

#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

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
