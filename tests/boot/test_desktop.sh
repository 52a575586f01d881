#!/bin/bash
# test_desktop.sh - a graphical session on virtio-gpu: Debian with Xorg and a terminal window, looked
# at by its screenshots. The session follows the size that it is asked for.
# PICTURE=FILE keeps the last screenshot (in a nested host: on a folder of its --rw).
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

image=$guests/desktop
if [ ! -e "$image/root.img" ] || [ ! -e "$image/initrd.img" ]; then
	skip "a graphical session" "it is not built (make guest-desktop)"
	finish
fi
"${CC:-gcc}" -O2 -I"$top" -o "$work/picture" "$here/picture.c" -lz || exit 1

# The colours of the session: its background, and that of its terminal.
background=2c4a63 terminal=10161c

shot() {
	"$vmm" screenshot desktop "$work/shot.png"
}

# has_window SIZE: a background of that size, with a terminal on it of which at least an eighth of
# 800x600 is to be seen.
has_window() {
	shot 2>/dev/null || return
	"$work/picture" "$work/shot.png" | grep -q "^$1 " &&
		"$work/picture" "$work/shot.png" has "$background" 10000 >/dev/null &&
		"$work/picture" "$work/shot.png" has "$terminal" 60000 >/dev/null
}

# waits_for SECONDS COMMAND...
waits_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		if [ "$SECONDS" -ge "$deadline" ] || ! is_running; then
			printf '#   not within that time: %s; on the screen: %s\n' "$*" \
				"$("$work/picture" "$work/shot.png" 2>&1)"
			return 1
		fi
		sleep 1
	done
}

start_vmm --kernel "$image/vmlinuz" --initrd "$image/initrd.img" --disk "$image/root.img,ephemeral" \
	--name desktop --memory 768M --cpus 1 --net none --display none,size=1024x768 --append quiet
check "the session starts by itself, its terminal is on the screen" \
	waits_for 400 has_window 1024x768
echo "#   after $SECONDS s"
check "another size is asked for" succeeds "$vmm" resize desktop 1280x800
check "the session follows" waits_for 120 has_window 1280x800
check "and back" succeeds "$vmm" resize desktop 800x600
check "to a smaller one" waits_for 120 has_window 800x600
[ -z "${PICTURE-}" ] || cp "$work/shot.png" "$PICTURE"
kill -TERM "$guest"
check "SIGTERM: it powers off" ends_with 0 240
check "without a word about the screen" is 0 "$(grep -c -e virtio-gpu -e framebuffer "$errors")"
finish
