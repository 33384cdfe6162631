/*
 * table: rows of cells in columns that are as wide as they must be, for people.
 */
#ifndef MAILHAUL_CMD_TABLE_H
#define MAILHAUL_CMD_TABLE_H

#include "util/buf.h"

struct table;

/* heads are borrowed, NULL at the end. */
struct table *table_new(const char *const *heads);
void table_free(struct table **table);

/* The next cell, made visible; the row after the last one is begun by itself. */
void table_cell(struct table *table, const char *text);

/* Appends the lines. Columns in which no cell holds anything are left out, and so are the last ones
 * where a line has only so many cells of the terminal. */
void table_print(const struct table *table, struct buf *out, size_t width);

/* Appends a line, made visible, cut to so many cells of the terminal. */
void table_line(struct buf *out, const char *text, size_t width);

#endif
