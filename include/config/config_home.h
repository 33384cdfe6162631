/*
 * config_home: where files are when nobody says: the home, the state's directory, the
 * configuration.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_HOME_H
#define MAILHAUL_CONFIG_CONFIG_HOME_H

/*
 * The home that ~ means: of the user run_as if root is to become that user, else $HOME, else what
 * the system's list of users says. NULL if there is none. To be freed.
 */
char *config_home(const char *run_as);

/* The default of state_dir, for a configuration in the given (absolute) directory; NULL if there is
 * no home that it could stand in. To be freed. */
char *config_home_state(const char *directory, const char *home, const char *run_as);

/* The absolute directory in which a file stands, or NULL with errno. To be freed. */
char *config_home_of(const char *file);

#endif
