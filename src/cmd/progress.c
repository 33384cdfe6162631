/*
 * progress: one line on the terminal while a poll collects. Nothing where stderr is no terminal.
 */
#include "cmd/progress.h"

#include "util/str.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROGRESS_EVERY_MS = 100, PROGRESS_CELLS = 30 };

static bool stands;
static uint64_t shown_at;

void progress_clear(void)
{
	if (!stands)
		return;
	stands = false;
	(void)!write(STDERR_FILENO, "\r\033[K", 4);
}

void progress_show(uint64_t fetched, uint64_t delivered, uint64_t total, uint64_t octets,
		   uint64_t now)
{
	static int terminal = -1;
	char bar[PROGRESS_CELLS + 1];
	char size[32];
	char line[160];
	size_t filled = 0;
	int len;

	if (terminal < 0)
		terminal = isatty(STDERR_FILENO);
	if (!terminal || !total || (delivered < total && now - shown_at < PROGRESS_EVERY_MS))
		return;
	shown_at = now;
	/* Fetching is the first half of the way. */
	filled = (size_t)((fetched + delivered) * PROGRESS_CELLS / (2 * total));
	filled = filled < PROGRESS_CELLS ? filled : PROGRESS_CELLS;
	memset(bar, '.', PROGRESS_CELLS);
	memset(bar, '#', filled);
	bar[PROGRESS_CELLS] = '\0';
	len = snprintf(line, sizeof line, "\r\033[K[%s] %llu fetched, %llu delivered of %llu, %s",
		       bar, (unsigned long long)fetched, (unsigned long long)delivered,
		       (unsigned long long)total, str_octets(size, octets));
	(void)!write(STDERR_FILENO, line, (size_t)len);
	stands = true;
}
