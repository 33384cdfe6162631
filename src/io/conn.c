/*
 * conn: one TCP connection: names resolved, every address tried (dial), TLS laid over it (tls), and
 * no wait without a deadline.
 *
 * What libuv lets go of only later stands apart, so that a connection can be freed at any moment:
 * the link holds the socket and what is on its way. It points back, and the pointer is cleared when
 * the connection is over.
 *
 *     CONNECTING -> CLEAR (STARTTLS) -> HANDSHAKE -> SECURED -> OVER
 *
 * Octets that arrive are decrypted at once and whole, so nothing is ever stranded inside GnuTLS.
 * What is written while an event is being delivered leaves in one piece when the owner returns.
 *
 * A connection may listen for days, one of thousands: what it does not need for that is made when
 * it is needed, and freed afterwards.
 */
#include "io/conn.h"

#include "io/dial.h"
#include "util/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum {
	CONN_IN_MAX = 256 * 1024, /* the owner is behind: nothing more is read */
	CONN_SPARE_MAX = 16384,	  /* larger empty buffers of a quiet connection are given back */
	CONN_BROKEN_MS = 1000	  /* how long what the peer still said may take to be read */
};

enum conn_state { CONNECTING, CLEAR, HANDSHAKE, SECURED, OVER };

/* On its way in a uv_write(). */
struct sending {
	uv_write_t write;
	struct buf bytes;
	size_t unsent; /* what was left of them when the clock last looked */
	struct link *link;
};

struct link {
	uv_tcp_t *tcp;
	struct sending *sending; /* NULL: nothing */
	struct conn *conn;	 /* NULL: closing */
};

/* What the handshake wants. */
struct hello {
	struct tls_trust *trust;
	char *name;
	char **pins;
	bool only_1_3;
	uint64_t handshake_ms;
};

struct conn {
	struct loop *loop;
	enum conn_state state;
	char *host;
	bool implicit;
	uint64_t silence_ms;
	uint64_t received; /* octets, decrypted */
	void (*on)(void *ctx, enum conn_what what, const struct err *err);
	void *ctx;

	struct hello *hello; /* until SECURED */
	struct dial *dial;   /* while CONNECTING */
	struct link *link;
	struct loop_timer *clock; /* deadline of the state; in CLEAR and SECURED the silence */
	struct loop_timer *later; /* tells a failure that must not be told inside a conn_ function;
				     NULL: there was none */
	uint64_t active;	  /* when an octet last came or went */
	bool ticking;		  /* the silence is being counted */
	bool reading;
	bool paused;
	bool corked;	     /* an event is being delivered: collect what is written */
	bool ended;	     /* CONN_EOF was told or is due */
	bool broken;	     /* writing failed */
	struct err *failure; /* to be told by later */

	struct buf in;
	struct buf out; /* on the wire's side of TLS */
	struct tls *tls;
	char peer[DIAL_PEER_MAX];
	bool *freed; /* set by conn_free() for the delivery it happens in */
};

static void arrange(struct conn *conn);

/* ---- telling the owner ------------------------------------------------------------------------
 */

/* False: the owner has freed the connection. */
static bool tell(struct conn *conn, enum conn_what what, const struct err *err)
{
	bool freed = false;

	conn->freed = &freed;
	conn->on(conn->ctx, what, err);
	if (freed)
		return false;
	conn->freed = NULL;
	return true;
}

static void on_link_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;

	free(link);
	free(handle);
}

static void drop_link(struct conn *conn)
{
	if (!conn->link)
		return;
	conn->link->conn = NULL;
	uv_close((uv_handle_t *)conn->link->tcp, on_link_closed);
	conn->link = NULL;
	conn->reading = false;
}

/* The last event; the connection may be gone afterwards. */
static void fail(struct conn *conn, const struct err *err)
{
	struct err copy = *err;

	if (conn->state == OVER)
		return;
	conn->state = OVER;
	loop_timer_stop(conn->clock);
	if (conn->later)
		loop_timer_stop(conn->later);
	drop_link(conn);
	tell(conn, CONN_FAILED, &copy);
}

static void on_later(void *ctx)
{
	struct conn *conn = ctx;

	fail(conn, conn->failure);
}

/* Once: the first failure stands. */
static void fail_in(struct conn *conn, uint64_t milliseconds, const struct err *err)
{
	conn->failure = mem_new(1, sizeof *conn->failure);
	*conn->failure = *err;
	conn->later = loop_timer_new(conn->loop, on_later, conn);
	loop_timer_start(conn->later, milliseconds);
}

static void fail_later(struct conn *conn, const struct err *err)
{
	if (conn->failure)
		return;
	conn->ended = true; /* whatever still comes is not for the owner */
	arrange(conn);
	fail_in(conn, 0, err);
}

static bool in_stream(const struct conn *conn)
{
	return conn->state == CLEAR || conn->state == HANDSHAKE || conn->state == SECURED;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static void flush(struct conn *conn);

/*
 * The peer may have said why it hung up before it did: what can still be read is read first, and
 * tells its end by itself. The failure stands by for the case that nothing comes.
 */
static void write_failed(struct conn *conn, int status)
{
	struct err err;

	if (conn->broken)
		return;
	conn->broken = true;
	buf_wipe(&conn->out);
	if (conn->failure)
		return;
	err_set(&err, ERR_TEMPORARY, "the connection to %s broke: %s", conn->host,
		uv_strerror(status));
	fail_in(conn, CONN_BROKEN_MS, &err);
}

/* Comes for everything, also for what was on its way when the link was closed. */
static void on_written(uv_write_t *request, int status)
{
	struct sending *sending = request->data;
	struct link *link = sending->link;
	struct conn *conn = link->conn;

	link->sending = NULL;
	buf_wipe(&sending->bytes);
	free(sending);
	if (!conn || conn->state == OVER)
		return;
	if (status < 0) {
		write_failed(conn, status);
		return;
	}
	conn->active = uv_now(loop_uv(conn->loop));
	flush(conn);
	arrange(conn);
}

/* Behind what waits already goes what TLS has produced. */
static void gather(struct conn *conn)
{
	struct buf *wire = conn->tls ? tls_wire_out(conn->tls) : NULL;
	struct buf empty = conn->out;

	if (!wire || !wire->len)
		return;
	if (conn->out.len) {
		buf_append(&conn->out, wire->data, wire->len);
		buf_clear(wire);
	} else {
		conn->out = *wire;
		*wire = empty;
	}
}

/* Gives the rest to libuv, which waits for the socket. */
static void send_rest(struct conn *conn)
{
	struct sending *sending = mem_new(1, sizeof *sending);
	struct link *link = conn->link;
	uv_buf_t piece;
	int status;

	sending->bytes = conn->out;
	sending->unsent = sending->bytes.len;
	sending->link = link;
	sending->write.data = sending;
	conn->out = (struct buf){0};
	link->sending = sending;
	piece = uv_buf_init((char *)sending->bytes.data, (unsigned)sending->bytes.len);
	status = uv_write(&sending->write, (uv_stream_t *)link->tcp, &piece, 1, on_written);
	if (status < 0) {
		link->sending = NULL;
		buf_wipe(&sending->bytes);
		free(sending);
		write_failed(conn, status);
	}
}

static void flush(struct conn *conn)
{
	uv_buf_t piece;
	int sent;

	gather(conn);
	if (!conn->link || conn->broken || !conn->out.len || conn->link->sending)
		return;
	piece = uv_buf_init((char *)conn->out.data, (unsigned)conn->out.len);
	sent = uv_try_write((uv_stream_t *)conn->link->tcp, &piece, 1);
	if (sent > 0) {
		buf_consume(&conn->out, (size_t)sent);
		conn->active = uv_now(loop_uv(conn->loop));
	}
	if (sent < 0 && sent != UV_EAGAIN)
		write_failed(conn, sent);
	else if (conn->out.len)
		send_rest(conn);
	else if (conn->out.room > CONN_SPARE_MAX)
		buf_free(&conn->out);
}

void conn_write(struct conn *conn, struct buf *bytes, bool secret)
{
	struct err err;

	if (bytes->len && in_stream(conn) && !conn->broken) {
		if (conn->state == SECURED) {
			if (!tls_write(conn->tls, bytes->data, bytes->len, &err))
				fail_later(conn, &err);
		} else if (secret || conn->state == HANDSHAKE) {
			err_set(&err, ERR_TLS,
				"a secret was about to leave before the connection was encrypted; "
				"nothing was sent");
			fail_later(conn, &err);
		} else {
			buf_append(&conn->out, bytes->data, bytes->len);
		}
		if (!conn->corked) {
			flush(conn);
			arrange(conn);
		}
	}
	if (secret)
		buf_wipe(bytes);
	else
		buf_clear(bytes);
}

/* ---- TLS --------------------------------------------------------------------------------------
 */

static void make_hello(struct conn *conn, const struct conn_params *params)
{
	const struct tls_params *tls = &params->tls;
	struct hello *hello = mem_new(1, sizeof *hello);
	size_t count = 0;

	hello->trust = tls_trust_share(tls->trust);
	hello->name = mem_copy(tls->name ? tls->name : params->host);
	hello->only_1_3 = tls->only_1_3;
	hello->handshake_ms = params->handshake_ms;
	while (tls->pins && tls->pins[count])
		count++;
	if (count)
		hello->pins = mem_new(count + 1, sizeof *hello->pins);
	for (size_t i = 0; i < count; i++)
		hello->pins[i] = mem_copy(tls->pins[i]);
	conn->hello = hello;
}

static void drop_hello(struct conn *conn)
{
	struct hello *hello = conn->hello;

	if (!hello)
		return;
	for (size_t i = 0; hello->pins && hello->pins[i]; i++)
		free(hello->pins[i]);
	tls_trust_free(&hello->trust);
	free(hello->pins);
	free(hello->name);
	free(hello);
	conn->hello = NULL;
}

static bool say_hello(struct conn *conn, struct err *err)
{
	struct hello *hello = conn->hello;
	struct tls_params params = {.trust = hello->trust,
				    .name = hello->name,
				    .pins = (const char *const *)hello->pins,
				    .only_1_3 = hello->only_1_3};

	conn->tls = tls_new(&params, err);
	if (!conn->tls)
		return false;
	conn->state = HANDSHAKE;
	loop_timer_start(conn->clock, hello->handshake_ms);
	conn->ticking = false;
	return tls_handshake(conn->tls, err) != TLS_FAILED;
}

void conn_start_tls(struct conn *conn)
{
	struct err err = {0};

	if (conn->state != CLEAR)
		return;
	if (conn->in.len)
		err_set(&err, ERR_TLS,
			"the server went on in clear where TLS had to begin; nothing was sent");
	if (conn->in.len || !say_hello(conn, &err)) {
		fail_later(conn, &err);
		return;
	}
	if (!conn->corked)
		flush(conn);
	arrange(conn);
}

/* False: the connection is over, perhaps freed. */
static bool shake(struct conn *conn)
{
	struct err err = {0};
	enum tls_step step = tls_handshake(conn->tls, &err);

	if (step == TLS_FAILED) {
		flush(conn); /* the alert, as far as it goes at once */
		fail(conn, &err);
		return false;
	}
	if (step == TLS_MORE)
		return true;
	conn->state = SECURED;
	drop_hello(conn);
	loop_timer_stop(conn->clock);
	conn->ticking = false;
	return tell(conn, CONN_SECURED, NULL);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

/* Decrypts what came, tells it, and then tells how the stream ended if it did. */
static bool take_secured(struct conn *conn)
{
	size_t had = conn->in.len;
	struct err err = {0};
	enum tls_step step = tls_read(conn->tls, &conn->in, SIZE_MAX, &err);

	conn->received += conn->in.len - had;
	if (conn->in.len > had && !tell(conn, CONN_READABLE, NULL))
		return false;
	if (step == TLS_FAILED) {
		flush(conn);
		fail(conn, &err);
		return false;
	}
	if (step == TLS_CLOSED && !conn->ended) {
		conn->ended = true;
		return tell(conn, CONN_EOF, NULL);
	}
	return true;
}

static bool take(struct conn *conn, const char *bytes, size_t len)
{
	if (conn->state == CLEAR) {
		buf_append(&conn->in, bytes, len);
		conn->received += len;
		return tell(conn, CONN_READABLE, NULL);
	}
	buf_append(tls_wire_in(conn->tls), bytes, len);
	if (conn->state == HANDSHAKE && !shake(conn))
		return false;
	return conn->state != SECURED || take_secured(conn);
}

/* A quiet connection keeps no large buffers: thousands of them may be listening. */
static void give_back(struct conn *conn)
{
	struct buf *wire = conn->tls ? tls_wire_in(conn->tls) : NULL;

	if (!conn->in.len && conn->in.room > CONN_SPARE_MAX)
		buf_free(&conn->in);
	if (wire && !wire->len && wire->room > CONN_SPARE_MAX)
		buf_free(wire);
}

static bool end_stream(struct conn *conn, int status)
{
	struct err err = {0};

	if (status != UV_EOF)
		err_set(&err, ERR_TEMPORARY, "the connection to %s broke: %s", conn->host,
			uv_strerror(status));
	else if (conn->state == HANDSHAKE)
		err_set(
		    &err, ERR_TEMPORARY,
		    "%s closed the connection in the middle of the TLS handshake; nothing was sent",
		    conn->host);
	if (err.kind != ERR_NONE) {
		fail(conn, &err);
		return false;
	}
	conn->ended = true;
	return tell(conn, CONN_EOF, NULL);
}

/* After events: sends what they brought about, and reads or not as things stand now. */
static void settle(struct conn *conn)
{
	conn->corked = false;
	flush(conn);
	arrange(conn);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *piece)
{
	struct link *link = stream->data;
	struct conn *conn = link->conn;
	bool alive;

	if (!conn || !got)
		return;
	conn->active = uv_now(loop_uv(conn->loop));
	conn->corked = true;
	alive = got < 0 ? end_stream(conn, (int)got) : take(conn, piece->base, (size_t)got);
	if (!alive)
		return;
	/* The time that its owner took for it is no silence of the peer's. */
	uv_update_time(loop_uv(conn->loop));
	conn->active = uv_now(loop_uv(conn->loop));
	settle(conn);
	if (got < CONN_SPARE_MAX)
		give_back(conn);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *piece)
{
	struct link *link = handle->data;

	(void)suggested;
	*piece = uv_buf_init(link->conn ? loop_scratch(link->conn->loop) : NULL,
			     link->conn ? LOOP_SCRATCH : 0);
}

static bool wants_to_read(const struct conn *conn)
{
	if (!in_stream(conn) || conn->ended)
		return false;
	return conn->state == HANDSHAKE || (!conn->paused && conn->in.len <= CONN_IN_MAX);
}

static bool silence_counts(const struct conn *conn)
{
	return conn->silence_ms && (conn->state == CLEAR || conn->state == SECURED) &&
	       !conn->broken && (conn->reading || conn->link->sending);
}

/* Reads or not, and lets the clock of silence run or not. */
static void arrange(struct conn *conn)
{
	bool want = wants_to_read(conn);

	if (!conn->link)
		return;
	if (want && !conn->reading) {
		conn->active = uv_now(loop_uv(conn->loop));
		uv_read_start((uv_stream_t *)conn->link->tcp, on_alloc, on_read);
	} else if (!want && conn->reading) {
		uv_read_stop((uv_stream_t *)conn->link->tcp);
	}
	conn->reading = want;
	if (!conn->ticking && silence_counts(conn)) {
		conn->ticking = true;
		loop_timer_start(conn->clock, conn->silence_ms);
	}
}

/* ---- connecting -------------------------------------------------------------------------------
 */

static void open_link(struct conn *conn, uv_tcp_t *tcp)
{
	struct link *link = mem_new(1, sizeof *link);

	link->tcp = tcp;
	link->conn = conn;
	tcp->data = link;
	conn->link = link;
}

static void on_dialled(void *ctx, uv_tcp_t *tcp, const char *peer, const struct err *why)
{
	struct conn *conn = ctx;
	struct err err = {0};

	if (!tcp) {
		fail(conn, why);
		return;
	}
	snprintf(conn->peer, sizeof conn->peer, "%s", peer);
	dial_free(&conn->dial);
	open_link(conn, tcp);
	conn->state = CLEAR;
	conn->corked = true;
	if (!conn->implicit) {
		if (!tell(conn, CONN_OPEN, NULL))
			return;
	} else if (!say_hello(conn, &err)) {
		fail(conn, &err);
		return;
	}
	settle(conn);
}

/* ---- time -------------------------------------------------------------------------------------
 */

/* libuv tells of a write only when all of it has left; its queue shows that it goes on. */
static void watch_queue(struct conn *conn, uint64_t now)
{
	size_t unsent = uv_stream_get_write_queue_size((uv_stream_t *)conn->link->tcp);
	struct sending *sending = conn->link->sending;

	if (sending && unsent < sending->unsent) {
		sending->unsent = unsent;
		conn->active = now;
	}
}

static void on_silence(struct conn *conn)
{
	uint64_t now = uv_now(loop_uv(conn->loop));
	struct err err;

	conn->ticking = silence_counts(conn);
	if (!conn->ticking)
		return;
	watch_queue(conn, now);
	if (now - conn->active < conn->silence_ms) {
		loop_timer_start(conn->clock, conn->silence_ms - (now - conn->active));
		return;
	}
	err_set(&err, ERR_TEMPORARY, "%s %s for %.1f s", conn->host,
		conn->link->sending ? "has taken nothing that was sent" : "was silent",
		(double)conn->silence_ms / 1000);
	fail(conn, &err);
}

static void on_clock(void *ctx)
{
	struct conn *conn = ctx;
	struct err err;

	switch (conn->state) {
	case HANDSHAKE:
		err_set(&err, ERR_TEMPORARY,
			"%s did not end the TLS handshake within %.1f s; nothing was sent",
			conn->host, (double)conn->hello->handshake_ms / 1000);
		fail(conn, &err);
		break;
	case CLEAR:
	case SECURED:
		on_silence(conn);
		break;
	case CONNECTING:
	case OVER:
		break;
	}
}

/* ---- life -------------------------------------------------------------------------------------
 */

struct conn *conn_new(struct loop *loop, const struct conn_params *params)
{
	struct conn *conn = mem_new(1, sizeof *conn);
	struct dial_params dial = {.host = params->host,
				   .port = params->port,
				   .connect_ms = params->connect_ms,
				   .on_done = on_dialled,
				   .ctx = conn};

	conn->loop = loop;
	conn->state = CONNECTING;
	conn->host = mem_copy(params->host);
	conn->implicit = params->implicit;
	conn->silence_ms = params->silence_ms;
	conn->on = params->on;
	conn->ctx = params->ctx;
	make_hello(conn, params);
	conn->clock = loop_timer_new(loop, on_clock, conn);
	conn->dial = dial_new(loop, &dial);
	return conn;
}

static void say_goodbye(struct conn *conn)
{
	if (!in_stream(conn))
		return;
	if (conn->state == SECURED)
		tls_close(conn->tls);
	flush(conn);
}

void conn_free(struct conn **conn_p)
{
	struct conn *conn = *conn_p;

	*conn_p = NULL;
	if (!conn)
		return;
	if (conn->freed)
		*conn->freed = true;
	say_goodbye(conn);
	drop_link(conn);
	dial_free(&conn->dial);
	loop_timer_free(&conn->clock);
	loop_timer_free(&conn->later);
	tls_free(&conn->tls);
	drop_hello(conn);
	free(conn->failure);
	free(conn->host);
	buf_wipe(&conn->in);
	buf_wipe(&conn->out);
	free(conn);
}

struct buf *conn_in(struct conn *conn)
{
	return &conn->in;
}

void conn_pause(struct conn *conn, bool paused)
{
	conn->paused = paused;
	if (!conn->corked)
		arrange(conn);
}

void conn_patience(struct conn *conn, uint64_t silence_ms)
{
	conn->silence_ms = silence_ms;
	conn->active = uv_now(loop_uv(conn->loop));
	if (conn->ticking)
		loop_timer_stop(conn->clock);
	conn->ticking = false;
	arrange(conn);
}

void conn_direct(struct conn *conn, void (*on)(void *ctx, enum conn_what what, const struct err *),
		 void *ctx)
{
	conn->on = on;
	conn->ctx = ctx;
}

void conn_rest(struct conn *conn)
{
	if (!conn->in.len)
		buf_wipe(&conn->in);
	if (!conn->out.len)
		buf_free(&conn->out);
	if (conn->tls)
		tls_rest(conn->tls);
}

const struct tls_info *conn_tls(const struct conn *conn)
{
	return conn->tls && tls_info(conn->tls)->version[0] ? tls_info(conn->tls) : NULL;
}

bool conn_binding(const struct conn *conn, struct tls_binding *binding_r)
{
	*binding_r = (struct tls_binding){.len = 0};
	return conn->tls && tls_binding(conn->tls, binding_r);
}

uint64_t conn_received(const struct conn *conn)
{
	return conn->received;
}

const char *conn_peer(const struct conn *conn)
{
	return conn->peer;
}
