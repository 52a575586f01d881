/*
 * The virtio keyboard and tablet through their registers and rings, with the hub that feeds them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/input-event-codes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_input.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>

#include "devices/backend/input.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_virtio_driver.h"
#include "vmm/base/util.h"

extern const struct device_class virtio_keyboard_class, virtio_tablet_class;

#define RAM_BYTES (1 * MIB)

enum {
	EVENTS,
	STATUS,
	QUEUES,
	QUEUE_SIZE = 64,
	EVENT_BYTES = sizeof(struct virtio_input_event),
	ID_INPUT = 18,
	KEYBOARD = 0,
	TABLET = 1,
	DEVICES,
	HEAP_BYTES = 0x40000,
};

struct fixture {
	struct fake_machine *fm;
	struct input *input;
	struct device *devices[DEVICES];
	struct fake_driver drivers[DEVICES];
	gpa_t buffers[DEVICES][QUEUE_SIZE]; /* by head */
};

static void add_buffer(struct fixture *f, unsigned i)
{
	struct fake_driver *driver = &f->drivers[i];
	gpa_t gpa = fake_driver_alloc(driver, EVENT_BYTES, 8);
	const struct fake_buffer buffer = {gpa, EVENT_BYTES, true};

	f->buffers[i][fake_vq_add(driver, EVENTS, &buffer, 1, 0)] = gpa;
}

static void add_buffers(struct fixture *f, unsigned i, unsigned count)
{
	while (count--)
		add_buffer(f, i);
	fake_driver_kick(&f->drivers[i], EVENTS);
	fake_machine_run_loop(f->fm);
}

static void bring_up(struct fixture *f, unsigned i)
{
	fake_driver_init(&f->drivers[i], f->fm, f->devices[i], 4096 + i * HEAP_BYTES, HEAP_BYTES);
	fake_driver_bring_up(&f->drivers[i], ~UINT64_C(0), QUEUES, QUEUE_SIZE);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	log_set_level(LOG_ERROR);
	f->fm = fake_machine_create(RAM_BYTES);
	f->fm->plays_doorbells = true;
	assert_int_equal(input_create(&f->input, f->fm->loop, NULL), 0);
	for (unsigned i = 0; i < DEVICES; i++) {
		const struct device_args args = {
			.name = i ? "tablet" : "keyboard", .input = f->input};

		assert_int_equal(
			device_create(&f->devices[i],
				i ? &virtio_tablet_class : &virtio_keyboard_class, &args, NULL),
			0);
		assert_int_equal(device_realize(f->devices[i], &f->fm->platform, NULL), 0);
		bring_up(f, i);
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < DEVICES; i++)
		device_destroy(f->devices[i]);
	input_destroy(f->input);
	fake_machine_destroy(f->fm);
	free(f);
	return 0;
}

/* Takes the next event and gives its buffer back as Linux does; false: there is none. */
static bool take_event(struct fixture *f, unsigned i, struct virtio_input_event *event)
{
	unsigned head;
	uint32_t len;

	if (!fake_vq_take(&f->drivers[i], EVENTS, &head, &len))
		return false;
	assert_int_equal(len, EVENT_BYTES);
	memcpy(event, fake_driver_host(&f->drivers[i], f->buffers[i][head], EVENT_BYTES),
		EVENT_BYTES);
	return true;
}

static void expect_event(struct fixture *f, unsigned i, unsigned type, unsigned code, int32_t value)
{
	struct virtio_input_event event;

	assert_true(take_event(f, i, &event));
	assert_int_equal(event.type, type);
	assert_int_equal(event.code, code);
	assert_int_equal((int32_t)event.value, value);
}

static void expect_end(struct fixture *f, unsigned i)
{
	expect_event(f, i, EV_SYN, SYN_REPORT, 0);
	assert_int_equal(fake_vq_used_count(&f->drivers[i].queues[EVENTS]), 0);
}

static void expect_key(struct fixture *f, unsigned i, unsigned code, bool down)
{
	fake_machine_run_loop(f->fm);
	expect_event(f, i, EV_KEY, code, down);
	expect_end(f, i);
}

static void expect_nothing(struct fixture *f, unsigned i)
{
	fake_machine_run_loop(f->fm);
	assert_int_equal(fake_vq_used_count(&f->drivers[i].queues[EVENTS]), 0);
}

static uint64_t errors(struct fixture *f, unsigned i)
{
	return f->devices[i]->guest_errors.total;
}

/* ---- Configuration ---- */

static uint64_t config_at(struct fixture *f, unsigned i, size_t offset)
{
	return f->drivers[i].base + VIRTIO_MMIO_CONFIG + offset;
}

static void write_config(struct fixture *f, unsigned i, size_t offset, uint8_t value)
{
	fake_machine_mmio_write(f->fm, config_at(f, i, offset), 1, value);
}

/* Selects, as Linux does, and returns the size of the answer. */
static unsigned select_config(
	struct fixture *f, unsigned i, uint8_t select, uint8_t subsel, uint8_t *answer)
{
	write_config(f, i, offsetof(struct virtio_input_config, select), select);
	write_config(f, i, offsetof(struct virtio_input_config, subsel), subsel);
	for (size_t byte = 0; byte < 128; byte++)
		answer[byte] = (uint8_t)fake_machine_mmio_read(
			f->fm, config_at(f, i, offsetof(struct virtio_input_config, u) + byte), 1);
	return (uint8_t)fake_machine_mmio_read(
		f->fm, config_at(f, i, offsetof(struct virtio_input_config, size)), 1);
}

static bool has_bit(struct fixture *f, unsigned i, uint8_t type, unsigned bit)
{
	uint8_t answer[128];
	unsigned size = select_config(f, i, VIRTIO_INPUT_CFG_EV_BITS, type, answer);

	assert_in_range(size, 0, sizeof(answer));
	return bit / 8 < size && answer[bit / 8] >> bit % 8 & 1;
}

static void test_names_and_ids(void **state)
{
	struct fixture *f = *state;
	struct virtio_input_devids ids[DEVICES];
	uint8_t answer[128];

	for (unsigned i = 0; i < DEVICES; i++) {
		const char *name = i ? "vmm tablet" : "vmm keyboard";

		assert_int_equal(fake_driver_read(&f->drivers[i], VIRTIO_MMIO_DEVICE_ID), ID_INPUT);
		assert_int_equal(
			select_config(f, i, VIRTIO_INPUT_CFG_ID_NAME, 0, answer), strlen(name));
		assert_memory_equal(answer, name, strlen(name));
		assert_int_equal(select_config(f, i, VIRTIO_INPUT_CFG_ID_SERIAL, 0, answer),
			strlen(f->devices[i]->name));
		assert_int_equal(
			select_config(f, i, VIRTIO_INPUT_CFG_ID_DEVIDS, 0, answer), sizeof(ids[i]));
		memcpy(&ids[i], answer, sizeof(ids[i]));
		assert_int_equal(ids[i].bustype, 6);
		/* Neither touch screen nor touch pad. */
		assert_int_equal(select_config(f, i, VIRTIO_INPUT_CFG_PROP_BITS, 0, answer), 0);
	}
	assert_int_not_equal(ids[KEYBOARD].product, ids[TABLET].product);
}

static void test_keyboard_capabilities(void **state)
{
	struct fixture *f = *state;
	uint8_t answer[128];

	assert_false(has_bit(f, KEYBOARD, EV_KEY, KEY_RESERVED));
	for (unsigned code = KEY_ESC; code <= KEY_MICMUTE; code++)
		assert_true(has_bit(f, KEYBOARD, EV_KEY, code));
	assert_false(has_bit(f, KEYBOARD, EV_KEY, BTN_LEFT));
	assert_true(has_bit(f, KEYBOARD, EV_LED, LED_NUML));
	assert_true(has_bit(f, KEYBOARD, EV_LED, LED_CAPSL));
	assert_true(has_bit(f, KEYBOARD, EV_LED, LED_SCROLLL));
	assert_false(has_bit(f, KEYBOARD, EV_LED, LED_COMPOSE));
	/* Linux asks only whether there is an answer. */
	assert_true(select_config(f, KEYBOARD, VIRTIO_INPUT_CFG_EV_BITS, EV_REP, answer) > 0);
	assert_int_equal(select_config(f, KEYBOARD, VIRTIO_INPUT_CFG_EV_BITS, EV_ABS, answer), 0);
	assert_int_equal(select_config(f, KEYBOARD, VIRTIO_INPUT_CFG_EV_BITS, EV_REL, answer), 0);
	assert_int_equal(select_config(f, KEYBOARD, VIRTIO_INPUT_CFG_ABS_INFO, ABS_X, answer), 0);
}

static void test_tablet_capabilities(void **state)
{
	struct fixture *f = *state;
	struct virtio_input_absinfo info;
	uint8_t answer[128];

	for (unsigned axis = ABS_X; axis <= ABS_Y; axis++) {
		assert_true(has_bit(f, TABLET, EV_ABS, axis));
		assert_int_equal(
			select_config(f, TABLET, VIRTIO_INPUT_CFG_ABS_INFO, (uint8_t)axis, answer),
			sizeof(info));
		memcpy(&info, answer, sizeof(info));
		assert_int_equal(info.min, 0);
		assert_int_equal(info.max, INPUT_ABS_MAX);
		assert_int_equal(info.fuzz | info.flat | info.res, 0);
	}
	assert_false(has_bit(f, TABLET, EV_ABS, ABS_Z));
	for (unsigned code = BTN_LEFT; code <= BTN_EXTRA; code++)
		assert_true(has_bit(f, TABLET, EV_KEY, code));
	assert_false(has_bit(f, TABLET, EV_KEY, BTN_TOUCH));
	assert_false(has_bit(f, TABLET, EV_KEY, KEY_A));
	assert_true(has_bit(f, TABLET, EV_REL, REL_WHEEL));
	assert_true(has_bit(f, TABLET, EV_REL, REL_WHEEL_HI_RES));
	assert_true(has_bit(f, TABLET, EV_REL, REL_HWHEEL));
	assert_true(has_bit(f, TABLET, EV_REL, REL_HWHEEL_HI_RES));
	assert_false(has_bit(f, TABLET, EV_REL, REL_X));
	assert_int_equal(select_config(f, TABLET, VIRTIO_INPUT_CFG_EV_BITS, EV_LED, answer), 0);
}

static void test_unknown_selects_are_empty(void **state)
{
	struct fixture *f = *state;
	uint8_t answer[128], zeroes[128] = {0};

	for (unsigned i = 0; i < DEVICES; i++) {
		unsigned known = 0;

		for (unsigned select = 0; select < 256; select++)
			for (unsigned subsel = 0; subsel < 256; subsel++) {
				unsigned size = select_config(
					f, i, (uint8_t)select, (uint8_t)subsel, answer);

				assert_in_range(size, 0, sizeof(answer));
				/* Behind the answer nothing is left of the one before. */
				assert_memory_equal(answer + size, zeroes, sizeof(answer) - size);
				known += size != 0;
			}
		/* Names and numbers, bits of three types, and two axes */
		assert_int_equal(known, i ? 8 : 6);
		assert_int_equal(errors(f, i), 0);
	}
}

static void test_configuration_is_not_the_drivers(void **state)
{
	struct fixture *f = *state;
	uint8_t answer[128];
	uint64_t wrong = 0;

	select_config(f, TABLET, VIRTIO_INPUT_CFG_ID_NAME, 0, answer);
	for (size_t byte = 2; byte < sizeof(struct virtio_input_config); byte++) {
		write_config(f, TABLET, byte, 0xff);
		wrong++;
	}
	fake_machine_mmio_write(f->fm, config_at(f, TABLET, 0), 4, UINT32_MAX);
	assert_int_equal(errors(f, TABLET), wrong + 1);
	assert_int_equal(
		fake_machine_mmio_read(
			f->fm, config_at(f, TABLET, offsetof(struct virtio_input_config, size)), 1),
		strlen("vmm tablet"));
	/* Both selectors at once are fine. */
	fake_machine_mmio_write(f->fm, config_at(f, TABLET, 0), 2, VIRTIO_INPUT_CFG_ID_DEVIDS);
	assert_int_equal(
		fake_machine_mmio_read(
			f->fm, config_at(f, TABLET, offsetof(struct virtio_input_config, size)), 1),
		sizeof(struct virtio_input_devids));
	device_reset(f->devices[TABLET]);
	assert_int_equal(
		fake_machine_mmio_read(
			f->fm, config_at(f, TABLET, offsetof(struct virtio_input_config, size)), 1),
		0);
}

/* ---- Events ---- */

static void test_every_key(void **state)
{
	struct fixture *f = *state;

	add_buffers(f, KEYBOARD, QUEUE_SIZE);
	for (unsigned code = KEY_ESC; code <= KEY_MICMUTE; code++)
		for (int down = 1; down >= 0; down--) {
			input_key(f->input, code, down);
			expect_key(f, KEYBOARD, code, down);
			add_buffers(f, KEYBOARD, 2);
		}
	/* What was not announced is not sent. */
	input_key(f->input, KEY_MICMUTE + 1, true);
	input_key(f->input, KEY_OK, true);
	expect_nothing(f, KEYBOARD);
	assert_int_equal(errors(f, KEYBOARD), 0);
}

static void test_pointer(void **state)
{
	struct fixture *f = *state;

	add_buffers(f, TABLET, QUEUE_SIZE);
	assert_true(input_takes_positions(f->input));
	input_point(f->input, 1279, 0, 1280, 800);
	fake_machine_run_loop(f->fm);
	expect_event(f, TABLET, EV_ABS, ABS_X, INPUT_ABS_MAX);
	expect_event(f, TABLET, EV_ABS, ABS_Y, 0);
	expect_end(f, TABLET);
	for (unsigned code = BTN_LEFT; code <= BTN_EXTRA; code++) {
		input_key(f->input, code, true);
		expect_key(f, TABLET, code, true);
	}
	input_key(f->input, BTN_TASK, true);
	expect_nothing(f, TABLET);
	assert_true(fake_machine_irq_count(f->fm, f->drivers[TABLET].gsi) > 0);
}

static void test_wheel(void **state)
{
	struct fixture *f = *state;

	add_buffers(f, TABLET, QUEUE_SIZE);
	input_wheel(f->input, INPUT_NOTCH, 0);
	fake_machine_run_loop(f->fm);
	expect_event(f, TABLET, EV_REL, REL_WHEEL, 1);
	expect_event(f, TABLET, EV_REL, REL_WHEEL_HI_RES, 120);
	expect_end(f, TABLET);
	input_wheel(f->input, -2 * INPUT_NOTCH, 3 * INPUT_NOTCH);
	fake_machine_run_loop(f->fm);
	expect_event(f, TABLET, EV_REL, REL_WHEEL, -2);
	expect_event(f, TABLET, EV_REL, REL_WHEEL_HI_RES, -240);
	expect_event(f, TABLET, EV_REL, REL_HWHEEL, 3);
	expect_event(f, TABLET, EV_REL, REL_HWHEEL_HI_RES, 360);
	expect_end(f, TABLET);
	/* Four quarters make a notch. */
	for (int i = 1; i <= 4; i++) {
		input_wheel(f->input, 0, -30);
		fake_machine_run_loop(f->fm);
		if (i == 4)
			expect_event(f, TABLET, EV_REL, REL_HWHEEL, -1);
		expect_event(f, TABLET, EV_REL, REL_HWHEEL_HI_RES, -30);
		expect_end(f, TABLET);
	}
	input_wheel(f->input, INT32_MIN, INT32_MAX);
	fake_machine_run_loop(f->fm);
	expect_event(f, TABLET, EV_REL, REL_WHEEL, INT32_MIN / 120);
	expect_event(f, TABLET, EV_REL, REL_WHEEL_HI_RES, INT32_MIN);
	expect_event(f, TABLET, EV_REL, REL_HWHEEL, INT32_MAX / 120);
	expect_event(f, TABLET, EV_REL, REL_HWHEEL_HI_RES, INT32_MAX);
	expect_end(f, TABLET);
}

static void test_waits_for_buffers(void **state)
{
	struct fixture *f = *state;

	/* Without a single buffer, with one too few, then with enough. */
	input_point(f->input, 1, 2, 3, 3);
	expect_nothing(f, TABLET);
	add_buffers(f, TABLET, 2);
	expect_nothing(f, TABLET);
	input_key(f->input, BTN_LEFT, true);
	input_key(f->input, BTN_LEFT, false);
	expect_nothing(f, TABLET);
	add_buffers(f, TABLET, 1);
	expect_event(f, TABLET, EV_ABS, ABS_X, (INPUT_ABS_MAX + 1) / 2);
	expect_event(f, TABLET, EV_ABS, ABS_Y, INPUT_ABS_MAX);
	expect_end(f, TABLET);
	add_buffers(f, TABLET, 3);
	expect_key(f, TABLET, BTN_LEFT, true);
	add_buffers(f, TABLET, 1);
	expect_key(f, TABLET, BTN_LEFT, false);
	assert_int_equal(input_dropped(f->input), 0);
	assert_int_equal(errors(f, TABLET), 0);
}

static void test_a_guest_that_never_reads(void **state)
{
	struct fixture *f = *state;
	struct virtio_input_event event;
	int down = 0;

	add_buffers(f, KEYBOARD, 4);
	for (unsigned i = 0; i < 100000; i++) {
		input_key(f->input, KEY_A + i % 9, true);
		input_key(f->input, KEY_A + i % 9, false);
		if (i % 1000 == 0)
			fake_machine_run_loop(f->fm);
	}
	assert_true(input_dropped(f->input) > 90000);
	/* It wakes: whatever it was told to be down goes up. */
	for (;;) {
		fake_machine_run_loop(f->fm);
		if (!take_event(f, KEYBOARD, &event))
			break;
		if (event.type == EV_KEY)
			down += event.value ? 1 : -1;
		add_buffers(f, KEYBOARD, 1);
	}
	assert_int_equal(down, 0);
	add_buffers(f, KEYBOARD, 2);
	input_key(f->input, KEY_Z, true);
	expect_key(f, KEYBOARD, KEY_Z, true);
}

static void test_short_buffers(void **state)
{
	struct fixture *f = *state;
	struct fake_driver *driver = &f->drivers[KEYBOARD];
	gpa_t gpa = fake_driver_alloc(driver, 64, 8);
	const struct fake_buffer wrong[] = {{gpa, 7, true}, {gpa, 64, false}};
	const struct fake_buffer mixed[] = {{gpa, 8, false}, {gpa + 8, 8, true}};
	unsigned head;
	uint32_t len;

	for (unsigned i = 0; i < 2; i++)
		fake_vq_add(driver, EVENTS, &wrong[i], 1, 0);
	fake_vq_add(driver, EVENTS, mixed, 2, 0);
	fake_driver_kick(driver, EVENTS);
	input_key(f->input, KEY_A, true);
	fake_machine_run_loop(f->fm);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(fake_vq_take(driver, EVENTS, &head, &len));
		assert_int_equal(len, 0);
	}
	assert_int_equal(errors(f, KEYBOARD), 3);
	add_buffers(f, KEYBOARD, 2);
	expect_key(f, KEYBOARD, KEY_A, true);
}

static void test_scattered_buffer(void **state)
{
	struct fixture *f = *state;
	struct fake_driver *driver = &f->drivers[KEYBOARD];
	gpa_t gpa = fake_driver_alloc(driver, 128, 8);
	const struct fake_buffer pieces[] = {
		{gpa, 1, true}, {gpa + 16, 2, true}, {gpa + 32, 5, true}};
	const struct fake_buffer second = {gpa + 64, 64, true};
	unsigned head;
	uint32_t len;

	fake_vq_add(driver, EVENTS, pieces, 3, 0);
	fake_vq_add(driver, EVENTS, &second, 1, 0);
	fake_driver_kick(driver, EVENTS);
	input_key(f->input, KEY_B, true);
	fake_machine_run_loop(f->fm);
	assert_true(fake_vq_take(driver, EVENTS, &head, &len));
	assert_int_equal(len, EVENT_BYTES);
	assert_int_equal(*(uint8_t *)fake_driver_host(driver, gpa, 1), EV_KEY);
	assert_int_equal(*(uint8_t *)fake_driver_host(driver, gpa + 17, 1), KEY_B);
	assert_int_equal(*(uint8_t *)fake_driver_host(driver, gpa + 33, 1), 1);
	assert_true(fake_vq_take(driver, EVENTS, &head, &len));
	assert_int_equal(len, EVENT_BYTES);
}

static void test_reset_while_a_group_waits(void **state)
{
	struct fixture *f = *state;

	add_buffers(f, TABLET, 2);
	input_point(f->input, 1, 1, 3, 3);
	input_key(f->input, BTN_LEFT, true);
	expect_nothing(f, TABLET);
	fake_driver_write(&f->drivers[TABLET], VIRTIO_MMIO_STATUS, 0);
	fake_machine_run_loop(f->fm);
	assert_false(input_takes_positions(f->input));
	/* A driver that comes later knows nothing of that. */
	bring_up(f, TABLET);
	add_buffers(f, TABLET, QUEUE_SIZE);
	assert_true(input_takes_positions(f->input));
	expect_nothing(f, TABLET);
	input_key(f->input, BTN_LEFT, false);
	expect_nothing(f, TABLET);
	input_key(f->input, BTN_LEFT, true);
	expect_key(f, TABLET, BTN_LEFT, true);
}

static void test_broken_ring(void **state)
{
	struct fixture *f = *state;

	fake_vq_publish(&f->drivers[KEYBOARD].queues[EVENTS], QUEUE_SIZE + 1);
	input_key(f->input, KEY_A, true);
	fake_machine_run_loop(f->fm);
	assert_true(fake_driver_read(&f->drivers[KEYBOARD], VIRTIO_MMIO_STATUS) &
		VIRTIO_CONFIG_S_NEEDS_RESET);
	input_key(f->input, KEY_A, false);
	fake_machine_run_loop(f->fm);
	bring_up(f, KEYBOARD);
	add_buffers(f, KEYBOARD, 2);
	input_key(f->input, KEY_A, true);
	expect_key(f, KEYBOARD, KEY_A, true);
}

/* ---- Lamps ---- */

static void send_status(struct fixture *f, unsigned i, unsigned type, unsigned code, uint32_t value)
{
	struct fake_driver *driver = &f->drivers[i];
	const struct fake_buffer buffer = {fake_driver_alloc(driver, 8, 8), 8, false};
	struct virtio_input_event event = {(uint16_t)type, (uint16_t)code, value};
	unsigned head;
	uint32_t len;

	memcpy(fake_driver_host(driver, buffer.gpa, 8), &event, 8);
	fake_vq_add(driver, STATUS, &buffer, 1, 0);
	fake_driver_kick(driver, STATUS);
	assert_true(fake_driver_wait_used(driver, STATUS, 1));
	assert_true(fake_vq_take(driver, STATUS, &head, &len));
	assert_int_equal(len, 0);
	fake_machine_run_loop(f->fm);
}

static void test_lamps(void **state)
{
	struct fixture *f = *state;

	send_status(f, KEYBOARD, EV_LED, LED_NUML, 1);
	send_status(f, KEYBOARD, EV_LED, LED_SCROLLL, 1);
	assert_int_equal(input_leds(f->input), 1 << LED_NUML | 1 << LED_SCROLLL);
	send_status(f, KEYBOARD, EV_LED, LED_NUML, 0);
	assert_int_equal(input_leds(f->input), 1 << LED_SCROLLL);
	device_reset(f->devices[KEYBOARD]);
	fake_machine_run_loop(f->fm);
	assert_int_equal(input_leds(f->input), 0);
	bring_up(f, KEYBOARD);
	fake_machine_run_loop(f->fm);
	assert_int_equal(input_leds(f->input), 0);
}

static void test_odd_status_requests(void **state)
{
	struct fixture *f = *state;
	struct fake_driver *driver = &f->drivers[KEYBOARD];
	const struct fake_buffer odd[] = {{0x1000, 7, false}, {0x1000, 8, true}};
	unsigned head;
	uint32_t len;

	send_status(f, KEYBOARD, EV_LED, LED_COMPOSE, 1);
	send_status(f, KEYBOARD, EV_LED, 0xffff, 1);
	send_status(f, KEYBOARD, EV_SND, SND_BELL, 1);
	send_status(f, KEYBOARD, EV_REP, REP_DELAY, 250);
	send_status(f, KEYBOARD, 0xffff, LED_NUML, 1);
	send_status(f, TABLET, EV_LED, LED_NUML, 1);
	assert_int_equal(input_leds(f->input), 0);
	assert_int_equal(errors(f, KEYBOARD), 0);
	for (unsigned i = 0; i < 2; i++) {
		fake_vq_add(driver, STATUS, &odd[i], 1, 0);
		fake_driver_kick(driver, STATUS);
		assert_true(fake_driver_wait_used(driver, STATUS, 1));
		assert_true(fake_vq_take(driver, STATUS, &head, &len));
	}
	assert_int_equal(errors(f, KEYBOARD), 2);
	send_status(f, KEYBOARD, EV_LED, LED_CAPSL, UINT32_MAX);
	assert_int_equal(input_leds(f->input), 1 << LED_CAPSL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_and_ids),
		TEST(keyboard_capabilities),
		TEST(tablet_capabilities),
		TEST(unknown_selects_are_empty),
		TEST(configuration_is_not_the_drivers),
		TEST(every_key),
		TEST(pointer),
		TEST(wheel),
		TEST(waits_for_buffers),
		TEST(a_guest_that_never_reads),
		TEST(short_buffers),
		TEST(scattered_buffer),
		TEST(reset_while_a_group_waits),
		TEST(broken_ring),
		TEST(lamps),
		TEST(odd_status_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
