/*
 * covered: what the preloaded shims share: where a descriptor or a name leads. By system calls, so
 * that they depend on nothing that they cover.
 */
#ifndef MAILHAUL_TESTS_FAULT_COVERED_H
#define MAILHAUL_TESTS_FAULT_COVERED_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* out holds PATH_SIZE octets, and is empty where the descriptor leads nowhere. */
static inline void path_of(int fd, char *out)
{
	char link[64];
	ssize_t len;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_SIZE - 1);
	out[len < 0 ? 0 : len] = '\0';
}

static inline void path_at(int fd, const char *name, char *out)
{
	size_t len = 0;

	if (*name != '/' && fd != AT_FDCWD) {
		path_of(fd, out);
		len = strlen(out);
		out[len++] = '/';
	}
	snprintf(out + len, PATH_SIZE - len, "%s", name);
}

static inline bool begins(const char *path, const char *with)
{
	return with && strncmp(path, with, strlen(with)) == 0;
}

#endif
