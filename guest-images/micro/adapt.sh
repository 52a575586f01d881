#!/bin/sh
# Changes that the kernel's source needs and that no configuration can make. Run in the source's
# folder, before it is configured. Fails when a line is not there as expected, for a kernel without
# the change starts as well, only slower, and nobody would know.
set -u

# change FILE FROM TO TIMES: replaces the text FROM, which FILE has on TIMES lines.
change() {
	if [ "$(grep -cF -e "$2" "$1")" != "$4" ]; then
		echo "adapt.sh: $1 does not have '$2' on $4 lines" >&2
		exit 1
	fi
	sed -i "s/$2/$3/" "$1"
}

# The search for Intel's MP table, 16 bytes at a time with a mapping for each (3.9 million
# instructions), can be left out of a kernel with ACPI only. A device tree tells as much.
change arch/x86/Kconfig 'bool "Enable MPS table" if ACPI' 'bool "Enable MPS table" if ACPI || OF' 1
# The entry code and shared data have 2 MiB each for themselves, for page table isolation and for
# memory encryption. This kernel has neither, and each 2 MiB are cleared by somebody.
change arch/x86/kernel/vmlinux.lds.S 'ALIGN(PMD_SIZE)' 'ALIGN(PAGE_SIZE)' 4
