/*
 * local_path: the address of a Unix-domain socket whose path may be longer than such an address.
 *
 * For src/io/local.c and local_client.c only.
 */
#ifndef MAILHAUL_IO_LOCAL_PATH_H
#define MAILHAUL_IO_LOCAL_PATH_H

#include "util/err.h"

#include <sys/socket.h>
#include <sys/un.h>

struct local_path {
	struct sockaddr_un address;
	socklen_t len;
	int dir; /* what the address goes by; -1: it is the path as it stands */
};

/* Fails with ERR_STATE, naming the path: its directory is not there, or it is too long all the
 * same. After true the address is good until local_path_close(). */
bool local_path_open(struct local_path *at, const char *path, struct err *err);
void local_path_close(struct local_path *at);

#endif
