#!/bin/sh
# Builds a full Debian 12 root disk with systemd, and beside it Debian's own kernel and the
# initramfs that Debian's initramfs-tools made for it. As root mmdebstrap works directly, for an
# ordinary user in a user namespace. MIRROR names another archive; downloads are cached.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
image=debian
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$top/guest-images/lib.sh"

SUITE=bookworm
DEBIAN_MIB=${DEBIAN_MIB:-2048}
ROOT_UUID=766d6d00-6465-4269-916e-740000000001
# dbus: logind, which answers the power button, needs it. openssh-server: `ssh -p 2222 root@localhost`
# with -p 2222:22, by key. iproute2 and friends: a person's tools.
PACKAGES=systemd-sysv,udev,dbus,linux-image-cloud-amd64,initramfs-tools,zstd,kmod,openssh-server,iproute2,procps
here=$top/guest-images/debian
dest=$out/debian
archives=$cache/debian-archives

# Files go in and out by mmdebstrap's own copy commands: in a user namespace its hooks may not be
# able to read this folder. The packages come from the cache and go back there. Its settings must be
# there when initramfs-tools is installed. Nobody needs a half-installed root after a power cut, so
# dpkg does not wait for the disk after every file.
make_tar() {
	mkdir -p "$archives/partial" "$scratch/vmm" &&
		cp -r "$here/files" "$here/customize.sh" "$scratch/vmm/" &&
		install_shared "$scratch/vmm/bin" || return 1
	# shellcheck disable=SC2016 # mmdebstrap's hooks get the new root as their own $1
	mmdebstrap --variant=minbase --include="$PACKAGES" --format=tar \
		--skip=essential/unlink,cleanup/reproducible --dpkgopt=force-unsafe-io \
		--setup-hook='mkdir -p "$1/var/cache/apt/archives" "$1/etc/initramfs-tools" "$1/tmp"' \
		--setup-hook="sync-in '$archives' /var/cache/apt/archives/" \
		--setup-hook="copy-in '$here/files/etc/initramfs-tools/conf.d' /etc/initramfs-tools/" \
		--customize-hook="copy-in '$scratch/vmm' /tmp/" \
		--customize-hook='chroot "$1" sh /tmp/vmm/customize.sh' \
		--customize-hook="sync-out /var/cache/apt/archives '$archives'" \
		"$SUITE" "$scratch/root.tar" ${MIRROR:+"$MIRROR"}
}

# Under fakeroot the owners of the archive survive until mke2fs reads them. /dev is the kernel's.
make_image() {
	# shellcheck disable=SC2016 # the inner shell's own variables
	as_root_owner sh -c '
		set -e
		mkdir "$1/tree"
		tar -x --numeric-owner --xattrs --exclude="./dev/*" -C "$1/tree" -f "$1/root.tar"
		cp "$1"/tree/boot/vmlinuz-* "$1/vmlinuz"
		cp "$1"/tree/boot/initrd.img-* "$1/initrd.img"
		chmod 644 "$1/vmlinuz" "$1/initrd.img"
		mke2fs -q -F -t ext4 -L vmm-debian -U "$2" -m 0 \
			-E "hash_seed=$2,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" \
			-d "$1/tree" "$1/root.img" "$3M"
	' - "$scratch" "$ROOT_UUID" "$DEBIAN_MIB" && rm -rf "$scratch/tree" "$scratch/root.tar"
}

need_packages e2fsprogs fakeroot gcc linux-libc-dev mmdebstrap tar
[ "$(id -u)" = 0 ] || need_packages uidmap
lock_output "$dest"
key=$(echo "$DEBIAN_MIB" "${MIRROR:-}" | hash_inputs guest-images/debian guest-images/shared)
if ! up_to_date "$dest/.stamp" "$key" "$dest/root.img" "$dest/vmlinuz" "$dest/initrd.img"; then
	make_scratch "$dest"
	step "install Debian $SUITE with systemd (mmdebstrap)" make_tar
	say "$(grep '^modules added' "$log")"
	step "make root.img ($DEBIAN_MIB MiB, ext4)" make_image
	mv -f "$scratch/vmlinuz" "$scratch/initrd.img" "$scratch/root.img" "$dest/" ||
		die "cannot write to $dest"
	echo "$key" > "$dest/.stamp"
fi
say "ready in ${dest#"$top/"}"
