/*
 * places: what the descriptors go to that this process may have (RLIMIT_NOFILE): to visits first,
 * and what they leave to connections that listen.
 */
#include "daemon/places.h"

#include "daemon/account.h"
#include "daemon/watch.h"
#include "session/pattern.h"
#include "util/log.h"

#include <errno.h>
#include <sys/resource.h>

/*
 * A visit has its connection, the locks and the directories of a mailbox or two, and the letters of
 * a small batch; one that fetches thousands has more for a while, which others do not need then.
 */
enum {
	PLACES_OWN = 64, /* the loop, the state, signals, who asks for the status */
	PLACES_VISIT = 24
};

/* On how many mailboxes it listens, or more: what a pattern brings shows at the server only. */
static size_t listens(const struct config_account *account)
{
	const char *const *items = account_mailboxes(account);
	size_t count = 0;

	if (!account->idle || account->protocol != CONFIG_IMAP)
		return 0;
	for (; *items && count < WATCH_EARS_MAX; items++)
		count = pattern_is_wild(*items)	     ? WATCH_EARS_MAX
			: pattern_takes_away(*items) ? count
						     : count + 1;
	return count;
}

static size_t descriptors(void)
{
	struct rlimit files;

	return getrlimit(RLIMIT_NOFILE, &files) ? PLACES_OWN : files.rlim_cur;
}

void places_share(struct places *places, const struct config *config)
{
	size_t may = descriptors();
	size_t left = may > PLACES_OWN ? may - PLACES_OWN : 0;
	size_t visits =
	    config->max_connections < config->count ? config->max_connections : config->count;
	size_t wanted = 0;
	size_t needed;

	for (unsigned i = 0; i < config->count; i++)
		wanted += listens(config->accounts[i]);
	places->visits = visits;
	needed = PLACES_OWN + visits * PLACES_VISIT + wanted;
	/* Half of what there is goes to visits at most. */
	if (needed > may && places->visits > left / 2 / PLACES_VISIT)
		places->visits = left / 2 / PLACES_VISIT;
	if (!places->visits)
		places->visits = 1;
	left -= left < places->visits * PLACES_VISIT ? left : places->visits * PLACES_VISIT;
	places->listens = left;
	if (needed > may)
		log_warning("up to %zu file descriptors are needed, for %zu visits at once and %zu "
			    "mailboxes to listen in, and this process may have %zu (ulimit -n; in "
			    "a unit LimitNOFILE=): it makes %zu visits at once, listens in %zu "
			    "mailboxes, and polls the others",
			    needed, visits, wanted, may, places->visits,
			    left < wanted ? left : wanted);
}

void places_note(struct places *places, const struct err *err)
{
	if (places->said || (err->sys != EMFILE && err->sys != ENFILE))
		return;
	places->said = true;
	log_warning("no file descriptor is left (%s): what wants one is tried again later; see "
		    "ulimit -n, in a unit LimitNOFILE=",
		    err->words);
}

bool places_take(struct places *places)
{
	if (places_full(places))
		return false;
	places->taken++;
	return true;
}

void places_give(struct places *places)
{
	places->taken--;
}

bool places_full(const struct places *places)
{
	return places->taken >= places->listens;
}
