/*
 * feed: gives a file to a pipe, whole, even if this process dies in the middle of it.
 *
 * The process that feeds shares the file's offset with us, and sendfile() moves it by exactly what
 * went into the pipe: so it tells what is left, even after the process was killed. Where the file
 * cannot be read to its end, the process stops (SIGSTOP) instead of ending, since its end would be
 * the end of the pipe.
 */
#include "io/feed.h"

#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FEED_PIECE = 65536 };

struct feed {
	int file;
	off_t size;
	pid_t pid; /* 0: none, or it ended */
};

/* Gives the pipe what it takes without waiting. Gives how much that was, or -1 with errno. */
static off_t fill(int file, int pipe, off_t size)
{
	char *piece = mem_new(1, FEED_PIECE);
	off_t fed = 0;
	bool ok = true;

	while (fed < size) {
		size_t want = size - fed < FEED_PIECE ? (size_t)(size - fed) : FEED_PIECE;
		ssize_t got = pread(file, piece, want, fed);
		ssize_t put = got > 0 ? write(pipe, piece, (size_t)got) : got;

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			ok = put < 0 && errno == EAGAIN;
			errno = put < 0 ? errno : EIO;
			break;
		}
		fed += put;
	}
	free(piece);
	return ok ? fed : -1;
}

/* The process. Nothing of ours may outlive us in it: no lock, no connection. */
static _Noreturn void pour(int file, int pipe, off_t left)
{
	if (dup2(file, STDIN_FILENO) < 0 || dup2(pipe, STDOUT_FILENO) < 0 ||
	    close_range(STDERR_FILENO, ~0U, 0) < 0)
		_exit(1);
	while (left > 0) {
		size_t want = left < FEED_PIECE ? (size_t)left : FEED_PIECE;
		ssize_t put = sendfile(STDOUT_FILENO, STDIN_FILENO, NULL, want);

		if (put > 0)
			left -= put;
		else if (put < 0 && errno == EPIPE)
			break;
		else if (put == 0 || errno != EINTR)
			raise(SIGSTOP);
	}
	_exit(0);
}

static bool go_on(struct feed *feed, int pipe, off_t fed)
{
	int flags = fcntl(pipe, F_GETFL);

	if (lseek(feed->file, fed, SEEK_SET) < 0 || flags < 0 ||
	    fcntl(pipe, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return false;
	if (fed == feed->size)
		return true;
	feed->pid = fork();
	if (feed->pid == 0)
		pour(feed->file, pipe, feed->size - fed);
	return feed->pid > 0;
}

struct feed *feed_new(int file, int pipe)
{
	struct feed *feed = mem_new(1, sizeof *feed);
	int flags = fcntl(pipe, F_GETFL);
	struct stat st;
	off_t fed;
	int sys;

	feed->file = file;
	if (!fstat(file, &st) && flags >= 0 && !fcntl(pipe, F_SETFL, flags | O_NONBLOCK)) {
		feed->size = st.st_size;
		fed = fill(file, pipe, st.st_size);
		if (fed >= 0 && go_on(feed, pipe, fed))
			return feed;
	}
	sys = errno;
	free(feed);
	errno = sys;
	return NULL;
}

bool feed_well(struct feed *feed)
{
	int status;

	if (!feed || !feed->pid || waitpid(feed->pid, &status, WNOHANG | WUNTRACED) != feed->pid)
		return true;
	if (WIFSTOPPED(status)) {
		errno = EIO;
		return false;
	}
	feed->pid = 0;
	return true;
}

size_t feed_end(struct feed **feed_p)
{
	struct feed *feed = *feed_p;
	off_t at;

	if (!feed)
		return 0;
	if (feed->pid) {
		kill(feed->pid, SIGKILL);
		while (waitpid(feed->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	at = lseek(feed->file, 0, SEEK_CUR);
	at = at < 0 || at > feed->size ? 0 : feed->size - at;
	free(feed);
	*feed_p = NULL;
	return (size_t)at;
}
