/*
 * state_quarantine: "state quarantine list", "retry" and "drop".
 *
 * Retry: the row says "waiting" before the letter moves back to the spool. A crash in between is
 * mended by the next visit, which finds the letter in the quarantine and gives the row back its
 * state; the other way round it would find a letter in the spool that no row knows, and remove it.
 * Drop: the letter is gone before the row says so; a crash in between leaves a row that can be
 * dropped again.
 */
#include "cmd/report.h"
#include "cmd/state_command.h"
#include "deliver/spool.h"
#include "mail/header.h"
#include "util/crash.h"
#include "util/mem.h"
#include "util/str.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HEADER_MOST = 256 * 1024 /* octets of a letter that are searched for its fields */ };

/* A row in quarantine, and what is to be done to it. */
struct captive {
	struct captive *next;
	struct state_box *box;
	uint32_t validity;
	struct state_row row;
	bool chosen;
};

struct captives {
	struct captive *first, **last;
	struct state_box *box; /* whose rows are being read */
	size_t chosen;
};

static bool add_captive(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct captives *captives = ctx;
	struct captive *captive = mem_new(1, sizeof *captive);

	captive->box = captives->box;
	captive->validity = validity;
	captive->row = *row;
	captive->row.key = mem_copy(row->key);
	captive->row.name = mem_copy(row->name);
	captive->row.mark = mem_copy(row->mark);
	*captives->last = captive;
	captives->last = &captive->next;
	return true;
}

/* Those of the chosen mailboxes. */
static bool load(struct state_command *command, struct captives *captives, struct err *err)
{
	*captives = (struct captives){.first = NULL};
	captives->last = &captives->first;
	for (size_t i = 0; i < command->count; i++) {
		captives->box = &command->boxes[i];
		if (captives->box->chosen &&
		    !state_each(command->state, captives->box->is.id, STATE_MASK(STATE_QUARANTINED),
				add_captive, captives, err))
			return false;
	}
	return true;
}

static void free_captives(struct captives *captives)
{
	struct captive *captive = captives->first;

	while (captive) {
		struct captive *next = captive->next;

		/* NOLINTBEGIN(performance-no-int-to-ptr): held as const, and ours to free. */
		free((char *)(uintptr_t)captive->row.key);
		free((char *)(uintptr_t)captive->row.name);
		free((char *)(uintptr_t)captive->row.mark);
		/* NOLINTEND(performance-no-int-to-ptr) */
		free(captive);
		captive = next;
	}
}

/* The spool, opened: it makes its directories, so only where there is something to do. */
static struct spool *open_spool(const struct state_command *command, struct err *err)
{
	struct spool *spool = spool_new(command->config->state_dir);

	if (!spool_open(spool, err))
		spool_free(&spool);
	return spool;
}

/* ---- list ---- */

struct letter_look {
	char *path; /* NULL: the letter is not there */
	char from[256], subject[256];
};

static void show_field(char *out, size_t size, const struct buf *field)
{
	char *text = mem_copy_n((const char *)field->data, field->len);

	str_visible_to(out, size, text);
	free(text);
}

static void look_into(struct letter_look *look)
{
	struct header_scan *scan = header_scan_new();
	int fd = open(look->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t all = 0;
	char bytes[8192];
	ssize_t got = 0;

	while (fd >= 0 && all < HEADER_MOST && (got = read(fd, bytes, sizeof bytes)) > 0 &&
	       header_scan_feed(scan, bytes, (size_t)got))
		all += (size_t)got;
	if (fd >= 0)
		close(fd);
	show_field(look->from, sizeof look->from, &header_scan_facts(scan)->from);
	show_field(look->subject, sizeof look->subject, &header_scan_facts(scan)->subject);
	header_scan_free(&scan);
}

static void list_text(const struct captive *captive, const struct letter_look *look)
{
	char size[32];
	char since[32] = "?";
	time_t then = captive->row.changed;
	struct tm tm;

	if (localtime_r(&then, &tm))
		strftime(since, sizeof since, "%Y-%m-%d %H:%M", &tm);
	printf("%s, mailbox ", captive->box->label);
	state_command_print(captive->box->key.mailbox);
	printf(", message ");
	state_command_print(captive->row.key);
	printf("\n    since     %s, after %" PRIu32 " attempt%s\n", since, captive->row.attempts,
	       captive->row.attempts == 1 ? "" : "s");
	printf("    size      %s\n", str_octets(size, captive->row.octets));
	if (!look->path) {
		puts("    letter    not in the quarantine here");
		return;
	}
	printf("    from      %s\n    subject   %s\n    letter    %s\n", look->from, look->subject,
	       look->path);
}

static void list_json(const struct captive *captive, const struct letter_look *look)
{
	report_object(json_pack(
	    "{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:s?, s:s?, s:s?}", "event", "quarantined",
	    "account", captive->box->label, "mailbox", captive->box->key.mailbox, "key",
	    captive->row.key, "since", report_time(captive->row.changed), "attempts",
	    (json_int_t)captive->row.attempts, "octets", (json_int_t)captive->row.octets, "from",
	    look->path ? look->from : NULL, "subject", look->path ? look->subject : NULL, "file",
	    look->path));
}

static bool list_one(const struct state_command *command, struct spool *spool,
		     const struct captive *captive, struct err *err)
{
	struct letter_look look = {.path = NULL};

	if (*captive->row.name && !spool_quarantined(spool, captive->row.name, &look.path, err))
		return false;
	if (look.path)
		look_into(&look);
	if (command->options->json)
		list_json(captive, &look);
	else
		list_text(captive, &look);
	free(look.path);
	return true;
}

bool state_command_quarantine_list(struct state_command *command, struct err *err)
{
	struct captives captives = {.first = NULL};
	struct spool *spool = NULL;
	bool ok = state_command_choose_all(command, command->options->names, err) &&
		  load(command, &captives, err);

	if (ok && captives.first)
		ok = (spool = open_spool(command, err));
	for (struct captive *captive = captives.first; ok && captive; captive = captive->next)
		ok = list_one(command, spool, captive, err);
	if (ok && !captives.first && state_command_tells(command))
		puts("nothing is in the quarantine");
	fflush(stdout);
	spool_free(&spool);
	free_captives(&captives);
	return ok;
}

/* ---- choosing ---- */

/* KEY, or MAILBOX/KEY where several mailboxes have it. */
static bool is_named(const struct captive *captive, const char *name)
{
	const char *mailbox = captive->box->key.mailbox;
	size_t len = strlen(mailbox);

	return !strcmp(name, captive->row.key) ||
	       (!strncmp(name, mailbox, len) && name[len] == '/' &&
		!strcmp(name + len + 1, captive->row.key));
}

static bool choose_named(struct captives *captives, const char *account, const char *name,
			 struct err *err)
{
	bool found = false;

	for (struct captive *captive = captives->first; captive; captive = captive->next) {
		if (!is_named(captive, name))
			continue;
		captives->chosen += !captive->chosen;
		captive->chosen = found = true;
	}
	return found || err_set(err, ERR_USAGE,
				"%s: no message %s is in the quarantine; nothing was changed",
				account, name);
}

/* The captives that the command line names, with the locks of all mailboxes of the account. */
static bool choose(struct state_command *command, struct captives *captives, struct err *err)
{
	const char *const *names = command->options->names;

	if (command->options->all != !names[1])
		return err_set(err, ERR_USAGE, "ACCOUNT KEY..., or ACCOUNT --all, is wanted");
	if (!state_command_choose(command, names[0], err) ||
	    !state_command_lock_chosen(command, err) || !load(command, captives, err))
		return false;
	for (struct captive *captive = captives->first; command->options->all && captive;
	     captive = captive->next) {
		captive->chosen = true;
		captives->chosen++;
	}
	for (const char *const *name = names + 1; *name; name++)
		if (!choose_named(captives, names[0], *name, err))
			return false;
	return true;
}

static void tell(const struct state_command *command, const struct captives *captives,
		 const char *event, const char *words)
{
	for (struct captive *captive = captives->first; command->options->json && captive;
	     captive = captive->next)
		if (captive->chosen)
			report_object(json_pack(
			    "{s:s, s:s, s:s, s:s}", "event", event, "account", captive->box->label,
			    "mailbox", captive->box->key.mailbox, "key", captive->row.key));
	if (state_command_tells(command))
		printf("%s: %zu letter%s %s\n", command->options->names[0], captives->chosen,
		       captives->chosen == 1 ? "" : "s", words);
}

/* Records what the rows of the chosen have become. */
static bool record(struct state_command *command, const struct captives *captives, struct err *err)
{
	struct state *state = command->state;
	bool ok = state_begin(state, err);

	for (struct captive *captive = captives->first; ok && captive; captive = captive->next)
		ok = !captive->chosen ||
		     state_put(state, captive->box->is.id, captive->validity, &captive->row, err);
	if (ok && state_commit(state, err))
		return true;
	state_rollback(state);
	return false;
}

/* ---- retry ---- */

static bool can_be_retried(struct spool *spool, const struct captive *captive, struct err *err)
{
	const struct config_account *account = captive->box->account;
	char *path = NULL;
	bool there;

	if (!account)
		return err_set(err, ERR_USAGE,
			       "%s is not in the configuration, so nothing would deliver the "
			       "letters; nothing was changed",
			       captive->box->label);
	if (!account->mda)
		return err_set(err, ERR_USAGE,
			       "%s is delivered into a Maildir by now. Drop the letters and forget "
			       "the messages: then they are fetched again. Nothing was changed",
			       captive->box->label);
	if (*captive->row.name && !spool_quarantined(spool, captive->row.name, &path, err))
		return false;
	there = path != NULL;
	free(path);
	return there || err_set(err, ERR_USAGE,
				"the letter of message %s is not in the quarantine. Drop it and "
				"forget the message: then it is fetched again. Nothing was changed",
				captive->row.key);
}

static bool retry(struct state_command *command, struct captives *captives, struct spool *spool,
		  struct err *err)
{
	for (struct captive *captive = captives->first; captive; captive = captive->next) {
		struct state_row *row = &captive->row;

		if (!captive->chosen)
			continue;
		if (!can_be_retried(spool, captive, err))
			return false;
		row->is = STATE_WAITING;
		row->attempts = 0;
		row->next_try = 0;
		/* The days after which a letter is given up begin anew. */
		row->taken = row->changed = time(NULL);
	}
	if (!record(command, captives, err))
		return false;
	crash_point("state-retry-recorded");
	for (struct captive *captive = captives->first; captive; captive = captive->next)
		if (captive->chosen && !spool_take_back(spool, captive->row.name, err))
			return false;
	tell(command, captives, "retry", "in the spool again; the next poll hands them over");
	return true;
}

/* ---- drop ---- */

static bool drop(struct state_command *command, struct captives *captives, struct spool *spool,
		 struct err *err)
{
	for (struct captive *captive = captives->first; captive; captive = captive->next) {
		if (!captive->chosen)
			continue;
		if (*captive->row.name && !spool_drop(spool, captive->row.name, err))
			return false;
		captive->row.is = STATE_SKIPPED;
		captive->row.changed = time(NULL);
	}
	crash_point("state-drop-removed");
	if (!record(command, captives, err))
		return false;
	tell(command, captives, "drop",
	     "removed here; the messages stay on the server, and are not fetched again");
	return true;
}

static bool with_chosen(struct state_command *command,
			bool (*act)(struct state_command *command, struct captives *captives,
				    struct spool *spool, struct err *err),
			struct err *err)
{
	struct captives captives = {.first = NULL};
	struct spool *spool = NULL;
	bool ok = choose(command, &captives, err);

	if (ok && captives.chosen)
		ok = (spool = open_spool(command, err)) && act(command, &captives, spool, err);
	else if (ok && state_command_tells(command))
		printf("%s: nothing is in the quarantine\n", command->options->names[0]);
	spool_free(&spool);
	free_captives(&captives);
	return ok;
}

bool state_command_quarantine_retry(struct state_command *command, struct err *err)
{
	return with_chosen(command, retry, err);
}

bool state_command_quarantine_drop(struct state_command *command, struct err *err)
{
	return with_chosen(command, drop, err);
}
