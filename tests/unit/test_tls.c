/* tls: against a GnuTLS server in memory, with certificates good and bad. */
#include "io/tls.h"

#include "tls_lab.h"

#include <errno.h>
#include <sys/stat.h>

static struct lab lab;
static struct tls_trust *trust;

/* One dialogue: our client, their server, two buffers. */
struct pair {
	struct tls *client;
	gnutls_session_t server;
	gnutls_certificate_credentials_t credentials;
	struct err err;
	int server_done;
};

static void setup(void)
{
	lab_open(&lab);
	trust = tls_trust_new(lab.ca_file, NULL);
	ck_assert_ptr_nonnull(trust);
}

static void teardown(void)
{
	tls_trust_free(&trust);
	lab_close(&lab);
}

static ssize_t server_push(gnutls_transport_ptr_t ptr, const void *bytes, size_t len)
{
	struct pair *pair = ptr;

	buf_append(tls_wire_in(pair->client), bytes, len);
	return (ssize_t)len;
}

static ssize_t server_pull(gnutls_transport_ptr_t ptr, void *bytes, size_t len)
{
	struct pair *pair = ptr;
	struct buf *wire = tls_wire_out(pair->client);

	if (!wire->len) {
		gnutls_transport_set_errno(pair->server, EAGAIN);
		return -1;
	}
	if (len > wire->len)
		len = wire->len;
	memcpy(bytes, wire->data, len);
	buf_consume(wire, len);
	return (ssize_t)len;
}

static int server_pull_timeout(gnutls_transport_ptr_t ptr, unsigned ms)
{
	struct pair *pair = ptr;

	(void)ms;
	return tls_wire_out(pair->client)->len > 0;
}

static void pair_open(struct pair *pair, struct lab_cert *cert, const char *priority,
		      const struct tls_params *params)
{
	*pair = (struct pair){0};
	pair->client = tls_new(params, &pair->err);
	ck_assert_msg(pair->client != NULL, "%s", pair->err.words);
	pair->server = lab_server(cert, priority, &pair->credentials);
	gnutls_transport_set_ptr(pair->server, pair);
	gnutls_transport_set_push_function(pair->server, server_push);
	gnutls_transport_set_pull_function(pair->server, server_pull);
	gnutls_transport_set_pull_timeout_function(pair->server, server_pull_timeout);
}

static void pair_close(struct pair *pair)
{
	tls_free(&pair->client);
	ck_assert_ptr_null(pair->client);
	lab_server_free(pair->server, pair->credentials);
}

static void server_shakes(struct pair *pair)
{
	int status = GNUTLS_E_AGAIN;

	if (!pair->server_done)
		status = gnutls_handshake(pair->server);
	pair->server_done |= status == 0;
	if (status < 0 && gnutls_error_is_fatal(status) && status != GNUTLS_E_FATAL_ALERT_RECEIVED)
		gnutls_alert_send_appropriate(pair->server, status);
}

static enum tls_step pair_shake(struct pair *pair)
{
	enum tls_step step = TLS_MORE;

	for (int i = 0; i < 20 && step == TLS_MORE; i++) {
		step = tls_handshake(pair->client, &pair->err);
		server_shakes(pair);
	}
	return step;
}

struct attempt {
	const char *title;
	struct lab_want want;
	const char *name;
	const char *priority; /* the server's */
	const char *refused;  /* words of the refusal; NULL: it must succeed */
	bool only_1_3;
};

static const struct attempt attempts[] = {
    {"good", {.dns = "a.test,mail.test"}, .name = "mail.test"},
    {"case does not count", {.dns = "Mail.TEST"}, .name = "MAIL.test"},
    {"dot at the end", {.dns = "mail.test"}, .name = "mail.test."},
    {"wildcard", {.dns = "*.mail.test"}, .name = "x.mail.test"},
    {"good 1.2", {.dns = "mail.test"}, .name = "mail.test", "NORMAL:-VERS-ALL:+VERS-TLS1.2"},
    {"good RSA", {.dns = "mail.test", .rsa_bits = 2048}, .name = "mail.test"},
    {"good UTF-8", {.dns = "xn--mnchen-3ya.test"}, .name = "M\u00fcnchen.test"},
    {"good address", {.ip = "127.0.0.2"}, .name = "127.0.0.2"},
    {"good v6 address", {.ip = "::1"}, .name = "::1"},
    {"the CN beside a good name", {.dns = "mail.test", .cn = "other"}, .name = "mail.test"},

    {"wildcard of two levels", {.dns = "*.test"}, .name = "x.mail.test", .refused = "*.test"},
    {"wrong name", {.dns = "a.test,b.test"}, .name = "mail.test", .refused = "a.test, b.test"},
    {"many wrong names",
     {.dns = "a.test,b.test,c.test,d.test,e.test,f.test,g.test,h.test"},
     .name = "mail.test",
     .refused = "e.test, f.test and more"},
    {"CN only", {.cn = "mail.test"}, .name = "mail.test", .refused = "common name does not count"},
    {"CN right, name wrong",
     {.dns = "a.test", .cn = "mail.test"},
     .name = "mail.test",
     .refused = "names a.test"},
    {"CN right, address",
     {.ip = "127.0.0.2", .cn = "mail.test"},
     .name = "mail.test",
     .refused = "common name does not count"},
    {"address as CN", {.cn = "127.0.0.2"}, .name = "127.0.0.2", .refused = "names no address"},
    {"address as name", {.dns = "127.0.0.2"}, .name = "127.0.0.2", .refused = "names no address"},
    {"wrong address", {.ip = "127.0.0.3"}, .name = "127.0.0.2", .refused = "names 127.0.0.3"},
    {"expired",
     {.dns = "mail.test", .from_day = -20, .to_day = -3},
     .name = "mail.test",
     .refused = "it expired on 20"},
    {"not yet",
     {.dns = "mail.test", .from_day = 3},
     .name = "mail.test",
     .refused = "it is valid from 20"},
    {"unknown issuer",
     {.dns = "mail.test", .cn = "me", .self_signed = 1},
     .name = "mail.test",
     .refused = "its issuer is CN=me; nothing was sent. If you trust this server, name its key: "
		"pin_sha256: [\""},
    {"for clients",
     {.dns = "mail.test", .purpose = GNUTLS_KP_TLS_WWW_CLIENT},
     .name = "mail.test",
     .refused = "purpose"},
    {"RSA 1024", {.dns = "mail.test", .rsa_bits = 1024}, .name = "mail.test", .refused = "nsecure"},
    {"TLS 1.1",
     {.dns = "mail.test"},
     .name = "mail.test",
     .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.1",
     .refused = "nothing that is allowed here: TLS 1.2"},
    {"1.2 where 1.3 is wanted",
     {.dns = "mail.test"},
     .name = "mail.test",
     .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2",
     .refused = "nothing that is allowed here: TLS 1.2",
     .only_1_3 = true},
    {"no forward secrecy",
     {.dns = "mail.test", .rsa_bits = 2048},
     .name = "mail.test",
     .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA",
     .refused = "nothing was sent"},
    {"CBC alone",
     {.dns = "mail.test"},
     .name = "mail.test",
     .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-CBC:+AES-128-CBC",
     .refused = "nothing was sent"},
};

START_TEST(certificates)
{
	const struct attempt *attempt = &attempts[_i];
	struct tls_params params = {
	    .trust = trust, .name = attempt->name, .only_1_3 = attempt->only_1_3};
	struct lab_cert cert;
	struct pair pair;
	enum tls_step step;

	lab_cert(&lab, &attempt->want, &cert);
	pair_open(&pair, &cert, attempt->priority, &params);
	step = pair_shake(&pair);
	if (attempt->refused) {
		ck_assert_msg(step == TLS_FAILED, "%s: was not refused", attempt->title);
		ck_assert_int_eq(pair.err.kind, ERR_TLS);
		ck_assert_msg(strstr(pair.err.words, attempt->refused) != NULL, "%s: %s",
			      attempt->title, pair.err.words);
		ck_assert_msg(strstr(pair.err.words, "nothing was sent") != NULL, "%s: %s",
			      attempt->title, pair.err.words);
		/* Dead for good, and the server never got to the end. */
		ck_assert_int_eq(tls_handshake(pair.client, &pair.err), TLS_FAILED);
		ck_assert_int_eq(pair.server_done, 0);
		ck_assert(!tls_write(pair.client, "secret", 6, NULL));
	} else {
		ck_assert_msg(step == TLS_OK, "%s: %s", attempt->title, pair.err.words);
		ck_assert_str_eq(tls_info(pair.client)->verified, "CA");
		ck_assert_str_eq(tls_info(pair.client)->pin, cert.pin);
		ck_assert_str_eq(tls_info(pair.client)->issuer, "CN=Lab CA");
	}
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

START_TEST(pins)
{
	/* Everything about it is wrong but the key. */
	struct lab_want want = {
	    .cn = "x", .from_day = -20, .to_day = -3, .rsa_bits = 1024, .self_signed = 1};
	struct lab_cert cert;
	struct pair pair;
	const char *right[] = {lab.ca.pin, NULL, NULL};
	const char *wrong[] = {lab.ca.pin, NULL};
	struct tls_params params = {.trust = trust, .name = "mail.test", .pins = right};

	lab_cert(&lab, &want, &cert);
	right[1] = cert.pin;
	pair_open(&pair, &cert, NULL, &params);
	ck_assert_msg(pair_shake(&pair) == TLS_OK, "%s", pair.err.words);
	ck_assert_str_eq(tls_info(pair.client)->verified, "pin");
	pair_close(&pair);

	params.pins = wrong;
	pair_open(&pair, &cert, NULL, &params);
	ck_assert_int_eq(pair_shake(&pair), TLS_FAILED);
	ck_assert_ptr_nonnull(strstr(pair.err.words, "none of pin_sha256"));
	ck_assert_ptr_nonnull(strstr(pair.err.words, cert.pin));
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

START_TEST(a_pin_is_not_helped_by_a_good_certificate)
{
	struct lab_cert cert;
	struct pair pair;
	const char *wrong[] = {lab.ca.pin, NULL};
	struct tls_params params = {.trust = trust, .name = "mail.test", .pins = wrong};

	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, &cert);
	pair_open(&pair, &cert, NULL, &params);
	ck_assert_int_eq(pair_shake(&pair), TLS_FAILED);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

static void refuse_params(const char *name, const char *pin, const char *words)
{
	const char *list[] = {pin, NULL};
	struct tls_params params = {.trust = trust, .name = name, .pins = pin ? list : NULL};
	struct err err = {0};

	ck_assert_ptr_null(tls_new(&params, &err));
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_msg(strstr(err.words, words) != NULL, "%s", err.words);
}

START_TEST(bad_params)
{
	struct err err = {0};

	refuse_params("mail.test", "abc", "pin_sha256");
	refuse_params("mail.test", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", "pin_sha256");
	refuse_params("mail..test", NULL, "mail..test");
	refuse_params("", NULL, "neither");
	refuse_params("mail test", NULL, "mail test");
	refuse_params("mail\n.test", NULL, "neither");
	refuse_params("\xff.test", NULL, "not a host name");
	ck_assert_ptr_null(tls_trust_new("/nonexistent/ca.pem", &err));
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(err.words, "/nonexistent/ca.pem: No such file"));
	ck_assert_ptr_null(tls_trust_new("/dev/null", &err));
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_ptr_null(tls_trust_new("/", &err));
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(err.words, "ca_file /: "));
}
END_TEST

START_TEST(more_pins_than_there_may_be)
{
	static const char pin[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	const char *several[TLS_PINS_MAX + 2];
	struct tls_params params = {.trust = trust, .name = "mail.test", .pins = several};
	struct err err = {0};
	struct tls *tls;

	for (int i = 0; i <= TLS_PINS_MAX; i++)
		several[i] = pin;
	several[TLS_PINS_MAX] = NULL;
	tls = tls_new(&params, &err);
	ck_assert_ptr_nonnull(tls);
	tls_free(&tls);
	several[TLS_PINS_MAX] = pin;
	several[TLS_PINS_MAX + 1] = NULL;
	ck_assert_ptr_null(tls_new(&params, &err));
	ck_assert_ptr_nonnull(strstr(err.words, "more than 16 pins"));
}
END_TEST

/* Its anchors are read when they are first needed: with a pin they are not. */
START_TEST(the_systems_trust_does_not_vouch_for_us)
{
	struct lab_cert cert;
	struct tls_trust *system = tls_trust_new(NULL, NULL);
	struct tls_params params = {.trust = system, .name = "mail.test"};
	struct pair pair;

	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, &cert);
	pair_open(&pair, &cert, NULL, &params);
	ck_assert_int_eq(pair_shake(&pair), TLS_FAILED);
	ck_assert_msg(strstr(pair.err.words, "certificate refused") != NULL, "%s", pair.err.words);
	pair_close(&pair);
	tls_trust_free(&system);
	tls_trust_free(&system);
	lab_cert_free(&cert);
}
END_TEST

START_TEST(info)
{
	static const char *const priorities[] = {
	    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-256-GCM:-GROUP-ALL:+GROUP-X25519",
	    "NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-"
	    "SECP256R1",
	    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-FFDHE2048"};
	static const char *const expected[][3] = {
	    {"TLS 1.3", "TLS_AES_256_GCM_SHA384", "ECDHE X25519"},
	    {"TLS 1.2", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE SECP256R1"},
	    {"TLS 1.3", "TLS_AES_256_GCM_SHA384", "DHE FFDHE2048"}};
	struct tls_params params = {.trust = trust, .name = "mail.test"};
	struct lab_cert cert;
	struct pair pair;

	lab_cert(&lab, &(struct lab_want){.dns = "mail.test", .to_day = 10}, &cert);
	pair_open(&pair, &cert, priorities[_i], &params);
	ck_assert_msg(pair_shake(&pair) == TLS_OK, "%s", pair.err.words);
	ck_assert_str_eq(tls_info(pair.client)->version, expected[_i][0]);
	ck_assert_str_eq(tls_info(pair.client)->cipher, expected[_i][1]);
	ck_assert_str_eq(tls_info(pair.client)->exchange, expected[_i][2]);
	ck_assert_int_gt(tls_info(pair.client)->expires, time(NULL) + 9L * LAB_DAY);
	ck_assert_int_lt(tls_info(pair.client)->expires, time(NULL) + 11L * LAB_DAY);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

static void good_pair(struct pair *pair, struct lab_cert *cert, const char *priority)
{
	struct tls_params params = {.trust = trust, .name = "mail.test"};

	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, cert);
	pair_open(pair, cert, priority, &params);
	ck_assert_msg(pair_shake(pair) == TLS_OK, "%s", pair->err.words);
}

/* Both ends must have the same octets, each connection its own. */
START_TEST(channel_binding)
{
	static const struct {
		const char *priority, *name;
		gnutls_channel_binding_t type;
	} versions[] = {{"NORMAL:-VERS-ALL:+VERS-TLS1.3", "tls-exporter", GNUTLS_CB_TLS_EXPORTER},
			{"NORMAL:-VERS-ALL:+VERS-TLS1.2", "tls-unique", GNUTLS_CB_TLS_UNIQUE}};
	struct tls_binding binding, before = {.len = 0};

	for (int i = 0; i < 2; i++) {
		gnutls_datum_t theirs;
		struct lab_cert cert;
		struct pair pair;

		good_pair(&pair, &cert, versions[_i].priority);
		ck_assert(tls_binding(pair.client, &binding));
		ck_assert_str_eq(binding.name, versions[_i].name);
		lab_ok(gnutls_session_channel_binding(pair.server, versions[_i].type, &theirs));
		ck_assert_uint_eq(binding.len, theirs.size);
		ck_assert_mem_eq(binding.octets, theirs.data, theirs.size);
		ck_assert_mem_ne(binding.octets, before.octets, binding.len);
		before = binding;
		gnutls_free(theirs.data);
		pair_close(&pair);
		lab_cert_free(&cert);
	}
}
END_TEST

START_TEST(no_channel_binding_before_its_time_or_without_a_bound_secret)
{
	struct tls_params params = {.trust = trust, .name = "mail.test"};
	struct tls_binding binding;
	struct lab_cert cert;
	struct pair pair;

	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, &cert);
	pair_open(&pair, &cert, "NORMAL:-VERS-ALL:+VERS-TLS1.2:%NO_SESSION_HASH", &params);
	ck_assert(!tls_binding(pair.client, &binding));
	ck_assert_int_eq(pair_shake(&pair), TLS_OK);
	ck_assert(!tls_binding(pair.client, &binding));
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

/* PEM of a certificate, a key, or both, in a file. */
static void put_pem(const char *path, const struct lab_cert *cert, bool crt, bool key, mode_t mode)
{
	FILE *file = fopen(path, "w");
	gnutls_datum_t pem;

	ck_assert_ptr_nonnull(file);
	if (crt) {
		lab_ok(gnutls_x509_crt_export2(cert->crt, GNUTLS_X509_FMT_PEM, &pem));
		ck_assert_uint_eq(fwrite(pem.data, 1, pem.size, file), pem.size);
		gnutls_free(pem.data);
	}
	if (key) {
		lab_ok(gnutls_x509_privkey_export2(cert->key, GNUTLS_X509_FMT_PEM, &pem));
		ck_assert_uint_eq(fwrite(pem.data, 1, pem.size, file), pem.size);
		gnutls_free(pem.data);
	}
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static void put_locked_key(const char *path, const struct lab_cert *cert)
{
	FILE *file = fopen(path, "w");
	gnutls_datum_t pem;

	ck_assert_ptr_nonnull(file);
	lab_ok(gnutls_x509_privkey_export2_pkcs8(cert->key, GNUTLS_X509_FMT_PEM, "passphrase",
						 GNUTLS_PKCS_PBES2_AES_256, &pem));
	ck_assert_uint_eq(fwrite(pem.data, 1, pem.size, file), pem.size);
	gnutls_free(pem.data);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0600), 0);
}

/* Did the server that asks for a certificate get ours? */
static bool shown(struct tls_trust *identity, bool ask, gnutls_x509_crt_t authority)
{
	struct tls_params params = {.trust = identity, .name = "mail.test"};
	struct lab_cert cert;
	struct pair pair;
	bool got;

	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, &cert);
	pair_open(&pair, &cert, NULL, &params);
	if (ask) {
		lab_ok(gnutls_certificate_set_x509_trust(pair.credentials, &authority, 1));
		gnutls_certificate_server_set_request(pair.server, GNUTLS_CERT_REQUEST);
	}
	ck_assert_msg(pair_shake(&pair) == TLS_OK, "%s", pair.err.words);
	server_shakes(&pair);
	ck_assert_int_eq(pair.server_done, 1);
	got = gnutls_certificate_get_peers(pair.server, &(unsigned){0}) != NULL;
	ck_assert(got == tls_info(pair.client)->identified);
	pair_close(&pair);
	lab_cert_free(&cert);
	return got;
}

/* Shown to a server that asks for it, even if that trusts other authorities only. */
START_TEST(a_certificate_of_our_own)
{
	char crt[64], key[64];
	struct lab_cert ours, other;
	struct err err = {0};

	snprintf(crt, sizeof crt, "/tmp/mailhaul-test-crt-%ld", (long)getpid());
	snprintf(key, sizeof key, "/tmp/mailhaul-test-key-%ld", (long)getpid());
	lab_cert(&lab, &(struct lab_want){.cn = "lee", .purpose = GNUTLS_KP_TLS_WWW_CLIENT}, &ours);
	lab_cert(&lab, &(struct lab_want){.cn = "other", .self_signed = 1}, &other);
	put_pem(crt, &ours, true, false, 0644);
	put_pem(key, &ours, false, true, 0600);
	ck_assert(!shown(trust, true, lab.ca.crt));
	ck_assert(tls_trust_identify(trust, crt, key, &err));
	ck_assert(shown(trust, true, lab.ca.crt));
	ck_assert(shown(trust, true, other.crt));
	ck_assert(!shown(trust, false, NULL));
	tls_trust_free(&trust);
	trust = tls_trust_new(lab.ca_file, NULL);
	put_pem(crt, &ours, true, true, 0600);
	ck_assert(tls_trust_identify(trust, crt, NULL, &err));
	ck_assert(shown(trust, true, lab.ca.crt));
	unlink(crt);
	unlink(key);
	lab_cert_free(&ours);
	lab_cert_free(&other);
}
END_TEST

/* In TLS 1.3 the refusal comes when we think that all is well; it is no less a refusal. */
START_TEST(a_certificate_that_is_required)
{
	static const char *const versions[] = {"NORMAL:-VERS-ALL:+VERS-TLS1.3",
					       "NORMAL:-VERS-ALL:+VERS-TLS1.2"};
	struct tls_params params = {.trust = trust, .name = "mail.test"};
	struct buf plain = {0};
	struct lab_cert cert;
	struct pair pair;
	enum tls_step step;

	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, &cert);
	pair_open(&pair, &cert, versions[_i], &params);
	gnutls_certificate_server_set_request(pair.server, GNUTLS_CERT_REQUIRE);
	step = pair_shake(&pair);
	ck_assert_int_eq(step, _i ? TLS_FAILED : TLS_OK);
	if (!_i)
		step = tls_read(pair.client, &plain, 1000, &pair.err);
	ck_assert_int_eq(step, TLS_FAILED);
	ck_assert_int_eq(pair.err.kind, ERR_TLS);
	ck_assert_msg(strstr(pair.err.words, "client_cert") != NULL, "%s", pair.err.words);
	buf_free(&plain);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

static void refuse_identity(const char *cert, const char *key, const char *words)
{
	struct err err = {0};

	ck_assert(!tls_trust_identify(trust, cert, key, &err));
	ck_assert_int_eq(err.kind, ERR_CONFIG);
	ck_assert_msg(strstr(err.words, words) != NULL, "%s", err.words);
}

START_TEST(certificates_that_cannot_be_ours)
{
	char crt[64], key[64];
	struct lab_cert ours, other;

	snprintf(crt, sizeof crt, "/tmp/mailhaul-test-crt-%ld", (long)getpid());
	snprintf(key, sizeof key, "/tmp/mailhaul-test-key-%ld", (long)getpid());
	lab_cert(&lab, &(struct lab_want){.cn = "lee"}, &ours);
	lab_cert(&lab, &(struct lab_want){.cn = "other"}, &other);
	put_pem(crt, &ours, true, false, 0644);
	put_pem(key, &other, false, true, 0600);
	refuse_identity(crt, key, crt);
	refuse_identity("/nonexistent/c.pem", key, "client_cert /nonexistent/c.pem: No such file");
	refuse_identity(crt, "/nonexistent/k.pem", "client_key /nonexistent/k.pem: No such file");
	refuse_identity(crt, "/tmp", "not a regular file");
	put_locked_key(key, &ours);
	refuse_identity(crt, key, "locked by a passphrase");
	put_pem(key, &ours, false, true, 0640);
	refuse_identity(crt, key, "chmod 600");
	put_pem(crt, &ours, true, true, 0644);
	refuse_identity(crt, NULL, "chmod 600");
	put_pem(crt, &ours, true, false, 0600);
	refuse_identity(crt, NULL, crt);
	unlink(crt);
	unlink(key);
	lab_cert_free(&ours);
	lab_cert_free(&other);
}
END_TEST

START_TEST(a_set_lives_as_long_as_whoever_shares_it)
{
	const struct tls_params params = {.trust = trust, .name = "mail.test"};
	struct lab_cert cert;
	struct pair pair;

	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, &cert);
	pair_open(&pair, &cert, NULL, &params);
	ck_assert_ptr_eq(tls_trust_share(trust), trust);
	tls_trust_free(&trust);
	trust = params.trust;
	tls_trust_free(&trust);
	ck_assert_ptr_null(trust);
	ck_assert_int_eq(pair_shake(&pair), TLS_OK);
	pair_close(&pair);
	lab_cert_free(&cert);
	ck_assert_ptr_null(tls_trust_share(NULL));
}
END_TEST

START_TEST(octets_go_both_ways_and_the_end_is_told)
{
	struct lab_cert cert;
	struct pair pair;
	struct buf plain = {0};
	static char big[100000];
	char small[16];

	good_pair(&pair, &cert, NULL);
	ck_assert(tls_write(pair.client, "hello", 5, &pair.err));
	ck_assert_int_eq(gnutls_record_recv(pair.server, small, sizeof small), 5);
	memset(big, 'x', sizeof big);
	for (size_t sent = 0; sent < sizeof big;)
		sent += (size_t)gnutls_record_send(pair.server, big + sent, sizeof big - sent);
	ck_assert_int_eq(tls_read(pair.client, &plain, 1000, &pair.err), TLS_OK);
	ck_assert_uint_eq(plain.len, 1000);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_MORE);
	ck_assert_uint_eq(plain.len, sizeof big);
	ck_assert_mem_eq(plain.data, big, sizeof big);
	gnutls_record_send(pair.server, "bye", 3);
	gnutls_bye(pair.server, GNUTLS_SHUT_WR);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_CLOSED);
	ck_assert_uint_eq(plain.len, sizeof big + 3);
	tls_close(pair.client);
	ck_assert_int_eq(gnutls_record_recv(pair.server, small, sizeof small), 0);
	buf_free(&plain);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

START_TEST(one_octet_at_a_time)
{
	struct tls_params params = {.trust = trust, .name = "mail.test"};
	struct lab_cert cert;
	struct pair pair;
	struct buf held = {0};
	struct buf plain = {0};
	enum tls_step step = TLS_MORE;

	lab_cert(&lab, &(struct lab_want){.dns = "mail.test"}, &cert);
	pair_open(&pair, &cert, NULL, &params);
	for (int i = 0; i < 20000 && step == TLS_MORE; i++) {
		struct buf *in = tls_wire_in(pair.client);

		step = tls_handshake(pair.client, &pair.err);
		if (!held.len && step == TLS_MORE) {
			gnutls_handshake(pair.server);
			held = *in;
			*in = (struct buf){0};
		}
		if (held.len) {
			buf_append(in, held.data, 1);
			buf_consume(&held, 1);
		}
	}
	ck_assert_msg(step == TLS_OK, "%s", pair.err.words);
	buf_append(tls_wire_in(pair.client), held.data, held.len);
	buf_free(&held);
	gnutls_handshake(pair.server);
	gnutls_record_send(pair.server, "late", 4);
	held = *tls_wire_in(pair.client);
	*tls_wire_in(pair.client) = (struct buf){0};
	while (held.len) {
		buf_append(tls_wire_in(pair.client), held.data, 1);
		buf_consume(&held, 1);
		ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_MORE);
	}
	ck_assert_str_eq(buf_string(&plain), "late");
	buf_free(&plain);
	buf_free(&held);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

START_TEST(a_flipped_bit_is_noticed)
{
	struct lab_cert cert;
	struct pair pair;
	struct buf plain = {0};
	struct buf *in;

	good_pair(&pair, &cert, NULL);
	tls_read(pair.client, &plain, SIZE_MAX, &pair.err);
	gnutls_record_send(pair.server, "money", 5);
	in = tls_wire_in(pair.client);
	in->data[in->len - 1] ^= 1;
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_FAILED);
	ck_assert_int_eq(pair.err.kind, ERR_TLS);
	ck_assert_uint_eq(plain.len, 0);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_FAILED);
	pair.err.kind = ERR_NONE;
	ck_assert(!tls_write(pair.client, "more", 4, &pair.err));
	ck_assert_int_eq(pair.err.kind, ERR_TLS);
	buf_free(&plain);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

START_TEST(alerts_are_named)
{
	struct lab_cert cert;
	struct pair pair;
	struct buf plain = {0};

	good_pair(&pair, &cert, NULL);
	gnutls_alert_send(pair.server, GNUTLS_AL_FATAL, GNUTLS_A_INTERNAL_ERROR);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_FAILED);
	ck_assert_msg(strstr(pair.err.words, "Internal error") != NULL, "%s", pair.err.words);
	ck_assert_int_eq(pair.err.kind, ERR_TEMPORARY);
	buf_free(&plain);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

/* Warnings mean nothing; a few are read over, and a flood is the end. */
START_TEST(a_flood_of_warnings)
{
	struct lab_cert cert;
	struct pair pair;
	struct buf plain = {0};

	good_pair(&pair, &cert, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
	for (int i = 0; i < 10; i++)
		gnutls_alert_send(pair.server, GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED);
	gnutls_record_send(pair.server, "more", 4);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_MORE);
	ck_assert_str_eq(buf_string(&plain), "more");
	for (int i = 0; i < 1000; i++)
		gnutls_alert_send(pair.server, GNUTLS_AL_WARNING, GNUTLS_A_USER_CANCELED);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_FAILED);
	ck_assert_ptr_nonnull(strstr(pair.err.words, "TLS broke off"));
	buf_free(&plain);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

START_TEST(renegotiation_is_refused)
{
	struct lab_cert cert;
	struct pair pair;
	struct buf plain = {0};

	good_pair(&pair, &cert, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
	ck_assert_int_eq(gnutls_rehandshake(pair.server), 0);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_FAILED);
	ck_assert_int_eq(pair.err.kind, ERR_TLS);
	ck_assert_ptr_nonnull(strstr(pair.err.words, "renegotiate"));
	buf_free(&plain);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

START_TEST(keys_may_be_updated)
{
	struct lab_cert cert;
	struct pair pair;
	struct buf plain = {0};

	good_pair(&pair, &cert, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
	lab_ok(gnutls_session_key_update(pair.server, GNUTLS_KU_PEER));
	gnutls_record_send(pair.server, "new", 3);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_MORE);
	ck_assert_str_eq(buf_string(&plain), "new");
	buf_free(&plain);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

/* Some libraries send them; only close_notify is the end. */
START_TEST(an_empty_record_is_not_the_end)
{
	struct lab_cert cert;
	struct pair pair;
	struct buf plain = {0};

	good_pair(&pair, &cert, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
	tls_read(pair.client, &plain, SIZE_MAX, &pair.err);
	ck_assert_int_eq(gnutls_record_send2(pair.server, "", 0, 1, 0), 0);
	ck_assert_uint_gt(tls_wire_in(pair.client)->len, 0);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_MORE);
	gnutls_record_send(pair.server, "more", 4);
	ck_assert_int_eq(tls_read(pair.client, &plain, SIZE_MAX, &pair.err), TLS_MORE);
	ck_assert_str_eq(buf_string(&plain), "more");
	buf_free(&plain);
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

START_TEST(a_greeting_in_clear_is_explained)
{
	struct tls_params params = {.trust = trust, .name = "mail.test"};
	struct err err = {0};
	struct tls *tls = tls_new(&params, NULL);

	ck_assert_int_eq(tls_handshake(tls, &err), TLS_MORE);
	buf_text(tls_wire_in(tls), "* OK \x1b[31mready\r\n");
	ck_assert_int_eq(tls_handshake(tls, &err), TLS_FAILED);
	ck_assert_ptr_nonnull(strstr(err.words, "tls: starttls"));
	ck_assert_str_eq(err.server, "* OK \\x1B[31mready\\x0D\\x0A");
	tls_free(&tls);
}
END_TEST

START_TEST(a_name_that_would_steer_a_terminal_is_shown_harmless)
{
	struct tls_params params = {.trust = trust, .name = "mail.test"};
	struct lab_cert cert;
	struct pair pair;

	lab_cert(&lab, &(struct lab_want){.dns = "evil\x1b[2J\n.test"}, &cert);
	pair_open(&pair, &cert, NULL, &params);
	ck_assert_int_eq(pair_shake(&pair), TLS_FAILED);
	ck_assert_ptr_null(strpbrk(pair.err.words, "\x1b\n"));
	pair_close(&pair);
	lab_cert_free(&cert);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tls");
	TCase *tests = tcase_create("tls");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 30);
	tcase_add_loop_test(tests, certificates, 0, sizeof attempts / sizeof *attempts);
	tcase_add_loop_test(tests, info, 0, 3);
	tcase_add_test(tests, pins);
	tcase_add_test(tests, a_pin_is_not_helped_by_a_good_certificate);
	tcase_add_test(tests, bad_params);
	tcase_add_test(tests, more_pins_than_there_may_be);
	tcase_add_test(tests, the_systems_trust_does_not_vouch_for_us);
	tcase_add_loop_test(tests, channel_binding, 0, 2);
	tcase_add_test(tests, no_channel_binding_before_its_time_or_without_a_bound_secret);
	tcase_add_test(tests, a_certificate_of_our_own);
	tcase_add_loop_test(tests, a_certificate_that_is_required, 0, 2);
	tcase_add_test(tests, certificates_that_cannot_be_ours);
	tcase_add_test(tests, a_set_lives_as_long_as_whoever_shares_it);
	tcase_add_test(tests, octets_go_both_ways_and_the_end_is_told);
	tcase_add_test(tests, one_octet_at_a_time);
	tcase_add_test(tests, a_flipped_bit_is_noticed);
	tcase_add_test(tests, alerts_are_named);
	tcase_add_test(tests, a_flood_of_warnings);
	tcase_add_test(tests, renegotiation_is_refused);
	tcase_add_test(tests, keys_may_be_updated);
	tcase_add_test(tests, an_empty_record_is_not_the_end);
	tcase_add_test(tests, a_greeting_in_clear_is_explained);
	tcase_add_test(tests, a_name_that_would_steer_a_terminal_is_shown_harmless);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
