/*
 * config_keep: what stays as it was when the configuration is read again.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_KEEP_H
#define MAILHAUL_CONFIG_CONFIG_KEEP_H

#include "config/config.h"

#include <stdbool.h>

/* Has every option the same value, the secret too? Names, and where the accounts stand, are not
 * compared. */
bool config_same_account(const struct config_account *a, const struct config_account *b);

/*
 * Of each account that both have, by its name and with the same values, fresh gets old's struct,
 * and old gets fresh's: whoever borrowed it goes on with fresh, and old may be freed as soon as
 * nobody uses its other accounts. What the structs say of where the account stands is fresh's.
 */
void config_keep(struct config *fresh, const struct config *old);

#endif
