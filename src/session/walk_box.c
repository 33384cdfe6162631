/*
 * walk_box: one mailbox of a visit on its way, and what an open one holds.
 */
#include "session/walk_box.h"

#include "deliver/sink.h"
#include "session/pattern.h"
#include "util/mem.h"

#include <stdlib.h>

struct walk_box *walk_box_new(const struct walk_params *params, const char *name,
			      struct err *trouble)
{
	struct walk_box *box = mem_new(1, sizeof *box);

	box->params = params;
	box->trouble = trouble;
	box->name = mem_copy(name);
	box->attributes = mem_copy("");
	box->rank = PATTERN_NONE;
	return box;
}

/* Frees what an open box holds. */
static void shut(struct walk_box *box)
{
	if (box->collect)
		box->counts = *collect_counts(box->collect);
	collect_free(&box->collect);
	state_unlock(&box->lock);
	if (box->sink)
		box->sink->ops->free(box->sink);
	box->sink = NULL;
	box->at = WALK_BOX_CLOSED;
}

void walk_box_free(struct walk_box **box)
{
	shut(*box);
	free((*box)->name);
	free((*box)->attributes);
	free(*box);
	*box = NULL;
}

struct state_key walk_box_key(const struct walk_params *params, const char *name)
{
	return (struct state_key){.protocol = params->session->protocol,
				  .user = params->session->user,
				  .host = params->session->conn.host,
				  .mailbox = name};
}

bool walk_box_claim(const struct walk_box *box, struct err *err)
{
	const struct session_params *session = box->params->session;

	if (state_claim(session->state, box->known.id, session->account, err))
		return true;
	return err_wrap(err, "mailbox %s of %s at %s is left alone", box->name, session->user,
			session->conn.host);
}

/* A look changes nothing, here neither. */
static bool look_up(struct walk_box *box, struct err *err)
{
	const struct session_params *session = box->params->session;
	struct state_key key = walk_box_key(box->params, box->name);
	bool found;

	if (!session->look_only)
		return state_mailbox(session->state, &key, &box->known, err);
	if (!state_known_mailbox(session->state, &key, &found, &box->known, err))
		return false;
	if (!found)
		box->known = (struct state_mailbox){.next = 1};
	return true;
}

static void make_collect(struct walk_box *box)
{
	const struct walk_params *params = box->params;
	const struct session_params *session = params->session;

	box->collect = collect_new(&(struct collect_params){.loop = session->loop,
							    .committer = session->committer,
							    .state = session->state,
							    .key = walk_box_key(params, box->name),
							    .mailbox = box->known,
							    .sink = box->sink,
							    .keep = session->keep,
							    .max_attempts = session->max_attempts,
							    .keys_return = session->keys_return,
							    .look_only = session->look_only,
							    .retry_now = session->retry_now,
							    .on_step = params->on_step,
							    .on_problem = params->on_problem,
							    .on_progress = params->on_progress,
							    .ctx = params->ctx});
	box->at = WALK_BOX_OPEN;
}

enum walk_is walk_box_open(struct walk_box *box, struct err *err)
{
	const struct session_params *session = box->params->session;

	err_clear(err);
	if (!look_up(box, err))
		return WALK_FAILED;
	if (box->known.id && !walk_box_claim(box, err)) {
		box->at = WALK_BOX_CLOSED;
		return WALK_FINE;
	}
	if (!session->look_only) {
		box->lock = state_lock(session->state, box->known.id, err);
		if (!box->lock)
			return err->kind ? WALK_FAILED : WALK_BUSY;
		/* Whoever held the lock may have moved on meanwhile. */
		if (!look_up(box, err))
			return WALK_FAILED;
		box->sink = session->sinks.make(&session->sinks, box->name, err);
		if (!box->sink)
			return WALK_FAILED;
	}
	make_collect(box);
	return WALK_FINE;
}

static void recorded(void *ctx, struct batch *batch)
{
	struct walk_box *box = ctx;

	box->commits--;
	if (batch_err(batch)->kind && !box->trouble->kind)
		*box->trouble = *batch_err(batch);
	batch_free(&batch);
	box->params->on_step(box->params->ctx);
}

/* The removals are confirmed: in IMAP they are when they are told, and in POP3 no box is left. */
void walk_box_leave(struct walk_box *box)
{
	struct batch *last;

	if (box->closing || box->at != WALK_BOX_OPEN)
		return;
	box->closing = true;
	last = collect_last_batch(box->collect, true);
	if (!last)
		return;
	box->commits++;
	batch_commit(last, recorded, box);
}

bool walk_box_idle(const struct walk_box *box)
{
	return !box->commits && (!box->collect || collect_idle(box->collect));
}

void walk_box_reap(struct walk_box *box)
{
	if (box->closing && box->at == WALK_BOX_OPEN && walk_box_idle(box))
		shut(box);
}

const struct collect_counts *walk_box_counts(const struct walk_box *box)
{
	return box->collect ? collect_counts(box->collect) : &box->counts;
}
