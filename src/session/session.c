/*
 * session: one visit of one account: connect, encrypt, log in, collect each mailbox, say goodbye.
 * Which mailboxes, and what of them is open, is walk's affair.
 *
 * Here stands how it is prepared and how it ends, which is in three steps: the connection goes,
 * what is whole becomes durable, the outcome is recorded. The dialogue in between is
 * session_talk's.
 */
#include "session/session.h"

#include "session/outcome.h"
#include "session/renamed.h"
#include "session/session_parts.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- errors ---- */

static void note_err(struct session *session, const struct err *err)
{
	if (!session->report.err.kind ||
	    err_graver(session->report.err.kind, err->kind) != session->report.err.kind)
		session->report.err = *err;
}

/*
 * Before TLS anybody on the way may have said it: it is no word of the server's, and what is meant
 * to send people somewhere (ALERT, REFERRAL) is not passed on at all.
 */
static void disown(struct err *err)
{
	char words[sizeof err->server];

	if (!*err->server)
		return;
	memcpy(words, err->server, sizeof words);
	*err->server = '\0';
	if (!strcasestr(words, "[ALERT") && !strcasestr(words, "[REFERRAL"))
		err_set(err, err->kind, "%s (said in clear, by whoever it was: %s)", err->words,
			words);
}

void session_fail(struct session *session, const struct err *err)
{
	struct err known = *err;

	if (session->at == SESSION_TALKING && !session->report.connected)
		disown(&known);
	note_err(session, &known);
	session_end(session);
}

static void on_problem(void *ctx, const struct err *err)
{
	struct session *session = ctx;

	if (err->kind)
		note_err(session, err);
	log_line(err->kind ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "%s: %s%s%s%s",
		 session->params.account, err->words, *err->server ? " (it said: " : "",
		 err->server, *err->server ? ")" : "");
}

/* ---- ending ---- */

static void ended(void *ctx)
{
	struct session *session = ctx;

	session->at = SESSION_ENDED;
	session->params.on_end(session->params.ctx, session);
}

static void recorded(void *ctx, struct batch *batch)
{
	struct session *session = ctx;

	if (batch_err(batch)->kind) {
		struct err err = *batch_err(batch);

		note_err(session, &err);
		log_error("%s: %s", session->params.account, err.words);
	}
	batch_free(&batch);
	if (!--session->commits)
		ended(session);
}

static void commit_last(void *ctx, struct batch *batch)
{
	struct session *session = ctx;

	session->commits++;
	batch_commit(batch, recorded, session);
}

static void record(struct session *session)
{
	struct state_visit after;
	struct batch *visit;

	session->at = SESSION_RECORDING;
	walk_report(session->walk, &session->report);
	session->report.refused = session->refused;
	session->report.whole = session->said_goodbye;
	after = outcome_visit(&session->report, &session->before,
			      session->login ? login_passed_over(session->login)
					     : session->before.passed_over,
			      session->refused, time(NULL));
	session->params.on_outcome(session->params.ctx, &session->report, &session->before, &after);
	if (session->report.busy || session->params.look_only || !session->account) {
		loop_defer(session->params.loop, ended, session);
		return;
	}
	walk_last_batches(session->walk, session->said_goodbye, commit_last, session);
	visit = batch_new(&(struct batch_params){.committer = session->params.committer,
						 .account = session->account});
	batch_visit(visit, &after);
	commit_last(session, visit);
}

static void look_whether_idle(struct session *session)
{
	const struct err *err = walk_err(session->walk);

	if (session->at != SESSION_CLOSING || !walk_idle(session->walk))
		return;
	if (err)
		note_err(session, err);
	record(session);
}

void session_end(struct session *session)
{
	if (session->at >= SESSION_CLOSING)
		return;
	session->at = SESSION_CLOSING;
	loop_timer_free(&session->watch);
	login_abandon(session->login);
	conn_free(&session->conn);
	walk_close(session->walk, session->hasten);
	look_whether_idle(session);
}

const struct session_report *session_report(const struct session *session)
{
	return &session->report;
}

struct link *session_take_link(struct session *session)
{
	struct link *link = session->link;

	session->link = NULL;
	return link;
}

void session_stop(struct session *session)
{
	struct err err;

	bool again = session->hasten;

	if (session->at >= SESSION_RECORDING)
		return;
	session->hasten = true;
	if (session->at == SESSION_CLOSING) {
		walk_close(session->walk, true);
		if (again)
			walk_abort(session->walk);
		return;
	}
	err_set(&err, ERR_TEMPORARY, "stopped before the visit was over");
	session_fail(session, &err);
}

bool session_goes_on(struct session *session, enum walk_is is, const struct err *err)
{
	if (is == WALK_FAILED)
		session_fail(session, err);
	if (is != WALK_BUSY)
		return is == WALK_FINE;
	session->report.busy = true;
	session_end(session);
	return false;
}

/* ---- preparing ---- */

static void look_whether_prepared(struct session *session)
{
	if (session->at != SESSION_PREPARING || !session->has_secret ||
	    !walk_prepared(session->walk))
		return;
	session->at = SESSION_TALKING;
	if (session->params.link)
		session_take_up(session);
	else
		session_connect(session);
}

static void on_step(void *ctx)
{
	struct session *session = ctx;
	const struct err *err = walk_err(session->walk);

	if (session->at < SESSION_CLOSING && err) {
		session_fail(session, err);
	} else if (session->at == SESSION_PREPARING) {
		look_whether_prepared(session);
	} else if (session->at == SESSION_TALKING) {
		session_follow(session);
		session_pump(session);
	}
	look_whether_idle(session);
}

static void on_login_step(void *ctx, const struct err *err)
{
	struct session *session = ctx;

	if (session->at >= SESSION_CLOSING)
		return;
	if (err) {
		session->refused = session->refusal.kind && err->kind == ERR_AUTH;
		session_fail(session, err);
		return;
	}
	session->has_secret = true;
	look_whether_prepared(session);
	session_pump(session);
}

static void on_progress(void *ctx)
{
	struct session *session = ctx;

	if (!session->params.on_progress)
		return;
	walk_counts(session->walk, &session->report.counts);
	session->params.on_progress(session->params.ctx, session, &session->report.counts);
}

/* A mailbox that appears after the first visit holds nothing but what arrived since. An account
 * whose host got another name has had its first visit there. */
static bool find_whether_first(struct session *session, struct err *err)
{
	struct session_params *params = &session->params;
	struct state_key key = {
	    .protocol = params->protocol, .user = params->user, .host = params->conn.host};
	int64_t before = 0;

	params->first_skip &= !session->before.succeeded;
	if (params->first_skip &&
	    !renamed_from(params->state, &key, &(struct state_mailbox){.id = 0},
			  params->is_configured, params->configured, &before, err))
		return false;
	params->first_skip &= !before;
	return true;
}

/* The row that the visit will be recorded in. */
static bool find_account(struct session *session, struct err *err)
{
	const struct session_params *params = &session->params;
	struct state_key key = {
	    .protocol = params->protocol, .user = params->user, .host = params->conn.host};

	return params->look_only || state_account(params->state, &key, &session->account, err);
}

static void begin(void *ctx)
{
	struct session *session = ctx;
	const struct session_params *params = &session->params;
	struct err err;

	if (session->at != SESSION_PREPARING)
		return;
	if (!state_visit(params->state, params->protocol, params->user, params->conn.host,
			 &session->before, &err) ||
	    !find_account(session, &err) || !find_whether_first(session, &err)) {
		session_fail(session, &err);
		return;
	}
	if (session->trouble.kind) {
		session_fail(session, &session->trouble);
		return;
	}
	if (!session_goes_on(session, walk_prepare(session->walk, &err), &err))
		return;
	if (params->link) {
		session->has_secret = true;
		look_whether_prepared(session);
		return;
	}
	session->login = login_new(
	    &(struct login_params){.loop = params->loop,
				   .keyring = params->keyring,
				   .secret = params->secret,
				   .user = params->user,
				   .host = params->conn.host,
				   .port = params->conn.port,
				   .service = strcmp(params->protocol, "imap") ? "pop" : "imap",
				   .auth = params->auth,
				   .passed_over = session->before.passed_over,
				   .deadline_ms = params->conn.silence_ms,
				   .on_step = on_login_step,
				   .ctx = session});
}

struct session *session_new(const struct session_params *params)
{
	struct session *session = mem_new(1, sizeof *session);

	session->params = *params;
	(void)tls_trust_share(params->conn.tls.trust);
	if (params->trouble)
		session->trouble = *params->trouble;
	session->walk = walk_new(&(struct walk_params){.session = &session->params,
						       .on_step = on_step,
						       .on_problem = on_problem,
						       .on_progress = on_progress,
						       .ctx = session});
	session->report.security.mode = params->conn.implicit ? "implicit TLS" : "STARTTLS";
	session->report.security.mechanism = "";
	session->report.capabilities = "";
	if (params->link)
		conn_direct(params->link->conn, session_on_conn, session);
	loop_defer(params->loop, begin, session);
	return session;
}

void session_free(struct session **session_p)
{
	struct session *session = *session_p;

	if (!session)
		return;
	loop_timer_free(&session->watch);
	conn_free(&session->conn);
	source_free(&session->source);
	link_free(&session->link);
	link_free(&session->params.link);
	tls_trust_free(&session->params.conn.tls.trust);
	login_free(&session->login);
	walk_free(&session->walk);
	buf_free(&session->received);
	buf_free(&session->capabilities);
	free(session);
	*session_p = NULL;
}
