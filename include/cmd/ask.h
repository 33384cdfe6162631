/*
 * ask: asks the daemon that holds the state, through its socket; see daemon/control.h.
 */
#ifndef MAILHAUL_CMD_ASK_H
#define MAILHAUL_CMD_ASK_H

#include "cmd/cmd.h"

#include <jansson.h>

struct ask;

/* NULL with ERR_NONE: no daemon listens for this configuration. */
struct ask *ask_new(const struct config *config, struct err *err);
void ask_free(struct ask **ask);

/* Tells a request, which is freed; then ask_next() gives the answers. */
bool ask_tell(struct ask *ask, json_t *request, struct err *err);

/* The next answer, to be freed with json_decref(), and its event, which is part of it. Answers that
 * only show that the daemon lives are left out. NULL: it failed, or the daemon says why it does not
 * serve the request, or it is gone (ERR_TEMPORARY). */
json_t *ask_next(struct ask *ask, const char **event_r, struct err *err);

#endif
