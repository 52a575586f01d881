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
labs=$top/guest-images/labs own=$top/tests/labs

# wanted FOLDER: its lab is among those of $LAB_TESTS.
wanted() {
	local word
	[ -n "${LAB_TESTS-}" ] || return 0
	for word in $LAB_TESTS; do
		case $1 in *"$word"*) return 0 ;; esac
	done
	return 1
}

# judge KIND REPORT
judge() {
	local lines
	lines=$("$own/judge.py" "$1" "$2" 2>&1) || not_ok "vmm grade of: $1"
	printf '%s\n' "$lines"
	bad_count=$((bad_count + $(grep -c '^not ok' <<<"$lines")))
}

# grade KIND OPTIONS FOLDER...: judges what vmm grade says of them. More machines at a time than
# processors, for some of them only wait.
grade() {
	local kind=$1 options=$2 folder folders=() status=0
	shift 2
	for folder; do
		[ ! -d "$folder" ] || ! wanted "$folder" || folders+=("$folder")
	done
	[ "${#folders[@]}" -gt 0 ] || return 0
	# shellcheck disable=SC2086 # several words
	timeout 300 "$vmm" grade -q -j 4 --lab "$labs" $options --json "$work/$kind.json" \
		"${folders[@]}" >"$work/table" 2>&1 || status=$?
	if [ "$status" -gt 1 ]; then
		not_ok "vmm grade of: $kind (status $status)"
		tail -n 5 "$work/table" | sed 's/^/#   /'
	else
		judge "$kind" "$work/$kind.json"
	fi
}

grade full '' "$labs"/solutions/[0-9]*
grade minimum '' "$labs"/[0-9]*/start
grade wrong '' "$own"/wrong/[0-9]*/*

# ---- Hidden tests ----

hidden=$own/hidden/tests
grade full '' "$own"/hidden/wrong/[0-9]*/*
grade wrong "--hidden $hidden" "$own"/hidden/wrong/[0-9]*/*

# A source file that takes the hidden tests in: below the sandbox there are none.
reads_hidden_tests() {
	mkdir -p "$work/03-uart" && cat "$labs/solutions/03-uart/uart.c" - >"$work/03-uart/uart.c" <<-END
		__asm__(".incbin \"$hidden/03-uart/TESTS.toml\"");
	END
	"$vmm" grade --lab "$labs" --hidden "$hidden" "$work/03-uart" >"$work/table"
	is 1 $? && has "$work/table" 'TESTS.toml' && has "$work/table" '0 of 12 points'
}
if bwrap --unshare-all --ro-bind / / true 2>/dev/null; then
	check "hidden tests are out of a student's sight" reads_hidden_tests
else
	skip "hidden tests are out of a student's sight" "bwrap does not work here"
fi

# ---- The grader itself ----

# Everything that a LAB.toml can ask for: seven tests that must fail, six that must not.
"$vmm" grade -q -j 4 --json "$work/features.json" "$own/features/00-features" >"$work/table"
judge wrong "$work/features.json"
if bwrap --unshare-all --ro-bind / / true 2>/dev/null; then
	judge minimum "$work/features.json"
fi

# The same in every run, but for times and the names of temporary folders. (What a machine has
# printed when a limit ends it is another thing.)
report() {
	"$vmm" grade --lab "$labs" --json - "$labs"/{solutions/01*,01*/start} |
		sed -E 's/"(build_)?seconds": [0-9.]+//; s/vmm-grade-[a-z0-9_]+//g' >"$1"
}
says_the_same_twice() {
	report "$work/one" && report "$work/two" && succeeds diff "$work/one" "$work/two"
}
check "two gradings say the same" says_the_same_twice

# In a folder of its own, so that what is left can be seen.
ends_when_it_is_told_to() {
	local status=0
	mkdir "$work/tmp"
	TMPDIR=$work/tmp timeout -s TERM 2 "$vmm" grade --lab "$labs" \
		"$own"/wrong/03-uart/{endless-loop,halts-for-ever,includes-itself} >"$work/table" || status=$?
	is 124 "$status" && is '' "$(ls "$work/tmp")" &&
		is '' "$(pgrep -f "kernel [/]${work#/}/tmp")"
}
check "ended by a signal, it leaves nothing behind" ends_when_it_is_told_to
echo "# in all $SECONDS s"
finish
