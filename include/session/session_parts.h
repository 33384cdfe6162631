/*
 * session_parts: what the two halves of a session share: session.c is a visit from its preparation
 * to its record, session_talk.c the connection and the dialogue. For these two only.
 */
#ifndef MAILHAUL_SESSION_SESSION_PARTS_H
#define MAILHAUL_SESSION_SESSION_PARTS_H

#include "session/login.h"
#include "session/session.h"
#include "session/walk.h"

enum session_at {
	SESSION_PREPARING, /* recovery, and fetching the secret */
	SESSION_TALKING,
	SESSION_CLOSING, /* the connection is gone; commits and the MDA are under way */
	SESSION_RECORDING,
	SESSION_ENDED
};

struct session {
	struct session_params params;
	enum session_at at;
	struct conn *conn;
	struct loop_timer *watch; /* least progress, in spans of the silence */
	uint64_t came;		  /* octets of use, when the span began */
	bool held;		  /* the server waits for us */
	bool moved; /* in this span: an answer moved the session on, or we held it up */
	struct source *source;
	struct link *link; /* left behind */
	struct login *login;
	bool has_secret;
	bool handshaking;
	bool refused;	   /* the server did not accept our login */
	bool said_goodbye; /* the server confirmed the end, and in POP3 the removals */
	bool pumping;
	bool parting; /* all is done, and the connection stays */
	bool hasten;
	struct walk *walk;
	size_t commits;
	int64_t account; /* its id in the state; 0: nothing is recorded */
	struct state_visit before;
	struct session_report report;
	struct err trouble;
	struct err refusal; /* of a login that goes on in another way */
	struct buf received;
	struct buf capabilities;
};

/* ---- session.c ---- */

/* The visit has failed, and ends. */
void session_fail(struct session *session, const struct err *err);

/* Closes the connection, if it is still there; what is whole is committed, then recorded. */
void session_end(struct session *session);

/* False: the walk cannot go on, and the visit ends. */
bool session_goes_on(struct session *session, enum walk_is is, const struct err *err);

/* ---- session_talk.c ---- */

/* Takes a connection: a new one, or that of params.link, on which the visit is logged in. */
void session_connect(struct session *session);
void session_take_up(struct session *session);

/* Goes on: with the mailboxes, where the walk has got further; with what the server says. */
void session_follow(struct session *session);
void session_pump(struct session *session);

/* For conn. */
void session_on_conn(void *ctx, enum conn_what what, const struct err *err);

#endif
