/*
 * oauth: the one message that XOAUTH2 and OAUTHBEARER (RFC 7628) have.
 *
 * Their fields end in octet 1, so no field may hold one. A token is checked for what RFC 6750 (2.1)
 * lets it hold: a command that prints a sentence instead of a token is noticed here and not by the
 * server.
 */
#include "auth/oauth.h"

#include <string.h>

static bool check_token(const char *token, struct err *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-._~+/=";

	if (*token && !token[strspn(token, allowed)])
		return true;
	return err_set(err, ERR_AUTH,
		       "what token_command printed is no token: it holds characters that no token "
		       "has; nothing was sent");
}

static bool check_user(const char *user, struct err *err)
{
	for (const char *c = user; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_set(err, ERR_AUTH,
				       "the user holds a control character; nothing was sent");
	return true;
}

/* saslname of RFC 5801, 4: comma and equals sign are written in another way. */
static void append_saslname(struct buf *out, const char *user)
{
	for (const char *c = user; *c; c++) {
		if (*c == ',')
			buf_text(out, "=2C");
		else if (*c == '=')
			buf_text(out, "=3D");
		else
			buf_append(out, c, 1);
	}
}

bool oauth_message(struct buf *out, const struct oauth_params *params, struct err *err)
{
	if (!check_token(params->token, err) || !check_user(params->user, err))
		return false;
	if (params->bearer) {
		buf_text(out, "n,a=");
		append_saslname(out, params->user);
		buf_printf(out, ",\1host=%s\1port=%u\1", params->host, (unsigned)params->port);
	} else {
		buf_printf(out, "user=%s\1", params->user);
	}
	buf_printf(out, "auth=Bearer %s\1\1", params->token);
	return true;
}

const char *oauth_answer(bool bearer)
{
	return bearer ? "\1" : "";
}
