/*
 * watch: one account of the daemon: visits it when it is due, and listens in between.
 *
 * What is to be visited is noted (all mailboxes at a time, or an ear where there is news), and the
 * scheduler is asked for a turn. In each turn one visit is made; where more is due, another turn is
 * asked for, behind those of others. A visit leaves a connection behind, if there is a place for
 * one that listens, which becomes the ear of the mailbox that it went to. After a visit of several
 * mailboxes the first ear's follows in the same turn, by the same connection.
 */
#include "daemon/watch.h"

#include "daemon/backoff.h"
#include "session/listener.h"
#include "session/pattern.h"
#include "util/log.h"
#include "util/mem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	MINUTE = 60 * 1000,
	HOUR = 60 * MINUTE,
	WATCH_BUSY_MS = 5000,	 /* another mailhaul is at work on the account */
	WATCH_SHORT_MS = MINUTE, /* a connection that is lost sooner has had a short life */
	WATCH_SHORT_LIVES = 3,	 /* then the server is not asked again soon */
	WATCH_VAIN_MS = 1000,	 /* after news that was none, doubling */
	WATCH_VAIN_MAX = 6	 /* times */
};

#define WATCH_NEVER UINT64_MAX

struct ear {
	struct watch *watch;
	char *mailbox;
	const char *only[2]; /* it, and NULL */
	struct listener *listener;
	uint64_t since;
	unsigned short_lives; /* of its connections, in a row */
	unsigned vain;	      /* visits that found nothing, in a row */
	uint64_t due_at;      /* there is news, or it is to be opened; WATCH_NEVER */
	bool deaf;	      /* it cannot listen: not before the next visit of all mailboxes */
};

struct watch {
	struct watch_params params;
	struct turn *turn;
	struct session *session;
	struct ear *visited; /* by the session; NULL: all mailboxes are */
	struct ear ears[WATCH_EARS_MAX];
	size_t ear_count;
	struct backoff backoff;
	uint64_t begun;	   /* when the session did */
	uint64_t visits;   /* of all mailboxes that were begun */
	uint64_t whole_at; /* when all mailboxes are due; WATCH_NEVER: never */
	uint64_t hold;	   /* nothing is begun before: the last visit failed */
	bool patterns;	   /* mailboxes may appear that no ear knows of */
	bool pushes;	   /* the server has told of news by itself */
	bool by_link;	   /* the present visit began with a connection that had been left */
	bool by_news;	   /* it is because an ear has heard of some */
	bool placed;	   /* the present visit has a place for a connection that listens */
	bool again;	   /* all mailboxes are asked for while they are visited */
	bool retry_now;
	bool stopping;
};

static uint64_t now_of(const struct watch *watch)
{
	return loop_now(account_loop(watch->params.shared));
}

/* ---- when ---------------------------------------------------------------------------------- */

/* The ear that is due first; NULL: none is. */
static struct ear *first_ear(struct watch *watch)
{
	struct ear *first = NULL;

	for (size_t i = 0; i < watch->ear_count; i++) {
		struct ear *ear = &watch->ears[i];

		if (!ear->deaf && ear->due_at < (first ? first->due_at : WATCH_NEVER))
			first = ear;
	}
	return first;
}

/* Where the next visit goes; NULL: to all mailboxes, which comes first where both are due. */
static struct ear *next_ear(struct watch *watch)
{
	return watch->whole_at <= now_of(watch) ? NULL : first_ear(watch);
}

/* By whose connection, if it has one: a visit of all uses that of the first ear. */
static struct ear *carrier(struct watch *watch, struct ear *ear)
{
	return ear ? ear : watch->ears;
}

static void arrange(struct watch *watch)
{
	const struct ear *ear = first_ear(watch);
	uint64_t at = ear && ear->due_at < watch->whole_at ? ear->due_at : watch->whole_at;

	scheduler_connected(watch->turn, carrier(watch, next_ear(watch))->listener != NULL);
	if (!watch->stopping)
		scheduler_due(watch->params.scheduler, watch->turn,
			      at < watch->hold ? watch->hold : at);
	watch->params.on_change(watch->params.ctx, watch);
}

static uint64_t at_after(const struct watch *watch, uint64_t ms)
{
	return ms == WATCH_NEVER ? WATCH_NEVER : now_of(watch) + ms;
}

/* Every mailbox is listened to, so that visits of all are only for what listening does not show. */
static bool hears_all(const struct watch *watch)
{
	bool all = watch->ear_count > 0 && !watch->patterns;

	for (size_t i = 0; i < watch->ear_count; i++)
		all &= !watch->ears[i].deaf;
	return all;
}

static uint64_t interval_of(const struct watch *watch)
{
	const struct config_account *account = watch->params.account;
	uint64_t rarely =
	    account->keep == CONFIG_KEEP_FOR && account->keep_ms < HOUR ? account->keep_ms : HOUR;

	if (!hears_all(watch) || account->interval_ms > rarely)
		return account->interval_ms;
	return rarely;
}

/* ---- ears ---------------------------------------------------------------------------------- */

/* Its place is free for another. */
static void close_ear(struct ear *ear)
{
	if (ear->listener)
		places_give(ear->watch->params.places);
	listener_free(&ear->listener);
}

static uint64_t span_of(const struct watch *watch)
{
	uint64_t span = watch->params.account->interval_ms;

	return watch->pushes || span > LISTENER_SPAN_MAX_MS ? LISTENER_SPAN_MAX_MS : span;
}

/* What it would have heard is polled for. */
static void deafen(struct ear *ear)
{
	struct watch *watch = ear->watch;
	uint64_t at = now_of(watch) + watch->params.account->interval_ms;

	ear->deaf = true;
	ear->short_lives = 0;
	if (watch->whole_at > at)
		watch->whole_at = at;
}

/* News that is none, without end, must not keep us busy. */
static uint64_t calm_ms(const struct ear *ear)
{
	return ear->vain > 1 ? (uint64_t)WATCH_VAIN_MS << (ear->vain - 2) : 0;
}

static void on_heard(void *ctx, enum listener_what what, const struct err *err)
{
	struct ear *ear = ctx;
	struct watch *watch = ear->watch;

	ear->due_at = now_of(watch);
	if (what == LISTENER_NEWS || what == LISTENER_PUSHED) {
		watch->pushes |= what == LISTENER_PUSHED;
		ear->due_at += calm_ms(ear);
	} else {
		close_ear(ear);
		if (now_of(watch) - ear->since >= WATCH_SHORT_MS)
			ear->short_lives = 0;
		if (what == LISTENER_REFUSED || ++ear->short_lives == WATCH_SHORT_LIVES)
			deafen(ear);
		log_info("%s: does not listen in %s any more: %s", watch->params.account->name,
			 ear->mailbox, err ? err->words : "the server refuses it");
	}
	arrange(watch);
}

static void listen(struct ear *ear, struct link **link)
{
	struct watch *watch = ear->watch;
	const struct config_account *account = watch->params.account;

	ear->since = now_of(watch);
	ear->listener =
	    listener_new(&(struct listener_params){.loop = account_loop(watch->params.shared),
						   .account = account->name,
						   .host = account->host,
						   .silence_ms = account->timeout_ms,
						   .span_ms = span_of(watch),
						   .on = on_heard,
						   .ctx = ear},
			 link);
}

static void ear_free(struct ear *ear)
{
	close_ear(ear);
	free(ear->mailbox);
	*ear = (struct ear){.mailbox = NULL};
}

static void ear_make(struct watch *watch, const char *mailbox)
{
	struct ear *ear = &watch->ears[watch->ear_count++];

	*ear = (struct ear){.watch = watch, .mailbox = mem_copy(mailbox)};
	ear->only[0] = ear->mailbox;
}

/* The first mailboxes of those that could be looked at, in the order of the account's list. Ears of
 * the same mailbox stay; in the usual case nothing changes. */
static void choose_ears(struct watch *watch, const struct session_report *report)
{
	const char *chosen[WATCH_EARS_MAX];
	size_t count = 0;
	size_t kept = 0;

	for (size_t i = 0; i < report->mailbox_count; i++)
		if (report->mailboxes[i].looked && count < WATCH_EARS_MAX)
			chosen[count++] = report->mailboxes[i].name;
	while (kept < watch->ear_count && kept < count &&
	       !strcmp(watch->ears[kept].mailbox, chosen[kept]))
		watch->ears[kept++].deaf = false;
	for (size_t i = kept; i < watch->ear_count; i++)
		ear_free(&watch->ears[i]);
	watch->ear_count = kept;
	while (watch->ear_count < count)
		ear_make(watch, chosen[watch->ear_count]);
	watch->patterns = count < report->mailbox_count;
	for (const char *const *item = account_mailboxes(watch->params.account); *item; item++)
		watch->patterns |= pattern_is_wild(*item);
	for (size_t i = 0; i < watch->ear_count; i++) {
		if (watch->ears[i].listener)
			continue;
		watch->ears[i].due_at = now_of(watch);
		watch->ears[i].deaf |= i && places_full(watch->params.places);
	}
}

/* ---- visits -------------------------------------------------------------------------------- */

enum upshot {
	UPSHOT_COUNTS,
	UPSHOT_BUSY,	/* another mailhaul is at work: nothing was done */
	UPSHOT_STALE,	/* the connection that it began with was dead */
	UPSHOT_CROWDED, /* the server wants no further connection for this ear */
};

static enum upshot upshot_of(const struct watch *watch, const struct session_report *report)
{
	if (report->busy)
		return UPSHOT_BUSY;
	if (watch->by_link && !report->whole && report->err.kind == ERR_TEMPORARY &&
	    !report->counts.fetched)
		return UPSHOT_STALE;
	if (watch->visited && watch->visited != &watch->ears[0] && report->err.kind &&
	    !*report->security.mechanism)
		return UPSHOT_CROWDED;
	return UPSHOT_COUNTS;
}

/* What the account itself is not to blame for leaves no trace. */
static void on_outcome(void *ctx, const struct session_report *report,
		       const struct state_visit *before, struct state_visit *after)
{
	struct watch *watch = ctx;

	if (upshot_of(watch, report) == UPSHOT_COUNTS)
		watch->params.on_outcome(watch->params.ctx, watch, report, before, after);
	else
		*after = *before;
}

/* What is left by the share of a visit is fetched in the next turn. */
static bool shared_out(const struct watch *watch, const struct collect_counts *counts)
{
	uint32_t most = watch->params.account->max_messages;

	return counts->put_off && (!most || most > WATCH_SHARE);
}

/* The same is due once more, after so long. */
static void due_again(struct watch *watch, uint64_t ms)
{
	watch->hold = at_after(watch, ms);
	if (watch->visited)
		watch->visited->due_at = watch->hold;
	else
		watch->whole_at = watch->hold;
}

static uint64_t after_visit(struct watch *watch, const struct session_report *report)
{
	uint64_t interval_ms = watch->params.account->interval_ms;
	struct backoff_visit visit = {.err = &report->err,
				      .capabilities = report->capabilities,
				      .interval_ms =
					  report->counts.waiting ? interval_ms : interval_of(watch),
				      .listening = hears_all(watch),
				      .refused = report->refused,
				      .whole = report->whole};

	return backoff_after(&watch->backoff, &visit, arc4random());
}

/* Is what lies in the only mailbox there is all that was visited? Then it is open. */
static bool is_open(const struct watch *watch)
{
	const char *const *items = account_mailboxes(watch->params.account);

	return watch->visited || (!strcmp(items[0], "INBOX") && !items[1]);
}

static void conclude(struct watch *watch, const struct session_report *report, bool left_link)
{
	bool failed = !report->whole;
	bool whole = !watch->visited;
	uint64_t wait_ms;

	if (!failed && whole && left_link)
		choose_ears(watch, report);
	for (size_t i = 0; !failed && whole && !left_link && i < watch->ear_count; i++)
		watch->ears[i].deaf |= !watch->ears[i].listener;
	wait_ms = after_visit(watch, report);
	if (failed) {
		due_again(watch, wait_ms);
		return;
	}
	if (watch->again || shared_out(watch, &report->counts))
		wait_ms = 0;
	if (whole) {
		watch->whole_at = at_after(watch, wait_ms);
		return;
	}
	if (!left_link)
		deafen(watch->visited);
	if (shared_out(watch, &report->counts))
		watch->visited->due_at = now_of(watch);
	if (report->counts.fresh)
		watch->visited->vain = 0;
	else if (watch->by_news && watch->visited->vain < WATCH_VAIN_MAX)
		watch->visited->vain++;
}

/* What befell decides what is due; the link, where there is one, becomes an ear. */
static void settle(struct watch *watch, const struct session_report *report, bool left_link)
{
	switch (upshot_of(watch, report)) {
	case UPSHOT_BUSY:
		due_again(watch, WATCH_BUSY_MS);
		break;
	case UPSHOT_STALE:
		due_again(watch, 0);
		break;
	case UPSHOT_CROWDED:
		deafen(watch->visited);
		log_info("%s: does not listen in %s: %s", watch->params.account->name,
			 watch->visited->mailbox, report->err.words);
		break;
	case UPSHOT_COUNTS:
		conclude(watch, report, left_link);
		break;
	}
}

/* Of dead connections, and of servers that want no more of them, nobody needs to know. */
static void tell_end(struct watch *watch, const struct session_report *report)
{
	enum upshot upshot = upshot_of(watch, report);

	if (upshot == UPSHOT_COUNTS || upshot == UPSHOT_BUSY)
		watch->params.on_end(watch->params.ctx, watch, !watch->visited,
				     upshot == UPSHOT_COUNTS && report->whole &&
					 shared_out(watch, &report->counts),
				     report);
}

static void visit(struct watch *watch, struct ear *ear, struct link *link);

static void on_end(void *ctx, struct session *session)
{
	struct watch *watch = ctx;
	struct link *link = session_take_link(session);
	struct ear *ear;

	settle(watch, session_report(session), link != NULL);
	tell_end(watch, session_report(session));
	ear = watch->visited ? watch->visited : watch->ears;
	session_free(&watch->session);
	if (watch->stopping || (ear == watch->ears && !watch->ear_count) || ear->listener)
		link_free(&link);
	if (link && !is_open(watch)) {
		visit(watch, ear, link);
		return;
	}
	if (link) {
		if (!watch->visited)
			ear->due_at = WATCH_NEVER;
		listen(ear, &link);
	} else if (watch->placed) {
		places_give(watch->params.places);
	}
	watch->placed = false;
	scheduler_done(watch->params.scheduler, watch->turn);
	arrange(watch);
}

static void visit(struct watch *watch, struct ear *ear, struct link *link)
{
	bool whole = !ear;
	const struct config_account *account = watch->params.account;

	watch->visited = ear;
	watch->begun = now_of(watch);
	watch->visits += whole;
	watch->by_link = link != NULL;
	watch->placed = link || (account->idle && account->protocol == CONFIG_IMAP &&
				 places_take(watch->params.places));
	if (whole)
		watch->again = false;
	else
		ear->due_at = WATCH_NEVER;
	watch->session = account_begin(watch->params.shared, account,
				       &(struct account_visit){.retry_now = watch->retry_now,
							       .link = link,
							       .stays = watch->placed,
							       .only = whole ? NULL : ear->only,
							       .most = WATCH_SHARE,
							       .on_outcome = on_outcome,
							       .on_end = on_end,
							       .ctx = watch});
	watch->retry_now = false;
}

void watch_run(struct watch *watch)
{
	struct ear *ear = next_ear(watch);
	struct ear *by = carrier(watch, ear);
	bool listened = by->listener != NULL;
	struct link *link = listened ? listener_take(&by->listener) : NULL;

	/* It has died since it told of news. Whoever connects waits for a slot of the host. */
	if (listened && !link) {
		places_give(watch->params.places);
		scheduler_done(watch->params.scheduler, watch->turn);
		arrange(watch);
		return;
	}
	watch->hold = 0;
	watch->by_news = ear && link;
	if (!ear)
		watch->whole_at = WATCH_NEVER;
	visit(watch, ear, link);
}

/* ---- from outside -------------------------------------------------------------------------- */

void watch_poll(struct watch *watch, bool retry_now)
{
	watch->retry_now |= retry_now;
	watch->hold = 0;
	watch->again |= watch->session && !watch->visited;
	watch->whole_at = now_of(watch);
	arrange(watch);
}

void watch_wake(struct watch *watch)
{
	for (size_t i = 0; i < watch->ear_count; i++)
		if (watch->ears[i].listener)
			listener_probe(watch->ears[i].listener);
	if (backoff_is_network(&watch->backoff) && !watch->session)
		watch_poll(watch, false);
}

void watch_stop(struct watch *watch)
{
	watch->stopping = true;
	scheduler_not_due(watch->params.scheduler, watch->turn);
	for (size_t i = 0; i < watch->ear_count; i++)
		close_ear(&watch->ears[i]);
	if (watch->session)
		session_stop(watch->session);
}

bool watch_idle(const struct watch *watch)
{
	return !watch->session;
}

const struct config_account *watch_account(const struct watch *watch)
{
	return watch->params.account;
}

uint64_t watch_visits(const struct watch *watch)
{
	return watch->visits;
}

struct watch_view watch_view(const struct watch *watch)
{
	uint64_t at = watch->whole_at < watch->hold ? watch->hold : watch->whole_at;
	uint64_t now = now_of(watch);
	struct watch_view view = {.doing = "waiting",
				  .failures = watch->backoff.failures,
				  .next_ms = at <= now		? 0
					     : at < WATCH_NEVER ? at - now
								: WATCH_NEVER};
	struct watch_ear ear;

	for (size_t i = 0; watch_ear(watch, i, &ear); i++) {
		if (!watch->ears[i].listener)
			continue;
		view.ears++;
		view.since_ms = ear.since_ms > view.since_ms ? ear.since_ms : view.since_ms;
	}
	if (watch->session) {
		view.doing = "visiting";
		view.since_ms = now - watch->begun;
	} else if (view.failures) {
		view.doing = "failing";
		view.since_ms = 0;
	} else if (view.ears) {
		view.doing = "listening";
	}
	return view;
}

bool watch_ear(const struct watch *watch, size_t index, struct watch_ear *ear_r)
{
	const struct ear *ear;

	if (index >= watch->ear_count)
		return false;
	ear = &watch->ears[index];
	*ear_r = (struct watch_ear){.mailbox = ear->mailbox, .doing = "waiting"};
	if (watch->session && (!watch->visited || watch->visited == ear)) {
		ear_r->doing = "visiting";
		ear_r->since_ms = now_of(watch) - watch->begun;
	} else if (ear->listener) {
		ear_r->doing = "listening";
		ear_r->since_ms = now_of(watch) - ear->since;
	} else if (ear->deaf) {
		ear_r->doing = "polled";
	}
	return true;
}

/* ---- life ---------------------------------------------------------------------------------- */

struct watch *watch_new(const struct watch_params *params)
{
	struct watch *watch = mem_new(1, sizeof *watch);

	watch->params = *params;
	watch->turn = scheduler_add(params->scheduler, params->account->host, watch);
	watch->whole_at = now_of(watch) + params->first_ms;
	arrange(watch);
	return watch;
}

void watch_free(struct watch **watch_p)
{
	struct watch *watch = *watch_p;

	*watch_p = NULL;
	if (!watch)
		return;
	for (size_t i = 0; i < watch->ear_count; i++)
		ear_free(&watch->ears[i]);
	if (watch->placed)
		places_give(watch->params.places);
	session_free(&watch->session);
	scheduler_remove(watch->params.scheduler, &watch->turn);
	free(watch);
}
