/*
 * box: a directory in which letters wait, and the new/ and cur/ of a Maildir into which they are
 * put.
 *
 * Contract: see the header. A letter is moved by one rename, so that it stands in one place or in
 * the other at any moment. Where the file system cannot rename without overwriting (NFS) it is
 * linked and unlinked; dying in between leaves two names of one file, which box_place() mends.
 *
 * A mail reader moves letters from new/ to cur/ and changes what stands behind their names at any
 * time. So new/ is read before cur/, and both are read again if cur/ changed meanwhile.
 */
#include "deliver/box.h"

#include "io/disk.h"
#include "util/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

enum {
	NAMES_AGE = 60, /* seconds after which the names are read again */
	NAMES_TRIES = 4 /* readings, while a mail reader is at work */
};

struct box_name {
	UT_hash_handle hh;
	char base[];
};

struct box {
	char *waiting_path, *new_path, *cur_path;
	int waiting, new, cur;
	struct box_name *names; /* that were seen in new/ or cur/ */
	bool names_read;
	time_t names_time;
};

static time_t clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static int open_directory(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		err_sys(err, ERR_MAIL, errno, "cannot open directory %s", path);
	return fd;
}

struct box *box_open(const char *waiting, const char *maildir, struct err *err)
{
	struct box *box = mem_new(1, sizeof *box);

	box->waiting_path = mem_copy(waiting);
	box->new_path = mem_printf("%s/new", maildir);
	box->cur_path = mem_printf("%s/cur", maildir);
	box->new = box->cur = -1;
	box->waiting = open_directory(box->waiting_path, err);
	if (box->waiting >= 0)
		box->new = open_directory(box->new_path, err);
	if (box->new >= 0)
		box->cur = open_directory(box->cur_path, err);
	if (box->cur < 0)
		box_free(&box);
	return box;
}

static void names_forget(struct box *box)
{
	struct box_name *entry = box->names;

	HASH_CLEAR(hh, box->names);
	while (entry) {
		struct box_name *next = entry->hh.next;

		free(entry);
		entry = next;
	}
	box->names_read = false;
}

void box_free(struct box **box)
{
	struct box *b = *box;

	*box = NULL;
	if (!b)
		return;
	names_forget(b);
	if (b->waiting >= 0)
		close(b->waiting);
	if (b->new >= 0)
		close(b->new);
	if (b->cur >= 0)
		close(b->cur);
	free(b->waiting_path);
	free(b->new_path);
	free(b->cur_path);
	free(b);
}

int box_directory(const struct box *box)
{
	return box->waiting;
}

bool box_flush(struct box *box, struct err *err)
{
	return disk_flush_directory(box->waiting, box->waiting_path, err);
}

bool box_settle(struct box *box, struct err *err)
{
	names_forget(box);
	return disk_flush_directory(box->new, box->new_path, err) &&
	       disk_flush_directory(box->waiting, box->waiting_path, err);
}

/* ---- the names in new/ and cur/ ---- */

/* Flags follow a colon; mbsync and offlineimap put ",U=..." in front of it, Dovecot ",S=...". */
static size_t base_length(const char *name)
{
	return strcspn(name, ",:");
}

static bool names_have(const struct box *box, const char *name)
{
	struct box_name *entry;

	HASH_FIND(hh, box->names, name, base_length(name), entry);
	return entry != NULL;
}

static void names_add(struct box *box, const char *name)
{
	size_t len = base_length(name);
	struct box_name *entry;

	if (names_have(box, name))
		return;
	entry = mem_new(1, sizeof *entry + len + 1);
	memcpy(entry->base, name, len);
	HASH_ADD_KEYPTR(hh, box->names, entry->base, len, entry);
}

/* Opens a directory anew, so that it is read from its beginning. */
static DIR *reading(int fd, const char *path, struct err *err)
{
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);

	if (!dir) {
		err_sys(err, ERR_MAIL, errno, "cannot read directory %s", path);
		if (again >= 0)
			close(again);
	}
	return dir;
}

/* Calls each() for every name but those that begin with a dot. */
static bool read_names(int fd, const char *path, void (*each)(void *ctx, const char *name),
		       void *ctx, struct err *err)
{
	DIR *dir = reading(fd, path, err);
	struct dirent *entry;
	int sys;

	if (!dir)
		return false;
	for (errno = 0; (entry = readdir(dir)); errno = 0)
		if (entry->d_name[0] != '.')
			each(ctx, entry->d_name);
	sys = errno;
	closedir(dir);
	return !sys || err_sys(err, ERR_MAIL, sys, "cannot read directory %s", path);
}

static void names_each(void *ctx, const char *name)
{
	names_add(ctx, name);
}

static bool changed(const struct stat *before, const struct stat *after)
{
	return before->st_mtim.tv_sec != after->st_mtim.tv_sec ||
	       before->st_mtim.tv_nsec != after->st_mtim.tv_nsec;
}

static bool names_read(struct box *box, struct err *err)
{
	struct stat before = {0};
	struct stat after = {0};

	if (box->names_read && clock_seconds() - box->names_time <= NAMES_AGE)
		return true;
	names_forget(box);
	for (int i = 0; i < NAMES_TRIES; i++) {
		fstat(box->cur, &before);
		if (!read_names(box->new, box->new_path, names_each, box, err) ||
		    !read_names(box->cur, box->cur_path, names_each, box, err))
			return false;
		fstat(box->cur, &after);
		if (!changed(&before, &after))
			break;
	}
	box->names_read = true;
	box->names_time = clock_seconds();
	return true;
}

/* ---- letters ---- */

/* Names come from the state; one that would lead elsewhere must not be followed. */
static bool name_good(const char *name, struct err *err)
{
	if (*name && *name != '.' && !strchr(name, '/'))
		return true;
	return err_set(err, ERR_INTERNAL, "\"%s\" is no name of a letter", name);
}

static bool stands(int directory, const char *path, const char *name, bool *stands_r,
		   struct err *err)
{
	struct stat st;

	*stands_r = fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (*stands_r || errno == ENOENT)
		return true;
	return err_sys(err, ERR_MAIL, errno, "cannot look for %s/%s", path, name);
}

bool box_find(struct box *box, const char *name, enum sink_where *where_r, struct err *err)
{
	bool there;

	*where_r = SINK_NOWHERE;
	if (!name_good(name, err) || !stands(box->waiting, box->waiting_path, name, &there, err))
		return false;
	if (there) {
		*where_r = SINK_TMP;
		return true;
	}
	if (!stands(box->new, box->new_path, name, &there, err))
		return false;
	if (!there && !names_read(box, err))
		return false;
	if (there || names_have(box, name))
		*where_r = SINK_PLACED;
	return true;
}

/* For file systems that have no RENAME_NOREPLACE, and for those that have no hard links either. */
static int move_by_link(int from, const char *name, int to, const char *as)
{
	struct stat st;

	if (linkat(from, name, to, as, 0) == 0)
		return unlinkat(from, name, 0) == 0 ? 0 : errno;
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return errno;
	if (fstatat(to, as, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	return renameat(from, name, to, as) == 0 ? 0 : errno;
}

int box_move(int from, const char *name, int to, const char *as)
{
	if (renameat2(from, name, to, as, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
		return move_by_link(from, name, to, as);
	return errno;
}

/* Both names lead to one file: a move by link was cut short, and is finished here. */
static bool finish_move(struct box *box, const char *name)
{
	struct stat a;
	struct stat b;

	return fstatat(box->waiting, name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(box->new, name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino && unlinkat(box->waiting, name, 0) == 0;
}

bool box_place(struct box *box, const char *name, struct err *err)
{
	enum sink_where where;
	int sys;

	if (!name_good(name, err))
		return false;
	sys = box_move(box->waiting, name, box->new, name);
	if (sys == EEXIST && finish_move(box, name))
		sys = 0;
	if (sys == ENOENT) {
		if (!box_find(box, name, &where, err))
			return false;
		if (where == SINK_PLACED)
			return true;
	}
	if (sys)
		return err_sys(err, ERR_MAIL, sys, "cannot move %s/%s into %s", box->waiting_path,
			       name, box->new_path);
	if (box->names_read)
		names_add(box, name);
	return true;
}

/* ---- letters in place ---- */

struct searching {
	const char *name;
	char *file; /* its whole name, once it is found */
};

static void search_each(void *ctx, const char *name)
{
	struct searching *s = ctx;
	size_t len = base_length(s->name);

	if (!s->file && base_length(name) == len && !strncmp(name, s->name, len))
		s->file = mem_copy(name);
}

/* The directory it stands in and its name there; *file_r NULL if it stands in neither. */
static bool search(struct box *box, const char *name, bool *in_cur_r, char **file_r,
		   struct err *err)
{
	struct searching s = {.name = name};
	bool there;

	*in_cur_r = false;
	*file_r = NULL;
	if (!name_good(name, err) || !stands(box->new, box->new_path, name, &there, err))
		return false;
	if (there) {
		*file_r = mem_copy(name);
		return true;
	}
	if (!read_names(box->new, box->new_path, search_each, &s, err))
		return false;
	*in_cur_r = !s.file;
	if (!s.file && !read_names(box->cur, box->cur_path, search_each, &s, err))
		return false;
	*file_r = s.file;
	return true;
}

bool box_locate(struct box *box, const char *name, char **path_r, struct err *err)
{
	bool in_cur;
	char *file;

	*path_r = NULL;
	if (!search(box, name, &in_cur, &file, err))
		return false;
	if (file)
		*path_r = mem_printf("%s/%s", in_cur ? box->cur_path : box->new_path, file);
	free(file);
	return true;
}

bool box_take_back(struct box *box, const char *name, struct err *err)
{
	bool in_cur;
	char *file;
	int sys;

	if (!search(box, name, &in_cur, &file, err))
		return false;
	sys = file ? box_move(in_cur ? box->cur : box->new, file, box->waiting, name) : ENOENT;
	free(file);
	names_forget(box);
	return !sys || err_sys(err, ERR_MAIL, sys, "cannot move letter %s from %s to %s", name,
			       in_cur ? box->cur_path : box->new_path, box->waiting_path);
}

bool box_remove(struct box *box, const char *name, struct err *err)
{
	const char *path;
	bool in_cur;
	char *file;
	int sys = 0;
	int directory;

	if (!search(box, name, &in_cur, &file, err))
		return false;
	directory = in_cur ? box->cur : box->new;
	path = in_cur ? box->cur_path : box->new_path;
	if (file && unlinkat(directory, file, 0) && errno != ENOENT)
		sys = errno;
	free(file);
	names_forget(box);
	if (sys)
		return err_sys(err, ERR_MAIL, sys, "cannot remove letter %s from %s", name, path);
	return disk_flush_directory(directory, path, err);
}

struct straying {
	const char *mark;
	void (*stray)(void *ctx, const char *name);
	void *ctx;
};

static void strays_each(void *ctx, const char *name)
{
	const struct straying *s = ctx;

	if (strstr(name, s->mark))
		s->stray(s->ctx, name);
}

bool box_strays(struct box *box, const char *mark, void (*stray)(void *ctx, const char *name),
		void *ctx, struct err *err)
{
	struct straying s = {.mark = mark, .stray = stray, .ctx = ctx};

	return read_names(box->waiting, box->waiting_path, strays_each, &s, err);
}

bool box_discard(struct box *box, const char *name, struct err *err)
{
	if (!name_good(name, err))
		return false;
	if (unlinkat(box->waiting, name, 0) == 0 || errno == ENOENT)
		return true;
	return err_sys(err, ERR_MAIL, errno, "cannot remove %s/%s", box->waiting_path, name);
}

/* ---- directories ---- */

bool box_make(const char *path, struct err *err)
{
	char *copy = mem_copy(path);
	int sys = 0;

	/* Only the last step has to succeed: above it may stand what we must not write to. */
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(copy, 0700);
		*slash = '/';
	}
	if (mkdir(copy, 0700) != 0)
		sys = errno;
	free(copy);
	return !sys || sys == EEXIST ||
	       err_sys(err, ERR_MAIL, sys, "cannot make directory %s", path);
}

bool box_make_maildir(int directory, const char *path, struct err *err)
{
	static const char *const names[] = {"cur", "new", "tmp"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (mkdirat(directory, names[i], 0700) != 0 && errno != EEXIST)
			return err_sys(err, ERR_MAIL, errno, "cannot make directory %s/%s", path,
				       names[i]);
	return true;
}

/* Cuts the last name off; false where there is nothing above. */
static bool to_parent(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || !slash[1])
		return false;
	if (slash == path)
		slash++;
	*slash = '\0';
	return true;
}

/* Returns false where the walk ends; *failed_r says whether in failure. */
static bool flush_parent(char *path, bool *failed_r, struct err *err)
{
	struct stat below;
	struct stat above;
	bool on = false;
	int fd;

	if (stat(path, &below) != 0 || below.st_uid != geteuid() || !to_parent(path))
		return false;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, &above) == 0 && above.st_dev == below.st_dev) {
		on = disk_flush_directory(fd, path, err);
		*failed_r = !on;
	}
	close(fd);
	return on;
}

bool box_flush_parents(const char *path, struct err *err)
{
	char *at = mem_copy(path);
	bool failed = false;

	while (flush_parent(at, &failed, err))
		continue;
	free(at);
	return !failed;
}
