#!/bin/bash
# test_net_user.sh - the user network, with vmm as an ordinary user whose only privilege is the group
# of /dev/kvm: DHCP, a resolver, TCP and UDP in both directions, IPv6, forwarded ports, a taken port,
# restrict, and a host without libslirp. NET_MIB is how much goes each way.
# shellcheck disable=SC2016 # what is in single quotes is for other shells
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mib=${NET_MIB:-16}
user=12345

if [ "$(id -u)" != 0 ]; then
	skip "the user network" "the test changes to another user and hides files: it needs root"
	finish
fi
make_tools
share_with_users

# In a nested host /dev/kvm is for everyone. Not here: for the group alone.
group=$(stat -c %g /dev/kvm)
[ -z "${VMM_NESTED-}" ] || {
	group=54321
	chgrp $group /dev/kvm && chmod 660 /dev/kvm
}

# as_user HIDE OVER COMMAND...: as that user, with the file OVER laid over the file HIDE.
as_user() {
	exec unshare -m bash -c 'mount --bind "$2" "$1" && shift 2 && exec setpriv --reuid "$1" \
		--regid "$1" --groups "$2" --inh-caps=-all --bounding-set=-all "${@:3}"' \
		- "$1" "$2" "$user" "$group" "${@:3}"
}

# The library asks the host's resolver, which is ours.
echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
real_vmm=$vmm
vmm=$work/vmm-as-user
{
	echo '#!/bin/bash'
	declare -p user group
	declare -f as_user
	printf 'as_user "$(realpath /etc/resolv.conf)" %q %q "$@"\n' "$work/resolv.conf" "$real_vmm"
} >"$vmm"
chmod 755 "$vmm"
[ -e /etc/resolv.conf ] || : >/etc/resolv.conf

# ---- The host's side of what the guest does ----

head -c "${mib}M" /dev/urandom >"$work/data"
background "$nettool" dns 127.0.0.1 53 192.0.2.77
background "$nettool" udp-serve 127.0.0.1 9003
background "$nettool" listen 127.0.0.1 9001 <"$work/data"
background "$nettool" listen 127.0.0.1 9002 >"$work/uploaded" </dev/null
background "$nettool" listen ::1 9004 <"$work/resolv.conf" >/dev/null

# net NAME PATTERN: the guest says so.
net() {
	expect_line "^net $1 $2"
}

start_guest '' --disk "$work/tools.img,ro" --name net-test --net user \
	--net user,restrict,mtu=9000 \
	-p 8081:8080 -p 127.0.0.1:7778:7777/udp -p '[::1]:8082:8080' -p 0.0.0.0:8083:8080
check "the prompt comes" expect "$prompt"
check "vmm has no privilege" grep -q "^CapEff:[[:space:]]*0000000000000000" "/proc/$guest/status"
check "it is an ordinary user" grep -q "^Uid:[[:space:]]*${user}[[:space:]]" "/proc/$guest/status"
check "the first line tells of the network" has "$errors" 'net user, user'
send "$(guest_command net-user "$mib")"
check "DHCP: an address" net address '10\.0\.2\.15/24$'
check "a gateway" net gateway '10\.0\.2\.2$'
check "a resolver" net resolver '10\.0\.2\.3$'
check "its MTU" net mtu '1500$'
check "a MAC made from the name" net mac '.[26ae]:'
mac=${matched##* }
check "ping to the host" net ping '1$'
check "a name, by the host's resolver" net name '192\.0\.2\.77$'
check "$mib MiB of TCP to the guest" net download "$(sha256sum <"$work/data" | cut -c 1-64)"
expect_line '^net data '
sum=$(cut -d' ' -f3 <<<"$matched")
expect '^net uploaded'
arrived "$work/uploaded" "$mib"
check "$mib MiB of TCP from the guest" is "$sum" "$(sha256sum <"$work/uploaded" | cut -c 1-64)"
check "UDP and its answer" net udp 'heard: hello$'
check "IPv6: ping to the host" net ping6 '1$'
check "IPv6: TCP to the host" net tcp6 'nameserver 127\.0\.0\.1$'
check "the card down and up again" net 'after down and up' 'heard: again$'
expect '^net ready'

# get URL: the checksum of what it gives.
get() {
	curl -gsS -m 60 "$1" | sha256sum | cut -c 1-64
}
check "a forwarded port" is "$sum" "$(get http://127.0.0.1:8081/data)"
check "forwarded from an IPv6 address" is "$sum" "$(get 'http://[::1]:8082/data')"
check "forwarded from all addresses" is "$sum" "$(get http://127.0.0.2:8083/data)"
check "the first is on 127.0.0.1 alone" is 7 "$(curl -sS -m 10 http://127.0.0.2:8081/ \
	>/dev/null 2>&1 || echo $?)"
check "a forwarded UDP port" is 'heard: from outside' \
	"$("$nettool" udp-ask 127.0.0.1 7778 'from outside')"

# refused STATUS TEXT OPTION...: a second vmm ends with that.
refused() {
	local status
	timeout -k 5 20 "${runner:-$vmm}" --kernel "$(tiny EXIT 7)" -m 32M --serial none "${@:3}" \
		</dev/null >"$work/second.out" 2>"$work/second.err"
	status=$?
	is "$1" "$status" && has "$work/second.err" "$2"
}
check "a taken port is an error before the boot" refused 5 '127.0.0.1:8081: another program has it' \
	-p 8081:80
check "so is a taken UDP port" refused 5 'UDP port 127.0.0.1:7778: another program has it' \
	-p 7778:80/udp
check "so is one that only root may have" refused 5 'ports below 1024 are for root' -p 81:80

# ---- restrict ----

send 'ip link set eth0 down; ip link set eth1 up; udhcpc -nq -i eth1 >/dev/null 2>&1; ip addr show eth1; echo eth1 is u""p'
check "a larger MTU when asked for" expect 'mtu 9000 '
check "restrict: DHCP works" expect 'inet 10\.0\.2\.15'
expect '^eth1 is up'
send '/tools/nettool udp-ask 10.0.2.2 9003 hi; echo udp $?; timeout 5 /tools/nettool connect 10.0.2.2 9003 < /dev/null; echo tcp $?'
check "restrict: no UDP" expect '^udp 1$'
check "restrict: no TCP" expect '^tcp [1-9]'
send 'reboot -f'
expect 'Restarting system'
check "after a reset the prompt comes again" expect "$prompt"
send "mkdir -p /tools; mount -o ro /dev/vdc /tools; killall udhcpc; ip link set eth1 down; udhcpc -nq -i eth0 >/dev/null 2>&1; cat /sys/class/net/eth0/address; /tools/nettool udp-ask 10.0.2.2 9003 reborn"
check "the card has the same MAC" expect "^$mac"
check "and the network works" expect '^heard: reborn$'
send poweroff
check "it powers off" ends_with 0

# ---- A host without the library ----

library=$(realpath "$(ldconfig -p | sed -n 's/.*libslirp\.so\.0 .*=> //p' | head -n 1)")
runner=$work/vmm-without
{
	sed '$d' "$vmm"
	printf 'as_user %q /dev/null %q "$@"\n' "$library" "$real_vmm"
} >"$runner"
chmod 755 "$runner"
check "no libslirp: --net user is an error" refused 5 'libslirp.so.0 is not installed' --net user
check "which names the package" has "$work/second.err" libslirp0
check "no libslirp: so is -p" refused 5 'libslirp.so.0 is not installed' -p 8089:80
check "no libslirp: without a word it does not matter" refused 7 'net user'
vmm=$runner
start_vmm --kernel "$kernel" --initrd "$initrd" --append quiet --disk "$root,ephemeral"
expect "$prompt"
send 'ip link set eth0 up; echo carrier $(cat /sys/class/net/eth0/carrier)'
check "no libslirp: a guest has a card without a carrier" expect '^carrier 0$'
check "and one line says why" is 1 "$(grep -c libslirp "$errors")"
send poweroff
check "it powers off" ends_with 0
finish
