#!/bin/bash
# tests/bench/exits: its words, and its sums of a trace that was written by hand.
. "$(dirname "$0")/lib.sh"

command -v python3 >/dev/null || {
	skip "tests/bench/exits" "no python3"
	finish
}
exits=$here/../bench/exits

run() {
	status=0
	printed=$(timeout 60 "$exits" "$@" 2>&1 </dev/null) || status=$?
}

is() {
	[ "$1" = "$2" ]
}

said() {
	grep -qF -e "$1" <<<"$printed"
}

run --help
check "help" is 0 "$status"
check "with an example" said "vmlinuz-cloud"
run
check "nothing to start" is 1 "$status"
check "says so" said "exits: no arguments for vmm after --"
run --vmm "$work/none" -- --kernel k
check "no vmm" said "there is no $work/none (make)"

cat >"$work/trace" <<'END'
# tracer: nop
 vmm-7 [000] d.... 10.000001: kvm_exit: vcpu 0 reason io rip 0x1000 info1 0x0 info2 0x0
 vmm-7 [000] ..... 10.000002: kvm_pio: pio_write at 0x70 size 1 count 1 val 0xa
 vmm-7 [000] d.... 10.000003: kvm_exit: vcpu 0 reason npf rip 0x1000 info1 0x0 info2 0x0
 vmm-7 [000] ..... 10.000004: kvm_mmio: mmio unsatisfied-read len 4 gpa 0xfec00010 val 0x0
 vmm-7 [000] ..... 10.000005: kvm_mmio: mmio read len 4 gpa 0xfec00010 val 0x10000
 vmm-7 [000] d.... 10.000006: kvm_exit: vcpu 0 reason msr rip 0x1000 info1 0x0 info2 0x0
 vmm-7 [000] ..... 10.000007: kvm_msr: msr_write 6e0 = 0x1
 vmm-7 [000] d.... 10.000008: kvm_exit: vcpu 0 reason cpuid rip 0x1000 info1 0x0 info2 0x0
 vmm-7 [000] ..... 10.000009: kvm_cpuid: func 40000000 idx 0 rax 1 rbx 2 rcx 3 rdx 4, cpuid entry found
 vmm-7 [000] d.... 10.000010: kvm_exit: vcpu 0 reason io rip 0x1000 info1 0x0 info2 0x0
END
printed=$(timeout 60 python3 -B - "$exits" "$work/trace" 2>&1 <<'END'
import importlib.machinery, importlib.util, sys
loader = importlib.machinery.SourceFileLoader("exits", sys.argv[1])
exits = importlib.util.module_from_spec(importlib.util.spec_from_loader("exits", loader))
loader.exec_module(exits)
kinds, tables = exits.count(open(sys.argv[2], encoding="ascii").read(), 10_000_009)
print(sorted(kinds.items()))
for table in tables.values():
    print(dict(table))
END
)
check "exits by reason, those after the first byte are not in it" \
	said "[('cpuid', 1), ('io', 1), ('msr', 1), ('npf', 1)]"
check "ports" said "{'0x70 write': 1}"
check "registers, once each" said "{'0xfec00010 read': 1}"
check "MSRs" said "{'6e0 write': 1}"
check "CPUID leaves" said "{'40000000': 1}"

finish
