/*
 * tls: GnuTLS as a filter over memory: ciphertext in, plaintext out, and back. Does no I/O.
 *
 * TLS 1.2 and 1.3 only, forward secrecy and AEAD ciphers only, no resumption, no renegotiation. The
 * certificate is verified against the trust set for the purpose of a TLS server, and for the host
 * name (RFC 9525: a dNSName, or an iPAddress where the host is an address; the CN never counts), or
 * against pinned keys: then nothing else is asked of it.
 *
 * The client may have a certificate of its own, which is shown only to a server that was verified
 * and asks for one.
 */
#ifndef MAILHAUL_IO_TLS_H
#define MAILHAUL_IO_TLS_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum {
	TLS_PINS_MAX = 16,
	TLS_PIN_TEXT = 44,   /* base64 of SHA-256 */
	TLS_BINDING_MAX = 64 /* tls-unique of TLS 1.2 has 12 octets, tls-exporter 32 */
};

/* A set of trust anchors, and the client's own certificate if there is one, shared by all
 * connections that use it. */
struct tls_trust;

/* ca_file: PEM; NULL for the system's trust store, which is read when a connection first needs it.
 * Fails with ERR_CONFIG, naming the file. */
struct tls_trust *tls_trust_new(const char *ca_file, struct err *err);

/* Adds the client's certificate: PEM files; key NULL: the key stands in the certificate's file.
 * Once, before the first connection. Fails with ERR_CONFIG, naming the file: also for a key that
 * others can read, that needs a passphrase, or that does not belong to the certificate. */
bool tls_trust_identify(struct tls_trust *trust, const char *cert, const char *key,
			struct err *err);

/* One more owner of the same set, who frees it too; NULL gives NULL. The files of a set may be
 * renewed while there are connections that began with the old one. */
struct tls_trust *tls_trust_share(struct tls_trust *trust);

/* The set is gone when each of its owners has freed it. */
void tls_trust_free(struct tls_trust **trust);

struct tls_params {
	struct tls_trust *trust; /* shared by the connection */
	const char *name; /* the name to verify and to send as SNI (not for an address); UTF-8 is
			     turned into A-labels by libidn2 */
	const char *const
	    *pins; /* base64 SHA-256 of the SPKI, NULL at the end; or NULL: verify by CA */
	bool only_1_3;
};

/* What protects a connection, for people. */
struct tls_info {
	char version[16]; /* "TLS 1.3" */
	char cipher[48]; /* "TLS_AES_256_GCM_SHA384", the RFC 8446 or 5246 suite name where known */
	char exchange[48];	    /* key exchange: "ECDHE X25519" */
	char verified[16];	    /* "CA" or "pin" */
	char issuer[128];	    /* the certificate's issuer, made visible */
	char pin[TLS_PIN_TEXT + 1]; /* of the server's key, so that a user can pin it */
	time_t expires;		    /* of the server's certificate, UTC */
	bool identified;	    /* the server asked for our certificate, and has it */
};

/*
 * What is the same at both ends of one connection and nowhere else, for SASL's channel binding:
 * "tls-exporter" on TLS 1.3 (RFC 9266), "tls-unique" on TLS 1.2 (RFC 5929; there it is what SASL
 * mechanisms expect, and good only with the extended master secret of RFC 7627).
 */
struct tls_binding {
	const char *name; /* static */
	unsigned char octets[TLS_BINDING_MAX];
	size_t len;
};

struct tls;

/* Fails with ERR_TLS or ERR_CONFIG (a pin that is not base64 of 32 octets, a name that is none, no
 * trust store). */
struct tls *tls_new(const struct tls_params *params, struct err *err);

/* Wipes and frees. */
void tls_free(struct tls **tls);

enum tls_step { TLS_FAILED, TLS_MORE /* wants ciphertext from the peer */, TLS_OK, TLS_CLOSED };

/* Ciphertext: received octets are appended to tls_wire_in(); what is in tls_wire_out() must be
 * sent, after every call. */
struct buf *tls_wire_in(struct tls *tls);
struct buf *tls_wire_out(struct tls *tls);

/*
 * Goes on with the handshake. TLS_OK: done and verified. TLS_FAILED: err says what
 * was refused and why (the verification status in words; for an unknown CA the peer's pin and the
 * advice to use pin_sha256 or ca_file), in the pattern "...; nothing was sent."
 */
enum tls_step tls_handshake(struct tls *tls, struct err *err);

/* After TLS_OK of the handshake; owned by tls. */
const struct tls_info *tls_info(const struct tls *tls);

/* After TLS_OK of the handshake. False: this connection has none. */
bool tls_binding(const struct tls *tls, struct tls_binding *binding_r);

/* Appends up to max octets to plain. TLS_MORE: all that was received is decrypted. TLS_OK: max is
 * reached, there may be more. TLS_CLOSED: close_notify came. */
enum tls_step tls_read(struct tls *tls, struct buf *plain, size_t max, struct err *err);

/* Encrypts len octets. */
bool tls_write(struct tls *tls, const void *bytes, size_t len, struct err *err);

/* Frees the buffers that are empty. */
void tls_rest(struct tls *tls);

/* Queues close_notify. */
void tls_close(struct tls *tls);

#endif
