#!/bin/bash
# tests/bench/profile: its words, its plugin, and its sums, of a nested host that is only played.
. "$(dirname "$0")/lib.sh"

command -v python3 >/dev/null || {
	skip "tests/bench/profile" "no python3"
	finish
}
profile=$here/../bench/profile

run() {
	status=0
	printed=$(timeout 60 "$profile" "$@" 2>&1 </dev/null) || status=$?
}

is() {
	[ "$1" = "$2" ]
}

said() {
	grep -qF -e "$1" <<<"$printed"
}

run --help
check "help" is 0 "$status"
check "with an example" said "make guest-micro"
run
check "nothing to start" is 1 "$status"
check "says so" said "profile: no arguments for vmm after --"
run --starts 1 -- --kernel k
check "one start has no difference" said "profile: --starts: from 2 to 100"
run --vmm "$work/none" -- --kernel k
check "no vmm" said "there is no $work/none (make)"

check "the plugin" gcc -O2 -Wall -Wextra -Werror -shared -fPIC -o "$work/plugin.so" \
	"$here/../bench/guest/profile_plugin.c"

# A host as with-kvm makes it: 1,000 times 10 instructions of its kernel for itself; for each start
# 3 times 7 of its kernel, 5 times 4 of vmm's first code, 2,000,000 times 1 of the guest's kernel at
# the address of the host's.
cat >"$work/with-kvm" <<'EOS'
#!/usr/bin/env python3
import pathlib, struct, subprocess, sys
job = sys.argv.index("bash")
folder, starts, vmm = pathlib.Path(sys.argv[job + 2]), int(sys.argv[job + 3]), sys.argv[job + 4]
if "fail" in sys.argv:
    sys.exit(3)
symbol = next(line.split() for line in subprocess.run(["nm", vmm], capture_output=True,
              text=True).stdout.splitlines() if line.endswith(" T vcpu_start"))
image = pathlib.Path(vmm).read_bytes()
headers, size, count = struct.unpack_from("<Q14xHH", image, 32)
at = int(symbol[0], 16)
for i in range(count):
    segment = struct.unpack_from("<IIQQQQ", image, headers + i * size)
    if segment[0] == 1 and segment[3] <= at < segment[3] + segment[5]:
        offset = segment[2] + at - segment[3]
value = 0xCBF29CE484222325
for byte in image[offset:offset + 9]:
    value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
text = 0xFFFFFFFF81000000
rows = [(text, 0x1000, 1, 10, 30, 1000000), (text + 64, 0x1040, 1, 7, 20, 3 * starts),
        (0x555555554000 + at, 0x9000, value, 4, 9, 5 * starts),
        (0x555555554000 + at, 0xA000, 99, 4, 9, 5 * starts),
        (text + 64, 0x7040, 5, 1, 3, 2000000 * starts)]
with (folder / "records").open("wb") as file:
    file.write(bytes(48))
    for row in rows:
        file.write(struct.pack("<QQQIIQII", *row, 0, 0))
    file.write(bytes(48))
(folder / "kallsyms").write_text(f"{text:x} T own_work\n{text + 64:x} T for_a_guest\n")
EOS
chmod +x "$work/with-kvm"
export WITH_KVM=$work/with-kvm
echo "ffffffff81000040 T start_kernel" >"$work/map"
run --starts 3 --vmm "$vmm" --guest-symbols "$work/map" -- --kernel k
check "a profile" is 0 "$status"
check "the guest's kernel" said "    2.000  guest's kernel"
check "its function" said "   2.0000  100.0%  start_kernel"
check "what the host did for itself is left out" said "   0.0000    0.0%  own_work"
check "the host's for each start" said "   0.0000  100.0%  for_a_guest"
check "vmm's by its code" said "   0.0000  100.0%  vcpu_start"
run --vmm "$vmm" -- fail
check "a host that fails" said "profile: a start of vmm failed: status 3"
finish
