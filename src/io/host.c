/*
 * host: what a host is called: an address, or a name in A-labels.
 *
 * UTF-8 names follow IDNA 2008 in its nontransitional form (RFC 5891, UTS 46), as browsers do.
 * Names in ASCII are checked for what DNS and a certificate may hold (RFC 1123; the underscore
 * because it is in use), so that nothing else reaches the resolver or the SNI.
 */
#include "io/host.h"

#include "util/mem.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_OCTETS = 253, LABEL_MAX_OCTETS = 63 };

bool host_is_address(const char *host, unsigned char address_r[HOST_ADDRESS_MAX], size_t *len_r)
{
	char plain[INET6_ADDRSTRLEN];
	size_t len = strcspn(host, "%");

	if (len >= sizeof plain)
		return false;
	memcpy(plain, host, len);
	plain[len] = '\0';
	if (!host[len] && inet_pton(AF_INET, plain, address_r) == 1)
		*len_r = 4;
	else if (inet_pton(AF_INET6, plain, address_r) == 1)
		*len_r = 16;
	else
		return false;
	return true;
}

static bool may_stand_in_label(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Lower case, and labels of the length that DNS allows; one dot may stand at the end. */
static bool make_name(char *name)
{
	size_t label = 0;

	if (strlen(name) > NAME_MAX_OCTETS || !*name)
		return false;
	for (char *at = name; *at; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + ('a' - 'A'));
		if (*at == '.' && !label)
			return false;
		if (*at != '.' && !may_stand_in_label(*at))
			return false;
		label = *at == '.' ? 0 : label + 1;
		if (label > LABEL_MAX_OCTETS)
			return false;
	}
	return true;
}

char *host_ascii(const char *host, struct err *err)
{
	unsigned char address[HOST_ADDRESS_MAX];
	size_t len;
	char *idn = NULL;
	char *name;
	int status;

	if (host_is_address(host, address, &len))
		return mem_copy(host);
	if (str_is_ascii(host)) {
		name = mem_copy(host);
	} else {
		status = idn2_to_ascii_8z(host, &idn, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
		if (status != IDN2_OK) {
			err_set(err, ERR_CONFIG, "\"%s\" is not a host name: %s", host,
				idn2_strerror(status));
			return NULL;
		}
		name = mem_copy(idn);
		idn2_free(idn);
	}
	if (make_name(name))
		return name;
	free(name);
	err_set(err, ERR_CONFIG, "\"%s\" is neither a host name nor an address", host);
	return NULL;
}
