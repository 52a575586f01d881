#!/bin/bash
# test_net_socket.sh - two guests on one cable made of a socket: ping and TCP between them; one is
# killed and comes back; the listener is killed and another takes its place. With passt installed
# the first guest has a second card on it.
# shellcheck disable=SC2016 # what is in single quotes is for other shells
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

own_network
make_tools
cable=$work/cable
mkdir -m 777 "$work/passt"

# The host's network as passt sees it: one interface with an address and a gateway.
passt_net=()
if ! command -v passt >/dev/null; then
	skip "passt" "it is not installed"
elif ! ip link add up0 type dummy; then
	skip "passt" "this host has no dummy interfaces for it to look at"
else
	ip addr add 192.0.2.1/24 dev up0
	ip link set up0 up
	ip route add default via 192.0.2.254
	chmod 755 "$work"
	background passt --foreground --socket "$work/passt/socket" >"$work/passt.log" 2>&1
	for _ in $(seq 100); do
		[ ! -S "$work/passt/socket" ] || break
		sleep 0.1
	done
	passt_net=(--net "socket=$work/passt/socket")
	background "$nettool" udp-serve 127.0.0.1 9003
fi

# join NAME ADDRESS OPTION...: starts a guest and gives its first card an address.
join() {
	start_guest '' -m 256M --disk "$work/tools.img,ro" --net "socket=$cable" "${@:3}"
	expect "$prompt" &&
		send "mkdir -p /tools; mount -o ro /dev/vdc /tools; killall udhcpc; ip link set eth0 up; ip addr add $2/24 dev eth0; echo joi''ned" &&
		expect '^joined$'
	keep_guest "$1"
}

# carrier VALUE: the guest in use sees it within ten seconds.
carrier() {
	send "n=0; until [ \"\$(cat /sys/class/net/eth0/carrier)\" = $1 ] || [ \$n = 50 ]; do n=\$((n + 1)); usleep 200000; done; echo carrier \$(cat /sys/class/net/eth0/carrier)"
	expect "^carrier $1\$"
}

# pings ADDRESS
pings() {
	send "ping -c 3 -W 5 $1"
	expect ' 3 packets received'
}

join first 10.2.0.1 "${passt_net[@]}"
check "alone it has no carrier" carrier 0
check "the socket is for its owner alone" is 600 "$(stat -c %a "$cable")"
join second 10.2.0.2
check "the second has a carrier" carrier 1
check "the second reaches the first" pings 10.2.0.1
send 'head -c 8388608 /dev/urandom > /tmp/data; echo s""um $(sha256sum < /tmp/data); /tools/nettool listen 10.2.0.2 9001 < /tmp/data &'
expect_line '^sum '
sum=$(cut -d' ' -f2 <<<"$matched")
use_guest first
check "the first has a carrier now" carrier 1
check "the first reaches the second" pings 10.2.0.2
send 'echo g""ot $(/tools/nettool connect 10.2.0.2 9001 < /dev/null | sha256sum)'
check "8 MiB of TCP from one to the other" expect "^got $sum"

if [ ${#passt_net[@]} -gt 0 ]; then
	send 'ip addr flush dev eth0; udhcpc -nq -i eth1; echo addr""ess $(ip addr show eth1 | grep -w inet)'
	check "passt: DHCP" expect '^address inet 192\.0\.2\.1/'
	send '/tools/nettool udp-ask 192.0.2.254 9003 through-passt'
	check "passt: UDP to the host" expect '^heard: through-passt$'
	send 'ip link set eth1 down; ip addr add 10.2.0.1/24 dev eth0; echo ba""ck'
	expect '^back$'
fi

use_guest second
end_guest
use_guest first
check "the peer killed: no carrier" carrier 0
check "and a line says so" has "$errors" 'the other side is gone'
join third 10.2.0.3
use_guest first
check "the next peer: a carrier" carrier 1
check "and it is reached" pings 10.2.0.3

# What is left of the first is a socket that nobody listens on.
end_guest
use_guest third
check "the listener killed: no carrier" carrier 0
start_vmm --kernel "$(tiny SLEEP)" -m 32M --serial none --net "socket=$cable"
keep_guest fourth
use_guest third
check "somebody else listens there: a carrier again" carrier 1
send poweroff
check "it powers off" ends_with 0
use_guest fourth
kill -TERM "$guest"
kill -TERM "$guest"
wait_end
check "the socket's file goes with who made it" is '' "$(ls "$cable" 2>/dev/null)"
finish
