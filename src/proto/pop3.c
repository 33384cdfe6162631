/*
 * pop3: the POP3 engine (RFC 1939; RFC 2449 CAPA and PIPELINING, 2595 STLS, 5034 AUTH, 2449 and
 * 3206 response codes). Its contract is proto/source.h; how it works, pop3_engine.h says.
 */
#include "proto/pop3.h"

#include "proto/pop3_engine.h"
#include "util/mem.h"

#include <stdlib.h>

static enum source_what pop3_next(struct source *source, struct source_event *ev)
{
	enum source_what what;

	if (source->err)
		return SOURCE_FAILED;
	do
		what = pop3_step(pop3_of(source), ev);
	while (what == POP3_CONTINUE);
	return what;
}

static const char *pop3_waiting_for(const struct source *source)
{
	return pop3_waits_for((const struct pop3 *)source);
}

static void pop3_free(struct source *source)
{
	struct pop3 *p = pop3_of(source);

	pop3_forget_verbs(p);
	mem_free_secret(&p->initial);
	mem_free_secret(&p->password);
	pop3_capa_forget(&p->capa);
	pop3_list_forget(&p->list);
	buf_free(&p->text);
	buf_free(&p->kept);
	buf_free(&p->key);
	free(p);
}

static const struct source_ops pop3_ops = {
    .free = pop3_free,
    .next = pop3_next,
    .waiting_for = pop3_waiting_for,
    .tls_started = pop3_tls_started,
    .auth = pop3_auth,
    .respond = pop3_respond,
    .login = pop3_login,
    .select = pop3_select,
    .list = pop3_list,
    .fetch = pop3_fetch,
    .headers = pop3_headers,
    .present = pop3_present,
    .remove = pop3_remove,
    .idle = pop3_idle,
    .finish = pop3_finish,
};

struct source *pop3_new(const struct source_params *params)
{
	struct pop3 *p = mem_new(1, sizeof *p);

	p->source = (struct source){.ops = &pop3_ops, .in = params->in, .tracing = params->trace};
	p->encrypted = params->encrypted;
	p->last = &p->verbs;
	pop3_push(p, POP3_GREETING, 0);
	return &p->source;
}
