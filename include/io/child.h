/*
 * child: one child process, run by argv without a shell, with a deadline and capped output.
 *
 * The child leads a process group of its own, which is killed at the deadline. Descriptors of ours
 * are not inherited. The child begins with default signal dispositions and an empty mask.
 */
#ifndef MAILHAUL_IO_CHILD_H
#define MAILHAUL_IO_CHILD_H

#include "io/loop.h"
#include "util/buf.h"

#include <stddef.h>
#include <sys/types.h>

struct child;

struct child_params {
	const char *const *argv; /* NULL at the end; argv[0] is looked up in PATH; copied */
	int input_fd; /* a file whose contents from offset 0 become the child's stdin, through a
			 pipe; -1: stdin is empty. Stays the caller's, until the end. */
	uint64_t deadline_ms;
	size_t output_max; /* octets of stdout that are kept; more kills the child if
			      output_strict, else the rest is read and dropped */
	bool output_strict;
	void (*on_end)(void *ctx, struct child *child); /* on the loop, once; may free the child */
	void *ctx;
};

/*
 * How it ended. When it could not be started, sys says why, and exit_code is what a shell would
 * say: 127 not found, 126 not to be run; else 75 (no memory, no more processes). sys is also set
 * when the input could not be read to its end; then the child was killed.
 */
struct child_end {
	bool started;
	int sys;
	int exit_code; /* -1 when a signal ended it */
	int signal;
	bool timed_out;
	bool too_much;	   /* output_strict, and it printed more */
	size_t input_left; /* octets of its input that it did not read */
};

/* Never NULL: a failure to start is reported through on_end, from the loop. */
struct child *child_new(struct loop *loop, const struct child_params *params);

/* Kills the group if the child still runs, then frees; no callback comes after it. Wipes the
 * output. What a child that has ended left running in the background is not touched. */
void child_free(struct child **child);

const struct child_end *child_end(const struct child *child);

/* stdout; and the last 2 KB of stderr, raw. Owned by the child; on_end may take the octets. */
struct buf *child_output(struct child *child);
struct buf *child_stderr(struct child *child);

/* "ended with exit code 3", "was killed by signal 9 (Killed)", "did not end within 10 s",
 * "could not be started: No such file or directory", "was not started, because its input could not
 * be read: Input/output error". out of at least 128 octets; returns out. */
char *child_describe(const struct child *child, char *out, size_t size);

#endif
