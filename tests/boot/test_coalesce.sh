#!/bin/bash
# test_coalesce.sh - what a guest prints by polling the serial port, when its writes come without
# exits: byte for byte the same, nothing kept back from a guest that sleeps, half of the exits.
# shellcheck source=lib.sh
anywhere=yes
. "$(dirname "$0")/lib.sh"

lines=3000
for ((i = 0; i < lines; i++)); do printf '%08x\n' "$i"; done >"$work/wanted"
kernel=$(tiny PRINT $lines)
options=(-q -m 32M --cpus 1 --net none --serial "file:$work/out")

"$vmm" "${options[@]}" --kernel "$kernel" 2>"$work/stderr" </dev/null
check "the guest's status" is 0 "$?"
check "all bytes, in their order" cmp "$work/wanted" "$work/out"
rm -f "$work/out"
"$vmm" "${options[@]}" --kernel "$kernel" --trace /dev/null 2>"$work/stderr" </dev/null
check "the same with an exit for each" cmp "$work/wanted" "$work/out"

if command -v strace >/dev/null; then
	strace -f -qq -e trace=ioctl -o "$work/calls" "$vmm" "${options[@]}" --kernel "$kernel" \
		2>"$work/stderr" </dev/null
	exits=$(grep -c 'KVM_RUN' "$work/calls")
	bytes=$(wc -c <"$work/wanted")
	echo "# $bytes bytes, $exits exits"
	check "each byte takes one exit, not two" test "$exits" -lt $((bytes + bytes / 10))
else
	skip "each byte takes one exit, not two" "no strace"
fi

rm -f "$work/out"
printf '>' >>"$work/wanted"
start_vmm "${options[@]}" --kernel "$(tiny PRINT_SLEEP $lines)"
for ((tries = 0; tries < 200; tries++)); do
	cmp -s "$work/wanted" "$work/out" && break
	sleep 0.1
done
check "the last byte of a guest that sleeps arrives" cmp "$work/wanted" "$work/out"
if command -v strace >/dev/null; then
	sleep 0.3
	timeout -s INT 2 strace -f -qq -o "$work/idle" -p "$guest" 2>/dev/null
	check "and then vmm sleeps as well" is 0 "$(grep -cE '= [0-9]+$' "$work/idle")"
fi
kill -QUIT "$guest"
check "it ends" ends_with 131

finish
