/*
 * state: what mailhaul remembers, in one file that survives kill -9 and power cuts.
 *
 * Rows are keyed by (protocol, user, host, mailbox), never by account name or port. The room has a
 * connection for reading, used on the loop, and one for writing, used on the committer's thread
 * only: the loop never waits for a flush. A commit is durable when state_commit() returns.
 * Every failure is ERR_STATE and names the file.
 */
#ifndef MAILHAUL_STATE_STATE_H
#define MAILHAUL_STATE_STATE_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STATE_IDENTITY = 16, /* hexadecimal digits of the state's random id */
	STATE_TEXT = 1280
};

struct state;

/* Opens or creates (directory 0700, file 0600) DIR/state.db. A newer schema, a file that is no
 * state, a corrupt or unwritable one: an error that says what to do. NULL on failure. Once in a
 * process: POSIX locks, which SQLite uses, do not tell two openings in one process apart. */
struct state *state_open(const char *directory, struct err *err);
void state_free(struct state **state);

/* The same, but makes no file where there is none: NULL with ERR_NONE. */
struct state *state_open_existing(const char *directory, struct err *err);

/* Renames a damaged state.db, with its log, to state.db.damaged-DATE; as_r, to be freed, is the
 * path it has then, NULL where there is no state. Looks at all of the file, and only if it is not
 * open in this process. ERR_USAGE if it is whole, ERR_TEMPORARY if another mailhaul is at work; a
 * newer one and a file of someone else are errors, too. */
bool state_set_aside(const char *directory, char **as_r, struct err *err);

/* Random, made when the file was created; STATE_IDENTITY digits. */
const char *state_identity(const struct state *state);
const char *state_directory(const struct state *state);

struct state_key {
	const char *protocol; /* "imap", "pop3" */
	const char *user;
	const char *host;    /* compared without regard to case */
	const char *mailbox; /* "INBOX" for POP3 */
};

struct state_mailbox {
	int64_t account; /* ids, above 0; account is one per (protocol, user, host) */
	int64_t id;
	uint32_t validity; /* UIDVALIDITY; 0 before the first visit, and for POP3 */
	uint32_t next;	   /* every lower UID is known: delivered, gone, or has a row; 1 at first */
	int64_t begun;	   /* Unix time of the first visit that listed it whole; 0: none yet */
	int64_t checked;   /* Unix time when it was last looked for what vanished; 0: never */
};

/* Makes the entry where there is none (a small transaction of its own, on the calling thread). */
bool state_mailbox(struct state *state, const struct state_key *key,
		   struct state_mailbox *mailbox_r, struct err *err);

/* The id of an account (key's mailbox is not looked at), made where there is none. */
bool state_account(struct state *state, const struct state_key *key, int64_t *account_r,
		   struct err *err);

/* Where key's mailbox is not known and its account has one that is called older, that one gets
 * key's name (a small transaction of its own, on the calling thread). */
bool state_called_before(struct state *state, const struct state_key *key, const char *older,
			 struct err *err);

/* The same, but makes nothing: found_r tells whether it is known. */
bool state_known_mailbox(struct state *state, const struct state_key *key, bool *found_r,
			 struct state_mailbox *mailbox_r, struct err *err);

/* Calls each mailbox of the account (its mailbox is not looked at), or of all accounts where that
 * is NULL, in the order in which they were first met; each returns false to stop. What key points
 * to is borrowed for the call. */
bool state_mailboxes(struct state *state, const struct state_key *account,
		     bool (*each)(void *ctx, const struct state_key *key,
				  const struct state_mailbox *mailbox),
		     void *ctx, struct err *err);

/* Notes, for the life of this state, that an account of the configuration collects a mailbox. Fails
 * with ERR_CONFIG if another one does: locks tell processes apart, but not accounts. */
bool state_claim(struct state *state, int64_t mailbox, const char *account, struct err *err);

/* Forgets all that an account claimed: it has left the configuration, or means other mailboxes. */
void state_release(struct state *state, const char *account);

/* A lock on one mailbox, between processes, that dies with the process. NULL with ERR_NONE: another
 * mailhaul holds it. */
struct state_lock;
struct state_lock *state_lock(struct state *state, int64_t mailbox, struct err *err);
void state_unlock(struct state_lock **lock);

/* The lock that makes a daemon the only one with this state. NULL with ERR_NONE: another has it. */
struct state_lock *state_lock_daemon(struct state *state, struct err *err);

enum state_is {
	STATE_TAKEN = 1,   /* the letter is safe on the disk under its name, not yet in place */
	STATE_HANDED,	   /* the MDA may have been started with it */
	STATE_DELIVERED,   /* the only state that allows removal from the server */
	STATE_REMOVED,	   /* and the server confirmed the removal */
	STATE_SKIPPED,	   /* left alone on purpose */
	STATE_WAITING,	   /* in the spool until next_try */
	STATE_QUARANTINED, /* in the quarantine; left alone */
	STATE_OVERSIZE,	   /* larger than max_size: left on the server */
	STATE_IS_END
};
#define STATE_MASK(is) (1U << (is))

/* A word for people and JSON: "delivered", "waiting" ... NULL for what is no state. */
const char *state_is_name(enum state_is is);

struct state_row {
	const char *key; /* of the message, as the source gives it */
	enum state_is is;
	int64_t taken;	 /* Unix time it was first taken */
	int64_t changed; /* Unix time of the last change, set by the caller */
	uint32_t attempts;
	int64_t next_try; /* Unix time, with STATE_WAITING */
	const char *name; /* of its letter; "" if none */
	const char *mark; /* recognises the message under another numbering, see below */
	uint64_t octets;
	int64_t date; /* INTERNALDATE; 0 if unknown */
	int64_t gone; /* Unix time since when it is missing on the server; 0: it is not */
};

/*
 * A mark has up to two parts, with a space between: what the server calls the message ("E" and its
 * EMAILID, "G" and its X-GM-MSGID), and the digest of its Message-ID, Date and From, which is
 * lower-case hexadecimal. Either may be missing; "" recognises nothing.
 */

/* ---- reading: on the loop ---- */

/* Looks up count messages in one go: key() names each, known() is called for each that has a row.
 */
bool state_find(struct state *state, int64_t mailbox, uint32_t validity, size_t count,
		const char *(*key)(void *ctx, size_t index),
		void (*known)(void *ctx, size_t index, const struct state_row *row), void *ctx,
		struct err *err);

/* True if anything is known of the mailbox under another validity. Reads at most two rows. */
bool state_others(struct state *state, int64_t mailbox, uint32_t validity, bool *others_r,
		  struct err *err);

/* Calls each row whose state is in the mask, in the order in which they were taken, whatever the
 * validity (it is passed along); each returns false to stop. Reads only rows of those states, by an
 * index. DELIVERED rows may be many: ask for them only when something is to be removed. */
bool state_each(struct state *state, int64_t mailbox, uint32_t mask,
		bool (*each)(void *ctx, uint32_t validity, const struct state_row *row), void *ctx,
		struct err *err);

/* Calls each DELIVERED row that was delivered at that Unix time or before, and is not gone; reads
 * no row that was taken later. */
bool state_due(struct state *state, int64_t mailbox, int64_t before,
	       bool (*each)(void *ctx, uint32_t validity, const struct state_row *row), void *ctx,
	       struct err *err);

/* Calls each row of any mailbox of the account with this first part of the mark, which begins with
 * "G": those that name a message in all its mailboxes (X-GM-MSGID) are indexed, others are not. */
bool state_marked(struct state *state, int64_t account, const char *mark,
		  bool (*each)(void *ctx, int64_t mailbox, uint32_t validity,
			       const struct state_row *row),
		  void *ctx, struct err *err);

/* How many rows of a mailbox are in each state. */
bool state_count(struct state *state, int64_t mailbox, uint64_t counts_r[STATE_IS_END],
		 struct err *err);

/* How many rows of an account are QUARANTINED, 0 where it has no entry; reads no others. */
bool state_quarantined(struct state *state, const char *protocol, const char *user,
		       const char *host, uint64_t *count_r, struct err *err);

/* ---- what a visit of an account left behind, for status and for the quiet of cron ---- */

struct state_visit {
	int64_t tried;	   /* Unix time of the last visit; 0: never */
	int64_t succeeded; /* of the last one without an error */
	uint64_t messages; /* delivered by the last visit */
	uint64_t octets;
	int64_t failing_since; /* first failure of the present row of failures; 0: none */
	int64_t reported;      /* when the failure was last told to the user; 0: not yet */
	int64_t auth_refused;  /* last time the server refused the login; 0: it did not */
	int64_t expires;       /* of the server's certificate; 0: unknown */
	char error_kind[16];   /* err_kind_name(), "" when the last visit went well */
	char error[STATE_TEXT];
	char encryption[256];	 /* one line for people: "STARTTLS, TLS 1.3, ..." */
	char mechanism[32];	 /* that logged in last */
	char passed_over[32];	 /* a mechanism that the server offers and refuses; "" if none */
	int64_t warned;		 /* when the user was last told that the certificate expires soon */
	int64_t today;		 /* the local day that these count for, as 20261231; 0: none yet */
	uint64_t today_messages; /* delivered on that day */
	uint64_t today_octets;
};

/* Zeroed where nothing is known. Works for an account that has no entry yet. */
bool state_visit(struct state *state, const char *protocol, const char *user, const char *host,
		 struct state_visit *visit_r, struct err *err);

/* Maildirs that were delivered into: the identity that stands in their mailhaul-id. "" if path is
 * not known. identity_r of at least STATE_IDENTITY + 1 octets. */
bool state_maildir(struct state *state, const char *path, char *identity_r, struct err *err);

/* ---- writing: on the committer's thread, between begin and commit ---- */

bool state_begin(struct state *state, struct err *err);
bool state_commit(struct state *state, struct err *err);
void state_rollback(struct state *state);

/* Inserts or replaces the row of (mailbox, validity, key). */
bool state_put(struct state *state, int64_t mailbox, uint32_t validity, const struct state_row *row,
	       struct err *err);

/* Changes only is and changed of an existing row (STATE_REMOVED: it is gone since then, too);
 * attempts, next_try and name stay. */
bool state_mark(struct state *state, int64_t mailbox, uint32_t validity, const char *key,
		enum state_is is, int64_t now, struct err *err);
bool state_forget(struct state *state, int64_t mailbox, uint32_t validity, const char *key,
		  struct err *err);

/* Since when a message is missing on the server; 0: it is there again. */
bool state_gone(struct state *state, int64_t mailbox, uint32_t validity, const char *key,
		int64_t gone, struct err *err);

/* Forgets the settled rows that are gone since that Unix time or longer, but for those in
 * quarantine. */
bool state_forget_gone(struct state *state, int64_t mailbox, int64_t before, struct err *err);

/* Forgets all rows of a mailbox that have no letter: not the unfinished, nor those in quarantine.
 */
bool state_forget_settled(struct state *state, int64_t mailbox, struct err *err);

/* Adds the row, unless there is one of (mailbox, validity, key); added_r tells. */
bool state_add(struct state *state, int64_t mailbox, uint32_t validity, const struct state_row *row,
	       bool *added_r, struct err *err);

/* Adds a SKIPPED row for each UID from this one up to, and without, that one that has no row. */
bool state_add_skipped(struct state *state, int64_t mailbox, uint32_t validity, uint32_t from,
		       uint32_t to, int64_t now, struct err *err);

/* As state_mailbox(), but part of the transaction that was begun. */
bool state_add_mailbox(struct state *state, const struct state_key *key,
		       struct state_mailbox *mailbox_r, struct err *err);

/* Removes the entry of a mailbox that has no rows, and that of its account if it was the last. */
bool state_drop_mailbox(struct state *state, const struct state_mailbox *mailbox, struct err *err);

/* Gives an account, with all that is known of it, another user and host; fails if those have an
 * entry. */
bool state_move_account(struct state *state, int64_t account, const char *user, const char *host,
			struct err *err);

/* The mailbox's begun and checked. */
bool state_put_checked(struct state *state, int64_t mailbox, int64_t begun, int64_t checked,
		       struct err *err);

/* Gives a mailbox another name; fails if its account has one of that name. */
bool state_rename(struct state *state, int64_t mailbox, const char *name, struct err *err);

/* Moves all rows of a mailbox to another one, under this validity: one that the server never gives
 * (IMAP 0, POP3 above 0) makes them rows that only recognise. Within the same mailbox only those
 * that are settled. */
bool state_adopt(struct state *state, int64_t from, int64_t to, uint32_t validity, struct err *err);

bool state_put_mailbox(struct state *state, int64_t mailbox, uint32_t validity, uint32_t next,
		       struct err *err);
bool state_put_visit(struct state *state, int64_t account, const struct state_visit *visit,
		     struct err *err);
bool state_put_maildir(struct state *state, const char *path, const char *identity,
		       struct err *err);

#endif
