/*
 * mda: delivery by a program: exim, procmail, maildrop, dovecot-lda ...
 *
 * The program gets the complete letter on its stdin, its argv as it stands in the configuration
 * (no shell), with %{sender} %{account} %{mailbox} %{user} %{uid} filled in as parts of single
 * arguments; %% is a percent sign. Its exit code becomes a verdict by the table of mailhaul(1).
 */
#ifndef MAILHAUL_DELIVER_MDA_H
#define MAILHAUL_DELIVER_MDA_H

#include "deliver/sink.h"
#include "io/loop.h"

struct mda_params {
	struct loop *loop;	 /* borrowed */
	const char *state_dir;	 /* copied, as are all strings */
	const char *const *argv; /* NULL at the end */
	const char *account;
	const char *mailbox;
	const char *user;
	uint64_t deadline_ms;
	bool may_skip_input; /* exit 0 without reading everything is a delivery */
};

/* place() and settle() of this sink do nothing: a letter stays in the spool until hand() said
 * SINK_DELIVERED and discard() removed it. */
struct sink *mda_new(const struct mda_params *params);

#endif
