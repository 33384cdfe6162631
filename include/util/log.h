/*
 * log: one line a time to stderr or syslog. Only main, the commands, daemon and session call it.
 *
 * Every line is made visible (no control characters of strangers reach the terminal), and has a
 * time stamp unless stderr is a terminal; there failures and warnings are coloured, unless NO_COLOR
 * is set. Where the journal reads stderr a line begins with its priority, and has neither a time
 * stamp nor our name: the journal knows both.
 */
#ifndef MAILHAUL_UTIL_LOG_H
#define MAILHAUL_UTIL_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,   /* always, but quiet cron may hold it back */
	LOG_LEVEL_WARNING, /* something a person should know */
	LOG_LEVEL_NOTICE,  /* what was done; on a terminal, or with -v */
	LOG_LEVEL_INFO,	   /* -v: each connection and how it is encrypted */
	LOG_LEVEL_DEBUG,   /* -vv */
	LOG_LEVEL_TRACE	   /* --trace: the dialogue */
};

/* Lines above this level are dropped. Default: LOG_LEVEL_NOTICE. */
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);

enum log_target {
	LOG_TARGET_STDERR,
	LOG_TARGET_SYSLOG /* facility mail; nothing on stderr */
};

/* Default: LOG_TARGET_STDERR. */
void log_set_target(enum log_target where);

/* Called before each line on stderr, so that a progress bar can clear itself; NULL for none. */
void log_set_curtain(void (*raise)(void));

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
