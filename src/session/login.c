/*
 * login: from the description of a secret and the server's offer to a login: asks the keyring for
 * the secret, chooses the mechanism, and runs the SASL exchange (RFC 4422; IMAP: RFC 4959, POP3:
 * RFC 5034).
 *
 * A step belongs to the worker thread while it runs; a login that is freed meanwhile leaves the
 * step behind, which then frees itself.
 */
#include "session/login.h"

#include "auth/sasl.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/veil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char LOGIN_COMMAND[] = "LOGIN-COMMAND";
static const char SCRAM[] = "SCRAM-";
static const char PLUS[] = "-PLUS";

struct step {
	struct login *login; /* NULL once the login was freed */
	struct sasl *sasl;
	char *challenge; /* NULL: the initial response is asked for */
	char *response;
	bool ok;
	struct err err;
};

struct login {
	struct login_params params;
	struct keyring_wish *wish; /* under way */
	char *password;		   /* or the token */
	struct veil *veil;	   /* over it, as long as the server may repeat it */
	unsigned edition;	   /* of the secret, as the keyring counts */
	bool asked_again;	   /* for another token */
	struct loop_timer *soon;   /* tells that no secret is needed */
	struct tls_binding binding;
	bool identified;       /* the server has our certificate */
	struct source *source; /* set once it has offered */
	struct step *step;     /* under way */
	struct sasl *sasl;     /* between steps */
	char *offered;	       /* mechanisms */
	bool initial_response;
	bool login_command;
	char *initial; /* waits for the first, empty challenge */
	char mechanism[32];
	char passed_over[32];
};

enum way { BY_CERTIFICATE, BY_TOKEN, BY_PASSWORD };

/* Strongest first. */
static const struct {
	const char *mechanism;
	enum way way;
} preference[] = {
    {"EXTERNAL", BY_CERTIFICATE},   {"OAUTHBEARER", BY_TOKEN},
    {"XOAUTH2", BY_TOKEN},	    {"SCRAM-SHA-256-PLUS", BY_PASSWORD},
    {"SCRAM-SHA-256", BY_PASSWORD}, {"SCRAM-SHA-1-PLUS", BY_PASSWORD},
    {"SCRAM-SHA-1", BY_PASSWORD},   {"PLAIN", BY_PASSWORD},
    {"LOGIN", BY_PASSWORD},
};

static bool start(struct login *login, const char *mechanism, struct err *err);

/* ---- the secret ---- */

static void tell(struct login *login, const struct err *err)
{
	login->params.on_step(login->params.ctx, err);
}

static void no_secret_needed(void *ctx)
{
	tell(ctx, NULL);
}

static void on_answer(void *ctx, const char *secret, unsigned edition, const struct err *why)
{
	struct login *login = ctx;
	char mechanism[sizeof login->mechanism];
	struct err err;

	keyring_drop(&login->wish);
	if (!secret) {
		tell(login, why);
		return;
	}
	login->password = mem_copy(secret);
	veil_hide(&login->veil, secret);
	login->edition = edition;
	/* The second time the exchange goes on. */
	memcpy(mechanism, login->mechanism, sizeof mechanism);
	if (login->source && !start(login, mechanism, &err))
		tell(login, &err);
	else
		tell(login, NULL);
}

static void ask(struct login *login, unsigned refused)
{
	const struct login_params *params = &login->params;

	mem_free_secret(&login->password);
	login->wish = keyring_ask(params->keyring,
				  &(struct keyring_params){.secret = params->secret,
							   .host = params->host,
							   .user = params->user,
							   .deadline_ms = params->deadline_ms,
							   .refused = refused,
							   .on_answer = on_answer,
							   .ctx = login});
}

struct login *login_new(const struct login_params *params)
{
	struct login *login = mem_new(1, sizeof *login);

	login->params = *params;
	snprintf(login->passed_over, sizeof login->passed_over, "%s", params->passed_over);
	if (params->secret->kind != SECRET_NONE) {
		ask(login, 0);
		return login;
	}
	/* Not loop_defer(): the login may be freed before it is told. */
	login->soon = loop_timer_new(params->loop, no_secret_needed, login);
	loop_timer_start(login->soon, 0);
	return login;
}

void login_abandon(struct login *login)
{
	if (!login)
		return;
	if (login->step)
		login->step->login = NULL;
	login->step = NULL;
	keyring_drop(&login->wish);
	loop_timer_free(&login->soon);
}

void login_free(struct login **login_p)
{
	struct login *login = *login_p;

	if (!login)
		return;
	login_abandon(login);
	sasl_free(&login->sasl);
	mem_free_secret(&login->password);
	mem_free_secret(&login->initial);
	veil_lift(&login->veil);
	mem_wipe(&login->binding, sizeof login->binding);
	free(login->offered);
	free(login);
	*login_p = NULL;
}

void login_secured(struct login *login, const struct tls_binding *binding, bool identified)
{
	login->binding = *binding;
	login->identified = identified;
}

/* ---- the exchange ---- */

static void step_work(void *ctx)
{
	struct step *step = ctx;

	step->ok = sasl_step(step->sasl, step->challenge, &step->response, &step->err);
}

static void send_response(struct login *login, struct step *step)
{
	veil_hide_response(&login->veil, step->response);
	if (step->challenge) {
		source_respond(login->source, step->response);
	} else if (login->initial_response) {
		source_auth(login->source, login->mechanism, step->response);
	} else {
		/* The server asks for it with an empty challenge. There an empty one is empty. */
		login->initial = mem_copy(strcmp(step->response, "=") ? step->response : "");
		source_auth(login->source, login->mechanism, NULL);
	}
}

/* False: step->err tells. A server that refuses within the exchange refuses the login next. */
static bool settle_step(struct login *login, struct step *step)
{
	const char *why;

	if (step->ok)
		send_response(login, step);
	else if (step->challenge && sasl_refusal(login->sasl, &why))
		source_respond(login->source, NULL);
	else
		return false;
	return true;
}

static void step_done(void *ctx)
{
	struct step *step = ctx;
	struct login *login = step->login;

	if (login) {
		login->step = NULL;
		login->sasl = step->sasl;
		step->sasl = NULL;
		tell(login, settle_step(login, step) ? NULL : &step->err);
	}
	sasl_free(&step->sasl);
	mem_free_secret(&step->response);
	free(step->challenge);
	free(step);
}

static void run_step(struct login *login, const char *challenge)
{
	struct step *step = mem_new(1, sizeof *step);

	step->login = login;
	step->sasl = login->sasl;
	step->challenge = mem_copy(challenge);
	login->sasl = NULL;
	login->step = step;
	loop_work(login->params.loop, step_work, step_done, step);
}

static bool start(struct login *login, const char *mechanism, struct err *err)
{
	const struct login_params *params = &login->params;

	snprintf(login->mechanism, sizeof login->mechanism, "%s", mechanism);
	mem_free_secret(&login->initial);
	sasl_free(&login->sasl);
	if (!strcmp(mechanism, LOGIN_COMMAND)) {
		source_login(login->source, params->user, login->password);
		return true;
	}
	login->sasl = sasl_new(&(struct sasl_params){.mechanism = mechanism,
						     .user = params->user,
						     .password = login->password,
						     .service = params->service,
						     .host = params->host,
						     .port = params->port,
						     .binding = login->binding.name,
						     .binding_octets = login->binding.octets,
						     .binding_len = login->binding.len},
			       err);
	if (!login->sasl)
		return false;
	if (sasl_client_first(mechanism))
		run_step(login, NULL);
	else
		source_auth(login->source, mechanism, NULL);
	return true;
}

static bool offers(const struct login *login, const char *mechanism)
{
	return str_has_word(login->offered, strlen(login->offered), mechanism);
}

static bool is_scram(const char *mechanism)
{
	return str_begins(mechanism, strlen(mechanism), SCRAM);
}

bool login_binds(const char *mechanism)
{
	size_t len = strlen(mechanism);

	return len > strlen(PLUS) && !strcmp(mechanism + len - strlen(PLUS), PLUS);
}

/* A server that refuses one SCRAM for want of what it needs refuses the other one too: to try them
 * in turn would be a refused login at each visit. With -PLUS it is the binding that it wants. */
static bool passes_over(const struct login *login, const char *mechanism)
{
	return is_scram(login->passed_over) && is_scram(mechanism) &&
	       (login_binds(mechanism) || !login_binds(login->passed_over));
}

static bool is_oauth(const char *mechanism)
{
	return !strcmp(mechanism, "XOAUTH2") || !strcmp(mechanism, "OAUTHBEARER");
}

static const char *command_name(const struct login *login)
{
	return str_same(login->params.service, "imap") ? "LOGIN command" : "USER and PASS";
}

static bool has_password(const struct login *login)
{
	enum secret_kind kind = login->params.secret->kind;

	return kind != SECRET_NONE && kind != SECRET_TOKEN;
}

static bool has(const struct login *login, enum way way)
{
	switch (way) {
	case BY_CERTIFICATE:
		return login->identified;
	case BY_TOKEN:
		return login->params.secret->kind == SECRET_TOKEN;
	case BY_PASSWORD:
		break;
	}
	return has_password(login);
}

static const char *choose(const struct login *login)
{
	const char *passed_over = NULL;

	for (size_t i = 0; i < sizeof preference / sizeof *preference; i++) {
		const char *mechanism = preference[i].mechanism;

		if (!offers(login, mechanism) || !has(login, preference[i].way) ||
		    (login_binds(mechanism) && !login->binding.len))
			continue;
		if (!passes_over(login, mechanism))
			return mechanism;
		if (!passed_over)
			passed_over = mechanism;
	}
	return login->login_command && has_password(login) ? LOGIN_COMMAND : passed_over;
}

static bool nothing_fits(const struct login *login, struct err *err)
{
	if (!str_same(login->params.auth, "AUTO"))
		return err_set(
		    err, ERR_AUTH,
		    "server does not offer %s, which the account's auth names (it offers: %s); "
		    "no password was sent",
		    login->params.auth, *login->offered ? login->offered : "nothing");
	return err_set(
	    err, ERR_AUTH,
	    "server offers no way to log in that mailhaul knows and for which the account "
	    "has %s (it offers: %s); nothing secret was sent",
	    has(login, BY_TOKEN)  ? "a token"
	    : has_password(login) ? "a password"
				  : "a certificate that the server asked for",
	    *login->offered ? login->offered : "nothing");
}

bool login_offered(struct login *login, struct source *source, const struct source_event *ev,
		   struct err *err)
{
	const char *auth = login->params.auth;

	login->source = source;
	free(login->offered);
	login->offered = mem_copy(ev->mechanisms);
	login->initial_response = ev->initial_response;
	login->login_command = ev->login_command;
	if (str_same(auth, "AUTO"))
		auth = choose(login);
	else if (!strcmp(auth, LOGIN_COMMAND) ? !ev->login_command : !offers(login, auth))
		auth = NULL;
	return auth ? start(login, auth, err) : nothing_fits(login, err);
}

bool login_challenge(struct login *login, const struct source_event *ev, struct err *err)
{
	char *challenge;

	if (login->initial) {
		source_respond(login->source, login->initial);
		mem_free_secret(&login->initial);
		return true;
	}
	if (!login->sasl)
		return err_set(err, ERR_PROTOCOL, "server sent a challenge that nothing asked for");
	challenge = mem_copy_n((const char *)ev->bytes, ev->len);
	run_step(login, challenge);
	free(challenge);
	return true;
}

/* Codes of RFC 5530, 2449 and 3206 that say "not now" rather than "not you". */
static bool only_for_now(const char *code)
{
	static const char *const codes[] = {"UNAVAILABLE", "IN-USE", "INUSE",	 "LOGIN-DELAY",
					    "SYS/TEMP",	   "LIMIT",  "SERVERBUG"};

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (str_same(code, codes[i]))
			return true;
	return false;
}

/* What may be tried in place of a refused mechanism. NULL: nothing. */
static const char *instead(const struct login *login)
{
	char bare[sizeof login->mechanism];

	if (!str_same(login->params.auth, "AUTO") || !is_scram(login->mechanism))
		return NULL;
	if (login_binds(login->mechanism)) {
		snprintf(bare, sizeof bare, "%.*s", (int)(strlen(login->mechanism) - strlen(PLUS)),
			 login->mechanism);
		for (size_t i = 0; i < sizeof preference / sizeof *preference; i++)
			if (!strcmp(preference[i].mechanism, bare) && offers(login, bare))
				return preference[i].mechanism;
	}
	return offers(login, "PLAIN") ? "PLAIN" : login->login_command ? LOGIN_COMMAND : NULL;
}

/* The server's words: why, from within the exchange, and those of the refusal itself. */
static void note_words(const struct login *login, const struct source_event *ev, struct err *err)
{
	struct buf words = {0};
	const char *why;

	if (login->sasl && sasl_refusal(login->sasl, &why) && *why)
		buf_printf(&words, "%s; ", why);
	buf_text(&words, ev->text);
	err_server(err, words.data, words.len);
	buf_free(&words);
}

static enum login_verdict ask_again(struct login *login, struct err *err)
{
	err_set(err, ERR_AUTH,
		"server refused the token of user %s (%s); token_command is asked for another",
		login->params.user, login->mechanism);
	login->asked_again = true;
	sasl_free(&login->sasl);
	ask(login, login->edition);
	return LOGIN_ANOTHER_TOKEN;
}

static enum login_verdict fall_back(struct login *login, const char *next, struct err *err)
{
	struct err failed;
	bool started;

	err_set(
	    err, ERR_AUTH,
	    "server refused the login of user %s by %s although it offers it; trying %s instead",
	    login->params.user, login->mechanism,
	    strcmp(next, LOGIN_COMMAND) != 0 ? next : command_name(login));
	snprintf(login->passed_over, sizeof login->passed_over, "%s", login->mechanism);
	started = start(login, next, &failed);
	if (!started)
		*err = failed;
	return started ? LOGIN_ANOTHER_MECHANISM : LOGIN_FAILED;
}

/* What makes a refusal plainer. */
static const char *although(const struct login *login)
{
	if (login->asked_again)
		return ", with another token too";
	if (!strcmp(login->mechanism, "EXTERNAL") && !login->identified)
		return "; it did not ask for the certificate that client_cert names";
	return "";
}

enum login_verdict login_refused(struct login *login, const struct source_event *ev,
				 struct err *err)
{
	enum login_verdict verdict = LOGIN_FAILED;
	bool for_now = only_for_now(ev->code);
	const char *next = for_now ? NULL : instead(login);
	struct err words = {.kind = ERR_NONE};

	note_words(login, ev, &words);
	if (for_now)
		err_set(err, ERR_TEMPORARY, "server does not let us log in now [%s]", ev->code);
	else if (has(login, BY_TOKEN) && !login->asked_again && is_oauth(login->mechanism))
		verdict = ask_again(login, err);
	else if (next)
		verdict = fall_back(login, next, err);
	else
		err_set(err, ERR_AUTH, "server refused the login of user %s by %s%s",
			login->params.user, login_mechanism(login), although(login));
	snprintf(err->server, sizeof err->server, "%s", words.server);
	return verdict;
}

bool login_accepted(struct login *login, struct err *err)
{
	bool by_sasl = *login->mechanism && strcmp(login->mechanism, LOGIN_COMMAND) != 0;

	if (!by_sasl || (!login->step && login->sasl && sasl_finished(login->sasl))) {
		sasl_free(&login->sasl);
		mem_free_secret(&login->password);
		return true;
	}
	return err_set(
	    err, ERR_AUTH,
	    "server accepted the login before the %s exchange was finished: it did not prove "
	    "that it knows the password",
	    login->mechanism);
}

const char *login_mechanism(const struct login *login)
{
	return strcmp(login->mechanism, LOGIN_COMMAND) != 0 ? login->mechanism
							    : command_name(login);
}

const char *login_passed_over(const struct login *login)
{
	return login->passed_over;
}
