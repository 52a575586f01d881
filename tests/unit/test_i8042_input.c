/*
 * The keyboard controller of a machine with a screen: keys and movements from the hub to the ports,
 * the auxiliary port, and guests that do not read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/input-event-codes.h>
#include <stdlib.h>

#include "devices/backend/input.h"
#include "tests/fake/fake_machine.h"

extern const struct device_class i8042_class;

enum {
	DATA = 0x60,
	COMMAND = 0x64,
	IRQ_KEYBOARD = 1,
	IRQ_AUX = 12,
	FULL = 0x01,
	AUX = 0x20,
	ACK = 0xfa,
	/* Both interrupts and ports on, with translation */
	CTR_ALL_ON = 0x47,
};

struct fixture {
	struct fake_machine *fm;
	struct input *input;
	struct device *dev;
};

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

static void set_ctr(struct fixture *f, uint8_t value)
{
	command(f, 0x60);
	write_data(f, value);
}

static void run(struct fixture *f)
{
	fake_machine_run_loop(f->fm);
}

/* The next byte, which is there and comes from that port. */
static uint8_t take(struct fixture *f, uint8_t port)
{
	uint8_t byte;

	assert_int_equal(status(f) & (FULL | AUX), FULL | port);
	byte = read_data(f);
	run(f);
	return byte;
}

static void expect_nothing(struct fixture *f)
{
	run(f);
	assert_int_equal(status(f) & FULL, 0);
}

static void tell_keyboard(struct fixture *f, uint8_t byte)
{
	write_data(f, byte);
	assert_int_equal(take(f, 0), ACK);
	run(f);
}

static void tell_mouse(struct fixture *f, uint8_t byte)
{
	command(f, 0xd4);
	write_data(f, byte);
	assert_int_equal(take(f, AUX), ACK);
	run(f);
}

static void key(struct fixture *f, unsigned code, bool down)
{
	input_key(f->input, code, down);
	run(f);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct device_args args = {.name = "i8042"};

	assert_non_null(f);
	log_set_level(LOG_ERROR);
	f->fm = fake_machine_create(1 * MIB);
	assert_int_equal(input_create(&f->input, f->fm->loop, NULL), 0);
	args.input = f->input;
	assert_int_equal(device_create(&f->dev, &i8042_class, &args, NULL), 0);
	assert_int_equal(device_realize(f->dev, &f->fm->platform, NULL), 0);
	set_ctr(f, CTR_ALL_ON);
	run(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(f->dev);
	input_destroy(f->input);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

/* ---- Keys ---- */

static void test_a_key(void **state)
{
	struct fixture *f = *state;
	uint64_t count = fake_machine_irq_count(f->fm, IRQ_KEYBOARD);

	key(f, KEY_A, true);
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ_KEYBOARD), count + 1);
	assert_int_equal(take(f, 0), 0x1e);
	expect_nothing(f);
	key(f, KEY_A, false);
	assert_int_equal(take(f, 0), 0x9e);
	key(f, KEY_RIGHTALT, true);
	assert_int_equal(take(f, 0), 0xe0);
	assert_int_equal(take(f, 0), 0x38);
	key(f, KEY_RIGHTALT, false);
	assert_int_equal(take(f, 0), 0xe0);
	assert_int_equal(take(f, 0), 0xb8);
	/* An interrupt for each byte */
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ_KEYBOARD), count + 6);
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ_AUX), 0);
}

static void test_without_translation(void **state)
{
	struct fixture *f = *state;

	set_ctr(f, CTR_ALL_ON & ~0x40);
	key(f, KEY_A, true);
	key(f, KEY_A, false);
	assert_int_equal(take(f, 0), 0x1c);
	assert_int_equal(take(f, 0), 0xf0);
	assert_int_equal(take(f, 0), 0x1c);
}

static void test_pause(void **state)
{
	static const uint8_t bytes[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5};
	struct fixture *f = *state;

	key(f, KEY_PAUSE, true);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		assert_int_equal(take(f, 0), bytes[i]);
	key(f, KEY_PAUSE, false);
	expect_nothing(f);
}

static void test_keyboard_off_keeps_keys(void **state)
{
	struct fixture *f = *state;

	tell_keyboard(f, 0xf4);
	command(f, 0xad);
	key(f, KEY_A, true);
	expect_nothing(f);
	command(f, 0xae);
	assert_int_equal(take(f, 0), 0x1e);
}

static void test_lamps(void **state)
{
	struct fixture *f = *state;

	tell_keyboard(f, 0xed);
	tell_keyboard(f, 0x06);
	assert_int_equal(input_leds(f->input), 1 << LED_NUML | 1 << LED_CAPSL);
	tell_keyboard(f, 0xed);
	tell_keyboard(f, 0xe9 & 0x01);
	assert_int_equal(input_leds(f->input), 1 << LED_SCROLLL);
	device_reset(f->dev);
	run(f);
	assert_int_equal(input_leds(f->input), 0);
}

static void test_an_answer_puts_a_key_back(void **state)
{
	struct fixture *f = *state;

	key(f, KEY_RIGHTALT, true);
	assert_int_equal(take(f, 0), 0xe0);
	/* The second byte waits when the controller is asked something, twice. */
	command(f, 0x20);
	command(f, 0xaa);
	assert_int_equal(take(f, 0), 0x55);
	assert_int_equal(take(f, 0), 0x38);
	expect_nothing(f);
	for (unsigned i = 0; i < 10000; i++) {
		key(f, KEY_A, i & 1);
		command(f, 0xaa);
	}
	assert_int_equal(take(f, 0), 0x55);
}

/* One is put back for each: a half of what a key says would be another key. */
static void test_answers_put_a_key_and_a_movement_back(void **state)
{
	struct fixture *f = *state;

	tell_mouse(f, 0xf4);
	key(f, KEY_RIGHTALT, true);
	command(f, 0xad);
	command(f, 0xaa);
	assert_int_equal(take(f, 0), 0x55);
	input_move(f->input, 1, 0);
	run(f);
	command(f, 0xaa);
	assert_int_equal(take(f, 0), 0x55);
	assert_int_equal(take(f, AUX), 0x08);
	assert_int_equal(take(f, AUX), 1);
	assert_int_equal(take(f, AUX), 0);
	expect_nothing(f);
	command(f, 0xae);
	assert_int_equal(take(f, 0), 0xe0);
	assert_int_equal(take(f, 0), 0x38);
	expect_nothing(f);
}

/* ---- The auxiliary port ---- */

static void test_probe_of_linux(void **state)
{
	struct fixture *f = *state;
	uint64_t count;

	command(f, 0xd3);
	write_data(f, 0x5a);
	assert_int_equal(take(f, AUX), 0x5a);
	command(f, 0xa9);
	assert_int_equal(take(f, 0), 0x00);
	command(f, 0xa7);
	command(f, 0x20);
	assert_int_equal(take(f, 0) & 0x20, 0x20);
	command(f, 0xa8);
	command(f, 0x20);
	assert_int_equal(take(f, 0) & 0x20, 0);
	/* The loop interrupts as the mouse does. */
	count = fake_machine_irq_count(f->fm, IRQ_AUX);
	command(f, 0xd3);
	write_data(f, 0xa5);
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ_AUX), count + 1);
	assert_int_equal(take(f, AUX), 0xa5);
	command(f, 0xd4);
	write_data(f, 0xff);
	assert_int_equal(take(f, AUX), ACK);
	assert_int_equal(take(f, AUX), 0xaa);
	assert_int_equal(take(f, AUX), 0x00);
	expect_nothing(f);
}

static void test_acpi_knows_the_mouse(void **state)
{
	struct fixture *f = *state;
	const struct device_res *res = device_find_res(f->dev, DEVICE_RES_IRQ, 1);

	assert_non_null(res);
	assert_int_equal(res->base, IRQ_AUX);
	assert_string_equal(res->acpi_hid, "PNP0F13");
	assert_null(device_find_res(f->dev, DEVICE_RES_IRQ, 0)->acpi_hid);
}

static void test_mouse(void **state)
{
	static const uint8_t rates[] = {200, 100, 80, 200, 200, 80, 200, 80, 40};
	struct fixture *f = *state;
	uint64_t count;

	/* Nobody listens: nothing is kept. */
	input_move(f->input, 1, 1);
	expect_nothing(f);
	for (unsigned i = 0; i < sizeof(rates); i++) {
		tell_mouse(f, 0xf3);
		tell_mouse(f, rates[i]);
	}
	tell_mouse(f, 0xf4);
	count = fake_machine_irq_count(f->fm, IRQ_AUX);
	input_move(f->input, 5, -6);
	run(f);
	assert_int_equal(take(f, AUX), 0x08);
	assert_int_equal(take(f, AUX), 5);
	assert_int_equal(take(f, AUX), 6);
	assert_int_equal(take(f, AUX), 0);
	assert_int_equal(fake_machine_irq_count(f->fm, IRQ_AUX), count + 4);
	key(f, BTN_EXTRA, true);
	assert_int_equal(take(f, AUX), 0x08);
	assert_int_equal(take(f, AUX), 0);
	assert_int_equal(take(f, AUX), 0);
	assert_int_equal(take(f, AUX), 0x20);
	/* Up is negative; half a notch is none yet. */
	input_wheel(f->input, INPUT_NOTCH, 0);
	run(f);
	for (unsigned i = 0; i < 3; i++)
		take(f, AUX);
	assert_int_equal(take(f, AUX), 0x2f);
	input_wheel(f->input, 0, INPUT_NOTCH / 2);
	expect_nothing(f);
	input_wheel(f->input, 0, INPUT_NOTCH / 2);
	run(f);
	for (unsigned i = 0; i < 3; i++)
		take(f, AUX);
	assert_int_equal(take(f, AUX), 0x7f);
	input_release_all(f->input);
	run(f);
	for (unsigned i = 0; i < 3; i++)
		take(f, AUX);
	assert_int_equal(take(f, AUX), 0);
	expect_nothing(f);
}

static void test_keys_and_movements_together(void **state)
{
	struct fixture *f = *state;
	unsigned keys = 0, bytes = 0;

	tell_mouse(f, 0xf4);
	tell_keyboard(f, 0xf4);
	for (unsigned i = 0; i < 60; i++) {
		input_key(f->input, KEY_A + i / 2 % 10, i % 2 == 0);
		input_move(f->input, 1, 0);
	}
	run(f);
	while (status(f) & FULL) {
		if (status(f) & AUX)
			bytes++;
		else
			keys++;
		read_data(f);
		run(f);
	}
	assert_int_equal(keys, 60);
	assert_int_equal(bytes % 3, 0);
	assert_int_equal(input_dropped(f->input), 0);
}

/* ---- Guests that do as they like ---- */

static void test_a_guest_that_never_reads(void **state)
{
	struct fixture *f = *state;
	bool down[128] = {false};

	/* With and without a driver that has begun. */
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 100000; i++) {
			input_key(f->input, KEY_A + i % 9, i % 3);
			input_move(f->input, 3, 3);
			input_key(f->input, BTN_LEFT, i & 1);
			if (i % 512 == 0)
				run(f);
		}
		input_release_all(f->input);
		run(f);
		while (status(f) & FULL) {
			bool is_key = !(status(f) & AUX);
			uint8_t byte = read_data(f);

			if (is_key && byte != 0xff)
				down[byte & 0x7f] = !(byte & 0x80);
			run(f);
		}
		for (unsigned i = 0; i < 128; i++)
			assert_false(down[i]);
		tell_keyboard(f, 0xf4);
		tell_mouse(f, 0xf4);
	}
	key(f, KEY_Z, true);
	assert_int_equal(take(f, 0), 0x2c);
}

static void test_device_reset(void **state)
{
	struct fixture *f = *state;

	tell_mouse(f, 0xf4);
	key(f, KEY_A, true);
	input_move(f->input, 1, 1);
	run(f);
	device_reset(f->dev);
	run(f);
	assert_int_equal(status(f) & FULL, 0);
	assert_false(fake_machine_irq_level(f->fm, IRQ_KEYBOARD));
	assert_false(fake_machine_irq_level(f->fm, IRQ_AUX));
	/* The release of before is nobody's, and what comes is whole. */
	key(f, KEY_A, false);
	expect_nothing(f);
	key(f, KEY_A, true);
	assert_int_equal(take(f, 0), 0x1e);
	expect_nothing(f);
}

static void test_all_commands_with_all_bytes(void **state)
{
	struct fixture *f = *state;

	for (unsigned c = 0; c < 256; c++)
		for (unsigned d = 0; d < 256; d++) {
			command(f, (uint8_t)c);
			write_data(f, (uint8_t)d);
			input_key(f->input, d, c & 1);
			input_move(f->input, (int)d, (int)c);
			if (d % 16 == 0)
				run(f);
			if (d % 5)
				read_data(f);
		}
	input_release_all(f->input);
	device_reset(f->dev);
	run(f);
	/* What had waited in the hub */
	while (status(f) & FULL) {
		read_data(f);
		run(f);
	}
	key(f, KEY_Q, true);
	assert_int_equal(take(f, 0), 0x10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_key),
		TEST(without_translation),
		TEST(pause),
		TEST(keyboard_off_keeps_keys),
		TEST(lamps),
		TEST(an_answer_puts_a_key_back),
		TEST(answers_put_a_key_and_a_movement_back),
		TEST(probe_of_linux),
		TEST(acpi_knows_the_mouse),
		TEST(mouse),
		TEST(keys_and_movements_together),
		TEST(a_guest_that_never_reads),
		TEST(device_reset),
		TEST(all_commands_with_all_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
