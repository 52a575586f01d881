/*
 * See boot_explain.h. vmm wrote these tables itself, so nothing here is hostile; but a table is
 * read as if it were, by copies of known size and lists of limited length.
 *
 * Sources: Intel SDM vol. 3A, 3.4.5 (descriptors) and 4.5 (4-level paging); Linux
 * Documentation/arch/x86/boot.rst and zero-page.rst; ACPI 6.4, chapter 5; Xen
 * public/arch-x86/hvm/start_info.h; Multiboot 0.6.96 and Multiboot2 2.0, "Boot information format".
 */
#include "firmware/boot_explain.h"

#include <stdio.h>

#include "firmware/acpi_tables.h"
#include "firmware/e820.h"
#include "firmware/layout.h"
#include "firmware/setup_fields.h"
#include "vmm/core/explain.h"

enum {
	PAGE_BYTES = 4096,
	PTES_PER_PAGE = 512,
	DESCRIPTORS_MAX = 8,
	TABLES_MAX = 16,
	SETUP_DATA_MAX = 8,
	MADT_ENTRIES = 44, /* where they begin */
	PVH_MAP_OFFSET = 40,
};

#define PTE_PRESENT UINT64_C(0x001)
#define PTE_LARGE   UINT64_C(0x080)
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)

#define HEX(value) ((unsigned long long)(value))

/* ---- The processor's tables ---- */

static void explain_descriptor(unsigned selector, uint64_t d)
{
	uint64_t limit = (d & 0xffff) | (d >> 32 & 0xf0000);
	bool is_code = d >> 43 & 1, is_long = d >> 53 & 1, is_32 = d >> 54 & 1;

	/* Granularity: the limit counts pages. */
	if (d >> 55 & 1)
		limit = limit << 12 | 0xfff;
	if (!d)
		return;
	explain_detail("0x%02x = 0x%016llx: %s%s, base 0x%llx, limit 0x%llx, ring %llu", selector,
		HEX(d),
		is_code ? is_long	? "64-bit code"
				: is_32 ? "32-bit code"
					: "16-bit code"
			: "data",
		d >> 41 & 1 ? is_code ? ", readable" : ", writable" : "",
		HEX((d >> 16 & 0xffffff) | (d >> 32 & 0xff000000)), HEX(limit), HEX(d >> 45 & 3));
}

static void explain_gdt(const struct gmem *mem, const struct cpu_entry *entry)
{
	unsigned count = (entry->gdt_limit + 1u) / 8;
	uint64_t descriptor;

	explain("0x%-9llx GDT, %u descriptors [SDM 3A, 3.4.5]", HEX(entry->gdt_base), count);
	for (unsigned i = 0; i < MIN(count, (unsigned)DESCRIPTORS_MAX); i++)
		if (gmem_read(mem, entry->gdt_base + i * 8, &descriptor, 8) == 0)
			explain_descriptor(i * 8, descriptor);
}

struct mapping {
	uint64_t pages, first, end; /* of 2 MiB, and which linear addresses they cover */
	bool is_identity;
};

static void count_directory(
	const struct gmem *mem, gpa_t at, uint64_t linear, struct mapping *mapping)
{
	uint64_t table[PTES_PER_PAGE];

	if (gmem_read(mem, at, table, sizeof(table)) < 0)
		return;
	for (unsigned i = 0; i < PTES_PER_PAGE; i++, linear += 2 * MIB) {
		if ((table[i] & (PTE_PRESENT | PTE_LARGE)) != (PTE_PRESENT | PTE_LARGE))
			continue;
		if (!mapping->pages++)
			mapping->first = linear;
		mapping->end = linear + 2 * MIB;
		mapping->is_identity &= (table[i] & PTE_ADDRESS) == linear;
	}
}

static void explain_paging(const struct gmem *mem, gpa_t pml4)
{
	uint64_t table[PTES_PER_PAGE], entry;
	struct mapping mapping = {.is_identity = true};
	unsigned directories = 0;

	if (!pml4 || gmem_read(mem, pml4, &entry, sizeof(entry)) < 0)
		return;
	explain("0x%-9llx page tables, which CR3 points to [SDM 3A, 4.5]", HEX(pml4));
	explain_detail("PML4  entry 0 = 0x%llx: the table at 0x%llx, present, writable", HEX(entry),
		HEX(entry & PTE_ADDRESS));
	if (gmem_read(mem, entry & PTE_ADDRESS, table, sizeof(table)) < 0)
		return;
	for (unsigned i = 0; i < PTES_PER_PAGE; i++) {
		if (!(table[i] & PTE_PRESENT))
			continue;
		if (!directories++)
			explain_detail("PDPT  entry %u = 0x%llx: the directory at 0x%llx", i,
				HEX(table[i]), HEX(table[i] & PTE_ADDRESS));
		count_directory(mem, table[i] & PTE_ADDRESS, i * GIB, &mapping);
	}
	explain_detail("%u directories, %llu pages of 2 MiB: linear 0x%llx to 0x%llx is physical "
		       "memory %s",
		directories, HEX(mapping.pages), HEX(mapping.first), HEX(mapping.end - 1),
		mapping.is_identity ? "at the same address" : "elsewhere");
}

/* ---- The memory map ---- */

static void explain_range(uint64_t base, uint64_t size, unsigned type)
{
	explain_detail("0x%010llx to 0x%010llx %10s  %s", HEX(base), HEX(base + size - 1),
		explain_size(size), type == E820_RAM ? "usable" : "reserved");
}

/* ---- Linux ---- */

static void explain_header(const struct setup_header *header)
{
	for (const struct setup_field *field = setup_fields; *field->name; field++) {
		uint64_t value = setup_field_value(header, field);

		if (field->by_loader && value)
			explain_detail("+0x%03x   .%-13s 0x%llx: %s", field->offset, field->name,
				HEX(value), field->text);
	}
}

static void explain_screen(const struct screen_info *info)
{
	if (!info->lfb_base)
		return;
	explain_detail("+0x%03zx %-16s a framebuffer at 0x%x: %ux%u, %u bits a pixel, %u bytes a "
		       "row",
		offsetof(struct boot_params, screen_info), "screen_info", info->lfb_base,
		info->lfb_width, info->lfb_height, info->lfb_depth, info->lfb_linelength);
}

static void explain_setup_data(const struct gmem *mem, gpa_t at)
{
	struct setup_data data;

	for (unsigned i = 0; at && i < SETUP_DATA_MAX; i++, at = data.next) {
		if (gmem_read(mem, at, &data, sizeof(data)) < 0)
			return;
		explain("0x%-9llx setup_data of type %u%s, %s [boot.rst, setup_data]", HEX(at),
			data.type,
			data.type == SETUP_DTB ? ": the device tree (--dump-dtb writes it)" : "",
			explain_size(data.len));
	}
}

static void explain_cmdline(const struct gmem *mem, gpa_t at)
{
	const char *text = gmem_ptr(mem, at, 1);
	size_t len = text ? strnlen(text, mem->regions[0].size - at) : 0;

	if (text)
		explain("0x%-9llx the command line, %zu characters", HEX(at), len);
}

static void explain_boot_params(const struct gmem *mem, gpa_t at)
{
	struct boot_params bp;
	uint64_t initrd, bytes;

	if (gmem_read(mem, at, &bp, sizeof(bp)) < 0)
		return;
	initrd = (uint64_t)bp.ext_ramdisk_image << 32 | bp.hdr.ramdisk_image;
	bytes = (uint64_t)bp.ext_ramdisk_size << 32 | bp.hdr.ramdisk_size;
	explain("0x%-9llx struct boot_params, the zero page [zero-page.rst; boot.rst]", HEX(at));
	explain_screen(&bp.screen_info);
	explain_detail("+0x%03zx %-16s 0x%llx: where the ACPI tables begin, 0 for none",
		offsetof(struct boot_params, acpi_rsdp_addr), "acpi_rsdp_addr",
		HEX(bp.acpi_rsdp_addr));
	explain_detail("+0x1f1 %-16s protocol %u.%02u, as in the file but for:", "hdr",
		bp.hdr.version >> 8, bp.hdr.version & 0xff);
	explain_header(&bp.hdr);
	explain_detail("+0x%03zx %-16s %u entries: the memory map [ACPI 6.4, 15]",
		offsetof(struct boot_params, e820_table), "e820_table", bp.e820_entries);
	for (unsigned i = 0; i < MIN(bp.e820_entries, (unsigned)E820_MAX_ENTRIES_ZEROPAGE); i++)
		explain_range(bp.e820_table[i].addr, bp.e820_table[i].size, bp.e820_table[i].type);
	explain_cmdline(mem, bp.hdr.cmd_line_ptr);
	explain_setup_data(mem, bp.hdr.setup_data);
	if (bytes)
		explain("0x%-9llx the initrd, %s, up to 0x%llx", HEX(initrd), explain_size(bytes),
			HEX(initrd + bytes - 1));
}

/* ---- PVH ---- */

static uint64_t explain_start_info(const struct gmem *mem, gpa_t at)
{
	uint8_t info[56], range[24], module[16];
	uint64_t rsdp;

	if (gmem_read(mem, at, info, sizeof(info)) < 0)
		return 0;
	rsdp = load_le64(info + 32);
	explain("0x%-9llx struct hvm_start_info [Xen: hvm/start_info.h]", HEX(at));
	explain_detail("magic 0x%x, version %u, %u module%s, RSDP at 0x%llx", load_le32(info),
		load_le32(info + 4), load_le32(info + 12), load_le32(info + 12) == 1 ? "" : "s",
		HEX(rsdp));
	for (unsigned i = 0; i < MIN(load_le32(info + 48), (uint32_t)E820_MAX_ENTRIES_ZEROPAGE);
		i++)
		if (gmem_read(mem, load_le64(info + PVH_MAP_OFFSET) + i * sizeof(range), range,
			    sizeof(range)) == 0)
			explain_range(
				load_le64(range), load_le64(range + 8), load_le32(range + 16));
	explain_cmdline(mem, load_le64(info + 24));
	if (load_le32(info + 12) &&
		gmem_read(mem, load_le64(info + 16), module, sizeof(module)) == 0)
		explain("0x%-9llx the initrd, %s", HEX(load_le64(module)),
			explain_size(load_le64(module + 8)));
	return rsdp;
}

/* ---- Multiboot ---- */

#define MULTIBOOT1_MAGIC 0x2badb002u /* in EAX */
#define MULTIBOOT2_MAGIC 0x36d76289u

static void explain_multiboot1(const struct gmem *mem, gpa_t at)
{
	uint8_t info[52];

	if (gmem_read(mem, at, info, sizeof(info)) < 0)
		return;
	explain("0x%-9llx Multiboot information [Multiboot 0.6.96, 3.3]", HEX(at));
	explain_detail("flags 0x%x; memory %u KiB below 1 MiB and %u above; words at 0x%x; "
		       "modules %u at 0x%x; memory map of %u bytes at 0x%x",
		load_le32(info), load_le32(info + 4), load_le32(info + 8), load_le32(info + 16),
		load_le32(info + 20), load_le32(info + 24), load_le32(info + 44),
		load_le32(info + 48));
}

static void explain_multiboot2(const struct gmem *mem, gpa_t at)
{
	static const char names[][30] = {"end", "words", "boot loader's name", "module",
		"memory below and above 1 MiB", "BIOS drive", "memory map", "VBE", "framebuffer",
		"ELF symbols", "APM", "EFI 32", "EFI 64", "SMBIOS", "RSDP of ACPI 1",
		"RSDP of ACPI 2"};
	uint8_t head[8];
	gpa_t end;

	if (gmem_read(mem, at, head, sizeof(head)) < 0)
		return;
	explain("0x%-9llx Multiboot information, %u bytes of tags [Multiboot2 2.0, 3.6]", HEX(at),
		load_le32(head));
	end = at + load_le32(head);
	at += sizeof(head);
	while (at + sizeof(head) <= end && gmem_read(mem, at, head, sizeof(head)) == 0 &&
		load_le32(head) && load_le32(head + 4) >= sizeof(head)) {
		uint32_t type = load_le32(head);

		explain_detail("tag %-2u %-28s %u bytes", type,
			type < ARRAY_SIZE(names) ? names[type] : "", load_le32(head + 4));
		at = util_align_up(at + load_le32(head + 4), 8);
	}
}

/* ---- ACPI ---- */

static void explain_fadt(const struct gmem *mem, gpa_t at)
{
	struct acpi_fadt fadt;

	if (gmem_read(mem, at, &fadt, sizeof(fadt)) < 0)
		return;
	if (fadt.pm1a_event)
		explain_detail("SCI is IRQ %u; ports: PM1a event 0x%x, control 0x%x, timer 0x%x; "
			       "reset: 0x%x to port 0x%llx",
			fadt.sci_irq, fadt.pm1a_event, fadt.pm1a_control, fadt.pm_timer,
			fadt.reset_value, HEX(fadt.reset_register.address));
	else
		explain_detail("hardware-reduced: no fixed ACPI registers");
	explain_detail("DSDT at 0x%llx: the devices as AML; --dump-acpi DIR writes all tables",
		HEX(fadt.x_dsdt));
}

static void explain_madt(const struct gmem *mem, gpa_t at, uint32_t length)
{
	unsigned processors = 0, ioapics = 0, overrides = 0;
	uint8_t entry[2];

	for (uint32_t i = MADT_ENTRIES; i + 2 <= length; i += entry[1]) {
		if (gmem_read(mem, at + i, entry, sizeof(entry)) < 0 || entry[1] < 2)
			return;
		processors += entry[0] == 0 || entry[0] == 9;
		ioapics += entry[0] == 1;
		overrides += entry[0] == 2;
	}
	explain_detail("processors: %u; IOAPICs: %u; interrupts that are not as ISA has them: %u",
		processors, ioapics, overrides);
}

static void explain_table(const struct gmem *mem, gpa_t at)
{
	struct acpi_header header;

	if (gmem_read(mem, at, &header, sizeof(header)) < 0)
		return;
	explain("0x%-9llx %.4s, %u bytes, revision %u", HEX(at), header.signature, header.length,
		header.revision);
	if (!memcmp(header.signature, "FACP", 4))
		explain_fadt(mem, at);
	else if (!memcmp(header.signature, "APIC", 4))
		explain_madt(mem, at, MIN(header.length, (uint32_t)(64 * KIB)));
}

static void explain_acpi(const struct gmem *mem, gpa_t at)
{
	struct acpi_header xsdt;
	struct acpi_rsdp rsdp;
	uint64_t table;

	if (!at || gmem_read(mem, at, &rsdp, sizeof(rsdp)) < 0 ||
		gmem_read(mem, rsdp.xsdt, &xsdt, sizeof(xsdt)) < 0)
		return;
	explain("0x%-9llx RSDP, the root of ACPI [ACPI 6.4, 5.2.5]; XSDT at 0x%llx", HEX(at),
		HEX(rsdp.xsdt));
	for (unsigned i = 0; i < TABLES_MAX && sizeof(xsdt) + (i + 1) * 8 <= xsdt.length; i++)
		if (gmem_read(mem, rsdp.xsdt + sizeof(xsdt) + i * 8, &table, 8) == 0)
			explain_table(mem, table);
}

/* ---- All of it ---- */

static const char *mode_text(const struct cpu_entry *entry)
{
	if (entry->mode == CPU_ENTRY_REAL16)
		return "real mode, as after power-on [SDM 3A, 9.1]";
	if (entry->mode == CPU_ENTRY_LONG64)
		return "long mode: paging is on, 64-bit code [boot.rst, 64-bit boot protocol]";
	if (entry->rsi)
		return "protected mode without paging [boot.rst, 32-bit boot protocol]";
	return "protected mode without paging";
}

static void explain_entry(const struct cpu_entry *entry)
{
	explain_head("The first instruction");
	explain("RIP 0x%llx, %s", HEX(entry->rip), mode_text(entry));
	if (entry->rax)
		explain("RAX 0x%llx, the boot loader's mark", HEX(entry->rax));
	if (entry->rbx)
		explain("RBX 0x%llx, %s", HEX(entry->rbx),
			entry->rax ? "what it hands over"
				   : "struct hvm_start_info [Xen: docs/misc/pvh.pandoc]");
	if (entry->rsi)
		explain("RSI 0x%llx, struct boot_params", HEX(entry->rsi));
	if (entry->rdi)
		explain("RDI 0x%llx, the device tree", HEX(entry->rdi));
	explain("RSP 0x%llx; CS 0x%x, other segments 0x%x; interrupts are off", HEX(entry->rsp),
		entry->code_selector, entry->data_selector);
	if (entry->mode != CPU_ENTRY_REAL16)
		explain("no IDT: a fault before the kernel has one is a triple fault");
}

void boot_explain(const struct gmem *mem, const struct cpu_entry *entry)
{
	struct boot_params bp;
	uint64_t rsdp = 0;
	char mark[8];

	if (!explain_is_on())
		return;
	explain_head("Guest memory before the first instruction");
	if (entry->mode != CPU_ENTRY_REAL16)
		explain_gdt(mem, entry);
	explain_paging(mem, entry->cr3);
	if (entry->rsi && gmem_read(mem, entry->rsi, &bp, sizeof(bp)) == 0) {
		explain_boot_params(mem, entry->rsi);
		rsdp = bp.acpi_rsdp_addr;
	} else if (entry->rbx && !entry->rax) {
		rsdp = explain_start_info(mem, entry->rbx);
	} else if (entry->rax == MULTIBOOT1_MAGIC) {
		explain_multiboot1(mem, entry->rbx);
	} else if (entry->rax == MULTIBOOT2_MAGIC) {
		explain_multiboot2(mem, entry->rbx);
	}
	/* Who is not told of the RSDP looks for it there. */
	if (!rsdp && gmem_read(mem, FW_ACPI_BASE, mark, sizeof(mark)) == 0 &&
		!memcmp(mark, "RSD PTR ", sizeof(mark)))
		rsdp = FW_ACPI_BASE;
	explain_acpi(mem, rsdp);
	if (gmem_read(mem, FW_MP_POINTER, mark, sizeof(mark)) == 0 && !memcmp(mark, "_MP_", 4))
		explain("0x%-9llx for who knows no ACPI: the pointer to the MP table at 0x%x "
			"[MP 1.4, 4]",
			HEX(FW_MP_POINTER), load_le32(mark + 4));
	explain_entry(entry);
}
