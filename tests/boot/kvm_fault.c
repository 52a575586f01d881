/*
 * What a person is told when a processor can't go on. How much the registers tell
 * depends on the KVM: AMD's hardware loses them in a triple fault, and the text says so.
 */
#include "tests/boot/kvm_guest.h"

#include <stdlib.h>

static char *explain(struct guest *guest)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	vcpu_wait_paused(guest->vcpus[0]);
	vcpu_explain(guest->vcpus[0], out);
	fclose(out);
	return text;
}

static void expect_part(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

/* In a triple fault: `part` where the registers were kept, else that they were not. */
static void expect_triple_fault(struct guest *guest, const char *part)
{
	guest_expect_event(guest, VCPU_EVENT_SHUTDOWN);
	expect_part(guest->sentence, "triple fault on CPU 0");
	if (strstr(guest->sentence, "keeps no registers"))
		return;
	expect_part(guest->sentence, part);
}

GUEST_ASM(code_no_idt, "out %al, $0x80\n ud2\n");

static void test_fault_without_idt(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_start(guest, code_no_idt, code_no_idt_end);
	expect_triple_fault(guest, "no IDT is loaded");
}

/* An address without a page: 1 GiB to 3 GiB are not mapped. */
GUEST_ASM(code_wild_jump, "out %al, $0x80\n mov $0x40001000, %eax\n jmp *%rax\n");

static void test_jump_to_nowhere(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_start(guest, code_wild_jump, code_wild_jump_end);
	expect_triple_fault(
		guest, "the page walk of RIP stops at the PDPT entry (not present), and no IDT");
}

GUEST_ASM(code_wild_read, "lidt 0x5f0\n out %al, $0x80\n mov 0x40002000, %eax\n");

static void test_read_from_nowhere(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_start(guest, code_wild_read, code_wild_read_end);
	expect_triple_fault(guest,
		"the page walk of the last fault address 0x40002000 stops at the PDPT entry "
		"(not present), and the IDT's entry for exception 14 is not present");
}

GUEST_ASM(code_no_stack, "lidt 0x5f0\n out %al, $0x80\n mov $0x40003000, %esp\n ud2\n");

static void test_stack_nowhere(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_put_gate(guest, 6, code_no_stack, code_no_stack);
	guest_put_gate(guest, 8, code_no_stack, code_no_stack);
	guest_put_gate(guest, 14, code_no_stack, code_no_stack);
	guest_start(guest, code_no_stack, code_no_stack_end);
	expect_triple_fault(guest, "the page walk of the stack at 0x40002ff8 stops at the PDPT");
}

static void test_dump_of_a_triple_fault(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	char *text;

	guest_start(guest, code_wild_jump, code_wild_jump_end);
	guest_expect_event(guest, VCPU_EVENT_SHUTDOWN);
	text = explain(guest);
	expect_part(text, "Last exits, newest first:\n  shutdown");
	expect_part(text, "port write 0x80, 1 byte");
	if (strstr(text, "keeps no registers")) {
		expect_part(
			text, "Registers of CPU 0 at the exit before, CR0 and below as well:\n");
		expect_part(text, "Page walk of RIP 0x00000000000100");
		/* The jump that follows is among the bytes. */
		expect_part(text, "b8 00 10 00 40 ff e0");
	} else {
		expect_part(text, "RIP 0000000040001000");
		expect_part(text, "Code at RIP: can't be read");
		expect_part(text, "Page walk of RIP 0x0000000040001000 (4-level paging)");
	}
	expect_part(text, "CR3 0000000000001000");
	expect_part(text, "CS  0010 base");
	free(text);
}

/* Many exits before the end: the system registers are taken along only now and then. */
GUEST_ASM(code_late_fault, "mov $300, %ecx\n 1: out %al, $0x80\n loop 1b\n ud2\n");

static void test_dump_after_many_exits(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	char *text;

	guest_start(guest, code_late_fault, code_late_fault_end);
	guest_expect_event(guest, VCPU_EVENT_SHUTDOWN);
	text = explain(guest);
	expect_part(text, "CR3 0000000000001000");
	if (strstr(text, "keeps no registers"))
		expect_part(text, "CR0 and below some exits older:\n");
	free(text);
}

/* Code can't be fetched from a device's registers. */
GUEST_ASM(code_run_device, "out %al, $0x80\n mov $0xd0000000, %eax\n jmp *%rax\n");

static void test_code_in_a_device(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	char *text;

	guest_start(guest, code_run_device, code_run_device_end);
	guest_expect_event(guest, VCPU_EVENT_INTERNAL_ERROR);
	expect_part(guest->sentence, "0xd0000000");
	text = explain(guest);
	expect_part(text, "RIP 00000000d0000000");
	expect_part(text, "Page walk of RIP 0x00000000d0000000");
	expect_part(text, "internal error");
	free(text);
}

GUEST_ASM(code_cmpxchg16b,
	"mov $0x20000, %edi\n xor %eax, %eax\n xor %edx, %edx\n xor %ebx, %ebx\n xor %ecx, %ecx\n"
	"lock cmpxchg16b (%rdi)\n" GUEST_FINISH);

static void test_instruction_that_kvm_can_not_emulate(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	char *text;

	guest_start(guest, code_cmpxchg16b, code_cmpxchg16b_end);
	if (guest_wait(guest, 1)) {
		printf("skip: this KVM runs cmpxchg16b\n");
		skip();
	}
	assert_int_equal(guest->event, VCPU_EVENT_INTERNAL_ERROR);
	expect_part(guest->sentence, "KVM can't emulate the instruction f0 48 0f c7 0f");
	expect_part(guest->sentence, "(cmpxchg16b) at RIP 0x1000d");
	text = explain(guest);
	expect_part(text, "Code at RIP: f0 48 0f c7 0f ");
	free(text);
}

/*
 * A processor that goes from error to error parks each time. (Which errors: some KVM
 * queues an exception behind the first, which then is a triple fault and the end.)
 */
static void test_errors_without_end_do_not_spin(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);

	guest_start(guest, code_run_device, code_run_device_end);
	for (uint64_t i = 1; i <= 20; i++) {
		const _Atomic uint64_t *counts;

		guest_wait(guest, UINT32_MAX);
		assert_true(guest->has_event);
		vcpu_wait_paused(guest->vcpus[0]);
		counts = vcpu_exits(guest->vcpus[0])->counts;
		assert_int_equal(atomic_load(&counts[EXIT_KIND_INTERNAL_ERROR]) +
				atomic_load(&counts[EXIT_KIND_SHUTDOWN]),
			i);
		if (guest->event == VCPU_EVENT_SHUTDOWN)
			break;
		guest->has_event = false;
		vcpu_resume(guest->vcpus[0]);
	}
}

/* Page tables that point everywhere: the explanation must survive them. */
static void test_hostile_page_tables(void **state)
{
	struct guest *guest = GUEST_OR_SKIP(state);
	char *text;

	for (gpa_t at = GUEST_DATA; at < GUEST_DATA + 0x1000; at += 8)
		guest_put64(guest, at, UINT64_C(0xffffffffffffffff) - at);
	guest_put64(guest, GUEST_TABLES + 0x1000 + 8, GUEST_DATA | 3);
	guest_start(guest, code_wild_jump, code_wild_jump_end);
	guest_wait(guest, 1);
	assert_true(guest->has_event);
	text = explain(guest);
	assert_true(strlen(text) > 100);
	free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_fault_without_idt),
		TEST(test_jump_to_nowhere),
		TEST(test_read_from_nowhere),
		TEST(test_stack_nowhere),
		TEST(test_dump_of_a_triple_fault),
		TEST(test_dump_after_many_exits),
		TEST(test_code_in_a_device),
		TEST(test_instruction_that_kvm_can_not_emulate),
		TEST(test_errors_without_end_do_not_spin),
		TEST(test_hostile_page_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
