/*
 * account: from a configured account to a session: the only place that names the protocols and the
 * deliveries there are. Also holds what all accounts share: loop, state, committer, trust sets.
 */
#ifndef MAILHAUL_DAEMON_ACCOUNT_H
#define MAILHAUL_DAEMON_ACCOUNT_H

#include "config/config.h"
#include "session/session.h"

struct account_shared;

/* Opens the state and starts the committer. config is borrowed, and outlives it. NULL on failure.
 */
struct account_shared *account_shared_new(const struct config *config, struct err *err);

/* False: something is stuck for which exit() would wait; leave by _exit(). */
bool account_shared_free(struct account_shared **shared);

struct loop *account_loop(struct account_shared *shared);
struct state *account_state(struct account_shared *shared);

/* Another configuration holds from now on; borrowed likewise. */
void account_reconfigure(struct account_shared *shared, const struct config *config);

struct account_visit {
	bool look_only;
	bool mark_all; /* fetch, deliver and remove nothing: what is there counts as known */
	bool retry_now;
	struct link *link; /* to begin with, taken over; NULL: connect */
	bool stays;	   /* session.h */
	/* One mailbox that is known to be there, and NULL; lives as long as the session. NULL: all
	 * of the account's. */
	const char *const *only;
	uint32_t most; /* messages to fetch in this visit; 0: as many as the account allows */
	void (*on_progress)(void *ctx, struct session *session,
			    const struct collect_counts *counts);
	void (*on_outcome)(void *ctx, const struct session_report *report,
			   const struct state_visit *before, struct state_visit *after);
	void (*on_end)(void *ctx, struct session *session);
	void *ctx;
};

/* Starts a visit; the account is borrowed. Never fails itself: what hinders the visit (a ca_file
 * that is not there, a state that cannot be read) becomes its outcome. */
struct session *account_begin(struct account_shared *shared, const struct config_account *account,
			      const struct account_visit *visit);

/* The account's next visit has the command run again that prints its secret. */
void account_secret_anew(struct account_shared *shared, const struct config_account *account);

/* What the last visit left behind; zeroed if there was none. */
bool account_last_visit(struct account_shared *shared, const struct config_account *account,
			struct state_visit *visit_r, struct err *err);

/* "imap" or "pop3". */
const char *account_protocol(const struct config_account *account);

/* Is this the key of a mailbox of the account, whatever the mailbox's name? */
bool account_has(const struct config_account *account, const struct state_key *key);

/* The items of the account's list of mailboxes, NULL at the end; in POP3 INBOX. */
const char *const *account_mailboxes(const struct config_account *account);

/* Appends the mailbox's name as one path component or part of it that cannot leave the tree: "/"
 * becomes "." , "." at the beginning and anything odd becomes %XX. */
void account_mailbox_path(struct buf *out, const char *maildir, const char *mailbox);

/* The way back: appends the name of the mailbox whose Maildir stands in a directory that is called
 * so, where the path first depends on the mailbox. False if no mailbox is written like that; a name
 * that was too long for a path cannot be read back. */
bool account_mailbox_named(struct buf *out, const char *maildir, const char *directory);

#endif
