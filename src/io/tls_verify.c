/*
 * tls_verify: is this the server that was meant?
 *
 * GnuTLS builds and checks the chain (RFC 5280), the key purpose and the name. What it is kinder
 * about than RFC 9525 is asked here: a name must stand in subjectAltName; the CN never counts, and
 * an address is never looked for among the names.
 *
 * Refusals are for people: what is wrong, what the certificate says instead, what they can do.
 */
#include "io/tls_verify.h"

#include "util/str.h"

#include <arpa/inet.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#define OID_SUBJECT_ALT_NAME "2.5.29.17"

/* GnuTLS's search among the names takes quadratic time; honest certificates have a few hundred. */
enum { NAMES_MAX = 1000, NAMES_SHOWN = 6, NAMES_SHOWN_OCTETS = 160, ISSUER_SHOWN_OCTETS = 96 };

static bool decode_pin(const char *text, unsigned char out[PIN_OCTETS])
{
	unsigned char copy[TLS_PIN_TEXT];
	gnutls_datum_t in = {copy, sizeof copy};
	gnutls_datum_t raw = {0};
	bool good;

	if (strlen(text) != sizeof copy)
		return false;
	memcpy(copy, text, sizeof copy);
	if (gnutls_base64_decode2(&in, &raw) < 0)
		return false;
	good = raw.size == PIN_OCTETS;
	if (good)
		memcpy(out, raw.data, PIN_OCTETS);
	gnutls_free(raw.data);
	return good;
}

bool tls_identity_init(struct tls_identity *who, const char *name, const char *const *pins,
		       struct err *err)
{
	size_t len;

	for (; pins && *pins; pins++) {
		if (who->pin_count == TLS_PINS_MAX)
			return err_set(err, ERR_CONFIG, "pin_sha256 holds more than %d pins",
				       TLS_PINS_MAX);
		if (!decode_pin(*pins, who->pins[who->pin_count]))
			return err_set(err, ERR_CONFIG,
				       "pin_sha256: \"%s\" is not the base64 form of a SHA-256 (%d "
				       "characters)",
				       *pins, TLS_PIN_TEXT);
		who->pin_count++;
	}
	who->name = host_ascii(name, err);
	if (!who->name)
		return false;
	if (!host_is_address(who->name, who->address, &who->address_len))
		who->address_len = 0;
	len = strlen(who->name);
	if (who->name[len - 1] == '.')
		who->name[len - 1] = '\0';
	return true;
}

void tls_identity_clear(struct tls_identity *who)
{
	free(who->name);
	*who = (struct tls_identity){0};
}

static void show_time(struct buf *out, const char *before, time_t when)
{
	char text[32];
	struct tm tm;

	if (gmtime_r(&when, &tm) && strftime(text, sizeof text, "%Y-%m-%d", &tm))
		buf_printf(out, "%s%s", before, text);
}

/* The certificate's subjectAltName; an empty list where it has none. */
static gnutls_subject_alt_names_t alt_names(gnutls_x509_crt_t leaf)
{
	gnutls_subject_alt_names_t names = NULL;
	gnutls_datum_t raw = {0};

	if (gnutls_subject_alt_names_init(&names) < 0)
		return NULL;
	if (gnutls_x509_crt_get_extension_by_oid2(leaf, OID_SUBJECT_ALT_NAME, 0, &raw, NULL) == 0) {
		gnutls_x509_ext_import_subject_alt_names(&raw, names, 0);
		gnutls_free(raw.data);
	}
	return names;
}

/* Counts the names of a type; *all_r counts every name. */
static unsigned count_names(gnutls_subject_alt_names_t names, unsigned type, unsigned *all_r)
{
	gnutls_datum_t san;
	unsigned found = 0;
	unsigned have;

	for (*all_r = 0; *all_r <= NAMES_MAX; ++*all_r) {
		if (gnutls_subject_alt_names_get(names, *all_r, &have, &san, NULL) < 0)
			break;
		found += have == type;
	}
	return found;
}

static void show_name(struct buf *out, unsigned type, const gnutls_datum_t *san)
{
	char text[INET6_ADDRSTRLEN];
	int family = san->size == 4 ? AF_INET : AF_INET6;

	if (type == GNUTLS_SAN_DNSNAME)
		str_visible(out, san->data, san->size, 64);
	else if ((san->size == 4 || san->size == 16) &&
		 inet_ntop(family, san->data, text, sizeof text))
		buf_text(out, text);
}

static void show_names(struct buf *out, gnutls_x509_crt_t leaf)
{
	gnutls_subject_alt_names_t names = alt_names(leaf);
	size_t before = out->len;
	gnutls_datum_t san;
	unsigned type;
	int shown = 0;

	for (unsigned i = 0; names; i++) {
		if (gnutls_subject_alt_names_get(names, i, &type, &san, NULL) < 0)
			break;
		if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_IPADDRESS)
			continue;
		if (shown == NAMES_SHOWN || out->len - before > NAMES_SHOWN_OCTETS) {
			buf_text(out, " and more");
			break;
		}
		buf_text(out, shown++ ? ", " : "");
		show_name(out, type, &san);
	}
	if (!shown)
		buf_text(out, "no host");
	if (names)
		gnutls_subject_alt_names_deinit(names);
}

/* GnuTLS's words, without their beginning, which ours says, and without the full stop. */
static void show_status(struct buf *out, unsigned status)
{
	static const char usual[] = "The certificate is NOT trusted. ";
	gnutls_datum_t words = {0};
	const char *text;
	size_t len;

	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &words, 0) < 0) {
		buf_printf(out, "verification status %#x", status);
		return;
	}
	text = (const char *)words.data;
	if (strncmp(text, usual, sizeof usual - 1) == 0 && text[sizeof usual - 1])
		text += sizeof usual - 1;
	for (len = strlen(text); len && (text[len - 1] == ' ' || text[len - 1] == '.');)
		len--;
	buf_append(out, text, len);
	gnutls_free(words.data);
}

static void show_details(struct buf *out, const struct tls_identity *who, gnutls_x509_crt_t leaf,
			 unsigned status, const struct tls_info *info)
{
	time_t now = time(NULL);

	if (status & GNUTLS_CERT_UNEXPECTED_OWNER) {
		buf_printf(out, "; wanted is %s, the certificate names ", who->name);
		show_names(out, leaf);
	}
	if (status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) {
		if (info->expires < now)
			show_time(out, "; it expired on ", info->expires);
		if (gnutls_x509_crt_get_activation_time(leaf) > now)
			show_time(out, "; it is valid from ",
				  gnutls_x509_crt_get_activation_time(leaf));
	}
	if (status & GNUTLS_CERT_SIGNER_NOT_FOUND) {
		buf_text(out, "; its issuer is ");
		str_visible(out, info->issuer, strlen(info->issuer), ISSUER_SHOWN_OCTETS);
	}
}

/* reason is freed. */
static bool refuse(struct buf *reason, unsigned status, const struct tls_info *info,
		   struct err *err)
{
	if (status & GNUTLS_CERT_SIGNER_NOT_FOUND)
		err_set(
		    err, ERR_TLS,
		    "certificate refused: %s; nothing was sent. If you trust this server, name its "
		    "key: pin_sha256: [\"%s\"], or its CA: ca_file",
		    buf_string(reason), info->pin);
	else if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
		err_set(err, ERR_TLS,
			"certificate refused: %s; nothing was sent. If this is the right server, "
			"set host "
			"or server_name to a name that stands in its certificate",
			buf_string(reason));
	else
		err_set(
		    err, ERR_TLS,
		    "certificate refused: %s; nothing was sent. If you trust this server all the "
		    "same, name its key: pin_sha256: [\"%s\"]",
		    buf_string(reason), info->pin);
	buf_free(reason);
	return false;
}

/* The name must stand where RFC 9525 wants it, whatever GnuTLS would make of the CN. */
static bool names_are_fit(const struct tls_identity *who, gnutls_x509_crt_t leaf,
			  const struct tls_info *info, struct err *err)
{
	gnutls_subject_alt_names_t names = alt_names(leaf);
	unsigned type = who->address_len ? GNUTLS_SAN_IPADDRESS : GNUTLS_SAN_DNSNAME;
	struct buf reason = {0};
	unsigned all = 0;
	unsigned fit = 0;

	if (names) {
		fit = count_names(names, type, &all);
		gnutls_subject_alt_names_deinit(names);
	}
	if (fit && all <= NAMES_MAX)
		return true;
	if (fit) {
		buf_printf(&reason, "it holds more than %d names", NAMES_MAX);
		return refuse(&reason, 0, info, err);
	}
	buf_printf(
	    &reason,
	    "its subjectAltName names no %s (a common name does not count); wanted is %s, the "
	    "certificate names ",
	    who->address_len ? "address" : "host", who->name);
	show_names(&reason, leaf);
	return refuse(&reason, 0, info, err);
}

static bool vouched_for(gnutls_session_t session, const struct tls_identity *who,
			gnutls_x509_crt_t leaf, const struct tls_info *info, struct err *err)
{
	unsigned char purpose[] = GNUTLS_KP_TLS_WWW_SERVER;
	unsigned char address[HOST_ADDRESS_MAX];
	gnutls_typed_vdata_st ask[2] = {
	    {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = purpose, .size = 0},
	    {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)who->name, .size = 0}};
	struct buf reason = {0};
	unsigned status = GNUTLS_CERT_INVALID;
	int result;

	if (!names_are_fit(who, leaf, info, err))
		return false;
	if (who->address_len) {
		memcpy(address, who->address, who->address_len);
		ask[1] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_IP_ADDRESS,
						 .data = address,
						 .size = (unsigned)who->address_len};
	}
	result = gnutls_certificate_verify_peers(session, ask, 2, &status);
	if (result == 0 && status == 0)
		return true;
	if (result < 0) {
		buf_text(&reason, gnutls_strerror(result));
		return refuse(&reason, 0, info, err);
	}
	show_status(&reason, status);
	show_details(&reason, who, leaf, status, info);
	return refuse(&reason, status, info, err);
}

static bool pinned(const struct tls_identity *who, const unsigned char key[PIN_OCTETS],
		   const struct tls_info *info, struct err *err)
{
	for (size_t i = 0; i < who->pin_count; i++)
		if (memcmp(who->pins[i], key, PIN_OCTETS) == 0)
			return true;
	return err_set(
	    err, ERR_TLS,
	    "certificate refused: the server's key is none of pin_sha256; nothing was sent. "
	    "It shows the key \"%s\"; ask the server's operator whether it was changed",
	    info->pin);
}

/* What can be said of the certificate, good or bad. */
static bool describe(gnutls_x509_crt_t leaf, unsigned char key[PIN_OCTETS], struct tls_info *info)
{
	gnutls_datum_t text = {0};
	size_t len = PIN_OCTETS;
	gnutls_datum_t raw = {key, PIN_OCTETS};

	if (gnutls_x509_crt_get_key_id(leaf, GNUTLS_KEYID_USE_SHA256, key, &len) < 0 ||
	    len != PIN_OCTETS || gnutls_base64_encode2(&raw, &text) < 0)
		return false;
	memcpy(info->pin, text.data, text.size < TLS_PIN_TEXT ? text.size : TLS_PIN_TEXT);
	gnutls_free(text.data);
	text = (gnutls_datum_t){0};
	if (gnutls_x509_crt_get_issuer_dn3(leaf, &text, 0) >= 0)
		str_visible_to(info->issuer, sizeof info->issuer, (const char *)text.data);
	gnutls_free(text.data);
	info->expires = gnutls_x509_crt_get_expiration_time(leaf);
	return true;
}

static bool judge(gnutls_session_t session, const struct tls_identity *who, gnutls_x509_crt_t leaf,
		  struct tls_info *info, struct err *err)
{
	unsigned char key[PIN_OCTETS];
	bool good;

	if (!describe(leaf, key, info))
		return err_set(err, ERR_TLS,
			       "certificate refused: its key is not readable; nothing was "
			       "sent");
	good = who->pin_count ? pinned(who, key, info, err)
			      : vouched_for(session, who, leaf, info, err);
	if (good)
		memcpy(info->verified, who->pin_count ? "pin" : "CA", who->pin_count ? 4 : 3);
	return good;
}

bool tls_verify(gnutls_session_t session, const struct tls_identity *who, struct tls_info *info,
		struct err *err)
{
	unsigned count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
	gnutls_x509_crt_t leaf = NULL;
	bool good = false;

	*info = (struct tls_info){0};
	if (gnutls_certificate_type_get2(session, GNUTLS_CTYPE_SERVER) != GNUTLS_CRT_X509 ||
	    !chain || !count)
		return err_set(err, ERR_TLS, "the server showed no certificate; nothing was sent");
	if (gnutls_x509_crt_init(&leaf) < 0)
		return err_set(err, ERR_INTERNAL, "GnuTLS cannot hold a certificate");
	if (gnutls_x509_crt_import(leaf, &chain[0], GNUTLS_X509_FMT_DER) < 0)
		err_set(err, ERR_TLS, "certificate refused: it is malformed; nothing was sent");
	else
		good = judge(session, who, leaf, info, err);
	gnutls_x509_crt_deinit(leaf);
	return good;
}
