#!/bin/bash
# The static program (make static): it is one, and what would need a library says so.
. "$(dirname "$0")/lib.sh"

cd "$top" || exit 1
static=$build/vmm-static
check "make static" make -s static BUILD="$build"
check "it names no loader and no library" bash -c \
	'! readelf -ldW "$1" | grep -E "INTERP|NEEDED"' - "$static"
check "it is the same program" diff <("$vmm" --help) <("$static" --help)
# Whether or not the library is there, this program does not load it.
printf 'not a kernel, but packed' | gzip >"$work/packed.gz"
check "a packed file is refused in a sentence" bash -c \
	'"$1" --kernel "$2" 2>&1 </dev/null | grep -q "which can.t be started here"' - \
	"$static" "$work/packed.gz"

finish
