#!/bin/sh
# Builds the kernel of --machine micro (see kernel-source.sh), and the smallest guests: up.c as the
# one file of an initramfs, and as the one file of a read-only disk.
# Usage: build.sh
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
image=micro
fragment=guest-images/micro/config.fragment
# shellcheck disable=SC2034 # for kernel-source.sh
adapt=guest-images/micro/adapt.sh
# shellcheck source-path=SCRIPTDIR source=../kernel-source.sh
. "$top/guest-images/kernel-source.sh"

# Runs as root, or as fakeroot's.
# shellcheck disable=SC2016 # the inner shell expands them
pack_initramfs='cd "$1/root" && mknod dev/console c 5 1 &&
	touch -d "@$2" . dev dev/console init &&
	printf "%s\n" . dev dev/console init |
		cpio --quiet --reproducible -o -H newc -R 0:0 > "$1/up.cpio"'

make_up() {
	mkdir -p "$scratch/root/dev" &&
		${CC:-cc} -Os -Wall -Wextra -static -nostdlib -ffreestanding -fno-stack-protector \
			-fno-pie -no-pie -fcf-protection=none -fno-asynchronous-unwind-tables \
			-Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,noseparate-code -s \
			-o "$scratch/root/init" "$top/guest-images/micro/up.c" &&
		as_root_owner mke2fs -q -F -t ext4 -O ^has_journal,^resize_inode -b 4096 -m 0 \
			-U 6e1c5a52-8f3b-4f63-9d8e-0a3f0f0b6b01 \
			-E root_owner=0:0,hash_seed=6e1c5a52-8f3b-4f63-9d8e-0a3f0f0b6b02 \
			-d "$scratch/root" "$scratch/up.img" 256k &&
		as_root_owner sh -c "$pack_initramfs" - "$scratch" "$SOURCE_DATE_EPOCH" &&
		mv -f "$scratch/up.cpio" "$scratch/up.img" "$dest/"
}

make_kernel
need_packages cpio e2fsprogs fakeroot
sources=$(hash_inputs guest-images/micro/up.c guest-images/micro/build.sh < /dev/null)
if ! up_to_date "$dest/.up-stamp" "$sources" "$dest/up.cpio" "$dest/up.img"; then
	make_scratch "$dest"
	step "make the smallest guests" make_up
	echo "$sources" > "$dest/.up-stamp"
fi
say "ready in ${dest#"$top/"}"
