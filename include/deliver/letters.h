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

/* Calls each letter in new/ and cur/ with the facts of its header (borrowed for the call) and its
 * file's time. Of a header no more than a megabyte is read. A letter that a mail reader moves
 * meanwhile may come twice, and is not missed. What cannot be read, or is no file, is passed over
 * and counted. Blocks. False with ERR_MAIL if the directories cannot be read. */
bool letters_read(const char *path,
		  void (*each)(void *ctx, const struct header_facts *facts, int64_t date),
		  void *ctx, uint64_t *unreadable_r, struct err *err);

#endif
