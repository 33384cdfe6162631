/*
 * config_report: gathers mistakes as they are found, and tells them in the order in which they
 * stand, each once.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_REPORT_H
#define MAILHAUL_CONFIG_CONFIG_REPORT_H

#include "config/config.h"

#include <stdbool.h>

/* Where something stands. line 0: the whole file. */
struct config_mark {
	unsigned file; /* what config_report_file() gave */
	unsigned line, column;
};

struct config_report;

struct config_report *config_report_new(void);
void config_report_free(struct config_report **report);

/* Files are told in the order in which they were made known here. path is copied. */
unsigned config_report_file(struct config_report *report, const char *path);
const char *config_report_path(const struct config_report *report, unsigned file);

void config_mistake(struct config_report *report, struct config_mark at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_warning(struct config_report *report, struct config_mark at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Tells them all; how many mistakes there were (warnings do not count). */
unsigned config_report_tell(struct config_report *report,
			    void (*tell)(void *ctx, const struct config_mistake *), void *ctx);

#endif
