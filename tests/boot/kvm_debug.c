/*
 * A vCPU under a debugger: registers, steps, traps of every kind, and what of the guest's own
 * debugging is left to it. Where KVM knows no debug registers the traps are found by stepping.
 */
#include "tests/boot/kvm_guest.h"

#include "vmm/kvm/cpu_x86.h"
#include "vmm/kvm/vcpu_debug.h"

#define BREAK_AT (GUEST_CODE + 1) /* where is_break() says that there is one of ours */

static bool is_break(void *opaque, const struct page_walk_regs *walk, uint64_t linear)
{
	(void)opaque;
	assert_int_equal(walk->cr3, GUEST_TABLES);
	return linear == BREAK_AT;
}

static const struct vcpu_debug_config config = {.is_break = is_break};

static void set_debug(struct guest *guest, const struct vcpu_debug *debug)
{
	assert_int_equal(vcpu_debug_set(guest->vcpus[0], debug, &config), 0);
}

/* Runs to the next event, or to the guest's end. */
static struct vcpu_stop run_to_stop(struct guest *guest)
{
	unsigned done = guest->done + 1;

	guest->has_event = false;
	vcpu_resume(guest->vcpus[0]);
	guest_wait(guest, done);
	vcpu_request_pause(guest->vcpus[0]);
	vcpu_wait_paused(guest->vcpus[0]);
	return vcpu_debug_take_stop(guest->vcpus[0]);
}

static void start_still(struct guest *guest, const uint8_t *code, const uint8_t *end)
{
	guest_put_code(guest, GUEST_CODE, code, end);
	guest_make(guest, 1, CPU_ENTRY_LONG64);
	vcpu_request_pause(guest->vcpus[0]);
	guest_run(guest);
	vcpu_wait_paused(guest->vcpus[0]);
}

static uint64_t rip_of(struct guest *guest)
{
	struct cpu_regs regs;

	assert_int_equal(vcpu_get_regs(guest->vcpus[0], &regs), 0);
	return regs.rip;
}

GUEST_ASM(code_counts,
	"nop\n"		       /* +0 */
	"nop\n"		       /* +1 */
	"mov $0x20000, %ebx\n" /* +2 */
	"incl (%rbx)\n"	       /* +7 */
	"mov (%rbx), %eax\n"   /* +9 */
	"incl (%rbx)\n"	       /* +11 */
	"nop\n"		       /* +13 */
	GUEST_FINISH);

static void registers_are_read_and_written(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	struct cpu_regs old, regs;

	start_still(guest, code_counts, code_counts_end);
	assert_int_equal(vcpu_get_regs(guest->vcpus[0], &old), 0);
	assert_int_equal(old.rip, GUEST_CODE);
	assert_int_equal(old.cr3, GUEST_TABLES);
	assert_int_equal(old.gpr[CPU_RSP], GUEST_STACK);
	assert_int_equal(old.gdt.base, GUEST_GDT);
	assert_true(old.segments[CPU_CS].access & CPU_ACCESS_LONG);
	assert_int_equal(old.fcw, 0x37f);
	assert_int_equal(old.mxcsr, 0x1f80);
	assert_int_equal(old.activity, CPU_RUNS);
	/* All parts at once: general, system, debug, FPU, MSR. */
	regs = old;
	regs.gpr[CPU_RAX] = UINT64_C(0x1122334455667788);
	regs.gpr[15] = 15;
	regs.rip = GUEST_CODE + 13;
	regs.segments[CPU_GS].base = 0x5000;
	regs.dr[0] = 0x1234;
	regs.fcw = 0x27f;
	memset(regs.xmm[7], 0x5a, 16);
	memset(regs.st[2], 0xa5, 10);
	regs.mxcsr = 0x1f00;
	regs.msr[CPU_MSR_LSTAR] = 0x4000;
	assert_int_equal(vcpu_set_regs(guest->vcpus[0], &old, &regs), 0);
	assert_int_equal(vcpu_get_regs(guest->vcpus[0], &old), 0);
	assert_int_equal(old.gpr[CPU_RAX], regs.gpr[CPU_RAX]);
	assert_int_equal(old.gpr[15], 15);
	assert_int_equal(old.rip, GUEST_CODE + 13);
	assert_int_equal(old.segments[CPU_GS].base, 0x5000);
	assert_int_equal(old.dr[0], 0x1234);
	assert_int_equal(old.fcw, 0x27f);
	assert_memory_equal(old.xmm[7], regs.xmm[7], 16);
	assert_memory_equal(old.st[2], regs.st[2], 10);
	assert_int_equal(old.mxcsr, 0x1f00);
	assert_int_equal(old.msr[CPU_MSR_LSTAR], 0x4000);
	/* It goes on from there. */
	assert_int_equal(run_to_stop(guest).kind, VCPU_STOP_NONE);
	assert_int_equal(guest->done, 1);
	assert_int_equal(guest_get64(guest, 0x20000), 0);
}

static void steps_are_single(void **state)
{
	static const unsigned after[] = {1, 2, 7, 9, 11, 13};
	struct guest *guest = GUEST_OR_SKIP(state);

	start_still(guest, code_counts, code_counts_end);
	for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
		set_debug(guest, &(struct vcpu_debug){.step = true});
		assert_int_equal(run_to_stop(guest).kind, VCPU_STOP_STEP);
		assert_int_equal(guest->event, VCPU_EVENT_DEBUG);
		assert_int_equal(rip_of(guest), GUEST_CODE + after[i]);
		assert_int_equal(vcpu_debug_take_stop(guest->vcpus[0]).kind, VCPU_STOP_NONE);
	}
	set_debug(guest, &(struct vcpu_debug){.step = false});
	assert_int_equal(run_to_stop(guest).kind, VCPU_STOP_NONE);
	assert_int_equal(guest->done, 1);
}

/* A step over an access to a device ends behind it, with what it read. */
GUEST_ASM(code_device,
	"mov $0x501, %edx\n" /* +0 */
	"out %al, (%dx)\n"   /* +5 */
	"in (%dx), %al\n"    /* +6 */
	"nop\n"		     /* +7 */
	GUEST_FINISH);

static void steps_pass_devices(void **state)
{
	static const unsigned after[] = {5, 6, 7};
	struct guest *guest = GUEST_OR_SKIP(state);
	struct cpu_regs regs;

	guest->read_value = 0x42;
	start_still(guest, code_device, code_device_end);
	for (size_t i = 0; i < ARRAY_SIZE(after); i++) {
		set_debug(guest, &(struct vcpu_debug){.step = true});
		assert_int_equal(run_to_stop(guest).kind, VCPU_STOP_STEP);
		assert_int_equal(rip_of(guest), GUEST_CODE + after[i]);
	}
	assert_int_equal(guest->log_count, 2);
	assert_int_equal(vcpu_get_regs(guest->vcpus[0], &regs), 0);
	assert_int_equal(regs.gpr[CPU_RAX] & 0xff, 0x42);
}

static void traps_stop_at_instructions(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	const struct vcpu_debug debug = {.traps = {{GUEST_CODE + 13, 1, VCPU_TRAP_EXECUTE},
						 {GUEST_CODE + 7, 1, VCPU_TRAP_EXECUTE}},
		.trap_count = 2};
	struct vcpu_stop stop;

	start_still(guest, code_counts, code_counts_end);
	set_debug(guest, &debug);
	stop = run_to_stop(guest);
	assert_int_equal(stop.kind, VCPU_STOP_TRAP);
	assert_int_equal(stop.trap.address, GUEST_CODE + 7);
	assert_int_equal(rip_of(guest), GUEST_CODE + 7);
	assert_int_equal(guest_get64(guest, 0x20000), 0);
	set_debug(guest, &(struct vcpu_debug){.step = true});
	assert_int_equal(run_to_stop(guest).kind, VCPU_STOP_STEP);
	set_debug(guest, &debug);
	assert_int_equal(run_to_stop(guest).trap.address, GUEST_CODE + 13);
}

/* More than there are registers for: the fifth is found by stepping. */
static void many_traps(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	const struct vcpu_debug debug = {
		.traps = {{0x1000, 1, VCPU_TRAP_EXECUTE}, {0x2000, 1, VCPU_TRAP_EXECUTE},
			{0x3000, 1, VCPU_TRAP_EXECUTE}, {GUEST_CODE + 13, 1, VCPU_TRAP_EXECUTE},
			{GUEST_CODE + 9, 1, VCPU_TRAP_EXECUTE}},
		.trap_count = 5};
	struct vcpu_stop stop;

	start_still(guest, code_counts, code_counts_end);
	set_debug(guest, &debug);
	stop = run_to_stop(guest);
	assert_int_equal(stop.kind, VCPU_STOP_TRAP);
	assert_int_equal(stop.trap.address, GUEST_CODE + 9);
	assert_int_equal(rip_of(guest), GUEST_CODE + 9);
	stop = run_to_stop(guest);
	assert_int_equal(stop.trap.address, GUEST_CODE + 13);
	assert_int_equal(rip_of(guest), GUEST_CODE + 13);
}

static void traps_stop_after_writes(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	const struct vcpu_debug debug = {.traps = {{0x20000, 4, VCPU_TRAP_WRITE}}, .trap_count = 1};
	struct vcpu_stop stop;

	start_still(guest, code_counts, code_counts_end);
	set_debug(guest, &debug);
	stop = run_to_stop(guest);
	assert_int_equal(stop.kind, VCPU_STOP_TRAP);
	assert_int_equal(stop.trap.kind, VCPU_TRAP_WRITE);
	assert_int_equal(rip_of(guest), GUEST_CODE + 9);
	assert_int_equal(guest_get64(guest, 0x20000), 1);
	assert_int_equal(run_to_stop(guest).kind, VCPU_STOP_TRAP);
	assert_int_equal(rip_of(guest), GUEST_CODE + 13);
	assert_int_equal(run_to_stop(guest).kind, VCPU_STOP_NONE);
	assert_int_equal(guest->done, 1);
}

/* The guest handles #BP itself and counts; one of the two is ours. */
GUEST_ASM(code_int3,
	"nop\n"
	"int3\n" /* BREAK_AT: the debugger's, over a nop */
	"lidt 0x5f0\n"
	"int3\n"
	"int3\n" GUEST_FINISH "code_int3_handler:\n"
	"incl 0x20000\n"
	"iretq\n");
extern const uint8_t code_int3_handler[];

static void guests_own_int3_is_its_own(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	const uint8_t nop = 0x90;

	if (!cpu_x86_find_debug().int3) {
		printf("skip: INT3 does not stop a guest of this KVM\n");
		skip();
	}
	guest_put_gate(guest, 3, code_int3, code_int3_handler);
	start_still(guest, code_int3, code_int3_end);
	set_debug(guest, &(struct vcpu_debug){.breaks = true});
	assert_int_equal(run_to_stop(guest).kind, VCPU_STOP_BREAK);
	assert_int_equal(rip_of(guest), BREAK_AT);
	assert_int_equal(gmem_write(&guest->mem, BREAK_AT, &nop, 1), 0);
	assert_int_equal(run_to_stop(guest).kind, VCPU_STOP_NONE);
	assert_int_equal(guest->done, 1);
	assert_int_equal(guest_get64(guest, 0x20000), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		TEST(registers_are_read_and_written),
		TEST(steps_are_single),
		TEST(steps_pass_devices),
		TEST(traps_stop_at_instructions),
		TEST(many_traps),
		TEST(traps_stop_after_writes),
		TEST(guests_own_int3_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
