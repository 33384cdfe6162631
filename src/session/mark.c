/*
 * mark: what recognises a message under another numbering.
 */
#include "session/mark.h"

#include <stdio.h>
#include <string.h>

void mark_digest(const struct header_facts *facts, char digest_r[DIGEST_TEXT + 1])
{
	enum { PARTS = 3 };
	const struct buf *parts[PARTS] = {&facts->message_id, &facts->date, &facts->from};
	struct buf text = {0};

	for (size_t i = 0; i < PARTS; i++) {
		buf_append(&text, parts[i]->data, parts[i]->len);
		buf_append(&text, "", 1);
	}
	digest_r[0] = '\0';
	if (text.len > PARTS)
		digest_text(text.data, text.len, digest_r);
	buf_free(&text);
}

void mark_join(const char *id, const char *digest, char mark_r[MARK_TEXT + 1])
{
	if (strlen(id) > MARK_ID)
		id = "";
	snprintf(mark_r, MARK_TEXT + 1, "%s%s%.*s", id, *id && *digest ? " " : "", DIGEST_TEXT,
		 digest);
}

size_t mark_id(const char *mark)
{
	return *mark == 'E' || *mark == 'G' ? strcspn(mark, " ") : 0;
}

const char *mark_digest_of(const char *mark)
{
	size_t id = mark_id(mark);

	return id && mark[id] ? mark + id + 1 : mark + id;
}
