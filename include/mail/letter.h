/*
 * letter: one message on its way to the disk: a file in a Maildir's tmp/ or in the spool.
 *
 * It begins with the lines we add; CRLF becomes LF; the header is scanned on the way. The message
 * is never whole in memory. Every failure is ERR_MAIL and names the file.
 */
#ifndef MAILHAUL_MAIL_LETTER_H
#define MAILHAUL_MAIL_LETTER_H

#include "mail/header.h"
#include "util/err.h"

#include <stdint.h>
#include <time.h>

enum { LETTER_ID = 32 /* hexadecimal digits in X-Mailhaul-Id */ };

struct letter;

struct letter_params {
	int directory;	      /* descriptor of the directory; borrowed */
	const char *path;     /* its name, for errors; borrowed while the letter lives */
	const char *name;     /* file name; copied */
	const char *received; /* the whole Received: field with its LF, written first */
};

/* Creates the file (0600, must not exist). NULL on failure. */
struct letter *letter_new(const struct letter_params *params, struct err *err);

/* After a failure the letter can only be freed. */
bool letter_write(struct letter *letter, const void *bytes, size_t len, struct err *err);

/* The message is whole: fills in the id (LETTER_ID digits), sets the file's time (0: leaves it) and
 * gives everything to the kernel. Nothing is flushed to the disk yet. */
bool letter_end(struct letter *letter, const char *id, time_t date, struct err *err);

/* The facts of the header, whole after letter_end() and gone after letter_close(). Owned by the
 * letter. */
const struct header_facts *letter_facts(struct letter *letter);

const char *letter_name(const struct letter *letter);

/* Octets of the message as they came (without our lines). */
uint64_t letter_octets(const struct letter *letter);

/* The descriptor, for flushing; -1 after letter_close(), which keeps the file. */
int letter_fd(const struct letter *letter);
bool letter_close(struct letter *letter, struct err *err);

/* Frees; a letter that was not ended is removed from the disk. */
void letter_free(struct letter **letter);

#endif
