/*
 * Loading a configuration. The input is the file. Besides not crashing: there is a configuration or
 * a mistake was told, every mistake has words and a place in the file, and what a configuration
 * holds is within what the manual allows.
 */
#include "config/config.h"
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct told {
	unsigned mistakes;
	unsigned lines; /* of the file */
};

static void on_mistake(void *ctx, const struct config_mistake *mistake)
{
	struct told *told = ctx;

	must(mistake->file && *mistake->text);
	/* libyaml ends the last line itself, and counts the one behind it. */
	must(mistake->line <= told->lines + 2);
	for (const char *c = mistake->text; *c; c++)
		must((unsigned char)*c >= ' ');
	told->mistakes += !mistake->warning;
}

static void judge(const struct config *config)
{
	must(config->count && config->state_dir);
	for (unsigned i = 0; i < config->count; i++) {
		const struct config_account *account = config->accounts[i];

		must(account->name && *account->name && account->host && *account->host);
		must(account->user && account->auth && account->port);
		must(account->maildir || account->mda);
		must(account->line);
		must(config_find(config, account->name) == account);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	struct told told = {0};
	struct err err = {.kind = ERR_NONE};
	struct config *config;

	if (fd < 0) {
		fd = memfd_create("config", MFD_CLOEXEC);
		must(fd >= 0 && !fchmod(fd, 0600) && !setenv("HOME", "/nowhere", 1));
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	must(!ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size);
	/* libyaml counts CR, NEL, LS and PS as line ends too. */
	for (size_t i = 0; i < size; i++)
		told.lines += data[i] == '\n' || data[i] == '\r' || data[i] >= 0x80;
	config = config_load(path, on_mistake, &told, &err);
	must(config ? !told.mistakes : err.kind == ERR_CONFIG && *err.words);
	if (config)
		judge(config);
	config_free(&config);
	return 0;
}
