#!/bin/bash
# test_vnc.sh - the guest's screen over VNC (--display vnc=...): what a viewer sees is what vmm
# screenshot saves, typing arrives, an idle screen sends nothing; passwords, ports, left-over
# sockets, viewers that stop reading.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

peer=$work/vnc_peer
"${CC:-gcc}" -O2 -std=gnu17 -D_GNU_SOURCE -I"$top" -o "$peer" "$here/vnc_peer.c" \
	"$build/obj/libvmm.a" || exit 1
socket=$work/vnc

same_as_screenshot() {
	succeeds "$vmm" screenshot screen "$work/shot.png" &&
		succeeds "$peer" picture "$1" "$work/seen.ppm" ${2:+"$2"} &&
		pngtopnm "$work/shot.png" >"$work/shot.ppm" &&
		[ "$(ppmhist -noheader "$work/shot.ppm" | wc -l)" -gt 1 ] &&
		cmp "$work/shot.ppm" "$work/seen.ppm"
}

refused() {
	local words=$1
	shift
	"$vmm" --kernel "$(tiny SLEEP)" -m 32M --serial none "$@" 2>"$work/refused"
	status=$?
	is "$((status == 5 || status == 2))" 1 && has "$work/refused" "$words"
}

# ---- A guest that somebody looks at ----

start_guest '' --display "vnc=unix:$socket,800x600" --name screen
check "the guest starts" expect "$prompt"
check "the socket is ours alone" is 600 "$(stat -c %a "$socket")"
check "with nobody there no thread waits for anybody" is 0 "$(grep -lx vnc "/proc/$guest/task"/*/comm | wc -l)"
send 'echo 0 >/sys/class/graphics/fbcon/cursor_blink; echo still; sleep 1; echo quiet'
expect '^quiet'
check "a viewer sees what a screenshot has" same_as_screenshot "$socket"
frames() {
	"$vmm" status screen | sed -n 's/^vnc_frames=//p'
}

before=$(frames)
"$peer" watch "$socket" 5 >"$work/idle"
check "an idle screen sends nothing" is 'updates 0 pixels 0' "$(cat "$work/idle")"
check "but the first picture nothing is drawn" is $((before + 1)) "$(frames)"
"$peer" watch "$socket" 4 >"$work/line" &
watcher=$!
sleep 1
send 'printf "\n\n\n\n\033[1;1Hone line" >/dev/tty1; echo said'
expect '^said'
wait "$watcher"
check "a line on tty1 sends less than half of the screen" \
	test "$(cut -d ' ' -f 4 "$work/line")" -gt 0 -a "$(cut -d ' ' -f 4 "$work/line")" -lt 240000
printf '# %s\n' "$(cat "$work/line")"

check "a viewer types" succeeds "$peer" type "$socket" 'printf "\nHello, World (42)!\n" >/dev/ttyS0'
check "and the shell on tty1 gets it" expect '^Hello, World \(42\)!' 30
check "and is seen" same_as_screenshot "$socket"

# ---- Viewers that misbehave ----

"$peer" stall "$socket" 14 >"$work/stalled" &
stalled=$!
check "who does not read holds nobody up" same_as_screenshot "$socket"
head -c 100000 /dev/urandom | timeout 20 "$here/attach" "$socket" >/dev/null 2>&1
check "nor does who sends noise" same_as_screenshot "$socket"
wait "$stalled"
check "he is cut off after a time" is 'cut off' "$(cat "$work/stalled")"
check "a second machine can't have the socket" refused 'another program listens on it' \
	--display "vnc=unix:$socket"

kill -KILL "$guest"
wait "$guest" 2>/dev/null
check "a killed machine leaves its socket" test -S "$socket"

# ---- A password, in place of the left-over ----

printf 'tr0mpete\n' >"$work/password"
chmod 600 "$work/password"
start_vmm --kernel "$(tiny SLEEP)" -m 32M --serial none --name screen \
	--display "vnc=unix:$socket,password-file=$work/password"
until "$peer" picture "$socket" "$work/seen.ppm" tr0mpete 2>/dev/null || ! is_running; do sleep 0.1; done
check "with the password one gets in" is_running
check "with a wrong one not" is 1 "$("$peer" picture "$socket" "$work/x" trumpet 2>/dev/null; echo $?)"
check "and without one neither" is 1 "$("$peer" picture "$socket" "$work/x" 2>/dev/null; echo $?)"
"$vmm" kill screen
check "it ends" ends_with 137
check "and the socket goes" test ! -e "$socket"

# ---- A port ----

start_vmm --kernel "$(tiny SLEEP)" -m 32M --serial none --name screen --display vnc=5973
until greeting=$(exec 2>/dev/null 3<>/dev/tcp/127.0.0.1/5973 && head -c 11 <&3) || ! is_running; do
	sleep 0.1
done
check "on a port of this host RFB is spoken" is 'RFB 003.008' "$greeting"
check "of no other address" is 0 "$(ss -tln 'sport = 5973' | grep -vc '127.0.0.1\|State')"
check "the port is taken" refused 'another program has this port' --display vnc=5973
end_guest

check "an address that others reach needs a password" refused 'needs a password' \
	--display vnc=0.0.0.0:5973
check "a password file that is not there" refused "can't read the password file" \
	--display "vnc=5973,password-file=$work/none"

# ---- A host without the library ----

library=$(realpath "$(ldconfig -p | sed -n 's/.*libvncserver\.so\.1 .*=> //p' | head -n 1)")
runner=$work/vmm-without
# shellcheck disable=SC2016 # expanded by the runner
printf '#!/bin/sh\nexec unshare --user --map-root-user --mount sh -c '"'"'mount --bind /dev/null "$0" &&
	exec "$@"'"'"' %q %q "$@"\n' "$library" "$vmm" >"$runner"
chmod 755 "$runner"
vmm=$runner
check "no libvncserver: --display vnc is an error" \
	refused 'libvncserver.so.1 is not installed' --display vnc=5973
check "which names the package" has "$work/refused" libvncserver1
finish
