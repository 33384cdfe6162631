/*
 * keyring: fetches secrets, and shares what commands print: one command (equal argv) is run once,
 * however many accounts name it. All who ask wait for the same child, and get the same answer, be
 * it a secret or a failure.
 *
 * What a command printed is kept for five minutes, then wiped, whether or not anybody asks; a
 * failure is kept for one. Who asks later has the command run again. Other secrets are read anew
 * each time, and not kept.
 */
#ifndef MAILHAUL_SESSION_KEYRING_H
#define MAILHAUL_SESSION_KEYRING_H

#include "config/secret.h"
#include "io/loop.h"
#include "util/err.h"

#include <stdint.h>

struct keyring;
struct keyring_wish;

struct keyring *keyring_new(struct loop *loop);

/* After all wishes were dropped. */
void keyring_free(struct keyring **keyring);

struct keyring_params {
	const struct secret *secret; /* borrowed until the answer; not SECRET_NONE */
	const char *host, *user;     /* for a netrc; borrowed likewise */
	uint64_t deadline_ms;	     /* of a command; the first who asks decides */
	/* 0, or the edition of the secret that was refused: a later one is wanted, and the command
	 * is run again unless somebody else has had it run meanwhile. */
	unsigned refused;
	/* On the loop, once, never from within keyring_ask(). secret NULL: err says why. Both are
	 * lent for the call only. */
	void (*on_answer)(void *ctx, const char *secret, unsigned edition, const struct err *err);
	void *ctx;
};

/* Asks for a secret. The wish is the caller's, to be dropped at any time: before the answer nothing
 * is told any more, and a command that nobody waits for is ended. */
struct keyring_wish *keyring_ask(struct keyring *keyring, const struct keyring_params *params);
void keyring_drop(struct keyring_wish **wish);

/* What a command printed may be out of date: who asks next has it run again. */
void keyring_forget(struct keyring *keyring, const struct secret *secret);

#endif
