/*
 * Tests of sasl: every mechanism against the server's side of GNU SASL, and servers that lie.
 */
#include "auth/sasl.h"

#include "util/buf.h"
#include "util/mem.h"

#include <check.h>
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"PLAIN",
				    "LOGIN",
				    "CRAM-MD5",
				    "SCRAM-SHA-1",
				    "SCRAM-SHA-256",
				    "SCRAM-SHA-1-PLUS",
				    "SCRAM-SHA-256-PLUS"};

enum { NAMES = sizeof names / sizeof *names };

static struct err err;

static struct sasl *start_as(const char *mechanism, const char *user, const char *password)
{
	struct sasl_params params = {.mechanism = mechanism,
				     .user = user,
				     .password = password,
				     .service = "imap",
				     .host = "imap.example.org",
				     .port = 143,
				     .binding = "tls-exporter",
				     .binding_octets = "octets",
				     .binding_len = 6};
	struct sasl *sasl = sasl_new(&params, &err);

	ck_assert_ptr_nonnull(sasl);
	return sasl;
}

static struct sasl *start(const char *mechanism)
{
	return start_as(mechanism, "lee", "secret");
}

static char *base64(const char *text)
{
	char *coded = NULL;
	size_t len;

	ck_assert_int_eq(gsasl_base64_to(text, strlen(text), &coded, &len), GSASL_OK);
	return coded;
}

static char *plain(const char *coded)
{
	char *text = NULL;
	size_t len;
	char *copy;

	if (!*coded)
		return mem_copy("");
	ck_assert_int_eq(gsasl_base64_from(coded, strlen(coded), &text, &len), GSASL_OK);
	copy = mem_copy_n(text, len);
	gsasl_free(text);
	return copy;
}

/* ---- an honest server ---- */

struct server {
	const char *password;
	const char *iterations;
	const char *exporter; /* base64 of its channel bindings */
	const char *unique;
};

static const char OCTETS[] = "b2N0ZXRz", OTHERS[] = "b3RoZXJz"; /* "octets", "others" */

static int server_knows(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
	const struct server *server = gsasl_callback_hook_get(library);

	switch (property) {
	case GSASL_PASSWORD:
		gsasl_property_set(session, property, server->password);
		return GSASL_OK;
	case GSASL_SCRAM_ITER:
		gsasl_property_set(session, property, server->iterations);
		return GSASL_OK;
	case GSASL_SCRAM_SALT:
		gsasl_property_set(session, property, "QSXCR+Q6sek8bf92");
		return GSASL_OK;
	case GSASL_CB_TLS_EXPORTER:
		gsasl_property_set(session, property, server->exporter);
		return server->exporter ? GSASL_OK : GSASL_NO_CALLBACK;
	case GSASL_CB_TLS_UNIQUE:
		gsasl_property_set(session, property, server->unique);
		return server->unique ? GSASL_OK : GSASL_NO_CALLBACK;
	case GSASL_VALIDATE_EXTERNAL:
		return !strcmp(gsasl_property_fast(session, GSASL_AUTHZID), "lee")
			   ? GSASL_OK
			   : GSASL_AUTHENTICATION_ERROR;
	case GSASL_VALIDATE_SIMPLE:
		return !strcmp(gsasl_property_fast(session, GSASL_AUTHID), "lee") &&
			       !strcmp(gsasl_property_fast(session, GSASL_PASSWORD),
				       server->password)
			   ? GSASL_OK
			   : GSASL_AUTHENTICATION_ERROR;
	default:
		return GSASL_NO_CALLBACK;
	}
}

struct peer {
	Gsasl *library;
	Gsasl_session *session;
};

static struct peer peer_of(const char *mechanism, struct server *server)
{
	struct peer peer = {NULL, NULL};

	ck_assert_int_eq(gsasl_init(&peer.library), GSASL_OK);
	gsasl_callback_set(peer.library, server_knows);
	gsasl_callback_hook_set(peer.library, server);
	ck_assert_int_eq(gsasl_server_start(peer.library, mechanism, &peer.session), GSASL_OK);
	return peer;
}

static void peer_free(struct peer *peer)
{
	gsasl_finish(peer->session);
	gsasl_done(peer->library);
}

/*
 * Talks until the server is content or refuses. Gives the server's verdict; the client's is in
 * *sasl. While the server wants more, the client must not think that it is over for SCRAM.
 */
static int talk(struct sasl *sasl, const char *mechanism, struct server *server)
{
	struct peer peer = peer_of(mechanism, server);
	char *response = NULL, *challenge = NULL;
	int code;

	if (sasl_client_first(mechanism))
		ck_assert(sasl_step(sasl, NULL, &response, &err));
	for (;;) {
		code = gsasl_step64(peer.session, response ? response : "", &challenge);
		mem_free_secret(&response);
		if (code != GSASL_OK && code != GSASL_NEEDS_MORE)
			break;
		/* The server's last words of SCRAM come with its OK, and go to the client. */
		if (code == GSASL_OK && !(challenge && *challenge))
			break;
		if (strncmp(mechanism, "SCRAM", 5) == 0)
			ck_assert(!sasl_finished(sasl));
		if (!sasl_step(sasl, challenge, &response, &err))
			break;
		gsasl_free(challenge);
		challenge = NULL;
		if (code == GSASL_OK)
			break;
	}
	mem_free_secret(&response);
	gsasl_free(challenge);
	peer_free(&peer);
	return code;
}

START_TEST(each_mechanism_logs_in)
{
	struct server server = {"secret", "4096", OCTETS, NULL};
	struct sasl *sasl = start(names[_i]);

	ck_assert(!sasl_finished(sasl));
	ck_assert_int_eq(talk(sasl, names[_i], &server), GSASL_OK);
	ck_assert(sasl_finished(sasl));
	sasl_free(&sasl);
	ck_assert_ptr_null(sasl);
}
END_TEST

START_TEST(each_mechanism_is_refused_with_a_wrong_password)
{
	struct server server = {"another", "4096", OCTETS, NULL};
	struct sasl *sasl = start(names[_i]);

	ck_assert_int_ne(talk(sasl, names[_i], &server), GSASL_OK);
	if (!strncmp(names[_i], "SCRAM", 5))
		ck_assert(!sasl_finished(sasl));
	sasl_free(&sasl);
}
END_TEST

START_TEST(what_is_known)
{
	for (size_t i = 0; i < NAMES; i++)
		ck_assert(sasl_knows(names[i]));
	ck_assert(!sasl_knows("plain"));
	ck_assert(!sasl_knows("PLAI"));
	ck_assert(!sasl_knows(""));
	ck_assert(sasl_knows("EXTERNAL"));
	ck_assert(sasl_knows("XOAUTH2"));
	ck_assert(sasl_knows("OAUTHBEARER"));
	ck_assert(!sasl_knows("SCRAM-SHA-512-PLUS"));
	ck_assert(!sasl_knows("DIGEST-MD5"));
	ck_assert(sasl_client_first("PLAIN"));
	ck_assert(sasl_client_first("SCRAM-SHA-1"));
	ck_assert(sasl_client_first("SCRAM-SHA-256"));
	ck_assert(sasl_client_first("SCRAM-SHA-256-PLUS"));
	ck_assert(sasl_client_first("EXTERNAL"));
	ck_assert(sasl_client_first("XOAUTH2"));
	ck_assert(!sasl_client_first("LOGIN"));
	ck_assert(!sasl_client_first("CRAM-MD5"));
	ck_assert_ptr_null(sasl_new(&(struct sasl_params){.mechanism = "GSSAPI"}, &err));
	ck_assert_int_eq(err.kind, ERR_AUTH);
}
END_TEST

/* Both names of bindings are spoken, and only the octets of this very connection will do. */
START_TEST(binding_to_the_channel)
{
	struct server unique = {"secret", "4096", NULL, OCTETS};
	struct server another = {"secret", "4096", OTHERS, NULL};
	struct sasl_params params = {.mechanism = "SCRAM-SHA-256-PLUS",
				     .user = "lee",
				     .password = "secret",
				     .binding = "tls-unique",
				     .binding_octets = "octets",
				     .binding_len = 6};
	struct sasl *sasl = sasl_new(&params, &err);
	char *response, *text;

	ck_assert(sasl_step(sasl, NULL, &response, &err));
	text = plain(response);
	ck_assert_int_eq(strncmp(text, "p=tls-unique,,", 14), 0);
	free(text);
	mem_free_secret(&response);
	sasl_free(&sasl);
	sasl = sasl_new(&params, &err);
	ck_assert_int_eq(talk(sasl, params.mechanism, &unique), GSASL_OK);
	ck_assert(sasl_finished(sasl));
	sasl_free(&sasl);
	sasl = start(params.mechanism);
	ck_assert_int_ne(talk(sasl, params.mechanism, &another), GSASL_OK);
	ck_assert(!sasl_finished(sasl));
	sasl_free(&sasl);
	params.binding = NULL;
	ck_assert_ptr_null(sasl_new(&params, &err));
	ck_assert_int_eq(err.kind, ERR_AUTH);
}
END_TEST

/* A binding that is at hand does not change SCRAM without -PLUS. */
START_TEST(no_binding_without_plus)
{
	struct sasl *sasl = start("SCRAM-SHA-256");
	char *response, *text;

	ck_assert(sasl_step(sasl, NULL, &response, &err));
	text = plain(response);
	ck_assert_int_eq(strncmp(text, "n,,n=lee,", 9), 0);
	free(text);
	mem_free_secret(&response);
	sasl_free(&sasl);
}
END_TEST

START_TEST(external_names_the_mailbox_and_needs_no_password)
{
	struct server server = {NULL, NULL, NULL, NULL};
	struct sasl *sasl =
	    sasl_new(&(struct sasl_params){.mechanism = "EXTERNAL", .user = "lee"}, &err);
	char *response;

	ck_assert(sasl_step(sasl, NULL, &response, &err));
	ck_assert_str_eq(response, "bGVl");
	ck_assert(sasl_finished(sasl));
	mem_free_secret(&response);
	sasl_free(&sasl);
	sasl = sasl_new(&(struct sasl_params){.mechanism = "EXTERNAL", .user = "lee"}, &err);
	ck_assert_int_eq(talk(sasl, "EXTERNAL", &server), GSASL_OK);
	sasl_free(&sasl);
}
END_TEST

/* The message, and the answer to a challenge that says why it was refused. */
static void oauth_says(const char *mechanism, const char *user, const char *message,
		       const char *answer)
{
	static const char json[] = "{\"status\":\"invalid_token\"}";
	struct sasl *sasl = start_as(mechanism, user, "t0k.en-_~+/=");
	char *challenge = base64(json);
	const char *words;
	char *response, *text;

	ck_assert(sasl_step(sasl, NULL, &response, &err));
	text = plain(response);
	ck_assert_str_eq(text, message);
	free(text);
	mem_free_secret(&response);
	ck_assert(sasl_finished(sasl));
	ck_assert(!sasl_refusal(sasl, &words));
	ck_assert(sasl_step(sasl, challenge, &response, &err));
	ck_assert_str_eq(response, answer);
	ck_assert(!sasl_finished(sasl));
	ck_assert(sasl_refusal(sasl, &words));
	ck_assert_str_eq(words, json);
	mem_free_secret(&response);
	ck_assert(!sasl_step(sasl, challenge, &response, &err));
	ck_assert_int_eq(err.kind, ERR_PROTOCOL);
	gsasl_free(challenge);
	sasl_free(&sasl);
}

START_TEST(the_lines_of_oauth)
{
	oauth_says("XOAUTH2", "lee@x.org", "user=lee@x.org\1auth=Bearer t0k.en-_~+/=\1\1", "");
	oauth_says("OAUTHBEARER", "lee@x.org",
		   "n,a=lee@x.org,\1host=imap.example.org\1port=143\1auth=Bearer "
		   "t0k.en-_~+/=\1\1",
		   "AQ==");
	oauth_says("OAUTHBEARER", "l=e,e",
		   "n,a=l=3De=2Ce,\1host=imap.example.org\1port=143\1auth=Bearer "
		   "t0k.en-_~+/=\1\1",
		   "AQ==");
}
END_TEST

START_TEST(what_is_no_token)
{
	static const char *const bad[] = {"", "a b", "a\1b", "Error: log in first", "t\xc3\xb6ken"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct sasl_params params = {.mechanism = "XOAUTH2",
					     .user = "lee",
					     .password = bad[i],
					     .host = "h",
					     .port = 1};

		ck_assert_ptr_null(sasl_new(&params, &err));
		ck_assert_int_eq(err.kind, ERR_AUTH);
		ck_assert(!*bad[i] || !strstr(err.words, bad[i]));
		params.password = "token";
		params.user = "lee\1auth=Bearer x";
		ck_assert_ptr_null(sasl_new(&params, &err));
	}
}
END_TEST

START_TEST(the_octets_of_plain)
{
	struct sasl *sasl = start_as("PLAIN", "lee", "pass");
	char *response;

	ck_assert(sasl_step(sasl, NULL, &response, &err));
	ck_assert_str_eq(response, "AGxlZQBwYXNz"); /* NUL lee NUL pass */
	ck_assert(sasl_finished(sasl));
	mem_free_secret(&response);
	/* A server may ask once more for nothing; it may not ask for something. */
	ck_assert(sasl_step(sasl, "", &response, &err));
	ck_assert_str_eq(response, "");
	ck_assert(sasl_finished(sasl));
	mem_free_secret(&response);
	ck_assert(!sasl_step(sasl, "aGVsbG8=", &response, &err));
	ck_assert_int_eq(err.kind, ERR_PROTOCOL);
	ck_assert_ptr_null(response);
	ck_assert(!sasl_finished(sasl));
	sasl_free(&sasl);
}
END_TEST

/* Without an initial response the server asks for the first message by an empty challenge. */
START_TEST(an_empty_challenge_asks_for_the_first_message)
{
	struct sasl *sasl = start("PLAIN");
	char *response;

	ck_assert(sasl_step(sasl, "", &response, &err));
	ck_assert_str_ne(response, "");
	ck_assert(sasl_finished(sasl));
	mem_free_secret(&response);
	sasl_free(&sasl);
	sasl = start("PLAIN");
	ck_assert(!sasl_step(sasl, "aGVsbG8=", &response, &err));
	ck_assert_int_eq(err.kind, ERR_PROTOCOL);
	sasl_free(&sasl);
}
END_TEST

START_TEST(the_octets_of_login)
{
	struct sasl *sasl = start("LOGIN");
	char *response;

	ck_assert(!sasl_step(sasl, NULL, &response, &err));
	sasl_free(&sasl);
	sasl = start("LOGIN");
	ck_assert(sasl_step(sasl, "VXNlcm5hbWU6", &response, &err));
	ck_assert_str_eq(response, "bGVl");
	ck_assert(!sasl_finished(sasl));
	mem_free_secret(&response);
	ck_assert(sasl_step(sasl, "UGFzc3dvcmQ6", &response, &err));
	ck_assert_str_eq(response, "c2VjcmV0");
	ck_assert(sasl_finished(sasl));
	mem_free_secret(&response);
	sasl_free(&sasl);
}
END_TEST

/* RFC 2195, 2. */
START_TEST(the_octets_of_cram_md5)
{
	struct sasl *sasl = start_as("CRAM-MD5", "tim", "tanstaaftanstaaf");
	char *response, *text;

	ck_assert(sasl_step(sasl, "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
			    &response, &err));
	text = plain(response);
	ck_assert_str_eq(text, "tim b913a602c7eda7a495b4e6e7334d3890");
	free(text);
	mem_free_secret(&response);
	sasl_free(&sasl);
}
END_TEST

/* ---- servers that lie ---- */

/* Begins SCRAM-SHA-256 and gives the client's nonce. */
static struct sasl *start_scram(char **nonce_r)
{
	struct sasl *sasl = start("SCRAM-SHA-256");
	char *response, *text;
	const char *nonce;

	ck_assert(sasl_step(sasl, NULL, &response, &err));
	text = plain(response);
	ck_assert_int_eq(strncmp(text, "n,,n=lee,r=", 11), 0);
	nonce = text + 11;
	ck_assert_uint_ge(strlen(nonce), 16);
	*nonce_r = mem_copy(nonce);
	free(text);
	mem_free_secret(&response);
	return sasl;
}

/* Answers with format, in which %s is the client's nonce; must fail with that kind of error. */
static void first_message_fails(const char *format, enum err_kind kind, const char *words)
{
	char *nonce, *response, *message, *challenge;
	struct sasl *sasl = start_scram(&nonce);
	const char *hole = strstr(format, "%s");

	message = hole ? mem_printf("%.*s%s%s", (int)(hole - format), format, nonce, hole + 2)
		       : mem_copy(format);
	challenge = base64(message);
	ck_assert(!sasl_step(sasl, challenge, &response, &err));
	ck_assert_ptr_null(response);
	ck_assert_msg(err.kind == kind, "%s: %d %s", format, (int)err.kind, err.words);
	ck_assert_msg(strstr(err.words, words) != NULL, "%s: %s", format, err.words);
	ck_assert(!sasl_finished(sasl));
	/* Nothing more can be had from it. */
	ck_assert(!sasl_step(sasl, challenge, &response, &err));
	free(message);
	free(nonce);
	gsasl_free(challenge);
	sasl_free(&sasl);
}

START_TEST(iteration_counts)
{
	first_message_fails("r=%sx,s=QSXCR+Q6,i=4095", ERR_AUTH, "iteration count");
	first_message_fails("r=%sx,s=QSXCR+Q6,i=1", ERR_AUTH, "iteration count");
	first_message_fails("r=%sx,s=QSXCR+Q6,i=0", ERR_AUTH, "iteration count");
	first_message_fails("r=%sx,s=QSXCR+Q6,i=1000001", ERR_AUTH, "iteration count");
	first_message_fails("r=%sx,s=QSXCR+Q6,i=99999999999999999999999", ERR_AUTH,
			    "iteration count");
	first_message_fails("r=%sx,s=QSXCR+Q6,i=-4096", ERR_AUTH, "iteration count");
	first_message_fails("r=%sx,s=QSXCR+Q6,i= 4096", ERR_AUTH, "iteration count");
	first_message_fails("r=%sx,s=QSXCR+Q6,i=4096000000,x=y", ERR_AUTH, "iteration count");
	/* The first i= is not the count where it stands in another field. */
	first_message_fails("r=%sx,i=4096,s=QSXCR+Q6,i=99999999", ERR_PROTOCOL, "malformed");
}
END_TEST

START_TEST(an_extension_does_not_hide_the_count)
{
	char *nonce, *response, *message, *challenge;
	struct sasl *sasl = start_scram(&nonce);

	message = mem_printf("r=%sx,s=QSXCR+Q6,i=4096", nonce);
	challenge = base64(message);
	ck_assert(sasl_step(sasl, challenge, &response, &err));
	ck_assert(!sasl_finished(sasl));
	mem_free_secret(&response);
	free(message);
	free(nonce);
	gsasl_free(challenge);
	sasl_free(&sasl);
}
END_TEST

START_TEST(malformed_first_messages)
{
	static const char *const bad[] = {"x",
					  "r=",
					  "r=%s",
					  "r=%sx,s=",
					  "r=%sx,s=QSXCR+Q6",
					  "r=%sx,s=QSXCR+Q6,",
					  "s=a,r=%s,i=4096",
					  "r=%sx,s=QSXCR+Q6,i=",
					  "m=ext,r=%sx,s=QSXCR+Q6,i=4096"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		first_message_fails(bad[i], ERR_PROTOCOL, "malformed");
	first_message_fails("r=%sx,s=!!,i=4096", ERR_PROTOCOL, "malformed");
	/* A nonce that does not continue ours is another exchange's. */
	first_message_fails("r=another,s=QSXCR+Q6,i=4096", ERR_AUTH, "");
	first_message_fails("r=,s=QSXCR+Q6,i=4096", ERR_PROTOCOL, "malformed");
	first_message_fails("e=unknown-user", ERR_AUTH, "refused");
	ck_assert_str_eq(err.server, "");
}
END_TEST

/* Brings SCRAM to where the server must prove itself. */
static struct sasl *before_proof(void)
{
	char *nonce, *response, *message, *challenge;
	struct sasl *sasl = start_scram(&nonce);

	message = mem_printf("r=%sx,s=QSXCR+Q6,i=4096", nonce);
	challenge = base64(message);
	ck_assert(sasl_step(sasl, challenge, &response, &err));
	ck_assert_str_ne(response, "");
	mem_free_secret(&response);
	free(message);
	free(nonce);
	gsasl_free(challenge);
	return sasl;
}

START_TEST(false_signatures)
{
	static const char *const bad[] = {
	    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	    "v=", "x", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=y"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct sasl *sasl = before_proof();
		char *challenge = base64(bad[i]);
		char *response;

		ck_assert(!sasl_finished(sasl));
		ck_assert(!sasl_step(sasl, challenge, &response, &err));
		ck_assert_int_eq(err.kind, ERR_AUTH);
		ck_assert_ptr_nonnull(strstr(err.words, "could not prove"));
		ck_assert(!sasl_finished(sasl));
		gsasl_free(challenge);
		sasl_free(&sasl);
	}
}
END_TEST

START_TEST(an_empty_or_refusing_end)
{
	struct sasl *sasl = before_proof();
	const char *words;
	char *response;
	char *challenge = base64("e=invalid-proof");

	ck_assert(!sasl_step(sasl, challenge, &response, &err));
	ck_assert_int_eq(err.kind, ERR_AUTH);
	ck_assert_str_eq(err.server, "invalid-proof");
	ck_assert(sasl_refusal(sasl, &words));
	ck_assert_str_eq(words, "invalid-proof");
	ck_assert(!sasl_finished(sasl));
	gsasl_free(challenge);
	sasl_free(&sasl);
	/* Who says that somebody stands between is no server that just cannot do it. */
	sasl = before_proof();
	challenge = base64("e=channel-bindings-dont-match");
	ck_assert(!sasl_step(sasl, challenge, &response, &err));
	ck_assert(!sasl_refusal(sasl, &words));
	ck_assert_ptr_nonnull(strstr(err.words, "between"));
	gsasl_free(challenge);
	sasl_free(&sasl);
	sasl = before_proof();
	ck_assert(!sasl_step(sasl, "", &response, &err));
	ck_assert(!sasl_refusal(sasl, &words));
	ck_assert(!sasl_finished(sasl));
	sasl_free(&sasl);
}
END_TEST

START_TEST(challenges_that_are_not_base64)
{
	static const char *const bad[] = {
	    "!", "a", "aGVsbG8", "aGVs bG8=", "aGVsbG8=\r\n", "====", "aGVsbG8=aGVsbG8="};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct sasl *sasl = start(names[_i]);
		char *response;

		ck_assert_msg(!sasl_step(sasl, bad[i], &response, &err), "%s", bad[i]);
		ck_assert_int_eq(err.kind, ERR_PROTOCOL);
		ck_assert_ptr_null(response);
		sasl_free(&sasl);
	}
}
END_TEST

START_TEST(challenges_without_end)
{
	struct sasl *sasl = start(names[_i]);
	char *long_one = mem_new(65540, 1);
	char *response;
	int steps = 0;

	memset(long_one, 'A', 65539);
	ck_assert(!sasl_step(sasl, long_one, &response, &err));
	ck_assert_int_eq(err.kind, ERR_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(err.words, "longer"));
	sasl_free(&sasl);
	free(long_one);
	sasl = start(names[_i]);
	while (sasl_step(sasl, "", &response, &err)) {
		mem_free_secret(&response);
		ck_assert_int_lt(++steps, 20);
	}
	ck_assert_ptr_null(response);
	sasl_free(&sasl);
}
END_TEST

START_TEST(a_challenge_of_nuls)
{
	struct sasl *sasl = start(names[_i]);
	char *response;

	/* Whatever a mechanism makes of it, it must end and not read beyond. */
	for (int i = 0; i < 4 && sasl_step(sasl, "AAAAAAAA", &response, &err); i++)
		mem_free_secret(&response);
	sasl_free(&sasl);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sasl");
	TCase *honest = tcase_create("honest");
	TCase *hostile = tcase_create("hostile");
	SRunner *runner;
	int failures;

	tcase_add_loop_test(honest, each_mechanism_logs_in, 0, NAMES);
	tcase_add_loop_test(honest, each_mechanism_is_refused_with_a_wrong_password, 0, NAMES);
	tcase_add_test(honest, what_is_known);
	tcase_add_test(honest, binding_to_the_channel);
	tcase_add_test(honest, no_binding_without_plus);
	tcase_add_test(honest, external_names_the_mailbox_and_needs_no_password);
	tcase_add_test(honest, the_lines_of_oauth);
	tcase_add_test(hostile, what_is_no_token);
	tcase_add_test(honest, the_octets_of_plain);
	tcase_add_test(honest, an_empty_challenge_asks_for_the_first_message);
	tcase_add_test(honest, the_octets_of_login);
	tcase_add_test(honest, the_octets_of_cram_md5);
	tcase_add_test(honest, an_extension_does_not_hide_the_count);
	tcase_add_test(hostile, iteration_counts);
	tcase_add_test(hostile, malformed_first_messages);
	tcase_add_test(hostile, false_signatures);
	tcase_add_test(hostile, an_empty_or_refusing_end);
	tcase_add_loop_test(hostile, challenges_that_are_not_base64, 0, NAMES);
	tcase_add_loop_test(hostile, challenges_without_end, 0, NAMES);
	tcase_add_loop_test(hostile, a_challenge_of_nuls, 0, NAMES);
	suite_add_tcase(suite, honest);
	suite_add_tcase(suite, hostile);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
