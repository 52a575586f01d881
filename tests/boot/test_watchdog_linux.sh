#!/bin/bash
# test_watchdog_linux.sh - what the watchdog says of Linux guests: a root that never comes, wrong
# consoles, a panic that nothing else tells of; and that it says nothing of a shell at its prompt, of
# programs that compute, and of a kernel that polls instead of sleeping.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# says TEXT...: the watchdog has said all that, within the limit; then the guest is ended.
says() {
	local text deadline=$((SECONDS + patience_s))
	for text; do
		until grep -qasF -- "$text" "$errors"; do
			if [ "$SECONDS" -ge "$deadline" ] || ! is_running; then
				has "$errors" "$text"
				end_guest
				return 1
			fi
			sleep 0.1
		done
	done
	end_guest
}

# stays_quiet: in the time of two more looks that find all well.
stays_quiet() {
	local before deadline=$((SECONDS + patience_s))
	before=$(grep -ca 'all is well' "$errors")
	until [ "$(grep -ca 'all is well' "$errors")" -ge $((before + 2)) ]; do
		[ "$SECONDS" -lt "$deadline" ] || break
		sleep 0.1
	done
	has "$errors" 'all is well' && ! grep -a 'silent for' "$errors"
}

# ---- Well ----

micro=$guests/micro/vmlinux
# start_shell WORDS OPTION...: to the prompt, with the kernel that starts faster.
start_shell() {
	local words=$1
	shift
	if [ -e "$micro" ]; then
		start_vmm --machine micro --kernel "$micro" --append "quiet $words" \
			--disk "$root,ephemeral" --verbose --watchdog 0.7 "$@"
	else
		start_guest "$words" --verbose --watchdog 0.7 "$@"
	fi
	expect "$prompt"
	# A slow host may have been silent for longer on the way here, with the right words for it.
	: >"$errors"
}

start_shell '' --cpus 2
check "a shell at its prompt" stays_quiet
send 'while :; do :; done'
check "a program that computes" stays_quiet
end_guest

start_shell 'idle=poll' --cpus 1
check "a kernel that polls instead of sleeping" stays_quiet
send 'halt -f'
check "a guest that was halted" says "silent for 0.7 seconds: " "halted "

# ---- The root file system ----

full_initrd=$initrd initrd=''
start_guest 'root=/dev/vda rootwait' --cpus 1 --watchdog 2
check "a root whose disk has no driver: the options by name" \
	says "waits for its root file system" "the disk vda has no driver" \
	"CONFIG_VIRTIO_MMIO and CONFIG_VIRTIO_BLK"
start_guest 'root=/dev/sda rootwait' --cpus 1 --watchdog 2 --console hvc0
check "a console whose driver is missing" says "nothing to hvc0" "CONFIG_VIRTIO_CONSOLE"
initrd=$full_initrd

if [ -e "$micro" ]; then
	start_vmm --machine micro --kernel "$micro" --append 'quiet root=/dev/vdb rootwait' \
		--disk "$root,ephemeral" --cpus 1 --watchdog 2
	check "a root on a disk that is not there" says "root=/dev/vdb is a disk that the machine does not have: it has 1"
	start_vmm --machine micro --kernel "$micro" --append 'panic=0' --cpus 1 --watchdog 2
	check "a panic that nothing else tells of" says "the guest's kernel panicked: VFS: Unable to mount root fs" \
		"add --disk FILE or --initrd FILE"
else
	skip "a root on a disk that is not there" "there is no ${micro#"$top/"} (make guest-micro)"
fi

# ---- Consoles ----

start_guest 'console=ttyS1' --cpus 1 --watchdog 3
check "console= names none that is there" says "prints to console=ttyS1, which is not shown (shown: ttyS0)"
finish
