/*
 * link: a connection that is encrypted and logged in, between two visits: what one leaves behind
 * and the next begins with.
 */
#ifndef MAILHAUL_SESSION_LINK_H
#define MAILHAUL_SESSION_LINK_H

#include "io/conn.h"
#include "proto/source.h"

#include <stdbool.h>

struct link {
	struct conn *conn;
	struct source *source;
	char *capabilities; /* as the server gave them after the login */
	char *mechanism;    /* that logged in */
};

/* Takes over the connection and the source, copies the strings. */
struct link *link_new(struct conn *conn, struct source *source, const char *capabilities,
		      const char *mechanism);

/* Closes the connection, without a goodbye of the protocol. Nothing if it is NULL. */
void link_free(struct link **link);

/* True if a server of these capabilities can tell of new mail by itself: IDLE (RFC 2177). */
bool link_can_listen(const char *capabilities);

/* Tells people what the server wants them to know (NOTICE), with secrets cut. */
void link_notice(const struct source_event *ev, const char *account);

/* Passes the dialogue of a source on to the log, line by line. The engine has cut the secrets out
 * of what we say; those that the server repeats are cut here. */
void link_trace(struct source *source, const char *account);

#endif
