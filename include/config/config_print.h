/*
 * config_print: the configuration in effect, for people to read and to paste: every option that has
 * a value, and where the value came from. A password itself is never shown.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_PRINT_H
#define MAILHAUL_CONFIG_CONFIG_PRINT_H

#include "config/config.h"
#include "config/option_table.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_shape {
	CONFIG_UNSET, /* the option has no value, or means nothing here */
	CONFIG_TRUTH,
	CONFIG_NUMBER,
	CONFIG_TEXT,
	CONFIG_LIST
};

/* The value of one option. What it points to belongs to the configuration, or to itself. */
struct config_shown {
	enum config_shape shape;
	bool truth;
	uint64_t number;
	const char *text;
	char *const *items; /* NULL at the end */
	char room[32];	    /* for a text that had to be made */
};

/* What stands in the field of option in the struct at fields (struct config or struct
 * config_account). A section is CONFIG_UNSET. */
void config_print_value(const struct option *option, const void *fields,
			struct config_shown *shown_r);

/*
 * Where it came from: "default", "FILE:LINE", or the same behind "defaults, ". account: NULL for an
 * option of the top. whole: the file's whole path, else as seen from the directory of the
 * configuration. To be freed.
 */
char *config_print_origin(const struct config *config, const struct config_account *account,
			  const struct option *option, bool whole);

/*
 * Appends YAML that config_load() reads as these accounts and the options of the top, with a
 * comment behind each value. In place of a password stands "<cut>".
 */
void config_print(struct buf *out, const struct config *config,
		  const struct config_account *const *accounts, size_t count);

#endif
