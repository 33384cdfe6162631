/*
 * config_path: from a path as it is written in a configuration to an absolute one.
 */
#include "config/config_path.h"

#include "util/mem.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

/* Appends the value of the variable whose "${NAME}" stands at *at, and moves *at behind it. */
static bool expand_variable(const char *option, struct buf *out, const char **at, struct err *err)
{
	const char *name = *at + 2;
	size_t len = strspn(name, STR_LETTERS STR_DIGITS "_");
	char *copy;
	const char *value;

	if ((*at)[1] != '{')
		return err_set(err, ERR_CONFIG,
			       "%s: write a variable with braces, as ${HOME}, not \"%.80s\"",
			       option, *at);
	if (!len || name[len] != '}' || strchr(STR_DIGITS, name[0]))
		return err_set(err, ERR_CONFIG,
			       "%s: \"%.80s\" is not a variable; it must look like ${HOME}", option,
			       *at);
	copy = mem_copy_n(name, len);
	value = getenv(copy);
	if (value && *value)
		buf_text(out, value);
	else
		err_set(err, ERR_CONFIG, "%s: the variable ${%.80s} is %s", option, copy,
			value ? "empty" : "not set in the environment");
	free(copy);
	*at = name + len + 1;
	return value && *value;
}

static bool expand(const char *option, struct buf *out, const char *text,
		   const struct config_base *base, struct err *err)
{
	if (text[0] == '~' && text[1] && text[1] != '/')
		return err_set(err, ERR_CONFIG,
			       "%s: of homes only your own is known, as ~/Mail, not \"%.80s\"",
			       option, text);
	if (text[0] == '~') {
		if (!base->home)
			return err_set(err, ERR_CONFIG,
				       "%s begins with ~, but there is no home: HOME is not set",
				       option);
		buf_text(out, base->home);
		text++;
	} else if (text[0] != '/' && text[0] != '$') {
		buf_printf(out, "%s/", base->directory);
	}
	while (*text) {
		if (text[0] == '$' && text[1] && strchr(STR_LETTERS "_{", text[1])) {
			if (!expand_variable(option, out, &text, err))
				return false;
			continue;
		}
		buf_append(out, text++, 1);
	}
	return true;
}

bool config_path_expand(const char *option, struct buf *out, const char *text,
			const struct config_base *base, struct err *err)
{
	if (!expand(option, out, text, base, err))
		return false;
	while (out->len > 1 && out->data[out->len - 1] == '/')
		out->len--;
	if (out->len && out->data[0] != '/') {
		struct buf whole = {0};

		buf_printf(&whole, "%s/%s", base->directory, buf_string(out));
		buf_free(out);
		*out = whole;
	}
	return true;
}
