/*
 * source: the face of a protocol engine (imap, pop3).
 *
 * An engine is pure: it takes octets from a buffer, gives octets into another, and says what
 * happened when asked. It never reads, writes, sleeps, calls back or looks at a clock. Its driver:
 *
 *     while ((what = source_next(source, &ev)) > SOURCE_IDLE)
 *             on[what](session, &ev);
 *     conn_write(conn, source_out(source));
 *
 * STARTTLS is a wall inside the engine: until source_tls_started() it emits nothing but
 * CAPABILITY/CAPA, STARTTLS/STLS and LOGOUT/QUIT; a PREAUTH greeting, octets behind the answer to
 * STARTTLS, a refusal or a missing offer end it with SOURCE_FAILED; all learnt before is forgotten.
 *
 * Order of a visit:
 *     START_TLS -> tls_started · AUTH_OFFERED -> auth/login (CHALLENGE -> respond)* -> READY, or
 *     DONE{auth, refused} -> auth again · then verbs: select, list, fetch, headers, present,
 * remove, idle, finish. Every verb ends with one DONE (or, for select that succeeds, SELECTED then
 * DONE). After the DONE of finish nothing more comes but NEED_VERB.
 *
 * Verbs queue; the engine alone decides what it pipelines.
 */
#ifndef MAILHAUL_PROTO_SOURCE_H
#define MAILHAUL_PROTO_SOURCE_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
	SOURCE_KEY_MAX = 512,	   /* octets of a key without its NUL */
	SOURCE_COMMAND_MAX = 8000, /* octets of one command line that we send */
	SOURCE_TEXT_MAX = 8192	   /* octets of one response line's text that we keep */
};

enum source_what {
	SOURCE_FAILED,	   /* source_err() says why; nothing else will ever come */
	SOURCE_NEED_BYTES, /* read more from the server, then ask again */
	SOURCE_NEED_VERB,  /* all queued work is done: tell the engine what to do */
	SOURCE_IDLE = SOURCE_NEED_VERB,

	SOURCE_START_TLS,    /* encrypt now, then say source_tls_started() */
	SOURCE_AUTH_OFFERED, /* mechanisms, initial_response, login_command */
	SOURCE_CHALLENGE,    /* bytes: base64, as the server sent it (may be empty) */
	SOURCE_READY,	     /* logged in; capabilities is the list as the server gave it */
	SOURCE_MAILBOX,	 /* name, served, wire, attributes, delimiter; validity, next, exists where
			    the server told them with it (validity 0: it did not). Refused: its name
			    cannot be used, text says why; what is set serves to show it */
	SOURCE_STATUS,	 /* name, validity, next, exists; refused: the server does not tell, text */
	SOURCE_SELECTED, /* validity, next (0: not said), exists, read_only */
	SOURCE_LISTED,	 /* number, key, octets (0: not known), id */
	SOURCE_BEGIN,	 /* a message begins: octets announced (0: not known). The number may be 0
			    when it is not known yet (IMAP: UID may follow the body). */
	SOURCE_CHUNK,	 /* bytes of it, as they came: CRLF line ends, dot-stuffing undone */
	SOURCE_END,	 /* it is whole: number, key, date; octets that came */
	SOURCE_GONE,	 /* number, key: asked for, and no longer there */
	SOURCE_REFUSED,	 /* number, key, text: the server will not give this message (now). Follows
			    BEGIN when the failure came in the middle: forget what came. */
	SOURCE_REMOVED, /* number, key: marked for removal and, in IMAP, expunged. In POP3 true only
			   once finish is DONE and not refused. */
	SOURCE_NEWS,	/* exists: something has arrived in the selected mailbox (source_idle) */
	SOURCE_NOTICE,	/* text, code: words the user should see (ALERT), or that explain */
	SOURCE_BYE,  /* text: the server ends the session; after finish that is as it should be */
	SOURCE_DONE, /* verb, refused, unsure; with refused: text, code */
	SOURCE_WHATS
};

enum source_verb {
	SOURCE_VERB_AUTH, /* auth and login */
	SOURCE_VERB_MAILBOXES,
	SOURCE_VERB_STATUS,
	SOURCE_VERB_SELECT,
	SOURCE_VERB_LIST,
	SOURCE_VERB_FETCH,
	SOURCE_VERB_HEADERS,
	SOURCE_VERB_PRESENT,
	SOURCE_VERB_REMOVE,
	SOURCE_VERB_IDLE,
	SOURCE_VERB_FINISH,
	SOURCE_VERBS
};

/* What an event points to is borrowed until the next source_next(). Only the fields named beside
 * the event are set; strings are never NULL where named. */
struct source_event {
	uint32_t number; /* IMAP: the UID. POP3: the message number of this session */
	const char *key; /* what the state remembers it by. IMAP: the UID in decimal. POP3: the
			    UIDL; the nth occurrence of an equal UIDL (n > 1) has " n" behind it */
	const char *id;	 /* what the server knows a message by in every mailbox and numbering: "E"
			    and  its EMAILID (RFC 8474), "G" and its X-GM-MSGID, or "" */
	uint64_t octets;
	time_t date; /* END: INTERNALDATE in UTC; 0 where the protocol has none */
	const unsigned char *bytes;
	size_t len;

	const char *mechanisms; /* SASL mechanisms, upper case, one space between; "" if none */
	bool initial_response;	/* SASL-IR (RFC 4959), or POP3 AUTH (RFC 5034) */
	bool login_command;	/* LOGIN is not disabled; USER is offered */
	const char *capabilities;

	const char *name;	/* of a mailbox, canonical: UTF-8, "/" between its levels, without
				   the prefix of the personal namespace; "/" in front of what lies
				   outside of it; INBOX in upper case */
	const char *served;	/* the same as the server has it, readable */
	const char *wire;	/* and as it goes on the wire */
	const char *attributes; /* of LIST, with one space between */
	char delimiter;		/* of the server; '\0': none */

	uint32_t validity; /* UIDVALIDITY; POP3: 0 */
	uint32_t next;	   /* UIDNEXT */
	uint32_t exists;
	bool read_only;

	enum source_verb verb;
	bool refused;
	bool unsure;	  /* IMAP. list: fewer than there are were told. remove: the server has
			     expunged another number of messages than it was asked to */
	const char *text; /* what the server said, raw (make it visible before showing it) */
	const char
	    *code; /* response code in upper case without brackets and arguments: "AUTH",
		      "IN-USE", "AUTHENTICATIONFAILED", "UNAVAILABLE", "SYS/TEMP"; "" if none */
};

/* Message numbers, ascending, none twice. Borrowed for the call only. */
struct source_set {
	const uint32_t *numbers;
	size_t count;
};

struct source_params {
	struct buf *in; /* where the driver puts what the server sent (after TLS: decrypted). The
			   engine consumes it in place. Outlives the source. */
	bool encrypted; /* implicit TLS: the connection is encrypted from its first octet */
	bool trace;	/* keep the dialogue in source_trace() */
	bool remembers; /* uids are kept beyond the session: a mailbox whose uids last only when it
			   is opened for writing is opened so */
	const char *name; /* program name and version for IMAP ID; NULL sends none */
	const char *version;
};

struct source;

/* Frees, clears the pointer, wipes what held secrets. */
void source_free(struct source **source);

enum source_what source_next(struct source *source, struct source_event *ev);

/* What must be sent; the driver consumes it. */
struct buf *source_out(struct source *source);

/* True while octets in source_out() may hold a secret, so that they are wiped after sending. */
bool source_out_secret(const struct source *source);

/* With params.trace: the dialogue since the last look, one line each, "C: ..." and "S: ...", with
 * secrets replaced by "<cut>" and message bodies by "<N octets>". The reader clears it. */
struct buf *source_trace(struct source *source);

/* After SOURCE_FAILED. Kinds: ERR_TLS (the wall), ERR_PROTOCOL, ERR_TEMPORARY (closed, BYE). */
const struct err *source_err(const struct source *source);

/* After SOURCE_FAILED. The server answered more often than it was asked, after it gave messages
 * whose answers do not name them (POP3): any of this session may have come under another's key. */
bool source_astray(const struct source *source);

/* What the engine waits for, for time-outs: "the answer to STARTTLS". Never NULL. */
const char *source_waiting_for(const struct source *source);

/* How many of the server's octets so far were read over because they moved nothing on. */
uint64_t source_chatter(const struct source *source);

/* No more octets will come. source_next() then ends in FAILED, unless finish was answered. */
void source_eof(struct source *source);

void source_tls_started(struct source *source);

/* initial: base64 ("=" for an empty one) or NULL for none; only if initial_response was offered. */
void source_auth(struct source *source, const char *mechanism, const char *initial);

/* base64 answer to a CHALLENGE ("" is an empty one); NULL cancels the exchange. */
void source_respond(struct source *source, const char *base64);

/* IMAP LOGIN, POP3 USER and PASS. Only after AUTH_OFFERED said login_command. */
void source_login(struct source *source, const char *user, const char *password);

/* Which mailboxes there are, IMAP only. items: at least one, each a mailbox's name, canonical or as
 * the server has it, a pattern ("*", and "%" that stops at the end of a level), or an attribute
 * such as "\\Archive" (RFC 6154). MAILBOX comes for all that they could mean and for some that they
 * do not: the driver knows the exact rules. NAMESPACE, LIST and STATUS go in one flight. Each name
 * is told once; mailboxes that cannot be opened are left out. */
void source_mailboxes(struct source *source, const char *const *items, size_t count);

/* What lies in these mailboxes (canonical names; each once), IMAP only; all of STATUS in one
 * flight. STATUS for each, in any order. */
void source_status(struct source *source, const char *const *names, size_t count);

/* IMAP: EXAMINE, or SELECT for writing; mailbox is canonical. POP3: STAT; mailbox and writing are
 * not used, and next is 0. */
void source_select(struct source *source, const char *mailbox, bool writing);

enum {
	SOURCE_LIST_SIZES = 1, /* octets: IMAP asks for RFC822.SIZE, POP3 for LIST */
	SOURCE_LIST_IDS = 2    /* id, where the server has any */
};

/* All messages with number >= from (POP3: all); wants: which of the above. IMAP never reports
 * numbers below from, though servers send them for n:* . */
void source_list(struct source *source, uint32_t from, unsigned wants);

/* BEGIN CHUNK* END, GONE or REFUSED for each, in the server's order; then DONE. */
void source_fetch(struct source *source, const struct source_set *set);

/* As fetch, but of each message only a header that holds at least its Message-ID, Date and From,
 * and END's octets are those of the header. POP3: TOP; where the server has none, DONE is refused.
 */
void source_headers(struct source *source, const struct source_set *set);

/* IMAP: GONE for each of them that is not there any more, by ESEARCH (RFC 4731) where the server
 * has it; then DONE. POP3, where a listing tells: DONE is refused. */
void source_present(struct source *source, const struct source_set *set);

/* IMAP: \Deleted, then UID EXPUNGE (with UIDPLUS or IMAP4rev2 only). POP3: DELE. */
void source_remove(struct source *source, const struct source_set *set);

/*
 * Listens in the selected mailbox (RFC 2177), IMAP only. NEWS comes once for all that arrived since
 * the mailbox was selected or, later, since its last list began, be it told before the listening or
 * while it began; then for each further arrival. Messages that go are no news. That something is
 * news does not say that it still is there, nor that the list did not have it already.
 *
 * It lasts until another verb is said: that ends it (DONE of idle), and is done then; what arrives
 * meanwhile is told when the mailbox is listened to again, unless it was listed by then.
 * source_idle() said again so renews it. Where the server has no IDLE, no mailbox is selected, or
 * the server ends it by itself, DONE is refused; who listens again at once may be refused at once.
 *
 * While it lasts the engine holds as little memory as it can; source_next() gives NEED_BYTES.
 */
void source_idle(struct source *source);

/* LOGOUT; QUIT (which in POP3 commits the removals: refused tells that it did not). */
void source_finish(struct source *source);

#endif
