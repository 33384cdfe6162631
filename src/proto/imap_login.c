/*
 * imap_login: the IMAP engine from the greeting to the login (RFC 3501 sections 6.1.1, 6.2; RFC
 * 2595 and 8314 STARTTLS, RFC 4959 SASL-IR), and what the server offers.
 *
 * STARTTLS is a wall: whatever would lead around it (PREAUTH, a missing offer, a refusal, octets
 * behind its answer) ends the session, and what was learnt before it is forgotten.
 */
#include "proto/imap_engine.h"
#include "util/mem.h"
#include "util/str.h"

#include <ctype.h>
#include <string.h>

#define ADVICE "nothing was sent. If your provider serves only port 993, set tls: implicit."

/* ---- capabilities -------------------------------------------------------------------------- */

static void learn_begin(struct imap *im)
{
	buf_clear(&im->capabilities);
	im->fresh = true;
}

static void learn(struct imap *im, const unsigned char *word, size_t len)
{
	struct buf *all = &im->capabilities;

	if (!len || all->len + len + 1 > IMAP_CAPABILITIES_MAX)
		return;
	if (all->len)
		buf_text(all, " ");
	buf_append(all, word, len);
}

void imap_learn_span(struct imap *im, struct imap_span span)
{
	learn_begin(im);
	while (span.len) {
		const unsigned char *space = memchr(span.bytes, ' ', span.len);
		size_t len = space ? (size_t)(space - span.bytes) : span.len;

		learn(im, span.bytes, len);
		len += space != NULL;
		span.bytes += len;
		span.len -= len;
	}
}

void imap_learn_line(struct imap *im, const struct imap_line *line)
{
	learn_begin(im);
	for (size_t i = 1; i < line->count; i++)
		if (line->tokens[i].kind == IMAP_ATOM)
			learn(im, line->tokens[i].bytes, line->tokens[i].len);
}

static void forget(struct imap *im)
{
	buf_clear(&im->capabilities);
	im->fresh = false;
}

/* The next word at or behind *at; NULL at the end. */
static const unsigned char *next_word(const struct buf *all, size_t *at, size_t *len_r)
{
	const unsigned char *word;
	const unsigned char *space;

	if (*at >= all->len)
		return NULL;
	word = all->data + *at;
	space = memchr(word, ' ', all->len - *at);
	*len_r = space ? (size_t)(space - word) : all->len - *at;
	*at += *len_r + 1;
	return word;
}

bool imap_offers(const struct imap *im, const char *capability)
{
	return str_has_word(im->capabilities.data, im->capabilities.len, capability);
}

bool imap_supports(const struct imap *im, const char *extension)
{
	return imap_offers(im, extension) || imap_offers(im, "IMAP4rev2");
}

static const char *mechanisms(struct imap *im)
{
	static const char prefix[] = "AUTH=";
	const unsigned char *word;
	size_t at = 0;
	size_t len;

	buf_clear(&im->mechanisms);
	while ((word = next_word(&im->capabilities, &at, &len))) {
		if (!str_begins(word, len, prefix) || len == strlen(prefix))
			continue;
		if (im->mechanisms.len)
			buf_text(&im->mechanisms, " ");
		for (size_t i = strlen(prefix); i < len; i++) {
			char c = (char)toupper(word[i]);

			buf_append(&im->mechanisms, &c, 1);
		}
	}
	return buf_string(&im->mechanisms);
}

/* ---- from the greeting to the login -------------------------------------------------------- */

static void offer(struct imap *im)
{
	struct source_event *ev = imap_event(im, SOURCE_AUTH_OFFERED);

	im->phase = IMAP_OFFERED;
	ev->mechanisms = mechanisms(im);
	ev->initial_response = imap_offers(im, "SASL-IR");
	ev->login_command = !imap_offers(im, "LOGINDISABLED");
}

static void ready(struct imap *im)
{
	im->phase = IMAP_LOGGED_IN;
	im->id_due = im->program && imap_offers(im, "ID");
	im->enable_due = imap_supports(im, "ENABLE") &&
			 (imap_offers(im, "UTF8=ACCEPT") || imap_offers(im, "UTF8=ONLY"));
	im->space.utf8 = imap_offers(im, "IMAP4rev2") && !imap_offers(im, "IMAP4rev1");
	imap_event(im, SOURCE_READY)->capabilities = buf_string(&im->capabilities);
}

/* The capabilities are known: on to what they allow. */
static void go_on(struct imap *im)
{
	if (!im->encrypted && imap_offers(im, "STARTTLS"))
		imap_say(im, IMAP_STEP_STARTTLS, "STARTTLS");
	else if (!im->encrypted)
		imap_fail(im, ERR_TLS, "server does not offer STARTTLS; " ADVICE);
	else if (im->authenticated)
		ready(im);
	else
		offer(im);
}

void imap_greeting_answer(struct imap *im, const struct imap_sent *sent,
			  const struct imap_line *line)
{
	(void)sent;
	im->greeted = true;
	if (line->form != IMAP_UNTAGGED ||
	    (line->status != IMAP_OK && line->status != IMAP_PREAUTH)) {
		imap_fail_line(im, line, "server does not greet as an IMAP server does");
		return;
	}
	if (line->status == IMAP_PREAUTH && !im->encrypted) {
		err_server(
		    imap_fail(im, ERR_TLS,
			      "server greets as if logged in already (PREAUTH), which leaves "
			      "no way to encrypt; " ADVICE),
		    line->raw.bytes, line->raw.len);
		return;
	}
	im->authenticated = line->status == IMAP_PREAUTH;
	if (im->fresh && (im->encrypted || imap_offers(im, "STARTTLS")))
		go_on(im);
	else
		imap_say(im, IMAP_STEP_CAPABILITY, "CAPABILITY");
}

void imap_capability_answer(struct imap *im, const struct imap_sent *sent,
			    const struct imap_line *line)
{
	(void)sent;
	if (im->encrypted && (line->status != IMAP_OK || !im->fresh))
		imap_fail_line(im, line, "server does not tell its capabilities");
	else
		go_on(im);
}

void imap_starttls_answer(struct imap *im, const struct imap_sent *sent,
			  const struct imap_line *line)
{
	(void)sent;
	if (line->status != IMAP_OK) {
		err_server(imap_fail(im, ERR_TLS, "server refused STARTTLS; " ADVICE),
			   line->raw.bytes, line->raw.len);
		return;
	}
	im->phase = IMAP_HANDSHAKING;
	if (!im->source.in->len)
		imap_event(im, SOURCE_START_TLS);
}

/* What stands behind the answer to STARTTLS came in clear, perhaps from another: it would be taken
 * for something the server said inside TLS. */
bool imap_wall_holds(struct imap *im)
{
	if (im->source.in->len)
		imap_fail(im, ERR_TLS,
			  "server sent data behind its answer to STARTTLS, outside of the "
			  "encryption that was to begin; nothing was sent");
	return !im->source.in->len;
}

void imap_tls_started(struct source *source)
{
	struct imap *im = (struct imap *)source;

	if (im->phase != IMAP_HANDSHAKING || !imap_wall_holds(im))
		return;
	forget(im);
	im->exists = im->validity = im->next = 0;
	im->encrypted = true;
	im->phase = IMAP_GREETED;
	imap_say(im, IMAP_STEP_CAPABILITY, "CAPABILITY");
}

/* ---- login --------------------------------------------------------------------------------- */

void imap_auth_feed(struct imap *im, struct imap_job *job)
{
	bool at_once = job->secret && imap_offers(im, "SASL-IR");
	struct buf *line;
	size_t secret_at;

	if (job->started)
		return;
	job->started = true;
	im->fresh = im->cancelled = false;
	im->challenges = 0;
	line = imap_begin(im, job->login ? IMAP_STEP_LOGIN : IMAP_STEP_AUTHENTICATE);
	buf_text(line, job->login ? "LOGIN " : "AUTHENTICATE ");
	if (!job->login)
		buf_printf(line, at_once ? "%s " : "%s", job->name);
	secret_at = job->login || at_once ? line->len : 0;
	if (job->login) {
		imap_string(im, job->name);
		buf_text(line, " ");
		imap_string(im, job->secret);
	} else if (at_once) {
		buf_text(line, job->secret);
	}
	imap_send(im, secret_at);
	if (job->login || at_once)
		mem_free_secret(&job->secret);
}

void imap_auth_answer(struct imap *im, const struct imap_sent *sent, const struct imap_line *line)
{
	(void)sent;
	im->challenged = false;
	if (line->status != IMAP_OK) {
		imap_done_refused(im);
		return;
	}
	if (im->cancelled) {
		imap_fail_line(im, line, "server accepted a login that was cancelled");
		return;
	}
	im->authenticated = true;
	imap_job_drop(im);
	if (im->fresh)
		go_on(im);
	else
		imap_say(im, IMAP_STEP_CAPABILITY, "CAPABILITY");
}

/* "+" is asked for by a literal or by IDLE, or it is a challenge. */
void imap_continue(struct imap *im, const struct imap_line *line)
{
	struct imap_job *job = im->jobs;
	struct source_event *ev;

	if (im->sent_count == 1 && im->line.len) {
		imap_send_rest(im);
		return;
	}
	if (imap_idle_continue(im))
		return;
	if (!im->sent_count || im->sent[0].step != IMAP_STEP_AUTHENTICATE || im->cancelled) {
		imap_fail_line(im, line, "server asks for more where there is no more");
		return;
	}
	if (++im->challenges > IMAP_CHALLENGES_MAX) {
		imap_fail(im, ERR_PROTOCOL, "server asks without end during AUTHENTICATE");
		return;
	}
	if (job->secret) {
		imap_send_answer(im, strcmp(job->secret, "=") != 0 ? job->secret : "", true);
		mem_free_secret(&job->secret);
		return;
	}
	im->challenged = true;
	ev = imap_event(im, SOURCE_CHALLENGE);
	ev->bytes = line->text.bytes;
	ev->len = line->text.len;
}

void imap_respond(struct source *source, const char *base64)
{
	struct imap *im = (struct imap *)source;

	if (!im->challenged)
		return;
	im->challenged = false;
	im->cancelled = !base64;
	imap_send_answer(im, base64 ? base64 : "*", base64 != NULL);
}
