/*
 * config_value: from the text of a value to what the option means.
 *
 * One small function for each kind of value; two switches over the option's type send each to its
 * own.
 */
#include "config/config_value.h"

#include "config/config.h"
#include "config/config_host.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	PIN_TEXT = 44,
	PATH_MOST = 4000,
	PINS_MOST = 16,
	MAILBOX_MOST = 1000,
	CREDENTIAL_MOST = 255
};

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
			   sizeof(enum config_protocol) == sizeof(unsigned) &&
			   sizeof(enum config_first_run) == sizeof(unsigned) &&
			   sizeof(enum config_log) == sizeof(unsigned),
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
	size_t digits = strspn(text, STR_DIGITS);

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
	if (str_same(text, "true") || str_same(text, "false")) {
		*at = str_same(text, "true");
		return true;
	}
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

	if (text[strspn(text, STR_DIGITS)] == 0)
		return err_set(err, ERR_CONFIG,
			       "%s needs a unit (s, m, h or d): did you mean %.40s%c?",
			       option->name, text, option->type == OPTION_KEEP ? 'd' : 's');
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

static bool set_keep(const struct option *option, struct config_account *account, const char *text,
		     struct err *err)
{
	uint64_t number, unit;
	uint64_t ms = 0;

	if (str_same(text, "true") || str_same(text, "false")) {
		account->keep = str_same(text, "true") ? CONFIG_KEEP : CONFIG_REMOVE;
		account->keep_ms = 0;
		return true;
	}
	if (!duration(text, &number, &unit) && text[strspn(text, STR_DIGITS)])
		return err_set(err, ERR_CONFIG,
			       "%s must be true, false, or a duration, as 30d, not \"%.80s\"",
			       option->name, text);
	if (!set_duration(option, &ms, text, err))
		return false;
	account->keep = CONFIG_KEEP_FOR;
	account->keep_ms = ms;
	return true;
}

/* Powers of 1024, in the letter's either case; octets without one. */
static bool size_number(const char *text, uint64_t *octets_r)
{
	static const char units[] = "KMG";
	size_t digits = strspn(text, STR_DIGITS);
	unsigned shift = 0;

	if (text[digits]) {
		char letter[2] = {(char)(text[digits] & ~0x20), 0};

		if (!letter[0] || text[digits + 1] || !strstr(units, letter))
			return false;
		shift = 10 * (unsigned)(strchr(units, letter[0]) - units + 1);
	}
	if (!str_number(text, digits, UINT64_MAX >> shift, octets_r))
		return false;
	*octets_r <<= shift;
	return true;
}

static bool set_size(const struct option *option, uint64_t *at, const char *text, struct err *err)
{
	uint64_t octets = 0;

	if (!size_number(text, &octets))
		return err_set(err, ERR_CONFIG,
			       "%s must be a whole number, in octets or with K, M or G, as 50M, "
			       "not \"%.80s\"",
			       option->name, text);
	if (octets < option->least || octets > option->most)
		return err_set(err, ERR_CONFIG, "%s must be from %lluK to %lluG, not \"%.80s\"",
			       option->name, (unsigned long long)(option->least >> 10),
			       (unsigned long long)(option->most >> 30), text);
	*at = octets;
	return true;
}

/* ---- hosts and paths ---- */

static bool set_host(const struct option *option, char **at, const char *text, struct err *err)
{
	if (!config_host_check(option->name, text, err))
		return false;
	free(*at);
	*at = mem_copy(text);
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

static bool set_path(const struct option *option, char **at, const char *text,
		     const struct config_base *base, struct err *err)
{
	struct buf path = {0};
	bool ok =
	    option->type != OPTION_MAILDIR || check_placeholders(option, text, " mailbox ", err);

	ok = ok && config_path_expand(option->name, &path, text, base, err) &&
	     config_value_text(option, (const char *)path.data, path.len, false, err);
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

static bool is_command(const struct option *option)
{
	return option->type == OPTION_SECRET_COMMAND || option->type == OPTION_SECRET_TOKEN;
}

/* A credential is one file of one directory. */
static bool check_name(const struct option *option, const char *text, struct err *err)
{
	if (strlen(text) <= CREDENTIAL_MOST && !strchr(text, '/') && strcmp(text, ".") != 0 &&
	    strcmp(text, "..") != 0)
		return true;
	return err_set(err, ERR_CONFIG,
		       "%s is the name of a credential, as systemd's LoadCredential= gives it, not "
		       "\"%.80s\"",
		       option->name, text);
}

static bool set_secret(const struct option *option, struct secret *at, const char *text,
		       const struct config_base *base, struct err *err)
{
	struct secret secret = {.kind = SECRET_VALUE};

	switch (option->type) {
	case OPTION_SECRET_FILE:
		secret.kind = SECRET_FILE;
		if (!set_path(option, &secret.value, text, base, err))
			return false;
		break;
	case OPTION_SECRET_NAME:
		secret.kind = SECRET_CREDENTIAL;
		if (!check_name(option, text, err))
			return false;
		secret.value = mem_copy(text);
		break;
	case OPTION_SECRET_NETRC:
		secret.kind = SECRET_NETRC;
		if (!str_same(text, "true"))
			return err_set(
			    err, ERR_CONFIG,
			    "%s can only be true; leave it out where the password stands "
			    "elsewhere",
			    option->name);
		break;
	default:
		secret.value = mem_copy(text);
		break;
	}
	secret_free(at);
	*at = secret;
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
	if (option->type == OPTION_COMMAND && strstr(text, "%{")) {
		err_set(err, ERR_CONFIG,
			"%s: nothing is filled in (\"%.80s\"); what there is to tell comes on "
			"standard input",
			option->name, text);
		return NULL;
	}
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
	static const char alphabet[] = STR_LETTERS STR_DIGITS "+/";
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
	bool empty_too = place > 0 && config_value_is_argv(option);

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
	return option->type == OPTION_MAILBOXES || option->type == OPTION_PINS ||
	       config_value_is_argv(option);
}

bool config_value_is_argv(const struct option *option)
{
	return option->type == OPTION_ARGV || option->type == OPTION_COMMAND || is_command(option);
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
	case OPTION_KEEP:
		return set_keep(option, fields, text, err);
	case OPTION_NUMBER:
	case OPTION_PORT:
		return set_number(option, at, text, err);
	case OPTION_DURATION:
		return set_duration(option, at, text, err);
	case OPTION_SIZE:
		return set_size(option, at, text, err);
	case OPTION_SECRET:
	case OPTION_SECRET_FILE:
	case OPTION_SECRET_NAME:
	case OPTION_SECRET_NETRC:
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
	if (is_command(option))
		*(struct secret *)at = (struct secret){
		    .kind = option->type == OPTION_SECRET_TOKEN ? SECRET_TOKEN : SECRET_COMMAND,
		    .argv = items};
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
	case OPTION_COMMAND:
	case OPTION_PINS:
		free_list(at);
		break;
	case OPTION_SECRET:
	case OPTION_SECRET_FILE:
	case OPTION_SECRET_COMMAND:
	case OPTION_SECRET_TOKEN:
	case OPTION_SECRET_NAME:
	case OPTION_SECRET_NETRC:
		secret_free(at);
		break;
	default:
		break;
	}
}

bool config_value_account_name(const char *name, struct err *err)
{
	size_t len = strlen(name);

	if (len && len <= CONFIG_NAME_MAX && strspn(name, STR_LETTERS STR_DIGITS "._-") == len &&
	    name[0] != '-' && name[0] != '.')
		return true;
	return err_set(err, ERR_CONFIG,
		       "\"%.80s\" cannot name an account: letters, digits, \".\", \"_\" and \"-\" "
		       "can, up to %d, and the first is a letter, a digit or \"_\"",
		       name, CONFIG_NAME_MAX);
}
