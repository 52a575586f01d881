/*
 * Interrupt lines, messages and doorbells of the KVM layer, and that they outlive a reset.
 */
#include "tests/boot/kvm_guest.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/kvm/irqchip.h"

enum {
	LEVEL_PIN = 20,
	EDGE_PIN = 21
};

/*
 * IOAPIC pin 20: level, vector 0x30; pin 21: edge, vector 0x31; a message: 0x32. Says that it is
 * ready, then counts the interrupts of each vector at 0x20000 + 8 n. Like a driver, the level
 * handler asks its device (port 0x510) whether the interrupt is its own before it ends it: some
 * KVM delivers a level interrupt once more than needed.
 */
GUEST_ASM(code_irq,
	"lidt 0x5f0\n"
	"mov $0xfee000f0, %ebx\n"
	"movl $0x1ff, (%rbx)\n"
	"mov $0xfec00000, %ebx\n"
	"movl $0x39, (%rbx)\n"
	"movl $0, 0x10(%rbx)\n"
	"movl $0x38, (%rbx)\n"
	"movl $0x8030, 0x10(%rbx)\n"
	"movl $0x3b, (%rbx)\n"
	"movl $0, 0x10(%rbx)\n"
	"movl $0x3a, (%rbx)\n"
	"movl $0x31, 0x10(%rbx)\n"
	"mov $0x53f, %edx\n"
	"out %al, (%dx)\n"
	"sti\n"
	"1: hlt\n"
	"jmp 1b\n"
	"code_on_level:\n"
	"mov $0x510, %edx\n"
	"xor %eax, %eax\n"
	"in (%dx), %al\n"
	"add %rax, 0x20000\n"
	"jmp 2f\n"
	"code_on_edge:\n"
	"incq 0x20008\n"
	"jmp 2f\n"
	"code_on_message:\n"
	"incq 0x20010\n"
	"2: mov $0xfee000b0, %ebx\n"
	"movl $0, (%rbx)\n"
	"mov $0x53f, %edx\n"
	"out %al, (%dx)\n"
	"iretq\n");
extern const uint8_t code_on_level[], code_on_edge[], code_on_message[];

static void start_irq_guest(struct guest *guest)
{
	guest_put64(guest, 0x20000, 0);
	guest_put64(guest, 0x20008, 0);
	guest_put64(guest, 0x20010, 0);
	guest_put_gate(guest, 0x30, code_irq, code_on_level);
	guest_put_gate(guest, 0x31, code_irq, code_on_edge);
	guest_put_gate(guest, 0x32, code_irq, code_on_message);
	guest_start(guest, code_irq, code_irq_end);
}

static struct irq_line connect(struct guest *guest, unsigned gsi, bool level)
{
	struct irq_line line;
	struct err err = ERR_INIT;

	if (kvm_irq_connect(&guest->kvm, gsi, level, &line, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(line.gsi, gsi);
	return line;
}

static void test_edge_pulses(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct irq_line line = connect(guest, EDGE_PIN, false);

	start_irq_guest(guest);
	guest_expect_done(guest, 1);
	for (unsigned i = 1; i <= 5; i++) {
		irq_pulse(&line);
		guest_expect_done(guest, 1 + i);
		assert_int_equal(guest_get64(guest, 0x20008), i);
	}
	assert_int_equal(guest_get64(guest, 0x20000), 0);
}

/* An edge line that is set like a wire: its rise is one interrupt, its fall none. */
static void test_edge_line_by_level(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct irq_line line = connect(guest, EDGE_PIN, false);

	start_irq_guest(guest);
	guest_expect_done(guest, 1);
	for (unsigned i = 1; i <= 3; i++) {
		irq_set(&line, true);
		irq_set(&line, true);
		guest_expect_done(guest, 1 + i);
		irq_set(&line, false);
	}
	assert_int_equal(guest_get64(guest, 0x20008), 3);
}

static struct irq_line *lower_on_ack[2];

static uint64_t acks;

/* Two devices on one pin: the interrupt comes again until the last lets go. */
static uint64_t ack_read(void *opaque, uint64_t offset, unsigned size)
{
	(void)opaque, (void)offset, (void)size;
	if (acks == 2)
		return 0;
	irq_set(lower_on_ack[acks++], false);
	return 1;
}

static void use_ack_port(struct guest *guest)
{
	static const struct bus_ops ops = {.read = ack_read, .write = guest_port_write};

	/* In place of the recorder, which ignores the ports up to 0x53f. */
	acks = 0;
	guest->pio.ranges[0].ops = &ops;
}

static void test_level_line_is_the_or_of_its_devices(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct irq_line a = connect(guest, LEVEL_PIN, true), b = connect(guest, LEVEL_PIN, true);

	lower_on_ack[0] = &a;
	lower_on_ack[1] = &b;
	use_ack_port(guest);
	start_irq_guest(guest);
	guest_expect_done(guest, 1);
	irq_set(&a, true);
	irq_set(&b, true);
	guest_expect_done(guest, 3);
	assert_int_equal(guest_get64(guest, 0x20000), 2);
	assert_int_equal(acks, 2);
}

static void wait_for_count(struct guest *guest, gpa_t at, uint64_t count)
{
	for (int i = 0; i < GUEST_WAIT_S * 100 && guest_get64(guest, at) < count; i++)
		guest_sleep_ms(10);
	assert_int_equal(guest_get64(guest, at), count);
}

static void test_a_level_outlives_a_reset_and_a_pulse_does_not(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct irq_line level = connect(guest, LEVEL_PIN, true),
			edge = connect(guest, EDGE_PIN, false);

	lower_on_ack[0] = lower_on_ack[1] = &level;
	/* Before the first machine, and between two. */
	for (int i = 0; i < 2; i++) {
		use_ack_port(guest);
		acks = 1;
		irq_set(&level, true);
		irq_pulse(&edge);
		start_irq_guest(guest);
		guest_expect_done(guest, 2);
		assert_int_equal(guest_get64(guest, 0x20000), 1);
		assert_int_equal(guest_get64(guest, 0x20008), 0);
		/* The edge line works in each machine. */
		irq_pulse(&edge);
		wait_for_count(guest, 0x20008, 1);
		guest_halt(guest);
	}
}

static void test_lines_may_be_connected_to_a_running_machine(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct irq_line edge;

	start_irq_guest(guest);
	guest_expect_done(guest, 1);
	edge = connect(guest, EDGE_PIN, false);
	irq_pulse(&edge);
	guest_expect_done(guest, 2);
	assert_int_equal(guest_get64(guest, 0x20008), 1);
}

static void test_messages(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	assert_int_equal(kvm_msi_send(&guest->kvm, 0xfee00000, 0x32), -ENODEV);
	start_irq_guest(guest);
	guest_expect_done(guest, 1);
	assert_int_equal(kvm_msi_send(&guest->kvm, 0xfee00000, 0x32), 1);
	guest_expect_done(guest, 2);
	assert_int_equal(guest_get64(guest, 0x20010), 1);
}

static void test_lines_that_can_not_be(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct irq_line line;
	struct err err = ERR_INIT;

	assert_int_equal(kvm_irq_connect(&guest->kvm, 24, true, &line, &err), -EINVAL);
	assert_non_null(strstr(err.text, "interrupt 24 does not exist"));
	for (int i = 0; i < KVM_WIRES_MAX; i++)
		assert_int_equal(kvm_irq_connect(&guest->kvm, 5, true, &line, NULL), 0);
	err_clear(&err);
	assert_int_equal(kvm_irq_connect(&guest->kvm, 5, true, &line, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no interrupt line is left"));
}

/* ---- Doorbells ---- */

/* Rings port 0x510 (2 bytes, value 3) and MMIO 0xd0000050 (4 bytes, value 3), then others. */
GUEST_ASM(code_ring,
	"mov $3, %eax\n"
	"mov $0x510, %edx\n"
	"out %ax, (%dx)\n"
	"mov $0xd0000050, %ebx\n"
	"mov %eax, (%rbx)\n"
	"mov $4, %eax\n"
	"out %ax, (%dx)\n"
	"mov %eax, (%rbx)\n" GUEST_FINISH);

static eventfd_t take(int fd)
{
	eventfd_t value = 0;

	return eventfd_read(fd, &value) == 0 ? value : 0;
}

/* What Linux clears, and what it leaves to the firmware. */
static void test_pins_without_a_line_are_the_firmwares(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	(void)connect(guest, LEVEL_PIN, true);
	(void)connect(guest, EDGE_PIN, false);
	for (int reset = 0; reset < 2; reset++) {
		struct kvm_irqchip chip = {.chip_id = KVM_IRQCHIP_IOAPIC};

		guest_make(guest, 1, CPU_ENTRY_LONG64);
		assert_int_equal(ioctl(guest->kvm.vm_fd, KVM_GET_IRQCHIP, &chip), 0);
		assert_int_equal(chip.chip.ioapic.base_address, 0xfec00000);
		for (unsigned pin = 0; pin < KVM_IOAPIC_NUM_PINS; pin++) {
			/* The timer chip has 0, or 2 in the eyes of a PC's kernel. */
			bool used = pin == 0 || pin == 2 || pin == LEVEL_PIN || pin == EDGE_PIN;

			assert_int_equal(chip.chip.ioapic.redirtbl[pin].fields.mask, 1);
			assert_int_equal(
				chip.chip.ioapic.redirtbl[pin].fields.delivery_mode, used ? 0 : 2);
		}
		guest_halt(guest);
	}
}

static void test_doorbells_outlive_a_reset(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_int_equal(kvm_ioeventfd(&guest->kvm, true, 0x510, 2, 3, fd, true), 0);
	for (int i = 0; i < 2; i++) {
		guest->log_count = 0;
		guest_put_code(guest, GUEST_CODE, code_ring, code_ring_end);
		guest_make(guest, 1, CPU_ENTRY_LONG64);
		/* The second one comes when the machine is there already. */
		if (i == 0)
			assert_int_equal(
				kvm_ioeventfd(&guest->kvm, false, 0xd0000050, 4, 3, fd, true), 0);
		guest_run(guest);
		guest_expect_done(guest, 1);
		assert_int_equal(take(fd), 2);
		/* Other values arrive over the bus. */
		assert_int_equal(guest->log_count, 2);
		assert_int_equal(guest->log[0].value, 4);
		assert_true(guest->log[1].is_mmio);
		guest_halt(guest);
	}
	/* Taken back, everything arrives over the bus. */
	assert_int_equal(kvm_ioeventfd(&guest->kvm, true, 0x510, 2, 3, fd, false), 0);
	guest->log_count = 0;
	guest_put_code(guest, GUEST_CODE, code_ring, code_ring_end);
	guest_make(guest, 1, CPU_ENTRY_LONG64);
	assert_int_equal(kvm_ioeventfd(&guest->kvm, false, 0xd0000050, 4, 3, fd, false), 0);
	guest_run(guest);
	guest_expect_done(guest, 1);
	assert_int_equal(take(fd), 0);
	assert_int_equal(guest->log_count, 4);
	close(fd);
}

static void test_doorbells_that_can_not_be(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct kvm *kvm = &guest->kvm;
	int fd = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(kvm_ioeventfd(kvm, true, 0x510, 3, 0, fd, true), -EINVAL);
	assert_int_equal(kvm_ioeventfd(kvm, true, 0x510, 8, 0, fd, true), -EINVAL);
	assert_int_equal(kvm_ioeventfd(kvm, true, 0x510, 2, 0, fd, false), -ENOENT);
	assert_int_equal(kvm_ioeventfd(kvm, true, 0x510, 2, 0, fd, true), 0);
	assert_int_equal(kvm_ioeventfd(kvm, true, 0x510, 2, 0, other, true), -EEXIST);
	assert_int_equal(kvm_ioeventfd(kvm, true, 0x510, 2, 0, other, false), -ENOENT);
	assert_int_equal(kvm_ioeventfd(kvm, true, 0x510, 2, 0, fd, false), 0);
	for (uint64_t i = 0; i < KVM_DOORBELLS_MAX; i++)
		assert_int_equal(kvm_ioeventfd(kvm, false, 0xd0000050, 4, i, fd, true), 0);
	assert_int_equal(
		kvm_ioeventfd(kvm, false, 0xd0000050, 4, KVM_DOORBELLS_MAX, fd, true), -ENOSPC);
	close(fd);
	close(other);
}

/* ---- Devices' threads and resets at the same time ---- */

struct disturber {
	struct guest *guest;
	struct irq_line level, edge;
	int fd;
	atomic_bool stop;
};

static void *disturb(void *opaque)
{
	struct disturber *d = opaque;

	while (!atomic_load(&d->stop)) {
		irq_set(&d->level, true);
		irq_pulse(&d->edge);
		irq_set(&d->level, false);
		kvm_msi_send(&d->guest->kvm, 0xfee00000, 0x32);
		assert_int_equal(kvm_ioeventfd(&d->guest->kvm, true, 0x510, 2, 3, d->fd, true), 0);
		assert_int_equal(kvm_ioeventfd(&d->guest->kvm, true, 0x510, 2, 3, d->fd, false), 0);
	}
	return NULL;
}

static void test_resets_under_fire(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct disturber d = {.guest = guest,
		.level = connect(guest, LEVEL_PIN, true),
		.edge = connect(guest, EDGE_PIN, false),
		.fd = eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, disturb, &d), 0);
	for (int i = 0; i < 20; i++) {
		guest_start(guest, code_irq, code_irq_end);
		guest_expect_done(guest, 1);
		guest_halt(guest);
	}
	atomic_store(&d.stop, true);
	pthread_join(thread, NULL);
	close(d.fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_edge_pulses),
		TEST(test_edge_line_by_level),
		TEST(test_level_line_is_the_or_of_its_devices),
		TEST(test_a_level_outlives_a_reset_and_a_pulse_does_not),
		TEST(test_lines_may_be_connected_to_a_running_machine),
		TEST(test_messages),
		TEST(test_lines_that_can_not_be),
		TEST(test_pins_without_a_line_are_the_firmwares),
		TEST(test_doorbells_outlive_a_reset),
		TEST(test_doorbells_that_can_not_be),
		TEST(test_resets_under_fire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
