#!/bin/bash
# test_debian.sh - a full Debian root with systemd, with Debian's own kernel and initramfs: a login
# prompt, a reboot in the same process, and a clean shutdown on SIGTERM. KEEP=1 boots a copy of the
# disk that keeps what is written, and looks at its file system afterwards.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

image=$guests/debian
if [ ! -e "$image/root.img" ] || [ ! -e "$image/initrd.img" ]; then
	skip "a full Debian" "it is not built (make guest-debian)"
	finish
fi

disk=$image/root.img,ephemeral
if [ "${KEEP-}" ]; then
	disk=$work/root.img
	cp --sparse=always "$image/root.img" "$disk"
fi
start_vmm --kernel "$image/vmlinuz" --initrd "$image/initrd.img" --disk "$disk" \
	--cpus 2 --memory 512M --append quiet
shell='root@vmm-debian:~# '
check "a login prompt" expect '^vmm-debian login: $' 240
echo "#   after $SECONDS s"
send root
check "root logs in" expect "$shell"
send 'systemctl is-system-running --wait'
check "all units are up" expect '^running'
expect "$shell"
send 'touch /root/mark; reboot'
check "reboot: the kernel says so" expect 'reboot: Restarting system'
check "the same process comes back to a login prompt" expect '^vmm-debian login: $' 240
check "it never ended" is_running
send root
expect "$shell"
send 'ls /root/mark; dmesg | grep -c -e "EXT4-fs.*recovery" -e "EXT4-fs error"'
check "its disk has kept what was written" expect '^/root/mark$'
check "and was unmounted cleanly" expect '^0$'
kill -TERM "$guest"
check "SIGTERM: it powers off" expect 'reboot: Power down'
check "and ends with 0" ends_with 0
[ -z "${KEEP-}" ] || check "its file system is clean" succeeds e2fsck -fn "$disk"
finish
