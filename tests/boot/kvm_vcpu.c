/*
 * The processors of the KVM layer, with guests of a few instructions: every kind of
 * access reaches the bus as it was made, and processors stop when told.
 */
#include "tests/boot/kvm_guest.h"

#include <stdlib.h>

#include "vmm/kvm/vcpu_sample.h"
#include "vmm/kvm/vcpu_stats.h"

static void expect_access(const struct guest *guest, unsigned nth, bool is_write, uint64_t offset,
	unsigned size, uint64_t value)
{
	const struct guest_access *access = &guest->log[nth];

	assert_true(nth < guest->log_count);
	assert_int_equal(access->is_write, is_write);
	assert_int_equal(access->offset, offset);
	assert_int_equal(access->size, size);
	assert_int_equal(access->value, value);
}

/* ---- Port accesses ---- */

GUEST_ASM(code_port_widths,
	"mov $0x504, %edx\n"
	"mov $0x12345678, %eax\n"
	"out %al, (%dx)\n"
	"out %ax, (%dx)\n"
	"out %eax, (%dx)\n"
	"xor %eax, %eax\n"
	"in (%dx), %al\n"
	"mov %rax, 0x20000\n"
	"xor %eax, %eax\n"
	"in (%dx), %ax\n"
	"mov %rax, 0x20008\n"
	"xor %eax, %eax\n"
	"in (%dx), %eax\n"
	"mov %rax, 0x20010\n" GUEST_FINISH);

static void test_port_widths(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest->read_value = 0xaabbccdd;
	guest_start(guest, code_port_widths, code_port_widths_end);
	guest_expect_done(guest, 1);
	assert_int_equal(guest->log_count, 6);
	expect_access(guest, 0, true, 4, 1, 0x78);
	expect_access(guest, 1, true, 4, 2, 0x5678);
	expect_access(guest, 2, true, 4, 4, 0x12345678);
	expect_access(guest, 3, false, 4, 1, 0);
	expect_access(guest, 4, false, 4, 2, 0);
	expect_access(guest, 5, false, 4, 4, 0);
	assert_int_equal(guest_get64(guest, 0x20000), 0xdd);
	assert_int_equal(guest_get64(guest, 0x20008), 0xccdd);
	assert_int_equal(guest_get64(guest, 0x20010), 0xaabbccdd);
}

/* The data moves, the port does not; with the direction flag downwards. */
GUEST_ASM(code_strings,
	"movabs $0x6f6c6c6568, %rax\n" /* "hello" */
	"mov %rax, 0x20000\n"
	"mov $0x510, %edx\n"
	"mov $0x20000, %esi\n"
	"mov $5, %ecx\n"
	"cld\n"
	"rep outsb\n"
	"mov $0x20004, %esi\n"
	"mov $5, %ecx\n"
	"std\n"
	"rep outsb\n"
	"cld\n"
	"mov $0x514, %edx\n"
	"mov $0x20100, %edi\n"
	"mov $3, %ecx\n"
	"rep insw\n"
	"mov $0x20000, %esi\n"
	"mov $0x518, %edx\n"
	"outsl\n" GUEST_FINISH);

static void test_port_strings(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest->read_value = 0xbeef;
	guest_start(guest, code_strings, code_strings_end);
	guest_expect_done(guest, 1);
	assert_int_equal(guest->log_count, 14);
	for (unsigned i = 0; i < 5; i++)
		expect_access(guest, i, true, 0x10, 1, (uint8_t) "hello"[i]);
	for (unsigned i = 0; i < 5; i++)
		expect_access(guest, 5 + i, true, 0x10, 1, (uint8_t) "olleh"[i]);
	for (unsigned i = 0; i < 3; i++)
		expect_access(guest, 10 + i, false, 0x14, 2, 0);
	assert_int_equal(guest_get64(guest, 0x20100), UINT64_C(0xbeefbeefbeef));
	expect_access(guest, 13, true, 0x18, 4, load_le32("hell"));
}

/* ---- Memory accesses ---- */

GUEST_ASM(code_mmio,
	"mov $0xd0000000, %ebx\n"
	"movabs $0x1122334455667788, %rax\n"
	"mov %al, 0x10(%rbx)\n"
	"mov %ax, 0x20(%rbx)\n"
	"mov %eax, 0x40(%rbx)\n"
	"mov %rax, 0x80(%rbx)\n"
	"movzbl 0x10(%rbx), %eax\n"
	"mov %rax, 0x20000\n"
	"movzwl 0x20(%rbx), %eax\n"
	"mov %rax, 0x20008\n"
	"mov 0x40(%rbx), %eax\n"
	"mov %rax, 0x20010\n"
	"mov 0x80(%rbx), %rax\n"
	"mov %rax, 0x20018\n" GUEST_FINISH);

static void test_mmio_widths(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest->read_value = UINT64_C(0x8877665544332211);
	guest_start(guest, code_mmio, code_mmio_end);
	guest_expect_done(guest, 1);
	assert_int_equal(guest->log_count, 8);
	expect_access(guest, 0, true, 0x10, 1, 0x88);
	expect_access(guest, 1, true, 0x20, 2, 0x7788);
	expect_access(guest, 2, true, 0x40, 4, 0x55667788);
	expect_access(guest, 3, true, 0x80, 8, UINT64_C(0x1122334455667788));
	assert_true(guest->log[0].is_mmio);
	assert_int_equal(guest_get64(guest, 0x20000), 0x11);
	assert_int_equal(guest_get64(guest, 0x20008), 0x2211);
	assert_int_equal(guest_get64(guest, 0x20010), 0x44332211);
	assert_int_equal(guest_get64(guest, 0x20018), UINT64_C(0x8877665544332211));
}

/* Nobody's ports and addresses; the last lie at the end of a page with a device before it. */
GUEST_ASM(code_unclaimed,
	"mov $0x700, %edx\n"
	"xor %eax, %eax\n"
	"in (%dx), %al\n"
	"mov %rax, 0x20000\n"
	"out %eax, (%dx)\n"
	"mov $0xd0002000, %ebx\n"
	"mov (%rbx), %eax\n"
	"mov %rax, 0x20008\n"
	"mov %rax, (%rbx)\n"
	"mov $0xd0000ffc, %ebx\n"
	"mov (%rbx), %rax\n"
	"mov %rax, 0x20010\n" GUEST_FINISH);

static void test_unclaimed_accesses(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	const struct exit_ring *exits;

	guest->read_value = 0x44332211;
	guest_start(guest, code_unclaimed, code_unclaimed_end);
	guest_expect_done(guest, 1);
	exits = vcpu_exits(guest->vcpus[0]);
	assert_int_equal(guest_get64(guest, 0x20000), 0xff);
	assert_int_equal(guest_get64(guest, 0x20008), 0xffffffff);
	/* Half in the device, half in nothing: KVM makes two accesses of it. */
	assert_int_equal(guest_get64(guest, 0x20010), UINT64_C(0xffffffff44332211));
	assert_int_equal(atomic_load(&exits->unclaimed), 5);
}

static void test_exits_are_counted(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	const struct exit_ring *exits;

	guest_start(guest, code_port_widths, code_port_widths_end);
	guest_expect_done(guest, 1);
	vcpu_stop(guest->vcpus[0]);
	exits = vcpu_exits(guest->vcpus[0]);
	assert_int_equal(atomic_load(&exits->counts[EXIT_KIND_PIO_WRITE]), 4);
	assert_int_equal(atomic_load(&exits->counts[EXIT_KIND_PIO_READ]), 3);
	assert_int_equal(exit_ring_latest(exits, 0)->addr, GUEST_DONE);
	assert_int_equal(exit_ring_latest(exits, 1)->addr, 0x504);
	if (guest->kvm.has_sync_regs)
		assert_in_range(exit_ring_latest(exits, 0)->rip, GUEST_CODE, GUEST_CODE + 100);
}

/* ---- Entry ---- */

GUEST_ASM(code_entry64,
	"mov %rsi, 0x20000\n"
	"mov %rbx, 0x20008\n"
	"mov %rsp, 0x20010\n"
	"mov %cs, %eax\n"
	"mov %rax, 0x20018\n"
	"mov %ss, %eax\n"
	"mov %rax, 0x20020\n"
	"mov %cr0, %rax\n"
	"mov %rax, 0x20028\n"
	"pushf\n"
	"pop %rax\n"
	"mov %rax, 0x20030\n"
	"fnstcw 0x20038\n"
	"mov $1, %eax\n"
	"xor %ecx, %ecx\n"
	"cpuid\n"
	"mov %ecx, 0x20040\n"
	"mov %ebx, 0x20048\n"
	"mov $0x40000000, %eax\n"
	"cpuid\n"
	"mov %ebx, 0x20050\n" GUEST_FINISH);

static void test_entry_long_mode(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_start(guest, code_entry64, code_entry64_end);
	guest_expect_done(guest, 1);
	assert_int_equal(guest_get64(guest, 0x20000), 0x1111);
	assert_int_equal(guest_get64(guest, 0x20008), 0x2222);
	assert_int_equal(guest_get64(guest, 0x20010), GUEST_STACK);
	assert_int_equal(guest_get64(guest, 0x20018), 0x10);
	assert_int_equal(guest_get64(guest, 0x20020), 0x18);
	assert_int_equal(guest_get64(guest, 0x20028) & 0x80000001, 0x80000001);
	assert_int_equal(guest_get64(guest, 0x20030) & 0x202, 0x002);
	assert_int_equal(guest_get64(guest, 0x20038) & 0xffff, 0x37f);
	/* A hypervisor, and it is KVM; APIC id 0 of one. */
	assert_true(guest_get64(guest, 0x20040) & 1u << 31);
	assert_int_equal(guest_get64(guest, 0x20048) >> 16, 1);
	assert_int_equal(guest_get64(guest, 0x20050), load_le32("KVMK"));
}

GUEST_ASM(code_entry32,
	".code32\n"
	"mov %esi, 0x20000\n"
	"mov %ebx, 0x20008\n"
	"mov %cr0, %eax\n"
	"mov %eax, 0x20010\n"
	"mov %cs, %eax\n"
	"mov %eax, 0x20018\n"
	"push %eax\n"
	"pop %ecx\n"
	"mov %ecx, 0x20020\n"
	/* The GDT is where the descriptors say: segments can be loaded again. */
	"mov $0x18, %eax\n"
	"mov %eax, %ds\n"
	"mov %eax, %ss\n"
	"ljmp $8, $(0x10000 + 9f - code_entry32)\n"
	"9: " GUEST_FINISH);

static void test_entry_protected_mode(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_put_code(guest, GUEST_CODE, code_entry32, code_entry32_end);
	guest_make(guest, 1, CPU_ENTRY_PROT32);
	guest_run(guest);
	guest_expect_done(guest, 1);
	assert_int_equal(guest_get64(guest, 0x20000), 0x1111);
	assert_int_equal(guest_get64(guest, 0x20008), 0x2222);
	assert_int_equal(guest_get64(guest, 0x20010) & 0x80000001, 1);
	assert_int_equal(guest_get64(guest, 0x20018), 8);
	assert_int_equal(guest_get64(guest, 0x20020), 8);
}

/* ---- Several processors ---- */

/* INIT and SIPI (vector 8: code at 0x8000) to all but the sender. */
GUEST_ASM(code_wake_others,
	"mov $0xfee00000, %ebx\n"
	"movl $0x1ff, 0xf0(%rbx)\n"
	"movl $0xc4500, 0x300(%rbx)\n"
	"movl $0xc4608, 0x300(%rbx)\n" GUEST_FINISH);

/* In real mode: tells its APIC id, as CPUID has it. */
GUEST_ASM(code_other,
	".code16\n"
	"mov $1, %eax\n"
	"cpuid\n"
	"mov %ebx, %eax\n"
	"shr $24, %eax\n"
	"mov $0x500, %dx\n"
	"out %al, (%dx)\n"
	"mov $0x53f, %dx\n"
	"out %al, (%dx)\n"
	"97: hlt\n"
	"jmp 97b\n");

static void wake_others(struct guest *guest, unsigned cpus)
{
	bool seen[256] = {false};
	unsigned count = 0;

	guest_put_code(guest, GUEST_CODE, code_wake_others, code_wake_others_end);
	guest_put_code(guest, GUEST_AP, code_other, code_other_end);
	guest_make(guest, cpus, CPU_ENTRY_LONG64);
	guest_run(guest);
	guest_expect_done(guest, cpus);
	for (unsigned i = 0; i < guest->log_count; i++) {
		uint64_t id = guest->log[i].value;

		if (guest->log[i].offset != 0)
			continue;
		assert_in_range(id, 1, cpus - 1);
		assert_false(seen[id]);
		seen[id] = true;
		count++;
	}
	assert_int_equal(count, cpus - 1);
}

static void test_other_processors_wait_for_sipi(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	wake_others(guest, 4);
}

static void test_255_processors(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	if (guest->kvm.vcpus_max < 255) {
		printf("skip: this KVM allows %u processors only\n", guest->kvm.vcpus_max);
		skip();
	}
	wake_others(guest, 255);
}

static void test_processors_that_never_woke_can_be_stopped(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_put_code(guest, GUEST_CODE, code_port_widths, code_port_widths_end);
	guest_make(guest, 3, CPU_ENTRY_LONG64);
	guest_run(guest);
	guest_expect_done(guest, 1);
	for (unsigned i = 0; i < 3; i++)
		vcpu_request_pause(guest->vcpus[i]);
	for (unsigned i = 0; i < 3; i++)
		vcpu_wait_paused(guest->vcpus[i]);
	guest_halt(guest);
	assert_int_equal(guest->done, 1);
}

static void test_too_many_processors(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	const struct vcpu_env env = {.pio = &guest->pio, .mmio = &guest->mmio};
	struct err err = ERR_INIT;
	struct vcpu *vcpu;

	assert_int_equal(kvm_create_vm(&guest->kvm, &err), 0);
	guest->kvm.vcpus_max = 2;
	assert_true(vcpu_create(&vcpu, &guest->kvm, 0, 3, &env, &err) < 0);
	assert_null(vcpu);
	assert_int_equal(err.kind, EXIT_CODE_KVM);
	assert_non_null(strstr(err.text, "3 processors are more than this host's KVM allows (2)"));
	assert_non_null(strstr(err.hint, "at most 2 with --cpus"));
}

/* ---- Pause, resume, stop ---- */

GUEST_ASM(code_spin,
	"out %al, $0x80\n"
	"1: incq 0x20000\n"
	"jmp 1b\n");

static void wait_for_progress(struct guest *guest)
{
	uint64_t before = guest_get64(guest, 0x20000);

	for (int i = 0; i < GUEST_WAIT_S * 100; i++) {
		if (guest_get64(guest, 0x20000) > before)
			return;
		guest_sleep_ms(10);
	}
	fail_msg("the guest does not run");
}

static void test_a_spinning_guest_pauses_and_resumes(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	uint64_t stands;

	guest_start(guest, code_spin, code_spin_end);
	for (int i = 0; i < 5; i++) {
		wait_for_progress(guest);
		vcpu_request_pause(guest->vcpus[0]);
		vcpu_wait_paused(guest->vcpus[0]);
		stands = guest_get64(guest, 0x20000);
		guest_sleep_ms(20);
		assert_int_equal(guest_get64(guest, 0x20000), stands);
		/* Asking again changes nothing. */
		vcpu_request_pause(guest->vcpus[0]);
		vcpu_wait_paused(guest->vcpus[0]);
		vcpu_resume(guest->vcpus[0]);
	}
	wait_for_progress(guest);
	vcpu_stop(guest->vcpus[0]);
	stands = guest_get64(guest, 0x20000);
	guest_sleep_ms(20);
	assert_int_equal(guest_get64(guest, 0x20000), stands);
}

static void test_a_pause_before_the_start_holds(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_put_code(guest, GUEST_CODE, code_spin, code_spin_end);
	guest_make(guest, 1, CPU_ENTRY_LONG64);
	vcpu_request_pause(guest->vcpus[0]);
	vcpu_wait_paused(guest->vcpus[0]);
	guest_run(guest);
	vcpu_wait_paused(guest->vcpus[0]);
	assert_int_equal(guest_get64(guest, 0x20000), 0);
	vcpu_resume(guest->vcpus[0]);
	wait_for_progress(guest);
}

GUEST_ASM(code_halt, GUEST_FINISH);

static void test_a_halted_guest_can_be_stopped(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_start(guest, code_halt, code_halt_end);
	guest_expect_done(guest, 1);
	vcpu_request_pause(guest->vcpus[0]);
	vcpu_wait_paused(guest->vcpus[0]);
	vcpu_resume(guest->vcpus[0]);
	vcpu_stop(guest->vcpus[0]);
	assert_false(guest->has_event);
}

/* Reads what it wrote last and writes one more: a lost or doubled access shows. */
GUEST_ASM(code_count,
	"xor %ecx, %ecx\n"
	"mov $0x500, %edx\n"
	"1: mov %ecx, %eax\n"
	"out %eax, (%dx)\n"
	"in (%dx), %eax\n"
	"cmp $0x77, %eax\n"
	"jne 2f\n"
	"inc %ecx\n"
	"jmp 1b\n"
	"2: ud2\n");

static void test_pausing_loses_no_access(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	uint64_t next = 0;

	guest->read_value = 0x77;
	guest_start(guest, code_count, code_count_end);
	for (int i = 0; i < 300; i++) {
		if (i % 2)
			guest_sleep_ms(1);
		vcpu_request_pause(guest->vcpus[0]);
		if (i % 3)
			vcpu_wait_paused(guest->vcpus[0]);
		vcpu_resume(guest->vcpus[0]);
	}
	vcpu_stop(guest->vcpus[0]);
	assert_false(guest->has_event);
	for (unsigned i = 0; i < guest->log_count; i++) {
		if (!guest->log[i].is_write)
			continue;
		assert_int_equal(guest->log[i].value, next);
		next++;
	}
	assert_true(next > 0);
}

/* ---- Being looked at ---- */

GUEST_ASM(code_sleep_deaf, "cli\n1: hlt\njmp 1b\n");
GUEST_ASM(code_sleep, "sti\n1: hlt\njmp 1b\n");
GUEST_ASM(code_loop, "cli\nmov $0x77, %ebx\n1: jmp 1b\n");

/* Asks until the guest is where it stays; the last answer goes to `sample`. */
static void look(struct guest *guest, unsigned cpu, struct vcpu_sample *sample, bool halted)
{
	for (unsigned i = 0; i < GUEST_WAIT_S * 100; i++) {
		vcpu_request_sample(guest->vcpus[cpu]);
		guest_sleep_ms(10);
		if (vcpu_take_sample(guest->vcpus[cpu], sample) && sample->is_halted == halted &&
			(halted || sample->is_off || sample->regs[1] == 0x77))
			return;
	}
	fail_msg("the processor does not say that it is where it has to be");
}

static void test_a_processor_looks_at_itself(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct vcpu_sample sample;

	guest_start(guest, code_sleep_deaf, code_sleep_deaf_end);
	look(guest, 0, &sample, true);
	assert_false(sample.interrupts_on);
	assert_int_equal(sample.code, GUEST_CODE + 2);
	assert_false(vcpu_take_sample(guest->vcpus[0], &sample));
	guest_halt(guest);
	guest_start(guest, code_sleep, code_sleep_end);
	look(guest, 0, &sample, true);
	assert_true(sample.interrupts_on);
	guest_halt(guest);
	guest_start(guest, code_loop, code_loop_end);
	look(guest, 0, &sample, false);
	assert_false(sample.interrupts_on || sample.in_user || sample.is_off);
	assert_true(sample.is_64bit);
	assert_int_equal(sample.code, GUEST_CODE + 6);
}

static void test_a_processor_that_waits_for_sipi_says_so(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct vcpu_sample sample;

	guest_put_code(guest, GUEST_CODE, code_loop, code_loop_end);
	guest_make(guest, 2, CPU_ENTRY_LONG64);
	guest_run(guest);
	look(guest, 1, &sample, false);
	assert_true(sample.is_off);
}

/* A pause comes first, and the answer after it. */
static void test_a_look_at_a_paused_processor_waits(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct vcpu_sample sample;

	guest_start(guest, code_loop, code_loop_end);
	vcpu_request_pause(guest->vcpus[0]);
	vcpu_wait_paused(guest->vcpus[0]);
	vcpu_request_sample(guest->vcpus[0]);
	guest_sleep_ms(50);
	assert_false(vcpu_take_sample(guest->vcpus[0], &sample));
	vcpu_resume(guest->vcpus[0]);
	look(guest, 0, &sample, false);
}

/* A guest that never leaves its loop is asked as well: its counters do not wait for it. */
static void test_counters_of_a_running_processor(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct vcpu_stats stats;
	unsigned tries = 0;

	guest_start(guest, code_loop, code_loop_end);
	do {
		vcpu_get_stats(guest->vcpus[0], &stats);
		guest_sleep_ms(10);
	} while ((stats.kvm_is_coming || !stats.run_ns) && ++tries < GUEST_WAIT_S * 100);
	assert_false(stats.kvm_is_coming);
	assert_true(stats.run_ns > 0);
	if (!stats.has_kvm)
		print_message("this KVM has no counters\n");
	else
		assert_true(stats.exits > 0);
}

/* ---- Events ---- */

GUEST_ASM(code_triple_fault, "ud2\n");

static void test_a_triple_fault_parks_the_processor(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_start(guest, code_triple_fault, code_triple_fault_end);
	guest_expect_event(guest, VCPU_EVENT_SHUTDOWN);
	vcpu_wait_paused(guest->vcpus[0]);
	assert_int_equal(atomic_load(&vcpu_exits(guest->vcpus[0])->counts[EXIT_KIND_SHUTDOWN]), 1);
	vcpu_stop(guest->vcpus[0]);
}

static void test_a_reset_makes_a_fresh_machine(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	for (int i = 0; i < 3; i++) {
		guest_start(guest, code_triple_fault, code_triple_fault_end);
		guest_expect_event(guest, VCPU_EVENT_SHUTDOWN);
		guest_halt(guest);
		guest->log_count = 0;
		guest_start(guest, code_port_widths, code_port_widths_end);
		guest_expect_done(guest, 1);
		assert_int_equal(guest->log_count, 6);
		guest_halt(guest);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_port_widths),
		TEST(test_port_strings),
		TEST(test_mmio_widths),
		TEST(test_unclaimed_accesses),
		TEST(test_exits_are_counted),
		TEST(test_entry_long_mode),
		TEST(test_entry_protected_mode),
		TEST(test_other_processors_wait_for_sipi),
		TEST(test_255_processors),
		TEST(test_processors_that_never_woke_can_be_stopped),
		TEST(test_too_many_processors),
		TEST(test_a_spinning_guest_pauses_and_resumes),
		TEST(test_a_pause_before_the_start_holds),
		TEST(test_a_halted_guest_can_be_stopped),
		TEST(test_pausing_loses_no_access),
		TEST(test_a_processor_looks_at_itself),
		TEST(test_a_processor_that_waits_for_sipi_says_so),
		TEST(test_a_look_at_a_paused_processor_waits),
		TEST(test_counters_of_a_running_processor),
		TEST(test_a_triple_fault_parks_the_processor),
		TEST(test_a_reset_makes_a_fresh_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
