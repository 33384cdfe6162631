/*
 * scheduler: which account may connect now: slots in all and for each host, first come first
 * served.
 *
 * An account whose host is full does not hold up those behind it.
 */
#include "daemon/scheduler.h"

#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>

struct host {
	struct host *next;
	char *name;
	size_t running;
};

struct entry {
	struct entry *next;
	struct host *host;
	void *account;
	bool running;
};

struct scheduler {
	size_t most, most_per_host;
	size_t running;
	struct host *hosts;
	struct entry *first, **last;
};

struct scheduler *scheduler_new(size_t most, size_t most_per_host)
{
	struct scheduler *scheduler = mem_new(1, sizeof *scheduler);

	scheduler->most = most;
	scheduler->most_per_host = most_per_host;
	scheduler->last = &scheduler->first;
	return scheduler;
}

void scheduler_free(struct scheduler **scheduler_p)
{
	struct scheduler *scheduler = *scheduler_p;

	if (!scheduler)
		return;
	while (scheduler->first) {
		struct entry *entry = scheduler->first;

		scheduler->first = entry->next;
		free(entry);
	}
	while (scheduler->hosts) {
		struct host *host = scheduler->hosts;

		scheduler->hosts = host->next;
		free(host->name);
		free(host);
	}
	free(scheduler);
	*scheduler_p = NULL;
}

static struct host *find_host(struct scheduler *scheduler, const char *name)
{
	struct host *host;

	for (host = scheduler->hosts; host; host = host->next)
		if (str_same(host->name, name))
			return host;
	host = mem_new(1, sizeof *host);
	host->name = mem_copy(name);
	host->next = scheduler->hosts;
	scheduler->hosts = host;
	return host;
}

void scheduler_add(struct scheduler *scheduler, const char *host, void *account)
{
	struct entry *entry = mem_new(1, sizeof *entry);

	entry->host = find_host(scheduler, host);
	entry->account = account;
	*scheduler->last = entry;
	scheduler->last = &entry->next;
}

void *scheduler_next(struct scheduler *scheduler)
{
	if (scheduler->running >= scheduler->most)
		return NULL;
	for (struct entry *entry = scheduler->first; entry; entry = entry->next) {
		if (entry->running || entry->host->running >= scheduler->most_per_host)
			continue;
		entry->running = true;
		entry->host->running++;
		scheduler->running++;
		return entry->account;
	}
	return NULL;
}

void scheduler_done(struct scheduler *scheduler, void *account)
{
	for (struct entry **link = &scheduler->first; *link; link = &(*link)->next) {
		struct entry *entry = *link;

		if (entry->account != account || !entry->running)
			continue;
		entry->host->running--;
		scheduler->running--;
		*link = entry->next;
		if (!*link)
			scheduler->last = link;
		free(entry);
		return;
	}
}

bool scheduler_idle(const struct scheduler *scheduler)
{
	return !scheduler->first;
}
