#!/bin/bash
# vmm grade without a machine: its words, what it says of a faulty LAB.toml, and its modules
# (tests/labs/unit.py). What it says of students' work is tests/boot/test_labs.sh.
. "$(dirname "$0")/lib.sh"

"$top/tests/labs/unit.py" || bad_count=1

# refuses STATUS WORDS ARGUMENT...: as of the program itself: a sentence or two on stderr.
refuses() {
	local wanted=$1 words=$2 status=0
	shift 2
	timeout 20 "$vmm" grade "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	if [ "$status" -eq "$wanted" ] && [ ! -s "$work/out" ] && grep -qF -- "$words" "$work/err" &&
		! grep -qvE '^vmm: .*[.?!]$' "$work/err"; then
		ok "grade refuses: ${*@Q}"
	else
		not_ok "grade refuses: ${*@Q}" "status $status" "$(cat "$work/out" "$work/err")"
	fi
}

lab=$top/guest-images/labs/03-uart
cd "$work" || exit 1
mkdir empty faulty faulty/start
echo 'title = 3' >faulty/LAB.toml
refuses 2 'For example: vmm grade'
refuses 2 'Did you mean --json?' --jason x "$lab"
refuses 2 '--json needs a value' "$lab" --json
refuses 2 '--lab needs a value' --lab= "$lab"
refuses 2 '-j is '"'0'"'; it can be 1 to 256' -j 0 "$lab"
refuses 2 "there is no option '--q" --q=1 "$lab"
refuses 2 'is neither a folder nor a LAB.toml' nothing-here
refuses 2 'there is no LAB.toml in empty or above it' empty
refuses 2 "no lab of empty's name" --lab "$top/guest-images/labs" empty
refuses 2 'is no folder' --hidden nothing-here "$lab"
refuses 2 'there is no 03-uart/TESTS.toml in empty' --hidden empty "$lab"
refuses 2 "no test has 'no such name' in its name" --test 'no such name' "$lab"
refuses 4 'title has to be a text' faulty
mkdir faulty/anna
touch faulty/anna/LAB.toml
refuses 4 'faulty/LAB.toml: title has to be a text' faulty/anna
refuses 2 'control' $'--\e[2Jcontrol'
refuses 5 'File name too long: \x1b[2J' $'\e[2J'"$(printf 'x%.0s' {1..300})"
finish
