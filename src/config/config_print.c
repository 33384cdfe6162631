/*
 * config_print: the configuration in effect.
 *
 * One switch over the option's type knows how values are stored; a type that it lacks is a warning
 * of the compiler. The rest knows YAML 1.2: a text stands in quotes where this reader or another
 * could take it for something else, and what steers a terminal is escaped.
 */
#include "config/config_print.h"

#include "config/config_value.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Comments stand in one column, but those behind lines that are longer than this. */
enum { COMMENT_MOST = 48 };

/* ---- values ---- */

static void show_text(struct config_shown *shown, const char *text)
{
	shown->text = text;
	shown->shape = text ? CONFIG_TEXT : CONFIG_UNSET;
}

static void show_list(struct config_shown *shown, char *const *items)
{
	shown->items = items;
	shown->shape = items ? CONFIG_LIST : CONFIG_UNSET;
}

/* The word that stands at a place of the choices. */
static void show_word(struct config_shown *shown, const char *choices, unsigned place)
{
	for (; place; place--)
		choices += strcspn(choices, " ") + 1;
	snprintf(shown->room, sizeof shown->room, "%.*s", (int)strcspn(choices, " "), choices);
	show_text(shown, shown->room);
}

/* Mechanisms are stored in upper case; the table has them as people write them here. */
static void show_mechanism(struct config_shown *shown, const char *stored)
{
	snprintf(shown->room, sizeof shown->room, "%s", stored);
	for (char *c = shown->room; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	show_text(shown, shown->room);
}

static void show_duration(struct config_shown *shown, uint64_t ms)
{
	struct buf text = {0};

	config_value_duration(&text, ms);
	snprintf(shown->room, sizeof shown->room, "%s", buf_string(&text));
	buf_free(&text);
	show_text(shown, shown->room);
}

static void show_keep(struct config_shown *shown, const struct config_account *account)
{
	if (account->keep == CONFIG_KEEP_FOR) {
		show_duration(shown, account->keep_ms);
		return;
	}
	shown->shape = CONFIG_TRUTH;
	shown->truth = account->keep == CONFIG_KEEP;
}

/* The largest unit that leaves nothing over, as people write it. */
static void show_size(struct config_shown *shown, uint64_t octets)
{
	static const char units[] = "KMG";
	size_t unit = 0;

	if (!octets)
		return;
	for (; unit < sizeof units - 1 && octets % 1024 == 0; unit++)
		octets /= 1024;
	snprintf(shown->room, sizeof shown->room, "%llu%.*s", (unsigned long long)octets, unit > 0,
		 units + (unit ? unit - 1 : 0));
	show_text(shown, shown->room);
}

/* Where an option has no default, 0 says that it was not given. */
static void show_number(struct config_shown *shown, const struct option *option, uint64_t number)
{
	if (!number && !option->fallback)
		return;
	shown->number = number;
	shown->shape = CONFIG_NUMBER;
}

/* Of the options that share one field, the one that was given. */
static void show_secret(struct config_shown *shown, const struct secret *secret,
			enum secret_kind kind)
{
	if (secret->kind != kind)
		return;
	if (secret->argv)
		show_list(shown, secret->argv);
	else
		show_text(shown, kind == SECRET_VALUE ? "<cut>" : secret->value);
}

/* POP3 has one mailbox, and naming it would be a mistake. */
static void show_mailboxes(struct config_shown *shown, const struct config_account *account)
{
	if (account->protocol == CONFIG_IMAP)
		show_list(shown, account->mailboxes);
}

void config_print_value(const struct option *option, const void *fields,
			struct config_shown *shown_r)
{
	const void *at = (const char *)fields + option->offset;

	*shown_r = (struct config_shown){.shape = CONFIG_UNSET};
	switch (option->type) {
	case OPTION_STRING:
	case OPTION_HOST:
	case OPTION_PATH:
	case OPTION_MAILDIR:
		show_text(shown_r, *(char *const *)at);
		break;
	case OPTION_CHOICE:
		show_word(shown_r, option->choices, *(const unsigned *)at);
		break;
	case OPTION_SWITCH:
		show_word(shown_r, option->choices, *(const bool *)at);
		break;
	case OPTION_MECHANISM:
		show_mechanism(shown_r, *(char *const *)at);
		break;
	case OPTION_BOOL:
		shown_r->shape = CONFIG_TRUTH;
		shown_r->truth = *(const bool *)at;
		break;
	case OPTION_KEEP:
		show_keep(shown_r, fields);
		break;
	case OPTION_SIZE:
		show_size(shown_r, *(const uint64_t *)at);
		break;
	case OPTION_NUMBER:
		show_number(shown_r, option, *(const uint32_t *)at);
		break;
	case OPTION_PORT:
		show_number(shown_r, option, *(const uint16_t *)at);
		break;
	case OPTION_DURATION:
		show_duration(shown_r, *(const uint64_t *)at);
		break;
	case OPTION_MAILBOXES:
		show_mailboxes(shown_r, fields);
		break;
	case OPTION_ARGV:
	case OPTION_COMMAND:
	case OPTION_PINS:
		show_list(shown_r, *(char *const *const *)at);
		break;
	case OPTION_SECRET:
		show_secret(shown_r, at, SECRET_VALUE);
		break;
	case OPTION_SECRET_FILE:
		show_secret(shown_r, at, SECRET_FILE);
		break;
	case OPTION_SECRET_COMMAND:
		show_secret(shown_r, at, SECRET_COMMAND);
		break;
	case OPTION_SECRET_TOKEN:
		show_secret(shown_r, at, SECRET_TOKEN);
		break;
	case OPTION_SECRET_NAME:
		show_secret(shown_r, at, SECRET_CREDENTIAL);
		break;
	case OPTION_SECRET_NETRC:
		if (((const struct secret *)at)->kind != SECRET_NETRC)
			break;
		shown_r->shape = CONFIG_TRUTH;
		shown_r->truth = true;
		break;
	case OPTION_SECTION:
	case OPTION_TYPES:
		break;
	}
}

/* ---- where they came from ---- */

/* A path as it is seen from the directory of the configuration. */
static const char *short_path(const struct config *config, const char *path)
{
	const char *slash = strrchr(config->file, '/');
	size_t len = slash ? (size_t)(slash + 1 - config->file) : 0;

	return strncmp(path, config->file, len) ? path : path + len;
}

char *config_print_origin(const struct config *config, const struct config_account *account,
			  const struct option *option, bool whole)
{
	const struct config_origin *origins = account ? account->origins : config->origins;
	const struct config_origin *origin = &origins[option - option_table];
	const char *file = account && origin->own ? account->file : config->file;

	if (!origin->line)
		return mem_copy("default");
	return mem_printf("%s%s:%u", origin->own ? "" : "defaults, ",
			  whole ? file : short_path(config, file), origin->line);
}

/* ---- YAML ---- */

/* Words that YAML 1.1 or 1.2 reads as a truth or as nothing. */
static bool means_else(const char *text)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on",
					    "off",  "null",  "y",   "n"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (str_same(text, words[i]))
			return true;
	return false;
}

/* May it stand without quotes? Everything that could be a number may not; 30s, 50M, -oi and --
 * may. */
static bool is_plain(const char *text)
{
	size_t digits = strspn(text, STR_DIGITS);
	const char *word = text + strspn(text, "-");

	if (digits)
		return text[digits] && strchr("smhdKMG", text[digits]) && !text[digits + 1];
	if (!*word)
		return !strcmp(text, "--");
	return strchr(STR_LETTERS "/", *word) &&
	       !word[strspn(word, STR_LETTERS STR_DIGITS "/._-+=@%~")] && !means_else(word);
}

static void put_text(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	if (is_plain(text)) {
		buf_text(out, text);
		return;
	}
	buf_text(out, "\"");
	while (len) {
		uint32_t point = 0;
		size_t took = str_utf8(text, len, &point);

		/* Only the environment can bring what is no UTF-8; YAML has no words for it. */
		if (!took)
			buf_printf(out, "\\x%02X", (unsigned char)*text);
		else if (str_steers(point))
			buf_printf(out, point > 0xffff ? "\\U%08X" : "\\u%04X", (unsigned)point);
		else
			buf_printf(out, "%s%.*s", *text == '"' || *text == '\\' ? "\\" : "",
				   (int)took, text);
		text += took ? took : 1;
		len -= took ? took : 1;
	}
	buf_text(out, "\"");
}

static void put_value(struct buf *out, const struct config_shown *shown)
{
	switch (shown->shape) {
	case CONFIG_TRUTH:
		buf_text(out, shown->truth ? "true" : "false");
		break;
	case CONFIG_NUMBER:
		buf_printf(out, "%llu", (unsigned long long)shown->number);
		break;
	case CONFIG_TEXT:
		put_text(out, shown->text);
		break;
	case CONFIG_LIST:
		buf_text(out, "[");
		for (size_t i = 0; shown->items[i]; i++) {
			buf_text(out, i ? ", " : "");
			put_text(out, shown->items[i]);
		}
		buf_text(out, "]");
		break;
	case CONFIG_UNSET:
		break;
	}
}

/* ---- the page ---- */

struct line {
	char *text;
	char *comment; /* NULL: none */
};

struct page {
	const struct config *config;
	struct line *lines;
	size_t count;
};

/* The texts then belong to the page. */
static void add_line(struct page *page, char *text, char *comment)
{
	/* Room for twice as many, each time that a power of two is full. */
	if (!(page->count & (page->count - 1)))
		page->lines =
		    mem_resize(page->lines, page->count ? 2 * page->count : 1, sizeof *page->lines);
	page->lines[page->count++] = (struct line){text, comment};
}

static void add_options(struct page *page, enum option_place place,
			const struct config_account *account, int indent);

static void add_option(struct page *page, const struct option *option,
		       const struct config_account *account, int indent)
{
	struct buf text = {0};
	struct config_shown shown;

	config_print_value(option, account ? (const void *)account : page->config, &shown);
	if (shown.shape != CONFIG_UNSET) {
		buf_printf(&text, "%*s%s: ", indent, "", option->name);
		put_value(&text, &shown);
		add_line(page, mem_copy(buf_string(&text)),
			 config_print_origin(page->config, account, option, false));
		buf_free(&text);
	}
	if (option->type == OPTION_SECTION && option->place != OPTION_TOP) {
		add_line(page, mem_printf("%*s%s:", indent, "", option->name), NULL);
		add_options(page, option_inside(option), account, indent + 2);
	}
}

static void add_options(struct page *page, enum option_place place,
			const struct config_account *account, int indent)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].place == place)
			add_option(page, &option_table[i], account, indent);
}

static void add_account(struct page *page, const struct config_account *account)
{
	struct buf name = {0};

	buf_text(&name, "  ");
	put_text(&name, account->name);
	buf_text(&name, ":");
	add_line(page, mem_copy(buf_string(&name)),
		 mem_printf("%s:%u", short_path(page->config, account->file), account->line));
	buf_free(&name);
	add_options(page, OPTION_ACCOUNT, account, 4);
}

/* Columns on the screen; marks that combine are counted, for this is only about beauty. */
static size_t width(const char *text)
{
	size_t columns = 0;

	for (; *text; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

static void put_page(struct buf *out, const struct page *page)
{
	size_t column = 0;

	for (size_t i = 0; i < page->count; i++) {
		size_t wide = page->lines[i].comment ? width(page->lines[i].text) : 0;

		if (wide > column && wide <= COMMENT_MOST)
			column = wide;
	}
	for (size_t i = 0; i < page->count; i++) {
		const struct line *line = &page->lines[i];
		size_t wide = width(line->text);

		buf_text(out, line->text);
		if (line->comment)
			buf_printf(out, "%*s  # %s", wide < column ? (int)(column - wide) : 0, "",
				   line->comment);
		buf_text(out, "\n");
	}
}

void config_print(struct buf *out, const struct config *config,
		  const struct config_account *const *accounts, size_t count)
{
	struct page page = {.config = config};

	add_options(&page, OPTION_TOP, NULL, 0);
	add_line(&page, mem_copy(""), NULL);
	add_line(&page, mem_copy("accounts:"), NULL);
	for (size_t i = 0; i < count; i++)
		add_account(&page, accounts[i]);
	put_page(out, &page);
	for (size_t i = 0; i < page.count; i++) {
		free(page.lines[i].text);
		free(page.lines[i].comment);
	}
	free(page.lines);
}
