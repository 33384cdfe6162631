/*
 * session_talk: the connection of a visit and the dialogue on it. The engine (proto/source.h) says
 * what happened, and one table of small functions answers; nothing is parsed here, and nothing
 * waits.
 *
 * In POP3 the goodbye is a commit, so it is said only when every message that was retrieved is
 * delivered or safe in the spool; on any failure before that the connection is dropped instead.
 */
#include "session/outcome.h"
#include "session/session_parts.h"
#include "util/crash.h"
#include "util/log.h"
#include "util/str.h"
#include "util/veil.h"

#include <string.h>

enum { SESSION_LEAST_OCTETS = 1024 };

/* The connection is lost. A server may hang up on whom it has refused; then that is what befell. */
static void lose(struct session *session, const struct err *err)
{
	session->refused = session->refusal.kind != ERR_NONE;
	session_fail(session, session->refused ? &session->refusal : err);
}

/* ---- what protects the connection ---- */

static void secured(struct session *session)
{
	struct session_security *security = &session->report.security;
	struct tls_binding binding;

	session->handshaking = false;
	session->report.connected = true;
	security->tls = *conn_tls(session->conn);
	(void)conn_binding(session->conn, &binding);
	login_secured(session->login, &binding, security->tls.identified);
	outcome_describe(security, "");
	log_info("%s: connected to %s (%s): %s", session->params.account, session->params.conn.host,
		 conn_peer(session->conn), security->line);
}

/* ---- talking ---- */

/* In POP3 the goodbye is what counts. What befell single messages or mailboxes is no matter of the
 * connection's: a visit that has failed does not come here. */
static bool can_stay(const struct session *session)
{
	return !session->params.keys_return && !session->hasten &&
	       link_can_listen(session->report.capabilities);
}

/* Ends the visit without a goodbye: what was removed is. */
static void part(struct session *session)
{
	session->link = link_new(session->conn, session->source, session->report.capabilities,
				 session->report.security.mechanism);
	session->conn = NULL;
	session->source = NULL;
	session->said_goodbye = true;
	walk_confirm(session->walk);
	session_end(session);
}

void session_follow(struct session *session)
{
	bool over;
	struct err err;

	if (!session_goes_on(session, walk_follow(session->walk, session->source, &over, &err),
			     &err) ||
	    !over)
		return;
	if (session->params.stays && can_stay(session)) {
		session->parting = true;
		return;
	}
	crash_point("session-finish");
	source_finish(session->source);
}

static void on_start_tls(struct session *session, const struct source_event *ev)
{
	(void)ev;
	session->handshaking = true;
	conn_start_tls(session->conn);
}

static void on_auth_offered(struct session *session, const struct source_event *ev)
{
	struct err err;

	if (!login_offered(session->login, session->source, ev, &err))
		session_fail(session, &err);
}

static void on_challenge(struct session *session, const struct source_event *ev)
{
	struct err err;

	if (!login_challenge(session->login, ev, &err))
		session_fail(session, &err);
}

/* From here on it is the same, whether this visit has logged in or one before it. */
static void logged_in(struct session *session, const char *mechanism, const char *capabilities)
{
	session->report.security.mechanism = mechanism;
	outcome_describe(&session->report.security, mechanism);
	veil_cut(&session->capabilities, capabilities, strlen(capabilities));
	session->report.capabilities = buf_string(&session->capabilities);
	session->report.warning =
	    retention_warning(&session->params.retention, session->report.capabilities);
	if (session->report.warning)
		log_notice("%s: %s", session->params.account, session->report.warning);
	outcome_received(&session->received, &session->params, &session->report.security);
	walk_begin(session->walk, session->source, buf_string(&session->received),
		   session->report.capabilities);
}

/* Whoever stands between, with a certificate that is believed, would take out of the offer what
 * gives him away. */
static void look_whether_bound(const struct session *session, const char *mechanism)
{
	const char *before = session->before.mechanism;

	if (str_same(session->params.auth, "AUTO") && login_binds(before) &&
	    !login_binds(mechanism) && !*login_passed_over(session->login))
		log_warning(
		    "%s: logged in by %s, and last time by %s, which the server does not "
		    "offer now. Somebody on the way may have taken it out of the offer; name "
		    "it in the account's auth if it is not to be done without",
		    session->params.account, mechanism, before);
}

static void on_ready(struct session *session, const struct source_event *ev)
{
	struct err err;

	err_clear(&session->refusal);
	if (!login_accepted(session->login, &err)) {
		session_fail(session, &err);
		return;
	}
	look_whether_bound(session, login_mechanism(session->login));
	log_info("%s: logged in as %s by %s", session->params.account, session->params.user,
		 login_mechanism(session->login));
	logged_in(session, login_mechanism(session->login), ev->capabilities);
}

static void on_mailbox_event(struct session *session, enum source_what what,
			     const struct source_event *ev)
{
	struct err err;

	if (session_goes_on(session, walk_event(session->walk, session->source, what, ev, &err),
			    &err) &&
	    what == SOURCE_DONE)
		session_follow(session);
}

static void on_notice(struct session *session, const struct source_event *ev)
{
	link_notice(ev, session->params.account);
}

static void on_auth_done(struct session *session, const struct source_event *ev)
{
	enum login_verdict verdict;
	struct err err;

	if (!ev->refused)
		return;
	verdict = login_refused(session->login, ev, &err);
	if (verdict == LOGIN_FAILED) {
		session->refused = err.kind == ERR_AUTH;
		session_fail(session, &err);
		return;
	}
	session->refusal = err;
	/* That a token has run out is nothing that cron must know. */
	log_line(verdict == LOGIN_ANOTHER_TOKEN ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING,
		 "%s: %s (it said: %s)", session->params.account, err.words, err.server);
}

static void on_finish_done(struct session *session, const struct source_event *ev)
{
	struct err err;

	if (ev->refused) {
		err_set(
		    &err, ERR_TEMPORARY,
		    "the server did not confirm the end of the session, so nothing that was to be "
		    "removed counts as removed");
		err_server(&err, ev->text, strlen(ev->text));
		session_fail(session, &err);
		return;
	}
	crash_point("session-finished");
	session->said_goodbye = true;
	walk_confirm(session->walk);
	session_end(session);
}

static void dispatch(struct session *session, enum source_what what, const struct source_event *ev)
{
	static void (*const on[SOURCE_WHATS])(struct session *, const struct source_event *) = {
	    [SOURCE_START_TLS] = on_start_tls, [SOURCE_AUTH_OFFERED] = on_auth_offered,
	    [SOURCE_CHALLENGE] = on_challenge, [SOURCE_READY] = on_ready,
	    [SOURCE_NOTICE] = on_notice,
	};

	/* What a body is, its end shows; that of none is refused. */
	if (what != SOURCE_BEGIN && what != SOURCE_CHUNK && what != SOURCE_NOTICE &&
	    (what != SOURCE_REFUSED || ev->number))
		session->moved = true;
	if (what == SOURCE_DONE)
		crash_point("session-answered");
	if (on[what])
		on[what](session, ev);
	else if (what == SOURCE_DONE && ev->verb == SOURCE_VERB_AUTH)
		on_auth_done(session, ev);
	else if (what == SOURCE_DONE && ev->verb == SOURCE_VERB_FINISH)
		on_finish_done(session, ev);
	else if (what != SOURCE_BYE)
		on_mailbox_event(session, what, ev);
}

/*
 * The driver. Reading stops while the disk is behind, and while the engine waits for us: then the
 * silence of the server is not its fault.
 */
void session_pump(struct session *session)
{
	struct source_event ev;
	enum source_what what = SOURCE_NEED_BYTES;
	bool held = false;

	if (session->pumping || session->at != SESSION_TALKING || !session->source)
		return;
	session->pumping = true;
	while (session->at == SESSION_TALKING && !(held = walk_full(session->walk)) &&
	       (what = source_next(session->source, &ev)) > SOURCE_IDLE)
		dispatch(session, what, &ev);
	session->pumping = false;
	link_trace(session->source, session->params.account);
	if (session->at != SESSION_TALKING)
		return;
	if (what == SOURCE_FAILED && !held) {
		if (source_astray(session->source))
			walk_doubt(session->walk);
		lose(session, source_err(session->source));
		return;
	}
	if (session->parting) {
		part(session);
		return;
	}
	if (source_out(session->source)->len) {
		crash_point("session-send");
		conn_write(session->conn, source_out(session->source),
			   source_out_secret(session->source));
		crash_point("session-sent");
	}
	session->held = !session->handshaking && (held || what == SOURCE_NEED_VERB);
	session->moved = session->moved || session->held;
	conn_pause(session->conn, session->held);
}

/* ---- the connection ---- */

static void make_source(struct session *session, bool encrypted)
{
	session->source = session->params.source_new(
	    &(struct source_params){.in = conn_in(session->conn),
				    .encrypted = encrypted,
				    .trace = log_wants(LOG_LEVEL_TRACE),
				    .remembers = !session->params.look_only,
				    .name = "mailhaul",
				    .version = MAILHAUL_VERSION});
}

static void conn_failed(struct session *session, const struct err *why)
{
	bool waited = session->source && why->kind == ERR_TEMPORARY && !session->handshaking;
	const char *what = waited ? source_waiting_for(session->source) : "";
	struct err err = *why;

	if (waited && !session->params.conn.implicit && !strcmp(what, "the greeting"))
		err_set(&err, ERR_TEMPORARY,
			"while waiting for %s: %s. A port that begins with TLS, as 993 and 995 do, "
			"wants "
			"tls: implicit",
			what, why->words);
	else if (waited)
		err_wrap(&err, "while waiting for %s", what);
	lose(session, &err);
}

/* Before the visit has taken the connection up, or when it is left behind: what comes stays there,
 * but for the end. */
static void on_link(struct session *session, enum conn_what what, const struct err *why)
{
	struct err err;

	if (what != CONN_EOF && what != CONN_FAILED)
		return;
	link_free(&session->link);
	if (session->at >= SESSION_CLOSING)
		return;
	if (what == CONN_EOF)
		err_set(&err, ERR_TEMPORARY, "%s closed the connection", session->params.conn.host);
	session_fail(session, what == CONN_EOF ? &err : why);
}

void session_on_conn(void *ctx, enum conn_what what, const struct err *err)
{
	struct session *session = ctx;

	if (!session->conn && session->at != SESSION_TALKING) {
		on_link(session, what, err);
		return;
	}
	switch (what) {
	case CONN_OPEN:
		make_source(session, false);
		session->moved = true;
		break;
	case CONN_SECURED:
		secured(session);
		if (session->params.conn.implicit)
			make_source(session, true);
		else
			source_tls_started(session->source);
		break;
	case CONN_READABLE:
		break;
	case CONN_EOF:
		if (session->source)
			source_eof(session->source);
		break;
	case CONN_FAILED:
		conn_failed(session, err);
		return;
	}
	session_pump(session);
}

/*
 * A server that dribbles is never silent, nor one that chatters. In each span it must send a least
 * number of octets that are of use, or something that moves the session on.
 */
static void on_watch(void *ctx)
{
	struct session *session = ctx;
	uint64_t chatter = session->source ? source_chatter(session->source) : 0;
	uint64_t useful = conn_received(session->conn) - chatter;
	uint64_t octets = useful > session->came ? useful - session->came : 0;
	struct err err;

	if (!session->held && !session->handshaking && *conn_peer(session->conn) &&
	    !session->moved && octets < SESSION_LEAST_OCTETS) {
		err_set(&err, ERR_TEMPORARY,
			"%s sent only %llu octets of use in %.1f s, and nothing that moves the "
			"session on",
			session->params.conn.host, (unsigned long long)octets,
			(double)session->params.conn.silence_ms / 1000);
		conn_failed(session, &err);
		return;
	}
	session->came = useful;
	session->moved = false;
	loop_timer_start(session->watch, session->params.conn.silence_ms);
}

static void start_watch(struct session *session)
{
	session->watch = loop_timer_new(session->params.loop, on_watch, session);
	session->moved = true;
	loop_timer_start(session->watch, session->params.conn.silence_ms);
}

void session_connect(struct session *session)
{
	struct conn_params params = session->params.conn;

	params.on = session_on_conn;
	params.ctx = session;
	session->conn = conn_new(session->params.loop, &params);
	start_watch(session);
}

/* Goes on where the visit that left the link behind has ended. */
void session_take_up(struct session *session)
{
	struct link *link = session->params.link;

	session->conn = link->conn;
	session->source = link->source;
	link->conn = NULL;
	link->source = NULL;
	conn_patience(session->conn, session->params.conn.silence_ms);
	session->came = conn_received(session->conn) - source_chatter(session->source);
	session->report.connected = true;
	session->report.security.tls = *conn_tls(session->conn);
	start_watch(session);
	logged_in(session, link->mechanism, link->capabilities);
	session_pump(session);
}
