#!/bin/bash
# test_vsock.sh - sockets between the guest's AF_VSOCK and programs of the host: many streams both
# ways, compared byte by byte, who connects whom, half and abrupt ends, readers that do not read.
# VSOCK_MIB is how much goes each way in all, VSOCK_STREAMS on how many streams.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mib=${VSOCK_MIB:-4} streams=${VSOCK_STREAMS:-50}
each=$((mib * 1048576 / streams))
all="loaded $streams streams, $((each * streams)) bytes each way"
path=$work/vsock
peer=$work/scripts/vsock_peer

cp -r "$here/guest" "$work/scripts"
"${CC:-gcc}" -O2 -static -D_GNU_SOURCE -o "$peer" "$here/vsock_peer.c" || exit 1
strip "$peer"
make_ext4 "$work/scripts.img" 4M -O ^has_journal -d "$work/scripts"

# serve MODE PORT: a program of the host, for the guest's connections to that port.
serve() {
	"$peer" "$1" "unix:${path}_$2" >"$work/$1.out" &
	all_pids+=("$!")
	until [ -S "${path}_$2" ]; do sleep 0.1; done
}

# guest WORDS: a program of the guest.
guest() {
	send "/mnt/vsock_peer $*"
}

# host WORDS: a program of the host, up to its end. $said is what it prints.
host() {
	said=$(timeout "$patience_s" "$peer" "$@")
}

# sockets: how many connections vmm holds now.
sockets() {
	find /proc/"$guest"/fd -lname 'socket:*' | wc -l
}

settles_at() {
	local deadline=$((SECONDS + 30))
	while [ "$(sockets)" -ne "$1" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.2; done
	is "$1" "$(sockets)"
}

start_guest '' --cpus 1 --vsock "5,path=$path"
expect "$prompt"
check "the socket is ours alone" is 600 "$(stat -c %a "$path")"
idle=$(sockets)
serve echo 6000
serve count 6001
serve mute 6002
# shellcheck disable=SC2016 # the guest's variable
send 'mount -o ro /dev/vdb /mnt; for m in "echo 5000" "count 5001" "mute 5002"; do /mnt/vsock_peer $m & done'
for _ in 1 2 3; do expect 'listening at 50'; done

# ---- Both directions ----

start_s=$SECONDS
guest load 2:6000 "$streams" "$each"
check "the guest connects: $streams streams, $mib MiB each way" expect "^$all"
echo "#   in $((SECONDS - start_s)) s"
start_s=$SECONDS
check "a program of the host connects" host load "unix:$path:5000" "$streams" "$each"
check "$streams streams, $mib MiB each way" is "$all" "$said"
echo "#   in $((SECONDS - start_s)) s"
check "no connection is left over" settles_at "$idle"

guest half 2:6001 1048576
check "the guest ends its half and still reads" expect '^1048576 bytes'
host half "unix:$path:5001" 1048576
check "so does a program of the host" is '1048576 bytes' "$said"

# ---- Nobody there ----

guest half 2:7777 1
check "nobody listens on the host" expect '^connect: Connection reset by peer'
host half "unix:$path:7777" 1
check "nobody listens in the guest" is refused "$said"

# ---- Abrupt ends ----

"$peer" load "unix:$path:5000" 5 100000000 >/dev/null &
killed=$!
disown
sleep 2
kill -KILL "$killed"
send '/mnt/vsock_peer load 2:6000 5 100000000 & sleep 2; kill -9 $!; wait $!; echo killed'
expect '^killed'
host leave "unix:$path:5000" 300000
send '/mnt/vsock_peer leave 2:6000 300000; echo left'
expect '^left'
check "what was killed or left leaves nothing behind" settles_at "$idle"

# ---- Readers that do not read ----

guest flood 2:6002
expect_line '^flooded [0-9]+ KiB'
check "a program that does not read stops the guest, soon" [ "${matched//[^0-9]/}" -lt 2048 ]
echo "#   $matched"
"$peer" flood "unix:$path:5002" >"$work/flooded" &
flood=$!
guest load 2:6000 4 262144
check "while other streams go on" expect '^loaded 4 streams, 1048576 bytes'
wait "$flood"
said=$(cat "$work/flooded")
check "a guest that does not read stops the program, soon" [ "${said//[^0-9]/}" -lt 2048 ]
echo "#   $said"

send 'poweroff -f'
check "the guest powers off with connections open" ends_with 0
check "the socket is gone" [ ! -e "$path" ]
check "without a word about the device" is 0 "$(grep -c vsock "$errors")"
finish
