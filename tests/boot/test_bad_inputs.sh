#!/bin/bash
# test_bad_inputs.sh - what vmm says when it is given something that it can't use: a table of wrong
# words, files of every wrong kind, and hosts without KVM. Each line asserts the exit status, the
# part of the sentence that matters, that nothing else is printed, and that it takes no time.
# No guest runs, so this needs no KVM.
# shellcheck source=lib.sh
anywhere=yes
. "$(dirname "$0")/lib.sh"

# bad STATUS TEXT... -- OPTION...: vmm with these options ends with STATUS, and its sentences have
# each TEXT. $name is the name of the test, $run what vmm is run by.
run=()
bad() {
	local wanted=$1 texts=() text
	shift
	while [ "$1" != -- ]; do
		texts+=("$1")
		shift
	done
	shift
	timeout -k 1 5 "${run[@]}" "$vmm" "$@" </dev/null >"$work/stdout" 2>"$work/stderr"
	status=$?
	errors=$work/stderr
	if ! is "$wanted" "$status" || ! is '' "$(cat "$work/stdout")" || ! says_one_thing; then
		not_ok "$name"
		return
	fi
	for text in "${texts[@]}"; do
		has "$work/stderr" "$text" || { not_ok "$name" && return; }
	done
	ok "$name"
}

# One line that says what and why, and one more at most that says what to do. What vmm thinks of
# this host's KVM stands before that and is left out.
says_one_thing() {
	local lines others
	sed -i '/^vmm: this processor offers no virtualization/d' "$work/stderr"
	lines=$(wc -l <"$work/stderr")
	others=$(grep -cvE '^vmm: [^ ].*[.?!]$' "$work/stderr")
	[ "$lines" -ge 1 ] && [ "$lines" -le 2 ] && [ "$others" -eq 0 ] && return
	echo '#   not one sentence and one hint'
	return 1
}

# The names of the tests stand in front of them, so that the table is easy to read.
t() {
	name=$1
	shift
	bad "$@"
}

# ---- The files ----

cd "$work" || exit 1
chmod 755 "$work"
good=$(tiny EXIT 0)
linux=$guests/default/vmlinuz-cloud

# bytes FILE OFFSET TEXT: puts bytes (as printf's %b takes them) there.
bytes() {
	printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

: >empty
mkdir folder
mkfifo fifo
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "socket", Listen => 1)'
echo 'Dear reader, this is no kernel.' >text
printf '#!/bin/sh\nexit 0\n' >script
truncate -s 1M zeros
head -c 65536 /dev/urandom >noise
bytes noise 0 'zz'
printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR' >png
echo text | cpio --quiet -o -H newc >initramfs 2>/dev/null
gzip -c initramfs >cpio.gz
gzip -c text >text.gz
gzip -c "$good" >good.gz
head -c $(($(stat -c %s good.gz) - 20)) good.gz >cut.gz
tar -cf tar text
make_ext4 ext4.img 1M -O ^has_journal
truncate -s 1M qcow2
bytes qcow2 0 'QFI\xfb\0\0\0\003'
truncate -s 1M vmdk
bytes vmdk 0 'KDMV\001\0\0\0'
head -c 4096 /dev/zero >elf32
bytes elf32 0 '\x7fELF\001\001\001'
bytes elf32 16 '\002\0\003\0\001\0\0\0'
cp "$good" elf-arm64
bytes elf-arm64 18 '\xb7\0'
head -c 60 "$good" >elf-cut
head -c 300 "$good" >elf-shorter
cp "$good" elf-low
truncate -s 4096 image-arm64
bytes image-arm64 56 'ARM\x64'
truncate -s 4096 uefi.efi
bytes uefi.efi 0 MZ
bytes uefi.efi 60 '\x80'
bytes uefi.efi 128 'PE\0\0\x64\x86'
bytes uefi.efi 220 '\012'
printf '!<arch>\ndebian-binary   1700000000  0     0     100644  4         `\n2.0\n' >deb
cp "$good" secret
chmod 000 secret
cp ext4.img secret.img
chmod 000 secret.img
cp ext4.img read-only.img
chmod 444 read-only.img
truncate -s 64M big-initrd

# ---- The command line ----

t "no option" 2 "there is no --kernel" "For example: vmm --kernel" --
t "misspelt option" 2 "there is no option '--kernal'" "Did you mean --kernel?" -- --kernal x
t "unknown option, nothing near" 2 "there is no option '--zzzzzz'" "--help" -- --zzzzzz
t "one dash for two" 2 "there is no option '-kernel'" "Did you mean --kernel?" -- -kernel x
t "unknown letter" 2 "there is no option '-Z'" -- -Z
t "option without value" 2 "--kernel needs a value" -- --kernel
t "option in place of a value" 2 "--kernel needs a value" "--disk" -- --kernel --disk x
t "empty value" 2 "--kernel: the value is empty" -- --kernel=
t "option given twice" 2 "--kernel is given twice" -- --kernel x --kernel x
t "value for a flag" 2 "--no-reboot takes no value" -- --kernel x --no-reboot=1
t "misspelt verb" 2 "'docter' is neither an option nor a verb" "Did you mean vmm doctor?" -- docter
t "verb behind options" 2 "A verb stands first: vmm doctor" -- --kernel x doctor
t "forgotten option name" 2 "'text' is neither an option nor a verb" "vmm --kernel text" -- text
t "quiet and verbose" 2 "--quiet and --verbose exclude each other" -- --kernel x -qv

t "no CPU" 2 "--cpus: 0 is out of range" "1 to 255" -- --kernel x --cpus 0
t "too many CPUs" 2 "--cpus: 256 is out of range" "1 to 255" -- --kernel x --cpus 256
t "CPUs below zero" 2 "--cpus: '-1' is not a whole number" -- --kernel x --cpus -1
t "CPUs in words" 2 "--cpus: 'abc' is not a whole number" -- --kernel x --cpus abc
t "CPUs as 1e9" 2 "--cpus: '1e9' is not a whole number" -- --kernel x --cpus 1e9
t "CPUs beyond 64 bits" 2 "is out of range" -- --kernel x --cpus 99999999999999999999999
t "half a CPU" 2 "--cpus: '1.5' is not a whole number" -- --kernel x --cpus 1.5

t "no memory" 2 "-m: 0 bytes is out of range" "32M to 4T" -- --kernel x -m 0
t "one byte of memory" 2 "-m: 1 bytes is out of range" -- --kernel x -m 1
t "memory without unit" 2 "-m: 512 bytes is out of range" "write 512M" -- --kernel x -m 512
t "memory below the least" 2 "--memory: 31M is out of range" -- --kernel x --memory 31M
t "absurd memory" 2 "-m: 99999999G is out of range" -- --kernel x -m 99999999G
t "memory beyond 64 bits" 2 "is out of range" -- --kernel x -m 99999999999999999999T
t "memory below zero" 2 "-m: '-1G' is not a size" -- --kernel x -m -1G
t "memory in words" 2 "-m: 'lots' is not a size" "512M" -- --kernel x -m lots
t "memory in fractions" 2 "-m: '1.5G' is not a size" -- --kernel x -m 1.5G
t "memory of odd size" 2 "--memory: 33000K is not a multiple of 1M" -- --kernel x --memory 33000K
t "memory that no host of this size can give" 2 "--memory: 4T can't work here" -- --kernel "$good" -m 4T
t "odd memory with huge pages" 2 "multiple of 2M" -- --kernel x --hugepages -m 33M

t "time limit of nothing" 2 "--timeout: 0 is out of range" -- --kernel x --timeout 0
t "time limit in words" 2 "--timeout: 'soon' is not a number of seconds" -- --kernel x --timeout soon
t "absurd grace" 2 "--grace: 99999999999 is out of range" -- --kernel x --grace 99999999999
t "bad name" 2 "--name: 'a b' is no name" -- --kernel x --name 'a b'
t "bad clock" 2 "--rtc-base: 'yesterday' is neither utc" -- --kernel x --rtc-base yesterday

t "unknown console" 2 "--serial: 'std' is none of" "Did you mean stdio?" -- --kernel x --serial std
t "console file without kind" 2 "--serial file:/tmp/log" -- --kernel x --serial /tmp/log
t "console without path" 2 "--serial: 'file:' is none of" -- --kernel x --serial file:

t "unknown key of a disk" 2 "--disk: there is no key 'rw'" "Did you mean ro?" -- --kernel x --disk f,rw
t "empty key of a disk" 2 "nothing stands between two commas" -- --kernel x --disk f,,,
t "ro and ephemeral" 2 "ro and ephemeral exclude each other" -- --kernel x --disk f,ro,ephemeral
t "serial number too long" 2 "serial has 21 characters; it can have up to 20" -- \
	--kernel x --disk f,serial=123456789012345678901
disks=()
for _ in {1..27}; do
	disks+=(--disk "ext4.img,ro")
done
t "too many disks" 2 "--disk is given more than 26 times" -- --kernel x "${disks[@]}"

t "inspect without file" 2 "inspect needs a FILE" -- inspect
t "inspect of nothing" 4 "missing: No such file" -- inspect missing
t "help for what there is not" 2 "docter" -- help docter
t "word behind doctor" 2 "doctor: there is no use for the word 'now'" -- doctor now
name="standard output that takes nothing"
if errors='' && "$vmm" --help >/dev/full 2>"$work/stderr"; then
	not_ok "$name"
else
	check "$name" has "$work/stderr" "can't write to standard output"
fi

# ---- The kernel ----

t "kernel that is not there" 4 "can't open the kernel missing: No such file" -- --kernel missing
t "kernel below a file" 4 "can't open the kernel text/x: Not a directory" -- --kernel text/x
t "folder as kernel" 4 "the kernel folder is a directory" -- --kernel folder
t "empty kernel" 4 "the kernel empty is empty" -- --kernel empty
t "FIFO as kernel" 4 "the kernel fifo is a pipe" -- --kernel fifo
t "socket as kernel" 4 "can't open the kernel socket" -- --kernel socket
t "device as kernel" 4 "the kernel /dev/zero is a character device" -- --kernel /dev/zero
t "text as kernel" 4 "text is a text file" "bzImage" -- --kernel text
t "script as kernel" 4 "script is a script" -- --kernel script
t "picture as kernel" 4 "png is a" "can't be started" -- --kernel png
t "zeros as kernel" 4 "nothing but zeros" -- --kernel zeros
t "noise as kernel" 4 "a file of unknown format" -- --kernel noise
t "initramfs as kernel" 4 "initramfs is a cpio archive" "goes with --initrd" -- --kernel initramfs
t "packed initramfs as kernel" 4 "a cpio archive (an initramfs), packed by gzip" "--initrd" -- \
	--kernel cpio.gz
t "packed text as kernel" 4 "packed by gzip" -- --kernel text.gz
t "tar as kernel" 4 "tar is a tar archive" -- --kernel tar
t "disk as kernel" 4 "ext4.img is a disk image (ext4)" "goes with --disk" -- --kernel ext4.img
t "qcow2 as kernel" 4 "a qcow2 disk image" "goes with --disk" -- --kernel qcow2
t "package as kernel" 4 "a Debian package" "unpack the package" -- --kernel deb
t "32-bit ELF as kernel" 4 "a 32-bit ELF file" -- --kernel elf32
t "ELF of another processor" 4 "an ELF file for" -- --kernel elf-arm64
t "kernel of another processor" 4 "a Linux kernel for AArch64" -- --kernel image-arm64
t "UEFI program as kernel" 4 "a UEFI program for x86-64" -- --kernel uefi.efi
t "program as kernel" 4 "can't be started" -- --kernel "$(readlink -f /bin/true)"
t "ELF cut in its header" 4 "the cut beginning of an ELF file" -- --kernel elf-cut
t "ELF cut behind it" 4 "elf-shorter" -- --kernel elf-shorter
if [ -e "$linux" ]; then
	head -c 600 "$linux" >bz-header
	head -c 1000000 "$linux" >bz-cut
	t "bzImage cut in its header" 4 "bz-header" -- --kernel bz-header
	t "bzImage cut in its code" 4 "bz-cut is a cut Linux kernel: it has 1000000 bytes" -- --kernel bz-cut
	cp "$linux" bz-old
	bytes bz-old $((0x206)) '\002\002'
	t "bzImage older than all" 4 "boot protocol 2.02" -- --kernel bz-old
fi

# ---- The initrd ----

t "initrd that is not there" 4 "can't open the initrd missing: No such file" -- \
	--kernel "$good" --initrd missing
t "folder as initrd" 4 "the initrd folder is a directory" -- --kernel "$good" --initrd folder
t "empty initrd" 4 "the initrd empty is empty" -- --kernel "$good" --initrd empty
t "FIFO as initrd" 4 "the initrd fifo is a pipe" -- --kernel "$good" --initrd fifo
t "kernel as initrd" 4 "the initrd $good is an x86-64 ELF kernel" "goes with --kernel" -- \
	--kernel "$good" --initrd "$good"

# ---- Disks ----

t "disk that is not there" 4 "there is no disk image missing" "check the path" -- --kernel "$good" --disk missing
t "folder as disk" 4 "folder" "directory" -- --kernel "$good" --disk folder
t "empty disk" 4 "empty" -- --kernel "$good" --disk empty
t "FIFO as disk" 4 "fifo" -- --kernel "$good" --disk fifo
t "character device as disk" 4 "/dev/zero" -- --kernel "$good" --disk /dev/zero
t "qcow2 as disk" 4 "qcow2" "raw" -- --kernel "$good" --disk qcow2
t "VMDK as disk" 4 "VMDK" -- --kernel "$good" --disk vmdk

# ---- Consoles ----

t "console in a folder that is not there" 5 "can't write the console to missing/log: No such file" -- \
	--kernel "$good" --serial file:missing/log
t "folder as console" 5 "can't write the console to folder: Is a directory" -- \
	--kernel "$good" --serial file:folder
t "FIFO that nobody reads as console" 5 "a FIFO that nobody reads" "pipe:fifo" -- \
	--kernel "$good" --serial file:fifo
t "FIFOs that are not there" 5 "mkfifo nothing.in nothing.out" -- --kernel "$good" --serial pipe:nothing
t "file as FIFO" 5 "text as a console: it is not a FIFO" -- --kernel "$good" --serial pipe:text
long=$(printf 'x%.0s' {1..120})
t "socket with too long a name" 5 "name has at most 107 bytes" -- \
	--kernel "$good" --serial "unix:$long"
t "socket in place of a file" 5 "it is not a socket" -- --kernel "$good" --serial unix:text
t "socket in a folder that is not there" 5 "can't make the console socket missing/x" -- \
	--kernel "$good" --serial unix:missing/x

# ---- No permission ----

run=()
if [ "$(id -u)" -eq 0 ]; then
	run=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
fi
if "${run[@]}" "$vmm" --version >/dev/null 2>&1; then
	t "kernel without permission" 4 "can't open the kernel secret: Permission denied" -- --kernel secret
	t "initrd without permission" 4 "can't open the initrd secret: Permission denied" -- \
		--kernel "$good" --initrd secret
	t "disk without permission" 4 "secret.img" "ermission" -- --kernel "$good" --disk secret.img
	t "disk that may be read only" 4 "read-only.img" ",ro" -- --kernel "$good" --disk read-only.img
	t "console without permission" 5 "can't write the console to read-only.img: Permission denied" -- \
		--kernel "$good" --serial file:read-only.img
else
	skip "files without permission" "another user can't run $vmm"
fi

# ---- KVM ----

# with_dev COMMANDS: a /dev made by these shell commands, and an ordinary user if $as_nobody.
with_dev() {
	run=(unshare -m sh -c "$1 && shift && exec \"\$@\"" sh -)
}
if [ "$(id -u)" -ne 0 ] || ! unshare -m true 2>/dev/null; then
	skip "hosts without KVM" "only root can make them here"
	finish
fi
nobody='exec setpriv --reuid 65534 --regid 65534 --clear-groups --'
with_dev 'mount -t tmpfs none /dev'
t "no /dev/kvm" 3 "there is no /dev/kvm" -- --kernel "$good"
with_dev 'mount -t tmpfs none /dev && : >/dev/kvm'
t "a file as /dev/kvm" 3 "/dev/kvm is not KVM but no device at all" -- --kernel "$good"
with_dev 'mount -t tmpfs none /dev && mknod -m 666 /dev/kvm c 1 3'
t "another device as /dev/kvm" 3 "/dev/kvm is not KVM but another device" -- --kernel "$good"
run=(unshare -m sh -c "mount -t tmpfs none /dev && mknod -m 600 /dev/kvm c 10 232 && $nobody \"\$@\"" sh)
t "/dev/kvm for root alone" 3 "no permission to open /dev/kvm" "usermod -aG kvm" -- --kernel "$good"

# ---- What shows only when the machine is made ----

run=()
if [ -w /dev/kvm ] && [ -e "$linux" ]; then
	t "kernel larger than memory" 4 "needs memory up to" "give at least --memory" -- \
		--kernel "$linux" -m 32M --serial null -q
	t "initrd larger than memory" 4 "the initrd big-initrd (64 MiB) does not fit" "--memory" -- \
		--kernel "$linux" --initrd big-initrd -m 96M --serial null -q
	t "packed kernel that is cut" 4 "the kernel cut.gz is damaged" -- --kernel cut.gz --serial null -q
	t "kernel command line too long" 2 "command line" "shorten --append" -- \
		--kernel "$linux" --append "$(printf 'x%.0s' {1..3000})" --serial null -q
	cp "$linux" bz-damaged
	dd if=/dev/zero of=bz-damaged bs=64k seek=20 count=16 conv=notrunc 2>/dev/null
	t "bzImage with damaged contents" 4 "bz-damaged is damaged" -- --kernel bz-damaged --serial null -q
	if [ "$(cat /proc/sys/vm/nr_hugepages)" -eq 0 ]; then
		t "huge pages that the host has not" 1 "huge pages" "vm.nr_hugepages" -- \
			--kernel "$good" --hugepages -m 64M --serial null -q
	fi
else
	skip "what shows only when the machine is made" "no /dev/kvm here, or no default guest"
fi
finish
