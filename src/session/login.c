/*
 * login: from the description of a secret and the server's offer to a login: fetches the secret,
 * chooses the mechanism, and runs the SASL exchange (RFC 4422; IMAP: RFC 4959, POP3: RFC 5034).
 *
 * A step belongs to the worker thread while it runs; a login that is freed meanwhile leaves the
 * step behind, which then frees itself.
 */
#include "session/login.h"

#include "auth/sasl.h"
#include "io/child.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/veil.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_MAX = 16384 };

static const char LOGIN_COMMAND[] = "LOGIN-COMMAND";
static const char SCRAM[] = "SCRAM-";

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
	char *password;
	struct veil *veil; /* over it, as long as the server may repeat it */
	struct child *child;
	struct loop_timer *soon; /* tells of a secret that needs no waiting */
	struct source *source;	 /* set once it has offered */
	struct step *step;	 /* under way */
	struct sasl *sasl;	 /* between steps */
	char *offered;		 /* mechanisms */
	bool initial_response;
	bool login_command;
	char *initial; /* waits for the first, empty challenge */
	char mechanism[32];
	char passed_over[32];
	struct err secret_err;
};

/* Strongest first. */
static const char *const preference[] = {"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"};

/* ---- the secret ---- */

static void secret_told(void *ctx)
{
	struct login *login = ctx;

	if (login->password)
		veil_hide(&login->veil, login->password);
	login->params.on_step(login->params.ctx, login->password ? NULL : &login->secret_err);
}

/* The first line is the secret, without its line end. */
static void take_line(struct login *login, const char *bytes, size_t len, const char *where)
{
	const char *end = len ? memchr(bytes, '\n', len) : NULL;
	size_t line = end ? (size_t)(end - bytes) : len;

	if (line && bytes[line - 1] == '\r')
		line--;
	if (!line)
		err_set(&login->secret_err, ERR_AUTH,
			"%s gave no password: its first line is empty", where);
	else if (memchr(bytes, '\0', line))
		err_set(&login->secret_err, ERR_AUTH, "%s gave a password that contains a NUL",
			where);
	else
		login->password = mem_copy_n(bytes, line);
}

static void read_file(struct login *login, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text;
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st)) {
		err_sys(&login->secret_err, ERR_AUTH, errno, "cannot read password_file %s", path);
		if (fd >= 0)
			close(fd);
		return;
	}
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		close(fd);
		err_set(&login->secret_err, ERR_CONFIG,
			S_ISREG(st.st_mode)
			    ? "password_file %s can be read by others; say: chmod 600 %s"
			    : "password_file %s is not a regular file",
			path, path);
		return;
	}
	text = mem_new(SECRET_MAX, 1);
	got = read(fd, text, SECRET_MAX);
	if (got < 0)
		err_sys(&login->secret_err, ERR_AUTH, errno, "cannot read password_file %s", path);
	else
		take_line(login, text, (size_t)got, path);
	mem_wipe(text, SECRET_MAX);
	free(text);
	close(fd);
}

static void command_ended(void *ctx, struct child *child)
{
	struct login *login = ctx;
	const struct child_end *end = child_end(child);
	struct buf *output = child_output(child);
	struct buf *words = child_stderr(child);
	char how[128];

	if (end->started && !end->timed_out && !end->too_much && end->exit_code == 0) {
		take_line(login, (const char *)output->data, output->len, "password_command");
	} else {
		err_set(&login->secret_err, ERR_AUTH, "password_command %s %s",
			login->params.secret->argv[0], child_describe(child, how, sizeof how));
		err_server(&login->secret_err, words->data, words->len);
	}
	child_free(&login->child);
	secret_told(login);
}

struct login *login_new(const struct login_params *params)
{
	struct login *login = mem_new(1, sizeof *login);
	const struct secret *secret = params->secret;

	login->params = *params;
	snprintf(login->passed_over, sizeof login->passed_over, "%s", params->passed_over);
	switch (secret->kind) {
	case SECRET_VALUE:
		login->password = mem_copy(secret->value);
		break;
	case SECRET_FILE:
		read_file(login, secret->value);
		break;
	case SECRET_COMMAND:
		login->child = child_new(
		    params->loop, &(struct child_params){.argv = (const char *const *)secret->argv,
							 .input_fd = -1,
							 .deadline_ms = params->deadline_ms,
							 .output_max = SECRET_MAX,
							 .output_strict = true,
							 .on_end = command_ended,
							 .ctx = login});
		return login;
	case SECRET_NONE:
		err_set(&login->secret_err, ERR_CONFIG, "the account names no password");
		break;
	}
	/* Not loop_defer(): the login may be freed before it is told. */
	login->soon = loop_timer_new(params->loop, secret_told, login);
	loop_timer_start(login->soon, 0);
	return login;
}

void login_free(struct login **login_p)
{
	struct login *login = *login_p;

	if (!login)
		return;
	if (login->step)
		login->step->login = NULL;
	child_free(&login->child);
	loop_timer_free(&login->soon);
	sasl_free(&login->sasl);
	mem_free_secret(&login->password);
	mem_free_secret(&login->initial);
	veil_lift(&login->veil);
	free(login->offered);
	free(login);
	*login_p = NULL;
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

static void step_done(void *ctx)
{
	struct step *step = ctx;
	struct login *login = step->login;

	if (login) {
		login->step = NULL;
		login->sasl = step->sasl;
		step->sasl = NULL;
		if (step->ok)
			send_response(login, step);
		login->params.on_step(login->params.ctx, step->ok ? NULL : &step->err);
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
						     .host = params->host},
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
	size_t len = strlen(mechanism);

	for (const char *word = login->offered; *word; word += strcspn(word, " ")) {
		word += strspn(word, " ");
		if (strcspn(word, " ") == len && str_begins(word, len, mechanism))
			return true;
	}
	return false;
}

/* A server that refuses one SCRAM for want of what it needs refuses the other one too: to try them
 * in turn would be a refused login at each visit. */
static bool passes_over(const struct login *login, const char *mechanism)
{
	return str_begins(login->passed_over, strlen(SCRAM), SCRAM) &&
	       str_begins(mechanism, strlen(SCRAM), SCRAM);
}

static const char *choose(const struct login *login)
{
	const char *passed_over = NULL;

	for (size_t i = 0; i < sizeof preference / sizeof *preference; i++) {
		if (!offers(login, preference[i]))
			continue;
		if (!passes_over(login, preference[i]))
			return preference[i];
		if (!passed_over)
			passed_over = preference[i];
	}
	return login->login_command ? LOGIN_COMMAND : passed_over;
}

static bool nothing_fits(const struct login *login, struct err *err)
{
	if (!str_same(login->params.auth, "AUTO"))
		return err_set(
		    err, ERR_AUTH,
		    "server does not offer %s, which the account's auth names (it offers: %s); "
		    "no password was sent",
		    login->params.auth, *login->offered ? login->offered : "nothing");
	return err_set(err, ERR_AUTH,
		       "server offers no way to log in that mailhaul knows (it offers: %s); no "
		       "password was sent",
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

bool login_refused(struct login *login, const struct source_event *ev, struct err *err)
{
	const char *next;

	if (only_for_now(ev->code)) {
		err_set(err, ERR_TEMPORARY, "server does not let us log in now [%s]", ev->code);
		err_server(err, ev->text, strlen(ev->text));
		return false;
	}
	err_set(err, ERR_AUTH, "server refused the login of user %s by %s", login->params.user,
		login_mechanism(login));
	err_server(err, ev->text, strlen(ev->text));
	if (!str_same(login->params.auth, "AUTO") ||
	    !str_begins(login->mechanism, strlen(SCRAM), SCRAM))
		return false;
	snprintf(login->passed_over, sizeof login->passed_over, "%s", login->mechanism);
	next = offers(login, "PLAIN") ? "PLAIN" : login->login_command ? LOGIN_COMMAND : NULL;
	return next && start(login, next, err);
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
	if (strcmp(login->mechanism, LOGIN_COMMAND) != 0)
		return login->mechanism;
	return str_same(login->params.service, "imap") ? "LOGIN command" : "USER and PASS";
}

const char *login_passed_over(const struct login *login)
{
	return login->passed_over;
}
