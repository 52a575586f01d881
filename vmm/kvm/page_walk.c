/*
 * See page_walk.h. Knows nothing of KVM.
 *
 * A walk is described by a table: for each level the shift and width of its index,
 * so that all four kinds of tables are walked by one loop.
 */
#include "vmm/kvm/page_walk.h"

#include <asm/processor-flags.h>
#include <stdarg.h>
#include <stdio.h>

/* Not in the kernel's exported headers. AMD APM vol. 2, 3.1.7 and 5.3–5.4. */
#define EFER_LMA (UINT64_C(1) << 10)
#define EFER_NXE (UINT64_C(1) << 11)

#define ENTRY_PRESENT  (UINT64_C(1) << 0)
#define ENTRY_WRITABLE (UINT64_C(1) << 1)
#define ENTRY_USER     (UINT64_C(1) << 2)
#define ENTRY_LARGE    (UINT64_C(1) << 7)
#define ENTRY_NX       (UINT64_C(1) << 63)
#define ENTRY_ADDRESS  UINT64_C(0x000ffffffffff000)

struct level {
	const char *name;
	unsigned shift; /* of the index in the address */
	unsigned bits;	/* width of the index */
	bool may_be_large;
};

static const struct level levels_64bit[] = {
	{"PML5", 48, 9, false},
	{"PML4", 39, 9, false},
	{"PDPT", 30, 9, true},
	{"PD", 21, 9, true},
	{"PT", 12, 9, false},
};

static const struct level levels_pae[] = {
	{"PDPT", 30, 2, false},
	{"PD", 21, 9, true},
	{"PT", 12, 9, false},
};

static const struct level levels_32bit[] = {
	{"PD", 22, 10, true},
	{"PT", 12, 10, false},
};

struct tables {
	const struct level *levels;
	unsigned count;
	unsigned entry_size;
	gpa_t root;
};

static enum page_walk_mode find_mode(const struct page_walk_regs *regs)
{
	if (!(regs->cr0 & X86_CR0_PG))
		return PAGE_WALK_NONE;
	if (regs->efer & EFER_LMA)
		return regs->cr4 & X86_CR4_LA57 ? PAGE_WALK_5LEVEL : PAGE_WALK_4LEVEL;
	return regs->cr4 & X86_CR4_PAE ? PAGE_WALK_PAE : PAGE_WALK_32BIT;
}

static struct tables find_tables(enum page_walk_mode mode, uint64_t cr3)
{
	switch (mode) {
	case PAGE_WALK_5LEVEL:
		return (struct tables){levels_64bit, 5, 8, cr3 & ENTRY_ADDRESS};
	case PAGE_WALK_4LEVEL:
		return (struct tables){levels_64bit + 1, 4, 8, cr3 & ENTRY_ADDRESS};
	case PAGE_WALK_PAE:
		return (struct tables){levels_pae, 3, 8, cr3 & UINT64_C(0xffffffe0)};
	default:
		return (struct tables){levels_32bit, 2, 4, cr3 & UINT64_C(0xfffff000)};
	}
}

/* All bits above the implemented ones repeat the highest of them. */
static bool is_canonical(enum page_walk_mode mode, uint64_t address)
{
	unsigned unused = mode == PAGE_WALK_5LEVEL ? 64 - 57 : 64 - 48;

	if (mode != PAGE_WALK_4LEVEL && mode != PAGE_WALK_5LEVEL)
		return true;
	return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

static bool is_large(
	const struct page_walk *walk, const struct level *level, uint64_t entry, uint64_t cr4)
{
	if (!level->may_be_large || !(entry & ENTRY_LARGE))
		return false;
	return walk->mode != PAGE_WALK_32BIT || (cr4 & X86_CR4_PSE);
}

static bool has_reserved_bits(
	const struct page_walk *walk, const struct level *level, uint64_t entry, uint64_t efer)
{
	if (walk->mode == PAGE_WALK_32BIT)
		return false;
	if ((entry & ENTRY_NX) && !(efer & EFER_NXE))
		return true;
	if (walk->mode == PAGE_WALK_PAE && level->shift == 30)
		return entry & ~(ENTRY_ADDRESS | UINT64_C(0xe19));
	if (level->shift > 30 && (entry & ENTRY_LARGE))
		return true;
	if (level->may_be_large && (entry & ENTRY_LARGE))
		return entry & ((UINT64_C(1) << level->shift) - 1) & ~UINT64_C(0x1fff);
	return false;
}

/* The page's address from its last entry; `shift` is the page's size. */
static gpa_t page_address(const struct page_walk *walk, unsigned shift, uint64_t entry)
{
	uint64_t offset_mask = (UINT64_C(1) << shift) - 1;

	/* 4 MiB pages keep address bits 32 to 39 in bits 13 to 20 (PSE-36). */
	if (walk->mode == PAGE_WALK_32BIT && shift == 22)
		return (entry & UINT64_C(0xffc00000)) | ((entry >> 13 & 0xff) << 32) |
			(walk->address & offset_mask);
	return (entry & ENTRY_ADDRESS & ~offset_mask) | (walk->address & offset_mask);
}

static void apply_rights(
	struct page_walk *walk, const struct level *level, uint64_t entry, uint64_t efer)
{
	/* The four entries of a PAE PDPT carry no rights. */
	if (walk->mode == PAGE_WALK_PAE && level->shift == 30)
		return;
	walk->writable = walk->writable && (entry & ENTRY_WRITABLE);
	walk->user = walk->user && (entry & ENTRY_USER);
	if (walk->mode != PAGE_WALK_32BIT && (efer & EFER_NXE) && (entry & ENTRY_NX))
		walk->executable = false;
}

static bool read_entry(
	const struct gmem *mem, const struct tables *tables, struct page_walk_step *step)
{
	uint8_t bytes[8] = {0};

	if (gmem_read(mem, step->entry_gpa, bytes, tables->entry_size) < 0)
		return false;
	step->entry = load_le64(bytes);
	return true;
}

static void walk_tables(
	struct page_walk *walk, const struct gmem *mem, const struct page_walk_regs *regs)
{
	struct tables tables = find_tables(walk->mode, regs->cr3);
	gpa_t table = tables.root;

	for (unsigned i = 0; i < tables.count; i++) {
		const struct level *level = &tables.levels[i];
		struct page_walk_step *step = &walk->steps[walk->step_count++];
		uint64_t index = walk->address >> level->shift & ((1u << level->bits) - 1);

		*step = (struct page_walk_step){
			.name = level->name, .entry_gpa = table + index * tables.entry_size};
		walk->result = PAGE_WALK_OUTSIDE_RAM;
		if (!read_entry(mem, &tables, step))
			return;
		walk->result = PAGE_WALK_NOT_PRESENT;
		if (!(step->entry & ENTRY_PRESENT))
			return;
		walk->result = PAGE_WALK_RESERVED;
		if (has_reserved_bits(walk, level, step->entry, regs->efer))
			return;
		apply_rights(walk, level, step->entry, regs->efer);
		if (i + 1 == tables.count || is_large(walk, level, step->entry, regs->cr4)) {
			walk->result = PAGE_WALK_MAPPED;
			walk->page_size = UINT64_C(1) << level->shift;
			walk->gpa = page_address(walk, level->shift, step->entry);
			return;
		}
		table = step->entry & ENTRY_ADDRESS;
	}
}

void page_walk(struct page_walk *walk, const struct gmem *mem, const struct page_walk_regs *regs,
	uint64_t address)
{
	*walk = (struct page_walk){.mode = find_mode(regs),
		.address = address,
		.result = PAGE_WALK_MAPPED,
		.writable = true,
		.user = true,
		.executable = true};
	if (walk->mode == PAGE_WALK_NONE || walk->mode == PAGE_WALK_32BIT ||
		walk->mode == PAGE_WALK_PAE)
		walk->address = address & UINT32_MAX;
	if (walk->mode == PAGE_WALK_NONE)
		walk->gpa = walk->address;
	else if (!is_canonical(walk->mode, address))
		walk->result = PAGE_WALK_NOT_CANONICAL;
	else
		walk_tables(walk, mem, regs);
}

size_t page_walk_read(const struct gmem *mem, const struct page_walk_regs *regs, uint64_t address,
	void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t at = address + done;
		size_t part = MIN(len - done, (size_t)(4096 - (at & 4095)));
		struct page_walk walk;

		page_walk(&walk, mem, regs, at);
		if (walk.result != PAGE_WALK_MAPPED ||
			gmem_read(mem, walk.gpa, (uint8_t *)buf + done, part) < 0)
			break;
		done += part;
	}
	return done;
}

static const char *result_text(enum page_walk_result result)
{
	switch (result) {
	case PAGE_WALK_NOT_PRESENT:
		return "not present";
	case PAGE_WALK_RESERVED:
		return "reserved bits are set";
	case PAGE_WALK_OUTSIDE_RAM:
		return "the table is outside RAM";
	default:
		return "";
	}
}

static const char *mode_text(enum page_walk_mode mode)
{
	static const char *const texts[] = {
		[PAGE_WALK_NONE] = "no paging",
		[PAGE_WALK_32BIT] = "32-bit paging",
		[PAGE_WALK_PAE] = "PAE paging",
		[PAGE_WALK_4LEVEL] = "4-level paging",
		[PAGE_WALK_5LEVEL] = "5-level paging",
	};

	return texts[mode];
}

void page_walk_describe(const struct page_walk *walk, char *text, size_t size)
{
	if (walk->result == PAGE_WALK_MAPPED)
		snprintf(text, size, "leads to guest-physical 0x%llx",
			(unsigned long long)walk->gpa);
	else if (walk->result == PAGE_WALK_NOT_CANONICAL)
		snprintf(text, size, "does not begin (the address is not canonical)");
	else
		snprintf(text, size, "stops at the %s entry (%s)",
			walk->steps[walk->step_count - 1].name, result_text(walk->result));
}

/* Appends like printf and keeps `*used` inside `size`. */
PRINTF_LIKE(4, 5)
static void append(char *text, size_t size, size_t *used, const char *format, ...)
{
	va_list args;
	int n;

	if (*used + 1 >= size)
		return;
	va_start(args, format);
	n = vsnprintf(text + *used, size - *used, format, args);
	va_end(args);
	if (n > 0)
		*used = MIN(*used + (size_t)n, size - 1);
}

void page_walk_print(const struct page_walk *walk, char *text, size_t size)
{
	char end[120];
	size_t used = 0;

	if (!size)
		return;
	text[0] = '\0';
	append(text, size, &used, "0x%016llx (%s)\n", (unsigned long long)walk->address,
		mode_text(walk->mode));
	for (unsigned i = 0; i < walk->step_count; i++) {
		const struct page_walk_step *step = &walk->steps[i];

		append(text, size, &used, "  %-4s entry at 0x%012llx: ", step->name,
			(unsigned long long)step->entry_gpa);
		if (walk->result == PAGE_WALK_OUTSIDE_RAM && i + 1 == walk->step_count)
			append(text, size, &used, "outside RAM\n");
		else
			append(text, size, &used, "0x%016llx%s%s%s%s\n",
				(unsigned long long)step->entry,
				step->entry & ENTRY_PRESENT ? " present" : "",
				step->entry & ENTRY_WRITABLE ? " writable" : "",
				step->entry & ENTRY_USER ? " user" : "",
				step->entry & ENTRY_NX ? " no-execute" : "");
	}
	page_walk_describe(walk, end, sizeof(end));
	append(text, size, &used, "  %s", end);
	if (walk->result == PAGE_WALK_MAPPED && walk->page_size)
		append(text, size, &used, ", page of %llu KiB%s%s%s",
			(unsigned long long)(walk->page_size / KIB),
			walk->writable ? ", writable" : ", read-only",
			walk->user ? ", user" : ", supervisor",
			walk->executable ? "" : ", no-execute");
	append(text, size, &used, "\n");
}
