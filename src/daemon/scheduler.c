/*
 * scheduler: whose turn it is to connect.
 *
 * Turns that are due some time stand in one heap. As their time comes they move to the heap of
 * their host, where they wait for a slot. The hosts at which a turn waits and a slot is free stand
 * in a third heap, each by the first turn that waits there. A full host stands in none, and is thus
 * never looked at. Those who come with a connection wait at a host of their own, which is never
 * full.
 */
#include "daemon/scheduler.h"

#include "util/heap.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct host {
	char *name;
	size_t turns;
	size_t running;
	struct heap waiting;
	struct heap_node node; /* in open */
	UT_hash_handle hh;
};

struct turn {
	struct turn *prev, *next;
	struct host *host;
	struct host *at; /* where it waits or runs: its host, or links */
	void *owner;
	struct heap_node node; /* in later, or in waiting of the host */
	bool connected;
	bool is_waiting;
	bool runs;
};

struct scheduler {
	size_t most, most_per_host;
	size_t running;
	uint64_t serial;
	uint64_t compared; /* at hosts that are gone */
	struct host *hosts;
	struct host links; /* those who come connected, to whichever host */
	struct turn *turns;
	struct heap later;
	size_t waiting; /* at all hosts */
	struct heap open;
};

struct scheduler *scheduler_new(size_t most, size_t most_per_host)
{
	struct scheduler *scheduler = mem_new(1, sizeof *scheduler);

	scheduler->most = most;
	scheduler->most_per_host = most_per_host;
	scheduler->links.node.owner = &scheduler->links;
	return scheduler;
}

static void free_host(struct scheduler *scheduler, struct host *host)
{
	heap_take(&scheduler->open, &host->node);
	HASH_DEL(scheduler->hosts, host);
	scheduler->compared += host->waiting.compared;
	heap_free(&host->waiting);
	free(host->name);
	free(host);
}

void scheduler_free(struct scheduler **scheduler_p)
{
	struct scheduler *scheduler = *scheduler_p;
	struct turn *turn;
	struct turn *next_turn;
	struct host *host;
	struct host *next_host;

	if (!scheduler)
		return;
	DL_FOREACH_SAFE(scheduler->turns, turn, next_turn)
	free(turn);
	HASH_ITER(hh, scheduler->hosts, host, next_host)
	free_host(scheduler, host);
	heap_free(&scheduler->links.waiting);
	heap_free(&scheduler->later);
	heap_free(&scheduler->open);
	free(scheduler);
	*scheduler_p = NULL;
}

static bool is_full(const struct scheduler *scheduler, const struct host *host)
{
	return host != &scheduler->links && host->running >= scheduler->most_per_host;
}

/* Brings the host where it belongs after its turns or its slots have changed. */
static void settle(struct scheduler *scheduler, struct host *host)
{
	const struct heap_node *first = heap_first(&host->waiting);

	if (!first || is_full(scheduler, host)) {
		heap_take(&scheduler->open, &host->node);
		return;
	}
	host->node.at = first->at;
	host->node.serial = first->serial;
	heap_put(&scheduler->open, &host->node);
}

void scheduler_limits(struct scheduler *scheduler, size_t most, size_t most_per_host)
{
	scheduler->most = most;
	scheduler->most_per_host = most_per_host;
	for (struct host *host = scheduler->hosts; host; host = host->hh.next)
		settle(scheduler, host);
}

static char *in_lower_case(const char *name)
{
	char *lower = mem_copy(name);

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return lower;
}

static struct host *find_host(struct scheduler *scheduler, const char *name)
{
	char *lower = in_lower_case(name);
	struct host *host;

	HASH_FIND_STR(scheduler->hosts, lower, host);
	if (host) {
		free(lower);
		return host;
	}
	host = mem_new(1, sizeof *host);
	host->name = lower;
	host->node.owner = host;
	HASH_ADD_KEYPTR(hh, scheduler->hosts, host->name, strlen(host->name), host);
	return host;
}

struct turn *scheduler_add(struct scheduler *scheduler, const char *host, void *owner)
{
	struct turn *turn = mem_new(1, sizeof *turn);

	turn->host = find_host(scheduler, host);
	turn->host->turns++;
	turn->owner = owner;
	turn->node.owner = turn;
	turn->node.at = UINT64_MAX;
	DL_PREPEND(scheduler->turns, turn);
	return turn;
}

/* Takes the turn out of the heap in which it stands. */
static void leave(struct scheduler *scheduler, struct turn *turn)
{
	if (!turn->is_waiting) {
		heap_take(&scheduler->later, &turn->node);
		return;
	}
	turn->is_waiting = false;
	scheduler->waiting--;
	heap_take(&turn->at->waiting, &turn->node);
	settle(scheduler, turn->at);
}

void scheduler_remove(struct scheduler *scheduler, struct turn **turn_p)
{
	struct turn *turn = *turn_p;

	if (!turn)
		return;
	leave(scheduler, turn);
	turn->node.at = UINT64_MAX;
	scheduler_done(scheduler, turn);
	if (!--turn->host->turns)
		free_host(scheduler, turn->host);
	DL_DELETE(scheduler->turns, turn);
	free(turn);
	*turn_p = NULL;
}

void scheduler_due(struct scheduler *scheduler, struct turn *turn, uint64_t at)
{
	leave(scheduler, turn);
	turn->node.at = at;
	turn->node.serial = scheduler->serial++;
	if (!turn->runs && at != UINT64_MAX)
		heap_put(&scheduler->later, &turn->node);
}

void scheduler_connected(struct turn *turn, bool connected)
{
	turn->connected = connected;
}

void scheduler_not_due(struct scheduler *scheduler, struct turn *turn)
{
	scheduler_due(scheduler, turn, UINT64_MAX);
}

static void welcome(struct scheduler *scheduler, uint64_t now)
{
	const struct heap_node *first;

	while ((first = heap_first(&scheduler->later)) && first->at <= now) {
		struct turn *turn = first->owner;

		heap_take(&scheduler->later, &turn->node);
		turn->is_waiting = true;
		turn->at = turn->connected ? &scheduler->links : turn->host;
		scheduler->waiting++;
		heap_put(&turn->at->waiting, &turn->node);
		settle(scheduler, turn->at);
	}
}

void *scheduler_next(struct scheduler *scheduler, uint64_t now)
{
	const struct heap_node *first;
	struct host *host;
	struct turn *turn;

	welcome(scheduler, now);
	first = heap_first(&scheduler->open);
	if (!first || scheduler->running >= scheduler->most)
		return NULL;
	host = first->owner;
	turn = heap_first(&host->waiting)->owner;
	turn->runs = true;
	turn->node.at = UINT64_MAX;
	scheduler->running++;
	host->running++;
	leave(scheduler, turn);
	return turn->owner;
}

void scheduler_done(struct scheduler *scheduler, struct turn *turn)
{
	if (!turn->runs)
		return;
	turn->runs = false;
	scheduler->running--;
	turn->at->running--;
	settle(scheduler, turn->at);
	if (turn->node.at != UINT64_MAX)
		heap_put(&scheduler->later, &turn->node);
}

uint64_t scheduler_wait(const struct scheduler *scheduler, uint64_t now)
{
	const struct heap_node *first = heap_first(&scheduler->later);

	if (scheduler->open.count && scheduler->running < scheduler->most)
		return 0;
	if (!first)
		return UINT64_MAX;
	return first->at > now ? first->at - now : 0;
}

bool scheduler_idle(const struct scheduler *scheduler)
{
	return !scheduler->running && !scheduler->waiting && !scheduler->later.count;
}

uint64_t scheduler_when(const struct turn *turn)
{
	return turn->node.at;
}

uint64_t scheduler_compared(const struct scheduler *scheduler)
{
	uint64_t all = scheduler->compared + scheduler->later.compared + scheduler->open.compared +
		       scheduler->links.waiting.compared;

	for (const struct host *host = scheduler->hosts; host; host = host->hh.next)
		all += host->waiting.compared;
	return all;
}
