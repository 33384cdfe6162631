/*
 * intake: from the octets of one message to an ended letter: its file's name, the lines we add, its
 * X-Mailhaul-Id, and the mark that recognises it.
 */
#ifndef MAILHAUL_SESSION_INTAKE_H
#define MAILHAUL_SESSION_INTAKE_H

#include "deliver/sink.h"
#include "io/digest.h"
#include "mail/letter.h"
#include "state/state.h"

struct intake;

/* All is borrowed and outlives the intake; the sink is used from intake_begin() on. */
struct intake_params {
	struct sink *sink;
	const struct state *state;
	const struct state_key *key;
	int64_t mailbox;
};

struct intake *intake_new(const struct intake_params *params);
void intake_free(struct intake **intake);

/* What the name of each letter of this mailbox carries, in this state and no other. */
const char *intake_name_mark(const struct intake *intake);

/* The Received: field up to its semicolon (copied); once, before the first message. */
void intake_received(struct intake *intake, const char *received);

/* A message begins; one that was not ended is dropped. ERR_MAIL on failure. */
bool intake_begin(struct intake *intake, struct err *err);

/* Some of its octets; ignored if none has begun. On failure (ERR_MAIL) the message is dropped. */
bool intake_octets(struct intake *intake, const void *bytes, size_t len, struct err *err);

/* Forgets the message that has begun, if there is one. */
void intake_drop(struct intake *intake);

/* False if no message has begun. */
bool intake_has_message(const struct intake *intake);

/* The digest of the Message-ID, Date and From that came so far; "" if none did. */
void intake_recognition(struct intake *intake, char digest_r[DIGEST_TEXT + 1]);

/* Ends the letter: fills in the X-Mailhaul-Id, which is the same each time the message with this
 * validity and key is delivered, and sets the file's time (0: leaves it). The letter is the
 * caller's. NULL on failure (ERR_MAIL): the message is dropped. */
struct letter *intake_end(struct intake *intake, uint32_t validity, const char *key, time_t date,
			  struct err *err);

#endif
