/*
 * source_ops: what an engine fills in; included by the engines and by source.c only.
 *
 * A new protocol is one file that embeds struct source as its first member and fills the table.
 * source.c does what all have in common: source_free() wipes out and trace, then free() frees the
 * engine's own and the engine; next() is called with an event whose fields are zero and strings "",
 * and no more once it has said SOURCE_FAILED; out_secret is cleared once out is empty.
 */
#ifndef MAILHAUL_PROTO_SOURCE_OPS_H
#define MAILHAUL_PROTO_SOURCE_OPS_H

#include "proto/source.h"

/* An event in which nothing is set. */
#define SOURCE_EVENT_EMPTY                                                                         \
	((struct source_event){.key = "",                                                          \
			       .id = "",                                                           \
			       .mechanisms = "",                                                   \
			       .capabilities = "",                                                 \
			       .name = "",                                                         \
			       .served = "",                                                       \
			       .wire = "",                                                         \
			       .attributes = "",                                                   \
			       .text = "",                                                         \
			       .code = ""})

struct source_ops {
	void (*free)(struct source *);
	enum source_what (*next)(struct source *, struct source_event *);
	const char *(*waiting_for)(const struct source *);
	void (*tls_started)(struct source *);
	void (*auth)(struct source *, const char *mechanism, const char *initial);
	void (*respond)(struct source *, const char *base64);
	void (*login)(struct source *, const char *user, const char *password);
	void (*mailboxes)(struct source *, const char *const *items, size_t count);
	void (*status)(struct source *, const char *const *names, size_t count);
	void (*select)(struct source *, const char *mailbox, bool writing);
	void (*list)(struct source *, uint32_t from, unsigned wants);
	void (*fetch)(struct source *, const struct source_set *set);
	void (*headers)(struct source *, const struct source_set *set);
	void (*present)(struct source *, const struct source_set *set);
	void (*remove)(struct source *, const struct source_set *set);
	void (*idle)(struct source *);
	void (*finish)(struct source *);
};

struct source {
	const struct source_ops *ops;
	struct buf *in;
	struct buf out;
	struct buf trace;
	struct err *err;  /* NULL: it has not failed. An engine that listens can spare the room */
	uint64_t chatter; /* octets of the server's that were of no use */
	bool tracing;
	bool eof;
	bool out_secret;
	bool failed; /* and has said so */
	bool astray; /* see source_astray() */
};

/* The engine fails: the returned err is for it to fill, and next() shall say so. It is made once.
 */
struct err *source_broken(struct source *source);

#endif
