/*
 * The devices of one port or a few: debug exit, debug console, reset register,
 * system control port A.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <stdlib.h>

#include "devices/backend/chr_memory.h"
#include "tests/fake/fake_machine.h"

extern const struct device_class debug_exit_class, debug_console_class, reset_port_class,
	port92_class, serial_class;

struct fixture {
	struct fake_machine *fm;
	struct chr *chr;
	struct device *devs[8];
	unsigned count;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->fm = fake_machine_create(1 * MIB);
	assert_int_equal(chr_memory_open(&f->chr, f->fm->loop, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	while (f->count)
		device_destroy(f->devs[--f->count]);
	chr_memory_stall(f->chr, false);
	chr_close(f->chr);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

static struct device *add(struct fixture *f, const struct device_class *class, bool with_chr)
{
	struct device_args args = {.name = class->name, .chr = with_chr ? f->chr : NULL};
	struct device *dev;

	assert_int_equal(device_create(&dev, class, &args, NULL), 0);
	assert_int_equal(device_realize(dev, &f->fm->platform, NULL), 0);
	f->devs[f->count++] = dev;
	return dev;
}

/* ---- Debug exit ---- */

static void test_exit_status_is_low_byte(void **state)
{
	struct fixture *f = *state;
	static const struct {
		unsigned size;
		uint64_t value;
		int status;
	} cases[] = {
		{1, 0, 0},
		{1, 33, 33},
		{1, 255, 255},
		{2, 0x1234, 0x34},
		{4, 0xffffff80, 0x80},
	};

	add(f, &debug_exit_class, false);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_machine_out(f->fm, 0xf4, cases[i].size, cases[i].value);
		assert_int_equal(fake_machine_request_count(f->fm), i + 1);
		assert_int_equal(f->fm->last_request, MACHINE_EXIT);
		assert_int_equal(f->fm->last_value, cases[i].status);
	}
	assert_int_equal(fake_machine_in(f->fm, 0xf4, 4), 0);
}

static void test_only_first_port_exits(void **state)
{
	struct fixture *f = *state;
	struct device *dev = add(f, &debug_exit_class, false);

	fake_machine_out(f->fm, 0xf5, 1, 3);
	fake_machine_out(f->fm, 0xf6, 2, 3);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
	assert_int_equal(dev->guest_errors.total, 2);
}

/* ---- Debug console ---- */

static void type(struct fixture *f, const char *text)
{
	for (; *text; text++)
		fake_machine_out(f->fm, 0xe9, 1, (uint8_t)*text);
}

static void test_debug_console_prints(void **state)
{
	struct fixture *f = *state;

	add(f, &debug_console_class, true);
	assert_int_equal(fake_machine_in(f->fm, 0xe9, 1), 0xe9);
	type(f, "hello\n");
	assert_string_equal(chr_memory_output(f->chr, NULL), "hello\n");
	/* Two bytes: the second port is nobody's. */
	fake_machine_out(f->fm, 0xe9, 2, 'x' | '\n' << 8);
	fake_machine_out(f->fm, 0xe9, 1, '\n');
	assert_string_equal(chr_memory_output(f->chr, NULL), "hello\nx\n");
}

static void test_debug_console_shares_the_serials_line(void **state)
{
	struct fixture *f = *state;

	add(f, &serial_class, true);
	add(f, &debug_console_class, true);
	type(f, "debug\n");
	fake_machine_out(f->fm, 0x3f8, 1, 's');
	fake_machine_out(f->fm, 0x3f8, 1, '\n');
	assert_string_equal(chr_memory_output(f->chr, NULL), "debug\ns\n");
	/* The input is the serial port's. */
	fake_machine_out(f->fm, 0x3f9, 1, 1);
	assert_int_equal(chr_memory_feed(f->chr, "i", 1), 1);
	fake_machine_run_loop(f->fm);
	assert_int_equal(fake_machine_in(f->fm, 0x3f8, 1), 'i');
}

static void test_debug_console_flood(void **state)
{
	struct fixture *f = *state;
	struct device *dev = add(f, &debug_console_class, true);

	chr_memory_stall(f->chr, true);
	for (int i = 0; i < CHR_OUTPUT_BYTES + 100; i++)
		fake_machine_out(f->fm, 0xe9, 1, 'x');
	assert_int_equal(dev->guest_errors.total, 100);
}

static void test_debug_console_without_back_end(void **state)
{
	struct fixture *f = *state;
	struct device *dev = add(f, &debug_console_class, false);

	type(f, "nobody\n");
	assert_int_equal(dev->guest_errors.total, 0);
}

/* ---- Reset register ---- */

static void test_reset_register(void **state)
{
	struct fixture *f = *state;

	add(f, &reset_port_class, false);
	/* What Linux does: the kind first, then the trigger. */
	fake_machine_out(f->fm, 0xcf9, 1, 0x02);
	assert_int_equal(fake_machine_in(f->fm, 0xcf9, 1), 0x02);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
	fake_machine_out(f->fm, 0xcf9, 1, 0x06);
	assert_int_equal(fake_machine_request_count(f->fm), 1);
	assert_int_equal(f->fm->first_request, MACHINE_RESET);
	fake_machine_out(f->fm, 0xcf9, 1, 0x0e);
	assert_int_equal(fake_machine_request_count(f->fm), 2);
	/* The trigger reads as zero. */
	assert_int_equal(fake_machine_in(f->fm, 0xcf9, 1), 0x0a);
	device_reset(f->devs[0]);
	assert_int_equal(fake_machine_in(f->fm, 0xcf9, 1), 0);
}

static void test_wide_write_is_no_reset(void **state)
{
	struct fixture *f = *state;

	add(f, &reset_port_class, false);
	/* PCI configuration addresses with bit 10 set, which is bit 2 of 0xcf9 */
	fake_machine_out(f->fm, 0xcf8, 4, 0x80000600);
	fake_machine_out(f->fm, 0xcf8, 2, 0x0600);
	fake_machine_out(f->fm, 0xcf8, 1, 0x06);
	fake_machine_out(f->fm, 0xcfc, 4, 0xffffffff);
	fake_machine_out(f->fm, 0xcf8, 8, UINT64_MAX);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
}

/* How Linux looks for PCI: both mechanisms must be found missing. */
static void test_no_pci_is_found(void **state)
{
	struct fixture *f = *state;

	add(f, &reset_port_class, false);
	fake_machine_out(f->fm, 0xcfb, 1, 0x01);
	fake_machine_out(f->fm, 0xcf8, 4, 0x80000000);
	assert_int_equal(fake_machine_in(f->fm, 0xcf8, 4), 0xffffffff);
	fake_machine_out(f->fm, 0xcfb, 1, 0x00);
	fake_machine_out(f->fm, 0xcf8, 1, 0x00);
	fake_machine_out(f->fm, 0xcfa, 1, 0x00);
	assert_int_equal(fake_machine_in(f->fm, 0xcf8, 1), 0xff);
	assert_int_equal(fake_machine_in(f->fm, 0xcfa, 1), 0xff);
	assert_int_equal(fake_machine_in(f->fm, 0xcfc, 4), 0xffffffff);
}

/* ---- System control port A ---- */

static void test_port92_keeps_a20(void **state)
{
	struct fixture *f = *state;
	struct device *dev = add(f, &port92_class, false);

	assert_int_equal(fake_machine_in(f->fm, 0x92, 1), 0x02);
	fake_machine_out(f->fm, 0x92, 1, 0xfc);
	assert_int_equal(fake_machine_in(f->fm, 0x92, 1), 0);
	device_reset(dev);
	assert_int_equal(fake_machine_in(f->fm, 0x92, 1), 0x02);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
}

static void test_port92_resets(void **state)
{
	struct fixture *f = *state;

	add(f, &port92_class, false);
	fake_machine_out(f->fm, 0x92, 1, 0x03);
	assert_int_equal(fake_machine_request_count(f->fm), 1);
	assert_int_equal(f->fm->first_request, MACHINE_RESET);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(exit_status_is_low_byte),
		TEST(only_first_port_exits),
		TEST(debug_console_prints),
		TEST(debug_console_shares_the_serials_line),
		TEST(debug_console_flood),
		TEST(debug_console_without_back_end),
		TEST(reset_register),
		TEST(wide_write_is_no_reset),
		TEST(no_pci_is_found),
		TEST(port92_keeps_a20),
		TEST(port92_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
