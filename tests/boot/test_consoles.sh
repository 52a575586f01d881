#!/bin/bash
# test_consoles.sh - the host's side of the serial port: standard input and output of all kinds, a
# file, a Unix socket, a pseudo-terminal, nothing. Nothing that is typed is lost when the guest is
# slow, and nothing that is printed when the reader is. PASTE_KIB is how much is pasted into Linux.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

paste_kib=${PASTE_KIB:-32}

# Guests without Linux. One prints numbered lines of nine bytes; it has to be more than the 64 KiB
# that vmm keeps where a reader is slow. One sends back what it gets.
few=2000 many=9000
printer=(--kernel "$(tiny PRINT $few)" -m 32M --cpus 1 -q)
echoer=(--kernel "$(tiny ECHO)" -m 32M --cpus 1 -q)
numbered_lines() {
	seq 0 $(($1 - 1)) | xargs printf '%08x\n'
}
numbered_lines $few >"$work/printed"

# run OPTION...: vmm without the console of lib.sh; sets $status.
run() {
	errors=$work/errors console=''
	timeout -k 5 "$patience_s" "$vmm" "$@" 2>"$errors"
	status=$?
}

# ---- Standard output ----

run "${printer[@]}" </dev/null >"$work/out"
check "into a file: all of it" cmp "$work/printed" "$work/out"
run "${printer[@]}" </dev/null | cat >"$work/out"
check "into a pipe: all of it" cmp "$work/printed" "$work/out"

# A reader that makes its pipe small (F_SETPIPE_SZ), reads a line and then sleeps.
run --kernel "$(tiny PRINT $many)" -m 32M --cpus 1 -q </dev/null |
	perl -e 'fcntl STDIN, 1031, 4096; $_ = <STDIN>; sleep 5; print; print while <STDIN>' >"$work/out"
check "a reader that stops for a while loses nothing" cmp <(numbered_lines $many) "$work/out"

{ run "${printer[@]}" </dev/null && echo "$status" >"$work/status"; } | head -n 3 >"$work/out"
check "a reader that goes away gets what it wanted" cmp <(head -n 3 "$work/printed") "$work/out"
check "and does not stop the guest" is 0 "$(cat "$work/status")"
run "${printer[@]}" </dev/null >/dev/full
check "neither does an output that takes nothing" ends_with 0
check "one line tells of it, and one how much was lost" \
	is 2 "$(grep -c -e 'it is dropped' -e 'were lost' "$errors")"
run "${printer[@]}" <&- >&-
check "standard input and output may be closed" ends_with 0
check "no other file is taken for them, and the loss is told" has "$errors" \
	"write the guest's output to stdio: Bad file descriptor"

# ---- Standard input ----

head -c 10000 /dev/urandom | tr -d q >"$work/typed"
cp "$work/typed" "$work/typed-with-end"
echo q >>"$work/typed-with-end"
run "${echoer[@]}" <"$work/typed-with-end" >"$work/out"
check "a file as standard input: the guest ends" ends_with 0
check "and had all of it" cmp "$work/typed" "$work/out"
start_vmm "${echoer[@]}"
send 'the first words'
expect '^the first words$'
send 'the last words'
close_input
check "the guest gets what came just before the end of standard input" expect '^the last words$'
sleep 1
check "which does not end it" is_running
end_guest

# ---- Pasting into Linux ----

head -c $((paste_kib * 1024)) /dev/urandom >"$work/paste"
start_guest ''
expect "$prompt"
send "$(guest_command take-paste $((paste_kib * 1024)))"
expect '^ready for '
start_ms=$(date +%s%3N)
cat "$work/paste" >&"$to_guest"
expect_line '^pasted ' 900
check "$paste_kib KiB of random bytes pasted into Linux arrive whole" \
	is "pasted $(sha256sum <"$work/paste")" "$matched"
echo "#   in $(($(date +%s%3N) - start_ms)) ms"
expect "$prompt"
send 'exit-vm 99'
check "exit-vm in the guest gives the status" ends_with 99

# ---- Other consoles ----

echo old >"$work/log"
run "${printer[@]}" --serial "file:$work/log" </dev/null >"$work/out"
check "--serial file: all of it is in the file" cmp "$work/printed" "$work/log"
check "and nothing on standard output" is 0 "$(stat -c %s "$work/out")"
for kind in null none pty "unix:$work/unread"; do
	run "${printer[@]}" --serial "$kind" </dev/null >"$work/out"
	check "--serial ${kind%:*}, and nobody there: it runs to its end" ends_with 0
	check "and prints nothing" is 0 "$(stat -c %s "$work/out")"
done

# attach PATH: a client on the other side; expect and send then talk through it.
attach() {
	coproc client { exec "$here/attach" "$1"; }
	client_pid=$!
	all_pids+=("$client_pid")
	exec {from_guest}<&"${client[0]}" {to_guest}>&"${client[1]}"
	unmatched=''
}

leave() {
	kill "$client_pid"
	wait "$client_pid" 2>/dev/null
}

start_vmm "${echoer[@]}" --serial "unix:$work/socket"
until [ -S "$work/socket" ] || ! is_running; do
	sleep 0.1
done
check "the socket is for its owner alone" is 600 "$(stat -c %a "$work/socket")"
attach "$work/socket"
send 'first'
check "--serial unix: a client talks with the guest" expect '^first$'
check "a second client is told that somebody is there" is "vmm: somebody else is on this console" \
	"$("$here/attach" "$work/socket" </dev/null | tr -d '\r')"
leave
check "the guest goes on when the client leaves" is_running
attach "$work/socket"
check "the next client sees what was said before" expect '^first$'
send 'second'
check "and can talk as well" expect '^second$'
send q
check "--serial unix: the guest's end" ends_with 0
check "the socket is gone" test ! -e "$work/socket"

start_vmm "${echoer[@]}" --serial pty
pty=''
until pty=$(grep -o '/dev/pts/[0-9]*' "$errors") || ! is_running; do
	sleep 0.1
done
attach "$pty"
send 'first'
check "--serial pty: it talks on $pty" expect '^first$'
leave
check "the guest goes on when nobody is there" is_running
attach "$pty"
send 'second'
check "and talks with who comes next" expect '^second$'
send q
check "--serial pty: the guest's end" ends_with 0
finish
