/*
 * power: one value at one place powers off; nothing else does anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "devices/legacy/power.h"
#include "tests/fake/fake_machine.h"
#include "vmm/base/log.h"

extern const struct device_class power_class;

struct fixture {
	struct fake_machine *fm;
	struct device *dev;
	uint64_t base;
};

static struct fixture fixture;

static int setup(void **state)
{
	struct device_args args = {.name = "power0"};

	log_set_level(LOG_ERROR);
	fixture.fm = fake_machine_create(1 * MIB);
	assert_int_equal(device_create(&fixture.dev, &power_class, &args, NULL), 0);
	assert_int_equal(device_realize(fixture.dev, &fixture.fm->platform, NULL), 0);
	fixture.base = device_find_res(fixture.dev, DEVICE_RES_MMIO, 0)->base;
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->dev);
	fake_machine_destroy(f->fm);
	return 0;
}

static void powers_off(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_machine_mmio_read(f->fm, f->base, 4), 0);
	fake_machine_mmio_write(f->fm, f->base, 4, POWER_OFF_VALUE);
	assert_int_equal(fake_machine_request_count(f->fm), 1);
	assert_int_equal(f->fm->first_request, MACHINE_POWEROFF);
	/* A second life can end as the first. */
	device_reset(f->dev);
	assert_int_equal(fake_machine_mmio_read(f->fm, f->base, 4), 0);
	fake_machine_mmio_write(f->fm, f->base, 4, POWER_OFF_VALUE);
	assert_int_equal(fake_machine_request_count(f->fm), 2);
}

static void other_values(void **state)
{
	static const uint64_t values[] = {0, 2, 0xffffffff, 0x01000000, POWER_OFF_VALUE | 0x80};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		fake_machine_mmio_write(f->fm, f->base, 4, values[i]);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
}

static void other_widths(void **state)
{
	struct fixture *f = *state;

	fake_machine_mmio_write(f->fm, f->base, 1, POWER_OFF_VALUE);
	fake_machine_mmio_write(f->fm, f->base, 2, POWER_OFF_VALUE);
	fake_machine_mmio_write(f->fm, f->base, 8, POWER_OFF_VALUE);
	fake_machine_mmio_write(f->fm, f->base + 1, 1, POWER_OFF_VALUE);
	fake_machine_mmio_write(f->fm, f->base + 2, 4, POWER_OFF_VALUE);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(powers_off, setup, teardown),
		cmocka_unit_test_setup_teardown(other_values, setup, teardown),
		cmocka_unit_test_setup_teardown(other_widths, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
