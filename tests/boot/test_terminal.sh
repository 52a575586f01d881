#!/bin/bash
# test_terminal.sh - the terminal of the person who starts vmm: raw while the guest runs, Ctrl-a
# keys, and as it was before on every way out, being stopped and continued included.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

command -v script >/dev/null || {
	skip "the terminal" "there is no script(1)"
	finish
}

# What runs on the terminal: a shell with job control, as a person has one. It writes down the
# terminal's settings before vmm and whenever it gets the terminal back, and runs `fg` on demand.
cat >"$work/session" <<'END2'
set -m
cd "$1" || exit 1
shift
tty >tty
stty -g >before
stty -a >readable
sh -c 'echo $$ >pid; exec "$@"' sh "$@" 2>errors
echo $? >status
stty -g >after
while [ -s stopped ]; do
	until [ -e go ]; do sleep 0.1; done
	rm go stopped
	fg >/dev/null
	echo $? >status
	stty -g >after
done
END2

# on_terminal OPTION...: vmm on a new terminal; its keys and its screen are the console of lib.sh.
# $session is the folder of the files above; $vmm_pid the process.
on_terminal() {
	session=$work/session$((++guest_count))
	mkdir "$session"
	mkfifo "$session/keys"
	console=$session/screen errors=$session/errors status='' unmatched='' vmm_pid=''
	: >"$console"
	SHELL=/bin/bash script -q -e -f -c "bash $work/session $session $(printf '%q ' "$vmm" "$@")" \
		/dev/null <"$session/keys" >"$console" 2>&1 &
	guest=$!
	all_pids+=("$guest")
	exec {to_guest}<>"$session/keys" {from_guest}<"$console"
	for _ in {1..200}; do
		[ -s "$session/pid" ] && vmm_pid=$(cat "$session/pid") && return
		sleep 0.1
	done
	echo "#   vmm did not start"
	return 1
}

settings() {
	stty -g -F "$(cat "$session/tty")"
}

is_raw() {
	stty -a -F "$(cat "$session/tty")" | grep -q -e '-icanon' &&
		stty -a -F "$(cat "$session/tty")" | grep -q -e '-isig' &&
		stty -a -F "$(cat "$session/tty")" | grep -q -e '-echo '
}

eventually() {
	for _ in {1..100}; do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	"$@"
}

# ended_with STATUS, and the terminal is as it was.
ended_with() {
	wait_end
	is "$1" "$(cat "$session/status")" && is "$(cat "$session/before")" "$(cat "$session/after")"
}

has_state() {
	grep -q "^State:.$1" "/proc/$vmm_pid/status"
}

sleeper=(--kernel "$(tiny SLEEP)" -m 32M --cpus 1)

# ---- Keys ----

on_terminal "${sleeper[@]}"
check "the terminal is raw while the guest runs" eventually is_raw
check "the first line says how to quit" eventually has "$errors" 'Ctrl-a x'
printf '\001h' >&"$to_guest"
check "Ctrl-a h helps" eventually has "$errors" 'Ctrl-a Ctrl-a'
printf '\001x' >&"$to_guest"
check "Ctrl-a x ends with 0 and the terminal as it was" ended_with 0

make_scripts_disk
on_terminal --kernel "$kernel" --initrd "$initrd" --append quiet --disk "$root,ephemeral" \
	--disk "$work/scripts.img,ro"
check "a shell prompt" expect "$prompt"
# The guest's terminal driver makes a signal of Ctrl-c; vmm must not.
send 'sleep 1000'
sleep 1
printf '\003' >&"$to_guest"
check "Ctrl-c goes to the guest" expect "$prompt"
send 'stty raw -echo; head -c 2 | od -An -tx1; stty sane'
sleep 1
printf '\001\001\003' >&"$to_guest"
check "Ctrl-a Ctrl-a sends one" expect '01 03'
send poweroff
check "power-off ends with 0 and the terminal as it was" ended_with 0

# ---- Signals ----

for way in 'TERM 143' 'INT 130' 'HUP 129' 'QUIT 131' 'SEGV 139' 'ABRT 134'; do
	read -r signal code <<<"$way"
	on_terminal "${sleeper[@]}" --grace 0
	eventually is_raw || echo "#   it was never raw"
	kill "-$signal" "$vmm_pid"
	check "SIG$signal ends with $code and the terminal as it was" ended_with "$code"
done

on_terminal --kernel "$(tiny CRASH)" -m 32M --cpus 1
check "a crash of the guest: 33 and the terminal as it was" ended_with 33

on_terminal --kernel "$work/session" -m 32M
check "an error before the start: 4 and the terminal as it was" ended_with 4

# ---- Stop and continue ----

on_terminal "${sleeper[@]}"
eventually is_raw || echo "#   it was never raw"
echo yes >"$session/stopped"
kill -TSTP "$vmm_pid"
check "SIGTSTP stops it" eventually has_state T
check "the terminal is the shell's again" eventually cmp "$session/before" "$session/after"
touch "$session/go"
check "continued in the foreground it is raw again" eventually is_raw
check "and runs" eventually has_state S
printf '\001x' >&"$to_guest"
check "Ctrl-a x then ends it with the terminal as it was" ended_with 0

# ---- A terminal for the output alone ----

on_terminal "${sleeper[@]}" --serial null
sleep 1
check "without a console on it the terminal is left alone" is "$(cat "$session/before")" "$(settings)"
printf '\003' >&"$to_guest"
sleep 0.5
printf '\003' >&"$to_guest"
check "then Ctrl-c twice ends it" ended_with 130
finish
