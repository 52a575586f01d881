#!/bin/bash
# test_print_cmdline.sh - the command that --print-cmdline qemu prints boots the same guest in QEMU,
# with KVM where there is one and else without. Runs on any host.
# shellcheck source=lib.sh
anywhere=yes
. "$(dirname "$0")/lib.sh"

command -v qemu-system-x86_64 >/dev/null || {
	skip "QEMU boots the guest" "qemu-system-x86_64 is not installed"
	finish
}
# shellcheck disable=SC2016 # the guest's shell expands it
"$vmm" -q --print-cmdline qemu --kernel "$kernel" --initrd "$initrd" --disk "$root,ephemeral" \
	--cpus 1 -m 256M --net user -p 127.0.0.1:22022:22 --no-reboot \
	--append 'quiet vmm.run="echo it runs on $(nproc) CPU; ip address show eth0; mount"' \
	>"$work/command" </dev/null || not_ok "the command is printed"
console=$work/console
timeout "$patience_s" sh "$work/command" >"$console" 2>&1 </dev/null
check "QEMU runs the guest to its end" is 0 "$?"
check "its program" has "$console" 'it runs on 1 CPU'
check "its disk is the root" has "$console" '/dev/vda on / type ext4'
check "its network card" has "$console" "link/ether $(grep -o 'mac=[0-9a-f:]*' "$work/command" | cut -c 5-)"
finish
