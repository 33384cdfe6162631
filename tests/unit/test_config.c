/*
 * Tests of config: whole files, from YAML to the struct, or to the words that a user reads.
 */
#include "config/config.h"

#include "util/mem.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char *main_file;
static struct buf told;
static struct err failed;

static void set_up(void)
{
	snprintf(directory, sizeof directory, "/tmp/mailhaul-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	main_file = mem_printf("%s/config.yaml", directory);
	setenv("HOME", "/home/lee", 1);
	unsetenv("XDG_STATE_HOME");
	unsetenv("NOWHERE");
	setenv("MAILROOT", "/srv/mail", 1);
}

static void tear_down(void)
{
	char *command = mem_printf("rm -rf '%s'", directory);

	ck_assert_int_eq(system(command), 0);
	free(command);
	free(main_file);
	buf_free(&told);
}

static void put(const char *path, const char *bytes, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void put_account(const char *name, const char *text)
{
	char *path = mem_printf("%s/accounts.d", directory);

	mkdir(path, 0700);
	free(path);
	path = mem_printf("%s/accounts.d/%s", directory, name);
	put(path, text, strlen(text), 0600);
	free(path);
}

/* Notes "[name:]line:column: text" for each; the name only if it is not the main file's. */
static void note(void *ctx, const struct config_mistake *m)
{
	(void)ctx;
	if (strcmp(m->file, main_file) != 0)
		buf_printf(&told, "%s:", strrchr(m->file, '/') + 1);
	buf_printf(&told, "%u:%u: %s%s\n", m->line, m->column, m->warning ? "warning: " : "",
		   m->text);
}

static struct config *load_octets(const char *bytes, size_t len, mode_t mode)
{
	struct config *config;

	put(main_file, bytes, len, mode);
	buf_clear(&told);
	err_clear(&failed);
	config = config_load(main_file, note, NULL, &failed);
	ck_assert(config ? failed.kind == ERR_NONE : failed.kind == ERR_CONFIG);
	return config;
}

static struct config *load(const char *text)
{
	return load_octets(text, strlen(text), 0600);
}

/* The file must fail with exactly these words. */
static void fails(const char *text, const char *words)
{
	struct config *config = load(text);

	ck_assert_str_eq(buf_string(&told), words);
	ck_assert_ptr_null(config);
}

#define HEAD "accounts:\n  work:\n    host: imap.example.org\n    user: lee\n"
#define PASS "    password_command: [pass, show, work]\n"
#define INTO "    deliver: {maildir: ~/Mail}\n"
/* The first line that a test adds behind this is line 7. */
#define GOOD HEAD PASS INTO

/* A good account with one more line; the mistake in it. */
static void line_fails(const char *line, const char *words)
{
	char *text = mem_printf(GOOD "    %s\n", line);
	char *with_place = mem_printf("7:%s\n", words);

	fails(text, with_place);
	free(text);
	free(with_place);
}

/* ---- what is good ---- */

START_TEST(defaults_of_the_table)
{
	struct config *config = load(GOOD);
	const struct config_account *a;

	ck_assert_str_eq(buf_string(&told), "");
	ck_assert_ptr_nonnull(config);
	ck_assert_str_eq(config->state_dir, "/home/lee/.local/state/mailhaul");
	ck_assert_ptr_null(config->run_as);
	ck_assert_uint_eq(config->max_connections, 64);
	ck_assert_uint_eq(config->max_connections_per_host, 4);
	ck_assert_int_eq(config->log, CONFIG_LOG_STDERR);
	ck_assert_ptr_null(config->notify_command);
	ck_assert_ptr_null(config->metrics_file);
	ck_assert_uint_eq(config->count, 1);
	a = config_find(config, "work");
	ck_assert_ptr_eq(a, config->accounts[0]);
	ck_assert_ptr_null(config_find(config, "Work"));
	ck_assert_int_eq(a->protocol, CONFIG_IMAP);
	ck_assert_int_eq(a->tls, CONFIG_STARTTLS);
	ck_assert_uint_eq(a->port, 143);
	ck_assert_ptr_null(a->ca_file);
	ck_assert_ptr_null(a->pins);
	ck_assert_ptr_null(a->server_name);
	ck_assert(!a->only_tls_1_3);
	ck_assert_str_eq(a->auth, "AUTO");
	ck_assert_int_eq(a->password.kind, SECRET_COMMAND);
	ck_assert_str_eq(a->password.argv[0], "pass");
	ck_assert_str_eq(a->password.argv[2], "work");
	ck_assert_ptr_null(a->password.argv[3]);
	ck_assert_str_eq(a->mailboxes[0], "INBOX");
	ck_assert_ptr_null(a->mailboxes[1]);
	ck_assert_int_eq(a->keep, CONFIG_KEEP);
	ck_assert_uint_eq(a->max_size, 0);
	ck_assert_uint_eq(a->max_messages, 0);
	ck_assert_int_eq(a->first_run, CONFIG_FIRST_ALL);
	ck_assert_uint_eq(a->max_attempts, 5);
	ck_assert_uint_eq(a->interval_ms, 300000);
	ck_assert(a->idle);
	ck_assert_uint_eq(a->timeout_ms, 180000);
	ck_assert_str_eq(a->maildir, "/home/lee/Mail");
	ck_assert_ptr_null(a->mda);
	ck_assert_uint_eq(a->mda_timeout_ms, 600000);
	ck_assert(!a->mda_may_skip_input);
	ck_assert_str_eq(a->file, main_file);
	ck_assert_uint_eq(a->line, 2);
	config_free(&config);
	ck_assert_ptr_null(config);
}
END_TEST

START_TEST(everything_given)
{
	struct config *config =
	    load("state_dir: state\nrun_as: root\nmax_connections: 10000\n"
		 "max_connections_per_host: 1\nlog: syslog\n"
		 "notify_command: [mail, -s, \"mailhaul 100%\", lee]\n"
		 "metrics_file: ${MAILROOT}/m.prom\n"
		 "accounts:\n  \"a.b_c-1\":\n    protocol: pop3\n    host: 192.0.2.1\n"
		 "    port: 65535\n    tls:\n      mode: implicit\n"
		 "      server_name: bücher.example\n      min_version: \"1.3\"\n"
		 "      ca_file: ca.pem\n"
		 "    user: lee@example.org\n    auth: Scram-SHA-256\n    password: ' p ß\"'\n"
		 "    keep: False\n    max_size: 50M\n    max_messages: 1000\n    first_run: skip\n"
		 "    max_attempts: 1\n    timeout: 1h\n    interval: 7d\n    idle: false\n"
		 "    deliver:\n      mda: [/usr/sbin/exim4, -oi, -f, \"%{sender}\", --, \"\"]\n"
		 "      mda_timeout: 30s\n      mda_may_skip_input: true\n"
		 "  pinned:\n    host: '::1'\n    tls:\n"
		 "      pin_sha256: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
		 "    user: lee\n    password_file: ${MAILROOT}/secret\n"
		 "    mailboxes: [inbox, Lists/c, \"a b\"]\n    auth: login-command\n"
		 "    deliver: {maildir: \"${MAILROOT}/%{mailbox}/\"}\n");
	const struct config_account *a, *b;
	char *state = mem_printf("%s/state", directory);
	char *ca = mem_printf("%s/ca.pem", directory);

	ck_assert_str_eq(buf_string(&told), "");
	ck_assert_str_eq(config->state_dir, state);
	ck_assert_str_eq(config->run_as, "root");
	ck_assert_uint_eq(config->max_connections, 10000);
	ck_assert_int_eq(config->log, CONFIG_LOG_SYSLOG);
	ck_assert_str_eq(config->notify_command[2], "mailhaul 100%");
	ck_assert_str_eq(config->notify_command[3], "lee");
	ck_assert_ptr_null(config->notify_command[4]);
	ck_assert_str_eq(config->metrics_file, "/srv/mail/m.prom");
	a = config->accounts[0];
	ck_assert_str_eq(a->name, "a.b_c-1");
	ck_assert_int_eq(a->protocol, CONFIG_POP3);
	ck_assert_uint_eq(a->port, 65535);
	ck_assert_int_eq(a->tls, CONFIG_IMPLICIT);
	ck_assert_str_eq(a->server_name, "bücher.example");
	ck_assert(a->only_tls_1_3);
	ck_assert_str_eq(a->ca_file, ca);
	ck_assert_str_eq(a->auth, "SCRAM-SHA-256");
	ck_assert_int_eq(a->password.kind, SECRET_VALUE);
	ck_assert_str_eq(a->password.value, " p ß\"");
	ck_assert_int_eq(a->keep, CONFIG_REMOVE);
	ck_assert_uint_eq(a->max_size, 50 << 20);
	ck_assert_uint_eq(a->max_messages, 1000);
	ck_assert_int_eq(a->first_run, CONFIG_FIRST_SKIP);
	ck_assert_uint_eq(a->timeout_ms, 3600000);
	ck_assert_uint_eq(a->interval_ms, 604800000);
	ck_assert(!a->idle);
	ck_assert_str_eq(a->mda[3], "%{sender}");
	ck_assert_str_eq(a->mda[5], "");
	ck_assert_ptr_null(a->mda[6]);
	ck_assert_ptr_null(a->maildir);
	ck_assert_uint_eq(a->mda_timeout_ms, 30000);
	ck_assert(a->mda_may_skip_input);
	b = config->accounts[1];
	ck_assert_str_eq(b->pins[0], "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
	ck_assert_int_eq(b->password.kind, SECRET_FILE);
	ck_assert_str_eq(b->password.value, "/srv/mail/secret");
	ck_assert_str_eq(b->mailboxes[0], "INBOX");
	ck_assert_str_eq(b->mailboxes[2], "a b");
	ck_assert_str_eq(b->auth, "LOGIN-COMMAND");
	ck_assert_str_eq(b->maildir, "/srv/mail/%{mailbox}");
	config_free(&config);
	free(state);
	free(ca);
}
END_TEST

START_TEST(ports_follow_protocol_and_tls)
{
	static const struct {
		const char *lines;
		unsigned port;
	} cases[] = {{"    tls: starttls\n", 143},
		     {"    tls: implicit\n", 993},
		     {"    protocol: pop3\n", 110},
		     {"    protocol: pop3\n    tls: {mode: implicit}\n", 995},
		     {"    tls: implicit\n    port: 143\n", 143}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = mem_printf(GOOD "%s", cases[i].lines);
		struct config *config = load(text);

		ck_assert_ptr_nonnull(config);
		ck_assert_uint_eq(config->accounts[0]->port, cases[i].port);
		config_free(&config);
		free(text);
	}
}
END_TEST

START_TEST(defaults_give_way_to_the_accounts_own)
{
	struct config *config =
	    load("defaults:\n  tls: {mode: implicit, ca_file: /ca.pem}\n  timeout: 5s\n"
		 "  password_command: [pass]\n  mailboxes: [A, B]\n"
		 "  deliver: {maildir: /m, mda_timeout: 7s}\n"
		 "accounts:\n  one:\n    host: a.example\n    user: u\n"
		 "  two:\n    host: b.example\n    user: u\n    password_file: /secret\n"
		 "    tls: starttls\n    timeout: 6s\n    mailboxes: [C]\n"
		 "    deliver: {mda: [prog]}\n"
		 "  three:\n    host: c.example\n    user: u\n    protocol: pop3\n");
	const struct config_account *a;

	ck_assert_str_eq(buf_string(&told), "");
	a = config_find(config, "one");
	ck_assert_int_eq(a->tls, CONFIG_IMPLICIT);
	ck_assert_uint_eq(a->timeout_ms, 5000);
	ck_assert_int_eq(a->password.kind, SECRET_COMMAND);
	ck_assert_str_eq(a->mailboxes[1], "B");
	ck_assert_str_eq(a->maildir, "/m");
	a = config_find(config, "two");
	ck_assert_int_eq(a->tls, CONFIG_STARTTLS);
	ck_assert_uint_eq(a->port, 143);
	ck_assert_str_eq(a->ca_file, "/ca.pem");
	ck_assert_uint_eq(a->timeout_ms, 6000);
	ck_assert_int_eq(a->password.kind, SECRET_FILE);
	ck_assert_ptr_null(a->password.argv);
	ck_assert_str_eq(a->mailboxes[0], "C");
	ck_assert_ptr_null(a->mailboxes[1]);
	ck_assert_ptr_null(a->maildir);
	ck_assert_str_eq(a->mda[0], "prog");
	ck_assert_uint_eq(a->mda_timeout_ms, 7000);
	a = config_find(config, "three");
	ck_assert_str_eq(a->mailboxes[0], "INBOX");
	ck_assert_ptr_null(a->mailboxes[1]);
	config_free(&config);
}
END_TEST

START_TEST(accounts_d_is_read_in_order)
{
	struct config *config;

	put_account("zoe.yaml", "host: z.example\nuser: zoe\n");
	put_account("amy.yaml", "host: z.example\nuser: amy\ndeliver: {maildir: other}\n");
	put_account(".hidden.yaml", "nonsense");
	put_account("amy.yaml~", "nonsense");
	put_account("old.yml", "nonsense");
	config = load("defaults:\n  password_file: secret\n  deliver: {maildir: /m}\n");
	ck_assert_str_eq(buf_string(&told),
			 "old.yml:0:0: warning: the file is not read, because its name ends in "
			 ".yml; accounts are in NAME.yaml\n");
	ck_assert_uint_eq(config->count, 2);
	ck_assert_str_eq(config->accounts[0]->name, "amy");
	ck_assert_str_eq(config->accounts[1]->name, "zoe");
	/* Relative paths begin at the main file's directory, wherever the account stands. */
	ck_assert_int_eq(strncmp(config->accounts[0]->maildir, directory, strlen(directory)), 0);
	ck_assert_str_eq(strrchr(config->accounts[0]->maildir, '/'), "/other");
	ck_assert_ptr_null(strstr(config->accounts[0]->maildir, "accounts.d"));
	ck_assert_str_eq(config->accounts[1]->maildir, "/m");
	config_free(&config);
}
END_TEST

START_TEST(aliases_are_followed)
{
	struct config *config = load("accounts:\n  a: &a\n    host: &h a.example\n    user: u\n"
				     "    password_file: /s\n    deliver: &d {maildir: /m}\n"
				     "  b:\n    host: *h\n    user: v\n    password_file: /s\n"
				     "    deliver: *d\n");

	ck_assert_str_eq(buf_string(&told), "");
	ck_assert_str_eq(config_find(config, "b")->host, "a.example");
	ck_assert_str_eq(config_find(config, "b")->maildir, "/m");
	config_free(&config);
}
END_TEST

START_TEST(the_state_stands_where_xdg_says)
{
	struct config *config;

	setenv("XDG_STATE_HOME", "/xdg/state", 1);
	config = load(GOOD);
	ck_assert_str_eq(config->state_dir, "/xdg/state/mailhaul");
	config_free(&config);
	setenv("XDG_STATE_HOME", "relative", 1);
	config = load(GOOD);
	ck_assert_str_eq(config->state_dir, "/home/lee/.local/state/mailhaul");
	config_free(&config);
}
END_TEST

START_TEST(the_default_file)
{
	char *directories = mem_printf("%s/mailhaul", directory);
	char *file;

	setenv("XDG_CONFIG_HOME", directory, 1);
	file = config_default_file();
	ck_assert_str_eq(file, "/etc/mailhaul/config.yaml");
	free(file);
	ck_assert_int_eq(mkdir(directories, 0700), 0);
	free(directories);
	directories = mem_printf("%s/mailhaul/config.yaml", directory);
	put(directories, "", 0, 0600);
	file = config_default_file();
	ck_assert_str_eq(file, directories);
	free(file);
	free(directories);
	unsetenv("XDG_CONFIG_HOME");
}
END_TEST

/* ---- keys ---- */

START_TEST(unknown_keys)
{
	line_fails("hots: x",
		   "5: unknown key \"hots\" in account \"work\"; did you mean \"host\"?");
	line_fails("colour: x", "5: unknown key \"colour\" in account \"work\"");
	line_fails("intervall: 5m", "5: unknown key \"intervall\" in account \"work\"; did you "
				    "mean \"interval\"?");
	line_fails("log: syslog", "5: unknown key \"log\" in account \"work\"; it belongs at the "
				  "top of the configuration");
	line_fails("Keep: true", "5: unknown key \"Keep\" in account \"work\"; did you mean "
				 "\"keep\"?");
	line_fails("password-file: x", "5: unknown key \"password-file\" in account \"work\"; did "
				       "you mean \"password_file\"?");
	line_fails("maildir: x",
		   "5: unknown key \"maildir\" in account \"work\"; it belongs into deliver");
	line_fails("ca_file: x",
		   "5: unknown key \"ca_file\" in account \"work\"; it belongs into tls");
	line_fails("state_dir: x", "5: unknown key \"state_dir\" in account \"work\"; it belongs "
				   "at the top of the configuration");
	line_fails("tls: {mod: starttls}",
		   "11: unknown key \"mod\" in tls; did you mean \"mode\"?");
	line_fails("<<: {}", "5: merge keys (<<) are not known; write what accounts have in common "
			     "under defaults");
	line_fails("\"a\\0b\": 1", "5: a key must be a word");
	line_fails("? [a]\n    : b", "7: a key must be a word");
	line_fails("\"\\e[31m\": 1", "5: unknown key \"\\x1B[31m\" in account \"work\"");
	fails(GOOD "acounts: {}\n",
	      "7:1: unknown key \"acounts\" in the configuration; did you mean \"accounts\"?\n");
	fails(GOOD "host: a.example\n",
	      "7:1: unknown key \"host\" in the configuration; it belongs "
	      "into an account, or into defaults\n");
}
END_TEST

START_TEST(repeated_keys)
{
	line_fails("user: kim", "5: the key \"user\" stands twice in account \"work\"; it stands "
				"first in line 4");
	fails(GOOD "  work: {}\n",
	      "7:3: the key \"work\" stands twice in accounts; it stands first in line 2\n");
	fails(GOOD "accounts: {}\n", "7:1: the key \"accounts\" stands twice in the configuration; "
				     "it stands first in line 1\n");
	line_fails("tls: {mode: starttls, mode: implicit}",
		   "27: the key \"mode\" stands twice in tls; it stands first in line 7");
}
END_TEST

/* ---- values ---- */

START_TEST(wrong_types)
{
	line_fails("timeout: [1s]", "14: timeout must be a single value, not a list");
	line_fails("timeout: {a: b}", "14: timeout must be a single value, not a mapping");
	line_fails("timeout:", "13: timeout has no value");
	line_fails("timeout: ~", "14: timeout has no value");
	line_fails("auth: ''", "11: auth is empty");
	line_fails("mailboxes: {a: b}", "16: mailboxes must be a list of strings, not a mapping");
	line_fails("mailboxes: [[a]]",
		   "17: mailboxes must be a list of strings; here stands a list");
	line_fails("mailboxes: []", "16: mailboxes: the list is empty");
	line_fails("tls: [starttls]",
		   "10: tls must be starttls, implicit, or a mapping, not a list");
	line_fails("keep: 'true'", "11: keep must be true or false, or a duration, without quotes");
	line_fails("keep: yes", "11: keep must be true, false, or a duration, as 30d, not \"yes\"");
	line_fails("keep: 30", "11: keep needs a unit (s, m, h or d): did you mean 30d?");
	line_fails("keep: 30x", "11: keep must be true, false, or a duration, as 30d, not \"30x\"");
	line_fails("keep: 59s", "11: keep must be from 1m to 3650d, not \"59s\"");
	line_fails("keep: 3651d", "11: keep must be from 1m to 3650d, not \"3651d\"");
	line_fails("max_size: big", "15: max_size must be a whole number, in octets or with K, M "
				    "or G, as 50M, not \"big\"");
	line_fails("max_size: 5MB", "15: max_size must be a whole number, in octets or with K, M "
				    "or G, as 50M, not \"5MB\"");
	line_fails("max_size: 1023", "15: max_size must be from 1K to 1048576G, not \"1023\"");
	line_fails("max_size: 99999999999999999999G",
		   "15: max_size must be a whole number, in octets or with K, M "
		   "or G, as 50M, not \"99999999999999999999G\"");
	line_fails("max_messages: 0",
		   "19: max_messages must be a whole number from 1 to 1000000, not \"0\"");
	line_fails("first_run: none", "16: first_run must be all or skip, not \"none\"");
	line_fails("max_attempts: !!int 5",
		   "19: the tag \"tag:yaml.org,2002:int\" means nothing here; leave it out");
	line_fails(
	    "mailboxes: !Lists/noise",
	    "16: the tag \"!Lists/noise\" means nothing here; a value that begins with ! must "
	    "stand in quotes");
	fails("accounts: [a]\n",
	      "0:0: there is no account; write one under accounts, or in accounts.d/NAME.yaml\n"
	      "1:11: accounts must be a mapping of names to accounts, not a list\n");
	fails("defaults: word\n" GOOD,
	      "1:11: defaults must be a mapping of account options, not a single value\n");
	fails("accounts:\n  work: lee\n",
	      "2:9: account \"work\" must be a mapping, not a single value\n");
	fails("accounts:\n  work:\n", "2:3: account \"work\" holds nothing\n");
}
END_TEST

START_TEST(keeping_and_sizes)
{
	static const struct {
		const char *line;
		uint64_t keep_ms, max_size;
	} cases[] = {{"keep: 30d", 30ULL * 86400000, 0},
		     {"keep: '90m'", 90ULL * 60000, 0},
		     {"keep: 3650d", 3650ULL * 86400000, 0},
		     {"max_size: 1024", 0, 1024},
		     {"max_size: 1k", 0, 1024},
		     {"max_size: 3G", 0, 3ULL << 30}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = mem_printf(GOOD "    %s\n", cases[i].line);
		struct config *config = load(text);

		ck_assert_str_eq(buf_string(&told), "");
		ck_assert_int_eq(config->accounts[0]->keep,
				 cases[i].keep_ms ? CONFIG_KEEP_FOR : CONFIG_KEEP);
		ck_assert_uint_eq(config->accounts[0]->keep_ms, cases[i].keep_ms);
		ck_assert_uint_eq(config->accounts[0]->max_size, cases[i].max_size);
		config_free(&config);
		free(text);
	}
}
END_TEST

START_TEST(numbers)
{
	static const char *const bad[] = {"0",	   "-1",  "1001", "1.0",  "1e2",
					  "0x10",  "007", "5 ",	  "five", "99999999999999999999999",
					  "'5 x'", "+5"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *text = mem_printf(GOOD "    max_attempts: %s\n", bad[i]);
		struct config *config = load(text);

		if (!strcmp(bad[i], "5 ")) {
			/* YAML takes the space away. */
			ck_assert_ptr_nonnull(config);
			config_free(&config);
		} else {
			ck_assert_ptr_null(config);
			ck_assert_ptr_nonnull(strstr(
			    buf_string(&told),
			    "7:19: max_attempts must be a whole number from 1 to 1000, not \""));
		}
		free(text);
	}
	line_fails("port: 65536", "11: port must be a whole number from 1 to 65535, not \"65536\"");
}
END_TEST

START_TEST(durations)
{
	line_fails("timeout: 180", "14: timeout needs a unit (s, m, h or d): did you mean 180s?");
	line_fails("timeout: 0s", "14: timeout must be from 1s to 1h, not \"0s\"");
	line_fails("timeout: 2h", "14: timeout must be from 1s to 1h, not \"2h\"");
	line_fails("timeout: 99999999999999999d",
		   "14: timeout must be a whole number with a unit (s, m, h or d), as 30s or 5m, "
		   "not \"99999999999999999d\"");
	line_fails("timeout: 5min", "14: timeout must be a whole number with a unit (s, m, h or "
				    "d), as 30s or 5m, not \"5min\"");
	line_fails("timeout: -5s", "14: timeout must be a whole number with a unit (s, m, h or d), "
				   "as 30s or 5m, not \"-5s\"");
	line_fails("timeout: s", "14: timeout must be a whole number with a unit (s, m, h or d), "
				 "as 30s or 5m, not \"s\"");
}
END_TEST

START_TEST(intervals)
{
	line_fails("interval: 9s", "15: interval must be from 10s to 7d, not \"9s\"");
	line_fails("interval: 8d", "15: interval must be from 10s to 7d, not \"8d\"");
	line_fails("interval: 5", "15: interval needs a unit (s, m, h or d): did you mean 5s?");
	line_fails("idle: never", "11: idle must be true or false, not \"never\"");
}
END_TEST

START_TEST(what_the_daemon_tells)
{
	fails("log: journal\n" GOOD, "1:6: log must be stderr or syslog, not \"journal\"\n");
	fails("notify_command: mail lee\n" GOOD,
	      "1:17: notify_command must be a list, the program and its arguments: [program, "
	      "argument]; there is no shell that would split a line\n");
	fails("notify_command: [mail, -s, '%{account} fails', lee]\n" GOOD,
	      "1:28: notify_command: nothing is filled in (\"%{account} fails\"); what there is to "
	      "tell comes on standard input\n");
	fails("notify_command: [~/bin/tell]\n" GOOD,
	      "1:18: notify_command: arguments are used as they stand: there is no shell that "
	      "would expand \"~/bin/tell\"; write the whole path\n");
	fails("metrics_file: [a]\n" GOOD,
	      "1:15: metrics_file must be a single value, not a list\n");
}
END_TEST

START_TEST(choices)
{
	line_fails("protocol: imaps", "15: protocol must be imap or pop3, not \"imaps\"");
	line_fails("protocol: ima", "15: protocol must be imap or pop3, not \"ima\"");
	line_fails("tls: none", "10: mode must be starttls or implicit, not \"none\"");
	line_fails("tls: {min_version: 1.1}", "24: min_version must be 1.2 or 1.3, not \"1.1\"");
	line_fails("auth: gssapi",
		   "11: auth must be auto, login-command, plain, login, cram-md5, scram-sha-1, "
		   "scram-sha-256, scram-sha-1-plus, scram-sha-256-plus, external, oauthbearer or "
		   "xoauth2, not \"gssapi\"");
}
END_TEST

START_TEST(control_characters)
{
	line_fails("mailboxes: [\"a\\nb\"]", "17: mailboxes holds a control character (a line "
					     "break, a tab, or one that cannot be seen)");
	line_fails("auth: \"pl\\tain\"", "11: auth holds a control character (a line break, a tab, "
					 "or one that cannot be seen)");
	line_fails("mailboxes: \"a\\0b\"", "16: mailboxes holds a control character (a line break, "
					   "a tab, or one that cannot be seen)");
	line_fails("mailboxes: \"a\\x9bb\"", "16: mailboxes holds a control character (a line "
					     "break, a tab, or one that cannot be seen)");
}
END_TEST

START_TEST(mailboxes)
{
	line_fails("mailboxes: [a, \"!\"]", "20: mailboxes: nothing stands behind the \"!\"");
	line_fails("mailboxes: [\"\\\\Achive\"]",
		   "17: mailboxes: \"\\Achive\" is not known; what a mailbox is for is \\All, "
		   "\\Archive, \\Drafts, \\Flagged, \\Important, \\Junk, \\Sent or \\Trash");
	line_fails("mailboxes: [\"!\\\\\"]",
		   "17: mailboxes: \"\\\" is not known; what a mailbox is for is \\All, "
		   "\\Archive, \\Drafts, \\Flagged, \\Important, \\Junk, \\Sent or \\Trash");
	line_fails("mailboxes: [\"!a\", \"b\"]",
		   "5: mailboxes: \"!a\" takes away from what stands in front of it, and nothing "
		   "does");
	line_fails("mailboxes: \"!a\"",
		   "5: mailboxes: \"!a\" takes away from what stands in front of "
		   "it, and nothing does");
	line_fails("mailboxes: [a, b, a]", "23: mailboxes: \"a\" stands twice");
	line_fails("mailboxes: [inbox, INBOX]", "24: mailboxes: \"INBOX\" stands twice");
	fails("accounts:\n  p:\n    protocol: pop3\n    host: a.example\n    user: u\n" PASS INTO
	      "    mailboxes: [A]\n",
	      "8:5: mailboxes is for protocol imap; in POP3 there is but one mailbox\n");
}
END_TEST

START_TEST(hosts)
{
	static const struct {
		const char *host, *words;
	} cases[] = {
	    {"imaps://a.example", "host is the name of the server alone, not a URL: "
				  "\"imaps://a.example\""},
	    {"a.example:993", "host is the name of the server alone; the port goes into an option "
			      "of its own, \"port: 993\""},
	    {"'[::1]'", "host: an IPv6 address stands without brackets, not \"[::1]\""},
	    {"a b", "host must be a host name or an address, not \"a b\""},
	    {"-a.example", "host must be a host name or an address, not \"-a.example\""},
	    {"a..example", "host must be a host name or an address, not \"a..example\""},
	    {"300.1.1.1", "host must be a host name or an address, not \"300.1.1.1\""},
	    {"a/b", "host must be a host name or an address, not \"a/b\""},
	    {"bü_cher.example", "host must be a host name or an address, not \"bü_cher.example\""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = mem_printf(
		    "accounts:\n  work:\n    host: %s\n    user: lee\n" PASS INTO, cases[i].host);
		char *words = mem_printf("3:11: %s\n", cases[i].words);

		fails(text, words);
		free(text);
		free(words);
	}
}
END_TEST

START_TEST(pins)
{
	const char *words = "is not the base64 of a SHA-256 (44 characters, the last one =)";
	static const char *const bad[] = {"47DEQpj8HBSa", "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5N=",
					  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
					  "47DEQpj8HBSa-_TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
					  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUU"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *line = mem_printf("tls: {pin_sha256: [\"%s\"]}", bad[i]);
		char *all = mem_printf("24: pin_sha256: \"%s\" %s", bad[i], words);

		line_fails(line, all);
		free(line);
		free(all);
	}
	/* No pins must never come to mean that any key will do. */
	line_fails("tls: {pin_sha256: []}", "23: pin_sha256: the list is empty");
	line_fails("tls: {pin_sha256: }", "23: pin_sha256 must be a list of strings, not nothing");
}
END_TEST

START_TEST(paths)
{
	static const struct {
		const char *maildir, *words;
	} cases[] = {
	    {"${NOWHERE}/x", "maildir: the variable ${NOWHERE} is not set in the environment"},
	    {"$HOME/x", "maildir: write a variable with braces, as ${HOME}, not \"$HOME/x\""},
	    {"'${HOME'", "maildir: \"${HOME\" is not a variable; it must look like ${HOME}"},
	    {"~kim/Mail", "maildir: of homes only your own is known, as ~/Mail, not \"~kim/Mail\""},
	    {"'/m/%{sender}'",
	     "maildir: \"%{sender}\" is not known; what is filled in is %{mailbox}"},
	    {"'/m/%{mailbox'",
	     "maildir: \"%{mailbox\" is not known; what is filled in is %{mailbox}"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text =
		    mem_printf(HEAD PASS "    deliver:\n      maildir: %s\n", cases[i].maildir);
		char *words = mem_printf("7:16: %s\n", cases[i].words);

		fails(text, words);
		free(text);
		free(words);
	}
}
END_TEST

START_TEST(programs)
{
	static const struct {
		const char *mda, *words;
	} cases[] = {
	    {"procmail -d lee",
	     "7:12: mda must be a list, the program and its arguments: [program, "
	     "argument]; there is no shell that would split a line\n"},
	    {"[]", "7:12: mda: the list is empty\n"},
	    {"['']", "7:13: mda is empty\n"},
	    {"[~/bin/mda]", "7:13: mda: arguments are used as they stand: there is no shell that "
			    "would expand \"~/bin/mda\"; write the whole path\n"},
	    {"['%{mailbox}']",
	     "7:13: mda: nothing is filled in in the program's name (\"%{mailbox}\")\n"},
	    {"[mda, '%{from}']", "7:18: mda: \"%{from}\" is not known; what is filled in is "
				 "%{sender}, %{account}, %{mailbox}, %{user} and %{uid}\n"},
	    {"[mda, '%{}']", "7:18: mda: \"%{}\" is not known; what is filled in is "
			     "%{sender}, %{account}, %{mailbox}, %{user} and %{uid}\n"},
	    {"[mda, 'x%{user']", "7:18: mda: \"%{user\" is not known; what is filled in is "
				 "%{sender}, %{account}, %{mailbox}, %{user} and %{uid}\n"},
	    {"[sh, -c, 'mda %{sender}']",
	     "7:7: sh would run what is filled in, which strangers write, as a command; pass it "
	     "behind as an argument of its own, for \"$1\"\n"},
	    {"[a]\n      maildir: /m",
	     "8:7: mda and maildir exclude each other; give one of them\n"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = mem_printf(HEAD PASS "    deliver:\n      mda: %s\n", cases[i].mda);

		fails(text, cases[i].words);
		free(text);
	}
}
END_TEST

START_TEST(programs_that_are_dangerous)
{
	static const struct {
		const char *mda, *words;
	} cases[] = {
	    {"[/usr/sbin/exim4, lee]", "6:15: warning: exim4 without -oi ends a message at a line "
				       "with a single dot; add -oi\n"},
	    {"[sendmail, --, -oi]", "6:15: warning: sendmail without -oi ends a message at a line "
				    "with a single dot; add -oi\n"},
	    {"[sendmail, -i, lee]", ""},
	    {"[exim, -oi, -t]",
	     "6:15: warning: exim with -t sends each message to those that its own header names, "
	     "who need not be you; name the recipient instead\n"},
	    {"[/usr/lib/dovecot/dovecot-lda, -d, lee]",
	     "6:15: warning: dovecot-lda without -e mails a rejection to the sender where it could "
	     "tell mailhaul; add -e\n"},
	    {"[dovecot-lda, -e]", ""},
	    {"[mda, '100%', '%%{x}', '%{user}-%{uid}']", ""},
	    {"[procmail]",
	     "6:15: warning: account \"work\": procmail does not flush mail to the disk, and keep: "
	     "false removes it from the server at once: a power cut may lose it\n"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text =
		    mem_printf(HEAD PASS "    deliver: {mda: %s}\n    keep: false\n", cases[i].mda);
		struct config *config = load(text);

		ck_assert_str_eq(buf_string(&told), cases[i].words);
		ck_assert_ptr_nonnull(config);
		config_free(&config);
		free(text);
	}
}
END_TEST

START_TEST(a_port_that_belongs_to_implicit_tls)
{
	static const char warning[] =
	    "7:5: warning: port 993 is for TLS from the first octet; add tls: implicit\n";
	static const struct {
		const char *more, *words;
	} cases[] = {
	    {"    port: 993\n", warning},
	    {"    port: 993\n    tls: implicit\n", ""},
	    {"    port: 143\n", ""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = mem_printf(HEAD PASS "    deliver: {mda: [x]}\n%s", cases[i].more);
		struct config *config = load(text);

		ck_assert_str_eq(buf_string(&told), cases[i].words);
		ck_assert_ptr_nonnull(config);
		config_free(&config);
		free(text);
	}
}
END_TEST

/* Short intervals that stand under defaults are told once, however many accounts have them. */
START_TEST(daemons_that_would_disappoint)
{
	static const char often[] =
	    ": warning: interval: many servers refuse those who log in more than once a minute\n";
	static const char suffix[] =
	    ":1: warning: metrics_file: Prometheus' node exporter reads only files whose names end "
	    "in .prom\n";
	const struct {
		const char *before, *after, *place, *words;
	} cases[] = {
	    {"", "    interval: 59s\n", "7:5", often},
	    {"", "    interval: 1m\n", "", ""},
	    {"defaults: {interval: 10s, user: kim}\n",
	     "  home: {host: h.example, password_file: p, deliver: {maildir: /m}}\n", "1:12",
	     often},
	    {"", "    protocol: pop3\n    idle: true\n", "8:5",
	     ": warning: idle is for protocol imap; in POP3 there is nothing to listen to\n"},
	    {"", "    protocol: pop3\n    idle: false\n", "", ""},
	    {"defaults: {idle: true}\n", "    protocol: pop3\n", "", ""},
	    {"metrics_file: m.txt\n", "", "1", suffix},
	    {"metrics_file: /prom\n", "", "1", suffix},
	    {"metrics_file: /x.prom\n", "", "", ""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = mem_printf("%s" GOOD "%s", cases[i].before, cases[i].after);
		char *words = mem_printf("%s%s", cases[i].place, cases[i].words);
		struct config *config = load(text);

		ck_assert_str_eq(buf_string(&told), words);
		ck_assert_ptr_nonnull(config);
		config_free(&config);
		free(words);
		free(text);
	}
}
END_TEST

/* ---- accounts ---- */

START_TEST(what_is_missing)
{
	fails("accounts:\n  work:\n    keep: true\n",
	      "2:3: account \"work\" does not say where its mail goes: under deliver, give maildir "
	      "or mda\n"
	      "2:3: account \"work\" has no host: the name of the server\n"
	      "2:3: account \"work\" has no password: give password_command, password_file, "
	      "password, credential or netrc; or token_command\n"
	      "2:3: account \"work\" has no user: the name to log in with\n");
	/* A bad value is one mistake, not two. */
	fails("accounts:\n  work:\n    host: a b\n    user: lee\n" PASS INTO,
	      "3:11: host must be a host name or an address, not \"a b\"\n");
}
END_TEST

START_TEST(two_secrets)
{
	line_fails("password: x", "5: password_command and password exclude each other; give one "
				  "of them");
}
END_TEST

/* An account with these lines in place of a password. */
static struct config *load_secret(const char *lines)
{
	char *text = mem_printf(HEAD INTO "%s", lines);
	struct config *config = load(text);

	free(text);
	return config;
}

START_TEST(where_secrets_are)
{
	static const struct {
		const char *line;
		enum secret_kind kind;
		const char *value;
	} lines[] = {
	    {"    credential: mail.work\n", SECRET_CREDENTIAL, "mail.work"},
	    {"    netrc: true\n", SECRET_NETRC, NULL},
	    {"    token_command: [oama, \"\"]\n", SECRET_TOKEN, NULL},
	    {"    password_command: [pass]\n", SECRET_COMMAND, NULL},
	    {"    tls: {client_cert: /c.pem}\n", SECRET_NONE, NULL},
	    {"    auth: External\n    tls: {client_cert: /c.pem, client_key: /k.pem}\n",
	     SECRET_NONE, NULL},
	};

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct config *config = load_secret(lines[i].line);
		const struct secret *secret;

		ck_assert_str_eq(buf_string(&told), "");
		secret = &config->accounts[0]->password;
		ck_assert_int_eq(secret->kind, lines[i].kind);
		ck_assert_pstr_eq(secret->value, lines[i].value);
		ck_assert((secret->argv != NULL) ==
			  (secret->kind == SECRET_TOKEN || secret->kind == SECRET_COMMAND));
		config_free(&config);
	}
}
END_TEST

static void secret_fails(const char *lines, const char *words)
{
	struct config *config = load_secret(lines);

	ck_assert_str_eq(buf_string(&told), words);
	ck_assert_ptr_null(config);
}

START_TEST(secrets_that_cannot_be)
{
	secret_fails("    netrc: false\n", "6:12: netrc can only be true; leave it out where the "
					   "password stands elsewhere\n");
	secret_fails("    credential: a/b\n",
		     "6:17: credential is the name of a credential, as systemd's LoadCredential= "
		     "gives it, not \"a/b\"\n");
	secret_fails("    credential: ..\n",
		     "6:17: credential is the name of a credential, as systemd's LoadCredential= "
		     "gives it, not \"..\"\n");
	secret_fails("    token_command: helper\n",
		     "6:20: token_command must be a list, the program and its arguments: [program, "
		     "argument]; there is no shell that would split a line\n");
	secret_fails("    token_command: [t]\n    netrc: true\n",
		     "7:5: token_command and netrc exclude each other; give one of them\n");
}
END_TEST

START_TEST(auth_that_cannot_be)
{
	static const char no_password[] =
	    "2:3: account \"work\" has no password: give password_command, password_file, "
	    "password, credential or netrc; or token_command\n";

	line_fails("auth: xoauth2",
		   "5: auth: XOAUTH2 logs in by a token, not by a password; give token_command");
	line_fails("auth: external",
		   "5: auth: external logs in by a certificate; give client_cert, under tls");
	line_fails("tls: {client_key: /k.pem}", "11: client_key is of no use without client_cert");
	secret_fails("    token_command: [t]\n    auth: plain\n",
		     "7:5: auth: PLAIN logs in by a password, not by a token; with token_command, "
		     "auth is xoauth2, oauthbearer or auto\n");
	secret_fails("    auth: oauthbearer\n", no_password);
	secret_fails("    tls: {client_cert: /c.pem}\n    auth: plain\n", no_password);
	/* Of what defaults say, the account is told that it does not fit. */
	fails("defaults:\n  auth: external\naccounts:\n  work:\n    host: h.example.org\n    user: "
	      "lee\n" PASS INTO,
	      "4:3: auth: external logs in by a certificate; give client_cert, under tls\n");
}
END_TEST

START_TEST(a_mistake_in_defaults_is_told_once)
{
	fails("defaults:\n  timeout: soon\n  hots: a\n  deliver: {maildir: /m, mda: [x]}\n"
	      "  host: a b\n"
	      "accounts:\n  a:\n    user: u\n    password_file: /s\n"
	      "  b:\n    user: v\n    password_file: /s\n",
	      "2:12: timeout must be a whole number with a unit (s, m, h or d), as 30s or 5m, not "
	      "\"soon\"\n"
	      "3:3: unknown key \"hots\" in defaults; did you mean \"host\"?\n"
	      "4:26: maildir and mda exclude each other; give one of them\n"
	      "5:9: host must be a host name or an address, not \"a b\"\n");
}
END_TEST

START_TEST(account_names)
{
	static const char *const bad[] = {"-a", ".a", "a b", "a/b", "ä", "''"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *text = mem_printf(GOOD "  %s: {}\n", bad[i]);

		ck_assert_ptr_null(load(text));
		ck_assert_ptr_nonnull(strstr(buf_string(&told), "7:3: \""));
		ck_assert_ptr_nonnull(strstr(buf_string(&told), "cannot name an account"));
		free(text);
	}
	put_account("a b.yaml", "host: a.example\n");
	ck_assert_ptr_null(load(GOOD));
	ck_assert_ptr_nonnull(strstr(buf_string(&told), "a b.yaml:0:0: \"a b\" cannot name"));
}
END_TEST

START_TEST(accounts_that_collide)
{
	char *words;

	fails(GOOD "  home:\n    host: IMAP.example.org\n    user: lee\n    port: 1143\n"
		   "    mailboxes: [a, INBOX]\n" PASS INTO,
	      (words = mem_printf("7:3: account \"home\" collects the mailbox \"INBOX\" of lee at "
				  "IMAP.example.org, as account \"work\" does (%s:2)\n",
				  main_file)));
	free(words);
	put_account("work.yaml", "host: b.example\nuser: kim\npassword_file: /s\n"
				 "deliver: {maildir: /m}\n");
	fails(GOOD,
	      (words = mem_printf("work.yaml:1:1: there is an account \"work\" already (%s:2)\n",
				  main_file)));
	free(words);
}
END_TEST

START_TEST(accounts_that_do_not_collide)
{
	struct config *config = load(
	    GOOD "  pop:\n    protocol: pop3\n    host: imap.example.org\n    user: lee\n" PASS INTO
		 "  box:\n    host: imap.example.org\n    user: lee\n    mailboxes: Box\n" PASS INTO
		 "  Lee:\n    host: imap.example.org\n    user: Lee\n" PASS INTO);

	ck_assert_str_eq(buf_string(&told), "");
	ck_assert_uint_eq(config->count, 4);
	config_free(&config);
}
END_TEST

/* ---- files ---- */

START_TEST(a_password_that_others_can_read)
{
	char *text = mem_printf("%s", HEAD INTO "    password: x\n");
	char *words = mem_printf("6:5: a password stands here, and others may read the file; run: "
				 "chmod 600 %s\n",
				 main_file);
	static const mode_t bad[] = {0640, 0604, 0644};
	struct config *config;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_ptr_null(load_octets(text, strlen(text), bad[i]));
		ck_assert_str_eq(buf_string(&told), words);
	}
	config = load_octets(text, strlen(text), 0600);
	ck_assert_ptr_nonnull(config);
	config_free(&config);
	/* Without a password in it, others may read it. */
	config = load_octets(GOOD, strlen(GOOD), 0644);
	ck_assert_ptr_nonnull(config);
	config_free(&config);
	free(text);
	free(words);
}
END_TEST

START_TEST(a_secret_is_never_told)
{
	struct config *config = load(HEAD INTO "    password: \"hunter2\\n\"\n");

	ck_assert_ptr_null(config);
	ck_assert_ptr_nonnull(strstr(buf_string(&told), "password holds a control character"));
	ck_assert_ptr_null(strstr(buf_string(&told), "hunter2"));
}
END_TEST

START_TEST(yaml_mistakes)
{
	fails("accounts:\n\twork: {}\n", "2:1: not YAML: a tab indents this line; use spaces\n");
	fails("accounts: {a: 1\n", "2:1: not YAML: did not find expected ',' or '}', while parsing "
				   "a flow mapping that begins in line 1\n");
	fails("a: 1\n b: 2\n", "2:3: not YAML: mapping values are not allowed in this context\n");
	fails("a: *none\n", "1:4: not YAML: no anchor has the name of this alias; a value that "
			    "begins with * must stand in quotes\n");
	fails("a: [b, *]\n", "1:9: not YAML: a value that begins with * must stand in quotes\n");
	fails("a: &/b\n", "1:5: not YAML: a value that begins with & must stand in quotes\n");
	fails("a: [b, !c]\n", "1:10: not YAML: a value that begins with ! must stand in quotes\n");
	fails("a: !b!c\n", "1:4: not YAML: a value that begins with ! must stand in quotes\n");
	fails("a: %b\n", "1:4: not YAML: no value begins with this character, unless it stands in "
			 "quotes\n");
	fails("a: \"\\Archive\"\n",
	      "1:5: not YAML: within double quotes \\ begins an escape: write "
	      "\\\\ there, or take single quotes\n");
	fails(GOOD "---\na: b\n", "7:1: a second document begins here; a file holds one\n");
	fails("- a\n", "1:1: here must stand a mapping with accounts, not a list\n");
}
END_TEST

START_TEST(octets_that_are_no_text)
{
	ck_assert_ptr_null(load_octets("a: b\nc: \xff\n", 10, 0600));
	ck_assert_str_eq(buf_string(&told), "2:4: not UTF-8 text: invalid leading UTF-8 octet\n");
	ck_assert_ptr_null(load_octets("a: \x01\n", 5, 0600));
	ck_assert_str_eq(buf_string(&told),
			 "1:4: not UTF-8 text: control characters are not allowed\n");
}
END_TEST

START_TEST(empty_and_absent_files)
{
	static const char *const nothing[] = {"", "# a comment\n", "---\n", "accounts: {}\n"};

	for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
		fails(nothing[i], "0:0: there is no account; write one under accounts, or in "
				  "accounts.d/NAME.yaml\n");
	ck_assert_int_eq(unlink(main_file), 0);
	ck_assert_ptr_null(config_load(main_file, note, NULL, &failed));
	ck_assert_ptr_nonnull(strstr(failed.words, "there is no configuration /tmp/"));
	ck_assert_ptr_nonnull(strstr(failed.words, "-c"));
	ck_assert_ptr_null(config_load(directory, note, NULL, &failed));
	ck_assert_ptr_nonnull(strstr(failed.words, "is not a file"));
	ck_assert_ptr_null(config_load("/dev/zero", note, NULL, &failed));
	ck_assert_ptr_nonnull(strstr(failed.words, "is not a file"));
	ck_assert_ptr_null(config_load("/nonexistent/config.yaml", NULL, NULL, NULL));
}
END_TEST

START_TEST(accounts_of_a_broken_file)
{
	put_account("a.yaml", "hots: b.example\n");
	put_account("b.yaml", "");
	/* What is missing may stand in the defaults that could not be read. */
	fails("accounts: [\n",
	      "2:1: not YAML: did not find expected node content, while parsing a flow node that "
	      "begins in line 2\n"
	      "a.yaml:1:1: unknown key \"hots\" in account \"a\"; did you mean \"host\"?\n"
	      "b.yaml:0:0: the file holds nothing\n");
	ck_assert_str_eq(failed.words + strlen(failed.words) - strlen("config.yaml"),
			 "config.yaml");
	ck_assert_int_eq(strncmp(failed.words, "3 mistakes in the configuration /", 33), 0);
}
END_TEST

START_TEST(too_large)
{
	size_t len = 1024 * 1024 + 1;
	char *text = mem_new(len, 1);

	memset(text, '#', len);
	put(main_file, text, len, 0600);
	ck_assert_ptr_null(config_load(main_file, note, NULL, &failed));
	ck_assert_ptr_nonnull(strstr(failed.words, "is larger than 1 MB"));
	free(text);
}
END_TEST

/* A list of long names, taken over and over by aliases, would fill all memory. */
START_TEST(aliases_do_not_explode)
{
	struct buf text = {0};

	buf_text(&text, "defaults:\n  user: &u '");
	for (int i = 0; i < 8000; i++)
		buf_text(&text, "x");
	buf_text(&text, "'\n  host: a.example\n  password_file: /s\n  deliver: {maildir: /m}\n"
			"  mailboxes: &m [");
	for (int i = 0; i < 90; i++)
		buf_printf(&text, "\"%0100d\",", i);
	buf_text(&text, "]\naccounts:\n");
	for (int i = 0; i < 20000; i++)
		buf_printf(&text, "  a%d: {user: *u, mailboxes: *m}\n", i);
	ck_assert_ptr_null(load(buf_string(&text)));
	ck_assert_ptr_nonnull(strstr(buf_string(&told), "the configuration grows too large here"));
	buf_free(&text);
}
END_TEST

START_TEST(nesting_and_mistakes_without_end)
{
	struct buf text = {0};

	buf_text(&text, "accounts: ");
	for (int i = 0; i < 200000; i++)
		buf_text(&text, "[");
	ck_assert_ptr_null(load(buf_string(&text)));
	ck_assert_ptr_nonnull(strstr(buf_string(&told), "nested too deep"));
	buf_clear(&text);
	for (int i = 0; i < 200000; i++)
		buf_text(&text, "- ");
	ck_assert_ptr_null(load(buf_string(&text)));
	ck_assert_ptr_nonnull(strstr(buf_string(&told), "nested too deep"));
	buf_clear(&text);
	for (int i = 0; i < 100000; i++)
		buf_printf(&text, "k%d: 1\n", i);
	ck_assert_ptr_null(load(buf_string(&text)));
	ck_assert_ptr_nonnull(strstr(buf_string(&told), "too many mistakes: "));
	ck_assert_uint_lt(told.len, 200000);
	buf_free(&text);
}
END_TEST

START_TEST(all_mistakes_in_one_run_in_order)
{
	put_account("late.yaml", "user: x\nhost: y.example\npassword_file: /s\nkeep: 1\n"
				 "deliver: {maildir: /m}\n");
	fails("accounts:\n  b:\n    user: u\n    hst: x\n    port: 0\n    password_file: /s\n" INTO
	      "max_connections: 0\ndefaults:\n  timeout: x\n",
	      "2:3: account \"b\" has no host: the name of the server\n"
	      "4:5: unknown key \"hst\" in account \"b\"; did you mean \"host\"?\n"
	      "5:11: port must be a whole number from 1 to 65535, not \"0\"\n"
	      "8:18: max_connections must be a whole number from 1 to 10000, not \"0\"\n"
	      "10:12: timeout must be a whole number with a unit (s, m, h or d), as 30s or 5m, not "
	      "\"x\"\n"
	      "late.yaml:4:7: keep needs a unit (s, m, h or d): did you mean 1d?\n");
}
END_TEST

static TCase *good_files(void)
{
	TCase *tests = tcase_create("good");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, defaults_of_the_table);
	tcase_add_test(tests, everything_given);
	tcase_add_test(tests, ports_follow_protocol_and_tls);
	tcase_add_test(tests, defaults_give_way_to_the_accounts_own);
	tcase_add_test(tests, accounts_d_is_read_in_order);
	tcase_add_test(tests, aliases_are_followed);
	tcase_add_test(tests, the_state_stands_where_xdg_says);
	tcase_add_test(tests, the_default_file);
	tcase_add_test(tests, programs_that_are_dangerous);
	tcase_add_test(tests, a_port_that_belongs_to_implicit_tls);
	tcase_add_test(tests, daemons_that_would_disappoint);
	tcase_add_test(tests, accounts_that_do_not_collide);
	return tests;
}

static TCase *bad_values(void)
{
	TCase *tests = tcase_create("values");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, unknown_keys);
	tcase_add_test(tests, repeated_keys);
	tcase_add_test(tests, wrong_types);
	tcase_add_test(tests, keeping_and_sizes);
	tcase_add_test(tests, numbers);
	tcase_add_test(tests, durations);
	tcase_add_test(tests, intervals);
	tcase_add_test(tests, what_the_daemon_tells);
	tcase_add_test(tests, choices);
	tcase_add_test(tests, control_characters);
	tcase_add_test(tests, mailboxes);
	tcase_add_test(tests, hosts);
	tcase_add_test(tests, pins);
	tcase_add_test(tests, paths);
	tcase_add_test(tests, programs);
	return tests;
}

static TCase *bad_files(void)
{
	TCase *tests = tcase_create("files");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, what_is_missing);
	tcase_add_test(tests, two_secrets);
	tcase_add_test(tests, where_secrets_are);
	tcase_add_test(tests, secrets_that_cannot_be);
	tcase_add_test(tests, auth_that_cannot_be);
	tcase_add_test(tests, a_mistake_in_defaults_is_told_once);
	tcase_add_test(tests, account_names);
	tcase_add_test(tests, accounts_that_collide);
	tcase_add_test(tests, a_password_that_others_can_read);
	tcase_add_test(tests, a_secret_is_never_told);
	tcase_add_test(tests, yaml_mistakes);
	tcase_add_test(tests, octets_that_are_no_text);
	tcase_add_test(tests, empty_and_absent_files);
	tcase_add_test(tests, accounts_of_a_broken_file);
	tcase_add_test(tests, too_large);
	tcase_add_test(tests, aliases_do_not_explode);
	tcase_add_test(tests, nesting_and_mistakes_without_end);
	tcase_add_test(tests, all_mistakes_in_one_run_in_order);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("config");
	SRunner *runner;
	int failures;

	suite_add_tcase(suite, good_files());
	suite_add_tcase(suite, bad_values());
	suite_add_tcase(suite, bad_files());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
