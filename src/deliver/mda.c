/*
 * mda: delivery by a program: exim, procmail, maildrop, dovecot-lda ...
 *
 * Contract: see the header and struct sink_ops; the verdicts are the table of mailhaul(1), the
 * exit codes those of sysexits.h. Letters stand in the spool; this room fills in the arguments,
 * runs the program, and judges how it ended.
 *
 * What strangers wrote (the sender, the uid, the name of a mailbox) becomes part of one argument at
 * most: never the program, never an option, never a path that leads upwards.
 */
#include "deliver/mda.h"

#include "deliver/spool.h"
#include "io/child.h"
#include "mail/header.h"
#include "util/buf.h"
#include "util/crash.h"
#include "util/mem.h"
#include "util/str.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	SENDER_SIZE = 256,
	HEADER_MOST = 256 * 1024, /* octets of a letter that are searched for its Return-Path */
	STDERR_SHOWN = 370	  /* octets, as shown, that fit into struct err */
};

struct mda {
	struct sink sink;
	struct loop *loop;
	struct spool *spool;
	char **argv;
	char *program; /* argv[0], for messages */
	char *account, *mailbox, *user;
	uint64_t deadline_ms;
	bool may_skip_input;
	bool wants_sender;

	/* While a letter is handed over. */
	struct child *child;
	struct loop_timer *later; /* reports what ended without a child */
	int input;
	enum sink_verdict verdict;
	struct err err;
	sink_done *done;
	void *ctx;
};

static struct mda *self(struct sink *sink)
{
	return (struct mda *)sink;
}

static const struct mda *self_const(const struct sink *sink)
{
	return (const struct mda *)sink;
}

/* ---- the arguments ---- */

struct filling {
	const char *sender, *uid;
	const struct mda *mda;
};

static bool has_controls(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return true;
	return false;
}

/* True for what would lead elsewhere, were it made part of a path. */
static bool leads_away(const char *value)
{
	if (*value == '/')
		return true;
	for (const char *part = value; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (strncmp(part, "..", 2) == 0 && (!part[2] || part[2] == '/'))
			return true;
	}
	return false;
}

/* A server chooses the uid: what is special in a path or on a terminal becomes "_". */
static void add_uid(struct buf *out, const char *uid)
{
	if (strcmp(uid, ".") == 0 || strcmp(uid, "..") == 0)
		uid = "_";
	for (; *uid; uid++) {
		bool plain = *uid > ' ' && *uid < 0x7f && *uid != '/';

		buf_append(out, plain ? uid : "_", 1);
	}
}

static bool add_value(struct buf *out, const struct filling *f, const char *name, size_t len,
		      struct err *err)
{
	const char *value;

	if (str_is(name, len, "uid")) {
		add_uid(out, f->uid);
		return true;
	}
	if (str_is(name, len, "sender"))
		value = f->sender;
	else if (str_is(name, len, "account"))
		value = f->mda->account;
	else if (str_is(name, len, "mailbox"))
		value = f->mda->mailbox;
	else if (str_is(name, len, "user"))
		value = f->mda->user;
	else
		return err_set(err, ERR_CONFIG, "mda: %%{%.*s} is not known",
			       (int)(len < 40 ? len : 40), name);
	if (has_controls(value))
		return err_set(err, ERR_CONFIG, "mda: %%{%.*s} has a control character: \"%s\"",
			       (int)len, name, value);
	if (value == f->mda->mailbox && leads_away(value))
		return err_set(err, ERR_CONFIG,
			       "mda: the mailbox \"%s\" would lead out of a directory; mailhaul "
			       "does not hand that name to a program",
			       value);
	buf_text(out, value);
	return true;
}

/* An argument with its placeholders filled in; NULL on failure. */
static char *fill(const struct filling *f, const char *element, struct err *err)
{
	struct buf out = {0};
	const char *at = element;
	bool good = true;
	char *filled;

	while (good && *at) {
		const char *end = at[0] == '%' && at[1] == '{' ? strchr(at, '}') : NULL;

		if (end) {
			good = add_value(&out, f, at + 2, (size_t)(end - at - 2), err);
			at = end + 1;
			continue;
		}
		buf_append(&out, at, 1);
		at += at[0] == '%' && at[1] == '%' ? 2 : 1;
	}
	filled = mem_copy(buf_string(&out));
	buf_free(&out);
	if (good && filled[0] == '-' && strncmp(element, "%{", 2) == 0)
		good = err_set(err, ERR_CONFIG,
			       "mda: the argument %s would become \"%s\", which the program would "
			       "take for an option; put text or \"--\" in front of it",
			       element, filled);
	if (!good) {
		free(filled);
		return NULL;
	}
	return filled;
}

static void free_words(char **words)
{
	if (!words)
		return;
	for (size_t i = 0; words[i]; i++)
		free(words[i]);
	free(words);
}

static size_t count_words(const char *const *words)
{
	size_t count = 0;

	while (words[count])
		count++;
	return count;
}

/* The program itself is never filled in. */
static char **fill_all(const struct filling *f, struct err *err)
{
	const struct mda *mda = f->mda;
	size_t count = count_words((const char *const *)mda->argv);
	char **argv = mem_new(count + 1, sizeof *argv);

	if (!count || strstr(mda->argv[0], "%{")) {
		free_words(argv);
		err_set(err, ERR_CONFIG, "mda: the program must be named as it is, without %%{}");
		return NULL;
	}
	argv[0] = mem_copy(mda->argv[0]);
	for (size_t i = 1; i < count; i++) {
		argv[i] = fill(f, mda->argv[i], err);
		if (!argv[i]) {
			free_words(argv);
			return NULL;
		}
	}
	return argv;
}

/* The envelope sender of the letter; its offset stays where it is. */
static bool find_sender(int fd, const char *name, char *out, struct err *err)
{
	struct header_scan *scan = header_scan_new();
	char bytes[8192];
	off_t at = 0;
	ssize_t got;
	char *path;

	do {
		got = pread(fd, bytes, sizeof bytes, at);
		if (got > 0)
			at += got;
	} while ((got < 0 && errno == EINTR) ||
		 (got > 0 && at < HEADER_MOST && header_scan_feed(scan, bytes, (size_t)got)));
	if (got < 0) {
		err_sys(err, ERR_MAIL, errno, "cannot read letter %s", name);
	} else {
		const struct buf *field = &header_scan_facts(scan)->return_path;

		path = mem_copy_n((const char *)field->data, field->len);
		header_sender(path, out, SENDER_SIZE);
		free(path);
	}
	header_scan_free(&scan);
	return got >= 0;
}

/* ---- how it ended ---- */

static enum sink_verdict by_exit_code(int code)
{
	switch (code) {
	case EX_OK:
		return SINK_DELIVERED;
	case EX_USAGE:
	case EX_DATAERR:
	case EX_NOUSER:
	case EX_NOHOST:
	case EX_UNAVAILABLE:
	case EX_PROTOCOL:
	case EX_NOPERM:
		return SINK_ATTEMPT;
	case EX_CONFIG:
	case 126: /* what a shell says where it cannot run, or cannot find, a program */
	case 127:
		return SINK_BROKEN;
	case EX_TEMPFAIL:
	default:
		return SINK_LATER;
	}
}

/* A machine that is out of something for a moment is no broken set-up. */
static bool passing(int sys)
{
	return sys == EAGAIN || sys == ENOMEM || sys == EMFILE || sys == ENFILE || sys == ETXTBSY ||
	       sys == EIO;
}

static enum sink_verdict judge(const struct mda *mda, const struct child_end *end)
{
	if (!end->started)
		return passing(end->sys) ? SINK_LATER : SINK_BROKEN;
	if (end->timed_out || end->exit_code < 0)
		return SINK_LATER;
	if (end->exit_code == 0 && end->input_left && !mda->may_skip_input)
		return SINK_ATTEMPT;
	return by_exit_code(end->exit_code);
}

static enum err_kind kind_of(enum sink_verdict verdict)
{
	switch (verdict) {
	case SINK_LATER:
		return ERR_TEMPORARY;
	case SINK_ATTEMPT:
		return ERR_MESSAGE;
	case SINK_BROKEN:
		return ERR_CONFIG;
	case SINK_DELIVERED:
	default:
		return ERR_NONE;
	}
}

static size_t shown_length(const unsigned char *bytes, size_t len)
{
	struct buf shown = {0};
	size_t length;

	str_visible(&shown, bytes, len, SIZE_MAX / 2);
	length = shown.len;
	buf_free(&shown);
	return length;
}

/* The last lines of stderr that fit; programs say last why they give up. */
static void note_stderr(struct err *err, const struct buf *said)
{
	struct buf lines = {0};
	size_t end = said->len;
	size_t from;

	while (end && isspace(said->data[end - 1]))
		end--;
	from = end;
	while (from) {
		size_t line = from - 1;

		while (line && said->data[line - 1] != '\n')
			line--;
		if (from != end && shown_length(said->data + line, end - line) > STDERR_SHOWN)
			break;
		from = line;
	}
	for (; from < end; from++) {
		if (said->data[from] == '\n')
			buf_text(&lines, " / ");
		else if (said->data[from] != '\r')
			buf_append(&lines, said->data + from, 1);
	}
	if (lines.len)
		err_server(err, lines.data, lines.len);
	buf_free(&lines);
}

static void explain(struct mda *mda)
{
	const struct child_end *end = child_end(mda->child);
	char how[256];

	err_clear(&mda->err);
	if (mda->verdict == SINK_DELIVERED)
		return;
	child_describe(mda->child, how, sizeof how);
	if (mda->verdict == SINK_ATTEMPT && end->exit_code == 0)
		err_set(&mda->err, ERR_MESSAGE,
			"%s %s, but left %zu octets of the letter unread (mda_may_skip_input: true "
			"would take that for a delivery)",
			mda->program, how, end->input_left);
	else
		err_set(&mda->err, kind_of(mda->verdict), "%s %s", mda->program, how);
	if (!end->started)
		mda->err.sys = end->sys;
	note_stderr(&mda->err, child_stderr(mda->child));
}

/* done may hand over the next letter, or free the sink: nothing is touched after it. */
static void finish(struct mda *mda)
{
	enum sink_verdict verdict = mda->verdict;
	struct err err = mda->err;
	sink_done *done = mda->done;
	void *ctx = mda->ctx;

	child_free(&mda->child);
	loop_timer_free(&mda->later);
	if (mda->input >= 0)
		close(mda->input);
	mda->input = -1;
	mda->done = NULL;
	done(ctx, verdict, &err);
}

static void child_ended(void *ctx, struct child *child)
{
	struct mda *mda = ctx;

	crash_point("mda-after");
	mda->verdict = judge(mda, child_end(child));
	explain(mda);
	finish(mda);
}

static void ended_without_child(void *ctx)
{
	finish(ctx);
}

/* Opens the letter and fills in the arguments; NULL with a verdict on failure. */
static char **prepare(struct mda *mda, const struct sink_letter *letter)
{
	char sender[SENDER_SIZE] = "";
	struct filling f = {.sender = sender, .uid = letter->uid, .mda = mda};

	mda->verdict = SINK_LATER;
	mda->input = spool_read(mda->spool, letter->name, &mda->err);
	if (mda->input < 0)
		return NULL;
	if (mda->wants_sender && !find_sender(mda->input, letter->name, sender, &mda->err))
		return NULL;
	mda->verdict = SINK_BROKEN;
	return fill_all(&f, &mda->err);
}

static void mda_stop(struct sink *sink)
{
	struct mda *mda = self(sink);

	if (!mda->child)
		return;
	child_free(&mda->child);
	mda->verdict = SINK_LATER;
	err_set(&mda->err, ERR_TEMPORARY, "%s was stopped, since mailhaul had to end",
		mda->program);
	mda->later = loop_timer_new(mda->loop, ended_without_child, mda);
	loop_timer_start(mda->later, 0);
}

static void mda_hand(struct sink *sink, const struct sink_letter *letter, sink_done *done,
		     void *ctx)
{
	struct mda *mda = self(sink);
	char **argv;

	assert(!mda->done);
	mda->done = done;
	mda->ctx = ctx;
	argv = prepare(mda, letter);
	if (!argv) {
		mda->later = loop_timer_new(mda->loop, ended_without_child, mda);
		loop_timer_start(mda->later, 0);
		return;
	}
	crash_point("mda-before");
	mda->child = child_new(mda->loop, &(struct child_params){
					      .argv = (const char *const *)argv,
					      .input_fd = mda->input,
					      .deadline_ms = mda->deadline_ms,
					      .on_end = child_ended,
					      .ctx = mda,
					  });
	crash_point("mda-started");
	free_words(argv);
}

/* ---- the operations that are the spool's ---- */

static bool mda_open(struct sink *sink, struct err *err)
{
	return spool_open(self(sink)->spool, err);
}

static int mda_directory(const struct sink *sink)
{
	return spool_directory(self_const(sink)->spool);
}

static const char *mda_path(const struct sink *sink)
{
	return spool_path(self_const(sink)->spool);
}

static bool mda_flush(struct sink *sink, struct err *err)
{
	return spool_flush(self(sink)->spool, err);
}

static bool mda_place(struct sink *sink, const char *name, struct err *err)
{
	(void)sink;
	(void)name;
	(void)err;
	return true;
}

static bool mda_settle(struct sink *sink, struct err *err)
{
	(void)sink;
	(void)err;
	return true;
}

static bool mda_hold(struct sink *sink, const char *name, struct err *err)
{
	return spool_hold(self(sink)->spool, name, err);
}

static bool mda_find(struct sink *sink, const char *name, enum sink_where *where_r, struct err *err)
{
	return spool_find(self(sink)->spool, name, where_r, err);
}

static bool mda_strays(struct sink *sink, const char *mark,
		       void (*stray)(void *ctx, const char *name), void *ctx, struct err *err)
{
	return spool_strays(self(sink)->spool, mark, stray, ctx, err);
}

static bool mda_discard(struct sink *sink, const char *name, struct err *err)
{
	return spool_discard(self(sink)->spool, name, err);
}

static bool mda_quarantine(struct sink *sink, const char *name, struct err *err)
{
	return spool_quarantine(self(sink)->spool, name, err);
}

static void mda_free(struct sink *sink)
{
	struct mda *mda = self(sink);

	child_free(&mda->child);
	loop_timer_free(&mda->later);
	if (mda->input >= 0)
		close(mda->input);
	spool_free(&mda->spool);
	free_words(mda->argv);
	free(mda->program);
	free(mda->account);
	free(mda->mailbox);
	free(mda->user);
	free(mda);
}

static const struct sink_ops mda_ops = {
    .open = mda_open,
    .directory = mda_directory,
    .path = mda_path,
    .flush = mda_flush,
    .place = mda_place,
    .settle = mda_settle,
    .find = mda_find,
    .strays = mda_strays,
    .discard = mda_discard,
    .quarantine = mda_quarantine,
    .hold = mda_hold,
    .hand = mda_hand,
    .stop = mda_stop,
    .free = mda_free,
};

struct sink *mda_new(const struct mda_params *params)
{
	struct mda *mda = mem_new(1, sizeof *mda);
	size_t count = count_words(params->argv);

	mda->sink.ops = &mda_ops;
	mda->loop = params->loop;
	mda->spool = spool_new(params->state_dir);
	mda->argv = mem_new(count + 1, sizeof *mda->argv);
	for (size_t i = 0; i < count; i++) {
		mda->argv[i] = mem_copy(params->argv[i]);
		mda->wants_sender = mda->wants_sender || strstr(params->argv[i], "%{sender}");
	}
	mda->program = mem_copy(count ? params->argv[0] : "mda");
	mda->account = mem_copy(params->account);
	mda->mailbox = mem_copy(params->mailbox);
	mda->user = mem_copy(params->user);
	mda->deadline_ms = params->deadline_ms;
	mda->may_skip_input = params->may_skip_input;
	mda->input = -1;
	return &mda->sink;
}
