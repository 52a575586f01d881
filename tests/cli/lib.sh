# shellcheck shell=bash
# lib.sh - what the tests of the command line share: one line per result. A test begins with
#
#   . "$(dirname "$0")/lib.sh"
#
# and ends with `finish`. $vmm is the program, $work a folder of its own that goes away.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$(cd "$top" && realpath -m -- "${BUILD:-build}")
# shellcheck disable=SC2034 # used by the tests
vmm=${VMM:-$build/vmm}
export LC_ALL=C
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
bad_count=0

ok() {
	printf 'ok - %s\n' "$1"
}

# not_ok NAME WHY...
not_ok() {
	printf 'not ok - %s\n' "$1"
	shift
	printf '# %s\n' "$@"
	bad_count=$((bad_count + 1))
}

skip() {
	printf 'skip - %s: %s\n' "$1" "$2"
}

# check NAME COMMAND...: ok when the command succeeds; its output is shown when not.
check() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1 </dev/null); then
		ok "$name"
	else
		not_ok "$name" "status $? of: $*" "$out"
	fi
}

finish() {
	[ "$bad_count" -eq 0 ]
	exit
}
