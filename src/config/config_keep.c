/*
 * config_keep: what stays as it was when the configuration is read again.
 *
 * Values are compared as they are shown to people, in which each differs from all others; but for
 * the secret, which is never shown.
 */
#include "config/config_keep.h"

#include "config/config_print.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- accounts ---- */

/* Two texts, or none twice. */
static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_list(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;
	while (*a && *b && !strcmp(*a, *b)) {
		a++;
		b++;
	}
	return !*a && !*b;
}

static bool same_value(const struct option *option, const struct config_account *a,
		       const struct config_account *b)
{
	struct config_shown x, y;

	config_print_value(option, a, &x);
	config_print_value(option, b, &y);
	return x.shape == y.shape && x.truth == y.truth && x.number == y.number &&
	       same_text(x.text, y.text) && same_list(x.items, y.items);
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
	return a->kind == b->kind && same_text(a->value, b->value) && same_list(a->argv, b->argv);
}

bool config_same_account(const struct config_account *a, const struct config_account *b)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].place != OPTION_TOP && !same_value(&option_table[i], a, b))
			return false;
	return same_secret(&a->password, &b->password);
}

/* ---- configurations ---- */

/* Where a configuration holds an account. */
struct place {
	struct config_account **account;
};

static int by_name(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return strcmp((*x->account)->name, (*y->account)->name);
}

static struct place *sorted_places(const struct config *config)
{
	struct place *places = mem_new(config->count, sizeof *places);

	for (unsigned i = 0; i < config->count; i++)
		places[i].account = &config->accounts[i];
	qsort(places, config->count, sizeof *places, by_name);
	return places;
}

/* The account that was read last knows where it stands now. */
static void exchange(struct config_account **fresh, struct config_account **old)
{
	struct config_account *kept = *old, *spare = *fresh;
	char *file = kept->file;
	unsigned line = kept->line;
	struct config_origin *origins = kept->origins;

	kept->file = spare->file;
	kept->line = spare->line;
	kept->origins = spare->origins;
	spare->file = file;
	spare->line = line;
	spare->origins = origins;
	*fresh = kept;
	*old = spare;
}

void config_keep(struct config *fresh, const struct config *old)
{
	struct place *places = sorted_places(old);

	for (unsigned i = 0; i < fresh->count; i++) {
		struct place new = {&fresh->accounts[i]};
		struct place *was = bsearch(&new, places, old->count, sizeof *places, by_name);

		if (was && config_same_account(*new.account, *was->account))
			exchange(new.account, was->account);
	}
	free(places);
}
