/*
 * backoff: how long until the next visit, by what came of the last ones.
 *
 * The server's own words go before our rules: the response codes of RFC 2449, RFC 3206 and
 * RFC 5530, LOGIN-DELAY among POP3's capabilities (RFC 2449, section 6.5), and the time that
 * Exchange suggests to clients that it throttles.
 */
#include "daemon/backoff.h"

#include "util/str.h"

#include <string.h>

#define SECOND ((uint64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* What a server may ask of us: less would be no waiting, and more is never meant. */
static const uint64_t suggested_least = SECOND;
static const uint64_t suggested_most = 6 * HOUR;
static const uint64_t login_delay_most = DAY;

enum rule {
	RULE_NONE, /* all is well, or what failed is one message's own matter */
	RULE_NETWORK,
	RULE_LOGIN_DELAY,
	RULE_AUTH,
	RULE_REFUSED,
	RULE_DISK,
	RULE_MENDED_ELSEWHERE
};

static const struct {
	uint64_t first, most;
} waits[] = {
    [RULE_NONE] = {0, 0},
    [RULE_NETWORK] = {MINUTE, HOUR},
    [RULE_LOGIN_DELAY] = {5 * MINUTE, HOUR},
    [RULE_AUTH] = {HOUR, DAY}, /* so that no provider locks the user out */
    [RULE_REFUSED] = {5 * MINUTE, 6 * HOUR},
    [RULE_DISK] = {MINUTE, 15 * MINUTE}, /* disks get space again */
    [RULE_MENDED_ELSEWHERE] = {HOUR, HOUR},
};

static uint64_t at_least(uint64_t value, uint64_t least)
{
	return value < least ? least : value;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
	return value > most ? most : value;
}

/* Evenly between percent less and percent more. */
static uint64_t jitter(uint64_t ms, unsigned percent, uint32_t chance)
{
	uint64_t part = ms * percent / 100;

	return ms - part + (2 * part * (chance >> 12) >> 20);
}

/* ---- what servers say of the time ---- */

static const struct {
	const char *word;
	uint64_t ms;
} units[] = {{"millisecond", 1}, {"ms", 1},	  {"second", SECOND}, {"sec", SECOND},
	     {"minute", MINUTE}, {"min", MINUTE}, {"hour", HOUR}};

/* A number and its unit at the beginning of text. */
static bool span(const char *text, uint64_t *ms_r)
{
	size_t digits = strspn(text, STR_DIGITS);
	uint64_t number;

	if (!str_number(text, digits, UINT32_MAX, &number))
		return false;
	text += digits;
	text += strspn(text, " ");
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (str_begins(text, strlen(text), units[i].word)) {
			*ms_r = number * units[i].ms;
			return true;
		}
	return false;
}

/* The first number with a unit that stands in text. */
static bool find_span(const char *text, uint64_t *ms_r)
{
	for (; *(text += strcspn(text, STR_DIGITS)); text += strspn(text, STR_DIGITS))
		if (span(text, ms_r))
			return true;
	return false;
}

static bool suggested(const struct err *err, uint64_t *ms_r)
{
	static const char words[] = "Suggested Backoff Time:";
	const char *at = strcasestr(err->server, words);

	if (!at)
		return false;
	at += sizeof words - 1;
	at += strspn(at, " ");
	if (!span(at, ms_r))
		return false;
	*ms_r = at_most(at_least(*ms_r, suggested_least), suggested_most);
	return true;
}

/* In a refusal of the login the code may stand in our words only. */
static bool has_code(const struct err *err, const char *code)
{
	return strcasestr(err->server, code) || strcasestr(err->words, code);
}

static bool in_use(const struct err *err)
{
	return has_code(err, "[IN-USE]") || has_code(err, "[INUSE]");
}

static bool asks_to_wait(const struct err *err)
{
	return has_code(err, "[UNAVAILABLE]") || has_code(err, "[SYS/TEMP]") || in_use(err);
}

/* "LOGIN-DELAY n" or "LOGIN-DELAY n USER" among capabilities that stand with ", " between them; 0:
 * it is not. */
static uint64_t login_delay(const char *capabilities)
{
	static const char word[] = "LOGIN-DELAY ";
	uint64_t seconds;

	for (const char *at = capabilities; at; at = strstr(at, ", ")) {
		at += strspn(at, ", ");
		if (str_begins(at, strlen(at), word) &&
		    str_number(at + sizeof word - 1, strspn(at + sizeof word - 1, STR_DIGITS),
			       UINT32_MAX, &seconds))
			return at_most(seconds * SECOND, login_delay_most);
	}
	return 0;
}

/* ---- rules ---- */

/* What a server answered, or did not. */
static enum rule rule_of_server(const struct backoff_visit *visit)
{
	const struct err *err = visit->err;

	if (has_code(err, "[LOGIN-DELAY]"))
		return RULE_LOGIN_DELAY;
	if (asks_to_wait(err))
		return RULE_NETWORK;
	switch (err->kind) {
	case ERR_AUTH:
		return visit->refused ? RULE_AUTH : RULE_MENDED_ELSEWHERE;
	case ERR_TLS:
	case ERR_PROTOCOL:
		return RULE_REFUSED;
	case ERR_TEMPORARY:
		return visit->whole ? RULE_NONE : RULE_NETWORK;
	default:
		return RULE_NETWORK;
	}
}

static enum rule rule_of(const struct backoff_visit *visit)
{
	if (err_scope(visit->err->kind) == ERR_SCOPE_MESSAGE)
		return RULE_NONE;
	switch (visit->err->kind) {
	case ERR_MAIL:
	case ERR_STATE:
		return RULE_DISK;
	case ERR_CONFIG:
	case ERR_INTERNAL:
	case ERR_USAGE:
		/* A file or a program that a person mends, who may not think of a reload. */
		return RULE_MENDED_ELSEWHERE;
	default:
		return rule_of_server(visit);
	}
}

static uint64_t grown(enum rule rule, unsigned failures, uint64_t interval_ms)
{
	uint64_t ms = waits[rule].first;

	if (rule == RULE_NETWORK)
		ms = at_most(ms, interval_ms);
	while (--failures && ms < waits[rule].most)
		ms *= 2;
	return at_most(ms, waits[rule].most);
}

static uint64_t after_failure(const struct backoff *backoff, const struct backoff_visit *visit,
			      uint32_t chance)
{
	enum rule rule = (enum rule)backoff->rule;
	uint64_t ms = grown(rule, backoff->failures, visit->interval_ms);
	uint64_t least = 0;

	if (suggested(visit->err, &ms))
		return ms;
	if (rule == RULE_AUTH)
		least = waits[rule].first;
	else if (rule == RULE_LOGIN_DELAY && find_span(visit->err->server, &ms))
		least = ms = at_most(ms, login_delay_most);
	else if (rule == RULE_LOGIN_DELAY && backoff->login_delay_ms)
		least = ms = backoff->login_delay_ms;
	else if (in_use(visit->err))
		least = MINUTE;
	return at_least(jitter(ms, 20, chance), least);
}

static uint64_t after_success(const struct backoff_visit *visit, uint32_t chance)
{
	uint64_t ms = jitter(visit->interval_ms, 10, chance);
	uint64_t least = 0;

	return suggested(visit->err, &least) ? at_least(ms, least) : ms;
}

static void note(struct backoff *backoff, const struct backoff_visit *visit, enum rule rule)
{
	bool again = rule != RULE_NONE && rule == (enum rule)backoff->rule;

	backoff->failures = rule == RULE_NONE ? 0 : again ? backoff->failures + 1 : 1;
	backoff->kind = rule == RULE_NONE ? ERR_NONE : visit->err->kind;
	backoff->rule = rule;
	backoff->server_spoke = *visit->err->server || asks_to_wait(visit->err);
	if (visit->capabilities && *visit->capabilities)
		backoff->login_delay_ms = login_delay(visit->capabilities);
}

uint64_t backoff_after(struct backoff *backoff, const struct backoff_visit *visit, uint32_t chance)
{
	enum rule rule = rule_of(visit);
	bool logs_in = visit->capabilities && *visit->capabilities && !visit->listening;
	uint64_t ms;

	note(backoff, visit, rule);
	ms = rule == RULE_NONE ? after_success(visit, chance)
			       : after_failure(backoff, visit, chance);
	return logs_in ? at_least(ms, backoff->login_delay_ms) : ms;
}

bool backoff_is_network(const struct backoff *backoff)
{
	return backoff->rule == RULE_NETWORK && !backoff->server_spoke;
}
