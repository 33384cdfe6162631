/*
 * config: reads YAML: libyaml's document tree, walked along the option table.
 *
 * Each file becomes a tree, and each mapping of it is walked by one function that knows nothing but
 * the table. An account is defaults first, quietly (they are examined once, where they stand), then
 * its own words. What can only be seen of whole accounts is config_check's.
 *
 * A file is at most 1 MB. An alias makes its anchor be walked again, so that all walking is paid
 * for, in octets, from one bounded purse. The walk goes no deeper than options do. Trees, and
 * libyaml's buffers as far as they can be reached, are wiped before they are freed, for passwords
 * may stand there; what libyaml itself has moved and freed while it scanned cannot be.
 */
#include "config/config.h"

#include "config/config_check.h"
#include "config/config_files.h"
#include "config/config_home.h"
#include "config/config_report.h"
#include "config/config_value.h"
#include "config/config_walk.h"
#include "config/option_table.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* What walking any node costs, in octets; a text costs its length besides. */
enum { PRICE = 16, DEPTH_MAX = 64, FEED_MAX = 256 };

/* One file as a tree. */
struct config_tree {
	unsigned file;
	mode_t mode;
	yaml_document_t document;
	yaml_node_t *root;     /* NULL if the file holds nothing */
	yaml_node_t *defaults; /* of the main file; NULL if there are none */
};

/* What a mapping is read into. */
struct target {
	struct config_tree *tree;
	enum option_place place;
	const char *where;	    /* for people: "account "work"" */
	void *fields;		    /* struct config or struct config_account */
	struct config_draft *draft; /* NULL for OPTION_TOP */
	bool own;		    /* not from defaults */
	bool quiet;		    /* tells no mistakes */
};

/* ---- small things ---- */

static struct config_mark mark_of(const struct config_tree *tree, yaml_mark_t mark)
{
	return (struct config_mark){tree->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static struct config_mark place_of(const struct config_tree *tree, const yaml_node_t *node)
{
	return mark_of(tree, node->start_mark);
}

static const char *text_of(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

static void complain(struct config_loader *l, const struct target *t, const yaml_node_t *node,
		     const char *words)
{
	if (!t->quiet)
		config_mistake(l->report, place_of(t->tree, node), "%s", words);
}

/* Pays for walking a node. False once the purse is empty; said once. */
static bool pay(struct config_loader *l, const struct config_tree *tree, const yaml_node_t *node)
{
	l->purse -= PRICE;
	if (node->type == YAML_SCALAR_NODE)
		l->purse -= (long)node->data.scalar.length;
	if (l->purse > 0)
		return true;
	if (!l->broke)
		config_mistake(l->report, place_of(tree, node),
			       "the configuration grows too large here, with its aliases and "
			       "defaults filled in");
	l->broke = true;
	l->whole = false;
	return false;
}

/* A plain scalar that YAML reads as "nothing". */
static bool is_nothing(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!text_of(node)[0] || !strcmp(text_of(node), "~") ||
		str_same(text_of(node), "null"));
}

static const char *type_name(const yaml_node_t *node)
{
	if (is_nothing(node))
		return "nothing";
	return node->type == YAML_MAPPING_NODE	  ? "a mapping"
	       : node->type == YAML_SEQUENCE_NODE ? "a list"
						  : "a single value";
}

static bool is_word(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE && strlen(text_of(node)) == node->data.scalar.length;
}

/* libyaml gives every node a tag; one that the file itself wrote would be lost on us. */
static bool check_tag(struct config_loader *l, const struct target *t, const yaml_node_t *node)
{
	const char *tag = (const char *)node->tag;

	if (!tag || !strcmp(tag, YAML_STR_TAG) || !strcmp(tag, YAML_SEQ_TAG) ||
	    !strcmp(tag, YAML_MAP_TAG))
		return true;
	if (!t->quiet)
		config_mistake(l->report, place_of(t->tree, node),
			       "the tag \"%.80s\" means nothing here; %s", tag,
			       *tag == '!' ? "a value that begins with ! must stand in quotes"
					   : "leave it out");
	return false;
}

/* ---- pairs of a mapping ---- */

struct pair {
	const yaml_node_t *key, *value;
};

static int by_key(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = strcmp(text_of(x->key), text_of(y->key));

	/* Of equal keys the one that stands first comes first. */
	if (!order && x->key->start_mark.index != y->key->start_mark.index)
		order = x->key->start_mark.index < y->key->start_mark.index ? -1 : 1;
	return order;
}

static int by_place(const void *a, const void *b)
{
	size_t x = ((const struct pair *)a)->key->start_mark.index;
	size_t y = ((const struct pair *)b)->key->start_mark.index;

	return (x > y) - (x < y);
}

/* Drops repeated keys from sorted pairs; how many remain. */
static size_t drop_repeated(struct config_loader *l, const struct target *t, struct pair *pairs,
			    size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *first = kept ? pairs[kept - 1].key : NULL;

		if (!first || strcmp(text_of(first), text_of(pairs[i].key)) != 0) {
			pairs[kept++] = pairs[i];
			continue;
		}
		if (!t->quiet)
			config_mistake(l->report, place_of(t->tree, pairs[i].key),
				       "the key \"%.80s\" stands twice in %s; it stands first in "
				       "line %u",
				       text_of(first), t->where,
				       (unsigned)first->start_mark.line + 1);
	}
	return kept;
}

/* The pairs of a mapping in the order in which they stand, their keys words and none twice. */
static struct pair *pairs_of(struct config_loader *l, const struct target *t,
			     const yaml_node_t *node, size_t *count_r)
{
	const yaml_node_pair_t *at = node->data.mapping.pairs.start;
	size_t most = (size_t)(node->data.mapping.pairs.top - at);
	struct pair *pairs = mem_new(most, sizeof *pairs);
	size_t count = 0;

	for (; at < node->data.mapping.pairs.top; at++) {
		const yaml_node_t *key = yaml_document_get_node(&t->tree->document, at->key);

		if (!pay(l, t->tree, key))
			break;
		if (!is_word(key))
			complain(l, t, key, "a key must be a word");
		else
			pairs[count++] = (struct pair){
			    key, yaml_document_get_node(&t->tree->document, at->value)};
	}
	if (count) {
		qsort(pairs, count, sizeof *pairs, by_key);
		count = drop_repeated(l, t, pairs, count);
		qsort(pairs, count, sizeof *pairs, by_place);
	}
	*count_r = count;
	return pairs;
}

/* ---- unknown keys ---- */

static void unknown_key(struct config_loader *l, const struct target *t, const yaml_node_t *key)
{
	const char *name = text_of(key);
	const char *hint = option_belongs(t->place, name);
	const char *nearest = option_nearest(t->place, name);
	struct config_mark at = place_of(t->tree, key);

	if (t->quiet)
		return;
	if (!strcmp(name, "<<"))
		config_mistake(l->report, at,
			       "merge keys (<<) are not known; write what accounts have in common "
			       "under defaults");
	else if (hint)
		config_mistake(l->report, at, "unknown key \"%.80s\" in %s; %s", name, t->where,
			       hint);
	else if (nearest)
		config_mistake(l->report, at, "unknown key \"%.80s\" in %s; did you mean \"%s\"?",
			       name, t->where, nearest);
	else
		config_mistake(l->report, at, "unknown key \"%.80s\" in %s", name, t->where);
}

/* ---- values ---- */

/* Notes that an option was given, before its value is looked at: a bad one is not missing. */
static void note_given(struct config_loader *l, const struct target *t, const struct option *option,
		       const yaml_node_t *key)
{
	struct config_mark at = place_of(t->tree, key);

	if (option->type == OPTION_SECRET && (t->tree->mode & (S_IRWXG | S_IRWXO)) && !t->quiet)
		config_mistake(l->report, at,
			       "a password stands here, and others may read the file; run: chmod "
			       "600 %s",
			       config_report_path(l->report, t->tree->file));
	if (!t->draft) {
		l->top[option - option_table] = (struct config_given){.at = at, .own = true};
		l->config->origins[option - option_table] = (struct config_origin){at.line, true};
		return;
	}
	if (t->own)
		config_check_give_way(t->draft, option);
	t->draft->given[option - option_table] = (struct config_given){.at = at, .own = t->own};
}

static void read_scalar(struct config_loader *l, const struct target *t,
			const struct option *option, const yaml_node_t *node)
{
	struct err err;
	const char *text = text_of(node);

	if (!pay(l, t->tree, node) || !check_tag(l, t, node))
		return;
	/* A lone ~ is "nothing" to YAML, but as a path it is the home. */
	if (is_nothing(node) &&
	    !(text[0] == '~' && (option->type == OPTION_PATH || option->type == OPTION_MAILDIR))) {
		err_set(&err, ERR_CONFIG, "%s has no value", option->name);
		complain(l, t, node, err.words);
		return;
	}
	if ((option->type == OPTION_BOOL ||
	     (option->type == OPTION_KEEP && !strpbrk(text, "0123456789"))) &&
	    node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		err_set(&err, ERR_CONFIG, "%s must be true or false%s, without quotes",
			option->name, option->type == OPTION_KEEP ? ", or a duration" : "");
	else if (config_value_text(option, text, node->data.scalar.length, false, &err) &&
		 config_value_set(option, t->fields, text, &l->base, &err))
		return;
	complain(l, t, node, err.words);
}

/* One item of a list; NULL if it is mistaken. items (NULL at the end) are those before it. */
static char *read_item(struct config_loader *l, const struct target *t, const struct option *option,
		       const yaml_node_t *node, size_t place, char *const *items)
{
	struct err err;
	bool empty_too = place > 0 && config_value_is_argv(option);
	char *item = NULL;

	if (!pay(l, t->tree, node) || !check_tag(l, t, node))
		return NULL;
	if (node->type != YAML_SCALAR_NODE)
		err_set(&err, ERR_CONFIG, "%s must be a list of strings; here stands %s",
			option->name, type_name(node));
	else if (is_nothing(node))
		err_set(&err, ERR_CONFIG, "%s: an item of the list is empty", option->name);
	else if (config_value_text(option, text_of(node), node->data.scalar.length, empty_too,
				   &err))
		item = config_value_item(option, text_of(node), place, &err);
	for (size_t i = 0; item && option->type == OPTION_MAILBOXES && items[i]; i++) {
		if (strcmp(items[i], item) != 0)
			continue;
		err_set(&err, ERR_CONFIG, "mailboxes: \"%.80s\" stands twice", item);
		free(item);
		item = NULL;
	}
	if (!item)
		complain(l, t, node, err.words);
	return item;
}

static void read_items(struct config_loader *l, const struct target *t, const struct option *option,
		       const yaml_node_t *node)
{
	const yaml_node_item_t *at = node->data.sequence.items.start;
	size_t most = (size_t)(node->data.sequence.items.top - at);
	char **items;
	size_t count = 0;

	if (!most || most > CONFIG_ITEMS_MAX) {
		struct err err;

		err_set(&err, ERR_CONFIG, "%s: the list is %s", option->name,
			most ? "too long" : "empty");
		complain(l, t, node, err.words);
		return;
	}
	items = mem_new(most + 1, sizeof *items);
	for (size_t i = 0; i < most; i++) {
		items[count] = read_item(
		    l, t, option, yaml_document_get_node(&t->tree->document, at[i]), i, items);
		if (items[count])
			count++;
	}
	config_value_set_list(option, t->fields, items);
}

/* A list option, whose node is a list, or one string where that will do. */
static void read_list(struct config_loader *l, const struct target *t, const struct option *option,
		      const yaml_node_t *node)
{
	struct err err;

	if (!check_tag(l, t, node))
		return;
	if (node->type == YAML_SEQUENCE_NODE) {
		if (pay(l, t->tree, node))
			read_items(l, t, option, node);
		return;
	}
	if (node->type == YAML_SCALAR_NODE && !is_nothing(node) &&
	    config_value_one_will_do(option)) {
		char **items = mem_new(2, sizeof *items);

		items[0] = read_item(l, t, option, node, 0, items);
		config_value_set_list(option, t->fields, items);
		return;
	}
	if (config_value_one_will_do(option))
		err_set(&err, ERR_CONFIG, "%s must be a list of strings, not %s", option->name,
			type_name(node));
	else
		err_set(&err, ERR_CONFIG,
			"%s must be a list, the program and its arguments: [program, argument]; "
			"there is no shell that would split a line",
			option->name);
	complain(l, t, node, err.words);
}

static void read_section(struct config_loader *l, const struct target *t,
			 const struct option *option, const yaml_node_t *key,
			 const yaml_node_t *node);

static void read_option(struct config_loader *l, const struct target *t,
			const struct option *option, const yaml_node_t *key,
			const yaml_node_t *node)
{
	struct err err;

	if (option->type == OPTION_SECTION) {
		read_section(l, t, option, key, node);
		return;
	}
	note_given(l, t, option, key);
	if (config_value_is_list(option)) {
		read_list(l, t, option, node);
	} else if (node->type == YAML_SCALAR_NODE) {
		read_scalar(l, t, option, node);
	} else {
		err_set(&err, ERR_CONFIG, "%s must be a single value, not %s", option->name,
			type_name(node));
		complain(l, t, node, err.words);
	}
}

static void read_mapping(struct config_loader *l, const struct target *t, const yaml_node_t *node)
{
	size_t count = 0;
	struct pair *pairs;

	if (!pay(l, t->tree, node) || !check_tag(l, t, node))
		return;
	pairs = pairs_of(l, t, node, &count);
	for (size_t i = 0; i < count; i++) {
		const struct option *option = option_find(t->place, text_of(pairs[i].key));

		if (option)
			read_option(l, t, option, pairs[i].key, pairs[i].value);
		else
			unknown_key(l, t, pairs[i].key);
	}
	free(pairs);
}

/* tls and deliver. The sections of the top are read by read_top(), which knows their order. */
static void read_section(struct config_loader *l, const struct target *t,
			 const struct option *option, const yaml_node_t *key,
			 const yaml_node_t *node)
{
	struct target inner = *t;
	bool tls = option_inside(option) == OPTION_TLS;
	struct err err;

	if (t->place == OPTION_TOP)
		return;
	inner.place = option_inside(option);
	inner.where = option->name;
	if (node->type == YAML_MAPPING_NODE) {
		read_mapping(l, &inner, node);
	} else if (tls && node->type == YAML_SCALAR_NODE && !is_nothing(node)) {
		read_option(l, &inner, option_find(OPTION_TLS, "mode"), key, node);
	} else {
		err_set(&err, ERR_CONFIG,
			tls ? "%s must be starttls, implicit, or a mapping, not %s"
			    : "%s must be a mapping with maildir or mda, not %s",
			option->name, type_name(node));
		complain(l, t, node, err.words);
	}
}

/* ---- one file ---- */

static void wipe_document(yaml_document_t *document)
{
	for (yaml_node_t *node = document->nodes.start; node < document->nodes.top; node++)
		if (node->type == YAML_SCALAR_NODE)
			mem_wipe(node->data.scalar.value, node->data.scalar.length);
	yaml_document_delete(document);
}

/* Octets on their way into libyaml. */
struct feed {
	yaml_parser_t parser;
	const struct buf *bytes;
	size_t given;
	bool deep; /* nested too deep */
};

/* What libyaml says, of the problem or of what it was about, is put as people would put it. */
static const char *plainly(const char *problem, const char *about)
{
	static const char *const words[][2] = {
	    {"found character that cannot start any token",
	     "no value begins with this character, unless it stands in quotes"},
	    {"did not find expected key",
	     "here a key was expected; is this line, or one before it, indented as its neighbours "
	     "are?"},
	    {"while scanning an alias", "a value that begins with * must stand in quotes"},
	    {"found undefined alias",
	     "no anchor has the name of this alias; a value that begins with * must stand in "
	     "quotes"},
	    {"while scanning an anchor", "a value that begins with & must stand in quotes"},
	    {"while scanning a tag", "a value that begins with ! must stand in quotes"},
	    {"found undefined tag handle", "a value that begins with ! must stand in quotes"},
	    {"found unknown escape character",
	     "within double quotes \\ begins an escape: write \\\\ there, or take single quotes"},
	};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(words[i][0], problem) || (about && !strcmp(words[i][0], about)))
			return words[i][1];
	return NULL;
}

static void syntax_mistake(struct config_loader *l, const struct config_tree *tree,
			   const struct feed *f)
{
	const yaml_parser_t *parser = &f->parser;
	struct config_mark at = mark_of(tree, parser->problem_mark);
	const char *problem = parser->problem ? parser->problem : "it cannot be read";

	if (f->deep) {
		config_mistake(l->report, mark_of(tree, parser->mark),
			       "nested too deep: no option needs that");
	} else if (parser->error == YAML_READER_ERROR) {
		/* Of octets that are not text libyaml tells the offset alone. */
		config_files_place(f->bytes, parser->problem_offset, &at.line, &at.column);
		config_mistake(l->report, at, "not UTF-8 text: %s", problem);
	} else if (config_files_tab_indents(f->bytes, at.line)) {
		config_mistake(l->report, at, "not YAML: a tab indents this line; use spaces");
	} else if (plainly(problem, parser->context)) {
		config_mistake(l->report, at, "not YAML: %s", plainly(problem, parser->context));
	} else if (parser->context) {
		config_mistake(l->report, at, "not YAML: %s, %s that begins in line %u", problem,
			       parser->context, (unsigned)parser->context_mark.line + 1);
	} else {
		config_mistake(l->report, at, "not YAML: %s", problem);
	}
}

/* A file is one document. */
static bool check_end(struct config_loader *l, const struct config_tree *tree, struct feed *f)
{
	yaml_document_t second;
	const yaml_node_t *root;

	if (!tree->root)
		return true;
	if (!yaml_parser_load(&f->parser, &second)) {
		syntax_mistake(l, tree, f);
		return false;
	}
	root = yaml_document_get_root_node(&second);
	if (root)
		config_mistake(l->report, mark_of(tree, second.start_mark),
			       "a second document begins here; a file holds one");
	wipe_document(&second);
	return true;
}

/*
 * Gives libyaml its octets a few at a time, to look each time how deep it is nested: its time grows
 * with the square of the depth.
 */
static int feed(void *ctx, unsigned char *buffer, size_t size, size_t *size_r)
{
	struct feed *f = ctx;
	size_t left = f->bytes->len - f->given;

	f->deep = f->parser.flow_level > DEPTH_MAX ||
		  f->parser.indents.top - f->parser.indents.start > DEPTH_MAX;
	if (f->deep)
		return 0;
	if (size > FEED_MAX)
		size = FEED_MAX;
	*size_r = left < size ? left : size;
	if (*size_r)
		memcpy(buffer, f->bytes->data + f->given, *size_r);
	f->given += *size_r;
	return 1;
}

/* Makes a tree of octets; tells what is wrong with their YAML. */
static bool parse(struct config_loader *l, struct config_tree *tree, const struct buf *bytes)
{
	struct feed f = {.bytes = bytes};
	bool loaded, ok;

	if (!yaml_parser_initialize(&f.parser)) {
		config_mistake(l->report, (struct config_mark){tree->file, 0, 0}, "out of memory");
		return false;
	}
	yaml_parser_set_encoding(&f.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input(&f.parser, feed, &f);
	loaded = yaml_parser_load(&f.parser, &tree->document);
	if (loaded)
		tree->root = yaml_document_get_root_node(&tree->document);
	else
		syntax_mistake(l, tree, &f);
	ok = loaded && check_end(l, tree, &f);
	mem_wipe(f.parser.raw_buffer.start,
		 (size_t)(f.parser.raw_buffer.end - f.parser.raw_buffer.start));
	mem_wipe(f.parser.buffer.start, (size_t)(f.parser.buffer.end - f.parser.buffer.start));
	yaml_parser_delete(&f.parser);
	if (loaded && !ok)
		wipe_document(&tree->document);
	return ok;
}

struct config_tree *config_tree_open(struct config_loader *l, const char *path, struct err *err)
{
	struct config_tree *tree = mem_new(1, sizeof *tree);
	struct buf bytes = {0};
	bool read = config_files_read(path, &bytes, &tree->mode, err);

	if (read) {
		err_clear(err);
		tree->file = config_report_file(l->report, path);
	}
	if (!read || !parse(l, tree, &bytes)) {
		free(tree);
		tree = NULL;
	}
	buf_wipe(&bytes);
	return tree;
}

void config_tree_close(struct config_tree **tree)
{
	if (!*tree)
		return;
	wipe_document(&(*tree)->document);
	free(*tree);
	*tree = NULL;
}

unsigned config_tree_file(const struct config_tree *tree)
{
	return tree->file;
}

/* True if the root is a mapping. Nothing at all is left to the caller to judge. */
static bool check_root(struct config_loader *l, struct config_tree *tree, const char *want)
{
	if (!tree->root)
		return false;
	if (is_nothing(tree->root)) {
		tree->root = NULL;
		return false;
	}
	if (tree->root->type == YAML_MAPPING_NODE)
		return true;
	config_mistake(l->report, place_of(tree, tree->root), "here must stand %s, not %s", want,
		       type_name(tree->root));
	return false;
}

/* ---- accounts ---- */

/* An account: the table's defaults, the file's defaults, its own words. */
static void read_account(struct config_loader *l, struct config_tree *tree, const char *name,
			 struct config_mark at, const yaml_node_t *node)
{
	struct config_draft draft = config_draft_new(l->report, name, at, &l->base);
	char *where = mem_printf("account \"%s\"", name);
	struct target target = {.tree = l->main,
				.place = OPTION_ACCOUNT,
				.where = where,
				.fields = draft.account,
				.draft = &draft,
				.quiet = true};

	if (l->main && l->main->defaults)
		read_mapping(l, &target, l->main->defaults);
	target.tree = tree;
	target.own = true;
	target.quiet = false;
	if (node->type == YAML_MAPPING_NODE)
		read_mapping(l, &target, node);
	else if (is_nothing(node))
		config_mistake(l->report, at, "account \"%s\" holds nothing", name);
	else
		config_mistake(l->report, place_of(tree, node),
			       "account \"%s\" must be a mapping, not %s", name, type_name(node));
	config_check_draft(l->report, &draft, l->whole && node->type == YAML_MAPPING_NODE);
	free(where);
	/* Room for twice as many, each time that a power of two is full. */
	if (!(l->count & (l->count - 1)))
		l->drafts = mem_resize(l->drafts, l->count ? 2 * l->count : 1, sizeof *l->drafts);
	l->drafts[l->count++] = draft;
}

/* Defaults are examined as an account would be, into one that is thrown away. */
static void read_defaults(struct config_loader *l, yaml_node_t *node)
{
	struct config_draft draft;
	struct target target = {.tree = l->main,
				.place = OPTION_ACCOUNT,
				.where = "defaults",
				.draft = &draft,
				.own = false};

	if (is_nothing(node))
		return;
	if (node->type != YAML_MAPPING_NODE) {
		config_mistake(l->report, place_of(l->main, node),
			       "defaults must be a mapping of account options, not %s",
			       type_name(node));
		return;
	}
	draft = config_draft_new(l->report, "defaults", place_of(l->main, node), &l->base);
	target.fields = draft.account;
	read_mapping(l, &target, node);
	config_check_draft(l->report, &draft, false);
	config_account_free(&draft.account);
	l->main->defaults = node;
}

static void read_accounts(struct config_loader *l, const struct target *top,
			  const yaml_node_t *node)
{
	struct target target = *top;
	struct pair *pairs;
	size_t count = 0;

	target.where = "accounts";
	if (is_nothing(node) || !pay(l, l->main, node) || !check_tag(l, &target, node))
		return;
	if (node->type != YAML_MAPPING_NODE) {
		config_mistake(l->report, place_of(l->main, node),
			       "accounts must be a mapping of names to accounts, not %s",
			       type_name(node));
		return;
	}
	pairs = pairs_of(l, &target, node, &count);
	for (size_t i = 0; i < count && !l->broke; i++) {
		struct config_mark at = place_of(l->main, pairs[i].key);
		struct err err;

		if (config_value_account_name(text_of(pairs[i].key), &err))
			read_account(l, l->main, text_of(pairs[i].key), at, pairs[i].value);
		else
			config_mistake(l->report, at, "%s", err.words);
	}
	free(pairs);
}

/* The value of a key, or NULL. Of repeated keys, which are a mistake, any will do. */
static yaml_node_t *look_up(struct config_tree *tree, const char *name)
{
	const yaml_node_pair_t *at = tree->root->data.mapping.pairs.start;

	for (; at < tree->root->data.mapping.pairs.top; at++) {
		const yaml_node_t *key = yaml_document_get_node(&tree->document, at->key);

		if (is_word(key) && !strcmp(text_of(key), name))
			return yaml_document_get_node(&tree->document, at->value);
	}
	return NULL;
}

/* What paths need comes first, then the top's own options, then defaults, then accounts. */
void config_walk_main(struct config_loader *l)
{
	struct target target = {.tree = l->main,
				.place = OPTION_TOP,
				.where = "the configuration",
				.fields = l->config,
				.own = true};
	yaml_node_t *node;

	l->whole = check_root(l, l->main, "a mapping with accounts");
	if (!l->whole) {
		l->whole = !l->main->root;
		return;
	}
	node = look_up(l->main, "run_as");
	free(l->home);
	l->home = config_home(node && is_word(node) ? text_of(node) : NULL);
	l->base.home = l->home;
	read_mapping(l, &target, l->main->root);
	if ((node = look_up(l->main, "defaults")))
		read_defaults(l, node);
	if ((node = look_up(l->main, "accounts")))
		read_accounts(l, &target, node);
}

void config_walk_account(struct config_loader *l, struct config_tree *tree, const char *name)
{
	struct config_mark whole = {tree->file, 0, 0};

	if (check_root(l, tree, "a mapping, the options of one account"))
		read_account(l, tree, name, place_of(tree, tree->root), tree->root);
	else if (!tree->root)
		config_mistake(l->report, whole, "the file holds nothing");
}
