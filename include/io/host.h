/*
 * host: what a host is called: an address, or a name in A-labels (RFC 5890).
 */
#ifndef MAILHAUL_IO_HOST_H
#define MAILHAUL_IO_HOST_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { HOST_ADDRESS_MAX = 16 };

/* True for an IPv4 or IPv6 address, without brackets; a zone (fe80::1%eth0) is allowed and does not
 * count. address_r gets 4 or 16 octets. */
bool host_is_address(const char *host, unsigned char address_r[HOST_ADDRESS_MAX], size_t *len_r);

/* A name in A-labels and lower case, or an address as it stands; free it with free(). NULL with
 * ERR_CONFIG for what can be neither. */
char *host_ascii(const char *host, struct err *err);

#endif
