/*
 * imap: the IMAP engine (RFC 3501, 9051; RFC 2595 STARTTLS, 4959 SASL-IR, 2971 ID, 4315 UIDPLUS,
 * 5530 response codes). Its verbs and events are those of proto/source.h.
 */
#ifndef MAILHAUL_PROTO_IMAP_H
#define MAILHAUL_PROTO_IMAP_H

#include "proto/source.h"

/* Never fails. params is copied; params->in is borrowed. Free with source_free(). */
struct source *imap_new(const struct source_params *params);

#endif
