/*
 * scheduler: which account may connect now: slots in all and for each host, first come first
 * served.
 */
#ifndef MAILHAUL_DAEMON_SCHEDULER_H
#define MAILHAUL_DAEMON_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>

struct scheduler;

/* most: connections at once, in all and to one host; both at least 1. */
struct scheduler *scheduler_new(size_t most, size_t most_per_host);
void scheduler_free(struct scheduler **scheduler);

/* Queues an account. host is copied and compared without regard to case. */
void scheduler_add(struct scheduler *scheduler, const char *host, void *account);

/* The next account that may begin, which takes a slot; NULL if none may, or none waits. */
void *scheduler_next(struct scheduler *scheduler);

/* Gives back the slot of an account that scheduler_next() gave. */
void scheduler_done(struct scheduler *scheduler, void *account);

/* True if no account waits and none holds a slot. */
bool scheduler_idle(const struct scheduler *scheduler);

#endif
