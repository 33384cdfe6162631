/*
 * child: one child process, run by argv without a shell, with a deadline and capped output.
 *
 * Its stdin is a pipe of which we keep a read end: after the exit FIONREAD, and what was not yet
 * written, tell how much it left unread. (Programs read regular files by pread(), so a file's
 * offset would tell nothing.) The input is on its way before the child starts (io/feed): should we
 * die, it still gets all of it.
 *
 * Grandchildren may hold the output pipes long after the exit (agents that daemonise): a second
 * after the exit nobody waits for them any more. They are left to live; only a deadline, too much
 * output or child_free() kill the group.
 *
 * Input that cannot be read to its end kills the child before it could take what came for the
 * whole.
 */
#include "io/child.h"

#include "io/feed.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum {
	CHILD_STDERR_MAX = 2048,
	CHILD_PIPE_DEFAULT = 65536, /* what Linux gives unasked */
	CHILD_PIPE_MAX = 1 << 20,   /* and the most that it gives everybody */
	CHILD_LINGER_MS = 1000,	    /* for EOF after the exit, and for the exit after SIGKILL */
	EXIT_TEMPORARY = 75,
	EXIT_CANNOT_RUN = 126,
	EXIT_NOT_FOUND = 127
};

/* One end of a pipe that the loop watches. Outlives the child until libuv has closed it. */
struct watch {
	uv_poll_t poll;
	int fd;
	struct child *child;
};

struct child {
	struct loop *loop;
	pid_t pid; /* 0: not running (any more) */
	struct child_end end;
	uint64_t deadline_ms;
	size_t output_max;
	bool output_strict;
	void (*on_end)(void *ctx, struct child *child);
	void *ctx;

	int input_fd;
	off_t input_size;
	int input_kept; /* our read end of its stdin, or -1 */
	bool unread;	/* its input could not be read, so it was not begun */
	struct feed *feed;
	struct watch *out;
	struct watch *err;
	struct buf output;
	struct buf stderr_tail;

	struct loop_signal *sigchld;
	struct loop_timer *clock; /* the deadline; then what still may linger */
	bool condemned;		  /* it is to die, and the clock runs for that */
	bool exited;
};

/* The ends of the three pipes; -1 where there is none. */
struct plumbing {
	int in[2];
	int out[2];
	int err[2];
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- watching ---------------------------------------------------------------------------------
 */

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *watch = handle->data;

	free(watch);
}

static void drop_watch(struct watch **watch)
{
	if (!*watch)
		return;
	uv_close((uv_handle_t *)&(*watch)->poll, on_watch_closed);
	close((*watch)->fd);
	*watch = NULL;
}

/* Takes fd over. */
static struct watch *new_watch(struct child *child, int fd, int events, uv_poll_cb callback)
{
	struct watch *watch = mem_new(1, sizeof *watch);

	uv_poll_init(loop_uv(child->loop), &watch->poll, fd);
	watch->poll.data = watch;
	watch->fd = fd;
	watch->child = child;
	uv_poll_start(&watch->poll, events, callback);
	return watch;
}

/* ---- ending -----------------------------------------------------------------------------------
 */

static void drop_all(struct child *child)
{
	(void)feed_end(&child->feed);
	drop_watch(&child->out);
	drop_watch(&child->err);
	close_fd(&child->input_kept);
	loop_signal_free(&child->sigchld);
	loop_timer_free(&child->clock);
}

static void *wait_for_it(void *arg)
{
	pid_t *pid = arg;

	waitpid(*pid, NULL, 0);
	free(pid);
	return NULL;
}

/*
 * A process that was killed and is not dead yet (in the kernel's hands, or another user's by
 * setuid) is left to a thread that does nothing but wait, so that no zombie stays and nobody else
 * waits.
 */
static void abandon(struct child *child)
{
	pthread_attr_t attr;
	pthread_t thread;
	pid_t *pid;

	if (child->pid && waitpid(child->pid, NULL, WNOHANG) == 0) {
		pid = mem_new(1, sizeof *pid);
		*pid = child->pid;
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		if (pthread_create(&thread, &attr, wait_for_it, pid) != 0)
			free(pid);
		pthread_attr_destroy(&attr);
	}
	child->pid = 0;
}

static void kill_group(struct child *child)
{
	if (child->pid)
		kill(-child->pid, SIGKILL);
}

/* Kills it, and gives it a moment to be dead. */
static void condemn(struct child *child)
{
	child->condemned = true;
	kill_group(child);
	loop_timer_start(child->clock, CHILD_LINGER_MS);
}

/* The end; the child may be freed by it. */
static void finish(struct child *child)
{
	abandon(child);
	drop_all(child);
	child->on_end(child->ctx, child);
}

/* True: finish() was called. */
static bool finish_if_done(struct child *child)
{
	if (!child->exited || child->out || child->err)
		return false;
	finish(child);
	return true;
}

/* ---- input ------------------------------------------------------------------------------------
 */

static void look_after_feed(struct child *child)
{
	if (child->condemned || feed_well(child->feed))
		return;
	child->end.sys = errno;
	condemn(child);
}

/* Ends the feeding. */
static size_t input_left(struct child *child)
{
	size_t not_fed = feed_end(&child->feed);
	int in_pipe = 0;

	if (child->input_kept >= 0)
		ioctl(child->input_kept, FIONREAD, &in_pipe);
	return not_fed + (size_t)in_pipe;
}

/* ---- output -----------------------------------------------------------------------------------
 */

static void take_output(struct child *child, const char *bytes, size_t len)
{
	size_t room = child->output_max - child->output.len;

	buf_append(&child->output, bytes, len < room ? len : room);
	if (len > room && child->output_strict && !child->condemned) {
		child->end.too_much = true;
		condemn(child);
	}
}

static void take_stderr(struct child *child, const char *bytes, size_t len)
{
	struct buf *tail = &child->stderr_tail;

	if (len > CHILD_STDERR_MAX) {
		bytes += len - CHILD_STDERR_MAX;
		len = CHILD_STDERR_MAX;
	}
	buf_append(tail, bytes, len);
	if (tail->len > CHILD_STDERR_MAX)
		buf_consume(tail, tail->len - CHILD_STDERR_MAX);
}

/* Reads one piece. False: there is no more for now, or no more at all (the watch is dropped). */
static bool drink(struct child *child, struct watch **watch)
{
	char *piece = loop_scratch(child->loop);
	ssize_t got;

	do
		got = read((*watch)->fd, piece, LOOP_SCRATCH);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0) {
		drop_watch(watch);
		return false;
	}
	if (watch == &child->out)
		take_output(child, piece, (size_t)got);
	else
		take_stderr(child, piece, (size_t)got);
	mem_wipe(piece, (size_t)got); /* it may be a password */
	return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct child *child = watch->child;

	(void)status;
	(void)events;
	drink(child, watch == child->out ? &child->out : &child->err);
	finish_if_done(child);
}

/* What stood in a pipe at the exit, but no more: a grandchild may go on printing for ever. */
static void drain(struct child *child, struct watch **watch)
{
	for (int i = 0; *watch && i < CHILD_PIPE_MAX / LOOP_SCRATCH; i++)
		if (!drink(child, watch))
			return;
}

/* ---- time and exit ----------------------------------------------------------------------------
 */

static void on_sigchld(void *ctx, int signum)
{
	struct child *child = ctx;
	int status;

	(void)signum;
	look_after_feed(child);
	if (!child->pid || waitpid(child->pid, &status, WNOHANG) != child->pid)
		return;
	child->pid = 0;
	child->exited = true;
	child->end.input_left = input_left(child);
	child->end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	child->end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	close_fd(&child->input_kept);
	drain(child, &child->out);
	drain(child, &child->err);
	if (!finish_if_done(child))
		loop_timer_start(child->clock, CHILD_LINGER_MS);
}

static void on_clock(void *ctx)
{
	struct child *child = ctx;

	if (!child->end.started || child->exited) {
		finish(child);
		return;
	}
	if (!child->condemned) {
		child->end.timed_out = true;
		condemn(child);
		return;
	}
	child->end.input_left = input_left(child);
	child->end.exit_code = -1;
	child->end.signal = SIGKILL;
	finish(child);
}

/* ---- starting ---------------------------------------------------------------------------------
 */

/* Above the standard descriptors, so that putting one in its place cannot cover another. */
static bool move_up(int *fd)
{
	int higher;

	if (*fd < 0 || *fd > STDERR_FILENO)
		return *fd >= 0;
	higher = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(*fd);
	*fd = higher;
	return higher >= 0;
}

static bool make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	return move_up(&ends[0]) && move_up(&ends[1]);
}

static bool lay_pipes(struct child *child, struct plumbing *pipes)
{
	struct stat file;

	if (child->input_fd >= 0 && fstat(child->input_fd, &file) < 0)
		return false;
	if (child->input_fd >= 0)
		child->input_size = file.st_size;
	if (child->input_size > 0) {
		if (!make_pipe(pipes->in))
			return false;
		if (child->input_size > CHILD_PIPE_DEFAULT)
			fcntl(pipes->in[1], F_SETPIPE_SZ, CHILD_PIPE_MAX);
	} else {
		pipes->in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (!move_up(&pipes->in[0]))
			return false;
	}
	return make_pipe(pipes->out) && make_pipe(pipes->err);
}

/* Gives 0 or an errno. */
static int spawn(pid_t *pid_r, char *const *argv, const struct plumbing *pipes)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t set;
	int sys;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, pipes->in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, pipes->out[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, pipes->err[1], STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
					    POSIX_SPAWN_SETSIGDEF);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigfillset(&set);
	posix_spawnattr_setsigdefault(&attr, &set);
	sys = posix_spawnp(pid_r, argv[0], &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return sys;
}

static int exit_code_for(int sys)
{
	switch (sys) {
	case ENOENT:
	case ENOTDIR:
		return EXIT_NOT_FOUND;
	case EACCES:
	case EPERM:
	case ENOEXEC:
	case ELOOP:
		return EXIT_CANNOT_RUN;
	default:
		return EXIT_TEMPORARY;
	}
}

/* Gives 0 or an errno. */
static int start(struct child *child, const char *const *argv, struct plumbing *pipes)
{
	size_t count = 0;
	char **copy;
	int sys = 0;

	if (!argv[0])
		return ENOENT;
	if (!lay_pipes(child, pipes))
		return errno;
	while (argv[count])
		count++;
	copy = mem_new(count + 1, sizeof *copy);
	for (size_t i = 0; i < count; i++)
		copy[i] = mem_copy(argv[i]);
	child->sigchld = loop_signal_new(child->loop, SIGCHLD, on_sigchld, child);
	if (child->input_size > 0) {
		child->feed = feed_new(child->input_fd, pipes->in[1]);
		sys = child->feed ? 0 : errno;
		child->unread = sys != 0;
	}
	sys = sys ? sys : spawn(&child->pid, copy, pipes);
	if (sys)
		child->pid = 0;
	for (size_t i = 0; i < count; i++)
		free(copy[i]);
	free(copy);
	return sys;
}

/* Takes our ends of the pipes. */
static void attend(struct child *child, struct plumbing *pipes)
{
	child->out = new_watch(child, pipes->out[0], UV_READABLE, on_readable);
	child->err = new_watch(child, pipes->err[0], UV_READABLE, on_readable);
	pipes->out[0] = pipes->err[0] = -1;
	loop_timer_start(child->clock, child->deadline_ms);
	child->input_kept = child->input_size > 0 ? pipes->in[0] : -1;
	pipes->in[0] = child->input_size > 0 ? -1 : pipes->in[0];
}

struct child *child_new(struct loop *loop, const struct child_params *params)
{
	struct child *child = mem_new(1, sizeof *child);
	struct plumbing pipes = {{-1, -1}, {-1, -1}, {-1, -1}};
	int sys;

	child->loop = loop;
	child->deadline_ms = params->deadline_ms;
	child->output_max = params->output_max;
	child->output_strict = params->output_strict;
	child->on_end = params->on_end;
	child->ctx = params->ctx;
	child->input_fd = params->input_fd;
	child->input_kept = -1;
	child->end.exit_code = -1;
	child->clock = loop_timer_new(loop, on_clock, child);
	sys = start(child, params->argv, &pipes);
	child->end.started = sys == 0;
	if (child->end.started) {
		attend(child, &pipes);
	} else {
		child->end.sys = sys;
		child->end.exit_code = exit_code_for(sys);
		child->end.input_left = (size_t)child->input_size;
		loop_timer_start(child->clock, 0);
	}
	for (int i = 0; i < 2; i++) {
		close_fd(&pipes.in[i]);
		close_fd(&pipes.out[i]);
		close_fd(&pipes.err[i]);
	}
	return child;
}

void child_free(struct child **child_p)
{
	struct child *child = *child_p;

	*child_p = NULL;
	if (!child)
		return;
	kill_group(child);
	abandon(child);
	drop_all(child);
	buf_wipe(&child->output);
	buf_wipe(&child->stderr_tail);
	free(child);
}

/* ---- telling ----------------------------------------------------------------------------------
 */

const struct child_end *child_end(const struct child *child)
{
	return &child->end;
}

struct buf *child_output(struct child *child)
{
	return &child->output;
}

struct buf *child_stderr(struct child *child)
{
	return &child->stderr_tail;
}

char *child_describe(const struct child *child, char *out, size_t size)
{
	const struct child_end *end = &child->end;

	if (child->unread)
		snprintf(out, size, "was not started, because its input could not be read: %s",
			 strerror(end->sys));
	else if (!end->started)
		snprintf(out, size, "could not be started: %s", strerror(end->sys));
	else if (end->sys)
		snprintf(out, size, "was killed, because its input could not be read: %s",
			 strerror(end->sys));
	else if (end->timed_out)
		snprintf(out, size, "did not end within %g s", (double)child->deadline_ms / 1000);
	else if (end->too_much)
		snprintf(out, size, "printed more than %zu octets", child->output_max);
	else if (end->signal)
		snprintf(out, size, "was killed by signal %d (%s)", end->signal,
			 strsignal(end->signal));
	else
		snprintf(out, size, "ended with exit code %d", end->exit_code);
	return out;
}
