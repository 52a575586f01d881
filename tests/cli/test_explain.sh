#!/bin/bash
# What is told of a machine that does not run: --explain-only and --dump-acpi, with and without KVM.
. "$(dirname "$0")/lib.sh"

cd "$work" || exit 1
chmod 755 "$work"
cp "$vmm" vmm
# The smallest ELF kernel: one instruction, and a note by which it is a Linux.
"${CC:-gcc}" -nostdlib -static -no-pie -xassembler -Wl,-n,-e,_start,-Ttext=0x100000 \
	-Wl,--build-id=none,-z,noexecstack -o kernel - <<<'.globl _start; _start: hlt
	.section .note.Linux, "a", @note; .long 6, 4, 0x100; .asciz "Linux"; .balign 4; .long 0' ||
	exit 1
chmod a+rx vmm kernel

# told OPTION...: what is said without KVM goes to the file told.
told() {
	local nobody=()
	[ "$(id -u)" != 0 ] || nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	timeout 20 "${nobody[@]}" ./vmm --kernel kernel --serial null "$@" </dev/null >told 2>errors
}

says() {
	local text
	for text; do
		grep -qF -- "$text" told && continue
		printf 'not said: %s\n' "$text"
		cat told errors
		return 1
	done
}

check "a machine on paper is told" told --explain-only --cpus 2 --append quiet
if [ -r /dev/kvm ] && [ "$(id -u)" != 0 ]; then
	skip "without KVM" "this user may use /dev/kvm"
else
	check "without KVM" says 'nothing is asked of /dev/kvm'
fi
check "its files" says 'The files' 'ELF kernel (64-bit entry)' 'null: a console of ttyS0'
check "its words" says '  console=ttyS0    vmm: ' '  quiet            --append'
check "its devices" says 'serial0 ' 'port 0x3f8 to 0x3ff' 'virtio-net0 ' 'in ACPI as LNRO0005'
check "its memory" says '0x1000      GDT' 'struct boot_params' 'usable' 'RSDP' 'processors: 2'
check "its first instruction" says 'RIP 0x100000, long mode' 'RSI 0x9000, struct boot_params'
check "nothing else is said" test ! -s errors
check "a machine of another kind" told --explain-only --machine micro --hvc0 null
check "has a device tree" says 'the device tree (--dump-dtb writes it)' "the machine's profile"
chmod 777 .
check "it goes to a file" told --explain-only --explain=other
check "and nowhere else" test ! -s told -a -s other

check "ACPI tables are written" told --dump-acpi tables --cpus 3
if command -v iasl >/dev/null; then
	for table in apic.dat dsdt.aml facp.dat facs.dat xsdt.dat; do
		check "iasl reads $table" iasl -p "$work/$table" -d "tables/$table"
	done
	check "the serial port is in them" grep -q PNP0501 dsdt.dsl
else
	skip "iasl reads the tables" "iasl is not installed"
fi
check "they need no kernel" "$vmm" --serial null --dump-acpi tables
cannot_be_made() {
	! told --dump-acpi /proc/tables && grep -q "can't make the folder /proc/tables" errors
}
check "a folder that can't be made" cannot_be_made
finish
