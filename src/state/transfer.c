/*
 * transfer: the lines of an export of the state, each to and from its octets.
 *
 * What is read may come from anywhere: every text is without control characters and short, every
 * number in its range, every state one that there is, and the name of a letter no path.
 */
#include "state/transfer.h"

#include "util/str.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const int64_t time_max = 253402300799; /* the last second of the year 9999 */

/* ---- reading ---- */

static bool wrong(struct err *err, const char *field, const char *how)
{
	return err_set(err, ERR_STATE, "\"%s\" %s", field, how);
}

static bool clean(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool get_text(const json_t *object, const char *field, const char **text_r, struct err *err)
{
	const json_t *value = json_object_get(object, field);
	const char *text = json_string_value(value);

	if (!text)
		return wrong(err, field, value ? "is no text" : "is missing");
	if (strlen(text) > TRANSFER_TEXT_MAX)
		return wrong(err, field, "is too long");
	if (!clean(text))
		return wrong(err, field, "has a control character");
	*text_r = text;
	return true;
}

/* A text that names something. */
static bool get_name(const json_t *object, const char *field, const char **text_r, struct err *err)
{
	return get_text(object, field, text_r, err) && (**text_r || wrong(err, field, "is empty"));
}

static bool get_number(const json_t *object, const char *field, int64_t least, int64_t most,
		       int64_t *number_r, struct err *err)
{
	const json_t *value = json_object_get(object, field);

	if (!json_is_integer(value))
		return wrong(err, field, value ? "is no whole number" : "is missing");
	*number_r = json_integer_value(value);
	return (*number_r >= least && *number_r <= most) || wrong(err, field, "is out of range");
}

static bool get_time(const json_t *object, const char *field, int64_t *time_r, struct err *err)
{
	return get_number(object, field, 0, time_max, time_r, err);
}

static bool get_uint32(const json_t *object, const char *field, uint32_t least, uint32_t *number_r,
		       struct err *err)
{
	int64_t number = 0;

	if (!get_number(object, field, least, UINT32_MAX, &number, err))
		return false;
	*number_r = (uint32_t)number;
	return true;
}

static bool parse_head(const json_t *object, struct transfer_line *line, struct err *err)
{
	int64_t form = 0;

	if (!get_number(object, "mailhaul_state", INT64_MIN, INT64_MAX, &form, err))
		return false;
	if (form != TRANSFER_FORM)
		return err_set(err, ERR_STATE,
			       "it is an export of another version of mailhaul (form %" PRId64
			       "; this one reads form %d)",
			       form, TRANSFER_FORM);
	return get_text(object, "identity", &line->identity, err);
}

static bool parse_mailbox(const json_t *object, struct transfer_line *line, struct err *err)
{
	struct state_key *key = &line->key;
	struct state_mailbox *mailbox = &line->mailbox;

	if (!get_name(object, "protocol", &key->protocol, err) ||
	    !get_name(object, "user", &key->user, err) ||
	    !get_name(object, "host", &key->host, err) ||
	    !get_name(object, "mailbox", &key->mailbox, err) ||
	    !get_uint32(object, "validity", 0, &mailbox->validity, err) ||
	    !get_uint32(object, "next", 1, &mailbox->next, err) ||
	    !get_time(object, "begun", &mailbox->begun, err) ||
	    !get_time(object, "checked", &mailbox->checked, err) ||
	    !get_time(object, "succeeded", &line->succeeded, err))
		return false;
	return !strcmp(key->protocol, "imap") || !strcmp(key->protocol, "pop3") ||
	       wrong(err, "protocol", "is neither imap nor pop3");
}

static bool get_state(const json_t *object, enum state_is *is_r, struct err *err)
{
	const char *word = "";

	if (!get_text(object, "state", &word, err))
		return false;
	for (unsigned is = STATE_TAKEN; is < STATE_IS_END; is++)
		if (!strcmp(word, state_is_name((enum state_is)is))) {
			*is_r = (enum state_is)is;
			return true;
		}
	return wrong(err, "state", "is no state that a message can be in");
}

static bool parse_message(const json_t *object, struct transfer_line *line, struct err *err)
{
	struct state_row *row = &line->row;
	int64_t octets = 0;

	if (!get_name(object, "message", &row->key, err) ||
	    !get_uint32(object, "validity", 0, &line->validity, err) ||
	    !get_state(object, &row->is, err) || !get_time(object, "taken", &row->taken, err) ||
	    !get_time(object, "changed", &row->changed, err) ||
	    !get_uint32(object, "attempts", 0, &row->attempts, err) ||
	    !get_text(object, "letter", &row->name, err) ||
	    !get_text(object, "mark", &row->mark, err) ||
	    !get_number(object, "octets", 0, INT64_MAX, &octets, err) ||
	    !get_time(object, "date", &row->date, err) ||
	    !get_time(object, "gone", &row->gone, err))
		return false;
	row->octets = (uint64_t)octets;
	return (*row->name != '.' && !strchr(row->name, '/')) ||
	       wrong(err, "letter", "is no name of a letter");
}

static bool parse_end(const json_t *object, struct transfer_line *line, struct err *err)
{
	int64_t mailboxes = 0;
	int64_t messages = 0;

	if (!get_number(object, "mailboxes", 0, INT64_MAX, &mailboxes, err) ||
	    !get_number(object, "messages", 0, INT64_MAX, &messages, err))
		return false;
	line->mailboxes = (uint64_t)mailboxes;
	line->messages = (uint64_t)messages;
	return true;
}

static const struct {
	const char *field; /* that only lines of this kind have */
	bool (*parse)(const json_t *object, struct transfer_line *line, struct err *err);
} kinds[] = {
    [TRANSFER_HEAD] = {"mailhaul_state", parse_head},
    [TRANSFER_MAILBOX] = {"mailbox", parse_mailbox},
    [TRANSFER_MESSAGE] = {"message", parse_message},
    [TRANSFER_END] = {"end", parse_end},
};

bool transfer_parse(const void *bytes, size_t len, struct transfer_line *line_r, struct err *err)
{
	json_error_t why;
	json_t *object;

	*line_r = (struct transfer_line){.held = NULL};
	if (len > TRANSFER_LINE_MAX)
		return err_set(err, ERR_STATE, "the line is too long");
	object = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &why);
	if (!object) {
		char text[JSON_ERROR_TEXT_LENGTH];

		str_visible_to(text, sizeof text, why.text);
		return err_set(err, ERR_STATE, "it is no JSON: %s", text);
	}
	line_r->held = object;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (!json_object_get(object, kinds[i].field))
			continue;
		line_r->kind = (enum transfer_kind)i;
		if (kinds[i].parse(object, line_r, err))
			return true;
		transfer_free(line_r);
		return false;
	}
	transfer_free(line_r);
	return err_set(err, ERR_STATE, "it is no line of an export of mailhaul");
}

void transfer_free(struct transfer_line *line)
{
	json_decref(line->held);
	*line = (struct transfer_line){.held = NULL};
}

/* ---- writing ---- */

static json_t *head_json(const struct transfer_line *line)
{
	return json_pack("{s:i, s:i, s:s, s:s}", "mailhaul_state", TRANSFER_FORM, "version", 1,
			 "identity", line->identity, "program", "mailhaul " MAILHAUL_VERSION);
}

static json_t *mailbox_json(const struct transfer_line *line)
{
	const struct state_mailbox *mailbox = &line->mailbox;

	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "mailbox",
			 line->key.mailbox, "protocol", line->key.protocol, "user", line->key.user,
			 "host", line->key.host, "validity", (json_int_t)mailbox->validity, "next",
			 (json_int_t)mailbox->next, "begun", (json_int_t)mailbox->begun, "checked",
			 (json_int_t)mailbox->checked, "succeeded", (json_int_t)line->succeeded);
}

static json_t *message_json(const struct transfer_line *line)
{
	const struct state_row *row = &line->row;

	return json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:s, s:s, s:I, s:I, s:I}", "message",
			 row->key, "validity", (json_int_t)line->validity, "state",
			 state_is_name(row->is), "taken", (json_int_t)row->taken, "changed",
			 (json_int_t)row->changed, "attempts", (json_int_t)row->attempts, "letter",
			 row->name, "mark", row->mark, "octets", (json_int_t)row->octets, "date",
			 (json_int_t)row->date, "gone", (json_int_t)row->gone);
}

static json_t *end_json(const struct transfer_line *line)
{
	return json_pack("{s:b, s:I, s:I}", "end", 1, "mailboxes", (json_int_t)line->mailboxes,
			 "messages", (json_int_t)line->messages);
}

bool transfer_write(struct buf *out, const struct transfer_line *line, struct err *err)
{
	static json_t *(*const make[])(const struct transfer_line *) = {
	    [TRANSFER_HEAD] = head_json,
	    [TRANSFER_MAILBOX] = mailbox_json,
	    [TRANSFER_MESSAGE] = message_json,
	    [TRANSFER_END] = end_json};
	json_t *object = make[line->kind](line);
	char *text = object ? json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	json_decref(object);
	if (!text)
		return err_set(err, ERR_STATE, "a name or key in the state is not UTF-8");
	buf_text(out, text);
	buf_text(out, "\n");
	free(text);
	return true;
}
