/*
 * The tables that lead to a program's pages. vmm's own tables map the low 4 GiB by the first entry
 * of the PML4; these hang on the second.
 */
#include "memory.h"

enum {
	ENTRIES = 512,
	LEVELS = 4,
	PRESENT_WRITABLE = 3,
};

#define ADDRESS_MASK 0x000ffffffffff000ull

static uint64_t tables[LEVELS - 1][ENTRIES] __attribute__((aligned(PAGE_BYTES)));
static uint8_t code[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint8_t stack[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));

static uint64_t *root(void)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return (uint64_t *)(cr3 & ADDRESS_MASK);
}

uint64_t *memory_entry(uint64_t virtual, unsigned level)
{
	uint64_t *table = root();

	if (level < 1 || level > LEVELS || virtual < USER_START || virtual >= USER_STACK_TOP) {
		print("memory_entry: there is no such entry\n");
		exit_vm(16);
	}
	for (unsigned at = LEVELS; at > level; at--)
		table = (uint64_t *)(table[virtual >> (12 + 9 * (at - 1)) & (ENTRIES - 1)] &
			ADDRESS_MASK);
	return &table[virtual >> (12 + 9 * (level - 1)) & (ENTRIES - 1)];
}

void memory_init(void)
{
	for (unsigned level = LEVELS; level > 1; level--)
		*memory_entry(USER_START, level) = (uint64_t)tables[level - 2] | PRESENT_WRITABLE;
	*memory_entry(USER_CODE, 1) = (uint64_t)code | PRESENT_WRITABLE;
	*memory_entry(USER_STACK, 1) = (uint64_t)stack | PRESENT_WRITABLE;
}

void memory_load(const uint8_t *from, const uint8_t *end)
{
	for (unsigned i = 0; i < PAGE_BYTES; i++)
		stack[i] = 0;
	for (unsigned i = 0; from + i < end; i++)
		code[i] = from[i];
}
