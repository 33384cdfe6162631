/*
 * netrc: finds a password in the octets of a ~/.netrc.
 *
 * The file is read word by word, once. What an entry says is gathered, and looked at when the next
 * begins. Nobody's password but the one that is wanted leaves this file, and every copy is wiped.
 */
#include "auth/netrc.h"

#include "util/buf.h"
#include "util/mem.h"
#include "util/str.h"

#include <string.h>

struct reader {
	const unsigned char *at, *end;
	unsigned line;
	struct buf word; /* the last one that was read */
};

struct entry {
	bool machine; /* it is for the machine that is wanted */
	bool login;   /* it is for the login that is wanted, or for any */
	bool has_password;
	struct buf password;
};

static bool is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

static unsigned char next_octet(struct reader *r)
{
	if (*r->at == '\n')
		r->line++;
	return *r->at++;
}

static void skip_line(struct reader *r)
{
	while (r->at < r->end && *r->at != '\n')
		r->at++;
}

/* Up to where a word begins; comments too where they may stand. False: the end. */
static bool skip_space(struct reader *r, bool comments)
{
	while (r->at < r->end) {
		if (comments && *r->at == '#')
			skip_line(r);
		else if (is_space(*r->at))
			next_octet(r);
		else
			return true;
	}
	return false;
}

static unsigned char unescaped(unsigned char c)
{
	return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
}

static bool read_quoted(struct reader *r)
{
	for (r->at++; r->at < r->end;) {
		unsigned char c = next_octet(r);

		if (c == '"')
			return true;
		if (c == '\\' && r->at < r->end)
			c = unescaped(next_octet(r));
		buf_append(&r->word, &c, 1);
	}
	return false;
}

/* The next word. False: there is none, or its quotes do not end. */
static bool read_word(struct reader *r, bool comments)
{
	buf_wipe(&r->word);
	if (!skip_space(r, comments))
		return false;
	if (*r->at == '"')
		return read_quoted(r);
	while (r->at < r->end && !is_space(*r->at)) {
		unsigned char c = *r->at++;

		if (c == '\\' && r->at < r->end && !is_space(*r->at))
			c = *r->at++;
		buf_append(&r->word, &c, 1);
	}
	return true;
}

/* A macro ends with an empty line, or with the file. */
static void skip_macro(struct reader *r)
{
	bool empty = false;

	skip_line(r);
	while (r->at < r->end) {
		unsigned char c = next_octet(r);

		if (c == '\n' && empty)
			return;
		empty = c == '\n' || (empty && c == '\r');
	}
}

static bool word_is(const struct reader *r, const char *word)
{
	return r->word.len == strlen(word) && !memcmp(r->word.data, word, r->word.len);
}

static bool fits(const struct entry *entry)
{
	return entry->machine && entry->login && entry->has_password;
}

static void begin_entry(struct entry *entry, bool machine)
{
	buf_wipe(&entry->password);
	*entry = (struct entry){.machine = machine, .login = true};
}

/* One key word with its value. *over: an entry that fits has ended. */
static bool read_item(struct reader *r, struct entry *entry, const char *machine, const char *login,
		      bool *over)
{
	enum { MACHINE, LOGIN, PASSWORD, ACCOUNT, MACDEF, KEYS };
	static const char *const keys[KEYS] = {"machine", "login", "password", "account", "macdef"};
	size_t key = 0;

	if (word_is(r, "default")) {
		*over = fits(entry);
		if (!*over)
			begin_entry(entry, true);
		return true;
	}
	while (key < KEYS && !word_is(r, keys[key]))
		key++;
	if (key == MACHINE && fits(entry)) {
		*over = true;
		return true;
	}
	if (key == KEYS || !read_word(r, false))
		return false;
	if (key == MACHINE) {
		begin_entry(entry, str_is(r->word.data, r->word.len, machine));
	} else if (key == LOGIN) {
		entry->login = word_is(r, login);
	} else if (key == PASSWORD) {
		buf_wipe(&entry->password);
		buf_append(&entry->password, r->word.data, r->word.len);
		entry->has_password = true;
	} else if (key == MACDEF) {
		skip_macro(r);
	}
	return true;
}

static bool take_password(const struct entry *entry, char **password_r, struct err *err)
{
	const struct buf *password = &entry->password;

	if (!password->len)
		return err_set(err, ERR_AUTH, "its password is empty");
	if (memchr(password->data, '\0', password->len))
		return err_set(err, ERR_AUTH, "its password contains a NUL");
	*password_r = mem_copy_n((const char *)password->data, password->len);
	return true;
}

bool netrc_find(const void *bytes, size_t len, const char *machine, const char *login,
		char **password_r, struct err *err)
{
	struct reader r = {.at = bytes, .end = (const unsigned char *)bytes + len, .line = 1};
	struct entry entry = {.machine = false};
	bool over = false, ok = true;

	*password_r = NULL;
	if (len > NETRC_MAX)
		return err_set(err, ERR_CONFIG, "it is longer than %d octets", NETRC_MAX);
	while (ok && !over && skip_space(&r, true)) {
		unsigned line = r.line;

		ok = read_word(&r, true) && read_item(&r, &entry, machine, login, &over);
		if (!ok)
			err_set(err, ERR_CONFIG,
				"line %u: this is not what a netrc holds (machine, default, login, "
				"password, account, macdef, each with its value)",
				line);
	}
	if (ok && fits(&entry))
		ok = take_password(&entry, password_r, err);
	else if (ok)
		ok = err_set(err, ERR_AUTH, "it has no password for login %s at machine %s", login,
			     machine);
	buf_wipe(&entry.password);
	buf_wipe(&r.word);
	return ok;
}
