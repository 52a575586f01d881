#!/bin/sh
# Runs inside the new Debian root when all packages are installed. /tmp/vmm holds our files.
set -eu

cp -r --no-preserve=ownership,timestamps /tmp/vmm/files/. /
cp /tmp/vmm/bin/* /usr/local/bin/
chmod -R u=rwX,go=rX /etc/systemd/system/vmm-run.service /etc/systemd/network \
	/etc/hostname /etc/fstab /etc/initramfs-tools/conf.d /usr/local
rm -f /etc/dpkg/dpkg.cfg.d/99mmdebstrap

# A test image: root logs in on any console with the name alone.
passwd --quiet --delete root
systemctl --quiet enable systemd-networkd.service vmm-run.service
echo 'nameserver 10.0.2.3' > /etc/resolv.conf
# Empty, not missing: each machine makes its own, and no boot counts as the first one.
: > /etc/machine-id

# The disks are virtio devices behind virtio-mmio, which ACPI describes. Debian's initramfs-tools
# takes the drivers along by itself (MODULES=most); if it ever does not, this is Debian's own way.
kernel=$(basename /lib/modules/*)
has_module() {
	grep -q "/$1\.ko" "/lib/modules/$kernel/modules.builtin" ||
		lsinitramfs "/boot/initrd.img-$kernel" | grep -q "/$1\.ko"
}
missing=
for module in virtio_mmio virtio_blk ext4; do
	has_module "$module" || missing="$missing $module"
done
if [ -n "$missing" ]; then
	# shellcheck disable=SC2086 # a list of words
	printf '%s\n' $missing >> /etc/initramfs-tools/modules
	update-initramfs -u -k "$kernel"
	for module in $missing; do
		has_module "$module" || {
			echo "the initramfs has no $module"
			exit 1
		}
	done
fi
echo "modules added to Debian's initramfs:${missing:- none}"
