/*
 * fast_clock: stands between a program and the C library (LD_PRELOAD), and has its clocks run as a
 *test says: weeks in minutes.
 *
 *	CLOCK_FILE=FILE   what the test steers it by, while the program runs: struct wheel
 *
 * What the program waits for in its event loop comes sooner by as much. The disk's times, and those
 * of other programs, stay as they are. Programs that are started by the program know nothing of it.
 *
 * The program may also be looked at in /proc by whoever runs the test, though it forbids that.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000

/* In nanoseconds. All in one file, so that every program that is given it has the same time. */
struct wheel {
	_Atomic int64_t begun; /* the real monotonic clock, when it was set going */
	_Atomic int64_t times; /* how much faster than that it runs since */
	_Atomic int64_t held;  /* the clocks went on by so much while nothing ran */
	_Atomic int64_t slept; /* the machine was suspended for so long */
};

static const struct wheel still = {.times = 1};
static const struct wheel *wheel = &still;

__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("CLOCK_FILE");
	int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped;

	unsetenv("LD_PRELOAD");
	if (fd < 0)
		return;
	mapped = mmap(NULL, sizeof *wheel, PROT_READ, MAP_SHARED, fd, 0);
	if (mapped != MAP_FAILED)
		wheel = mapped;
	close(fd);
}

static int64_t real(clockid_t which)
{
	struct timespec now;

	syscall(SYS_clock_gettime, which, &now);
	return now.tv_sec * (int64_t)SECOND + now.tv_nsec;
}

/* By how much the clock is ahead of the real one. */
static int64_t ahead(clockid_t which)
{
	int64_t ahead = wheel->held;

	if (wheel->begun)
		ahead += (real(CLOCK_MONOTONIC) - wheel->begun) * (wheel->times - 1);
	switch (which) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_BOOTTIME:
		return ahead + wheel->slept;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
		return ahead;
	default: /* they count a process' work */
		return 0;
	}
}

int clock_gettime(clockid_t which, struct timespec *now)
{
	long status = syscall(SYS_clock_gettime, which, now);
	int64_t then;

	if (status)
		return (int)status;
	then = now->tv_sec * (int64_t)SECOND + now->tv_nsec + ahead(which);
	now->tv_sec = then / SECOND;
	now->tv_nsec = then % SECOND;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	out->tv_sec = now.tv_sec;
	out->tv_usec = now.tv_nsec / 1000;
	return 0;
}

static int sooner(int milliseconds)
{
	int64_t times = wheel->times;

	return milliseconds <= 0 ? milliseconds : (int)((milliseconds + times - 1) / times);
}

int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout, const sigset_t *mask)
{
	static int (*next)(int, struct epoll_event *, int, int, const sigset_t *);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "epoll_pwait");
	return next(fd, events, count, sooner(timeout), mask);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
	return epoll_pwait(fd, events, count, timeout, NULL);
}

int prctl(int option, ...)
{
	unsigned long words[4];
	va_list args;

	va_start(args, option);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		words[i] = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_SET_DUMPABLE)
		return 0;
	return (int)syscall(SYS_prctl, option, words[0], words[1], words[2], words[3]);
}
