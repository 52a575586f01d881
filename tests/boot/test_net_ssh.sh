#!/bin/bash
# test_net_ssh.sh - ssh into a full Debian through a forwarded port of the user network.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

image=$guests/debian
if [ ! -e "$image/root.img" ] || ! debugfs -R 'stat /usr/sbin/sshd' "$image/root.img" 2>/dev/null |
	grep -q 'Type: regular'; then
	skip "ssh into a full Debian" "there is no image with sshd (make guest-debian)"
	finish
fi
command -v ssh >/dev/null || {
	skip "ssh into a full Debian" "there is no ssh here (Debian: openssh-client)"
	finish
}

ssh-keygen -q -t ed25519 -N '' -f "$work/key"
start_vmm --kernel "$image/vmlinuz" --initrd "$image/initrd.img" \
	--disk "$image/root.img,ephemeral" --memory 512M --append quiet -p 2222:22
check "a login prompt" expect '^vmm-debian login: $' 240
send root
expect 'root@vmm-debian:~# '
send "mkdir -p .ssh; echo '$(cat "$work/key.pub")' > .ssh/authorized_keys; echo has the key"
expect '^has the key$'

# in_ssh COMMAND...
in_ssh() {
	ssh -p 2222 -i "$work/key" -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR \
		-o "UserKnownHostsFile=$work/known" -o ConnectTimeout=60 root@127.0.0.1 "$@"
}
check "ssh -p 2222 root@127.0.0.1" is vmm-debian "$(in_ssh hostname </dev/null)"
head -c 4M /dev/urandom >"$work/data"
check "4 MiB through it and back" is "$(sha256sum <"$work/data")" "$(in_ssh cat <"$work/data" | sha256sum)"
check "systemd-networkd has the address" has <(in_ssh networkctl status </dev/null) 10.0.2.15
in_ssh systemctl poweroff </dev/null
check "it powers off" ends_with 0
finish
