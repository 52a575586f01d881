/*
 * boot_timer and the mark port: each step counts once, marks have a limit, both reports say what
 * happened in the order of time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fake/fake_machine.h"
#include "vmm/base/util.h"
#include "vmm/core/boot_timer.h"

extern const struct device_class boot_mark_class;

static char *report(const struct boot_timer *timer, bool as_json)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	boot_timer_print(timer, as_json, out);
	fclose(out);
	return text;
}

static void test_zero_is_before_main(void **state)
{
	struct boot_timer timer;
	uint64_t main_ns = util_now_ns();

	(void)state;
	boot_timer_init(&timer, main_ns);
	assert_true(timer.zero_ns < main_ns);
	assert_int_equal(timer.at_ns[BOOT_STEP_MAIN], main_ns - timer.zero_ns);
	assert_true(timer.at_ns[BOOT_STEP_OPTIONS] >= timer.at_ns[BOOT_STEP_MAIN]);
	assert_int_equal(timer.at_ns[BOOT_STEP_RUN], 0);
}

static void test_first_time_counts(void **state)
{
	struct boot_timer timer;
	uint64_t first;

	(void)state;
	boot_timer_init(&timer, util_now_ns());
	boot_timer_note(&timer, BOOT_STEP_RUN);
	first = timer.at_ns[BOOT_STEP_RUN];
	assert_true(first > 0);
	boot_timer_note(&timer, BOOT_STEP_RUN);
	assert_int_equal(timer.at_ns[BOOT_STEP_RUN], first);
	boot_timer_note(NULL, BOOT_STEP_RUN);
}

/* Times of our own, so that both texts are known to the letter. */
static void test_reports(void **state)
{
	struct boot_timer timer = {.zero_ns = 5, .kernel_source = "copied"};
	char *text;

	(void)state;
	timer.at_ns[BOOT_STEP_MAIN] = timer.cpu_ns[BOOT_STEP_MAIN] = 1000000;
	timer.at_ns[BOOT_STEP_KERNEL_LOADED] = 2500000;
	timer.cpu_ns[BOOT_STEP_KERNEL_LOADED] = 2000000;
	timer.at_ns[BOOT_STEP_ENDED] = 4000000;
	timer.cpu_ns[BOOT_STEP_ENDED] = 3000000;
	timer.marks[0] = (struct boot_mark){3000000, 17};
	timer.mark_count = 1;
	text = report(&timer, false);
	assert_string_equal(text,
		"boot timer: milliseconds since the start of vmm, since the line above, and of "
		"processor time\n"
		"      1.000       1.000       1.000  program loaded\n"
		"      2.500       1.500       2.000  kernel loaded (copied)\n"
		"      3.000       0.500              guest's mark 17\n"
		"      4.000       1.000       3.000  machine ended\n");
	free(text);
	text = report(&timer, true);
	assert_string_equal(text,
		"{\"unit\":\"ns\",\"zero_monotonic\":5,\"kernel_source\":\"copied\",\"steps\":{"
		"\"main\":{\"at\":1000000,\"cpu\":1000000},"
		"\"kernel_loaded\":{\"at\":2500000,\"cpu\":2000000},"
		"\"ended\":{\"at\":4000000,\"cpu\":3000000}},"
		"\"marks\":[{\"number\":17,\"at\":3000000}],\"marks_seen\":1}\n");
	free(text);
}

static void test_boot_timer_keeps_so_many_marks(void **state)
{
	struct boot_timer timer;
	char *text;

	(void)state;
	boot_timer_init(&timer, util_now_ns());
	for (unsigned i = 0; i < BOOT_MARKS_MAX + 3; i++)
		boot_timer_mark(&timer, (uint8_t)i);
	assert_int_equal(timer.mark_count, BOOT_MARKS_MAX + 3);
	assert_int_equal(timer.marks[BOOT_MARKS_MAX - 1].number, BOOT_MARKS_MAX - 1);
	text = report(&timer, false);
	assert_non_null(strstr(text, "guest's mark 63\n"));
	assert_null(strstr(text, "guest's mark 64\n"));
	assert_non_null(strstr(text, "3 more of the guest's marks\n"));
	free(text);
}

static void test_mark_port_takes_low_byte(void **state)
{
	struct fake_machine *fm = fake_machine_create(1 * MIB);
	struct boot_timer timer;
	struct device_args args = {.name = "mark", .boot_timer = &timer};
	struct device *device;

	(void)state;
	boot_timer_init(&timer, util_now_ns());
	assert_int_equal(device_create(&device, &boot_mark_class, &args, NULL), 0);
	assert_int_equal(device_realize(device, &fm->platform, NULL), 0);
	fake_machine_out(fm, 0xe8, 1, 0x21);
	assert_int_equal(timer.mark_count, 1);
	assert_int_equal(timer.marks[0].number, 0x21);
	fake_machine_out(fm, 0xe8, 1, 0x1ff);
	assert_int_equal(timer.marks[1].number, 0xff);
	assert_int_equal(fake_machine_in(fm, 0xe8, 1), 0xff);
	device_destroy(device);
	fake_machine_destroy(fm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zero_is_before_main),
		cmocka_unit_test(test_first_time_counts),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_boot_timer_keeps_so_many_marks),
		cmocka_unit_test(test_mark_port_takes_low_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
