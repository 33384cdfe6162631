/*
 * letters: what stands in a Maildir already, read by its headers.
 *
 * A mail reader moves letters between new/ and cur/ and changes the flags in their names at any
 * time. So all is read again if one of the two changed meanwhile.
 */
#include "deliver/letters.h"

#include "util/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	HEADER_MAX = 1 << 20,
	TRIES = 4,	/* readings, while a mail reader is at work */
	STEP = 20000000 /* nanoseconds */
};

struct reading {
	bool (*each)(void *ctx, const struct header_facts *facts, int64_t date);
	void *ctx;
	struct letters_counts counts; /* of this reading */
};

static const char *const within[] = {"new", "cur"};
enum { PLACES = sizeof within / sizeof *within };

bool letters_is_maildir(const char *path)
{
	bool found = false;

	for (size_t i = 0; i < PLACES; i++) {
		char *name = mem_printf("%s/%s", path, within[i]);
		struct stat st;

		found = found || (!stat(name, &st) && S_ISDIR(st.st_mode));
		free(name);
	}
	return found;
}

static bool scan_header(int fd, struct header_scan *scan)
{
	char bytes[4096];
	size_t all = 0;
	ssize_t got = 0;

	while (all < HEADER_MAX && (got = read(fd, bytes, sizeof bytes)) > 0) {
		all += (size_t)got;
		if (!header_scan_feed(scan, bytes, (size_t)got))
			break;
	}
	return got >= 0;
}

/* A symbolic link, a pipe: nothing that was delivered. */
static void read_letter(struct reading *reading, int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct header_scan *scan;
	struct stat st;

	if (fd < 0) {
		reading->counts.unreadable += errno != ENOENT;
		return;
	}
	scan = header_scan_new();
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && scan_header(fd, scan))
		reading->counts.refused +=
		    !reading->each(reading->ctx, header_scan_facts(scan), st.st_mtim.tv_sec);
	else
		reading->counts.unreadable++;
	header_scan_free(&scan);
	close(fd);
}

/* One that is not there holds nothing. */
static bool read_directory(struct reading *reading, const char *name, struct timespec *changed_r,
			   struct err *err)
{
	struct stat st;
	DIR *directory = opendir(name);
	struct dirent *entry = NULL;
	bool ok = directory || errno == ENOENT;

	*changed_r = (struct timespec){0};
	if (directory && !fstat(dirfd(directory), &st))
		*changed_r = st.st_mtim;
	while (directory && (errno = 0, entry = readdir(directory)))
		if (*entry->d_name != '.')
			read_letter(reading, dirfd(directory), entry->d_name);
	ok = ok && (!directory || !errno);
	if (!ok)
		(void)err_sys(err, ERR_MAIL, errno, "cannot read %s", name);
	if (directory)
		closedir(directory);
	return ok;
}

static int64_t nanoseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

/* A directory's time moves in steps: after a change that was just before, another shows nothing. */
static bool may_differ(const struct timespec *before, const struct timespec *after,
		       const struct timespec *began)
{
	return nanoseconds(before) != nanoseconds(after) ||
	       nanoseconds(before) > nanoseconds(began) - STEP;
}

static bool read_both(struct reading *reading, const char *path, bool *changed_r, struct err *err)
{
	struct timespec before[PLACES], began;
	char *names[PLACES];
	bool ok = true;

	*changed_r = false;
	clock_gettime(CLOCK_REALTIME, &began);
	for (size_t i = 0; i < PLACES; i++)
		names[i] = mem_printf("%s/%s", path, within[i]);
	for (size_t i = 0; ok && i < PLACES; i++)
		ok = read_directory(reading, names[i], &before[i], err);
	for (size_t i = 0; i < PLACES; i++) {
		struct stat st = {0};

		(void)stat(names[i], &st);
		*changed_r = *changed_r || (ok && may_differ(&before[i], &st.st_mtim, &began));
		free(names[i]);
	}
	return ok;
}

bool letters_read(const char *path,
		  bool (*each)(void *ctx, const struct header_facts *facts, int64_t date),
		  void *ctx, struct letters_counts *counts_r, struct err *err)
{
	struct reading reading = {.each = each, .ctx = ctx};
	bool changed = true;

	for (unsigned tries = 0; changed && tries < TRIES; tries++) {
		reading.counts = (struct letters_counts){0};
		if (!read_both(&reading, path, &changed, err))
			return false;
	}
	counts_r->refused += reading.counts.refused;
	counts_r->unreadable += reading.counts.unreadable;
	return true;
}
