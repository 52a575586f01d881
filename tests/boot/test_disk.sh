#!/bin/bash
# test_disk.sh - what a guest writes to a disk is what the host reads from the file afterwards, and
# the other way round; read-only and ephemeral disks; serial numbers; one user of an image at a time.
# DATA_MIB is how much is written (a multiple of 4).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

data_mib=${DATA_MIB:-32}

# host_finds_sums IMAGE: every file there has the checksum that the guest wrote down.
host_finds_sums() (
	local dir=$work/dump
	mkdir "$dir" && debugfs -R "rdump / $dir" "$1" 2>/dev/null || return 1
	cd "$dir" && is $((data_mib / 4)) "$(wc -l <sums)" &&
		succeeds sha256sum --quiet -c sums.sum && succeeds sha256sum --quiet -c sums
)

# ---- Written, synced, powered off: all is in the file ----

image=$work/data.img
make_ext4 "$image" $((data_mib + data_mib / 4 + 24))M
start_guest "$(in_guest write-data /dev/vdc "$data_mib")" --disk "$image"
check "the guest writes $data_mib MiB and reads them back" expect '^data written: '
check "it powers off" ends_with 0
check "the host reads the same from the file" host_finds_sums "$image"
check "its file system is clean" succeeds e2fsck -fn "$image"

# ---- Disks of all kinds, seen from inside ----

sum=$(sha256sum <"$image")
make_ext4 "$work/plain.img" 8M
start_guest '' --disk "$image,ephemeral,serial=throw-away" \
	--disk "$work/plain.img,ro,serial=$(printf 'twenty-characters-%s' ok)"
expect "$prompt"
send "$(guest_command disk-facts)"
check "first disk" expect "^disk vda sectors=$(($(stat -c %s "$root") / 512)) ro=0 serial="
check "second disk" expect "^disk vdb sectors=4096 ro=1 serial="
check "third disk, with a serial number" \
	expect "^disk vdc sectors=$(($(stat -c %s "$image") / 512)) ro=0 serial=throw-away$"
check "fourth disk, with the longest serial number" \
	expect '^disk vdd sectors=16384 ro=1 serial=twenty-characters-ok$'
expect "$prompt"
send 'mkdir d && mount /dev/vdc d && rm d/file0 && echo new >d/new && sync && umount d && echo wrote'
expect '^wrote$'
send 'mount /dev/vdc d && cat d/new && ls d/file0; umount d; echo done'
check "an ephemeral disk gives back what was written" expect '^new$'
check "and what was removed is gone" expect 'file0: No such file'
expect '^done$'
send 'dd if=/dev/zero of=/dev/vdd bs=4k count=1 || echo refused'
check "a read-only disk can't be written" expect '^refused$'

# ---- Somebody else on the same image ----

# second_vmm OPTION...: one that is refused or ends within a second.
second_vmm() {
	timeout -k 5 20 "$vmm" --kernel "$(tiny EXIT 7)" -m 32M --serial none "$@" \
		</dev/null >"$work/second.out" 2>"$work/second.err"
}
cp --sparse=always "$root" "$work/own-root.img"
first_pid=$guest
second_vmm --disk "$work/plain.img,ro"
check "two may read one image" is 7 $?
second_vmm --disk "$work/plain.img"
check "an image that another vmm reads can't be written" is 4 $?
check "the sentence names who has it" has "$work/second.err" "$first_pid"
send 'poweroff'
check "power-off with four disks" ends_with 0
check "the file behind the ephemeral disk has not changed" is "$sum" "$(sha256sum <"$image")"

start_vmm --kernel "$(tiny SLEEP)" -m 32M --serial none --disk "$image" --disk "$work/plain.img,ro"
sleep 1
second_vmm --disk "$image"
check "an image that another vmm writes can't be written" is 4 $?
check "the sentence names the other's pid" has "$work/second.err" "$guest"
second_vmm --disk "$image,ro"
check "nor read" is 4 $?
end_guest
second_vmm --disk "$image"
check "after its end it can" is 7 $?
finish
