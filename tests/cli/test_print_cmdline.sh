#!/bin/bash
# --print-cmdline: shell words for QEMU and vmm, a file for Firecracker, and notes on stderr.
# tests/boot/test_print_cmdline.sh runs what is printed for QEMU.
. "$(dirname "$0")/lib.sh"

cd "$work" || exit 1
"${CC:-gcc}" -nostdlib -static -no-pie -xassembler -Wl,-n,-e,_start,-Ttext=0x100000 \
	-Wl,--build-id=none,-z,noexecstack -o "my kernel" - <<<'.globl _start; _start: hlt' || exit 1
truncate -s 8M "a,b's.img" && mke2fs -q -F "a,b's.img"
truncate -s 1M data.img
# shellcheck disable=SC2054,SC2016 # commas and dollars are the options' own
all=(--kernel "my kernel" --disk "a,,b's.img,ephemeral,serial=one" --disk data.img,ro --cpus 3
	-m 512M --net user -p 2222:22 -p 0.0.0.0:53:5353/udp --net tap=tap7,mac=02:00:00:00:00:09
	--vsock path=/tmp/v,cid=9 --console both --port agent=unix:/tmp/agent
	--append $'quiet x="a b" $HOME\ttab' --timeout 90 --no-reboot)

# printed PEER OPTION...: to the file out.
printed() {
	timeout 20 "$vmm" --print-cmdline "$@" >out 2>notes </dev/null || { cat notes && return 1; }
}

has() {
	local text
	for text; do
		grep -qF -- "$text" out notes && continue
		printf 'not there: %s\n' "$text"
		cat out notes
		return 1
	done
}

# The words of a printed command, one a line, as a shell sees them.
words() {
	sed '1s/^[a-z0-9_-]*/printf "%s\\n"/' out | sh
}

check "QEMU's command" printed qemu "${all[@]}"
check "is one of a shell" sh -n out
check "its parts" has '-m 512M' '-smp 3' hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp:0.0.0.0:53-:5353 \
	ifname=tap7 mac=02:00:00:00:00:09 readonly=on snapshot=on disk0,serial=one guest-cid=9 -no-reboot \
	name=agent 'timeout(1)' AF_VSOCK
# shellcheck disable=SC2016 # the kernel's word
exact_words() {
	words | grep -qxF "if=none,id=disk0,format=raw,file=a,,b's.img,snapshot=on" &&
		words | grep -qx 'console=ttyS0 console=hvc0 .*root=/dev/vda .*quiet x="a b" \$HOME.tab' &&
		words | grep -qxF 'my kernel'
}
check "its words are as they were said" exact_words

check "vmm's own command" printed vmm "${all[@]}"
words >first
again() {
	local words=()
	mapfile -t words <first
	printed vmm "${words[@]}" && words | diff first -
}
check "printed again it is the same" again

check "with commas in its paths" printed vmm "${all[@]:0:2}" --net socket=/tmp/a,,b \
	--vsock path=/tmp/c,,d --display vnc=unix:/tmp/e,,f,password-file=g,,h
words >first
check "is the same again, too" again
check "QEMU's doubles a comma as well" printed qemu "${all[@]:0:2}" --net socket=/tmp/a,,b
check "in a path" has addr.path=/tmp/a,,b

# A Multiboot kernel with modules whose paths are together longer than a page or two.
"${CC:-gcc}" -nostdlib -static -no-pie -xassembler -Wl,-n,-e,_start,-Ttext=0x100000 \
	-Wl,--build-id=none,-z,noexecstack -o multiboot - <<'END' || exit 1
.globl _start; .balign 4; .long 0x1badb002, 0, -0x1badb002; _start: hlt
END
long=$(printf 'x%.0s' {1..240})
long=$long/$long/$long/$long
mkdir -p "$long" && tee "$long"/{1..16} <<<module >/dev/null
all_modules() {
	local modules=() i
	for i in {1..16}; do
		modules+=(--initrd "$long/$i")
	done
	printed qemu --kernel multiboot "${modules[@]}" && has "$long/1,$long/2" "$long/15,$long/16"
}
check "QEMU is given all modules, long as their paths are" all_modules

check "Firecracker's file" printed firecracker "${all[@]}"
check "what it can't" has 'vm.json' '--net user' '-p: ' ',ephemeral' '--hvc0, --port' 'reboot=k'
check "has the keys and types of its API" python3 - out <<'END'
import json, sys

text, whole, flag, number = str, dict, bool, int
# Firecracker's swagger.yaml: a key with ! is required.
api = {
    "boot-source!": {"kernel_image_path!": text, "initrd_path": text, "boot_args": text},
    "drives!": [{"drive_id!": text, "is_root_device!": flag, "path_on_host": text,
                 "is_read_only": flag, "cache_type": text, "io_engine": text, "partuuid": text}],
    "network-interfaces": [{"iface_id!": text, "host_dev_name!": text, "guest_mac": text}],
    "machine-config": {"vcpu_count!": number, "mem_size_mib!": number, "smt": flag,
                       "track_dirty_pages": flag, "huge_pages": text},
    "vsock": {"guest_cid!": number, "uds_path!": text},
    "balloon": {"amount_mib!": number, "deflate_on_oom!": flag},
    "entropy": {},
}

def check(value, wanted, where):
    if isinstance(wanted, list):
        assert isinstance(value, list), where
        for item in value:
            check(item, wanted[0], where)
    elif isinstance(wanted, dict):
        assert isinstance(value, dict), where
        known = {key.rstrip("!"): kind for key, kind in wanted.items()}
        for key in wanted:
            assert not key.endswith("!") or key[:-1] in value, (where, key)
        for key in value:
            assert key in known, (where, key)
            check(value[key], known[key], where + "/" + key)
    else:
        assert type(value) is wanted, (where, value)

config = json.load(open(sys.argv[1]))
check(config, api, "")
assert config["machine-config"] == {"vcpu_count": 3, "mem_size_mib": 512}
assert config["drives"][0]["path_on_host"] == "a,b's.img"
assert config["network-interfaces"][0]["host_dev_name"] == "tap7"
assert config["boot-source"]["boot_args"].endswith('quiet x="a b" $HOME\ttab')
END
check "without disks and cards" printed firecracker --kernel "my kernel" --net none
check "it is JSON as well" python3 -m json.tool out /dev/null
refused() {
	! "$vmm" --print-cmdline xen --kernel "my kernel" 2>notes && grep -q 'is none of qemu' notes &&
		! "$vmm" --print-cmdline qemu --kernel missing 2>notes && grep -q "can't open" notes &&
		! "$vmm" --print-cmdline qemu 2>notes && grep -q 'there is no --kernel' notes
}
check "what is wrong is refused" refused
finish
