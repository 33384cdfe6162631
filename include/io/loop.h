/*
 * loop: the event loop (libuv), its timers, signals and the small pool of worker threads.
 */
#ifndef MAILHAUL_IO_LOOP_H
#define MAILHAUL_IO_LOOP_H

#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_signal;

/* One loop a process. Fails with ERR_INTERNAL. SIGPIPE is ignored from here on. */
struct loop *loop_new(struct err *err);

/*
 * Everything that was made on the loop must be freed before. Closes what is still closing, and
 * waits at most half a second for worker threads: one that is stuck longer (a name server that does
 * not answer) is left alone, and the loop's memory with it. False: there is such a one, so the
 * program must leave by _exit(), since exit() would wait for it.
 */
bool loop_free(struct loop **loop);

/* Runs until loop_stop(), or until nothing is left to wait for. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Monotonic milliseconds. */
uint64_t loop_now(const struct loop *loop);

/* A one-shot timer; it may be started again, which replaces the time it had. Free while it runs
 * stops it. The callback may free the timer. */
struct loop_timer *loop_timer_new(struct loop *loop, void (*on_time)(void *ctx), void *ctx);
void loop_timer_start(struct loop_timer *timer, uint64_t milliseconds);
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_free(struct loop_timer **timer);

/* From here on the timer does not keep the loop alive. */
void loop_timer_background(struct loop_timer *timer);

/* Calls on_signal on the loop each time the signal comes. Does not keep the loop alive. */
struct loop_signal *loop_signal_new(struct loop *loop, int signum,
				    void (*on_signal)(void *ctx, int signum), void *ctx);
void loop_signal_free(struct loop_signal **signal);

/*
 * Runs work(ctx) on a worker thread, then done(ctx) on the loop; always both, in this order. ctx
 * must stay until done. For what is slow and has no descriptor to wait for: SASL steps.
 */
void loop_work(struct loop *loop, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx);

/* Runs call(ctx) on the loop after the present callback has returned; in the order of the calls.
 * What is still waiting at loop_free() is never called. */
void loop_defer(struct loop *loop, void (*call)(void *ctx), void *ctx);

/* For the rooms of src/io only: the libuv loop; and 64 KB that all may read into, good until the
 * present callback returns. */
enum { LOOP_SCRATCH = 65536 };
struct uv_loop_s *loop_uv(struct loop *loop);
char *loop_scratch(struct loop *loop);

#endif
