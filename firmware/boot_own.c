/*
 * See boot_impl.h: kernels that people write themselves. Boot sectors (bios.h) and flat binaries
 * (flat.h). Each is handed a device tree, which says all about the machine.
 *
 * What the files can say: see flat.c and multiboot.c; a boot sector's file says nothing here.
 */
#include "firmware/boot_impl.h"

#include <errno.h>
#include <stdio.h>

#include "firmware/bios.h"
#include "firmware/fdt.h"
#include "firmware/flat.h"
#include "firmware/layout.h"

bool boot_own_is(enum image_kind kind)
{
	return kind == IMAGE_BOOT_SECTOR || kind == IMAGE_FLAT;
}

void boot_own_describe(const struct boot *boot, char *buf, size_t size)
{
	if (boot->kind == IMAGE_BOOT_SECTOR)
		snprintf(buf, size, "boot sector (BIOS, real mode)");
	else
		snprintf(buf, size, "flat binary (at 0x%llx, %u-bit)",
			(unsigned long long)boot->flat.address, boot->flat.bits);
}

/* Above the first 640 KiB, so that no boot sector that loads more overwrites it by accident. */
static int write_tree(struct gmem *mem, const struct boot_machine *machine, const struct plan *plan,
	gpa_t *tree, struct err *err)
{
	struct boot_machine with_initrd = *machine;
	uint8_t *room = gmem_ptr(mem, FW_OWN_TREE_BASE, FW_OWN_TREE_BYTES);
	size_t used;

	ASSERT(room);
	with_initrd.initrd.base = plan->params.initrd;
	with_initrd.initrd.size = plan->params.initrd_bytes;
	*tree = FW_OWN_TREE_BASE;
	return fdt_build(&with_initrd, mem, room, FW_OWN_TREE_BYTES, &used, err);
}

static int load_boot_sector(struct gmem *mem, const struct boot_machine *machine,
	const struct plan *plan, struct cpu_entry *entry, struct err *err)
{
	struct bios_params params = {.map = plan->params.map,
		.disk_port = machine->bios_disk_port,
		.drive_count = machine->bios_drive_count};
	int ret = write_tree(mem, machine, plan, &params.tree, err);

	return ret < 0 ? ret : bios_load(mem, &params, entry);
}

static int load_flat(struct boot *boot, struct gmem *mem, const struct boot_machine *machine,
	struct plan *plan, struct cpu_entry *entry, struct err *err)
{
	uint64_t start = boot->flat.address, end = start + boot->kernel.size;
	gpa_t tree;
	int ret = boot_check_fits(boot, plan, start, end, err);

	/* Not below the kernel, where place_initrd() would not know of it. */
	if (end < FW_KERNEL_LOWEST)
		plan->kernel_start = plan->kernel_end = FW_KERNEL_LOWEST;
	if (ret == 0)
		ret = boot_place_initrd(boot, plan, UINT32_MAX, err);
	if (ret == 0)
		ret = write_tree(mem, machine, plan, &tree, err);
	if (ret == 0)
		ret = boot_read_kernel(boot, mem, start, 0, boot->kernel.size, err);
	if (ret == 0)
		ret = flat_enter(mem, &boot->flat, entry);
	if (ret == 0)
		entry->rdi = tree;
	return ret;
}

int boot_own_load(struct boot *boot, struct gmem *mem, const struct boot_machine *machine,
	struct plan *plan, struct cpu_entry *entry, struct err *err)
{
	int ret;

	boot->kernel_way = "copied";
	if (boot->kind == IMAGE_BOOT_SECTOR)
		return load_boot_sector(mem, machine, plan, entry, err);
	ret = load_flat(boot, mem, machine, plan, entry, err);
	return ret < 0 ? ret : boot_load_initrd(boot, mem, plan, err);
}
