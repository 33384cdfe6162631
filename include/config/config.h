/*
 * config: the YAML configuration, read by libyaml's document tree and the option table.
 *
 * All mistakes of all files are reported in one run, each with file, line, column, what was
 * expected and, for a misspelt key, the nearest one.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_H
#define MAILHAUL_CONFIG_CONFIG_H

#include "config/secret.h"
#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

enum config_protocol { CONFIG_IMAP, CONFIG_POP3 };
enum config_tls { CONFIG_STARTTLS, CONFIG_IMPLICIT };
enum config_keep { CONFIG_KEEP, CONFIG_REMOVE, CONFIG_KEEP_FOR };
enum config_first_run { CONFIG_FIRST_ALL, CONFIG_FIRST_SKIP };
enum config_log { CONFIG_LOG_STDERR, CONFIG_LOG_SYSLOG };

/* Where the value of an option was given. line 0: nowhere, it is the default. */
struct config_origin {
	unsigned line;
	bool own; /* in the account's own file, or for an option of the top; else in defaults */
};

struct config_account {
	char *name;
	enum config_protocol protocol;
	char *host;
	uint16_t port;	   /* filled in by protocol and tls where it is not given */
	bool only_tls_1_3; /* min_version "1.3" */
	enum config_tls tls;
	char *ca_file;	   /* NULL: the system's trust store */
	char **pins;	   /* NULL at the end; NULL: none */
	char *server_name; /* NULL: host */
	char *client_cert; /* NULL: none */
	char *client_key;  /* NULL: it stands in client_cert */
	char *user;
	char *auth;		/* "AUTO", "LOGIN-COMMAND", or a SASL mechanism, in upper case */
	struct secret password; /* or the token; SECRET_NONE where client_cert is enough */
	char **mailboxes;	/* NULL at the end; IMAP only; default INBOX */
	enum config_keep keep;
	enum config_first_run first_run;
	uint64_t keep_ms;      /* with CONFIG_KEEP_FOR, since the delivery */
	uint64_t max_size;     /* octets; 0: no limit */
	uint32_t max_messages; /* in one poll; 0: no limit */
	uint32_t max_attempts;
	uint64_t interval_ms;
	uint64_t timeout_ms;
	char *maildir; /* path with %{mailbox} not yet filled in; or NULL */
	char **mda;    /* argv, NULL at the end; or NULL */
	uint64_t mda_timeout_ms;
	bool mda_may_skip_input;
	bool idle; /* listen where the server offers it; of no meaning in POP3 */

	char *file; /* where the account stands, for messages */
	unsigned line;
	struct config_origin *origins; /* one for each row of option_table */
};

struct config {
	char *state_dir;
	char *run_as; /* NULL: not said */
	enum config_log log;
	uint32_t max_connections;
	uint32_t max_connections_per_host;
	char **notify_command;		  /* argv, NULL at the end; NULL: none */
	char *metrics_file;		  /* NULL: none */
	struct config_account **accounts; /* in the order of the files */
	unsigned count;

	char *file;		       /* which held all but the accounts of accounts.d */
	struct config_origin *origins; /* one for each row of option_table */
};

struct config_mistake {
	const char *file;
	unsigned line, column; /* from 1; 0: the whole file */
	bool warning;
	const char *text;
};

/*
 * Reads file, and accounts.d/NAME.yaml beside it. report is called for each mistake and warning, in
 * the order in which they stand. NULL with ERR_CONFIG if there was any mistake (warnings do not
 * count) or a file could not be read. If file itself cannot be read, err alone says so.
 */
struct config *config_load(const char *file,
			   void (*report)(void *ctx, const struct config_mistake *), void *ctx,
			   struct err *err);
void config_free(struct config **config);

/* The default file: $XDG_CONFIG_HOME/mailhaul/config.yaml (or ~/.config/...) if it exists, else
 * /etc/mailhaul/config.yaml. To be freed. */
char *config_default_file(void);

/* NULL if there is none of this name. */
const struct config_account *config_find(const struct config *config, const char *name);

#endif
