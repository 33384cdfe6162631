/*
 * scheduler: whose turn it is to connect: who is due, first the one that has been due for longest,
 * within the slots in all and for each host.
 *
 * A turn whose host is full holds up nobody else. Every call costs at most the logarithm of the
 * number of turns, whether they are 10,000 at one host or at 10,000 hosts (scheduler_next() also
 * that much for each turn that has become due since it was last asked). It has no clock: times are
 * milliseconds of its caller's, which never go back.
 */
#ifndef MAILHAUL_DAEMON_SCHEDULER_H
#define MAILHAUL_DAEMON_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scheduler;
struct turn; /* one who visits a host now and then */

/* most: connections at once, in all and to one host; both at least 1. */
struct scheduler *scheduler_new(size_t most, size_t most_per_host);

/* Frees the turns that were not removed, too. */
void scheduler_free(struct scheduler **scheduler);

/* From now on; what runs beyond them runs on. */
void scheduler_limits(struct scheduler *scheduler, size_t most, size_t most_per_host);

/* A turn, owned by the scheduler, not due until it is told when. host is copied and compared
 * without regard to case. owner is what scheduler_next() gives. */
struct turn *scheduler_add(struct scheduler *scheduler, const char *host, void *owner);

/* Frees a turn and clears the pointer; gives back its slot if it has one. */
void scheduler_remove(struct scheduler *scheduler, struct turn **turn);

/* When the turn is due, instead of when it was; UINT64_MAX: not at all. Of those that are due at
 * the same time the one that was told first comes first. For a turn that runs it holds from
 * scheduler_done() on. */
void scheduler_due(struct scheduler *scheduler, struct turn *turn, uint64_t at);
void scheduler_not_due(struct scheduler *scheduler, struct turn *turn);

/* Whether the turn, when next scheduler_due() is told, comes with a connection that it has: then it
 * takes a slot of those in all, and none of its host. At first it does not. */
void scheduler_connected(struct turn *turn, bool connected);

/* The owner of a turn that is due and gets a slot; from then on the turn runs, and is not due until
 * it is told when. NULL: none is due, or no slot is free for those that are. */
void *scheduler_next(struct scheduler *scheduler, uint64_t now);

/* Gives back the slot of a turn that runs; nothing for one that does not. */
void scheduler_done(struct scheduler *scheduler, struct turn *turn);

/* How long until the next turn becomes due, to be asked when scheduler_next() has given NULL; 0
 * where that would give one, or was not asked since one became due; UINT64_MAX: never. Turns that
 * are due and wait for a slot do not count: their time comes with scheduler_done(). */
uint64_t scheduler_wait(const struct scheduler *scheduler, uint64_t now);

/* True if no turn is due, now or some time, and none runs. */
bool scheduler_idle(const struct scheduler *scheduler);

/* When it is due; UINT64_MAX: it is not. */
uint64_t scheduler_when(const struct turn *turn);

/* How many comparisons it all took so far, for tests that count instead of timing. */
uint64_t scheduler_compared(const struct scheduler *scheduler);

#endif
