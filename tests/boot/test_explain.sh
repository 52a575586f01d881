#!/bin/bash
# test_explain.sh - --explain: each call of KVM is told, in order, and then the guest runs.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# What vmm thinks of this host's KVM stands behind it.
forget_host() {
	sed -i '/^vmm: this processor offers no virtualization/d' "$errors"
}

start_vmm -q --kernel "$(tiny EXIT 7)" -m 32M --cpus 2 --explain
check "the guest runs" ends_with 7
forget_host
for text in 'open("/dev/kvm") = ' 'KVM_CREATE_VM [4.2] = ' 'slot 0: guest 0x0 to 0x1ffffff, 32 MiB' \
	'KVM_IRQFD [4.75] = 0: ' 'GDT, 4 descriptors' 'KVM_CREATE_VCPU [4.7] = ' \
	'1 more: the same calls' 'KVM_SET_SREGS [4.14] = 0' 'KVM_RUN [4.10]'; do
	check "it tells: $text" has "$errors" "$text"
done
check "nothing after the start" is 'KVM_RUN' "$(tail -n 1 "$errors" | grep -o KVM_RUN)"
lines=$(wc -l <"$errors")
check "a page or two of it ($lines lines)" test "$lines" -ge 60 -a "$lines" -le 140

start_vmm -q --kernel "$(tiny EXIT 0)" -m 32M --cpus 1 --explain="$work/told"
check "to a file" ends_with 0
forget_host
check "it is there" has "$work/told" 'KVM_RUN'
check "and not on stderr" is '' "$(cat "$errors")"

start_vmm --kernel "$(tiny EXIT 9)" -m 32M --cpus 1 --explain-only
check "without a guest" ends_with 0
check "up to its first instruction" has "$console" 'KVM_SET_MP_STATE'
"$vmm" --kernel "$(tiny EXIT 9)" -m 32M --explain-only >/dev/full 2>"$work/full"
check "a full disk is a failure" is "1 1" "$? $(grep -c 'No space left' "$work/full")"
finish
