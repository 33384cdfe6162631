/*
 * small_disk: a file system of a few KB, to fill. Where the machine allows no namespaces, none.
 */
#ifndef MAILHAUL_TESTS_SMALL_DISK_H
#define MAILHAUL_TESTS_SMALL_DISK_H

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static bool small_disk_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Mounts it on a directory, seen by this process (a test has one of its own) alone. */
static bool small_disk_mount(const char *path, const char *options)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWNS)) {
		snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
		    !small_disk_write("/proc/self/uid_map", map) ||
		    !small_disk_write("/proc/self/setgroups", "deny"))
			return false;
		snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
		if (!small_disk_write("/proc/self/gid_map", map))
			return false;
	}
	return !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("tmpfs", path, "tmpfs", 0, options);
}

/* Leaves this many octets, or fewer by what a page is. */
static void small_disk_fill(const char *file, off_t leave)
{
	char zeros[4096] = "";
	int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	off_t len = 0;

	while (write(fd, zeros, sizeof zeros) == (ssize_t)sizeof zeros)
		len += (off_t)sizeof zeros;
	(void)!ftruncate(fd, len > leave ? len - leave : 0);
	close(fd);
}

#endif
