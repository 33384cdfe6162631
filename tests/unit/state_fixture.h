/*
 * state_fixture: a state of its own for every test, with one mailbox, and rows in it.
 */
#ifndef MAILHAUL_TESTS_STATE_FIXTURE_H
#define MAILHAUL_TESTS_STATE_FIXTURE_H

#include "look_up.h"

#include "state/state.h"

#include "deliver_fixture.h"

enum { VALIDITY = 7 };

static struct state *state;
static struct state_mailbox box;

/* An entry of lee at mail.example.org, by IMAP. */
__attribute__((unused)) static struct state_mailbox mailbox(const char *name)
{
	struct state_mailbox found;

	ck_good(state_mailbox(state, &(struct state_key){"imap", "lee", "mail.example.org", name},
			      &found, &err));
	return found;
}

__attribute__((unused)) static void state_setup(void)
{
	root_make();
	state = state_open(at("state"), &err);
	ck_good(state != NULL);
	box = mailbox("INBOX");
}

__attribute__((unused)) static void state_teardown(void)
{
	state_free(&state);
	root_remove();
}

__attribute__((unused)) static void begin(void)
{
	ck_good(state_begin(state, &err));
}

__attribute__((unused)) static void commit(void)
{
	ck_good(state_commit(state, &err));
}

__attribute__((unused)) static struct state_row row_of(const char *key, enum state_is is,
						       int64_t taken)
{
	return (struct state_row){
	    .key = key, .is = is, .taken = taken, .changed = taken, .name = "", .mark = ""};
}

__attribute__((unused)) static void store(const char *key, enum state_is is, int64_t taken)
{
	struct state_row row = row_of(key, is, taken);

	ck_good(state_put(state, box.id, VALIDITY, &row, &err));
}

__attribute__((unused)) static enum state_is found(const char *key)
{
	return look_up(state, box.id, VALIDITY, key);
}

/* What a reading gave: "KEY " for each row, with "VALIDITY:" in front where it is another one. */
struct seen {
	char keys[512];
	size_t stop_after, count;
};

__attribute__((unused)) static bool see(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct seen *seen = ctx;
	size_t len = strlen(seen->keys);

	if (validity != VALIDITY)
		len += (size_t)snprintf(seen->keys + len, sizeof seen->keys - len,
					"%u:", (unsigned)validity);
	snprintf(seen->keys + len, sizeof seen->keys - len, "%s ", row->key);
	return ++seen->count != seen->stop_after;
}

/* All rows of a mailbox in these states. */
__attribute__((unused)) static const char *rows(int64_t of, uint32_t mask)
{
	static struct seen seen;

	seen = (struct seen){.count = 0};
	ck_good(state_each(state, of, mask, see, &seen, &err));
	return seen.keys;
}

enum { EVERY = (1 << STATE_IS_END) - 2 };

#endif
