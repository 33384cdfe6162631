/*
 * notify: what a service says to its manager: sd_notify(3)'s datagrams, without its library.
 */
#include "io/notify.h"

#include "util/buf.h"
#include "util/mem.h"
#include "util/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { NOTIFY_AGAIN_MS = 100, NOTIFY_LATE_MAX = 16384 };

struct notify {
	int fd;
	struct sockaddr_un to;
	socklen_t to_len;
	struct buf late; /* datagrams that found no room, a NUL behind each */
	struct loop_timer *again;
	struct loop_timer *watchdog; /* NULL: nobody watches */
	uint64_t watchdog_ms;
};

static bool address(struct notify *notify, const char *name)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof notify->to.sun_path)
		return false;
	notify->to.sun_family = AF_UNIX;
	memcpy(notify->to.sun_path, name, len + 1);
	notify->to_len = sizeof notify->to;
	if (name[0] == '@') {
		notify->to.sun_path[0] = '\0';
		notify->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	}
	return true;
}

/* False: no room. A manager that is gone is no reason to keep anything. */
static bool send_one(const struct notify *notify, const void *bytes, size_t len)
{
	return sendto(notify->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		      (const struct sockaddr *)&notify->to, notify->to_len) >= 0 ||
	       (errno != EAGAIN && errno != ENOBUFS && errno != EINTR);
}

static void send_late(struct notify *notify)
{
	while (notify->late.len) {
		size_t len = strlen((const char *)notify->late.data);

		if (!send_one(notify, notify->late.data, len)) {
			loop_timer_start(notify->again, NOTIFY_AGAIN_MS);
			return;
		}
		buf_consume(&notify->late, len + 1);
	}
	buf_free(&notify->late);
}

static void on_again(void *ctx)
{
	send_late(ctx);
}

static void say(struct notify *notify, const struct buf *text)
{
	if (!notify->late.len && send_one(notify, text->data, text->len))
		return;
	if (notify->late.len + text->len > NOTIFY_LATE_MAX)
		return;
	buf_append(&notify->late, text->data, text->len);
	buf_append(&notify->late, "", 1);
	loop_timer_start(notify->again, NOTIFY_AGAIN_MS);
}

/* Type=notify-reload wants to know that the time is not one of an earlier reload. */
static void add_time(struct buf *text)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	buf_printf(text, "\nMONOTONIC_USEC=%llu",
		   (unsigned long long)now.tv_sec * 1000000 +
		       (unsigned long long)now.tv_nsec / 1000);
}

void notify_say(struct notify *notify, const char *format, ...)
{
	struct buf text = {0};
	va_list args;
	char *said = NULL;

	if (!notify)
		return;
	va_start(args, format);
	if (vasprintf(&said, format, args) >= 0) {
		buf_text(&text, said);
		if (strncmp(said, "RELOADING=1", 11) == 0 || strstr(said, "\nRELOADING=1"))
			add_time(&text);
		say(notify, &text);
	}
	va_end(args);
	free(said);
	buf_free(&text);
}

static void on_watchdog(void *ctx)
{
	struct notify *notify = ctx;

	notify_say(notify, "WATCHDOG=1");
	loop_timer_start(notify->watchdog, notify->watchdog_ms);
}

static uint64_t number_in(const char *text)
{
	uint64_t value = 0;

	return text && str_number(text, strlen(text), UINT64_MAX, &value) ? value : 0;
}

static void watch(struct notify *notify, struct loop *loop, const char *usec, const char *pid)
{
	uint64_t half_ms = number_in(usec) / 2000;

	if (!half_ms || (pid && number_in(pid) != (uint64_t)getpid()))
		return;
	notify->watchdog_ms = half_ms;
	notify->watchdog = loop_timer_new(loop, on_watchdog, notify);
	loop_timer_start(notify->watchdog, half_ms);
}

static struct notify *connect_to(struct loop *loop, const char *name)
{
	struct notify *notify = mem_new(1, sizeof *notify);

	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd >= 0 && address(notify, name)) {
		notify->again = loop_timer_new(loop, on_again, notify);
		return notify;
	}
	if (notify->fd >= 0)
		close(notify->fd);
	free(notify);
	return NULL;
}

struct notify *notify_new(struct loop *loop)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct notify *notify = name ? connect_to(loop, name) : NULL;

	if (notify)
		watch(notify, loop, getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return notify;
}

void notify_free(struct notify **notify_p)
{
	struct notify *notify = *notify_p;

	*notify_p = NULL;
	if (!notify)
		return;
	send_late(notify);
	loop_timer_free(&notify->again);
	loop_timer_free(&notify->watchdog);
	close(notify->fd);
	buf_free(&notify->late);
	free(notify);
}
