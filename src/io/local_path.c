/*
 * local_path: the address of a Unix-domain socket whose path may be longer than such an address.
 *
 * An address holds 107 octets, and a user's state may stand deeper: then the directory is opened,
 * and the address goes by its descriptor.
 */
#include "io/local_path.h"

#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_directory(const char *path, const char *slash)
{
	char *dir = slash == path ? mem_copy("/") : mem_copy_n(path, (size_t)(slash - path));
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	free(dir);
	return fd;
}

static bool too_long(const char *path, struct err *err)
{
	return err_set(err, ERR_STATE, "the path of the socket %s is too long", path);
}

static bool shorten(struct local_path *at, const char *path, struct err *err)
{
	const size_t room = sizeof at->address.sun_path;
	const char *slash = strrchr(path, '/');
	int len;

	if (!slash)
		return too_long(path, err);
	at->dir = open_directory(path, slash);
	if (at->dir < 0)
		return err_sys(err, ERR_STATE, errno, "the directory of %s", path);
	len = snprintf(at->address.sun_path, room, "/proc/self/fd/%d/%s", at->dir, slash + 1);
	if (len < 0 || (size_t)len >= room || access("/proc/self/fd", X_OK)) {
		local_path_close(at);
		return too_long(path, err);
	}
	return true;
}

bool local_path_open(struct local_path *at, const char *path, struct err *err)
{
	*at = (struct local_path){
	    .address.sun_family = AF_UNIX, .len = sizeof at->address, .dir = -1};
	if (strlen(path) >= sizeof at->address.sun_path)
		return shorten(at, path, err);
	memcpy(at->address.sun_path, path, strlen(path) + 1);
	return true;
}

void local_path_close(struct local_path *at)
{
	if (at->dir >= 0)
		close(at->dir);
	at->dir = -1;
}
