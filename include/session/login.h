/*
 * login: from the description of a secret and the server's offer to a login: asks the keyring for
 * the secret, chooses the mechanism, and runs the SASL exchange (on a worker thread, since SCRAM
 * may be slow).
 *
 * "auto" takes the strongest mechanism that the server offers and the account can do: EXTERNAL with
 * a certificate that the server asked for, the OAuth ones with a token, all others with a password.
 * Servers with hashed passwords may offer SCRAM and then refuse it, and some offer -PLUS for a
 * channel binding that they do not know: auto then tries the same SCRAM without -PLUS, and PLAIN
 * once, says so, and remembers; never after a SCRAM exchange in which the server turned out to be
 * false. A mechanism that was named is used, or the login fails. A token that is refused is asked
 * for once more.
 */
#ifndef MAILHAUL_SESSION_LOGIN_H
#define MAILHAUL_SESSION_LOGIN_H

#include "config/secret.h"
#include "io/loop.h"
#include "io/tls.h"
#include "proto/source.h"
#include "session/keyring.h"

struct login;

struct login_params {
	struct loop *loop;
	struct keyring *keyring;     /* outlives the login */
	const struct secret *secret; /* borrowed, as are all strings; SECRET_NONE where a
					certificate is to be enough */
	const char *user;
	const char *host;
	uint16_t port;
	const char *service;	 /* "imap", "pop" */
	const char *auth;	 /* "AUTO", "LOGIN-COMMAND" or a mechanism */
	const char *passed_over; /* with auto: a mechanism that the server offers and refuses; ""
				    if none. It is taken only where nothing else is offered. */
	uint64_t deadline_ms;	 /* of the command that gives the secret */

	/* The secret is there (err NULL) or not; or the next step stands in the source, or failed.
	 * On the loop, never from within a login_ function. */
	void (*on_step)(void *ctx, const struct err *err);
	void *ctx;
};

/* Begins to fetch the secret: on_step tells. */
struct login *login_new(const struct login_params *params);

/* The connection is gone, and with it what the source reads: nothing is said to the source any
 * more, nor told. What the login knows by then stays. Nothing if it is NULL. */
void login_abandon(struct login *login);

/* At any time; wipes. */
void login_free(struct login **login);

/* Before AUTH_OFFERED: what the connection has for the login: its channel binding (len 0: none),
 * and whether the server has asked for our certificate and got it. */
void login_secured(struct login *login, const struct tls_binding *binding, bool identified);

/* For AUTH_OFFERED. False: nothing that is offered can be used (ERR_AUTH). */
bool login_offered(struct login *login, struct source *source, const struct source_event *ev,
		   struct err *err);

/* For CHALLENGE. */
bool login_challenge(struct login *login, const struct source_event *ev, struct err *err);

enum login_verdict {
	LOGIN_FAILED,		 /* ERR_AUTH, or ERR_TEMPORARY where the server said so */
	LOGIN_ANOTHER_MECHANISM, /* is tried now */
	LOGIN_ANOTHER_TOKEN	 /* is asked for; on_step tells */
};

/* For a refused DONE of auth. err always says what was refused and what comes now. */
enum login_verdict login_refused(struct login *login, const struct source_event *ev,
				 struct err *err);

/* For READY; wipes the secret. False: the server said yes before the exchange was finished
 * (ERR_AUTH). */
bool login_accepted(struct login *login, struct err *err);

/* The mechanism in use or used last, "LOGIN command" or "USER and PASS" for the plain commands;
 * what auto learnt to pass over, "" if nothing. Valid while the login is. */
const char *login_mechanism(const struct login *login);
const char *login_passed_over(const struct login *login);

/* True for a mechanism that binds the login to the connection's encryption (-PLUS). */
bool login_binds(const char *mechanism);

#endif
