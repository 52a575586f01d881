/* The map of ports begins with the TSS itself: its zeros allow what they stand for. */
#include "user.h"

enum {
	STACK_BYTES = 8192,
	STATUS_EXCEPTION = 200,
	VECTOR_PAGE_FAULT = 14,
	RING_MASK = 3,
};

/* entry.S */
int enter_user(uint64_t rip, uint64_t rsp);
_Noreturn void leave_user(int status);
void syscall_entry(void);
int64_t syscall_dispatch(uint64_t number, uint64_t first, uint64_t second);

/* For all that comes from ring 3. It is empty whenever a program runs. */
static uint8_t stack[STACK_BYTES] __attribute__((aligned(16)));
uint8_t *const kernel_stack_top = stack + STACK_BYTES;

/* ---- Segments ---- */

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1, ist[7], reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

static struct tss tss;
static uint64_t gdt[SELECTOR_TSS / 8 + 2];

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

void segments_init(void)
{
	const struct table_register gdtr = {sizeof(gdt) - 1, (uint64_t)gdt};
	uint64_t base = (uint64_t)&tss, limit = sizeof(tss) - 1;

	tss.rsp[0] = (uint64_t)kernel_stack_top;
	gdt[SELECTOR_KERNEL_CODE / 8] = 0x00af9b000000ffff;
	gdt[SELECTOR_KERNEL_DATA / 8] = 0x00cf93000000ffff;
	gdt[SELECTOR_USER_DATA / 8] = 0x00cff3000000ffff;
	gdt[SELECTOR_USER_CODE / 8] = 0x00affb000000ffff;
	gdt[SELECTOR_TSS / 8] =
		limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
}

/* ---- Pages ---- */

#define ENTRY_WRITABLE (1ull << 1)
#define ENTRY_USER     (1ull << 2)

/* Every level has to allow it. */
static void allow(uint64_t virtual)
{
	for (unsigned level = 4; level; level--)
		*memory_entry(virtual, level) |= ENTRY_USER;
}

void user_pages_init(void)
{
	allow(USER_CODE);
	allow(USER_STACK);
	*memory_entry(USER_CODE, 1) &= ~ENTRY_WRITABLE;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
}

/* ---- Programs ---- */

int user_run(void)
{
	return enter_user(USER_CODE, USER_STACK_TOP);
}

struct frame *user_exception(struct frame *frame)
{
	uint64_t address;

	if (!(frame->cs & RING_MASK))
		exit_vm((uint8_t)(STATUS_EXCEPTION + frame->vector));
	print("exception ");
	print_number(frame->vector);
	print(" at 0x");
	print_hex(frame->rip, 16);
	if (frame->vector == VECTOR_PAGE_FAULT) {
		__asm__ volatile("mov %%cr2, %0" : "=r"(address));
		print(", address 0x");
		print_hex(address, 16);
	}
	print("\n");
	leave_user(PROGRAM_FAILED);
}

/* ---- System calls ---- */

#define EFER	  0xc0000080
#define EFER_SCE  1u
#define STAR	  0xc0000081
#define LSTAR	  0xc0000082
#define FMASK	  0xc0000084
#define RFLAGS_TF (1u << 8)
#define RFLAGS_IF (1u << 9)
#define RFLAGS_DF (1u << 10)

static void write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (uint64_t)high << 32;
}

void syscalls_init(void)
{
	write_msr(EFER, read_msr(EFER) | EFER_SCE);
	/* sysretq takes SS from the upper half + 8, and CS from it + 16. */
	write_msr(STAR,
		(uint64_t)(SELECTOR_KERNEL_DATA | 3) << 48 | (uint64_t)SELECTOR_KERNEL_CODE << 32);
	write_msr(LSTAR, (uint64_t)syscall_entry);
	write_msr(FMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF);
}

/* In one of the two pages, all of it. */
static bool is_the_programs(uint64_t start, uint64_t bytes)
{
	return bytes <= PAGE_BYTES &&
		((start >= USER_CODE && start <= USER_CODE + PAGE_BYTES - bytes) ||
			(start >= USER_STACK && start <= USER_STACK_TOP - bytes));
}

static int64_t write(uint64_t text, uint64_t bytes)
{
	if (!is_the_programs(text, bytes))
		return -1;
	for (uint64_t i = 0; i < bytes; i++)
		print_char(((const char *)text)[i]);
	return (int64_t)bytes;
}

int64_t syscall_dispatch(uint64_t number, uint64_t first, uint64_t second)
{
	switch (number) {
	case SYSCALL_EXIT:
		leave_user((int)first);
	case SYSCALL_WRITE:
		return write(first, second);
	default:
		return -1;
	}
}
