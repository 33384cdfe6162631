/*
 * network: tells when the machine's network has come back, or the machine itself.
 *
 * The kernel tells of each route and address (rtnetlink(7), RFC 3549), again and again of those
 * that are only renewed, as routers announce them every few minutes. So what was told of is
 * remembered until it goes, and only what is new counts. What was there at the start is not known:
 * the first time it is renewed it counts once.
 *
 * A suspended machine does not run the loop's timers either. CLOCK_BOOTTIME goes on then and
 * CLOCK_MONOTONIC does not: when the distance has grown, that was it. Wall-clock time is not asked.
 */
#include "io/network.h"

#include "util/mem.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

/* Of more routes and addresses the oldest are forgotten: when they are renewed, they count. */
enum { NETWORK_KNOWN_MAX = 256 };

struct network {
	struct loop *loop;
	void (*on_change)(void *ctx, bool resumed);
	void *ctx;
	struct network_clock clock;
	uint64_t ahead; /* by so much was boottime ahead */
	struct loop_timer *look;
	struct loop_timer *settle;
	bool settling;
	int fd;
	uv_poll_t *uv; /* NULL: no netlink */
	uint64_t known[NETWORK_KNOWN_MAX];
	size_t next; /* in known */
};

/* ---- what is told by the kernel ---------------------------------------------------------------
 */

/* FNV-1a */
#define HASH_BEGIN 0xcbf29ce484222325
#define HASH_PRIME 0x100000001b3

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * HASH_PRIME;
	return hash;
}

/* What identifies it; its age and the like are left out. */
static uint64_t mix_attributes(uint64_t hash, struct rtattr *attribute, size_t len, uint64_t wanted)
{
	for (; RTA_OK(attribute, len); attribute = RTA_NEXT(attribute, len))
		if (attribute->rta_type < 64 && (wanted >> attribute->rta_type & 1))
			hash = mix(hash, attribute, attribute->rta_len);
	return hash;
}

/* Gives 0 for what says nothing of a way to others: local and broadcast routes, the cache. */
static uint64_t route_of(struct nlmsghdr *header)
{
	const uint64_t wanted = 1ULL << RTA_DST | 1ULL << RTA_OIF | 1ULL << RTA_GATEWAY |
				1ULL << RTA_VIA | 1ULL << RTA_MULTIPATH | 1ULL << RTA_PRIORITY |
				1ULL << RTA_TABLE;
	struct rtmsg *route = NLMSG_DATA(header);
	unsigned char key[3] = {'r'};

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof *route) || route->rtm_type != RTN_UNICAST ||
	    (route->rtm_flags & RTM_F_CLONED))
		return 0;
	key[1] = route->rtm_family;
	key[2] = route->rtm_dst_len;
	return mix_attributes(mix(HASH_BEGIN, key, sizeof key), RTM_RTA(route), RTM_PAYLOAD(header),
			      wanted);
}

/* Gives 0 for an address that may not be used yet: it is told of again. */
static uint64_t address_of(struct nlmsghdr *header)
{
	const uint64_t wanted = 1ULL << IFA_ADDRESS | 1ULL << IFA_LOCAL;
	struct ifaddrmsg *address = NLMSG_DATA(header);
	unsigned char key[3] = {'a'};
	uint64_t hash;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof *address) ||
	    (address->ifa_flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)))
		return 0;
	key[1] = address->ifa_family;
	key[2] = address->ifa_prefixlen;
	hash = mix(HASH_BEGIN, key, sizeof key);
	hash = mix(hash, &address->ifa_index, sizeof address->ifa_index);
	return mix_attributes(hash, IFA_RTA(address), IFA_PAYLOAD(header), wanted);
}

static uint64_t *find(struct network *network, uint64_t key)
{
	for (size_t i = 0; i < NETWORK_KNOWN_MAX; i++)
		if (network->known[i] == key)
			return &network->known[i];
	return NULL;
}

static bool has_come(struct network *network, uint64_t key)
{
	if (!key || find(network, key))
		return false;
	network->known[network->next] = key;
	network->next = (network->next + 1) % NETWORK_KNOWN_MAX;
	return true;
}

static void has_gone(struct network *network, uint64_t key)
{
	uint64_t *at = key ? find(network, key) : NULL;

	if (at)
		*at = 0;
}

/* True: something has come. */
static bool take_message(struct network *network, struct nlmsghdr *header)
{
	switch (header->nlmsg_type) {
	case RTM_NEWROUTE:
		return has_come(network, route_of(header));
	case RTM_NEWADDR:
		return has_come(network, address_of(header));
	case RTM_DELROUTE:
		has_gone(network, route_of(header));
		return false;
	case RTM_DELADDR:
		has_gone(network, address_of(header));
		return false;
	default:
		return false;
	}
}

/* Where some were lost, they may have been any. */
static bool take_all(struct network *network)
{
	bool changed = false;

	for (;;) {
		char *bytes = loop_scratch(network->loop);
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof from;
		ssize_t got = recvfrom(network->fd, bytes, LOOP_SCRATCH, 0,
				       (struct sockaddr *)&from, &from_len);
		size_t len = got < 0 ? 0 : (size_t)got;

		if (got < 0 && errno == ENOBUFS)
			changed = true;
		else if (got < 0 && errno != EINTR)
			return changed;
		if (from.nl_pid) /* not the kernel */
			continue;
		for (struct nlmsghdr *at = (void *)bytes; NLMSG_OK(at, len);
		     at = NLMSG_NEXT(at, len))
			changed |= take_message(network, at);
	}
}

/* ---- telling ----------------------------------------------------------------------------------
 */

/* True: the machine was suspended since it was asked last. */
static bool was_suspended(struct network *network)
{
	uint64_t running = network->clock.running();
	uint64_t boottime = network->clock.boottime();
	uint64_t ahead = boottime > running ? boottime - running : 0;
	bool suspended = ahead > network->ahead + NETWORK_SUSPENDED_LEAST_MS;

	network->ahead = ahead;
	return suspended;
}

static void on_settled(void *ctx)
{
	struct network *network = ctx;

	network->settling = false;
	network->on_change(network->ctx, was_suspended(network));
}

static void on_look(void *ctx)
{
	struct network *network = ctx;

	loop_timer_start(network->look, network->clock.look_ms);
	if (was_suspended(network))
		network->on_change(network->ctx, true);
}

/* What overflowed is an error to libuv, which stops then: it is over once it was read. */
static void on_readable(uv_poll_t *uv, int status, int events)
{
	struct network *network = uv->data;

	(void)events;
	if (!take_all(network))
		return;
	if (status < 0)
		uv_poll_start(uv, UV_READABLE, on_readable);
	if (!network->settling)
		loop_timer_start(network->settle, network->clock.settle_ms);
	network->settling = true;
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static int open_netlink(void)
{
	const struct sockaddr_nl groups = {.nl_family = AF_NETLINK,
					   .nl_groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE |
							RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || !bind(fd, (const struct sockaddr *)&groups, sizeof groups))
		return fd;
	close(fd);
	return -1;
}

static void listen_to_kernel(struct network *network)
{
	network->fd = open_netlink();
	if (network->fd < 0)
		return;
	network->uv = mem_new(1, sizeof *network->uv);
	if (uv_poll_init(loop_uv(network->loop), network->uv, network->fd)) {
		free(network->uv);
		network->uv = NULL;
		return;
	}
	network->uv->data = network;
	uv_poll_start(network->uv, UV_READABLE, on_readable);
}

struct network *network_new_by(struct loop *loop, const struct network_clock *clock,
			       void (*on_change)(void *ctx, bool resumed), void *ctx)
{
	struct network *network = mem_new(1, sizeof *network);

	network->loop = loop;
	network->on_change = on_change;
	network->ctx = ctx;
	network->clock = *clock;
	was_suspended(network); /* before now is not asked for */
	network->look = loop_timer_new(loop, on_look, network);
	network->settle = loop_timer_new(loop, on_settled, network);
	loop_timer_start(network->look, clock->look_ms);
	listen_to_kernel(network);
	return network;
}

static uint64_t read_clock(clockid_t which)
{
	struct timespec now = {0};

	clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t running(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static uint64_t boottime(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

struct network *network_new(struct loop *loop, void (*on_change)(void *ctx, bool resumed),
			    void *ctx)
{
	const struct network_clock clock = {.running = running,
					    .boottime = boottime,
					    .look_ms = NETWORK_LOOK_MS,
					    .settle_ms = NETWORK_SETTLE_MS};

	return network_new_by(loop, &clock, on_change, ctx);
}

void network_free(struct network **network_p)
{
	struct network *network = *network_p;

	*network_p = NULL;
	if (!network)
		return;
	loop_timer_free(&network->look);
	loop_timer_free(&network->settle);
	if (network->uv)
		uv_close((uv_handle_t *)network->uv, free_handle);
	if (network->fd >= 0)
		close(network->fd);
	free(network);
}
