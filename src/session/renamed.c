/*
 * renamed: finds the mailbox that an account had at a host which it does not have any more.
 *
 * Only what was collected at least once is worth adopting. The name of a host tells nothing about
 * its messages: they are recognised by their headers, and what is not is fetched.
 */
#include "session/renamed.h"

#include "util/str.h"

#include <string.h>

struct search {
	const struct state_key *key;
	bool (*is_configured)(void *ctx, const struct state_key *key);
	void *ctx;
	int64_t found;
};

static bool look(void *ctx, const struct state_key *key, const struct state_mailbox *mailbox)
{
	struct search *search = ctx;

	if (!strcmp(key->protocol, search->key->protocol) &&
	    !strcmp(key->user, search->key->user) &&
	    (!search->key->mailbox || !strcmp(key->mailbox, search->key->mailbox)) &&
	    !str_same(key->host, search->key->host) && mailbox->begun &&
	    !search->is_configured(search->ctx, key))
		search->found = mailbox->id;
	return true;
}

bool renamed_from(struct state *state, const struct state_key *key,
		  const struct state_mailbox *mailbox,
		  bool (*is_configured)(void *ctx, const struct state_key *key), void *ctx,
		  int64_t *id_r, struct err *err)
{
	struct search search = {.key = key, .is_configured = is_configured, .ctx = ctx};

	*id_r = 0;
	if (mailbox->begun || mailbox->validity || !is_configured)
		return true;
	if (!state_mailboxes(state, NULL, look, &search, err))
		return false;
	*id_r = search.found;
	return true;
}
