/*
 * judge: what an engine emits, looked at as a server would: see drive.h for what must hold.
 */
#ifndef MAILHAUL_FUZZ_JUDGE_H
#define MAILHAUL_FUZZ_JUDGE_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct judge {
	bool imap;
	bool encrypted;	  /* the handshake is done */
	unsigned answers; /* lines without a command that the engine may send */
	size_t literal;	  /* octets of one still to come */
	bool within;	  /* a command goes on behind a literal */
	bool fresh;	  /* that was just announced */
	bool idles;	  /* IDLE was sent, and not ended */
	unsigned tags;	  /* of the commands seen */
	size_t octets;	  /* all of them */
	uint64_t sum;
};

/* Takes and judges what was emitted. */
void judge_out(struct judge *judge, struct buf *out);

#endif
