/*
 * keyring: fetches secrets, and shares what commands print.
 *
 * A ring holds a key for each command that was asked for, and a key a list of those who wait for
 * it. A key that fails stays, so that its failure is shared too.
 */
#include "session/keyring.h"

#include "io/child.h"
#include "session/secret_read.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

/* One command. */
struct key {
	struct key *next;
	enum secret_kind kind;
	char **argv;
	struct loop *loop;
	struct child *child; /* while it runs */
	char *secret;	     /* NULL: it failed, or never ended */
	struct err err;
	unsigned edition; /* how often it was run to its end */
	struct keyring_wish *waiting;
};

struct keyring {
	struct loop *loop;
	struct key *keys;
};

struct keyring_wish {
	struct keyring_wish *next; /* among those who wait for the key */
	struct keyring_params params;
	struct key *key;	 /* NULL: no command */
	struct loop_timer *soon; /* tells of what needs no waiting */
};

/* ---- keys ---- */

static size_t length(char *const *argv)
{
	size_t count = 0;

	while (argv[count])
		count++;
	return count;
}

static bool same(char *const *a, char *const *b)
{
	while (*a && *b && !strcmp(*a, *b)) {
		a++;
		b++;
	}
	return !*a && !*b;
}

static struct key *find_key(struct keyring *ring, const struct secret *secret)
{
	struct key *key;
	size_t count = length(secret->argv);

	for (key = ring->keys; key; key = key->next)
		if (key->kind == secret->kind && same(key->argv, secret->argv))
			return key;
	key = mem_new(1, sizeof *key);
	key->kind = secret->kind;
	key->loop = ring->loop;
	key->argv = mem_new(count + 1, sizeof *key->argv);
	for (size_t i = 0; i < count; i++)
		key->argv[i] = mem_copy(secret->argv[i]);
	key->next = ring->keys;
	ring->keys = key;
	return key;
}

static void free_key(struct key *key)
{
	struct secret command = {.kind = key->kind, .argv = key->argv};

	child_free(&key->child);
	mem_free_secret(&key->secret);
	secret_free(&command);
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

static const char *option_of(const struct key *key)
{
	return key->kind == SECRET_TOKEN ? "token_command" : "password_command";
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
		err_set(&key->err, ERR_AUTH, "%s %s %s", option_of(key), key->argv[0],
			child_describe(child, how, sizeof how));
		while (words->len && words->data[words->len - 1] == '\n')
			words->len--;
		err_server(&key->err, words->data, words->len);
	}
	key->edition++;
	child_free(&key->child);
	tell_waiting(key);
}

static void run(struct key *key, uint64_t deadline_ms)
{
	mem_free_secret(&key->secret);
	err_clear(&key->err);
	key->child =
	    child_new(key->loop, &(struct child_params){.argv = (const char *const *)key->argv,
							.input_fd = -1,
							.deadline_ms = deadline_ms,
							.output_max = SECRET_MAX,
							.output_strict = true,
							.on_end = command_ended,
							.ctx = key});
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
		if (!wish->key->waiting)
			child_free(&wish->key->child);
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

	*ring_p = NULL;
	if (!ring)
		return;
	while (ring->keys) {
		struct key *key = ring->keys;

		ring->keys = key->next;
		free_key(key);
	}
	free(ring);
}
