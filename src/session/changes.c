/*
 * changes: changes of rows and of a mailbox that a batch makes durable.
 */
#include "session/changes.h"

#include "util/crash.h"
#include "util/mem.h"

#include <stdlib.h>

void changes_copy_row(struct state_row *to, const struct state_row *from)
{
	*to = *from;
	to->key = mem_copy(from->key ? from->key : "");
	to->name = mem_copy(from->name ? from->name : "");
	to->mark = mem_copy(from->mark ? from->mark : "");
}

void changes_free_row(struct state_row *row)
{
	/* NOLINTBEGIN(performance-no-int-to-ptr): held as const, and ours to free. */
	free((char *)(uintptr_t)row->key);
	free((char *)(uintptr_t)row->name);
	free((char *)(uintptr_t)row->mark);
	/* NOLINTEND(performance-no-int-to-ptr) */
}

void changes_add(struct changes *changes, const struct change *change)
{
	struct change *added;

	if (changes->count == changes->room) {
		changes->room = changes->room ? changes->room * 2 : 16;
		changes->all = mem_resize(changes->all, changes->room, sizeof *changes->all);
	}
	added = &changes->all[changes->count++];
	*added = *change;
	changes_copy_row(&added->row, &change->row);
}

void changes_free(struct changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		changes_free_row(&changes->all[i].row);
	free(changes->all);
	*changes = (struct changes){.all = NULL};
}

/* What was adopted from another mailbox is begun there as if for the first time, should the account
 * ever go back to it. */
static bool adopt(struct state *state, int64_t mailbox, const struct change *change,
		  struct err *err)
{
	crash_point("change-adopt");
	return state_adopt(state, change->from, mailbox, change->validity, err) &&
	       (change->from == mailbox || (state_put_mailbox(state, change->from, 0, 1, err) &&
					    state_put_checked(state, change->from, 0, 0, err)));
}

static bool record(const struct change *change, struct state *state, int64_t mailbox,
		   struct err *err)
{
	const struct state_row *row = &change->row;

	switch (change->kind) {
	case CHANGE_PUT:
		return state_put(state, mailbox, change->validity, row, err);
	case CHANGE_MARK:
		return state_mark(state, mailbox, change->validity, row->key, row->is, row->changed,
				  err);
	case CHANGE_FORGET:
		return state_forget(state, mailbox, change->validity, row->key, err);
	case CHANGE_GONE:
		return state_gone(state, mailbox, change->validity, row->key, row->gone, err);
	case CHANGE_FORGET_GONE:
		return state_forget_gone(state, mailbox, change->at, err);
	case CHANGE_CHECKED:
		return state_put_checked(state, mailbox, change->begun, change->at, err);
	case CHANGE_ADOPT:
		return adopt(state, mailbox, change, err);
	}
	return true;
}

bool changes_record(const struct changes *changes, struct state *state, int64_t mailbox,
		    struct err *err)
{
	for (size_t i = 0; i < changes->count; i++)
		if (!record(&changes->all[i], state, mailbox, err))
			return false;
	return true;
}
