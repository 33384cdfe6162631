/*
 * crash: named points at which the test build dies as by kill -9.
 */
#include "util/crash.h"

#ifdef MAILHAUL_CRASH

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(const char *name)
{
	const char *list = getenv("MAILHAUL_CRASH_LIST");
	int fd;

	if (!list)
		return;
	fd = open(list, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	dprintf(fd, "%s\n", name);
	close(fd);
}

void crash_point(const char *name)
{
	static atomic_long visits;
	const char *want = getenv("MAILHAUL_CRASH");
	size_t len = strlen(name);
	long at = 1;

	note(name);
	if (!want || strncmp(want, name, len) != 0 || (want[len] && want[len] != ':'))
		return;
	if (want[len] == ':')
		at = strtol(want + len + 1, NULL, 10);
	if (atomic_fetch_add(&visits, 1) + 1 == at)
		raise(SIGKILL);
}

#else

/* ISO C wants a translation unit to hold something. */
typedef int crash_is_not_built_in;

#endif
