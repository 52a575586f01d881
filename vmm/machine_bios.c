/*
 * See machine_bios.h. The loop's thread, before a guest runs.
 */
#include "vmm/machine_bios.h"

#include <errno.h>
#include <string.h>

#include "devices/backend/blk.h"

enum {
	BOOT_MARK = 0xaa55,
};

int machine_bios_read(
	const struct machine *machine, uint8_t sector[static BLK_SECTOR_BYTES], struct err *err)
{
	const struct vm_config *config = machine->config;
	const char *path = config->kernel ? config->kernel : config->disks[0].path;
	int64_t got = blk_read_sync(machine->bios_start, 0, sector, BLK_SECTOR_BYTES);

	if (got < 0)
		return err_set(err, EXIT_CODE_IMAGE, (int)-got,
			"can't read the boot sector of %s: %s", path, strerror((int)-got));
	if (load_le16(sector + BLK_SECTOR_BYTES - 2) == BOOT_MARK)
		return 0;
	err_hint(err,
		"assemblers write it with .org 510 and .word 0xaa55 (times 510-($-$$) db 0 and "
		"dw 0xaa55)");
	return err_set(err, EXIT_CODE_IMAGE, ENOEXEC,
		"%s does not begin with a boot sector: bytes 510 and 511 are not 55 aa", path);
}

static int open_kernel(struct machine *machine, struct err *err)
{
	/* The file is a program: what it does to its disk is not to change it. */
	const struct blk_config config = {.path = machine->config->kernel, .ephemeral = true};

	return blk_open(&machine->bios_kernel, &config, machine->loop, err);
}

int machine_bios_open(struct machine *machine, struct err *err)
{
	const struct vm_config *config = machine->config;
	uint8_t sector[BLK_SECTOR_BYTES];
	int ret;

	if (!boot_needs_bios(machine->boot))
		return 0;
	if (config->profile != PROFILE_PC)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"a boot sector can't go with --machine micro: that machine has no BIOS");
	ret = config->kernel ? open_kernel(machine, err) : 0;
	if (ret < 0)
		return ret;
	machine->bios_start = machine->bios_kernel ? machine->bios_kernel : machine->disks[0];
	if (machine->bios_kernel &&
		(blk_info(machine->bios_kernel)->size > BLK_SECTOR_BYTES || !config->disk_count))
		machine->bios_drives[machine->bios_drive_count++] = machine->bios_kernel;
	for (unsigned i = 0; i < config->disk_count; i++)
		machine->bios_drives[machine->bios_drive_count++] = machine->disks[i];
	return machine_bios_read(machine, sector, err);
}

void machine_bios_close(struct machine *machine)
{
	blk_close(machine->bios_kernel);
}

bool machine_bios_args(const struct machine *machine, const struct device_class *class,
	struct device_args *args, unsigned *count)
{
	if (strcmp(class->name, "bios-disk") != 0)
		return false;
	args->drives = machine->bios_drives;
	args->drive_count = machine->bios_drive_count;
	*count = machine->bios_start ? 1 : 0;
	return true;
}
