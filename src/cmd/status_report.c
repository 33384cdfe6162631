/*
 * status_report: what "status" prints: for people a table, or one JSON object for each account.
 */
#include "cmd/status_report.h"

#include "cmd/report.h"
#include "cmd/table.h"
#include "daemon/quiet.h"
#include "daemon/visit_json.h"
#include "session/outcome.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXPIRY_SOON = 14 * 24 * 60 * 60 };

/* ---- what the daemon tells ----------------------------------------------------------------- */

/* -1: it does not tell. */
static int64_t seconds_of(const json_t *now, const char *key)
{
	const json_t *value = json_object_get(now, key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

/* "" where nothing is known. */
static const char *doing_of(const json_t *now)
{
	const char *doing = json_string_value(json_object_get(now, "doing"));

	return doing ? doing : "";
}

/* What it does with a mailbox; those that it does not listen on have no entry. NULL: not known. */
static const json_t *mailbox_now(const struct status_account *account, const char *name)
{
	const json_t *mailboxes = json_object_get(account->now, "mailboxes");
	const json_t *one;
	size_t i;

	json_array_foreach(mailboxes, i, one)
	{
		const char *its = json_string_value(json_object_get(one, "name"));

		if (its && !strcmp(its, name))
			return one;
	}
	return NULL;
}

static const char *mailbox_doing(const struct status_account *account, const char *name)
{
	const json_t *now = mailbox_now(account, name);

	if (now)
		return doing_of(now);
	return account->now ? "polled" : "";
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static uint64_t delivered_of(const uint64_t counts[STATE_IS_END])
{
	return counts[STATE_DELIVERED] + counts[STATE_REMOVED];
}

static uint64_t waiting_of(const uint64_t counts[STATE_IS_END])
{
	return counts[STATE_WAITING] + counts[STATE_TAKEN] + counts[STATE_HANDED];
}

static void json_counts(json_t *object, const uint64_t counts[STATE_IS_END])
{
	json_object_set_new(object, "delivered", number(delivered_of(counts)));
	json_object_set_new(object, "waiting", number(waiting_of(counts)));
	json_object_set_new(object, "quarantined", number(counts[STATE_QUARANTINED]));
	json_object_set_new(object, "left", number(counts[STATE_OVERSIZE]));
}

static json_t *since_json(const json_t *of, int64_t now)
{
	int64_t seconds = seconds_of(of, "seconds");

	return visit_json_time(seconds < 0 ? 0 : now - seconds);
}

static json_t *mailboxes_json(const struct status_account *account, int64_t now)
{
	json_t *array = json_array();

	for (size_t i = 0; i < account->count; i++) {
		const char *name = account->mailboxes[i].name;
		json_t *mailbox = json_object();

		json_object_set_new(mailbox, "name", visit_json_text(name));
		json_object_set_new(mailbox, "doing",
				    visit_json_text(mailbox_doing(account, name)));
		json_object_set_new(mailbox, "since", since_json(mailbox_now(account, name), now));
		json_counts(mailbox, account->mailboxes[i].counts);
		json_array_append_new(array, mailbox);
	}
	return array;
}

static json_t *next_json(const struct status_account *account, int64_t now)
{
	int64_t wait = account->now ? seconds_of(account->now, "next_seconds")
				    : quiet_auth_wait(&account->visit, now);

	/* Without a daemon there is a time only where the account is left alone until then. */
	return visit_json_time(wait < 0 || (!account->now && !wait) ? 0 : now + wait);
}

json_t *status_report_json(const struct status_account *account, int64_t now)
{
	const struct state_visit *visit = &account->visit;
	bool is_today = visit->today == outcome_day(now);
	json_t *object = json_object();

	json_object_set_new(object, "event", json_string("status"));
	json_object_set_new(object, "account", json_string(account->account->name));
	json_object_set_new(object, "doing", visit_json_text(doing_of(account->now)));
	json_object_set_new(object, "since", since_json(account->now, now));
	json_object_set_new(object, "last_poll", visit_json_time(visit->tried));
	json_object_set_new(object, "last_success", visit_json_time(visit->succeeded));
	json_object_set_new(object, "messages", number(visit->messages));
	json_object_set_new(object, "octets", number(visit->octets));
	json_object_set_new(object, "today_messages", number(is_today ? visit->today_messages : 0));
	json_object_set_new(object, "today_octets", number(is_today ? visit->today_octets : 0));
	json_counts(object, account->sums);
	json_object_set_new(object, "mailboxes", mailboxes_json(account, now));
	json_object_set_new(object, "encryption", visit_json_text(visit->encryption));
	json_object_set_new(object, "mechanism", visit_json_text(visit->mechanism));
	json_object_set_new(object, "certificate_expires", visit_json_time(visit->expires));
	json_object_set_new(object, "error_kind", visit_json_text(visit->error_kind));
	json_object_set_new(object, "error", visit_json_text(visit->error));
	json_object_set_new(object, "failing_since", visit_json_time(visit->failing_since));
	json_object_set_new(object, "next_poll", next_json(account, now));
	return object;
}

/* ---- the table ----------------------------------------------------------------------------- */

/* In the order of what matters most where the terminal is narrow. */
static const char *const heads[] = {"ACCOUNT",	  "NOW",	"NEXT POLL",   "LAST SUCCESS",
				    "QUARANTINE", "WAITING",	"TODAY",       "SO FAR",
				    "TOO LARGE",  "ENCRYPTION", "CERTIFICATE", NULL};

static void cell_count(struct table *table, uint64_t count)
{
	char text[32] = "";

	if (count)
		snprintf(text, sizeof text, "%llu", (unsigned long long)count);
	table_cell(table, text);
}

/* "listening for 3 min" */
static void cell_doing(struct table *table, const char *doing, int64_t seconds)
{
	char text[96];
	char span[32];

	snprintf(text, sizeof text, "%s", doing);
	if (*doing && seconds > 0)
		snprintf(text, sizeof text, "%s for %s", doing, str_span(span, (uint64_t)seconds));
	table_cell(table, text);
}

static void cell_now(struct table *table, const struct status_account *account, bool daemon,
		     int64_t now)
{
	const struct state_visit *visit = &account->visit;
	const char *doing = doing_of(account->now);

	if (daemon && !account->now)
		table_cell(table, "unknown to the daemon");
	else if ((!*doing || !strcmp(doing, "failing")) && visit->failing_since)
		cell_doing(table, "failing", now - visit->failing_since);
	else
		cell_doing(table, doing, seconds_of(account->now, "seconds"));
}

static void cell_next(struct table *table, const struct status_account *account, int64_t now)
{
	int64_t wait = account->now ? seconds_of(account->now, "next_seconds")
				    : quiet_auth_wait(&account->visit, now);
	char text[64] = "";
	char span[32];

	if (wait > 0)
		snprintf(text, sizeof text, "in %s", str_span(span, (uint64_t)wait));
	else if (account->now && !wait)
		snprintf(text, sizeof text, "now");
	else if (wait < 0 && !strcmp(doing_of(account->now), "failing"))
		snprintf(text, sizeof text, "after a reload");
	table_cell(table, text);
}

static void cell_messages(struct table *table, uint64_t messages, uint64_t octets)
{
	char text[64] = "";
	char size[32];

	if (messages)
		snprintf(text, sizeof text, "%llu, %s", (unsigned long long)messages,
			 str_octets(size, octets));
	table_cell(table, text);
}

/* "STARTTLS, TLS 1.3": the first two of its words. */
static void cell_encryption(struct table *table, const char *encryption)
{
	const char *comma = strchr(encryption, ',');
	char *text;

	comma = comma ? strchr(comma + 1, ',') : NULL;
	text = mem_copy_n(encryption, comma ? (size_t)(comma - encryption) : strlen(encryption));
	table_cell(table, text);
	free(text);
}

static void cell_certificate(struct table *table, int64_t expires, int64_t now)
{
	char text[64] = "";
	char span[32];

	if (expires && expires <= now)
		snprintf(text, sizeof text, "expired");
	else if (expires)
		snprintf(text, sizeof text, "%s left", str_span(span, (uint64_t)(expires - now)));
	table_cell(table, text);
}

static void row(struct table *table, const struct status_account *account, bool daemon, int64_t now)
{
	const struct state_visit *visit = &account->visit;
	char when[64];

	table_cell(table, account->account->name);
	cell_now(table, account, daemon, now);
	cell_next(table, account, now);
	table_cell(table, report_ago(when, sizeof when, visit->succeeded, now));
	cell_count(table, account->sums[STATE_QUARANTINED]);
	cell_count(table, waiting_of(account->sums));
	if (visit->today == outcome_day(now))
		cell_messages(table, visit->today_messages, visit->today_octets);
	else
		table_cell(table, "");
	cell_count(table, delivered_of(account->sums));
	cell_count(table, account->sums[STATE_OVERSIZE]);
	cell_encryption(table, visit->encryption);
	cell_certificate(table, visit->expires, now);
}

static void mailbox_row(struct table *table, const struct status_account *account,
			const struct status_mailbox *mailbox)
{
	const json_t *now = mailbox_now(account, mailbox->name);
	char *name = mem_printf("  %s", mailbox->name);

	table_cell(table, name);
	cell_doing(table, mailbox_doing(account, mailbox->name), seconds_of(now, "seconds"));
	table_cell(table, "");
	table_cell(table, "");
	cell_count(table, mailbox->counts[STATE_QUARANTINED]);
	cell_count(table, waiting_of(mailbox->counts));
	table_cell(table, "");
	cell_count(table, delivered_of(mailbox->counts));
	cell_count(table, mailbox->counts[STATE_OVERSIZE]);
	table_cell(table, "");
	table_cell(table, "");
	free(name);
}

/* ---- what is wrong, below the table -------------------------------------------------------- */

static void note(struct buf *out, const struct status_account *account, const char *what,
		 const char *text)
{
	char *line = mem_printf("%s: %s%s", account->account->name, what, text);

	table_line(out, line, SIZE_MAX);
	free(line);
}

static void note_failure(struct buf *out, const struct status_account *account, int64_t now)
{
	const struct state_visit *visit = &account->visit;
	char *what;
	char when[64];

	if (!*visit->error)
		return;
	what = mem_printf("failing, first %s: ",
			  report_ago(when, sizeof when, visit->failing_since, now));
	note(out, account, what, visit->error);
	free(what);
}

static void notes(struct buf *out, const struct status_account *account, bool daemon,
		  bool encryption, int64_t now)
{
	const struct state_visit *visit = &account->visit;
	int64_t wait = quiet_auth_wait(visit, now);
	char *text;
	char span[32];

	note_failure(out, account, now);
	if (wait) {
		text = mem_printf("left alone for %s, since the server refused the login; or at "
				  "once: mailhaul poll %s",
				  str_span(span, (uint64_t)wait), account->account->name);
		note(out, account, "", text);
		free(text);
	}
	if (daemon && !account->now)
		note(out, account, "",
		     "the daemon has read an older configuration; reload it (HUP)");
	if (visit->expires && visit->expires - now < EXPIRY_SOON)
		note(out, account, "the server's certificate ",
		     visit->expires > now ? "expires within 14 days" : "has expired");
	if (encryption && *visit->encryption)
		note(out, account, "", visit->encryption);
}

void status_report_text(struct buf *out, const struct status_account *accounts, size_t count,
			bool daemon, bool mailboxes, size_t width)
{
	struct table *table = table_new(heads);
	struct buf below = {0};
	int64_t now = time(NULL);

	for (size_t i = 0; i < count; i++) {
		row(table, &accounts[i], daemon, now);
		for (size_t k = 0; mailboxes && k < accounts[i].count; k++)
			mailbox_row(table, &accounts[i], &accounts[i].mailboxes[k]);
		notes(&below, &accounts[i], daemon, mailboxes, now);
	}
	table_print(table, out, width);
	if (below.len)
		buf_printf(out, "\n%s", buf_string(&below));
	table_free(&table);
	buf_free(&below);
}
