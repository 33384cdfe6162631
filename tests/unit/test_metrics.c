/*
 * test_metrics: the file for Prometheus: its form, what it says, when it is written, and what
 * becomes of one that cannot be.
 */
#include "state_fixture.h"

#include "daemon/metrics.h"
#include "session/outcome.h"
#include "util/str.h"

#include <ctype.h>
#include <dirent.h>
#include <grp.h>
#include <time.h>

static char plain[] = "box", odd[] = "odd \\ \"name\"\nhere";
static char lee[] = "lee", kim[] = "kim", host[] = "mail.example.org";
static struct config_account accounts[] = {{.name = plain, .user = lee, .host = host},
					   {.name = odd, .user = kim, .host = host}};
static struct config_account *all[] = {&accounts[0], &accounts[1]};
static struct config config;
static struct loop *loop;
static struct metrics *metrics;
static struct metrics_now now[2];

static void look(void *ctx, size_t place, struct metrics_now *now_r)
{
	ck_assert_ptr_eq(ctx, now);
	ck_assert_uint_lt(place, 2);
	*now_r = now[place];
}

static void setup(void)
{
	state_setup();
	make(at("prom"));
	config =
	    (struct config){.accounts = all, .count = 2, .metrics_file = strdup(at("prom/m.prom"))};
	loop = loop_new(NULL);
	memset(now, 0, sizeof now);
	metrics = metrics_new(&(struct metrics_params){
	    .loop = loop, .state = state, .look = look, .ctx = now, .apart_ms = 300});
}

static void teardown(void)
{
	metrics_free(&metrics);
	loop_free(&loop);
	free(config.metrics_file);
	state_teardown();
}

static const char *file(void)
{
	const char *text = contents(at("prom/m.prom"));

	ck_assert_msg(text, "there is no file");
	return text;
}

static bool has(const char *line)
{
	const char *found = strstr(file(), line);

	return found && (found == file() || found[-1] == '\n') && found[strlen(line)] == '\n';
}

#define ck_has(line)   ck_assert_msg(has(line), "no \"%s\" in:\n%s", line, file())
#define ck_lacks(word) ck_assert_msg(!strstr(file(), word), "\"%s\" in:\n%s", word, file())

/* How many entries the file's directory has. */
static unsigned beside(void)
{
	DIR *directory = opendir(at("prom"));
	struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(directory)))
		count += *entry->d_name != '.';
	closedir(directory);
	return count;
}

static void visited(uint64_t messages, enum err_kind kind)
{
	struct session_report report = {.security = {.mechanism = ""}, .connected = true};
	struct state_visit after;
	struct state_visit before;

	report.security.tls.expires = 1800000000;
	report.counts.delivered = messages;
	report.counts.octets = messages * 1000;
	if (kind)
		err_set(&report.err, kind, "so");
	ck_good(state_visit(state, "imap", "lee", "mail.example.org", &before, &err));
	after = outcome_visit(&report, &before, "", false, time(NULL));
	begin();
	ck_good(state_put_visit(state, box.account, &after, &err));
	commit();
	metrics_visited(metrics, &accounts[0], &report.counts, &after);
}

static void stop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void wait_ms(uint64_t ms)
{
	struct loop_timer *timer = loop_timer_new(loop, stop, NULL);

	loop_timer_start(timer, ms);
	loop_run(loop);
	loop_timer_free(&timer);
}

/* https://prometheus.io/docs/instrumenting/exposition_formats/ : each sample follows the HELP and
 * TYPE lines of its name, and no name comes twice. */
static void check_form(void)
{
	char *text = strdup(file());
	char name[128] = "";
	struct buf seen = {0};
	char *rest = text;
	char *line;

	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	while ((line = strsep(&rest, "\n")) && *line) {
		size_t len = strlen(name);

		if (!strncmp(line, "# HELP ", 7)) {
			snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 7, " "), line + 7);
			ck_assert_msg(!strncmp(name, "mailhaul_", 9), "%s", line);
			buf_text(&seen, " ");
			ck_assert_msg(!str_has_word(seen.data, seen.len, name), "%s twice", name);
			buf_text(&seen, name);
			line = strsep(&rest, "\n");
			ck_assert_msg(!strncmp(line, "# TYPE ", 7) &&
					  !strncmp(line + 7, name, strlen(name)),
				      "%s", line);
			ck_assert_msg(!strcmp(line + 7 + strlen(name),
					      strstr(name, "_total") ? " counter" : " gauge"),
				      "%s", line);
			continue;
		}
		ck_assert_msg(!strncmp(line, name, len) && strchr(" {", line[len]), "%s", line);
		ck_assert_msg(isdigit((unsigned char)strrchr(line, ' ')[1]), "%s", line);
	}
	buf_free(&seen);
	free(text);
}

START_TEST(a_file_before_the_first_visit)
{
	struct stat st;

	umask(077);
	ck_assert(!exists(at("prom/m.prom")));
	metrics_accounts(metrics, &config);
	check_form();
	ck_has("mailhaul_build_info{version=\"" MAILHAUL_VERSION "\"} 1");
	ck_has("mailhaul_accounts 2");
	ck_has("mailhaul_accounts_failing 0");
	ck_has("mailhaul_account_messages_total{account=\"box\"} 0");
	ck_has("mailhaul_account_messages_total{account=\"odd \\\\ \\\"name\\\"\\nhere\"} 0");
	ck_lacks("account_up{");
	ck_lacks("timestamp_seconds{");
	ck_assert_int_eq(stat(at("prom/m.prom"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	ck_assert_uint_eq(beside(), 1);
}
END_TEST

START_TEST(what_a_visit_leaves_behind)
{
	char line[128];
	struct state_visit is;

	store("1", STATE_QUARANTINED, 5);
	store("2", STATE_QUARANTINED, 6);
	store("3", STATE_DELIVERED, 7);
	metrics_accounts(metrics, &config);
	ck_has("mailhaul_account_quarantined_messages{account=\"box\"} 2");
	visited(3, ERR_NONE);
	visited(4, ERR_AUTH);
	now[0] = (struct metrics_now){.listening = 2, .open = 3, .next = 1900000000};
	now[1] = (struct metrics_now){.open = 1};
	wait_ms(1000);
	check_form();
	ck_good(state_visit(state, "imap", "lee", "mail.example.org", &is, &err));
	ck_has("mailhaul_accounts_failing 1");
	ck_has("mailhaul_accounts_listening 1");
	ck_has("mailhaul_connections_open 4");
	ck_has("mailhaul_account_up{account=\"box\"} 0");
	snprintf(line, sizeof line,
		 "mailhaul_account_failing_since_timestamp_seconds{account=\"box\"} %lld",
		 (long long)is.failing_since);
	ck_has(line);
	snprintf(line, sizeof line,
		 "mailhaul_account_last_success_timestamp_seconds{account=\"box\"} %lld",
		 (long long)is.succeeded);
	ck_has(line);
	ck_has("mailhaul_account_certificate_expiry_timestamp_seconds{account=\"box\"} 1800000000");
	ck_has("mailhaul_account_messages_total{account=\"box\"} 7");
	ck_has("mailhaul_account_octets_total{account=\"box\"} 7000");
	ck_has("mailhaul_account_today_messages{account=\"box\"} 7");
	ck_has("mailhaul_account_today_octets{account=\"box\"} 7000");
	ck_has("mailhaul_account_listening_connections{account=\"box\"} 2");
	ck_has("mailhaul_account_next_visit_timestamp_seconds{account=\"box\"} 1900000000");
	ck_lacks("next_visit_timestamp_seconds{account=\"odd");
	visited(0, ERR_NONE);
	wait_ms(1000);
	ck_has("mailhaul_account_up{account=\"box\"} 1");
	ck_lacks("failing_since_timestamp_seconds{");
	ck_has("mailhaul_account_messages_total{account=\"box\"} 7");
}
END_TEST

START_TEST(yesterday_is_not_today)
{
	struct state_visit old = {.today = 20010101, .today_messages = 5, .today_octets = 6};

	begin();
	ck_good(state_put_visit(state, box.account, &old, &err));
	commit();
	metrics_accounts(metrics, &config);
	ck_has("mailhaul_account_today_messages{account=\"box\"} 0");
	ck_has("mailhaul_account_today_octets{account=\"box\"} 0");
}
END_TEST

START_TEST(it_is_written_not_too_often_and_when_something_changed)
{
	struct stat first, second;

	metrics_accounts(metrics, &config);
	ck_assert_int_eq(stat(at("prom/m.prom"), &first), 0);
	wait_ms(700);
	ck_assert_int_eq(stat(at("prom/m.prom"), &second), 0);
	ck_assert_msg(first.st_ino == second.st_ino, "written though nothing changed");
	visited(1, ERR_NONE);
	wait_ms(200);
	ck_has("mailhaul_account_messages_total{account=\"box\"} 1");
	/* The next is too soon after it. */
	visited(1, ERR_NONE);
	metrics_touch(metrics);
	wait_ms(20);
	ck_has("mailhaul_account_messages_total{account=\"box\"} 1");
	wait_ms(600);
	ck_has("mailhaul_account_messages_total{account=\"box\"} 2");
	/* The end does not wait. */
	visited(1, ERR_NONE);
	metrics_free(&metrics);
	ck_has("mailhaul_account_messages_total{account=\"box\"} 3");
}
END_TEST

START_TEST(another_configuration)
{
	struct config_account changed = accounts[0];
	struct config_account *others[] = {&accounts[1], &changed};
	struct config fresh = {.accounts = others, .count = 2, .metrics_file = config.metrics_file};

	metrics_accounts(metrics, &config);
	visited(3, ERR_NONE);
	metrics_accounts(metrics, &config);
	ck_has("mailhaul_account_messages_total{account=\"box\"} 3");
	now[1].listening = 1;
	metrics_accounts(metrics, &fresh);
	ck_has("mailhaul_account_messages_total{account=\"box\"} 0");
	ck_has("mailhaul_account_listening_connections{account=\"box\"} 1");
	ck_has("mailhaul_account_today_messages{account=\"box\"} 3");
	/* The last visit of one that has left. */
	visited(5, ERR_NONE);
	wait_ms(600);
	ck_has("mailhaul_account_messages_total{account=\"box\"} 0");
	ck_assert_int_eq(unlink(at("prom/m.prom")), 0);
	fresh.metrics_file = NULL;
	metrics_accounts(metrics, &fresh);
	metrics_touch(metrics);
	wait_ms(600);
	metrics_free(&metrics);
	ck_assert_uint_eq(beside(), 0);
}
END_TEST

static unsigned lines_of(const char *text)
{
	unsigned lines = 0;

	for (; text && (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

START_TEST(a_file_that_cannot_be_written_is_told_once)
{
	int kept = dup(STDERR_FILENO);
	int fd = open(at("log"), O_WRONLY | O_CREAT | O_APPEND, 0600);

	ck_assert_int_eq(rename(at("prom"), at("away")), 0);
	dup2(fd, STDERR_FILENO);
	close(fd);
	metrics_accounts(metrics, &config);
	for (int i = 0; i < 3; i++) {
		visited(1, ERR_NONE);
		wait_ms(400);
	}
	ck_assert_int_eq(rename(at("away"), at("prom")), 0);
	visited(1, ERR_NONE);
	wait_ms(400);
	ck_has("mailhaul_account_messages_total{account=\"box\"} 4");
	ck_assert_uint_eq(lines_of(contents(at("log"))), 1);
	/* A directory in its place; nothing is left beside it. */
	ck_assert_int_eq(unlink(at("prom/m.prom")), 0);
	make(at("prom/m.prom"));
	for (int i = 0; i < 2; i++) {
		visited(1, ERR_NONE);
		wait_ms(400);
	}
	dup2(kept, STDERR_FILENO);
	close(kept);
	ck_assert_msg(lines_of(contents(at("log"))) == 2, "%s", contents(at("log")));
	ck_assert_ptr_nonnull(strstr(contents(at("log")), "cannot write the metrics_file /"));
	ck_assert_uint_eq(beside(), 1);
}
END_TEST

START_TEST(what_a_poll_writes)
{
	struct config none = {.accounts = all, .count = 2};

	visited(3, ERR_NONE);
	store("1", STATE_QUARANTINED, 5);
	ck_good(metrics_write(&config, state, &err));
	check_form();
	ck_has("mailhaul_accounts 2");
	ck_has("mailhaul_account_up{account=\"box\"} 1");
	ck_has("mailhaul_account_today_messages{account=\"box\"} 3");
	ck_has("mailhaul_account_quarantined_messages{account=\"box\"} 1");
	ck_lacks("_total");
	ck_lacks("listening");
	ck_lacks("next_visit");
	ck_assert_int_eq(rename(at("prom"), at("away")), 0);
	ck_fails(metrics_write(&config, state, &err), ERR_CONFIG, "m.prom: No such file");
	ck_good(metrics_write(&none, state, &err));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tests = tcase_create("metrics");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_file_before_the_first_visit);
	tcase_add_test(tests, what_a_visit_leaves_behind);
	tcase_add_test(tests, yesterday_is_not_today);
	tcase_add_test(tests, it_is_written_not_too_often_and_when_something_changed);
	tcase_add_test(tests, another_configuration);
	tcase_add_test(tests, a_file_that_cannot_be_written_is_told_once);
	tcase_add_test(tests, what_a_poll_writes);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
