/*
 * write_options: what is generated from the option table: config/mailhaul.schema.json, a JSON
 * Schema (draft 2020-12) for editors, and the list of keys in man/mailhaul.yaml.5, between its two
 * marks.
 *
 * write_options writes both; write_options --check writes nothing, and fails where a file is not
 * what it would write. To be run in the project's directory.
 *
 * One switch over the option's type says what a schema and what a person has to know of it; a type
 * that it lacks is a warning of the compiler.
 */
#include "config/config_value.h"
#include "config/option_table.h"
#include "util/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA	   "config/mailhaul.schema.json"
#define PAGE	   "man/mailhaul.yaml.5"
#define BEGIN_MARK ".\\\" begin generated: \"make options\" writes it from the option table\n"
#define END_MARK   ".\\\" end generated\n"

/* ---- types ---- */

static void set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text));
}

static void set_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

static json_t *reference(const char *name)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/$defs/%s", name));
}

/* A list of words, for a schema; in upper case, too, where case counts nothing. */
static json_t *enumeration(const char *words, bool any_case)
{
	json_t *all = json_array();

	for (int upper = 0; upper <= any_case; upper++) {
		for (const char *at = words; *at;) {
			size_t len = strcspn(at, " ");
			char word[40];

			snprintf(word, sizeof word, "%.*s", (int)len, at);
			for (char *c = word; upper && *c; c++)
				if (*c >= 'a' && *c <= 'z')
					*c = (char)(*c - ('a' - 'A'));
			json_array_append_new(all, json_string(word));
			at += len + strspn(at + len, " ");
		}
	}
	return all;
}

static void tell_choice(const struct option *option, json_t *schema, struct buf *words)
{
	size_t left = 1;

	for (const char *c = option->choices; *c; c++)
		left += *c == ' ';
	if (left > 2)
		buf_text(words, "one of ");
	for (const char *at = option->choices; *at; left--) {
		size_t len = strcspn(at, " ");

		buf_append(words, at, len);
		buf_text(words, left > 2 ? ", " : left == 2 ? " or " : "");
		at += len + strspn(at + len, " ");
	}
	json_object_set_new(schema, "enum",
			    enumeration(option->choices, option->type == OPTION_MECHANISM));
}

static void tell_number(const struct option *option, json_t *schema, struct buf *words)
{
	set_text(schema, "type", "integer");
	set_number(schema, "minimum", option->least);
	set_number(schema, "maximum", option->most);
	buf_printf(words, "number from %llu to %llu", (unsigned long long)option->least,
		   (unsigned long long)option->most);
}

static void tell_duration(const struct option *option, json_t *schema, struct buf *words)
{
	set_text(schema, "type", "string");
	set_text(schema, "pattern", "^[0-9]+[smhd]$");
	buf_text(words, "duration from ");
	config_value_duration(words, option->least);
	buf_text(words, " to ");
	config_value_duration(words, option->most);
}

static void tell_keep(const struct option *option, json_t *schema, struct buf *words)
{
	json_t *time = json_object();

	buf_text(words, "true, false, or ");
	tell_duration(option, time, words);
	json_object_set_new(schema, "anyOf", json_pack("[{s:s}, o]", "type", "boolean", time));
}

static void tell_size(const struct option *option, json_t *schema, struct buf *words)
{
	json_t *number = json_pack("{s:s}", "type", "integer");

	set_number(number, "minimum", option->least);
	set_number(number, "maximum", option->most);
	json_object_set_new(
	    schema, "anyOf",
	    json_pack("[o, {s:s, s:s}]", number, "type", "string", "pattern", "^[0-9]+[KMG]?$"));
	buf_printf(words, "size, at least %lluK", (unsigned long long)(option->least / 1024));
}

static void tell_text(json_t *schema, struct buf *words, const char *what)
{
	set_text(schema, "type", "string");
	set_number(schema, "minLength", 1);
	buf_text(words, what);
}

/* pattern: of each item; NULL: any. */
static void tell_list(const struct option *option, json_t *schema, const char *pattern)
{
	json_t *item = json_pack("{s:s}", "type", "string");
	json_t *list = json_pack("{s:s, s:o, s:i}", "type", "array", "items", item, "minItems", 1);

	if (pattern)
		set_text(item, "pattern", pattern);
	if (config_value_one_will_do(option)) {
		json_object_set_new(schema, "anyOf", json_pack("[O, o]", item, list));
	} else {
		json_object_update(schema, list);
		json_decref(list);
	}
}

static void tell_section(const struct option *option, json_t *schema, struct buf *words)
{
	if (!strcmp(option->name, "accounts")) {
		json_object_update_new(schema,
				       json_pack("{s:[s, s], s:{s:s}, s:o}", "type", "object",
						 "null", "propertyNames", "pattern",
						 "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$",
						 "additionalProperties", reference("account")));
		buf_text(words, "mapping");
	} else if (!strcmp(option->name, "defaults")) {
		json_object_set_new(schema, "anyOf",
				    json_pack("[o, {s:s}]", reference("account"), "type", "null"));
		buf_text(words, "mapping");
	} else if (option_inside(option) == OPTION_TLS) {
		json_object_set_new(
		    schema, "anyOf",
		    json_pack("[{s:o}, o]", "enum",
			      enumeration(option_find(OPTION_TLS, "mode")->choices, false),
			      reference("tls")));
		buf_text(words, "word or mapping");
	} else {
		json_object_update_new(schema, reference("deliver"));
		buf_text(words, "mapping");
	}
}

/* What an option's values are, for a schema and in words. */
static void tell_type(const struct option *option, json_t *schema, struct buf *words)
{
	switch (option->type) {
	case OPTION_SECTION:
		tell_section(option, schema, words);
		break;
	case OPTION_STRING:
	case OPTION_SECRET:
		tell_text(schema, words, "text");
		break;
	case OPTION_HOST:
		tell_text(schema, words, "name or address");
		break;
	case OPTION_PATH:
	case OPTION_MAILDIR:
	case OPTION_SECRET_FILE:
		tell_text(schema, words, "path");
		break;
	case OPTION_CHOICE:
	case OPTION_SWITCH:
	case OPTION_MECHANISM:
		tell_choice(option, schema, words);
		break;
	case OPTION_BOOL:
		set_text(schema, "type", "boolean");
		buf_text(words, "true or false");
		break;
	case OPTION_KEEP:
		tell_keep(option, schema, words);
		break;
	case OPTION_SIZE:
		tell_size(option, schema, words);
		break;
	case OPTION_NUMBER:
	case OPTION_PORT:
		tell_number(option, schema, words);
		break;
	case OPTION_DURATION:
		tell_duration(option, schema, words);
		break;
	case OPTION_MAILBOXES:
		tell_list(option, schema, NULL);
		buf_text(words, "list of names");
		break;
	case OPTION_PINS:
		tell_list(option, schema, "^[A-Za-z0-9+/]{43}=$");
		buf_text(words, "list of keys");
		break;
	case OPTION_SECRET_NAME:
		tell_text(schema, words, "name");
		break;
	case OPTION_SECRET_NETRC:
		json_object_set_new(schema, "enum", json_pack("[b]", 1));
		buf_text(words, "true");
		break;
	case OPTION_ARGV:
	case OPTION_COMMAND:
	case OPTION_SECRET_COMMAND:
	case OPTION_SECRET_TOKEN:
		tell_list(option, schema, NULL);
		buf_text(words, "list of arguments");
		break;
	case OPTION_TYPES:
		break;
	}
}

/* ---- the schema ---- */

/* The default is a text in the table, and in the schema what its type says. */
static json_t *fallback_value(const struct option *option, const json_t *schema)
{
	const char *type = json_string_value(json_object_get(schema, "type"));

	if (config_value_is_list(option))
		return json_pack("[s]", option->fallback);
	if (option->type == OPTION_KEEP)
		return json_boolean(!strcmp(option->fallback, "true"));
	if (type && !strcmp(type, "integer"))
		return json_integer(strtoll(option->fallback, NULL, 10));
	if (type && !strcmp(type, "boolean"))
		return json_boolean(!strcmp(option->fallback, "true"));
	return json_string(option->fallback);
}

static json_t *option_schema(const struct option *option)
{
	json_t *schema = json_object();
	struct buf words = {0};

	tell_type(option, schema, &words);
	if (option->fallback)
		json_object_set_new(schema, "default", fallback_value(option, schema));
	json_object_set_new(schema, "description",
			    json_sprintf("%s (%s)", option->help, buf_string(&words)));
	buf_free(&words);
	return schema;
}

/* A mapping that takes the options of a place, and nothing else. */
static json_t *place_schema(enum option_place place)
{
	json_t *properties = json_object();

	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].place == place)
			json_object_set_new(properties, option_table[i].name,
					    option_schema(&option_table[i]));
	return json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0,
			 "properties", properties);
}

static void write_schema(struct buf *out)
{
	json_t *schema = json_object();
	char *text;

	set_text(schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
	set_text(schema, "title", "mailhaul.yaml");
	set_text(
	    schema, "description",
	    "The configuration of mailhaul. A file in accounts.d is #/$defs/account. \"mailhaul "
	    "check\" knows more: what is missing, what contradicts, and what is dangerous.");
	json_object_update_new(schema, place_schema(OPTION_TOP));
	json_object_set_new(schema, "$defs",
			    json_pack("{s:o, s:o, s:o}", "account", place_schema(OPTION_ACCOUNT),
				      "tls", place_schema(OPTION_TLS), "deliver",
				      place_schema(OPTION_DELIVER)));
	text = json_dumps(schema, JSON_INDENT(2));
	buf_printf(out, "%s\n", text);
	free(text);
	json_decref(schema);
}

/* ---- the page ---- */

static void write_row(struct buf *out, const struct option *option)
{
	json_t *schema = json_object();
	struct buf words = {0};

	tell_type(option, schema, &words);
	buf_printf(out, ".It Cm %s\n%s\n(%s%s%s)\n", option->name, option->help, buf_string(&words),
		   option->fallback ? "; default " : "", option->fallback ? option->fallback : "");
	buf_free(&words);
	json_decref(schema);
}

static void write_place(struct buf *out, enum option_place place, const char *heading)
{
	const char *longest = "";

	for (size_t i = 0; i < option_count; i++)
		if (strlen(option_table[i].name) > strlen(longest))
			longest = option_table[i].name;
	buf_printf(out, ".Pp\n%s\n.Pp\n.Bl -tag -width \"%s\" -compact -offset 2n\n", heading,
		   longest);
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].place == place)
			write_row(out, &option_table[i]);
	buf_text(out, ".El\n");
}

static void write_keys(struct buf *out)
{
	write_place(out, OPTION_TOP, "At the top of the file:");
	write_place(out, OPTION_ACCOUNT, "In an account, or under\n.Cm defaults :");
	write_place(out, OPTION_TLS, "In an account, under\n.Cm tls :");
	write_place(out, OPTION_DELIVER, "In an account, under\n.Cm deliver :");
}

/* ---- files ---- */

/* False, and said, if it cannot be read. A file that is missing is empty. */
static bool read_file(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "r");
	size_t got;

	if (!file)
		return true;
	while ((got = fread(buf_reserve(out, 65536), 1, 65536, file)))
		buf_grow(out, got);
	if (!fclose(file))
		return true;
	perror(path);
	return false;
}

static bool write_file(const char *path, const struct buf *bytes)
{
	FILE *file = fopen(path, "w");
	bool ok = file && fwrite(bytes->data, 1, bytes->len, file) == bytes->len;

	if (file && fclose(file))
		ok = false;
	if (!ok)
		perror(path);
	return ok;
}

/* The file at path shall hold this: writes it, or with check looks whether it does. */
static bool settle(const char *path, struct buf *want, bool check)
{
	struct buf have = {0};
	bool same = read_file(path, &have) && !strcmp(buf_string(&have), buf_string(want));

	buf_free(&have);
	if (check && !same)
		printf("FAILED %s is not what the option table says; run: make options\n", path);
	return same || (!check && write_file(path, want));
}

/* The page as it stands, with what is between the marks made anew. */
static bool page_with_keys(struct buf *out)
{
	struct buf page = {0};
	char *begin, *end;

	if (!read_file(PAGE, &page))
		return false;
	begin = strstr(buf_string(&page), BEGIN_MARK);
	end = begin ? strstr(begin, END_MARK) : NULL;
	if (end) {
		buf_append(out, page.data, (size_t)(begin - (char *)page.data));
		buf_text(out, BEGIN_MARK);
		write_keys(out);
		buf_text(out, end);
	} else {
		printf("FAILED %s lacks the marks between which its keys stand\n", PAGE);
	}
	buf_free(&page);
	return end != NULL;
}

int main(int argc, char **argv)
{
	bool check = argc == 2 && !strcmp(argv[1], "--check");
	struct buf schema = {0}, page = {0};
	bool schema_good, page_good;

	if (argc > 1 && !check) {
		fputs("usage: write_options [--check]\n", stderr);
		return EXIT_FAILURE;
	}
	write_schema(&schema);
	schema_good = settle(SCHEMA, &schema, check);
	page_good = page_with_keys(&page) && settle(PAGE, &page, check);
	buf_free(&schema);
	buf_free(&page);
	printf("%d passed, %d failed\n", schema_good + page_good, !schema_good + !page_good);
	return schema_good && page_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
