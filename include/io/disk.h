/*
 * disk: the committer's thread, and flushing.
 *
 * Jobs are queued from the loop; the thread takes all that wait at once and works on them together,
 * so that one flush serves many. The loop never waits for a disk.
 */
#ifndef MAILHAUL_IO_DISK_H
#define MAILHAUL_IO_DISK_H

#include "io/loop.h"
#include "util/err.h"

/* Embedded in what the caller commits. */
struct disk_job {
	struct disk_job *next;
	void (*done)(struct disk_job *job); /* on the loop, after the work */
};

struct disk;

/* work runs on the thread with a list of all jobs that waited, in the order they came; it must
 * leave the links as they are. Fails with ERR_INTERNAL. */
struct disk *disk_new(struct loop *loop, void (*work)(void *ctx, struct disk_job *jobs), void *ctx,
		      struct err *err);

/* The job belongs to the disk until its done. Keeps the loop alive while jobs are under way. */
void disk_submit(struct disk *disk, struct disk_job *job);

/* Waits until all that was submitted is worked on (done is not called any more), ends the thread,
 * frees. */
void disk_free(struct disk **disk);

/* Blocking; on the thread. Each fails with ERR_MAIL and names path. A flush that failed is final:
 * what it covered must be taken for lost. */
bool disk_flush_file(int fd, const char *path, struct err *err);
bool disk_flush_directory(int fd, const char *path, struct err *err);

/* Flushes the whole file system that fd stands on. fd must have been opened before the writes it is
 * to vouch for. */
bool disk_flush_filesystem(int fd, const char *path, struct err *err);

/* True where syncfs() reports errors: Linux 5.8 or later. */
bool disk_can_flush_filesystem(void);

#endif
