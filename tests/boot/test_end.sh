#!/bin/bash
# test_end.sh - how vmm ends: its status, its output and its files are given away before KVM has
# taken the machine down, which a second process waits for; and that one never stays.
# shellcheck source=lib.sh
anywhere=yes
. "$(dirname "$0")/lib.sh"

# A copy has a name of its own, by which all its processes are found.
cp "$vmm" "$work/ending"
guest=$(tiny EXIT 7)
hanging=$(tiny SLEEP)
options=(-q --kernel "$guest" -m 32M --cpus 1 --net none --serial stdio)
run_it() {
	timeout 20 "$work/ending" "${options[@]}" "$@" </dev/null 2>"$work/stderr"
}

# all_gone: within 5 seconds there is no process of the copy.
all_gone() {
	local tries
	for ((tries = 0; tries < 50; tries++)); do
		find /proc/[0-9]*/exe -lname "$work/ending" 2>/dev/null | grep -q . || return 0
		sleep 0.1
	done
	find /proc/[0-9]*/exe -lname "$work/ending" 2>/dev/null
	return 1
}

run_it
check "the guest's status arrives" is 7 "$?"
check "nothing stays" all_gone

run_it | cat >"$work/stdout"
check "so through a pipe, whose end is seen" is 7 "${PIPESTATUS[0]}"

truncate -s 1M "$work/disk"
statuses=
for _ in 1 2 3 4 5 6 7 8 9 10; do
	run_it --disk "$work/disk"
	statuses+=$?
done
check "ten times with one disk, which is free again each time" is 7777777777 "$statuses"
check "nothing stays of them" all_gone

timeout --signal=KILL 2 "$work/ending" -q --kernel "$hanging" -m 32M --cpus 1 --net none \
	</dev/null >/dev/null 2>&1
check "nothing stays of one that is killed" all_gone

if unshare --user --map-root-user --pid --fork --mount-proc true 2>/dev/null; then
	timeout 20 unshare --user --map-root-user --pid --fork --mount-proc "$work/ending" \
		"${options[@]}" </dev/null >/dev/null 2>&1
	check "as the first process of a container" is 7 "$?"
else
	skip "as the first process of a container" "no PID namespaces here"
fi

(ulimit -u 1 && run_it) >/dev/null 2>&1
check "nothing stays where no process may be made" all_gone

finish
