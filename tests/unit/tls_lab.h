/*
 * tls_lab: a throwaway CA, certificates good and bad, and GnuTLS servers that show them.
 */
#ifndef MAILHAUL_TEST_TLS_LAB_H
#define MAILHAUL_TEST_TLS_LAB_H

#include <arpa/inet.h>
#include <check.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LAB_DAY = 86400 };

struct lab_want {
	const char *dns; /* several with commas between */
	const char *ip;
	const char *cn;
	const char *purpose; /* default: a TLS server */
	int from_day;	     /* default: yesterday */
	int to_day;	     /* default: in 30 days */
	int rsa_bits;	     /* default: an elliptic key */
	int self_signed;
};

struct lab_cert {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
	char pin[64];
};

struct lab {
	struct lab_cert ca;
	char ca_file[64];
};

static inline void lab_ok(int status)
{
	if (status < 0)
		ck_abort_msg("GnuTLS: %s", gnutls_strerror(status));
}

static inline void lab_pin(struct lab_cert *cert)
{
	unsigned char hash[32];
	size_t len = sizeof hash;
	gnutls_datum_t raw = {hash, sizeof hash};
	gnutls_datum_t text;

	lab_ok(gnutls_x509_crt_get_key_id(cert->crt, GNUTLS_KEYID_USE_SHA256, hash, &len));
	lab_ok(gnutls_base64_encode2(&raw, &text));
	snprintf(cert->pin, sizeof cert->pin, "%.*s", (int)text.size, (char *)text.data);
	gnutls_free(text.data);
}

static inline void lab_names(gnutls_x509_crt_t crt, const struct lab_want *want)
{
	char names[512];
	char *save = NULL;

	if (want->dns) {
		snprintf(names, sizeof names, "%s", want->dns);
		for (char *name = strtok_r(names, ",", &save); name;
		     name = strtok_r(NULL, ",", &save))
			lab_ok(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
								    (unsigned)strlen(name),
								    GNUTLS_FSAN_APPEND));
	}
	if (want->ip) {
		unsigned char address[16];
		int v6 = strchr(want->ip, ':') != NULL;

		inet_pton(v6 ? AF_INET6 : AF_INET, want->ip, address);
		lab_ok(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address,
							    v6 ? 16 : 4, GNUTLS_FSAN_APPEND));
	}
	if (want->cn)
		lab_ok(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, want->cn,
						     (unsigned)strlen(want->cn)));
}

static inline void lab_begin(struct lab_cert *cert, const struct lab_want *want)
{
	unsigned char serial[8] = {1};
	time_t now = time(NULL);

	lab_ok(gnutls_x509_privkey_init(&cert->key));
	if (want->rsa_bits)
		lab_ok(gnutls_x509_privkey_generate(cert->key, GNUTLS_PK_RSA,
						    (unsigned)want->rsa_bits, 0));
	else
		lab_ok(gnutls_x509_privkey_generate(
		    cert->key, GNUTLS_PK_EC, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	lab_ok(gnutls_x509_crt_init(&cert->crt));
	lab_ok(gnutls_x509_crt_set_version(cert->crt, 3));
	gnutls_rnd(GNUTLS_RND_NONCE, serial + 1, 7);
	lab_ok(gnutls_x509_crt_set_serial(cert->crt, serial, sizeof serial));
	lab_ok(gnutls_x509_crt_set_activation_time(
	    cert->crt, now + (want->from_day ? want->from_day : -1) * LAB_DAY));
	lab_ok(gnutls_x509_crt_set_expiration_time(
	    cert->crt, now + (want->to_day ? want->to_day : 30) * LAB_DAY));
	lab_ok(gnutls_x509_crt_set_key(cert->crt, cert->key));
	lab_names(cert->crt, want);
}

static inline void lab_open(struct lab *lab)
{
	gnutls_datum_t pem;
	int fd;

	lab_begin(&lab->ca, &(struct lab_want){.cn = "Lab CA"});
	lab_ok(gnutls_x509_crt_set_basic_constraints(lab->ca.crt, 1, -1));
	lab_ok(gnutls_x509_crt_set_key_usage(lab->ca.crt, GNUTLS_KEY_KEY_CERT_SIGN));
	lab_ok(gnutls_x509_crt_sign2(lab->ca.crt, lab->ca.crt, lab->ca.key, GNUTLS_DIG_SHA256, 0));
	lab_pin(&lab->ca);
	snprintf(lab->ca_file, sizeof lab->ca_file, "/tmp/mailhaul-lab-XXXXXX");
	fd = mkstemp(lab->ca_file);
	lab_ok(gnutls_x509_crt_export2(lab->ca.crt, GNUTLS_X509_FMT_PEM, &pem));
	ck_assert_int_eq(write(fd, pem.data, pem.size), (int)pem.size);
	close(fd);
	gnutls_free(pem.data);
}

static inline void lab_cert(struct lab *lab, const struct lab_want *want, struct lab_cert *cert)
{
	lab_begin(cert, want);
	lab_ok(gnutls_x509_crt_set_key_usage(cert->crt, GNUTLS_KEY_DIGITAL_SIGNATURE |
							    GNUTLS_KEY_KEY_ENCIPHERMENT));
	lab_ok(gnutls_x509_crt_set_key_purpose_oid(
	    cert->crt, want->purpose ? want->purpose : GNUTLS_KP_TLS_WWW_SERVER, 0));
	if (want->self_signed)
		lab_ok(
		    gnutls_x509_crt_sign2(cert->crt, cert->crt, cert->key, GNUTLS_DIG_SHA256, 0));
	else
		lab_ok(gnutls_x509_crt_sign2(cert->crt, lab->ca.crt, lab->ca.key, GNUTLS_DIG_SHA256,
					     0));
	lab_pin(cert);
}

static inline void lab_cert_free(struct lab_cert *cert)
{
	gnutls_x509_crt_deinit(cert->crt);
	gnutls_x509_privkey_deinit(cert->key);
}

static inline void lab_close(struct lab *lab)
{
	unlink(lab->ca_file);
	lab_cert_free(&lab->ca);
}

/* A server's session; NULL for the usual priorities. Free both with lab_server_free(). */
static inline gnutls_session_t lab_server(struct lab_cert *cert, const char *priority,
					  gnutls_certificate_credentials_t *credentials_r)
{
	gnutls_session_t session;

	lab_ok(gnutls_certificate_allocate_credentials(credentials_r));
	lab_ok(gnutls_certificate_set_x509_key(*credentials_r, &cert->crt, 1, cert->key));
	lab_ok(gnutls_certificate_set_known_dh_params(*credentials_r, GNUTLS_SEC_PARAM_MEDIUM));
	lab_ok(gnutls_init(&session, GNUTLS_SERVER));
	lab_ok(gnutls_priority_set_direct(session, priority ? priority : "NORMAL", NULL));
	lab_ok(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, *credentials_r));
	return session;
}

static inline void lab_server_free(gnutls_session_t session,
				   gnutls_certificate_credentials_t credentials)
{
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(credentials);
}

#endif
