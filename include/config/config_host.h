/*
 * config_host: what may name a server: a host name or an address.
 */
#ifndef MAILHAUL_CONFIG_CONFIG_HOST_H
#define MAILHAUL_CONFIG_CONFIG_HOST_H

#include "util/err.h"

#include <stdbool.h>

/* ERR_CONFIG says what is wrong with a text that names none, and what the user may have meant. */
bool config_host_check(const char *option, const char *text, struct err *err);

#endif
