/*
 * feed: gives a file to a pipe, whole, even if this process dies in the middle of it: whoever reads
 * the pipe would take the end of half a file for the end of the file.
 *
 * What fits into the pipe goes there at once; the rest is left to a small process of its own, which
 * holds nothing but the file and the pipe. Used by child only.
 */
#ifndef MAILHAUL_IO_FEED_H
#define MAILHAUL_IO_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct feed;

/* Begins at the file's first octet. Both descriptors stay the caller's, who closes the pipe's end
 * when all its other users have started. The file's offset is the feed's until feed_end(). NULL
 * with errno. */
struct feed *feed_new(int file, int pipe);

/* After a SIGCHLD. False: the file could not be read to its end (errno, EIO if it shrank); the pipe
 * is held open, so that nobody sees an end, until feed_end(). */
bool feed_well(struct feed *feed);

/* Stops; gives the octets that never went into the pipe, and clears the pointer. NULL gives 0. */
size_t feed_end(struct feed **feed);

#endif
