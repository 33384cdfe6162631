/*
 * status_report: what "status" prints: for people a table, or one JSON object for each account.
 */
#ifndef MAILHAUL_CMD_STATUS_REPORT_H
#define MAILHAUL_CMD_STATUS_REPORT_H

#include "cmd/cmd.h"

#include <jansson.h>

/* Rows in each state. */
struct status_mailbox {
	char *name;
	uint64_t counts[STATE_IS_END];
};

struct status_account {
	const struct config_account *account;
	struct state_visit visit; /* the last one, as the state has it */
	struct status_mailbox *mailboxes;
	size_t count;
	uint64_t sums[STATE_IS_END];
	const json_t *now; /* as the daemon tells it, see daemon/control.h; NULL: it does not */
};

/* One account, as a JSON object. */
json_t *status_report_json(const struct status_account *account, int64_t now);

/* Appends the table of all accounts, and below it what is wrong with which. daemon: there is one.
 * mailboxes: each has a row of its own, and what encrypts the connection is told in full. width:
 * cells that a row may have, SIZE_MAX where no terminal cuts it. */
void status_report_text(struct buf *out, const struct status_account *accounts, size_t count,
			bool daemon, bool mailboxes, size_t width);

#endif
