/*
 * exit_ring: the last exits are kept in order, the counts are right, the words name the access.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/base/util.h"
#include "vmm/kvm/exit_ring.h"

static void test_empty_ring_has_no_latest(void **state)
{
	struct exit_ring ring = {0};

	(void)state;
	assert_null(exit_ring_latest(&ring, 0));
	assert_int_equal(ring.total, 0);
}

static void test_latest_come_newest_first(void **state)
{
	struct exit_ring ring = {0};

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		exit_ring_push(&ring, EXIT_KIND_PIO_WRITE)->addr = i;
	assert_int_equal(exit_ring_latest(&ring, 0)->addr, 3);
	assert_int_equal(exit_ring_latest(&ring, 2)->addr, 1);
	assert_null(exit_ring_latest(&ring, 3));
}

static void test_ring_wraps_and_forgets_the_oldest(void **state)
{
	struct exit_ring ring = {0};

	(void)state;
	for (uint64_t i = 0; i < 3 * EXIT_RING_SIZE + 5; i++)
		exit_ring_push(&ring, EXIT_KIND_MMIO_READ)->addr = i;
	for (uint64_t i = 0; i < EXIT_RING_SIZE; i++)
		assert_int_equal(exit_ring_latest(&ring, i)->addr, 3 * EXIT_RING_SIZE + 5 - 1 - i);
	assert_null(exit_ring_latest(&ring, EXIT_RING_SIZE));
}

static void test_a_reused_record_is_clean(void **state)
{
	struct exit_ring ring = {0};

	(void)state;
	for (int i = 0; i < EXIT_RING_SIZE; i++) {
		struct exit_record *record = exit_ring_push(&ring, EXIT_KIND_PIO_READ);

		record->value = 99;
		exit_ring_note_unclaimed(&ring, record);
	}
	exit_ring_push(&ring, EXIT_KIND_HALT);
	assert_int_equal(exit_ring_latest(&ring, 0)->value, 0);
	assert_false(exit_ring_latest(&ring, 0)->unclaimed);
	assert_int_equal(exit_ring_latest(&ring, 0)->count, 1);
}

static void test_counts_by_kind(void **state)
{
	struct exit_ring ring = {0};

	(void)state;
	exit_ring_push(&ring, EXIT_KIND_PIO_READ);
	exit_ring_push(&ring, EXIT_KIND_PIO_READ);
	exit_ring_count(&ring, EXIT_KIND_INTERRUPTED);
	exit_ring_note_unclaimed(&ring, exit_ring_push(&ring, EXIT_KIND_MMIO_WRITE));
	assert_int_equal(atomic_load(&ring.counts[EXIT_KIND_PIO_READ]), 2);
	assert_int_equal(atomic_load(&ring.counts[EXIT_KIND_INTERRUPTED]), 1);
	assert_int_equal(atomic_load(&ring.counts[EXIT_KIND_MMIO_WRITE]), 1);
	assert_int_equal(atomic_load(&ring.counts[EXIT_KIND_HALT]), 0);
	assert_int_equal(atomic_load(&ring.unclaimed), 1);
	/* A mere count leaves no record. */
	assert_int_equal(ring.total, 3);
}

static void test_words(void **state)
{
	static const struct {
		struct exit_record record;
		const char *text;
	} cases[] = {
		{{.kind = EXIT_KIND_PIO_WRITE,
			 .addr = 0x3f8,
			 .size = 1,
			 .value = 0x41,
			 .count = 1,
			 .rip = 0xffffffff81000000},
			"port write 0x3f8, 1 byte, 0x41 at RIP 0xffffffff81000000"},
		{{.kind = EXIT_KIND_PIO_READ, .addr = 0x1f0, .size = 2, .value = 5, .count = 256},
			"port read 0x1f0, 2 bytes, 0x0005, 256 times"},
		{{.kind = EXIT_KIND_MMIO_READ,
			 .addr = 0xd0000000,
			 .size = 4,
			 .value = 0xffffffff,
			 .count = 1,
			 .unclaimed = true},
			"MMIO read 0xd0000000, 4 bytes, 0xffffffff (no device there)"},
		{{.kind = EXIT_KIND_SHUTDOWN, .count = 1}, "shutdown"},
		{{.kind = EXIT_KIND_OTHER, .addr = 37, .count = 1}, "other 37"},
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		exit_record_print(&cases[i].record, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

static void test_words_are_cut_to_fit(void **state)
{
	const struct exit_record record = {.kind = EXIT_KIND_PIO_WRITE, .addr = 0x3f8, .size = 1};
	char text[16];

	(void)state;
	memset(text, 'x', sizeof(text));
	exit_record_print(&record, text, 11);
	assert_string_equal(text, "port write");
	assert_int_equal(text[11], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_ring_has_no_latest),
		cmocka_unit_test(test_latest_come_newest_first),
		cmocka_unit_test(test_ring_wraps_and_forgets_the_oldest),
		cmocka_unit_test(test_a_reused_record_is_clean),
		cmocka_unit_test(test_counts_by_kind),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_words_are_cut_to_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
