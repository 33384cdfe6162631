/*
 * table: rows of cells in columns that are as wide as they must be, for people.
 */
#include "cmd/table.h"

#include "util/mem.h"
#include "util/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { GAP = 2 };

struct table {
	size_t columns;
	char **cells; /* those of the heads first */
	size_t count;
};

/* ---- cells of a terminal ------------------------------------------------------------------- */

/* Of the character that stands there; how many octets it has in len_r. */
static size_t cells_of(const char *text, size_t *len_r)
{
	uint32_t point = 0;
	int cells;

	*len_r = str_utf8(text, strlen(text), &point);
	if (!*len_r)
		*len_r = 1;
	cells = wcwidth((wchar_t)point);
	return cells < 0 ? 1 : (size_t)cells;
}

static size_t width_of(const char *text)
{
	size_t width = 0;
	size_t len;

	for (; *text; text += len)
		width += cells_of(text, &len);
	return width;
}

/* Appends the text, or as much of it as fits, and gives its width. */
static size_t put(struct buf *out, const char *text, size_t width)
{
	bool fits = width_of(text) <= width;
	size_t room = fits ? width : width - (width < 3 ? width : 3);
	size_t used = 0;
	size_t len;

	for (; *text; text += len) {
		size_t cells = cells_of(text, &len);

		if (used + cells > room)
			break;
		buf_append(out, text, len);
		used += cells;
	}
	for (; !fits && used < width; used++)
		buf_text(out, ".");
	return used;
}

/* ---- columns ------------------------------------------------------------------------------- */

static size_t width_of_column(const struct table *table, size_t column)
{
	bool empty = true;
	size_t widest = 0;

	for (size_t i = column; i < table->count; i += table->columns) {
		size_t width = width_of(table->cells[i]);

		widest = width > widest ? width : widest;
		empty &= i < table->columns || !width;
	}
	return empty ? 0 : widest;
}

/* How wide each column is printed; 0: not at all. The first one is there always. */
static void choose_widths(const struct table *table, size_t width, size_t *widths)
{
	size_t used = 0;
	bool full = false;

	for (size_t i = 0; i < table->columns; i++) {
		size_t wants = width_of_column(table, i);
		size_t gap = i ? GAP : 0;

		if (!i && wants > width)
			wants = width;
		full |= wants && used + gap + wants > width;
		widths[i] = full ? 0 : wants;
		used += widths[i] ? gap + wants : 0;
	}
}

static void print_row(const struct table *table, size_t first, const size_t *widths,
		      struct buf *out)
{
	size_t blank = 0;

	for (size_t i = 0; i < table->columns && first + i < table->count; i++) {
		const char *cell = table->cells[first + i];

		if (!widths[i])
			continue;
		/* No blanks at the end of a line. */
		for (; *cell && blank; blank--)
			buf_text(out, " ");
		blank += widths[i] + GAP - (*cell ? put(out, cell, widths[i]) : 0);
	}
	buf_text(out, "\n");
}

void table_print(const struct table *table, struct buf *out, size_t width)
{
	size_t *widths = mem_new(table->columns, sizeof *widths);

	choose_widths(table, width, widths);
	for (size_t i = 0; i < table->count; i += table->columns)
		print_row(table, i, widths, out);
	free(widths);
}

void table_line(struct buf *out, const char *text, size_t width)
{
	struct buf shown = {0};

	str_visible(&shown, text, strlen(text), SIZE_MAX);
	put(out, buf_string(&shown), width);
	buf_text(out, "\n");
	buf_free(&shown);
}

/* ---- life ---------------------------------------------------------------------------------- */

void table_cell(struct table *table, const char *text)
{
	struct buf shown = {0};

	str_visible(&shown, text, strlen(text), SIZE_MAX);
	table->cells = mem_resize(table->cells, table->count + 1, sizeof *table->cells);
	table->cells[table->count++] = mem_copy(buf_string(&shown));
	buf_free(&shown);
}

struct table *table_new(const char *const *heads)
{
	struct table *table = mem_new(1, sizeof *table);

	for (; heads[table->columns]; table->columns++)
		table_cell(table, heads[table->columns]);
	return table;
}

void table_free(struct table **table_p)
{
	struct table *table = *table_p;

	*table_p = NULL;
	if (!table)
		return;
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}
