/*
 * plan: what to fetch and what to remove in one visit of one mailbox, and how far it got. Pure.
 *
 * Entries stand in the order of their numbers, so that looking one up is a binary search and the
 * sets come out sorted.
 *
 * Equal UIDLs are legal for identical copies (RFC 1939 section 7); the source tells them apart by
 * " n" behind the key, counted in each session anew. Removing some of them would rename the others
 * in the next session, so they are removed only when all of them are delivered.
 */
#include "session/plan.h"

#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum entry_is {
	ENTRY_WANTED,	 /* to be fetched, no outcome yet */
	ENTRY_COMING,	 /* not durable yet */
	ENTRY_LEFT,	 /* failed; next time */
	ENTRY_SAFE,	 /* known, taken, or gone: nothing to do */
	ENTRY_DELIVERED, /* may be removed */
	ENTRY_REMOVING	 /* was given out for removal */
};

struct entry {
	uint32_t number;
	enum entry_is is;
	bool due;    /* once it is delivered: it may go */
	bool beside; /* the listing did not cover it */
	uint64_t octets;
	char *key;
	char *id;      /* NULL if it has none */
	char *removed; /* the digest of the message that had this key and was removed; else NULL */
};

struct plan {
	struct plan_params params;
	struct entry *entries;
	size_t count, room;
	uint32_t *numbers; /* what a set points to */
	bool complete;	   /* the listing */
	bool held;	   /* "next" stays */
	bool copies;	   /* some UIDL was listed more than once */
	size_t put_off;
};

struct plan *plan_new(const struct plan_params *params)
{
	struct plan *plan = mem_new(1, sizeof *plan);

	plan->params = *params;
	return plan;
}

void plan_free(struct plan **plan)
{
	if (!*plan)
		return;
	for (size_t i = 0; i < (*plan)->count; i++) {
		free((*plan)->entries[i].key);
		free((*plan)->entries[i].id);
		free((*plan)->entries[i].removed);
	}
	free((*plan)->entries);
	free((*plan)->numbers);
	free(*plan);
	*plan = NULL;
}

/* The index of the first entry whose number is not lower. */
static size_t position(const struct plan *plan, uint32_t number)
{
	size_t low = 0;
	size_t high = plan->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (plan->entries[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct entry *find(const struct plan *plan, uint32_t number)
{
	size_t at = position(plan, number);

	return at < plan->count && plan->entries[at].number == number ? &plan->entries[at] : NULL;
}

static struct entry *insert(struct plan *plan, size_t at, uint32_t number, const char *key,
			    enum entry_is is)
{
	if (plan->count == plan->room) {
		plan->room = plan->room ? plan->room * 2 : 64;
		plan->entries = mem_resize(plan->entries, plan->room, sizeof *plan->entries);
	}
	memmove(plan->entries + at + 1, plan->entries + at,
		(plan->count - at) * sizeof *plan->entries);
	plan->entries[at] = (struct entry){.number = number, .is = is, .key = mem_copy(key)};
	plan->count++;
	return &plan->entries[at];
}

void plan_listed(struct plan *plan, uint32_t number, const char *key, uint64_t octets,
		 const char *id)
{
	struct entry *entry;

	if (plan->count && number <= plan->entries[plan->count - 1].number)
		return;
	if (strchr(key, ' '))
		plan->copies = true;
	entry = insert(plan, plan->count, number, key, ENTRY_WANTED);
	entry->octets = octets;
	entry->id = *id ? mem_copy(id) : NULL;
}

size_t plan_count(const struct plan *plan)
{
	return plan->count;
}

struct plan_message plan_at(const struct plan *plan, size_t index)
{
	const struct entry *entry = &plan->entries[index];

	return (struct plan_message){.number = entry->number,
				     .key = entry->key,
				     .id = entry->id ? entry->id : "",
				     .octets = entry->octets,
				     .is_new = entry->is == ENTRY_WANTED};
}

static void know(struct plan *plan, struct entry *entry, const struct state_row *row)
{
	entry->is = row->is == STATE_DELIVERED ? ENTRY_DELIVERED : ENTRY_SAFE;
	entry->due = row->changed <= plan->params.removable;
}

void plan_known(struct plan *plan, size_t index, const struct state_row *row)
{
	if (row->is != STATE_REMOVED || !plan->params.keys_return)
		know(plan, &plan->entries[index], row);
}

void plan_recognised(struct plan *plan, uint32_t number, const struct state_row *row)
{
	struct entry *entry = find(plan, number);

	if (entry)
		know(plan, entry, row);
}

void plan_returned(struct plan *plan, size_t index, const char *digest)
{
	struct entry *entry = &plan->entries[index];

	if (plan->params.keys_return && *digest && !entry->removed)
		entry->removed = mem_copy(digest);
}

bool plan_is_returned(const struct plan *plan, uint32_t number, const char *digest)
{
	const struct entry *entry = find(plan, number);

	return entry && entry->removed && !strcmp(entry->removed, digest);
}

void plan_listing_done(struct plan *plan)
{
	plan->complete = true;
}

void plan_hold_next(struct plan *plan)
{
	plan->held = true;
}

bool plan_is_complete(const struct plan *plan)
{
	return plan->complete;
}

bool plan_is_beside(const struct plan *plan, uint32_t number)
{
	const struct entry *entry = find(plan, number);

	return entry && entry->beside;
}

/* NULL if it was listed. */
static struct entry *add_beside(struct plan *plan, uint32_t number, const char *key,
				enum entry_is is)
{
	size_t at = position(plan, number);
	struct entry *entry;

	if (at < plan->count && plan->entries[at].number == number)
		return NULL;
	entry = insert(plan, at, number, key, is);
	entry->beside = true;
	return entry;
}

void plan_delivered(struct plan *plan, uint32_t number, const char *key)
{
	struct entry *entry = add_beside(plan, number, key, ENTRY_DELIVERED);

	if (entry)
		entry->due = true;
}

void plan_again(struct plan *plan, uint32_t number, const char *key, uint64_t octets)
{
	struct entry *entry = add_beside(plan, number, key, ENTRY_WANTED);

	if (entry)
		entry->octets = octets;
}

struct source_set plan_new_ones(struct plan *plan)
{
	size_t count = 0;

	plan->numbers = mem_resize(plan->numbers, plan->count, sizeof *plan->numbers);
	for (size_t i = 0; i < plan->count; i++)
		if (plan->entries[i].is == ENTRY_WANTED)
			plan->numbers[count++] = plan->entries[i].number;
	return (struct source_set){.numbers = plan->numbers, .count = count};
}

struct source_set plan_fetch(struct plan *plan, size_t most)
{
	size_t count = 0;

	plan->put_off = 0;
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->entries[i].is != ENTRY_WANTED || count++ < most)
			continue;
		plan->entries[i].is = ENTRY_LEFT;
		plan->put_off++;
	}
	return plan_new_ones(plan);
}

size_t plan_put_off(const struct plan *plan)
{
	return plan->put_off;
}

static size_t base_length(const char *key)
{
	return strcspn(key, " ");
}

static int compare_bases(const void *a, const void *b)
{
	const char *left = (*(struct entry *const *)a)->key;
	const char *right = (*(struct entry *const *)b)->key;
	size_t shorter =
	    base_length(left) < base_length(right) ? base_length(left) : base_length(right);
	int order = memcmp(left, right, shorter);

	if (order)
		return order;
	return (base_length(left) > base_length(right)) - (base_length(left) < base_length(right));
}

static bool may_go(const struct entry *entry)
{
	return entry->is == ENTRY_REMOVING || (entry->is == ENTRY_DELIVERED && entry->due);
}

/* Keeps back those copies of one UIDL of which not all may be removed. */
static void hold_copies(struct plan *plan)
{
	struct entry **sorted = mem_new(plan->count, sizeof(struct entry *));

	for (size_t i = 0; i < plan->count; i++)
		sorted[i] = &plan->entries[i];
	qsort(sorted, plan->count, sizeof(struct entry *), compare_bases);
	for (size_t first = 0, end; first < plan->count; first = end) {
		bool all = true;

		for (end = first; end < plan->count && !compare_bases(&sorted[first], &sorted[end]);
		     end++)
			all = all && may_go(sorted[end]);
		for (size_t i = first; !all && i < end; i++)
			if (sorted[i]->is == ENTRY_DELIVERED)
				sorted[i]->is = ENTRY_SAFE;
	}
	free(sorted);
}

struct source_set plan_remove(struct plan *plan)
{
	size_t count = 0;

	if (plan->copies)
		hold_copies(plan);
	plan->numbers = mem_resize(plan->numbers, plan->count, sizeof *plan->numbers);
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->entries[i].is != ENTRY_DELIVERED || !plan->entries[i].due)
			continue;
		plan->entries[i].is = ENTRY_REMOVING;
		plan->numbers[count++] = plan->entries[i].number;
	}
	return (struct source_set){.numbers = plan->numbers, .count = count};
}

void plan_settle(struct plan *plan, uint32_t number, enum plan_outcome outcome)
{
	static const enum entry_is becomes[] = {
	    [PLAN_COMING] = ENTRY_COMING,
	    [PLAN_TAKEN] = ENTRY_SAFE,
	    [PLAN_DELIVERED] = ENTRY_DELIVERED,
	    [PLAN_LEFT] = ENTRY_LEFT,
	};
	struct entry *entry = find(plan, number);

	if (!entry || entry->is == ENTRY_REMOVING)
		return;
	entry->is = becomes[outcome];
	entry->due = plan->params.removable == INT64_MAX;
}

bool plan_wants(const struct plan *plan, uint32_t number)
{
	const struct entry *entry = find(plan, number);

	return entry && entry->is == ENTRY_WANTED;
}

const char *plan_id(const struct plan *plan, uint32_t number)
{
	const struct entry *entry = find(plan, number);

	return entry && entry->id ? entry->id : "";
}

uint32_t plan_next(const struct plan *plan)
{
	uint32_t next = plan->params.next;

	if (!plan->complete || plan->held)
		return next;
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->entries[i].beside)
			continue;
		if (plan->entries[i].is < ENTRY_SAFE)
			return plan->entries[i].number;
		if (plan->entries[i].number >= next && plan->entries[i].number < UINT32_MAX)
			next = plan->entries[i].number + 1;
	}
	return plan->params.end > next ? plan->params.end : next;
}
