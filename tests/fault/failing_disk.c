/*
 * failing_disk: stands between a program and the C library (LD_PRELOAD), and has the calls fail
 *that a full or dying disk would let fail.
 *
 *	DISK_TOP=DIR      only files below it count
 *	DISK_LOG=FILE     each call is appended: its kind and path, " to " where it was moved, and a
 *	                  "!" in front of one that was made to fail
 *	DISK_FAIL=KINDS   which kinds fail, with commas: write flush make rewrite (opening for
 *	                  writing what is there) open read list stat mkdir move unlink size close
 *	DISK_UNDER=PATH   only where the path begins like this
 *	DISK_NTH=N        the Nth of them, counted over the whole process
 *	DISK_STAYS=1      and all that follow; the first write is then cut short, as on a full disk
 *	DISK_WHILE=FILE   only while this file is there
 *	DISK_NETWORK=1    every file system says that it is NFS
 *	DISK_ERRNO=N      how; 0: the file is removed by somebody, and the call goes on
 *
 * What it does for the program goes by system calls, so that it depends on nothing that it covers.
 * Programs that are started by the program know nothing of it.
 */
#include "covered.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *top, *list, *kinds, *under, *only_while;
static long nth, number, stays, network;
static atomic_long seen;

static long setting(const char *name)
{
	const char *value = getenv(name);

	return value ? strtol(value, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void)
{
	top = getenv("DISK_TOP");
	list = getenv("DISK_LOG");
	kinds = getenv("DISK_FAIL");
	under = getenv("DISK_UNDER");
	only_while = getenv("DISK_WHILE");
	nth = setting("DISK_NTH");
	number = setting("DISK_ERRNO");
	stays = setting("DISK_STAYS");
	network = setting("DISK_NETWORK");
	unsetenv("LD_PRELOAD");
}

/* ---- what is called, and where ---- */

static bool has_kind(const char *kind)
{
	size_t len = strlen(kind);

	for (const char *at = kinds; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, kind, len) == 0 && (!at[len] || at[len] == ','))
			return true;
	}
	return false;
}

static void note(const char *kind, const char *path, const char *to, bool failed)
{
	char line[2 * PATH_SIZE + 64];
	int len = snprintf(line, sizeof line, "%s%s %s%s%s\n", failed ? "!" : "", kind, path,
			   to ? " to " : "", to ? to : "");
	int fd;

	if (!list)
		return;
	fd = (int)syscall(SYS_openat, AT_FDCWD, list, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			  0600);
	syscall(SYS_write, fd, line, (size_t)len);
	syscall(SYS_close, fd);
}

static bool is_there(const char *path)
{
	int sys = errno;
	bool there = !syscall(SYS_faccessat, AT_FDCWD, path, F_OK);

	errno = sys;
	return there;
}

/* 0: the call goes on; 1: it fails, and errno says how; 2: it is the first of many. */
static int verdict(const char *kind, const char *path, const char *to)
{
	long at = 0;
	bool fails;

	if (!begins(path, top))
		return 0;
	if (only_while && !is_there(only_while))
		return 0;
	if (has_kind(kind) && begins(path, under))
		at = atomic_fetch_add(&seen, 1) + 1;
	fails = at && (at == nth || (stays && at > nth));
	note(kind, path, to, fails);
	if (fails && !number)
		syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	if (!fails || !number)
		return 0;
	errno = (int)number;
	return stays && at == nth ? 2 : 1;
}

static int on_fd(const char *kind, int fd)
{
	char path[PATH_SIZE];

	path_of(fd, path);
	return verdict(kind, path, NULL);
}

static int on_name(const char *kind, int fd, const char *name)
{
	char path[PATH_SIZE];

	path_at(fd, name, path);
	return verdict(kind, path, NULL);
}

/* ---- the calls ---- */

ssize_t write(int fd, const void *octets, size_t len)
{
	int how = on_fd("write", fd);

	if (how == 1 || (how && len < 2))
		return -1;
	return syscall(SYS_write, fd, octets, how ? len / 2 : len);
}

ssize_t pwrite64(int fd, const void *octets, size_t len, off_t at)
{
	int how = on_fd("write", fd);

	if (how == 1 || (how && len < 2))
		return -1;
	return syscall(SYS_pwrite64, fd, octets, how ? len / 2 : len, at);
}

ssize_t pwrite(int fd, const void *octets, size_t len, off_t at)
{
	return pwrite64(fd, octets, len, at);
}

int __dprintf_chk(int fd, int flag, const char *format, ...);

__attribute__((format(printf, 3, 4))) int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	char text[PATH_SIZE];
	va_list args;
	int len;

	(void)flag;
	va_start(args, format);
	len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return (int)write(fd, text, (size_t)len);
}

ssize_t read(int fd, void *octets, size_t len)
{
	return on_fd("read", fd) ? -1 : syscall(SYS_read, fd, octets, len);
}

ssize_t pread64(int fd, void *octets, size_t len, off_t at)
{
	return on_fd("read", fd) ? -1 : syscall(SYS_pread64, fd, octets, len, at);
}

ssize_t pread(int fd, void *octets, size_t len, off_t at)
{
	return pread64(fd, octets, len, at);
}

int fsync(int fd)
{
	return on_fd("flush", fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return on_fd("flush", fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	return on_fd("flush", fd) ? -1 : (int)syscall(SYS_syncfs, fd);
}

int ftruncate64(int fd, off_t len)
{
	return on_fd("size", fd) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

/* The descriptor is gone, whatever close() says. Not by a system call: ThreadSanitizer must know
 * that its number is free, or takes two files for one. */
int close(int fd)
{
	int (*real)(int);
	int how = on_fd("close", fd);
	int sys = errno;

	*(void **)&real = dlsym(RTLD_NEXT, "close");
	if (real(fd) < 0)
		return -1;
	errno = sys;
	return how ? -1 : 0;
}

/* A file that is there needs no space to be opened, even where it would be made otherwise. */
static int open_at(int directory, const char *name, int flags, mode_t mode)
{
	const char *kind = (flags & O_ACCMODE) == O_RDONLY ? "open" : "rewrite";
	struct stat st;

	if (flags & O_CREAT && syscall(SYS_newfstatat, directory, name, &st, AT_SYMLINK_NOFOLLOW))
		kind = "make";
	if (on_name(kind, directory, name))
		return -1;
	return (int)syscall(SYS_openat, directory, name, flags, mode);
}

/* What stands behind the flags is there only with O_CREAT. */
#define MODE_BEHIND(flags, mode)                                                                   \
	do {                                                                                       \
		va_list args;                                                                      \
		va_start(args, flags);                                                             \
		(mode) = (flags)&O_CREAT ? va_arg(args, mode_t) : 0;                               \
		va_end(args);                                                                      \
	} while (0)

int open64(const char *name, int flags, ...)
{
	mode_t mode;

	MODE_BEHIND(flags, mode);
	return open_at(AT_FDCWD, name, flags, mode);
}

int open(const char *name, int flags, ...)
{
	mode_t mode;

	MODE_BEHIND(flags, mode);
	return open_at(AT_FDCWD, name, flags, mode);
}

int openat(int directory, const char *name, int flags, ...)
{
	mode_t mode;

	MODE_BEHIND(flags, mode);
	return open_at(directory, name, flags, mode);
}

int fstatat(int directory, const char *restrict name, struct stat *restrict st, int flags)
{
	return on_name("stat", directory, name)
		   ? -1
		   : (int)syscall(SYS_newfstatat, directory, name, st, flags);
}

struct dirent *readdir(DIR *directory)
{
	struct dirent *(*real)(DIR *);

	*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	return on_fd("list", dirfd(directory)) ? NULL : real(directory);
}

int mkdirat(int directory, const char *name, mode_t mode)
{
	return on_name("mkdir", directory, name) ? -1
						 : (int)syscall(SYS_mkdirat, directory, name, mode);
}

int mkdir(const char *name, mode_t mode)
{
	return mkdirat(AT_FDCWD, name, mode);
}

int unlinkat(int directory, const char *name, int flags)
{
	return on_name("unlink", directory, name)
		   ? -1
		   : (int)syscall(SYS_unlinkat, directory, name, flags);
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int renameat2(int from, const char *name, int to, const char *as, unsigned flags)
{
	char path[PATH_SIZE];
	char target[PATH_SIZE];

	path_at(from, name, path);
	path_at(to, as, target);
	return verdict("move", path, target)
		   ? -1
		   : (int)syscall(SYS_renameat2, from, name, to, as, flags);
}

int renameat(int from, const char *name, int to, const char *as)
{
	return renameat2(from, name, to, as, 0);
}

int linkat(int from, const char *name, int to, const char *as, int flags)
{
	char path[PATH_SIZE];
	char target[PATH_SIZE];

	path_at(from, name, path);
	path_at(to, as, target);
	return verdict("move", path, target) ? -1
					     : (int)syscall(SYS_linkat, from, name, to, as, flags);
}

int statfs(const char *path, struct statfs *fs)
{
	int result = (int)syscall(SYS_statfs, path, fs);

	if (!result && network)
		fs->f_type = 0x6969;
	return result;
}
