/*
 * secret: describes where a secret is. It is fetched by the keyring, when it is needed.
 */
#ifndef MAILHAUL_CONFIG_SECRET_H
#define MAILHAUL_CONFIG_SECRET_H

enum secret_kind {
	SECRET_NONE,
	SECRET_VALUE,
	SECRET_FILE,
	SECRET_COMMAND,
	SECRET_TOKEN,	   /* a command too, which prints an OAuth token in place of a password */
	SECRET_CREDENTIAL, /* a file in systemd's directory of credentials */
	SECRET_NETRC
};

struct secret {
	enum secret_kind kind;
	char *value; /* the secret itself (wiped when freed), the file's path, the credential's name
		      */
	char **argv; /* of a command; NULL at the end */
};

/* Wipes and frees what it holds, not the struct. */
void secret_free(struct secret *secret);

#endif
