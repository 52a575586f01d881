/*
 * See boot_impl.h: kernels that people write themselves. Boot sectors (bios.h), flat binaries
 * (flat.h) and Multiboot kernels (multiboot.h). Each is handed a device tree, which says all about
 * the machine.
 *
 * What the files can say               limit                 enforced in           test
 * headers, addresses                   see flat.c and multiboot.c
 * packed data that never ends          UNPACKED_MAX          put_unpacked()        boot_unpacks_multiboot
 * a kernel, modules larger than RAM    refused               place_modules()       boot_refuses_big_modules
 * more words than there is room for    refused               load_multiboot()      boot_refuses_long_words
 * a screen that is not there           refused               load_multiboot()      boot_refuses_screenless
 */
#include "firmware/boot_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "firmware/bios.h"
#include "firmware/fdt.h"
#include "firmware/flat.h"
#include "firmware/layout.h"

enum {
	PAGE_BYTES = 4096,
	GROWTH_BYTES = 1 << 20,
};

#define UNPACKED_MAX (256 * MIB)

bool boot_own_is_multiboot(enum image_kind kind)
{
	return kind == IMAGE_MULTIBOOT || kind == IMAGE_PACKED_MULTIBOOT;
}

bool boot_own_is(enum image_kind kind)
{
	return kind == IMAGE_BOOT_SECTOR || kind == IMAGE_FLAT || boot_own_is_multiboot(kind);
}

void boot_own_describe(const struct boot *boot, char *buf, size_t size)
{
	if (boot->kind == IMAGE_BOOT_SECTOR)
		snprintf(buf, size, "boot sector (BIOS, real mode)");
	else if (boot->kind == IMAGE_MULTIBOOT)
		snprintf(buf, size, "Multiboot %u kernel (32-bit entry)", boot->multiboot.version);
	else if (boot->kind == IMAGE_PACKED_MULTIBOOT)
		snprintf(buf, size, "Multiboot %u kernel (%s unpacked here, 32-bit entry)",
			boot->multiboot.version, unpack_name(boot->packing));
	else
		snprintf(buf, size, "flat binary (at 0x%llx, %u-bit)",
			(unsigned long long)boot->flat.address, boot->flat.bits);
}

/* ---- Opening Multiboot kernels ---- */

static int put_unpacked(void *opaque, uint64_t offset, const void *data, uint64_t len)
{
	struct boot *boot = opaque;
	uint64_t had = util_align_up(offset, GROWTH_BYTES);
	uint64_t wanted = util_align_up(offset + len, GROWTH_BYTES);

	if (wanted > had) {
		uint8_t *more = realloc(boot->unpacked, wanted);

		if (!more)
			return -ENOMEM;
		boot->unpacked = more;
	}
	memcpy(boot->unpacked + offset, data, len);
	boot->unpacked_bytes = (struct source_bytes){boot->unpacked, offset + len};
	return 0;
}

/* Its headers may say anything about its order: it is kept whole, for resets as well. */
static int unpack(struct boot *boot, struct err *err)
{
	struct unpack_sink sink = {.put = put_unpacked, .opaque = boot, .limit = UNPACKED_MAX};
	const char *missing;
	uint64_t made;
	int ret;

	if (!unpack_load(boot->packing, &missing)) {
		err_hint(err, "install the library, or unpack the file first");
		return err_set(err, EXIT_CODE_IMAGE, ENOTSUP,
			"the kernel %s is packed by %s, and %s is missing", boot->kernel_path,
			unpack_name(boot->packing), missing ? missing : "its library");
	}
	ret = unpack_stream(boot->packing, &boot->kernel, 0, boot->kernel.size, &sink, &made);
	if (ret < 0)
		return err_set(err, EXIT_CODE_IMAGE, -ret,
			"the kernel %s is damaged or too large: its %s data can't be unpacked",
			boot->kernel_path, unpack_name(boot->packing));
	boot->kernel = source_from_bytes(&boot->unpacked_bytes);
	return 0;
}

int boot_own_open_multiboot(struct boot *boot, struct err *err)
{
	int ret = boot->kind == IMAGE_PACKED_MULTIBOOT ? unpack(boot, err) : 0;

	return ret < 0 ? ret
		       : multiboot_parse(&boot->kernel, boot->kernel_path, &boot->multiboot, err);
}

/* FILE, or "FILE WORDS": the kernel is told all of it. */
static int open_module(struct boot_module *module, const char *words, struct err *err)
{
	bool is_name = !access(words, F_OK);
	char *path = strndup(words, is_name ? strlen(words) : strcspn(words, " "));
	uint64_t size;

	module->fd = -1;
	module->words = strdup(words);
	if (path && module->words)
		module->fd = image_open(path, "module", false, &size, err);
	else
		err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "out of memory");
	free(path);
	if (module->fd < 0)
		return -ENOENT;
	module->source = source_from_fd(&module->fd, size);
	return 0;
}

int boot_own_open_modules(struct boot *boot, const struct boot_config *config, struct err *err)
{
	if (config->initrd_count > BOOT_MODULES_MAX)
		return err_set(err, EXIT_CODE_USAGE, E2BIG, "--initrd is given more than %d times",
			BOOT_MODULES_MAX);
	for (unsigned i = 0; i < config->initrd_count; i++) {
		int ret = open_module(
			&boot->modules[boot->module_count++], config->initrd_paths[i], err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

void boot_own_close(struct boot *boot)
{
	for (unsigned i = 0; i < boot->module_count; i++) {
		free(boot->modules[i].words);
		if (boot->modules[i].fd >= 0)
			close(boot->modules[i].fd);
	}
	free(boot->unpacked);
}

/* ---- Loading ---- */

/* Above the first 640 KiB, so that no boot sector that loads more overwrites it by accident. */
int boot_own_write_tree(struct gmem *mem, const struct boot_machine *machine,
	const struct plan *plan, gpa_t *tree, struct err *err)
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

static struct bios_params bios_params_of(
	const struct boot_machine *machine, const struct plan *plan)
{
	return (struct bios_params){.map = plan->params.map,
		.disk_port = machine->bios_disk_port,
		.drive_count = machine->bios_drive_count};
}

static int load_boot_sector(struct gmem *mem, const struct boot_machine *machine,
	const struct plan *plan, struct cpu_entry *entry, struct err *err)
{
	struct bios_params params = bios_params_of(machine, plan);
	int ret = boot_own_write_tree(mem, machine, plan, &params.tree, err);

	return ret < 0 ? ret : bios_load(mem, &params, machine->boot_sector, entry);
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
		ret = boot_own_write_tree(mem, machine, plan, &tree, err);
	if (ret == 0)
		ret = boot_read_kernel(boot, mem, start, 0, boot->kernel.size, err);
	if (ret == 0)
		ret = flat_enter(mem, &boot->flat, entry);
	if (ret == 0)
		entry->rdi = tree;
	return ret;
}

/* One behind the other, each on a page of its own, behind the kernel. */
static int place_modules(const struct boot *boot, const struct plan *plan,
	struct multiboot_module *modules, struct err *err)
{
	uint64_t at = plan->kernel_end;

	for (unsigned i = 0; i < boot->module_count; i++) {
		const struct boot_module *module = &boot->modules[i];

		at = util_align_up(at, PAGE_BYTES);
		if (at > plan->low_ram_end || module->source.size > plan->low_ram_end - at) {
			err_hint(err, "give more with --memory");
			return err_set(err, EXIT_CODE_IMAGE, ENOMEM,
				"the module %s (%llu MiB) does not fit into memory behind the "
				"kernel",
				module->words,
				(unsigned long long)((module->source.size + MIB - 1) / MIB));
		}
		modules[i] = (struct multiboot_module){
			.base = at, .size = module->source.size, .words = module->words};
		at += module->source.size;
	}
	return 0;
}

static int load_modules(const struct boot *boot, struct gmem *mem,
	const struct multiboot_module *modules, struct err *err)
{
	for (unsigned i = 0; i < boot->module_count; i++) {
		void *host = gmem_ptr(mem, modules[i].base, modules[i].size);

		if (!host || !source_read(&boot->modules[i].source, 0, host, modules[i].size))
			return boot_file_changed("module", modules[i].words, err);
	}
	return 0;
}

static int load_multiboot(struct boot *boot, struct gmem *mem, const struct boot_machine *machine,
	struct plan *plan, struct cpu_entry *entry, struct err *err)
{
	const struct elf_image *image = &boot->multiboot.image;
	struct multiboot_module modules[BOOT_MODULES_MAX] = {{0}};
	struct multiboot_params params = {.map = plan->params.map,
		.cmdline = machine->cmdline,
		.modules = modules,
		.module_count = boot->module_count,
		.rsdp = plan->params.rsdp,
		.screen = machine->screen};
	const struct bios_params bios = bios_params_of(machine, plan);
	gpa_t tree = 0;
	int ret;

	if (boot->multiboot.needs_screen && !machine->screen) {
		err_hint(err, "--display none is one that vmm screenshot sees");
		return err_set(err, EXIT_CODE_USAGE, ENOTSUP,
			"the kernel %s requires a screen, and there is no --display",
			boot->kernel_path);
	}
	ret = boot_check_fits(boot, plan, image->lowest, image->end, err);
	if (ret == 0)
		ret = place_modules(boot, plan, modules, err);
	if (ret == 0)
		ret = boot_own_write_tree(mem, machine, plan, &tree, err);
	if (ret == 0 && elf_load(image, &boot->kernel, mem) < 0)
		ret = boot_file_changed("kernel", boot->kernel_path, err);
	if (ret == 0)
		ret = load_modules(boot, mem, modules, err);
	/* Some look there for memory, or call it: they know it from behind other boot loaders. */
	if (ret == 0 && !machine->has_tree)
		ret = bios_install(mem, &bios);
	if (ret < 0)
		return ret;
	ret = multiboot_enter(mem, &boot->multiboot, &params, entry);
	entry->rdi = tree;
	return ret == -E2BIG ? err_set(err, EXIT_CODE_USAGE, E2BIG,
				       "there is no room for all words of --append and --initrd")
			     : ret;
}

int boot_own_load(struct boot *boot, struct gmem *mem, const struct boot_machine *machine,
	struct plan *plan, struct cpu_entry *entry, struct err *err)
{
	int ret;

	boot->kernel_way = "copied";
	if (boot->kind == IMAGE_BOOT_SECTOR)
		return load_boot_sector(mem, machine, plan, entry, err);
	if (boot_own_is_multiboot(boot->kind))
		return load_multiboot(boot, mem, machine, plan, entry, err);
	ret = load_flat(boot, mem, machine, plan, entry, err);
	return ret < 0 ? ret : boot_load_initrd(boot, mem, plan, err);
}
