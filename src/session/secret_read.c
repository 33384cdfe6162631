/*
 * secret_read: reads a secret that needs no waiting.
 *
 * Files are refused when others can read them; but not a credential, whose directory is systemd's
 * to guard. Buffers are wiped.
 */
#include "session/secret_read.h"

#include "auth/netrc.h"
#include "config/config_home.h"
#include "util/buf.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool secret_take_line(const void *bytes, size_t len, const char *where, char **password_r,
		      struct err *err)
{
	const char *text = bytes;
	const char *end = len ? memchr(text, '\n', len) : NULL;
	size_t line = end ? (size_t)(end - text) : len;

	*password_r = NULL;
	if (line && text[line - 1] == '\r')
		line--;
	if (!line)
		return err_set(err, ERR_AUTH, "%s gave nothing: its first line is empty", where);
	if (memchr(text, '\0', line))
		return err_set(err, ERR_AUTH, "%s gave a secret that contains a NUL", where);
	*password_r = mem_copy_n(text, line);
	return true;
}

/* What a file is called in messages, and how far it is trusted. */
struct kind {
	const char *option;
	size_t most; /* octets that are read; a secret is one line, and the rest is not looked at */
	bool guarded; /* whatever its mode says, others cannot reach it */
};

static const struct kind password_file = {"password_file", SECRET_MAX, false};
static const struct kind credential = {"credential", SECRET_MAX, true};
static const struct kind netrc = {"netrc", NETRC_MAX + 1, false};

/* Only a regular file that others cannot read. -1: err says why not. */
static int open_private(const char *path, const struct kind *kind, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		err_sys(err, ERR_AUTH, errno, "cannot read %s %s", kind->option, path);
	else if (!S_ISREG(st.st_mode))
		err_set(err, ERR_CONFIG, "%s %s is not a regular file", kind->option, path);
	else if (!kind->guarded && (st.st_mode & (S_IRWXG | S_IRWXO)))
		err_set(err, ERR_CONFIG, "%s %s can be read by others; say: chmod 600 %s",
			kind->option, path, path);
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Appends the octets of a file, up to kind->most; the caller wipes them. */
static bool read_file(const char *path, const struct kind *kind, struct buf *out, struct err *err)
{
	int fd = open_private(path, kind, err);
	ssize_t got = 1;

	if (fd < 0)
		return false;
	/* At once, so that no copy is left behind where a buffer grew. */
	(void)buf_reserve(out, kind->most);
	while (got > 0 && out->len < kind->most) {
		got = read(fd, out->data + out->len, kind->most - out->len);
		if (got > 0)
			buf_grow(out, (size_t)got);
	}
	if (got < 0)
		err_sys(err, ERR_AUTH, errno, "cannot read %s %s", kind->option, path);
	close(fd);
	return got >= 0;
}

static bool read_line(const char *path, const struct kind *kind, char **password_r, struct err *err)
{
	struct buf bytes = {0};
	bool ok = read_file(path, kind, &bytes, err) &&
		  secret_take_line(bytes.data, bytes.len, path, password_r, err);

	buf_wipe(&bytes);
	return ok;
}

/* systemd.exec(5), LoadCredential=. */
static bool read_credential(const char *name, char **password_r, struct err *err)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char *path;
	bool ok;

	if (!directory || !*directory)
		return err_set(
		    err, ERR_CONFIG,
		    "credential %s: CREDENTIALS_DIRECTORY is not set, as systemd sets it "
		    "for a service with LoadCredential=%s:FILE",
		    name, name);
	path = mem_printf("%s/%s", directory, name);
	ok = read_line(path, &credential, password_r, err);
	free(path);
	return ok;
}

static char *netrc_path(void)
{
	const char *named = getenv("NETRC");
	char *home, *path;

	if (named && *named)
		return mem_copy(named);
	home = config_home(NULL);
	path = home ? mem_printf("%s/.netrc", home) : NULL;
	free(home);
	return path;
}

static bool read_netrc(const char *host, const char *user, char **password_r, struct err *err)
{
	char *path = netrc_path();
	struct buf bytes = {0};
	bool ok = false;

	if (!path)
		err_set(err, ERR_CONFIG, "netrc: there is no home in which a .netrc could stand");
	else if (read_file(path, &netrc, &bytes, err))
		ok = netrc_find(bytes.data, bytes.len, host, user, password_r, err) ||
		     err_wrap(err, "netrc %s", path);
	buf_wipe(&bytes);
	free(path);
	return ok;
}

bool secret_read(const struct secret *secret, const char *host, const char *user, char **password_r,
		 struct err *err)
{
	*password_r = NULL;
	switch (secret->kind) {
	case SECRET_VALUE:
		*password_r = mem_copy(secret->value);
		return true;
	case SECRET_FILE:
		return read_line(secret->value, &password_file, password_r, err);
	case SECRET_CREDENTIAL:
		return read_credential(secret->value, password_r, err);
	case SECRET_NETRC:
		return read_netrc(host, user, password_r, err);
	case SECRET_COMMAND:
	case SECRET_TOKEN:
		return err_set(err, ERR_INTERNAL, "a command is not read");
	case SECRET_NONE:
		break;
	}
	return err_set(err, ERR_CONFIG, "the account names no password");
}
