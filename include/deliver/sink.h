/*
 * sink: the face of a delivery. A new delivery is one file that fills struct sink_ops.
 *
 * A letter is written into the sink's directory, flushed together with others, recorded as taken,
 * put in place, and recorded as delivered. A sink that hands letters over (an MDA) keeps them in
 * the spool and is asked to hand each to its program after that. All operations but hand() block
 * and belong to the committer's thread; hand() belongs to the loop. Failures are ERR_MAIL unless
 * said.
 */
#ifndef MAILHAUL_DELIVER_SINK_H
#define MAILHAUL_DELIVER_SINK_H

#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

enum sink_where {
	SINK_TMP,    /* written, not in place yet */
	SINK_PLACED, /* in place: in new/ or cur/ under any flags */
	SINK_NOWHERE
};

enum sink_verdict {
	SINK_DELIVERED,
	SINK_LATER,   /* for now not: try again after a growing wait */
	SINK_ATTEMPT, /* refused: counts against max_attempts */
	SINK_BROKEN   /* the set-up cannot work: stop the account (ERR_CONFIG) */
};

struct sink;

struct sink_letter {
	const char *name; /* in the spool */
	const char *uid;  /* the key of the message, for %{uid} */
};

typedef void sink_done(void *ctx, enum sink_verdict verdict, const struct err *err);

struct sink_ops {
	/* Makes or checks the directories, and opens them. Called once, before anything else; again
	 * is allowed and does nothing. */
	bool (*open)(struct sink *sink, struct err *err);

	/* Where letters are written; valid after open. */
	int (*directory)(const struct sink *sink);

	/* The Maildir or the spool as it was named, for messages; with an identity, the state
	 * knows it by this path. */
	const char *(*path)(const struct sink *sink);

	/* After open: what tells this place from another under the same path, for the state to
	 * remember; NULL where there is no such thing. */
	const char *(*identity)(const struct sink *sink);

	/* Flushes the directory in which letters were written and, once, parents that open() made.
	 */
	bool (*flush)(struct sink *sink, struct err *err);

	/* Puts a letter in place; then settle() makes all that were placed durable. */
	bool (*place)(struct sink *sink, const char *name, struct err *err);
	bool (*settle)(struct sink *sink, struct err *err);

	bool (*find)(struct sink *sink, const char *name, enum sink_where *where_r,
		     struct err *err);

	/* Calls stray() for every letter not in place whose name carries the mark. */
	bool (*strays)(struct sink *sink, const char *mark,
		       void (*stray)(void *ctx, const char *name), void *ctx, struct err *err);

	/* Removes a letter that is not in place. No letter there is no failure. */
	bool (*discard)(struct sink *sink, const char *name, struct err *err);

	/* Puts a letter that cannot be delivered into the quarantine, durably; NULL where letters
	 * are never refused. A letter that is already there is no failure. */
	bool (*quarantine)(struct sink *sink, const char *name, struct err *err);

	/* Recovery found a letter that a program is to have: from now on it stands there alone, and
	 * durably; a run that died may have left it half moved. NULL where hand is. */
	bool (*hold)(struct sink *sink, const char *name, struct err *err);

	/* Runs the program on a letter; done is called once, from the loop, not from within hand().
	 * NULL where place() is the delivery. One at a time. */
	void (*hand)(struct sink *sink, const struct sink_letter *letter, sink_done *done,
		     void *ctx);

	/* Ends what hand() runs: its done comes soon, with SINK_LATER. Nothing where nothing runs.
	 * NULL where hand is. */
	void (*stop)(struct sink *sink);

	/* Stops what runs (no done comes after it) and frees. */
	void (*free)(struct sink *sink);
};

struct sink {
	const struct sink_ops *ops;
};

#endif
