/*
 * config_path: from a path as it is written in a configuration to an absolute one.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_PATH_H
#define MAILHAUL_CONFIG_CONFIG_PATH_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>

/* What paths are made with. */
struct config_base {
	const char *directory; /* absolute; relative paths begin here */
	const char *home;      /* for ~; NULL: not known */
};

/* Fills out, which is empty, with the path that text means: absolute, ~ and ${VAR} expanded,
 * without / at its end. ERR_CONFIG. */
bool config_path_expand(const char *option, struct buf *out, const char *text,
			const struct config_base *base, struct err *err);

#endif
