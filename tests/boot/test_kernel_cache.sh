#!/bin/bash
# test_kernel_cache.sh - the unpacked kernel is found at the next start, and whatever somebody does to
# the cache, the right kernel starts. Most starts here end after half a second by --timeout: that the
# kernel is in memory, and from where, is told by --boot-timer.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

# A copy of our own: a kernel that was made a moment ago would not be cached.
cp "$kernel" "$work/kernel" && sleep 4
kernel=$work/kernel
export XDG_CACHE_HOME=$work/cache
entries=$XDG_CACHE_HOME/vmm/kernels

# starts FROM OPTION...: vmm loads the kernel that way ("unpacked", "from the cache").
starts() {
	local from=$1
	shift
	start_vmm -q --kernel "$kernel" --append quiet -m 256M --cpus 1 --net none --timeout 0.5 \
		--boot-timer "$@"
	ends_with 36 && has "$errors" "kernel loaded ($from)"
}

# boots FROM: all the way into the root.
boots() {
	start_guest 'vmm.run="uname -r"' --cpus 1 --boot-timer
	ends_with 0 && has "$errors" "kernel loaded ($1)" && has "$console" cloud-amd64
}

entry() {
	ls "$entries"/*.kernel
}

check "the first start unpacks" starts unpacked
check "and keeps one kernel" test "$(entry | wc -l)" = 1
check "for nobody else" is 600 "$(stat -c %a "$(entry)")"
check "the second start finds it and boots" boots "from the cache"
check "--no-kernel-cache does not look for it" starts unpacked --no-kernel-cache
check "the kernel's own decompressor needs none" starts "copied, unpacks itself" --no-unpack

truncate -s -5000 "$(entry)"
check "a cut entry is not used, and Linux boots" boots unpacked
check "it was replaced" starts "from the cache"
printf 'X' | dd of="$(entry)" bs=1 seek=9000000 conv=notrunc 2>/dev/null
check "a changed byte is found" starts unpacked
check "and replaced" starts "from the cache"
: >"$(entry)"
check "an empty entry" starts unpacked

cp "$(entry)" "$work/elsewhere" && ln -sf "$work/elsewhere" "$(entry)"
check "a symbolic link is not followed" starts unpacked
chown 1234 "$(entry)"
check "another user's entry is not used" starts unpacked
chmod 777 "$entries"
check "nor a folder where everybody writes" starts unpacked
chmod 700 "$entries"

# The same name, another kernel, packed by XZ: its inode's time gives it away.
cp "$guests/default/vmlinuz-amd64" "$work/other"
cat "$work/other" >"$kernel"
touch -r "$guests/default/vmlinuz-cloud" "$kernel"
check "another kernel under the name" starts unpacked
cp "$guests/default/vmlinuz-cloud" "$work/kernel.new" && mv "$work/kernel.new" "$kernel" && sleep 4
rm -rf "$XDG_CACHE_HOME"

for i in 1 2 3; do
	"$vmm" -q --kernel "$kernel" -m 256M --cpus 1 --net none --serial null --timeout 2 \
		--boot-timer </dev/null 2>"$work/at-once$i" &
	eval "pid$i=\$!"
done
# shellcheck disable=SC2154 # set by eval
wait "$pid1" "$pid2" "$pid3"
check "three at once load it" test "$(grep -l 'kernel loaded' "$work"/at-once* | wc -l)" = 3
check "one entry is left, and nothing half" test "$(find "$entries" -type f | wc -l)" = 1
check "which is good" boots "from the cache"

rm -f "$(entry)"
mount -t tmpfs -o size=1M,mode=700 small "$entries"
check "no room" starts unpacked
check "leaves nothing behind" test -z "$(ls "$entries")"
mount -o remount,ro "$entries"
check "a read-only folder" starts unpacked
umount "$entries"
check "a folder that can't be made" env HOME=/proc XDG_CACHE_HOME=/proc/none bash -c '
	"$@" 2>&1 </dev/null | grep -q "kernel loaded (unpacked)"' - "$vmm" -q --kernel "$kernel" \
	-m 256M --cpus 1 --net none --serial null --timeout 0.5 --boot-timer
check "no HOME at all" env -u HOME -u XDG_CACHE_HOME bash -c '
	"$@" 2>&1 </dev/null | grep -q "kernel loaded (unpacked)"' - "$vmm" -q --kernel "$kernel" \
	-m 256M --cpus 1 --net none --serial null --timeout 0.5 --boot-timer

finish
