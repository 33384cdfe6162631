/*
 * err: what went wrong, in our words and the server's, and what follows from it.
 */
#include "util/err.h"

#include "util/buf.h"
#include "util/str.h"
#include "util/veil.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The gravity orders exit codes when several accounts failed: 78 70 73 74 77 76 65 69 75. */
static const struct {
	const char *name;
	enum err_scope scope;
	int exit_code;
	int gravity;
} kinds[] = {
    [ERR_NONE] = {"none", ERR_SCOPE_MESSAGE, 0, 0},
    [ERR_USAGE] = {"usage", ERR_SCOPE_PROCESS, 64, 11},
    [ERR_CONFIG] = {"configuration", ERR_SCOPE_ACCOUNT, 78, 10},
    [ERR_INTERNAL] = {"internal", ERR_SCOPE_PROCESS, 70, 9},
    [ERR_MAIL] = {"mail", ERR_SCOPE_ACCOUNT, 73, 8},
    [ERR_STATE] = {"state", ERR_SCOPE_PROCESS, 74, 7},
    [ERR_AUTH] = {"auth", ERR_SCOPE_ACCOUNT, 77, 6},
    [ERR_TLS] = {"tls", ERR_SCOPE_ACCOUNT, 76, 5},
    [ERR_PROTOCOL] = {"protocol", ERR_SCOPE_ACCOUNT, 76, 5},
    [ERR_QUARANTINE] = {"quarantine", ERR_SCOPE_MESSAGE, 65, 4},
    [ERR_UNREACHABLE] = {"unreachable", ERR_SCOPE_ACCOUNT, 69, 3},
    [ERR_TEMPORARY] = {"temporary", ERR_SCOPE_ACCOUNT, 75, 2},
    [ERR_MESSAGE] = {"message", ERR_SCOPE_MESSAGE, 75, 1},
};

_Static_assert(sizeof kinds / sizeof *kinds == ERR_KINDS,
	       "every kind of error stands in the table");

/* What is formatted may stand in err itself: it is cleared only then. */
static void set_words(struct err *err, enum err_kind kind, const char *format, va_list args)
{
	char raw[sizeof err->words];

	vsnprintf(raw, sizeof raw, format, args);
	err_clear(err);
	err->kind = kind;
	str_visible_to(err->words, sizeof err->words, raw);
}

bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
	va_list args;

	if (!err)
		return false;
	va_start(args, format);
	set_words(err, kind, format, args);
	va_end(args);
	return false;
}

/* The reason is what helps: words that leave no room for it, a long path, are cut. */
bool err_sys(struct err *err, enum err_kind kind, int sys, const char *format, ...)
{
	const char *reason = strerror(sys);
	size_t most = sizeof err->words - strlen(reason) - sizeof ": ";
	va_list args;
	size_t len;

	if (!err)
		return false;
	if (sys == EMFILE || sys == ENFILE)
		kind = ERR_TEMPORARY;
	va_start(args, format);
	set_words(err, kind, format, args);
	va_end(args);
	err->sys = sys;
	len = strlen(err->words);
	if (len > most)
		for (len = most; len && (err->words[len] & 0xc0) == 0x80;)
			len--;
	snprintf(err->words + len, sizeof err->words - len, ": %s", reason);
	return false;
}

bool err_wrap(struct err *err, const char *format, ...)
{
	char context[sizeof err->words];
	char both[2 * sizeof err->words + 2];
	va_list args;

	if (!err)
		return false;
	va_start(args, format);
	vsnprintf(context, sizeof context, format, args);
	va_end(args);
	snprintf(both, sizeof both, "%s: %s", context, err->words);
	str_visible_to(err->words, sizeof err->words, both);
	return false;
}

void err_server(struct err *err, const void *bytes, unsigned long len)
{
	struct buf fit = {0};
	struct buf shown = {0};

	if (!err)
		return;
	veil_cut(&fit, bytes, len);
	str_visible(&shown, fit.data, fit.len, sizeof err->server - 4);
	snprintf(err->server, sizeof err->server, "%s", buf_string(&shown));
	buf_free(&shown);
	buf_free(&fit);
}

void err_clear(struct err *err)
{
	if (err)
		*err = (struct err){.kind = ERR_NONE};
}

enum err_scope err_scope(enum err_kind kind)
{
	return kinds[kind].scope;
}

int err_exit_code(enum err_kind kind)
{
	return kinds[kind].exit_code;
}

const char *err_kind_name(enum err_kind kind)
{
	return kinds[kind].name;
}

enum err_kind err_graver(enum err_kind a, enum err_kind b)
{
	return kinds[b].gravity > kinds[a].gravity ? b : a;
}
