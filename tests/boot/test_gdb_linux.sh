#!/bin/bash
# test_gdb_linux.sh - gdb at a stock kernel that runs on two processors: it is looked at, stepped and
# left, and has noticed nothing.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

command -v gdb >/dev/null || {
	skip gdb 'there is no gdb (make packages)'
	finish
}
start_guest '' --cpus 2 --gdb=unix:"$work/gdb.socket"
expect "$prompt"

# debug: gdb with the commands of standard input.
debug() {
	{
		printf 'set pagination off\nset width 0\ntarget remote %s\n' "$work/gdb.socket"
		cat
	} >"$work/commands"
	timeout -k 5 "$patience_s" gdb -q -nx -batch -x "$work/commands" >"$work/said" 2>&1
}

# says NAME PATTERN...
says() {
	local name=$1 pattern
	shift
	for pattern in "$@"; do
		grep -qE -- "$pattern" "$work/said" && continue
		not_ok "$name"
		printf '#   gdb did not say: %s\n' "$pattern"
		sed 's/^/#   gdb: /' "$work/said"
		return 1
	done
	ok "$name"
}

debug <<'END'
info threads
x/i $lstar
monitor walk $lstar
info registers efer cr0
p $cr3 != 0
thread 2
set $before = $pc
stepi
stepi
stepi
p $pc != $before
monitor exits
detach
END
says "two processors in the kernel" 'Thread 1 "CPU 0" \(64-bit code' 'Thread 2 "CPU 1" \(64-bit code'
says "the entry of system calls" '=> 0xffffffff|0xffffffff[0-9a-f]+:.*swapgs' \
	'\(4-level paging\)' 'leads to guest-physical' 'SCE LME LMA NXE' 'PE .* PG'
# A step out of a halt may end with the interrupt that ends the halt.
says "the second processor steps" '^.1 = 1' '^.2 = 1' '^debug stop +[1-9]'
send "echo alive-\$((6*7))"
check "the guest has gone on" expect '^alive-42'

# A gdb that looks for a while: no watchdog of the kernel's complains.
debug <<'END'
shell sleep 3
x/16gx $rsp
END
send 'dmesg | grep -ciE "stall|lockup|hung|clocksource.*unstable"; poweroff'
check "the kernel has noticed nothing" expect '^0'
check "it powers off" ends_with 0
finish
