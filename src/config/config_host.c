/*
 * config_host: what may name a server. Host names are RFC 1123 labels; a name outside ASCII must be
 * one that libidn2 can turn into A-labels (RFC 5891).
 */
#include "config/config_host.h"

#include "util/str.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <string.h>

enum { HOST_MAX = 253, LABEL_MAX = 63 };

static bool is_address(const char *text)
{
	unsigned char octets[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, octets) == 1 || inet_pton(AF_INET6, text, octets) == 1;
}

static bool is_label(const char *label, size_t len)
{
	if (!len || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr(STR_LETTERS STR_DIGITS "-", label[i]))
			return false;
	return true;
}

/* A host name in ASCII. A last label of digits alone would be a mistyped address. */
static bool is_host_name(const char *text)
{
	const char *label = text;

	if (strlen(text) > HOST_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(label, ".");

		if (!is_label(label, len))
			return false;
		if (!label[len])
			return label[strspn(label, STR_DIGITS)] != 0;
		label += len + 1;
	}
}

/* The same for a name in UTF-8, by way of its A-labels. */
static bool is_idn(const char *text)
{
	char *ascii = NULL;
	bool is = idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK;

	is = is && is_host_name(ascii);
	idn2_free(ascii);
	return is;
}

bool config_host_check(const char *option, const char *text, struct err *err)
{
	const char *colon = strrchr(text, ':');

	if (is_address(text) || (str_is_ascii(text) ? is_host_name(text) : is_idn(text)))
		return true;
	if (strstr(text, "://"))
		return err_set(err, ERR_CONFIG,
			       "%s is the name of the server alone, not a URL: \"%.200s\"", option,
			       text);
	if (text[0] == '[')
		return err_set(err, ERR_CONFIG,
			       "%s: an IPv6 address stands without brackets, not \"%.200s\"",
			       option, text);
	if (colon && colon[1] && !colon[1 + strspn(colon + 1, STR_DIGITS)] &&
	    colon == strchr(text, ':'))
		return err_set(err, ERR_CONFIG,
			       "%s is the name of the server alone; the port goes into an option "
			       "of its own, \"port: %.20s\"",
			       option, colon + 1);
	return err_set(err, ERR_CONFIG, "%s must be a host name or an address, not \"%.200s\"",
		       option, text);
}
