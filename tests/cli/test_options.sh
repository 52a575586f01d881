#!/bin/bash
# tests/bench/options: what it changes is what the micro kernel's configuration has.
. "$(dirname "$0")/lib.sh"

options=$here/../bench/options

run() {
	status=0
	printed=$(timeout 60 "$options" "$@" 2>&1 </dev/null) || status=$?
}

is() {
	[ "$1" = "$2" ]
}

said() {
	grep -qF -e "$1" <<<"$printed"
}

run --help
check "help" is 0 "$status"
run --list
check "each row leaves out lines that are there" is 0 "$status"
check "and says which" said "    < CONFIG_SLAB=y"
check "and what is there instead" said "    > CONFIG_SLUB=y"
BUILD=$work/none run
check "without guests nothing is built" is 1 "$status"
check "and it says what to do" said "make guest-micro"

finish
