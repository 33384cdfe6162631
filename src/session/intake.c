/*
 * intake: from the octets of one message to an ended letter: its file's name, the lines we add, its
 * X-Mailhaul-Id, and the mark that recognises it.
 */
#include "session/intake.h"

#include "session/batch.h"
#include "session/mark.h"
#include "util/crash.h"
#include "util/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MARK_MAX = 64, HOST_MAX = 128, FILE_NAME_MAX = 255 };

struct intake {
	struct intake_params params;
	struct letter *letter; /* being written */
	struct buf received;   /* the Received: field up to its semicolon */
	char mark[MARK_MAX];   /* these are part of our letters' names */
	char place[BATCH_PLACE_TAG + 1];
	char host[HOST_MAX];
	long pid;
};

struct intake *intake_new(const struct intake_params *params)
{
	struct intake *intake = mem_new(1, sizeof *intake);

	intake->params = *params;
	snprintf(intake->mark, sizeof intake->mark, "H%sA%" PRId64 "Z",
		 state_identity(params->state), params->mailbox);
	batch_place_tag(params->sink, intake->place);
	if (gethostname(intake->host, sizeof intake->host - 1))
		snprintf(intake->host, sizeof intake->host, "localhost");
	for (char *c = intake->host; *c; c++)
		if (*c == '/' || *c == ':')
			*c = '_';
	intake->pid = getpid();
	return intake;
}

void intake_free(struct intake **intake)
{
	if (!*intake)
		return;
	letter_free(&(*intake)->letter);
	buf_free(&(*intake)->received);
	free(*intake);
	*intake = NULL;
}

const char *intake_name_mark(const struct intake *intake)
{
	return intake->mark;
}

void intake_received(struct intake *intake, const char *received)
{
	buf_text(&intake->received, received);
}

static void file_name(const struct intake *intake, char *out, size_t size)
{
	static unsigned long sequence;
	struct timeval now;

	gettimeofday(&now, NULL);
	snprintf(out, size, "%lld.M%06ldP%ldQ%06lu%s%s.%s", (long long)now.tv_sec,
		 (long)now.tv_usec, intake->pid, ++sequence, intake->mark, intake->place,
		 intake->host);
}

bool intake_begin(struct intake *intake, struct err *err)
{
	struct sink *sink = intake->params.sink;
	char name[FILE_NAME_MAX + 1];
	char date[64];
	time_t now = time(NULL);
	struct tm tm;
	struct buf received = {0};

	letter_free(&intake->letter);
	file_name(intake, name, sizeof name);
	localtime_r(&now, &tm);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S %z", &tm);
	buf_append(&received, intake->received.data, intake->received.len);
	buf_printf(&received, "; %s\n", date);
	intake->letter = letter_new(&(struct letter_params){.directory = sink->ops->directory(sink),
							    .path = sink->ops->path(sink),
							    .name = name,
							    .received = buf_string(&received)},
				    err);
	buf_free(&received);
	return intake->letter != NULL;
}

bool intake_octets(struct intake *intake, const void *bytes, size_t len, struct err *err)
{
	if (!intake->letter || letter_write(intake->letter, bytes, len, err))
		return true;
	letter_free(&intake->letter);
	return false;
}

void intake_drop(struct intake *intake)
{
	letter_free(&intake->letter);
}

bool intake_has_message(const struct intake *intake)
{
	return intake->letter != NULL;
}

void intake_recognition(struct intake *intake, char digest_r[DIGEST_TEXT + 1])
{
	mark_digest(letter_facts(intake->letter), digest_r);
}

static void message_id(const struct intake *intake, uint32_t validity, const char *key, char *out)
{
	const struct state_key *mailbox = intake->params.key;
	struct buf text = {0};

	buf_printf(&text, "%s%c%s%c%s%c%s%c%" PRIu32 "%c%s", mailbox->protocol, 0, mailbox->user, 0,
		   mailbox->host, 0, mailbox->mailbox, 0, validity, 0, key);
	digest_text(text.data, text.len, out);
	buf_free(&text);
}

struct letter *intake_end(struct intake *intake, uint32_t validity, const char *key, time_t date,
			  struct err *err)
{
	struct letter *letter = intake->letter;
	char id[DIGEST_TEXT + 1];

	intake->letter = NULL;
	message_id(intake, validity, key, id);
	if (letter_end(letter, id, date, err)) {
		crash_point("intake-ended");
		return letter;
	}
	letter_free(&letter);
	return NULL;
}
