/*
 * test_letter: line ends cut at every place, the id, what is left on the disk, and full disks.
 */
#include "mail/letter.h"

#include "deliver_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#define RECEIVED "Received: from here\n\tby there; now\n"
#define ID	 "0123456789abcdef0123456789abcdef"
#define HEAD	 RECEIVED "X-Mailhaul-Id: " ID "\n"

static int directory = -1;

static void setup(void)
{
	root_make();
	directory = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	close(directory);
	root_remove();
}

static struct letter *begun(const char *name)
{
	return letter_new(
	    &(struct letter_params){
		.directory = directory, .path = root, .name = name, .received = RECEIVED},
	    &err);
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

static void holds(const char *name, const char *expected, size_t len)
{
	int fd = openat(directory, name, O_RDONLY);
	char text[4096];
	ssize_t got = read(fd, text, sizeof text);

	close(fd);
	ck_assert_int_eq(got, (ssize_t)(sizeof HEAD - 1 + len));
	ck_assert_int_eq(memcmp(text, HEAD, sizeof HEAD - 1), 0);
	ck_assert_int_eq(memcmp(text + sizeof HEAD - 1, expected, len), 0);
}

/* Writes the message in three pieces, cut at two places, all of them. */
static void becomes(const char *message, size_t len, const char *expected, size_t expected_len)
{
	for (size_t one = 0; one <= len; one++)
		for (size_t two = one; two <= len; two++) {
			struct letter *letter = begun("a");

			ck_good(letter != NULL);
			ck_good(letter_write(letter, message, one, &err));
			ck_good(letter_write(letter, message + one, two - one, &err));
			ck_good(letter_write(letter, message + two, len - two, &err));
			ck_assert_uint_eq(letter_octets(letter), len);
			ck_good(letter_end(letter, ID, 0, &err));
			letter_free(&letter);
			holds("a", expected, expected_len);
			ck_assert_int_eq(unlinkat(directory, "a", 0), 0);
		}
}

#define BECOMES(message, expected)                                                                 \
	becomes(message, sizeof(message) - 1, expected, sizeof(expected) - 1)

START_TEST(line_ends_become_lf_wherever_they_are_cut)
{
	BECOMES("", "");
	BECOMES("\r\n", "\n");
	BECOMES("\r", "\r");
	BECOMES("\n", "\n");
	BECOMES("a: b\r\n\r\nbody\r\nx", "a: b\n\nbody\nx");
	BECOMES("\n\nlone\nlf\r\n", "\n\nlone\nlf\n");
	BECOMES("lone\rcr\r\rx\r\r\ny\r", "lone\rcr\r\rx\r\ny\r");
	BECOMES("\r\r\r\n\n\r\n\r", "\r\r\n\n\n\r");
	BECOMES("nul\0\r\0\r\n\xff", "nul\0\r\0\n\xff");
}
END_TEST

START_TEST(a_letter_is_private_and_new)
{
	struct letter *letter = begun("a");
	struct stat st;

	ck_good(letter != NULL);
	ck_assert_str_eq(letter_name(letter), "a");
	ck_assert_int_eq(fstat(letter_fd(letter), &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert(fcntl(letter_fd(letter), F_GETFD) & FD_CLOEXEC);
	ck_good(letter_end(letter, ID, 0, &err));
	letter_free(&letter);
	ck_assert_ptr_null(letter);
	letter_free(&letter);
	ck_assert(exists(at("a")));
}
END_TEST

START_TEST(what_stands_there_is_not_touched)
{
	put(at("a"), "mine", 0600);
	ck_fails(begun("a"), ERR_MAIL, at("a"));
	ck_assert_int_eq(err.sys, EEXIST);
	ck_assert_str_eq(contents(at("a")), "mine");
	ck_assert_int_eq(symlink("target", at("link")), 0);
	ck_fails(begun("link"), ERR_MAIL, "link");
	ck_assert(!exists(at("target")));
	ck_fails(begun("no/such"), ERR_MAIL, "no/such");
}
END_TEST

START_TEST(a_letter_that_was_not_ended_leaves_nothing)
{
	struct letter *letter = begun("a");

	ck_good(letter_write(letter, "From: x\r\n", 9, &err));
	ck_assert(exists(at("a")));
	letter_free(&letter);
	ck_assert(!exists(at("a")));
}
END_TEST

static void big(size_t octets)
{
	struct letter *letter = begun("big");
	char piece[1000];
	int fd;
	size_t at_octet = 0;
	size_t made = 0;

	for (size_t i = 0; i < sizeof piece; i++)
		piece[i] = (char)('a' + i % 23);
	piece[499] = '\r';
	piece[500] = '\n';
	piece[999] = '\r'; /* a lone one: the next piece begins with a letter */
	for (; made < octets; made += sizeof piece)
		ck_good(letter_write(letter, piece, sizeof piece, &err));
	ck_assert_uint_eq(letter_octets(letter), made);
	ck_good(letter_end(letter, ID, 0, &err));
	ck_good(letter_close(letter, &err));
	ck_assert_int_eq(letter_fd(letter), -1);
	letter_free(&letter);
	ck_assert_int_eq(size_of(at("big")), (off_t)(sizeof HEAD - 1 + made - made / sizeof piece));
	fd = open(at("big"), O_RDONLY);
	ck_assert_int_eq(lseek(fd, sizeof HEAD - 1, SEEK_SET), sizeof HEAD - 1);
	for (; at_octet < made; at_octet += sizeof piece) {
		char back[sizeof piece - 1];

		ck_assert_int_eq(read(fd, back, sizeof back), (ssize_t)sizeof back);
		ck_assert_int_eq(memcmp(back, piece, 499), 0);
		ck_assert_int_eq(memcmp(back + 499, piece + 500, 500), 0);
	}
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(read(fd, piece, sizeof HEAD - 1), sizeof HEAD - 1);
	ck_assert_int_eq(memcmp(piece, HEAD, sizeof HEAD - 1), 0);
	close(fd);
}

/* The id is filled in in the buffer, or in the file when the buffer has left. */
START_TEST(the_id_is_filled_in_before_and_after_the_buffer_left)
{
	big(10000);
	ck_assert_int_eq(unlink(at("big")), 0);
	big(5000000);
}
END_TEST

START_TEST(a_message_in_one_piece)
{
	static char message[300000];
	struct letter *letter = begun("a");

	memset(message, '\n', sizeof message);
	message[65535] = '\r';
	message[131071] = '\r';
	ck_good(letter_write(letter, message, sizeof message, &err));
	ck_good(letter_end(letter, ID, 0, &err));
	letter_free(&letter);
	ck_assert_int_eq(size_of(at("a")), (off_t)(sizeof HEAD - 1 + sizeof message - 2));
}
END_TEST

START_TEST(the_time_of_the_file)
{
	static const time_t dates[] = {1, 1000000000, 4102444800, -86400};
	struct stat st;
	time_t before = time(NULL) - 1;

	for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
		struct letter *letter = begun("a");

		ck_good(letter_end(letter, ID, dates[i], &err));
		letter_free(&letter);
		ck_assert_int_eq(stat(at("a"), &st), 0);
		ck_assert_int_eq(st.st_mtime, dates[i]);
		unlink(at("a"));
	}
	{
		struct letter *letter = begun("a");

		ck_good(letter_end(letter, ID, 0, &err));
		letter_free(&letter);
		ck_assert_int_eq(stat(at("a"), &st), 0);
		ck_assert_int_ge(st.st_mtime, before);
	}
}
END_TEST

START_TEST(the_facts_are_known_at_the_end)
{
	struct letter *letter = begun("a");
	const struct header_facts *facts;

	ck_good(letter_write(letter, "Message-ID: <1@", 15, &err));
	ck_good(letter_write(letter, "x>\r\nReturn-Path: <a@b>\r\n\r", 25, &err));
	ck_good(letter_write(letter, "\nFrom: body\r\n", 13, &err));
	ck_good(letter_end(letter, ID, 0, &err));
	facts = letter_facts(letter);
	ck_assert_uint_eq(facts->message_id.len, 5);
	ck_assert_int_eq(memcmp(facts->message_id.data, "<1@x>", 5), 0);
	ck_assert_uint_eq(facts->return_path.len, 5);
	ck_assert_uint_eq(facts->from.len, 0);
	ck_good(letter_close(letter, &err));
	ck_good(letter_close(letter, &err));
	letter_free(&letter);
	ck_assert(exists(at("a")));
}
END_TEST

static void limit(rlim_t octets)
{
	struct rlimit now;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &now);
	now.rlim_cur = octets;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &now), 0);
}

static bool written_whole(struct letter *letter, size_t pieces)
{
	char piece[4096];

	memset(piece, 'x', sizeof piece);
	for (size_t i = 0; i < pieces; i++)
		if (!letter_write(letter, piece, sizeof piece, &err))
			return false;
	return letter_end(letter, ID, 0, &err);
}

/* In the first octets, inside of a write, and only when the rest is written at the end. */
START_TEST(a_full_disk_is_an_error_and_leaves_nothing)
{
	static const rlim_t limits[] = {0, 1, 10, 70000, 200000, (rlim_t)1023 * 1024};

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		struct letter *letter;

		limit(limits[i]);
		letter = begun("a");
		ck_good(letter != NULL);
		ck_fails(written_whole(letter, 256), ERR_MAIL, at("a"));
		ck_assert_int_eq(err.sys, EFBIG);
		letter_free(&letter);
		ck_assert(!exists(at("a")));
	}
	limit(RLIM_INFINITY);
	{
		struct letter *letter = begun("a");

		ck_good(written_whole(letter, 256));
		letter_free(&letter);
		ck_assert_int_eq(size_of(at("a")), (off_t)(sizeof HEAD - 1 + (1 << 20)));
	}
}
END_TEST

/* Space that comes back must not turn a letter with a hole in it into a whole one. */
START_TEST(what_failed_once_cannot_be_ended)
{
	static char piece[200000];
	struct letter *letter = begun("a");

	limit(70000);
	ck_assert(!letter_write(letter, piece, sizeof piece, &err));
	limit(RLIM_INFINITY);
	ck_fails(letter_end(letter, ID, 0, &err), ERR_MAIL, at("a"));
	letter_free(&letter);
	ck_assert(!exists(at("a")));
}
END_TEST

START_TEST(a_real_full_device)
{
	struct letter *letter = begun("a");
	int full = open("/dev/full", O_WRONLY);

	if (full < 0) {
		letter_free(&letter);
		return;
	}
	ck_assert_int_ge(dup2(full, letter_fd(letter)), 0);
	close(full);
	ck_fails(written_whole(letter, 1), ERR_MAIL, "No space left");
	letter_free(&letter);
	ck_assert(!exists(at("a")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("letter");
	TCase *tests = tcase_create("letter");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, line_ends_become_lf_wherever_they_are_cut);
	tcase_add_test(tests, a_letter_is_private_and_new);
	tcase_add_test(tests, what_stands_there_is_not_touched);
	tcase_add_test(tests, a_letter_that_was_not_ended_leaves_nothing);
	tcase_add_test(tests, the_id_is_filled_in_before_and_after_the_buffer_left);
	tcase_add_test(tests, a_message_in_one_piece);
	tcase_add_test(tests, the_time_of_the_file);
	tcase_add_test(tests, the_facts_are_known_at_the_end);
	tcase_add_test(tests, a_full_disk_is_an_error_and_leaves_nothing);
	tcase_add_test(tests, what_failed_once_cannot_be_ended);
	tcase_add_test(tests, a_real_full_device);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
