/*
 * secret_read: reads a secret that needs no waiting: one that stands in the configuration, in a
 * file, in systemd's directory of credentials, or in a netrc.
 */
#ifndef MAILHAUL_SESSION_SECRET_READ_H
#define MAILHAUL_SESSION_SECRET_READ_H

#include "config/secret.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { SECRET_MAX = 16384 };

/*
 * Any kind but a command. *password_r is to be freed with mem_free_secret(). Fails with ERR_CONFIG
 * for a file that others can read, that is none, or that no variable leads to; with ERR_AUTH for
 * one that cannot be read or holds no password.
 */
bool secret_read(const struct secret *secret, const char *host, const char *user, char **password_r,
		 struct err *err);

/* The first line is the secret, without its line end. where: whose octets they are, for people. */
bool secret_take_line(const void *bytes, size_t len, const char *where, char **password_r,
		      struct err *err);

#endif
