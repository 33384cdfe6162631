/*
 * state_files: what of the state needs no database. For src/state alone; the locks stand in
 * state.h.
 */
#ifndef MAILHAUL_STATE_STATE_FILES_H
#define MAILHAUL_STATE_STATE_FILES_H

#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes the directory (0700) with its parents, and the empty file (0600), where there are none, and
 * tells whether it made the file. Says so (WARNING) if the directory was used before.
 * What stands in place of the file and is no regular file, a symbolic link too, is refused. */
bool state_make_files(const char *directory, const char *path, bool *made_r, struct err *err);

/* The same with what has just been renamed in it. */
bool state_flush_directory(const char *directory, struct err *err);

/* True if a mailbox was visited with this directory, or a daemon began: there was a state. */
bool state_was_used(const char *directory);

/* True if SQLite's WAL is safe on a file system of this type (statfs(2), f_type): its index is
 * memory that processes share, which no network file system keeps the same for all; one by FUSE may
 * be one. */
bool state_wants_wal(uint32_t type);

/* The same for the directory. What cannot be asked for counts as a local disk. */
bool state_may_wal(const char *directory);

/* All the locks that there are, the daemon's too. ERR_TEMPORARY if another mailhaul holds one. */
struct state_locks;
struct state_locks *state_lock_all(const char *directory, struct err *err);
void state_unlock_all(struct state_locks **locks);

/* Waits until no other process makes a state there. A descriptor to close afterwards, or -1. */
int state_enter_alone(const char *directory, struct err *err);

#endif
