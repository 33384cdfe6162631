/*
 * spool: the directory in which letters stand until an MDA has taken them, and the quarantine.
 *
 * Contract: see the header. A letter goes into the quarantine by a rename: spool and quarantine
 * stand in one directory, that of the state. STATE_DIR itself is the state's to flush; the entries
 * that are made in it here are flushed with the first letters.
 */
#include "deliver/spool.h"

#include "deliver/box.h"
#include "io/disk.h"
#include "util/crash.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct spool {
	char *state_dir, *path, *quarantine;
	struct box *box; /* NULL until it was opened */
	bool parents_flushed;
	bool held; /* what a run before moved is durable */
};

struct spool *spool_new(const char *state_dir)
{
	struct spool *spool = mem_new(1, sizeof *spool);

	spool->state_dir = mem_copy(state_dir);
	spool->path = mem_printf("%s/spool", state_dir);
	spool->quarantine = mem_printf("%s/quarantine", state_dir);
	return spool;
}

void spool_free(struct spool **spool)
{
	struct spool *s = *spool;

	*spool = NULL;
	if (!s)
		return;
	box_free(&s->box);
	free(s->state_dir);
	free(s->path);
	free(s->quarantine);
	free(s);
}

static bool with_directory(const char *path, bool (*call)(int, const char *, struct err *),
			   struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return err_sys(err, ERR_MAIL, errno, "cannot open directory %s", path);
	good = call(fd, path, err);
	close(fd);
	return good;
}

bool spool_open(struct spool *spool, struct err *err)
{
	spool->held = false;
	if (spool->box)
		return true;
	if (!box_make(spool->path, err) || !box_make(spool->quarantine, err) ||
	    !with_directory(spool->quarantine, box_make_maildir, err))
		return false;
	spool->box = box_open(spool->path, spool->quarantine, err);
	return spool->box != NULL;
}

int spool_directory(const struct spool *spool)
{
	return spool->box ? box_directory(spool->box) : -1;
}

const char *spool_path(const struct spool *spool)
{
	return spool->path;
}

bool spool_flush(struct spool *spool, struct err *err)
{
	crash_point("spool-flush");
	if (!box_flush(spool->box, err))
		return false;
	if (spool->parents_flushed)
		return true;
	spool->parents_flushed = with_directory(spool->quarantine, disk_flush_directory, err) &&
				 with_directory(spool->state_dir, disk_flush_directory, err);
	return spool->parents_flushed;
}

bool spool_find(struct spool *spool, const char *name, enum sink_where *where_r, struct err *err)
{
	return box_find(spool->box, name, where_r, err);
}

bool spool_strays(struct spool *spool, const char *mark, void (*stray)(void *ctx, const char *name),
		  void *ctx, struct err *err)
{
	return box_strays(spool->box, mark, stray, ctx, err);
}

bool spool_discard(struct spool *spool, const char *name, struct err *err)
{
	crash_point("spool-discard");
	if (!box_discard(spool->box, name, err))
		return false;
	crash_point("spool-discarded");
	return true;
}

bool spool_quarantine(struct spool *spool, const char *name, struct err *err)
{
	crash_point("spool-quarantine");
	if (!box_place(spool->box, name, err) || !box_settle(spool->box, err))
		return false;
	crash_point("spool-quarantined");
	return true;
}

bool spool_quarantined(struct spool *spool, const char *name, char **path_r, struct err *err)
{
	return box_locate(spool->box, name, path_r, err);
}

/* The directory that a letter came into before the one that it left. */
static bool flush_moved(struct spool *spool, struct err *err)
{
	return box_flush(spool->box, err) && box_settle(spool->box, err);
}

bool spool_take_back(struct spool *spool, const char *name, struct err *err)
{
	crash_point("spool-take-back");
	if (!box_take_back(spool->box, name, err))
		return false;
	crash_point("spool-taken-back");
	return flush_moved(spool, err);
}

bool spool_hold(struct spool *spool, const char *name, struct err *err)
{
	char *path = NULL;
	bool good;

	spool->held = spool->held || flush_moved(spool, err);
	if (!spool->held || !box_locate(spool->box, name, &path, err))
		return false;
	good = !path || box_remove(spool->box, name, err);
	free(path);
	return good;
}

bool spool_drop(struct spool *spool, const char *name, struct err *err)
{
	if (!box_remove(spool->box, name, err))
		return false;
	crash_point("spool-dropped");
	return true;
}

int spool_read(struct spool *spool, const char *name, struct err *err)
{
	int fd = openat(spool_directory(spool), name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		err_sys(err, ERR_MAIL, errno, "cannot read letter %s/%s", spool->path, name);
	return fd;
}
