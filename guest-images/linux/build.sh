#!/bin/sh
# Builds a small kernel with everything that the machine can have: see kernel-source.sh.
# Usage: build.sh
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
image=linux
fragment=guest-images/linux/config.fragment
# shellcheck source-path=SCRIPTDIR source=../kernel-source.sh
. "$top/guest-images/kernel-source.sh"

make_kernel
say "ready in ${dest#"$top/"}"
