#!/bin/bash
# test_net_tap.sh - a guest with four cards: a TAP interface with two queues that vmm makes, one that
# is there and has no offloads, a user network, and a socket nobody is at. Ping and TCP in both
# directions on the first two; the second set down, set up and removed. NET_MIB is how much goes
# each way.
# shellcheck disable=SC2016 # what is in single quotes is for other shells
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mib=${NET_MIB:-16}

[ -e /dev/net/tun ] || {
	skip "TAP interfaces" "this host has no /dev/net/tun (modprobe tun)"
	finish
}
own_network
make_tools
ip tuntap add dev test1 mode tap || {
	skip "TAP interfaces" "none can be made here"
	finish
}
ip addr add 10.1.1.1/24 dev test1
ip link set test1 up
head -c "${mib}M" /dev/urandom >"$work/data"

start_guest '' --cpus 2 --disk "$work/tools.img,ro" --net tap=test0,queues=2 \
	--net tap=test1,offload=off --net user --net "socket=$work/nobody"
check "the prompt comes" expect "$prompt"
check "the first line tells of all four" has "$errors" "net test0, test1, user, $work/nobody"
check "the interface that was not there is up" grep -q '[<,]UP[,>]' <<<"$(ip link show test0)"
ip addr add 10.1.0.1/24 dev test0
for card in 0 1; do
	background "$nettool" listen 10.1.$card.1 9001 <"$work/data"
	background "$nettool" listen 10.1.$card.1 9002 >"$work/uploaded$card" </dev/null
done
send "$(guest_command net-tap "$mib")"
check "four cards" expect '^net cards 4$'
expect_line '^net data '
sum=$(cut -d' ' -f3 <<<"$matched")
for card in 0 1; do
	check "card $card: queues" expect "^net queues$card $((2 - card))\$"
	check "card $card: ping to the host" expect "^net ping$card 1\$"
	check "card $card: ping from the host" succeeds busybox ping -c 3 -W 5 10.1.$card.2
	check "card $card: $mib MiB of TCP to the guest" \
		expect "^net download$card $(sha256sum <"$work/data" | cut -c 1-64)"
	expect "^net uploaded$card"
	arrived "$work/uploaded$card" "$mib"
	check "card $card: $mib MiB of TCP from the guest" is "$sum" \
		"$(sha256sum <"$work/uploaded$card" | cut -c 1-64)"
done
expect '^net ready'

# carrier CARD VALUE: the guest sees it within ten seconds.
carrier() {
	send "n=0; until [ \"\$(cat /sys/class/net/eth$1/carrier)\" = $2 ] || [ \$n = 50 ]; do n=\$((n + 1)); usleep 200000; done; echo carrier$1 \$(cat /sys/class/net/eth$1/carrier)"
	expect "^carrier$1 $2\$"
}
send 'ip link set eth3 up'
check "a socket nobody is at gives no carrier" carrier 3 0
ip link set test1 down
check "an interface set down takes the carrier away" carrier 1 0
ip link set test1 up
check "and set up gives it back" carrier 1 1
check "it works again" succeeds busybox ping -c 3 -W 5 10.1.1.2
ip link delete test1
check "an interface removed takes it away for good" carrier 1 0
check "and a line says so" has "$errors" 'net test1: the interface was removed'
check "the other card does not care" succeeds busybox ping -c 3 -W 5 10.1.0.2
send poweroff
check "it powers off" ends_with 0
check "the interface that vmm made is gone" is '' "$(ip link show test0 2>/dev/null)"

# ---- What can't be had ----

as_other=()
# refused STATUS TEXT OPTION...: vmm ends with that.
refused() {
	local status
	timeout -k 5 20 "${as_other[@]}" "$vmm" --kernel "$(tiny EXIT 7)" -m 32M --serial none "${@:3}" \
		</dev/null >"$work/second.out" 2>"$work/second.err"
	status=$?
	is "$1" "$status" && has "$work/second.err" "$2"
}
tiny EXIT 7 >/dev/null
chmod -R go+rX "$work"
if [ -n "${VMM_NESTED-}" ]; then
	as_other=(setpriv --reuid 12345 --regid 12345 --clear-groups --inh-caps=-all --bounding-set=-all)
	check "without permission" refused 5 'there is no interface test5, and only root can make one' \
		--net tap=test5
	check "the error has the line for root" has "$work/second.err" \
		'ip tuntap add dev test5 mode tap user 12345 && ip link set test5 up'
	ip tuntap add dev test5 mode tap user 12345 && ip link set test5 up
	check "which does it" refused 7 'net test5' --net tap=test5
	as_other=()
fi
ip link add test6 type dummy 2>/dev/null || ip link add test6 type bridge
check "another kind of interface" refused 5 'test6 is no TAP interface' --net tap=test6
check "a descriptor that is none" refused 5 'no such descriptor' --net fd=77
check "a descriptor of something else" refused 5 'the descriptor is no TAP' --net fd=0
finish
