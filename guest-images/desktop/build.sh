#!/bin/sh
# Builds a Debian 12 root disk with a small graphical session for virtio-gpu: Xorg, twm and a
# terminal window, whose size follows the window that shows it. Beside it Debian's general kernel,
# which has the driver, and its initramfs. MIRROR names another archive; downloads are cached.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
image=desktop
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$top/guest-images/lib.sh"

# Not installed: drawing by OpenGL in software (its compiler alone is larger than all of X; nothing
# here draws with it), drivers of hardware that this machine has not, documents and translations.
# The log of the session ends up in the journal.
modules='/lib/modules/*/kernel'
debian_dpkg_options="
	--dpkgopt=path-exclude=/usr/lib/*/libLLVM*
	--dpkgopt=path-exclude=/usr/lib/*/libz3*
	--dpkgopt=path-exclude=/usr/lib/*/dri/*
	--dpkgopt=path-exclude=/usr/share/doc/*
	--dpkgopt=path-exclude=/usr/share/man/*
	--dpkgopt=path-exclude=/usr/share/locale/*
	--dpkgopt=path-exclude=$modules/sound/*
	--dpkgopt=path-exclude=$modules/drivers/media/*
	--dpkgopt=path-exclude=$modules/drivers/infiniband/*
	--dpkgopt=path-exclude=$modules/drivers/staging/*
	--dpkgopt=path-exclude=$modules/drivers/isdn/*
	--dpkgopt=path-exclude=$modules/drivers/iio/*
	--dpkgopt=path-exclude=$modules/drivers/hwmon/*
	--dpkgopt=path-exclude=$modules/drivers/mtd/*
	--dpkgopt=path-exclude=$modules/drivers/scsi/*
	--dpkgopt=path-exclude=$modules/drivers/usb/*
	--dpkgopt=path-exclude=$modules/drivers/net/wireless/*
	--dpkgopt=path-exclude=$modules/drivers/net/ethernet/*
	--dpkgopt=path-exclude=$modules/drivers/gpu/drm/amd/*
	--dpkgopt=path-exclude=$modules/drivers/gpu/drm/i915/*
	--dpkgopt=path-exclude=$modules/drivers/gpu/drm/nouveau/*
	--dpkgopt=path-exclude=$modules/drivers/gpu/drm/radeon/*"
# shellcheck disable=SC2034 # all of them are for debian.sh
{
	dest=$out/desktop
	SUITE=bookworm
	ROOT_MIB=${DESKTOP_MIB:-2048}
	ROOT_UUID=766d6d00-6465-4465-936b-740000000001
	# x11-xserver-utils: xrandr, which follows the window, and xsetroot.
	PACKAGES=systemd-sysv,udev,dbus,linux-image-amd64,initramfs-tools,zstd,kmod,iproute2,procps,xserver-xorg-core,xserver-xorg-input-libinput,xinit,x11-xserver-utils,x11-xkb-utils,xkb-data,xfonts-base,twm,xterm,fonts-dejavu-core
	parts='guest-images/debian guest-images/desktop'
}
# shellcheck source-path=SCRIPTDIR source=../debian.sh
. "$top/guest-images/debian.sh"
build_debian
