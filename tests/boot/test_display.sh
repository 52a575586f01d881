#!/bin/bash
# test_display.sh - the guest's screen without anybody who looks (--display none): stock kernels
# print on it with no word of theirs, a picture of it has every pixel that the guest drew, and it
# lives through pauses and resets.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# shot FILE: a picture of the guest, as PNG and as PPM.
shot() {
	succeeds "$vmm" screenshot screen "$work/$1.png" &&
		pngtopnm "$work/$1.png" >"$work/$1.ppm" 2>/dev/null
}

size_of() {
	pnmfile "$work/$1.ppm" 2>/dev/null | sed -n 's/.*raw, \([0-9]*\) by \([0-9]*\) .*/\1x\2/p'
}

# How many colours there are: one says that the screen is empty.
colours_of() {
	ppmhist -noheader "$work/$1.ppm" 2>/dev/null | wc -l
}

is_drawn() {
	shot "$1" && [ "$(colours_of "$1")" -gt 1 ] && return
	echo "#   the screen is empty"
	return 1
}

differ() {
	! cmp -s "$work/$1.ppm" "$work/$2.ppm"
}

# The guest fills its screen with a pattern that repeats after a prime number of pixels, and
# says how many bytes it wrote; the same is made here.
pattern='for (i = 0; i < 997; i++) printf("%c%c%c%c", i % 251 + 1, i % 127 + 1, i % 83 + 1, 0)'
send_pattern() {
	send "awk 'BEGIN { $pattern }' >p; for i in 1 2 3 4 5 6 7 8 9; do cat p p p p p p p p p p >q; \
mv q p; [ \$(wc -c <p) -gt 4000000 ] && break; done; dd if=p of=/dev/fb0 bs=4096 2>/dev/null; \
echo pattern is drawn"
}

# is_pattern FILE WIDTH HEIGHT: what the guest wrote, blue first, is what the picture has, red first.
is_pattern() {
	awk -v pixels=$(($2 * $3)) -v size="$2 $3" 'BEGIN {
		printf("P3 %s 255\n", size)
		for (n = 0; n < pixels; n++) {
			i = n % 997
			print i % 83 + 1, i % 127 + 1, i % 251 + 1
		}
	}' | pnmtopnm >"$work/wanted.ppm" && cmp "$work/wanted.ppm" "$work/$1.ppm"
}

# ---- Debian's cloud kernel: bzImage, unpacked here ----

start_guest '' --display none,800x600 --name screen
check "the cloud kernel starts" expect "$prompt"
check "its text is on the screen" is_drawn first
check "the screen has the size that was asked for" is 800x600 "$(size_of first)"
send 'cat /sys/class/graphics/fb0/name; cat /proc/consoles; cat /proc/iomem | grep -i fb'
check "by the EFI framebuffer's driver" expect '^EFI VGA'
check "tty0 is a console, ttyS0 is /dev/console" expect '^ttyS0 .*C'
check "the memory is where it is meant to be" expect '^c0000000-c01d4fff : efifb'
# A cursor would blink in between.
send 'echo 0 >/sys/class/graphics/fbcon/cursor_blink; echo still; sleep 1; echo quiet'
expect '^quiet'
shot before
send 'echo hello from the shell >/dev/tty1; echo said'
expect '^said'
shot after
check "what is printed on tty1 is seen" differ before after
shot again
check "an idle screen stays as it is" cmp "$work/after.ppm" "$work/again.ppm"
send_pattern
check "a program fills the screen" expect '^pattern is drawn'
shot pattern
check "the picture has exactly its pixels" is_pattern pattern 800 600
check "a paused machine" succeeds "$vmm" pause screen
shot paused
check "shows the same" cmp "$work/pattern.ppm" "$work/paused.ppm"
check "it goes on" succeeds "$vmm" resume screen
"$vmm" screenshot screen - >"$work/stdout.png"
check "on standard output it is the same file" cmp "$work/stdout.png" "$work/paused.png"
"$vmm" screenshot screen "$work/none/x.png" 2>"$work/none.err"
check "a folder that is not there is told of" is 1 $?
send 'reboot -f'
expect 'Restarting system'
check "after a reset it starts again" expect "$prompt"
shot fresh
check "on a fresh screen" differ fresh pattern
check "with text on it" is_drawn fresh
send 'poweroff -f'
check "it powers off" ends_with 0

# ---- Debian's amd64 kernel: it unpacks itself ----

kernel=$guests/default/vmlinuz-amd64 initrd=$guests/default/initrd-amd64.img
start_guest '' --display none --name screen --no-unpack
check "the amd64 kernel starts" expect "$prompt"
check "its text is on the screen" is_drawn amd64
check "the screen has the usual size" is 1024x768 "$(size_of amd64)"
send 'cat /sys/class/graphics/fb0/name'
check "by the EFI framebuffer's driver" expect '^EFI VGA'
end_guest

# ---- Our own kernel as unpacked vmlinux, which has a PVH entry: that knows no screens ----

if [ -x "$guests/linux/vmlinux" ]; then
	kernel=$guests/linux/vmlinux initrd=''
	start_guest '' --display none,1280x800 --name screen
	check "our own kernel starts" expect "$prompt"
	check "its text is on the screen" is_drawn own
	check "the screen has the size that was asked for" is 1280x800 "$(size_of own)"
	send 'cat /sys/class/graphics/fb0/name'
	check "by simplefb" expect '^simple'
	end_guest
else
	skip "our own kernel" "it is not built (make guest-linux)"
fi

# ---- Without a screen ----

start_vmm --kernel "$(tiny SLEEP)" -m 32M --serial none --name dark
sleep 1
"$vmm" screenshot dark "$work/dark.png" 2>"$work/dark.err"
check "a machine without a screen has no picture" is 6 $?
check "and says how to get one" has "$work/dark.err" '--display'
check "no file was made" test ! -e "$work/dark.png"
check "nothing of a window is loaded" is 0 \
	"$(grep -ciE 'SDL|vnc|libz|X11|wayland' "/proc/$guest/maps")"
end_guest

# ---- A window that nobody asked for: on a desktop, without a terminal, with no word of consoles ----

# start_on DISPLAY OPTION...
start_on() {
	local display=$1
	shift
	DISPLAY=$display start_vmm --kernel "$(tiny SLEEP)" -m 32M --cpus 1 --net none --name desk -v "$@"
	for _ in $(seq 100); do
		"$vmm" status desk >/dev/null 2>&1 && break
		sleep 0.1
	done
}

has_screen() {
	"$vmm" screenshot desk "$work/desk.png" 2>/dev/null
}

words='cryptomgr.notests pci=off pmtmr=0'
words+=' initcall_blacklist=ftrace_check_for_weak_functions,pci_arch_init'
words+=' tsc=nowatchdog nox2apic sysctl.vm.compaction_proactiveness=0 rcupdate.rcu_expedited=1'

# A server that is not there would be waited for by nobody.
start_on :5432
check "without the desktop's server the machine starts" is_running
check "there is no window" has "$errors" 'there is no window'
check "and no screen" is 6 "$(has_screen; echo $?)"
check "nor a word of one for the kernel" is "console=ttyS0 panic=-1 $words" \
	"$(sed -n 's/.*kernel command line: //p' "$errors" | tail -n 1)"
end_guest

if command -v Xvfb >/dev/null; then
	mkfifo "$work/number"
	Xvfb -displayfd 3 -screen 0 1280x1024x24 -nolisten tcp 3>"$work/number" >/dev/null 2>&1 &
	all_pids+=("$!")
	read -r number <"$work/number"
	start_on ":$number"
	check "on a desktop a window opens" grep -q libSDL2 "/proc/$guest/maps"
	check "with a screen" has_screen
	check "to which the kernel prints, and from which it reads" \
		is "console=ttyS0 console=tty0 panic=-1 $words" \
		"$(sed -n 's/.*kernel command line: //p' "$errors" | tail -n 1)"
	end_guest
	start_on ":$number" --serial null
	check "who says something of consoles gets none" is 0 \
		"$(grep -c libSDL2 "/proc/$guest/maps")"
	end_guest
else
	skip "a window that nobody asked for" "Xvfb is not here"
fi
finish
