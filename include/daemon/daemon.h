/*
 * daemon: stays, visits each account when it is due and listens in between, until a signal ends it.
 */
#ifndef MAILHAUL_DAEMON_DAEMON_H
#define MAILHAUL_DAEMON_DAEMON_H

#include "config/config.h"

struct daemon_params {
	const struct config *config; /* to begin with; borrowed */
	const char *file;	     /* to read it anew from; borrowed */
	bool watched;		     /* a person looks on: every failure is told every time */
};

/* Runs until TERM or INT: then it leaves within five seconds, by _exit() where something is stuck.
 * HUP reads the configuration again, USR1 polls all accounts now. Gives the exit code. */
int daemon_run(const struct daemon_params *params);

#endif
