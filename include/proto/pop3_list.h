/*
 * pop3_list: what a POP3 mailbox holds, by UIDL and LIST; of proto/pop3 alone.
 *
 * Memory is taken for what came, not for what was announced. Filled by add, then sealed; only then
 * sizes are noted and messages looked for.
 */
#ifndef MAILHAUL_PROTO_POP3_LIST_H
#define MAILHAUL_PROTO_POP3_LIST_H

#include "proto/source.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	POP3_ID_MAX =
	    SOURCE_KEY_MAX - 9, /* octets of a unique-id: " 10000000" may stand behind it */
	POP3_IDS_MAX = 256 * 1024 * 1024 /* octets of all unique-ids together */
};

struct pop3_message {
	uint32_t number;
	uint32_t nth;	 /* which one of those with the same unique-id, from 1 */
	uint64_t octets; /* 0: not known */
	size_t id;	 /* where its unique-id, a string, stands in ids */
};

/* A zeroed one is empty. The fields are for reading only. */
struct pop3_list {
	struct pop3_message *messages; /* ascending by number, once sealed */
	size_t count;
	size_t room;
	struct buf ids;
};

/* Takes one line of UIDL. Says what is wrong with the unique-id; NULL if nothing is. */
const char *pop3_list_add(struct pop3_list *list, uint32_t number, const unsigned char *id,
			  size_t len);

/* Sorts, and counts equal unique-ids. False if a number came twice. */
bool pop3_list_seal(struct pop3_list *list);

/* NULL if no such number was listed. */
struct pop3_message *pop3_list_find(const struct pop3_list *list, uint32_t number);

/* The key of a message (source.h); made in key_r, which it replaces. */
const char *pop3_list_key(const struct pop3_list *list, const struct pop3_message *message,
			  struct buf *key_r);

void pop3_list_forget(struct pop3_list *list);

#endif
