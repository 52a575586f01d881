#!/bin/bash
# test_debian_hvc0.sh - a full Debian with hvc0 as its only console, whose driver comes from the root:
# a login there, and a named port through udev.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

image=$guests/debian
if [ ! -e "$image/root.img" ] || [ ! -e "$image/initrd.img" ]; then
	skip "Debian on hvc0" "it is not built (make guest-debian)"
	finish
fi

start_vmm --kernel "$image/vmlinuz" --initrd "$image/initrd.img" --disk "$image/root.img,ephemeral" \
	--memory 512M --append quiet --cpus 1 --console hvc0 --port "org.example.0=file:$work/example"
check "a login prompt on hvc0" expect '^vmm-debian login: $' 240
echo "#   after $SECONDS s"
send root
expect 'root@vmm-debian:~# '
send 'echo hello > /dev/virtio-ports/org.example.0; tty; poweroff'
check "and a shell" expect '^/dev/hvc0$'
check "it powers off" ends_with 0
check "what was written to /dev/virtio-ports/org.example.0 is here" is hello "$(cat "$work/example")"
finish
