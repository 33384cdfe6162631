/*
 * config_files: the files of a configuration as octets: one file, and the names in accounts.d.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_FILES_H
#define MAILHAUL_CONFIG_CONFIG_FILES_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum { CONFIG_FILE_MAX = 1024 * 1024 };

/* Appends a whole file. Fails with ERR_CONFIG for what is no file, cannot be read, or is longer
 * than CONFIG_FILE_MAX. bytes is to be wiped, for a password may stand in it. */
bool config_files_read(const char *path, struct buf *bytes, mode_t *mode_r, struct err *err);

/*
 * The names in a directory that end in .yaml or .yml and do not begin with a dot, sorted, NULL at
 * the end; an empty list where there is no such directory. NULL with ERR_CONFIG if it cannot be
 * read.
 */
char **config_files_names(const char *directory, struct err *err);
void config_files_free_names(char **names);

/* Line and column (from 1, in characters) of an octet. */
void config_files_place(const struct buf *bytes, size_t offset, unsigned *line_r,
			unsigned *column_r);

/* Does the line (from 1) begin with white space that holds a tab? */
bool config_files_tab_indents(const struct buf *bytes, unsigned line);

#endif
