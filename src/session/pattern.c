/*
 * pattern: which mailboxes an account's list of items means.
 */
#include "session/pattern.h"

#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

bool pattern_takes_away(const char *item)
{
	return *item == '!';
}

static const char *plain(const char *item)
{
	return item + pattern_takes_away(item);
}

bool pattern_is_attribute(const char *item)
{
	return *plain(item) == '\\';
}

bool pattern_is_wild(const char *item)
{
	return !pattern_is_attribute(item) && strpbrk(item, "*%");
}

/* reached[i]: what of the pattern was looked at matches the first i octets of the name. So the time
 * is bounded by the product of the lengths, whatever stands in them. */
bool pattern_match(const char *pattern, const char *name, char delimiter)
{
	size_t len = strlen(name);
	bool *reached = mem_new(len + 1, sizeof *reached);
	bool whole;

	reached[0] = true;
	for (; *pattern; pattern++) {
		if (*pattern == '*' || *pattern == '%') {
			for (size_t i = 0; i < len; i++)
				reached[i + 1] |= reached[i] && (*pattern == '*' || !delimiter ||
								 name[i] != delimiter);
			continue;
		}
		for (size_t i = len; i > 0; i--)
			reached[i] = reached[i - 1] && name[i - 1] == *pattern;
		reached[0] = false;
	}
	whole = reached[len];
	free(reached);
	return whole;
}

/* XLIST, from which RFC 6154 came, has other words for some. */
static bool has_attribute(const char *attributes, const char *wanted)
{
	static const char *const others[][2] = {
	    {"\\All", "\\AllMail"}, {"\\Flagged", "\\Starred"}, {"\\Junk", "\\Spam"}};

	for (const char *at = attributes; *at;) {
		size_t len = strcspn(at, " ");

		if (str_is(at, len, wanted))
			return true;
		for (size_t i = 0; i < sizeof others / sizeof *others; i++)
			if (str_same(wanted, others[i][0]) && str_is(at, len, others[i][1]))
				return true;
		at += len;
		at += *at == ' ';
	}
	return false;
}

static bool is_virtual(const struct pattern_mailbox *mailbox)
{
	return has_attribute(mailbox->attributes, "\\All") ||
	       has_attribute(mailbox->attributes, "\\Important") ||
	       has_attribute(mailbox->attributes, "\\Flagged");
}

static bool item_matches(const char *item, const struct pattern_mailbox *mailbox, bool virtual_too)
{
	bool away = pattern_takes_away(item);

	item = plain(item);
	if (pattern_is_attribute(item))
		return has_attribute(mailbox->attributes, item);
	if (!pattern_is_wild(item))
		return !strcmp(item, mailbox->name) || !strcmp(item, mailbox->served) ||
		       !strcmp(item, mailbox->wire);
	if (!away && !virtual_too && is_virtual(mailbox))
		return false;
	return pattern_match(item, mailbox->name, '/') ||
	       (strcmp(mailbox->name, mailbox->served) != 0 &&
		pattern_match(item, mailbox->served, mailbox->delimiter));
}

int pattern_choose(const char *const *items, size_t count, const struct pattern_mailbox *mailbox,
		   bool virtual_too, bool *hits)
{
	int first = PATTERN_NONE;
	bool in = false;

	for (size_t i = 0; i < count; i++) {
		if (!item_matches(items[i], mailbox, virtual_too))
			continue;
		hits[i] = true;
		in = !pattern_takes_away(items[i]);
		if (in && first == PATTERN_NONE)
			first = (int)i;
	}
	return in ? first : PATTERN_NONE;
}
