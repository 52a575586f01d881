/*
 * What stands in the first MiB of guest memory when a kernel starts.
 *
 *   0x0000_0000  free (a kernel may look for BIOS data here: zeros)
 *   0x0000_1000  GDT
 *   0x0000_2000  page tables: PML4, PDPT, four page directories (64-bit entry)
 *   0x0000_8000  stack for the first instructions, 4 KiB
 *   0x0000_9000  boot_params (Linux entries) or hvm_start_info with its tables (PVH)
 *   0x0001_0000  command line, 64 KiB
 *   0x0002_0000  what a Multiboot kernel is told, 128 KiB
 *   0x0009_fc00  end of usable memory below 1 MiB; reserved in the memory map. The first place but
 *                one where kernels look for the MP tables' pointer, which stands at 0x9fc10
 *   0x000c_0000  the device tree, when there is one: for Linux inside its setup_data, 132 KiB (it
 *                has neither the BIOS nor ACPI tables then), for other kernels 64 KiB
 *   0x000d_0000  the BIOS of boot sectors (bios_layout.h)
 *   0x000e_0000  RSDP and all other ACPI tables, 120 KiB
 *   0x000f_e000  the MP configuration table, 8 KiB; where there is a device tree, neither
 *   0x0010_0000  the kernel and the initrd, not before
 *
 * A kernel has copied all but the ACPI tables long before it hands out memory,
 * so only these are reserved. They stand in the old BIOS area because it is
 * outside usable RAM already, and because a kernel that is told nothing of the
 * RSDP looks for it there (ACPI 6.4, 5.2.5.1); acpi.c says why 120 KiB suffice.
 */
#pragma once

#define FW_GDT_BASE	    UINT64_C(0x1000)
#define FW_PAGE_TABLES_BASE UINT64_C(0x2000)
#define FW_STACK_TOP	    UINT64_C(0x9000)
#define FW_PARAMS_BASE	    UINT64_C(0x9000)
#define FW_PARAMS_BYTES	    UINT64_C(0x2000)
#define FW_CMDLINE_BASE	    UINT64_C(0x10000)
#define FW_CMDLINE_BYTES    UINT64_C(0x10000)
#define FW_TREE_BASE	    UINT64_C(0xc0000)
#define FW_TREE_BYTES	    UINT64_C(0x21000)
#define FW_MULTIBOOT_BASE   UINT64_C(0x20000)
#define FW_MULTIBOOT_BYTES  UINT64_C(0x20000)
#define FW_OWN_TREE_BASE    UINT64_C(0xc0000)
#define FW_OWN_TREE_BYTES   UINT64_C(0x10000)
#define FW_LOW_RAM_END	    UINT64_C(0x9fc00)
#define FW_ACPI_BASE	    UINT64_C(0xe0000)
#define FW_ACPI_BYTES	    UINT64_C(0x1e000)
#define FW_MP_POINTER	    (FW_LOW_RAM_END + 0x10) /* behind the BIOS' word on its own size */
#define FW_MP_BASE	    UINT64_C(0xfe000)
#define FW_MP_BYTES	    UINT64_C(0x2000)
#define FW_KERNEL_LOWEST    UINT64_C(0x100000)

/* Selectors of the GDT: __BOOT_CS and __BOOT_DS of the Linux boot protocol. */
#define FW_CODE_SELECTOR 0x10
#define FW_DATA_SELECTOR 0x18

/* The identity mapping of the 64-bit entry ends here. */
#define FW_IDENTITY_END (UINT64_C(4) << 30)
