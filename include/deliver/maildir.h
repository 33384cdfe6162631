/*
 * maildir: delivery into a Maildir: written in tmp/, renamed to new/.
 *
 * At its first use the Maildir gets a small file "mailhaul-id" with a random identity. The state
 * remembers it; a Maildir that is known and missing, or lacks its identity (an unmounted disk), is
 * an error and is never created anew.
 */
#ifndef MAILHAUL_DELIVER_MAILDIR_H
#define MAILHAUL_DELIVER_MAILDIR_H

#include "deliver/sink.h"

enum { MAILDIR_IDENTITY = 16 /* letters and digits of an identity, at most */ };

struct maildir_params {
	const char *path;     /* copied */
	const char *identity; /* what the state remembers; "" if it is new to it; copied */
	const char *fresh;    /* the identity to write where the Maildir has none; copied */
};

struct sink *maildir_new(const struct maildir_params *params);

#endif
