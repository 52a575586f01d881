#!/bin/bash
# test_trace.sh - --trace and vmm trace: a guest's exits, marks, kicks and interrupts are in the
# file; what can't be written is said, and the machine runs on.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

trace=$work/trace
shown=$work/shown

# shows TEXT...: vmm trace prints them.
shows() {
	local text
	"$vmm" trace "$trace" "${options[@]}" >"$shown" 2>&1 || return 1
	for text; do
		grep -qF -- "$text" "$shown" || { printf '#   not shown: %s\n' "$text"; return 1; }
	done
}

options=()
start_vmm -q --kernel "$(tiny MARK 7)" -m 32M --cpus 1 --trace "$trace"
check "a guest of a few instructions" ends_with 0
check "its exits" shows "4 exits" "port write   boot-mark0" "port write   serial0"
options=(--raw)
check "one by one" shows "the guest's mark 1" "port write 0x3f8, 1 byte, 0x4d" \
	"the guest's mark 7" "port write 0xf4" "the machine has ended"

start_vmm -q --kernel "$(tiny MARK 7)" -m 32M --cpus 1 --trace /dev/full
check "a full disk does not stop the machine" ends_with 0
check "and is said once" test "$(grep -c 'the trace /dev/full ends here' "$errors")" = 1

start_guest 'vmm.mark vmm.run="true"' --cpus 2 --trace "$trace,record"
check "Linux with two processors" ends_with 0
check "its devices, replayed, answer the same" succeeds "$vmm" replay "$trace"
options=()
check "its exits" shows "vcpu1" "port write   serial0" "MMIO write   virtio-blk0" "The guest's marks"
check "nothing was lost" test "$(grep -c 'lost' "$shown")" = 0
options=(--raw --device virtio-blk0)
check "kicks and interrupts" shows "kick of queue 0 of virtio-blk0" "by virtio-blk0"
"$vmm" trace "$trace" | sed 's/^/# /'

finish
