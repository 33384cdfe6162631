/*
 * SASL exchanges. The first octet chooses the mechanism; then each line is a challenge: in base64
 * as it came, or, with "=" in front, octets that are encoded here, in which \1 stands for our nonce
 * (without which no SCRAM goes beyond its first challenge). Besides not crashing: an answer or an
 * error, no answer after an error, an end in bounded steps, and in SCRAM no success, since no
 * server that does not know the password can prove that it does.
 */
#include "auth/sasl.h"
#include "fuzz.h"
#include "util/mem.h"

#include <gsasl.h>
#include <stdlib.h>
#include <string.h>

enum { CHALLENGES_MAX = 16 };

static const char *const mechanisms[] = {"PLAIN",
					 "LOGIN",
					 "CRAM-MD5",
					 "SCRAM-SHA-1",
					 "SCRAM-SHA-256",
					 "SCRAM-SHA-1-PLUS",
					 "SCRAM-SHA-256-PLUS",
					 "XOAUTH2",
					 "OAUTHBEARER",
					 "EXTERNAL"};

struct exchange {
	struct sasl *sasl;
	char *nonce;
	bool failed;
};

/* "n,,n=user,r=NONCE" */
static void keep_nonce(struct exchange *e, const char *response)
{
	char *text = NULL;
	size_t len = 0;
	const char *at;

	if (gsasl_base64_from(response, strlen(response), &text, &len) != GSASL_OK)
		return;
	at = memmem(text, len, ",r=", 3);
	if (at)
		e->nonce = mem_copy_n(at + 3, (size_t)(text + len - at) - 3);
	gsasl_free(text);
}

/* Iterations take time, and are not what is tested. */
static bool costly(const char *bytes, size_t len)
{
	const char *at = len ? memmem(bytes, len, "i=", 2) : NULL;
	unsigned long count = 0;

	for (at = at ? at + 2 : bytes + len; at < bytes + len && *at >= '0' && *at <= '9'; at++)
		count = count * 10 + (unsigned long)(*at - '0');
	return count > 4100 && count <= SASL_ITERATIONS_MAX;
}

/* The challenge in base64; NULL for one that would take too long. */
static char *challenge_of(const struct exchange *e, const char *line, size_t len)
{
	struct buf plain = {0};
	char *text = NULL;
	char *challenge = NULL;
	size_t text_len;

	if (!len || *line != '=') {
		if (len && gsasl_base64_from(line, len, &text, &text_len) == GSASL_OK &&
		    costly(text, text_len))
			len = SIZE_MAX;
		gsasl_free(text);
		return len == SIZE_MAX ? NULL : mem_copy_n(line, len);
	}
	for (size_t i = 1; i < len; i++)
		if (line[i] == '\1')
			buf_text(&plain, e->nonce ? e->nonce : "");
		else
			buf_append(&plain, &line[i], 1);
	if (!costly(buf_string(&plain), plain.len) &&
	    gsasl_base64_to(buf_string(&plain), plain.len, &text, NULL) == GSASL_OK)
		challenge = mem_copy(text);
	gsasl_free(text);
	buf_free(&plain);
	return challenge;
}

static void step(struct exchange *e, const char *challenge)
{
	char *response = NULL;
	struct err err = {.kind = ERR_NONE};
	const char *why = NULL;
	bool ok = sasl_step(e->sasl, challenge, &response, &err);

	must(!ok || !e->failed);
	must(ok == (response != NULL));
	must(ok || (err.kind != ERR_NONE && *err.words));
	must(ok || !sasl_finished(e->sasl));
	must(!sasl_refusal(e->sasl, &why) || (why && !sasl_finished(e->sasl)));
	e->failed = !ok;
	if (!challenge && ok)
		keep_nonce(e, response);
	mem_free_secret(&response);
}

static void run(struct exchange *e, const char *mechanism, const char *at, size_t size)
{
	if (sasl_client_first(mechanism))
		step(e, NULL);
	for (unsigned i = 0; i < CHALLENGES_MAX && size; i++) {
		const char *end = memchr(at, '\n', size);
		size_t len = end ? (size_t)(end - at) : size;
		char *challenge = challenge_of(e, at, len);

		if (!challenge)
			return;
		step(e, challenge);
		free(challenge);
		at += len + (end != NULL);
		size -= len + (end != NULL);
	}
	must(strncmp(mechanism, "SCRAM", 5) != 0 || !sasl_finished(e->sasl));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct exchange e = {.failed = false};
	struct sasl_params params = {.user = "alice",
				     .service = "imap",
				     .host = "mail.example.org",
				     .port = 993,
				     .binding = "tls-exporter",
				     .binding_octets = "0123456789abcdef0123456789abcdef",
				     .binding_len = 32};
	struct err err;

	if (!size)
		return 0;
	params.mechanism = mechanisms[*data % (sizeof mechanisms / sizeof *mechanisms)];
	params.password = strcmp(params.mechanism, "EXTERNAL") != 0 ? "secret" : NULL;
	e.sasl = sasl_new(&params, &err);
	must(e.sasl);
	run(&e, params.mechanism, (const char *)data + 1, size - 1);
	sasl_free(&e.sasl);
	free(e.nonce);
	return 0;
}
