/*
 * See entry.h. Knows nothing of files. No state.
 */
#include "firmware/entry.h"

#include <errno.h>

#include "firmware/layout.h"

/* ---- The processor's tables ---- */

/* Flat 4 GiB segments, present, ring 0, accessed: a processor may write the accessed bit else. */
#define GDT_CODE64 UINT64_C(0x00af9b000000ffff)
#define GDT_CODE32 UINT64_C(0x00cf9b000000ffff)
#define GDT_DATA   UINT64_C(0x00cf93000000ffff)

#define PTE_PRESENT  UINT64_C(0x001)
#define PTE_WRITABLE UINT64_C(0x002)
#define PTE_LARGE    UINT64_C(0x080)

enum {
	PAGE_BYTES = 4096,
	PTES_PER_PAGE = 512,
	DIRECTORIES = FW_IDENTITY_END / GIB,
};

static int write_gdt(struct gmem *mem, uint64_t code, struct cpu_entry *entry)
{
	const uint64_t gdt[] = {0, 0, code, GDT_DATA};

	entry->gdt_base = FW_GDT_BASE;
	entry->gdt_limit = sizeof(gdt) - 1;
	entry->code_selector = FW_CODE_SELECTOR;
	entry->data_selector = FW_DATA_SELECTOR;
	entry->rsp = FW_STACK_TOP;
	return gmem_write(mem, FW_GDT_BASE, gdt, sizeof(gdt));
}

/* Identity mapping of the low 4 GiB by pages of 2 MiB: every x86-64 processor has those. */
static int write_page_tables(struct gmem *mem, struct cpu_entry *entry)
{
	uint64_t table[PTES_PER_PAGE] = {0};
	gpa_t pml4 = FW_PAGE_TABLES_BASE, pdpt = pml4 + PAGE_BYTES, pd = pdpt + PAGE_BYTES;
	int ret;

	table[0] = pdpt | PTE_PRESENT | PTE_WRITABLE;
	ret = gmem_write(mem, pml4, table, sizeof(table));
	for (unsigned i = 0; i < DIRECTORIES; i++)
		table[i] = (pd + i * PAGE_BYTES) | PTE_PRESENT | PTE_WRITABLE;
	if (ret == 0)
		ret = gmem_write(mem, pdpt, table, sizeof(table));
	for (unsigned i = 0; i < DIRECTORIES && ret == 0; i++) {
		for (unsigned j = 0; j < PTES_PER_PAGE; j++)
			table[j] = (i * GIB + j * 2 * MIB) | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE;
		ret = gmem_write(mem, pd + i * PAGE_BYTES, table, sizeof(table));
	}
	entry->cr3 = pml4;
	return ret;
}

static int write_cmdline(struct gmem *mem, const char *cmdline)
{
	size_t bytes = strlen(cmdline) + 1;

	if (bytes > FW_CMDLINE_BYTES)
		return -E2BIG;
	return gmem_write(mem, FW_CMDLINE_BASE, cmdline, bytes);
}

/* ---- Linux: boot_params ---- */

/* An ELF kernel comes without a setup header; the kernel looks at these fields only. */
static const struct setup_header elf_header = {
	.boot_flag = 0xaa55,
	.header = 0x53726448, /* "HdrS" */
	.version = 0x020c,
};

/*
 * As an EFI boot loader would leave it: every Linux with a driver for any framebuffer has one for
 * this kind (efifb in all kernels of Debian, where vesafb is in some; simplefb, simpledrm).
 */
static void describe_screen(struct screen_info *info, const struct boot_screen *screen)
{
	*info = (struct screen_info){
		.orig_video_isVGA = VIDEO_TYPE_EFI,
		.lfb_base = (__u32)screen->base,
		.lfb_size = screen->stride * screen->height,
		.lfb_width = (__u16)screen->width,
		.lfb_height = (__u16)screen->height,
		.lfb_linelength = (__u16)screen->stride,
		.lfb_depth = 32,
		.blue_size = 8,
		.green_size = 8,
		.green_pos = 8,
		.red_size = 8,
		.red_pos = 16,
		.rsvd_size = 8,
		.rsvd_pos = 24,
		.pages = 1,
	};
}

static int write_boot_params(struct gmem *mem, const struct entry_params *params)
{
	struct boot_params bp = {.hdr = params->header ? *params->header : elf_header};

	bp.hdr.type_of_loader = 0xff; /* no number assigned to this loader */
	bp.hdr.loadflags |= LOADED_HIGH;
	bp.hdr.loadflags &= (__u8) ~(KASLR_FLAG | KEEP_SEGMENTS | CAN_USE_HEAP);
	bp.hdr.code32_start = (__u32)params->load_address;
	bp.hdr.cmd_line_ptr = FW_CMDLINE_BASE;
	bp.hdr.ramdisk_image = (__u32)params->initrd;
	bp.hdr.ramdisk_size = (__u32)params->initrd_bytes;
	bp.ext_ramdisk_image = (__u32)(params->initrd >> 32);
	bp.ext_ramdisk_size = (__u32)(params->initrd_bytes >> 32);
	/* Ours: a list in the file would point to anywhere in guest memory. */
	bp.hdr.setup_data = params->setup_data;
	bp.acpi_rsdp_addr = params->rsdp;
	if (params->screen)
		describe_screen(&bp.screen_info, params->screen);
	bp.e820_entries = (__u8)params->map->count;
	memcpy(bp.e820_table, params->map->entries, params->map->count * sizeof(bp.e820_table[0]));
	_Static_assert(sizeof(bp) <= FW_PARAMS_BYTES, "boot_params has its place");
	return gmem_write(mem, FW_PARAMS_BASE, &bp, sizeof(bp));
}

int entry_linux64(
	struct gmem *mem, const struct entry_params *params, gpa_t rip, struct cpu_entry *entry)
{
	int ret;

	*entry = (struct cpu_entry){.mode = CPU_ENTRY_LONG64, .rip = rip, .rsi = FW_PARAMS_BASE};
	ret = write_gdt(mem, GDT_CODE64, entry);
	if (ret == 0)
		ret = write_page_tables(mem, entry);
	if (ret == 0)
		ret = write_cmdline(mem, params->cmdline);
	if (ret == 0)
		ret = write_boot_params(mem, params);
	return ret;
}

int entry_linux32(
	struct gmem *mem, const struct entry_params *params, gpa_t rip, struct cpu_entry *entry)
{
	int ret;

	*entry = (struct cpu_entry){.mode = CPU_ENTRY_PROT32, .rip = rip, .rsi = FW_PARAMS_BASE};
	ret = write_gdt(mem, GDT_CODE32, entry);
	if (ret == 0)
		ret = write_cmdline(mem, params->cmdline);
	if (ret == 0)
		ret = write_boot_params(mem, params);
	return ret;
}

int entry_plain(struct gmem *mem, enum cpu_entry_mode mode, gpa_t rip, struct cpu_entry *entry)
{
	int ret;

	*entry = (struct cpu_entry){.mode = mode, .rip = rip};
	ret = write_gdt(mem, mode == CPU_ENTRY_LONG64 ? GDT_CODE64 : GDT_CODE32, entry);
	return ret < 0 || mode != CPU_ENTRY_LONG64 ? ret : write_page_tables(mem, entry);
}

/* ---- PVH: hvm_start_info, version 1 ---- */

#define PVH_MAGIC 0x336ec578u

struct pvh_start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules;
	uint64_t cmdline;
	uint64_t rsdp;
	uint64_t memory_map;
	uint32_t memory_map_count;
	uint32_t reserved;
};

struct pvh_module {
	uint64_t address;
	uint64_t size;
	uint64_t cmdline;
	uint64_t reserved;
};

struct pvh_memory {
	uint64_t address;
	uint64_t size;
	uint32_t type; /* as in E820 */
	uint32_t reserved;
};

/* All of it lies in one piece, in this order. */
struct pvh_block {
	struct pvh_start_info info;
	struct pvh_module initrd;
	struct pvh_memory memory[E820_MAX_ENTRIES_ZEROPAGE];
};
_Static_assert(sizeof(struct pvh_start_info) == 56, "as the ABI lays it out");
_Static_assert(sizeof(struct pvh_block) <= FW_PARAMS_BYTES, "the PVH block has its place");

static int write_start_info(struct gmem *mem, const struct entry_params *params)
{
	const gpa_t base = FW_PARAMS_BASE;
	struct pvh_block block = {
		.info = {.magic = PVH_MAGIC,
			.version = 1,
			.cmdline = FW_CMDLINE_BASE,
			.rsdp = params->rsdp,
			.memory_map = base + offsetof(struct pvh_block, memory),
			.memory_map_count = params->map->count},
		.initrd = {.address = params->initrd, .size = params->initrd_bytes},
	};

	if (params->initrd_bytes) {
		block.info.module_count = 1;
		block.info.modules = base + offsetof(struct pvh_block, initrd);
	}
	for (unsigned i = 0; i < params->map->count; i++) {
		const struct boot_e820_entry *entry = &params->map->entries[i];

		block.memory[i] = (struct pvh_memory){
			.address = entry->addr, .size = entry->size, .type = entry->type};
	}
	return gmem_write(mem, base, &block, sizeof(block));
}

int entry_pvh(
	struct gmem *mem, const struct entry_params *params, uint32_t rip, struct cpu_entry *entry)
{
	int ret;

	*entry = (struct cpu_entry){.mode = CPU_ENTRY_PROT32, .rip = rip, .rbx = FW_PARAMS_BASE};
	ret = write_gdt(mem, GDT_CODE32, entry);
	if (ret == 0)
		ret = write_cmdline(mem, params->cmdline);
	if (ret == 0)
		ret = write_start_info(mem, params);
	return ret;
}
