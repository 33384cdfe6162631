/*
 * source: the face of a protocol engine; hands each call to the engine's table (source_ops.h).
 *
 * What holds for every engine stands here once: a failure is final, an event's strings are never
 * NULL, and what was emitted is wiped when the engine goes.
 */
#include "proto/source.h"

#include "proto/source_ops.h"
#include "util/mem.h"

#include <stdlib.h>

struct err *source_broken(struct source *source)
{
	if (!source->err)
		source->err = mem_new(1, sizeof *source->err);
	return source->err;
}

void source_free(struct source **source)
{
	if (!source || !*source)
		return;
	buf_wipe(&(*source)->out);
	buf_wipe(&(*source)->trace);
	free((*source)->err);
	(*source)->ops->free(*source);
	*source = NULL;
}

enum source_what source_next(struct source *source, struct source_event *ev)
{
	enum source_what what;

	*ev = SOURCE_EVENT_EMPTY;
	if (!source->out.len)
		source->out_secret = false;
	if (source->failed)
		return SOURCE_FAILED;
	what = source->ops->next(source, ev);
	source->failed = what == SOURCE_FAILED;
	return what;
}

struct buf *source_out(struct source *source)
{
	return &source->out;
}

bool source_out_secret(const struct source *source)
{
	return source->out_secret && source->out.len;
}

struct buf *source_trace(struct source *source)
{
	return &source->trace;
}

const struct err *source_err(const struct source *source)
{
	static const struct err none;

	return source->err ? source->err : &none;
}

bool source_astray(const struct source *source)
{
	return source->astray;
}

const char *source_waiting_for(const struct source *source)
{
	return source->ops->waiting_for(source);
}

uint64_t source_chatter(const struct source *source)
{
	return source->chatter;
}

void source_eof(struct source *source)
{
	source->eof = true;
}

void source_tls_started(struct source *source)
{
	source->ops->tls_started(source);
}

void source_auth(struct source *source, const char *mechanism, const char *initial)
{
	source->ops->auth(source, mechanism, initial);
}

void source_respond(struct source *source, const char *base64)
{
	source->ops->respond(source, base64);
}

void source_login(struct source *source, const char *user, const char *password)
{
	source->ops->login(source, user, password);
}

void source_mailboxes(struct source *source, const char *const *items, size_t count)
{
	source->ops->mailboxes(source, items, count);
}

void source_status(struct source *source, const char *const *names, size_t count)
{
	source->ops->status(source, names, count);
}

void source_select(struct source *source, const char *mailbox, bool writing)
{
	source->ops->select(source, mailbox, writing);
}

void source_list(struct source *source, uint32_t from, unsigned wants)
{
	source->ops->list(source, from, wants);
}

void source_fetch(struct source *source, const struct source_set *set)
{
	source->ops->fetch(source, set);
}

void source_headers(struct source *source, const struct source_set *set)
{
	source->ops->headers(source, set);
}

void source_present(struct source *source, const struct source_set *set)
{
	source->ops->present(source, set);
}

void source_remove(struct source *source, const struct source_set *set)
{
	source->ops->remove(source, set);
}

void source_idle(struct source *source)
{
	source->ops->idle(source);
}

void source_finish(struct source *source)
{
	source->ops->finish(source);
}
