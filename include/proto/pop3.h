/*
 * pop3: the POP3 engine (RFC 1939; RFC 2449 CAPA, 2595 STLS, 5034 AUTH, 2449 and 3206 response
 * codes). Its verbs and events are those of proto/source.h.
 */
#ifndef MAILHAUL_PROTO_POP3_H
#define MAILHAUL_PROTO_POP3_H

#include "proto/source.h"

/* Never fails. params is copied; params->in is borrowed. Free with source_free(). */
struct source *pop3_new(const struct source_params *params);

#endif
