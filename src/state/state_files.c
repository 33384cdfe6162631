/*
 * state_files: the directory of the state, its file before SQLite opens it, and the locks.
 *
 * A lock is an empty file that is never removed: of a file that was, one process could hold the
 * old and one the new. flock() dies with the process.
 */
#include "state/state_files.h"

#include "state/state.h"
#include "util/crash.h"
#include "util/log.h"
#include "util/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct state_lock {
	int fd;
};

static bool make_directory(const char *path, struct err *err)
{
	char *copy = mem_copy(path);
	bool ok = true;

	for (char *slash = copy + (*copy == '/'); ok && (slash = strchr(slash, '/'));
	     *slash++ = '/') {
		*slash = '\0';
		ok = !mkdir(copy, 0700) || errno == EEXIST || errno == EACCES || errno == EROFS;
	}
	ok = ok && (!mkdir(copy, 0700) || errno == EEXIST);
	if (!ok)
		(void)err_sys(err, ERR_STATE, errno, "cannot make the state directory %s", path);
	free(copy);
	return ok;
}

/* Once in a life, with all that it stands in: no power cut may take the state away by its
 * directory. What cannot be opened was not made here. */
static bool flush_directory(const char *path, struct err *err)
{
	char *copy = mem_copy(path);
	char *slash = copy;
	bool ok = true;

	while (ok && slash) {
		int fd = open(*copy ? copy : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		ok = fd < 0 || !fsync(fd) || errno == EINVAL ||
		     err_sys(err, ERR_STATE, errno, "cannot flush the state directory %s", copy);
		if (fd >= 0)
			close(fd);
		slash = strrchr(copy, '/');
		if (slash)
			*slash = '\0';
	}
	free(copy);
	return ok;
}

bool state_flush_directory(const char *directory, struct err *err)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && (!fsync(fd) || errno == EINVAL);

	if (!ok)
		(void)err_sys(err, ERR_STATE, errno, "cannot flush the state directory %s",
			      directory);
	if (fd >= 0)
		close(fd);
	return ok;
}

/*
 * SQLite gives its -wal and -shm files the mode of the file they belong to. A file that is there is
 * not opened: closing it would drop the locks of every connection this process has to it.
 */
bool state_make_files(const char *directory, const char *path, bool *made_r, struct err *err)
{
	struct stat st;
	int fd;

	*made_r = false;
	if (!make_directory(directory, err))
		return false;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd >= 0) {
		close(fd);
		*made_r = true;
		if (state_was_used(directory))
			log_warning("the state file %s is missing, though it was there before: "
				    "mailhaul begins anew",
				    path);
		crash_point("state-made");
		return flush_directory(directory, err);
	}
	if (errno != EEXIST || lstat(path, &st))
		return err_sys(err, ERR_STATE, errno, "cannot open the state file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_STATE,
			       "the state file %s is not a regular file; move it aside", path);
	/* Whoever made it died before it flushed, or is about to. */
	return st.st_size || flush_directory(directory, err);
}

bool state_wants_wal(uint32_t type)
{
	static const uint32_t shared[] = {NFS_SUPER_MAGIC,
					  SMB_SUPER_MAGIC,
					  CIFS_SUPER_MAGIC,
					  SMB2_SUPER_MAGIC,
					  FUSE_SUPER_MAGIC,
					  V9FS_MAGIC,
					  AFS_SUPER_MAGIC,
					  AFS_FS_MAGIC,
					  CODA_SUPER_MAGIC,
					  CEPH_SUPER_MAGIC,
					  OCFS2_SUPER_MAGIC,
					  NCP_SUPER_MAGIC,
					  0x01161970 /* GFS2 */,
					  0x0bd00bd0 /* Lustre */,
					  0x786f4256 /* VirtualBox */};

	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
		if (type == shared[i])
			return false;
	return true;
}

bool state_may_wal(const char *directory)
{
	struct statfs fs;

	return statfs(directory, &fs) || state_wants_wal((uint32_t)fs.f_type);
}

int state_enter_alone(const char *directory, struct err *err)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && !flock(fd, LOCK_EX))
		return fd;
	(void)err_sys(err, ERR_STATE, errno, "cannot lock the state directory %s", directory);
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct state_lock *lock_file(const struct state *state, const char *name, struct err *err)
{
	char *path = mem_printf("%s/locks", state_directory(state));
	struct state_lock *lock = NULL;
	int fd;

	err_clear(err);
	if (mkdir(path, 0700) && errno != EEXIST) {
		(void)err_sys(err, ERR_STATE, errno, "cannot make %s", path);
		free(path);
		return NULL;
	}
	free(path);
	path = mem_printf("%s/locks/%s", state_directory(state), name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
		lock = mem_new(1, sizeof *lock);
		lock->fd = fd;
	} else {
		if (fd < 0 || errno != EWOULDBLOCK)
			(void)err_sys(err, ERR_STATE, errno, "cannot lock %s", path);
		if (fd >= 0)
			close(fd);
	}
	free(path);
	return lock;
}

struct state_lock *state_lock(struct state *state, int64_t mailbox, struct err *err)
{
	char name[24];

	snprintf(name, sizeof name, "%" PRId64, mailbox);
	return lock_file(state, name, err);
}

/* It stands among the others, so that no state is set aside while a daemon has it open. */
struct state_lock *state_lock_daemon(struct state *state, struct err *err)
{
	return lock_file(state, "daemon", err);
}

void state_unlock(struct state_lock **lock)
{
	if (!*lock)
		return;
	close((*lock)->fd);
	free(*lock);
	*lock = NULL;
}

/* ---- all locks ---- */

struct state_locks {
	int *fds;
	size_t count;
};

/* The next lock file that there is. */
static const char *next_lock(DIR *directory)
{
	struct dirent *entry;

	while ((entry = readdir(directory)))
		if (*entry->d_name != '.')
			return entry->d_name;
	return NULL;
}

static DIR *open_locks(const char *directory)
{
	char *path = mem_printf("%s/locks", directory);
	DIR *locks = opendir(path);

	free(path);
	return locks;
}

bool state_was_used(const char *directory)
{
	DIR *locks = open_locks(directory);
	bool used = locks && next_lock(locks);

	if (locks)
		closedir(locks);
	return used;
}

static bool lock_one(struct state_locks *locks, int directory, const char *name, struct err *err)
{
	int fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0)
		return err_sys(err, ERR_STATE, errno, "cannot lock locks/%s", name);
	locks->fds = mem_resize(locks->fds, locks->count + 1, sizeof *locks->fds);
	locks->fds[locks->count++] = fd;
	return !flock(fd, LOCK_EX | LOCK_NB) ||
	       (errno == EWOULDBLOCK
		    ? err_set(err, ERR_TEMPORARY, "another mailhaul is at work; nothing was done")
		    : err_sys(err, ERR_STATE, errno, "cannot lock locks/%s", name));
}

struct state_locks *state_lock_all(const char *directory, struct err *err)
{
	struct state_locks *locks = mem_new(1, sizeof *locks);
	DIR *all = open_locks(directory);
	const char *name;
	bool ok = all || errno == ENOENT ||
		  err_sys(err, ERR_STATE, errno, "cannot read the locks in %s", directory);

	while (ok && all && (name = next_lock(all)))
		ok = lock_one(locks, dirfd(all), name, err);
	if (all)
		closedir(all);
	if (!ok)
		state_unlock_all(&locks);
	return locks;
}

void state_unlock_all(struct state_locks **locks)
{
	if (!*locks)
		return;
	for (size_t i = 0; i < (*locks)->count; i++)
		close((*locks)->fds[i]);
	free((*locks)->fds);
	free(*locks);
	*locks = NULL;
}
