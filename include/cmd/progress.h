/*
 * progress: one line on the terminal while a poll collects. Nothing where stderr is no terminal.
 */
#ifndef MAILHAUL_CMD_PROGRESS_H
#define MAILHAUL_CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Shows how many of total messages were fetched and delivered, and the octets delivered, at most
 * ten times a second. now: milliseconds. */
void progress_show(uint64_t fetched, uint64_t delivered, uint64_t total, uint64_t octets,
		   uint64_t now);

/* Wipes the line, if it stands. */
void progress_clear(void);

#endif
