#!/bin/sh
# Kernels of Debian's that are not Linux, as they come in its packages, for tests: memtest86+ (a
# bzImage) and the Xen hypervisor (Multiboot 1 and 2, packed by gzip).
# Usage: build.sh
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
image=kernels
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$top/guest-images/lib.sh"

dest=$out/kernels

# take PACKAGE FILE NAME: a file of a package, under a name that does not change.
take() {
	fetch_deb "$1"
	make_scratch "$dest"
	step "unpack $1" dpkg-deb --extract "$deb" "$scratch/deb"
	# shellcheck disable=SC2086 # a pattern
	if ! cp -f "$scratch"/deb/boot/$2 "$scratch/$3" || ! mv -f "$scratch/$3" "$dest/$3"; then
		die "$1 has no /boot/$2"
	fi
	rm -rf "$scratch"
	scratch=
}

lock_output "$dest"
[ -e "$dest/memtest" ] || take memtest86+ 'memtest86+x64.bin' memtest
[ -e "$dest/xen.gz" ] || take xen-hypervisor-4.17-amd64 'xen-*-amd64.gz' xen.gz
