/*
 * drive: takes a protocol engine through a session that an input describes, as the program's own
 * session would, and judges all that it does.
 *
 * The first octet of an input says how it goes, by bits: 1 encrypted from the start, 2 the trace is
 * kept, 4 8 16 the pieces in which octets come (fuzz_drip), 32 ID has a name to tell, 64 an octet
 * more comes in clear before the handshake. The rest is what the server sends, and between it what
 * the session asks for: DRIVE_MARK and a letter, then what it needs up to the end of the line, in
 * words with a tab between:
 *
 *     a MECHANISM [INITIAL]   l USER [PASSWORD]   auth, login; but only when it is time for one
 *     r BASE64    c           the answer to the next challenge for which there is none; cancel
 *     m ITEM...   t NAME...   mailboxes, status
 *     s MAILBOX   w MAILBOX   select; for writing
 *     n FROM  z FROM  i FROM  list; with sizes, with ids
 *     f SET   h SET   p SET   d SET
 *                             fetch, headers, present, remove; a set is like 1,2,5:9
 *     y           q           idle; finish
 *     e                       no more will come
 *
 * A letter T stands within what the server sends for the next tag (a1, a2 ...), so that commands
 * can come and go in an input without all answers being wrong; DRIVE_MARK twice is that octet.
 *
 * What must hold: before TLS nothing is emitted but what the wall allows, and no engine goes on
 * when octets in clear stand before the handshake; commands are well formed, numbered and short,
 * and all of them together are bounded; after FAILED nothing more happens; verbs are DONE in their
 * order, and what was asked for in a set was answered once each; bodies begin, come and end; what
 * is listed has a number and ascends; no secret stands in the trace, nor unmarked in what is sent;
 * the engine never ends in ERR_INTERNAL; and the pieces make no difference, in POP3 where all went
 * well.
 */
#ifndef MAILHAUL_FUZZ_DRIVE_H
#define MAILHAUL_FUZZ_DRIVE_H

#include "proto/source.h"

#include <stdint.h>

enum { DRIVE_MARK = 0xfe };

/* imap: it is the IMAP engine. */
void drive(struct source *(*make)(const struct source_params *), bool imap, const uint8_t *data,
	   size_t size);

#endif
