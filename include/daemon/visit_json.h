/*
 * visit_json: what came of a visit as a JSON object, and the way back: poll prints it, and a daemon
 * tells it to the poll that asked.
 *
 * Built, a key that is not known is null; read, one that is missing or of another type counts as
 * not known.
 */
#ifndef MAILHAUL_DAEMON_VISIT_JSON_H
#define MAILHAUL_DAEMON_VISIT_JSON_H

#include "config/config.h"
#include "session/session.h"

#include <jansson.h>

enum { VISIT_JSON_VERSION = 1 };

/* The object of any event about a visit: account, outcome, encryption. */
json_t *visit_json_begun(const char *event, const struct config_account *account,
			 const struct session_report *report);

/* The same and all that a poll counts; the event is "visit". */
json_t *visit_json(const struct config_account *account, const struct session_report *report);

/* left, put_off, skipped: what stays on the server. */
void visit_json_left(json_t *object, const struct collect_counts *counts);

/* Where the account's mail goes, in the user's words. */
const char *visit_json_destination(const struct config_account *account);

/* What visit_json() made: err, busy, connected, security and counts are filled in, the rest is as
 * if nothing was known. Strings are the object's, or static. */
void visit_json_read(const json_t *object, struct session_report *report_r);

/* What is needed of the state's row to judge whether the outcome is to be told: see tell.h. */
json_t *visit_json_row(const struct state_visit *visit);
void visit_json_read_row(const json_t *object, struct state_visit *visit_r);

/* A text, made visible where it is not UTF-8; null if it is empty. */
json_t *visit_json_text(const char *text);

/* A time in UTC (RFC 3339); null for 0. */
json_t *visit_json_time(int64_t at);

#endif
