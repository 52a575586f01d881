#!/bin/bash
# test_stat.sh - vmm stat and vmm top: counters of running machines that move as the guests do, on a
# pipe and on a terminal, which is as it was on every way out. Runs on any KVM.
# shellcheck source=lib.sh
anywhere=yes
. "$(dirname "$0")/lib.sh"

if ! { : <>/dev/kvm; } 2>/dev/null; then
	skip "vmm stat and vmm top" "/dev/kvm can't be opened"
	finish
fi

# start_small NAME ACTION OPTION...: returns when it answers.
start_small() {
	local name=$1 action=$2
	shift 2
	"$vmm" -q --kernel "$(tiny "$action")" -m 32M --name "$name" --serial null "$@" \
		</dev/null >/dev/null 2>&1 &
	all_pids+=("$!")
	small=$!
	until "$vmm" status "$name" >/dev/null 2>&1; do
		kill -0 "$small" 2>/dev/null || exit 1
		sleep 0.1
	done
}

# value KEY: from the latest answer.
value() {
	sed -n "s/^$1=//p" "$work/stat"
}

# is_at_least WANTED KEY
is_at_least() {
	local got
	got=$(value "$2")
	[ "${got:-0}" -ge "$1" ] && return
	printf '#   %s is %s, not %s or more\n' "$2" "${got:-missing}" "$1"
	return 1
}

truncate -s 1M "$work/disk.img"
start_small web ECHO --cpus 2 --disk "$work/disk.img" --net user
start_small idle IDLE --cpus 1 --net none
sleep 0.5

# ---- stat ----

check "vmm stat" succeeds "$vmm" stat web
"$vmm" stat web >"$work/stat"
check "its form" is "" "$(grep -Ev '^[a-z0-9._-]+=[A-Za-z0-9._-]+$' "$work/stat")"
check "the name" is web "$(value name)"
check "two processors" is 2 "$(value cpus)"
check "memory of the process" is_at_least 1000000 rss
check "the guest's port reads" is_at_least 100 cpu.0.port_reads
check "the processor's time" is_at_least 1000000 cpu.0.run_ns
check "one that was never started" is 0 "$(value cpu.1.port_reads)"
check "a disk" is 0 "$(value disk.vda.read_bytes)"
check "a card" is 0 "$(value nic.0.sent_frames)"
if grep -q kvm_exits "$work/stat"; then
	check "KVM's own counters" is_at_least 100 cpu.0.kvm_exits
else
	skip "KVM's own counters" "this kernel's KVM has none"
fi
before=$(value cpu.0.port_reads)
sleep 0.2
"$vmm" stat web >"$work/stat"
check "counters grow" is_at_least $((before + 1)) cpu.0.port_reads
if command -v python3 >/dev/null; then
	"$vmm" stat web --json >"$work/json"
	check "JSON" is "2 0" "$(python3 -c '
import json, sys
all = json.load(open(sys.argv[1]))
print(len(all["cpu"]), all["disk"]["vda"]["reads"])' "$work/json")"
else
	skip "JSON" "there is no python3"
fi
start_small many IDLE --cpus 60 --net none
"$vmm" stat many >"$work/stat"
check "more processors than one answer holds" is 60 "$(grep -c '^cpu\.[0-9]*\.run_ns=' "$work/stat")"
"$vmm" kill many

# A machine that stands still answers as well.
"$vmm" pause web
"$vmm" stat web >"$work/stat"
check "a paused machine" is paused "$(value state)"
"$vmm" resume web

# ---- top ----

"$vmm" top -d 0.2 -n 3 >"$work/top"
check "three pictures in a pipe" is 3 "$(grep -c '^vmm top' "$work/top")"
check "both machines" is 3 "$(grep -c '^idle  running' "$work/top")"
check "no control characters" is "" "$(tr -d '\n -~' <"$work/top")"
check "no line is wider than 80" is "" "$(grep -E '.{81}' "$work/top")"
"$vmm" top -n 1 idle >"$work/top"
check "only those that are named" is 0 "$(grep -c '^web' "$work/top")"
check "a sleeping processor" grep -Eq '^  0 +[0-9.]+ +[0-9.]+ +(9[0-9]|100)' "$work/top"
"$vmm" top -d 0.1 -n 100 >/dev/full 2>"$work/full"
check "a full disk" is 1 $?

if command -v script >/dev/null; then
	# on_terminal INPUT COMMAND: the terminal's settings before and after, and what was shown.
	on_terminal() {
		rm -f "$work/after"
		(
			sleep 0.7
			printf '%s' "$1"
			sleep 0.5
		) | TERM=xterm timeout 30 script -qec "trap : INT; stty -a >$work/before; $2; echo status \$?;
			stty -a >$work/after" /dev/null >"$work/shown" 2>&1
		cmp -s "$work/before" "$work/after"
	}
	check "q ends it, and the terminal is as before" on_terminal q "$vmm top -d 20"
	check "its status" grep -q 'status 0' "$work/shown"
	check "it had the screen and gave it back" grep -qa '1049h' "$work/shown"
	check "the picture was there" grep -qa 'web  running' "$work/shown"
	check "the last word is the other screen" grep -qa '1049l' "$work/shown"
	check "Ctrl-C ends it, and the terminal is as before" on_terminal $'\003' "$vmm top -d 20"
	check "its status" grep -q 'status 130' "$work/shown"
	check "a signal ends it, and the terminal is as before" \
		on_terminal '' "timeout --foreground -s TERM 0.5 $vmm top -d 20"
	check "no screen for a dumb terminal" on_terminal '' "TERM=dumb $vmm top -d 0.1 -n 2"
	check "nothing but text then" is 0 "$(grep -c $'\033' "$work/shown")"
else
	skip "vmm top on a terminal" "there is no script(1)"
fi

"$vmm" top -d 0.1 idle >"$work/top" &
top_pid=$!
all_pids+=("$top_pid")
sleep 0.5
"$vmm" kill idle
check "it ends with the machine it watches" timeout 20 tail --pid="$top_pid" -f /dev/null
finish
