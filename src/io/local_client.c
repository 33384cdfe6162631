/*
 * local_client: the side of local that connects: a command that asks a daemon and waits.
 */
#include "io/local.h"
#include "io/local_path.h"
#include "util/buf.h"
#include "util/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENT_WAIT_S = 10, CLIENT_READ = 16384 };

struct local_client {
	int fd;
	struct buf in;
};

static int failed_connect(const char *path, int sys, struct err *err)
{
	if (sys == EAGAIN)
		err_set(err, ERR_TEMPORARY, "nobody answers on the socket %s", path);
	else if (sys != ENOENT && sys != ECONNREFUSED)
		err_sys(err, ERR_STATE, sys, "the socket %s", path);
	return -1;
}

/* -1 with ERR_NONE: nobody listens. */
static int connect_to(const char *path, struct err *err)
{
	const struct timeval wait = {.tv_sec = CLIENT_WAIT_S};
	struct local_path at;
	int fd;
	int sys;

	if (!local_path_open(&at, path, err))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		sys = errno;
		local_path_close(&at);
		err_sys(err, ERR_INTERNAL, sys, "cannot make a socket");
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	sys = connect(fd, (const struct sockaddr *)&at.address, at.len) ? errno : 0;
	local_path_close(&at);
	if (!sys)
		return fd;
	close(fd);
	return failed_connect(path, sys, err);
}

struct local_client *local_connect(const char *path, struct err *err)
{
	struct local_client *client;
	int fd;

	err_clear(err);
	fd = connect_to(path, err);
	if (fd < 0)
		return NULL;
	client = mem_new(1, sizeof *client);
	client->fd = fd;
	return client;
}

static bool lost(struct err *err, int sys)
{
	if (sys == EAGAIN)
		return err_set(err, ERR_TEMPORARY, "the daemon does not read what it is told");
	return err_sys(err, ERR_TEMPORARY, sys, "the connection to the daemon broke");
}

bool local_tell(struct local_client *client, const char *line, struct err *err)
{
	struct buf out = {0};
	int sys = 0;

	buf_text(&out, line);
	buf_text(&out, "\n");
	while (out.len && !sys) {
		ssize_t sent = send(client->fd, out.data, out.len, MSG_NOSIGNAL);

		if (sent >= 0)
			buf_consume(&out, (size_t)sent);
		else if (errno != EINTR)
			sys = errno;
	}
	buf_free(&out);
	return !sys || lost(err, sys);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits until there is something to read; false: too long, or it failed. */
static bool wait_until(const struct local_client *client, uint64_t until, struct err *err)
{
	const uint64_t longest = 3600000;
	struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};

	for (;;) {
		uint64_t now = now_ms();
		uint64_t left = now < until ? until - now : 0;
		int got = poll(&poll_fd, 1, (int)(left < longest ? left : longest));

		if (got > 0)
			return true;
		if (got < 0 && errno != EINTR)
			return lost(err, errno);
		if (got == 0 && left <= longest)
			return err_set(err, ERR_TEMPORARY, "the daemon does not answer");
	}
}

/* False: the end (ERR_NONE), or it failed. */
static bool read_more(struct local_client *client, uint64_t until, struct err *err)
{
	ssize_t got;

	if (client->in.len > LOCAL_LINE_MAX)
		return err_set(err, ERR_TEMPORARY, "the daemon says too much at once");
	if (!wait_until(client, until, err))
		return false;
	got = recv(client->fd, buf_reserve(&client->in, CLIENT_READ), CLIENT_READ, 0);
	if (got > 0)
		buf_grow(&client->in, (size_t)got);
	if (got > 0 || (got < 0 && errno == EINTR))
		return true;
	if (got < 0)
		return lost(err, errno);
	if (client->in.len)
		err_set(err, ERR_TEMPORARY, "the daemon went in the middle of an answer");
	return false;
}

char *local_hear(struct local_client *client, uint64_t wait_ms, struct err *err)
{
	uint64_t now = now_ms();
	uint64_t until = wait_ms > UINT64_MAX - now ? UINT64_MAX : now + wait_ms;
	const unsigned char *end = NULL;
	char *line;
	size_t len;

	err_clear(err);
	do
		end = client->in.len ? memchr(client->in.data, '\n', client->in.len) : NULL;
	while (!end && read_more(client, until, err));
	if (!end)
		return NULL;
	len = (size_t)(end - client->in.data);
	line = mem_copy_n((const char *)client->in.data, len);
	buf_consume(&client->in, len + 1);
	return line;
}

void local_close(struct local_client **client_p)
{
	struct local_client *client = *client_p;

	*client_p = NULL;
	if (!client)
		return;
	close(client->fd);
	buf_free(&client->in);
	free(client);
}
