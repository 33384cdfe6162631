/*
 * veil: secrets that must not be shown, whatever a server says.
 *
 * Base64 (RFC 4648) of a text that holds the secret depends on how many octets stand in front of
 * it: one of three alignments. Of each, the characters that the secret alone decides are looked
 * for, and the rest of the word is cut with them.
 */
#include "util/veil.h"

#include "util/mem.h"
#include "util/str.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_LEAST = 16 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct form {
	struct form *next;
	char *text;
	size_t len;
	bool base64;
};

struct veil {
	struct veil *next;
	struct form *forms;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct veil *veils;

/* ---- what is looked for ---- */

static void add(struct veil *veil, const char *text, size_t len, bool base64)
{
	struct form *form;

	if (len < VEIL_LEAST)
		return;
	for (form = veil->forms; form; form = form->next)
		if (form->len == len && !memcmp(form->text, text, len))
			return;
	form = mem_new(1, sizeof *form);
	form->text = mem_copy_n(text, len);
	form->len = len;
	form->base64 = base64;
	form->next = veil->forms;
	veil->forms = form;
}

static void add_visible(struct veil *veil, struct buf *text)
{
	struct buf shown = {0};

	str_visible(&shown, text->data, text->len, 4 * text->len + 1);
	add(veil, (const char *)shown.data, shown.len, false);
	buf_wipe(&shown);
}

/* As IMAP quotes it (RFC 3501 section 4.3). */
static void add_quoted(struct veil *veil, const char *secret)
{
	struct buf quoted = {0};

	for (; *secret; secret++) {
		if (*secret == '"' || *secret == '\\')
			buf_text(&quoted, "\\");
		buf_append(&quoted, secret, 1);
	}
	add(veil, (const char *)quoted.data, quoted.len, false);
	add_visible(veil, &quoted);
	buf_wipe(&quoted);
}

/* The sextet at a place of a text, of which `before` octets are not known. */
static char sextet(const unsigned char *secret, size_t before, size_t at)
{
	unsigned value = 0;

	for (size_t bit = at * 6; bit < at * 6 + 6; bit++) {
		unsigned char octet = secret[bit / 8 - before];

		value = value << 1 | (octet >> (7 - bit % 8) & 1U);
	}
	return alphabet[value];
}

static void add_base64(struct veil *veil, const char *secret, size_t len)
{
	for (size_t before = 0; before < 3; before++) {
		struct buf text = {0};

		for (size_t at = (before * 8 + 5) / 6; at < (before + len) * 8 / 6; at++) {
			char one = sextet((const unsigned char *)secret, before, at);

			buf_append(&text, &one, 1);
		}
		add(veil, (const char *)text.data, text.len, true);
		buf_wipe(&text);
	}
}

static struct veil *have(struct veil **veil)
{
	if (*veil)
		return *veil;
	*veil = mem_new(1, sizeof **veil);
	(*veil)->next = veils;
	veils = *veil;
	return *veil;
}

void veil_hide(struct veil **veil, const char *secret)
{
	struct buf text = {0};
	size_t len = strlen(secret);

	if (len < VEIL_LEAST)
		return;
	pthread_mutex_lock(&lock);
	add(have(veil), secret, len, false);
	buf_append(&text, secret, len);
	add_visible(*veil, &text);
	add_quoted(*veil, secret);
	add_base64(*veil, secret, len);
	pthread_mutex_unlock(&lock);
	buf_wipe(&text);
}

static void decode(struct buf *out, const char *base64)
{
	unsigned bits = 0;
	unsigned value = 0;

	for (; *base64; base64++) {
		const char *place = strchr(alphabet, *base64);
		unsigned char octet;

		if (!place)
			return;
		value = value << 6 | (unsigned)(place - alphabet);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		octet = (unsigned char)(value >> bits);
		buf_append(out, &octet, 1);
	}
}

/* What stands behind the last of these words. */
static void add_behind(struct veil *veil, const struct buf *plain, const char *word)
{
	size_t len = strlen(word);

	for (size_t at = plain->len; at-- > 0;) {
		size_t rest = plain->len - at;

		if (rest < len || memcmp(plain->data + at, word, len) != 0)
			continue;
		if (rest - len >= DIGEST_LEAST)
			add(veil, (const char *)plain->data + at + len, rest - len, true);
		return;
	}
}

void veil_hide_response(struct veil **veil, const char *base64)
{
	struct buf plain = {0};

	decode(&plain, base64);
	pthread_mutex_lock(&lock);
	add(have(veil), base64, strcspn(base64, "="), true);
	add_behind(*veil, &plain, " ");
	add_behind(*veil, &plain, ",p=");
	pthread_mutex_unlock(&lock);
	buf_wipe(&plain);
}

void veil_lift(struct veil **veil)
{
	struct veil **place = &veils;

	if (!*veil)
		return;
	pthread_mutex_lock(&lock);
	while (*place != *veil)
		place = &(*place)->next;
	*place = (*veil)->next;
	pthread_mutex_unlock(&lock);
	while ((*veil)->forms) {
		struct form *form = (*veil)->forms;

		(*veil)->forms = form->next;
		mem_wipe(form->text, form->len);
		free(form->text);
		free(form);
	}
	free(*veil);
	*veil = NULL;
}

/* ---- looking ---- */

/* How many octets at the beginning are to be cut: the longest that any form claims. */
static size_t hidden(const char *at, size_t left)
{
	size_t most = 0;

	for (const struct veil *veil = veils; veil; veil = veil->next) {
		for (const struct form *form = veil->forms; form; form = form->next) {
			size_t len = form->len;

			if (len > left || memcmp(at, form->text, len) != 0)
				continue;
			while (form->base64 && len < left && at[len] &&
			       (strchr(alphabet, at[len]) || at[len] == '='))
				len++;
			if (len > most)
				most = len;
		}
	}
	return most;
}

void veil_cut(struct buf *out, const void *bytes, size_t len)
{
	const char *at = len ? bytes : "";
	const char *end = at + len;
	const char *kept = at;

	pthread_mutex_lock(&lock);
	while (veils && at < end) {
		size_t cut = hidden(at, (size_t)(end - at));

		if (!cut) {
			at++;
			continue;
		}
		buf_append(out, kept, (size_t)(at - kept));
		buf_text(out, "<cut>");
		kept = at += cut;
	}
	buf_append(out, kept, (size_t)(end - kept));
	pthread_mutex_unlock(&lock);
}
