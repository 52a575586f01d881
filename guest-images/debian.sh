# shellcheck shell=sh
# A Debian root disk with the kernel and the initramfs that belong to it, by mmdebstrap: as root it
# works directly, for an ordinary user in a user namespace. Sourced after lib.sh and after these
# are set: $image, $dest, SUITE, PACKAGES, ROOT_UUID, ROOT_MIB, and $parts, folders of the tree of
# which each may hold files/ (copied over the root, later ones over earlier ones) and customize.sh
# (run inside the root, in that order). debian_dpkg_options may hold options of mmdebstrap.

: "${top:?}" "${image:?}" "${dest:?}" "${SUITE:?}" "${PACKAGES:?}" "${ROOT_UUID:?}" "${ROOT_MIB:?}" "${parts:?}"
archives=${cache:?source lib.sh first}/debian-archives
scratch=${scratch-} log=${log-}

gather_files() {
	mkdir -p "$archives/partial" "$scratch/vmm/files" "$scratch/vmm/customize" &&
		install_shared "$scratch/vmm/bin" || return 1
	for part in $parts; do
		cp -r "$top/$part/files/." "$scratch/vmm/files/" &&
			cp "$top/$part/customize.sh" \
				"$scratch/vmm/customize/$(basename "$part").sh" || return 1
	done
}

# Files go in and out by mmdebstrap's own copy commands: in a user namespace its hooks may not be
# able to read this folder. The packages come from the cache and go back there. Its settings must be
# there when initramfs-tools is installed. Nobody needs a half-installed root after a power cut, so
# dpkg does not wait for the disk after every file.
make_tar() {
	gather_files || return 1
	# shellcheck disable=SC2016,SC2086 # hooks get the root as their own $1; a list of options
	mmdebstrap --variant=minbase --include="$PACKAGES" --format=tar \
		--skip=essential/unlink,cleanup/reproducible --dpkgopt=force-unsafe-io \
		${debian_dpkg_options-} \
		--setup-hook='mkdir -p "$1/var/cache/apt/archives" "$1/etc/initramfs-tools" "$1/tmp"' \
		--setup-hook="sync-in '$archives' /var/cache/apt/archives/" \
		--setup-hook="copy-in '$scratch/vmm/files/etc/initramfs-tools/conf.d' /etc/initramfs-tools/" \
		--customize-hook="copy-in '$scratch/vmm' /tmp/" \
		--customize-hook="for part in $(basename -a $parts | tr '\n' ' '); do \
			chroot \"\$1\" sh \"/tmp/vmm/customize/\$part.sh\" || exit 1; done; \
			rm -r \"\$1/tmp/vmm\"" \
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
		mke2fs -q -F -t ext4 -L "vmm-$4" -U "$2" -m 0 \
			-E "hash_seed=$2,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" \
			-d "$1/tree" "$1/root.img" "$3M"
	' - "$scratch" "$ROOT_UUID" "$ROOT_MIB" "$image" && rm -rf "$scratch/tree" "$scratch/root.tar"
}

# Makes all of it unless it is there and up to date.
build_debian() {
	need_packages e2fsprogs fakeroot gcc linux-libc-dev mmdebstrap tar
	[ "$(id -u)" = 0 ] || need_packages uidmap
	lock_output "$dest"
	# shellcheck disable=SC2086 # a list of folders
	key=$(echo "$ROOT_MIB" "${MIRROR:-}" |
		hash_inputs guest-images/debian.sh guest-images/shared $parts)
	if ! up_to_date "$dest/.stamp" "$key" "$dest/root.img" "$dest/vmlinuz" "$dest/initrd.img"; then
		make_scratch "$dest"
		step "install Debian $SUITE (mmdebstrap)" make_tar
		say "$(grep '^modules added' "$log")"
		step "make root.img ($ROOT_MIB MiB, ext4)" make_image
		mv -f "$scratch/vmlinuz" "$scratch/initrd.img" "$scratch/root.img" "$dest/" ||
			die "cannot write to $dest"
		echo "$key" > "$dest/.stamp"
	fi
	say "ready in ${dest#"$top/"}"
}
