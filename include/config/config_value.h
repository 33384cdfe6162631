/*
 * config_value: from the text of a value to what the option means. Knows nothing of YAML.
 *
 * Every mistake is ERR_CONFIG in words that make a sentence behind "file:line:column: ". The text
 * of a secret never stands in them.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_VALUE_H
#define MAILHAUL_CONFIG_CONFIG_VALUE_H

#include "config/config_path.h"
#include "config/option_table.h"
#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { CONFIG_VALUE_MAX = 8192, CONFIG_NAME_MAX = 64, CONFIG_ITEMS_MAX = 10000 };

/* Checks what holds for the text of every value: its length, no control characters, and (but where
 * empty_too) that it is not empty. */
bool config_value_text(const struct option *option, const char *text, size_t len, bool empty_too,
		       struct err *err);

/* Is this an option that takes a list, and would it take one string in place of the list, too? */
bool config_value_is_list(const struct option *option);
bool config_value_is_argv(const struct option *option); /* a list: a program and its arguments */
bool config_value_one_will_do(const struct option *option);

/* Stores one text in the field of option in the struct at fields; what stood there is freed. */
bool config_value_set(const struct option *option, void *fields, const char *text,
		      const struct config_base *base, struct err *err);

/* Checks the item of a list option that stands at place (from 0), and gives it as it is stored;
 * NULL for a mistake. */
char *config_value_item(const struct option *option, const char *text, size_t place,
			struct err *err);

/* Stores a list (NULL at the end), which then belongs to the struct; what stood there is freed. */
void config_value_set_list(const struct option *option, void *fields, char **items);

/* Frees what stands in the field of option and sets it to nothing. */
void config_value_free(const struct option *option, void *fields);

/* Appends a duration as a person would write it: in the largest unit that leaves nothing over. */
void config_value_duration(struct buf *out, uint64_t ms);

/* Letters, digits and . _ - ; the first a letter, a digit or _ . */
bool config_value_account_name(const char *name, struct err *err);

#endif
