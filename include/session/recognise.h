/*
 * recognise: tells messages that were delivered before from new ones, after the server gave its
 * messages new UIDs (a changed UIDVALIDITY, RFC 3501 section 2.3.1.1).
 *
 * What is known under an older validity is looked up by the mark of the message, a digest of its
 * Message-ID, Date and From. Each known message recognises one: of two copies of which one is
 * known, the other is new.
 */
#ifndef MAILHAUL_SESSION_RECOGNISE_H
#define MAILHAUL_SESSION_RECOGNISE_H

#include "state/state.h"

struct recognise;

/* Loads what is known of the mailbox under other validities than this one. NULL with ERR_NONE:
 * there is nothing of the kind, which costs next to nothing to find out; NULL with ERR_STATE: it
 * failed. */
struct recognise *recognise_new(struct state *state, int64_t mailbox, uint32_t validity,
				struct err *err);
void recognise_free(struct recognise **recognise);

/* The row of a message with this mark that recognised none before, and its validity; NULL if there
 * is none. Owned by recognise. An empty mark recognises nothing. */
const struct state_row *recognise_take(struct recognise *recognise, const char *mark,
				       uint32_t *validity_r);

#endif
