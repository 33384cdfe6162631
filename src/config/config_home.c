/*
 * config_home: where files are when nobody says.
 *
 * Follows the XDG Base Directory Specification: its variables count only if they hold an absolute
 * path. When root is to become another user, that user's home is meant, not root's.
 */
#include "config/config_home.h"

#include "config/config.h"
#include "util/mem.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool becomes_another(const char *run_as)
{
	return run_as && geteuid() == 0 && strcmp(run_as, "root") != 0;
}

char *config_home(const char *run_as)
{
	const char *home = getenv("HOME");
	const struct passwd *user = NULL;

	if (becomes_another(run_as)) {
		user = getpwnam(run_as);
		home = user ? user->pw_dir : NULL;
	} else if (!home || home[0] != '/') {
		user = getpwuid(geteuid());
		home = user ? user->pw_dir : NULL;
	}
	return home && home[0] == '/' ? mem_copy(home) : NULL;
}

char *config_home_state(const char *directory, const char *home, const char *run_as)
{
	const char *state = becomes_another(run_as) ? NULL : getenv("XDG_STATE_HOME");

	if (!strcmp(directory, "/etc") || !strncmp(directory, "/etc/", 5))
		return mem_copy("/var/lib/mailhaul");
	if (state && state[0] == '/')
		return mem_printf("%s/mailhaul", state);
	return home ? mem_printf("%s/.local/state/mailhaul", home) : NULL;
}

char *config_home_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	char *directory;
	char *real;

	if (!slash)
		return realpath(".", NULL);
	directory = mem_copy_n(file, slash == file ? 1 : (size_t)(slash - file));
	real = realpath(directory, NULL);
	free(directory);
	return real;
}

char *config_default_file(void)
{
	const char *xdg = getenv("XDG_CONFIG_HOME");
	char *home = config_home(NULL);
	char *file = NULL;

	if (xdg && xdg[0] == '/')
		file = mem_printf("%s/mailhaul/config.yaml", xdg);
	else if (home)
		file = mem_printf("%s/.config/mailhaul/config.yaml", home);
	free(home);
	if (file && !access(file, F_OK))
		return file;
	free(file);
	return mem_copy("/etc/mailhaul/config.yaml");
}
