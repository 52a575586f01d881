/*
 * See setup_fields.h. One table.
 */
#include "firmware/setup_fields.h"

#include <stddef.h>

#include "vmm/base/util.h"

#define FIELD(name, since, by_loader, text)                                                        \
	{                                                                                          \
		offsetof(struct boot_params, hdr.name), sizeof(((struct setup_header *)0)->name),  \
			since, by_loader, #name, text                                              \
	}

const struct setup_field setup_fields[] = {
	FIELD(setup_sects, 0, false, "sectors of real-mode code behind the first"),
	FIELD(root_flags, 0, false, "not 0: the root is mounted read-only"),
	FIELD(syssize, 0x0204, false, "the protected-mode code in units of 16 bytes"),
	FIELD(ram_size, 0, false, "no longer used"),
	FIELD(vid_mode, 0, true, "the text mode to set; 0xffff is the usual one"),
	FIELD(root_dev, 0, false, "the root's device number, if there is no root="),
	FIELD(boot_flag, 0, false, "the mark of a boot sector"),
	FIELD(jump, 0x0200, false, "a jump over the header; its second byte tells where it ends"),
	FIELD(header, 0x0200, false, "the mark \"HdrS\""),
	FIELD(version, 0x0200, false, "the boot protocol's version"),
	FIELD(realmode_swtch, 0x0200, false, "what a loader may have called in real mode"),
	FIELD(start_sys_seg, 0x0200, false, "no longer used"),
	FIELD(kernel_version, 0x0200, false, "where the version's text stands, less 0x200"),
	FIELD(type_of_loader, 0x0200, true, "the boot loader's number; 0xff has none"),
	FIELD(loadflags, 0x0200, true,
		"flags; bit 0: the protected-mode code lies at 1 MiB or above"),
	FIELD(setup_move_size, 0x0200, false, "for protocol 2.01 and before"),
	FIELD(code32_start, 0x0200, true, "the 32-bit entry"),
	FIELD(ramdisk_image, 0x0200, true, "the initrd's address"),
	FIELD(ramdisk_size, 0x0200, true, "and its size"),
	FIELD(bootsect_kludge, 0x0200, false, "no longer used"),
	FIELD(heap_end_ptr, 0x0201, false, "where real-mode code may have its heap, less 0x200"),
	FIELD(ext_loader_ver, 0x0202, false, "the loader's version, more of it"),
	FIELD(ext_loader_type, 0x0202, false, "the loader's number, more of it"),
	FIELD(cmd_line_ptr, 0x0202, true, "the command line's address"),
	FIELD(initrd_addr_max, 0x0203, false, "the highest address for an initrd"),
	FIELD(kernel_alignment, 0x0205, false, "the kernel starts at a multiple of this"),
	FIELD(relocatable_kernel, 0x0205, false, "1: at any such address"),
	FIELD(min_alignment, 0x020a, false, "the least alignment that works, as a power of two"),
	FIELD(xloadflags, 0x020c, false, "more flags; bit 0: there is a 64-bit entry"),
	FIELD(cmdline_size, 0x0206, false, "the longest command line"),
	FIELD(hardware_subarch, 0x0207, true, "0: a PC, or what looks like one"),
	FIELD(hardware_subarch_data, 0x0207, true, "for other machines"),
	FIELD(payload_offset, 0x0208, false, "the packed kernel, from the protected-mode code on"),
	FIELD(payload_length, 0x0208, false, "and its bytes"),
	FIELD(setup_data, 0x0209, true, "a list of more for the kernel; 0: none"),
	FIELD(pref_address, 0x020a, false, "where the kernel would like to be"),
	FIELD(init_size, 0x020a, false, "memory that it needs there before it knows of any"),
	FIELD(handover_offset, 0x020b, false, "the entry for EFI boot loaders"),
	FIELD(kernel_info_offset, 0x020f, false, "struct kernel_info, which tells more"),
	{.name = ""},
};

uint64_t setup_field_value(const struct setup_header *header, const struct setup_field *field)
{
	const uint8_t *at =
		(const uint8_t *)header + field->offset - offsetof(struct boot_params, hdr);
	uint64_t value = 0;

	memcpy(&value, at, field->size);
	return value;
}
