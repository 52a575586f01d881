/*
 * The real-time clock as a guest sees it, on a clock that the test sets; and the
 * calendar behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "devices/legacy/cmos.h"
#include "devices/legacy/rtc_calendar.h"
#include "tests/fake/fake_machine.h"

extern const struct device_class cmos_class;

#define SECOND_NS UINT64_C(1000000000)

/* 2024-02-29 23:59:57 UTC, a Thursday */
#define LEAP_EVE INT64_C(1709251197)

enum {
	IRQ = 8,
	REG_A = 10,
	REG_B,
	REG_C,
	REG_D,
	B_DEFAULT = RTC_B_24H,
	B_SET = 0x80,
	B_PIE = 0x40,
	B_AIE = 0x20,
	B_UIE = 0x10,
	UIP = 0x80,
	DONT_CARE = 0xff,
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

static struct device *make(struct fixture *f, int64_t base_s)
{
	struct device_args args = {.name = "cmos0", .rtc_base_s = base_s};
	struct device *dev;

	assert_int_equal(device_create(&dev, &cmos_class, &args, NULL), 0);
	if (base_s < 0)
		cmos_set_clock(dev, test_clock, f);
	assert_int_equal(device_realize(dev, &f->fm->platform, NULL), 0);
	return dev;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->fm = fake_machine_create(1 * MIB);
	f->now_ns = (uint64_t)LEAP_EVE * SECOND_NS;
	f->dev = make(f, -1);
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

static uint8_t get(struct fixture *f, uint8_t index)
{
	fake_machine_out(f->fm, 0x70, 1, index);
	return (uint8_t)fake_machine_in(f->fm, 0x71, 1);
}

static void set(struct fixture *f, uint8_t index, uint8_t value)
{
	fake_machine_out(f->fm, 0x70, 1, index);
	fake_machine_out(f->fm, 0x71, 1, value);
}

static void pass_s(struct fixture *f, double seconds)
{
	f->now_ns += (uint64_t)(seconds * (double)SECOND_NS);
}

static void assert_time(struct fixture *f, const char *expected)
{
	char text[32];

	snprintf(text, sizeof(text), "%02x%02x-%02x-%02x %02x:%02x:%02x", get(f, CMOS_CENTURY),
		get(f, RTC_YEAR), get(f, RTC_MONTH), get(f, RTC_DAY_OF_MONTH), get(f, RTC_HOURS),
		get(f, RTC_MINUTES), get(f, RTC_SECONDS));
	assert_string_equal(text, expected);
}

/* Date and time in BCD, seconds last. */
static void set_time(struct fixture *f, const uint8_t digits[7])
{
	static const uint8_t order[] = {CMOS_CENTURY, RTC_YEAR, RTC_MONTH, RTC_DAY_OF_MONTH,
		RTC_HOURS, RTC_MINUTES, RTC_SECONDS};

	for (int i = 0; i < 7; i++)
		set(f, order[i], digits[i]);
}

static bool irq_is_up(void *opaque)
{
	return fake_machine_irq_level(((struct fixture *)opaque)->fm, IRQ);
}

/* ---- Time ---- */

static void test_time_in_all_formats(void **state)
{
	struct fixture *f = *state;

	assert_time(f, "2024-02-29 23:59:57");
	assert_int_equal(get(f, RTC_DAY_OF_WEEK), 5);
	set(f, REG_B, 0);
	assert_int_equal(get(f, RTC_HOURS), 0x91); /* 11 PM */
	set(f, REG_B, RTC_B_BINARY);
	assert_int_equal(get(f, RTC_HOURS), 0x80 | 11);
	assert_int_equal(get(f, RTC_MINUTES), 59);
	assert_int_equal(get(f, RTC_YEAR), 24);
	assert_int_equal(get(f, CMOS_CENTURY), 20);
	set(f, REG_B, RTC_B_BINARY | RTC_B_24H);
	assert_int_equal(get(f, RTC_HOURS), 23);
}

static void test_time_runs_over_a_leap_day(void **state)
{
	struct fixture *f = *state;

	pass_s(f, 3);
	assert_time(f, "2024-03-01 00:00:00");
	assert_int_equal(get(f, RTC_DAY_OF_WEEK), 6);
}

static void test_every_hour_of_twelve(void **state)
{
	static const uint8_t hours[] = {0x12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x10, 0x11};
	uint8_t regs[RTC_TIME_REGISTERS] = {0}, century;

	(void)state;
	for (int64_t hour = 0; hour < 24; hour++) {
		rtc_encode(hour * 3600, 0, regs, &century);
		assert_int_equal(regs[RTC_HOURS] & 0x7f, hours[hour % 12]);
		assert_int_equal(regs[RTC_HOURS] >> 7, hour / 12);
		assert_int_equal(rtc_decode(regs, century, 0), hour * 3600);
	}
}

static void test_calendar_there_and_back(void **state)
{
	static const uint8_t formats[] = {0, RTC_B_24H, RTC_B_BINARY, RTC_B_24H | RTC_B_BINARY};
	uint8_t regs[RTC_TIME_REGISTERS] = {0}, century;

	(void)state;
	for (int64_t t = 0; t <= RTC_SECONDS_MAX; t += 86400 * 97 + 4567)
		for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
			rtc_encode(t, formats[i], regs, &century);
			assert_int_equal(rtc_decode(regs, century, formats[i]), t);
		}
}

static void test_impossible_dates(void **state)
{
	struct fixture *f = *state;

	/* 31 February runs over into March. */
	set(f, REG_B, B_DEFAULT | B_SET);
	set_time(f, (uint8_t[]){0x20, 0x23, 0x02, 0x31, 0x23, 0x59, 0x59});
	set(f, REG_B, B_DEFAULT);
	assert_time(f, "2023-03-03 23:59:59");
	/* All bytes of all registers are taken, and what is shown is a date again. */
	for (int value = 0; value < 256; value++) {
		set(f, REG_B, B_DEFAULT | B_SET);
		set_time(f,
			(uint8_t[]){(uint8_t)value, (uint8_t)value, (uint8_t)value, (uint8_t)value,
				(uint8_t)value, (uint8_t)value, (uint8_t)value});
		set(f, REG_B, B_DEFAULT);
		assert_in_range(get(f, RTC_MONTH), 1, 0x12);
		assert_in_range(get(f, RTC_DAY_OF_MONTH), 1, 0x31);
		assert_in_range(get(f, RTC_HOURS), 0, 0x23);
	}
	/* The last second that can be shown */
	set(f, REG_B, B_DEFAULT | B_SET);
	set_time(f, (uint8_t[]){0x99, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59});
	set(f, REG_B, B_DEFAULT);
	pass_s(f, 10);
	assert_time(f, "9999-12-31 23:59:59");
}

static void test_set_stops_the_clock(void **state)
{
	struct fixture *f = *state;

	set(f, REG_B, B_DEFAULT | B_SET);
	pass_s(f, 5);
	assert_time(f, "2024-02-29 23:59:57");
	set_time(f, (uint8_t[]){0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58});
	pass_s(f, 100);
	assert_time(f, "1999-12-31 23:59:58");
	set(f, REG_B, B_DEFAULT);
	pass_s(f, 1);
	assert_time(f, "1999-12-31 23:59:59");
	pass_s(f, 1);
	assert_time(f, "2000-01-01 00:00:00");
}

static void test_writing_while_it_runs_sets_at_once(void **state)
{
	struct fixture *f = *state;

	set(f, RTC_HOURS, 0x11);
	assert_time(f, "2024-02-29 11:59:57");
	pass_s(f, 4);
	assert_time(f, "2024-02-29 12:00:01");
}

/* What Linux does: the first second after the divider's reset is half a second long. */
static void test_divider_reset_aligns_the_second(void **state)
{
	struct fixture *f = *state;

	pass_s(f, 0.3);
	set(f, REG_B, B_DEFAULT | B_SET);
	set(f, REG_A, 0x76);
	set_time(f, (uint8_t[]){0x20, 0x30, 0x01, 0x02, 0x03, 0x04, 0x05});
	set(f, REG_B, B_DEFAULT);
	pass_s(f, 7.2);
	assert_time(f, "2030-01-02 03:04:05");
	set(f, REG_A, 0x26);
	pass_s(f, 0.49);
	assert_time(f, "2030-01-02 03:04:05");
	pass_s(f, 0.02);
	assert_time(f, "2030-01-02 03:04:06");
	pass_s(f, 0.98);
	assert_time(f, "2030-01-02 03:04:06");
	pass_s(f, 0.02);
	assert_time(f, "2030-01-02 03:04:07");
}

static void test_uip_before_each_second(void **state)
{
	struct fixture *f = *state;

	assert_false(get(f, REG_A) & UIP);
	pass_s(f, 0.9970);
	assert_false(get(f, REG_A) & UIP);
	pass_s(f, 0.0010);
	assert_true(get(f, REG_A) & UIP);
	pass_s(f, 0.0020);
	assert_false(get(f, REG_A) & UIP);
	/* Never while the clock stands */
	set(f, REG_B, B_DEFAULT | B_SET);
	pass_s(f, 0.9985);
	assert_false(get(f, REG_A) & UIP);
}

static void test_fixed_start_runs(void **state)
{
	struct fixture *f = *state;
	uint8_t seconds;

	device_destroy(f->dev);
	fake_machine_destroy(f->fm);
	f->fm = fake_machine_create(1 * MIB);
	f->dev = make(f, 0);
	assert_int_equal(get(f, RTC_YEAR), 0x70);
	assert_int_equal(get(f, RTC_HOURS), 0);
	seconds = get(f, RTC_SECONDS);
	assert_in_range(seconds, 0, 0x59);
}

static void test_start_beyond_calendar_is_refused(void **state)
{
	struct device_args args = {.name = "cmos0", .rtc_base_s = INT64_MAX};
	struct device *dev;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(device_create(&dev, &cmos_class, &args, &err), -EINVAL);
	assert_int_equal(err.kind, EXIT_CODE_DEVICE);
}

static void test_host_clock_set_back(void **state)
{
	struct fixture *f = *state;

	pass_s(f, 100);
	get(f, REG_C);
	f->now_ns -= 50 * SECOND_NS;
	assert_int_equal(get(f, REG_C) & B_UIE, 0);
	f->now_ns = 0;
	assert_time(f, "1970-01-01 00:00:00");
	assert_int_equal(get(f, REG_C) & B_UIE, 0);
}

/* ---- Interrupts ---- */

static void test_update_interrupt(void **state)
{
	struct fixture *f = *state;

	pass_s(f, 0.9995);
	set(f, REG_B, B_DEFAULT | B_UIE);
	assert_false(irq_is_up(f));
	pass_s(f, 0.001);
	assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
	/* The periodic flag is set as well, as it always is. */
	assert_int_equal(get(f, REG_C) & ~B_PIE, 0x80 | B_UIE);
	assert_false(irq_is_up(f));
	assert_int_equal(get(f, REG_C), 0);
}

static void test_alarm_interrupt(void **state)
{
	struct fixture *f = *state;

	set(f, RTC_HOURS_ALARM, 0x00);
	set(f, RTC_MINUTES_ALARM, 0x00);
	set(f, RTC_SECONDS_ALARM, 0x01);
	set(f, REG_B, B_DEFAULT | B_AIE);
	pass_s(f, 3.9995);
	/* Now the timer is one of half a millisecond. */
	assert_int_equal(get(f, REG_C) & ~B_PIE, B_UIE);
	pass_s(f, 0.001);
	assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
	assert_int_equal(get(f, REG_C) & ~B_PIE, 0x80 | B_AIE | B_UIE);
	assert_false(irq_is_up(f));
	/* Not again before tomorrow */
	pass_s(f, 86399);
	assert_int_equal(get(f, REG_C) & B_AIE, 0);
	pass_s(f, 1);
	assert_int_equal(get(f, REG_C) & B_AIE, B_AIE);
}

static void test_alarm_search(void **state)
{
	uint8_t regs[RTC_TIME_REGISTERS] = {0};
	static const struct {
		int64_t from;
		uint8_t h, m, s;
		unsigned after;
	} cases[] = {
		{0, DONT_CARE, DONT_CARE, DONT_CARE, 1},
		{0, 0, 0, 0, 86400},
		{0, DONT_CARE, DONT_CARE, 0, 60},
		{59, DONT_CARE, DONT_CARE, 0, 1},
		{0, DONT_CARE, 0, 0, 3600},
		{0, 0x23, 0x59, 0x59, 86399},
		{86399, 0x23, 0x59, 0x59, 86400},
		{86399, 0, 0, 0, 1},
		{10, 0, DONT_CARE, 0x05, 55},
		{0, 0x24, DONT_CARE, DONT_CARE, 0},
		{0, DONT_CARE, DONT_CARE, 0x60, 0},
		{0, DONT_CARE, 0x0a, DONT_CARE, 0},
		{0, 0xc0, 0xc1, 0x01, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		regs[RTC_HOURS_ALARM] = cases[i].h;
		regs[RTC_MINUTES_ALARM] = cases[i].m;
		regs[RTC_SECONDS_ALARM] = cases[i].s;
		assert_int_equal(rtc_seconds_to_alarm(
					 LEAP_EVE / 86400 * 86400 + cases[i].from, regs, RTC_B_24H),
			cases[i].after);
	}
}

static void test_periodic_interrupt(void **state)
{
	struct fixture *f = *state;
	uint64_t count;

	set(f, REG_A, 0x26); /* 1024 Hz */
	set(f, REG_B, B_DEFAULT | B_PIE);
	for (int i = 0; i < 5; i++) {
		pass_s(f, 0.001);
		assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
		assert_int_equal(get(f, REG_C) & 0xc0, 0x80 | B_PIE);
	}
	/* A guest that takes none gets no second one, however long it waits. */
	pass_s(f, 0.001);
	assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
	count = fake_machine_irq_count(f->fm, IRQ);
	pass_s(f, 10);
	fake_machine_run_loop(f->fm);
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ), count);
}

static void test_periodic_flag_without_interrupt(void **state)
{
	struct fixture *f = *state;

	set(f, REG_A, 0x2f); /* 2 Hz */
	get(f, REG_C);
	pass_s(f, 0.4);
	assert_int_equal(get(f, REG_C) & B_PIE, 0);
	pass_s(f, 0.2);
	assert_int_equal(get(f, REG_C) & B_PIE, B_PIE);
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ), 0);
	/* Rate 0 is none. */
	set(f, REG_A, 0x20);
	get(f, REG_C);
	pass_s(f, 2);
	assert_int_equal(get(f, REG_C) & B_PIE, 0);
}

static void test_set_ends_update_interrupt(void **state)
{
	struct fixture *f = *state;

	set(f, REG_B, B_DEFAULT | B_SET | B_UIE);
	assert_int_equal(get(f, REG_B), B_DEFAULT | B_SET);
}

/* ---- RAM and the rest ---- */

static void test_index_is_masked(void **state)
{
	struct fixture *f = *state;

	set(f, 0x40, 0x5a);
	/* Bit 7 masks NMIs. */
	assert_int_equal(get(f, 0x80 | 0x40), 0x5a);
	assert_int_equal(fake_machine_in(f->fm, 0x70, 1), 0xff);
	/* Index and value in one access of two bytes */
	fake_machine_out(f->fm, 0x70, 2, 0x41 | 0xa5 << 8);
	assert_int_equal(get(f, 0x41), 0xa5);
	/* Wide reads: index port, data port, nothing behind */
	assert_int_equal(fake_machine_in(f->fm, 0x70, 4), 0xffffa5ff);
}

static void test_all_ram_is_kept(void **state)
{
	struct fixture *f = *state;

	for (uint8_t i = REG_D + 1; i < 128; i++)
		if (i != CMOS_CENTURY)
			set(f, i, (uint8_t)(i * 3));
	for (uint8_t i = REG_D + 1; i < 128; i++)
		if (i != CMOS_CENTURY)
			assert_int_equal(get(f, i), (uint8_t)(i * 3));
}

static void test_read_only_registers(void **state)
{
	struct fixture *f = *state;

	set(f, REG_C, 0xff);
	assert_int_equal(get(f, REG_C), 0);
	set(f, REG_D, 0x00);
	assert_int_equal(get(f, REG_D), 0x80);
	set(f, REG_A, 0xff & ~0x50);
	assert_int_equal(get(f, REG_A), 0x2f);
}

static void test_memory_size(void **state)
{
	struct fixture *f = *state;

	/* 1 MiB: nothing above */
	assert_int_equal(get(f, 0x15) | get(f, 0x16) << 8, 640);
	assert_int_equal(get(f, 0x30) | get(f, 0x31) << 8, 0);

	device_destroy(f->dev);
	fake_machine_destroy(f->fm);
	f->fm = fake_machine_create_split(96 * MIB, 64 * MIB, 4 * GIB);
	f->dev = make(f, -1);
	assert_int_equal(get(f, 0x30) | get(f, 0x31) << 8, 63 * 1024);
	assert_int_equal(get(f, 0x17) | get(f, 0x18) << 8, 63 * 1024);
	assert_int_equal(get(f, 0x34) | get(f, 0x35) << 8, 48 * 16);
	assert_int_equal(get(f, 0x5b) | get(f, 0x5c) << 8 | get(f, 0x5d) << 16, 32 * 16);
}

static void test_reset_keeps_time_and_ram(void **state)
{
	struct fixture *f = *state;

	set(f, RTC_YEAR, 0x35);
	set(f, 0x50, 0x77);
	pass_s(f, 0.9995);
	set(f, REG_B, B_DEFAULT | B_UIE);
	pass_s(f, 0.001);
	assert_true(fake_machine_run_until(f->fm, irq_is_up, f));
	set(f, REG_B, B_DEFAULT | B_SET | B_AIE | B_PIE);
	device_reset(f->dev);
	assert_false(irq_is_up(f));
	assert_int_equal(get(f, REG_B), B_DEFAULT);
	assert_int_equal(get(f, REG_C), 0);
	assert_int_equal(get(f, 0x50), 0x77);
	pass_s(f, 60);
	assert_int_equal(get(f, RTC_YEAR), 0x35);
	assert_int_equal(get(f, RTC_MONTH), 0x03);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(time_in_all_formats),
		TEST(time_runs_over_a_leap_day),
		TEST(every_hour_of_twelve),
		TEST(calendar_there_and_back),
		TEST(impossible_dates),
		TEST(set_stops_the_clock),
		TEST(writing_while_it_runs_sets_at_once),
		TEST(divider_reset_aligns_the_second),
		TEST(uip_before_each_second),
		TEST(fixed_start_runs),
		TEST(start_beyond_calendar_is_refused),
		TEST(host_clock_set_back),
		TEST(update_interrupt),
		TEST(alarm_interrupt),
		TEST(alarm_search),
		TEST(periodic_interrupt),
		TEST(periodic_flag_without_interrupt),
		TEST(set_ends_update_interrupt),
		TEST(index_is_masked),
		TEST(all_ram_is_kept),
		TEST(read_only_registers),
		TEST(memory_size),
		TEST(reset_keeps_time_and_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
