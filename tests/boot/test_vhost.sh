#!/bin/bash
# test_vhost.sh - a guest with two queues on a TAP interface whose frames the kernel's vhost-net moves:
# data both ways, the cable pulled, the driver taken off and put back, a reboot; then the same
# interface where vhost-net can't be had. Needs root. VHOST_MIB is how much goes each way.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mib=${VHOST_MIB:-16}

modprobe vhost_net 2>/dev/null
if [ "$(id -u)" != 0 ] || [ ! -e /dev/net/tun ] || [ ! -e /dev/vhost-net ]; then
	skip "vhost-net" "it needs root, /dev/net/tun and /dev/vhost-net"
	finish
fi
# Interfaces and mounts of the test's own.
if [ -z "${VHOST_TEST_HAS_NAMESPACES-}" ]; then
	export VHOST_TEST_HAS_NAMESPACES=1
	rm -rf "$work"
	trap - EXIT
	exec unshare --net --mount "$0"
fi
ip link set lo up
mkdir "$work/www"
head -c "${mib}M" /dev/urandom >"$work/www/data"
sum=$(sha256sum <"$work/www/data")
mkfifo "$work/silence"
exec {silence}<>"$work/silence"
busybox httpd -f -p 9001 -h "$work/www" &
all_pids+=($!)

# start_card OPTION...: a guest whose only card is the TAP interface, set up on both sides.
start_card() {
	start_guest '' --cpus 2 --name vhost-test --verbose "$@"
	expect "$prompt"
	ip addr add 10.5.0.1/24 dev vhost0
	set_up_guest
}
set_up_guest() {
	send 'ip addr add 10.5.0.2/24 dev eth0; ip link set eth0 up; sleep 1; echo is up'
	expect '^is up'
}

# In two pieces, so that the line typed is none that is waited for.
guest_pings() {
	send 'ping -c 3 -q -W 5 10.5.0.1 | grep -o "[0-9]* packets received"; echo pi""nged'
	expect "^$1 packets received" && expect '^pinged'
}

# Each of the kernel's workers for a process bears its number.
has_workers() {
	local count
	count=$(cat /proc/[0-9]*/comm /proc/"$guest"/task/*/comm 2>/dev/null | grep -c "^vhost-$guest\$")
	is "$1" "$((count > 0))"
}

moves_data() {
	send 'wget -q -O - http://10.5.0.1:9001/data | sha256sum; echo re""ceived'
	check "$1: $mib MiB to the guest" expect "^$sum"
	expect '^received'
	# Its input stays open, or nc ends too early.
	busybox nc -l -p 9002 >"$work/uploaded" <&"$silence" &
	local receiver=$! up
	all_pids+=("$receiver")
	send "head -c ${mib}M /dev/urandom >/tmp/up; sha256sum </tmp/up; nc 10.5.0.1 9002 </tmp/up; echo se\"\"nt"
	expect_line '^[0-9a-f]{64} '
	up=$matched
	expect '^sent'
	wait "$receiver"
	check "$1: $mib MiB from the guest" is "$up" "$(sha256sum <"$work/uploaded")"
}

# ---- In the kernel ----

start_card --net tap=vhost0,queues=2
check "the kernel takes the rings" has "$errors" "vhost-net moves its frames"
check "with workers of its own" has_workers 1
check "ping" guest_pings 3
moves_data "vhost-net"
"$vmm" link vhost-test down
check "the cable pulled: nothing arrives" guest_pings 0
"$vmm" link vhost-test up
check "and plugged in again" guest_pings 3
# shellcheck disable=SC2016 # for the guest's shell
send 'd=$(basename $(readlink /sys/class/net/eth0/device)); cd /sys/bus/virtio/drivers/virtio_net; echo $d >unbind; echo $d >bind; cd; sleep 1; echo bo""und'
expect '^bound'
set_up_guest
check "the driver taken off and put back" guest_pings 3
send reboot
expect 'reboot: Restarting'
expect "$prompt"
set_up_guest
check "after a reboot" guest_pings 3
send poweroff
check "it powers off" ends_with 0
check "no complaint" succeeds sh -c "! grep -i -e warn -e broken -e stands '$errors'"

# ---- Without ----

mount --bind /dev/null /dev/vhost-net
start_card --net tap=vhost0,queues=2
check "without vhost-net one line says why" has "$errors" "not vhost-net: /dev/vhost-net:"
check "and no worker is there" has_workers 0
check "ping without vhost-net" guest_pings 3
moves_data "without vhost-net"
send poweroff
check "it powers off" ends_with 0
finish
