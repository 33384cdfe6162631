/*
 * config_report: gathers mistakes, and tells them in the order in which they stand.
 *
 * What stands in an alias's anchor or in defaults is looked at once per account; the same words for
 * the same place are told once. The number kept is bounded, for a file may be made of mistakes.
 */
#include "config/config_report.h"

#include "util/mem.h"
#include "util/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORT_MAX = 1000, TEXT_MAX = 1000 };

struct told {
	struct config_mark at;
	bool warning;
	char *text;
};

struct config_report {
	char **files;
	unsigned file_count;
	struct told *told; /* room for REPORT_MAX */
	size_t count;
	bool full;
	unsigned lost; /* mistakes for which there was no room */
};

struct config_report *config_report_new(void)
{
	return mem_new(1, sizeof(struct config_report));
}

void config_report_free(struct config_report **report)
{
	struct config_report *r = *report;

	if (!r)
		return;
	for (unsigned i = 0; i < r->file_count; i++)
		free(r->files[i]);
	for (size_t i = 0; i < r->count; i++)
		free(r->told[i].text);
	free(r->files);
	free(r->told);
	free(r);
	*report = NULL;
}

unsigned config_report_file(struct config_report *report, const char *path)
{
	report->files = mem_resize(report->files, report->file_count + 1U, sizeof *report->files);
	report->files[report->file_count] = mem_copy(path);
	return report->file_count++;
}

const char *config_report_path(const struct config_report *report, unsigned file)
{
	return report->files[file];
}

static int compare(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

static int by_place(const void *a, const void *b)
{
	const struct told *x = a, *y = b;
	int order = compare(x->at.file, y->at.file);

	if (!order)
		order = compare(x->at.line, y->at.line);
	if (!order)
		order = compare(x->at.column, y->at.column);
	if (!order)
		order = strcmp(x->text, y->text);
	return order;
}

static bool same(const struct told *a, const struct told *b)
{
	return a->at.file == b->at.file && a->at.line == b->at.line &&
	       a->at.column == b->at.column && !strcmp(a->text, b->text);
}

/* Puts them in order, and drops doubles. */
static void settle(struct config_report *report)
{
	size_t kept = 0;

	if (report->count)
		qsort(report->told, report->count, sizeof *report->told, by_place);
	for (size_t i = 0; i < report->count; i++) {
		if (kept && same(&report->told[i], &report->told[kept - 1]))
			free(report->told[i].text);
		else
			report->told[kept++] = report->told[i];
	}
	report->count = kept;
}

/* True if there is room for one more, which may need the doubles to go. */
static bool has_room(struct config_report *report)
{
	if (report->count < REPORT_MAX)
		return true;
	if (!report->full)
		settle(report);
	report->full = report->count > REPORT_MAX / 2;
	return !report->full;
}

static void add(struct config_report *report, struct config_mark at, bool warning,
		const char *format, va_list args)
{
	struct buf shown = {0};
	char *raw = NULL;

	if (!has_room(report)) {
		report->lost += !warning;
		return;
	}
	if (vasprintf(&raw, format, args) < 0)
		raw = mem_copy("out of memory");
	str_visible(&shown, raw, strlen(raw), TEXT_MAX);
	free(raw);
	if (!report->told)
		report->told = mem_new(REPORT_MAX, sizeof *report->told);
	report->told[report->count++] =
	    (struct told){.at = at, .warning = warning, .text = mem_copy(buf_string(&shown))};
	buf_free(&shown);
}

void config_mistake(struct config_report *report, struct config_mark at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(report, at, false, format, args);
	va_end(args);
}

void config_warning(struct config_report *report, struct config_mark at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(report, at, true, format, args);
	va_end(args);
}

static void tell_lost(const struct config_report *report,
		      void (*tell)(void *ctx, const struct config_mistake *), void *ctx)
{
	char *text = mem_printf("too many mistakes: %u more are not told", report->lost);
	struct config_mistake mistake = {.file = report->files[report->file_count - 1],
					 .text = text};

	tell(ctx, &mistake);
	free(text);
}

unsigned config_report_tell(struct config_report *report,
			    void (*tell)(void *ctx, const struct config_mistake *), void *ctx)
{
	unsigned mistakes = report->lost;

	settle(report);
	for (size_t i = 0; i < report->count; i++) {
		const struct told *told = &report->told[i];
		struct config_mistake mistake = {.file = report->files[told->at.file],
						 .line = told->at.line,
						 .column = told->at.column,
						 .warning = told->warning,
						 .text = told->text};

		mistakes += !told->warning;
		if (tell)
			tell(ctx, &mistake);
	}
	if (tell && report->lost)
		tell_lost(report, tell, ctx);
	return mistakes;
}
