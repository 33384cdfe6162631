/*
 * keyring: fetches secrets, and shares what commands print.
 *
 * A ring holds a key for each command that was asked for of late, and a key a list of those who
 * wait for it. A key that fails stays for a while, so that its failure is shared too. Editions are
 * counted over all keys: one that has gone and come again never gives a number twice.
 */
#include "session/keyring.h"

#include "io/child.h"
#include "session/secret_read.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { SECRET_KEPT_MS = 5 * 60 * 1000, FAILURE_KEPT_MS = 60 * 1000 };

/* One command. */
struct key {
	UT_hash_handle hh;
	struct keyring *ring;
	char *name; /* the kind as an octet, then its arguments, each with a NUL behind it */
	size_t name_len;
	struct child *child; /* while it runs */
	char *secret;	     /* NULL: it failed, or never ended */
	struct err err;
	unsigned edition; /* 0: it was not run to its end */
	struct keyring_wish *waiting;
	struct loop_timer *expiry; /* of what is kept; no matter while the child runs */
};

struct keyring {
	struct loop *loop;
	struct key *keys;
	unsigned editions; /* how often any command was run to its end */
};

struct keyring_wish {
	struct keyring_wish *next; /* among those who wait for the key */
	struct keyring_params params;
	struct key *key;	 /* NULL: no command */
	struct loop_timer *soon; /* tells of what needs no waiting */
};

/* ---- keys ---- */

static void on_expiry(void *ctx);

/* In one piece: arguments may be secrets, and no buffer that grows shall leave copies behind. */
static char *name_of(const struct secret *secret, size_t *len_r)
{
	size_t len = 1;
	char *name, *at;

	for (size_t i = 0; secret->argv[i]; i++)
		len += strlen(secret->argv[i]) + 1;
	name = mem_new(len, 1);
	*name = (char)secret->kind;
	at = name + 1;
	for (size_t i = 0; secret->argv[i]; i++) {
		size_t octets = strlen(secret->argv[i]) + 1;

		memcpy(at, secret->argv[i], octets);
		at += octets;
	}
	*len_r = len;
	return name;
}

static void free_name(char *name, size_t len)
{
	mem_wipe(name, len);
	free(name);
}

static struct key *find_key(struct keyring *ring, const struct secret *secret)
{
	size_t len;
	char *name = name_of(secret, &len);
	struct key *key;

	HASH_FIND(hh, ring->keys, name, len, key);
	if (key) {
		free_name(name, len);
		return key;
	}
	key = mem_new(1, sizeof *key);
	key->ring = ring;
	key->name = name;
	key->name_len = len;
	key->expiry = loop_timer_new(ring->loop, on_expiry, key);
	loop_timer_background(key->expiry);
	HASH_ADD_KEYPTR(hh, ring->keys, key->name, key->name_len, key);
	return key;
}

/* It stands in no ring any more. */
static void free_key(struct key *key)
{
	loop_timer_free(&key->expiry);
	child_free(&key->child);
	mem_free_secret(&key->secret);
	free_name(key->name, key->name_len);
	free(key);
}

/* ---- answers ---- */

static void answer(struct keyring_wish *wish, const char *secret, unsigned edition,
		   const struct err *err)
{
	wish->params.on_answer(wish->params.ctx, secret, edition, secret ? NULL : err);
}

/* Who is told may drop any wish, and make new ones: one is taken off the list at a time. */
static void tell_waiting(struct key *key)
{
	while (key->waiting && !key->child) {
		struct keyring_wish *wish = key->waiting;

		key->waiting = wish->next;
		wish->key = NULL;
		loop_timer_free(&wish->soon);
		answer(wish, key->secret, key->edition, &key->err);
	}
}

/* Those whose answer was on its way get it now; one of them may have it run again. */
static void on_expiry(void *ctx)
{
	struct key *key = ctx;

	tell_waiting(key);
	if (key->child)
		return;
	HASH_DEL(key->ring->keys, key);
	free_key(key);
}

static const char *option_of(const struct key *key)
{
	return *key->name == SECRET_TOKEN ? "token_command" : "password_command";
}

static void command_ended(void *ctx, struct child *child)
{
	struct key *key = ctx;
	const struct child_end *end = child_end(child);
	struct buf *output = child_output(child);
	struct buf *words = child_stderr(child);
	char how[128];

	if (end->started && !end->timed_out && !end->too_much && end->exit_code == 0) {
		(void)secret_take_line(output->data, output->len, option_of(key), &key->secret,
				       &key->err);
	} else {
		err_set(&key->err, ERR_AUTH, "%s %s %s", option_of(key), key->name + 1,
			child_describe(child, how, sizeof how));
		while (words->len && words->data[words->len - 1] == '\n')
			words->len--;
		err_server(&key->err, words->data, words->len);
	}
	key->edition = ++key->ring->editions;
	loop_timer_start(key->expiry, key->secret ? SECRET_KEPT_MS : FAILURE_KEPT_MS);
	child_free(&key->child);
	tell_waiting(key);
}

static void run(struct key *key, uint64_t deadline_ms)
{
	const char **argv = mem_new(key->name_len, sizeof *argv);
	size_t count = 0;

	for (size_t at = 1; at < key->name_len; at += strlen(key->name + at) + 1)
		argv[count++] = key->name + at;
	mem_free_secret(&key->secret);
	err_clear(&key->err);
	key->edition = 0;
	key->child = child_new(key->ring->loop, &(struct child_params){.argv = argv,
								       .input_fd = -1,
								       .deadline_ms = deadline_ms,
								       .output_max = SECRET_MAX,
								       .output_strict = true,
								       .on_end = command_ended,
								       .ctx = key});
	free(argv);
}

/* ---- wishes ---- */

static void on_soon(void *ctx)
{
	struct keyring_wish *wish = ctx;
	struct key *key = wish->key;
	struct err err = {.kind = ERR_NONE};
	char *secret = NULL;

	if (key) {
		tell_waiting(key);
		return;
	}
	(void)secret_read(wish->params.secret, wish->params.host, wish->params.user, &secret, &err);
	answer(wish, secret, 1, &err);
	mem_free_secret(&secret);
}

struct keyring_wish *keyring_ask(struct keyring *ring, const struct keyring_params *params)
{
	struct keyring_wish *wish = mem_new(1, sizeof *wish);
	struct keyring_wish **last;

	wish->params = *params;
	if (params->secret->argv) {
		wish->key = find_key(ring, params->secret);
		for (last = &wish->key->waiting; *last; last = &(*last)->next)
			;
		*last = wish;
		if (!wish->key->child && wish->key->edition <= params->refused)
			run(wish->key, params->deadline_ms);
	}
	if (!wish->key || !wish->key->child) {
		/* Not loop_defer(): the wish may be dropped before it is answered. */
		wish->soon = loop_timer_new(ring->loop, on_soon, wish);
		loop_timer_start(wish->soon, 0);
	}
	return wish;
}

void keyring_forget(struct keyring *ring, const struct secret *secret)
{
	if (secret->argv)
		find_key(ring, secret)->edition = 0;
}

/* Not freed at once: whoever drops the wish may have been told by this very key. */
static void end_command(struct key *key)
{
	child_free(&key->child);
	loop_timer_start(key->expiry, 0);
}

void keyring_drop(struct keyring_wish **wish_p)
{
	struct keyring_wish *wish = *wish_p;
	struct keyring_wish **link;

	*wish_p = NULL;
	if (!wish)
		return;
	loop_timer_free(&wish->soon);
	if (wish->key) {
		for (link = &wish->key->waiting; *link != wish; link = &(*link)->next)
			;
		*link = wish->next;
		if (!wish->key->waiting && wish->key->child)
			end_command(wish->key);
	}
	free(wish);
}

struct keyring *keyring_new(struct loop *loop)
{
	struct keyring *ring = mem_new(1, sizeof *ring);

	ring->loop = loop;
	return ring;
}

void keyring_free(struct keyring **ring_p)
{
	struct keyring *ring = *ring_p;
	struct key *key;

	*ring_p = NULL;
	if (!ring)
		return;
	key = ring->keys;
	HASH_CLEAR(hh, ring->keys);
	while (key) {
		struct key *next = key->hh.next;

		free_key(key);
		key = next;
	}
	free(ring);
}
