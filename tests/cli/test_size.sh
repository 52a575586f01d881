#!/bin/bash
# The program as a distribution would ship it: small, and with libc as its only shared library.
. "$(dirname "$0")/lib.sh"

limit=600000
strip -o "$work/vmm" "$vmm" || exit 1
bytes=$(stat -c %s "$work/vmm")
echo "# $bytes bytes without symbols; $limit are the most"
check "the program has at most $limit bytes" test "$bytes" -le "$limit"
others() {
	! readelf -dW "$vmm" | grep NEEDED | grep -v 'libc\.so\.6'
}
check "it names no library but libc" others

finish
