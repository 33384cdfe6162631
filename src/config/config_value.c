/*
 * config_value: from the text of a value to what the option means.
 *
 * One small function for each kind of value; two switches over the option's type send each to its
 * own. Host names are RFC 1123 labels; a name outside ASCII must be one that libidn2 can turn into
 * A-labels (RFC 5891).
 */
#include "config/config_value.h"

#include "config/config.h"
#include "util/mem.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	HOST_MAX = 253,
	LABEL_MAX = 63,
	PIN_TEXT = 44,
	PATH_MOST = 4000,
	PINS_MOST = 16,
	MAILBOX_MOST = 1000
};

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS	"0123456789"

static void *field(const struct option *option, void *fields)
{
	return (char *)fields + option->offset;
}

/* ---- what holds for every text ---- */

/* C0, DEL, and C1 (which UTF-8 writes as C2 80 to C2 9F). libyaml has checked that it is UTF-8. */
static bool holds_control(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < 0x20 || s[i] == 0x7f)
			return true;
		if (s[i] == 0xc2 && i + 1 < len && s[i + 1] < 0xa0)
			return true;
	}
	return false;
}

bool config_value_text(const struct option *option, const char *text, size_t len, bool empty_too,
		       struct err *err)
{
	if (!len && !empty_too)
		return err_set(err, ERR_CONFIG, "%s is empty", option->name);
	if (len > CONFIG_VALUE_MAX)
		return err_set(err, ERR_CONFIG, "%s is longer than %d octets", option->name,
			       CONFIG_VALUE_MAX);
	if (holds_control(text, len))
		return err_set(err, ERR_CONFIG,
			       "%s holds a control character (a line break, a tab, or one that "
			       "cannot be seen)",
			       option->name);
	return true;
}

/* ---- words, numbers, durations ---- */

/* The place of text in a list of words, or -1. */
static int word_place(const char *words, const char *text, bool any_case)
{
	size_t len = strlen(text);

	for (int place = 0; *words; place++) {
		size_t word = strcspn(words, " ");

		if (word == len &&
		    (any_case ? !strncasecmp(words, text, len) : !strncmp(words, text, len)))
			return place;
		words += word;
		words += strspn(words, " ");
	}
	return -1;
}

static bool not_a_choice(const struct option *option, const char *text, struct err *err)
{
	struct buf words = {0};

	for (const char *at = option->choices; *at;) {
		size_t len = strcspn(at, " ");
		const char *rest = at + len + strspn(at + len, " ");

		if (words.len)
			buf_text(&words, *rest ? ", " : " or ");
		buf_append(&words, at, len);
		at = rest;
	}
	err_set(err, ERR_CONFIG, "%s must be %s, not \"%.80s\"", option->name, buf_string(&words),
		text);
	buf_free(&words);
	return false;
}

static bool set_choice(const struct option *option, void *at, const char *text, struct err *err)
{
	int place = word_place(option->choices, text, false);

	_Static_assert(sizeof(enum config_tls) == sizeof(unsigned) &&
			   sizeof(enum config_protocol) == sizeof(unsigned),
		       "choices are stored as unsigned");
	if (place < 0)
		return not_a_choice(option, text, err);
	if (option->type == OPTION_SWITCH)
		*(bool *)at = place == 1;
	else
		*(unsigned *)at = (unsigned)place;
	return true;
}

static bool set_mechanism(const struct option *option, char **at, const char *text, struct err *err)
{
	if (word_place(option->choices, text, true) < 0)
		return not_a_choice(option, text, err);
	free(*at);
	*at = mem_copy(text);
	for (char *c = *at; *c; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - ('a' - 'A'));
	return true;
}

/* Splits "30d" into its number and the milliseconds of its unit. */
static bool duration(const char *text, uint64_t *number_r, uint64_t *unit_r)
{
	static const struct {
		char letter;
		uint64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
	size_t digits = strspn(text, DIGITS);

	if (!text[digits] || text[digits + 1])
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (units[i].letter != text[digits])
			continue;
		*unit_r = units[i].ms;
		return str_number(text, digits, UINT64_MAX / units[i].ms, number_r);
	}
	return false;
}

static bool set_bool(const struct option *option, bool *at, const char *text, struct err *err)
{
	uint64_t number, unit;

	if (str_same(text, "true") || str_same(text, "false")) {
		*at = str_same(text, "true");
		return true;
	}
	if (!strcmp(option->name, "keep") && duration(text, &number, &unit))
		return err_set(err, ERR_CONFIG,
			       "keep must be true or false; this version cannot remove messages "
			       "after a time (\"%.80s\")",
			       text);
	return err_set(err, ERR_CONFIG, "%s must be true or false, not \"%.80s\"", option->name,
		       text);
}

static bool set_number(const struct option *option, void *at, const char *text, struct err *err)
{
	uint64_t number = 0;
	size_t len = strlen(text);
	bool leading_zero = text[0] == '0' && len > 1;

	if (leading_zero || !str_number(text, len, option->most, &number) || number < option->least)
		return err_set(err, ERR_CONFIG,
			       "%s must be a whole number from %llu to %llu, not \"%.80s\"",
			       option->name, (unsigned long long)option->least,
			       (unsigned long long)option->most, text);
	if (option->type == OPTION_PORT)
		*(uint16_t *)at = (uint16_t)number;
	else
		*(uint32_t *)at = (uint32_t)number;
	return true;
}

void config_value_duration(struct buf *out, uint64_t ms)
{
	if (ms % 86400000 == 0)
		buf_printf(out, "%llud", (unsigned long long)(ms / 86400000));
	else if (ms % 3600000 == 0)
		buf_printf(out, "%lluh", (unsigned long long)(ms / 3600000));
	else if (ms % 60000 == 0)
		buf_printf(out, "%llum", (unsigned long long)(ms / 60000));
	else
		buf_printf(out, "%llus", (unsigned long long)(ms / 1000));
}

static bool set_duration(const struct option *option, uint64_t *at, const char *text,
			 struct err *err)
{
	uint64_t number, unit;
	struct buf range = {0};

	if (text[strspn(text, DIGITS)] == 0)
		return err_set(err, ERR_CONFIG,
			       "%s needs a unit (s, m, h or d): did you mean %.40ss?", option->name,
			       text);
	if (!duration(text, &number, &unit))
		return err_set(err, ERR_CONFIG,
			       "%s must be a whole number with a unit (s, m, h or d), as 30s or "
			       "5m, not \"%.80s\"",
			       option->name, text);
	if (number * unit >= option->least && number * unit <= option->most) {
		*at = number * unit;
		return true;
	}
	config_value_duration(&range, option->least);
	buf_text(&range, " to ");
	config_value_duration(&range, option->most);
	err_set(err, ERR_CONFIG, "%s must be from %s, not \"%.80s\"", option->name,
		buf_string(&range), text);
	buf_free(&range);
	return false;
}

/* ---- hosts ---- */

static bool is_address(const char *text)
{
	unsigned char octets[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, octets) == 1 || inet_pton(AF_INET6, text, octets) == 1;
}

static bool is_label(const char *label, size_t len)
{
	if (!len || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr(LETTERS DIGITS "-", label[i]))
			return false;
	return true;
}

/* A host name in ASCII. A last label of digits alone would be a mistyped address. */
static bool is_host_name(const char *text)
{
	const char *label = text;

	if (strlen(text) > HOST_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(label, ".");

		if (!is_label(label, len))
			return false;
		if (!label[len])
			return label[strspn(label, DIGITS)] != 0;
		label += len + 1;
	}
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/* The same for a name in UTF-8, by way of its A-labels. */
static bool is_idn(const char *text)
{
	char *ascii = NULL;
	bool is = idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK;

	is = is && is_host_name(ascii);
	idn2_free(ascii);
	return is;
}

static bool set_host(const struct option *option, char **at, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');

	if (is_address(text) || (is_ascii(text) ? is_host_name(text) : is_idn(text))) {
		free(*at);
		*at = mem_copy(text);
		return true;
	}
	if (strstr(text, "://"))
		return err_set(err, ERR_CONFIG,
			       "%s is the name of the server alone, not a URL: \"%.200s\"",
			       option->name, text);
	if (text[0] == '[')
		return err_set(err, ERR_CONFIG,
			       "%s: an IPv6 address stands without brackets, not \"%.200s\"",
			       option->name, text);
	if (colon && colon[1] && !colon[1 + strspn(colon + 1, DIGITS)] &&
	    colon == strchr(text, ':'))
		return err_set(err, ERR_CONFIG,
			       "%s is the name of the server alone; the port goes into an option "
			       "of its own, \"port: %.20s\"",
			       option->name, colon + 1);
	return err_set(err, ERR_CONFIG, "%s must be a host name or an address, not \"%.200s\"",
		       option->name, text);
}

/* ---- paths ---- */

/* Appends the value of the variable whose "${NAME}" stands at *at, and moves *at behind it. */
static bool expand_variable(const struct option *option, struct buf *out, const char **at,
			    struct err *err)
{
	const char *name = *at + 2;
	size_t len = strspn(name, LETTERS DIGITS "_");
	char *copy;
	const char *value;

	if ((*at)[1] != '{')
		return err_set(err, ERR_CONFIG,
			       "%s: write a variable with braces, as ${HOME}, not \"%.80s\"",
			       option->name, *at);
	if (!len || name[len] != '}' || strchr(DIGITS, name[0]))
		return err_set(err, ERR_CONFIG,
			       "%s: \"%.80s\" is not a variable; it must look like ${HOME}",
			       option->name, *at);
	copy = mem_copy_n(name, len);
	value = getenv(copy);
	if (value && *value)
		buf_text(out, value);
	else
		err_set(err, ERR_CONFIG, "%s: the variable ${%.80s} is %s", option->name, copy,
			value ? "empty" : "not set in the environment");
	free(copy);
	*at = name + len + 1;
	return value && *value;
}

static bool expand(const struct option *option, struct buf *out, const char *text,
		   const struct config_base *base, struct err *err)
{
	if (text[0] == '~' && text[1] && text[1] != '/')
		return err_set(err, ERR_CONFIG,
			       "%s: of homes only your own is known, as ~/Mail, not \"%.80s\"",
			       option->name, text);
	if (text[0] == '~') {
		if (!base->home)
			return err_set(err, ERR_CONFIG,
				       "%s begins with ~, but there is no home: HOME is not set",
				       option->name);
		buf_text(out, base->home);
		text++;
	} else if (text[0] != '/' && text[0] != '$') {
		buf_printf(out, "%s/", base->directory);
	}
	while (*text) {
		if (text[0] == '$' && text[1] && strchr(LETTERS "_{", text[1])) {
			if (!expand_variable(option, out, &text, err))
				return false;
			continue;
		}
		buf_append(out, text++, 1);
	}
	return true;
}

/* Every %{ must begin one of the words allowed (one space between, and one at each end). In
 * arguments %% means %. */
static bool check_placeholders(const struct option *option, const char *text, const char *allowed,
			       struct err *err)
{
	for (const char *at = text; (at = strchr(at, '%')); at++) {
		char *word;
		size_t len;
		bool known;

		if (at[1] == '%' && option->type == OPTION_ARGV) {
			at++;
			continue;
		}
		if (at[1] != '{')
			continue;
		len = strcspn(at + 2, "}");
		word = mem_printf(" %.*s ", len > 40 ? 40 : (int)len, at + 2);
		known = at[2 + len] && len <= 40 && strstr(allowed, word);

		free(word);
		if (known)
			continue;
		err_set(err, ERR_CONFIG, "%s: \"%.*s\" is not known; what is filled in is%s",
			option->name, len > 40 ? 40 : (int)len + 3, at,
			option->type == OPTION_MAILDIR
			    ? " %{mailbox}"
			    : " %{sender}, %{account}, %{mailbox}, %{user} and %{uid}");
		return false;
	}
	return true;
}

/* Stores the path that text means: absolute, expanded, without / at its end. */
static bool set_path(const struct option *option, char **at, const char *text,
		     const struct config_base *base, struct err *err)
{
	struct buf path = {0};
	bool ok =
	    option->type != OPTION_MAILDIR || check_placeholders(option, text, " mailbox ", err);

	ok = ok && expand(option, &path, text, base, err);
	while (ok && path.len > 1 && path.data[path.len - 1] == '/')
		path.len--;
	if (ok && path.len && path.data[0] != '/') {
		struct buf whole = {0};

		buf_printf(&whole, "%s/%s", base->directory, buf_string(&path));
		buf_free(&path);
		path = whole;
	}
	ok = ok && config_value_text(option, (const char *)path.data, path.len, false, err);
	if (ok && path.len > PATH_MOST)
		ok = err_set(err, ERR_CONFIG, "%s is longer than %d octets once it is expanded",
			     option->name, PATH_MOST);
	if (ok) {
		free(*at);
		*at = mem_copy(buf_string(&path));
	}
	buf_free(&path);
	return ok;
}

/* ---- secrets ---- */

static bool set_secret(const struct option *option, struct secret *at, const char *text,
		       const struct config_base *base, struct err *err)
{
	char *value = NULL;

	if (option->type == OPTION_SECRET)
		value = mem_copy(text);
	else if (!set_path(option, &value, text, base, err))
		return false;
	secret_free(at);
	at->kind = option->type == OPTION_SECRET ? SECRET_VALUE : SECRET_FILE;
	at->value = value;
	return true;
}

/* ---- items of lists ---- */

/* RFC 6154, and 8457 for \Important; in the case in which they are written there. */
static const char *const special_uses[] = {"\\All",	  "\\Archive", "\\Drafts", "\\Flagged",
					   "\\Important", "\\Junk",    "\\Sent",   "\\Trash"};

static const char *special_use(const char *text, struct err *err)
{
	for (size_t i = 0; i < sizeof special_uses / sizeof *special_uses; i++)
		if (str_same(text, special_uses[i]))
			return special_uses[i];
	err_set(err, ERR_CONFIG,
		"mailboxes: \"%.80s\" is not known; what a mailbox is for is \\All, \\Archive, "
		"\\Drafts, \\Flagged, \\Important, \\Junk, \\Sent or \\Trash",
		text);
	return NULL;
}

/* A name, a pattern or a special use; "!" in front of any of them takes away. */
static char *mailbox_item(const char *text, struct err *err)
{
	bool away = *text == '!';
	const char *name = text + away;

	if (!*name) {
		err_set(err, ERR_CONFIG, "mailboxes: nothing stands behind the \"!\"");
		return NULL;
	}
	if (strlen(name) > MAILBOX_MOST) {
		err_set(err, ERR_CONFIG, "mailboxes: \"%.80s...\" is longer than %d octets", text,
			MAILBOX_MOST);
		return NULL;
	}
	/* RFC 9051, 5.1: INBOX alone may be written in any case. */
	if (str_same(name, "INBOX"))
		name = "INBOX";
	else if (*name == '\\')
		name = special_use(name, err);
	return name ? mem_printf("%s%s", away ? "!" : "", name) : NULL;
}

static char *command_item(const struct option *option, const char *text, size_t place,
			  struct err *err)
{
	if (option->type == OPTION_ARGV &&
	    !check_placeholders(option, text, " sender account mailbox user uid ", err))
		return NULL;
	if (place)
		return mem_copy(text);
	if (!text[0]) {
		err_set(err, ERR_CONFIG, "%s: the program's name is empty", option->name);
		return NULL;
	}
	if (option->type == OPTION_ARGV && strstr(text, "%{")) {
		err_set(err, ERR_CONFIG,
			"%s: nothing is filled in in the program's name (\"%.80s\")", option->name,
			text);
		return NULL;
	}
	if (text[0] == '~' || text[0] == '$') {
		err_set(err, ERR_CONFIG,
			"%s: arguments are used as they stand: there is no shell that would expand "
			"\"%.80s\"; write the whole path",
			option->name, text);
		return NULL;
	}
	return mem_copy(text);
}

/* 43 letters of base64 and one =; the last letter has two bits that must be zero. */
static char *pin_item(const struct option *option, const char *text, size_t place, struct err *err)
{
	static const char alphabet[] = LETTERS DIGITS "+/";
	const char *last;

	if (place >= PINS_MOST) {
		err_set(err, ERR_CONFIG, "%s holds more than %d keys", option->name, PINS_MOST);
		return NULL;
	}
	if (strlen(text) == PIN_TEXT && strspn(text, alphabet) == PIN_TEXT - 1 &&
	    text[PIN_TEXT - 1] == '=') {
		last = strchr(alphabet, text[PIN_TEXT - 2]);
		if ((last - alphabet) % 4 == 0)
			return mem_copy(text);
	}
	err_set(err, ERR_CONFIG,
		"%s: \"%.80s\" is not the base64 of a SHA-256 (%d characters, the last one =)",
		option->name, text, PIN_TEXT);
	return NULL;
}

char *config_value_item(const struct option *option, const char *text, size_t place,
			struct err *err)
{
	bool empty_too =
	    place > 0 && (option->type == OPTION_ARGV || option->type == OPTION_SECRET_COMMAND);

	if (!config_value_text(option, text, strlen(text), empty_too, err))
		return NULL;
	if (option->type == OPTION_MAILBOXES)
		return mailbox_item(text, err);
	if (option->type == OPTION_PINS)
		return pin_item(option, text, place, err);
	return command_item(option, text, place, err);
}

/* ---- by type ---- */

bool config_value_is_list(const struct option *option)
{
	return option->type == OPTION_MAILBOXES || option->type == OPTION_ARGV ||
	       option->type == OPTION_PINS || option->type == OPTION_SECRET_COMMAND;
}

bool config_value_one_will_do(const struct option *option)
{
	return option->type == OPTION_MAILBOXES || option->type == OPTION_PINS;
}

bool config_value_set(const struct option *option, void *fields, const char *text,
		      const struct config_base *base, struct err *err)
{
	void *at = field(option, fields);

	switch (option->type) {
	case OPTION_STRING:
		free(*(char **)at);
		*(char **)at = mem_copy(text);
		return true;
	case OPTION_HOST:
		return set_host(option, at, text, err);
	case OPTION_PATH:
	case OPTION_MAILDIR:
		return set_path(option, at, text, base, err);
	case OPTION_CHOICE:
	case OPTION_SWITCH:
		return set_choice(option, at, text, err);
	case OPTION_MECHANISM:
		return set_mechanism(option, at, text, err);
	case OPTION_BOOL:
		return set_bool(option, at, text, err);
	case OPTION_NUMBER:
	case OPTION_PORT:
		return set_number(option, at, text, err);
	case OPTION_DURATION:
		return set_duration(option, at, text, err);
	case OPTION_SECRET:
	case OPTION_SECRET_FILE:
		return set_secret(option, at, text, base, err);
	default:
		return err_set(err, ERR_INTERNAL, "%s is not one value", option->name);
	}
}

static void free_list(char ***list)
{
	for (size_t i = 0; *list && (*list)[i]; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
}

void config_value_set_list(const struct option *option, void *fields, char **items)
{
	void *at = field(option, fields);

	config_value_free(option, fields);
	if (option->type == OPTION_SECRET_COMMAND)
		*(struct secret *)at = (struct secret){.kind = SECRET_COMMAND, .argv = items};
	else
		*(char ***)at = items;
}

void config_value_free(const struct option *option, void *fields)
{
	void *at = field(option, fields);

	switch (option->type) {
	case OPTION_STRING:
	case OPTION_HOST:
	case OPTION_PATH:
	case OPTION_MAILDIR:
	case OPTION_MECHANISM:
		free(*(char **)at);
		*(char **)at = NULL;
		break;
	case OPTION_MAILBOXES:
	case OPTION_ARGV:
	case OPTION_PINS:
		free_list(at);
		break;
	case OPTION_SECRET:
	case OPTION_SECRET_FILE:
	case OPTION_SECRET_COMMAND:
		secret_free(at);
		break;
	default:
		break;
	}
}

bool config_value_account_name(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len && len <= CONFIG_NAME_MAX && strspn(name, LETTERS DIGITS "._-") == len &&
	    name[0] != '-' && name[0] != '.')
		return true;
	return err_set(err, ERR_CONFIG,
		       "\"%.80s\" cannot name an account: letters, digits, \".\", \"_\" and \"-\" "
		       "can, up to %d, and the first is a letter, a digit or \"_\"",
		       name, CONFIG_NAME_MAX);
}
