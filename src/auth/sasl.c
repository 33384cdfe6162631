/*
 * sasl: SASL exchanges (RFC 4422) by GNU SASL, in base64 as IMAP and POP3 carry them.
 *
 * GNU SASL 2.2 fails a SCRAM exchange without -PLUS as soon as it is given any channel binding, so
 * the properties of channel binding are answered with "no callback". It runs any iteration count
 * that the server names, which may take minutes or make the exchange worthless: the count is read
 * from the server's first message (RFC 5802 section 5.1) before the library sees it.
 *
 * GNU SASL keeps copies of its properties and frees them without wiping; they are overwritten
 * before. What it derives inside an exchange is out of reach.
 */
#include "auth/sasl.h"

#include "util/buf.h"
#include "util/mem.h"
#include "util/str.h"

#include <gsasl.h>
#include <stdlib.h>
#include <string.h>

enum { SASL_CHALLENGE_MAX = 64 * 1024, SASL_ITERATIONS_MIN = 4096 };

struct sasl {
	Gsasl *library;
	Gsasl_session *session;
	bool scram;
	bool finished;
};

static const struct {
	const char *name;
	bool client_first;
} mechanisms[] = {
    {"PLAIN", true},	     {"LOGIN", false},	  {"SCRAM-SHA-1", true},
    {"SCRAM-SHA-256", true}, {"CRAM-MD5", false},
};

static int find(const char *mechanism)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
		if (str_same(mechanisms[i].name, mechanism))
			return (int)i;
	return -1;
}

bool sasl_knows(const char *mechanism)
{
	return find(mechanism) >= 0;
}

bool sasl_client_first(const char *mechanism)
{
	int at = find(mechanism);

	return at >= 0 && mechanisms[at].client_first;
}

/* The properties that are known were set beforehand; there is nothing to add. */
static int no_more(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
	(void)library;
	(void)session;
	(void)property;
	return GSASL_NO_CALLBACK;
}

struct sasl *sasl_new(const struct sasl_params *params, struct err *err)
{
	struct sasl *sasl = mem_new(1, sizeof *sasl);
	int code = gsasl_init(&sasl->library);

	if (code == GSASL_OK) {
		gsasl_callback_set(sasl->library, no_more);
		code = gsasl_client_start(sasl->library, params->mechanism, &sasl->session);
	}
	if (code == GSASL_OK)
		code = gsasl_property_set(sasl->session, GSASL_AUTHID, params->user);
	if (code == GSASL_OK)
		code = gsasl_property_set(sasl->session, GSASL_PASSWORD, params->password);
	if (code == GSASL_OK)
		code = gsasl_property_set(sasl->session, GSASL_SERVICE, params->service);
	if (code == GSASL_OK)
		code = gsasl_property_set(sasl->session, GSASL_HOSTNAME, params->host);
	if (code != GSASL_OK) {
		(void)err_set(err, ERR_AUTH, "cannot log in by %s: %s", params->mechanism,
			      gsasl_strerror(code));
		sasl_free(&sasl);
		return NULL;
	}
	sasl->scram = str_begins(params->mechanism, strlen(params->mechanism), "SCRAM-");
	return sasl;
}

static void wipe_property(struct sasl *sasl, Gsasl_property property)
{
	const char *value = gsasl_property_fast(sasl->session, property);

	if (value)
		mem_wipe((char *)(uintptr_t)value, strlen(value));
}

void sasl_free(struct sasl **sasl_p)
{
	struct sasl *sasl = *sasl_p;

	if (!sasl)
		return;
	if (sasl->session) {
		wipe_property(sasl, GSASL_PASSWORD);
		gsasl_finish(sasl->session);
	}
	if (sasl->library)
		gsasl_done(sasl->library);
	free(sasl);
	*sasl_p = NULL;
}

/* The value of ",i=" in a server's first message; other messages of the server have none. */
static bool check_iterations(const char *message, size_t len, struct err *err)
{
	const char *end = message + len;
	const char *at = message;

	while (at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;
		uint64_t count = 0;

		if (stop - at > 2 && at[0] == 'i' && at[1] == '=') {
			if (!str_number(at + 2, (size_t)(stop - at - 2), UINT64_MAX, &count))
				return err_set(
				    err, ERR_PROTOCOL,
				    "server sent a SCRAM iteration count that is no number");
			if (count < SASL_ITERATIONS_MIN)
				return err_set(
				    err, ERR_AUTH,
				    "server asks for only %llu SCRAM iterations; fewer than %d "
				    "would hand out the password to whoever listens",
				    (unsigned long long)count, SASL_ITERATIONS_MIN);
			if (count > SASL_ITERATIONS_MAX)
				return err_set(
				    err, ERR_AUTH,
				    "server asks for %llu SCRAM iterations; mailhaul does at most "
				    "%d",
				    (unsigned long long)count, SASL_ITERATIONS_MAX);
		}
		at = comma ? comma + 1 : end;
	}
	return true;
}

static bool check_challenge(const struct sasl *sasl, const char *challenge, struct err *err)
{
	size_t len = strlen(challenge);
	char *message = NULL;
	size_t message_len = 0;
	bool ok;

	if (len > SASL_CHALLENGE_MAX)
		return err_set(err, ERR_PROTOCOL, "server sent a challenge of %zu octets", len);
	if (gsasl_base64_from(challenge, len, &message, &message_len) != GSASL_OK) {
		err_set(err, ERR_PROTOCOL, "server sent a challenge that is not base64");
		err_server(err, challenge, len);
		return false;
	}
	ok = !sasl->scram || check_iterations(message, message_len, err);
	gsasl_free(message);
	return ok;
}

/* What went wrong when the library did not like a challenge. */
static bool refuse(const struct sasl *sasl, int code, struct err *err)
{
	if (sasl->scram && code == GSASL_AUTHENTICATION_ERROR)
		return err_set(
		    err, ERR_AUTH,
		    "server could not prove that it knows the password: it is not the server "
		    "it says it is, or its user database is damaged");
	if (code == GSASL_MECHANISM_PARSE_ERROR || code == GSASL_BASE64_ERROR ||
	    code == GSASL_MECHANISM_CALLED_TOO_MANY_TIMES || code == GSASL_AUTHENTICATION_ERROR)
		return err_set(err, ERR_PROTOCOL, "server sent a challenge that makes no sense: %s",
			       gsasl_strerror(code));
	return err_set(err, ERR_AUTH, "the login cannot go on: %s", gsasl_strerror(code));
}

bool sasl_step(struct sasl *sasl, const char *challenge, char **response_r, struct err *err)
{
	char *response = NULL;
	int code;

	*response_r = NULL;
	if (challenge && !check_challenge(sasl, challenge, err))
		return false;
	if (challenge && sasl->finished) {
		/* What IMAP calls an empty challenge may carry the end of the exchange. */
		if (*challenge)
			return refuse(sasl, GSASL_MECHANISM_CALLED_TOO_MANY_TIMES, err);
		*response_r = mem_copy("");
		return true;
	}
	code = gsasl_step64(sasl->session, challenge ? challenge : "", &response);
	if (code != GSASL_OK && code != GSASL_NEEDS_MORE) {
		if (response)
			gsasl_free(response);
		return refuse(sasl, code, err);
	}
	sasl->finished = code == GSASL_OK;
	*response_r = mem_copy(!challenge && !*response ? "=" : response);
	mem_wipe(response, strlen(response));
	gsasl_free(response);
	return true;
}

bool sasl_finished(const struct sasl *sasl)
{
	return sasl->finished;
}
