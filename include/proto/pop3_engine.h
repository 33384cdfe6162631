/*
 * pop3_engine: what the files of the POP3 engine share; of proto/pop3 alone.
 *
 *     pop3_engine.c  the ring of what was sent, the table of states, reading and failing
 *     pop3_login.c   from the greeting to READY
 *     pop3_visit.c   the verbs after it
 *     pop3.c         the engine as source.c sees it
 */
#ifndef MAILHAUL_PROTO_POP3_ENGINE_H
#define MAILHAUL_PROTO_POP3_ENGINE_H

#include "proto/pop3_body.h"
#include "proto/pop3_list.h"
#include "proto/pop3_parse.h"
#include "proto/source_ops.h"

/* Commands and marks that the ring holds. */
enum { POP3_RING = 1024 };

/* No event yet: ask again. */
#define POP3_CONTINUE SOURCE_WHATS

/* What stands in the ring: commands not yet answered, and marks of our own between them. */
enum pop3_state {
	POP3_GREETING,
	POP3_CAPA,
	POP3_STLS,
	POP3_AUTH,
	POP3_USER,
	POP3_PASS,
	POP3_STAT,
	POP3_UIDL,
	POP3_LIST,
	POP3_RETR,
	POP3_TOP,
	POP3_DELE,
	POP3_QUIT,
	POP3_NOOP,
	POP3_TLS,	/* until the driver says that TLS runs */
	POP3_CHALLENGE, /* until the driver answers it; then POP3_AUTH again */
	POP3_UNFIT,	/* a login that cannot be sent: DONE, refused */
	POP3_MISSING,	/* GONE */
	POP3_NEVER,	/* DONE, refused, of a verb that this server cannot do; its number */
	POP3_REPORT,	/* LISTED for each, DONE of list */
	POP3_DONE,	/* of the verb whose number it has */
	POP3_STATES
};

struct pop3_sent {
	enum pop3_state state;
	uint32_t number;
};

struct pop3_verb {
	struct pop3_verb *next;
	enum source_verb kind;
	unsigned wants; /* list */
	unsigned step;
	uint32_t *numbers;
	size_t count;
	size_t at;
};

struct pop3 {
	struct source source;
	struct pop3_sent ring[POP3_RING];
	size_t first;
	size_t count;
	size_t waiting; /* of count: commands, not marks */
	bool filling;	/* the window is being filled */
	bool within;	/* the answer's first line came, its further lines come */
	size_t lines;	/* of an answer, that name a message */
	size_t scanned; /* octets of the input known to hold no LF */

	bool encrypted;
	bool offered; /* AUTH_OFFERED was said, and no login succeeded */
	bool ready;
	bool ended;
	struct pop3_capa capa;
	bool capa_refused;
	char *initial;	/* goes out when the server asks for it */
	char *password; /* goes out when USER is answered */
	bool user_refused;

	uint32_t exists;
	bool stat_pending;
	bool select_refused;
	bool uidl_asked;
	bool uidl_refused;
	bool list_asked;
	struct pop3_list list;
	size_t reported; /* of list */
	struct pop3_body body;
	bool gave;	 /* a whole message came */
	unsigned proofs; /* NOOPs behind the last of them */

	struct pop3_verb *verbs; /* not yet sent, or not all of them */
	struct pop3_verb **last;

	struct buf text; /* of the last answer; what events point to */
	struct buf kept; /* of a refusal that is told later */
	struct buf key;
	char code[POP3_CODE_MAX];
	char kept_code[POP3_CODE_MAX];
};

static inline struct pop3 *pop3_of(struct source *source)
{
	return (struct pop3 *)source;
}

/* What an answer leads to (a command is taken off the ring before, unless lines follow), a further
 * line of it (false: the engine failed), its end; and what a mark does when its turn comes. */
typedef enum source_what pop3_answer(struct pop3 *p, bool ok, uint32_t number,
				     struct source_event *ev);
typedef bool pop3_line(struct pop3 *p, const unsigned char *line, size_t len);
typedef enum source_what pop3_end(struct pop3 *p, struct source_event *ev);
typedef enum source_what pop3_mark(struct pop3 *p, uint32_t number, struct source_event *ev);

/* ---- pop3_engine.c -------------------------------------------------------------------------- */

/* Goes on until something happens, or only something may have (POP3_CONTINUE). */
enum source_what pop3_step(struct pop3 *p, struct source_event *ev);
const char *pop3_waits_for(const struct pop3 *p);

void pop3_push(struct pop3 *p, enum pop3_state state, uint32_t number);
void pop3_pop(struct pop3 *p);

/* Sends a command, with a number unless that is 0, and puts it on the ring. */
void pop3_say(struct pop3 *p, enum pop3_state state, const char *command, uint32_t number);

/* Sends a line, of which the trace shows only the opening. */
void pop3_say_secret(struct pop3 *p, const char *opening, const char *secret);

/* Sends a line whose words are not secret. */
void pop3_say_words(struct pop3 *p, const char *words);

void pop3_trace(struct pop3 *p, const char *who, const void *bytes, size_t len, const char *behind);

/* All give SOURCE_FAILED; but need_bytes only when no more will come. The server's words are those
 * of the last answer, or the line. */
enum source_what pop3_failed(struct pop3 *p, enum err_kind kind, const char *words);
enum source_what pop3_broke(struct pop3 *p, const char *what, const void *line, size_t len);
enum source_what pop3_need_bytes(struct pop3 *p);

/* Fails with the first octets of what stands in the input and was not asked for. */
enum source_what pop3_unasked(struct pop3 *p);

/* Text and code of the last answer into the event; or of one that was kept, as a refusal. */
void pop3_tell_text(struct pop3 *p, struct source_event *ev);
void pop3_keep_refusal(struct pop3 *p);
void pop3_tell_refusal(struct pop3 *p, struct source_event *ev);

/* ---- pop3_login.c -------------------------------------------------------------------------- */

pop3_answer pop3_on_greeting, pop3_on_capa, pop3_on_stls, pop3_on_auth, pop3_on_user, pop3_on_pass;
pop3_line pop3_line_capa;
pop3_end pop3_end_capa, pop3_on_challenge;
pop3_mark pop3_mark_tls, pop3_mark_challenge, pop3_mark_unfit;

void pop3_tls_started(struct source *source);
void pop3_auth(struct source *source, const char *mechanism, const char *initial);
void pop3_respond(struct source *source, const char *base64);
void pop3_login(struct source *source, const char *user, const char *password);

/* ---- pop3_visit.c -------------------------------------------------------------------------- */

pop3_answer pop3_on_stat, pop3_on_uidl, pop3_on_retr, pop3_on_top, pop3_on_dele, pop3_on_quit;
pop3_line pop3_line_uidl, pop3_line_list;
pop3_end pop3_end_uidl, pop3_body_more;
pop3_mark pop3_mark_missing, pop3_mark_never, pop3_mark_report, pop3_mark_done;

void pop3_select(struct source *source, const char *mailbox, bool writing);
void pop3_list(struct source *source, uint32_t from, unsigned wants);
void pop3_fetch(struct source *source, const struct source_set *set);
void pop3_headers(struct source *source, const struct source_set *set);
void pop3_present(struct source *source, const struct source_set *set);
void pop3_remove(struct source *source, const struct source_set *set);
void pop3_idle(struct source *source);
void pop3_finish(struct source *source);

/* Sends of the queued verbs what may be sent now; or forgets them all. */
void pop3_send_more(struct pop3 *p);
void pop3_forget_verbs(struct pop3 *p);

#endif
