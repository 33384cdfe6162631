/*
 * err: what went wrong, in our words and the server's, and what follows from it.
 *
 * A fallible function returns false and fills the struct err that its caller lent it. Nothing is
 * allocated. Context is put in front on the way up: return err_wrap(err, "account %s", name).
 * One table (err.c) maps each kind to its scope and its exit code.
 */
#ifndef MAILHAUL_UTIL_ERR_H
#define MAILHAUL_UTIL_ERR_H

#include <stdbool.h>

enum err_kind {
	ERR_NONE,
	ERR_USAGE,	 /* the command line                                      64 */
	ERR_CONFIG,	 /* the configuration, or a set-up that cannot work       78 */
	ERR_INTERNAL,	 /* a fault of ours, or of the machine                    70 */
	ERR_MAIL,	 /* mail cannot be written: Maildir, spool, full disk     73 */
	ERR_STATE,	 /* the state cannot be read or written                   74 */
	ERR_AUTH,	 /* the server refused the login, or no secret was to be had  77 */
	ERR_TLS,	 /* encryption refused, not offered, not verified         76 */
	ERR_PROTOCOL,	 /* the server broke the protocol                         76 */
	ERR_QUARANTINE,	 /* a message is in quarantine since this run             65 */
	ERR_UNREACHABLE, /* no address of the host answered                       69 */
	ERR_TEMPORARY, /* silence, a dropped connection, the server asks to wait; an MDA said later
			  75 */
	ERR_MESSAGE,   /* one message failed, the others go on                  75 */
	ERR_KINDS
};

enum err_scope { ERR_SCOPE_MESSAGE, ERR_SCOPE_ACCOUNT, ERR_SCOPE_PROCESS };

struct err {
	enum err_kind kind;
	int sys;	  /* errno where one stood behind it, else 0 */
	char words[768];  /* ours; one line, no control characters */
	char server[384]; /* what the server (or a child program) said, made visible; "" if nothing
			   */
};

/* Fill err and return false. err may be NULL. err_sys adds what strerror(sys) says; that
 * descriptors have run out is ERR_TEMPORARY, whatever wanted one. */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool err_sys(struct err *err, enum err_kind kind, int sys, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "context: " in front of the words; returns false. */
bool err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Notes the words of the server: len octets, made visible, with the account's secrets cut out
 * (veil). */
void err_server(struct err *err, const void *bytes, unsigned long len);

void err_clear(struct err *err);

/* What the table says of a kind. err_kind_name is a word for logs and JSON: "tls", "auth" ... */
enum err_scope err_scope(enum err_kind kind);
int err_exit_code(enum err_kind kind);
const char *err_kind_name(enum err_kind kind);

/* The graver of two kinds by the order of exit codes: 78 70 73 74 77 76 65 69 75. */
enum err_kind err_graver(enum err_kind a, enum err_kind b);

#endif
