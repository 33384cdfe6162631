/*
 * config_load: the files of a configuration, one after another, and what is to be said of all.
 *
 * accounts.d is looked for beside the file; its accounts take defaults from it. All files are read
 * to their ends before a single mistake is told, so that they can be told in order.
 */
#include "config/config.h"
#include "config/config_check.h"
#include "config/config_files.h"
#include "config/config_home.h"
#include "config/config_report.h"
#include "config/config_walk.h"
#include "config/option_table.h"
#include "util/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PURSE = 16 * 1024 * 1024 };

/* accounts.d/NAME.yaml is one account. */
static void read_account_file(struct config_loader *l, const char *directory, const char *name)
{
	char *path = mem_printf("%s/%s", directory, name);
	char *account = mem_copy_n(name, strlen(name) - strlen(".yaml"));
	struct err err = {.kind = ERR_NONE};
	struct config_tree *tree = config_tree_open(l, path, &err);

	if (tree && config_value_account_name(account, &err)) {
		config_walk_account(l, tree, account);
	} else if (err.kind != ERR_NONE) {
		struct config_mark whole = {
		    tree ? config_tree_file(tree) : config_report_file(l->report, path), 0, 0};

		config_mistake(l->report, whole, "%s", err.words);
	}
	config_tree_close(&tree);
	free(account);
	free(path);
}

static void read_account_files(struct config_loader *l, const char *file)
{
	const char *slash = strrchr(file, '/');
	char *directory = mem_printf("%.*saccounts.d", slash ? (int)(slash + 1 - file) : 0, file);
	struct err err;
	char **names = config_files_names(directory, &err);

	if (!names) {
		unsigned number = config_report_file(l->report, directory);

		config_mistake(l->report, (struct config_mark){number, 0, 0}, "%s", err.words);
	}
	for (size_t i = 0; names && names[i]; i++) {
		const char *dot = strrchr(names[i], '.');

		if (!strcmp(dot, ".yaml")) {
			read_account_file(l, directory, names[i]);
		} else {
			char *path = mem_printf("%s/%s", directory, names[i]);
			struct config_mark whole = {config_report_file(l->report, path), 0, 0};

			config_warning(l->report, whole,
				       "the file is not read, because its name ends in .yml; "
				       "accounts are in NAME.yaml");
			free(path);
		}
	}
	config_files_free_names(names);
	free(directory);
}

/* What can be said once all has been read. */
static void check_all(struct config_loader *l)
{
	struct config_mark whole = {0, 0, 0};
	struct config *config = l->config;

	config_check_top(l->report, config, l->top);
	if (!l->broke)
		config_check_together(l->report, l->drafts, l->count);
	if (!l->count && l->whole)
		config_mistake(l->report, whole,
			       "there is no account; write one under accounts, or in "
			       "accounts.d/NAME.yaml");
	if (config->state_dir || !l->whole)
		return;
	config->state_dir = config_home_state(l->base.directory, l->base.home, config->run_as);
	if (!config->state_dir)
		config_mistake(l->report, whole,
			       "there is no home to remember things in (HOME is not set); give "
			       "state_dir");
}

static void load_files(struct config_loader *l, const char *file)
{
	if (l->main)
		config_walk_main(l);
	read_account_files(l, file);
	check_all(l);
	l->config->accounts = mem_new(l->count, sizeof(struct config_account *));
	l->config->count = (unsigned)l->count;
	for (size_t i = 0; i < l->count; i++)
		l->config->accounts[i] = l->drafts[i].account;
}

static void close_loader(struct config_loader *l)
{
	config_tree_close(&l->main);
	config_report_free(&l->report);
	free(l->drafts);
	free(l->home);
	free(l->directory);
}

static bool begin(struct config_loader *l, const char *file, struct err *err)
{
	struct err failed = {.kind = ERR_NONE};

	l->directory = config_home_of(file);
	if (!l->directory)
		err_sys(&failed, ERR_CONFIG, errno, "cannot read %s", file);
	else
		l->main = config_tree_open(l, file, &failed);
	if (failed.kind != ERR_NONE && failed.sys == ENOENT)
		return err_set(err, ERR_CONFIG,
			       "there is no configuration %s; write ~/.config/mailhaul/config.yaml "
			       "(mailhaul.yaml(5) shows how), or name a file with -c",
			       file);
	if (failed.kind != ERR_NONE)
		return err_set(err, ERR_CONFIG, "%s", failed.words);
	l->home = config_home(NULL);
	l->base = (struct config_base){l->directory, l->home};
	config_top_fallbacks(l->config, &l->base);
	return true;
}

struct config *config_load(const char *file,
			   void (*report)(void *ctx, const struct config_mistake *), void *ctx,
			   struct err *err)
{
	struct config_loader l = {.config = mem_new(1, sizeof(struct config)),
				  .report = config_report_new(),
				  .purse = PURSE};
	unsigned mistakes;

	l.config->file = mem_copy(file);
	l.config->origins = mem_new(option_count, sizeof *l.config->origins);
	if (begin(&l, file, err)) {
		load_files(&l, file);
		mistakes = config_report_tell(l.report, report, ctx);
		if (mistakes) {
			err_set(err, ERR_CONFIG, "%u mistake%s in the configuration %s", mistakes,
				mistakes == 1 ? "" : "s", file);
			config_free(&l.config);
		}
	} else {
		config_free(&l.config);
	}
	close_loader(&l);
	return l.config;
}
