#!/bin/sh
# Builds a full Debian 12 root disk with systemd, and beside it Debian's own kernel and the
# initramfs that Debian's initramfs-tools made for it. MIRROR names another archive; downloads are
# cached.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
image=debian
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$top/guest-images/lib.sh"

# shellcheck disable=SC2034 # all of them are for debian.sh
{
	dest=$out/debian
	SUITE=bookworm
	ROOT_MIB=${DEBIAN_MIB:-2048}
	ROOT_UUID=766d6d00-6465-4269-916e-740000000001
	# dbus: logind, which answers the power button, needs it. openssh-server: `ssh -p 2222
	# root@localhost` with -p 2222:22, by key. iproute2 and friends: a person's tools.
	PACKAGES=systemd-sysv,udev,dbus,linux-image-cloud-amd64,initramfs-tools,zstd,kmod,openssh-server,iproute2,procps
	parts=guest-images/debian
}
# shellcheck source-path=SCRIPTDIR source=../debian.sh
. "$top/guest-images/debian.sh"
build_debian
