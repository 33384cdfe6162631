/*
 * pop3: the POP3 engine.
 */
#include "proto/pop3.h"

#include "proto/source_ops.h"
#include "util/mem.h"

#include <stdlib.h>

struct pop3 {
	struct source source;
};

static void pop3_free(struct source *source)
{
	free(source);
}

static enum source_what pop3_next(struct source *source, struct source_event *ev)
{
	(void)ev;
	buf_consume(source->in, source->in->len);
	return SOURCE_NEED_BYTES;
}

static const char *pop3_waiting_for(const struct source *source)
{
	(void)source;
	return "the greeting";
}

static const struct source_ops pop3_ops = {
    .free = pop3_free,
    .next = pop3_next,
    .waiting_for = pop3_waiting_for,
};

struct source *pop3_new(const struct source_params *params)
{
	struct pop3 *pop3 = mem_new(1, sizeof *pop3);

	pop3->source = (struct source){.ops = &pop3_ops, .in = params->in, .tracing = params->trace};
	return &pop3->source;
}
