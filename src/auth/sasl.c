/*
 * sasl: SASL exchanges by GNU SASL, and by oauth, in base64 as IMAP and POP3 carry them.
 *
 * RFC 4422 (SASL and EXTERNAL), 4616 (PLAIN), 5802 and 7677 (SCRAM), 7628 (OAUTHBEARER), 2195
 * (CRAM-MD5); LOGIN and XOAUTH2 are as servers have them. No callback is given to the library: all
 * it may know is set before the first step. The channel binding is set for -PLUS alone: libgsasl
 * 2.2.0 spoils SCRAM without it when it finds one.
 *
 * The library is given nothing that was not looked at: base64 is decoded here, in bounds, and the
 * iteration count of SCRAM is read before the library would start to iterate.
 *
 * Secrets: the library's properties (the password among them) and all that it gave us are wiped.
 * What it copies for itself while it works and frees at once, as the prepared password in SCRAM,
 * cannot be reached.
 */
#include "auth/sasl.h"

#include "auth/oauth.h"
#include "util/mem.h"
#include "util/str.h"

#include <gsasl.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHALLENGE_MAX = 65536,
	ITERATIONS_LEAST = 4096, /* RFC 7677, 4 */
	STEPS_MAX = 8		 /* more than any mechanism here has */
};

enum { CLIENT_FIRST = 1, SCRAM = 2, PLUS = 4, XOAUTH2 = 8, BEARER = 16, OAUTH = XOAUTH2 | BEARER };

struct mechanism {
	const char *name;
	unsigned traits;
};

static const struct mechanism mechanisms[] = {
    {"PLAIN", CLIENT_FIRST},
    {"LOGIN", 0},
    {"EXTERNAL", CLIENT_FIRST},
    {"CRAM-MD5", 0},
    {"SCRAM-SHA-1", CLIENT_FIRST | SCRAM},
    {"SCRAM-SHA-256", CLIENT_FIRST | SCRAM},
    {"SCRAM-SHA-1-PLUS", CLIENT_FIRST | SCRAM | PLUS},
    {"SCRAM-SHA-256-PLUS", CLIENT_FIRST | SCRAM | PLUS},
    {"XOAUTH2", CLIENT_FIRST | XOAUTH2},
    {"OAUTHBEARER", CLIENT_FIRST | BEARER},
};

struct sasl {
	const struct mechanism *mechanism;
	struct buf message; /* OAuth: what is said first */
	char *refusal;	    /* the server's words, when it refuses within the exchange */
	Gsasl *library;
	Gsasl_session *session;
	unsigned steps; /* those that were taken */
	bool finished;
	bool failed; /* nothing more can come of it */
};

static const struct mechanism *find(const char *name)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
		if (!strcmp(mechanisms[i].name, name))
			return &mechanisms[i];
	return NULL;
}

bool sasl_knows(const char *mechanism)
{
	return find(mechanism) != NULL;
}

bool sasl_client_first(const char *mechanism)
{
	const struct mechanism *known = find(mechanism);

	return known && (known->traits & CLIENT_FIRST);
}

/* ---- beginning and end ---- */

/* EXTERNAL says whose mailbox is wanted, so that a certificate for another opens none. */
static int set_properties(const struct sasl *sasl, const struct sasl_params *params)
{
	bool external = !strcmp(params->mechanism, "EXTERNAL");
	const struct {
		Gsasl_property property;
		const char *value;
	} properties[] = {{external ? GSASL_AUTHZID : GSASL_AUTHID, params->user},
			  {GSASL_PASSWORD, params->password},
			  {GSASL_SERVICE, params->service},
			  {GSASL_HOSTNAME, params->host}};
	int code = GSASL_OK;

	for (size_t i = 0; code == GSASL_OK && i < sizeof properties / sizeof *properties; i++)
		if (properties[i].value)
			code = gsasl_property_set(sasl->session, properties[i].property,
						  properties[i].value);
	return code;
}

static int set_binding(const struct sasl *sasl, const struct sasl_params *params)
{
	char *coded = NULL;
	size_t len;
	int code = gsasl_base64_to(params->binding_octets, params->binding_len, &coded, &len);

	if (code == GSASL_OK)
		code = gsasl_property_set(sasl->session,
					  strcmp(params->binding, "tls-exporter") != 0
					      ? GSASL_CB_TLS_UNIQUE
					      : GSASL_CB_TLS_EXPORTER,
					  coded);
	gsasl_free(coded);
	return code;
}

static bool start_library(struct sasl *sasl, const struct sasl_params *params, struct err *err)
{
	bool plus = sasl->mechanism->traits & PLUS;
	int code;

	if (plus && !params->binding)
		return err_set(err, ERR_AUTH,
			       "%s needs what is unique to the encrypted connection, and this one "
			       "has nothing of that kind; nothing was sent",
			       params->mechanism);
	code = gsasl_init(&sasl->library);
	if (code == GSASL_OK)
		code = gsasl_client_start(sasl->library, params->mechanism, &sasl->session);
	if (code == GSASL_OK)
		code = set_properties(sasl, params);
	if (code == GSASL_OK && plus)
		code = set_binding(sasl, params);
	if (code == GSASL_OK)
		return true;
	return err_set(err, ERR_INTERNAL, "GNU SASL cannot begin %s: %s", params->mechanism,
		       gsasl_strerror(code));
}

static bool start_oauth(struct sasl *sasl, const struct sasl_params *params, struct err *err)
{
	return oauth_message(&sasl->message,
			     &(struct oauth_params){.bearer = sasl->mechanism->traits & BEARER,
						    .user = params->user,
						    .token = params->password,
						    .host = params->host,
						    .port = params->port},
			     err);
}

struct sasl *sasl_new(const struct sasl_params *params, struct err *err)
{
	struct sasl *sasl;

	if (!sasl_knows(params->mechanism)) {
		err_set(err, ERR_AUTH, "the SASL mechanism %s is not known to this version",
			params->mechanism);
		return NULL;
	}
	sasl = mem_new(1, sizeof *sasl);
	sasl->mechanism = find(params->mechanism);
	if (!(sasl->mechanism->traits & OAUTH ? start_oauth(sasl, params, err)
					      : start_library(sasl, params, err)))
		sasl_free(&sasl);
	return sasl;
}

/* The library lends its own copy as const; it is wiped all the same, for it is about to be freed.
 */
static void wipe_property(Gsasl_session *session, Gsasl_property property)
{
	const char *lent = gsasl_property_fast(session, property);
	char *copy = NULL;

	memcpy(&copy, &lent, sizeof copy);
	if (copy)
		mem_wipe(copy, strlen(copy));
}

void sasl_free(struct sasl **sasl)
{
	struct sasl *s = *sasl;

	if (!s)
		return;
	if (s->session) {
		wipe_property(s->session, GSASL_PASSWORD);
		wipe_property(s->session, GSASL_SCRAM_SALTED_PASSWORD);
		wipe_property(s->session, GSASL_SCRAM_SERVERKEY);
		wipe_property(s->session, GSASL_SCRAM_STOREDKEY);
		gsasl_finish(s->session);
	}
	if (s->library)
		gsasl_done(s->library);
	buf_wipe(&s->message);
	free(s->refusal);
	free(s);
	*sasl = NULL;
}

/* ---- what the server sent ---- */

struct octets {
	char *bytes; /* the library's memory */
	size_t len;
};

static void release(struct octets *octets)
{
	if (octets->bytes) {
		mem_wipe(octets->bytes, octets->len);
		gsasl_free(octets->bytes);
	}
	*octets = (struct octets){.len = 0};
}

static bool decode(const char *challenge, struct octets *octets_r, struct err *err)
{
	size_t len = challenge ? strnlen(challenge, CHALLENGE_MAX + 1) : 0;

	if (len > CHALLENGE_MAX)
		return err_set(err, ERR_PROTOCOL, "a SASL challenge is longer than %d octets",
			       CHALLENGE_MAX);
	if (!len)
		return true;
	if (gsasl_base64_from(challenge, len, &octets_r->bytes, &octets_r->len) == GSASL_OK)
		return true;
	err_set(err, ERR_PROTOCOL, "a SASL challenge is not base64");
	err_server(err, challenge, len);
	return false;
}

/*
 * Looks at SCRAM's server-first-message before the library does: r=nonce,s=salt,i=count[,...]. An
 * honest server never asks for fewer than 4,096 iterations, which would make the password cheap to
 * guess, nor for more than a person could wait for.
 */
static bool check_server_first(const struct octets *message, struct err *err)
{
	const char *at = message->bytes, *end = at ? at + message->len : NULL;
	const char *last;
	uint64_t count = 0;

	for (int field = 0; at && field < 2; field++) {
		const char *comma = memchr(at, ',', (size_t)(end - at));

		if (end - at < 2 || memcmp(at, field ? "s=" : "r=", 2) != 0)
			comma = NULL;
		at = comma ? comma + 1 : NULL;
	}
	if (!at || end - at < 3 || memcmp(at, "i=", 2) != 0) {
		err_set(err, ERR_PROTOCOL, "the server's first SCRAM message is malformed");
		err_server(err, message->bytes, message->len);
		return false;
	}
	at += 2;
	last = memchr(at, ',', (size_t)(end - at));
	if (str_number(at, (size_t)((last ? last : end) - at), SASL_ITERATIONS_MAX, &count) &&
	    count >= ITERATIONS_LEAST)
		return true;
	err_set(err, ERR_AUTH,
		"the server asks for a SCRAM iteration count that is not from %d to %d; nothing "
		"that depends on the password was sent",
		ITERATIONS_LEAST, SASL_ITERATIONS_MAX);
	err_server(err, at, (size_t)((last ? last : end) - at));
	return false;
}

/* RFC 5802, 7: server-error-value. */
static bool scram_refused(struct sasl *sasl, const char *error, size_t len, struct err *err)
{
	if (str_is(error, len, "channel-bindings-dont-match")) {
		err_set(err, ERR_AUTH,
			"the server sees another encryption than we do: somebody may stand between "
			"(%s)",
			sasl->mechanism->name);
	} else {
		err_set(err, ERR_AUTH, "the server refused the SCRAM exchange");
		sasl->refusal = mem_copy_n(error, len);
	}
	err_server(err, error, len);
	return false;
}

/* Is a challenge of these octets one that the mechanism can have at this step? */
static bool check_challenge(struct sasl *sasl, const struct octets *message, struct err *err)
{
	unsigned traits = sasl->mechanism->traits;

	if ((traits & CLIENT_FIRST) && !sasl->steps) {
		if (!message->len)
			return true;
		return err_set(err, ERR_PROTOCOL, "the server sends a challenge where %s has none",
			       sasl->mechanism->name);
	}
	if ((traits & SCRAM) && message->len > 2 && !memcmp(message->bytes, "e=", 2))
		return scram_refused(sasl, message->bytes + 2, message->len - 2, err);
	if ((traits & SCRAM) && sasl->steps == 1)
		return check_server_first(message, err);
	return true;
}

/* ---- steps ---- */

static bool step_failed(const struct sasl *sasl, int code, struct err *err)
{
	bool scram = sasl->mechanism->traits & SCRAM;

	if (code == GSASL_SASLPREP_ERROR)
		return err_set(err, ERR_AUTH,
			       "the user or the password holds characters that %s does not allow",
			       sasl->mechanism->name);
	/* In the last message of SCRAM a parse error is no signature either. */
	if (scram && sasl->steps == 2)
		return err_set(err, ERR_AUTH,
			       "the server could not prove that it knows the password (%s): it may "
			       "not be the server that it says it is",
			       sasl->mechanism->name);
	if (scram && code == GSASL_AUTHENTICATION_ERROR)
		return err_set(err, ERR_AUTH,
			       "the server's answer in %s does not belong to this exchange: it may "
			       "not be the server that it says it is",
			       sasl->mechanism->name);
	if (code == GSASL_MECHANISM_PARSE_ERROR || code == GSASL_BASE64_ERROR)
		return err_set(err, ERR_PROTOCOL, "the server's %s challenge is malformed",
			       sasl->mechanism->name);
	return err_set(
	    err, code == GSASL_CRYPTO_ERROR || code == GSASL_MALLOC_ERROR ? ERR_INTERNAL : ERR_AUTH,
	    "%s failed: %s", sasl->mechanism->name, gsasl_strerror(code));
}

static bool encode(const void *answer, size_t len, bool initial, char **response_r, struct err *err)
{
	struct octets text = {.len = 0};

	if (!len) {
		*response_r = mem_copy(initial ? "=" : "");
		return true;
	}
	if (gsasl_base64_to(answer, len, &text.bytes, &text.len) != GSASL_OK)
		return err_set(err, ERR_INTERNAL, "no memory for a SASL response");
	*response_r = mem_copy_n(text.bytes, text.len);
	release(&text);
	return true;
}

/* The first message says it all; a challenge that is not empty says why it was not enough. */
static bool take_oauth_step(struct sasl *sasl, const char *challenge, char **response_r,
			    struct err *err)
{
	struct octets message = {.len = 0};
	bool ok = decode(challenge, &message, err);

	if (ok && sasl->steps) {
		const char *text = oauth_answer(sasl->mechanism->traits & BEARER);

		sasl->refusal = mem_copy_n(message.bytes ? message.bytes : "", message.len);
		ok = encode(text, strlen(text), false, response_r, err);
	} else if (ok) {
		ok = check_challenge(sasl, &message, err) &&
		     encode(sasl->message.data, sasl->message.len, !challenge, response_r, err);
	}
	sasl->finished = ok && !sasl->steps++;
	release(&message);
	return ok;
}

static bool take_step(struct sasl *sasl, const char *challenge, char **response_r, struct err *err)
{
	struct octets message = {.len = 0}, answer = {.len = 0};
	int code = GSASL_OK;
	bool ok = decode(challenge, &message, err) && check_challenge(sasl, &message, err);

	if (ok) {
		code = gsasl_step(sasl->session, message.bytes, message.len, &answer.bytes,
				  &answer.len);
		ok = code == GSASL_OK || code == GSASL_NEEDS_MORE || step_failed(sasl, code, err);
	}
	ok = ok && encode(answer.bytes, answer.len, !challenge, response_r, err);
	sasl->finished = ok && code == GSASL_OK;
	sasl->steps++;
	release(&message);
	release(&answer);
	return ok;
}

bool sasl_step(struct sasl *sasl, const char *challenge, char **response_r, struct err *err)
{
	bool ok = false;

	*response_r = NULL;
	if (sasl->failed)
		err_set(err, ERR_INTERNAL, "a SASL exchange that failed cannot go on");
	else if (!challenge && (!(sasl->mechanism->traits & CLIENT_FIRST) || sasl->steps))
		err_set(err, ERR_INTERNAL, "%s has no initial response here",
			sasl->mechanism->name);
	else if (challenge && sasl->finished && !*challenge && sasl->steps++ < STEPS_MAX)
		/* Some servers ask once more when all is said. An empty line tells them nothing. */
		ok = (*response_r = mem_copy("")) != NULL;
	else if ((sasl->mechanism->traits & OAUTH) && !sasl->refusal)
		ok = take_oauth_step(sasl, challenge, response_r, err);
	else if (sasl->finished || sasl->steps >= STEPS_MAX || (sasl->mechanism->traits & OAUTH))
		err_set(err, ERR_PROTOCOL, "the server sends more challenges than %s has",
			sasl->mechanism->name);
	else
		ok = take_step(sasl, challenge, response_r, err);
	sasl->failed = !ok;
	if (!ok)
		sasl->finished = false;
	return ok;
}

bool sasl_finished(const struct sasl *sasl)
{
	return sasl->finished;
}

bool sasl_refusal(const struct sasl *sasl, const char **text_r)
{
	*text_r = sasl->refusal ? sasl->refusal : "";
	return sasl->refusal != NULL;
}
