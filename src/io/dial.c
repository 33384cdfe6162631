/*
 * dial: from a host's name to a connected socket, every address tried in turn.
 *
 * A lookup that nobody waits for any more runs on (its worker thread may be stuck with a name
 * server that does not answer), so it stands apart and finds its way back cleared. So does each
 * socket, which libuv closes in its own time. RFC 8305's race of addresses is not run: one waits
 * for the next.
 */
#include "io/dial.h"

#include "io/host.h"
#include "util/buf.h"
#include "util/mem.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
	DIAL_ADDRESSES_MAX = 16,
	DIAL_KEEPALIVE_S = 120,
	DIAL_PROBES = 4, /* one each DIAL_PROBE_S */
	DIAL_PROBE_S = 30,
	DIAL_UNANSWERED_MS = 180000
};

struct lookup {
	uv_getaddrinfo_t request;
	struct dial *dial; /* NULL: nobody waits any more */
};

/* tcp stands apart, because it is handed over. */
struct attempt {
	uv_connect_t request;
	uv_tcp_t *tcp;
	struct dial *dial; /* NULL: nobody waits any more */
};

struct dial {
	struct loop *loop;
	char *host;
	uint16_t port;
	uint64_t connect_ms;
	void (*on_done)(void *ctx, struct uv_tcp_s *tcp, const char *peer, const struct err *err);
	void *ctx;

	struct lookup *lookup;
	struct attempt *attempt;
	struct loop_timer *clock;
	struct sockaddr_in6 addresses[DIAL_ADDRESSES_MAX]; /* large enough for IPv4 too */
	size_t count;
	size_t next;
	struct buf reasons; /* why each address failed */
	int last_sys;
	struct err failure; /* what was wrong from the start */
};

static void try_next(struct dial *dial);

static void fail(struct dial *dial, const struct err *err)
{
	loop_timer_stop(dial->clock);
	dial->on_done(dial->ctx, NULL, "", err);
}

static void show_address(char out[DIAL_PEER_MAX], const struct sockaddr_in6 *address)
{
	char text[INET6_ADDRSTRLEN] = "?";

	uv_ip_name((const struct sockaddr *)address, text, sizeof text);
	if (address->sin6_family == AF_INET6)
		snprintf(out, DIAL_PEER_MAX, "[%s]:%u", text, ntohs(address->sin6_port));
	else
		snprintf(out, DIAL_PEER_MAX, "%s:%u", text, ntohs(address->sin6_port));
}

/* Notes why the address that was tried last has failed. */
static void note_reason(struct dial *dial, int status)
{
	char address[DIAL_PEER_MAX];

	dial->last_sys = -status;
	show_address(address, &dial->addresses[dial->next - 1]);
	buf_printf(&dial->reasons, "%s%s: %s", dial->reasons.len ? "; " : "", address,
		   uv_strerror(status));
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* Before it is closed: libuv ends a request that is under way with UV_ECANCELED, and frees then. */
static void drop_attempt(struct dial *dial)
{
	if (!dial->attempt)
		return;
	dial->attempt->dial = NULL;
	uv_close((uv_handle_t *)dial->attempt->tcp, free_handle);
	dial->attempt = NULL;
}

/*
 * A peer that has vanished is noticed after three minutes, also where nothing is sent and nobody
 * waits for an octet: a listening connection. RFC 9293, 3.8.4 (keep-alives); RFC 5482 (how long
 * what was sent, a probe too, may be without an answer). Some systems have less; then the deadlines
 * of the session are left.
 */
static void keep_alive(uv_tcp_t *tcp)
{
	const int probes = DIAL_PROBES;
	const int probe_s = DIAL_PROBE_S;
	const unsigned unanswered_ms = DIAL_UNANSWERED_MS;
	uv_os_fd_t fd;

	uv_tcp_keepalive(tcp, 1, DIAL_KEEPALIVE_S);
	if (uv_fileno((uv_handle_t *)tcp, &fd))
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof probe_s);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
}

static void succeed(struct dial *dial, uv_tcp_t *tcp)
{
	char peer[DIAL_PEER_MAX];

	loop_timer_stop(dial->clock);
	uv_tcp_nodelay(tcp, 1);
	keep_alive(tcp);
	show_address(peer, &dial->addresses[dial->next - 1]);
	dial->on_done(dial->ctx, tcp, peer, NULL);
}

static void on_connected(uv_connect_t *request, int status)
{
	struct attempt *attempt = request->data;
	struct dial *dial = attempt->dial;
	uv_tcp_t *tcp = attempt->tcp;

	if (dial && status < 0) {
		note_reason(dial, status);
		drop_attempt(dial);
	}
	free(attempt);
	if (!dial)
		return;
	dial->attempt = NULL;
	if (status == 0)
		succeed(dial, tcp);
	else
		try_next(dial);
}

/* Gives 0, or libuv's error. */
static int try_address(struct dial *dial, const struct sockaddr_in6 *address)
{
	uv_tcp_t *tcp = mem_new(1, sizeof *tcp);
	struct attempt *attempt;
	int status = uv_tcp_init(loop_uv(dial->loop), tcp);

	if (status < 0) {
		free(tcp);
		return status;
	}
	attempt = mem_new(1, sizeof *attempt);
	attempt->request.data = attempt;
	attempt->tcp = tcp;
	attempt->dial = dial;
	status =
	    uv_tcp_connect(&attempt->request, tcp, (const struct sockaddr *)address, on_connected);
	if (status == 0) {
		dial->attempt = attempt;
		return 0;
	}
	uv_close((uv_handle_t *)tcp, free_handle);
	free(attempt);
	return status;
}

static void try_next(struct dial *dial)
{
	struct err err;

	while (dial->next < dial->count) {
		int status = try_address(dial, &dial->addresses[dial->next++]);

		if (status == 0) {
			loop_timer_start(dial->clock, dial->connect_ms);
			return;
		}
		note_reason(dial, status);
	}
	err_set(&err, ERR_UNREACHABLE, "cannot connect to %s: %s", dial->host,
		dial->reasons.len ? buf_string(&dial->reasons) : "it has no address");
	err.sys = dial->last_sys;
	fail(dial, &err);
}

static void add_address(struct dial *dial, const struct sockaddr *address, size_t len)
{
	struct sockaddr_in6 *slot = &dial->addresses[dial->count];

	if (dial->count == DIAL_ADDRESSES_MAX || len > sizeof *slot)
		return;
	if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
		return;
	memcpy(slot, address, len);
	/* The port stands at the same place in both families. */
	slot->sin6_port = htons(dial->port);
	dial->count++;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct lookup *lookup = request->data;
	struct dial *dial = lookup->dial;
	struct err err;

	for (const struct addrinfo *at = found; dial && at; at = at->ai_next)
		add_address(dial, at->ai_addr, at->ai_addrlen);
	uv_freeaddrinfo(found);
	free(lookup);
	if (!dial)
		return;
	dial->lookup = NULL;
	if (status == 0) {
		try_next(dial);
		return;
	}
	err_set(&err, ERR_UNREACHABLE, "cannot find the host %s: %s", dial->host,
		uv_strerror(status));
	fail(dial, &err);
}

static void drop_lookup(struct dial *dial)
{
	if (!dial->lookup)
		return;
	dial->lookup->dial = NULL;
	uv_cancel((uv_req_t *)&dial->lookup->request);
	dial->lookup = NULL;
}

static bool look_up(struct dial *dial, const char *name, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	int status;

	dial->lookup = mem_new(1, sizeof *dial->lookup);
	dial->lookup->dial = dial;
	dial->lookup->request.data = dial->lookup;
	status = uv_getaddrinfo(loop_uv(dial->loop), &dial->lookup->request, on_resolved, name,
				NULL, &hints);
	if (status == 0)
		return true;
	free(dial->lookup);
	dial->lookup = NULL;
	return err_set(err, ERR_UNREACHABLE, "cannot look up the host %s: %s", dial->host,
		       uv_strerror(status));
}

/* An address needs no worker thread, which a slow name server might hold. */
static void begin(struct dial *dial)
{
	struct sockaddr_in6 address = {0};
	struct err *err = &dial->failure;
	char *name = host_ascii(dial->host, err);
	uint64_t wait = 0;

	if (!name)
		;
	else if (uv_ip4_addr(name, dial->port, (struct sockaddr_in *)(void *)&address) == 0 ||
		 uv_ip6_addr(name, dial->port, &address) == 0)
		add_address(dial, (const struct sockaddr *)&address, sizeof address);
	else if (look_up(dial, name, err))
		wait = dial->connect_ms;
	free(name);
	loop_timer_start(dial->clock, wait);
}

static void on_clock(void *ctx)
{
	struct dial *dial = ctx;
	struct err err;

	if (dial->failure.kind != ERR_NONE) {
		err = dial->failure;
		fail(dial, &err);
	} else if (dial->lookup) {
		drop_lookup(dial);
		err_set(&err, ERR_UNREACHABLE, "cannot find the host %s: no answer within %.1f s",
			dial->host, (double)dial->connect_ms / 1000);
		fail(dial, &err);
	} else {
		if (dial->attempt)
			note_reason(dial, UV_ETIMEDOUT);
		drop_attempt(dial);
		try_next(dial);
	}
}

struct dial *dial_new(struct loop *loop, const struct dial_params *params)
{
	struct dial *dial = mem_new(1, sizeof *dial);

	dial->loop = loop;
	dial->host = mem_copy(params->host);
	dial->port = params->port;
	dial->connect_ms = params->connect_ms;
	dial->on_done = params->on_done;
	dial->ctx = params->ctx;
	dial->clock = loop_timer_new(loop, on_clock, dial);
	begin(dial);
	return dial;
}

void dial_free(struct dial **dial_p)
{
	struct dial *dial = *dial_p;

	*dial_p = NULL;
	if (!dial)
		return;
	drop_lookup(dial);
	drop_attempt(dial);
	loop_timer_free(&dial->clock);
	buf_free(&dial->reasons);
	free(dial->host);
	free(dial);
}
