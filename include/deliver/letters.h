/*
 * letters: what stands in a Maildir already, read by its headers. Nothing there is changed.
 */
#ifndef MAILHAUL_DELIVER_LETTERS_H
#define MAILHAUL_DELIVER_LETTERS_H

#include "mail/header.h"
#include "util/err.h"

#include <stdint.h>

/* True if the directory has a new/ or a cur/. */
bool letters_is_maildir(const char *path);

struct letters_counts {
	uint64_t refused;    /* for which each() returned false */
	uint64_t unreadable; /* passed over: what cannot be read, or is no file */
};

/* Calls each letter in new/ and cur/ with the facts of its header (borrowed for the call) and its
 * file's time. Of a header no more than a megabyte is read. A letter that a mail reader moves
 * meanwhile may come twice, and is not missed; it counts once. What is counted is added to
 * counts_r. Blocks. False with ERR_MAIL if the directories cannot be read. */
bool letters_read(const char *path,
		  bool (*each)(void *ctx, const struct header_facts *facts, int64_t date),
		  void *ctx, struct letters_counts *counts_r, struct err *err);

#endif
