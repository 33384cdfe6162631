/*
 * secret: describes where a secret is. It is fetched by login, when it is needed.
 */
#ifndef MAILHAUL_CONFIG_SECRET_H
#define MAILHAUL_CONFIG_SECRET_H

enum secret_kind { SECRET_NONE, SECRET_VALUE, SECRET_FILE, SECRET_COMMAND };

struct secret {
	enum secret_kind kind;
	char *value; /* the secret itself (wiped when freed), or the file's path */
	char **argv; /* NULL at the end */
};

/* Wipes and frees what it holds, not the struct. */
void secret_free(struct secret *secret);

#endif
