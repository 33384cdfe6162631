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
#include "daemon/visit_json.h"
#include "util/mem.h"
#include "util/str.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	DAY = 24 * 60 * 60,
	EXPIRY_SOON = 14 * DAY,
	INDENT = 4,	  /* of what belongs to an account */
	TEXT_COLUMN = 18, /* where the text of a labelled row begins */
	LAST_COLUMN = 80
};

static void print_json(json_t *object)
{
	json_object_set_new(object, "version", json_integer(VISIT_JSON_VERSION));
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
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

static json_t *json_value(const struct config_shown *shown)
{
	json_t *list;

	switch (shown->shape) {
	case CONFIG_TRUTH:
		return json_boolean(shown->truth);
	case CONFIG_NUMBER:
		return number(shown->number);
	case CONFIG_TEXT:
		return *shown->text ? visit_json_text(shown->text) : json_string("");
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
		fputs(visit_json_destination(account), stdout);
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
	if (!options->json) {
		if (!options->quiet &&
		    (options->verbosity || (isatty(STDOUT_FILENO) && !report->busy)))
			visit_text(account, report);
		return;
	}
	print_json(visit_json(account, report));
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
	object = visit_json_begun("test", account, report);
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
		visit_json_left(mailbox, counts);
		json_array_append_new(mailboxes, mailbox);
	}
	json_object_set_new(object, "mailboxes", mailboxes);
	unmatched = json_array();
	for (size_t i = 0; i < report->unmatched_count; i++)
		json_array_append_new(unmatched, json_string(report->unmatched[i]));
	json_object_set_new(object, "unmatched", unmatched);
	json_object_set_new(object, "warning",
			    visit_json_text(report->warning ? report->warning : ""));
	print_json(object);
}

/* ---- for the other commands ---- */

void report_object(json_t *object)
{
	print_json(object);
}

json_t *report_time(int64_t at)
{
	return visit_json_time(at);
}

const char *report_ago(char *out, size_t size, int64_t then, int64_t now)
{
	char span[32];

	if (!then)
		return "never";
	if (then >= now)
		return "just now";
	snprintf(out, size, "%s ago", str_span(span, (uint64_t)(now - then)));
	return out;
}
