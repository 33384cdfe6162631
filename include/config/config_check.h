/*
 * config_check: what can only be seen once an account is whole: what is missing, what contradicts,
 * what is dangerous; and what accounts may not have in common.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_CHECK_H
#define MAILHAUL_CONFIG_CONFIG_CHECK_H

#include "config/config.h"
#include "config/config_report.h"
#include "config/config_value.h"
#include "config/option_table.h"

#include <stddef.h>

/* Where an option was given. line 0: it was not. own: in the account itself, not in defaults. */
struct config_given {
	struct config_mark at;
	bool own;
};

/* An account while it is read. given[] is indexed like option_table. */
struct config_draft {
	struct config_account *account;
	struct config_mark at; /* its name */
	struct config_given given[OPTION_COUNT_MAX];
};

/* What the option table says of fields that nobody gave. */
void config_top_fallbacks(struct config *config, const struct config_base *base);

/* An account of this name, with the table's defaults. */
struct config_draft config_draft_new(const struct config_report *report, const char *name,
				     struct config_mark at, const struct config_base *base);

/*
 * Checks a draft, and fills in what follows from other options (the port), and where its values
 * came from. whole: defaults, too, could be read, so that what is missing is missing; false also
 * for defaults themselves.
 */
void config_check_draft(struct config_report *report, struct config_draft *draft, bool whole);

/* What is dangerous among the options of the top. top[] is indexed like option_table. */
void config_check_top(struct config_report *report, const struct config *config,
		      const struct config_given *top);

/* Two accounts of one name, or that collect the same mailbox. */
void config_check_together(struct config_report *report, const struct config_draft *drafts,
			   size_t count);

/* Before an option of an account's own is stored: another that it excludes, and that came from
 * defaults, gives way. */
void config_check_give_way(struct config_draft *draft, const struct option *option);

void config_account_free(struct config_account **account);

#endif
