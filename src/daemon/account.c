/*
 * account: from a configured account to a session: the only place that names the protocols and the
 * deliveries there are. Also holds what all accounts share: loop, state, committer, trust sets.
 */
#include "daemon/account.h"

#include "deliver/maildir.h"
#include "deliver/mda.h"
#include "io/digest.h"
#include "io/tls.h"
#include "proto/imap.h"
#include "proto/pop3.h"
#include "util/mem.h"
#include "util/str.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	ACCOUNT_CONNECT_MS = 10000,
	ACCOUNT_HANDSHAKE_MS = 30000,
	ACCOUNT_NAME_MAX = 200, /* octets of a mailbox's name within a path */
	ACCOUNT_KEPT_MAX = 150, /* and what is kept of a longer one */
};

/* Tells whether a file is still the one that was read. */
struct stamp {
	struct timespec changed;
	dev_t device;
	ino_t inode;
};

struct trust {
	struct trust *next;
	char *ca_file; /* NULL: the system's */
	char *client_cert, *client_key;
	struct stamp stamps[3]; /* of these files, when they were read */
	struct tls_trust *trust;
};

/* Where Debian keeps the system's trust store in one file. */
#define ACCOUNT_SYSTEM_TRUST "/etc/ssl/certs/ca-certificates.crt"

struct account_shared {
	const struct config *config;
	struct loop *loop;
	struct state *state;
	struct committer *committer;
	struct keyring *keyring;
	struct trust *trusts;
};

static void drop_trust(struct trust **place)
{
	struct trust *trust = *place;

	*place = trust->next;
	tls_trust_free(&trust->trust);
	free(trust->ca_file);
	free(trust->client_cert);
	free(trust->client_key);
	free(trust);
}

struct account_shared *account_shared_new(const struct config *config, struct err *err)
{
	struct account_shared *shared = mem_new(1, sizeof *shared);

	shared->config = config;
	shared->loop = loop_new(err);
	if (shared->loop)
		shared->state = state_open(config->state_dir, err);
	if (shared->state)
		shared->committer = committer_new(shared->loop, shared->state, err);
	if (shared->committer)
		shared->keyring = keyring_new(shared->loop);
	else
		(void)account_shared_free(&shared);
	return shared;
}

bool account_shared_free(struct account_shared **shared_p)
{
	struct account_shared *shared = *shared_p;
	bool clean;

	if (!shared)
		return true;
	keyring_free(&shared->keyring);
	committer_free(&shared->committer);
	while (shared->trusts)
		drop_trust(&shared->trusts);
	state_free(&shared->state);
	clean = loop_free(&shared->loop);
	free(shared);
	*shared_p = NULL;
	return clean;
}

struct loop *account_loop(struct account_shared *shared)
{
	return shared->loop;
}

struct state *account_state(struct account_shared *shared)
{
	return shared->state;
}

void account_reconfigure(struct account_shared *shared, const struct config *config)
{
	shared->config = config;
}

const char *account_protocol(const struct config_account *account)
{
	return account->protocol == CONFIG_IMAP ? "imap" : "pop3";
}

bool account_has(const struct config_account *account, const struct state_key *key)
{
	return !strcmp(account_protocol(account), key->protocol) &&
	       !strcmp(account->user, key->user) && str_same(account->host, key->host);
}

const char *const *account_mailboxes(const struct config_account *account)
{
	static const char *const only_inbox[] = {"INBOX", NULL};

	return account->protocol == CONFIG_IMAP ? (const char *const *)account->mailboxes
						: only_inbox;
}

/* Two paths, or none twice. */
static bool same_path(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static struct stamp stamp_of(const char *path)
{
	struct stat is;

	if (stat(path ? path : ACCOUNT_SYSTEM_TRUST, &is))
		return (struct stamp){.inode = 0};
	return (struct stamp){.changed = is.st_ctim, .device = is.st_dev, .inode = is.st_ino};
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->device == b->device && a->inode == b->inode &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* The set of the account's files, if they are still what was read; NULL: there is none any more. */
static struct tls_trust *known_trust(struct account_shared *shared,
				     const struct config_account *account,
				     const struct stamp stamps[3])
{
	for (struct trust **place = &shared->trusts; *place; place = &(*place)->next) {
		struct trust *trust = *place;

		if (!same_path(trust->ca_file, account->ca_file) ||
		    !same_path(trust->client_cert, account->client_cert) ||
		    !same_path(trust->client_key, account->client_key))
			continue;
		if (same_stamp(&trust->stamps[0], &stamps[0]) &&
		    same_stamp(&trust->stamps[1], &stamps[1]) &&
		    same_stamp(&trust->stamps[2], &stamps[2]))
			return trust->trust;
		drop_trust(place);
		break;
	}
	return NULL;
}

/* Accounts with the same ca_file and client_cert share one set: the system's takes 4 MB. Files that
 * were renewed since are read anew; the old set goes with the last connection that uses it. */
static struct tls_trust *trust_of(struct account_shared *shared,
				  const struct config_account *account, struct err *err)
{
	const struct stamp stamps[] = {stamp_of(account->ca_file), stamp_of(account->client_cert),
				       stamp_of(account->client_key)};
	struct tls_trust *made = known_trust(shared, account, stamps);
	struct trust *trust;

	if (made)
		return made;
	made = tls_trust_new(account->ca_file, err);
	if (made && account->client_cert &&
	    !tls_trust_identify(made, account->client_cert, account->client_key, err))
		tls_trust_free(&made);
	if (!made)
		return NULL;
	trust = mem_new(1, sizeof *trust);
	trust->ca_file = mem_copy(account->ca_file);
	trust->client_cert = mem_copy(account->client_cert);
	trust->client_key = mem_copy(account->client_key);
	memcpy(trust->stamps, stamps, sizeof stamps);
	trust->trust = made;
	trust->next = shared->trusts;
	shared->trusts = trust;
	return made;
}

/* The hierarchy becomes dots, as in Maildir++; what could climb, hide or confuse is escaped. */
static void escape_all(struct buf *out, const char *mailbox)
{
	for (const char *c = mailbox; *c; c++) {
		unsigned char octet = (unsigned char)*c;

		if (octet == '/' && c != mailbox && c[1])
			buf_text(out, ".");
		else if (isalnum(octet) || octet >= 0x80 || strchr(" -_+=,@&", octet))
			buf_append(out, c, 1);
		else
			buf_printf(out, "%%%02X", octet);
	}
}

/* A component of a path has an end (255 octets, and the Maildir's reader may add to it): the
 * beginning of a long name stays, and what tells it from others follows "%-", which no escaped name
 * holds. */
static void escape_mailbox(struct buf *out, const char *mailbox)
{
	struct buf whole = {0};
	char digest[DIGEST_TEXT + 1];
	size_t kept = ACCOUNT_KEPT_MAX;

	escape_all(&whole, mailbox);
	if (whole.len <= ACCOUNT_NAME_MAX) {
		buf_append(out, whole.data, whole.len);
		buf_free(&whole);
		return;
	}
	digest_text(mailbox, strlen(mailbox), digest);
	while (kept && (whole.data[kept] & 0xc0) == 0x80)
		kept--;
	for (size_t i = kept - 2; i < kept; i++)
		if (whole.data[i] == '%')
			kept = i;
	buf_append(out, whole.data, kept);
	buf_printf(out, "%%-%s", digest);
	buf_free(&whole);
}

static const char placeholder[] = "%{mailbox}";

void account_mailbox_path(struct buf *out, const char *maildir, const char *mailbox)
{
	const char *at;

	for (; (at = strstr(maildir, placeholder)); maildir = at + sizeof placeholder - 1) {
		buf_append(out, maildir, (size_t)(at - maildir));
		escape_mailbox(out, mailbox);
	}
	buf_text(out, maildir);
}

static void unescape(struct buf *out, const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char digits[3] = "";

		if (name[i] == '%' && len - i > 2 && isxdigit((unsigned char)name[i + 1]) &&
		    isxdigit((unsigned char)name[i + 2])) {
			memcpy(digits, name + i + 1, 2);
			buf_append(out, &(char){(char)strtol(digits, NULL, 16)}, 1);
			i += 2;
		} else {
			buf_append(out, name[i] == '.' ? "/" : name + i, 1);
		}
	}
}

/* Whatever is read back counts only if it would be written so. */
bool account_mailbox_named(struct buf *out, const char *maildir, const char *directory)
{
	const char *at = strstr(maildir, placeholder);
	const char *begins = at;
	const char *rest;
	size_t before, after, len = strlen(directory);
	struct buf name = {0}, form = {0}, again = {0};
	bool same = false;

	if (!at)
		return false;
	while (begins > maildir && begins[-1] != '/')
		begins--;
	rest = at + sizeof placeholder - 1;
	before = (size_t)(at - begins);
	after = strcspn(rest, "/");
	if (len > before + after) {
		unescape(&name, directory + before, len - before - after);
		buf_append(&form, begins, (size_t)(rest - begins) + after);
		account_mailbox_path(&again, buf_string(&form), buf_string(&name));
		same =
		    strlen(buf_string(&name)) == name.len && !strcmp(buf_string(&again), directory);
		if (same)
			buf_append(out, name.data, name.len);
	}
	buf_free(&name);
	buf_free(&form);
	buf_free(&again);
	return same;
}

static struct sink *make_maildir(struct account_shared *shared,
				 const struct config_account *account, const char *mailbox,
				 struct err *err)
{
	char identity[STATE_IDENTITY + 1];
	struct buf path = {0};
	struct sink *sink = NULL;

	account_mailbox_path(&path, account->maildir, mailbox);
	if (state_maildir(shared->state, buf_string(&path), identity, err))
		sink =
		    maildir_new(&(struct maildir_params){.path = buf_string(&path),
							 .identity = identity,
							 .fresh = state_identity(shared->state)});
	buf_free(&path);
	return sink;
}

static struct sink *make_sink(struct account_shared *shared, const struct config_account *account,
			      const char *mailbox, struct err *err)
{
	if (account->maildir)
		return make_maildir(shared, account, mailbox, err);
	return mda_new(&(struct mda_params){.loop = shared->loop,
					    .state_dir = state_directory(shared->state),
					    .argv = (const char *const *)account->mda,
					    .account = account->name,
					    .mailbox = mailbox,
					    .user = account->user,
					    .deadline_ms = account->mda_timeout_ms,
					    .may_skip_input = account->mda_may_skip_input});
}

static struct sink *make_for(const struct session_sinks *sinks, const char *mailbox,
			     struct err *err)
{
	return make_sink(sinks->shared, sinks->account, mailbox, err);
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct conn_params connection(const struct config_account *account, struct tls_trust *trust)
{
	return (struct conn_params){
	    .host = account->host,
	    .port = account->port,
	    .implicit = account->tls == CONFIG_IMPLICIT,
	    .tls = {.trust = trust,
		    .name = account->server_name ? account->server_name : account->host,
		    .pins = (const char *const *)account->pins,
		    .only_1_3 = account->only_tls_1_3},
	    .connect_ms = lesser(ACCOUNT_CONNECT_MS, account->timeout_ms),
	    .handshake_ms = lesser(ACCOUNT_HANDSHAKE_MS, account->timeout_ms),
	    .silence_ms = account->timeout_ms,
	};
}

static struct retention retention_of(const struct config_account *account)
{
	static const enum retention_keep keeps[] = {[CONFIG_KEEP] = RETENTION_KEEP,
						    [CONFIG_REMOVE] = RETENTION_REMOVE,
						    [CONFIG_KEEP_FOR] = RETENTION_KEEP_FOR};

	return (struct retention){.keep = keeps[account->keep],
				  .keep_for = (int64_t)(account->keep_ms / 1000),
				  .max_size = account->max_size};
}

static bool is_configured(void *ctx, const struct state_key *key)
{
	const struct account_shared *shared = ctx;

	for (unsigned i = 0; i < shared->config->count; i++)
		if (account_has(shared->config->accounts[i], key))
			return true;
	return false;
}

/* Of two limits that may be 0: none. */
static uint32_t fewest(uint32_t a, uint32_t b)
{
	return !b || (a && a < b) ? a : b;
}

static struct session *begin(struct account_shared *shared, const struct config_account *account,
			     const struct account_visit *visit, struct tls_trust *trust,
			     const struct err *trouble)
{
	bool imap = account->protocol == CONFIG_IMAP;
	const char *const *mailboxes = visit->only ? visit->only : account_mailboxes(account);
	size_t count = 0;

	while (mailboxes[count])
		count++;

	return session_new(
	    &(struct session_params){.loop = shared->loop,
				     .committer = shared->committer,
				     .keyring = shared->keyring,
				     .state = shared->state,
				     .account = account->name,
				     .protocol = account_protocol(account),
				     .source_new = imap ? imap_new : pop3_new,
				     .keys_return = !imap,
				     .conn = connection(account, trust),
				     .user = account->user,
				     .auth = account->auth,
				     .secret = &account->password,
				     .mailboxes = mailboxes,
				     .mailbox_count = count,
				     .known_there = visit->only != NULL,
				     .link = visit->link,
				     .stays = visit->stays,
				     .sinks = {make_for, shared, account},
				     .retention = retention_of(account),
				     .max_messages = fewest(account->max_messages, visit->most),
				     .first_skip = account->first_run == CONFIG_FIRST_SKIP,
				     .max_attempts = account->max_attempts,
				     .mark_all = visit->mark_all,
				     .look_only = visit->look_only,
				     .is_configured = is_configured,
				     .configured = shared,
				     .retry_now = visit->retry_now,
				     .trouble = trouble,
				     .on_progress = visit->on_progress,
				     .on_outcome = visit->on_outcome,
				     .on_end = visit->on_end,
				     .ctx = visit->ctx});
}

struct session *account_begin(struct account_shared *shared, const struct config_account *account,
			      const struct account_visit *visit)
{
	struct err trouble = {.kind = ERR_NONE};
	struct tls_trust *trust = trust_of(shared, account, &trouble);

	return begin(shared, account, visit, trust, &trouble);
}

void account_secret_anew(struct account_shared *shared, const struct config_account *account)
{
	keyring_forget(shared->keyring, &account->password);
}

bool account_last_visit(struct account_shared *shared, const struct config_account *account,
			struct state_visit *visit_r, struct err *err)
{
	return state_visit(shared->state, account_protocol(account), account->user, account->host,
			   visit_r, err);
}
