/*
 * recognise: tells messages that are known already from new ones, after the server gave its
 * messages new numbers (a changed UIDVALIDITY, RFC 3501 section 2.3.1.1; UIDLs that are all new;
 * another host).
 *
 * What is known under another numbering is looked up by the mark of the message (mark.h): by the
 * server's id, else by the digest; size and date only choose among rows with the same digest. Each
 * known message recognises one: of two copies of which one is known, the other is new.
 */
#ifndef MAILHAUL_SESSION_RECOGNISE_H
#define MAILHAUL_SESSION_RECOGNISE_H

#include "state/state.h"

struct recognise;

struct recognise_params {
	struct state *state;
	int64_t mailbox;
	uint32_t validity; /* the present one, whose rows are left out; of the mailbox */

	/* Rows that are about to be adopted (batch_adopt()), and under which validity: those of
	 * another mailbox, but for those that are only taken, or of this one. 0: none. Of this one
	 * those that are not settled take part, too, though they stay where they are. */
	int64_t adopted;
	uint32_t adopted_as;
};

/* NULL with ERR_NONE: there is nothing of the kind, which costs next to nothing to find out; NULL
 * with ERR_STATE: it failed. */
struct recognise *recognise_new(const struct recognise_params *params, struct err *err);
void recognise_free(struct recognise **recognise);

/* The row of the message with this id, or digest, that recognised none before, and its validity;
 * NULL if there is none. Owned by recognise, good until the next call. An empty id or digest
 * recognises nothing; date and octets may be 0: not known. */
const struct state_row *recognise_id(struct recognise *recognise, const char *id,
				     uint32_t *validity_r);
const struct state_row *recognise_digest(struct recognise *recognise, const char *digest,
					 int64_t date, uint64_t octets, uint32_t *validity_r);

/* How many rows with a digest have not recognised any message. */
size_t recognise_left(const struct recognise *recognise);

/* Calls each row that has not recognised any message. */
void recognise_rest(const struct recognise *recognise,
		    void (*each)(void *ctx, uint32_t validity, const struct state_row *row),
		    void *ctx);

#endif
