/*
 * disk: the committer's thread, and flushing.
 *
 * Two lists under one mutex: jobs that wait for the thread, and jobs that wait for their done on
 * the loop. The thread takes the first list whole; while a flush lasts the next batch gathers by
 * itself.
 *
 * fsync and its kin may report a failed write once only, and drop the data (Linux marks the pages
 * clean): so a failure is never tried again here.
 */
#include "io/disk.h"

#include "util/crash.h"
#include "util/mem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

struct list {
	struct disk_job *first;
	struct disk_job **last;
};

struct disk {
	uv_async_t async; /* wakes the loop; referenced only while jobs are under way */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct list queue;    /* under mutex */
	struct list finished; /* under mutex */
	bool stop;	      /* under mutex */
	struct list telling;  /* the loop's: their done comes now */
	size_t under_way;     /* the loop's */
	bool freed;	      /* the loop's */
	void (*work)(void *ctx, struct disk_job *jobs);
	void *ctx;
};

static void list_empty(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_add(struct list *list, struct disk_job *job)
{
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
}

static void list_move(struct list *to, struct list *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	list_empty(from);
}

static void *run(void *arg)
{
	struct disk *disk = arg;

	pthread_mutex_lock(&disk->mutex);
	for (;;) {
		struct list jobs;

		while (!disk->queue.first && !disk->stop)
			pthread_cond_wait(&disk->wake, &disk->mutex);
		if (!disk->queue.first)
			break;
		list_empty(&jobs);
		list_move(&jobs, &disk->queue);
		pthread_mutex_unlock(&disk->mutex);
		disk->work(disk->ctx, jobs.first);
		pthread_mutex_lock(&disk->mutex);
		list_move(&disk->finished, &jobs);
		uv_async_send(&disk->async);
	}
	pthread_mutex_unlock(&disk->mutex);
	return NULL;
}

/* A done may submit again, and may free the disk: then the others are not told any more. */
static void on_async(uv_async_t *async)
{
	struct disk *disk = async->data;
	struct disk_job *job;

	pthread_mutex_lock(&disk->mutex);
	list_move(&disk->telling, &disk->finished);
	pthread_mutex_unlock(&disk->mutex);
	while (!disk->freed && (job = disk->telling.first) != NULL) {
		disk->telling.first = job->next;
		if (!job->next)
			list_empty(&disk->telling);
		if (--disk->under_way == 0)
			uv_unref((uv_handle_t *)&disk->async);
		job->done(job);
	}
}

/* Signals are the loop's: the thread takes none. */
static int start_thread(struct disk *disk)
{
	sigset_t all;
	sigset_t old;
	int sys;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	sys = pthread_create(&disk->thread, NULL, run, disk);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return sys;
}

static void on_closed(uv_handle_t *handle)
{
	struct disk *disk = handle->data;

	pthread_cond_destroy(&disk->wake);
	pthread_mutex_destroy(&disk->mutex);
	free(disk);
}

struct disk *disk_new(struct loop *loop, void (*work)(void *ctx, struct disk_job *jobs), void *ctx,
		      struct err *err)
{
	struct disk *disk = mem_new(1, sizeof *disk);
	int sys;

	list_empty(&disk->queue);
	list_empty(&disk->finished);
	list_empty(&disk->telling);
	disk->work = work;
	disk->ctx = ctx;
	sys = -uv_async_init(loop_uv(loop), &disk->async, on_async);
	if (sys) {
		free(disk);
		err_sys(err, ERR_INTERNAL, sys, "cannot start the disk's thread");
		return NULL;
	}
	disk->async.data = disk;
	uv_unref((uv_handle_t *)&disk->async);
	pthread_mutex_init(&disk->mutex, NULL);
	pthread_cond_init(&disk->wake, NULL);
	sys = start_thread(disk);
	if (sys) {
		uv_close((uv_handle_t *)&disk->async, on_closed);
		err_sys(err, ERR_INTERNAL, sys, "cannot start the disk's thread");
		return NULL;
	}
	return disk;
}

void disk_submit(struct disk *disk, struct disk_job *job)
{
	if (disk->under_way++ == 0)
		uv_ref((uv_handle_t *)&disk->async);
	pthread_mutex_lock(&disk->mutex);
	list_add(&disk->queue, job);
	pthread_cond_signal(&disk->wake);
	pthread_mutex_unlock(&disk->mutex);
}

void disk_free(struct disk **disk_p)
{
	struct disk *disk = *disk_p;

	*disk_p = NULL;
	if (!disk)
		return;
	disk->freed = true;
	pthread_mutex_lock(&disk->mutex);
	disk->stop = true;
	pthread_cond_signal(&disk->wake);
	pthread_mutex_unlock(&disk->mutex);
	pthread_join(disk->thread, NULL);
	uv_close((uv_handle_t *)&disk->async, on_closed);
}

bool disk_flush_file(int fd, const char *path, struct err *err)
{
	crash_point("disk-flush-file");
	if (fsync(fd) < 0)
		return err_sys(err, ERR_MAIL, errno, "cannot flush %s to the disk", path);
	crash_point("disk-flushed-file");
	return true;
}

bool disk_flush_directory(int fd, const char *path, struct err *err)
{
	crash_point("disk-flush-directory");
	if (fsync(fd) < 0)
		return err_sys(err, ERR_MAIL, errno, "cannot flush the directory %s to the disk",
			       path);
	crash_point("disk-flushed-directory");
	return true;
}

bool disk_flush_filesystem(int fd, const char *path, struct err *err)
{
	crash_point("disk-flush-filesystem");
	if (syncfs(fd) < 0)
		return err_sys(err, ERR_MAIL, errno,
			       "cannot flush the file system of %s to the disk", path);
	crash_point("disk-flushed-filesystem");
	return true;
}

bool disk_can_flush_filesystem(void)
{
	struct utsname kernel;
	char *end;
	unsigned long major;
	unsigned long minor;

	if (uname(&kernel) < 0)
		return false;
	major = strtoul(kernel.release, &end, 10);
	if (*end != '.')
		return false;
	minor = strtoul(end + 1, NULL, 10);
	return major > 5 || (major == 5 && minor >= 8);
}
