#!/bin/sh
# Builds the kernel of --machine micro: see kernel-source.sh.
# Usage: build.sh
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
image=micro
fragment=guest-images/micro/config.fragment
# shellcheck source-path=SCRIPTDIR source=../kernel-source.sh
. "$top/guest-images/kernel-source.sh"
