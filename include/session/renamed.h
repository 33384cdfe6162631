/*
 * renamed: finds the mailbox that an account had at a host which it does not have any more.
 */
#ifndef MAILHAUL_SESSION_RENAMED_H
#define MAILHAUL_SESSION_RENAMED_H

#include "state/state.h"

/* Where a mailbox was not collected before: one of the same protocol, user and name at another
 * host, which is_configured() does not know; of several the one met last. id_r: 0 if there is none.
 * A key without a mailbox means any of them: what the account is to collect at all.
 */
bool renamed_from(struct state *state, const struct state_key *key,
		  const struct state_mailbox *mailbox,
		  bool (*is_configured)(void *ctx, const struct state_key *key), void *ctx,
		  int64_t *id_r, struct err *err);

#endif
