/*
 * state_list: "state list": what is remembered of each mailbox, with -v of each message that is not
 * simply delivered; what belongs to no account of the configuration; letters that nobody waits for.
 */
#include "cmd/report.h"
#include "cmd/state_command.h"
#include "daemon/account.h"
#include "deliver/spool.h"
#include "util/mem.h"
#include "util/names.h"
#include "util/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
	NAME_COLUMN = 24,
	STRAY_AGE = 10, /* seconds: what is younger may be about to be recorded */
	UNFINISHED = STATE_MASK(STATE_TAKEN) | STATE_MASK(STATE_HANDED) | STATE_MASK(STATE_WAITING),
	NOT_SIMPLE = UNFINISHED | STATE_MASK(STATE_SKIPPED) | STATE_MASK(STATE_QUARANTINED) |
		     STATE_MASK(STATE_OVERSIZE)
};

/* ---- JSON ---- */

static json_t *mailbox_json(const struct state_box *box, const struct state_visit *visit,
			    const uint64_t counts[STATE_IS_END])
{
	json_t *numbers = json_object();

	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		json_object_set_new(numbers, state_is_name((enum state_is)is),
				    json_integer((json_int_t)counts[is]));
	return json_pack("{s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o}",
			 "event", "mailbox", "account", box->label, "configured",
			 box->account != NULL, "protocol", box->key.protocol, "user", box->key.user,
			 "host", box->key.host, "mailbox", box->key.mailbox, "validity",
			 (json_int_t)box->is.validity, "next", (json_int_t)box->is.next,
			 "first_listed", report_time(box->is.begun), "searched",
			 report_time(box->is.checked), "last_success",
			 report_time(visit->succeeded), "messages", numbers);
}

static json_t *message_json(const struct state_box *box, uint32_t validity,
			    const struct state_row *row)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:o, s:I, s:o, s:I, s:o}", "event",
			 "message", "account", box->label, "mailbox", box->key.mailbox, "key",
			 row->key, "validity", (json_int_t)validity, "state",
			 state_is_name(row->is), "since", report_time(row->changed), "attempts",
			 (json_int_t)row->attempts, "next_try", report_time(row->next_try),
			 "octets", (json_int_t)row->octets, "gone", report_time(row->gone));
}

/* ---- words ---- */

static const char *when(char *out, size_t size, int64_t at)
{
	time_t then = at;
	struct tm tm;

	if (!at || !localtime_r(&then, &tm))
		return "never";
	strftime(out, size, "%Y-%m-%d %H:%M", &tm);
	return out;
}

static void print_counts(const uint64_t counts[STATE_IS_END])
{
	static const enum state_is order[] = {STATE_DELIVERED, STATE_REMOVED, STATE_WAITING,
					      STATE_HANDED,    STATE_TAKEN,   STATE_QUARANTINED,
					      STATE_OVERSIZE,  STATE_SKIPPED};
	const char *between = "";

	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		if (!counts[order[i]])
			continue;
		printf("%s%" PRIu64 " %s", between, counts[order[i]], state_is_name(order[i]));
		between = ", ";
	}
	puts(*between ? "" : "no messages");
}

static void print_details(const struct state_box *box)
{
	char first[32];
	char searched[32];

	printf("        ");
	if (!strcmp(box->key.protocol, "imap"))
		printf("UIDVALIDITY %" PRIu32 ", all below UID %" PRIu32 " is known; ",
		       box->is.validity, box->is.next);
	printf("first listed %s, searched for what vanished %s\n",
	       when(first, sizeof first, box->is.begun),
	       when(searched, sizeof searched, box->is.checked));
}

static void print_message(const struct state_box *box, uint32_t validity,
			  const struct state_row *row)
{
	char text[32];

	printf("        ");
	state_command_print(row->key);
	printf("  %s since %s", state_is_name(row->is), when(text, sizeof text, row->changed));
	if (row->attempts)
		printf(", %" PRIu32 " attempt%s", row->attempts, row->attempts == 1 ? "" : "s");
	if (row->is == STATE_WAITING)
		printf(", next try %s",
		       row->next_try ? when(text, sizeof text, row->next_try) : "at once");
	if (row->gone)
		printf(", gone from the server");
	if (validity != box->is.validity)
		printf(", under an older UIDVALIDITY");
	putchar('\n');
}

/* ---- the mailboxes ---- */

struct showing {
	const struct state_command *command;
	const struct state_box *box;
};

static bool show_message(void *ctx, uint32_t validity, const struct state_row *row)
{
	const struct showing *showing = ctx;

	if (showing->command->options->json)
		report_object(message_json(showing->box, validity, row));
	else
		print_message(showing->box, validity, row);
	return true;
}

static bool show_box(struct state_command *command, const struct state_box *box,
		     const struct state_visit *visit, struct err *err)
{
	struct showing showing = {.command = command, .box = box};
	uint64_t counts[STATE_IS_END];

	if (!state_count(command->state, box->is.id, counts, err))
		return false;
	if (command->options->json) {
		report_object(mailbox_json(box, visit, counts));
	} else {
		struct buf name = {0};

		str_visible(&name, box->key.mailbox, strlen(box->key.mailbox), SIZE_MAX / 2);
		printf("    %-*s ", NAME_COLUMN, buf_string(&name));
		buf_free(&name);
		print_counts(counts);
	}
	if (!command->options->verbosity)
		return true;
	if (!command->options->json)
		print_details(box);
	return state_each(command->state, box->is.id, NOT_SIMPLE, show_message, &showing, err);
}

static void print_account(const struct state_box *box, const struct state_visit *visit)
{
	char text[64];

	if (box->account)
		printf("%s (%s, %s@%s)", box->label, box->key.protocol, box->key.user,
		       box->key.host);
	else
		printf("%s, not in the configuration", box->label);
	printf(": last success %s\n", report_ago(text, sizeof text, visit->succeeded, time(NULL)));
}

/* All chosen mailboxes of the account that this one belongs to; they are not chosen any more. */
static bool show_account(struct state_command *command, const struct state_box *first,
			 struct err *err)
{
	struct state_visit visit;

	if (!state_visit(command->state, first->key.protocol, first->key.user, first->key.host,
			 &visit, err))
		return false;
	if (!command->options->json)
		print_account(first, &visit);
	for (size_t i = 0; i < command->count; i++) {
		struct state_box *box = &command->boxes[i];

		if (!box->chosen || strcmp(box->label, first->label) != 0)
			continue;
		box->chosen = false;
		if (!show_box(command, box, &visit, err))
			return false;
	}
	return true;
}

static const struct state_box *first_chosen(const struct state_command *command,
					    const struct config_account *account)
{
	for (size_t i = 0; i < command->count; i++)
		if (command->boxes[i].chosen && command->boxes[i].account == account)
			return &command->boxes[i];
	return NULL;
}

static bool named(const struct state_command *command, const struct config_account *account)
{
	const char *const *name = command->options->names;

	if (!*name)
		return true;
	while (*name && strcmp(*name, account->name) != 0)
		name++;
	return *name;
}

/* First in the order of the configuration, then what no account of it has. */
static bool show_all(struct state_command *command, struct err *err)
{
	const struct config *config = command->config;
	const struct state_box *box;

	for (unsigned i = 0; i < config->count; i++) {
		box = first_chosen(command, config->accounts[i]);
		if (!box && named(command, config->accounts[i]) && !command->options->json)
			printf("%s: nothing is remembered yet\n", config->accounts[i]->name);
		if (box && !show_account(command, box, err))
			return false;
	}
	while ((box = first_chosen(command, NULL)))
		if (!show_account(command, box, err))
			return false;
	return true;
}

/* ---- letters in the spool that no row knows ---- */

static void add_name(void *ctx, const char *name)
{
	names_add(ctx, name);
}

static bool add_row(void *ctx, uint32_t validity, const struct state_row *row)
{
	(void)validity;
	names_add(ctx, row->name);
	return true;
}

static bool young(const char *path)
{
	struct stat st;

	return lstat(path, &st) || time(NULL) - st.st_ctim.tv_sec < STRAY_AGE;
}

static void show_stray(const struct state_command *command, const struct spool *spool,
		       const char *name)
{
	char *path = mem_printf("%s/%s", spool_path(spool), name);

	if (!young(path) && command->options->json)
		report_object(json_pack("{s:s, s:s}", "event", "stray", "file", path));
	else if (!young(path))
		printf("no mailbox waits for this letter: %s\n", path);
	free(path);
}

/* They come from an account that was collected by an MDA and is not any more: what the server still
 * had was fetched again, what it had not stands here only. */
static bool show_strays(struct state_command *command, struct err *err)
{
	struct spool *spool = spool_new(command->config->state_dir);
	struct names known = {.count = 0};
	struct names letters = {.count = 0};
	struct stat st;
	bool ok = true;

	if (!stat(spool_path(spool), &st))
		ok = spool_open(spool, err) && spool_strays(spool, "", add_name, &letters, err);
	for (size_t i = 0; ok && letters.count && i < command->count; i++)
		ok = state_each(command->state, command->boxes[i].is.id, UNFINISHED, add_row,
				&known, err);
	names_sort(&known);
	for (size_t i = 0; ok && i < letters.count; i++)
		if (!names_hold(&known, letters.all[i]))
			show_stray(command, spool, letters.all[i]);
	names_free(&known);
	names_free(&letters);
	spool_free(&spool);
	return ok;
}

bool state_command_list(struct state_command *command, struct err *err)
{
	bool everything = command->state && !*command->options->names;
	bool ok = state_command_choose_all(command, command->options->names, err) &&
		  show_all(command, err) && (!everything || show_strays(command, err));

	fflush(stdout);
	return ok;
}
