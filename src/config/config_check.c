/*
 * config_check: what can only be seen once an account is whole.
 *
 * Words about values that came from defaults do not name the account, so that they are told once.
 * Why exim, dovecot-lda and procmail are warned of stands in the manual page, under mda.
 */
#include "config/config_check.h"

#include "config/config_value.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>

enum { IMAP_PORT = 143, POP3_PORT = 110, IMAPS_PORT = 993, POP3S_PORT = 995 };

/* Milliseconds. Many servers refuse those who log in more often. */
enum { INTERVAL_KIND = 60000 };

static size_t row(const struct option *option)
{
	return (size_t)(option - option_table);
}

static struct config_given *given(struct config_draft *draft, enum option_place place,
				  const char *name)
{
	return &draft->given[row(option_find(place, name))];
}

static bool is_secret(const struct option *option)
{
	return option->type == OPTION_SECRET || option->type == OPTION_SECRET_FILE ||
	       option->type == OPTION_SECRET_COMMAND || option->type == OPTION_SECRET_TOKEN ||
	       option->type == OPTION_SECRET_NAME || option->type == OPTION_SECRET_NETRC;
}

static bool is_sink(const struct option *option)
{
	return option->place == OPTION_DELIVER &&
	       (option->type == OPTION_MAILDIR || option->type == OPTION_ARGV);
}

/* One secret, and one place to deliver to, is all that an account may have. */
static bool exclude(const struct option *a, const struct option *b)
{
	return a != b && ((is_secret(a) && is_secret(b)) || (is_sink(a) && is_sink(b)));
}

void config_check_give_way(struct config_draft *draft, const struct option *option)
{
	for (size_t i = 0; i < option_count; i++) {
		if (!draft->given[i].at.line || draft->given[i].own ||
		    !exclude(option, &option_table[i]))
			continue;
		config_value_free(&option_table[i], draft->account);
		draft->given[i] = (struct config_given){.own = false};
	}
}

/* ---- the beginning ---- */

static void set_fallbacks(bool top, void *fields, const struct config_base *base)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];

		if ((option->place == OPTION_TOP) != top || !option->fallback)
			continue;
		if (config_value_is_list(option)) {
			char **items = mem_new(2, sizeof *items);

			items[0] = config_value_item(option, option->fallback, 0, NULL);
			config_value_set_list(option, fields, items);
		} else {
			config_value_set(option, fields, option->fallback, base, NULL);
		}
	}
}

void config_top_fallbacks(struct config *config, const struct config_base *base)
{
	set_fallbacks(true, config, base);
}

struct config_draft config_draft_new(const struct config_report *report, const char *name,
				     struct config_mark at, const struct config_base *base)
{
	struct config_draft draft = {.account = mem_new(1, sizeof *draft.account), .at = at};

	draft.account->name = mem_copy(name);
	draft.account->file = mem_copy(config_report_path(report, at.file));
	draft.account->line = at.line;
	draft.account->origins = mem_new(option_count, sizeof *draft.account->origins);
	set_fallbacks(false, draft.account, base);
	return draft;
}

/* What outlives the draft of where its values came from. */
static void note_origins(const struct config_draft *draft)
{
	for (size_t i = 0; i < option_count; i++)
		draft->account->origins[i] =
		    (struct config_origin){draft->given[i].at.line, draft->given[i].own};
}

/* ---- one account ---- */

static void check_exclusions(struct config_report *report, const struct config_draft *draft)
{
	for (size_t i = 0; i < option_count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct config_given *a = &draft->given[j], *b = &draft->given[i];
			bool a_first = a->at.file != b->at.file	  ? a->at.file < b->at.file
				       : a->at.line != b->at.line ? a->at.line < b->at.line
								  : a->at.column < b->at.column;

			if (!a->at.line || !b->at.line ||
			    !exclude(&option_table[i], &option_table[j]))
				continue;
			config_mistake(report, a_first ? b->at : a->at,
				       "%s and %s exclude each other; give one of them",
				       option_table[a_first ? j : i].name,
				       option_table[a_first ? i : j].name);
		}
	}
}

/* EXTERNAL needs no secret. */
static bool certificate_is_enough(struct config_draft *draft)
{
	return given(draft, OPTION_TLS, "client_cert")->at.line &&
	       (!strcmp(draft->account->auth, "AUTO") || !strcmp(draft->account->auth, "EXTERNAL"));
}

static void check_missing(struct config_report *report, struct config_draft *draft)
{
	const char *name = draft->account->name;
	bool secret = false;
	bool sink = false;

	for (size_t i = 0; i < option_count; i++) {
		secret |= draft->given[i].at.line && is_secret(&option_table[i]);
		sink |= draft->given[i].at.line && is_sink(&option_table[i]);
	}
	if (!given(draft, OPTION_ACCOUNT, "host")->at.line)
		config_mistake(report, draft->at,
			       "account \"%s\" has no host: the name of the server", name);
	if (!given(draft, OPTION_ACCOUNT, "user")->at.line)
		config_mistake(report, draft->at,
			       "account \"%s\" has no user: the name to log in with", name);
	if (!secret && !certificate_is_enough(draft))
		config_mistake(report, draft->at,
			       "account \"%s\" has no password: give password_command, "
			       "password_file, password, credential or netrc; or token_command",
			       name);
	if (!sink)
		config_mistake(report, draft->at,
			       "account \"%s\" does not say where its mail goes: under deliver, "
			       "give maildir or mda",
			       name);
}

/* A list that begins with what it takes away takes nothing away; one that has nothing else collects
 * nothing. POP3 has no mailboxes to choose from. Those that defaults name are meant for other
 * accounts. */
static void check_mailboxes(struct config_report *report, struct config_draft *draft)
{
	const struct option *option = option_find(OPTION_ACCOUNT, "mailboxes");
	const struct config_given *mark = &draft->given[row(option)];
	struct config_account *account = draft->account;
	char **inbox;

	if (!mark->at.line)
		return;
	if (account->protocol != CONFIG_POP3) {
		if (account->mailboxes && account->mailboxes[0] && *account->mailboxes[0] == '!')
			config_mistake(
			    report, mark->at,
			    "mailboxes: \"%.80s\" takes away from what stands in front of "
			    "it, and nothing does",
			    account->mailboxes[0]);
		return;
	}
	if (mark->own)
		config_mistake(report, mark->at,
			       "mailboxes is for protocol imap; in POP3 there is but one mailbox");
	inbox = mem_new(2, sizeof *inbox);
	inbox[0] = mem_copy("INBOX");
	config_value_set_list(option, account, inbox);
}

/* What the daemon does between polls. */
static void check_waiting(struct config_report *report, struct config_draft *draft)
{
	const struct config_given *interval = given(draft, OPTION_ACCOUNT, "interval");
	const struct config_given *idle = given(draft, OPTION_ACCOUNT, "idle");
	const struct config_account *account = draft->account;

	if (interval->at.line && account->interval_ms < INTERVAL_KIND)
		config_warning(report, interval->at,
			       "interval: many servers refuse those who log in more than once a "
			       "minute");
	if (idle->own && account->idle && account->protocol == CONFIG_POP3)
		config_warning(report, idle->at,
			       "idle is for protocol imap; in POP3 there is nothing to listen to");
}

static bool has(char *const *argv, const char *const *words)
{
	for (size_t i = 1; argv[i] && strcmp(argv[i], "--") != 0; i++)
		for (size_t j = 0; words[j]; j++)
			if (!strcmp(argv[i], words[j]))
				return true;
	return false;
}

static bool one_of(const char *name, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(name, *words))
			return true;
	return false;
}

/* The text of "sh -c TEXT" is a program: what is filled in there would be run. */
static bool shell_runs_placeholder(char *const *argv)
{
	for (size_t i = 1; argv[i] && (argv[i][0] == '-' || argv[i][0] == '+'); i++)
		if (argv[i][0] == '-' && argv[i][1] != '-' && strchr(argv[i], 'c'))
			return argv[i + 1] && strstr(argv[i + 1], "%{");
	return false;
}

static void check_mda(struct config_report *report, struct config_draft *draft, bool whole)
{
	static const char *const sendmails[] = {"sendmail", "exim", "exim4", NULL};
	static const char *const dots[] = {"-i", "-oi", "-ti", "-it", NULL};
	static const char *const headers[] = {"-t", "-ti", "-it", NULL};
	static const char *const ldas[] = {"dovecot-lda", NULL};
	static const char *const codes[] = {"-e", NULL};
	static const char *const shells[] = {"sh", "bash", "dash", "ksh", "mksh", "zsh", NULL};
	char *const *mda = draft->account->mda;
	struct config_mark at = given(draft, OPTION_DELIVER, "mda")->at;
	const char *name;

	if (!mda || !mda[0])
		return;
	name = strrchr(mda[0], '/') ? strrchr(mda[0], '/') + 1 : mda[0];
	if (one_of(name, sendmails) && !has(mda, dots))
		config_warning(report, at,
			       "%s without -oi ends a message at a line with a single dot; add -oi",
			       name);
	if (one_of(name, sendmails) && has(mda, headers))
		config_warning(report, at,
			       "%s with -t sends each message to those that its own header "
			       "names, who need not be you; name the recipient instead",
			       name);
	if (one_of(name, ldas) && !has(mda, codes))
		config_warning(report, at,
			       "dovecot-lda without -e mails a rejection to the sender where it "
			       "could tell mailhaul; add -e");
	if (one_of(name, shells) && shell_runs_placeholder(mda))
		config_mistake(report, at,
			       "%s would run what is filled in, which strangers write, as a "
			       "command; pass it behind as an argument of its own, for \"$1\"",
			       name);
	if (whole && !strcmp(name, "procmail") && draft->account->keep == CONFIG_REMOVE)
		config_warning(
		    report, at,
		    "account \"%s\": procmail does not flush mail to the disk, and keep: "
		    "false removes it from the server at once: a power cut may lose it",
		    draft->account->name);
}

static void check_tls(struct config_report *report, struct config_draft *draft)
{
	const struct config_given *pins = given(draft, OPTION_TLS, "pin_sha256");
	const struct config_given *ca = given(draft, OPTION_TLS, "ca_file");
	const struct config_given *name = given(draft, OPTION_TLS, "server_name");
	const struct config_given *port = given(draft, OPTION_ACCOUNT, "port");

	if (port->at.line && draft->account->tls == CONFIG_STARTTLS &&
	    (draft->account->port == 993 || draft->account->port == 995))
		config_warning(report, port->at,
			       "port %u is for TLS from the first octet; add tls: implicit",
			       (unsigned)draft->account->port);
	if (pins->at.line && ca->at.line)
		config_warning(report, ca->at,
			       "ca_file is not used where pin_sha256 says which keys are good");
	if (pins->at.line && name->at.line)
		config_warning(report, name->at,
			       "server_name is not verified where pin_sha256 says which keys are "
			       "good");
}

/* What is named must have what it needs, and what is given must be of use. */
static void check_auth(struct config_report *report, struct config_draft *draft)
{
	const struct config_given *auth = given(draft, OPTION_ACCOUNT, "auth");
	const struct config_given *cert = given(draft, OPTION_TLS, "client_cert");
	const struct config_given *key = given(draft, OPTION_TLS, "client_key");
	const struct config_account *account = draft->account;
	struct config_mark at = auth->own ? auth->at : draft->at;
	bool oauth = !strcmp(account->auth, "XOAUTH2") || !strcmp(account->auth, "OAUTHBEARER");
	bool external = !strcmp(account->auth, "EXTERNAL");
	bool automatic = !strcmp(account->auth, "AUTO");
	enum secret_kind kind = account->password.kind;

	if (key->at.line && !cert->at.line)
		config_mistake(report, key->at, "client_key is of no use without client_cert");
	if (external && !cert->at.line)
		config_mistake(
		    report, at,
		    "auth: external logs in by a certificate; give client_cert, under tls");
	if (oauth && kind != SECRET_TOKEN && kind != SECRET_NONE)
		config_mistake(report, at,
			       "auth: %s logs in by a token, not by a password; give token_command",
			       account->auth);
	if (kind == SECRET_TOKEN && !oauth && !external && !automatic)
		config_mistake(
		    report, at,
		    "auth: %s logs in by a password, not by a token; with token_command, "
		    "auth is xoauth2, oauthbearer or auto",
		    account->auth);
}

void config_check_draft(struct config_report *report, struct config_draft *draft, bool whole)
{
	struct config_account *account = draft->account;
	bool pop3 = account->protocol == CONFIG_POP3;

	if (!account->port && account->tls == CONFIG_IMPLICIT)
		account->port = pop3 ? POP3S_PORT : IMAPS_PORT;
	else if (!account->port)
		account->port = pop3 ? POP3_PORT : IMAP_PORT;
	check_exclusions(report, draft);
	if (whole) {
		check_missing(report, draft);
		check_auth(report, draft);
	}
	check_mailboxes(report, draft);
	check_waiting(report, draft);
	check_mda(report, draft, whole);
	check_tls(report, draft);
	note_origins(draft);
}

/* ---- the top ---- */

void config_check_top(struct config_report *report, const struct config *config,
		      const struct config_given *top)
{
	static const char suffix[] = ".prom";
	const char *metrics = config->metrics_file;
	size_t len = metrics ? strlen(metrics) : 0;

	if (metrics &&
	    (len < strlen(suffix) || strcmp(metrics + len - strlen(suffix), suffix) != 0))
		config_warning(report, top[row(option_find(OPTION_TOP, "metrics_file"))].at,
			       "metrics_file: Prometheus' node exporter reads only files whose "
			       "names end in %s",
			       suffix);
}

/* ---- accounts together ---- */

/* What one draft takes for its own. Borrowed: many accounts may share long texts by aliases. */
struct claim {
	const struct config_draft *draft;
	const char *mailbox; /* NULL: the name is meant */
};

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* The case of a host name counts nothing. */
static int compare_hosts(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) - lower(*b);
}

/* Orders by protocol, server, user and mailbox, as the state knows a mailbox; or by name. */
static int compare_claims(const struct claim *x, const struct claim *y)
{
	const struct config_account *a = x->draft->account, *b = y->draft->account;
	int order = (int)a->protocol - (int)b->protocol;

	if (!x->mailbox)
		return strcmp(a->name, b->name);
	if (!order)
		order = compare_hosts(a->host, b->host);
	if (!order)
		order = strcmp(a->user, b->user);
	return order ? order : strcmp(x->mailbox, y->mailbox);
}

static int by_claim(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int order = compare_claims(x, y);

	if (!order && x->draft != y->draft)
		order = x->draft < y->draft ? -1 : 1;
	return order;
}

static void clash(struct config_report *report, const struct claim *first,
		  const struct claim *second)
{
	const struct config_account *a = first->draft->account, *b = second->draft->account;

	if (a->protocol == CONFIG_POP3)
		config_mistake(
		    report, second->draft->at,
		    "account \"%s\" collects the mail of %s at %s, as account \"%s\" does "
		    "(%s:%u)",
		    b->name, b->user, b->host, a->name, a->file, a->line);
	else
		config_mistake(report, second->draft->at,
			       "account \"%s\" collects the mailbox \"%s\" of %s at %s, as account "
			       "\"%s\" does (%s:%u)",
			       b->name, second->mailbox, b->user, b->host, a->name, a->file,
			       a->line);
}

/* What a pattern means is known when the server was asked: then overlaps are found. */
static bool is_sure(const char *item)
{
	return *item != '!' && !strpbrk(item, "*%");
}

static struct claim *claims_of(const struct config_draft *drafts, size_t count, size_t *claims_r)
{
	struct claim *claims = NULL;
	size_t made = 0, room = 0;

	for (size_t i = 0; i < count; i++) {
		const struct config_account *account = drafts[i].account;

		for (size_t j = 0; account->mailboxes && account->mailboxes[j]; j++) {
			if (!account->host || !account->user)
				break;
			if (!is_sure(account->mailboxes[j]))
				continue;
			if (made == room) {
				room = room ? 2 * room : 256;
				claims = mem_resize(claims, room, sizeof *claims);
			}
			claims[made++] = (struct claim){&drafts[i], account->mailboxes[j]};
		}
	}
	*claims_r = made;
	return claims;
}

static void check_names(struct config_report *report, const struct config_draft *drafts,
			size_t count)
{
	struct claim *sorted = mem_new(count, sizeof *sorted);

	for (size_t i = 0; i < count; i++)
		sorted[i] = (struct claim){&drafts[i], NULL};
	qsort(sorted, count, sizeof *sorted, by_claim);
	for (size_t i = 1; i < count; i++) {
		const struct config_account *first = sorted[i - 1].draft->account;

		if (!compare_claims(&sorted[i - 1], &sorted[i]))
			config_mistake(report, sorted[i].draft->at,
				       "there is an account \"%s\" already (%s:%u)", first->name,
				       first->file, first->line);
	}
	free(sorted);
}

void config_check_together(struct config_report *report, const struct config_draft *drafts,
			   size_t count)
{
	size_t made = 0;
	struct claim *claims = claims_of(drafts, count, &made);

	if (count)
		check_names(report, drafts, count);
	if (made)
		qsort(claims, made, sizeof *claims, by_claim);
	for (size_t i = 1; i < made; i++)
		if (!compare_claims(&claims[i - 1], &claims[i]) &&
		    claims[i - 1].draft != claims[i].draft &&
		    strcmp(claims[i - 1].draft->account->name, claims[i].draft->account->name) != 0)
			clash(report, &claims[i - 1], &claims[i]);
	free(claims);
}

/* ---- what stands in the end ---- */

void config_account_free(struct config_account **account)
{
	struct config_account *a = *account;

	if (!a)
		return;
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].place != OPTION_TOP)
			config_value_free(&option_table[i], a);
	free(a->name);
	free(a->file);
	free(a->origins);
	free(a);
	*account = NULL;
}

void config_free(struct config **config)
{
	struct config *c = *config;

	if (!c)
		return;
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].place == OPTION_TOP)
			config_value_free(&option_table[i], c);
	for (unsigned i = 0; i < c->count; i++)
		config_account_free(&c->accounts[i]);
	free(c->accounts);
	free(c->file);
	free(c->origins);
	free(c);
	*config = NULL;
}

const struct config_account *config_find(const struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->count; i++)
		if (!strcmp(config->accounts[i]->name, name))
			return config->accounts[i];
	return NULL;
}
