/*
 * device: the life cycle and the resources that a device claims, on a platform that
 * only counts. The table of classes is this test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "vmm/core/device.h"

/* ---- A class that can be told to fail ---- */

struct toy {
	struct device device;
	unsigned resets;
	bool locked_in_reset;
};

static unsigned toys_alive;
static bool create_fails;

static int toy_create(struct device **out, const struct device_args *args, struct err *err);

static int toy_realize(struct device *device, struct platform *platform, struct err *err)
{
	(void)platform;
	return device->index == 9 ? err_set(err, EXIT_CODE_DEVICE, EIO, "toy: no") : 0;
}

static void toy_reset(struct device *device)
{
	struct toy *toy = CONTAINER_OF(device, struct toy, device);

	toy->resets++;
	toy->locked_in_reset = pthread_mutex_trylock(&device->lock) == EBUSY;
}

static void toy_destroy(struct device *device)
{
	device_finish(device);
	free(CONTAINER_OF(device, struct toy, device));
	toys_alive--;
}

static const struct device_class toy_class = {.name = "toy",
	.create = toy_create,
	.realize = toy_realize,
	.reset = toy_reset,
	.destroy = toy_destroy};
static const struct device_class still_class = {
	.name = "still", .create = toy_create, .realize = toy_realize, .destroy = toy_destroy};

const struct device_class *const device_classes[] = {&toy_class, &still_class, NULL};

static int toy_create(struct device **out, const struct device_args *args, struct err *err)
{
	struct toy *toy;

	if (create_fails)
		return err_set(err, EXIT_CODE_DEVICE, EINVAL, "toy: will not");
	toy = calloc(1, sizeof(*toy));
	if (!toy)
		return -ENOMEM;
	device_init(&toy->device, args->index == 5 ? &still_class : &toy_class, args);
	toys_alive++;
	*out = &toy->device;
	return 0;
}

/* ---- A platform that counts ---- */

struct board {
	struct platform platform;
	struct bus pio, mmio;
	unsigned gsi;
	bool level;
	enum machine_request request;
	int request_value;
	unsigned ioeventfds;
};

static int connect_irq(
	void *opaque, unsigned gsi, bool level, struct irq_line *line, struct err *err)
{
	struct board *board = opaque;

	if (gsi > 23)
		return err_set(err, EXIT_CODE_DEVICE, ENOENT, "no wire %u", gsi);
	board->gsi = gsi;
	board->level = level;
	line->gsi = gsi;
	return 0;
}

static int ioeventfd(
	void *opaque, bool pio, uint64_t addr, unsigned size, uint64_t value, int fd, bool assign)
{
	struct board *board = opaque;

	assert_true(!pio && addr == 0x1000 && size == 4 && value == 3 && fd == 8);
	board->ioeventfds += assign ? 1 : -1;
	return 0;
}

static void request(void *opaque, enum machine_request what, int value)
{
	struct board *board = opaque;

	board->request = what;
	board->request_value = value;
}

static const struct platform_ops ops = {
	.irq_connect = connect_irq, .ioeventfd = ioeventfd, .request = request};

static void make_board(struct board *board)
{
	*board = (struct board){.platform = {.pio = &board->pio,
					.mmio = &board->mmio,
					.ops = &ops,
					.opaque = board,
					.mmio_next = 0xd0000000,
					.mmio_end = 0xd0004000,
					.irq_first = 16,
					.irq_next = 16,
					.irq_end = 18}};
	bus_init(&board->pio, "port");
	bus_init(&board->mmio, "MMIO");
}

static struct device *make_toy(struct board *board, unsigned index)
{
	const struct device_args args = {.name = "toy0", .index = index};
	struct err err = ERR_INIT;
	struct device *device;

	assert_int_equal(device_create(&device, &toy_class, &args, &err), 0);
	if (board)
		assert_int_equal(device_realize(device, &board->platform, &err), 0);
	return device;
}

static uint64_t read_zero(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

static void write_nothing(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
	(void)opaque;
	(void)offset;
	(void)size;
	(void)value;
}

static const struct bus_ops quiet_ops = {.read = read_zero, .write = write_nothing};

/* ---- Tests ---- */

static void test_classes_are_found_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(device_class_find("still"), &still_class);
	assert_null(device_class_find("absent"));
}

static void test_failed_create_leaves_nothing(void **state)
{
	const struct device_args args = {.name = "toy0"};
	struct device *device = (struct device *)&args;
	struct err err = ERR_INIT;

	(void)state;
	create_fails = true;
	assert_int_equal(device_create(&device, &toy_class, &args, &err), -EINVAL);
	create_fails = false;
	assert_null(device);
	device_destroy(device);
}

static void test_life_cycle(void **state)
{
	struct board board;
	struct device *device;
	struct toy *toy;

	(void)state;
	make_board(&board);
	device = make_toy(&board, 3);
	toy = CONTAINER_OF(device, struct toy, device);
	assert_string_equal(device->name, "toy0");
	assert_int_equal(device->index, 3);
	assert_ptr_equal(device->platform, &board.platform);
	device_reset(device);
	assert_int_equal(toy->resets, 1);
	assert_true(toy->locked_in_reset);
	device_destroy(device);
	/* Legal without realize, and after a failed one. */
	device_destroy(make_toy(NULL, 0));
	assert_int_equal(toys_alive, 0);
}

static void test_class_without_reset(void **state)
{
	struct board board;
	struct device *device;

	(void)state;
	make_board(&board);
	device = make_toy(&board, 5);
	device_reset(device);
	device_destroy(device);
}

static void test_failed_realize_is_a_sentence(void **state)
{
	struct device *device = make_toy(NULL, 9);
	struct err err = ERR_INIT;
	struct board board;

	(void)state;
	make_board(&board);
	assert_int_equal(device_realize(device, &board.platform, &err), -EIO);
	assert_true(err_is_set(&err));
	device_destroy(device);
	assert_int_equal(toys_alive, 0);
}

static void test_claims_are_noted(void **state)
{
	struct err err = ERR_INIT;
	struct board board;
	struct device *device;
	struct irq_line line;
	uint64_t base = 0xfeb00000;

	(void)state;
	make_board(&board);
	device = make_toy(&board, 0);
	assert_int_equal(device_claim_pio(device, 0x3f8, 8, &quiet_ops, device, &err), 0);
	assert_int_equal(device_claim_mmio(device, &base, 512, &quiet_ops, device, &err), 0);
	assert_int_equal(device_claim_irq(device, 4, true, &line, &err), 0);
	assert_int_equal(device_find_res(device, DEVICE_RES_PIO, 0)->base, 0x3f8);
	assert_null(device_find_res(device, DEVICE_RES_PIO, 1));
	assert_true(device_find_res(device, DEVICE_RES_MMIO, 0)->base == 0xfeb00000);
	assert_int_equal(device_find_res(device, DEVICE_RES_IRQ, 0)->base, 4);
	assert_true(device_find_res(device, DEVICE_RES_IRQ, 0)->level);
	assert_false(device_find_res(device, DEVICE_RES_IRQ, 0)->shared);
	assert_true(board.level && board.gsi == 4);
	assert_ptr_equal(bus_find(&board.pio, 0x3ff)->lock, &device->lock);
	assert_string_equal(bus_find(&board.mmio, 0xfeb00000)->name, "toy0");
	/* What another has is refused, and not noted. */
	assert_int_equal(device_claim_pio(device, 0x3ff, 1, &quiet_ops, device, &err), -EBUSY);
	assert_null(device_find_res(device, DEVICE_RES_PIO, 1));
	device_destroy(device);
}

static void test_free_places_are_given_out_until_none_is_left(void **state)
{
	struct err err = ERR_INIT;
	struct board board;
	struct device *device;
	uint64_t base = 0;

	(void)state;
	make_board(&board);
	device = make_toy(&board, 0);
	assert_int_equal(device_claim_mmio(device, &base, 512, &quiet_ops, device, &err), 0);
	assert_true(base == 0xd0000000);
	base = 0;
	/* Aligned to its size: one page stays unused. */
	assert_int_equal(device_claim_mmio(device, &base, 8192, &quiet_ops, device, &err), 0);
	assert_true(base == 0xd0002000);
	base = 0;
	assert_int_equal(device_claim_mmio(device, &base, 1, &quiet_ops, device, &err), -ENOSPC);
	assert_int_equal(base, 0);
	assert_non_null(strstr(err.text, "fewer devices"));
	device_destroy(device);
}

static void test_free_interrupts_are_shared_in_turn(void **state)
{
	static const unsigned expected[] = {16, 17, 16};
	struct err err = ERR_INIT;
	struct board board;
	struct device *device;
	struct irq_line line;

	(void)state;
	make_board(&board);
	device = make_toy(&board, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(device_claim_irq(device, DEVICE_IRQ_ANY, false, &line, &err), 0);
		assert_int_equal(line.gsi, expected[i]);
		assert_true(device_find_res(device, DEVICE_RES_IRQ, i)->shared);
	}
	assert_int_equal(device_claim_irq(device, 24, false, &line, &err), -ENOENT);
	assert_null(device_find_res(device, DEVICE_RES_IRQ, 3));
	device_destroy(device);
}

static void test_too_many_resources(void **state)
{
	struct err err = ERR_INIT;
	struct board board;
	struct device *device;

	(void)state;
	make_board(&board);
	device = make_toy(&board, 0);
	for (unsigned i = 0; i < DEVICE_RES_MAX; i++)
		assert_int_equal(device_claim_pio(device, i, 1, &quiet_ops, device, &err), 0);
	assert_int_equal(device_claim_pio(device, 0x100, 1, &quiet_ops, device, &err), -ENOSPC);
	device_destroy(device);
}

static void test_requests_reach_the_machine(void **state)
{
	const struct platform_ops no_ioeventfd = {.irq_connect = connect_irq, .request = request};
	struct board board;
	struct device *device;

	(void)state;
	make_board(&board);
	device = make_toy(&board, 0);
	device_request(device, MACHINE_EXIT, 17);
	assert_int_equal(board.request, MACHINE_EXIT);
	assert_int_equal(board.request_value, 17);
	assert_int_equal(device_ioeventfd(device, false, 0x1000, 4, 3, 8, true), 0);
	assert_int_equal(board.ioeventfds, 1);
	board.platform.ops = &no_ioeventfd;
	assert_int_equal(device_ioeventfd(device, false, 0x1000, 4, 3, 8, true), -EOPNOTSUPP);
	device_destroy(device);
}

static void test_long_name_is_cut(void **state)
{
	const struct device_args args = {.name = "a-name-that-is-longer-than-any-device-has"};
	struct err err = ERR_INIT;
	struct device *device;

	(void)state;
	assert_int_equal(device_create(&device, &toy_class, &args, &err), 0);
	assert_int_equal(strlen(device->name), DEVICE_NAME_MAX - 1);
	device_destroy(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes_are_found_by_name),
		cmocka_unit_test(test_failed_create_leaves_nothing),
		cmocka_unit_test(test_life_cycle),
		cmocka_unit_test(test_class_without_reset),
		cmocka_unit_test(test_failed_realize_is_a_sentence),
		cmocka_unit_test(test_claims_are_noted),
		cmocka_unit_test(test_free_places_are_given_out_until_none_is_left),
		cmocka_unit_test(test_free_interrupts_are_shared_in_turn),
		cmocka_unit_test(test_too_many_resources),
		cmocka_unit_test(test_requests_reach_the_machine),
		cmocka_unit_test(test_long_name_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
