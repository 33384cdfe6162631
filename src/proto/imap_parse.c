/*
 * imap_parse: takes IMAP responses apart, incrementally and in place.
 *
 * A machine with one small function per state, each of which advances parse->at over what it
 * understands. Offsets count from in->data, which moves only when a part is handed out; that is why
 * the driver may move the buffer between two calls. Octets are consumed with the part they belong
 * to. RFC 3501 and 9051 section 9; where servers are known to be sloppy (more than one space, a
 * bare LF, 8-bit atoms) it is too.
 */
#include "proto/imap_parse.h"

#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

enum state {
	AT_TAG,	    /* in the tag, at the start of a response */
	AT_GAP,	    /* between two tokens */
	AT_ATOM,    /* in an atom */
	AT_QUOTED,  /* behind a quote */
	AT_HEAD,    /* behind the brace of a literal */
	AT_LITERAL, /* in a literal that is kept */
	AT_BODY,    /* in a literal that is streamed */
	AT_TEXT,    /* in words for people, up to the end of the line */
	AT_STATES
};

struct imap_parse {
	struct buf *in;
	enum state state;
	size_t at;	  /* octets of in that are understood */
	size_t start;	  /* where the token under way begins */
	size_t spent;	  /* octets of this response's earlier parts */
	size_t kept;	  /* octets of this response's kept literals */
	size_t kept_here; /* of these, in this part */
	uint64_t octets;  /* size of the literal under way; of a body, what is still to come */
	bool digits;	  /* the literal's size has a digit */
	bool escaped;	  /* the octet before was a backslash */
	bool section;	  /* in the brackets of BODY[...] */
	bool handed;	  /* the part was handed out: the next call begins another */
	bool fetch;	  /* it is a FETCH response: literals may be bodies */
	bool broken;
	unsigned depth;
	struct imap_line line;
	size_t room;
};

enum { GO_ON = -1 }; /* beside the values of enum imap_what: the state has changed, look again */

struct imap_parse *imap_parse_new(struct buf *in)
{
	struct imap_parse *p = mem_new(1, sizeof *p);

	p->in = in;
	return p;
}

void imap_parse_free(struct imap_parse **parse)
{
	if (!*parse)
		return;
	free((*parse)->line.tokens);
	free(*parse);
	*parse = NULL;
}

static int broken(struct imap_parse *p, struct err *err, const char *how)
{
	p->broken = true;
	err_set(err, ERR_PROTOCOL, "server sent %s", how);
	err_server(err, p->in->data, p->in->len < 200 ? p->in->len : 200);
	return IMAP_BROKEN;
}

static bool is_end(unsigned char c)
{
	return c == '\r' || c == '\n';
}

/* ---- tokens -------------------------------------------------------------------------------- */

static int add_token(struct imap_parse *p, enum imap_kind kind, size_t end, struct err *err)
{
	struct imap_line *line = &p->line;

	if (line->count == IMAP_TOKENS_MAX)
		return broken(p, err, "a response of too many parts");
	if (line->count == p->room) {
		p->room = p->room ? p->room * 2 : 32;
		line->tokens = mem_resize(line->tokens, p->room, sizeof *line->tokens);
	}
	line->tokens[line->count++] = (struct imap_token){
	    .kind = kind, .depth = p->depth, .at = p->start, .len = end - p->start};
	return GO_ON;
}

static struct imap_token *last_token(struct imap_parse *p)
{
	struct imap_token *token;

	if (!p->line.count)
		return NULL;
	token = &p->line.tokens[p->line.count - 1];
	token->bytes = p->in->data + token->at;
	return token;
}

/* Hands out the octets up to at, and consumes them. */
static int hand_out(struct imap_parse *p, struct imap_line *line_r, size_t raw, int what)
{
	unsigned char *base = p->in->data;

	for (size_t i = 0; i < p->line.count; i++)
		p->line.tokens[i].bytes = base + p->line.tokens[i].at;
	p->line.raw = (struct imap_span){base, raw};
	p->line.tag.bytes = base;
	p->spent += p->at - p->kept_here;
	p->kept_here = 0;
	buf_consume(p->in, p->at);
	p->at = 0;
	p->handed = true;
	*line_r = p->line;
	return what;
}

/* ---- the text of a status ------------------------------------------------------------------ */

static enum imap_status status_of(const struct imap_token *token, enum imap_form form)
{
	static const struct {
		const char *word;
		enum imap_status status;
		bool tagged;
	} words[] = {{"OK", IMAP_OK, true},
		     {"NO", IMAP_NO, true},
		     {"BAD", IMAP_BAD, true},
		     {"PREAUTH", IMAP_PREAUTH, false},
		     {"BYE", IMAP_BYE, false}};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (imap_token_is(token, words[i].word) &&
		    (words[i].tagged || form == IMAP_UNTAGGED))
			return words[i].status;
	return IMAP_NO_STATUS;
}

static struct imap_span skip_space(struct imap_span span)
{
	if (span.len && *span.bytes == ' ')
		return (struct imap_span){span.bytes + 1, span.len - 1};
	return span;
}

/* "[CODE args] words": a bracket that is never closed belongs to the words. */
static void split_text(struct imap_line *line)
{
	struct imap_span text = line->text;
	const unsigned char *close;
	const unsigned char *space;
	struct imap_span inner;

	if (line->status == IMAP_NO_STATUS || !text.len || *text.bytes != '[')
		return;
	close = memchr(text.bytes, ']', text.len);
	if (!close)
		return;
	inner = (struct imap_span){text.bytes + 1, (size_t)(close - text.bytes) - 1};
	line->text =
	    skip_space((struct imap_span){close + 1, text.len - (size_t)(close + 1 - text.bytes)});
	space = inner.len ? memchr(inner.bytes, ' ', inner.len) : NULL;
	line->code = inner;
	if (!space)
		return;
	line->code.len = (size_t)(space - inner.bytes);
	line->args = (struct imap_span){space + 1, inner.len - line->code.len - 1};
}

static int in_text(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	unsigned char *base = p->in->data;
	const unsigned char *end = memchr(base + p->at, '\n', p->in->len - p->at);
	size_t raw;

	if (!end) {
		p->at = p->in->len;
		return IMAP_MORE;
	}
	raw = (size_t)(end - base);
	p->at = raw + 1;
	if (raw > p->start && base[raw - 1] == '\r')
		raw--;
	if (memchr(base + p->start, '\0', raw - p->start))
		return broken(p, err, "a NUL octet");
	p->line.text = skip_space((struct imap_span){base + p->start, raw - p->start});
	split_text(&p->line);
	return hand_out(p, line_r, raw, IMAP_LINE);
}

/* ---- the states ---------------------------------------------------------------------------- */

static int in_tag(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	unsigned char *base = p->in->data;
	size_t at = p->at;

	(void)line_r;
	while (at < p->in->len && base[at] > ' ')
		at++;
	p->at = at;
	if (at == p->in->len)
		return IMAP_MORE;
	if (base[at] != ' ' && !is_end(base[at]))
		return broken(p, err, "octets that are no text");
	if (!at)
		return broken(p, err, "a line without a tag");
	if (at == 1 && *base == '*')
		p->line.form = IMAP_UNTAGGED;
	else if (at == 1 && *base == '+')
		p->line.form = IMAP_CONTINUE;
	else
		p->line.form = IMAP_TAGGED;
	p->line.tag.len = at;
	p->start = at;
	p->state = p->line.form == IMAP_CONTINUE ? AT_TEXT : AT_GAP;
	return GO_ON;
}

static int open_list(struct imap_parse *p, struct err *err)
{
	if (p->depth == IMAP_DEPTH_MAX)
		return broken(p, err, "lists nested too deep");
	p->start = p->at++;
	if (add_token(p, IMAP_OPEN, p->at, err) == IMAP_BROKEN)
		return IMAP_BROKEN;
	p->depth++;
	return GO_ON;
}

static int close_list(struct imap_parse *p, struct err *err)
{
	if (!p->depth)
		return broken(p, err, "a ) too many");
	p->depth--;
	p->start = p->at++;
	return add_token(p, IMAP_CLOSE, p->at, err);
}

static int end_line(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	size_t raw = p->at;

	if (p->in->data[p->at] == '\r') {
		if (p->at + 1 == p->in->len)
			return IMAP_MORE;
		if (p->in->data[p->at + 1] != '\n')
			return broken(p, err, "a CR without its LF");
		p->at++;
	}
	p->at++;
	if (p->depth)
		return broken(p, err, "a list that is not closed");
	if (!p->line.count && !p->line.rest)
		return broken(p, err, "a line without a response");
	return hand_out(p, line_r, raw, IMAP_LINE);
}

static int enter(struct imap_parse *p, enum state state, size_t skip)
{
	p->at += skip;
	p->start = p->at;
	p->state = state;
	p->escaped = p->digits = p->section = false;
	p->octets = 0;
	return GO_ON;
}

static int in_gap(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	unsigned char c = p->in->data[p->at];

	switch (c) {
	case ' ':
		p->at++;
		return GO_ON;
	case '(':
		return open_list(p, err);
	case ')':
		return close_list(p, err);
	case '"':
		return enter(p, AT_QUOTED, 1);
	case '{':
		return enter(p, AT_HEAD, 1);
	case '~':
		if (p->at + 1 == p->in->len)
			return IMAP_MORE;
		if (p->in->data[p->at + 1] == '{')
			return enter(p, AT_HEAD, 2);
		return enter(p, AT_ATOM, 0);
	case '\r':
	case '\n':
		return end_line(p, line_r, err);
	default:
		if (c < ' ' || c == 0x7f)
			return broken(p, err, "a control character");
		return enter(p, AT_ATOM, 0);
	}
}

/* What follows from the first tokens: the words of a status, or a FETCH response with bodies. */
static void look_at_word(struct imap_parse *p)
{
	struct imap_token *token = last_token(p);

	if (p->line.rest || p->depth)
		return;
	if (p->line.count == 1) {
		p->line.status = status_of(token, p->line.form);
		if (p->line.status != IMAP_NO_STATUS)
			(void)enter(p, AT_TEXT, 0);
	} else if (p->line.count == 2 && p->line.form == IMAP_UNTAGGED) {
		p->fetch = imap_token_is(token, "FETCH");
	}
}

static int in_atom(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	const unsigned char *base = p->in->data;
	size_t at = p->at;

	(void)line_r;
	for (; at < p->in->len; at++) {
		unsigned char c = base[at];

		if (c < ' ' || c == 0x7f || (!p->section && (c == ' ' || c == '(' || c == ')')))
			break;
		if (p->fetch && c == '[')
			p->section = true;
		else if (c == ']')
			p->section = false;
	}
	p->at = at;
	if (at == p->in->len)
		return IMAP_MORE;
	if (p->section)
		return broken(p, err, "a [ that is not closed");
	if (add_token(p, IMAP_ATOM, at, err) == IMAP_BROKEN)
		return IMAP_BROKEN;
	p->state = AT_GAP;
	look_at_word(p);
	return GO_ON;
}

static int in_quoted(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	const unsigned char *base = p->in->data;

	(void)line_r;
	for (; p->at < p->in->len; p->at++) {
		unsigned char c = base[p->at];

		if (is_end(c) || !c)
			return broken(p, err, "a quoted string that is not closed");
		if (p->escaped) {
			p->escaped = false;
		} else if (c == '\\') {
			p->escaped = true;
		} else if (c == '"') {
			p->state = AT_GAP;
			p->at++;
			return add_token(p, IMAP_QUOTED, p->at - 1, err);
		}
	}
	return IMAP_MORE;
}

/* A literal that the FETCH items BODY[...], BINARY[...] and RFC822 stand in front of. */
static bool is_body(struct imap_parse *p)
{
	const struct imap_token *name = last_token(p);

	if (!p->fetch || p->depth != 1 || !name || name->kind != IMAP_ATOM || name->depth != 1)
		return false;
	return str_begins(name->bytes, name->len, "BODY[") ||
	       str_begins(name->bytes, name->len, "BINARY[") ||
	       str_begins(name->bytes, name->len, "RFC822");
}

static int begin_literal(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	if (is_body(p)) {
		p->state = AT_BODY;
		p->line.octets = p->octets;
		return hand_out(p, line_r, p->at, IMAP_BODY);
	}
	if (p->octets > IMAP_LITERAL_MAX - p->kept)
		return broken(p, err, "a literal too large for where it stands");
	p->kept += (size_t)p->octets;
	p->kept_here += (size_t)p->octets;
	p->state = AT_LITERAL;
	p->start = p->at;
	return GO_ON;
}

/* The size, "}" and CRLF. */
static int in_head(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	for (; p->at < p->in->len; p->at++) {
		unsigned char c = p->in->data[p->at];

		if (c == '\n' && p->escaped) {
			p->at++;
			return begin_literal(p, line_r, err);
		}
		if (c == '\r' && p->escaped)
			continue;
		if (c == '+' && p->digits)
			continue;
		if (c == '}' && p->digits && !p->escaped) {
			p->escaped = true; /* from here on only the end of the line may come */
			continue;
		}
		if (c < '0' || c > '9' || p->escaped)
			return broken(p, err, "a literal without a proper size");
		if (p->octets > (INT64_MAX - (uint64_t)(c - '0')) / 10)
			return broken(p, err, "a literal of a size that cannot be");
		p->octets = p->octets * 10 + (uint64_t)(c - '0');
		p->digits = true;
	}
	return IMAP_MORE;
}

static int in_literal(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	(void)line_r;
	if (p->in->len - p->start < p->octets)
		return IMAP_MORE;
	p->at = p->start + (size_t)p->octets;
	p->state = AT_GAP;
	return add_token(p, IMAP_LITERAL, p->at, err);
}

static int in_body(struct imap_parse *p, struct imap_line *line_r, struct err *err)
{
	size_t len = p->in->len;

	(void)err;
	if (!p->octets) {
		p->state = AT_GAP;
		return GO_ON;
	}
	if (!len)
		return IMAP_MORE;
	if (len > p->octets)
		len = (size_t)p->octets;
	line_r->bytes = (struct imap_span){p->in->data, len};
	p->octets -= len;
	buf_consume(p->in, len);
	return IMAP_OCTETS;
}

static int (*const states[AT_STATES])(struct imap_parse *, struct imap_line *, struct err *) = {
    [AT_TAG] = in_tag,	 [AT_GAP] = in_gap,   [AT_ATOM] = in_atom, [AT_QUOTED] = in_quoted,
    [AT_HEAD] = in_head, [AT_BODY] = in_body, [AT_TEXT] = in_text, [AT_LITERAL] = in_literal,
};

/* Behind a body the response goes on, else another begins. */
static void begin_part(struct imap_parse *p)
{
	struct imap_line *line = &p->line;

	p->handed = false;
	line->count = 0;
	if (p->state == AT_BODY) {
		line->rest = true;
		return;
	}
	*line = (struct imap_line){.tokens = line->tokens};
	p->state = AT_TAG;
	p->start = p->spent = p->kept = 0;
	p->fetch = false;
}

void imap_parse_rest(struct imap_parse *p)
{
	if (p->state != AT_TAG || p->at)
		return;
	free(p->line.tokens);
	p->line.tokens = NULL;
	p->line.count = p->room = 0;
}

enum imap_what imap_parse_next(struct imap_parse *p, struct imap_line *line, struct err *err)
{
	int what = GO_ON;

	if (p->broken)
		return (enum imap_what)broken(p, err, "what cannot be understood");
	if (p->handed)
		begin_part(p);
	while (what == GO_ON) {
		/* A body or a kept literal may be complete without another octet. */
		if (p->at == p->in->len && p->state != AT_BODY && p->state != AT_LITERAL)
			return IMAP_MORE;
		what = states[p->state](p, line, err);
		if (what != IMAP_BROKEN && p->state != AT_BODY &&
		    p->spent + p->at > IMAP_LINE_MAX + p->kept_here)
			return (enum imap_what)broken(p, err, "a line without end");
	}
	return (enum imap_what)what;
}

/* ---- what tokens say ----------------------------------------------------------------------- */

bool imap_token_is(const struct imap_token *token, const char *word)
{
	return token->kind == IMAP_ATOM && str_is(token->bytes, token->len, word);
}

bool imap_token_number(const struct imap_token *token, uint64_t max, uint64_t *value_r)
{
	return token->kind == IMAP_ATOM && str_number(token->bytes, token->len, max, value_r);
}

size_t imap_unescape(unsigned char *bytes, size_t len)
{
	size_t put = 0;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\\' && i + 1 < len)
			i++;
		bytes[put++] = bytes[i];
	}
	return put;
}

/* Days since 1970-01-01 in the Gregorian calendar, by counting from March. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t m = month > 2 ? month - 3 : month + 9;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static bool digits(const char *text, size_t len, uint64_t max, int64_t *value_r)
{
	uint64_t value;

	if (!str_number(text, len, max, &value))
		return false;
	*value_r = (int64_t)value;
	return true;
}

/* "dd-Mmm-yyyy hh:mm:ss +zzzz"; a day below ten may have a space in front. */
bool imap_date(const void *text, size_t len, time_t *date_r)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *t = text;
	int64_t day;
	int64_t month = 0;
	int64_t year;
	int64_t hour;
	int64_t minute;
	int64_t second;
	int64_t zone_hour;
	int64_t zone_minute;
	int64_t zone;

	if (len != 26 || t[2] != '-' || t[6] != '-' || t[11] != ' ' || t[14] != ':' ||
	    t[17] != ':' || t[20] != ' ' || (t[21] != '+' && t[21] != '-'))
		return false;
	while (month < 12 && strncasecmp(t + 3, months + 3 * month, 3) != 0)
		month++;
	if (month == 12 || !digits(t[0] == ' ' ? t + 1 : t, t[0] == ' ' ? 1 : 2, 31, &day) ||
	    !day || !digits(t + 7, 4, 9999, &year) || !year || !digits(t + 12, 2, 23, &hour) ||
	    !digits(t + 15, 2, 59, &minute) || !digits(t + 18, 2, 60, &second) ||
	    !digits(t + 22, 2, 23, &zone_hour) || !digits(t + 24, 2, 59, &zone_minute))
		return false;
	zone = (zone_hour * 60 + zone_minute) * (t[21] == '-' ? -60 : 60);
	*date_r = (time_t)(days_of(year, month + 1, day) * 86400 + hour * 3600 + minute * 60 +
			   second - zone);
	return true;
}
