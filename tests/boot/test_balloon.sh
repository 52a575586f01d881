#!/bin/bash
# test_balloon.sh - the guest's memory goes back to the host: what it frees by itself, and what it
# is asked for; in need it takes more. The figures are printed. The random numbers are looked at as well.
# FILL_MIB is how much the guest fills and frees; up to 700.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

fill_mib=${FILL_MIB:-256}

# held: MiB of guest memory that the host holds: almost all of the process's anonymous memory.
held() {
	awk '/^RssAnon:/ { print int($2 / 1024) }' "/proc/$guest/status"
}

is_on_side() {
	case $1 in
	less) [ "$got" -lt "$2" ] ;;
	more) [ "$got" -gt "$2" ] ;;
	esac
}

# holds less|more MIB: waits for it. $got is the last figure, $took_s how long it took.
holds() {
	local start=$SECONDS
	until got=$(held) && is_on_side "$@"; do
		[ $((SECONDS - start)) -lt "$patience_s" ] || {
			echo "#   the host holds $got MiB, wanted: $1 than $2"
			return 1
		}
		sleep 0.2
	done
	took_s=$((SECONDS - start))
}

# guest_mib NAME: sets $mib from the guest's /proc/meminfo.
guest_mib() {
	send "awk '/^$1:/ { print \"mib\", int(\$2 / 1024) }' /proc/meminfo"
	expect_line '^mib [0-9]+' && mib=${matched#mib }
}

# fill MIB: a file of that size in the guest's memory.
fill() {
	send "dd if=/dev/zero of=/tmp/fill bs=1M count=$1; echo \"filled \$?\""
	expect_line '^filled [0-9]+' && is 'filled 0' "$matched"
}

# say TEXT: with what the host holds.
say() {
	echo "#   $1: the host holds $(held) MiB, RSS is $(awk '/^VmRSS/ { print int($2 / 1024) }' \
		/proc/"$guest"/status) MiB"
}

# ---- Free pages ----

start_guest '' --cpus 1 -m 1G
expect "$prompt"
send 'cat /sys/class/misc/hw_random/rng_current; head -c 5000 /dev/hwrng | wc -c'
check "the guest has the host's random numbers" expect '^virtio_rng'
check "and reads them" expect '^5000$'
send 'mount -t tmpfs -o size=900M none /tmp'
# Free pages are told of two seconds after they became free.
sleep 3
before=$(held)
say 'before'
check "the host holds little of a guest that does little" [ "$before" -lt 300 ]
check "the guest fills $fill_mib MiB" fill "$fill_mib"
check "which the host then holds" holds more $((before + fill_mib * 15 / 16))
say 'filled'
send 'rm /tmp/fill'
# What is left lies in pieces smaller than the 2 MiB that Linux reports.
check "most of what it frees goes back to the host" holds less $((before + fill_mib / 4))
say "freed, after $took_s s"
send 'poweroff'
check "it powers off" ends_with 0
check "without a word about the devices" is 0 "$(grep -c virtio- "$errors")"

# ---- The balloon ----

# gives_up MIB: waits until the guest has no more than that free.
gives_up() {
	local start=$SECONDS
	while guest_mib MemFree && [ "$mib" -gt "$1" ]; do
		[ $((SECONDS - start)) -lt "$patience_s" ] || return 1
		sleep 0.5
	done
	took_s=$((SECONDS - start))
}

start_guest '' --cpus 1 -m 512M --balloon 448M
expect "$prompt"
check "a guest gives up what it is asked for at its start" gives_up 400
echo "#   after $took_s s: the guest has $mib MiB free of 512"
say 'asked to keep 448 MiB'
send 'mount -t tmpfs -o size=450M none /tmp'
check "in need it takes memory back" fill 400
send 'dmesg | grep -c "Out of memory: Killed"'
check "and nothing is killed for it" expect '^0'
say 'filled with 400 MiB'
send 'poweroff'
check "it powers off" ends_with 0
check "without a word about the devices" is 0 "$(grep -c virtio- "$errors")"
finish
