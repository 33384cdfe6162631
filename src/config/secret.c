/*
 * secret: describes where a secret is. A path is wiped like the secret itself: it costs nothing.
 */
#include "config/secret.h"

#include "util/mem.h"

#include <stdlib.h>

void secret_free(struct secret *secret)
{
	mem_free_secret(&secret->value);
	for (size_t i = 0; secret->argv && secret->argv[i]; i++)
		mem_free_secret(&secret->argv[i]);
	free(secret->argv);
	*secret = (struct secret){.kind = SECRET_NONE};
}
