/*
 * power_cut: stands between a program and the C library (LD_PRELOAD), and keeps a record of what
 * would be on the disk, were the power cut now.
 *
 *	POWER_TOP=DIR     only what is below it counts
 *	POWER_DISK=DIR    the record, in a place of its own on the same file system:
 *	                  file/INODE   what a file held when it was last flushed
 *	                  list/INODE   what a directory held: a line for each, "INODE NAME"
 *	                  kept/INODE   a link to a file that was unlinked, so that its number is not
 *	                               given to another one, and what was not flushed can be told
 *	POWER_NETWORK=1   every file system says that it is NFS, and can do no more than that
 *
 * The record is made of files that come into their place by a rename, so it outlives the program
 * however that dies. What was not recorded is what a power cut may take: power.py reads it.
 *
 * The model is the weakest that POSIX lets a program count on: fsync() and fdatasync() of a file
 *keep its octets, but not its name; fsync() of a directory keeps the names in it, but nothing of
 *the files; syncfs() keeps both, of all that is below POWER_TOP. Only SQLite's files are left out
 *of that: they would have to be opened, and closing them would drop their locks; their own flushes
 * count. What was never flushed is an empty file without a name.
 *
 * Nothing is really flushed. Programs that are started by the program know nothing of all this.
 */
#include "covered.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static const char *top, *disk;
static bool network;
static atomic_ulong sequence;

__attribute__((constructor)) static void begin(void)
{
	top = getenv("POWER_TOP");
	disk = getenv("POWER_DISK");
	network = getenv("POWER_NETWORK") != NULL;
	unsetenv("LD_PRELOAD");
}

/* A record that is wrong would make every answer wrong. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

/* ---- the record ---- */

struct record {
	int fd;
	char path[PATH_SIZE];
};

static void record_begin(struct record *record)
{
	snprintf(record->path, sizeof record->path, "%s/%ld.%lu", disk, (long)getpid(), ++sequence);
	record->fd = (int)syscall(SYS_openat, AT_FDCWD, record->path,
				  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(record->fd >= 0, record->path);
}

static void record_put(const struct record *record, const void *octets, size_t len)
{
	must(syscall(SYS_write, record->fd, octets, len) == (long)len, record->path);
}

static void record_end(const struct record *record, const char *kind, ino_t inode)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof path, "%s/%s/%lu", disk, kind, (unsigned long)inode);
	must(!syscall(SYS_close, record->fd), path);
	must(!syscall(SYS_renameat2, AT_FDCWD, record->path, AT_FDCWD, path, 0), path);
}

static void record_file(int fd, const struct stat *st)
{
	struct record record;
	struct timespec times[2] = {st->st_atim, st->st_mtim};
	char octets[65536];
	off_t at = 0;
	long got;

	record_begin(&record);
	while ((got = syscall(SYS_pread64, fd, octets, sizeof octets, at)) > 0) {
		record_put(&record, octets, (size_t)got);
		at += got;
	}
	must(!got, "what is to be flushed");
	must(!syscall(SYS_utimensat, record.fd, NULL, times, 0), record.path);
	record_end(&record, "file", st->st_ino);
}

struct entry { /* linux_dirent64 */
	uint64_t inode;
	int64_t next;
	unsigned short length;
	unsigned char type;
	char name[];
};

static void each_entry(int directory, void (*each)(void *ctx, int directory, const struct entry *),
		       void *ctx)
{
	_Alignas(struct entry) char octets[32768];
	int fd = (int)syscall(SYS_openat, directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long got;

	must(fd >= 0, "directory");
	while ((got = syscall(SYS_getdents64, fd, octets, sizeof octets)) > 0) {
		for (long at = 0; at < got;) {
			const struct entry *entry = (const void *)(octets + at);

			at += entry->length;
			if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0)
				each(ctx, fd, entry);
		}
	}
	must(!got, "directory");
	syscall(SYS_close, fd);
}

static void put_entry(void *ctx, int directory, const struct entry *entry)
{
	char line[512];
	int len = snprintf(line, sizeof line, "%lu %s\n", (unsigned long)entry->inode, entry->name);

	(void)directory;
	record_put(ctx, line, (size_t)len);
}

static void record_directory(int fd, const struct stat *st)
{
	struct record record;

	record_begin(&record);
	each_entry(fd, put_entry, &record);
	record_end(&record, "list", st->st_ino);
}

/* ---- flushing ---- */

/* What is open for writing only, a letter, is opened once more. */
static void flush_one(int fd)
{
	char path[PATH_SIZE];
	struct stat st;
	int again = fd;

	path_of(fd, path);
	if (!disk || !begins(path, top))
		return;
	must(!fstat(fd, &st), path);
	if (S_ISDIR(st.st_mode)) {
		record_directory(fd, &st);
		return;
	}
	if ((syscall(SYS_fcntl, fd, F_GETFL) & O_ACCMODE) == O_WRONLY) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		again = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
		must(again >= 0, path);
	}
	record_file(again, &st);
	if (again != fd)
		syscall(SYS_close, again);
}

/* A finished letter has its time, which writing would change: it is not recorded twice. */
static bool recorded(const struct stat *st)
{
	char path[PATH_SIZE];
	struct stat before;

	snprintf(path, sizeof path, "%s/file/%lu", disk, (unsigned long)st->st_ino);
	return !stat(path, &before) && before.st_size == st->st_size &&
	       before.st_mtim.tv_sec == st->st_mtim.tv_sec &&
	       before.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
}

/* What others take away meanwhile is nobody's. */
static void flush_below(void *ctx, int directory, const struct entry *entry)
{
	struct stat st;
	int fd;

	if (begins(entry->name, "state.db"))
		return;
	fd = (int)syscall(SYS_openat, directory, entry->name,
			  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && !recorded(&st))
		record_file(fd, &st);
	if (S_ISDIR(st.st_mode)) {
		each_entry(fd, flush_below, ctx);
		record_directory(fd, &st);
	}
	syscall(SYS_close, fd);
}

int fsync(int fd)
{
	flush_one(fd);
	return 0;
}

int fdatasync(int fd)
{
	flush_one(fd);
	return 0;
}

int syncfs(int fd)
{
	int directory;

	if (!disk || !top)
		return (int)syscall(SYS_syncfs, fd);
	directory = (int)syscall(SYS_openat, AT_FDCWD, top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(directory >= 0, top);
	each_entry(directory, flush_below, NULL);
	flush_one(directory);
	syscall(SYS_close, directory);
	return 0;
}

/* ---- taking away ---- */

int unlinkat(int directory, const char *name, int flags)
{
	char path[PATH_SIZE];
	struct stat st;

	path_at(directory, name, path);
	if (disk && begins(path, top) &&
	    !syscall(SYS_newfstatat, directory, name, &st, AT_SYMLINK_NOFOLLOW)) {
		snprintf(path, sizeof path, "%s/kept/%lu", disk, (unsigned long)st.st_ino);
		(void)syscall(SYS_linkat, directory, name, AT_FDCWD, path, 0);
	}
	return (int)syscall(SYS_unlinkat, directory, name, flags);
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

/* ---- a network file system ---- */

int statfs(const char *path, struct statfs *fs)
{
	int result = (int)syscall(SYS_statfs, path, fs);

	if (!result && network)
		fs->f_type = 0x6969;
	return result;
}

int renameat2(int from, const char *name, int to, const char *as, unsigned flags)
{
	if (network && flags) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from, name, to, as, flags);
}
