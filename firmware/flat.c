/*
 * See flat.h. No state.
 *
 * What the person can say             limit                              where        test
 * an address among our tables         from FLAT_LOWEST_16 or _32 on      flat_check   flat_limits
 * a file into the hole below 1 MiB    below it or above it, whole        flat_check   flat_limits
 * address + size wraps                64 bits                            flat_check   flat_limits
 * a file larger than RAM              boot_check_fits()                  boot_own.c   boot_flat_needs_memory
 */
#include "firmware/flat.h"

#include <errno.h>

#include "firmware/entry.h"
#include "firmware/layout.h"
#include "vmm/base/util.h"

enum {
	/* Behind the interrupt table and the BIOS data area, which are the guest's to use. */
	FLAT_LOWEST_16 = 0x500,
	/* Behind the tables of layout.h. */
	FLAT_LOWEST_32 = FW_STACK_TOP,
	SEGMENT_BYTES = 0x10000,
	STACK_SELECTOR_16 = 0x9000,
	STACK_BYTES_16 = 4096,
};

int flat_check(const struct boot_flat *flat, uint64_t bytes, const char *name, struct err *err)
{
	bool is_real = flat->bits == 16;
	uint64_t lowest = is_real ? FLAT_LOWEST_16 : FLAT_LOWEST_32;
	uint64_t low_end = FW_LOW_RAM_END - (is_real ? STACK_BYTES_16 : 0);
	uint64_t end;

	if (util_add_overflows(flat->address, bytes, &end) || end > FW_IDENTITY_END)
		return err_set(err, EXIT_CODE_USAGE, ENOEXEC,
			"--flat: %s has %llu bytes, and at 0x%llx it would end beyond 4 GiB", name,
			(unsigned long long)bytes, (unsigned long long)flat->address);
	if (flat->address < lowest)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--flat: 0x%llx is too low for a binary of %u bits: what stands in front "
			"of 0x%llx belongs to the machine",
			(unsigned long long)flat->address, flat->bits, (unsigned long long)lowest);
	if (end <= low_end || (!is_real && flat->address >= FW_KERNEL_LOWEST))
		return 0;
	err_hint(err,
		is_real ? "choose a lower address"
			: "choose a lower address, or one from 0x100000 on");
	return err_set(err, EXIT_CODE_USAGE, EINVAL,
		"--flat: %s would lie from 0x%llx to 0x%llx, and free memory below 1 MiB ends at "
		"0x%llx",
		name, (unsigned long long)flat->address, (unsigned long long)end,
		(unsigned long long)low_end);
}

static void enter_real(const struct boot_flat *flat, struct cpu_entry *entry)
{
	bool is_near = flat->address < SEGMENT_BYTES;
	uint16_t segment = is_near ? 0 : (uint16_t)(flat->address >> 4);

	*entry = (struct cpu_entry){.mode = CPU_ENTRY_REAL16,
		.rip = is_near ? flat->address : flat->address & 15,
		.code_selector = segment,
		.data_selector = segment,
		.stack_selector = STACK_SELECTOR_16,
		.rsp = FW_LOW_RAM_END - ((uint64_t)STACK_SELECTOR_16 << 4)};
}

int flat_enter(struct gmem *mem, const struct boot_flat *flat, struct cpu_entry *entry)
{
	if (flat->bits == 16) {
		enter_real(flat, entry);
		return 0;
	}
	return entry_plain(
		mem, flat->bits == 64 ? CPU_ENTRY_LONG64 : CPU_ENTRY_PROT32, flat->address, entry);
}
