/*
 * loop: the event loop (libuv), its timers, signals and the small pool of worker threads.
 *
 * libuv closes handles in the loop's next turn. The owner forgets a thing the moment he frees it;
 * its memory stays until libuv has let go of it. So everything here may be freed at any time,
 * inside its own callback too.
 */
#include "io/loop.h"

#include "util/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <uv.h>

enum { LOOP_FREE_WAIT_MS = 500 };

struct deferred {
	struct deferred *next;
	void (*call)(void *ctx);
	void *ctx;
};

struct loop {
	uv_loop_t uv;
	uv_idle_t idle; /* runs while anything is deferred, so that the loop does not sleep */
	struct deferred *first;
	struct deferred **last;
	size_t waiting;
	char *scratch;
};

struct loop_timer {
	uv_timer_t uv;
	void (*on_time)(void *ctx);
	void *ctx;
};

struct loop_signal {
	uv_signal_t uv;
	void (*on_signal)(void *ctx, int signum);
	void *ctx;
};

struct work {
	uv_work_t uv;
	void (*work)(void *ctx);
	void (*done)(void *ctx);
	void *ctx;
};

static bool failed(struct err *err, const char *what, int status)
{
	return err_set(err, ERR_INTERNAL, "%s: %s", what, uv_strerror(status));
}

struct loop *loop_new(struct err *err)
{
	struct loop *loop = mem_new(1, sizeof *loop);
	int status = uv_loop_init(&loop->uv);

	if (status < 0) {
		free(loop);
		failed(err, "cannot make an event loop", status);
		return NULL;
	}
	signal(SIGPIPE, SIG_IGN);
	uv_idle_init(&loop->uv, &loop->idle);
	loop->idle.data = loop;
	loop->last = &loop->first;
	return loop;
}

/* Turns the loop until only worker threads hold it, and for those a little while. */
static bool close_all(struct loop *loop)
{
	uint64_t until = uv_hrtime() + (uint64_t)LOOP_FREE_WAIT_MS * 1000000;

	while (uv_loop_close(&loop->uv) == UV_EBUSY) {
		if (uv_hrtime() > until)
			return false;
		if (uv_run(&loop->uv, UV_RUN_NOWAIT))
			uv_sleep(1);
	}
	return true;
}

bool loop_free(struct loop **loop_p)
{
	struct loop *loop = *loop_p;

	*loop_p = NULL;
	if (!loop)
		return true;
	for (struct deferred *next, *entry = loop->first; entry; entry = next) {
		next = entry->next;
		free(entry);
	}
	loop->first = NULL;
	loop->last = &loop->first;
	uv_close((uv_handle_t *)&loop->idle, NULL);
	if (!close_all(loop))
		return false;
	free(loop->scratch);
	free(loop);
	return true;
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

uint64_t loop_now(const struct loop *loop)
{
	(void)loop;
	return uv_hrtime() / 1000000;
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

char *loop_scratch(struct loop *loop)
{
	if (!loop->scratch)
		loop->scratch = mem_new(LOOP_SCRATCH, 1);
	return loop->scratch;
}

/* Handles stand first in what holds them. */
static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void on_timer(uv_timer_t *uv)
{
	struct loop_timer *timer = uv->data;

	timer->on_time(timer->ctx);
}

struct loop_timer *loop_timer_new(struct loop *loop, void (*on_time)(void *ctx), void *ctx)
{
	struct loop_timer *timer = mem_new(1, sizeof *timer);

	uv_timer_init(&loop->uv, &timer->uv);
	timer->uv.data = timer;
	timer->on_time = on_time;
	timer->ctx = ctx;
	return timer;
}

void loop_timer_start(struct loop_timer *timer, uint64_t milliseconds)
{
	/* libuv counts from the beginning of the turn; a long callback would shorten the wait. */
	uv_update_time(timer->uv.loop);
	uv_timer_start(&timer->uv, on_timer, milliseconds, 0);
}

void loop_timer_stop(struct loop_timer *timer)
{
	uv_timer_stop(&timer->uv);
}

void loop_timer_free(struct loop_timer **timer)
{
	if (*timer)
		uv_close((uv_handle_t *)&(*timer)->uv, free_handle);
	*timer = NULL;
}

void loop_timer_background(struct loop_timer *timer)
{
	uv_unref((uv_handle_t *)&timer->uv);
}

static void on_uv_signal(uv_signal_t *uv, int signum)
{
	struct loop_signal *handle = uv->data;

	handle->on_signal(handle->ctx, signum);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signum,
				    void (*on_signal)(void *ctx, int signum), void *ctx)
{
	struct loop_signal *handle = mem_new(1, sizeof *handle);

	uv_signal_init(&loop->uv, &handle->uv);
	handle->uv.data = handle;
	handle->on_signal = on_signal;
	handle->ctx = ctx;
	uv_signal_start(&handle->uv, on_uv_signal, signum);
	uv_unref((uv_handle_t *)&handle->uv);
	return handle;
}

void loop_signal_free(struct loop_signal **handle)
{
	if (*handle)
		uv_close((uv_handle_t *)&(*handle)->uv, free_handle);
	*handle = NULL;
}

static void on_work(uv_work_t *uv)
{
	struct work *job = uv->data;

	job->work(job->ctx);
}

static void on_worked(uv_work_t *uv, int status)
{
	struct work *job = uv->data;
	void (*done)(void *ctx) = job->done;
	void *ctx = job->ctx;

	(void)status; /* nobody cancels */
	free(job);
	done(ctx);
}

void loop_work(struct loop *loop, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx)
{
	struct work *job = mem_new(1, sizeof *job);

	job->uv.data = job;
	job->work = work;
	job->done = done;
	job->ctx = ctx;
	uv_queue_work(&loop->uv, &job->uv, on_work, on_worked);
}

/* What is deferred by what runs here waits for the next turn, so that the loop is never starved. */
static void on_idle(uv_idle_t *idle)
{
	struct loop *loop = idle->data;
	struct deferred *entry;

	for (size_t turns = loop->waiting; turns && (entry = loop->first) != NULL; turns--) {
		struct deferred now = *entry;

		loop->first = now.next;
		if (!loop->first)
			loop->last = &loop->first;
		loop->waiting--;
		free(entry);
		now.call(now.ctx);
	}
	if (!loop->first)
		uv_idle_stop(idle);
}

void loop_defer(struct loop *loop, void (*call)(void *ctx), void *ctx)
{
	struct deferred *entry = mem_new(1, sizeof *entry);

	entry->call = call;
	entry->ctx = ctx;
	*loop->last = entry;
	loop->last = &entry->next;
	loop->waiting++;
	uv_idle_start(&loop->idle, on_idle);
}
