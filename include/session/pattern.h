/*
 * pattern: which mailboxes an account's list of items means. Pure.
 *
 * An item is the name of a mailbox; a pattern, in which "*" stands for anything and "%" for
 * anything within one level; or an attribute of RFC 6154, which begins with "\". With "!" in front
 * it takes away what it matches. Of the items that match a mailbox the last one decides. Names are
 * matched as they are canonical and as the server has them.
 */
#ifndef MAILHAUL_SESSION_PATTERN_H
#define MAILHAUL_SESSION_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

enum { PATTERN_NONE = -1 };

/* The forms of a mailbox's name (source.h). Without a server all three are the canonical one. */
struct pattern_mailbox {
	const char *name;
	const char *served;
	const char *wire;
	const char *attributes; /* with one space between */
	char delimiter;
};

/* What an item is, whether or not it takes away. */
bool pattern_takes_away(const char *item);
bool pattern_is_wild(const char *item);
bool pattern_is_attribute(const char *item);

/* True if the pattern matches all of the name. "%" stops at the delimiter. */
bool pattern_match(const char *pattern, const char *name, char delimiter);

/* The place of the first item that brings the mailbox in; PATTERN_NONE if it is not meant.
 * virtual_too: patterns match \All, \Important and \Flagged, too, which at Gmail only show again
 * what lies elsewhere. hits[] is set to true for every item that matched. */
int pattern_choose(const char *const *items, size_t count, const struct pattern_mailbox *mailbox,
		   bool virtual_too, bool *hits);

#endif
