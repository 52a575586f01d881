#!/bin/bash
# test_watchdog.sh - what the watchdog says of guests of a few instructions, each of which is made to
# provoke one diagnosis; and that it says nothing of those that are well. Runs on any KVM.
# shellcheck source=lib.sh
anywhere=yes
. "$(dirname "$0")/lib.sh"

if ! { : <>/dev/kvm; } 2>/dev/null; then
	skip "the watchdog" "/dev/kvm can't be opened"
	finish
fi

# start_watched ACTION OPTION...
start_watched() {
	local action=$1
	shift
	start_vmm --kernel "$(tiny "$action" "${value:-0}")" -m 32M --cpus "${cpus:-1}" --watchdog 0.5 \
		--net none "$@"
}

# says TEXT...: the watchdog has said all that, within the limit; then the guest is ended.
says() {
	local text deadline=$((SECONDS + patience_s))
	for text; do
		until grep -qaF -- "$text" "$errors" 2>/dev/null; do
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

# says_nothing: in the time of several silences, though the guest is looked at (--verbose).
says_nothing() {
	local looks=0 deadline=$((SECONDS + patience_s))
	while [ "${looks:-0}" -lt 2 ] && [ "$SECONDS" -lt "$deadline" ]; do
		sleep 0.1
		looks=$(grep -cs 'all is well' "$errors")
	done
	end_guest
	has "$errors" 'all is well' && ! grep -a 'silent for' "$errors"
}

# A guest on a terminal is the last to be looked at: it takes ten seconds.
terminal_pid=''
if command -v script >/dev/null; then
	timeout 60 script -qec "$vmm --kernel $(tiny SLEEP) -m 32M --cpus 1 --net none --timeout 11 \
		--name terminal" /dev/null >"$work/terminal" </dev/null &
	terminal_pid=$!
	all_pids+=("$terminal_pid")
fi

# ---- What is wrong ----

start_watched SLEEP
check "halted with interrupts off" says "silent for 0.5 seconds: halted with interrupts off" \
	"(start+0x2)" "sti"
cpus=2 start_watched SLEEP
check "the same, with a processor that was never started" says "every processor that was started"
start_watched SPIN
check "spinning with interrupts off" says "spinning: CPU 0 goes round at RIP 0x100000 (start+0x0)" \
	"interrupts off"
start_watched SPIN_OPEN
check "spinning with interrupts on" says "spinning: CPU 0" "interrupts on" "an endless loop"
start_watched STORM
check "a loop on a port without a device" says "CPU 0 reads port 0x1234 over and over" \
	"there is no device"
start_watched AT_E9 --debugcon "file:$work/e9"
check "a guest that prints elsewhere" says "has printed 1 byte, but to port 0xe9"
start_watched CRASH
check "a triple fault: where, and what to do" ends_with 33
check "its symbol" has "$errors" "RIP is in start+0xe"
check "its advice" has "$errors" "IDT"

symbols=$work/System.map
printf '%s\n' '00000000000ffff0 T before' '0000000000100000 t my_loop' '0000000000100010 T after' \
	>"$symbols"
start_watched SPIN --symbols "$symbols"
check "names from a System.map" says "my_loop+0x0"

kernel=$guests/default/vmlinuz-cloud
if grep -qwE 'svm|vmx' /proc/cpuinfo; then
	skip "a KVM that interprets" "this one has hardware virtualization"
elif [ ! -e "$kernel" ]; then
	skip "a KVM that interprets" "there is no ${kernel#"$top/"} (make guest-default)"
else
	start_vmm --kernel "$kernel" -m 256M --cpus 1 --watchdog 1 --net none
	check "a KVM that interprets" says "interprets the guest" "vmm doctor"
fi

# ---- What is not ----

for action in IDLE COMPUTE ECHO; do
	start_watched "$action" --verbose
	check "a guest that is well: $action" says_nothing
done
value=1 start_watched COMPUTE --verbose
check "a guest that is well: COMPUTE with interrupts on" says_nothing
start_vmm --kernel "$(tiny SLEEP)" -m 32M --cpus 1 --net none
sleep 1
check "no watchdog without a terminal" is "" "$(grep -a 'silent' "$errors")"
end_guest

# ---- Once, and its ends ----

start_watched SPIN --timeout 2
check "a time limit" ends_with 36
check "the watchdog spoke once" is 1 "$(grep -c 'silent for' "$errors")"
check "the limit says what the guest was doing" \
	grep -q 'what it was doing: spinning: CPU 0' "$errors"
start_vmm --kernel "$(tiny IDLE)" -m 32M --cpus 2 --net none --timeout 1
check "a time limit for an idle guest" ends_with 36
check "it was idle" has "$errors" "it was idle: its processors slept, with interrupts on"
start_vmm --kernel "$(tiny SPIN)" -m 32M --cpus 1 --net none --watchdog 0.5,exit
check "--watchdog N,exit: status 37" ends_with 37
check "its sentence" has "$errors" "the guest hangs; it is ended"
start_vmm --kernel "$(tiny IDLE)" -m 32M --cpus 1 --net none --watchdog 0.2,exit --timeout 2
check "but not of a guest that is idle" ends_with 36

# ---- Beside a person ----

if [ "$terminal_pid" ]; then
	wait "$terminal_pid"
	check "on a terminal it speaks after ten seconds, unasked" \
		has "$work/terminal" "silent for 10 seconds: halted"
else
	skip "on a terminal it speaks after ten seconds, unasked" "there is no script(1)"
fi
finish
