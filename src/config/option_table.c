/*
 * option_table: every option there is, one row each.
 *
 * A new option is a row here and a field in struct config or struct config_account. Options of the
 * sections tls and deliver are stored in the account's struct, as if they stood beside it.
 */
#include "config/option_table.h"

#include "config/config.h"

#include <string.h>

/* Milliseconds; octets. */
#define SECOND ((uint64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KILO   1024

#define TOP(field)     offsetof(struct config, field)
#define ACCOUNT(field) offsetof(struct config_account, field)

const struct option option_table[] = {
    {OPTION_TOP, OPTION_PATH, "state_dir", TOP(state_dir), NULL, 0, 0, NULL,
     "where mailhaul remembers what it collected"},
    {OPTION_TOP, OPTION_STRING, "run_as", TOP(run_as), NULL, 0, 0, NULL,
     "started as root, become this user first"},
    {OPTION_TOP, OPTION_CHOICE, "log", TOP(log), "stderr", 0, 0, "stderr syslog",
     "where the daemon says what it has to say"},
    {OPTION_TOP, OPTION_NUMBER, "max_connections", TOP(max_connections), "64", 1, 10000, NULL,
     "connections at once, over all accounts"},
    {OPTION_TOP, OPTION_NUMBER, "max_connections_per_host", TOP(max_connections_per_host), "4", 1,
     10000, NULL, "connections at once to one host"},
    {OPTION_TOP, OPTION_COMMAND, "notify_command", TOP(notify_command), NULL, 0, 0, NULL,
     "a command that is run when an account fails, or works again"},
    {OPTION_TOP, OPTION_PATH, "metrics_file", TOP(metrics_file), NULL, 0, 0, NULL,
     "where figures for Prometheus are written"},
    {OPTION_TOP, OPTION_SECTION, "defaults", 0, NULL, 0, 0, NULL,
     "account options that hold where an account does not say otherwise"},
    {OPTION_TOP, OPTION_SECTION, "accounts", 0, NULL, 0, 0, NULL, "names, each with its account"},

    {OPTION_ACCOUNT, OPTION_CHOICE, "protocol", ACCOUNT(protocol), "imap", 0, 0, "imap pop3",
     "how the server is spoken to"},
    {OPTION_ACCOUNT, OPTION_HOST, "host", ACCOUNT(host), NULL, 0, 0, NULL,
     "the server's name or address"},
    {OPTION_ACCOUNT, OPTION_PORT, "port", ACCOUNT(port), NULL, 1, 65535, NULL,
     "by default 143 (imap) or 110 (pop3); with implicit TLS 993 or 995"},
    {OPTION_ACCOUNT, OPTION_SECTION, "tls", 0, NULL, 0, 0, NULL,
     "how the connection is encrypted: starttls, implicit, or a mapping"},
    {OPTION_ACCOUNT, OPTION_STRING, "user", ACCOUNT(user), NULL, 0, 0, NULL,
     "the name to log in with"},
    {OPTION_ACCOUNT, OPTION_MECHANISM, "auth", ACCOUNT(auth), "auto", 0, 0,
     "auto login-command plain login cram-md5 scram-sha-1 scram-sha-256 scram-sha-1-plus "
     "scram-sha-256-plus external oauthbearer xoauth2",
     "how to log in"},
    {OPTION_ACCOUNT, OPTION_SECRET_COMMAND, "password_command", ACCOUNT(password), NULL, 0, 0, NULL,
     "a command that prints the password"},
    {OPTION_ACCOUNT, OPTION_SECRET_FILE, "password_file", ACCOUNT(password), NULL, 0, 0, NULL,
     "a file that holds the password"},
    {OPTION_ACCOUNT, OPTION_SECRET, "password", ACCOUNT(password), NULL, 0, 0, NULL,
     "the password itself"},
    {OPTION_ACCOUNT, OPTION_SECRET_NAME, "credential", ACCOUNT(password), NULL, 0, 0, NULL,
     "the systemd credential that holds the password"},
    {OPTION_ACCOUNT, OPTION_SECRET_NETRC, "netrc", ACCOUNT(password), NULL, 0, 0, NULL,
     "true: the password stands in ~/.netrc"},
    {OPTION_ACCOUNT, OPTION_SECRET_TOKEN, "token_command", ACCOUNT(password), NULL, 0, 0, NULL,
     "a command that prints an OAuth token, for oauthbearer and xoauth2"},
    {OPTION_ACCOUNT, OPTION_MAILBOXES, "mailboxes", ACCOUNT(mailboxes), "INBOX", 0, 0, NULL,
     "the mailboxes to collect: names, patterns, and \"!\" to take away (imap)"},
    {OPTION_ACCOUNT, OPTION_KEEP, "keep", ACCOUNT(keep), "true", MINUTE, 3650 * DAY, NULL,
     "whether messages stay on the server, or how long after their delivery"},
    {OPTION_ACCOUNT, OPTION_SIZE, "max_size", ACCOUNT(max_size), NULL, KILO, (uint64_t)1 << 50,
     NULL, "larger messages are left on the server"},
    {OPTION_ACCOUNT, OPTION_NUMBER, "max_messages", ACCOUNT(max_messages), NULL, 1, 1000000, NULL,
     "how many messages one poll fetches at most"},
    {OPTION_ACCOUNT, OPTION_CHOICE, "first_run", ACCOUNT(first_run), "all", 0, 0, "all skip",
     "what the first poll does with the messages that are there already"},
    {OPTION_ACCOUNT, OPTION_NUMBER, "max_attempts", ACCOUNT(max_attempts), "5", 1, 1000, NULL,
     "failed deliveries after which a message is quarantined"},
    {OPTION_ACCOUNT, OPTION_DURATION, "interval", ACCOUNT(interval_ms), "5m", 10 * SECOND, 7 * DAY,
     NULL, "how long the daemon waits from one poll to the next"},
    {OPTION_ACCOUNT, OPTION_BOOL, "idle", ACCOUNT(idle), "true", 0, 0, NULL,
     "whether the daemon listens for new mail where the server offers it (imap)"},
    {OPTION_ACCOUNT, OPTION_DURATION, "timeout", ACCOUNT(timeout_ms), "180s", 1000, HOUR, NULL,
     "the longest silence of the server"},
    {OPTION_ACCOUNT, OPTION_SECTION, "deliver", 0, NULL, 0, 0, NULL, "where the messages go"},

    {OPTION_TLS, OPTION_CHOICE, "mode", ACCOUNT(tls), "starttls", 0, 0, "starttls implicit",
     "encrypt by STARTTLS, or from the first octet"},
    {OPTION_TLS, OPTION_PATH, "ca_file", ACCOUNT(ca_file), NULL, 0, 0, NULL,
     "trust the authorities in this PEM file instead of the system's"},
    {OPTION_TLS, OPTION_PINS, "pin_sha256", ACCOUNT(pins), NULL, 0, 0, NULL,
     "accept exactly these keys"},
    {OPTION_TLS, OPTION_HOST, "server_name", ACCOUNT(server_name), NULL, 0, 0, NULL,
     "the name that the certificate must hold, instead of host"},
    {OPTION_TLS, OPTION_SWITCH, "min_version", ACCOUNT(only_tls_1_3), "1.2", 0, 0, "1.2 1.3",
     "the oldest version of TLS to accept"},
    {OPTION_TLS, OPTION_PATH, "client_cert", ACCOUNT(client_cert), NULL, 0, 0, NULL,
     "show this certificate (PEM) to a server that asks for one"},
    {OPTION_TLS, OPTION_PATH, "client_key", ACCOUNT(client_key), NULL, 0, 0, NULL,
     "the key of client_cert (PEM), unless it stands in the same file"},

    {OPTION_DELIVER, OPTION_MAILDIR, "maildir", ACCOUNT(maildir), NULL, 0, 0, NULL,
     "write into this Maildir"},
    {OPTION_DELIVER, OPTION_ARGV, "mda", ACCOUNT(mda), NULL, 0, 0, NULL,
     "hand each message to this program"},
    {OPTION_DELIVER, OPTION_DURATION, "mda_timeout", ACCOUNT(mda_timeout_ms), "10m", 1000, DAY,
     NULL, "how long the program may take for one message"},
    {OPTION_DELIVER, OPTION_BOOL, "mda_may_skip_input", ACCOUNT(mda_may_skip_input), "false", 0, 0,
     NULL, "whether a program that exits 0 without reading everything has delivered"},
};

const size_t option_count = sizeof option_table / sizeof *option_table;

_Static_assert(sizeof option_table / sizeof *option_table <= OPTION_COUNT_MAX,
	       "marks of all options fit");

/* A misspelt name of more octets than this is not compared: no option is nearly as long. */
enum { NAME_MAX_COMPARED = 40 };

const struct option *option_find(enum option_place place, const char *name)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].place == place && !strcmp(option_table[i].name, name))
			return &option_table[i];
	return NULL;
}

enum option_place option_inside(const struct option *section)
{
	if (section->place == OPTION_TOP)
		return OPTION_ACCOUNT;
	return strcmp(section->name, "tls") == 0 ? OPTION_TLS : OPTION_DELIVER;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int folded(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c + ('a' - 'A');
	return c == '-' || c == ' ' ? '_' : c;
}

/*
 * How many letters must be put in, left out, changed, or exchanged with their neighbour to make b
 * of a (optimal string alignment). Case counts nothing, nor does - for _. Both are at most
 * NAME_MAX_COMPARED long.
 */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][NAME_MAX_COMPARED + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	size_t a_len = strlen(a), b_len = strlen(b);

	for (size_t j = 0; j <= b_len; j++)
		before[j] = above[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			int x = folded(a[i - 1]), y = folded(b[j - 1]);

			row[j] = least(above[j - 1] + (x != y), least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && x == folded(b[j - 2]) && y == folded(a[i - 2]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = oldest;
	}
	return above[b_len];
}

const char *option_nearest(enum option_place place, const char *name)
{
	size_t len = strlen(name);
	size_t nearest = 1 + least(3, len / 3);
	const char *found = NULL;

	if (len > NAME_MAX_COMPARED)
		return NULL;
	for (size_t i = 0; i < option_count; i++) {
		size_t far;

		if (option_table[i].place != place)
			continue;
		far = distance(name, option_table[i].name);
		if (far < nearest) {
			nearest = far;
			found = option_table[i].name;
		}
	}
	return found;
}

const char *option_belongs(enum option_place place, const char *name)
{
	if (place != OPTION_TLS && option_find(OPTION_TLS, name))
		return "it belongs into tls";
	if (place != OPTION_DELIVER && option_find(OPTION_DELIVER, name))
		return "it belongs into deliver";
	if (place != OPTION_ACCOUNT && option_find(OPTION_ACCOUNT, name))
		return place == OPTION_TOP ? "it belongs into an account, or into defaults"
					   : "it belongs into the account itself";
	if (place != OPTION_TOP && option_find(OPTION_TOP, name))
		return "it belongs at the top of the configuration";
	return NULL;
}
