/*
 * metrics: figures for Prometheus, in its text format: one table of what there is, from which help,
 * type and samples are written.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/: all samples of a name follow its
 * HELP and TYPE lines; in a label's value backslash, quote and line feed are escaped. What is not
 * known, as when an account last failed that never did, has no sample. A poll leaves out counters,
 * which would begin anew each time, and what is about the present.
 */
#include "daemon/metrics.h"

#include "daemon/account.h"
#include "session/outcome.h"
#include "util/log.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

enum { METRICS_APART_MS = 15 * 1000, METRICS_MODE = 0644 };

struct record {
	UT_hash_handle hh; /* by account */
	const struct config_account *account;
	int64_t tried;
	int64_t succeeded;
	int64_t failing_since; /* 0: it works */
	int64_t expires;
	int64_t today;
	uint64_t today_messages;
	uint64_t today_octets;
	uint64_t quarantined;
	uint64_t messages; /* since this process began */
	uint64_t octets;
	struct metrics_now now;
	bool stays; /* while accounts change */
};

struct metrics {
	struct metrics_params params;
	struct loop_timer *clock;
	const struct config *config; /* NULL: none yet */
	struct record **records;     /* one for each account, in its order */
	struct record *by_account;
	size_t count;
	uint64_t written; /* when */
	bool touched;	  /* since then */
	bool failed;	  /* and it was told */
};

/* ---- what there is ------------------------------------------------------------------------- */

static bool up(const struct record *record, int64_t *value_r)
{
	*value_r = !record->failing_since;
	return record->tried != 0;
}

static bool failing_since(const struct record *record, int64_t *value_r)
{
	return (*value_r = record->failing_since) != 0;
}

static bool last_success(const struct record *record, int64_t *value_r)
{
	return (*value_r = record->succeeded) != 0;
}

static bool expiry(const struct record *record, int64_t *value_r)
{
	return (*value_r = record->expires) != 0;
}

static bool quarantined(const struct record *record, int64_t *value_r)
{
	*value_r = (int64_t)record->quarantined;
	return true;
}

static bool today_messages(const struct record *record, int64_t *value_r)
{
	*value_r = record->today == outcome_day(time(NULL)) ? (int64_t)record->today_messages : 0;
	return true;
}

static bool today_octets(const struct record *record, int64_t *value_r)
{
	*value_r = record->today == outcome_day(time(NULL)) ? (int64_t)record->today_octets : 0;
	return true;
}

static bool messages(const struct record *record, int64_t *value_r)
{
	*value_r = (int64_t)record->messages;
	return true;
}

static bool octets(const struct record *record, int64_t *value_r)
{
	*value_r = (int64_t)record->octets;
	return true;
}

static bool listening(const struct record *record, int64_t *value_r)
{
	*value_r = record->now.listening;
	return true;
}

static bool next_visit(const struct record *record, int64_t *value_r)
{
	return (*value_r = record->now.next) != 0;
}

/* Sums over all accounts, of the values above. */
static int64_t sum_of(const struct metrics *metrics, int64_t (*one)(const struct record *record))
{
	int64_t sum = 0;

	for (size_t i = 0; i < metrics->count; i++)
		sum += one(metrics->records[i]);
	return sum;
}

static int64_t is_there(const struct record *record)
{
	(void)record;
	return 1;
}

static int64_t is_failing(const struct record *record)
{
	return record->failing_since != 0;
}

static int64_t is_listening(const struct record *record)
{
	return record->now.listening > 0;
}

static int64_t has_open(const struct record *record)
{
	return record->now.open;
}

static const struct {
	const char *name;
	const char *help;
	bool daemon; /* only a daemon has it */
	bool counts; /* it is a counter, not a gauge */
	/* One of the two. */
	int64_t (*all)(const struct record *record);
	bool (*one)(const struct record *record, int64_t *value_r);
} table[] = {
    {"accounts", "Accounts of the configuration.", .all = is_there},
    {"accounts_failing", "Accounts whose last visit failed.", .all = is_failing},
    {"accounts_listening", "Accounts of which at least one mailbox is listened to.", .daemon = true,
     .all = is_listening},
    {"connections_open", "Connections to servers, those that listen among them.", .daemon = true,
     .all = has_open},
    {"account_up", "Whether the last visit of the account went well.", .one = up},
    {"account_failing_since_timestamp_seconds", "Since when the account fails, if it does.",
     .one = failing_since},
    {"account_last_success_timestamp_seconds",
     "When the account was last visited without a failure.", .one = last_success},
    {"account_certificate_expiry_timestamp_seconds", "When the server's certificate expires.",
     .one = expiry},
    {"account_quarantined_messages", "Messages in the quarantine.", .one = quarantined},
    {"account_today_messages", "Messages delivered on this day, by local time.",
     .one = today_messages},
    {"account_today_octets", "Octets delivered on this day, by local time.", .one = today_octets},
    {"account_messages_total", "Messages delivered since the daemon began.", .daemon = true,
     .counts = true, .one = messages},
    {"account_octets_total", "Octets delivered since the daemon began.", .daemon = true,
     .counts = true, .one = octets},
    {"account_listening_connections", "Connections of the account that listen.", .daemon = true,
     .one = listening},
    {"account_next_visit_timestamp_seconds", "When all mailboxes of the account are visited next.",
     .daemon = true, .one = next_visit},
};

/* ---- the text ------------------------------------------------------------------------------ */

static void print_label(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '\\' || *value == '"')
			fprintf(out, "\\%c", *value);
		else
			putc(*value, out);
	}
}

static void print_each(const struct metrics *metrics, FILE *out, size_t row)
{
	int64_t value;

	for (size_t i = 0; i < metrics->count; i++) {
		if (!table[row].one(metrics->records[i], &value))
			continue;
		fprintf(out, "mailhaul_%s{account=\"", table[row].name);
		print_label(out, metrics->records[i]->account->name);
		fprintf(out, "\"} %" PRId64 "\n", value);
	}
}

static void print_head(FILE *out, const char *name, const char *help, bool counts)
{
	fprintf(out, "# HELP mailhaul_%s %s\n# TYPE mailhaul_%s %s\n", name, help, name,
		counts ? "counter" : "gauge");
}

static void print_all(const struct metrics *metrics, FILE *out)
{
	print_head(out, "build_info", "Which mailhaul this is.", false);
	fputs("mailhaul_build_info{version=\"" MAILHAUL_VERSION "\"} 1\n", out);
	for (size_t row = 0; row < sizeof table / sizeof *table; row++) {
		if (table[row].daemon && !metrics->params.look)
			continue;
		print_head(out, table[row].name, table[row].help, table[row].counts);
		if (table[row].one)
			print_each(metrics, out, row);
		else
			fprintf(out, "mailhaul_%s %" PRId64 "\n", table[row].name,
				sum_of(metrics, table[row].all));
	}
}

/* ---- the file ------------------------------------------------------------------------------ */

/* Beside the file, under a name that the collector does not read. Others of the same number, in
 * another container, leave nothing behind but by dying just then. */
static FILE *open_beside(const char *path)
{
	int fd;
	FILE *out;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, METRICS_MODE);
	if (fd < 0)
		return NULL;
	/* Who collects is another user, whatever our umask. */
	out = fchmod(fd, METRICS_MODE) ? NULL : fdopen(fd, "w");
	if (!out)
		close(fd);
	return out;
}

/* Nothing is flushed to the disk: after a power cut they are no longer true anyway. */
static bool write_file(const struct metrics *metrics, struct err *err)
{
	const char *path = metrics->config->metrics_file;
	char *beside = mem_printf("%s.%ld.tmp", path, (long)getpid());
	FILE *out = open_beside(beside);
	bool ok = out != NULL;

	if (ok) {
		print_all(metrics, out);
		ok = !ferror(out);
		ok = !fclose(out) && ok;
	}
	ok = (ok && !rename(beside, path)) ||
	     err_sys(err, ERR_CONFIG, errno, "cannot write the metrics_file %s", path);
	if (!ok)
		unlink(beside);
	free(beside);
	return ok;
}

/* ---- accounts ------------------------------------------------------------------------------ */

static void note_visit(struct record *record, const struct state_visit *visit)
{
	record->tried = visit->tried;
	record->succeeded = visit->succeeded;
	record->failing_since = visit->failing_since;
	record->expires = visit->expires;
	record->today = visit->today;
	record->today_messages = visit->today_messages;
	record->today_octets = visit->today_octets;
}

/* What cannot be read is left as it is: a state that fails is told by the visits. */
static void count_quarantined(const struct metrics *metrics, struct record *record)
{
	const struct config_account *account = record->account;
	struct err err;

	(void)state_quarantined(metrics->params.state, account_protocol(account), account->user,
				account->host, &record->quarantined, &err);
}

static struct record *record_new(const struct metrics *metrics,
				 const struct config_account *account)
{
	struct record *record = mem_new(1, sizeof *record);
	struct state_visit visit;
	struct err err;

	record->account = account;
	if (state_visit(metrics->params.state, account_protocol(account), account->user,
			account->host, &visit, &err))
		note_visit(record, &visit);
	count_quarantined(metrics, record);
	return record;
}

static struct record *take(struct metrics *metrics, const struct config_account *account)
{
	struct record *record;

	HASH_FIND_PTR(metrics->by_account, &account, record);
	if (record)
		record->stays = true;
	return record;
}

/* All but what stays. */
static void drop_all(struct metrics *metrics)
{
	HASH_CLEAR(hh, metrics->by_account);
	for (size_t i = 0; i < metrics->count; i++) {
		if (metrics->records[i]->stays)
			metrics->records[i]->stays = false;
		else
			free(metrics->records[i]);
	}
	free(metrics->records);
	metrics->records = NULL;
	metrics->count = 0;
}

static void adopt(struct metrics *metrics, const struct config *config)
{
	struct record **records = mem_new(config->count + 1, sizeof(struct record *));

	for (unsigned i = 0; i < config->count; i++) {
		records[i] = take(metrics, config->accounts[i]);
		if (!records[i])
			records[i] = record_new(metrics, config->accounts[i]);
	}
	drop_all(metrics);
	metrics->config = config;
	metrics->records = records;
	metrics->count = config->count;
	for (size_t i = 0; i < metrics->count; i++)
		HASH_ADD_PTR(metrics->by_account, account, records[i]);
}

/* ---- when ---------------------------------------------------------------------------------- */

static void write_now(void *ctx)
{
	struct metrics *metrics = ctx;
	struct err err;
	bool ok;

	loop_timer_stop(metrics->clock);
	for (size_t i = 0; i < metrics->count; i++)
		metrics->params.look(metrics->params.ctx, i, &metrics->records[i]->now);
	ok = write_file(metrics, &err);
	if (!ok && !metrics->failed)
		log_error("%s", err.words);
	metrics->failed = !ok;
	metrics->touched = false;
	metrics->written = loop_now(metrics->params.loop);
}

static bool is_wanted(const struct metrics *metrics)
{
	return metrics->config && metrics->config->metrics_file;
}

void metrics_touch(struct metrics *metrics)
{
	uint64_t now = loop_now(metrics->params.loop);
	uint64_t at = metrics->written + metrics->params.apart_ms;

	if (metrics->touched || !is_wanted(metrics))
		return;
	metrics->touched = true;
	loop_timer_start(metrics->clock, at > now ? at - now : 0);
}

void metrics_visited(struct metrics *metrics, const struct config_account *account,
		     const struct collect_counts *counts, const struct state_visit *after)
{
	struct record *record;

	HASH_FIND_PTR(metrics->by_account, &account, record);
	if (!record || !is_wanted(metrics))
		return;
	note_visit(record, after);
	record->messages += counts->delivered;
	record->octets += counts->octets;
	count_quarantined(metrics, record);
	metrics_touch(metrics);
}

/* ---- life ---------------------------------------------------------------------------------- */

struct metrics *metrics_new(const struct metrics_params *params)
{
	struct metrics *metrics = mem_new(1, sizeof *metrics);

	metrics->params = *params;
	if (!params->apart_ms)
		metrics->params.apart_ms = METRICS_APART_MS;
	metrics->clock = loop_timer_new(params->loop, write_now, metrics);
	return metrics;
}

void metrics_accounts(struct metrics *metrics, const struct config *config)
{
	if (config->metrics_file)
		adopt(metrics, config);
	else
		drop_all(metrics);
	metrics->config = config;
	loop_timer_stop(metrics->clock);
	metrics->touched = false;
	metrics->failed = false;
	if (is_wanted(metrics))
		write_now(metrics);
}

void metrics_free(struct metrics **metrics_p)
{
	struct metrics *metrics = *metrics_p;

	*metrics_p = NULL;
	if (!metrics)
		return;
	if (is_wanted(metrics))
		write_now(metrics);
	drop_all(metrics);
	loop_timer_free(&metrics->clock);
	free(metrics);
}

bool metrics_write(const struct config *config, struct state *state, struct err *err)
{
	struct metrics metrics = {.params = {.state = state}};
	bool ok;

	if (!config->metrics_file)
		return true;
	adopt(&metrics, config);
	ok = write_file(&metrics, err);
	drop_all(&metrics);
	return ok;
}
