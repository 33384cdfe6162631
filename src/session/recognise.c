/*
 * recognise: tells messages that are known already from new ones, after the server gave its
 * messages new numbers.
 *
 * Two orders of the same rows, by id and by digest. Within the rows of one digest those that are
 * used up stand in front, so that a million copies of one message cost no more than others.
 */
#include "session/recognise.h"

#include "session/mark.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { TIES_MAX = 100 /* rows of one digest among which date and size choose */ };

struct known {
	struct state_row row;
	const char *digest;
	size_t id; /* length, at the beginning of the mark */
	uint32_t validity;
	bool taken;
	size_t used; /* in by_digest, at the first row of a digest: how many are taken */
};

struct recognise {
	struct recognise_params params;
	struct known *all;
	size_t count, room;
	struct known **by_id, **by_digest;
	size_t ids, digests;
	size_t left;
};

static bool is_settled(enum state_is is)
{
	return is != STATE_TAKEN && is != STATE_HANDED && is != STATE_WAITING;
}

static void add_row(struct recognise *recognise, uint32_t validity, const struct state_row *row)
{
	struct known *known;

	if (recognise->count == recognise->room) {
		recognise->room = recognise->room ? recognise->room * 2 : 64;
		recognise->all =
		    mem_resize(recognise->all, recognise->room, sizeof *recognise->all);
	}
	known = &recognise->all[recognise->count++];
	*known = (struct known){.row = *row, .validity = validity};
	known->row.key = mem_copy(row->key);
	known->row.mark = mem_copy(row->mark);
	known->row.name = "";
	known->id = mark_id(known->row.mark);
	known->digest = mark_digest_of(known->row.mark);
}

static bool add(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct recognise *recognise = ctx;
	const struct recognise_params *params = &recognise->params;

	if (validity != params->validity)
		add_row(recognise, validity, row);
	else if (params->adopted == params->mailbox && row->is != STATE_REMOVED)
		add_row(recognise, is_settled(row->is) ? params->adopted_as : validity, row);
	return true;
}

/* What was taken at another place may not have arrived, which nobody has looked for yet: rather
 * twice than lost. */
static bool add_adopted(void *ctx, uint32_t validity, const struct state_row *row)
{
	struct recognise *recognise = ctx;

	(void)validity;
	if (row->is != STATE_TAKEN)
		add_row(recognise, recognise->params.adopted_as, row);
	return true;
}

static int compare_ids(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int by_id(const void *a, const void *b)
{
	const struct known *left = *(struct known *const *)a;
	const struct known *right = *(struct known *const *)b;

	return compare_ids(left->row.mark, left->id, right->row.mark, right->id);
}

static int by_digest(const void *a, const void *b)
{
	return strcmp((*(struct known *const *)a)->digest, (*(struct known *const *)b)->digest);
}

static void put_in_order(struct recognise *recognise)
{
	recognise->by_id = mem_new(recognise->count + 1, sizeof(struct known *));
	recognise->by_digest = mem_new(recognise->count + 1, sizeof(struct known *));
	for (size_t i = 0; i < recognise->count; i++) {
		struct known *known = &recognise->all[i];

		if (known->id)
			recognise->by_id[recognise->ids++] = known;
		if (*known->digest)
			recognise->by_digest[recognise->digests++] = known;
	}
	qsort(recognise->by_id, recognise->ids, sizeof(struct known *), by_id);
	qsort(recognise->by_digest, recognise->digests, sizeof(struct known *), by_digest);
	recognise->left = recognise->digests;
}

static bool load(struct recognise *recognise, struct err *err)
{
	const struct recognise_params *params = &recognise->params;
	uint32_t every = 0;

	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		every |= STATE_MASK(is);
	if (!state_each(params->state, params->mailbox, every, add, recognise, err))
		return false;
	return !params->adopted || params->adopted == params->mailbox ||
	       state_each(params->state, params->adopted, every, add_adopted, recognise, err);
}

struct recognise *recognise_new(const struct recognise_params *params, struct err *err)
{
	struct recognise *recognise;
	bool others = false;

	err_clear(err);
	if (!state_others(params->state, params->mailbox, params->validity, &others, err) ||
	    (!others && !params->adopted))
		return NULL;
	recognise = mem_new(1, sizeof *recognise);
	recognise->params = *params;
	if (load(recognise, err))
		put_in_order(recognise);
	else
		recognise_free(&recognise);
	return recognise;
}

void recognise_free(struct recognise **recognise_p)
{
	struct recognise *recognise = *recognise_p;

	if (!recognise)
		return;
	for (size_t i = 0; i < recognise->count; i++) {
		/* NOLINTBEGIN(performance-no-int-to-ptr): held as const, and ours to free. */
		free((char *)(uintptr_t)recognise->all[i].row.key);
		free((char *)(uintptr_t)recognise->all[i].row.mark);
		/* NOLINTEND(performance-no-int-to-ptr) */
	}
	free(recognise->all);
	free(recognise->by_id);
	free(recognise->by_digest);
	free(recognise);
	*recognise_p = NULL;
}

static const struct state_row *use(struct recognise *recognise, struct known *known,
				   uint32_t *validity_r)
{
	known->taken = true;
	if (*known->digest)
		recognise->left--;
	*validity_r = known->validity;
	return &known->row;
}

const struct state_row *recognise_id(struct recognise *recognise, const char *id,
				     uint32_t *validity_r)
{
	size_t len = strlen(id);
	size_t low = 0;
	size_t high = recognise->ids;

	while (len && low < high) {
		size_t middle = low + (high - low) / 2;
		const struct known *known = recognise->by_id[middle];

		if (compare_ids(known->row.mark, known->id, id, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; len && low < recognise->ids; low++) {
		struct known *known = recognise->by_id[low];

		if (compare_ids(known->row.mark, known->id, id, len) != 0)
			break;
		if (!known->taken)
			return use(recognise, known, validity_r);
	}
	return NULL;
}

/* How much speaks for it among rows of the same digest. */
static int score(const struct known *known, int64_t date, uint64_t octets)
{
	return 2 * (date && known->row.date == date) + (octets && known->row.octets == octets);
}

/* Where the rows of this digest begin; digests if there are none. */
static size_t first_of(const struct recognise *recognise, const char *digest)
{
	size_t low = 0;
	size_t high = recognise->digests;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(recognise->by_digest[middle]->digest, digest) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct state_row *recognise_digest(struct recognise *recognise, const char *digest,
					 int64_t date, uint64_t octets, uint32_t *validity_r)
{
	struct known **rows = recognise->by_digest;
	size_t first = first_of(recognise, digest);
	struct known *best = NULL;
	size_t at = first;
	size_t tries = 0;
	size_t *used;

	if (!*digest || first == recognise->digests)
		return NULL;
	used = &rows[first]->used;
	for (at += *used; at < recognise->digests && tries < TIES_MAX; at++) {
		if (strcmp(rows[at]->digest, digest) != 0)
			break;
		/* Those that are used up from the front on are never looked at again. */
		if (rows[at]->taken) {
			*used += at == first + *used;
			continue;
		}
		tries++;
		if (!best || score(rows[at], date, octets) > score(best, date, octets))
			best = rows[at];
	}
	return best ? use(recognise, best, validity_r) : NULL;
}

size_t recognise_left(const struct recognise *recognise)
{
	return recognise->left;
}

void recognise_rest(const struct recognise *recognise,
		    void (*each)(void *ctx, uint32_t validity, const struct state_row *row),
		    void *ctx)
{
	for (size_t i = 0; i < recognise->count; i++)
		if (!recognise->all[i].taken)
			each(ctx, recognise->all[i].validity, &recognise->all[i].row);
}
