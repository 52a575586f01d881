#!/bin/bash
# test_debian_kernels.sh - kernels of Debian's packages that are no Linux: memtest86+, which is a
# bzImage, by its own entries; the Xen hypervisor, a Multiboot kernel packed by gzip.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

folder=$guests/kernels
if [ ! -e "$folder/memtest" ] || [ ! -e "$folder/xen.gz" ]; then
	skip "Debian's kernels that are no Linux" "they are not built (make guest-kernels)"
	finish
fi

start_vmm --kernel "$folder/memtest" -m 64M --cpus 1 --net none --append console=ttyS0,115200
check "memtest86+ starts" expect 'Memtest86\+ v'
check "it tests" expect '\[Address test'
end_guest

# The module is Linux, for Dom 0; what that does on such a processor is its own affair.
start_vmm --kernel "$folder/xen.gz" -m 512M --cpus 1 --net none --initrd "$kernel console=hvc0" \
	--append 'xen console=com1 com1=115200,8n1 loglvl=all noreboot'
check "Xen starts" expect '^\(XEN\) Xen version 4'
check "it knows who started it" expect '^\(XEN\) Bootloader: vmm'
check "it has its words" expect '^\(XEN\) Command line: .*com1=115200'
check "it goes back to real mode and asks the BIOS" expect '^\(XEN\) Xen-e820 RAM map'
check "it has the memory map" expect '^\(XEN\)  \[0000000000100000, 000000001fffffff\] \(usable\)'
check "it finds ACPI" expect '^\(XEN\) ACPI: RSDP 000E0000'
check "it finds its module" expect '^\(XEN\)  Dom0 kernel: 64-bit'
end_guest

finish
