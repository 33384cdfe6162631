/*
 * state_files: what of the state needs no database. For state.c alone; the locks stand in state.h.
 */
#ifndef MAILHAUL_STATE_STATE_FILES_H
#define MAILHAUL_STATE_STATE_FILES_H

#include "util/err.h"

#include <stdbool.h>

/* Makes the directory (0700) with its parents, and the empty file (0600), where there are none.
 * What stands in place of the file and is no regular file, a symbolic link too, is refused. */
bool state_make_files(const char *directory, const char *path, struct err *err);

/* Waits until no other process makes a state there. A descriptor to close afterwards, or -1. */
int state_enter_alone(const char *directory, struct err *err);

#endif
