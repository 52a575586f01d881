/*
 * See boot.h. Puts together what image, bzimage, elf, unpack, e820, acpi and
 * entry know; decides where things go in guest memory. Knows nothing of KVM or of
 * any single device. One thread at a time.
 *
 * What the files can say          limit                           enforced in            test
 * kernel larger than RAM          refused, with what it needs     boot_check_fits()           boot_refuses_small_memory
 * payload that unpacks too far    the header's own size           load_payload()         boot_refuses_damaged_payload
 * payload that is no ELF kernel   the kernel unpacks itself       load_bzimage()         boot_falls_back_to_decompressor
 * unpacked segments elsewhere     the kernel unpacks itself       accept_in_plan()       boot_falls_back_to_decompressor
 * initrd larger than what is left refused                         boot_place_initrd()         boot_refuses_big_initrd
 * a file that shrinks meanwhile   refused as changed              read_into()            boot_notices_changed_file
 */
#include "firmware/boot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "firmware/acpi.h"
#include "firmware/bios_layout.h"
#include "firmware/boot_impl.h"
#include "firmware/fdt.h"
#include "firmware/flat.h"
#include "firmware/layout.h"
#include "firmware/mptable.h"
#include "firmware/packed_kernel.h"
#include "vmm/core/explain.h"

enum {
	PAGE_BYTES = 4096,
	ENTRY64_OFFSET = 0x200,
	/* COMMAND_LINE_SIZE of Linux for x86, less the NUL: for kernels that don't say. */
	ELF_CMDLINE_MAX = 2047,
};

/* A packed file says nothing reliable of its unpacked size. */
#define PACKED_ELF_MAX (2 * GIB)

/* What a kernel needs beyond itself to get anywhere: for advice only. */
#define WORKING_ROOM (16 * MIB)

/* ---- Opening ---- */

static int open_kernel(struct boot *boot, const struct boot_config *config, struct err *err)
{
	uint64_t size;

	boot->kernel_path = strdup(config->kernel_path);
	if (!boot->kernel_path)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "out of memory");
	boot->kernel_fd = image_open(config->kernel_path, "kernel", false, &size, err);
	if (boot->kernel_fd < 0)
		return boot->kernel_fd;
	boot->kernel = source_from_fd(&boot->kernel_fd, size);
	return 0;
}

/* Loads the library now, so that its absence is told before the guest runs. */
static bool can_unpack(const struct boot *boot, enum unpack_format format)
{
	const char *missing;

	if (unpack_load(format, &missing))
		return true;
	if (missing)
		log_info("%s is not installed: the kernel %s unpacks itself, which takes longer",
			missing, boot->kernel_path);
	return false;
}

static int open_bzimage(struct boot *boot, const struct boot_config *config, struct err *err)
{
	const struct bzimage *bz = &boot->bzimage;
	int ret = bzimage_parse(&boot->kernel, boot->kernel_path, &boot->bzimage, err);

	if (ret < 0 || !config->unpack || !bz->has_entry64 || bz->payload_format == UNPACK_NONE)
		return ret;
	if (config->cache)
		boot->cache = kernel_cache_open(boot->kernel_fd, bz->payload_offset);
	/* What is unpacked already needs no library. */
	boot->unpack_here = kernel_cache_has(boot->cache) || can_unpack(boot, bz->payload_format);
	return 0;
}

static int open_packed(struct boot *boot, const struct boot_config *config, struct err *err)
{
	const char *missing;

	if (config->cache)
		boot->cache = kernel_cache_open(boot->kernel_fd, 0);
	if (unpack_load(boot->packing, &missing))
		return 0;
	err_set(err, EXIT_CODE_IMAGE, ENOTSUP, "the kernel %s is packed by %s, and %s is missing",
		boot->kernel_path, unpack_name(boot->packing), missing ? missing : "its library");
	err_hint(err, "install the library, or unpack the file first");
	return -ENOTSUP;
}

/* What Linux and PVH have no entry for may be a Multiboot kernel. */
static int open_elf(struct boot *boot, struct err *err)
{
	struct err trouble = ERR_INIT;
	int ret = elf_parse(&boot->kernel, true, boot->kernel_path, &boot->elf, &trouble);

	if (ret == 0 && (boot->elf.has_pvh || boot->elf.has_linux_entry))
		return 0;
	if (multiboot_is_in(&boot->kernel)) {
		boot->kind = IMAGE_MULTIBOOT;
		return boot_own_open_multiboot(boot, err);
	}
	if (ret < 0 && err)
		*err = trouble;
	return ret;
}

static int recognise_kernel(struct boot *boot, const struct boot_config *config, struct err *err)
{
	struct image_info info;

	boot->flat = config->flat;
	if (config->boot_sector) {
		boot->kind = IMAGE_BOOT_SECTOR;
		return 0;
	}
	if (boot->flat.bits) {
		boot->kind = IMAGE_FLAT;
		return flat_check(&boot->flat, boot->kernel.size, boot->kernel_path, err);
	}
	image_probe(&boot->kernel, &info);
	boot->kind = info.kind;
	boot->packing = info.packing;
	switch (info.kind) {
	case IMAGE_BZIMAGE:
		return open_bzimage(boot, config, err);
	case IMAGE_ELF:
		return open_elf(boot, err);
	case IMAGE_PACKED_ELF:
		return open_packed(boot, config, err);
	case IMAGE_MULTIBOOT:
	case IMAGE_PACKED_MULTIBOOT:
		return boot_own_open_multiboot(boot, err);
	case IMAGE_BOOT_SECTOR:
		return 0;
	default:
		return image_refuse_kernel(&info, boot->kernel_path, err);
	}
}

static int open_initrd(struct boot *boot, const char *path, struct err *err)
{
	struct image_info info;
	uint64_t size;

	if (boot->kind == IMAGE_BOOT_SECTOR)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--initrd can't go with a boot sector, which can't be told of it");
	boot->initrd_path = strdup(path);
	if (!boot->initrd_path)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "out of memory");
	boot->initrd_fd = image_open(path, "initrd", false, &size, err);
	if (boot->initrd_fd < 0)
		return boot->initrd_fd;
	boot->initrd = source_from_fd(&boot->initrd_fd, size);
	image_probe(&boot->initrd, &info);
	if (info.kind == IMAGE_BZIMAGE || info.kind == IMAGE_ELF || info.kind == IMAGE_PACKED_ELF) {
		err_set(err, EXIT_CODE_IMAGE, EINVAL, "the initrd %s is %s", path, info.text);
		err_hint(err, "a kernel goes with --kernel");
		return -EINVAL;
	}
	return 0;
}

static int open_initrds(struct boot *boot, const struct boot_config *config, struct err *err)
{
	if (!config->initrd_count)
		return 0;
	if (boot_own_is_multiboot(boot->kind))
		return boot_own_open_modules(boot, config, err);
	if (config->initrd_count > 1)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--initrd is given %u times, and only Multiboot kernels take more than one",
			config->initrd_count);
	return open_initrd(boot, config->initrd_paths[0], err);
}

int boot_open(struct boot **result, const struct boot_config *config, struct err *err)
{
	struct boot *boot = calloc(1, sizeof(*boot));
	int ret;

	*result = NULL;
	if (!boot)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "out of memory");
	boot->kernel_fd = boot->initrd_fd = -1;
	ret = config->kernel_path ? open_kernel(boot, config, err) : 0;
	if (ret == 0)
		ret = recognise_kernel(boot, config, err);
	if (ret == 0)
		ret = open_initrds(boot, config, err);
	if (ret < 0) {
		boot_close(boot);
		return ret;
	}
	*result = boot;
	return 0;
}

void boot_close(struct boot *boot)
{
	if (!boot)
		return;
	if (boot->kernel_fd >= 0)
		close(boot->kernel_fd);
	if (boot->initrd_fd >= 0)
		close(boot->initrd_fd);
	boot_own_close(boot);
	kernel_cache_close(boot->cache);
	free(boot->kernel_path);
	free(boot->initrd_path);
	free(boot);
}

bool boot_is_own(const struct boot *boot)
{
	return boot && boot_own_is(boot->kind);
}

bool boot_needs_bios(const struct boot *boot)
{
	return boot && boot->kind == IMAGE_BOOT_SECTOR;
}

void boot_explain_files(const struct boot *boot)
{
	const struct bzimage *bz = &boot->bzimage;
	char text[200];

	boot_describe(boot, text, sizeof(text));
	explain("%s, %s: %s", boot->kernel_path ? boot->kernel_path : "the first disk",
		explain_size(boot->kernel.size), text);
	if (boot->kind == IMAGE_BZIMAGE) {
		explain_detail("boot protocol %u.%02u; code from offset 0x%llx on, %s; it goes to "
			       "0x%llx and needs %s there",
			bz->header.version >> 8, bz->header.version & 0xff,
			(unsigned long long)bz->code_offset, explain_size(bz->code_size),
			(unsigned long long)bz->load_address, explain_size(bz->memory_bytes));
		explain_detail("packed by %s: %s, %s unpacked", unpack_name(bz->payload_format),
			explain_size(bz->payload_bytes), explain_size(bz->unpacked_bytes));
	}
	if (boot->initrd_path)
		explain("%s, %s: the initrd", boot->initrd_path, explain_size(boot->initrd.size));
}

const char *boot_kernel_way(const struct boot *boot)
{
	return boot->kernel_way;
}

bool boot_is_linux(const struct boot *boot)
{
	return boot->kind == IMAGE_BZIMAGE || boot->kind == IMAGE_PACKED_ELF ||
		boot->elf.has_linux_entry;
}

void boot_describe(const struct boot *boot, char *buf, size_t size)
{
	const struct bzimage *bz = &boot->bzimage;
	const char *entry = bz->has_entry64 ? "64-bit entry" : "32-bit entry";
	int word = (int)strcspn(bz->version, " ");

	if (boot_own_is(boot->kind)) {
		boot_own_describe(boot, buf, size);
		return;
	}
	switch (boot->kind) {
	case IMAGE_BZIMAGE:
		snprintf(buf, size, "Linux %.*s%s(bzImage, %s%s, %s)", word, bz->version,
			word ? " " : "",
			bz->payload_format == UNPACK_NONE ? "unknown packing"
							  : unpack_name(bz->payload_format),
			boot->unpack_here ? " unpacked here" : " unpacked by itself", entry);
		break;
	case IMAGE_PACKED_ELF:
		snprintf(buf, size, "ELF kernel (%s unpacked here, 64-bit entry)",
			unpack_name(boot->packing));
		break;
	default:
		snprintf(buf, size, "ELF kernel (%s)",
			elf_is_entered_by_pvh(&boot->elf) ? "PVH entry" : "64-bit entry");
		break;
	}
}

/* ---- Placing ---- */

int boot_check_fits(
	const struct boot *boot, struct plan *plan, uint64_t start, uint64_t end, struct err *err)
{
	uint64_t needed_mib;

	plan->kernel_start = start;
	plan->kernel_end = end;
	if (end <= plan->low_ram_end)
		return 0;
	if (end > FW_IDENTITY_END)
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"the kernel %s wants to be at 0x%llx, beyond the memory below 4 GiB",
			boot->kernel_path, (unsigned long long)start);
	needed_mib = util_align_up(end + boot->initrd.size + WORKING_ROOM, 16 * MIB) / MIB;
	err_set(err, EXIT_CODE_IMAGE, ENOMEM,
		"the kernel %s needs memory up to %llu MiB; the machine has %llu MiB",
		boot->kernel_path, (unsigned long long)((end + MIB - 1) / MIB),
		(unsigned long long)(plan->low_ram_end / MIB));
	err_hint(err, "give at least --memory %lluM", (unsigned long long)needed_mib);
	return -ENOMEM;
}

int boot_place_initrd(const struct boot *boot, struct plan *plan, uint64_t highest, struct err *err)
{
	uint64_t bytes = boot->initrd.size;
	uint64_t top = MIN(plan->low_ram_end, highest + 1);
	uint64_t floor = plan->kernel_end;

	if (!bytes)
		return 0;
	if (top < floor || bytes > util_align_down(top, PAGE_BYTES) - floor) {
		top = MIN(top, plan->kernel_start);
		floor = FW_KERNEL_LOWEST;
	}
	top = util_align_down(top, PAGE_BYTES);
	if (top < floor || bytes > top - floor ||
		util_align_down(top - bytes, PAGE_BYTES) < floor) {
		err_set(err, EXIT_CODE_IMAGE, ENOMEM,
			"the initrd %s (%llu MiB) does not fit into memory beside the kernel",
			boot->initrd_path, (unsigned long long)((bytes + MIB - 1) / MIB));
		err_hint(err, "give more with --memory");
		return -ENOMEM;
	}
	plan->params.initrd = util_align_down(top - bytes, PAGE_BYTES);
	plan->params.initrd_bytes = bytes;
	return 0;
}

static int check_cmdline(const struct boot *boot, const char *cmdline, struct err *err)
{
	uint64_t limit = ELF_CMDLINE_MAX, len = strlen(cmdline);

	if (boot->kind == IMAGE_BZIMAGE)
		limit = MIN((uint64_t)boot->bzimage.header.cmdline_size, FW_CMDLINE_BYTES - 1);
	if (len <= limit)
		return 0;
	err_set(err, EXIT_CODE_USAGE, E2BIG,
		"the command line has %llu characters; the kernel %s takes %llu",
		(unsigned long long)len, boot->kernel_path, (unsigned long long)limit);
	err_hint(err, "shorten --append");
	return -E2BIG;
}

/* ---- Loading ---- */

int boot_file_changed(const char *what, const char *path, struct err *err)
{
	return err_set(err, EXIT_CODE_IMAGE, EIO,
		"the %s %s can't be read as it was when vmm started: it was changed or its disk "
		"fails",
		what, path);
}

static int read_into(
	struct gmem *mem, gpa_t gpa, const struct source *source, uint64_t offset, uint64_t bytes)
{
	void *host = gmem_ptr(mem, gpa, bytes);

	return host && source_read(source, offset, host, bytes) ? 0 : -EIO;
}

int boot_read_kernel(const struct boot *boot, struct gmem *mem, gpa_t gpa, uint64_t offset,
	uint64_t bytes, struct err *err)
{
	if (read_into(mem, gpa, &boot->kernel, offset, bytes) < 0)
		return boot_file_changed("kernel", boot->kernel_path, err);
	return 0;
}

int boot_load_initrd(
	const struct boot *boot, struct gmem *mem, const struct plan *plan, struct err *err)
{
	if (!plan->params.initrd_bytes)
		return 0;
	if (read_into(mem, plan->params.initrd, &boot->initrd, 0, boot->initrd.size) < 0)
		return boot_file_changed("initrd", boot->initrd_path, err);
	return 0;
}

/* The header's promise, by which the initrd was placed. */
static int accept_in_plan(void *opaque, const struct elf_image *image, struct err *err)
{
	const struct plan *plan = opaque;

	(void)err;
	return image->lowest >= plan->kernel_start && image->end <= plan->kernel_end
		? 0
		: PACKED_KERNEL_UNSUITABLE;
}

/* From the cache, or unpacked and put there. */
static int unpack_kernel(
	struct boot *boot, const struct packed_kernel *packed, struct gmem *mem, struct err *err)
{
	int64_t read_s = time(NULL);
	int ret = kernel_cache_load(boot->cache, packed, mem, &boot->elf, err);

	boot->kernel_way = "from the cache";
	if (ret != KERNEL_CACHE_MISS)
		return ret;
	boot->kernel_way = "unpacked";
	/* It was thought to be there already. */
	if (!can_unpack(boot, packed->format))
		return PACKED_KERNEL_UNSUITABLE;
	ret = packed_kernel_load(packed, mem, &boot->elf, err);
	if (ret == 0)
		kernel_cache_store(boot->cache, mem, &boot->elf, read_s);
	return ret;
}

static int load_payload(struct boot *boot, struct gmem *mem, struct plan *plan, struct err *err)
{
	const struct bzimage *bz = &boot->bzimage;
	struct packed_kernel packed = {
		.name = boot->kernel_path,
		.source = &boot->kernel,
		.format = bz->payload_format,
		.offset = bz->payload_offset,
		.bytes = bz->payload_bytes,
		/* A kernel unpacks inside the memory it asks for: more can't be true. */
		.limit = MIN((uint64_t)bz->unpacked_bytes, bz->memory_bytes),
		.expected = bz->unpacked_bytes,
		.accept = accept_in_plan,
		.opaque = plan,
	};

	return unpack_kernel(boot, &packed, mem, err);
}

static int load_bzimage(struct boot *boot, struct gmem *mem, struct plan *plan,
	struct cpu_entry *entry, struct err *err)
{
	const struct bzimage *bz = &boot->bzimage;
	int ret;

	if (boot->unpack_here) {
		ret = load_payload(boot, mem, plan, err);
		if (ret < 0)
			return ret;
		if (ret == 0)
			return entry_linux64(mem, &plan->params, boot->elf.entry, entry);
		log_info("the kernel %s has an unusual payload: it unpacks itself",
			boot->kernel_path);
	}
	boot->kernel_way = "copied, unpacks itself";
	ret = boot_read_kernel(boot, mem, bz->load_address, bz->code_offset, bz->code_size, err);
	if (ret < 0)
		return ret;
	if (bz->has_entry64)
		return entry_linux64(mem, &plan->params, bz->load_address + ENTRY64_OFFSET, entry);
	return entry_linux32(mem, &plan->params, bz->load_address, entry);
}

static int plan_bzimage(struct boot *boot, struct plan *plan, struct err *err)
{
	const struct bzimage *bz = &boot->bzimage;
	int ret = boot_check_fits(
		boot, plan, bz->memory_start, bz->memory_start + bz->memory_bytes, err);

	plan->params.header = &bz->header;
	plan->params.load_address = bz->load_address;
	return ret < 0 ? ret : boot_place_initrd(boot, plan, bz->initrd_max, err);
}

struct fit {
	const struct boot *boot;
	struct plan *plan;
};

static int accept_in_ram(void *opaque, const struct elf_image *image, struct err *err)
{
	const struct fit *fit = opaque;

	return boot_check_fits(fit->boot, fit->plan, image->lowest, image->end, err);
}

static int load_packed_elf(struct boot *boot, struct gmem *mem, struct plan *plan, struct err *err)
{
	struct fit fit = {.boot = boot, .plan = plan};
	struct packed_kernel packed = {
		.name = boot->kernel_path,
		.source = &boot->kernel,
		.format = boot->packing,
		.bytes = boot->kernel.size,
		.limit = PACKED_ELF_MAX,
		.accept = accept_in_ram,
		.opaque = &fit,
	};
	int ret = unpack_kernel(boot, &packed, mem, err);

	if (ret == PACKED_KERNEL_UNSUITABLE)
		return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
			"the kernel %s unpacks to an ELF file that can't be started",
			boot->kernel_path);
	return ret;
}

static int load_elf(struct boot *boot, struct gmem *mem, struct plan *plan, struct err *err)
{
	int ret = boot_check_fits(boot, plan, boot->elf.lowest, boot->elf.end, err);

	boot->kernel_way = "copied";
	if (ret == 0 && elf_load(&boot->elf, &boot->kernel, mem) < 0)
		ret = boot_file_changed("kernel", boot->kernel_path, err);
	return ret;
}

static int load_and_enter_elf(struct boot *boot, struct gmem *mem,
	const struct boot_machine *machine, struct plan *plan, struct cpu_entry *entry,
	struct err *err)
{
	gpa_t tree = 0;
	int ret = boot->kind == IMAGE_ELF ? load_elf(boot, mem, plan, err)
					  : load_packed_elf(boot, mem, plan, err);

	/* Only now is a packed kernel's size known. */
	if (ret == 0)
		ret = boot_place_initrd(boot, plan, UINT32_MAX, err);
	/*
	 * PVH tells enough, and making a tree would cost each of its kernels a third more of the
	 * start. A packed one is entered as Linux: its notes can't be read before it is unpacked.
	 */
	if (ret == 0 && boot->kind == IMAGE_ELF && !boot->elf.has_linux_entry && !boot->elf.has_pvh)
		ret = boot_own_write_tree(mem, machine, plan, &tree, err);
	else if (plan->params.setup_data)
		tree = plan->params.setup_data + sizeof(struct setup_data);
	if (ret < 0)
		return ret;
	if (elf_is_entered_by_pvh(&boot->elf))
		ret = entry_pvh(mem, &plan->params, boot->elf.pvh_entry, entry);
	else
		ret = entry_linux64(mem, &plan->params, boot->elf.entry, entry);
	entry->rdi = tree;
	return ret;
}

/* What a machine has that no device tree describes. */
static int write_tables(
	struct gmem *mem, const struct boot_machine *machine, struct plan *plan, struct err *err)
{
	uint8_t *room = gmem_ptr(mem, FW_ACPI_BASE, FW_ACPI_BYTES);
	size_t used;
	int ret;

	ASSERT(room);
	plan->params.rsdp = FW_ACPI_BASE;
	ret = acpi_build(machine, FW_ACPI_BASE, room, FW_ACPI_BYTES, &used, err);
	if (ret == 0 && mptable_write(mem, machine) < 0)
		ret = err_set(err, EXIT_CODE_INTERNAL, EFAULT, "the MP tables have no place");
	return ret;
}

/* Linux Documentation/arch/x86/boot.rst, "setup_data" (protocol 2.09). */
static int write_tree(
	struct gmem *mem, const struct boot_machine *machine, struct plan *plan, struct err *err)
{
	struct setup_data header = {.type = SETUP_DTB};
	uint8_t *room = gmem_ptr(mem, FW_TREE_BASE, FW_TREE_BYTES);
	size_t used;
	int ret;

	_Static_assert(sizeof(header) % 8 == 0, "a tree lies on a multiple of 8 bytes");
	ASSERT(room);
	ret = fdt_build(
		machine, mem, room + sizeof(header), FW_TREE_BYTES - sizeof(header), &used, err);
	if (ret < 0)
		return ret;
	header.len = (uint32_t)used;
	plan->params.setup_data = FW_TREE_BASE;
	return gmem_write(mem, FW_TREE_BASE, &header, sizeof(header));
}

static void explain_kernel(const struct boot *boot, const struct plan *plan)
{
	uint64_t start = plan->kernel_start, end = plan->kernel_end;

	if (boot->kind == IMAGE_FLAT) {
		start = boot->flat.address;
		end = start + boot->kernel.size;
	}
	if (boot->kind == IMAGE_BOOT_SECTOR)
		explain("0x%-9x a small BIOS, which reads the boot sector to 0x7c00", FW_BIOS_BASE);
	else
		explain("0x%-9llx the kernel, up to 0x%llx: %s", (unsigned long long)start,
			(unsigned long long)end - 1, boot->kernel_way);
}

int boot_load(struct boot *boot, struct gmem *mem, const struct boot_machine *machine,
	struct cpu_entry *entry, struct err *err)
{
	struct e820_map map;
	struct plan plan = {.low_ram_end = mem->regions[0].size,
		.params = {.map = &map, .cmdline = machine->cmdline, .screen = machine->screen}};
	bool is_bzimage = boot->kind == IMAGE_BZIMAGE;
	int ret = 0;

	if (plan.low_ram_end <= FW_KERNEL_LOWEST)
		return err_set(err, EXIT_CODE_USAGE, ENOMEM, "the machine has no more than 1 MiB");
	if (e820_build(&map, mem, machine->reserved, machine->reserved_count) < 0)
		return err_set(err, EXIT_CODE_INTERNAL, E2BIG,
			"the machine's memory map has too many ranges");
	/* Linux hands out most of the first 2 MiB before anything else. */
	if (!boot_is_linux(boot))
		gmem_use_small_pages_below_2m(mem);
	ret = check_cmdline(boot, machine->cmdline, err);
	if (ret == 0 && boot_own_is(boot->kind)) {
		ret = machine->has_tree ? 0 : write_tables(mem, machine, &plan, err);
		if (ret == 0)
			ret = boot_own_load(boot, mem, machine, &plan, entry, err);
		if (ret == 0)
			explain_kernel(boot, &plan);
		return ret;
	}
	if (ret == 0 && is_bzimage)
		ret = plan_bzimage(boot, &plan, err);
	if (ret == 0)
		ret = machine->has_tree ? write_tree(mem, machine, &plan, err)
					: write_tables(mem, machine, &plan, err);
	if (ret == 0)
		ret = is_bzimage ? load_bzimage(boot, mem, &plan, entry, err)
				 : load_and_enter_elf(boot, mem, machine, &plan, entry, err);
	if (ret == 0)
		ret = boot_load_initrd(boot, mem, &plan, err);
	if (ret == 0)
		explain_kernel(boot, &plan);
	return ret;
}
