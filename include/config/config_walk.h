/*
 * config_walk: what config.c, which knows YAML, does for config_load.c, which knows files.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_WALK_H
#define MAILHAUL_CONFIG_CONFIG_WALK_H

#include "config/config_check.h"

#include <stdbool.h>
#include <stddef.h>

/* One file, as libyaml's tree. */
struct config_tree;

/* A configuration while it is read. */
struct config_loader {
	struct config *config;
	struct config_report *report;
	char *directory, *home; /* what base points to */
	struct config_base base;
	struct config_tree *main;
	struct config_given top[OPTION_COUNT_MAX]; /* indexed like option_table */
	struct config_draft *drafts;
	size_t count;
	bool whole; /* the main file could be read, so that defaults are known */
	bool broke; /* there was too much to read; told once */
	long purse; /* what may still be read, in octets */
};

/* NULL if the file cannot be read (err says so) or is no YAML (told to the report, ERR_NONE). */
struct config_tree *config_tree_open(struct config_loader *loader, const char *path,
				     struct err *err);
void config_tree_close(struct config_tree **tree);

/* The number of its file in the report. */
unsigned config_tree_file(const struct config_tree *tree);

/* Reads loader->main: the options of the top, defaults, accounts. Sets whole if that was possible:
 * an empty file holds nothing, and that is not much, but whole. */
void config_walk_main(struct config_loader *loader);

/* Reads a file that is one account. */
void config_walk_account(struct config_loader *loader, struct config_tree *tree, const char *name);

#endif
