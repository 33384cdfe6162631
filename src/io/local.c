/*
 * local: a Unix-domain stream socket on which processes of one user exchange lines. The server.
 *
 * Nobody but the user and root gets in, but programs have faults: lines, queues and peers are
 * bounded. A peer is closed in libuv's own time; on_gone comes then, so that never anything is
 * called from within a local_ function. local_free() leaves the peers that still close to
 * themselves.
 */
#include "io/local.h"

#include "io/local_path.h"
#include "util/buf.h"
#include "util/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

struct local_peer {
	uv_pipe_t uv;
	struct local *local; /* NULL: freed */
	struct local_peer *next;
	struct buf in;
	struct buf out;	    /* waits for what is sent */
	struct buf sending; /* on its way in write */
	uv_write_t write;
	struct loop_timer *linger; /* after local_end() */
	size_t unsent;		   /* when linger last looked */
	bool ending;
	bool over; /* being closed */
};

struct local {
	struct loop *loop;
	uv_pipe_t *uv;
	struct local_params params;
	char *path;
	dev_t dev; /* of the socket's entry in its directory */
	ino_t ino;
	struct local_peer *peers;
	size_t count;
	bool full; /* somebody waits to be accepted */
};

static void accept_next(struct local *local);

/* ---- peers ------------------------------------------------------------------------------------
 */

static void take_out(struct local *local, struct local_peer *peer)
{
	struct local_peer **at = &local->peers;

	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	local->count--;
}

static void on_peer_closed(uv_handle_t *handle)
{
	struct local_peer *peer = handle->data;
	struct local *local = peer->local;

	if (local) {
		take_out(local, peer);
		if (local->full)
			accept_next(local);
		local->params.on_gone(local->params.ctx, peer);
	}
	buf_free(&peer->in);
	buf_free(&peer->out);
	buf_free(&peer->sending);
	free(peer);
}

static void drop(struct local_peer *peer)
{
	if (peer->over)
		return;
	peer->over = true;
	loop_timer_free(&peer->linger);
	uv_close((uv_handle_t *)&peer->uv, on_peer_closed);
}

/* ---- saying -----------------------------------------------------------------------------------
 */

static void flush(struct local_peer *peer);

static void on_written(uv_write_t *write, int status)
{
	struct local_peer *peer = write->data;

	buf_free(&peer->sending);
	if (status < 0)
		drop(peer);
	else
		flush(peer);
}

static void flush(struct local_peer *peer)
{
	uv_buf_t piece;

	if (peer->over || peer->sending.len)
		return;
	if (!peer->out.len) {
		if (peer->ending)
			drop(peer);
		return;
	}
	peer->sending = peer->out;
	peer->out = (struct buf){0};
	peer->write.data = peer;
	piece = uv_buf_init((char *)peer->sending.data, (unsigned)peer->sending.len);
	if (uv_write(&peer->write, (uv_stream_t *)&peer->uv, &piece, 1, on_written) < 0)
		drop(peer);
}

static size_t unsent(const struct local_peer *peer)
{
	return uv_stream_get_write_queue_size((const uv_stream_t *)&peer->uv) + peer->out.len;
}

void local_say(struct local_peer *peer, const char *line)
{
	if (peer->over || peer->ending)
		return;
	if (unsent(peer) > LOCAL_QUEUE_MAX) {
		drop(peer);
		return;
	}
	buf_text(&peer->out, line);
	buf_text(&peer->out, "\n");
	flush(peer);
}

/* As long as the peer takes anything, it may take its time. */
static void on_linger(void *ctx)
{
	struct local_peer *peer = ctx;

	if (unsent(peer) == peer->unsent) {
		drop(peer);
		return;
	}
	peer->unsent = unsent(peer);
	loop_timer_start(peer->linger, LOCAL_LINGER_MS);
}

void local_end(struct local_peer *peer)
{
	if (peer->over || peer->ending)
		return;
	peer->ending = true;
	peer->unsent = unsent(peer);
	peer->linger = loop_timer_new(peer->local->loop, on_linger, peer);
	loop_timer_start(peer->linger, LOCAL_LINGER_MS);
	flush(peer);
}

/* ---- hearing ----------------------------------------------------------------------------------
 */

/* The next whole line, which is len octets and its line feed; NULL: there is none (yet). */
static const char *next_line(struct local_peer *peer, size_t *len_r)
{
	struct buf *in = &peer->in;
	unsigned char *end = in->len ? memchr(in->data, '\n', in->len) : NULL;

	*len_r = end ? (size_t)(end - in->data) : in->len;
	if (*len_r > LOCAL_LINE_MAX || (end && memchr(in->data, '\0', *len_r))) {
		drop(peer);
		return NULL;
	}
	if (end)
		*end = '\0';
	return end ? (const char *)in->data : NULL;
}

static void take_lines(struct local_peer *peer)
{
	const char *line;
	size_t len;

	while (!peer->over && !peer->ending && (line = next_line(peer, &len)) != NULL) {
		peer->local->params.on_line(peer->local->params.ctx, peer, line);
		buf_consume(&peer->in, len + 1);
	}
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *piece)
{
	struct local_peer *peer = handle->data;

	(void)suggested;
	*piece = uv_buf_init(loop_scratch(peer->local->loop), LOOP_SCRATCH);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *piece)
{
	struct local_peer *peer = stream->data;

	if (got < 0) {
		drop(peer);
	} else if (!peer->ending) {
		buf_append(&peer->in, piece->base, (size_t)got);
		take_lines(peer);
		if (!peer->in.len)
			buf_free(&peer->in);
	}
}

/* ---- accepting --------------------------------------------------------------------------------
 */

static bool is_welcome(const uv_pipe_t *uv)
{
	struct ucred who;
	socklen_t len = sizeof who;
	uv_os_fd_t fd;

	return !uv_fileno((const uv_handle_t *)uv, &fd) &&
	       !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) &&
	       (who.uid == geteuid() || who.uid == 0);
}

static void on_stranger_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void accept_next(struct local *local)
{
	struct local_peer *peer = mem_new(1, sizeof *peer);

	local->full = false;
	uv_pipe_init(loop_uv(local->loop), &peer->uv, 0);
	peer->uv.data = peer;
	peer->local = local;
	if (uv_accept((uv_stream_t *)local->uv, (uv_stream_t *)&peer->uv) ||
	    !is_welcome(&peer->uv) || uv_read_start((uv_stream_t *)&peer->uv, on_alloc, on_read)) {
		uv_close((uv_handle_t *)&peer->uv, on_stranger_closed);
		return;
	}
	peer->next = local->peers;
	local->peers = peer;
	local->count++;
}

/* What is not accepted stays with libuv, and nobody behind it comes either. */
static void on_connection(uv_stream_t *stream, int status)
{
	struct local *local = stream->data;

	if (status < 0)
		return;
	local->full = local->count == LOCAL_PEERS_MAX;
	if (!local->full)
		accept_next(local);
}

/* ---- life -------------------------------------------------------------------------------------
 */

/* A socket that was left by a process which died refuses; so does a file that is none. */
static bool is_left_over(const struct local_path *at)
{
	struct stat st;
	int fd;
	bool refused;

	if (lstat(at->address.sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	refused =
	    connect(fd, (const struct sockaddr *)&at->address, at->len) && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return refused;
}

/* Gives the descriptor, or -1 with errno set. */
static int bind_to(const struct local_path *at)
{
	const struct sockaddr *address = (const struct sockaddr *)&at->address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int sys;

	if (fd < 0)
		return -1;
	/* Linux gives the entry the mode that the socket has. */
	sys = fchmod(fd, S_IRUSR | S_IWUSR) || bind(fd, address, at->len) ? errno : 0;
	if (sys == EADDRINUSE && is_left_over(at))
		sys = unlink(at->address.sun_path) || bind(fd, address, at->len) ? errno : 0;
	if (!sys)
		return fd;
	close(fd);
	errno = sys;
	return -1;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static bool listen_on(struct local *local, int fd, struct err *err)
{
	int status;

	local->uv = mem_new(1, sizeof *local->uv);
	uv_pipe_init(loop_uv(local->loop), local->uv, 0);
	local->uv->data = local;
	status = uv_pipe_open(local->uv, fd);
	if (status < 0)
		close(fd);
	if (status == 0)
		status = uv_listen((uv_stream_t *)local->uv, LOCAL_PEERS_MAX, on_connection);
	return !status || err_set(err, ERR_STATE, "cannot listen on the socket %s: %s", local->path,
				  uv_strerror(status));
}

static bool open_here(struct local *local, struct err *err)
{
	struct local_path at;
	struct stat st;
	int fd;

	if (!local_path_open(&at, local->path, err))
		return false;
	fd = bind_to(&at);
	local_path_close(&at);
	if (fd < 0)
		return err_sys(err, ERR_STATE, errno, "cannot make the socket %s", local->path);
	if (!lstat(local->path, &st)) {
		local->dev = st.st_dev;
		local->ino = st.st_ino;
	}
	return listen_on(local, fd, err);
}

struct local *local_new(struct loop *loop, const char *path, const struct local_params *params,
			struct err *err)
{
	struct local *local = mem_new(1, sizeof *local);

	local->loop = loop;
	local->params = *params;
	local->path = mem_copy(path);
	if (!open_here(local, err))
		local_free(&local);
	return local;
}

void local_free(struct local **local_p)
{
	struct local *local = *local_p;
	struct stat st;

	*local_p = NULL;
	if (!local)
		return;
	if (local->ino && !lstat(local->path, &st) && st.st_dev == local->dev &&
	    st.st_ino == local->ino)
		unlink(local->path);
	for (struct local_peer *peer = local->peers; peer; peer = peer->next) {
		peer->local = NULL;
		drop(peer);
	}
	if (local->uv)
		uv_close((uv_handle_t *)local->uv, free_handle);
	free(local->path);
	free(local);
}
