/*
 * visit_json: what came of a visit as a JSON object, and the way back.
 */
#include "daemon/visit_json.h"

#include "daemon/account.h"
#include "session/outcome.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TIME_FORMAT "%Y-%m-%dT%H:%M:%SZ"

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* ---- writing ------------------------------------------------------------------------------- */

json_t *visit_json_time(int64_t at)
{
	time_t when = at;
	char text[32];
	struct tm tm;

	if (!at || !gmtime_r(&when, &tm))
		return json_null();
	strftime(text, sizeof text, TIME_FORMAT, &tm);
	return json_string(text);
}

json_t *visit_json_text(const char *text)
{
	json_t *string = *text ? json_string(text) : json_null();
	struct buf visible = {0};

	if (string)
		return string;
	str_visible(&visible, text, strlen(text), SIZE_MAX);
	string = json_string(buf_string(&visible));
	buf_free(&visible);
	return string;
}

static json_t *err_json(const struct err *err)
{
	json_t *object;

	if (!err->kind)
		return json_null();
	object = json_object();
	json_object_set_new(object, "kind", json_string(err_kind_name(err->kind)));
	json_object_set_new(object, "text", visit_json_text(err->words));
	json_object_set_new(object, "server", visit_json_text(err->server));
	json_object_set_new(object, "exit_code", json_integer(err_exit_code(err->kind)));
	return object;
}

static json_t *security_json(const struct session_report *report)
{
	const struct session_security *security = &report->security;
	const struct tls_info *tls = &security->tls;
	json_t *object;

	if (!report->connected)
		return json_null();
	object = json_object();
	json_object_set_new(object, "mode", json_string(security->mode));
	json_object_set_new(object, "tls", json_string(tls->version));
	json_object_set_new(object, "cipher", json_string(tls->cipher));
	json_object_set_new(object, "key_exchange", json_string(tls->exchange));
	json_object_set_new(object, "verified", json_string(tls->verified));
	json_object_set_new(object, "issuer", visit_json_text(tls->issuer));
	json_object_set_new(object, "pin_sha256", visit_json_text(tls->pin));
	json_object_set_new(object, "expires", visit_json_time(tls->expires));
	json_object_set_new(object, "mechanism", visit_json_text(security->mechanism));
	return object;
}

json_t *visit_json_begun(const char *event, const struct config_account *account,
			 const struct session_report *report)
{
	json_t *object = json_object();

	json_object_set_new(object, "event", json_string(event));
	json_object_set_new(object, "account", json_string(account->name));
	json_object_set_new(object, "protocol", json_string(account_protocol(account)));
	json_object_set_new(object, "host", json_string(account->host));
	json_object_set_new(object, "ok", json_boolean(!report->err.kind));
	json_object_set_new(object, "busy", json_boolean(report->busy));
	json_object_set_new(object, "new", number(report->counts.fresh));
	json_object_set_new(object, "error", err_json(&report->err));
	json_object_set_new(object, "encryption", security_json(report));
	return object;
}

void visit_json_left(json_t *object, const struct collect_counts *counts)
{
	json_object_set_new(object, "left", number(counts->left));
	json_object_set_new(object, "put_off", number(counts->put_off));
	json_object_set_new(object, "skipped", number(counts->skipped));
}

const char *visit_json_destination(const struct config_account *account)
{
	return account->maildir ? account->maildir : account->mda[0];
}

json_t *visit_json(const struct config_account *account, const struct session_report *report)
{
	const struct collect_counts *counts = &report->counts;
	json_t *object = visit_json_begun("visit", account, report);

	json_object_set_new(object, "delivered", number(counts->delivered));
	json_object_set_new(object, "octets", number(counts->octets));
	json_object_set_new(object, "removed", number(counts->removable));
	json_object_set_new(object, "waiting", number(counts->waiting));
	json_object_set_new(object, "quarantined", number(counts->quarantined));
	json_object_set_new(object, "recognised", number(counts->recognised));
	visit_json_left(object, counts);
	json_object_set_new(object, "destination",
			    visit_json_text(visit_json_destination(account)));
	return object;
}

json_t *visit_json_row(const struct state_visit *visit)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "tried", (json_int_t)visit->tried,
			 "failing_since", (json_int_t)visit->failing_since, "reported",
			 (json_int_t)visit->reported, "warned", (json_int_t)visit->warned,
			 "expires", (json_int_t)visit->expires, "error_kind",
			 visit_json_text(visit->error_kind));
}

/* ---- reading ------------------------------------------------------------------------------- */

static uint64_t read_number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

static const char *read_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void copy_text(char *out, size_t size, const json_t *object, const char *key)
{
	snprintf(out, size, "%s", read_text(object, key));
}

static int64_t read_time(const json_t *object, const char *key)
{
	struct tm tm = {.tm_isdst = 0};
	const char *end = strptime(read_text(object, key), TIME_FORMAT, &tm);

	return end && !*end ? timegm(&tm) : 0;
}

static enum err_kind read_kind(const json_t *object)
{
	const char *name = read_text(object, "kind");

	for (unsigned kind = ERR_NONE; kind < ERR_KINDS; kind++)
		if (!strcmp(err_kind_name((enum err_kind)kind), name))
			return (enum err_kind)kind;
	return ERR_INTERNAL;
}

static void read_err(const json_t *object, struct err *err)
{
	if (!json_is_object(object))
		return;
	err->kind = read_kind(object);
	copy_text(err->words, sizeof err->words, object, "text");
	copy_text(err->server, sizeof err->server, object, "server");
}

static void read_security(const json_t *object, struct session_security *security)
{
	struct tls_info *tls = &security->tls;

	security->mode = read_text(object, "mode");
	security->mechanism = read_text(object, "mechanism");
	copy_text(tls->version, sizeof tls->version, object, "tls");
	copy_text(tls->cipher, sizeof tls->cipher, object, "cipher");
	copy_text(tls->exchange, sizeof tls->exchange, object, "key_exchange");
	copy_text(tls->verified, sizeof tls->verified, object, "verified");
	copy_text(tls->issuer, sizeof tls->issuer, object, "issuer");
	copy_text(tls->pin, sizeof tls->pin, object, "pin_sha256");
	tls->expires = read_time(object, "expires");
	outcome_describe(security, security->mechanism);
}

static void read_counts(const json_t *object, struct collect_counts *counts)
{
	*counts = (struct collect_counts){.fresh = read_number(object, "new"),
					  .delivered = read_number(object, "delivered"),
					  .octets = read_number(object, "octets"),
					  .removable = read_number(object, "removed"),
					  .waiting = read_number(object, "waiting"),
					  .quarantined = read_number(object, "quarantined"),
					  .recognised = read_number(object, "recognised"),
					  .left = read_number(object, "left"),
					  .put_off = read_number(object, "put_off"),
					  .skipped = read_number(object, "skipped")};
}

void visit_json_read(const json_t *object, struct session_report *report_r)
{
	const json_t *encryption = json_object_get(object, "encryption");

	*report_r = (struct session_report){
	    .busy = json_is_true(json_object_get(object, "busy")),
	    .connected = json_is_object(encryption),
	    .security = {.mode = "", .mechanism = ""},
	    .capabilities = "",
	};
	read_err(json_object_get(object, "error"), &report_r->err);
	read_counts(object, &report_r->counts);
	if (report_r->connected)
		read_security(encryption, &report_r->security);
}

void visit_json_read_row(const json_t *object, struct state_visit *visit_r)
{
	*visit_r =
	    (struct state_visit){.tried = (int64_t)read_number(object, "tried"),
				 .failing_since = (int64_t)read_number(object, "failing_since"),
				 .reported = (int64_t)read_number(object, "reported"),
				 .warned = (int64_t)read_number(object, "warned"),
				 .expires = (int64_t)read_number(object, "expires")};
	copy_text(visit_r->error_kind, sizeof visit_r->error_kind, object, "error_kind");
}
