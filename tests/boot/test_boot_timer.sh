#!/bin/bash
# test_boot_timer.sh - --boot-timer: the steps of a start in their order, a guest's marks, both
# formats, and the marks of the default guest.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# in_order TEXT...: stands in the report, each on a line below the one before.
in_order() {
	local text line=0 found
	for text; do
		found=$(grep -nF -- "$text" "$errors" | head -n 1 | cut -d: -f1)
		if [ -z "$found" ] || [ "$found" -le "$line" ]; then
			printf '#   not found below line %s: %s\n' "$line" "$text"
			return 1
		fi
		line=$found
	done
}

# times_rise: the first column of the report.
times_rise() {
	awk '/boot timer:/ { seen = 1; next }
		seen && $1 < last { exit 1 }
		seen { last = $1; lines++ }
		END { exit lines < 15 }' "$errors"
}

start_vmm -q --kernel "$(tiny MARK 7)" -m 32M --cpus 1 --boot-timer
check "a guest of a few instructions" ends_with 0
check "its steps" in_order "program loaded" "options read" "kernel file recognised" \
	"/dev/kvm opened" "guest memory made" "devices made" "kernel loaded" "VM, interrupt chip" \
	"processors made" "first KVM_RUN" "first exit" "guest's mark 1" \
	"first byte on a console" "guest's mark 7" "machine ended" "everything closed"
check "their times rise" times_rise

start_vmm -q --kernel "$(tiny MARK 9)" -m 32M --cpus 1 --boot-timer=json
check "the same as JSON" ends_with 0
check "is one line" test "$(grep -c '"marks_seen":2}$' "$errors")" = 1
if command -v python3 >/dev/null; then
	check "that parses" succeeds python3 -c 'import json, sys
report = json.loads([line for line in open(sys.argv[1]) if line.startswith("{")][0])
steps = report["steps"]
assert steps["main"]["at"] < steps["run"]["at"] < steps["exit"]["at"] < steps["closed"]["at"]
assert [mark["number"] for mark in report["marks"]] == [1, 9]
assert 0 < steps["run"]["cpu"] <= steps["ended"]["cpu"]' "$errors"
else
	skip "that parses" "no python3"
fi

start_vmm -q --kernel "$(tiny MARK 1)" -m 32M --cpus 1
check "without the option" ends_with 0
check "nothing is printed" test "$(grep -c 'boot timer' "$errors")" = 0

start_guest 'vmm.mark vmm.run="true"' --cpus 1 --boot-timer
check "Linux" ends_with 0
check "the default guest's marks" in_order "kernel loaded (" "first exit" "guest's mark 1" \
	"guest's mark 2" "guest's mark 3" "machine ended"
check "no word of a missing PCI bus, for quiet was said" test "$(grep -c 'PCI: ' "$console")" = 0
tail -n 20 "$errors" | sed 's/^/# /'

finish
