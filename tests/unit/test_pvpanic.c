/*
 * The pvpanic port as a guest sees it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <misc/pvpanic.h>

#include "tests/fake/fake_machine.h"

extern const struct device_class pvpanic_class;

enum {
	PORT = 0x505
};

static struct fake_machine *fm;
static struct device *dev;

static int setup(void **state)
{
	struct device_args args = {.name = "pvpanic0"};

	(void)state;
	fm = fake_machine_create(1 * MIB);
	assert_int_equal(device_create(&dev, &pvpanic_class, &args, NULL), 0);
	assert_int_equal(device_realize(dev, &fm->platform, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	device_destroy(dev);
	fake_machine_destroy(fm);
	return 0;
}

static void test_events_are_offered(void **state)
{
	(void)state;
	assert_int_equal(fake_machine_in(fm, PORT, 1), PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);
	assert_string_equal(dev->class->acpi_hid, "QEMU0001");
	assert_int_equal(device_find_res(dev, DEVICE_RES_PIO, 0)->base, PORT);
}

static void test_panic_is_told(void **state)
{
	(void)state;
	fake_machine_out(fm, PORT, 1, PVPANIC_PANICKED);
	assert_int_equal(fake_machine_request_count(fm), 1);
	assert_int_equal(fm->first_request, MACHINE_PANIC);
}

static void test_crash_kernel_goes_on(void **state)
{
	(void)state;
	fake_machine_out(fm, PORT, 1, PVPANIC_CRASH_LOADED);
	assert_int_equal(fake_machine_request_count(fm), 0);
}

static void test_unknown_event_is_ignored(void **state)
{
	(void)state;
	fake_machine_out(fm, PORT, 1, 0);
	fake_machine_out(fm, PORT, 1, 0xfc);
	assert_int_equal(fake_machine_request_count(fm), 0);
	assert_int_equal(dev->guest_errors.total, 2);
}

static void test_wide_access_reaches_one_port(void **state)
{
	(void)state;
	assert_int_equal(fake_machine_in(fm, PORT, 4), 0xffffff03);
	fake_machine_out(fm, PORT - 1, 2, PVPANIC_PANICKED << 8);
	assert_int_equal(fake_machine_request_count(fm), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(events_are_offered),
		TEST(panic_is_told),
		TEST(crash_kernel_goes_on),
		TEST(unknown_event_is_ignored),
		TEST(wide_access_reaches_one_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
