#!/bin/bash
# test_gpu.sh - virtio-gpu with Debian's own driver: a program in the guest (kms.c) sets modes, draws,
# flips, and follows another size; each screenshot is its picture, pixel for pixel. Which of the two
# screens of a guest is seen, the text console or this one.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

kernel=$guests/default/vmlinuz-amd64
initrd=$guests/default/initrd-amd64.img
tools=$work/tools
mkdir "$tools"
"${CC:-gcc}" -static -O1 -D_GNU_SOURCE -I"$top" -o "$tools/kms" "$here/kms.c" &&
	"${CC:-gcc}" -O2 -I"$top" -o "$work/picture" "$here/picture.c" -lz &&
	make_ext4 "$work/tools.img" 4M -O ^has_journal -d "$tools" || exit 1

# shot: $work/shot.png is what is seen now.
shot() {
	succeeds "$vmm" screenshot gpu "$work/shot.png"
}

# shows N: it is picture N.
shows() {
	shot && succeeds "$work/picture" "$work/shot.png" "$1"
}

# asks LINE ANSWER: of kms.
asks() {
	send "$1"
	expect "^kms: $2"
}

# is_text: the console, which has few colours and the size that the machine was started with.
is_text() {
	shot || return
	local size colours
	read -r size colours <<<"$("$work/picture" "$work/shot.png")"
	is 800x600 "$size" && [ "$colours" -gt 1 ] && [ "$colours" -le 16 ] && return
	echo "#   $size with $colours colours"
	return 1
}

start_guest '' --cpus 1 -m 512M --name gpu --display none,size=800x600 --disk "$work/tools.img,ro"
expect "$prompt"
send 'mount -o ro /dev/vdc /mnt; ls /dev/dri; echo some text > /dev/tty1'
check "Debian's driver takes the device" expect '^card0'
expect "$prompt"
check "nothing is drawn there yet: the console is seen" is_text
send /mnt/kms
check "its preferred mode is the size of the screen" expect '^kms: mode 800x600'
check "a picture, pixel for pixel" shows 1
check "the same buffer drawn anew" asks 'draw 2' 'drawn 2'
check "is another picture" shows 2
check "another buffer by a page flip" asks 'flip 3' 'flipped 3'
check "is the third" shows 3
check "a cursor" asks cursor cursor
check "is not in the picture" shows 3
# It blinks every fifth of a second, and something looks at each of them.
for _ in 1 2 3 4 5 6; do
	shot
	sleep 0.1
done
check "the text console's cursor does not take the screen" shows 3
send follow
check "another size is asked for" succeeds "$vmm" resize gpu 1000x700
check "the guest learns of it and follows" expect '^kms: mode 1000x700'
check "its picture has that size" shows 9
check "flips go on" asks 'flip 4' 'flipped 4'
check "in that size" shows 4
send quit
expect "$prompt"
check "when the program has gone the console is seen" is_text
send "dmesg | grep -c -e 'drm.*ERROR' -e 'cut here'"
check "the driver had nothing to complain of" expect '^0'
check "no size is too small" \
	is 'vmm: gpu: 8x8' "$("$vmm" resize gpu 8x8 2>&1 | cut -c 1-13)"
send poweroff
check "it powers off" ends_with 0
check "without a word about the device" is 0 "$(grep -c virtio-gpu "$errors")"
finish
