/*
 * link: a connection that is encrypted and logged in, between two visits: what one leaves behind
 * and the next begins with.
 */
#include "session/link.h"

#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/veil.h"

#include <stdlib.h>
#include <string.h>

struct link *link_new(struct conn *conn, struct source *source, const char *capabilities,
		      const char *mechanism)
{
	struct link *link = mem_new(1, sizeof *link);

	link->conn = conn;
	link->source = source;
	link->capabilities = mem_copy(capabilities);
	link->mechanism = mem_copy(mechanism);
	return link;
}

void link_free(struct link **link_p)
{
	struct link *link = *link_p;

	*link_p = NULL;
	if (!link)
		return;
	conn_free(&link->conn);
	source_free(&link->source);
	free(link->capabilities);
	free(link->mechanism);
	free(link);
}

bool link_can_listen(const char *capabilities)
{
	size_t len = strlen(capabilities);

	return str_has_word(capabilities, len, "IDLE") ||
	       str_has_word(capabilities, len, "IMAP4rev2");
}

void link_notice(const struct source_event *ev, const char *account)
{
	struct buf fit = {0};

	veil_cut(&fit, ev->text, strlen(ev->text));
	log_notice("%s: the server says: %s", account, buf_string(&fit));
	buf_free(&fit);
}

void link_trace(struct source *source, const char *account)
{
	struct buf *dialogue = source_trace(source);
	struct buf fit = {0};

	for (char *line = buf_string(dialogue), *next; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		veil_cut(&fit, line, strlen(line));
		log_line(LOG_LEVEL_TRACE, "%s: %s", account, buf_string(&fit));
		buf_clear(&fit);
	}
	buf_free(&fit);
	buf_clear(dialogue);
}
