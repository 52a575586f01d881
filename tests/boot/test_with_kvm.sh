#!/bin/bash
# test_with_kvm.sh - what scripts/with-kvm promises, tried in about a dozen nested boots.
# Prints "ok - NAME" or "not ok - NAME" and at the end "N passed, N failed". Needs no terminal, no
# root and no vmm; makes one temporary folder and removes it. Takes 40 s of processor time.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
with_kvm=$root/scripts/with-kvm
passed=0 failed=0
work=$(mktemp -d)
mkdir "$work/tmp" "$work/rw dir, one" "$work/plain"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
marker=vmm.test.$$.$RANDOM
printf '%s' "$marker" >"$work/marker"
export TMPDIR=$work/tmp
unset VMM_KVM

# check NAME COMMAND...: ok if the command succeeds.
check() {
	local name=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		printf 'ok - %s\n' "$name"
	else
		failed=$((failed + 1))
		printf 'not ok - %s\n' "$name"
	fi
}

# is WANTED GOT: prints both where they differ.
is() {
	[ "$1" = "$2" ] && return
	printf '#   wanted: %q\n#   got:    %q\n' "$1" "$2"
	return 1
}

has() {
	case $2 in
	*"$1"*) return ;;
	esac
	printf '#   wanted: %q\n#   in:     %q\n' "$1" "$2"
	return 1
}

nested() {
	"$with_kvm" --nested -q --time-limit 120 --append "$marker" "$@"
}

# The same, to be called with & only: $! is then with-kvm itself.
nested_job() {
	exec "$with_kvm" --nested -q --time-limit 120 --append "$marker" "$@"
}

processes_left() {
	grep -laF -f "$work/marker" /proc/[0-9]*/cmdline 2>/dev/null | wc -l
}

# The kernel ends QEMU a moment after its parent.
nothing_is_left() {
	local tries
	for tries in {1..50}; do
		[ "$(processes_left)" -eq 0 ] && return
		sleep 0.1
	done
	printf '#   %s processes left after %s looks\n' "$(processes_left)" "$tries"
	return 1
}

# wait_for FILE TEXT: until the text stands there; 60 seconds at most.
wait_for() {
	for _ in {1..600}; do
		grep -q "$2" "$1" 2>/dev/null && return
		sleep 0.1
	done
	return 1
}

# Nothing is to be expanded in the odd arguments: that is the point.
# shellcheck disable=SC2016
test_streams() {
	local rw="$work/rw dir, one" status
	head -c 20971520 /dev/urandom >"$work/in"
	cat >"$work/probe" <<'END'
printf '%s\0' "$@" >"$out/argv"
printf '%s' "$ODD" >"$out/odd"
pwd >"$out/pwd"
umask >"$out/umask"
echo changed >"$plain/file"
cat "$plain/file" >"$out/seen"
perl -e 'open(K, "+<", "/dev/kvm") && print ioctl(K, 0xae00, 0), " ", ioctl(K, 0xae01, 0) > 2' \
	>"$out/kvm"
[ -c /dev/net/tun ] && [ -d /sys/fs/cgroup ] && [ -w /dev/shm ] && [ -e /dev/pts/ptmx ] &&
	[ -e /proc/self ] && grep -q 00000000000000000000000000000001 /proc/net/if_inet6 && echo all \
	>"$out/devices"
nproc >"$out/nproc"
cat /sys/module/kvm/parameters/tsc_tolerance_ppm >"$out/tolerance"
echo to stderr >&2
cat
exit 255
END
	echo original >"$work/plain/file"
	export out=$rw plain=$work/plain ODD=$'a\nb "c" $d `e` \\ \xff\x01 *'
	(
		cd "$work/plain" && umask 0027 &&
			nested --rw "$rw" --cpus 2 -- sh "$work/probe" 'a  b' '' $'new\nline' '$HOME' "'" $'\xfe' \
				'*' -- <"$work/in" >"$work/out" 2>"$work/err"
	)
	status=$?
	check "exit status 255" is 255 "$status"
	check "20 MiB through standard input and output" cmp "$work/in" "$work/out"
	check "standard error apart" is "to stderr" "$(cat "$work/err")"
	printf '%s\0' 'a  b' '' $'new\nline' '$HOME' "'" $'\xfe' '*' -- >"$work/argv"
	check "arguments whole" cmp "$work/argv" "$rw/argv"
	check "environment whole" is "$ODD" "$(cat "$rw/odd")"
	check "working directory" is "$work/plain" "$(cat "$rw/pwd")"
	check "umask" is 0027 "$(cat "$rw/umask")"
	check "a write elsewhere is seen inside" is changed "$(cat "$rw/seen")"
	check "a write elsewhere does not reach the host" is original "$(cat "$work/plain/file")"
	check "files of the writable folder get the umask" is 640 "$(stat -c %a "$rw/argv")"
	check "/dev/kvm makes a VM" is "12 1" "$(cat "$rw/kvm")"
	check "devices, file systems and loopback" is all "$(cat "$rw/devices")"
	check "KVM takes the guest's TSC rate as it is" is 100000 "$(cat "$rw/tolerance")"
	check "--cpus" is 2 "$(cat "$rw/nproc")"
}

# Two at a time: that two nested hosts do not disturb each other is tested on the way.
test_statuses() {
	local first second status text
	nested_job true &
	first=$!
	nested_job sh -c 'exit 7' &
	second=$!
	wait "$first"
	check "exit status 0" is 0 $?
	wait "$second"
	check "exit status 7, at the same time" is 7 $?
	nested_job sh -c 'kill -KILL $$' &
	first=$!
	text=$(nested nosuchcommand 2>&1)
	status=$?
	check "no such command: 127" is 127 "$status"
	check "no such command: sentence" is \
		"with-kvm: nosuchcommand: No such file or directory" "$text"
	wait "$first"
	check "killed by a signal: 128 + 9" is 137 $?
	nested_job /etc/passwd 2>/dev/null &
	first=$!
	# From a folder that everybody may enter: this one may lie in somebody's home.
	text=$(cd / && nested --user 4242 -- sh -c 'id -u; id -g; [ -w /etc/passwd ] || echo no')
	check "--user" is "4242 4242 no" "${text//$'\n'/ }"
	wait "$first"
	check "not a program: 126" is 126 $?
}

test_ends() {
	local status text pid lines
	text=$(nested --time-limit 4 -- sleep 100 2>&1)
	status=$?
	check "time limit: 124" is 124 "$status"
	check "time limit: sentence" has "stalled: the time limit of 4 s is over" "$text"
	check "time limit: no process left" nothing_is_left

	nested_job -- sh -c 'trap "echo asked; exit 3" TERM; echo ready; while :; do sleep 0.1; done' \
		>"$work/out" 2>&1 &
	pid=$!
	wait_for "$work/out" ready
	kill "$pid"
	wait "$pid"
	check "SIGTERM: the command may end itself" is 3 $?
	check "SIGTERM: it was told" has asked "$(cat "$work/out")"
	check "SIGTERM: no process left" nothing_is_left

	nested_job -- sh -c 'trap "" TERM; echo deaf; sleep 100' >"$work/out" 2>&1 &
	pid=$!
	wait_for "$work/out" deaf
	kill "$pid"
	sleep 0.2
	kill "$pid"
	wait "$pid"
	check "SIGTERM twice ends all" is 143 $?
	check "SIGTERM twice: no process left" nothing_is_left

	nested_job -- sh -c 'echo there; sleep 100' >"$work/out" 2>&1 &
	pid=$!
	wait_for "$work/out" there
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	check "kill -9: no process left" nothing_is_left

	lines=$(nested yes 2>/dev/null | head -n 2)
	check "a reader that goes away" is "y y" "${lines//$'\n'/ }"
	check "a reader that goes away: no process left" nothing_is_left
}

test_bad_start() {
	local status text
	text=$(nested --append "rdinit=/nosuch root=nosuch $marker" true 2>&1)
	status=$?
	check "a nested host that dies: 125" is 125 "$status"
	check "a nested host that dies: tried again" has "died while starting; trying once more" "$text"
	check "a nested host that dies: its log" has "Kernel panic" "$text"
	text=$(nested --up-limit 1 --append "initcall_debug ignore_loglevel $marker" true 2>&1)
	status=$?
	check "a nested host that does not come up: 125" is 125 "$status"
	check "a nested host that does not come up: sentence" has "did not come up in time, twice" \
		"$text"
	check "bad starts: no process left" nothing_is_left
}

test_terminal() {
	local text
	# Control-A must reach the command, and so must the size.
	text=$({
		wait_for "$work/typed" ready
		sleep 0.3
		printf '\001'
		sleep 2
	} | script -qec "stty rows 33 columns 101; $with_kvm --nested -q --append $marker -- sh -c '
		stty size; tty >/dev/null && echo is a tty; stty -icanon -echo
		echo ready; dd bs=1 count=1 2>/dev/null | od -An -tx1; exit 42'" "$work/typed")
	check "terminal: exit status" is 42 $?
	text=$(tr -d '\r' <"$work/typed")
	check "terminal: its size" has "33 101" "$text"
	check "terminal: is one" has "is a tty" "$text"
	check "terminal: Control-A comes through" has " 01" "$text"
}

# refused NAME TEXT OPTION...: status 125 and a sentence with this text.
refused() {
	local name=$1 wanted=$2 text status
	shift 2
	text=$("$with_kvm" "$@" 2>&1)
	status=$?
	check "refused: $name: 125" is 125 "$status"
	check "refused: $name: sentence" has "$wanted" "$text"
}

test_options() {
	refused "unknown option" "unknown option --nosuch" --nosuch true
	refused "no command" "no command given" --nested
	refused "missing value" "--cpus needs a value" --cpus
	refused "absurd cpus" "--cpus 99" --cpus 99 true
	refused "absurd memory" "--memory" --memory 12Q true
	refused "little memory" "256 MiB" --memory=1 true
	refused "absurd time" "--time-limit soon" --time-limit soon true
	refused "unknown user" "no such user" --nested --user no.such.user true
	refused "no such folder" "no such folder" --nested --rw "$work/nosuch" true
	VMM_KVM=maybe refused "VMM_KVM" "VMM_KVM=maybe" true
	check "--help" has "Exit status:" "$("$with_kvm" --help)"
	check "direct: runs here" is "$(uname -r)" "$("$with_kvm" -q --direct -- uname -r)"
	check "direct: says so" has "running on this host: --direct" "$("$with_kvm" --direct true 2>&1)"
	"$with_kvm" -q --direct -- sh -c 'exit 9'
	check "direct: exit status" is 9 $?
	"$with_kvm" -q --direct --time-limit 1 -- sleep 100 2>/dev/null
	check "direct: time limit" is 124 $?
}

"$with_kvm" --prepare || exit 1
test_options
test_streams
test_statuses
test_ends
test_bad_start
test_terminal
check "no temporary files left" is "" "$(ls -A "$work/tmp")"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
