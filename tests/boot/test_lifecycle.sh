#!/bin/bash
# test_lifecycle.sh - how a machine ends, and that it ends with the status that --help promises:
# power-off, reboot, panic, crash, debug-exit, time limit, signals.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# start_tiny OPTION... -- ACTION [VALUE]
start_tiny() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	start_vmm --kernel "$(tiny "$@")" -m 32M --cpus 1 "${options[@]}"
}

# start_deaf OPTION...: a guest that sleeps and does not hear the power button; returns when it runs.
start_deaf() {
	start_tiny "$@" -- SLEEP
	sleep 1
}

# errors_have TEXT...
errors_have() {
	local text
	for text; do
		has "$errors" "$text" || return 1
	done
}

# ---- Machines without Linux ----

for value in 0 1 42 255; do
	start_tiny -- EXIT "$value"
	check "the debug-exit port: status $value" ends_with "$value"
done

start_tiny -- CRASH
check "a triple fault" ends_with 33
check "its sentence" errors_have "triple fault"
check "the dump: registers, code, page walk, last exits" \
	errors_have 0000000012345678 'Code' 'Page walk' 'Last exits'

start_tiny --no-reboot -- RESET
check "a reset with --no-reboot" ends_with 32
start_tiny --timeout 2 -- RESET
check "resets without end, and a time limit" ends_with 36
resets=$(tr -cd R <"$console" | wc -c)
check "the machine came back each time ($resets times)" test "$resets" -gt 1
check "and few lines tell of it" test "$(wc -l <"$errors")" -lt 30

start_tiny --timeout 1 -- SLEEP
check "a time limit" ends_with 36
check "its sentence" errors_have "time limit of 1 seconds"
start_tiny --timeout 1 -- SPIN
check "a time limit for a guest that never leaves its code" ends_with 36

start_deaf --grace 1
kill -TERM "$guest"
check "SIGTERM, and the guest does not listen" ends_with 143 20
check "its sentences" errors_have "power button" "did not power off in time"
start_deaf --grace 60
kill -INT "$guest"
sleep 0.5
check "the first SIGINT is polite" is_running
kill -INT "$guest"
check "the second is not" ends_with 130 20
start_deaf
kill -HUP "$guest"
kill -TERM "$guest"
check "two signals of different kinds" ends_with 143 20
start_deaf
kill -QUIT "$guest"
check "SIGQUIT" ends_with 131 20

# ---- Linux: reboot and power-off ----

start_guest '' --cpus 2
expect "$prompt"
send 'echo before >/root/mark; sync; reboot'
check "reboot: the kernel says so" expect 'reboot: Restarting system'
check "a second prompt from the same process" expect "$prompt"
send 'cat /root/mark; cut -d. -f1 /proc/uptime; nproc'
check "the disk kept what was written" expect '^before$'
check "the kernel has started anew" expect '^[0-9]{1,3}$'
check "all CPUs are back" expect '^2$'
expect "$prompt"
send 'reboot -f'
check "reboot -f: a third prompt" expect "$prompt"
kill -TERM "$guest"
check "SIGTERM: the guest's kernel hears the power button" expect 'reboot: Power down'
check "and powers off" ends_with 0

# ---- Linux: panic ----

start_guest 'panic=0'
expect "$prompt"
send 'echo c >/proc/sysrq-trigger'
check "a panic of a kernel that stands still then: told by its device" ends_with 34
check "its sentence" errors_have "the guest's kernel panicked: sysrq triggered crash"

start_guest 'root=/dev/vdx'
check "a root that is not there, a panic and a reset" ends_with 34
check "its sentence and hint" errors_have "panicked: Attempted to kill init" "the guest's first program"
check "the initramfs said why" has "$console" "root=/dev/vdx"

initrd=''
start_guest ''
check "a stock kernel without its initrd" ends_with 34
check "its sentence and hint" errors_have "Unable to mount root fs" "--initrd"
finish
