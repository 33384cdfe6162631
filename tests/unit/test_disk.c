/* disk: batching, order, life of the loop, freeing in the middle, and failing flushes. */
#include "io/disk.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOBS = 1000 };

struct item {
	struct disk_job job;
	int number;
	int worked;
	int done;
};

static struct loop *loop;
static struct disk *disk;
static struct item items[JOBS];
static atomic_int batches;
static atomic_int worked;
static int told;

static void setup(void)
{
	loop = loop_new(NULL);
	memset(items, 0, sizeof items);
	for (int i = 0; i < JOBS; i++)
		items[i].number = i;
	batches = worked = told = 0;
}

static void teardown(void)
{
	disk_free(&disk);
	loop_free(&loop);
}

static void work(void *ctx, struct disk_job *jobs)
{
	ck_assert_int_eq(pthread_equal(pthread_self(), *(pthread_t *)ctx), 0);
	batches++;
	usleep(20000);
	for (struct disk_job *job = jobs; job; job = job->next)
		((struct item *)job)->worked = ++worked;
}

static void done(struct disk_job *job)
{
	struct item *item = (struct item *)job;

	ck_assert_int_eq(item->worked, item->number + 1);
	ck_assert_int_eq(told, item->number);
	told++;
	item->done++;
	/* As an owner would: what it was embedded in is gone now. */
	memset(job, 0xAA, sizeof *job);
}

START_TEST(jobs_gather_in_batches_and_keep_their_order)
{
	pthread_t self = pthread_self();

	disk = disk_new(loop, work, &self, NULL);
	ck_assert_ptr_nonnull(disk);
	for (int i = 0; i < JOBS; i++) {
		items[i].job.done = done;
		disk_submit(disk, &items[i].job);
	}
	loop_run(loop);
	ck_assert_int_eq(told, JOBS);
	ck_assert_int_ge(batches, 1);
	ck_assert_int_le(batches, 10);
}
END_TEST

START_TEST(an_idle_disk_does_not_keep_the_loop_alive)
{
	pthread_t self = pthread_self();

	disk = disk_new(loop, work, &self, NULL);
	loop_run(loop);
	disk_free(&disk);
	ck_assert_ptr_null(disk);
}
END_TEST

static void again(struct disk_job *job)
{
	if (++told < 5)
		disk_submit(disk, job);
}

START_TEST(a_job_may_be_submitted_again_in_its_done)
{
	pthread_t self = pthread_self();

	disk = disk_new(loop, work, &self, NULL);
	items[0].job.done = again;
	disk_submit(disk, &items[0].job);
	loop_run(loop);
	ck_assert_int_eq(told, 5);
	ck_assert_int_eq(batches, 5);
}
END_TEST

START_TEST(free_waits_for_the_work_and_tells_nobody)
{
	pthread_t self = pthread_self();

	disk = disk_new(loop, work, &self, NULL);
	for (int i = 0; i < 10; i++) {
		items[i].job.done = done;
		disk_submit(disk, &items[i].job);
	}
	disk_free(&disk);
	ck_assert_int_eq(worked, 10);
	loop_run(loop);
	ck_assert_int_eq(told, 0);
}
END_TEST

static void free_in_done(struct disk_job *job)
{
	(void)job;
	told++;
	disk_free(&disk);
}

START_TEST(free_inside_a_done_silences_the_others)
{
	pthread_t self = pthread_self();

	disk = disk_new(loop, work, &self, NULL);
	for (int i = 0; i < 10; i++) {
		items[i].job.done = free_in_done;
		disk_submit(disk, &items[i].job);
	}
	loop_run(loop);
	ck_assert_int_eq(told, 1);
	ck_assert_int_eq(worked, 10);
}
END_TEST

START_TEST(flushing_works_and_fails_with_the_path)
{
	char path[] = "/tmp/mailhaul-disk-XXXXXX";
	int fd = mkstemp(path);
	int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = {0};

	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert(disk_flush_file(fd, path, &err));
	ck_assert(disk_flush_directory(dir, "/tmp", &err));
	ck_assert(disk_flush_filesystem(fd, path, &err));
	close(dir);
	close(fd);
	ck_assert(!disk_flush_file(fd, path, &err));
	ck_assert_int_eq(err.kind, ERR_MAIL);
	ck_assert_int_eq(err.sys, EBADF);
	ck_assert_ptr_nonnull(strstr(err.words, path));
	ck_assert(!disk_flush_directory(fd, path, &err));
	ck_assert(!disk_flush_filesystem(fd, path, &err));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("disk");
	TCase *tests = tcase_create("disk");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, jobs_gather_in_batches_and_keep_their_order);
	tcase_add_test(tests, an_idle_disk_does_not_keep_the_loop_alive);
	tcase_add_test(tests, a_job_may_be_submitted_again_in_its_done);
	tcase_add_test(tests, free_waits_for_the_work_and_tells_nobody);
	tcase_add_test(tests, free_inside_a_done_silences_the_others);
	tcase_add_test(tests, flushing_works_and_fails_with_the_path);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
