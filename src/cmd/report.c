/*
 * report: what the commands print on stdout: for people, or one JSON object a line (--json), each
 * with the "version" of its form.
 *
 * Texts of servers were made visible where they entered, names of mailboxes are where they are
 * printed; other names come from the configuration, which allows no control characters.
 */
#include "cmd/report.h"

#include "config/config_print.h"
#include "daemon/account.h"
#include "daemon/quiet.h"
#include "util/mem.h"
#include "util/str.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	REPORT_VERSION = 1,
	DAY = 24 * 60 * 60,
	EXPIRY_SOON = 14 * DAY,
	INDENT = 4,	  /* of what belongs to an account */
	TEXT_COLUMN = 18, /* where the text of a labelled row begins */
	LAST_COLUMN = 80
};

static void print_json(json_t *object)
{
	json_object_set_new(object, "version", json_integer(REPORT_VERSION));
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* RFC 3339, UTC; null for 0. */
static json_t *json_time(int64_t at)
{
	time_t when = at;
	char text[32];
	struct tm tm;

	if (!at || !gmtime_r(&when, &tm))
		return json_null();
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *json_text(const char *text)
{
	return *text ? json_string(text) : json_null();
}

/* Words with one space between, as an array. */
static json_t *json_words(const char *words)
{
	json_t *array = json_array();

	for (size_t len; *words; words += len + (words[len] == ' ')) {
		len = strcspn(words, " ");
		json_array_append_new(array, json_stringn(words, len));
	}
	return array;
}

static json_t *json_err(const struct err *err)
{
	json_t *object;

	if (!err->kind)
		return json_null();
	object = json_object();
	json_object_set_new(object, "kind", json_string(err_kind_name(err->kind)));
	json_object_set_new(object, "text", json_string(err->words));
	json_object_set_new(object, "server", json_text(err->server));
	json_object_set_new(object, "exit_code", json_integer(err_exit_code(err->kind)));
	return object;
}

static json_t *json_security(const struct session_report *report)
{
	const struct session_security *security = &report->security;
	const struct tls_info *tls = &security->tls;
	json_t *object;

	if (!report->connected)
		return json_null();
	object = json_object();
	json_object_set_new(object, "mode", json_string(security->mode));
	json_object_set_new(object, "tls", json_string(tls->version));
	json_object_set_new(object, "cipher", json_string(tls->cipher));
	json_object_set_new(object, "key_exchange", json_string(tls->exchange));
	json_object_set_new(object, "verified", json_string(tls->verified));
	json_object_set_new(object, "issuer", json_text(tls->issuer));
	json_object_set_new(object, "pin_sha256", json_text(tls->pin));
	json_object_set_new(object, "expires", json_time(tls->expires));
	json_object_set_new(object, "mechanism", json_text(security->mechanism));
	return object;
}

/* What protects a connection, on two lines. */
static void print_security(const char *line, int indent)
{
	const char *certificate = strstr(line, ", certificate ");

	if (certificate)
		printf("%.*s,\n%*s%s", (int)(certificate - line), line, indent, "",
		       certificate + 2);
	else
		fputs(line, stdout);
}

/* A row of words, as many on each line as fit. */
static void print_words(const char *label, const char *words)
{
	size_t column = TEXT_COLUMN;
	size_t len;

	printf("%*s%-13s ", INDENT, "", label);
	for (; *words; words += len + strspn(words + len, " ")) {
		len = strcspn(words, " ");
		if (column > TEXT_COLUMN && column + 1 + len > LAST_COLUMN) {
			printf("\n%*s", TEXT_COLUMN, "");
			column = TEXT_COLUMN;
		} else if (column > TEXT_COLUMN) {
			putchar(' ');
			column++;
		}
		printf("%.*s", (int)len, words);
		column += len;
	}
	putchar('\n');
}

/* ---- check ---- */

void report_mistake(const struct cmd_options *options, const struct config_mistake *mistake)
{
	if (options->json) {
		json_t *object = json_object();

		json_object_set_new(object, "event",
				    json_string(mistake->warning ? "warning" : "mistake"));
		json_object_set_new(object, "file", json_string(mistake->file));
		json_object_set_new(object, "line", number(mistake->line));
		json_object_set_new(object, "column", number(mistake->column));
		json_object_set_new(object, "text", json_string(mistake->text));
		print_json(object);
		return;
	}
	if (mistake->line)
		fprintf(stderr, "%s:%u:%u: %s%s\n", mistake->file, mistake->line, mistake->column,
			mistake->warning ? "warning: " : "", mistake->text);
	else
		fprintf(stderr, "%s: %s%s\n", mistake->file, mistake->warning ? "warning: " : "",
			mistake->text);
}

void report_checked(const struct cmd_options *options, const struct config *config)
{
	if (options->json) {
		json_t *object = json_object();

		json_object_set_new(object, "event", json_string("checked"));
		json_object_set_new(object, "accounts", number(config->count));
		print_json(object);
		return;
	}
	/* What follows with -v is YAML, and this its first comment. */
	if (!options->quiet)
		printf("%s%s: no mistakes; %u account%s\n", options->verbosity ? "# " : "",
		       options->file, config->count, config->count == 1 ? "" : "s");
}

/* A text that may not be UTF-8: a path is made with what the environment holds. */
static json_t *json_any_text(const char *text)
{
	json_t *string = json_string(text);
	struct buf visible = {0};

	if (string)
		return string;
	str_visible(&visible, text, strlen(text), SIZE_MAX);
	string = json_string(buf_string(&visible));
	buf_free(&visible);
	return string;
}

static json_t *json_value(const struct config_shown *shown)
{
	json_t *list;

	switch (shown->shape) {
	case CONFIG_TRUTH:
		return json_boolean(shown->truth);
	case CONFIG_NUMBER:
		return number(shown->number);
	case CONFIG_TEXT:
		return json_any_text(shown->text);
	case CONFIG_LIST:
		list = json_array();
		for (size_t i = 0; shown->items[i]; i++)
			json_array_append_new(list, json_string(shown->items[i]));
		return list;
	case CONFIG_UNSET:
		break;
	}
	return json_null();
}

static void add_option(json_t *object, const char *prefix, const struct option *option,
		       const struct config *config, const struct config_account *account)
{
	struct config_shown shown;
	char *name;
	char *origin;

	config_print_value(option, account ? (const void *)account : config, &shown);
	if (shown.shape == CONFIG_UNSET)
		return;
	name = mem_printf("%s%s", prefix, option->name);
	origin = config_print_origin(config, account, option, true);
	json_object_set_new(object, name,
			    json_pack("{s:o, s:s}", "value", json_value(&shown), "from", origin));
	free(origin);
	free(name);
}

/* Adds the options of a place; those of a section have its name and a dot before theirs. */
static void add_options(json_t *object, enum option_place place, const char *prefix,
			const struct config *config, const struct config_account *account)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];

		if (option->place != place)
			continue;
		add_option(object, prefix, option, config, account);
		if (option->type == OPTION_SECTION && place != OPTION_TOP) {
			char *inside = mem_printf("%s.", option->name);

			add_options(object, option_inside(option), inside, config, account);
			free(inside);
		}
	}
}

static void print_options(const struct config *config, const struct config_account *account)
{
	json_t *object = json_object();
	json_t *all = json_object();

	json_object_set_new(object, "event", json_string(account ? "account" : "configuration"));
	json_object_set_new(object, account ? "account" : "file",
			    json_string(account ? account->name : config->file));
	add_options(all, account ? OPTION_ACCOUNT : OPTION_TOP, "", config, account);
	json_object_set_new(object, "options", all);
	print_json(object);
}

void report_options(const struct cmd_options *options, const struct config *config,
		    const struct config_account *const *accounts, size_t count)
{
	struct buf page = {0};

	if (options->json) {
		print_options(config, NULL);
		for (size_t i = 0; i < count; i++)
			print_options(config, accounts[i]);
		return;
	}
	config_print(&page, config, accounts, count);
	fputs(buf_string(&page), stdout);
	buf_free(&page);
}

/* ---- poll ---- */

static json_t *visit_json(const char *event, const struct config_account *account,
			  const struct session_report *report)
{
	const struct collect_counts *counts = &report->counts;
	json_t *object = json_object();

	json_object_set_new(object, "event", json_string(event));
	json_object_set_new(object, "account", json_string(account->name));
	json_object_set_new(object, "protocol", json_string(account_protocol(account)));
	json_object_set_new(object, "host", json_string(account->host));
	json_object_set_new(object, "ok", json_boolean(!report->err.kind));
	json_object_set_new(object, "busy", json_boolean(report->busy));
	json_object_set_new(object, "new", number(counts->fresh));
	json_object_set_new(object, "error", json_err(&report->err));
	json_object_set_new(object, "encryption", json_security(report));
	return object;
}

static void json_left(json_t *object, const struct collect_counts *counts)
{
	json_object_set_new(object, "left", number(counts->left));
	json_object_set_new(object, "put_off", number(counts->put_off));
	json_object_set_new(object, "skipped", number(counts->skipped));
}

static const char *destination(const struct config_account *account)
{
	return account->maildir ? account->maildir : account->mda[0];
}

/* Where the mail went, in the user's words; of several Maildirs, what they have in common. */
static void print_destination(const struct config_account *account)
{
	struct buf path = {0};

	if (account->maildir && !(account->mailboxes[0] && account->mailboxes[1])) {
		account_mailbox_path(&path, account->maildir,
				     account->mailboxes[0] ? account->mailboxes[0] : "INBOX");
		fputs(buf_string(&path), stdout);
		buf_free(&path);
	} else {
		fputs(destination(account), stdout);
	}
}

/* What stays on the server, and why. */
static void print_left(const struct collect_counts *counts)
{
	if (counts->left)
		printf(", %llu too large", (unsigned long long)counts->left);
	if (counts->put_off)
		printf(", %llu left for the next poll", (unsigned long long)counts->put_off);
	if (counts->skipped)
		printf(", %llu left alone", (unsigned long long)counts->skipped);
}

static void visit_text(const struct config_account *account, const struct session_report *report)
{
	const struct collect_counts *counts = &report->counts;
	char size[32];

	if (report->busy) {
		printf("%s: another mailhaul is at work on it\n", account->name);
		return;
	}
	if (counts->delivered) {
		printf("%s: %llu message%s (%s) delivered to ", account->name,
		       (unsigned long long)counts->delivered, counts->delivered == 1 ? "" : "s",
		       str_octets(size, counts->octets));
		print_destination(account);
	} else {
		printf("%s: %s", account->name,
		       report->err.kind ? "nothing delivered" : "nothing new");
	}
	if (counts->removable)
		printf(", %llu removed from the server", (unsigned long long)counts->removable);
	if (counts->waiting)
		printf(", %llu waiting in the spool", (unsigned long long)counts->waiting);
	if (counts->quarantined)
		printf(", %llu in the quarantine", (unsigned long long)counts->quarantined);
	print_left(counts);
	if (report->connected) {
		printf("\n%*s", INDENT, "");
		print_security(report->security.line, INDENT);
	}
	putchar('\n');
	fflush(stdout);
}

void report_visit(const struct cmd_options *options, const struct config_account *account,
		  const struct session_report *report)
{
	const struct collect_counts *counts = &report->counts;
	json_t *object;

	if (!options->json) {
		if (!options->quiet &&
		    (options->verbosity || (isatty(STDOUT_FILENO) && !report->busy)))
			visit_text(account, report);
		return;
	}
	object = visit_json("visit", account, report);
	json_object_set_new(object, "delivered", number(counts->delivered));
	json_object_set_new(object, "octets", number(counts->octets));
	json_object_set_new(object, "removed", number(counts->removable));
	json_object_set_new(object, "waiting", number(counts->waiting));
	json_object_set_new(object, "quarantined", number(counts->quarantined));
	json_object_set_new(object, "recognised", number(counts->recognised));
	json_left(object, counts);
	json_object_set_new(object, "destination", json_string(destination(account)));
	print_json(object);
}

/* ---- test ---- */

static void test_security(const struct session_report *report)
{
	const struct tls_info *tls = &report->security.tls;
	char date[32] = "?";
	char left[32];
	int64_t span = tls->expires - time(NULL);
	struct tm tm;

	if (gmtime_r(&tls->expires, &tm))
		strftime(date, sizeof date, "%Y-%m-%d", &tm);
	printf("    encryption    %s, %s, %s, key exchange %s\n", report->security.mode,
	       tls->version, tls->cipher, tls->exchange);
	printf("    certificate   verified by %s, issued by %s, valid until %s\n", tls->verified,
	       tls->issuer, date);
	if (span < EXPIRY_SOON)
		printf("    warning       the certificate expires in %s\n",
		       span > 0 ? str_span(left, (uint64_t)span) : "the past");
	printf("    pin_sha256    %s\n", tls->pin);
}

/* Names come from the server here. */
static void print_visible(const char *text)
{
	struct buf shown = {0};

	str_visible(&shown, text, strlen(text), 2000);
	fputs(buf_string(&shown), stdout);
	buf_free(&shown);
}

static void test_mailbox(const struct session_mailbox *mailbox)
{
	const struct collect_counts *counts = &mailbox->counts;

	if (!mailbox->looked)
		return;
	printf("    mailbox       ");
	print_visible(mailbox->name);
	if (*mailbox->attributes) {
		printf(" (");
		print_visible(mailbox->attributes);
		putchar(')');
	}
	printf(": %llu on the server, %llu would be fetched, %llu would be removed",
	       (unsigned long long)counts->exists, (unsigned long long)counts->fresh,
	       (unsigned long long)counts->removable);
	print_left(counts);
	putchar('\n');
}

static void test_text(const struct config_account *account, const struct session_report *report)
{
	printf("%s: %s as %s at %s, port %u\n", account->name,
	       account->protocol == CONFIG_IMAP ? "IMAP" : "POP3", account->user, account->host,
	       (unsigned)account->port);
	if (report->connected)
		test_security(report);
	if (*report->security.mechanism)
		printf("    login         %s\n", report->security.mechanism);
	if (*report->capabilities) {
		struct buf shown = {0};

		str_visible(&shown, report->capabilities, strlen(report->capabilities), 2000);
		print_words("server offers", buf_string(&shown));
		buf_free(&shown);
	}
	if (report->warning)
		print_words("warning", report->warning);
	for (size_t i = 0; i < report->mailbox_count; i++)
		test_mailbox(&report->mailboxes[i]);
	for (size_t i = 0; i < report->unmatched_count; i++)
		printf("    mailbox       none on the server is meant by %s\n",
		       report->unmatched[i]);
	if (report->err.kind)
		printf("    failed        %s\n", report->err.words);
	if (*report->err.server)
		printf("    server said   %s\n", report->err.server);
	fflush(stdout);
}

void report_test(const struct cmd_options *options, const struct config_account *account,
		 const struct session_report *report)
{
	json_t *object;
	json_t *mailboxes;
	json_t *unmatched;

	if (!options->json) {
		test_text(account, report);
		return;
	}
	object = visit_json("test", account, report);
	mailboxes = json_array();
	for (size_t i = 0; i < report->mailbox_count; i++) {
		const struct session_mailbox *one = &report->mailboxes[i];
		const struct collect_counts *counts = &one->counts;
		json_t *mailbox = json_object();

		json_object_set_new(mailbox, "name", json_string(one->name));
		json_object_set_new(mailbox, "attributes", json_words(one->attributes));
		json_object_set_new(mailbox, "quiet", json_boolean(one->quiet));
		json_object_set_new(mailbox, "exists", number(counts->exists));
		json_object_set_new(mailbox, "would_fetch", number(counts->fresh));
		json_object_set_new(mailbox, "would_remove", number(counts->removable));
		json_left(mailbox, counts);
		json_array_append_new(mailboxes, mailbox);
	}
	json_object_set_new(object, "mailboxes", mailboxes);
	unmatched = json_array();
	for (size_t i = 0; i < report->unmatched_count; i++)
		json_array_append_new(unmatched, json_string(report->unmatched[i]));
	json_object_set_new(object, "unmatched", unmatched);
	json_object_set_new(object, "warning", json_text(report->warning ? report->warning : ""));
	print_json(object);
}

/* ---- status ---- */

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

static void status_json(const struct config_account *account, const struct state_visit *visit,
			const struct report_mailboxes *mailboxes)
{
	json_t *array = json_array();
	int64_t now = time(NULL);
	int64_t wait = quiet_auth_wait(visit, now);
	json_t *object = json_object();

	json_object_set_new(object, "event", json_string("status"));
	json_object_set_new(object, "account", json_string(account->name));
	json_object_set_new(object, "last_poll", json_time(visit->tried));
	json_object_set_new(object, "last_success", json_time(visit->succeeded));
	json_object_set_new(object, "messages", number(visit->messages));
	json_object_set_new(object, "octets", number(visit->octets));
	json_counts(object, mailboxes->sums);
	for (size_t i = 0; i < mailboxes->count; i++) {
		json_t *mailbox = json_object();

		json_object_set_new(mailbox, "name", json_string(mailboxes->all[i].name));
		json_counts(mailbox, mailboxes->all[i].counts);
		json_array_append_new(array, mailbox);
	}
	json_object_set_new(object, "mailboxes", array);
	json_object_set_new(object, "encryption", json_text(visit->encryption));
	json_object_set_new(object, "mechanism", json_text(visit->mechanism));
	json_object_set_new(object, "certificate_expires", json_time(visit->expires));
	json_object_set_new(object, "error_kind", json_text(visit->error_kind));
	json_object_set_new(object, "error", json_text(visit->error));
	json_object_set_new(object, "failing_since", json_time(visit->failing_since));
	json_object_set_new(object, "next_poll", json_time(wait ? now + wait : 0));
	print_json(object);
}

static const char *ago(char *out, size_t size, int64_t then, int64_t now)
{
	char span[32];

	if (!then)
		return "never";
	if (then >= now)
		return "just now";
	snprintf(out, size, "%s ago", str_span(span, (uint64_t)(now - then)));
	return out;
}

static void print_counts(const uint64_t counts[STATE_IS_END])
{
	uint64_t waiting = waiting_of(counts);

	printf("%llu so far", (unsigned long long)delivered_of(counts));
	if (waiting)
		printf(", %llu waiting in the spool", (unsigned long long)waiting);
	if (counts[STATE_QUARANTINED])
		printf(", %llu in the quarantine", (unsigned long long)counts[STATE_QUARANTINED]);
	if (counts[STATE_OVERSIZE])
		printf(", %llu too large", (unsigned long long)counts[STATE_OVERSIZE]);
	putchar('\n');
}

static void status_text(const struct config_account *account, const struct state_visit *visit,
			const struct report_mailboxes *mailboxes)
{
	int64_t now = time(NULL);
	int64_t wait = quiet_auth_wait(visit, now);
	char when[64];
	char size[64];

	printf("%s\n", account->name);
	printf("    last poll     %s", ago(when, sizeof when, visit->tried, now));
	if (visit->messages)
		printf(": %llu message%s, %s", (unsigned long long)visit->messages,
		       visit->messages == 1 ? "" : "s", str_octets(size, visit->octets));
	else if (visit->tried)
		printf(": %s", *visit->error ? "nothing delivered" : "nothing new");
	printf("\n    delivered     ");
	print_counts(mailboxes->sums);
	for (size_t i = 0; mailboxes->count > 1 && i < mailboxes->count; i++) {
		printf("                  ");
		print_visible(mailboxes->all[i].name);
		printf(": ");
		print_counts(mailboxes->all[i].counts);
	}
	if (*visit->encryption) {
		printf("    encryption    ");
		print_security(visit->encryption, TEXT_COLUMN);
		putchar('\n');
	}
	if (visit->expires && visit->expires - now < EXPIRY_SOON)
		printf("    warning       the certificate %s\n",
		       visit->expires > now ? "expires within 14 days" : "has expired");
	if (*visit->error)
		printf("    failing       %s\n"
		       "                  first seen %s, last success %s\n",
		       visit->error, ago(when, sizeof when, visit->failing_since, now),
		       ago(size, sizeof size, visit->succeeded, now));
	if (wait)
		printf("    next poll     in %s, since the server refused the login; or at once: "
		       "mailhaul poll %s\n",
		       str_span(size, (uint64_t)wait), account->name);
	else
		puts("    next poll     at the next \"mailhaul poll\"");
}

void report_status(const struct cmd_options *options, const struct config_account *account,
		   const struct state_visit *visit, const struct report_mailboxes *mailboxes)
{
	if (options->json)
		status_json(account, visit, mailboxes);
	else
		status_text(account, visit, mailboxes);
}

/* ---- for the other commands ---- */

void report_object(json_t *object)
{
	print_json(object);
}

json_t *report_time(int64_t at)
{
	return json_time(at);
}

const char *report_ago(char *out, size_t size, int64_t then, int64_t now)
{
	return ago(out, size, then, now);
}
