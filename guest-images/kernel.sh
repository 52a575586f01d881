# shellcheck shell=sh
# Debian's stock kernels, unpacked into the cache: the packaged bzImage, its configuration, and
# only those modules that our initramfs loads, with what they depend on. Sourced after lib.sh.

cache=${cache:?source lib.sh first}

# Modules by name, as far as the kernel has them as modules (the rest is built in or absent).
# Loaded by name before the root is looked for: the way to the disk, the file system of the
# default root, and what makes the power button work. ext4 asks for crc32c at mount time through
# a helper program that the initramfs does not have.
early_modules="virtio_mmio virtio_blk crc32c_generic ext4 button evdev"
# Loaded when their device is seen.
device_modules="virtio_pci virtio_net virtio_console virtio_rng virtio_balloon virtio_input psmouse
	virtio_gpu vmw_vsock_virtio_transport pvpanic_mmio pvpanic_pci"
# Loaded when the root is no ext4.
root_modules="squashfs isofs overlay"

# Prints the package that apt's linux-image-FLAVOUR stands for, or nothing.
current_kernel_package() {
	apt-cache depends "linux-image-$1" 2> /dev/null |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# The same from what was downloaded before, for a host whose apt has no lists and no network.
cached_kernel_package() {
	case $1 in
	cloud-*) pattern='linux-image-*-cloud-amd64_*.deb' ;;
	*) pattern='linux-image-*[0-9]-amd64_*.deb' ;;
	esac
	found=$(find "$cache/debs" -maxdepth 1 -name "$pattern" -printf '%f\n' 2> /dev/null |
		sort -V | tail -n 1)
	printf %s "${found%%_*}"
}

# fetch_kernel FLAVOUR: sets $kernel to a folder with vmlinuz, config, release and lib/modules.
fetch_kernel() {
	kernel_package=$(current_kernel_package "$1")
	[ -n "$kernel_package" ] || kernel_package=$(cached_kernel_package "$1")
	if [ -z "$kernel_package" ]; then
		use_own_apt_lists || die "no package lists and no network to read them"
		kernel_package=$(current_kernel_package "$1")
		[ -n "$kernel_package" ] || die "apt knows no linux-image-$1: is the network there?"
	fi
	fetch_deb "$kernel_package"
	wanted="$early_modules $device_modules $root_modules"
	kernel=$(basename "${deb:?}" .deb)-$(echo "$wanted" | sha256sum | cut -c 1-8)
	kernel=$cache/guest-kernels/$kernel
	[ -e "$kernel/release" ] || step "unpack $kernel_package" unpack_kernel
}

# Works on a copy beside the final place and renames it when whole.
unpack_kernel() {
	mkdir -p "$cache/guest-kernels" &&
		downloads=$(mktemp -d "$cache/guest-kernels/.tmp.XXXXXX") &&
		dpkg-deb --extract "$deb" "$downloads/deb" &&
		release=$(basename "$downloads"/deb/lib/modules/*) &&
		busybox depmod -b "$downloads/deb" "$release" &&
		pick_modules "$downloads/deb" "$downloads/new" &&
		busybox depmod -b "$downloads/new" "$release" &&
		cp "$downloads/deb/boot/vmlinuz-$release" "$downloads/new/vmlinuz" &&
		cp "$downloads/deb/boot/config-$release" "$downloads/new/config" &&
		echo "$release" > "$downloads/new/release" &&
		chmod -R u=rwX,go=rX "$downloads/new" || return 1
	# Another build may have been faster; its result is the same.
	[ -e "$kernel/release" ] || { rm -rf "$kernel" && mv "$downloads/new" "$kernel"; } || return 1
	rm -rf "$downloads"
	downloads=
}

# pick_modules FROM TO: copies the wanted modules of $release and all that they need.
pick_modules() {
	from=$1/lib/modules/$release
	to=$2/lib/modules/$release
	mkdir -p "$to" &&
		wanted=$wanted awk '
			function name(path) {
				sub(/.*\//, "", path)
				sub(/\.ko.*/, "", path)
				gsub(/-/, "_", path)
				return path
			}
			BEGIN {
				count = split(ENVIRON["wanted"], words, /[ \t\n]+/)
				for (i = 1; i <= count; i++)
					want[words[i]] = 1
			}
			{
				sub(/:/, "")
				if (name($1) in want)
					for (i = 1; i <= NF; i++)
						print $i
			}' "$from/modules.dep" | sort -u > "$to/picked" &&
		(cd "$from" && xargs cp --parents -t "$to") < "$to/picked" &&
		cp "$from/modules.builtin" "$to/" &&
		rm "$to/picked"
}
