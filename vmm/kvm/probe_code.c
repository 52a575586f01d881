/*
 * See probe_code.h: assembly that is never run here, only copied into a guest.
 * It stands in .rodata and uses absolute addresses below 4 GiB and relative jumps only.
 *
 * Sources: Intel SDM vol. 3A 10.4–10.8 (local APIC); Intel 82093AA (IOAPIC).
 */
#include "vmm/kvm/probe_code.h"

/* One instruction a line, AT&T syntax: not for the formatter. */
/* clang-format off */

#define TEXT2(x) #x
#define TEXT(x)	 TEXT2(x)

#define ENTRY(name) ".globl " #name "\n" #name ":\n"
#define OUT(port)   "mov $" TEXT(port) ", %edx\n out %eax, (%dx)\n"
#define IN(port)    "mov $" TEXT(port) ", %edx\n in (%dx), %eax\n"
#define LOAD_IDT    "lidt " TEXT(PROBE_IDTR) "\n"
#define STOP	    "99: hlt\n jmp 99b\n"

/* Local APIC and IOAPIC registers. */
#define APIC_SPURIOUS	"0xfee000f0"
#define APIC_EOI	"0xfee000b0"
#define IOAPIC_INDEX	"0xfec00000"
#define IOAPIC_DATA	"0xfec00010"

#define MOVE(value, addr) "mov $" addr ", %ebx\n movl $" value ", (%rbx)\n"
#define REDIRECT(pin, low)                              \
	MOVE("(0x11 + 2 * " TEXT(pin) ")", IOAPIC_INDEX) \
	MOVE("0", IOAPIC_DATA)                          \
	MOVE("(0x10 + 2 * " TEXT(pin) ")", IOAPIC_INDEX) \
	MOVE(low, IOAPIC_DATA)

__asm__(
	".pushsection .rodata\n"
	".code64\n"
	".balign 16\n"
	ENTRY(probe_code)

	/* Asks how often to turn, turns, tells, asks again. */
	ENTRY(probe_code_loop)
	"1:\n"
	IN(PROBE_PORT_COUNT)
	"mov %eax, %ecx\n"
	"2: dec %ecx\n"
	"jnz 2b\n"
	"mov $" TEXT(PROBE_RESULT_GOOD) ", %eax\n"
	OUT(PROBE_PORT_RESULT)
	"jmp 1b\n"

	/* 16 bytes of zero are exchanged for two values, which must then stand in memory. */
	ENTRY(probe_code_cmpxchg16b)
	"mov $" TEXT(PROBE_DATA) ", %edi\n"
	"xor %eax, %eax\n"
	"xor %edx, %edx\n"
	"mov $0x1234, %ebx\n"
	"mov $0x5678, %ecx\n"
	"lock cmpxchg16b (%rdi)\n"
	"sete %al\n"
	"movzbl %al, %eax\n"
	"cmp %rbx, (%rdi)\n"
	"jne 3f\n"
	"cmp %rcx, 8(%rdi)\n"
	"je 4f\n"
	"3: xor %eax, %eax\n"
	"4:\n"
	OUT(PROBE_PORT_RESULT)
	STOP

	/* The handler must have counted once when the code goes on behind int3. */
	ENTRY(probe_code_int3)
	LOAD_IDT
	"xor %ebp, %ebp\n"
	"int3\n"
	"mov %ebp, %eax\n"
	OUT(PROBE_PORT_RESULT)
	STOP
	ENTRY(probe_code_on_int3)
	"inc %ebp\n"
	"iretq\n"

	/* CPUID says whether guests will use it. CR4: OSXSAVE, OSFXSR; XCR0: x87 and SSE. */
	ENTRY(probe_code_xsave)
	"mov $1, %eax\n"
	"xor %ecx, %ecx\n"
	"cpuid\n"
	"mov $" TEXT(PROBE_RESULT_ABSENT) ", %eax\n"
	"bt $26, %ecx\n"
	"jnc 5f\n"
	"mov %cr4, %rax\n"
	"or $0x40200, %eax\n"
	"mov %rax, %cr4\n"
	"xor %ecx, %ecx\n"
	"xor %edx, %edx\n"
	"mov $3, %eax\n"
	"xsetbv\n"
	"mov $" TEXT(PROBE_DATA) ", %edi\n"
	"xsave (%rdi)\n"
	"mov $3, %eax\n"
	"xor %edx, %edx\n"
	"xrstor (%rdi)\n"
	"mov $" TEXT(PROBE_RESULT_GOOD) ", %eax\n"
	"5:\n"
	OUT(PROBE_PORT_RESULT)
	STOP

	/* Sets up one level and one edge pin, says so, and waits for whatever comes. */
	ENTRY(probe_code_interrupt)
	LOAD_IDT
	MOVE("0x1ff", APIC_SPURIOUS)
	REDIRECT(PROBE_LEVEL_PIN, "(0x8000 + " TEXT(PROBE_VECTOR_LEVEL) ")")
	REDIRECT(PROBE_EDGE_PIN, TEXT(PROBE_VECTOR_EDGE))
	OUT(PROBE_PORT_READY)
	"sti\n"
	STOP
	/* A level interrupt: the device is asked first and lowers its line. */
	ENTRY(probe_code_on_level)
	IN(PROBE_PORT_ACK)
	"mov $" TEXT(PROBE_VECTOR_LEVEL) ", %eax\n"
	"jmp 6f\n"
	ENTRY(probe_code_on_edge)
	"mov $" TEXT(PROBE_VECTOR_EDGE) ", %eax\n"
	"jmp 6f\n"
	ENTRY(probe_code_on_msi)
	"mov $" TEXT(PROBE_VECTOR_MSI) ", %eax\n"
	"6:\n"
	MOVE("0", APIC_EOI)
	OUT(PROBE_PORT_RESULT)
	"iretq\n"

	/* Rings, then tells; the host side looks whether the eventfd was rung. */
	ENTRY(probe_code_bell_pio)
	"mov $7, %eax\n"
	OUT(PROBE_PORT_BELL)
	"mov $" TEXT(PROBE_RESULT_GOOD) ", %eax\n"
	OUT(PROBE_PORT_RESULT)
	STOP
	ENTRY(probe_code_bell_mmio)
	MOVE("7", TEXT(PROBE_MMIO_BELL))
	"mov $" TEXT(PROBE_RESULT_GOOD) ", %eax\n"
	OUT(PROBE_PORT_RESULT)
	STOP

	ENTRY(probe_code_end)
	".popsection\n");

/* clang-format on */
