/*
 * maildir: delivery into a Maildir: written in tmp/, renamed to new/.
 *
 * Contract: see the header and struct sink_ops. Letters are found and moved by box; this room makes
 * the Maildir, or checks that it is the one that was delivered into before. A Maildir that the
 * state knows is never made anew: where its disk is not mounted, an empty directory would swallow
 * the mail, and what was delivered would seem lost. Its sub-directories are made again, because a
 * back-up that skips empty directories restores a Maildir without tmp/.
 */
#include "deliver/maildir.h"

#include "deliver/box.h"
#include "io/disk.h"
#include "util/crash.h"
#include "util/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char identity_file[] = "mailhaul-id";
static const char identity_help[] =
    "mailhaul knows this Maildir by the line above. Please leave this file here.\n";

struct maildir {
	struct sink sink;
	char *given; /* the path as it was named: the state's key */
	char *path;  /* without slashes at its end */
	char *known, *fresh;
	char identity[MAILDIR_IDENTITY + 1];
	struct box *box; /* NULL until it was opened */
	bool above_flushed;
};

/* What stands at the path. */
enum site { SITE_MISSING, SITE_FILE, SITE_MAILDIR, SITE_OTHER, SITE_UNKNOWN };

static struct maildir *self(struct sink *sink)
{
	return (struct maildir *)sink;
}

static const struct maildir *self_const(const struct sink *sink)
{
	return (const struct maildir *)sink;
}

/* ---- the Maildir and its identity ---- */

static bool has(int directory, const char *name)
{
	struct stat st;

	return fstatat(directory, name, &st, 0) == 0;
}

/* A Maildir that was not finished holds nothing but parts of one; an empty directory is that, too.
 */
static bool holds_only_parts(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool only = dir != NULL;

	while (only && (entry = readdir(dir)))
		only = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		       strcmp(entry->d_name, "cur") == 0 || strcmp(entry->d_name, "new") == 0 ||
		       strcmp(entry->d_name, "tmp") == 0;
	if (dir)
		closedir(dir);
	return only;
}

/* directory_r: its descriptor, where there is a directory; else -1. */
static enum site look(const char *path, int *directory_r, struct err *err)
{
	*directory_r = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*directory_r < 0) {
		struct stat st;

		if (errno == ENOENT)
			return SITE_MISSING;
		if (errno == ENOTDIR && stat(path, &st) == 0)
			return SITE_FILE;
		err_sys(err, ERR_MAIL, errno, "cannot open Maildir %s", path);
		return SITE_UNKNOWN;
	}
	if (has(*directory_r, identity_file) ||
	    (has(*directory_r, "cur") && has(*directory_r, "new")) || holds_only_parts(path))
		return SITE_MAILDIR;
	return SITE_OTHER;
}

static bool identity_good(const char *identity)
{
	size_t len = strspn(identity, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz");

	return len > 0 && len <= MAILDIR_IDENTITY && !identity[len];
}

/* Leaves the identity empty where there is no such file; a file that holds none is a failure. */
static bool identity_read(struct maildir *m, int directory, struct err *err)
{
	char text[256] = "";
	int fd = openat(directory, identity_file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t got = -1;

	m->identity[0] = '\0';
	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd >= 0)
		got = read(fd, text, sizeof text - 1);
	if (got < 0) {
		err_sys(err, ERR_MAIL, errno, "cannot read %s/%s", m->path, identity_file);
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	text[strcspn(text, "\r\n")] = '\0';
	if (!identity_good(text))
		return err_set(err, ERR_MAIL, "%s/%s is damaged: its first line is no identity%s%s",
			       m->path, identity_file, *m->known ? "; it has to be " : "",
			       m->known);
	memcpy(m->identity, text, strlen(text) + 1);
	return true;
}

/* Writes the file under its temporary name, and flushes it. */
static bool identity_prepare(const struct maildir *m, int directory, const char *name,
			     struct err *err)
{
	char *path = mem_printf("%s/%s", m->path, name);
	int fd =
	    openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool good = false;

	if (fd < 0)
		err_sys(err, ERR_MAIL, errno, "cannot create %s", path);
	else if (dprintf(fd, "%s\n%s", m->fresh, identity_help) < 0)
		err_sys(err, ERR_MAIL, errno, "cannot write %s", path);
	else
		good = disk_flush_file(fd, path, err);
	if (fd >= 0)
		close(fd);
	free(path);
	return good;
}

static char *temporary_name(const char *identity)
{
	return mem_printf("tmp/%s.%s", identity_file, identity);
}

/* Whoever made the identity that stands may have died before its temporary name was gone. */
static void identity_tidy(const struct maildir *m, int directory)
{
	char *name = temporary_name(m->identity);

	unlinkat(directory, name, 0);
	free(name);
}

/* Two mailhauls may come to one Maildir at the same time: the first identity stands, and is the one
 * that is read. With the same state they use the same temporary name, which may then be gone. */
static bool identity_write(struct maildir *m, int directory, struct err *err)
{
	char *name = temporary_name(m->fresh);
	bool good;
	int sys = 0;

	good = identity_good(m->fresh)
		   ? identity_prepare(m, directory, name, err)
		   : err_set(err, ERR_INTERNAL, "\"%s\" is no identity for a Maildir", m->fresh);
	crash_point("maildir-identity");
	if (good) {
		sys = box_move(directory, name, directory, identity_file);
		if (sys && sys != EEXIST && sys != ENOENT)
			good = err_sys(err, ERR_MAIL, sys, "cannot make %s/%s", m->path,
				       identity_file);
	}
	crash_point("maildir-identified");
	unlinkat(directory, name, 0);
	free(name);
	return good && identity_read(m, directory, err) &&
	       (*m->identity ||
		err_sys(err, ERR_MAIL, sys, "cannot make %s/%s", m->path, identity_file));
}

static bool not_the_one(const struct maildir *m, const char *why, struct err *err)
{
	return err_set(err, ERR_MAIL,
		       "Maildir %s is not the one mailhaul delivered into before (is its disk "
		       "mounted?): %s. Nothing was written. If it was replaced on purpose, put "
		       "the line %s into %s/%s",
		       m->path, why, m->known, m->path, identity_file);
}

static bool check_known(struct maildir *m, enum site site, int directory, struct err *err)
{
	switch (site) {
	case SITE_MISSING:
		return not_the_one(m, "it is missing", err);
	case SITE_FILE:
		return not_the_one(m, "it is no directory", err);
	case SITE_MAILDIR:
	case SITE_OTHER:
		break;
	case SITE_UNKNOWN:
	default:
		return false;
	}
	if (!identity_read(m, directory, err))
		return false;
	if (!*m->identity)
		return not_the_one(m, "it has no file mailhaul-id", err);
	if (strcmp(m->identity, m->known) != 0)
		return not_the_one(m, "its file mailhaul-id is another one's", err);
	return true;
}

static bool check_new(const struct maildir *m, enum site site, struct err *err)
{
	switch (site) {
	case SITE_MISSING:
	case SITE_MAILDIR:
		return true;
	case SITE_FILE:
		return err_set(err, ERR_MAIL,
			       "%s is a file, not a Maildir (a directory with cur, new and tmp). "
			       "Name another path, or move it away",
			       m->path);
	case SITE_OTHER:
		return err_set(err, ERR_MAIL,
			       "%s is not empty and no Maildir (a directory with cur, new and "
			       "tmp). Name a path that does not exist yet, or make cur and new in "
			       "it if mail shall go there",
			       m->path);
	case SITE_UNKNOWN:
	default:
		return false;
	}
}

static bool make_path(const struct maildir *m, int *directory_r, struct err *err)
{
	if (!box_make(m->path, err))
		return false;
	*directory_r = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*directory_r < 0)
		return err_sys(err, ERR_MAIL, errno, "cannot open Maildir %s", m->path);
	return true;
}

/* What stands here may have been made by a run that died before it flushed: so the Maildir itself
 * is flushed once by every run, and what is above it before the state is told of the Maildir: a
 * power cut must not take away one that the state knows. */
static bool flush_above(struct maildir *m, struct err *err)
{
	int directory = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		return err_sys(err, ERR_MAIL, errno, "cannot open Maildir %s", m->path);
	m->above_flushed = disk_flush_directory(directory, m->path, err) &&
			   (*m->known || box_flush_parents(m->path, err));
	close(directory);
	return m->above_flushed;
}

/* Checks, and makes what is missing. */
static bool prepare(struct maildir *m, enum site site, int *directory, struct err *err)
{
	bool fresh = !*m->known;

	if (fresh ? !check_new(m, site, err) : !check_known(m, site, *directory, err))
		return false;
	if (*directory < 0 && !make_path(m, directory, err))
		return false;
	if (!box_make_maildir(*directory, m->path, err))
		return false;
	crash_point("maildir-made");
	if (fresh && !identity_read(m, *directory, err))
		return false;
	if (!*m->identity && !identity_write(m, *directory, err))
		return false;
	identity_tidy(m, *directory);
	return !fresh || flush_above(m, err);
}

/* ---- the operations ---- */

static bool maildir_open(struct sink *sink, struct err *err)
{
	struct maildir *m = self(sink);
	char *tmp;
	int directory;
	enum site site;
	bool good;

	if (m->box)
		return true;
	site = look(m->path, &directory, err);
	good = prepare(m, site, &directory, err);
	if (directory >= 0)
		close(directory);
	if (!good)
		return false;
	tmp = mem_printf("%s/tmp", m->path);
	m->box = box_open(tmp, m->path, err);
	free(tmp);
	return m->box != NULL;
}

static int maildir_directory(const struct sink *sink)
{
	const struct maildir *m = self_const(sink);

	return m->box ? box_directory(m->box) : -1;
}

static const char *maildir_path(const struct sink *sink)
{
	return self_const(sink)->given;
}

static const char *maildir_identity(const struct sink *sink)
{
	return self_const(sink)->identity;
}

static bool maildir_flush(struct sink *sink, struct err *err)
{
	struct maildir *m = self(sink);

	crash_point("maildir-flush");
	return box_flush(m->box, err) && (m->above_flushed || flush_above(m, err));
}

static bool maildir_place(struct sink *sink, const char *name, struct err *err)
{
	crash_point("maildir-place");
	if (!box_place(self(sink)->box, name, err))
		return false;
	crash_point("maildir-placed");
	return true;
}

static bool maildir_settle(struct sink *sink, struct err *err)
{
	crash_point("maildir-settle");
	if (!box_settle(self(sink)->box, err))
		return false;
	crash_point("maildir-settled");
	return true;
}

static bool maildir_find(struct sink *sink, const char *name, enum sink_where *where_r,
			 struct err *err)
{
	return box_find(self(sink)->box, name, where_r, err);
}

static bool maildir_strays(struct sink *sink, const char *mark,
			   void (*stray)(void *ctx, const char *name), void *ctx, struct err *err)
{
	return box_strays(self(sink)->box, mark, stray, ctx, err);
}

static bool maildir_discard(struct sink *sink, const char *name, struct err *err)
{
	crash_point("maildir-discard");
	return box_discard(self(sink)->box, name, err);
}

static void maildir_free(struct sink *sink)
{
	struct maildir *m = self(sink);

	box_free(&m->box);
	free(m->given);
	free(m->path);
	free(m->known);
	free(m->fresh);
	free(m);
}

static const struct sink_ops maildir_ops = {
    .open = maildir_open,
    .directory = maildir_directory,
    .path = maildir_path,
    .identity = maildir_identity,
    .flush = maildir_flush,
    .place = maildir_place,
    .settle = maildir_settle,
    .find = maildir_find,
    .strays = maildir_strays,
    .discard = maildir_discard,
    .free = maildir_free,
};

struct sink *maildir_new(const struct maildir_params *params)
{
	struct maildir *m = mem_new(1, sizeof *m);
	size_t len;

	m->sink.ops = &maildir_ops;
	m->given = mem_copy(params->path);
	m->path = mem_copy(params->path);
	for (len = strlen(m->path); len > 1 && m->path[len - 1] == '/'; len--)
		m->path[len - 1] = '\0';
	m->known = mem_copy(params->identity);
	m->fresh = mem_copy(params->fresh);
	return &m->sink;
}
