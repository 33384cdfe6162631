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

void progress_show(uint64_t done, uint64_t total, uint64_t octets, uint64_t now)
{
	static int terminal = -1;
	char bar[PROGRESS_CELLS + 1];
	char size[32];
	char line[160];
	size_t filled;
	int len;

	if (terminal < 0)
		terminal = isatty(STDERR_FILENO);
	if (!terminal || !total || (done < total && now - shown_at < PROGRESS_EVERY_MS))
		return;
	shown_at = now;
	filled = done >= total ? PROGRESS_CELLS : (size_t)(done * PROGRESS_CELLS / total);
	memset(bar, '.', PROGRESS_CELLS);
	memset(bar, '#', filled);
	bar[PROGRESS_CELLS] = '\0';
	len =
	    snprintf(line, sizeof line, "\r\033[K[%s] %llu of %llu messages, %s", bar,
		     (unsigned long long)done, (unsigned long long)total, str_octets(size, octets));
	(void)!write(STDERR_FILENO, line, (size_t)len);
	stands = true;
}
