/*
 * tls: GnuTLS as a filter over memory: ciphertext in, plaintext out, and back. Does no I/O.
 *
 * GnuTLS pulls from one buffer and pushes into another; when the first is empty it hears EAGAIN.
 * Who the server is, is asked inside the handshake, as soon as its certificate is there
 * (tls_verify), so that a refused server never sees our Finished, let alone a command.
 *
 * RFC 8446 (TLS 1.3), RFC 5246 with RFC 5746 left unused (no renegotiation), RFC 9325 (what to
 * allow), RFC 5929 and 9266 (channel binding). Trust, priorities and credentials are shared: the
 * system's anchors take 4 MB.
 *
 * Thousands of connections may listen, so what only the handshake needs is freed after it, and room
 * for an error is made when there is one. What is left is GnuTLS's: its session (7.3 KB), the state
 * of both directions (2 KB), and the server's chain of certificates, for which it has no way out.
 */
#include "io/tls.h"

#include "io/host.h"
#include "io/tls_verify.h"
#include "util/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Appended to the distribution's defaults: no CBC (AEAD alone is left as MAC), no key exchange
 * without forward secrecy, no SHA-1 in signatures, no RSA below 2,048 bits.
 */
#define PRIORITY_COMMON ":-RSA:-MAC-ALL:+AEAD:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:%PROFILE_MEDIUM"
#define PRIORITY_BOTH	"-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" PRIORITY_COMMON
#define PRIORITY_1_3	"-VERS-ALL:+VERS-TLS1.3" PRIORITY_COMMON

/* RFC 8446, 5.1: the most plaintext of one record; and the types a first record may have. */
enum { RECORD_MAX = 16384, RECORD_LEAST = 512, RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };

/* A peer may send warning alerts that mean nothing; so many in one call are a flood. */
enum { WARNINGS_MAX = 64 };

struct tls_trust {
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t both;
	gnutls_priority_t only_1_3;
	bool system_store; /* its anchors are loaded when the first connection needs them */
	bool identity;	   /* there is a client certificate */
	int anchors;
	unsigned others; /* owners beside the first */
};

struct tls {
	struct tls_trust *trust;
	gnutls_session_t session;
	struct buf wire_in;
	struct buf wire_out;
	struct tls_identity *identity; /* until the handshake is over */
	struct tls_info info;
	struct err *failure; /* once there, the filter is dead */
	bool heard;	     /* the first octet of the peer was looked at */
	bool done;	     /* the handshake is over */
	bool closed;	     /* close_notify came */
};

static bool load_file(struct tls_trust *trust, const char *ca_file, struct err *err)
{
	int fd = open(ca_file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, ERR_CONFIG, errno, "ca_file %s", ca_file);
	close(fd);
	trust->anchors = gnutls_certificate_set_x509_trust_file(trust->credentials, ca_file,
								GNUTLS_X509_FMT_PEM);
	if (trust->anchors < 0)
		return err_set(err, ERR_CONFIG, "ca_file %s: %s", ca_file,
			       gnutls_strerror(trust->anchors));
	if (!trust->anchors)
		return err_set(err, ERR_CONFIG, "ca_file %s holds no certificate", ca_file);
	return true;
}

static bool load_system(struct tls_trust *trust, struct err *err)
{
	if (trust->system_store && trust->anchors <= 0)
		trust->anchors = gnutls_certificate_set_x509_system_trust(trust->credentials);
	if (trust->anchors > 0)
		return true;
	return err_set(err, ERR_CONFIG,
		       "the system has no trusted certificates; install ca-certificates, or name "
		       "ca_file or pin_sha256");
}

static bool load_priority(gnutls_priority_t *priority, const char *text, struct err *err)
{
	int status = gnutls_priority_init2(priority, text, NULL, GNUTLS_PRIORITY_INIT_DEF_APPEND);

	if (status < 0)
		return err_set(err, ERR_INTERNAL, "GnuTLS takes no priorities: %s",
			       gnutls_strerror(status));
	return true;
}

struct tls_trust *tls_trust_new(const char *ca_file, struct err *err)
{
	struct tls_trust *trust = mem_new(1, sizeof *trust);
	int status = gnutls_certificate_allocate_credentials(&trust->credentials);

	trust->system_store = !ca_file;
	if (status < 0)
		err_set(err, ERR_INTERNAL, "GnuTLS: %s", gnutls_strerror(status));
	else if (load_priority(&trust->both, PRIORITY_BOTH, err) &&
		 load_priority(&trust->only_1_3, PRIORITY_1_3, err) &&
		 (!ca_file || load_file(trust, ca_file, err)))
		return trust;
	tls_trust_free(&trust);
	return NULL;
}

/* A key is a secret: whoever can read it can log in as its owner. */
static bool check_secret_file(const char *path, const char *option, bool secret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err_sys(err, ERR_CONFIG, errno, "cannot read %s %s", option, path);
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CONFIG, "%s %s is not a regular file", option, path);
	if (secret && (st.st_mode & (S_IRWXG | S_IRWXO)))
		return err_set(err, ERR_CONFIG,
			       "%s %s holds a key and can be accessed by others; say: chmod 600 %s",
			       option, path, path);
	return true;
}

bool tls_trust_identify(struct tls_trust *trust, const char *cert, const char *key, struct err *err)
{
	int status;

	if (!check_secret_file(cert, "client_cert", !key, err) ||
	    (key && !check_secret_file(key, "client_key", true, err)))
		return false;
	status = gnutls_certificate_set_x509_key_file(trust->credentials, cert, key ? key : cert,
						      GNUTLS_X509_FMT_PEM);
	trust->identity = status >= 0;
	if (status == GNUTLS_E_DECRYPTION_FAILED)
		return err_set(
		    err, ERR_CONFIG,
		    "client_key %s is locked by a passphrase; nobody is there to type it",
		    key ? key : cert);
	if (status < 0)
		return err_set(err, ERR_CONFIG, "client_cert %s%s%s: %s", cert,
			       key ? " with client_key " : "", key ? key : "",
			       gnutls_strerror(status));
	return true;
}

struct tls_trust *tls_trust_share(struct tls_trust *trust)
{
	if (trust)
		trust->others++;
	return trust;
}

void tls_trust_free(struct tls_trust **trust_p)
{
	struct tls_trust *trust = *trust_p;

	*trust_p = NULL;
	if (!trust)
		return;
	if (trust->others) {
		trust->others--;
		return;
	}
	if (trust->credentials)
		gnutls_certificate_free_credentials(trust->credentials);
	if (trust->both)
		gnutls_priority_deinit(trust->both);
	if (trust->only_1_3)
		gnutls_priority_deinit(trust->only_1_3);
	free(trust);
}

static ssize_t push(gnutls_transport_ptr_t ptr, const void *bytes, size_t len)
{
	struct tls *tls = ptr;

	buf_append(&tls->wire_out, bytes, len);
	return (ssize_t)len;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *bytes, size_t len)
{
	struct tls *tls = ptr;

	if (!tls->wire_in.len) {
		gnutls_transport_set_errno(tls->session, EAGAIN);
		return -1;
	}
	if (len > tls->wire_in.len)
		len = tls->wire_in.len;
	memcpy(bytes, tls->wire_in.data, len);
	buf_consume(&tls->wire_in, len);
	return (ssize_t)len;
}

static int pull_timeout(gnutls_transport_ptr_t ptr, unsigned milliseconds)
{
	struct tls *tls = ptr;

	(void)milliseconds;
	return tls->wire_in.len > 0;
}

/* The first failure stands. */
static void note_failure(struct tls *tls, const struct err *err)
{
	if (tls->failure)
		return;
	tls->failure = mem_new(1, sizeof *tls->failure);
	*tls->failure = *err;
}

static bool has_failed(const struct tls *tls, struct err *err)
{
	if (tls->failure && err)
		*err = *tls->failure;
	return tls->failure != NULL;
}

static void drop_identity(struct tls *tls)
{
	if (tls->identity)
		tls_identity_clear(tls->identity);
	free(tls->identity);
	tls->identity = NULL;
}

static int on_certificate(gnutls_session_t session)
{
	struct tls *tls = gnutls_session_get_ptr(session);
	struct err err = {0};

	if (tls->identity && tls_verify(session, tls->identity, &tls->info, &err))
		return 0;
	if (err.kind != ERR_NONE)
		note_failure(tls, &err);
	return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

static int set_up(struct tls *tls, const struct tls_params *params)
{
	const struct tls_identity *who = tls->identity;
	/* Whoever names a certificate wants it shown, whatever authorities the server lists. */
	unsigned show = params->trust->identity ? GNUTLS_FORCE_CLIENT_CERT : 0;
	int status =
	    gnutls_init(&tls->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | show);

	if (status < 0)
		return status;
	gnutls_session_set_ptr(tls->session, tls);
	gnutls_transport_set_ptr(tls->session, tls);
	gnutls_transport_set_push_function(tls->session, push);
	gnutls_transport_set_pull_function(tls->session, pull);
	gnutls_transport_set_pull_timeout_function(tls->session, pull_timeout);
	gnutls_handshake_set_timeout(tls->session, 0);
	gnutls_session_set_verify_function(tls->session, on_certificate);
	status = gnutls_priority_set(tls->session, params->only_1_3 ? params->trust->only_1_3
								    : params->trust->both);
	if (status == 0)
		status = gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE,
						params->trust->credentials);
	if (status == 0 && !who->address_len)
		status = gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS, who->name,
						strlen(who->name));
	return status;
}

struct tls *tls_new(const struct tls_params *params, struct err *err)
{
	struct tls *tls = mem_new(1, sizeof *tls);
	int status;

	tls->trust = tls_trust_share(params->trust);
	tls->identity = mem_new(1, sizeof *tls->identity);
	if (tls_identity_init(tls->identity, params->name, params->pins, err) &&
	    (tls->identity->pin_count || load_system(params->trust, err))) {
		status = set_up(tls, params);
		if (status == 0)
			return tls;
		err_set(err, ERR_TLS, "cannot begin TLS: %s; nothing was sent",
			gnutls_strerror(status));
	}
	tls_free(&tls);
	return NULL;
}

void tls_free(struct tls **tls_p)
{
	struct tls *tls = *tls_p;

	*tls_p = NULL;
	if (!tls)
		return;
	if (tls->session)
		gnutls_deinit(tls->session);
	tls_trust_free(&tls->trust);
	drop_identity(tls);
	free(tls->failure);
	buf_wipe(&tls->wire_in);
	buf_wipe(&tls->wire_out);
	free(tls);
}

struct buf *tls_wire_in(struct tls *tls)
{
	return &tls->wire_in;
}

struct buf *tls_wire_out(struct tls *tls)
{
	return &tls->wire_out;
}

void tls_rest(struct tls *tls)
{
	if (!tls->wire_in.len)
		buf_free(&tls->wire_in);
	if (!tls->wire_out.len)
		buf_free(&tls->wire_out);
}

/* Does the alert speak of our certificate, or of the want of one? In TLS 1.3 such an alert comes
 * after the handshake. In TLS 1.2 it comes within, and may be any one (RFC 5246, 7.4.6). */
static bool about_our_certificate(const struct tls *tls, gnutls_alert_description_t alert)
{
	static const gnutls_alert_description_t alerts[] = {
	    GNUTLS_A_BAD_CERTIFICATE,	  GNUTLS_A_UNSUPPORTED_CERTIFICATE,
	    GNUTLS_A_CERTIFICATE_REVOKED, GNUTLS_A_CERTIFICATE_EXPIRED,
	    GNUTLS_A_CERTIFICATE_UNKNOWN, GNUTLS_A_UNKNOWN_CA,
	    GNUTLS_A_CERTIFICATE_REQUIRED};

	for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++)
		if (alert == alerts[i])
			return true;
	return !tls->done && gnutls_certificate_client_get_request_status(tls->session);
}

/* Servers that have nothing in common with us say so with one of two alerts, or answer in a version
 * that was not offered. */
static const char *advice(const struct tls *tls, int status, gnutls_alert_description_t alert)
{
	if (status == GNUTLS_E_FATAL_ALERT_RECEIVED && about_our_certificate(tls, alert))
		return ". It seems to want a certificate from us, or another one: see client_cert";
	if (status == GNUTLS_E_UNSUPPORTED_VERSION_PACKET ||
	    (status == GNUTLS_E_FATAL_ALERT_RECEIVED &&
	     (alert == GNUTLS_A_PROTOCOL_VERSION || alert == GNUTLS_A_HANDSHAKE_FAILURE)))
		return ". It seems to have nothing that is allowed here: TLS 1.2 or 1.3 (1.3 "
		       "alone, if "
		       "min_version says so), forward secrecy, authenticated encryption";
	return "";
}

static enum tls_step fail(struct tls *tls, int status, struct err *err)
{
	gnutls_alert_description_t alert = gnutls_alert_get(tls->session);
	const char *what = tls->done ? "TLS broke off" : "the TLS handshake failed";
	const char *then = tls->done ? "" : "; nothing was sent";
	const char *name = gnutls_alert_get_name(alert);
	struct err found;

	if (status != GNUTLS_E_FATAL_ALERT_RECEIVED)
		gnutls_alert_send_appropriate(tls->session, status);
	if (status == GNUTLS_E_FATAL_ALERT_RECEIVED)
		err_set(&found,
			tls->done && !about_our_certificate(tls, alert) ? ERR_TEMPORARY : ERR_TLS,
			"%s: the server sent the alert \"%s\"%s%s", what, name ? name : "unknown",
			then, advice(tls, status, alert));
	else if (status == GNUTLS_E_REHANDSHAKE)
		err_set(&found, ERR_TLS, "%s: the server wants to renegotiate", what);
	else
		err_set(&found, ERR_TLS, "%s: %s%s%s", what, gnutls_strerror(status), then,
			advice(tls, status, alert));
	note_failure(tls, &found);
	has_failed(tls, err);
	return TLS_FAILED;
}

/* A port that wants STARTTLS greets in clear; GnuTLS would call that a strange version. */
static bool speaks_tls(struct tls *tls)
{
	struct err err;

	if (tls->heard || !tls->wire_in.len)
		return true;
	tls->heard = true;
	if (tls->wire_in.data[0] == RECORD_HANDSHAKE || tls->wire_in.data[0] == RECORD_ALERT)
		return true;
	err_set(&err, ERR_TLS,
		"the server does not answer with TLS; nothing was sent. A port that begins in "
		"clear, as "
		"143 and 110 do, wants tls: starttls");
	err_server(&err, tls->wire_in.data,
		   tls->wire_in.len < RECORD_LEAST ? tls->wire_in.len : RECORD_LEAST);
	note_failure(tls, &err);
	return false;
}

static void describe_exchange(gnutls_session_t session, char *out, size_t size)
{
	gnutls_group_t group = gnutls_group_get(session);
	bool finite = group >= GNUTLS_GROUP_FFDHE2048 && group <= GNUTLS_GROUP_FFDHE6144;

	if (group == GNUTLS_GROUP_INVALID)
		snprintf(out, size, "DHE %d bits", gnutls_dh_get_prime_bits(session));
	else
		snprintf(out, size, "%s %s", finite ? "DHE" : "ECDHE",
			 gnutls_group_get_name(group));
}

static void fill_info(struct tls *tls)
{
	gnutls_protocol_t version = gnutls_protocol_get_version(tls->session);
	const char *suite = gnutls_ciphersuite_get(tls->session);

	snprintf(tls->info.version, sizeof tls->info.version, "TLS %s",
		 version == GNUTLS_TLS1_3 ? "1.3" : "1.2");
	snprintf(tls->info.cipher, sizeof tls->info.cipher, "%s", suite ? suite : "unknown");
	describe_exchange(tls->session, tls->info.exchange, sizeof tls->info.exchange);
	tls->info.identified = gnutls_certificate_get_ours(tls->session) != NULL;
}

enum tls_step tls_handshake(struct tls *tls, struct err *err)
{
	gnutls_protocol_t version;
	int status = GNUTLS_E_AGAIN;

	if (tls->failure || !speaks_tls(tls)) {
		has_failed(tls, err);
		return TLS_FAILED;
	}
	for (int warnings = 0; warnings < WARNINGS_MAX;) {
		size_t waiting = tls->wire_in.len;

		status = gnutls_handshake(tls->session);
		/* A message of several records, as a long chain of certificates, takes a call for
		 * each. */
		if (status == GNUTLS_E_AGAIN && tls->wire_in.len && tls->wire_in.len < waiting)
			continue;
		if (status == GNUTLS_E_SUCCESS || status == GNUTLS_E_AGAIN ||
		    gnutls_error_is_fatal(status))
			break;
		warnings++;
	}
	if (status == GNUTLS_E_AGAIN)
		return TLS_MORE;
	if (status != GNUTLS_E_SUCCESS)
		return fail(tls, status, err);
	/* What the set-up makes sure of, asked once more where a mistake would cost everything. */
	version = gnutls_protocol_get_version(tls->session);
	if (!tls->info.verified[0] || gnutls_session_is_resumed(tls->session) ||
	    (version != GNUTLS_TLS1_3 && version != GNUTLS_TLS1_2))
		return fail(tls, GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR, err);
	fill_info(tls);
	tls->done = true;
	drop_identity(tls);
	return TLS_OK;
}

const struct tls_info *tls_info(const struct tls *tls)
{
	return &tls->info;
}

bool tls_binding(const struct tls *tls, struct tls_binding *binding_r)
{
	bool exporter;
	gnutls_datum_t octets;

	*binding_r = (struct tls_binding){.len = 0};
	if (!tls->done)
		return false;
	exporter = gnutls_protocol_get_version(tls->session) == GNUTLS_TLS1_3;
	if ((!exporter && !gnutls_session_ext_master_secret_status(tls->session)) ||
	    gnutls_session_channel_binding(tls->session,
					   exporter ? GNUTLS_CB_TLS_EXPORTER : GNUTLS_CB_TLS_UNIQUE,
					   &octets) < 0)
		return false;
	if (octets.size && octets.size <= sizeof binding_r->octets) {
		binding_r->name = exporter ? "tls-exporter" : "tls-unique";
		binding_r->len = octets.size;
		memcpy(binding_r->octets, octets.data, octets.size);
	}
	gnutls_free(octets.data);
	return binding_r->len != 0;
}

enum tls_step tls_read(struct tls *tls, struct buf *plain, size_t max, struct err *err)
{
	size_t had = plain->len;
	int warnings = 0;

	if (has_failed(tls, err))
		return TLS_FAILED;
	while (!tls->closed && plain->len - had < max) {
		size_t room = tls->wire_in.len + gnutls_record_check_pending(tls->session);
		ssize_t got;

		room = room > RECORD_MAX ? RECORD_MAX : room < RECORD_LEAST ? RECORD_LEAST : room;
		if (room > max - (plain->len - had))
			room = max - (plain->len - had);
		got = gnutls_record_recv(tls->session, buf_reserve(plain, room), room);
		if (got > 0)
			buf_grow(plain, (size_t)got);
		else if (got == 0)
			tls->closed = true;
		else if (got == GNUTLS_E_AGAIN && !tls->wire_in.len)
			return TLS_MORE;
		else if (got == GNUTLS_E_REHANDSHAKE || gnutls_error_is_fatal((int)got) ||
			 ++warnings > WARNINGS_MAX)
			return fail(tls, (int)got, err);
	}
	return tls->closed ? TLS_CLOSED : TLS_OK;
}

bool tls_write(struct tls *tls, const void *bytes, size_t len, struct err *err)
{
	const unsigned char *at = bytes;

	if (has_failed(tls, err))
		return false;
	while (len) {
		ssize_t sent = gnutls_record_send(tls->session, at, len);

		if (sent < 0) {
			fail(tls, (int)sent, err);
			return false;
		}
		at += sent;
		len -= (size_t)sent;
	}
	return true;
}

void tls_close(struct tls *tls)
{
	if (tls->done && !tls->failure)
		gnutls_bye(tls->session, GNUTLS_SHUT_WR);
}
