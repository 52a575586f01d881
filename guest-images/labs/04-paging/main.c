/*
 * Calls the student's functions as the test asks by a word of the command line, and looks into the
 * tables with eyes of its own.
 */
#include "paging.h"

enum {
	VECTOR_PAGE_FAULT = 14,
	ENTRIES = 512,
};

#define CR0_WP	      (1u << 16)
#define EFER	      0xc0000080
#define EFER_NXE      (1u << 11)
#define ADDRESS_MASK  0x000ffffffffff000
#define ENTRY_PRESENT 1u
#define ENTRY_LARGE   0x80u
#define POOL_START    (8u << 20)
#define HIGH	      0xffff800000000000
#define RETURN_OPCODE 0xc3

/* ---- Physical memory ---- */

static uint64_t pool_next = POOL_START;
static unsigned pages_given;

uint64_t page_alloc(void)
{
	uint64_t *page = (uint64_t *)pool_next;

	if (pool_next == MEMORY_BYTES) {
		print("page_alloc: no memory is left\n");
		exit_vm(12);
	}
	for (unsigned i = 0; i < PAGE_BYTES / sizeof(*page); i++)
		page[i] = 0;
	pool_next += PAGE_BYTES;
	pages_given++;
	return (uint64_t)page;
}

/* ---- The processor's registers ---- */

static uint64_t read_cr0(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	return value;
}

static void write_cr0(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static uint64_t read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static uint32_t read_efer(void)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(EFER));
	return low;
}

/* ---- Looking into the tables ---- */

/* The entry that maps `virtual`, or 0; `size` is that of its page. */
static uint64_t find_entry(uint64_t virtual, uint64_t *size)
{
	uint64_t table = read_cr3() & ADDRESS_MASK;

	for (unsigned shift = 39;; shift -= 9) {
		uint64_t entry;

		if (table >= MEMORY_BYTES)
			return 0;
		entry = ((const uint64_t *)table)[virtual >> shift & (ENTRIES - 1)];
		*size = 1ull << shift;
		if (!(entry & ENTRY_PRESENT))
			return 0;
		if (shift == 12 || (shift < 39 && entry & ENTRY_LARGE))
			return entry;
		table = entry & ADDRESS_MASK;
	}
}

static uint64_t look_up(uint64_t virtual)
{
	uint64_t size, entry = find_entry(virtual, &size);

	return entry ? (entry & ADDRESS_MASK & ~(size - 1)) + (virtual & (size - 1)) : NOT_MAPPED;
}

/* ---- Trying what faults ---- */

static volatile uint64_t recover_at, fault_address;
static volatile bool executing;

/* Goes on behind the instruction that faulted. */
static struct frame *catch_fault(struct frame *frame)
{
	uint64_t address;

	__asm__ volatile("mov %%cr2, %0" : "=r"(address));
	if (!recover_at) {
		print("an unexpected page fault at 0x");
		print_hex(address, 16);
		print("\n");
		exit_vm(14);
	}
	fault_address = address;
	frame->rip = recover_at;
	/* A call has left its return address. */
	if (executing)
		frame->rsp += 8;
	return frame;
}

static bool read_faults(uint64_t address)
{
	fault_address = 0;
	__asm__ volatile("lea 1f(%%rip), %%rax\n\t"
			 "mov %%rax, %0\n\t"
			 "movb (%1), %%al\n"
			 "1:"
			 : "=m"(recover_at)
			 : "r"(address)
			 : "rax", "memory");
	recover_at = 0;
	return fault_address == address;
}

static bool write_faults(uint64_t address)
{
	fault_address = 0;
	__asm__ volatile("lea 1f(%%rip), %%rax\n\t"
			 "mov %%rax, %0\n\t"
			 "movb %2, (%1)\n"
			 "1:"
			 : "=m"(recover_at)
			 : "r"(address), "i"(RETURN_OPCODE)
			 : "rax", "memory");
	recover_at = 0;
	return fault_address == address;
}

/* A return instruction has to lie there. */
static bool execution_faults(uint64_t address)
{
	fault_address = 0;
	executing = true;
	__asm__ volatile("lea 1f(%%rip), %%rax\n\t"
			 "mov %%rax, %0\n\t"
			 "call *%1\n"
			 "1:"
			 : "=m"(recover_at)
			 : "r"(address)
			 : "rax", "memory");
	executing = false;
	recover_at = 0;
	return fault_address == address;
}

static bool expect(bool is_right, const char *what)
{
	print(is_right ? "ok: " : "WRONG: ");
	print(what);
	print("\n");
	return is_right;
}

/* ---- What each word asks for ---- */

static int check_tables(uint64_t old_cr3)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	bool right = expect(read_cr3() != old_cr3, "CR3 has new tables");

	right &= expect(look_up((uint64_t)check_tables) == (uint64_t)check_tables, "the code");
	right &= expect(look_up(here) == here, "the stack");
	right &= expect(look_up(MEMORY_BYTES - 1) == MEMORY_BYTES - 1, "the last byte");
	right &= expect(look_up(MEMORY_BYTES) == NOT_MAPPED, "nothing behind it");
	right &= expect(look_up(0) == NOT_MAPPED, "nothing at address 0");
	right &= expect(read_faults(8), "a null pointer faults");
	return !right;
}

static int check_map(void)
{
	static const uint64_t places[] = {HIGH, HIGH + (1ull << 30) + 0x5000, 0x7ffffffff000};
	bool right = true;

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint64_t page = page_alloc();

		paging_map(places[i], page, PAGE_WRITABLE);
		*(volatile uint64_t *)(places[i] + 16) = 1000 + i;
		right &= *(volatile uint64_t *)(page + 16) == 1000 + i;
		right &= look_up(places[i] + 5) == page + 5;
	}
	right = expect(right, "what is written at a new address arrives in its page");
	right &= expect(paging_translate(HIGH + 7) == look_up(HIGH + 7), "translates it");
	right &= expect(paging_translate(0x123456) == 0x123456, "translates an old address");
	right &= expect(paging_translate(HIGH + PAGE_BYTES) == NOT_MAPPED, "and one of nothing");
	right &= expect(paging_translate(0x600000000000) == NOT_MAPPED, "and one far away");
	return !right;
}

static int check_unmap(void)
{
	uint64_t one = page_alloc(), two = page_alloc();
	bool right;

	*(volatile uint64_t *)one = 1;
	*(volatile uint64_t *)two = 2;
	paging_map(HIGH, one, PAGE_WRITABLE);
	right = expect(*(volatile uint64_t *)HIGH == 1, "the first page is there");
	paging_map(HIGH, two, PAGE_WRITABLE);
	right &= expect(*(volatile uint64_t *)HIGH == 2, "then the second");
	paging_unmap(HIGH);
	right &= expect(read_faults(HIGH), "then none");
	right &= expect(paging_translate(HIGH) == NOT_MAPPED, "and translate says so");
	return !right;
}

static int check_protection(void)
{
	uint64_t page = page_alloc(), size;
	bool right;

	*(volatile uint8_t *)page = RETURN_OPCODE;
	paging_map(HIGH, page, 0);
	right = expect(!read_faults(HIGH), "a read-only page can be read");
	right &= expect(write_faults(HIGH), "and not be written");
	right &= expect(execution_faults(HIGH), "and not be executed");
	paging_map(HIGH, page, PAGE_EXECUTABLE);
	right &= expect(!execution_faults(HIGH), "an executable one can");
	right &= expect(write_faults(HIGH), "and not be written");
	paging_map(HIGH, page, PAGE_WRITABLE);
	right &= expect(!write_faults(HIGH), "a writable one can be written");
	right &= expect(find_entry(HIGH, &size) && size == PAGE_BYTES, "its page has 4 KiB");
	right &= expect(read_cr0() & CR0_WP && read_efer() & EFER_NXE, "CR0.WP and EFER.NXE");
	return !right;
}

static int check_lazy(void)
{
	/* Steps of 4 MiB and a little, so that tables are missing as well as pages. */
	const uint64_t step = (4u << 20) + PAGE_BYTES;
	unsigned before, touched = 0;
	bool zeros = true, kept = true;

	interrupts_set_handler(VECTOR_PAGE_FAULT, paging_fault);
	before = pages_given;
	for (uint64_t at = LAZY_START; at < LAZY_END; at += step, touched++) {
		zeros &= *(volatile uint64_t *)(at + 8) == 0;
		*(volatile uint64_t *)(at + 8) = at;
	}
	for (uint64_t at = LAZY_START; at < LAZY_END; at += step)
		kept &= *(volatile uint64_t *)(at + 8) == at;
	zeros = expect(zeros, "pages are full of zeros at first");
	kept = expect(kept, "and keep what is written");
	/* One table of each of the lower levels for 2 MiB, and a few above. */
	return !(zeros & kept & expect(pages_given - before <= 2 * touched + 2, "and no more"));
}

/* Ends in the student's handler. */
static int make_fault(const char *words)
{
	interrupts_set_handler(VECTOR_PAGE_FAULT, paging_fault);
	if (has_word(words, "write"))
		*(volatile char *)LAZY_END = 1;
	if (has_word(words, "read"))
		(void)*(volatile char *)0x10;
	paging_map(HIGH, page_alloc(), 0);
	if (has_word(words, "protected"))
		*(volatile char *)(HIGH + 0x123) = 1;
	((void (*)(void))HIGH)();
	return 0;
}

int kmain(const char *words, const uint8_t *boot_params)
{
	uint64_t old_cr3 = read_cr3();

	(void)boot_params;
	/* Who wants protection has to ask for it. */
	write_cr0(read_cr0() & ~(uint64_t)CR0_WP);
	interrupts_init();
	interrupts_set_handler(VECTOR_PAGE_FAULT, catch_fault);
	paging_init();
	if (has_word(words, "map"))
		return check_map();
	if (has_word(words, "unmap"))
		return check_unmap();
	if (has_word(words, "protection"))
		return check_protection();
	if (has_word(words, "lazy"))
		return check_lazy();
	if (has_word(words, "fault"))
		return make_fault(words);
	return check_tables(old_cr3);
}
