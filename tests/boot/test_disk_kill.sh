#!/bin/bash
# test_disk_kill.sh - vmm is killed (SIGKILL) at random moments while a guest writes: after the
# journal's replay the file system is clean, and every file whose fsync(2) had returned is whole.
# KILLS is how often, SEED makes the moments repeatable.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

kills=${KILLS:-3}
RANDOM=${SEED:-$$}
echo "# SEED=${SEED:-$$}"
image=$work/data.img

# What e2fsck may find after a power cut: a journal to replay, files that were open and removed, and
# the sums of free blocks that ext4 keeps up to date only when it unmounts.
ordinary='^(e2fsck |.*: recovering journal|Pass [1-5]|Clearing orphaned inode|.*orphan'
ordinary+='|Free (blocks|inodes) count wrong|Fix\? yes|Setting free (blocks|inodes) count'
ordinary+='|.*FILE SYSTEM WAS MODIFIED|.*: [0-9]+/[0-9]+ files|Block bitmap differences|Inode bitmap|$)'

replays_and_is_clean() {
	e2fsck -fy "$image" >"$work/fsck" 2>&1
	if [ $? -gt 1 ] || grep -qvE "$ordinary" "$work/fsck"; then
		sed 's/^/#   /' "$work/fsck"
		return 1
	fi
	succeeds e2fsck -fn "$image"
}

# Only a whole line counts: its end came after the fsync.
promised() {
	tr -d '\r' <"$console" | sed '$d' | sed -n 's/^fsynced \(file[0-9]*\) \([0-9a-f]\{64\}\)$/\2  \1/p'
}

promised_files_are_whole() (
	promised >"$work/promised"
	rm -rf "$work/dump" && mkdir "$work/dump" && debugfs -R "rdump / $work/dump" "$image" 2>/dev/null
	printf '#   %s files were promised\n' "$(wc -l <"$work/promised")"
	[ -s "$work/promised" ] && cd "$work/dump" && succeeds sha256sum --quiet -c "$work/promised"
)

for ((n = 1; n <= kills; n++)); do
	rm -f "$image"
	make_ext4 "$image" 256M
	start_guest "$(in_guest write-for-ever /dev/vdc)" --cpus 2 --disk "$image"
	delay_ms=$((RANDOM % 3000))
	# The second: of the last line that has come nobody knows whether it is whole.
	if ! expect '^fsynced file2 '; then
		not_ok "kill $n: the guest writes"
		end_guest
		continue
	fi
	sleep "$((delay_ms / 1000)).$(printf %03d $((delay_ms % 1000)))"
	check "kill $n: the guest was still writing" is_running
	end_guest
	check "kill $n, after $delay_ms ms: e2fsck is content" replays_and_is_clean
	check "kill $n: every fsynced file is whole" promised_files_are_whole
done
finish
