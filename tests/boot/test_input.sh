#!/bin/bash
# test_input.sh - keys, pointer and lamps between vmm key, type and pointer and a stock kernel, whose
# event devices are read: first by virtio-input, then, without its driver, by the PS/2 controller.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# The 104 keys of a US keyboard by place, and some that other and newer keyboards have.
keys=(esc f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 sysrq scrolllock pause
	grave 1 2 3 4 5 6 7 8 9 0 minus equal backspace insert home pageup
	numlock kpslash kpasterisk kpminus tab q w e r t y u i o p leftbrace rightbrace backslash
	delete end pagedown kp7 kp8 kp9 kpplus capslock a s d f g h j k l semicolon apostrophe enter
	kp4 kp5 kp6 leftshift z x c v b n m comma dot slash rightshift up kp1 kp2 kp3 kpenter
	leftctrl leftmeta leftalt space rightalt rightmeta compose rightctrl left down right kp0 kpdot)
more=(102nd ro yen henkan muhenkan katakanahiragana mute volumedown volumeup playpause nextsong
	previoussong stopcd homepage mail calc search back forward)
codes=/usr/include/linux/input-event-codes.h
width=1024 height=768

cp -r "$here/guest" "$work/scripts"
"${CC:-gcc}" -O2 -static -D_GNU_SOURCE -o "$work/scripts/evread" "$here/evread.c" || exit 1
strip "$work/scripts/evread"
make_ext4 "$work/scripts.img" 4M -O ^has_journal -d "$work/scripts"

# key_lines KEY...: type, code and value of what a press and a release of each are.
key_lines() {
	local key
	for key; do
		awk -v name="KEY_${key^^}" '$1 == "#define" && $2 == name {
			print 1, $3 + 0, 1; print 1, $3 + 0, 0 }' "$codes"
	done
}

# listen: evread runs in the guest's shell; $seen is where its lines begin.
listen() {
	seen=$(stat -c %s "$console")
	send '/mnt/evread grab'
	expect '^evread ready'
}

# stop_listening: what was heard is on the console. The guest has a moment to hear the last of it.
stop_listening() {
	sleep 1
	send ''
	expect '^evread end'
	expect "$prompt"
}

# said: what evread has printed since.
said() {
	tail -c +"$((seen + 1))" "$console" | tr -d '\r'
}

# The number of the event device of that name.
device() {
	said | sed -n "s/^dev \([0-9]*\) .*$1.*/\1/p"
}

# heard DEVICE: type, code and value of what came from it, but for scan codes and ends of groups.
heard() {
	said | awk -v number="$1" \
		'$1 == "ev" && $2 == number && $3 != 4 && $3 != 0 { print $3, $4, $5 }'
}

# hears DEVICE WANTED: all of that and nothing else.
hears() {
	heard "$1" >"$work/heard"
	diff - "$work/heard" <<<"$2" >"$work/diff" && return
	sed 's/^/#   /' "$work/diff" | head -n 20
	return 1
}

ask() {
	timeout 60 "$vmm" "$@"
}

kernel=$guests/default/vmlinuz-amd64 initrd=$guests/default/initrd-amd64.img
start_guest '' --cpus 1 --name input --display "none,${width}x$height"
expect "$prompt"
send 'mount -o ro /dev/vdb /mnt'
expect "$prompt"

# ---- virtio-input ----

listen
keyboard=$(device 'vmm keyboard') tablet=$(device 'vmm tablet')
check "the guest has a keyboard and a tablet" [ -n "$keyboard" -a -n "$tablet" ]
check "vmm key takes ${#keys[@]} keys" is 104 "${#keys[@]}"
check "and sends them" ask key input "${keys[@]}" "${more[@]}"
stop_listening
check "all arrive by virtio-input, in order and value" \
	hears "$keyboard" "$(key_lines "${keys[@]}" "${more[@]}")"

listen
x=$((width - 1)) y=$((height - 1))
check "vmm pointer goes to the centre and the corners" ask pointer input \
	"$((width / 2)),$((height / 2))" "$x,0" 0,0 "0,$y" "$x,$y"
check "five buttons and four notches" ask pointer input left right middle side extra \
	wheel-up wheel-down wheel-right wheel-left
stop_listening
# 512 of 1023 and 384 of 767, in 32767ths; an axis that stays is not told of.
check "the places are exact, and so is the rest" hears "$tablet" "3 0 16400
3 1 16405
3 0 32767
3 1 0
3 0 0
3 1 32767
3 0 32767
$(for button in 272 273 274 275 276; do printf '1 %d 1\n1 %d 0\n' $button $button; done)
2 8 1
2 11 120
2 8 -1
2 11 -120
2 6 1
2 12 120
2 6 -1
2 12 -120"

# lamps WANTED: as vmm status shows them, soon.
lamps() {
	local deadline=$((SECONDS + 20))
	until [ "$(ask status input | sed -n 's/^input_leds=//p')" = "$1" ]; do
		[ "$SECONDS" -lt "$deadline" ] || break
		sleep 0.2
	done
	is "$1" "$(ask status input | sed -n 's/^input_leds=//p')"
}

send '/mnt/evread lamp "vmm keyboard" 1 1'
check "the guest lights CapsLock" lamps 'caps '
send '/mnt/evread lamp "vmm keyboard" 1 0'
check "and puts it out" lamps ''

# There is a shell on the screen, too.
check "a text is typed" ask type input $'echo "Hello, World! {a|b}" 2>&1 >/dev/ttyS0\n'
check "the shell on the screen takes it" expect 'Hello, World! \{a\|b\}$'

# ---- PS/2 ----

# shellcheck disable=SC2016 # the guest's variables
send 'for d in /sys/bus/virtio/drivers/virtio_input/virtio*; do echo ${d##*/} > ${d%/*}/unbind; done'
expect "$prompt"
listen
keyboard=$(device 'AT Translated Set 2 keyboard') mouse=$(device 'Explorer Mouse')
check "there are a PS/2 keyboard and an Explorer mouse" [ -n "$keyboard" -a -n "$mouse" ]
check "vmm key sends the keys" ask key input "${keys[@]}" "${more[@]}"
check "chords" ask key input ctrl-alt-shift-a altgr-e
check "no place is taken without a tablet" is 6 "$(ask pointer input 1,1 2>/dev/null; echo $?)"
check "the mouse moves, clicks and turns" ask pointer input by=5,-3 by=-300,300 left right middle \
	side extra wheel-up wheel-down wheel-right wheel-left
stop_listening
wanted="2 0 5
2 1 -3
2 0 -255
2 1 255
2 0 -45
2 1 45
$(for button in 272 273 274 275 276; do printf '1 %d 1\n1 %d 0\n' $button $button; done)
2 8 1
2 11 120
2 8 -1
2 11 -120
2 6 1
2 12 120
2 6 -1
2 12 -120"
check "as it was told, but for what Linux does not have" \
	hears "$mouse" "$(grep -v '^2 1[12] ' <<<"$wanted")"
check "all keys arrive by the controller, in order and value" hears "$keyboard" "$(
	key_lines "${keys[@]}" "${more[@]}"
	printf '1 %d 1\n' 29 56 42 30
	printf '1 %d 0\n' 30 42 56 29
	printf '1 %d 1\n' 100 18
	printf '1 %d 0\n' 18 100
)"
send '/mnt/evread lamp "AT Translated Set 2 keyboard" 0 1'
check "the guest lights NumLock" lamps 'num '

send 'poweroff -f'
check "the guest powers off" ends_with 0
check "without a word about the devices" is 0 "$(grep -cE 'i8042|virtio-(keyboard|tablet)' "$errors")"
finish
