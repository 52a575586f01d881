/*
 * ACPI fixed hardware as a guest sees it: power button, soft off, timer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <stdlib.h>

#include "devices/legacy/acpi_pm.h"
#include "tests/fake/fake_machine.h"

extern const struct device_class acpi_pm_class;

enum {
	STATUS = ACPI_PM_PM1_EVT_PORT,
	ENABLE = ACPI_PM_PM1_EVT_PORT + 2,
	CONTROL = ACPI_PM_PM1_CNT_PORT,
	TIMER = ACPI_PM_TIMER_PORT,
	TMR = 1 << 0,
	PWRBTN = 1 << 8,
	SCI_EN = 1 << 0,
	SLP_EN = 1 << 13,
};

struct fixture {
	struct fake_machine *fm;
	struct device *dev;
	uint64_t now_ns;
};

static uint64_t test_clock(void *opaque)
{
	return ((struct fixture *)opaque)->now_ns;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct device_args args = {.name = "acpi-pm0"};

	f->fm = fake_machine_create(1 * MIB);
	assert_int_equal(device_create(&f->dev, &acpi_pm_class, &args, NULL), 0);
	acpi_pm_set_clock(f->dev, test_clock, f);
	f->now_ns = UINT64_C(1000000000000);
	assert_int_equal(device_realize(f->dev, &f->fm->platform, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->dev);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

static uint64_t in(struct fixture *f, uint16_t port, unsigned size)
{
	return fake_machine_in(f->fm, port, size);
}

static void out(struct fixture *f, uint16_t port, unsigned size, uint64_t value)
{
	fake_machine_out(f->fm, port, size, value);
}

static bool sci(struct fixture *f)
{
	return fake_machine_irq_level(f->fm, ACPI_PM_SCI_GSI);
}

static void test_power_on(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in(f, STATUS, 2) & ~(uint64_t)TMR, 0);
	assert_int_equal(in(f, ENABLE, 2), 0);
	/* Always in ACPI mode */
	assert_int_equal(in(f, CONTROL, 2), SCI_EN);
	out(f, CONTROL, 2, 0);
	assert_int_equal(in(f, CONTROL, 2), SCI_EN);
	assert_false(sci(f));
	assert_true(device_find_res(f->dev, DEVICE_RES_IRQ, 0)->level);
}

static void test_power_button(void **state)
{
	struct fixture *f = *state;

	out(f, ENABLE, 2, PWRBTN);
	assert_false(sci(f));
	acpi_pm_press_power_button(f->dev);
	assert_true(sci(f));
	assert_int_equal(in(f, STATUS, 2) & PWRBTN, PWRBTN);
	/* Ones clear, zeros do not. */
	out(f, STATUS, 2, (uint16_t)~PWRBTN);
	assert_true(sci(f));
	out(f, STATUS, 2, PWRBTN);
	assert_false(sci(f));
	assert_int_equal(in(f, STATUS, 2) & PWRBTN, 0);
}

static void test_power_button_before_it_is_enabled(void **state)
{
	struct fixture *f = *state;

	acpi_pm_press_power_button(f->dev);
	assert_false(sci(f));
	out(f, ENABLE, 2, PWRBTN);
	assert_true(sci(f));
	out(f, ENABLE, 2, 0);
	assert_false(sci(f));
}

static void test_soft_off(void **state)
{
	struct fixture *f = *state;

	/* First the type, then the type with the enable bit, as ACPICA does. */
	out(f, CONTROL, 2, ACPI_PM_SLP_TYP_S5 << 10);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
	out(f, CONTROL, 2, ACPI_PM_SLP_TYP_S5 << 10 | SLP_EN);
	assert_int_equal(fake_machine_request_count(f->fm), 1);
	assert_int_equal(f->fm->first_request, MACHINE_POWEROFF);
	/* SLP_EN reads as zero. */
	assert_int_equal(in(f, CONTROL, 2), ACPI_PM_SLP_TYP_S5 << 10 | SCI_EN);
}

static void test_soft_off_by_bytes(void **state)
{
	struct fixture *f = *state;

	out(f, CONTROL, 1, 0x00);
	out(f, CONTROL + 1, 1, (ACPI_PM_SLP_TYP_S5 << 10 | SLP_EN) >> 8);
	assert_int_equal(fake_machine_request_count(f->fm), 1);
	assert_int_equal(f->fm->first_request, MACHINE_POWEROFF);
}

static void test_unknown_sleep_type(void **state)
{
	struct fixture *f = *state;

	for (unsigned type = 0; type < 8; type++)
		if (type != ACPI_PM_SLP_TYP_S5)
			out(f, CONTROL, 2, type << 10 | SLP_EN);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
	assert_int_equal(f->dev->guest_errors.total, 7);
}

static void test_timer_runs_at_its_rate(void **state)
{
	struct fixture *f = *state;
	uint64_t mask = (UINT64_C(1) << ACPI_PM_TIMER_BITS) - 1;
	uint64_t first = in(f, TIMER, 4);

	assert_int_equal(first & ~mask, 0);
	f->now_ns += 1000000000;
	assert_int_equal((in(f, TIMER, 4) - first) & mask, ACPI_PM_TIMER_HZ);
	/* It can't be written. */
	out(f, TIMER, 4, 0);
	assert_int_equal((in(f, TIMER, 4) - first) & mask, ACPI_PM_TIMER_HZ);
	/* Three years on it still counts, without an overflow. */
	f->now_ns += UINT64_C(94608000) * 1000000000;
	first = in(f, TIMER, 4);
	f->now_ns += 1000000000;
	assert_int_equal((in(f, TIMER, 4) - first) & mask, ACPI_PM_TIMER_HZ);
}

static void test_timer_by_default_is_the_hosts(void **state)
{
	struct fixture *f = *state;
	struct device_args args = {.name = "acpi-pm0"};
	uint64_t mask = (UINT64_C(1) << ACPI_PM_TIMER_BITS) - 1, before, value, after;

	device_destroy(f->dev);
	fake_machine_destroy(f->fm);
	f->fm = fake_machine_create(1 * MIB);
	assert_int_equal(device_create(&f->dev, &acpi_pm_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->dev, &f->fm->platform, NULL), 0);
	before = (uint64_t)((unsigned __int128)util_now_ns() * ACPI_PM_TIMER_HZ / 1000000000);
	value = in(f, TIMER, 4);
	after = (uint64_t)((unsigned __int128)util_now_ns() * ACPI_PM_TIMER_HZ / 1000000000);
	assert_true(((value - before) & mask) <= after - before);
}

static bool sci_is_up(void *opaque)
{
	return sci(opaque);
}

/* The highest bit changes every 2.34 seconds. */
static void test_timer_carry(void **state)
{
	struct fixture *f = *state;
	uint64_t half = UINT64_C(1) << (ACPI_PM_TIMER_BITS - 1);
	uint64_t left = half - in(f, TIMER, 4) % half;

	/* Half a millisecond before it */
	f->now_ns += left * 1000000000 / ACPI_PM_TIMER_HZ - 500000;
	out(f, STATUS, 2, TMR);
	assert_int_equal(in(f, STATUS, 2) & TMR, 0);
	out(f, ENABLE, 2, TMR);
	assert_false(sci(f));
	f->now_ns += 1000000;
	assert_true(fake_machine_run_until(f->fm, sci_is_up, f));
	assert_int_equal(in(f, STATUS, 2) & TMR, TMR);
	out(f, STATUS, 2, TMR);
	assert_false(sci(f));
	/* Without the enable bit the status alone tells. */
	out(f, ENABLE, 2, 0);
	f->now_ns += half * 1000000000 / ACPI_PM_TIMER_HZ + 1000;
	assert_int_equal(in(f, STATUS, 2) & TMR, TMR);
	assert_false(sci(f));
}

static void test_wide_and_odd_accesses(void **state)
{
	struct fixture *f = *state;

	/* Status and enable together */
	out(f, STATUS, 4, (uint64_t)PWRBTN << 16);
	assert_int_equal(in(f, STATUS, 4) >> 16, PWRBTN);
	assert_int_equal(in(f, ENABLE + 1, 1), PWRBTN >> 8);
	/* One byte leaves the other alone. */
	out(f, ENABLE, 1, 0xff);
	assert_int_equal(in(f, ENABLE, 2), PWRBTN | 0x21);
	acpi_pm_press_power_button(f->dev);
	out(f, STATUS, 1, 0xff);
	assert_true(sci(f));
	out(f, STATUS + 1, 1, 0xff);
	assert_false(sci(f));
	/* Over the edges: bytes of both registers, ones where nothing is. */
	assert_int_equal(in(f, ENABLE + 1, 2), PWRBTN >> 8 | SCI_EN << 8);
	assert_int_equal(in(f, CONTROL, 4) >> 16, 0xffff);
	assert_int_equal(in(f, STATUS, 8) >> 48, 0xffff);
	out(f, CONTROL + 1, 4, 0);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	out(f, ENABLE, 2, PWRBTN);
	out(f, CONTROL, 2, 0x1c02);
	acpi_pm_press_power_button(f->dev);
	assert_true(sci(f));
	device_reset(f->dev);
	assert_false(sci(f));
	test_power_on(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(power_on),
		TEST(power_button),
		TEST(power_button_before_it_is_enabled),
		TEST(soft_off),
		TEST(soft_off_by_bytes),
		TEST(unknown_sleep_type),
		TEST(timer_runs_at_its_rate),
		TEST(timer_by_default_is_the_hosts),
		TEST(timer_carry),
		TEST(wide_and_odd_accesses),
		TEST(reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
