/*
 * netrc: finds a password in the octets of a ~/.netrc, as ftp(1) and curl know that file. Reads no
 * file itself.
 *
 * Entries begin with "machine NAME" or "default", and hold "login NAME", "password WORD" and
 * "account WORD" in any order. Words stand apart by white space, or in double quotes, in which a
 * backslash protects the next character (\n, \r and \t are what C makes of them). Where a key word
 * could stand, "#" begins a comment. "macdef" is skipped up to the next empty line.
 */
#ifndef MAILHAUL_AUTH_NETRC_H
#define MAILHAUL_AUTH_NETRC_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { NETRC_MAX = 1024 * 1024 };

/*
 * The password of the first entry for this machine (any case) and login; one without a login is for
 * every login. "default" is for every machine, from where it stands on. *password_r is to be freed
 * with mem_free_secret(). Fails with ERR_AUTH if there is none, with ERR_CONFIG for what is no
 * netrc (naming the line, never what stands there) or is longer than NETRC_MAX.
 */
bool netrc_find(const void *bytes, size_t len, const char *machine, const char *login,
		char **password_r, struct err *err);

#endif
