/* See paging.h. Intel SDM volume 3, 4.5 (4-level paging), 4.6 (access rights), 4.7 (page faults). */
#include "paging.h"

enum {
	ENTRIES = 512,
	STATUS_FAULT = 44,
};

#define ENTRY_PRESENT	 (1ull << 0)
#define ENTRY_WRITABLE	 (1ull << 1)
#define ENTRY_NO_EXECUTE (1ull << 63)
#define ADDRESS_MASK	 0x000ffffffffff000ull

#define CR0_WP	 (1ull << 16)
#define EFER	 0xc0000080
#define EFER_NXE (1u << 11)

#define ERROR_PRESENT (1u << 0)
#define ERROR_WRITE   (1u << 1)
#define ERROR_FETCH   (1u << 4)

static uint64_t root;

/* ---- The tables ---- */

/* The entry of the lowest level for `virtual`, or NULL; `make` makes the tables on the way. */
static uint64_t *find(uint64_t virtual, bool make)
{
	uint64_t *table = (uint64_t *)root;

	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *entry = &table[virtual >> shift & (ENTRIES - 1)];

		if (!(*entry & ENTRY_PRESENT)) {
			if (!make)
				return NULL;
			/* Tables allow everything: the last level decides. */
			*entry = page_alloc() | ENTRY_PRESENT | ENTRY_WRITABLE;
		}
		table = (uint64_t *)(*entry & ADDRESS_MASK);
	}
	return &table[virtual >> 12 & (ENTRIES - 1)];
}

/* The processor may have kept the old entry. */
static void forget(uint64_t virtual)
{
	__asm__ volatile("invlpg (%0)" : : "r"(virtual) : "memory");
}

void paging_map(uint64_t virtual, uint64_t physical, unsigned flags)
{
	uint64_t entry = physical | ENTRY_PRESENT;

	if (flags & PAGE_WRITABLE)
		entry |= ENTRY_WRITABLE;
	if (!(flags & PAGE_EXECUTABLE))
		entry |= ENTRY_NO_EXECUTE;
	*find(virtual, true) = entry;
	forget(virtual);
}

void paging_unmap(uint64_t virtual)
{
	uint64_t *entry = find(virtual, false);

	if (entry)
		*entry = 0;
	forget(virtual);
}

uint64_t paging_translate(uint64_t virtual)
{
	const uint64_t *entry = find(virtual, false);

	if (!entry || !(*entry & ENTRY_PRESENT))
		return NOT_MAPPED;
	return (*entry & ADDRESS_MASK) | (virtual & (PAGE_BYTES - 1));
}

void paging_init(void)
{
	uint64_t cr0;
	uint32_t low, high;

	root = page_alloc();
	for (uint64_t page = PAGE_BYTES; page < MEMORY_BYTES; page += PAGE_BYTES)
		*find(page, true) = page | ENTRY_PRESENT | ENTRY_WRITABLE;
	/* Before an entry says "no execute": else the bit is a reserved one. */
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(EFER));
	__asm__ volatile("wrmsr" : : "a"(low | EFER_NXE), "d"(high), "c"(EFER));
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_WP) : "memory");
	__asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

/* ---- Page faults ---- */

static _Noreturn void give_up(const struct frame *frame, uint64_t address)
{
	print("page fault: ");
	print(frame->error & ERROR_FETCH	     ? "execute"
			: frame->error & ERROR_WRITE ? "write"
						     : "read");
	print(" at 0x");
	print_hex(address, 16);
	print(frame->error & ERROR_PRESENT ? ", protected\n" : ", not mapped\n");
	exit_vm(STATUS_FAULT);
}

struct frame *paging_fault(struct frame *frame)
{
	uint64_t address;

	__asm__ volatile("mov %%cr2, %0" : "=r"(address));
	if (frame->error & ERROR_PRESENT || address < LAZY_START || address >= LAZY_END)
		give_up(frame, address);
	paging_map(address & ~(uint64_t)(PAGE_BYTES - 1), page_alloc(), PAGE_WRITABLE);
	return frame;
}
