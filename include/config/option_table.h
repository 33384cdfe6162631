/*
 * option_table: every option there is, one row each: where it may stand, its type, range, default
 * and a line of help. It feeds the loader, its error messages, and the manual page's table.
 */
#ifndef MAILHAUL_CONFIG_OPTION_TABLE_H
#define MAILHAUL_CONFIG_OPTION_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_SECTION, /* a mapping with options of its own: tls, deliver, accounts, defaults */
	OPTION_STRING,
	OPTION_HOST,
	OPTION_PATH,	  /* ~ and ${VAR} are expanded; relative to the configuration's directory */
	OPTION_MAILDIR,	  /* a path that may hold %{mailbox} */
	OPTION_CHOICE,	  /* one of a list of words; its place in the list is stored in an enum */
	OPTION_SWITCH,	  /* one of two words, stored as bool: true for the second */
	OPTION_MECHANISM, /* one of a list of words in any case, stored as string in upper case */
	OPTION_BOOL,
	OPTION_KEEP,	  /* true, false or a duration: two fields, enum config_keep and keep_ms */
	OPTION_NUMBER,	  /* uint32_t */
	OPTION_PORT,	  /* uint16_t */
	OPTION_DURATION,  /* 30s 5m 1h 30d; stored in milliseconds */
	OPTION_SIZE,	  /* 50M; octets, in a uint64_t */
	OPTION_MAILBOXES, /* a list of strings, or one string */
	OPTION_ARGV,	  /* a list of strings, at least one; %{sender} and others are filled in */
	OPTION_COMMAND,	  /* a list of strings, at least one, used as they stand */
	OPTION_PINS,	  /* a list of strings, or one string */
	OPTION_SECRET,	  /* these are stored in one struct secret: the secret itself, */
	OPTION_SECRET_FILE,    /* the path of a file that holds it, */
	OPTION_SECRET_COMMAND, /* the argv of a command that prints it, */
	OPTION_SECRET_TOKEN,   /* the argv of a command that prints an OAuth token, */
	OPTION_SECRET_NAME,    /* the name of a systemd credential, */
	OPTION_SECRET_NETRC,   /* or true: it stands in the netrc */
	OPTION_TYPES
};

enum option_place { OPTION_TOP, OPTION_ACCOUNT, OPTION_TLS, OPTION_DELIVER };

struct option {
	enum option_place place;
	enum option_type type;
	const char *name;
	size_t offset; /* of the field in struct config or struct config_account; 0 for a section */
	const char *fallback; /* the default as YAML would say it; NULL: none */
	uint64_t least, most; /* range of numbers, durations and sizes */
	const char *choices;  /* words, one space between, for the types that choose */
	const char *help;     /* one line, for people */
};

/* A row's number in the table, for those who must know whether one option was given. */
enum { OPTION_COUNT_MAX = 48 };

extern const struct option option_table[];
extern const size_t option_count;

/* The row of this name, or NULL. */
const struct option *option_find(enum option_place place, const char *name);

/* Where the options of a section stand: those in tls and deliver, or those of an account. */
enum option_place option_inside(const struct option *section);

/* The name of a place that is most like the given one, or NULL if none is like it. */
const char *option_nearest(enum option_place place, const char *name);

/* If an option of this name may stand elsewhere, but not in this place: words that say where. Else
 * NULL. */
const char *option_belongs(enum option_place place, const char *name);

#endif
