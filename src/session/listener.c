/*
 * listener: listens on a connection that a visit has left behind, until there is news (IDLE, RFC
 * 2177).
 */
#include "session/listener.h"

#include "util/mem.h"

#include <stdlib.h>

/* News sooner after IDLE was begun may have been there before. */
enum { LISTENER_SETTLED_MS = 5000 };

struct listener {
	struct listener_params params;
	struct link *link;
	struct loop_timer *timer; /* until IDLE is begun anew */
	uint64_t begun;
	bool asked; /* and not yet answered */
	bool over;  /* it was told */
};

static void tell(struct listener *listener, enum listener_what what, const struct err *err)
{
	if (listener->over)
		return;
	listener->over = true;
	loop_timer_free(&listener->timer);
	/* Its turn may be long in coming, and nothing is said on the connection until then. */
	if (listener->link)
		conn_patience(listener->link->conn, 0);
	listener->params.on(listener->params.ctx, what, err);
}

static void lost(struct listener *listener, const struct err *why)
{
	struct err err = *why;

	link_free(&listener->link);
	tell(listener, LISTENER_LOST, &err);
}

static bool settled(const struct listener *listener)
{
	return loop_now(listener->params.loop) - listener->begun > LISTENER_SETTLED_MS;
}

static void pump(struct listener *listener)
{
	struct link *link = listener->link;
	enum source_what what;
	struct source_event ev;
	bool news = false;
	bool refused = false;

	while ((what = source_next(link->source, &ev)) > SOURCE_IDLE) {
		news |= what == SOURCE_NEWS;
		refused |= what == SOURCE_DONE && ev.refused;
		if (what == SOURCE_NOTICE)
			link_notice(&ev, listener->params.account);
	}
	link_trace(link->source, listener->params.account);
	if (what == SOURCE_FAILED) {
		lost(listener, source_err(link->source));
		return;
	}
	conn_write(link->conn, source_out(link->source), source_out_secret(link->source));
	if (news)
		tell(listener, settled(listener) ? LISTENER_PUSHED : LISTENER_NEWS, NULL);
	else if (refused)
		tell(listener, LISTENER_REFUSED, NULL);
	else
		conn_rest(link->conn);
}

static void on_conn(void *ctx, enum conn_what what, const struct err *err)
{
	struct listener *listener = ctx;

	if (listener->over && (what == CONN_FAILED || what == CONN_EOF))
		link_free(&listener->link);
	if (listener->over)
		return;
	if (what == CONN_FAILED) {
		lost(listener, err);
		return;
	}
	if (what == CONN_EOF)
		source_eof(listener->link->source);
	if (listener->asked) {
		listener->asked = false;
		conn_patience(listener->link->conn,
			      listener->params.span_ms + listener->params.silence_ms);
	}
	pump(listener);
}

/* An answer is due soon; after it, one in each span. */
static void begin_anew(struct listener *listener)
{
	listener->begun = loop_now(listener->params.loop);
	listener->asked = true;
	loop_timer_start(listener->timer, listener->params.span_ms);
	conn_patience(listener->link->conn, listener->params.silence_ms);
	source_idle(listener->link->source);
	pump(listener);
}

static void on_time(void *ctx)
{
	begin_anew(ctx);
}

void listener_probe(struct listener *listener)
{
	if (!listener->over)
		begin_anew(listener);
}

struct listener *listener_new(const struct listener_params *params, struct link **link)
{
	struct listener *listener = mem_new(1, sizeof *listener);

	listener->params = *params;
	listener->link = *link;
	*link = NULL;
	listener->timer = loop_timer_new(params->loop, on_time, listener);
	conn_direct(listener->link->conn, on_conn, listener);
	conn_pause(listener->link->conn, false);
	/* Not now: who listens must know the listener before it is told of news. */
	loop_timer_start(listener->timer, 0);
	return listener;
}

struct link *listener_take(struct listener **listener_p)
{
	struct link *link = (*listener_p)->link;

	(*listener_p)->link = NULL;
	listener_free(listener_p);
	return link;
}

void listener_free(struct listener **listener_p)
{
	struct listener *listener = *listener_p;

	*listener_p = NULL;
	if (!listener)
		return;
	loop_timer_free(&listener->timer);
	link_free(&listener->link);
	free(listener);
}
