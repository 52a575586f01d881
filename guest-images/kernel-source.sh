# shellcheck shell=sh
# A kernel of our own from Debian's linux-source-6.1 and a configuration fragment: bzImage, vmlinux
# and config. Sourced after `image` (its name) and `fragment` (relative to the tree) are set; and
# `adapt`, a script of the tree that is run in the unpacked source, for what no configuration can do.
# It takes minutes, so it is made on request and kept in the cache under a hash of what went in. An
# interrupted build goes on where it stopped. JOBS sets make's -j.

: "${top:?set top before sourcing kernel-source.sh}" "${image:?}" "${fragment:?}" "${adapt:=}"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$top/guest-images/lib.sh"

SOURCE=linux-source-6.1
dest=$out/$image

# Sets $version to build: apt's candidate, else what was downloaded before.
find_source_version() {
	version=$(candidate_version "$SOURCE")
	[ -z "$version" ] || return 0
	fetch_deb "$SOURCE"
	version=$(dpkg-deb --field "$deb" Version)
}

unpack_source() {
	rm -rf "$work/source" && mkdir -p "$work/source" &&
		dpkg-deb --fsys-tarfile "$deb" |
		tar -x --to-stdout "./usr/src/$SOURCE.tar.xz" |
			tar -x --xz --strip-components=1 -C "$work/source" &&
		[ -e "$work/source/Makefile" ]
}

adapt_source() {
	(cd "$work/source" && "$top/$adapt")
}

# Fixed time, user and host, so that the same source and fragment give the same kernel.
kernel_make() {
	env -u MAKEFLAGS -u MAKELEVEL nice -n 10 make -C "$work/source" ARCH=x86_64 O="$work/objects" \
		KBUILD_BUILD_TIMESTAMP="$(date -d "@$SOURCE_DATE_EPOCH")" KBUILD_BUILD_USER=vmm \
		KBUILD_BUILD_HOST=guest-images KBUILD_BUILD_VERSION=1 "$@"
}

configure() {
	KCONFIG_ALLCONFIG=$top/$fragment kernel_make allnoconfig &&
		"$top/guest-images/check-config.sh" "$top/$fragment" "$work/objects/.config"
}

# The result appears in the cache in one step; the gigabyte it was made from goes away.
keep_result() {
	rm -rf "$work/result" && mkdir "$work/result" &&
		cp "$work/objects/arch/x86/boot/bzImage" "$work/objects/vmlinux" "$work/result/" &&
		cp "$work/objects/.config" "$work/result/config" &&
		rm -rf "$kept" && mv "$work/result" "$kept" && rm -rf "$work"
}

build_kernel() {
	need_packages bc binutils bison cpio flex gcc libc6-dev libelf-dev lz4 make perl xz-utils
	# Another checkout may be building the same: wait for it.
	mkdir -p "$work"
	exec 8> "$kept.lock"
	flock 8
	[ ! -e "$kept/vmlinux" ] || return 0
	mkdir -p "$work/objects"
	fetch_deb "$SOURCE"
	if [ ! -e "$work/unpacked" ]; then
		step "unpack $SOURCE $version" unpack_source
		[ -z "$adapt" ] || step "adapt the source" adapt_source
		touch "$work/unpacked"
	fi
	step "configure" configure
	step_unit=files
	step "compile (minutes)" kernel_make -j"${JOBS:-$(nproc)}" bzImage
	step_unit=''
	keep_result || die "cannot write to $cache"
}

publish() {
	cp "$kept/bzImage" "$kept/vmlinux" "$kept/config" "$scratch/" &&
		mv -f "$scratch/bzImage" "$scratch/vmlinux" "$scratch/config" "$dest/"
}

# The whole way: to bzImage, vmlinux and config in $dest, unless they are there and up to date.
make_kernel() {
	lock_output "$dest"
	sources=$(echo "$SOURCE" | hash_inputs guest-images/kernel-source.sh "$fragment" ${adapt:+"$adapt"})
	! up_to_date "$dest/.stamp" "$sources" "$dest/bzImage" "$dest/vmlinux" || return 0
	find_source_version
	kept=$cache/guest-linux/$(echo "$version" | hash_inputs "$fragment" ${adapt:+"$adapt"})
	work=$kept.build
	[ -e "$kept/vmlinux" ] || build_kernel
	make_scratch "$dest"
	publish || die "cannot write to $dest"
	echo "$sources" > "$dest/.stamp"
}
