#!/bin/sh
# Builds the default guest: Debian's stock kernels, one initramfs for each, and a root disk that
# both boot. Needs no root: nothing is mounted, no device node is made, owners are root's by
# fakeroot. Usage: build.sh; sizes by ROOT_MIB.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
image=default
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$top/guest-images/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../kernel.sh
. "$top/guest-images/kernel.sh"

ROOT_MIB=${ROOT_MIB:-64}
ROOT_UUID=766d6d00-6465-4661-956c-740000000001
here=$top/guest-images/default
dest=$out/default

# Every file of the tree gets the fixed time; modes do not depend on the builder's umask.
settle_tree() {
	chmod -R u=rwX,go=rX "$1" &&
		find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

build_initrd() {
	tree=$scratch/initrd-$1
	mkdir -p "$tree/bin" "$tree/etc" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/root" &&
		cp "$(command -v busybox)" "$tree/bin/busybox" &&
		cp "$here/initramfs/init" "$tree/init" &&
		build_port_program mark-vm "$tree/bin" &&
		cp -r "$kernel/lib" "$tree/lib" &&
		list_early_modules > "$tree/etc/early-modules" &&
		settle_tree "$tree" &&
		(cd "$tree" && find . | sort | cpio --quiet -o -H newc -R 0:0 --reproducible) \
			> "$scratch/initrd-$1.img"
}

# Only those that this kernel has as modules: one modprobe loads them all.
list_early_modules() {
	read -r release < "$kernel/release"
	names=
	for name in $early_modules; do
		pattern=$(printf %s "$name" | sed 's/_/[-_]/g')
		[ -z "$(find "$kernel/lib" -name "$pattern.ko*")" ] || names="$names $name"
	done
	echo "$names"
}

build_root() {
	tree=$scratch/root
	mkdir "$tree" && cp -r "$here/root/." "$tree/" && (
		cd "$tree" &&
			mkdir -p dev proc sys run tmp root mnt var/tmp var/log usr/local/bin &&
			cp "$(command -v busybox)" bin/busybox &&
			for applet in $(busybox --list); do
				[ -e "bin/$applet" ] || ln -s busybox "bin/$applet" || exit 1
			done &&
			# The root has no modules: a modprobe would only be run in vain by the kernel.
			rm -f bin/modprobe bin/depmod bin/linuxrc &&
			ln -s bin sbin && ln -s ../bin usr/bin && ln -s ../bin usr/sbin &&
			ln -s ../proc/self/mounts etc/mtab
	) &&
		install_shared "$tree/bin" &&
		settle_tree "$tree" && chmod 700 "$tree/root" && chmod 1777 "$tree/var/tmp" &&
		as_root_owner mke2fs -q -F -t ext4 -L vmm-default -U "$ROOT_UUID" -m 0 \
			-E "hash_seed=$ROOT_UUID,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" \
			-d "$tree" "$scratch/root.img" "${ROOT_MIB}M"
}

publish() {
	for file; do
		mv -f "$scratch/$file" "$dest/$file" || return 1
	done
}

# build_kernel_part FLAVOUR SUFFIX. Once built it stays with its kernel version: asking apt for a
# newer one at every call would cost more than all the rest. `make clean` lets go of it.
build_kernel_part() {
	key=$(echo "$1" "$busybox_version" | hash_inputs guest-images/default/initramfs \
		guest-images/shared/mark-vm.c \
		guest-images/default/build.sh guest-images/kernel.sh)
	up_to_date "$dest/.stamp-$2" "$key" "$dest/vmlinuz-$2" "$dest/initrd-$2.img" && return
	fetch_kernel "$1"
	step "make initrd-$2.img" build_initrd "$2"
	cp "$kernel/vmlinuz" "$scratch/vmlinuz-$2"
	publish "vmlinuz-$2" "initrd-$2.img" || die "cannot write to $dest"
	echo "$key" > "$dest/.stamp-$2"
}

build_root_part() {
	key=$(echo "$ROOT_MIB" "$busybox_version" |
		hash_inputs guest-images/default/root guest-images/shared \
			guest-images/default/build.sh)
	up_to_date "$dest/.stamp-root" "$key" "$dest/root.img" && return
	step "make root.img ($ROOT_MIB MiB, ext4)" build_root
	publish root.img || die "cannot write to $dest"
	echo "$key" > "$dest/.stamp-root"
}

need_packages busybox-static cpio e2fsprogs fakeroot gcc linux-libc-dev
busybox_version=$(busybox | head -n 1)
lock_output "$dest"
make_scratch "$dest"
build_root_part
for flavour in ${FLAVOURS:-cloud amd64}; do
	case $flavour in
	cloud) build_kernel_part cloud-amd64 cloud ;;
	*) build_kernel_part "$flavour" "$flavour" ;;
	esac
done
say "ready in ${dest#"$top/"}"
