/*
 * The keyboard controller as a guest sees it; among the tests is what Linux's
 * driver does when it probes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <stdlib.h>

#include "devices/legacy/ps2_keyboard.h"
#include "tests/fake/fake_machine.h"

extern const struct device_class i8042_class;

enum {
	DATA = 0x60,
	COMMAND = 0x64,
	IRQ = 1,
	FULL = 0x01,
	AUX = 0x20,
	TIMEOUT = 0x40,
	CTR_DEFAULT = 0x65,
	ACK = 0xfa,
};

struct fixture {
	struct fake_machine *fm;
	struct device *dev;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct device_args args = {.name = "i8042"};

	f->fm = fake_machine_create(1 * MIB);
	assert_int_equal(device_create(&f->dev, &i8042_class, &args, NULL), 0);
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

static uint8_t status(struct fixture *f)
{
	return (uint8_t)fake_machine_in(f->fm, COMMAND, 1);
}

static uint8_t read_data(struct fixture *f)
{
	return (uint8_t)fake_machine_in(f->fm, DATA, 1);
}

static void command(struct fixture *f, uint8_t value)
{
	fake_machine_out(f->fm, COMMAND, 1, value);
}

static void write_data(struct fixture *f, uint8_t value)
{
	fake_machine_out(f->fm, DATA, 1, value);
}

/* An answer that must be there at once: a driver would wait for half a second. */
static uint8_t answer(struct fixture *f)
{
	assert_true(status(f) & FULL);
	return read_data(f);
}

static void assert_no_answer(struct fixture *f)
{
	assert_false(status(f) & FULL);
}

static uint8_t ask(struct fixture *f, uint8_t value)
{
	command(f, value);
	return answer(f);
}

static void test_power_on(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(status(f), 0x14);
	assert_int_equal(ask(f, 0x20), CTR_DEFAULT);
	assert_no_answer(f);
}

static void test_self_and_line_tests(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, 0xaa), 0x55);
	assert_int_equal(ask(f, 0xab), 0x00);
	assert_int_equal(ask(f, 0xc0), 0x80);
	assert_int_equal(ask(f, 0xe0), 0x00);
}

static void test_controller_ram(void **state)
{
	struct fixture *f = *state;

	for (uint8_t i = 0; i < 32; i++) {
		command(f, 0x60 + i);
		write_data(f, (uint8_t)(0xc0 | i));
	}
	for (uint8_t i = 1; i < 32; i++)
		assert_int_equal(ask(f, 0x20 + i), 0xc0 | i);
	/* A command byte that no argument follows is forgotten. */
	command(f, 0x65);
	assert_int_equal(ask(f, 0x25), 0xc5);
}

static void test_probe_of_linux(void **state)
{
	struct fixture *f = *state;
	uint64_t count;
	uint8_t ctr;

	/* flush, self test, command byte */
	assert_no_answer(f);
	assert_int_equal(ask(f, 0xaa), 0x55);
	ctr = ask(f, 0x20);
	assert_int_equal(ask(f, 0x20), ctr);
	assert_true(ctr & 0x40);
	command(f, 0x60);
	write_data(f, (uint8_t)((ctr | 0x10) & ~0x01));
	/* The loop test of the auxiliary port comes back, but not from there. */
	command(f, 0xd3);
	write_data(f, 0x5a);
	assert_int_equal(status(f) & (FULL | AUX), FULL);
	assert_int_equal(read_data(f), 0x5a);
	/* So the driver tests the line, and an answer other than 0, 0xfa, 0xff says: no port. */
	assert_int_equal(ask(f, 0xa9), 0x02);
	/* The keyboard's turn, with interrupts */
	command(f, 0x60);
	write_data(f, (uint8_t)((ctr | 0x01) & ~0x10));
	count = fake_machine_irq_count(f->fm, IRQ);
	write_data(f, 0xf2);
	assert_true(fake_machine_irq_level(f->fm, IRQ));
	assert_int_equal(answer(f), ACK);
	assert_int_equal(answer(f), 0xab);
	assert_int_equal(answer(f), 0x41);
	assert_no_answer(f);
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ), count + 3);
	write_data(f, 0xed);
	assert_int_equal(answer(f), ACK);
	write_data(f, 0x00);
	assert_int_equal(answer(f), ACK);
	write_data(f, 0xf3);
	assert_int_equal(answer(f), ACK);
	write_data(f, 0x00);
	assert_int_equal(answer(f), ACK);
	write_data(f, 0xf4);
	assert_int_equal(answer(f), ACK);
	assert_no_answer(f);
}

static void test_interrupt_follows_the_buffer(void **state)
{
	struct fixture *f = *state;
	uint64_t count = fake_machine_irq_count(f->fm, IRQ);

	write_data(f, 0xff);
	assert_true(fake_machine_irq_level(f->fm, IRQ));
	/* Each byte has its own edge. */
	assert_int_equal(read_data(f), ACK);
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ), count + 2);
	assert_int_equal(read_data(f), 0xaa);
	assert_false(fake_machine_irq_level(f->fm, IRQ));
	/* Without the enable bit no interrupt; with it the waiting byte interrupts. */
	command(f, 0x60);
	write_data(f, CTR_DEFAULT & ~0x01);
	write_data(f, 0xee);
	assert_false(fake_machine_irq_level(f->fm, IRQ));
	command(f, 0x60);
	write_data(f, CTR_DEFAULT);
	assert_true(fake_machine_irq_level(f->fm, IRQ));
	assert_int_equal(read_data(f), 0xee);
	/* Reading an empty buffer gives the last byte, and nothing else happens. */
	assert_int_equal(read_data(f), 0xee);
	assert_false(fake_machine_irq_level(f->fm, IRQ));
}

static void test_keyboard_switched_off_keeps_its_bytes(void **state)
{
	struct fixture *f = *state;

	write_data(f, 0xf2);
	assert_int_equal(answer(f), ACK);
	command(f, 0xad);
	assert_int_equal(ask(f, 0x20) & 0x10, 0x10);
	/* The byte that was in the buffer went when the command answered. */
	assert_no_answer(f);
	command(f, 0xae);
	assert_int_equal(answer(f), 0x41);
}

static void test_without_translation_the_id_is_raw(void **state)
{
	struct fixture *f = *state;

	command(f, 0x60);
	write_data(f, CTR_DEFAULT & ~0x40);
	write_data(f, 0xf2);
	assert_int_equal(answer(f), ACK);
	assert_int_equal(answer(f), 0xab);
	assert_int_equal(answer(f), 0x83);
}

static void test_no_auxiliary_port(void **state)
{
	struct fixture *f = *state;

	command(f, 0xd4);
	write_data(f, 0xf2);
	assert_int_equal(status(f) & (FULL | AUX | TIMEOUT), FULL | AUX | TIMEOUT);
	assert_false(fake_machine_irq_level(f->fm, IRQ));
	assert_int_equal(read_data(f), 0xfe);
	assert_int_equal(status(f) & (FULL | AUX | TIMEOUT), 0);
	command(f, 0xa8);
	assert_int_equal(ask(f, 0x20) & 0x20, 0);
	command(f, 0xa7);
	assert_int_equal(ask(f, 0x20) & 0x20, 0x20);
}

static void test_reset_by_pulse(void **state)
{
	struct fixture *f = *state;

	/* Bits that are one are not pulsed. */
	command(f, 0xff);
	command(f, 0xfd);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
	command(f, 0xfe);
	assert_int_equal(fake_machine_request_count(f->fm), 1);
	assert_int_equal(f->fm->first_request, MACHINE_RESET);
	command(f, 0xf0);
	assert_int_equal(fake_machine_request_count(f->fm), 2);
}

static void test_output_port(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, 0xd0), 0x03);
	command(f, 0xdd);
	assert_int_equal(ask(f, 0xd0), 0x01);
	command(f, 0xdf);
	assert_int_equal(ask(f, 0xd0), 0x03);
	command(f, 0xd1);
	write_data(f, 0x01);
	assert_int_equal(ask(f, 0xd0), 0x01);
	assert_int_equal(fake_machine_request_count(f->fm), 0);
	command(f, 0xd1);
	write_data(f, 0x02);
	assert_int_equal(fake_machine_request_count(f->fm), 1);
	assert_int_equal(f->fm->first_request, MACHINE_RESET);
}

static void test_unread_answers(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10000; i++) {
		command(f, 0xaa);
		command(f, 0xab);
	}
	assert_int_equal(answer(f), 0x00);
	assert_no_answer(f);
}

static void test_all_commands_with_all_bytes(void **state)
{
	struct fixture *f = *state;

	for (unsigned c = 0; c < 256; c++)
		for (unsigned d = 0; d < 256; d++) {
			command(f, (uint8_t)c);
			write_data(f, (uint8_t)d);
			status(f);
			read_data(f);
		}
	assert_true(fake_machine_request_count(f->fm) > 0);
	/* Afterwards it still works. */
	assert_int_equal(ask(f, 0xaa), 0x55);
}

static void test_keyboard_flood(void **state)
{
	struct fixture *f = *state;
	int count = 0;

	for (int i = 0; i < 1000; i++)
		write_data(f, 0xf2);
	while (status(f) & FULL) {
		read_data(f);
		count++;
	}
	assert_in_range(count, 1, PS2_KEYBOARD_QUEUE + 1);
	write_data(f, 0xee);
	assert_int_equal(answer(f), 0xee);
}

static void test_device_reset(void **state)
{
	struct fixture *f = *state;

	command(f, 0x60);
	write_data(f, 0x00);
	write_data(f, 0xf2);
	command(f, 0xd1);
	device_reset(f->dev);
	test_power_on(state);
}

/* ---- The keyboard alone ---- */

static void expect_keyboard(struct ps2_keyboard *keyboard, const char *bytes, size_t len)
{
	uint8_t byte;

	for (size_t i = 0; i < len; i++) {
		assert_true(ps2_keyboard_read(keyboard, &byte));
		assert_int_equal(byte, (uint8_t)bytes[i]);
	}
	assert_false(ps2_keyboard_read(keyboard, &byte));
}

static void test_keyboard_commands(void **state)
{
	struct ps2_keyboard keyboard;
	static const struct {
		const char *in, *out;
		size_t out_len;
	} cases[] = {
		{"\xff", "\xfa\xaa", 2}, {"\xee", "\xee", 1}, {"\xfe", "\xee", 1}, /* resend */
		{"\xf0", "\xfa", 1}, {"\x03", "\xfa", 1}, {"\xf5", "\xfa", 1}, {"\xf4", "\xfa", 1},
		{"\xf6", "\xfa", 1}, {"\xf8", "\xfa", 1}, {"\xfb", "\xfa", 1}, {"\x1c", "\xfa", 1},
		{"\x1c", "\xfe", 1}, /* no command */
		{"\xef", "\xfe", 1}, {"\xed", "\xfa", 1},
		{"\xf2", "\xfa\xab\x83", 3}, /* a command where an argument was due */
	};

	(void)state;
	ps2_keyboard_init(&keyboard);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ps2_keyboard_write(&keyboard, (uint8_t)cases[i].in[0]);
		expect_keyboard(&keyboard, cases[i].out, cases[i].out_len);
	}
}

static void test_keyboard_scan_set(void **state)
{
	struct ps2_keyboard keyboard;

	(void)state;
	ps2_keyboard_init(&keyboard);
	ps2_keyboard_write(&keyboard, 0xf0);
	ps2_keyboard_write(&keyboard, 0x00);
	expect_keyboard(&keyboard, "\xfa\xfa\x02", 3);
	ps2_keyboard_write(&keyboard, 0xf0);
	ps2_keyboard_write(&keyboard, 0x01);
	ps2_keyboard_write(&keyboard, 0xf0);
	ps2_keyboard_write(&keyboard, 0x00);
	expect_keyboard(&keyboard, "\xfa\xfa\xfa\xfa\x01", 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(power_on),
		TEST(self_and_line_tests),
		TEST(controller_ram),
		TEST(probe_of_linux),
		TEST(interrupt_follows_the_buffer),
		TEST(keyboard_switched_off_keeps_its_bytes),
		TEST(without_translation_the_id_is_raw),
		TEST(no_auxiliary_port),
		TEST(reset_by_pulse),
		TEST(output_port),
		TEST(unread_answers),
		TEST(all_commands_with_all_bytes),
		TEST(keyboard_flood),
		TEST(device_reset),
		TEST(keyboard_commands),
		TEST(keyboard_scan_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
