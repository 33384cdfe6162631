/*
 * main: the command line: options, the user to become, the configuration, then one command.
 */
#include "cmd/cmd.h"
#include "cmd/report.h"
#include "util/log.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <locale.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct command {
	const char *name;
	int (*run)(const struct cmd_options *options, const struct config *config);
	bool any_user; /* root may run it without run_as: it touches nothing */
	const char *help;
} commands[] = {
    {"poll", cmd_poll, false, "collect once and exit; for cron"},
    {"daemon", cmd_daemon, false, "stay, and collect when mail arrives or is due"},
    {"status", cmd_status, false, "what each account does, and what fails"},
    {"check", cmd_check, true, "read the configuration and report every mistake"},
    {"test", cmd_test, false,
     "connect, encrypt, log in, show what a poll would do; change nothing"},
    {"state", cmd_state, false, "look at what is remembered, and mend it"},
};

static void usage(FILE *out)
{
	fputs("usage: mailhaul [-c FILE] [-q | -v...] [--json] [--trace] COMMAND [ACCOUNT...]\n\n",
	      out);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\nNo account named means all. See mailhaul(1) and mailhaul.yaml(5).\n", out);
}

static int usage_error(const char *what, const char *word)
{
	fprintf(stderr, "mailhaul: %s%s\n", what, word);
	usage(stderr);
	return err_exit_code(ERR_USAGE);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* Secrets are in this process: no core of it, nothing to attach to, files for its user only. */
static void harden(void)
{
	struct rlimit none = {0, 0};
	struct rlimit files;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	umask(077);
	if (!getrlimit(RLIMIT_NOFILE, &files) && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* Root makes the state directory before it becomes somebody who may not. */
static bool make_state_dir(const char *path, const struct passwd *user, struct err *err)
{
	if (!mkdir(path, 0700))
		return !chown(path, user->pw_uid, user->pw_gid) ||
		       err_sys(err, ERR_STATE, errno, "cannot give state_dir %s to %s", path,
			       user->pw_name);
	return errno == EEXIST || errno == ENOENT ||
	       err_sys(err, ERR_STATE, errno, "cannot make state_dir %s", path);
}

static bool become(const struct config *config, struct err *err)
{
	const struct passwd *user;

	if (geteuid() != 0)
		return true;
	if (!config->run_as)
		return err_set(
		    err, ERR_CONFIG,
		    "mailhaul does not run as root unless the configuration says so: set "
		    "run_as to the user it shall become, or to root");
	errno = 0;
	user = getpwnam(config->run_as);
	if (!user)
		return err_set(err, ERR_CONFIG, "run_as: there is no user \"%s\"", config->run_as);
	if (!user->pw_uid)
		return true;
	if (!make_state_dir(config->state_dir, user, err))
		return false;
	if (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid))
		return err_sys(err, ERR_INTERNAL, errno, "cannot become user %s", user->pw_name);
	(void)setenv("HOME", user->pw_dir, 1);
	(void)setenv("USER", user->pw_name, 1);
	(void)setenv("LOGNAME", user->pw_name, 1);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return true;
}

static void set_level(const struct cmd_options *options)
{
	enum log_level level = LOG_LEVEL_WARNING;

	if (options->trace)
		level = LOG_LEVEL_TRACE;
	else if (options->verbosity)
		level = options->verbosity > 1 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	else if (!options->quiet && isatty(STDERR_FILENO))
		level = LOG_LEVEL_NOTICE;
	log_set_level(level);
}

static void on_mistake(void *ctx, const struct config_mistake *mistake)
{
	report_mistake(ctx, mistake);
}

/* A warning that "check" shows would be said by cron at each poll. */
static void on_mistake_only(void *ctx, const struct config_mistake *mistake)
{
	if (!mistake->warning)
		report_mistake(ctx, mistake);
}

static int run(const struct command *command, struct cmd_options *options)
{
	bool checks = command->run == cmd_check;
	struct err err = {.kind = ERR_NONE};
	struct config *config;
	int code;

	config = config_load(options->file, checks ? on_mistake : on_mistake_only, options, &err);
	if (!config || (!command->any_user && !become(config, &err))) {
		log_error("%s", err.words);
		config_free(&config);
		return err_exit_code(err.kind);
	}
	code = command->run(options, config);
	config_free(&config);
	return code;
}

/* Takes what stands in front of the command. False: there is nothing more to do, code_r tells why.
 */
static bool read_options(int argc, char **argv, struct cmd_options *options, int *code_r)
{
	enum {
		OPTION_JSON = 256,
		OPTION_TRACE,
		OPTION_ALL,
		OPTION_MAILDIR,
		OPTION_WATCH,
		OPTION_HELP,
		OPTION_VERSION
	};
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"quiet", no_argument, NULL, 'q'},
					      {"verbose", no_argument, NULL, 'v'},
					      {"json", no_argument, NULL, OPTION_JSON},
					      {"trace", no_argument, NULL, OPTION_TRACE},
					      {"all", no_argument, NULL, OPTION_ALL},
					      {"maildir", no_argument, NULL, OPTION_MAILDIR},
					      {"watch", no_argument, NULL, OPTION_WATCH},
					      {"help", no_argument, NULL, OPTION_HELP},
					      {"version", no_argument, NULL, OPTION_VERSION},
					      {NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	*code_r = 0;
	while ((option = getopt_long(argc, argv, ":c:qvh", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->file = optarg;
			break;
		case 'q':
			options->quiet = true;
			break;
		case 'v':
			options->verbosity++;
			break;
		case OPTION_JSON:
			options->json = true;
			break;
		case OPTION_TRACE:
			options->trace = true;
			break;
		case OPTION_ALL:
			options->all = true;
			break;
		case OPTION_MAILDIR:
			options->maildir = true;
			break;
		case OPTION_WATCH:
			options->watch = true;
			break;
		case 'h':
		case OPTION_HELP:
			usage(stdout);
			return false;
		case OPTION_VERSION:
			puts("mailhaul " MAILHAUL_VERSION);
			return false;
		case ':':
			*code_r =
			    usage_error("which file? This option wants one: ", argv[optind - 1]);
			return false;
		default:
			*code_r = usage_error("there is no such option: ", argv[optind - 1]);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct cmd_options options = {.file = NULL};
	const struct command *command;
	char *file = NULL;
	int code;

	setlocale(LC_CTYPE, "");
	harden();
	if (!read_options(argc, argv, &options, &code))
		return code;
	if (optind == argc)
		return usage_error("which command?", "");
	command = find_command(argv[optind]);
	if (!command)
		return usage_error("there is no such command: ", argv[optind]);
	if (options.all && command->run != cmd_state)
		return usage_error("--all belongs to state; no account named means all", "");
	if (options.maildir && command->run != cmd_state)
		return usage_error("--maildir belongs to state import", "");
	if (options.watch && command->run != cmd_status)
		return usage_error("--watch belongs to status", "");
	if (options.quiet && options.verbosity)
		return usage_error("-q and -v contradict each other", "");
	options.names = (const char *const *)argv + optind + 1;
	set_level(&options);
	if (!options.file)
		options.file = file = config_default_file();
	code = run(command, &options);
	free(file);
	return code;
}
