#!/bin/bash
# The static program (make static): it is one, and what would need a library says so.
. "$(dirname "$0")/lib.sh"

cd "$top" || exit 1
static=$build/vmm-static
check "make static" make -s static BUILD="$build"
names_no_library() {
	! readelf -ldW "$static" | grep -E "INTERP|NEEDED"
}
check "it names no loader and no library" names_no_library
check "it is the same program" diff <("$vmm" --help) <("$static" --help)
# Whether or not the library is there, this program does not load it.
printf 'not a kernel, but packed' | gzip >"$work/packed.gz"
refuses_packed_file() {
	"$static" --kernel "$work/packed.gz" 2>&1 </dev/null | grep -q "which can.t be started here"
}
check "a packed file is refused in a sentence" refuses_packed_file

finish
