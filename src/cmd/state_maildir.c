/*
 * state_maildir: "state import --maildir": a new start after the state was lost.
 *
 * Each letter that mailhaul delivered carries an X-Mailhaul-Id. It gets a row under a validity that
 * no server gives, which can do nothing but recognise its message when that is listed, by the
 * digest of Message-ID, Date and From. The row is SKIPPED: nobody vouches for what a Maildir says,
 * so nothing is removed from a server because of it.
 *
 * All letters are read before the transaction begins, for while the state is being written no poll
 * can record anything.
 */
#include "cmd/report.h"
#include "cmd/state_command.h"
#include "daemon/account.h"
#include "deliver/letters.h"
#include "mail/letter.h"
#include "session/mark.h"
#include "session/pattern.h"
#include "util/mem.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

enum {
	IMAP_BEFORE = 0, /* validities that no server gives: rows that only recognise */
	POP3_BEFORE = 1
};

/* A letter, or how many rows there are of one digest. */
struct entry {
	UT_hash_handle hh;
	char id[LETTER_ID + 1];
	char digest[DIGEST_TEXT + 1];
	int64_t date;
	uint64_t rows;
};

/* One Maildir; the mailboxes that are delivered there. */
struct place {
	struct place *next;
	char *path;
	char *mailbox; /* NULL: all that the account names */
	struct entry *letters;
};

/* A mailbox that learns what a place holds. */
struct learner {
	struct learner *next;
	const struct place *place;
	struct state_mailbox mailbox;
	struct state_lock *lock;
	struct entry *known;
};

struct reading {
	struct state_command *command;
	const struct config_account *account;
	struct place *places;
	struct learner *learners;
	struct entry **letters; /* of the place that is read */
	uint64_t mailboxes, count, added, known, nameless;
	struct letters_counts passed_over;
};

static void free_entries(struct entry *entry)
{
	struct entry *first = entry;

	HASH_CLEAR(hh, first);
	while (entry) {
		struct entry *next = entry->hh.next;

		free(entry);
		entry = next;
	}
}

static void free_reading(struct reading *reading)
{
	while (reading->learners) {
		struct learner *learner = reading->learners;

		reading->learners = learner->next;
		state_unlock(&learner->lock);
		free_entries(learner->known);
		free(learner);
	}
	while (reading->places) {
		struct place *place = reading->places;

		reading->places = place->next;
		free_entries(place->letters);
		free(place->path);
		free(place->mailbox);
		free(place);
	}
}

/* ---- the Maildirs ---- */

static void add_place(struct reading *reading, const char *path, const char *mailbox)
{
	struct place *place = mem_new(1, sizeof *place);

	place->path = mem_copy(path);
	place->mailbox = mailbox ? mem_copy(mailbox) : NULL;
	place->next = reading->places;
	reading->places = place;
}

static void add_if_maildir(struct reading *reading, const char *directory)
{
	const char *maildir = reading->account->maildir;
	struct buf mailbox = {0};
	struct buf path = {0};

	if (account_mailbox_named(&mailbox, maildir, directory)) {
		account_mailbox_path(&path, maildir, buf_string(&mailbox));
		if (letters_is_maildir(buf_string(&path)))
			add_place(reading, buf_string(&path), buf_string(&mailbox));
	}
	buf_free(&mailbox);
	buf_free(&path);
}

/* One Maildir for each mailbox: those that there are, by the names of their directories. */
static bool find_places(struct reading *reading, const char *placeholder, struct err *err)
{
	const char *maildir = reading->account->maildir;
	struct dirent *entry = NULL;
	struct buf parent = {0};
	DIR *directory;
	bool ok;

	while (placeholder > maildir && placeholder[-1] != '/')
		placeholder--;
	buf_append(&parent, maildir, (size_t)(placeholder - maildir));
	directory = opendir(parent.len ? buf_string(&parent) : ".");
	while (directory && (errno = 0, entry = readdir(directory)))
		add_if_maildir(reading, entry->d_name);
	ok = directory && !errno;
	if (!ok)
		(void)err_sys(err, ERR_MAIL, errno, "cannot read %s", buf_string(&parent));
	else if (!reading->places)
		ok = err_set(err, ERR_MAIL, "in %s there is no Maildir of account %s",
			     buf_string(&parent), reading->account->name);
	if (directory)
		closedir(directory);
	buf_free(&parent);
	return ok;
}

static bool choose_places(struct reading *reading, struct err *err)
{
	const struct config_account *account = reading->account;
	const char *named = reading->command->options->names[1];
	const char *path = named ? named : account->maildir;
	const char *placeholder = path && !named ? strstr(path, "%{mailbox}") : NULL;

	if (!path)
		return err_set(err, ERR_USAGE,
			       "%s delivers to a program: name the Maildir in which its letters "
			       "stand",
			       account->name);
	if (placeholder)
		return find_places(reading, placeholder, err);
	if (!letters_is_maildir(path))
		return err_set(err, ERR_MAIL, "%s is no Maildir", path);
	add_place(reading, path, NULL);
	return true;
}

/* ---- the letters ---- */

static bool is_id(const struct buf *id)
{
	return id->len == LETTER_ID &&
	       strspn((const char *)id->data, "0123456789abcdef") >= id->len;
}

/* One that stands there twice, or that a mail reader moved meanwhile, counts once. */
static bool add_letter(void *ctx, const struct header_facts *facts, int64_t date)
{
	struct reading *reading = ctx;
	struct entry *letter = NULL;
	struct buf id = {0};
	bool mine;

	buf_append(&id, facts->mailhaul_id.data, facts->mailhaul_id.len);
	(void)buf_string(&id);
	mine = is_id(&id);
	if (mine)
		HASH_FIND(hh, *reading->letters, id.data, LETTER_ID, letter);
	if (mine && !letter) {
		letter = mem_new(1, sizeof *letter);
		memcpy(letter->id, id.data, LETTER_ID);
		mark_digest(facts, letter->digest);
		letter->date = date;
		HASH_ADD(hh, *reading->letters, id, LETTER_ID, letter);
		reading->count++;
		reading->nameless += !*letter->digest;
	}
	buf_free(&id);
	return mine;
}

static bool read_places(struct reading *reading, struct err *err)
{
	for (struct place *place = reading->places; place; place = place->next) {
		reading->letters = &place->letters;
		if (!letters_read(place->path, add_letter, reading, &reading->passed_over, err))
			return false;
	}
	return true;
}

/* ---- the mailboxes ---- */

static bool count_row(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct entry **known = ctx;
	const char *digest = mark_digest_of(row->mark);
	struct entry *entry = NULL;

	(void)validity;
	if (strlen(digest) != DIGEST_TEXT)
		return true;
	HASH_FIND(hh, *known, digest, DIGEST_TEXT, entry);
	if (!entry) {
		entry = mem_new(1, sizeof *entry);
		memcpy(entry->digest, digest, DIGEST_TEXT);
		HASH_ADD(hh, *known, digest, DIGEST_TEXT, entry);
	}
	entry->rows++;
	return true;
}

static bool add_learner(struct reading *reading, const struct place *place, const char *mailbox,
			struct err *err)
{
	struct state *state = reading->command->state;
	struct learner *learner = mem_new(1, sizeof *learner);
	struct state_key key = {.protocol = account_protocol(reading->account),
				.user = reading->account->user,
				.host = reading->account->host,
				.mailbox = mailbox};
	uint32_t every = 0;

	learner->next = reading->learners;
	reading->learners = learner;
	reading->mailboxes++;
	learner->place = place;
	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		every |= STATE_MASK(is);
	if (!state_mailbox(state, &key, &learner->mailbox, err))
		return false;
	learner->lock = state_lock(state, learner->mailbox.id, err);
	if (!learner->lock)
		return err->kind ? false
				 : err_set(err, ERR_TEMPORARY,
					   "%s, mailbox %s: another mailhaul is at work on it",
					   reading->account->name, mailbox);
	return state_each(state, learner->mailbox.id, every, count_row, &learner->known, err);
}

/* Which mailbox a letter came from is not written in it. Where several share a Maildir each of them
 * learns of all letters; what a pattern means only the server knows. */
static bool add_named(struct reading *reading, const struct place *place, struct err *err)
{
	for (const char *const *item = account_mailboxes(reading->account); *item; item++) {
		if (pattern_takes_away(*item))
			continue;
		if (pattern_is_wild(*item) || pattern_is_attribute(*item))
			return err_set(err, ERR_USAGE,
				       "%s: which mailboxes \"%s\" means is known to the server "
				       "only; name those whose letters stand in %s in the "
				       "configuration, as long as this is done",
				       reading->account->name, *item, place->path);
		if (!add_learner(reading, place, str_same(*item, "INBOX") ? "INBOX" : *item, err))
			return false;
	}
	return true;
}

static bool add_learners(struct reading *reading, struct err *err)
{
	for (const struct place *place = reading->places; place; place = place->next)
		if (place->letters &&
		    !(place->mailbox ? add_learner(reading, place, place->mailbox, err)
				     : add_named(reading, place, err)))
			return false;
	return true;
}

/* ---- the rows ---- */

/* As many rows of one digest as there are letters: what is known already, under whatever number,
 * needs no other. */
static bool learn(struct reading *reading, struct learner *learner, struct err *err)
{
	uint32_t validity = reading->account->protocol == CONFIG_IMAP ? IMAP_BEFORE : POP3_BEFORE;
	int64_t now = time(NULL);

	for (struct entry *letter = learner->place->letters; letter; letter = letter->hh.next) {
		struct state_row row = {.key = letter->id,
					.is = STATE_SKIPPED,
					.taken = now,
					.changed = now,
					.name = "",
					.mark = letter->digest,
					.date = letter->date};
		struct entry *known = NULL;
		bool added = false;

		if (!*letter->digest)
			continue;
		HASH_FIND(hh, learner->known, letter->digest, DIGEST_TEXT, known);
		if (known && known->rows)
			known->rows--;
		else if (!state_add(reading->command->state, learner->mailbox.id, validity, &row,
				    &added, err))
			return false;
		reading->added += added;
		reading->known += !added;
	}
	return true;
}

static bool learn_all(struct reading *reading, struct err *err)
{
	struct state *state = reading->command->state;
	bool ok = state_begin(state, err);

	if (!ok)
		return false;
	for (struct learner *learner = reading->learners; ok && learner; learner = learner->next)
		ok = learn(reading, learner, err);
	if (ok && state_commit(state, err))
		return true;
	state_rollback(state);
	return false;
}

/* ---- telling ---- */

static void tell_count(uint64_t count, const char *one, const char *many)
{
	if (count)
		printf("%" PRIu64 " %s\n", count, count == 1 ? one : many);
}

static void tell(const struct reading *reading)
{
	if (reading->command->options->json)
		report_object(json_pack(
		    "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "event", "maildir", "account",
		    reading->account->name, "mailboxes", (json_int_t)reading->mailboxes, "letters",
		    (json_int_t)reading->count, "added", (json_int_t)reading->added, "known",
		    (json_int_t)reading->known, "nameless", (json_int_t)reading->nameless,
		    "foreign", (json_int_t)reading->passed_over.refused, "unreadable",
		    (json_int_t)reading->passed_over.unreadable));
	if (!state_command_tells(reading->command))
		return;
	printf("%s: %" PRIu64 " letters of mailhaul are there; the state learnt of %" PRIu64
	       " messages in %" PRIu64 " mailboxes, and knew %" PRIu64 " already\n",
	       reading->account->name, reading->count, reading->added, reading->mailboxes,
	       reading->known);
	tell_count(reading->nameless,
		   "letter has neither Message-ID, Date nor From: its message comes again",
		   "letters have neither Message-ID, Date nor From: their messages come again");
	tell_count(reading->passed_over.refused, "letter is not of mailhaul, and was passed over",
		   "letters are not of mailhaul, and were passed over");
	tell_count(reading->passed_over.unreadable, "file could not be read, and was passed over",
		   "files could not be read, and were passed over");
}

bool state_command_import_maildir(struct state_command *command, struct err *err)
{
	const char *name = command->options->names[0];
	struct reading reading = {.command = command,
				  .account = config_find(command->config, name)};
	bool ok;

	if (!reading.account)
		return err_set(err, ERR_USAGE, "there is no account \"%s\" in %s", name,
			       command->options->file);
	ok = choose_places(&reading, err) && read_places(&reading, err) &&
	     add_learners(&reading, err) && learn_all(&reading, err);
	if (ok)
		tell(&reading);
	else
		(void)err_wrap(err, "nothing was imported");
	free_reading(&reading);
	return ok;
}
