/*
 * pop3_login: the POP3 engine from the greeting to READY (RFC 1939 sections 3, 4 and 7; RFC 2449
 * CAPA, 2595 STLS, 5034 AUTH).
 *
 * The wall of STARTTLS: until pop3_tls_started() nothing is said but CAPA and STLS, whatever verbs
 * wait, and whatever was learnt is forgotten then.
 */
#include "proto/pop3_engine.h"
#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

enum { AUTH_MAX = 255 }; /* octets of an AUTH line with its CRLF (RFC 2449 section 4) */

/* ---- greeting, capabilities, encryption ------------------------------------------------------ */

enum source_what pop3_on_greeting(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	(void)ev;
	if (!ok)
		return pop3_failed(p, ERR_TEMPORARY, "server does not want to serve us");
	pop3_say(p, POP3_CAPA, "CAPA", 0);
	return POP3_CONTINUE;
}

static enum source_what no_stls(struct pop3 *p, const char *why)
{
	err_set(source_broken(&p->source), ERR_TLS,
		"server %s STLS; nothing was sent. If your provider serves only port 995, set tls: "
		"implicit.",
		why);
	err_server(source_broken(&p->source), p->text.data, p->text.len);
	return SOURCE_FAILED;
}

enum source_what pop3_end_capa(struct pop3 *p, struct source_event *ev)
{
	if (p->encrypted) {
		p->offered = true;
		ev->mechanisms = buf_string(&p->capa.mechanisms);
		ev->initial_response = p->capa.sasl;
		ev->login_command = p->capa.user || p->capa_refused;
		return SOURCE_AUTH_OFFERED;
	}
	if (!p->capa.stls && !p->capa_refused) {
		buf_clear(&p->text);
		return no_stls(p, "does not offer");
	}
	pop3_say(p, POP3_STLS, "STLS", 0);
	return POP3_CONTINUE;
}

enum source_what pop3_on_capa(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	p->capa_refused = !ok;
	return ok ? POP3_CONTINUE : pop3_end_capa(p, ev);
}

bool pop3_line_capa(struct pop3 *p, const unsigned char *line, size_t len)
{
	if (pop3_capa_line(&p->capa, line, len))
		return true;
	pop3_broke(p, "capabilities without end", line, len);
	return false;
}

enum source_what pop3_on_stls(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	(void)ev;
	if (!ok)
		return no_stls(p, p->capa_refused ? "does not offer" : "refused");
	pop3_push(p, POP3_TLS, 0);
	if (p->source.in->len)
		return POP3_CONTINUE;
	return SOURCE_START_TLS;
}

/* Until the driver says that TLS runs, whatever arrives in clear may be anybody's. */
enum source_what pop3_mark_tls(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	(void)ev;
	if (p->source.in->len) {
		buf_clear(&p->text);
		return pop3_failed(
		    p, ERR_TLS,
		    "octets in clear followed the server's answer to STLS, perhaps not "
		    "from the server; nothing was sent");
	}
	return p->source.eof ? pop3_need_bytes(p) : SOURCE_NEED_VERB;
}

void pop3_tls_started(struct source *source)
{
	struct pop3 *p = pop3_of(source);

	if (source->err)
		return;
	if (!p->count || p->ring[p->first].state != POP3_TLS) {
		err_set(source_broken(source), ERR_INTERNAL,
			"TLS was started when POP3 did not ask for it");
		return;
	}
	if (source->in->len)
		return;
	pop3_pop(p);
	p->encrypted = true;
	p->capa_refused = false;
	pop3_capa_forget(&p->capa);
	pop3_say(p, POP3_CAPA, "CAPA", 0);
}

/* ---- login ----------------------------------------------------------------------------------- */

static enum source_what logged_in(struct pop3 *p, struct source_event *ev)
{
	p->offered = false;
	p->ready = true;
	mem_free_secret(&p->initial);
	mem_free_secret(&p->password);
	ev->capabilities = buf_string(&p->capa.list);
	return SOURCE_READY;
}

static enum source_what login_refused(struct pop3 *p, struct source_event *ev)
{
	mem_free_secret(&p->initial);
	mem_free_secret(&p->password);
	ev->verb = SOURCE_VERB_AUTH;
	ev->refused = true;
	pop3_tell_text(p, ev);
	return SOURCE_DONE;
}

enum source_what pop3_on_auth(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	return ok ? logged_in(p, ev) : login_refused(p, ev);
}

/* "+ base64": an initial response that could not go with AUTH goes now. */
enum source_what pop3_on_challenge(struct pop3 *p, struct source_event *ev)
{
	if (p->initial) {
		pop3_say_secret(p, "", strcmp(p->initial, "=") != 0 ? p->initial : "");
		mem_free_secret(&p->initial);
		return POP3_CONTINUE;
	}
	p->ring[p->first].state = POP3_CHALLENGE;
	p->waiting--;
	ev->bytes = p->text.data;
	ev->len = p->text.len;
	return SOURCE_CHALLENGE;
}

enum source_what pop3_mark_challenge(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	(void)ev;
	if (p->source.in->len)
		return pop3_unasked(p);
	return p->source.eof ? pop3_need_bytes(p) : SOURCE_NEED_VERB;
}

enum source_what pop3_on_user(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	(void)number;
	p->user_refused = !ok;
	if (p->count) {
		/* PASS went with USER, and has its own answer. */
		if (!ok)
			pop3_keep_refusal(p);
		return POP3_CONTINUE;
	}
	if (!ok)
		return login_refused(p, ev);
	pop3_say_secret(p, "PASS ", p->password);
	pop3_push(p, POP3_PASS, 0);
	mem_free_secret(&p->password);
	return POP3_CONTINUE;
}

enum source_what pop3_on_pass(struct pop3 *p, bool ok, uint32_t number, struct source_event *ev)
{
	enum source_what what;

	(void)number;
	if (ok)
		return logged_in(p, ev);
	what = login_refused(p, ev);
	if (p->user_refused)
		pop3_tell_refusal(p, ev);
	return what;
}

enum source_what pop3_mark_unfit(struct pop3 *p, uint32_t number, struct source_event *ev)
{
	(void)number;
	pop3_pop(p);
	return login_refused(p, ev);
}

static bool may_log_in(struct pop3 *p)
{
	if (p->source.err)
		return false;
	if (!p->offered || p->count)
		return err_set(source_broken(&p->source), ERR_INTERNAL,
			       "a POP3 login that was not asked for");
	if (p->source.in->len) {
		pop3_unasked(p);
		return false;
	}
	return true;
}

/* What cannot be part of a line is never sent, and refused as if by the server. */
static bool fits(struct pop3 *p, const char *what, const char *s)
{
	static const char words[] = " has a line break in it, or is too long; it was not sent";

	if (pop3_fits_line(s) && strlen(s) < SOURCE_COMMAND_MAX)
		return true;
	buf_clear(&p->text);
	buf_text(&p->text, what);
	buf_text(&p->text, words);
	p->code[0] = '\0';
	pop3_push(p, POP3_UNFIT, 0);
	return false;
}

void pop3_auth(struct source *source, const char *mechanism, const char *initial)
{
	struct pop3 *p = pop3_of(source);
	char *line;

	if (!may_log_in(p) || !fits(p, "the SASL mechanism", mechanism) ||
	    (initial && !fits(p, "the initial response", initial)))
		return;
	line = mem_printf("AUTH %s%s", mechanism, initial ? " " : "");
	/* Microsoft's servers take XOAUTH2 on two lines only. */
	if (initial && !str_same(mechanism, "XOAUTH2") &&
	    strlen(line) + strlen(initial) + 2 <= AUTH_MAX) {
		pop3_say_secret(p, line, initial);
	} else {
		if (initial) {
			line[strlen(line) - 1] = '\0';
			mem_free_secret(&p->initial);
			p->initial = mem_copy(initial);
		}
		pop3_say_words(p, line);
	}
	pop3_push(p, POP3_AUTH, 0);
	free(line);
}

void pop3_respond(struct source *source, const char *base64)
{
	struct pop3 *p = pop3_of(source);

	if (source->err)
		return;
	if (!p->count || p->ring[p->first].state != POP3_CHALLENGE ||
	    (base64 && !pop3_fits_line(base64))) {
		err_set(source_broken(source), ERR_INTERNAL,
			"a SASL response that was not asked for");
		return;
	}
	if (source->in->len)
		return;
	if (base64) {
		pop3_say_secret(p, "", base64);
	} else {
		pop3_say_words(p, "*");
	}
	p->ring[p->first].state = POP3_AUTH;
	p->waiting++;
}

void pop3_login(struct source *source, const char *user, const char *password)
{
	struct pop3 *p = pop3_of(source);
	char *line;

	if (!may_log_in(p) || !fits(p, "the user name", user) || !fits(p, "the password", password))
		return;
	p->user_refused = false;
	line = mem_printf("USER %s", user);
	pop3_say_words(p, line);
	free(line);
	pop3_push(p, POP3_USER, 0);
	if (p->capa.pipelining) {
		pop3_say_secret(p, "PASS ", password);
		pop3_push(p, POP3_PASS, 0);
	} else {
		mem_free_secret(&p->password);
		p->password = mem_copy(password);
	}
}
