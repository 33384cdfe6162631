/*
 * test_heap: the order, leaving from anywhere, and how little is compared for it.
 */
#include "util/heap.h"

#include <check.h>
#include <stdlib.h>

enum { COUNT = 10000, LOG = 14 /* 2 to its power is more */ };

static struct heap heap;
static struct heap_node nodes[COUNT];

static void setup(void)
{
	heap = (struct heap){.count = 0};
	for (size_t i = 0; i < COUNT; i++)
		nodes[i] = (struct heap_node){.serial = i};
}

static void teardown(void)
{
	heap_free(&heap);
	ck_assert_ptr_null(heap_first(&heap));
}

static void put(size_t i, uint64_t at)
{
	nodes[i].at = at;
	heap_put(&heap, &nodes[i]);
}

/* The number of the first, which leaves; -1: none. */
static int pop(void)
{
	struct heap_node *first = heap_first(&heap);

	if (!first)
		return -1;
	heap_take(&heap, first);
	ck_assert_uint_eq(first->place, 0);
	return (int)(first - nodes);
}

START_TEST(an_empty_one)
{
	ck_assert_int_eq(pop(), -1);
	heap_take(&heap, &nodes[0]);
	ck_assert_uint_eq(heap.count, 0);
}
END_TEST

START_TEST(the_earliest_comes_first)
{
	put(0, 30);
	put(1, 10);
	put(2, UINT64_MAX);
	put(3, 0);
	ck_assert_uint_eq(heap.count, 4);
	ck_assert_int_eq(pop(), 3);
	ck_assert_int_eq(pop(), 1);
	put(1, 31);
	ck_assert_int_eq(pop(), 0);
	ck_assert_int_eq(pop(), 1);
	ck_assert_int_eq(pop(), 2);
	ck_assert_int_eq(pop(), -1);
}
END_TEST

START_TEST(equal_times_come_by_serial)
{
	for (size_t i = 0; i < 100; i++)
		put((i * 37) % 100, 5);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(pop(), i);
}
END_TEST

START_TEST(times_change_in_place)
{
	for (size_t i = 0; i < 100; i++)
		put(i, i);
	put(99, 0);
	put(0, 200);
	put(50, 50);
	ck_assert_uint_eq(heap.count, 100);
	ck_assert_int_eq(pop(), 99);
	for (int i = 1; i < 99; i++)
		ck_assert_int_eq(pop(), i);
	ck_assert_int_eq(pop(), 0);
	ck_assert_int_eq(pop(), -1);
}
END_TEST

static int by_time(const void *a, const void *b)
{
	const struct heap_node *left = a;
	const struct heap_node *right = b;

	if (left->at != right->at)
		return left->at < right->at ? -1 : 1;
	return left->serial < right->serial ? -1 : 1;
}

/* Some leave from the middle; what is left comes out as if it had been sorted. */
START_TEST(any_may_leave)
{
	static struct heap_node sorted[COUNT];
	size_t left = 0;

	srand(6);
	for (size_t i = 0; i < COUNT; i++)
		put(i, (uint64_t)rand() % 1000);
	for (size_t i = 0; i < COUNT; i++)
		if (rand() % 2)
			heap_take(&heap, &nodes[i]);
		else
			sorted[left++] = nodes[i];
	ck_assert_uint_eq(heap.count, left);
	qsort(sorted, left, sizeof *sorted, by_time);
	for (size_t i = 0; i < left; i++)
		ck_assert_uint_eq((size_t)pop(), sorted[i].serial);
	ck_assert_int_eq(pop(), -1);
}
END_TEST

/* In whatever order they come. */
START_TEST(it_costs_the_logarithm)
{
	for (int order = 0; order < 3; order++) {
		setup();
		srand(7);
		for (size_t i = 0; i < COUNT; i++)
			put(i, order == 0 ? i : order == 1 ? COUNT - i : (size_t)rand());
		ck_assert_uint_le(heap.compared, (uint64_t)COUNT * (LOG + 2));
		heap.compared = 0;
		while (heap.count)
			(void)pop();
		ck_assert_uint_le(heap.compared, (uint64_t)COUNT * (2 * LOG + 1));
		heap_free(&heap);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heap");
	TCase *tests = tcase_create("heap");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, an_empty_one);
	tcase_add_test(tests, the_earliest_comes_first);
	tcase_add_test(tests, equal_times_come_by_serial);
	tcase_add_test(tests, times_change_in_place);
	tcase_add_test(tests, any_may_leave);
	tcase_add_test(tests, it_costs_the_logarithm);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
