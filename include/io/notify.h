/*
 * notify: what a service says to its manager: sd_notify(3)'s datagrams, without its library.
 */
#ifndef MAILHAUL_IO_NOTIFY_H
#define MAILHAUL_IO_NOTIFY_H

#include "io/loop.h"

struct notify;

/*
 * Goes by NOTIFY_SOCKET (a path, or "@" and an abstract name), and tells the watchdog that the loop
 * turns, twice in each WATCHDOG_USEC, if WATCHDOG_PID names this process or none. Takes these
 * variables out of the environment: children are not to speak for us. Called before there are other
 * threads. NULL: nobody listens; every function here takes that.
 */
struct notify *notify_new(struct loop *loop);

/* Says "READY=1", "STATUS=..." and the like, with line feeds between several. Never blocks: what
 * the manager has no room for is said a little later, in the same order. "RELOADING=1" gets the
 * time that must stand with it. */
void notify_say(struct notify *notify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What still waits is tried once more. */
void notify_free(struct notify **notify);

#endif
