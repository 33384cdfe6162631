/*
 * option_table: every option there is, one row each: where it may stand, its type, range, default
 * and a line of help. It feeds the loader, its error messages, and the manual page's table.
 */
#ifndef MAILHAUL_CONFIG_OPTION_TABLE_H
#define MAILHAUL_CONFIG_OPTION_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_STRING,
	OPTION_HOST,
	OPTION_PATH,   /* ~ and ${VAR} are expanded; relative to the configuration's directory */
	OPTION_CHOICE, /* one of a list of words */
	OPTION_BOOL,
	OPTION_NUMBER,
	OPTION_DURATION, /* 30s 5m 1h 30d; stored in milliseconds */
	OPTION_STRINGS,	 /* a list of strings, or one string */
	OPTION_ARGV,	 /* a list of strings, at least one */
	OPTION_PINS,
	OPTION_SECRET
};

enum option_place { OPTION_TOP, OPTION_ACCOUNT, OPTION_TLS, OPTION_DELIVER };

struct option {
	enum option_place place;
	const char *name;
	enum option_type type;
	size_t offset;	      /* of the field in struct config or struct config_account */
	const char *fallback; /* the default as YAML would say it; NULL: none */
	uint64_t least, most; /* range of numbers and durations */
	const char *choices;  /* words, one space between, for OPTION_CHOICE */
	const char *help;     /* one line, for people */
};

extern const struct option option_table[];
extern const size_t option_count;

#endif
