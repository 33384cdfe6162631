/*
 * letter: one message on its way to the disk: a file in a Maildir's tmp/ or in the spool.
 *
 * Octets gather in one buffer and leave it in large pieces; a message of a few KB costs one write.
 * The X-Mailhaul-Id line has a fixed width: in IMAP the UID may follow the body, so it is filled in
 * at the end. What belongs only to the writing is freed then, since finished letters wait in
 * numbers.
 */
#include "mail/letter.h"

#include "util/crash.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LETTER_BUFFER = 64 * 1024 };

static const char id_field[] = "X-Mailhaul-Id: ";

struct letter {
	int directory;
	const char *path;
	char *name;
	int fd;
	bool ended;
	int failed; /* errno of a write: octets may be missing, so it can never be ended */
	bool cr;    /* a CR is held back: it may begin a line end */
	uint64_t octets;
	off_t written;
	off_t id_at;
	struct buf buffer;
	struct header_scan *scan;
	bool in_header;
};

static bool fail(const struct letter *letter, const char *what, struct err *err)
{
	return err_sys(err, ERR_MAIL, errno, "cannot %s %s/%s", what, letter->path, letter->name);
}

struct letter *letter_new(const struct letter_params *params, struct err *err)
{
	struct letter *letter = mem_new(1, sizeof *letter);

	letter->directory = params->directory;
	letter->path = params->path;
	letter->name = mem_copy(params->name);
	letter->fd = openat(params->directory, params->name,
			    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (letter->fd < 0) {
		(void)fail(letter, "create", err);
		letter->ended = true;
		letter_free(&letter);
		return NULL;
	}
	crash_point("letter-made");
	letter->scan = header_scan_new();
	letter->in_header = true;
	buf_text(&letter->buffer, params->received);
	buf_text(&letter->buffer, id_field);
	letter->id_at = (off_t)letter->buffer.len;
	for (size_t i = 0; i < LETTER_ID; i++)
		buf_text(&letter->buffer, "0");
	buf_text(&letter->buffer, "\n");
	return letter;
}

static bool write_out(struct letter *letter, struct err *err)
{
	while (letter->buffer.len) {
		ssize_t put = write(letter->fd, letter->buffer.data, letter->buffer.len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0) {
			letter->failed = errno;
			return fail(letter, "write", err);
		}
		letter->written += put;
		buf_consume(&letter->buffer, (size_t)put);
	}
	crash_point("letter-written");
	return true;
}

/* Line ends become LF; a CR that ends no line stays. */
static void convert(struct letter *letter, const unsigned char *octets, size_t len)
{
	unsigned char *to = buf_reserve(&letter->buffer, len + 1);
	const unsigned char *end = octets + len;
	size_t made = 0;

	if (letter->cr && *octets != '\n')
		to[made++] = '\r';
	letter->cr = false;
	while (octets < end) {
		const unsigned char *cr = memchr(octets, '\r', (size_t)(end - octets));
		size_t run = (size_t)((cr ? cr : end) - octets);

		memcpy(to + made, octets, run);
		made += run;
		octets += run;
		if (!cr)
			break;
		octets++;
		if (octets == end)
			letter->cr = true;
		else if (*octets != '\n')
			to[made++] = '\r';
	}
	buf_grow(&letter->buffer, made);
}

bool letter_write(struct letter *letter, const void *bytes, size_t len, struct err *err)
{
	const unsigned char *octets = bytes;

	if (letter->in_header)
		letter->in_header = header_scan_feed(letter->scan, bytes, len);
	letter->octets += len;
	while (len) {
		size_t room, piece;

		/* One octet of room is for a CR that was held back. */
		if (letter->buffer.len + 1 >= LETTER_BUFFER && !write_out(letter, err))
			return false;
		room = LETTER_BUFFER - letter->buffer.len - 1;
		piece = len < room ? len : room;
		convert(letter, octets, piece);
		octets += piece;
		len -= piece;
	}
	return true;
}

static bool fill_in_id(struct letter *letter, const char *id, struct err *err)
{
	if (!letter->written) {
		memcpy(letter->buffer.data + letter->id_at, id, LETTER_ID);
		return true;
	}
	errno = EIO; /* what a short write leaves unsaid */
	return pwrite(letter->fd, id, LETTER_ID, letter->id_at) == LETTER_ID ||
	       fail(letter, "write", err);
}

bool letter_end(struct letter *letter, const char *id, time_t date, struct err *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = date}};

	if (letter->failed)
		return err_sys(err, ERR_MAIL, letter->failed, "cannot write %s/%s", letter->path,
			       letter->name);
	if (letter->cr)
		buf_text(&letter->buffer, "\r");
	letter->cr = false;
	if (!fill_in_id(letter, id, err) || !write_out(letter, err))
		return false;
	if (date && futimens(letter->fd, times))
		return fail(letter, "set the time of", err);
	buf_free(&letter->buffer);
	letter->ended = true;
	crash_point("letter-ended");
	return true;
}

const struct header_facts *letter_facts(struct letter *letter)
{
	return header_scan_facts(letter->scan);
}

const char *letter_name(const struct letter *letter)
{
	return letter->name;
}

uint64_t letter_octets(const struct letter *letter)
{
	return letter->octets;
}

int letter_fd(const struct letter *letter)
{
	return letter->fd;
}

bool letter_close(struct letter *letter, struct err *err)
{
	int fd = letter->fd;

	header_scan_free(&letter->scan);
	letter->fd = -1;
	return fd < 0 || !close(fd) || fail(letter, "write", err);
}

void letter_free(struct letter **letter_p)
{
	struct letter *letter = *letter_p;

	if (!letter)
		return;
	if (letter->fd >= 0)
		close(letter->fd);
	if (!letter->ended)
		(void)unlinkat(letter->directory, letter->name, 0);
	header_scan_free(&letter->scan);
	buf_free(&letter->buffer);
	free(letter->name);
	free(letter);
	*letter_p = NULL;
}
