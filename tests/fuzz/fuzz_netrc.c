/*
 * Finding a password in a netrc. The input: a machine and a login, each on a line, then the file.
 * Besides not crashing: a password is found or it is said why not, and no error tells what stands
 * in the file.
 */
#include "auth/netrc.h"
#include "fuzz.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

static char *take_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
	size_t len = end ? (size_t)(end - *data) : *size;
	char *line = mem_copy_n((const char *)*data, len);

	*data += len + (end != NULL);
	*size -= len + (end != NULL);
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *machine;
	char *login;
	char *password = NULL;
	struct err err = {.kind = ERR_NONE};

	if (!size)
		return 0;
	machine = take_line(&data, &size);
	login = take_line(&data, &size);
	if (netrc_find(data, size, machine, login, &password, &err)) {
		must(password);
		must(strlen(password) <= size);
	} else {
		must(!password);
		must(err.kind == ERR_AUTH || err.kind == ERR_CONFIG);
		must(*err.words && !*err.server);
	}
	mem_free_secret(&password);
	free(machine);
	free(login);
	return 0;
}
