/*
 * virtio-net, the control queue: good commands take effect, all others are answered with ERR.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_mmio.h>

#include "devices/virtio/net.h"
#include "devices/virtio/virtio.h"
#include "tests/fake/fake_card.h"
#include "vmm/base/util.h"

#define BIT(n)	     (UINT64_C(1) << (n))
#define ALL_FEATURES (~UINT64_C(0))
#define TO_GUEST                                                                                   \
	(BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6))

enum {
	PAIRS = 3,
	OK = VIRTIO_NET_OK,
	ERR = VIRTIO_NET_ERR,
};

static int setup(void **state)
{
	*state = fake_card_create(PAIRS, TO_GUEST);
	return 0;
}

static int teardown(void **state)
{
	fake_card_destroy(*state);
	return 0;
}

static uint8_t set_pairs(struct fake_card *card, uint16_t pairs)
{
	return fake_card_command(
		card, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs, sizeof(pairs));
}

static uint8_t set_offloads(struct fake_card *card, uint64_t offloads)
{
	return fake_card_command(card, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
		VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, &offloads, sizeof(offloads));
}

static uint8_t set_mac(struct fake_card *card, const uint8_t *mac, uint32_t len)
{
	return fake_card_command(card, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, len);
}

static uint8_t set_table(struct fake_card *card, const void *table, uint32_t len)
{
	return fake_card_command(
		card, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, len);
}

static uint8_t mac_byte(struct fake_card *card, unsigned n)
{
	return (uint8_t)fake_machine_mmio_read(
		card->fm, card->driver.base + VIRTIO_MMIO_CONFIG + n, 1);
}

/* ---- Good commands ---- */

static void test_receive_modes_are_accepted(void **state)
{
	struct fake_card *card = *state;
	const uint8_t on = 1;

	fake_card_bring_up(card, ALL_FEATURES);
	for (uint8_t mode = 0; mode <= VIRTIO_NET_CTRL_RX_NOBCAST; mode++)
		assert_int_equal(fake_card_command(card, VIRTIO_NET_CTRL_RX, mode, &on, 1), OK);
	assert_int_equal(fake_card_guest_errors(card), 0);
}

static void test_address_is_set_until_reset(void **state)
{
	static const uint8_t mac[] = {2, 4, 6, 8, 10, 12}, group[] = {3, 4, 6, 8, 10, 12};
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	assert_int_equal(set_mac(card, mac, sizeof(mac)), OK);
	assert_int_equal(mac_byte(card, 0), 2);
	assert_int_equal(mac_byte(card, 5), 12);
	assert_int_equal(set_mac(card, group, sizeof(group)), ERR);
	assert_int_equal(set_mac(card, mac, 5), ERR);
	assert_int_equal(mac_byte(card, 0), 2);
	fake_card_bring_up(card, ALL_FEATURES);
	assert_int_equal(mac_byte(card, 0), 0x52);
}

static void test_address_tables(void **state)
{
	struct fake_card *card = *state;
	uint8_t table[4 + 2 * 6 + 4 + 6] = {2};

	fake_card_bring_up(card, ALL_FEATURES);
	table[16] = 1;
	assert_int_equal(set_table(card, table, sizeof(table)), OK);
	table[16] = 0;
	assert_int_equal(set_table(card, table, 20), OK);
	assert_int_equal(fake_card_guest_errors(card), 0);
	/* Too short, too long, and a length that would overflow. */
	for (uint32_t len = 0; len < sizeof(table); len++)
		if (len != 20)
			assert_int_equal(set_table(card, table, len), ERR);
	memset(table, 0xff, sizeof(table));
	assert_int_equal(set_table(card, table, sizeof(table)), ERR);
}

static void test_number_of_pairs(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	for (unsigned pairs = 1; pairs <= PAIRS; pairs++) {
		assert_int_equal(set_pairs(card, (uint16_t)pairs), OK);
		assert_int_equal(card->net->pairs, pairs);
	}
	assert_int_equal(set_pairs(card, 0), ERR);
	assert_int_equal(set_pairs(card, PAIRS + 1), ERR);
	assert_int_equal(set_pairs(card, 0x8000), ERR);
	assert_int_equal(card->net->pairs, PAIRS);
	card->net->settings_error = EPERM;
	assert_int_equal(set_pairs(card, 1), ERR);
}

static void test_offloads_change_at_run_time(void **state)
{
	struct fake_card *card = *state;

	fake_card_bring_up(card, ALL_FEATURES);
	assert_int_equal(card->net->offloads, TO_GUEST);
	assert_int_equal(set_offloads(card, 0), OK);
	assert_int_equal(card->net->offloads, 0);
	assert_int_equal(set_offloads(card, BIT(VIRTIO_NET_F_GUEST_CSUM)), OK);
	assert_int_equal(card->net->offloads, BIT(VIRTIO_NET_F_GUEST_CSUM));
	assert_int_equal(set_offloads(card, BIT(VIRTIO_NET_F_GUEST_UFO)), ERR);
	assert_int_equal(set_offloads(card, ALL_FEATURES), ERR);
	card->net->settings_error = EINVAL;
	assert_int_equal(set_offloads(card, TO_GUEST), ERR);
	assert_int_equal(card->net->offloads, BIT(VIRTIO_NET_F_GUEST_CSUM));
	/* A new driver starts with all it negotiated. */
	card->net->settings_error = 0;
	fake_card_bring_up(card, ALL_FEATURES);
	assert_int_equal(card->net->offloads, TO_GUEST);
}

/* Without MQ the control queue is the third, whatever the device has more. */
static void test_control_queue_without_pairs(void **state)
{
	struct fake_card *card = *state;
	const uint8_t on = 1;

	fake_card_bring_up(card, ~BIT(VIRTIO_NET_F_MQ));
	assert_int_equal(fake_card_command(card, VIRTIO_NET_CTRL_RX, 0, &on, 1), OK);
	assert_int_equal(set_pairs(card, 1), ERR);
	fake_card_send(card, 0, NULL, 60);
	assert_int_equal(card->net->sent[0].count, 1);
}

/* ---- Wrong commands ---- */

static void test_wrong_commands(void **state)
{
	struct fake_card *card = *state;
	const uint8_t data[64] = {0};
	unsigned wrong = 0;

	fake_card_bring_up(card, ALL_FEATURES);
	/* Classes that do not exist or were not offered, and commands beyond the known. */
	for (unsigned class = 0; class < 256; class += class < 8 ? 1 : 31)
		for (unsigned command = 6; command < 256; command += 83) {
			assert_int_equal(
				fake_card_command(card, (uint8_t) class, (uint8_t)command, data, 2),
				ERR);
			wrong++;
		}
	/* Known ones with data of every wrong length. */
	for (uint32_t len = 0; len < sizeof(data); len++) {
		if (len == 1)
			continue;
		assert_int_equal(fake_card_command(card, VIRTIO_NET_CTRL_RX, 0, data, len), ERR);
		wrong++;
	}
	for (uint32_t len = 0; len < sizeof(data); len++) {
		if (len == 8)
			continue;
		assert_int_equal(
			fake_card_command(card, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, data, len), ERR);
		wrong++;
	}
	assert_int_equal(fake_card_guest_errors(card), wrong);
}

static void test_cut_commands(void **state)
{
	struct fake_card *card = *state;
	struct fake_buffer buffers[2];
	unsigned queue = 2 * PAIRS, head;
	uint32_t len;

	fake_card_bring_up(card, ALL_FEATURES);
	/* No answer wanted, and no command given. */
	buffers[0] = (struct fake_buffer){card->control, 3, false};
	fake_vq_add(&card->driver, queue, buffers, 1, 0);
	buffers[0] = (struct fake_buffer){card->control, 1, false};
	buffers[1] = (struct fake_buffer){card->control + 64, 1, true};
	fake_vq_add(&card->driver, queue, buffers, 2, 0);
	fake_vq_add(&card->driver, queue, buffers + 1, 1, 0);
	fake_driver_kick(&card->driver, queue);
	fake_card_run(card);
	assert_true(fake_vq_take(&card->driver, queue, &head, &len));
	assert_int_equal(len, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(fake_vq_take(&card->driver, queue, &head, &len));
		assert_int_equal(len, 1);
		assert_int_equal(
			*(uint8_t *)fake_driver_host(&card->driver, card->control + 64, 1), ERR);
	}
	assert_int_equal(fake_card_guest_errors(card), 3);
}

static void test_commands_that_were_not_negotiated(void **state)
{
	static const uint8_t mac[] = {2, 4, 6, 8, 10, 12}, on = 1;
	static const uint8_t empty_tables[8];
	struct fake_card *card = *state;

	fake_card_bring_up(card, BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(32));
	assert_int_equal(fake_card_command(card, VIRTIO_NET_CTRL_RX, 0, &on, 1), ERR);
	assert_int_equal(fake_card_command(card, VIRTIO_NET_CTRL_RX, 3, &on, 1), ERR);
	assert_int_equal(set_mac(card, mac, sizeof(mac)), ERR);
	assert_int_equal(set_table(card, empty_tables, sizeof(empty_tables)), ERR);
	assert_int_equal(set_pairs(card, 1), ERR);
	assert_int_equal(set_offloads(card, 0), ERR);
	assert_int_equal(mac_byte(card, 0), 0x52);
	/* Without the queue nothing is looked at. */
	fake_card_bring_up(card, BIT(32));
	assert_int_equal(fake_card_command(card, VIRTIO_NET_CTRL_RX, 0, &on, 1), 0xee);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(receive_modes_are_accepted),
		TEST(address_is_set_until_reset),
		TEST(address_tables),
		TEST(number_of_pairs),
		TEST(offloads_change_at_run_time),
		TEST(control_queue_without_pairs),
		TEST(wrong_commands),
		TEST(cut_commands),
		TEST(commands_that_were_not_negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
