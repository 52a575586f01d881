#!/bin/bash
# test_window.sh - a stock kernel in a window of an X server whose screen is compared (Xvfb): boot
# text pixel for pixel, typing, keys, pointer and wheel as the guest's event devices have them, an
# idle screen, close, a server that dies, and what is said where there is no window to be had.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

for tool in Xvfb xdotool openbox; do
	command -v "$tool" >/dev/null || {
		skip "the window" "$tool is not here"
		finish
	}
done

# ---- An X server ----

# start_server: sets DISPLAY and $server; its screen is $work/x/Xvfb_screen0.
start_server() {
	mkdir -p "$work/x"
	mkfifo "$work/x/number"
	Xvfb -displayfd 3 -screen 0 1280x1000x24 -fbdir "$work/x" -nolisten tcp -noreset \
		3>"$work/x/number" >/dev/null 2>&1 &
	server=$!
	all_pids+=("$server")
	read -r number <"$work/x/number"
	export DISPLAY=:$number
	rm "$work/x/number"
}

tool() {
	xdotool "$@" 2>/dev/null
}

# find_window: sets $window, which is moved to the corner, with the pointer out of it.
find_window() {
	local deadline=$((SECONDS + patience_s))
	until window=$(tool search --onlyvisible --name vmm); do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.2
	done
	tool windowmove --sync "$window" 0 0 windowfocus --sync "$window" mousemove 1279 999
}

title_is() {
	local deadline=$((SECONDS + 20))
	until [ "$(tool getwindowname "$window")" = "$1" ]; do
		[ "$SECONDS" -lt "$deadline" ] || break
		sleep 0.2
	done
	is "$1" "$(tool getwindowname "$window")"
}

# same_picture WIDTH HEIGHT: the server's screen has what vmm screenshot says, within a while (a
# note may lie over it). The machine stands still meanwhile.
same_picture() {
	local deadline=$((SECONDS + 20))
	"$vmm" pause window >/dev/null && "$vmm" screenshot window "$work/ours.png" || return 1
	pngtopnm "$work/ours.png" >"$work/ours.ppm" 2>/dev/null
	until xwdtopnm "$work/x/Xvfb_screen0" 2>/dev/null |
		pnmcut 0 0 "$1" "$2" 2>/dev/null | cmp -s - "$work/ours.ppm"; do
		[ "$SECONDS" -lt "$deadline" ] || break
		sleep 0.5
	done
	xwdtopnm "$work/x/Xvfb_screen0" 2>/dev/null | pnmcut 0 0 "$1" "$2" >"$work/screen.ppm"
	"$vmm" resume window >/dev/null
	cmp "$work/screen.ppm" "$work/ours.ppm"
}

colours() {
	ppmhist -noheader "$work/ours.ppm" 2>/dev/null | wc -l
}

# counter NAME: of the window, as vmm status has it.
counter() {
	"$vmm" status window | sed -n "s/^window_$1=//p"
}

# cpu_ticks: what vmm's own threads, without the guest's processors, have used.
cpu_ticks() {
	local dir sum=0
	for dir in "/proc/$guest/task"/*; do
		case $(cat "$dir/comm") in
		vcpu*) ;;
		*) sum=$((sum + $(awk '{ print $14 + $15 }' "$dir/stat"))) ;;
		esac
	done
	echo "$sum"
}

# ---- Keys by the numbers of Linux; X counts from 8 ----

codes=/usr/include/linux/input-event-codes.h
keys=(esc f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 sysrq scrolllock pause
	grave 1 2 3 4 5 6 7 8 9 0 minus equal backspace insert home pageup
	numlock kpslash kpasterisk kpminus tab q w e r t y u i o p leftbrace rightbrace backslash
	delete end pagedown kp7 kp8 kp9 kpplus capslock a s d f g h j k l semicolon apostrophe enter
	kp4 kp5 kp6 leftshift z x c v b n m comma dot slash rightshift up kp1 kp2 kp3 kpenter
	leftctrl leftmeta leftalt space rightalt rightmeta compose rightctrl left down right kp0 kpdot
	102nd ro yen henkan muhenkan katakanahiragana mute volumedown volumeup playpause nextsong
	previoussong stopcd)

code_of() {
	awk -v name="KEY_${1^^}" '$1 == "#define" && $2 == name { print $3 + 0 }' "$codes"
}

# press_all KEY...: xdotool takes 9 for the digit, so Escape goes by its name.
press_all() {
	local key words=()
	for key; do
		case $key in
		esc) words+=(keydown Escape keyup Escape) ;;
		*) words+=(keydown $(($(code_of "$key") + 8)) keyup $(($(code_of "$key") + 8))) ;;
		esac
	done
	tool "${words[@]}"
}

key_lines() {
	local key
	for key; do
		printf '1 %d 1\n1 %d 0\n' "$(code_of "$key")" "$(code_of "$key")"
	done
}

# ---- The guest's event devices (see evread.c) ----

cp -r "$here/guest" "$work/scripts"
"${CC:-gcc}" -O2 -static -D_GNU_SOURCE -o "$work/scripts/evread" "$here/evread.c" || exit 1
strip "$work/scripts/evread"
make_ext4 "$work/scripts.img" 4M -O ^has_journal -d "$work/scripts"

listen() {
	send '/mnt/evread grab'
	expect '^evread ready' && seen=$(stat -c %s "$console")
}

# stop_listening: what is on the way arrives first, even on a slow host.
stop_listening() {
	sleep 3
	send ''
	expect '^evread end' && expect "$prompt"
}

device() {
	tr -d '\r' <"$console" | sed -n "s/^dev \([0-9]*\) .*$1.*/\1/p" | tail -n 1
}

# heard DEVICE: type, code and value of what has come from it, but for scan codes, the ends of groups
# and the guest's own repeats.
heard() {
	tail -c +"$((seen + 1))" "$console" | tr -d '\r' |
		awk -v number="$1" '$1 == "ev" && $2 == number && $3 != 4 && $3 != 0 && $5 != 2 {
			print $3, $4, $5 }'
}

# hears DEVICE WANTED: all of that and nothing else, from listen to stop_listening.
hears() {
	diff <(echo "$2") <(heard "$1") | sed 's/^/#   /' | head -n 20
	[ "$2" = "$(heard "$1")" ]
}

# ---- No window to be had ----

unset DISPLAY WAYLAND_DISPLAY
refused() {
	"$@" --kernel "$(tiny SLEEP)" -m 32M --serial none --display sdl 2>"$work/refused"
	is 5 $?
}
check "without a desktop it ends" refused "$vmm"
check "and says so" has "$work/refused" 'DISPLAY'
check "and what else there is" has "$work/refused" '--display none'
mkdir "$work/lib" && : >"$work/lib/libSDL2-2.0.so.0"
check "without the library it ends" refused env DISPLAY=:0 "LD_LIBRARY_PATH=$work/lib" "$vmm"
check "and names the package" has "$work/refused" 'libsdl2-2.0-0'
check "a server that is not there" refused env DISPLAY=:5432 "$vmm"
check "is named" has "$work/refused" ':5432'

# ---- Closing ----

start_server
start_vmm --kernel "$(tiny SLEEP)" -m 32M --serial none --display sdl,640x400 --name closed
check "a machine without Linux has a window" find_window
check "its title is the machine's name" title_is $'closed \xe2\x80\x94 vmm'
openbox --sm-disable >/dev/null 2>&1 &
manager=$!
all_pids+=("$manager")
for _ in $(seq 50); do
	xprop -root _NET_SUPPORTING_WM_CHECK 2>/dev/null | grep -q '#' && break
	sleep 0.1
done
# The manager may not know the key yet.
for _ in 1 2 3 4; do
	tool windowactivate --sync "$window" key alt+F4
	for _ in $(seq 40); do
		grep -q 'power button' "$errors" && break 2
		sleep 0.1
	done
done
check "closed once it asks the guest" has "$errors" 'power button'
check "and goes on" is_running
# By one xdotool: two of them may take three seconds on a slow host.
tool sleep 3 key alt+F4 sleep 0.5 key alt+F4
check "closed twice within three seconds it ends" ends_with 0
kill "$manager" 2>/dev/null

# ---- Debian's amd64 kernel ----

kernel=$guests/default/vmlinuz-amd64 initrd=$guests/default/initrd-amd64.img
start_guest '' --cpus 1 --display sdl,1024x768 --name window
check "a window opens" find_window
check "SDL is loaded" grep -q libSDL2 "/proc/$guest/maps"
check "the kernel starts" expect "$prompt"
send 'echo 0 >/sys/class/graphics/fbcon/cursor_blink; mount -o ro /dev/vdb /mnt; echo quiet'
expect '^quiet'
check "the X server's screen is vmm's screenshot, pixel for pixel" same_picture 1024 768
check "with text on it" [ "$(colours)" -gt 1 ]
check "the title" title_is $'window \xe2\x80\x94 vmm'

# There is a shell on the screen as well.
tool type --delay 20 "echo 'Hello, {World}!' | tee /tmp/typed"
tool key Return
# shellcheck disable=SC2016 # the guest's
send 'for i in 1 2 3 4 5 6 7 8 9; do [ -s /tmp/typed ] || sleep 1; done; echo "typed: $(cat /tmp/typed)"'
check "typed text arrives at the shell on tty1" expect '^typed: Hello, \{World\}!'
check "and its echo is on both screens" same_picture 1024 768

# An idle screen.
sleep 2
frames=$(counter frames) ticks=$(cpu_ticks)
sleep 10
check "no redraw in ten seconds of stillness" is "$frames" "$(counter frames)"
echo "# vmm's own processor time in these 10 s: $(($(cpu_ticks) - ticks)) ticks of 10 ms"
frames=$(counter frames) bytes=$(counter bytes)
send 'echo x >/dev/tty1; sleep 1; echo drawn'
expect '^drawn'
frames=$(($(counter frames) - frames)) bytes=$(($(counter bytes) - bytes))
echo "# one line was $frames frames of together $bytes bytes; the whole picture is $((1024 * 768 * 4))"
check "a line is not the whole picture" [ "$bytes" -gt 0 -a "$bytes" -lt 1000000 ]

listen
keyboard=$(device 'vmm keyboard') tablet=$(device 'vmm tablet')
press_all "${keys[@]}"
stop_listening
check "${#keys[@]} keys, in order and value" hears "$keyboard" "$(key_lines "${keys[@]}")"

listen
# Slowly, for motions are taken together.
for at in '512 384' '1023 0' '0 0' '0 767' '1023 767'; do
	# shellcheck disable=SC2086 # two words
	tool mousemove $at sleep 1
done
tool click 4 sleep 0.2 click 5 sleep 0.2 click 7 sleep 0.2 click 6
stop_listening
check "the pointer at the centre and the corners, and the wheel" hears "$tablet" "3 0 16400
3 1 16405
3 0 32767
3 1 0
3 0 0
3 1 32767
3 0 32767
2 8 1
2 11 120
2 8 -1
2 11 -120
2 6 1
2 12 120
2 6 -1
2 12 -120"

listen
tool keydown shift keydown ctrl sleep 1 windowunmap --sync "$window"
stop_listening
check "modifiers are released when the focus goes" hears "$keyboard" "1 42 1
1 29 1
1 29 0
1 42 0"
tool keyup ctrl keyup shift windowmap --sync "$window" windowfocus --sync "$window"

# ---- The server dies ----

kill -KILL "$server"
for _ in $(seq 100); do
	grep -q 'X server is gone' "$errors" && break
	sleep 0.1
done
check "a server that dies is told of" has "$errors" 'X server is gone'
send 'echo alive'
check "the machine runs on" expect '^alive'
send 'poweroff -f'
check "and powers off" ends_with 0
finish
