#!/bin/bash
# test_own_kernels.sh - kernels that people write themselves: boot sectors with a BIOS, flat
# binaries, Multiboot kernels. Guests of a few instructions, so any KVM will do.
# shellcheck source=lib.sh
anywhere=yes
. "$(dirname "$0")/lib.sh"

if [ ! -w /dev/kvm ]; then
	skip "kernels of one's own" "/dev/kvm can't be opened"
	finish
fi

# flat FILE ADDRESS SOURCE [OPTION...]: assembles one of own/*.S and links it to ADDRESS.
flat() {
	local out=$1 address=$2 source=$3
	shift 3
	"${CC:-gcc}" "$@" -nostdlib -static -no-pie -Wl,-n,-e,start,-Ttext="$address" \
		-Wl,--build-id=none,-z,noexecstack -o "$out.elf" "$here/own/$source" >&2 &&
		objcopy -O binary "$out.elf" "$out" || exit 1
}

# small ACTION: prints the name of a boot sector of own/small.S.
small() {
	flat "$work/$1" 0x7c00 small.S "-DACTION_$1"
	printf %s "$work/$1"
}

# run [OPTION...]: a small machine; its console is a file.
run() {
	start_vmm -q -m 32M --cpus 1 --net none "$@"
}

# says LINE: a line of the console is that.
says() {
	tr -d '\r' <"$console" | grep -qxF -- "$1" && return
	printf '#   no such line: %s\n' "$1"
	return 1
}

# ---- Every call of the BIOS ----

sectors=7
disk=$work/bios.img
flat "$work/bios" 0x7c00 bios.S -DSECTORS=$sectors
check "the test program has its place" \
	test "$(stat -c %s "$work/bios")" -le $(((sectors + 1) * 512))
cp "$work/bios" "$disk"
truncate -s 1M "$disk"
for ((i = 32; i < 48; i++)); do
	printf 'sector %d\0' "$i" | dd of="$disk" bs=512 seek="$i" conv=notrunc status=none
done

before=$(sha256sum <"$disk")
run --kernel "$disk" --rtc-base 2024-02-29T12:34:00
expect '^keys:'
printf 'aA1\n\177\033[A q' >&"$to_guest"
check "a boot sector" ends_with 0
# Name of the test, line.
while IFS='|' read -r name line; do
	check "$name" says "$line"
done <<'END'
starts|the first sector runs
finds its drive in DL|drive: 0080
finds the device tree in EDI|tree: 000c 0000
INT 11h|INT 11h equipment: 0220
INT 12h|INT 12h KiB: 027f
finds the data area|data area, EBDA, COM1: 9fc0 03f8
INT 10h 0f|INT 10h 0f mode: 5003
INT 10h 03|four 0004
INT 10h 13|INT 10h 13 string: string
INT 13h 00|INT 13h 00 reset: 0000 0000
INT 13h 08|INT 13h 08 geometry: 0000 0000 023f 0f01
INT 13h 15|INT 13h 15 type: 0000 0300 0000 0800
INT 13h 41|INT 13h 41 extensions: 0000 2100 aa55
INT 13h 42|INT 13h 42 sector 33: sector 33 0000 0000
INT 13h 02|INT 13h 02 sector 40: sector 40 0000 0001
INT 13h 43|INT 13h 43 write 33:  0000 0000 new.
INT 13h 42 beyond the end|INT 13h 42 beyond the end: 0001 0400
INT 13h 01|INT 13h 01 last status: 0001 0400
INT 13h 48|INT 13h 48 parameters: 0000 0000 0800 0200
INT 13h without a drive|INT 13h 08 no such drive: 0001 0100
INT 15h e820, low memory|INT 15h e820: 0000 0000 0000 0000 0009 fc00 0001
INT 15h e820, reserved|INT 15h e820: 0000 0000 0009 fc00 0006 0400 0002
INT 15h e820, memory|INT 15h e820: 0000 0000 0010 0000 01f0 0000 0001
INT 15h e801|INT 15h e801: 0000 3c00 0100
INT 15h 88|INT 15h 88: 0000 7c00
INT 15h 2401|INT 15h 2401 A20 on: 0000 0001
INT 15h, a call that it does not know|INT 15h c0 unknown: 0001 8600
INT 15h 86 waits|INT 15h 86 wait: 0001
INT 1ah 04|INT 1ah 04 date: 2024 0229
INT 1ah 02|INT 1ah 02 hour, minute: 1234
the timer interrupts|hlt wakes up: yes
INT 16h 02|INT 16h 02 flags: 0200
INT 16h 00, 01|keys: 1e61 1e41 0231 1c0d 0e08 4800 3920 1071
END
check "INT 10h 02 moves the cursor" has "$console" $'02 cursor: \033[11;21H'
check "INT 10h 00 clears the screen" has "$console" $'00 mode 3: \033[2J\033[H'
check "INT 10h 06 clears the screen" has "$console" $'06 clear: \033[2J\033[H'
check "INT 10h 0a repeats" has "$console" '0a three times: xxx'
check "what it writes is thrown away" is "$before" "$(sha256sum <"$disk")"

# A disk is written to; keys come from a keyboard as well, with its shift key and its arrows.
cp "$disk" "$work/kept.img"
run --boot-sector --disk "$work/kept.img" --display none,640x480 --name keys
expect '^keys:'
"$vmm" type keys aB && "$vmm" key keys up && "$vmm" key keys ctrl-c && "$vmm" type keys q 2>/dev/null
check "a boot sector on a disk" ends_with 0
check "INT 16h, a keyboard" says 'keys: 1e61 3042 4800 2e03 1071'
check "what is written to a disk stays" \
	is new. "$(dd if="$work/kept.img" bs=4 skip=$((33 * 128)) count=1 status=none)"

# ---- Ends ----

run --kernel "$(small FAULT)"
check "an exception that nobody handles" ends_with 33
check "is told" has "$console" 'BIOS: nobody handles exception 06h at 0000:7c00'
run --kernel "$(small DIVIDE)"
check "so is a division by zero" ends_with 33
check "with its place" has "$console" 'exception 00h at 0000:7c02'
run --kernel "$(small GIVE_UP)"
check "INT 18h ends with status 24" ends_with 24
run --kernel "$(small AGAIN)" --no-reboot
check "INT 19h resets" ends_with 32
run --kernel "$(small POWER_OFF)"
check "APM powers off" ends_with 0

# ---- Which disk is started, and which is drive 0x80 ----

flat "$work/k" 0x7c00 small.S -DACTION_NAME "-DNAME='k'"
flat "$work/d" 0x7c00 small.S -DACTION_NAME "-DNAME='d'"
head -c 512 /dev/zero | tr '\0' D >"$work/second"
cat "$work/d" "$work/second" >"$work/disk"
cat "$work/k" "$work/second" >"$work/long"
started() {
	ends_with 0 && is "$1" "$(cat "$console")"
}
run --kernel "$work/k"
check "a file of one sector has no second" started k-
run --kernel "$work/long"
check "a longer file is drive 0x80" started kD
run --kernel "$work/k" --disk "$work/disk"
check "with a disk that is drive 0x80" started kD
run --boot-sector --disk "$work/disk,ro"
check "--boot-sector starts a disk" started dD

cp "$(small FAULT)" "$work/fault.img"
printf '\017\1\36\0\0\017\013' | dd of="$work/fault.img" conv=notrunc status=none
run --boot-sector --disk "$work/fault.img,ro" --timeout 5
wait_end
check "what ends badly on a disk is told, not more" test "$status" -lt 128

# A disk with a partition, as people install Linux on it.
cp "$work/disk" "$work/partitioned"
printf '\200\0\0\0\203\0\0\0\1\0\0\0\1\0\0\0' |
	dd of="$work/partitioned" bs=1 seek=446 conv=notrunc status=none
run --kernel "$work/partitioned"
check "a disk is no kernel" ends_with 4
check "and the way to start it is told" has "$errors" "--boot-sector"
run --boot-sector --kernel "$work/partitioned"
check "it can be started all the same" started dD
run --kernel "$work/k" --initrd "$work/k"
check "a boot sector has no initrd" ends_with 2
run --boot-sector --disk "$work/second"
check "without its mark it is none" ends_with 4
run --kernel "$work/k" --machine micro
check "micro has no BIOS" ends_with 2

# ---- Flat binaries ----

# mode BITS ADDRESS [IP]
mode() {
	flat "$work/flat$1" "${3:-$2}" small.S -DACTION_FLAT "-DMODE=$1" "-DVALUE=${3:-$2}"
	run --kernel "$work/flat$1" --flat "$2,$1"
	check "flat, $1 bits at $2" ends_with "$1"
	check "has printed" is F "$(cat "$console")"
}
mode 16 0x600
mode 16 0x7c00
mode 16 0x20008 8
mode 32 0x10000
mode 32 0x100000
mode 64 0x9000
mode 64 0x1000000
run --kernel "$work/flat64" --flat 0x1000000
check "64 bits are the default" ends_with 64

run --kernel "$work/flat64.elf"
check "an ELF file of 64 bits finds the device tree, too" ends_with 64

run --kernel "$work/flat64" --flat 0x8000
check "not among the tables" ends_with 2
run --kernel "$work/flat64" --flat 0x9fc00,32
check "not into the hole" ends_with 2
run --kernel "$work/flat64" --flat 0xfffffffffffffff0
check "not beyond all memory" ends_with 2
run --kernel "$work/flat64" --flat 0x2000000
check "not beyond this memory" ends_with 4

# ---- Multiboot ----

# multiboot FILE BITS OPTION...: compiles own/multiboot.c to a file of ELF of so many bits.
multiboot() {
	local out=$1 bits=$2
	shift 2
	"${CC:-gcc}" -m32 -march=i386 -O1 -ffreestanding -fno-pic -fno-stack-protector \
		-fno-asynchronous-unwind-tables -nostdlib -static -no-pie "$@" \
		-Wl,--defsym=BASE=0x100000,--build-id=none,-z,noexecstack \
		-Wl,--no-warn-rwx-segments -T "$here/own/multiboot.ld" \
		-o "$out" "$here/own/multiboot.c" >&2 || exit 1
	[ "$bits" = 32 ] || objcopy -O elf64-x86-64 "$out" || exit 1
}

printf one >"$work/one"
printf two >"$work/two"
modules=(--initrd "$work/one" --initrd "$work/two with words")

# told VERSION NAME: what both versions tell.
told() {
	local magic=2badb002
	[ "$1" = 1 ] || magic=36d76289
	check "$2" ends_with 0
	while IFS='|' read -r name line; do
		check "$2: $name" says "$line"
	done <<END
entry|magic $magic
device tree in EDI|tree edfe0dd0
zeros behind it|bss 0
memory|lower 27f upper 7c00
words|words some words
loader|loader vmm
a module|module $work/one: one aligned 1
another|module $work/two with words: two aligned 1
low memory|memory 0 + 9fc00 type 1
a reserved part|memory 9fc00 + 60400 type 2
high memory|memory 100000 + 1f00000 type 1
END
}

for version in 1 2; do
	for bits in 32 64; do
		multiboot "$work/mb$version-$bits" $bits -DVERSION=$version
		run --kernel "$work/mb$version-$bits" --append 'some words' "${modules[@]}"
		told $version "Multiboot $version, ELF of $bits bits"
	done
	check "Multiboot $version: no screen" test "$(grep -c '^screen' "$console")" = 0

	multiboot "$work/mb$version" 32 -DVERSION=$version -DADDRESSES
	objcopy -O binary "$work/mb$version" "$work/mb$version.bin"
	run --kernel "$work/mb$version.bin" --append 'some words' "${modules[@]}"
	told $version "Multiboot $version by its own addresses"

	gzip -k "$work/mb$version-32"
	run --kernel "$work/mb$version-32.gz" --append 'some words' "${modules[@]}" \
		--display none,640x480
	told $version "Multiboot $version, packed"
	check "Multiboot $version: a screen" \
		says 'screen c0000000 stride a00 size 280 x 1e0 depth 20'
done
check "Multiboot 2 tells of ACPI" test "$(grep -c '^rsdp' "$console")" = 2

run --machine micro --serial stdio --kernel "$work/mb1-32" --append 'some words'
check "they start on a machine without a PC" expect '^words some words'
end_guest

multiboot "$work/need1" 32 -DVERSION=1 -DREQUIRE=8
run --kernel "$work/need1"
check "what is not known can't be required" ends_with 4
check "and is told" has "$errors" 'requires bit 3'
multiboot "$work/need2" 32 -DVERSION=2 -DREQUIRE=7
run --kernel "$work/need2"
check "in version 2 neither" ends_with 4
check "that is told as well" has "$errors" 'requires tag 7'
multiboot "$work/screen" 32 -DVERSION=2 -DREQUIRE=5
run --kernel "$work/screen"
check "a screen can be required" ends_with 2
check "and is asked for" has "$errors" '--display'
run --kernel "$work/screen" --display none
check "with one it starts" ends_with 0
"$vmm" inspect "$work/mb2.bin" >"$work/inspected"
check "vmm inspect knows the version" has "$work/inspected" 'version 2'

finish
