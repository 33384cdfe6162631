/*
 * log: one line a time, each written with one call so that lines of several processes do not mix.
 *
 * Whether the journal reads stderr is looked at for each line: the file tells, not who began us.
 * JOURNAL_STREAM stays in the environment where stderr was sent elsewhere (systemd.exec(5)). What
 * begins its lines is of sd-daemon(3).
 */
#include "util/log.h"

#include "util/buf.h"
#include "util/str.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 4096 };

static enum log_level highest = LOG_LEVEL_NOTICE;
static enum log_target target = LOG_TARGET_STDERR;
static void (*curtain)(void);

void log_set_level(enum log_level level)
{
	highest = level;
}

bool log_wants(enum log_level level)
{
	return level <= highest;
}

void log_set_target(enum log_target where)
{
	if (target == LOG_TARGET_SYSLOG && where != LOG_TARGET_SYSLOG)
		closelog();
	else if (where == LOG_TARGET_SYSLOG && target != LOG_TARGET_SYSLOG)
		openlog("mailhaul", LOG_PID, LOG_MAIL);
	target = where;
}

void log_set_curtain(void (*raise)(void))
{
	curtain = raise;
}

static void stamp(struct buf *line)
{
	char text[40];
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z ", &tm))
		buf_text(line, text);
}

/* The device and inode that systemd gave our stderr are those it still has. */
static bool journal_reads(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char is[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	snprintf(is, sizeof is, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return !strcmp(stream, is);
}

static int priority(enum log_level level)
{
	static const int priorities[] = {
	    [LOG_LEVEL_ERROR] = LOG_ERR,     [LOG_LEVEL_WARNING] = LOG_WARNING,
	    [LOG_LEVEL_NOTICE] = LOG_NOTICE, [LOG_LEVEL_INFO] = LOG_INFO,
	    [LOG_LEVEL_DEBUG] = LOG_DEBUG,   [LOG_LEVEL_TRACE] = LOG_DEBUG};

	return priorities[level];
}

/* For a person: failures in red, warnings in yellow (https://no-color.org). */
static const char *colour(enum log_level level)
{
	const char *no = getenv("NO_COLOR");

	if (level > LOG_LEVEL_WARNING || (no && *no) || !isatty(STDERR_FILENO))
		return NULL;
	return level == LOG_LEVEL_ERROR ? "\033[31m" : "\033[33m";
}

static void say(enum log_level level, const char *words)
{
	bool journal = journal_reads();
	const char *paint = colour(level);
	struct buf line = {0};

	if (journal)
		buf_printf(&line, "<%d>", priority(level));
	else if (!isatty(STDERR_FILENO))
		stamp(&line);
	if (paint)
		buf_text(&line, paint);
	buf_printf(&line, "%s%s%s\n", journal ? "" : "mailhaul: ", words, paint ? "\033[0m" : "");
	if (curtain)
		curtain();
	(void)!write(STDERR_FILENO, line.data, line.len);
	buf_wipe(&line);
}

void log_line(enum log_level level, const char *format, ...)
{
	char raw[LOG_LINE_MAX];
	struct buf words = {0};
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, format);
	vsnprintf(raw, sizeof raw, format, args);
	va_end(args);
	if (level == LOG_LEVEL_WARNING)
		buf_text(&words, "warning: ");
	str_visible(&words, raw, strlen(raw), LOG_LINE_MAX);
	if (target == LOG_TARGET_SYSLOG)
		syslog(priority(level), "%s", buf_string(&words));
	else
		say(level, buf_string(&words));
	buf_wipe(&words);
}
