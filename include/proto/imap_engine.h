/*
 * imap_engine: what the files of the IMAP engine share; nobody else includes it.
 *
 *     imap.c          the table of steps, the loop, what responses lead to
 *     imap_login.c    from the greeting to the login
 *     imap_command.c  how commands are written, and the trace
 *     imap_boxes.c    which mailboxes there are, and what lies in them
 *     imap_mailbox.c  select, list, remove
 *     imap_fetch.c    FETCH responses and the verbs fetch and headers
 *     imap_idle.c     the verb idle, and the memory of an engine that listens
 *     imap_search.c   ids of messages in a list, and the verb present
 *
 * Commands in flight stand in im->sent and are answered in that order. A verb is a job; one is at
 * work at a time, and its feed() sends whatever may be sent. Events wait in a short queue that is
 * emptied before anything more is read, so that they may point to the line they came from. What
 * makes an event for each of many messages is a sweep, which goes on from call to call.
 */
#ifndef MAILHAUL_PROTO_IMAP_ENGINE_H
#define MAILHAUL_PROTO_IMAP_ENGINE_H

#include "proto/imap_name.h"
#include "proto/imap_parse.h"
#include "proto/source_ops.h"

enum {
	IMAP_SENT_MAX = 300,
	IMAP_STATUSES_MAX = 256, /* STATUS commands in flight */
	IMAP_EVENTS_MAX = 8,
	IMAP_CUTS_MAX = 2, /* literals in one command */
	IMAP_STORES_MAX = 4,
	IMAP_FETCHES_MAX = 2, /* commands of a fetch or remove in flight */
	IMAP_CHALLENGES_MAX = 16,
	IMAP_CAPABILITIES_MAX = 8192,
	IMAP_LISTED_MAX = 4194304,	  /* messages of a mailbox */
	IMAP_IDS_MAX = 128 * 1024 * 1024, /* octets of all their ids */
	IMAP_BOXES_MAX = 20000,		  /* mailboxes of an account */
	IMAP_BOXES_OCTETS = 8388608,	  /* of their names and attributes together */
	IMAP_CODE_MAX = 64
};

enum imap_step {
	IMAP_STEP_GREETING,
	IMAP_STEP_CAPABILITY,
	IMAP_STEP_STARTTLS,
	IMAP_STEP_AUTHENTICATE,
	IMAP_STEP_LOGIN,
	IMAP_STEP_ID,
	IMAP_STEP_ENABLE,
	IMAP_STEP_NAMESPACE,
	IMAP_STEP_MAILBOXES,
	IMAP_STEP_STATUS,
	IMAP_STEP_SELECT,
	IMAP_STEP_LIST,
	IMAP_STEP_FETCH,
	IMAP_STEP_PRESENT,
	IMAP_STEP_STORE,
	IMAP_STEP_EXPUNGE,
	IMAP_STEP_IDLE,
	IMAP_STEP_LOGOUT,
	IMAP_STEPS
};

enum imap_phase {
	IMAP_CLEAR,	  /* not encrypted: before the wall */
	IMAP_HANDSHAKING, /* STARTTLS was answered, nothing may come or go */
	IMAP_GREETED,	  /* encrypted, the offers not yet known */
	IMAP_OFFERED,	  /* AUTH_OFFERED was said */
	IMAP_LOGGED_IN,
	IMAP_OVER /* finish is done */
};

struct imap_sent {
	enum imap_step step;
	unsigned tag;
	size_t end;    /* the job's numbers before this one are in this command or earlier ones */
	bool searched; /* ESEARCH came for it */
};

struct imap_job {
	struct imap_job *next;
	enum source_verb verb;
	bool started;
	bool login; /* auth: LOGIN, not AUTHENTICATE */
	bool writing;
	unsigned wants; /* list */
	char *name;	/* mechanism, user, mailbox */
	char *secret;	/* initial response, password */
	uint32_t from;
	char **names; /* mailboxes, status; NULL at the end */
	uint32_t *numbers;
	unsigned char *answered; /* fetch, present: for each of numbers */
	size_t count;
	size_t said;	   /* numbers[0..said), or names, stand in commands that were sent */
	size_t heard;	   /* numbers[0..heard) stand in commands that were answered */
	uint32_t arrivals; /* list: of im, when it began */
	bool accepted;	   /* idle: the server said "+" */
	bool ended;	   /* idle: DONE was sent */
	bool marked;	   /* remove: the last UID STORE was taken */
	bool refused;
	bool unsure;
	int64_t awaits; /* list from 1: so many messages; remove: so many EXPUNGEs */
	char *text;
	char *code;
};

struct imap_box; /* a mailbox: imap_boxes.c */

struct imap_listed {
	uint64_t octets;
	uint32_t uid;
	uint32_t id; /* where it stands in im->ids, a string; 0: it has none */
};

/* Where a FETCH response stands. */
struct imap_message {
	uint32_t uid; /* 0: not known (yet) */
	uint64_t octets;
	uint64_t size; /* RFC822.SIZE */
	bool sized;
	struct imap_span id; /* EMAILID or X-GM-MSGID, without what tells them apart */
	bool streaming;	     /* BEGIN was said */
	bool taking;	     /* the octets that come are of that body, not of another one */
	bool empty;	     /* a body came, without an octet */
	struct imap_token *quoted;
	time_t date;
};

struct imap {
	struct source source;
	struct imap_parse *parse;
	char *program; /* for ID */
	char *version;
	struct imap_job *jobs;

	/* What was sent and is not answered, oldest first. */
	struct imap_sent *sent;
	size_t sent_count;
	size_t sent_room;
	struct buf line;	    /* the command that is written, or what of it waits for "+" */
	size_t cuts[IMAP_CUTS_MAX]; /* where it waits */
	size_t cut_count;

	/* What is to be told. */
	struct source_event *events; /* IMAP_EVENTS_MAX, or NULL: none yet */
	size_t event_head;
	size_t event_count;
	struct buf text; /* the words of the last status */
	struct {
		size_t at, end; /* of the job's numbers, or of listed */
		enum source_what what;
		bool active;
	} sweep;

	struct imap_space space;
	struct imap_box *boxes;
	size_t boxes_octets;
	struct imap_box *box; /* to be told next */
	struct buf name;      /* of the mailbox that is told */
	struct buf served;

	struct buf capabilities;
	struct buf mechanisms;
	struct imap_message message;
	struct imap_listed *listed;
	size_t listed_count;
	size_t listed_room;
	struct buf ids;

	enum source_what whats[IMAP_EVENTS_MAX];
	enum imap_phase phase;
	enum imap_step saying;
	unsigned tags;
	unsigned challenges;
	uint32_t validity;
	uint32_t next;
	uint32_t exists;
	uint32_t arrivals; /* how often EXISTS told of more messages than there were */
	uint32_t heeded;   /* so many of these were listed, or told as NEWS */

	bool greeted;
	bool encrypted;
	bool remembers;
	bool authenticated;
	bool fresh;	 /* capabilities came since this was cleared */
	bool id_due;	 /* ID goes with the next command */
	bool enable_due; /* and ENABLE UTF8=ACCEPT */
	bool spaced;	 /* the server told its namespaces */
	bool telling;	 /* boxes become events */
	bool challenged; /* the driver owes a response */
	bool cancelled;
	bool bye;
	bool writable;
	bool unsorted;	/* listed is not in order, or has doubles */
	uint64_t noted; /* lines of the list */
	bool useful;	/* the line at hand moves something on */
	bool strayed;	/* a body came that could not be matched to a message */
	char key[16];
	char code[IMAP_CODE_MAX];
};

struct imap_step_ops {
	const char *name; /* what errors speak of */
	bool in_clear;	  /* the wall: only these may be sent before TLS */
	void (*answer)(struct imap *im, const struct imap_sent *sent, const struct imap_line *line);
};

extern const struct imap_step_ops imap_steps[IMAP_STEPS];

/* ---- imap.c -------------------------------------------------------------------------------- */

/* The session is over, once the events that wait are told. Returns what the words of the
 * server go to; the first failure stays. */
struct err *imap_fail(struct imap *im, enum err_kind kind, const char *words);
void imap_fail_line(struct imap *im, const struct imap_line *line, const char *words);

/* Queues an event; the fields of the returned one are for the caller to fill. */
struct source_event *imap_event(struct imap *im, enum source_what what);

/* Queues an event for each number in the range: LISTED, or GONE, REFUSED (with the server's last
 * words) for those not answered, or REMOVED. */
void imap_sweep(struct imap *im, enum source_what what, size_t from, size_t end);

/* The job at work is done: queues DONE and forgets the job. */
void imap_done(struct imap *im);
void imap_done_refused(struct imap *im);

/* A job of several commands goes on with what is in flight when one is refused; the first refusal
 * is what its DONE will tell. */
void imap_note_refusal(struct imap *im);
void imap_done_at_last(struct imap *im);

/* Forgets the job at work without a word. */
void imap_job_drop(struct imap *im);

bool imap_is_sent(const struct imap *im, enum imap_step step);

/* Sets number and key. */
void imap_name(struct imap *im, struct source_event *ev, uint32_t uid);

/* ---- imap_login.c -------------------------------------------------------------------------- */

void imap_greeting_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);
void imap_capability_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);
void imap_starttls_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);
void imap_auth_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);
void imap_auth_feed(struct imap *im, struct imap_job *job);
void imap_tls_started(struct source *source);
void imap_respond(struct source *source, const char *base64);

/* "+ ..." */
void imap_continue(struct imap *im, const struct imap_line *line);

/* Between the answer to STARTTLS and the handshake: fails the session if anything was sent. */
bool imap_wall_holds(struct imap *im);

/* The capabilities, from the arguments of a response code or from a response. */
void imap_learn_span(struct imap *im, struct imap_span span);
void imap_learn_line(struct imap *im, const struct imap_line *line);
bool imap_offers(const struct imap *im, const char *capability);

/* By its own name, or as a part of IMAP4rev2 (RFC 9051, appendix E). */
bool imap_supports(const struct imap *im, const char *extension);

/* ---- imap_command.c ------------------------------------------------------------------------ */

/* A command: begin, text or strings appended to the returned im->line, send. */
struct buf *imap_begin(struct imap *im, enum imap_step step);
void imap_string(struct imap *im, const char *text);

/* secret_at: where in im->line a secret begins; 0 for none. */
void imap_send(struct imap *im, size_t secret_at);

/* Sends a command that is one word. */
void imap_say(struct imap *im, enum imap_step step, const char *word);

/* The server said "+" to a literal. */
void imap_send_rest(struct imap *im);

/* A line that belongs to no new command: an answer to a challenge. */
void imap_send_answer(struct imap *im, const char *text, bool secret);

/* Appends a sequence set of the ascending numbers, at most max octets; returns how many fitted. */
size_t imap_set(struct buf *out, const uint32_t *numbers, size_t count, size_t max);

void imap_say_id(struct imap *im);
void imap_say_enable(struct imap *im);

void imap_trace_line(struct imap *im, enum imap_what what, const struct imap_line *line);

/* ---- imap_boxes.c -------------------------------------------------------------------------- */

void imap_boxes_feed(struct imap *im, struct imap_job *job);
void imap_boxes_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);
void imap_status_feed(struct imap *im, struct imap_job *job);
void imap_status_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);

/* True if it was LIST, STATUS, NAMESPACE or ENABLED, whether asked for or not. */
bool imap_boxes_line(struct imap *im, const struct imap_line *line);

/* While im->telling: the next event; false at the end, when the job at work is done. */
bool imap_boxes_tell(struct imap *im, struct source_event *ev, enum source_what *what_r);

void imap_boxes_forget(struct imap *im);

/* ---- imap_mailbox.c ------------------------------------------------------------------------ */

void imap_select_feed(struct imap *im, struct imap_job *job);
void imap_select_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);
void imap_list_feed(struct imap *im, struct imap_job *job);
void imap_list_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);
void imap_remove_feed(struct imap *im, struct imap_job *job);
void imap_store_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);
void imap_expunge_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);

/* "* OK [UIDVALIDITY n]" and its like. */
void imap_mailbox_code(struct imap *im, const struct imap_line *line);

/* "* n EXISTS", "* n EXPUNGE". */
void imap_mailbox_number(struct imap *im, const struct imap_line *line, uint32_t number);

/* A FETCH response for a list that is under way. */
void imap_list_note(struct imap *im, const struct imap_message *message);

/* ---- imap_idle.c --------------------------------------------------------------------------- */

void imap_idle_feed(struct imap *im, struct imap_job *job);
void imap_idle_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);

/* "+": true if it belongs to IDLE. */
bool imap_idle_continue(struct imap *im);

/* Tells of arrivals that were not heeded, if idle is at work. */
void imap_news(struct imap *im);

/* While IDLE is in flight. */
const char *imap_idle_waits_for(const struct imap *im);

/* Nothing is left to read: gives back memory, if the server is listened to. */
void imap_idle_rest(struct imap *im);

/* ---- imap_search.c ------------------------------------------------------------------------- */

/* What the server can name a message by in every numbering: the item of FETCH, or NULL; and the
 * letter that its kind has in source_event.id. */
const char *imap_id_item(const struct imap *im, char *letter_r);

/* Keeps an id, if it is one, and returns where (struct imap_listed); 0 if not. */
uint32_t imap_id_keep(struct imap *im, struct imap_span id);

void imap_present_feed(struct imap *im, struct imap_job *job);
void imap_present_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);

/* A message that is there: from a FETCH response, while present is under way. */
void imap_present_note(struct imap *im, uint32_t uid);

/* "* ESEARCH ..." */
void imap_esearch(struct imap *im, const struct imap_line *line);

/* ---- imap_fetch.c -------------------------------------------------------------------------- */

/* Fetch and headers. */
void imap_fetch_feed(struct imap *im, struct imap_job *job);
void imap_fetch_answer(struct imap *im, const struct imap_sent *, const struct imap_line *);

/* A FETCH response, or a part of it, as the parser gave it. */
void imap_fetch_part(struct imap *im, enum imap_what what, const struct imap_line *line);
/* Where in the job at work a uid stands that was said and is not answered; NULL if nowhere. */
unsigned char *imap_awaited(struct imap *im, uint32_t uid);

/* The name of a body that the job at work asks for: "BODY[]", or that of the headers. */
bool imap_is_body(const struct imap *im, const struct imap_token *name);

void imap_fetch_octets(struct imap *im, const struct imap_line *line);

#endif
