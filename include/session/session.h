/*
 * session: one visit of one account: connect, encrypt, log in, collect each mailbox, say goodbye.
 *
 * It owns the connection, the source, the login and the walk through the mailboxes, and drives them
 * from one loop. Whatever goes wrong, what is whole is committed, and the outcome is recorded for
 * status.
 */
#ifndef MAILHAUL_SESSION_SESSION_H
#define MAILHAUL_SESSION_SESSION_H

#include "config/secret.h"
#include "io/conn.h"
#include "proto/source.h"
#include "session/batch.h"
#include "session/collect.h"
#include "session/keyring.h"
#include "session/link.h"

struct session;

/* Makes the sinks of an account, one for each mailbox when it is opened. */
struct session_sinks {
	struct sink *(*make)(const struct session_sinks *sinks, const char *mailbox,
			     struct err *err);
	void *shared;
	const void *account;
};

/* A mailbox of a visit. Strings are never NULL. */
struct session_mailbox {
	const char *name;	/* as people write it, see source.h */
	const char *attributes; /* what it is for (RFC 6154): "\\Archive"; "" mostly */
	bool quiet;		/* the server told that there is nothing to do */
	bool looked;		/* at what lies in it: it is quiet, or it was opened */
	struct collect_counts counts;
};

/* How a connection was protected. Strings are never NULL; "" before it was. */
struct session_security {
	const char *mode; /* "STARTTLS" or "implicit TLS" */
	struct tls_info tls;
	const char *mechanism;
	char line[384]; /* all of it for people */
};

struct session_report {
	struct err err; /* the gravest; ERR_NONE when all went well */
	bool busy;	/* another mailhaul works on a mailbox: nothing was done */
	bool connected;
	bool refused; /* with ERR_AUTH: the login, by the server */
	bool whole;   /* the visit came to its end, whatever single messages or mailboxes did */
	struct session_security security;
	const char *capabilities;     /* what the server said it can do, after login; "" */
	const char *warning;	      /* about what it does with what is to stay; NULL: none */
	struct collect_counts counts; /* over all mailboxes */
	size_t mailbox_count;
	const struct session_mailbox *mailboxes;
	size_t unmatched_count;
	const char *const *unmatched; /* items of the account's list that match nothing there */
};

struct session_params {
	struct loop *loop; /* borrowed, as is everything below */
	struct committer *committer;
	struct keyring *keyring;
	struct state *state;
	const char *account;  /* name, for the log */
	const char *protocol; /* "imap", "pop3" */
	struct source *(*source_new)(const struct source_params *params);
	bool keys_return;	 /* plan.h */
	struct conn_params conn; /* on and ctx are filled in */
	const char *user;
	const char *auth;
	const struct secret *secret;
	const char *const *mailboxes; /* items: see pattern.h */
	size_t mailbox_count;
	bool known_there;	    /* the list is one mailbox's name, and the server has it */
	struct link *link;	    /* to begin with, taken over; NULL: connect */
	bool stays;		    /* a visit that ends well leaves a link behind, if it can */
	struct session_sinks sinks; /* copied */
	struct retention retention;
	uint32_t max_messages; /* fetched in this visit at most; 0: no limit */
	bool first_skip;       /* the account's first visit leaves alone what is there */
	uint32_t max_attempts;
	bool mark_all;	/* collect.h */
	bool look_only; /* test: change nothing */
	bool retry_now; /* the user named the account */
	/* Why the visit fails before it begins (a ca_file that is not there), which is told and
	 * recorded like any other failure; copied. NULL or ERR_NONE: it begins. */
	const struct err *trouble;

	/* Is this the key of an account that is configured, whatever its mailbox? For a host that
	 * was renamed. NULL: nothing is known of hosts. */
	bool (*is_configured)(void *ctx, const struct state_key *key);
	void *configured;

	/* Something was fetched or delivered; for a progress bar. May be NULL. */
	void (*on_progress)(void *ctx, struct session *session,
			    const struct collect_counts *counts);
	/* The outcome stands, and "after" is about to be recorded: the owner tells the user, or
	 * not, and notes in "after" when it did. */
	void (*on_outcome)(void *ctx, const struct session_report *report,
			   const struct state_visit *before, struct state_visit *after);
	/* All is durable. The owner frees the session. */
	void (*on_end)(void *ctx, struct session *session);
	void *ctx;
};

/* Begins at once; never fails itself. Callbacks come from the loop. */
struct session *session_new(const struct session_params *params);

/* After on_end, or when the loop has ended. */
void session_free(struct session **session);

/* As on_outcome got it; at on_end with what recording it may have added. Owned by the session. */
const struct session_report *session_report(const struct session *session);

/* At on_end: the connection that the visit has left behind, which is the caller's now. Its mailbox
 * is open where the visit went to a single one. NULL: there is none. */
struct link *session_take_link(struct session *session);

/* Ends soon: what is whole is committed, the rest is left for the next visit. The second time also
 * an MDA that still runs is stopped. */
void session_stop(struct session *session);

#endif
