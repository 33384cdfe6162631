/*
 * alert: tells a person who reads no logs: runs notify_command with the text on its stdin.
 *
 * The text goes into a file in memory, whose contents are on their way to the command before it
 * begins. Of very much it gets the beginning, and how much was left out.
 */
#include "daemon/alert.h"

#include "io/child.h"
#include "util/buf.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	ALERT_GATHER_MS = 5 * 1000,
	ALERT_APART_MS = 60 * 1000,
	ALERT_APART_MOST_MS = 15 * 60 * 1000,
	ALERT_DEADLINE_MS = 60 * 1000,
	ALERT_TEXT_MAX = 64 * 1024,
	ALERT_WORDS_MAX = 300 /* octets of what the command said when it failed */
};

struct alert {
	struct alert_params params;
	struct buf text;   /* that waits */
	size_t left_out;   /* lines behind it */
	uint64_t gathered; /* when it has waited long enough for others */
	struct loop_timer *clock;
	struct child *child;
	int input;	   /* of the child; -1: none */
	uint64_t begun;	   /* when the last run was; 0: none yet */
	uint64_t apart_ms; /* from there to the next one */
	bool hurried;
	bool failed; /* the last run, and it was told */
};

static bool waits(const struct alert *alert)
{
	return alert->text.len > 0;
}

bool alert_idle(const struct alert *alert)
{
	return !alert->child && !waits(alert);
}

/* ---- when ---------------------------------------------------------------------------------- */

static void arrange(struct alert *alert)
{
	uint64_t now = loop_now(alert->params.loop);
	uint64_t due = alert->begun ? alert->begun + alert->apart_ms : 0;

	if (alert->child || !waits(alert))
		return;
	if (due < alert->gathered)
		due = alert->gathered;
	loop_timer_start(alert->clock, alert->hurried || due < now ? 0 : due - now);
}

static void go_on(struct alert *alert)
{
	arrange(alert);
	if (alert_idle(alert) && alert->params.on_idle)
		alert->params.on_idle(alert->params.ctx);
}

/* Runs that begin as soon as they may get further apart; a pause makes them quick again. */
static void pace(struct alert *alert)
{
	uint64_t now = loop_now(alert->params.loop);

	if (!alert->begun || now > alert->begun + alert->apart_ms + alert->params.gather_ms)
		alert->apart_ms = alert->params.apart_ms;
	else if (alert->apart_ms < alert->params.apart_most_ms / 2)
		alert->apart_ms *= 2;
	else
		alert->apart_ms = alert->params.apart_most_ms;
	alert->begun = now;
}

/* ---- one run ------------------------------------------------------------------------------- */

static void tell_failure(struct alert *alert, const char *how)
{
	if (!alert->failed)
		log_error("notify_command %s", how);
	alert->failed = true;
}

static void judge(struct alert *alert)
{
	struct buf text = {0};
	const struct buf *words = child_stderr(alert->child);
	size_t len = words->len;
	char how[160];

	if (!child_end(alert->child)->exit_code) {
		alert->failed = false;
		return;
	}
	buf_text(&text, child_describe(alert->child, how, sizeof how));
	while (len && isspace(words->data[len - 1]))
		len--;
	if (len) {
		buf_text(&text, " (it said: ");
		str_visible(&text, words->data, len, ALERT_WORDS_MAX);
		buf_text(&text, ")");
	}
	tell_failure(alert, buf_string(&text));
	buf_free(&text);
}

static void on_child_end(void *ctx, struct child *child)
{
	struct alert *alert = ctx;

	(void)child;
	judge(alert);
	child_free(&alert->child);
	close(alert->input);
	alert->input = -1;
	go_on(alert);
}

/* A file with the text, to be read from its beginning. -1 with errno. */
static int written(const struct buf *text)
{
	int fd = memfd_create("notify", MFD_CLOEXEC);
	ssize_t put = 0;

	for (size_t at = 0; fd >= 0 && at < text->len; at += (size_t)put) {
		put = write(fd, text->data + at, text->len - at);
		if (put > 0)
			continue;
		close(fd);
		return -1;
	}
	return fd;
}

static void run(struct alert *alert)
{
	if (alert->left_out)
		buf_printf(&alert->text, "... and %zu more, which stand in the log\n",
			   alert->left_out);
	alert->left_out = 0;
	pace(alert);
	alert->input = written(&alert->text);
	buf_free(&alert->text);
	if (alert->input < 0) {
		tell_failure(alert, strerror(errno));
		go_on(alert);
		return;
	}
	alert->child = child_new(alert->params.loop,
				 &(struct child_params){.argv = alert->params.argv,
							.input_fd = alert->input,
							.deadline_ms = alert->params.deadline_ms,
							.on_end = on_child_end,
							.ctx = alert});
}

static void on_clock(void *ctx)
{
	struct alert *alert = ctx;

	if (waits(alert) && !alert->child)
		run(alert);
}

/* ---- from outside -------------------------------------------------------------------------- */

void alert_say(struct alert *alert, const char *lines)
{
	size_t len = strlen(lines);

	if (!alert->params.argv || !len)
		return;
	if (!waits(alert))
		alert->gathered = loop_now(alert->params.loop) + alert->params.gather_ms;
	if (alert->text.len + len > ALERT_TEXT_MAX)
		alert->left_out++;
	else
		buf_append(&alert->text, lines, len);
	arrange(alert);
}

void alert_hurry(struct alert *alert)
{
	alert->hurried = true;
	arrange(alert);
}

void alert_command(struct alert *alert, const char *const *argv)
{
	alert->params.argv = argv;
	if (!argv)
		buf_free(&alert->text);
}

static uint64_t given(uint64_t value, uint64_t usual)
{
	return value ? value : usual;
}

struct alert *alert_new(const struct alert_params *params)
{
	struct alert *alert = mem_new(1, sizeof *alert);

	alert->params = *params;
	alert->params.gather_ms = given(params->gather_ms, ALERT_GATHER_MS);
	alert->params.apart_ms = given(params->apart_ms, ALERT_APART_MS);
	alert->params.apart_most_ms = given(params->apart_most_ms, ALERT_APART_MOST_MS);
	alert->params.deadline_ms = given(params->deadline_ms, ALERT_DEADLINE_MS);
	alert->clock = loop_timer_new(params->loop, on_clock, alert);
	alert->input = -1;
	return alert;
}

void alert_free(struct alert **alert_p)
{
	struct alert *alert = *alert_p;

	*alert_p = NULL;
	if (!alert)
		return;
	child_free(&alert->child);
	if (alert->input >= 0)
		close(alert->input);
	loop_timer_free(&alert->clock);
	buf_free(&alert->text);
	free(alert);
}
