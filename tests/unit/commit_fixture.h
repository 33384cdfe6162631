/*
 * commit_fixture: a state, a loop and a committer in a directory of their own, and a sink that
 * passes everything on to a real Maildir, notes it, and fails where it is told to.
 *
 * fsync() and syncfs() of the whole program come through here, so that a disk can fail, and so that
 * the order of flushing and everything else can be seen. A second connection to the state, the
 * witness, sees what is durable at any step.
 */
#ifndef MAILHAUL_TESTS_COMMIT_FIXTURE_H
#define MAILHAUL_TESTS_COMMIT_FIXTURE_H

#include "look_up.h"

#include "deliver/maildir.h"
#include "deliver_fixture.h"
#include "session/batch.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#define MARK "H0123456789abcdefA1Z"
#define ID   "0123456789abcdef0123456789abcdef"

static struct loop *loop;
static struct state *state, *witness;
static struct committer *committer;
static struct state_mailbox box;

/* What was done, in order, with a space behind each. */
static char journal[1 << 18];
static pthread_mutex_t journal_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool fail_fsync, fail_syncfs;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	static size_t len;
	va_list args;

	pthread_mutex_lock(&journal_mutex);
	if (!*journal)
		len = 0;
	va_start(args, format);
	len += (size_t)vsnprintf(journal + len, sizeof journal - len, format, args);
	va_end(args);
	pthread_mutex_unlock(&journal_mutex);
	ck_assert_uint_lt(len, sizeof journal - 200);
}

/* While the committer may be at work. */
static inline bool noted(const char *word)
{
	bool there;

	pthread_mutex_lock(&journal_mutex);
	there = strstr(journal, word) != NULL;
	pthread_mutex_unlock(&journal_mutex);
	return there;
}

int fsync(int fd)
{
	char link[64];
	char path[512];
	const char *name;
	ssize_t len;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof path - 1);
	path[len < 0 ? 0 : len] = '\0';
	name = strstr(path, "/tmp/L");
	if (name) {
		note("fsync:%s ", name + 5);
		if (fail_fsync) {
			errno = EIO;
			return -1;
		}
	}
	return (int)syscall(SYS_fsync, fd);
}

int syncfs(int fd)
{
	note("syncfs ");
	if (fail_syncfs || fcntl(fd, F_GETFD) < 0) {
		errno = EIO;
		return -1;
	}
	return 0; /* the disk of the tests' machine need not suffer */
}

/* ---- the spy ---- */

struct spy {
	struct sink sink;
	struct sink *real;
	const char *fails;     /* the operation that fails */
	const char *fails_for; /* only with this name; NULL: with any */
	const char *vanishes;  /* a letter that another program removes before it is placed */
	_Atomic(sem_t *) wait_in_flush;
	/* hand: verdicts to come, one character each: d l a b */
	const char *verdicts;
	sink_done *done;
	void *ctx;
	struct sink_ops ops;
};

static struct spy spy, spy2;

static bool fails(struct spy *s, const char *what, const char *name, struct err *e)
{
	if (!s->fails || strcmp(s->fails, what) != 0 ||
	    (s->fails_for && name && strcmp(s->fails_for, name) != 0))
		return false;
	err_set(e, ERR_MAIL, "told to fail in %s", what);
	return true;
}

static struct spy *spying(const struct sink *sink)
{
	return sink == &spy.sink ? &spy : &spy2;
}

/* What is durable of the message whose letter has this name; the key is the name. */
static enum state_is durable(const char *name)
{
	return look_up(witness, box.id, 7, name);
}

static bool spy_open(struct sink *sink, struct err *e)
{
	note("open ");
	return !fails(spying(sink), "open", NULL, e) &&
	       spying(sink)->real->ops->open(spying(sink)->real, e);
}

static int spy_directory(const struct sink *sink)
{
	return spying(sink)->real->ops->directory(spying(sink)->real);
}

static const char *spy_path(const struct sink *sink)
{
	return spying(sink)->real->ops->path(spying(sink)->real);
}

static const char *spy_identity(const struct sink *sink)
{
	return spying(sink)->real->ops->identity(spying(sink)->real);
}

static bool spy_flush(struct sink *sink, struct err *e)
{
	sem_t *wait = spying(sink)->wait_in_flush;

	note("flush ");
	if (wait)
		sem_wait(wait);
	return !fails(spying(sink), "flush", NULL, e) &&
	       spying(sink)->real->ops->flush(spying(sink)->real, e);
}

/* "place:L1=1": what is durable when it is put in place. */
static bool spy_place(struct sink *sink, const char *name, struct err *e)
{
	note("place:%s=%d ", name, (int)durable(name));
	if (fails(spying(sink), "place", name, e))
		return false;
	if (spying(sink)->vanishes && !strcmp(spying(sink)->vanishes, name))
		unlinkat(spy_directory(sink), name, 0);
	return sink->ops->hand || spying(sink)->real->ops->place(spying(sink)->real, name, e);
}

static bool spy_settle(struct sink *sink, struct err *e)
{
	note("settle ");
	return !fails(spying(sink), "settle", NULL, e) &&
	       spying(sink)->real->ops->settle(spying(sink)->real, e);
}

static bool spy_find(struct sink *sink, const char *name, enum sink_where *where_r, struct err *e)
{
	return !fails(spying(sink), "find", name, e) &&
	       spying(sink)->real->ops->find(spying(sink)->real, name, where_r, e);
}

static bool spy_strays(struct sink *sink, const char *mark,
		       void (*stray)(void *ctx, const char *name), void *ctx, struct err *e)
{
	return !fails(spying(sink), "strays", NULL, e) &&
	       spying(sink)->real->ops->strays(spying(sink)->real, mark, stray, ctx, e);
}

static bool spy_discard(struct sink *sink, const char *name, struct err *e)
{
	note("discard:%s=%d ", name, (int)durable(name));
	return !fails(spying(sink), "discard", name, e) &&
	       spying(sink)->real->ops->discard(spying(sink)->real, name, e);
}

static bool spy_quarantine(struct sink *sink, const char *name, struct err *e)
{
	note("quarantine:%s=%d ", name, (int)durable(name));
	return !fails(spying(sink), "quarantine", name, e) &&
	       spying(sink)->real->ops->place(spying(sink)->real, name, e) &&
	       spying(sink)->real->ops->settle(spying(sink)->real, e);
}

static bool spy_hold(struct sink *sink, const char *name, struct err *e)
{
	note("hold:%s=%d ", name, (int)durable(name));
	return !fails(spying(sink), "hold", name, e);
}

static void spy_verdict(void *ctx)
{
	struct spy *s = ctx;
	char verdict = *s->verdicts ? *s->verdicts++ : 'd';
	struct err why = {.kind = ERR_NONE};

	err_set(&why, verdict == 'b' ? ERR_CONFIG : ERR_MESSAGE, "the program said %c", verdict);
	err_server(&why, "stderr", 6);
	s->done(s->ctx,
		verdict == 'd'	 ? SINK_DELIVERED
		: verdict == 'l' ? SINK_LATER
		: verdict == 'a' ? SINK_ATTEMPT
				 : SINK_BROKEN,
		verdict == 'd' ? NULL : &why);
}

__attribute__((unused)) static void spy_hand(struct sink *sink, const struct sink_letter *letter,
					     sink_done *done, void *ctx)
{
	note("hand:%s=%d ", letter->name, (int)durable(letter->name));
	ck_assert_str_eq(letter->uid, letter->name);
	spying(sink)->done = done;
	spying(sink)->ctx = ctx;
	loop_defer(loop, spy_verdict, spying(sink));
}

static void spy_init(struct spy *s, const char *path)
{
	*s = (struct spy){.ops = {.open = spy_open,
				  .directory = spy_directory,
				  .path = spy_path,
				  .identity = spy_identity,
				  .flush = spy_flush,
				  .place = spy_place,
				  .settle = spy_settle,
				  .find = spy_find,
				  .strays = spy_strays,
				  .discard = spy_discard,
				  .quarantine = spy_quarantine,
				  .hold = spy_hold},
			  .verdicts = ""};
	s->sink.ops = &s->ops;
	s->real = maildir_new(
	    &(struct maildir_params){.path = path, .identity = "", .fresh = "0123456789abcdef"});
	ck_good(s->real->ops->open(s->real, &err));
}

/* ---- the fixture ---- */

static void commit_setup(void)
{
	root_make();
	loop = loop_new(&err);
	ck_good(loop != NULL);
	state = state_open(at("state"), &err);
	ck_good(state != NULL);
	ck_good(
	    state_mailbox(state, &(struct state_key){"imap", "lee", "host", "INBOX"}, &box, &err));
	witness = state_open(at("state"), &err);
	ck_good(witness != NULL);
	committer = committer_new(loop, state, &err);
	ck_good(committer != NULL);
	spy_init(&spy, at("Mail"));
	spy_init(&spy2, at("Other"));
	fail_fsync = fail_syncfs = false;
	*journal = '\0';
}

static void commit_teardown(void)
{
	committer_free(&committer);
	spy.real->ops->free(spy.real);
	spy2.real->ops->free(spy2.real);
	state_free(&witness);
	state_free(&state);
	loop_free(&loop);
	root_remove();
}

__attribute__((unused)) static struct batch_params params_of(struct spy *s)
{
	return (struct batch_params){.committer = committer,
				     .sink = s ? &s->sink : NULL,
				     .account = box.account,
				     .mailbox = box.id,
				     .validity = 7};
}

__attribute__((unused)) static void limit(rlim_t octets)
{
	struct rlimit now;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &now);
	now.rlim_cur = octets;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &now), 0);
}

/* From here on the state cannot be written, until limit(RLIM_INFINITY). */
__attribute__((unused)) static void fill_the_disk(void)
{
	struct stat st;

	ck_assert_int_eq(stat(at("state/state.db-wal"), &st), 0);
	limit((rlim_t)st.st_size);
}

#endif
