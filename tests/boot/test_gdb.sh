#!/bin/bash
# test_gdb.sh - Debian's gdb at work on guests of every kind, driven by scripts: a boot sector in
# real mode, two processors, resets, crashes, pauses, and a Linux kernel from its first instruction
# to start_kernel. All of it runs on a KVM that interprets its guests.
# shellcheck source=lib.sh
anywhere=yes
. "$(dirname "$0")/lib.sh"

command -v gdb >/dev/null || {
	skip gdb 'there is no gdb (make packages)'
	finish
}
if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
	skip gdb '/dev/kvm is not to be had'
	finish
fi
socket=$work/gdb.socket

# start_debugged OPTION...: a machine that waits for gdb.
start_debugged() {
	case " $* " in
	*' --memory '*) ;;
	*) set -- --memory 32M "$@" ;;
	esac
	start_vmm -q --net none --gdb=unix:"$socket" --gdb-wait "$@"
	wait_for_socket
}

wait_for_socket() {
	local deadline=$((SECONDS + patience_s))
	until [ -S "$socket" ]; do
		[ "$SECONDS" -lt "$deadline" ] && is_running || return
		sleep 0.05
	done
}

# debug [FILE-WITH-SYMBOLS]: gdb with the commands of standard input; what it says is in $said.
said=$work/said
debug() {
	{
		printf 'set pagination off\nset confirm off\nset width 0\n'
		[ -z "${1-}" ] || printf 'file %s\n' "$1"
		printf 'target remote %s\n' "$socket"
		cat
	} >"$work/commands"
	timeout -k 5 "$patience_s" gdb -q -nx -batch -x "$work/commands" >"$said" 2>&1
	return 0
}

# says NAME PATTERN...: lines of what gdb said, in this order.
says() {
	local name=$1 pattern at=0 found
	shift
	for pattern in "$@"; do
		found=$(tail -n +"$((at + 1))" "$said" | grep -nEm 1 -- "$pattern" | cut -d: -f1)
		if [ -z "$found" ]; then
			not_ok "$name"
			printf '#   gdb did not say (from line %d): %s\n' "$((at + 1))" "$pattern"
			tail -n 25 "$said" | sed 's/^/#   gdb: /'
			return 1
		fi
		at=$((at + found))
	done
	ok "$name"
}

# symbols ELF: the same as a 32-bit file, as the code in it is.
symbols() {
	objcopy -O elf32-i386 "$1" "$1.32" && printf %s "$1.32"
}

# ---- A boot sector, from the power-on state: the first lab's ----

lab=$top/guest-images/labs/solutions/01-boot-sector/boot.S
"${CC:-gcc}" -m32 -g -Wa,--noexecstack -c -o "$work/boot.o" "$lab" &&
	ld -m elf_i386 -Ttext=0x7c00 -e 0 -o "$work/boot.elf" "$work/boot.o" &&
	objcopy -O binary "$work/boot.elf" "$work/boot.bin" || exit 1

start_debugged --kernel "$work/boot.bin" --cpus 1
debug <<'END'
show architecture
x/i $pc
break *0x7c00
continue
x/2i $pc
info registers eip cs cr0 efer
p $pc_offset
stepi
monitor phys 0x7dfe 2
monitor walk $pc
monitor walk 0x7c00
detach
END
says "real mode is shown as what it is" 'currently "i8086"' '^=> 0xd0000:' '^Breakpoint 1, 0x00007c00' \
	'^=> 0x7c00:' '^eip +0x7c00' '^cr0 .*\[ ET' '^efer +0x0' '= 31744'
says "it shows physical memory" '^000000007dfe  55 aa'
says "a boot sector has no page tables" 'no paging' 'guest-physical 0x7c02' 'no paging' 'guest-physical 0x7c00'
check "it prints after gdb has left" expect 'Hello from the boot sector'
debug "$work/boot.elf" <<'END'
info registers eip
set architecture i8086
break *0x7c00
monitor reset
continue
x/3i $pc
watch *(unsigned char *)0x500
set var *(unsigned char *)0x7dfe = 0x11
x/bx 0x7dfe
kill
END
says "another gdb, the guest started afresh" 'guest stands at its first instruction' \
	'^Breakpoint 1, ' '^=> 0x7c00' '^Hardware watchpoint 2' '^0x7dfe.*0x11' 'killed'
check "killed by gdb" ends_with 137

# ---- The second lab's way from real mode to long mode: gdb follows ----

labs=$top/guest-images/labs
"${CC:-gcc}" -m32 -Wa,--noexecstack -c -o "$work/long.o" "$labs/solutions/02-long-mode/boot.S" &&
	"${CC:-gcc}" -m32 -Wa,--noexecstack -c -o "$work/report.o" "$labs/02-long-mode/report.S" &&
	ld -m elf_i386 -T "$labs/common/boot-sector.ld" -o "$work/long.elf" "$work/long.o" \
		"$work/report.o" && objcopy -O binary "$work/long.elf" "$work/long.bin" || exit 1
# address NAME: of a symbol in it.
address() {
	nm "$work/long.elf" | awk -v name="$1" '$3 == name { print "0x" $1 }'
}
start_debugged --kernel "$work/long.bin" --cpus 1
debug <<END
break *$(address protected)
break *$(address report_long)
continue
show architecture
unset tdesc filename
show architecture
x/i \$pc
stepi
continue
unset tdesc filename
show architecture
info registers efer
stepi
monitor walk \$pc
detach
END
says "gdb is told when the code becomes wider, and follows" 'runs 32-bit code now' 'Breakpoint 1' \
	'currently "i8086"' 'currently "i386"' '^=> 0x7c.*mov ' 'runs 64-bit code now' 'Breakpoint 2' \
	'currently "i386:x86-64"' '^efer .*LME LMA' '4-level paging' 'page of 2048 KiB'
check "it reports as it would alone" expect '^L'
end_guest

# ---- Two processors ----

elf=$work/debugged
"${CC:-gcc}" -nostdlib -static -no-pie -Wl,-n,-e,start,-Ttext=0x100000,-Tdata=0x101000 \
	-Wl,--build-id=none,-z,noexecstack,--no-warn-rwx-segments -o "$elf" "$here/debugged.S" || exit 1
start_debugged --kernel "$elf" --cpus 2 --name debugged
debug "$(symbols "$elf")" <<'END'
info threads
break work1
continue
info threads
bt
p *(int *)&counter1
delete
watch *(int *)&counter1
continue
continue
delete
hbreak work0
continue
set scheduler-locking on
p/x $pc == (unsigned)&work0
set $before = *(int *)&counter1
stepi
stepi
stepi
p *(int *)&counter1 - $before
thread 2
info registers cs
detach
END
says "two processors are two threads" '^\* 1 .*"CPU 0" \(32-bit code, no paging\)' \
	'^  2 .*"CPU 1" \(16-bit real mode, not started\)' 'Thread 2 "CPU 1" hit Breakpoint 1, 0x.* in work1' \
	'^  1 .*"CPU 0" \(32-bit' '^\* 2 .*"CPU 1" \(32-bit' '^#0 .*work1'
says "a watchpoint stops where the value changes" '^Hardware watchpoint 2: ' \
	'^Old value = 0' '^New value = 1' '^Old value = 1' '^New value = 2'
says "one processor steps and the other stands" 'Thread 1 "CPU 0" hit Breakpoint 3, .*work0' \
	"^.2 = 0x1" "^.3 = 0$" '^cs +0x8'

state_is() {
	local wanted=$1 deadline=$((SECONDS + patience_s))
	until [[ $("$vmm" list 2>/dev/null) =~ debugged.*$wanted ]]; do
		[ "$SECONDS" -lt "$deadline" ] || return
		sleep 0.05
	done
}
debug "$elf.32" <<END
shell $vmm list >&2
shell $vmm resume debugged || echo not-paused
shell $vmm pause debugged && echo paused
set \$before = *(int *)&counter0
python
import threading, os, signal, time
threading.Timer(2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
end
continue
p *(int *)&counter0 - \$before
shell $vmm resume debugged && echo resumed
break work0
continue
p 1
detach
END
says "a debugged machine says so, and can be paused as well" 'debugged.* debugged ' not-paused \
	'^paused' 'SIGINT' '= 0$' '^resumed' 'hit Breakpoint 1'
check "it runs when all have left it" state_is running
"$vmm" kill debugged
check "it ends" ends_with 137

# ---- Ends and resets ----

start_debugged --kernel "$(tiny CRASH)" --cpus 1
debug <<'END'
continue
monitor explain
continue
END
says "a triple fault stops in the debugger first" 'triple fault' 'SIGSEGV' '^triple fault' \
	'exited with code 041'
check "and ends the machine then" ends_with 33

start_debugged --kernel "$(tiny RESET)" --cpus 1
debug "$(symbols "$(tiny RESET)")" <<'END'
break *start+6
continue
continue
info registers eip
continue
delete
detach
END
says "a reset stops at the first instruction, and breakpoints go on" 'Breakpoint 1, 0x' \
	'The guest was reset' 'SIGTRAP' 'eip +0x100000 +0x100000 <start>' 'Breakpoint 1, 0x'
end_guest

start_debugged --kernel "$(tiny EXIT 7)" --cpus 1
debug <<<continue
says "a guest that ends is told" 'exited with code 07'
check "its status is vmm's" ends_with 7

start_debugged --kernel "$(tiny SPIN)" --cpus 1 --trace "$work/trace"
debug "$(symbols "$(tiny SPIN)")" 2>/dev/null <<'END'
break start
continue
python
import os
os.kill(os.getpid(), 9)
end
END
debug <<'END'
x/2bx 0x100000
stepi
kill
END
says "nothing stays of a gdb that was killed" '0x100000:.*0xeb.*0xfe'
# In order, for a trace is whole only then.
check "and the next one can end the machine" ends_with 137
check "a step is called one in a trace" grep -q '^ .* debug stop ' <("$vmm" trace "$work/trace")

start_debugged --kernel "$(tiny SPIN)" --cpus 2 --timeout 3
debug <<'END'
watch *(int *)0x200000
continue
END
says "the time limit holds for a guest that is stepped" '^Hardware watchpoint 1' 'exited with code 044'
check "and ends the machine" ends_with 36

start_vmm -q --kernel "$(tiny EXIT 7)" --net none --memory 32M --gdb=unix:"$socket"
check "without --gdb-wait the guest does not wait" ends_with 7

# ---- Linux, from its first instruction ----

# start_kernel SYMBOLS KERNEL OPTION...
at_start_kernel() {
	local file=$1 kernel=$2
	shift 2
	start_debugged --memory 256M --cpus 2 --kernel "$kernel" --serial null "$@"
	debug "$file" <<'END'
break start_kernel
continue
bt
x/i $pc
stepi
watch *(char *)&early_boot_irqs_disabled
continue
p/x *(char *)&early_boot_irqs_disabled
monitor walk $pc
detach
END
	end_guest
}
if [ -r "$guests/micro/vmlinux" ]; then
	at_start_kernel "$guests/micro/vmlinux" "$guests/micro/vmlinux" --machine micro
	says "a breakpoint in a kernel that has no page tables yet" '\(64-bit code\)|in \?\?' \
		'hit Breakpoint 1, 0x.* in start_kernel' '^#0 .*start_kernel' '^#1 .*secondary_startup_64' \
		'^=> 0xffffffff8.*start_kernel'
	says "a variable is watched" '^Hardware watchpoint 2: ' '^New value = 1' '= 0x1'
else
	skip "start_kernel" 'there is no kernel with symbols (make guest-micro)'
fi
version=$("$vmm" inspect "$guests/default/vmlinuz-cloud" 2>/dev/null |
	sed -n 's/^version: *\([^ ]*\) .*/\1/p')
debian=${BOOT_TEST_SYMBOLS:-/usr/lib/debug/boot}/vmlinux-$version
if [ -n "$version" ] && [ -r "$debian" ]; then
	at_start_kernel "$debian" "$guests/default/vmlinuz-cloud"
	says "Debian's kernel with its own symbols" 'Breakpoint 1, start_kernel \(\) at init/main.c' \
		'^#0 +start_kernel \(\) at init/main.c' '^#1 .*secondary_startup_64 .*head_64.S' \
		'^New value = 1' '= 0x1'
else
	skip "Debian's kernel with its own symbols" \
		"there is no $debian (linux-image-$version-dbg, 283 MB)"
fi
finish
