#!/bin/bash
# The labs (guest-images/labs) and those who grade them: reference solutions have full marks,
# untouched starting points their stated minimum, and wrong solutions (tests/labs/wrong) are marked
# wrong with the message that fits, without hanging. The labs' guests are small enough for a KVM
# that interprets them.
# shellcheck disable=SC2034 # it is lib.sh's
anywhere=yes
. "$(dirname "$0")/lib.sh"

if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
	skip "the labs" "/dev/kvm can't be used here"
	finish
fi
labs=$top/guest-images/labs wrong=$top/tests/labs/wrong

# wanted FOLDER: its lab is among those of $LAB_TESTS.
wanted() {
	local word
	[ -n "${LAB_TESTS-}" ] || return 0
	for word in $LAB_TESTS; do
		case $1 in *"$word"*) return 0 ;; esac
	done
	return 1
}

# grade KIND FOLDER...: judges what vmm grade says of them.
grade() {
	local kind=$1 folder folders=() status=0 lines
	shift
	for folder; do
		[ ! -d "$folder" ] || ! wanted "$folder" || folders+=("$folder")
	done
	[ "${#folders[@]}" -gt 0 ] || return 0
	timeout 300 "$vmm" grade -q --lab "$labs" --json "$work/$kind.json" "${folders[@]}" \
		>"$work/table" 2>&1 || status=$?
	if ! lines=$("$top/tests/labs/judge.py" "$kind" "$work/$kind.json" 2>&1); then
		not_ok "vmm grade of: $kind (status $status)"
		tail -n 5 "$work/table" | sed 's/^/#   /'
	fi
	printf '%s\n' "$lines"
	bad_count=$((bad_count + $(grep -c '^not ok' <<<"$lines")))
}

grade full "$labs"/solutions/[0-9]*
grade minimum "$labs"/[0-9]*/start
grade wrong "$wrong"/[0-9]*/*
echo "# in all $SECONDS s"
finish
