/*
 * Tests of config_print: what a person reads, and that it can be read again.
 */
#include "config/config_print.h"

#include "util/mem.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static void set_up(void)
{
	snprintf(directory, sizeof directory, "/tmp/mailhaul-print-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	setenv("HOME", "/home/lee", 1);
	unsetenv("XDG_STATE_HOME");
}

static void tear_down(void)
{
	char *command = mem_printf("rm -rf '%s'", directory);

	ck_assert_int_eq(system(command), 0);
	free(command);
}

static char *put(const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static void no_mistake(void *ctx, const struct config_mistake *mistake)
{
	(void)ctx;
	ck_abort_msg("%s:%u: %s", mistake->file, mistake->line, mistake->text);
}

static struct config *load(const char *name, const char *text)
{
	char *path = put(name, text);
	struct err err;
	struct config *config = config_load(path, no_mistake, NULL, &err);

	ck_assert_ptr_nonnull(config);
	free(path);
	return config;
}

static void print(struct buf *out, const struct config *config)
{
	config_print(out, config, (const struct config_account *const *)config->accounts,
		     config->count);
}

/* The configuration prints exactly as this. */
static void prints(const char *text, const char *page)
{
	struct config *config = load("config.yaml", text);
	struct buf printed = {0};

	print(&printed, config);
	ck_assert_str_eq(buf_string(&printed), page);
	buf_free(&printed);
	config_free(&config);
}

/* ---- one page ---- */

START_TEST(where_values_come_from)
{
	char *accounts = mem_printf("%s/accounts.d", directory);

	ck_assert_int_eq(mkdir(accounts, 0700), 0);
	free(accounts);
	free(put("accounts.d/work.yaml",
		 "# mine\nhost: imap.example.org\nkeep: 30d\ndeliver: {maildir: ~/Mail/work}\n"
		 "max_size: 1536K\n"));
	prints("max_connections: 8\n"
	       "defaults:\n"
	       "  user: lee\n"
	       "  password_command: [pass, show, \"mail box\"]\n"
	       "  tls: implicit\n"
	       "  deliver:\n"
	       "    mda: [procmail]\n"
	       "    mda_timeout: 60s\n",
	       "state_dir: /home/lee/.local/state/mailhaul      # default\n"
	       "log: stderr                                     # default\n"
	       "max_connections: 8                              # config.yaml:1\n"
	       "max_connections_per_host: 4                     # default\n"
	       "\n"
	       "accounts:\n"
	       "  work:                                         # accounts.d/work.yaml:2\n"
	       "    protocol: imap                              # default\n"
	       "    host: imap.example.org                      # accounts.d/work.yaml:2\n"
	       "    port: 993                                   # default\n"
	       "    tls:\n"
	       "      mode: implicit                            # defaults, config.yaml:5\n"
	       "      min_version: \"1.2\"                        # default\n"
	       "    user: lee                                   # defaults, config.yaml:3\n"
	       "    auth: auto                                  # default\n"
	       "    password_command: [pass, show, \"mail box\"]  # defaults, config.yaml:4\n"
	       "    mailboxes: [INBOX]                          # default\n"
	       "    keep: 30d                                   # accounts.d/work.yaml:3\n"
	       "    max_size: 1536K                             # accounts.d/work.yaml:5\n"
	       "    first_run: all                              # default\n"
	       "    max_attempts: 5                             # default\n"
	       "    interval: 5m                                # default\n"
	       "    idle: true                                  # default\n"
	       "    timeout: 3m                                 # default\n"
	       "    deliver:\n"
	       "      maildir: /home/lee/Mail/work              # accounts.d/work.yaml:4\n"
	       "      mda_timeout: 1m                           # defaults, config.yaml:8\n"
	       "      mda_may_skip_input: false                 # default\n");
}
END_TEST

START_TEST(a_password_is_cut)
{
	struct config *config =
	    load("config.yaml", "accounts:\n  work:\n    host: imap.example.org\n"
				"    user: lee\n    password: Sesame\n"
				"    deliver: {maildir: ~/Mail}\n");
	struct buf printed = {0};

	print(&printed, config);
	ck_assert_ptr_nonnull(
	    strstr(buf_string(&printed),
		   "\n    password: \"<cut>\"                       # config.yaml:5\n"));
	ck_assert_ptr_null(strstr(buf_string(&printed), "Sesame"));
	buf_free(&printed);
	config_free(&config);
}
END_TEST

/* A line that is longer than the others does not push all comments to the right. */
START_TEST(long_lines)
{
	struct config *config =
	    load("config.yaml", "accounts:\n  work:\n    host: imap.example.org\n    user: lee\n"
				"    password_file: /a/path/that/is/so/long/that/it/ends/beyond\n"
				"    deliver: {maildir: ~/Mail}\n");
	struct buf printed = {0};

	print(&printed, config);
	ck_assert_ptr_nonnull(strstr(
	    buf_string(&printed), "    user: lee                               # config.yaml:4\n"));
	ck_assert_ptr_nonnull(strstr(
	    buf_string(&printed),
	    "    password_file: /a/path/that/is/so/long/that/it/ends/beyond  # config.yaml:5\n"));
	buf_free(&printed);
	config_free(&config);
}
END_TEST

/* A file that is named without a directory. */
START_TEST(origins)
{
	const struct option *host = option_find(OPTION_ACCOUNT, "host");
	struct config *config = load("config.yaml", "accounts:\n  work:\n    host: h.example\n"
						    "    user: lee\n    password_file: p\n"
						    "    deliver: {maildir: ~/Mail}\n");
	char *want = mem_printf("%s:3", config->file);
	char *origin = config_print_origin(config, config->accounts[0], host, true);

	ck_assert_str_eq(origin, want);
	free(origin);
	free(want);
	config_free(&config);
	ck_assert_int_eq(chdir(directory), 0);
	config = config_load("config.yaml", no_mistake, NULL, NULL);
	ck_assert_ptr_nonnull(config);
	origin = config_print_origin(config, config->accounts[0], host, false);
	ck_assert_str_eq(origin, "config.yaml:3");
	free(origin);
	config_free(&config);
}
END_TEST

/* ---- quotes ---- */

START_TEST(quotes)
{
	static const struct {
		const char *given, *printed; /* as items of mda */
	} cases[] = {
	    {"-oi", "-oi"},
	    {"--", "--"},
	    {"\"-\"", "\"-\""},
	    {"-1", "\"-1\""},
	    {"\"\"", "\"\""},
	    {"'%{user}'", "\"%{user}\""},
	    {"lee@example.org", "lee@example.org"},
	    {"/a/b-c_d.e", "/a/b-c_d.e"},
	    {"'yes'", "\"yes\""},
	    {"'Null'", "\"Null\""},
	    {"007", "\"007\""},
	    {"1e3", "\"1e3\""},
	    {"30s", "30s"},
	    {"50M", "50M"},
	    {"1.2", "\"1.2\""},
	    {"'a: b'", "\"a: b\""},
	    {"'#x'", "\"#x\""},
	    {"'a\"b\\c'", "\"a\\\"b\\\\c\""},
	    {"'[x]'", "\"[x]\""},
	    {"bücher", "\"bücher\""},
	    {"\"a\\u202Eb\"", "\"a\\u202Eb\""},
	    {"\"a\\Lb\"", "\"a\\u2028b\""},
	    {"\"\\U000E0041\"", "\"\\U000E0041\""},
	    {"'~'", "\"~\""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = mem_printf("accounts:\n  work:\n    host: h.example\n    user: lee\n"
					"    password_file: p\n    deliver: {mda: [x, %s]}\n",
					cases[i].given);
		char *want = mem_printf("      mda: [x, %s] ", cases[i].printed);
		struct config *config = load("config.yaml", text);
		struct buf printed = {0};

		print(&printed, config);
		ck_assert_msg(strstr(buf_string(&printed), want) != NULL, "%s\n%s", want,
			      buf_string(&printed));
		buf_free(&printed);
		config_free(&config);
		free(want);
		free(text);
	}
}
END_TEST

/* ---- printed, and read again ---- */

static void same_value(const struct option *option, const void *a, const void *b)
{
	struct config_shown x, y;

	config_print_value(option, a, &x);
	config_print_value(option, b, &y);
	ck_assert_msg(x.shape == y.shape, "%s", option->name);
	ck_assert_msg(x.truth == y.truth && x.number == y.number, "%s", option->name);
	if (x.shape == CONFIG_TEXT)
		ck_assert_str_eq(x.text, y.text);
	if (x.shape != CONFIG_LIST)
		return;
	for (size_t i = 0; x.items[i] || y.items[i]; i++) {
		ck_assert_msg(x.items[i] && y.items[i], "%s: %zu items", option->name, i);
		ck_assert_str_eq(x.items[i], y.items[i]);
	}
}

static void same_configuration(const struct config *a, const struct config *b)
{
	ck_assert_uint_eq(a->count, b->count);
	for (size_t i = 0; i < option_count; i++) {
		if (option_table[i].place == OPTION_TOP)
			same_value(&option_table[i], a, b);
		for (unsigned j = 0; option_table[i].place != OPTION_TOP && j < a->count; j++)
			same_value(&option_table[i], a->accounts[j], b->accounts[j]);
	}
	for (unsigned j = 0; j < a->count; j++)
		ck_assert_str_eq(a->accounts[j]->name, b->accounts[j]->name);
}

START_TEST(round_trip)
{
	static const char text[] =
	    "state_dir: state\nrun_as: root\nmax_connections: 10000\nlog: syslog\n"
	    "notify_command: [mail, -s, 'a b', lee]\nmetrics_file: m.prom\n"
	    "defaults: {timeout: 61s, max_attempts: 7, mailboxes: [INBOX, a, 'b c', \"null\"]}\n"
	    "accounts:\n"
	    "  a.b_c-1:\n"
	    "    protocol: pop3\n    host: 192.0.2.1\n    port: 65535\n"
	    "    tls: {mode: implicit, server_name: bücher.example, min_version: '1.3', "
	    "ca_file: 'c a.pem'}\n"
	    "    user: '12 \"\\\\ # ß'\n    auth: Scram-SHA-256\n    password: ' p ß\"'\n"
	    "    keep: False\n    interval: 90m\n    idle: false\n"
	    "    deliver: {mda: [/usr/sbin/exim4, -oi, -f, '%{sender}', --, '', '%%', no], "
	    "mda_timeout: 30s, mda_may_skip_input: true}\n"
	    "  '1e3':\n"
	    "    host: '::1'\n    user: \"yes\"\n    password_file: ~/secret\n"
	    "    tls: {pin_sha256: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=}\n"
	    "    mailboxes: [inbox, Lists/c, 'a: b']\n    auth: login-command\n"
	    "    deliver: {maildir: '~/Mail/%{mailbox}/'}\n"
	    "  null:\n"
	    "    host: h.example\n    user: \"x\\u2028y\\u200bz\"\n    password_command: [a, "
	    "\"b\\\\c\"]\n"
	    "    deliver: {maildir: '~/Mail/#x'}\n";
	struct config *first = load("config.yaml", text);
	struct config *second;
	struct buf once = {0}, twice = {0};

	print(&once, first);
	second = load("again.yaml", buf_string(&once));
	same_configuration(first, second);
	ck_assert_int_eq(second->accounts[0]->password.kind, SECRET_VALUE);
	ck_assert_str_eq(second->accounts[2]->user, first->accounts[2]->user);
	/* What was a default is now given, and yet means the same. */
	print(&twice, second);
	ck_assert_ptr_null(strstr(buf_string(&twice), "# default"));
	buf_free(&once);
	buf_free(&twice);
	config_free(&first);
	config_free(&second);
}
END_TEST

/* Each option that has a default is in effect when nobody says anything, and shows it. */
START_TEST(the_tables_defaults)
{
	struct config *config = load("config.yaml", "accounts:\n  work:\n    host: h.example\n"
						    "    user: lee\n    password_file: p\n"
						    "    deliver: {maildir: ~/Mail}\n");

	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		bool top = option->place == OPTION_TOP;
		char *origin =
		    config_print_origin(config, top ? NULL : config->accounts[0], option, true);
		struct config_shown shown;

		config_print_value(
		    option, top ? (const void *)config : (const void *)config->accounts[0], &shown);
		if (option->fallback) {
			ck_assert_msg(shown.shape != CONFIG_UNSET, "%s", option->name);
			ck_assert_str_eq(origin, "default");
		}
		if (option->type == OPTION_CHOICE || option->type == OPTION_SWITCH ||
		    option->type == OPTION_MECHANISM)
			ck_assert_str_eq(shown.text, option->fallback);
		free(origin);
	}
	config_free(&config);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config_print");
	TCase *tests = tcase_create("config_print");
	SRunner *runner;
	int failures;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, where_values_come_from);
	tcase_add_test(tests, a_password_is_cut);
	tcase_add_test(tests, long_lines);
	tcase_add_test(tests, origins);
	tcase_add_test(tests, quotes);
	tcase_add_test(tests, round_trip);
	tcase_add_test(tests, the_tables_defaults);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
