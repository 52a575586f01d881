/*
 * Runs the programs that the test names on the command line, one after the other, by the student's
 * functions; and looks at what the processor has loaded.
 */
#include "memory.h"

enum {
	VECTOR_UNDEFINED = 6,
	VECTOR_PAGE_FAULT = 14,
	EXCEPTIONS = 32,
	DESCRIPTOR_ACCESSED = 1,
	CODE_RING3 = 0xfa, /* present, ring 3, code, readable */
	DATA_RING3 = 0xf2, /* present, ring 3, data, writable */
	TSS_BUSY = 0x8b,   /* present, ring 0, a TSS of 64 bits that is in use */
	FLAG_LONG = 0x20,  /* in byte 6 of a descriptor */
	FLAG_DEFAULT = 0x40,
	TSS_BYTES = 104,
	TSS_RSP0 = 4,
};

#define RFLAGS_IF (1u << 9)

#define PROGRAM(name)                                                                              \
	{                                                                                          \
#name, program_##name                                                              \
	}

/* They lie in this order, one behind the other. */
extern const uint8_t program_empty[], program_exit[], program_hello[], program_registers[],
	program_halt[], program_tables[], program_port[], program_interrupts[],
	program_read_kernel[], program_write_kernel[], program_jump_kernel[], program_write_code[],
	program_hole[], program_divide[], program_deep[], program_pointers[], programs_end[];

static const struct program {
	const char *name;
	const uint8_t *start;
} programs[] = {
	PROGRAM(empty),
	PROGRAM(exit),
	PROGRAM(hello),
	PROGRAM(registers),
	PROGRAM(halt),
	PROGRAM(tables),
	PROGRAM(port),
	PROGRAM(interrupts),
	PROGRAM(read_kernel),
	PROGRAM(write_kernel),
	PROGRAM(jump_kernel),
	PROGRAM(write_code),
	PROGRAM(hole),
	PROGRAM(divide),
	PROGRAM(deep),
	PROGRAM(pointers),
	{NULL, programs_end},
};

static void load(const struct program *program)
{
	memory_load(program->start, program[1].start);
}

static bool expect(bool is_right, const char *what)
{
	print(is_right ? "ok: " : "WRONG: ");
	print(what);
	print("\n");
	return is_right;
}

/* ---- Segments ---- */

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* The descriptor of `selector`, eight bytes. */
static const uint8_t *descriptor(const struct table_register *table, unsigned selector)
{
	return (const uint8_t *)table->base + (selector & ~7u);
}

static bool is_segment(const uint8_t *bytes, unsigned access, unsigned flags)
{
	return (bytes[5] & ~DESCRIPTOR_ACCESSED) == (int)access &&
		(bytes[6] & (FLAG_LONG | FLAG_DEFAULT) & flags) == (FLAG_LONG & flags);
}

static uint64_t tss_base(const uint8_t *bytes)
{
	const uint64_t *whole = (const uint64_t *)bytes;

	return (whole[0] >> 16 & 0xffffff) | (whole[0] >> 56) << 24 | whole[1] << 32;
}

static int check_segments(void)
{
	struct table_register table;
	const uint8_t *tss;
	uint16_t task;
	uint64_t rsp0;
	bool right;

	__asm__ volatile("sgdt %0" : "=m"(table));
	__asm__ volatile("str %0" : "=m"(task));
	if (!expect(table.limit >= SELECTOR_TSS + 15, "the table has a place for each of them"))
		return 1;
	tss = descriptor(&table, SELECTOR_TSS);
	right = expect(is_segment(descriptor(&table, SELECTOR_USER_CODE), CODE_RING3,
			       FLAG_LONG | FLAG_DEFAULT),
		"64-bit code for ring 3");
	right &= expect(is_segment(descriptor(&table, SELECTOR_USER_DATA), DATA_RING3, 0),
		"data for ring 3");
	if (!expect(task == SELECTOR_TSS && tss[5] == TSS_BUSY, "the task register is loaded"))
		return 1;
	right &= expect((tss[0] | tss[1] << 8) >= TSS_BYTES - 1, "the TSS has 104 bytes");
	__builtin_memcpy(&rsp0, (const uint8_t *)tss_base(tss) + TSS_RSP0, sizeof(rsp0));
	right &= expect(rsp0 && rsp0 % 16 == 0, "a stack for what comes from ring 3");
	return !right;
}

/* ---- Exceptions ---- */

#define STAR  0xc0000081
#define LSTAR 0xc0000082

static uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (uint64_t)high << 32;
}

/* Whether the program's instruction before `address` is `syscall`. */
static bool is_behind_syscall(uint64_t address)
{
	const uint8_t *code = (const uint8_t *)address - 2;

	return address >= USER_CODE + 2 && address <= USER_CODE + PAGE_BYTES && code[0] == 0x0f &&
		code[1] == 0x05;
}

/*
 * A KVM that interprets the kernel may let ring 3 run on the processor itself, and do all of
 * `syscall` but the step to ring 0: the first instruction at LSTAR faults. The frame is made what it
 * should have been. A processor that does it right never comes here.
 */
static bool finish_syscall(struct frame *frame)
{
	uint64_t selector = read_msr(STAR) >> 32 & 0xfffc;

	if (frame->vector != VECTOR_PAGE_FAULT || !(frame->cs & 3) ||
		frame->rip != read_msr(LSTAR) || !is_behind_syscall(frame->rcx))
		return false;
	frame->cs = selector;
	frame->ss = selector + 8;
	return true;
}

static struct frame *handle_exception(struct frame *frame)
{
	return finish_syscall(frame) ? frame : user_exception(frame);
}

/* ---- The way into ring 3, looked at from its first instruction ---- */

static struct frame *look_at_entry(struct frame *frame)
{
	bool right = expect(frame->rip == USER_CODE, "the first instruction");

	right &= expect(frame->cs == SELECTOR_USER_CODE, "the code segment of ring 3");
	right &= expect(frame->ss == SELECTOR_USER_DATA, "the stack segment of ring 3");
	right &= expect(frame->rsp == USER_STACK_TOP, "an empty stack");
	right &= expect((frame->rflags & RFLAGS_IF) != 0, "with interrupts on");
	exit_vm(!right);
}

static void check_entry(void)
{
	interrupts_set_handler(VECTOR_UNDEFINED, look_at_entry);
	load(&programs[0]);
	user_run();
	expect(false, "user_run() has run the program");
	exit_vm(1);
}

/* ---- Programs ---- */

static void run(const struct program *program)
{
	int status;

	print(program->name);
	print(": ");
	load(program);
	status = user_run();
	if (status == PROGRAM_FAILED)
		return;
	print("returned ");
	print_number((uint64_t)status);
	print("\n");
}

static const struct program *find(const char *word)
{
	for (const struct program *p = programs; p->name; p++) {
		size_t n = 0;

		while (p->name[n] && word[n] == p->name[n])
			n++;
		if (!p->name[n] && (!word[n] || word[n] == ' '))
			return p;
	}
	return NULL;
}

/* In the order of the words. */
static void run_all(const char *words)
{
	bool at_start = true;

	for (; *words; words++) {
		const struct program *program = at_start ? find(words) : NULL;

		if (program)
			run(program);
		at_start = *words == ' ';
	}
}

int kmain(const char *words, const uint8_t *boot_params)
{
	(void)boot_params;
	interrupts_init();
	for (unsigned vector = 0; vector < EXCEPTIONS; vector++)
		interrupts_set_handler((uint8_t)vector, handle_exception);
	memory_init();
	segments_init();
	if (has_word(words, "segments"))
		return check_segments();
	user_pages_init();
	if (has_word(words, "empty"))
		check_entry();
	syscalls_init();
	run_all(words);
	return 0;
}
