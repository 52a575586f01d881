/*
 * The keyboard controller of a machine with a screen: port accesses, keys, movements and resets in
 * any order. Whatever happened before, after a reset a key is told of, whole and alone.
 */
#include <linux/input-event-codes.h>

#include "devices/backend/input.h"
#include "tests/fake/fake_machine.h"
#include "tests/fuzz/fuzz_input.h"

enum {
	OPERATIONS_MAX = 2000,
	DATA = 0x60,
	COMMAND = 0x64,
	FULL = 0x01,
	/* No more bytes than these can wait anywhere for a guest that reads. */
	WAITING_MAX = 8192,
};

extern const struct device_class i8042_class;

static struct fake_machine *fm;
static struct input *input;
static struct device *dev;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_machine(void)
{
	struct device_args args = {.name = "i8042"};
	int ret;

	log_set_level(LOG_ERROR);
	fm = fake_machine_create(64 * KIB);
	ret = input_create(&input, fm->loop, NULL);
	ASSERT(ret == 0);
	args.input = input;
	ret = device_create(&dev, &i8042_class, &args, NULL);
	ASSERT(ret == 0);
	ret = device_realize(dev, &fm->platform, NULL);
	ASSERT(ret == 0);
}

static void act(struct fuzz_input *bytes)
{
	unsigned kind = (unsigned)fuzz_take(bytes, 1), code = (unsigned)fuzz_take(bytes, 2);

	switch (kind % 6) {
	case 0:
		input_key(input, code % KEY_CNT, kind & 0x80);
		break;
	case 1:
		input_key(input, BTN_LEFT + code % 8, kind & 0x80);
		break;
	case 2:
		input_move(input, (int16_t)code, (int32_t)fuzz_take(bytes, 4));
		break;
	case 3:
		input_wheel(input, (int16_t)code, (int32_t)fuzz_take(bytes, 4));
		break;
	case 4:
		input_release_all(input);
		break;
	default:
		input_press_ctrl_alt_del(input);
	}
}

static void run_one(struct fuzz_input *bytes)
{
	unsigned op = (unsigned)fuzz_take(bytes, 1);

	switch (op % 10) {
	case 0:
		fake_machine_out(fm, COMMAND, 1, fuzz_take(bytes, 1));
		break;
	case 1:
	case 2:
		fake_machine_out(fm, DATA, 1, fuzz_take(bytes, 1));
		break;
	case 3:
		/* To the mouse */
		fake_machine_out(fm, COMMAND, 1, 0xd4);
		fake_machine_out(fm, DATA, 1, fuzz_take(bytes, 1));
		break;
	case 4:
	case 5:
		for (unsigned i = 0; i <= op / 10; i++)
			(void)fake_machine_in(fm, DATA, 1);
		break;
	case 6:
	case 7:
		act(bytes);
		break;
	case 8:
		loop_run_once(fm->loop, 0);
		break;
	default:
		if (op > 250)
			device_reset(dev);
		else
			(void)fake_machine_in(fm, COMMAND, 1);
	}
}

static void drain(void)
{
	unsigned count = 0;

	fake_machine_run_loop(fm);
	while (fake_machine_in(fm, COMMAND, 1) & FULL) {
		(void)fake_machine_in(fm, DATA, 1);
		fake_machine_run_loop(fm);
		ASSERT(count++ < WAITING_MAX);
	}
}

static void expect_byte(uint8_t byte)
{
	bool full = fake_machine_in(fm, COMMAND, 1) & FULL;
	uint8_t got = (uint8_t)fake_machine_in(fm, DATA, 1);

	ASSERT(full && got == byte);
}

static void expect_service(void)
{
	input_release_all(input);
	device_reset(dev);
	drain();
	input_key(input, KEY_Q, true);
	fake_machine_run_loop(fm);
	expect_byte(0x10);
	input_key(input, KEY_Q, false);
	fake_machine_run_loop(fm);
	expect_byte(0x90);
	fake_machine_run_loop(fm);
	ASSERT(!(fake_machine_in(fm, COMMAND, 1) & FULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input bytes = {data, size};

	if (!dev)
		make_machine();
	for (unsigned i = 0; i < OPERATIONS_MAX && !fuzz_is_empty(&bytes); i++)
		run_one(&bytes);
	expect_service();
	return 0;
}
