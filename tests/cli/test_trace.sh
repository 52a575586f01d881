#!/bin/bash
# test_trace.sh - vmm trace and vmm replay with the recordings of tests/replay: the devices of this
# program answer as they did, one that is broken on purpose does not, and all forms are whole.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

cd "$work" || exit 1
recordings=()
for file in "$top"/tests/replay/*.trace.gz; do
	name=$(basename "$file" .trace.gz)
	gzip -dc "$file" >"$name.trace"
	recordings+=("$name")
done

# status_is N COMMAND...: its output is kept in `out`.
status_is() {
	local wanted=$1 status=0
	shift
	"$@" >out 2>&1 || status=$?
	[ "$status" -eq "$wanted" ] || { cat out; return 1; }
}

says() {
	grep -qF -- "$1" out || { cat out; return 1; }
}

# ---- Replay ----

for name in "${recordings[@]}"; do
	check "replay of $name: all answers are the same" status_is 0 "$vmm" replay "$name.trace"
	check "$name: there are answers" grep -qE '^[0-9]+ records replayed, [1-9][0-9]* answers compared, 0 different$' out
done

# The serial port of pc.trace, with a transmitter that never says it is empty, and a recording that
# says another number than it did.
broken_serial() {
	sed 's/UART_LSR_THRE | UART_LSR_TEMT;/UART_LSR_THRE;/' "$top/devices/legacy/serial.c" >serial.c
	! cmp -s serial.c "$top/devices/legacy/serial.c" || return 1
	(cd "$top" && "${CC:-gcc}" -O1 -std=gnu17 -D_GNU_SOURCE -I. -fPIE -pie -pthread \
		-o "$work/broken" "$work/serial.c" vmm/tools/vmm_replay.c "$build/obj/libvmm.a" \
		-lz -llz4 -lzstd -l:libfdt.a)
}
if [ -e "$build/obj/libvmm.a" ]; then
	check "a serial port that is broken on purpose" broken_serial
	check "is found" status_is 1 ./broken pc.trace --differences 2
	check "and told, with what was before" says "serial0, record "
	check "what it said and says" says "0x60 in the recording, 0x20 here"
	check "others are as they were" status_is 0 ./broken micro.trace
else
	skip "a serial port that is broken on purpose" "no $build/obj/libvmm.a"
fi

check "a trace that is no recording" status_is 4 "$vmm" replay "$top/README.md"
check "is refused in a sentence" says "is no trace"
head -c 5000 pc.trace >cut.trace
check "a recording that is cut is replayed as far as it goes" status_is 0 "$vmm" replay cut.trace
check "and said to be cut" says "has no end"

# ---- Forms ----

check "vmm trace" status_is 0 "$vmm" trace pc.trace
check "shows the histogram" says "port write   serial0"
check "vmm trace --raw" status_is 0 "$vmm" trace pc.trace --raw --device serial0 --to 100
check "shows accesses" says "port write 0x3f8, 1 byte, 0x"
check "vmm trace from a pipe" sh -c "'$vmm' trace - <hvc0.trace | grep -q vcpu1"
check "--perfetto and --html" status_is 0 "$vmm" trace hvc0.trace --perfetto e.json --html p.html
if command -v python3 >/dev/null; then
	check "the JSON is of its format" python3 "$here/trace_events.py" e.json
else
	skip "the JSON is of its format" "no python3"
fi
# Nothing that a browser would fetch.
needs_no_network() {
	! grep -oE '(src|href)=|https?://|@import|url\(|fetch\(|XMLHttpRequest|import ' p.html
}
check "the page needs no network" needs_no_network
check "the page has its data" grep -q 'const T = {cpus:2' p.html
check "a full disk is an error" status_is 5 "$vmm" trace pc.trace --html /dev/full
check "in a sentence" says "can't write /dev/full: No space left on device"
check "an option that there is not" status_is 2 "$vmm" trace pc.trace --htm x
check "times the wrong way round" status_is 2 "$vmm" trace pc.trace --from 5 --to 4

finish
