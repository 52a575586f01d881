#!/bin/bash
# test_virtio_console.sh - hvc0 as the kernel's console and ports with names: keys, the window's
# size, bytes whole in both directions, who comes and goes, readers that stop, full disks, panics.
# PASTE_MIB is how much goes each way, STOP_S how long a reader stands still.
# shellcheck disable=SC2016 # what is sent is expanded in the guest
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

paste_mib=${PASTE_MIB:-10} stop_s=${STOP_S:-20}
bytes=$((paste_mib * 1024 * 1024))

# attach PATH: a client of a console's socket; expect and send then talk through it.
attach() {
	wait_for_socket "$1"
	mkfifo "$work/typed"
	console=$work/screen unmatched=''
	: >"$console"
	"$here/attach" "$1" <"$work/typed" >"$console" &
	client_pid=$!
	all_pids+=("$client_pid")
	exec {to_guest}<>"$work/typed" {from_guest}<"$console"
}

# skip_to_end: expect goes on behind what is on the console by now.
skip_to_end() {
	cat <&"$from_guest" >/dev/null
	unmatched=''
}

wait_for_socket() {
	until [ -S "$1" ] || ! is_running; do
		sleep 0.1
	done
}

# port_client NAME INPUT: somebody on the host's side of a port; what comes out is in $work/NAME.out.
port_client() {
	"$here/attach" "$work/$1" <"$2" >"$work/$1.out" &
	port_pid=$!
	all_pids+=("$port_pid")
}

leave() {
	kill "$port_pid"
	wait "$port_pid" 2>/dev/null
}

# eventually COMMAND...
eventually() {
	for _ in {1..300}; do
		"$@" >/dev/null && return
		sleep 0.1
	done
	"$@"
}

has_size() {
	[ "$(stat -c %s "$1")" = "$2" ]
}

# answers LINE: the guest's program on the port "agent" answers it.
answers() {
	local client result
	"$here/attach" "$work/agent" <<<"$1" >"$work/answer" &
	client=$!
	all_pids+=("$client")
	eventually has "$work/answer" "you said $1"
	result=$?
	kill "$client"
	wait "$client" 2>/dev/null
	return "$result"
}

milliseconds() {
	echo "#   $1: $(($(date +%s%3N) - start_ms)) ms"
}

# ---- A guest whose hvc0 is on a socket ----

# Without Ctrl-o, which on a kernel's hvc console begins a SysRq command.
head -c $((bytes + bytes / 50)) /dev/urandom | tr -d '\017' | head -c "$bytes" >"$work/paste"
mkdir "$work/small"
full=/dev/full
if mount -t tmpfs -o size=64k small "$work/small" 2>/dev/null; then
	trap 'umount "$work/small"; cleanup' EXIT
	full=$work/small/log
fi
start_guest '' --console hvc0 --hvc0 "unix:$work/hvc0" --port "agent=unix:$work/agent" \
	--port "data=unix:$work/data" --port "log=file:$work/log" --port "full=file:$full" \
	--cpus 1 --memory 256M
attach "$work/hvc0"
check "the shell is on hvc0" expect "$prompt"
send 'tty; dmesg | grep -c ttyS0; cat /sys/class/virtio-ports/*/name | xargs'
check "which is its terminal" expect '^/dev/hvc0$'
check "there is no serial port" expect '^0$'
check "the ports have their names" expect '^agent data log full$'
send 'mount -o ro /dev/vdb /mnt; PATH=$PATH:/mnt; port agent echo &'
expect "$prompt"
check "a program in the guest answers on a port" answers one
check "and answers who comes next, with nothing said before" answers two
check "who gets only that" is "you said two" "$(cat "$work/answer")"

send 'port log say "a line" && echo writ""ten'
check "a port into a file" expect '^written$'
check "has the line there" eventually has "$work/log" 'a line'

expect "$prompt"
send "take-paste $bytes"
expect '^ready for '
start_ms=$(date +%s%3N)
cat "$work/paste" >&"$to_guest"
expect_line '^pasted ' 300
check "$paste_mib MiB pasted into hvc0 arrive whole" is "pasted $(sha256sum <"$work/paste")" "$matched"
milliseconds "hvc0, to the guest"

expect "$prompt"
start_ms=$(date +%s%3N)
port_client data "$work/paste"
send "port data take $bytes"
expect_line '^taken ' 300
check "$paste_mib MiB into a port arrive whole" is "taken $(sha256sum <"$work/paste")" "$matched"
milliseconds "port, to the guest"
start_ms=$(date +%s%3N)
send "rm /tmp/pasted; port data send $bytes"
expect_line '^sent ' 300
eventually has_size "$work/data.out" "$bytes"
check "$paste_mib MiB out of a port arrive whole" is "sent $(sha256sum <"$work/data.out")" "$matched"
milliseconds "port, from the guest"
leave

# ---- Readers that stop ----

port_client data /dev/null
kill -STOP "$port_pid"
send 'port data fill &'
expect "$prompt"
stopped_at=$SECONDS
check "a stopped reader of a port stops who writes, and nobody else" answers three
send 'yes $(seq -s - 300)'
expect '^1-2-3-4-5-6-7-8-9-10-'
kill -STOP "$client_pid"
check "a stopped reader of hvc0: the guest still answers" answers four
while [ $((SECONDS - stopped_at)) -lt "$stop_s" ]; do
	sleep 1
done
check "after $stop_s s as well" answers five
kill -CONT "$client_pid" "$port_pid"
check "who reads again is told what is missing" \
	eventually has "$console" 'bytes of output were not read]'
skip_to_end
printf '\003' >&"$to_guest"
# The key is echoed where the line was cut.
check "and has the console back" expect "${prompt#^}"
leave

# ---- A full disk, and the end ----

send 'port full send 600000; echo still h""ere'
check "a console file on a full disk: the guest goes on" expect '^still here$'
check "one line on stderr says so" is 1 "$(grep -c "can't write the guest's output to $full" "$errors")"
expect "$prompt"
send 'echo c > /proc/sysrq-trigger'
check "a panic is seen on hvc0" ends_with 34
check "and its reason" has "$errors" "panicked: sysrq triggered crash"

# ---- A person's terminal ----

if command -v script >/dev/null; then
	make_scripts_disk
	mkfifo "$work/keys"
	console=$work/terminal errors=$work/errors status='' unmatched=''
	: >"$console"
	SHELL=/bin/bash script -q -e -f -c "tty >$work/tty; stty cols 132 rows 43; $(printf '%q ' "$vmm" \
		--kernel "$kernel" --initrd "$initrd" --append quiet --disk "$root,ephemeral" \
		--console hvc0 --cpus 1 --memory 256M) 2>$errors" /dev/null <"$work/keys" >"$console" 2>&1 &
	guest=$!
	all_pids+=("$guest")
	exec {to_guest}<>"$work/keys" {from_guest}<"$console"
	check "the terminal of who starts vmm is hvc0" expect "$prompt"
	send 'stty size'
	check "which has its size" expect '^43 132'
	expect "$prompt"
	stty -F "$(cat "$work/tty")" cols 100 rows 30
	send 'sleep 1; stty size'
	check "and follows it" expect '^30 100'
	printf '\001x' >&"$to_guest"
	check "Ctrl-a x ends it" ends_with 0
fi

# ---- Both consoles ----

start_guest 'loglevel=6' --console both --cpus 1 --memory 256M
check "--console both: everything from the first line" expect 'Linux version'
check "and the shell" expect "$prompt"
send 'tty; cat /sys/class/tty/console/active'
check "on hvc0" expect '^/dev/hvc0$'
check "with the serial port beside it" expect 'ttyS0.* hvc0|hvc0.* ttyS0'
send 'exit-vm 42'
check "and both in one place" ends_with 42
finish
