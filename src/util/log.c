/*
 * log: one line a time to stderr, each written with one call so that lines of several processes do
 * not mix.
 */
#include "util/log.h"

#include "util/buf.h"
#include "util/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 4096 };

static enum log_level highest = LOG_LEVEL_NOTICE;
static void (*curtain)(void);

void log_set_level(enum log_level level)
{
	highest = level;
}

bool log_wants(enum log_level level)
{
	return level <= highest;
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

	if (isatty(STDERR_FILENO) || !localtime_r(&now, &tm))
		return;
	if (strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z ", &tm))
		buf_text(line, text);
}

/* For a person: failures in red, warnings in yellow (https://no-color.org). */
static const char *colour(enum log_level level)
{
	const char *no = getenv("NO_COLOR");

	if (level > LOG_LEVEL_WARNING || (no && *no) || !isatty(STDERR_FILENO))
		return NULL;
	return level == LOG_LEVEL_ERROR ? "\033[31m" : "\033[33m";
}

void log_line(enum log_level level, const char *format, ...)
{
	const char *paint = colour(level);
	char raw[LOG_LINE_MAX];
	struct buf line = {0};
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, format);
	vsnprintf(raw, sizeof raw, format, args);
	va_end(args);
	stamp(&line);
	if (paint)
		buf_text(&line, paint);
	buf_text(&line, "mailhaul: ");
	if (level == LOG_LEVEL_WARNING)
		buf_text(&line, "warning: ");
	str_visible(&line, raw, strlen(raw), LOG_LINE_MAX);
	buf_text(&line, paint ? "\033[0m\n" : "\n");
	if (curtain)
		curtain();
	(void)!write(STDERR_FILENO, line.data, line.len);
	buf_wipe(&line);
}
