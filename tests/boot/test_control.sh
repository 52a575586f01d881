#!/bin/bash
# test_control.sh - running machines: found by their names, asked, stopped, killed, paused; their
# consoles attached to by one and by two, on pipes and on a terminal; and their clocks after they
# stood still. CLOCK_GAP_S is for how long (60 for the real thing), PASTE_MIB how much is pasted
# through vmm console into Linux.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

gap_s=${CLOCK_GAP_S:-20}
paste_mib=${PASTE_MIB:-10}
folder=$XDG_RUNTIME_DIR/vmm

# start_small ACTION OPTION...: a machine of a few instructions in the background; $small is its
# process.
start_small() {
	local action=$1
	shift
	"$vmm" -q --kernel "$(tiny "$action")" -m 32M --cpus 1 --net none --serial null "$@" \
		</dev/null >/dev/null 2>"$work/small.errors" &
	small=$!
	all_pids+=("$small")
}

# lists PATTERN: a line of vmm list.
lists() {
	"$vmm" list >"$work/list"
	grep -Eq -- "$1" "$work/list" && return
	sed 's/^/#   /' "$work/list"
	return 1
}

# status_has PATTERN, balloon_has PATTERN
status_has() {
	"$vmm" status web | grep -q -- "$1"
}
balloon_has() {
	"$vmm" balloon web | grep -q -- "$1"
}

names_are() {
	is "$1" "$("$vmm" list -q | tr '\n' ' ')"
}

# eventually COMMAND...: within half a minute.
eventually() {
	local deadline=$((SECONDS + 30))
	while [ "$SECONDS" -lt "$deadline" ]; do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	"$@"
}

# ends STATUS COMMAND...
ends() {
	local wanted=$1 got=0
	shift
	"$@" >"$work/out" 2>&1 </dev/null || got=$?
	is "$wanted" "$got" && return
	sed 's/^/#   /' "$work/out"
	return 1
}

# ---- Names ----

check "nothing runs" names_are ''
start_guest '' --cpus 1 --name web --net user,restrict --hvc0 null
linux=$guest own_input=$to_guest own_output=$from_guest own_unmatched=''
start_small SLEEP
eventually names_are 'vmm web '
first=$small
start_small ECHO
check "names without --name are vmm, vmm2" eventually names_are 'vmm vmm2 web '
check "the folder is for its owner alone" is 700 "$(stat -c %a "$folder")"
check "so are socket and lock" is "600 600" "$(stat -c %a "$folder/web.sock" "$folder/web.lock" | xargs)"
check "a name that is taken is refused" ends 5 "$vmm" --kernel "$(tiny SLEEP)" --name web
check "and it is said by whom" has "$work/out" "as process $linux"

kill -KILL "$first"
wait "$first" 2>/dev/null
check "a killed machine leaves its socket" test -S "$folder/vmm.sock"
start_small SLEEP
check "and its name is free at once" eventually names_are 'vmm vmm2 web '
check "vmm list shows it" lists "^vmm +$small +running +1 +32M +0:00:[0-9]+ +ELF kernel$"
disown "$small"
kill -STOP "$small"
check "a stopped process is silent" lists "^vmm +$small +silent"
check "vmm stop says so" ends 6 "$vmm" stop vmm
check "vmm kill ends it all the same" ends 0 "$vmm" kill vmm
check "nothing of it is left" test ! -e "$folder/vmm.sock"
start_small SLEEP
eventually names_are 'vmm vmm2 web '
check "a deaf guest is not stopped in time" ends 36 "$vmm" stop vmm --timeout 1
check "vmm kill ends a machine that answers" ends 0 "$vmm" kill vmm
wait "$small" 2>/dev/null
check "with the status of a kill" is 137 $?

# ---- One console, several readers ----

# On a machine that sends back what it gets, until it gets a q.
printf 'first line\n' | timeout 30 "$vmm" console vmm2 --send >/dev/null
coproc one { exec "$vmm" console vmm2; }
one_pid=$! one_in=${one[1]} one_out=${one[0]}
all_pids+=("$one_pid")
read -r -t 30 line <&"$one_out"
check "who attaches sees what was said before" is 'first line' "$line"
# Bash has one coproc at a time; the second is a pair of FIFOs.
mkfifo "$work/two.in" "$work/two.out"
"$vmm" console vmm2 <"$work/two.in" >"$work/two.out" &
two_pid=$!
all_pids+=("$two_pid")
exec {two_in}>"$work/two.in" {two_out}<"$work/two.out"
read -r -t 30 line <&"$two_out"
check "so does a second one" is 'first line' "$line"
echo 'typed by one' >&"$one_in"
read -r -t 30 line <&"$two_out"
check "each sees what the other types" is 'typed by one' "$line"
echo 'typed by two' >&"$two_in"
read -r -t 30 line <&"$one_out"
read -r -t 30 line <&"$one_out"
check "and the other way round" is 'typed by two' "$line"
kill "$one_pid"
wait "$one_pid" 2>/dev/null
echo 'one has left' >&"$two_in"
read -r -t 30 line <&"$two_out"
read -r -t 30 line <&"$two_out"
check "one leaves, the other stays" is 'one has left' "$line"
printf q >&"$two_in"
wait "$two_pid"
check "the machine's end is the end of vmm console" is 0 $?
check "it is off the list" eventually names_are 'web '

# ---- Linux ----

check "Linux is up, on its own console" expect "$prompt"
check "vmm list shows what runs" lists "^web +$linux +running +1 +1G +0:[0-9:]+ +Linux [0-9]+\."
"$vmm" status web >"$work/status"
sed 's/^/#   /' "$work/list" "$work/status"
check "vmm status: what it runs" grep -q '^guest=Linux [0-9]' "$work/status"
check "vmm status: its consoles" grep -q '^console=hvc0 null$' "$work/status"

# On a terminal: raw, the prompt again, Ctrl-a d leaves it as it was.
if command -v script >/dev/null; then
	mkfifo "$work/keys"
	: >"$work/screen"
	SHELL=/bin/bash script -q -e -f -c \
		"stty -g >$work/before; $vmm console web; echo \$? >$work/console.status; stty -g >$work/after" \
		/dev/null <"$work/keys" >"$work/screen" 2>&1 &
	guest=$!
	all_pids+=("$guest")
	exec {to_guest}<>"$work/keys" {from_guest}<"$work/screen"
	unmatched=''
	check "attached on a terminal, with a hint" expect 'Ctrl-a d leaves'
	printf '\r' >&"$to_guest"
	check "the shell answers there" expect "$prompt"
	printf 'expr 6 \\* 7\r' >&"$to_guest"
	check "what is typed arrives" expect '^42$'
	printf '\001d' >&"$to_guest"
	wait_end 30
	check "Ctrl-a d leaves with status 0" is 0 "$(cat "$work/console.status")"
	check "the terminal is as it was" is "$(cat "$work/before")" "$(cat "$work/after")"
	guest=$linux status='' to_guest=$own_input from_guest=$own_output unmatched=$own_unmatched
	check "the machine's own console saw it, too" expect '^42$'
else
	skip "vmm console on a terminal" "there is no script(1)"
fi

# ---- Devices ----

send 'mount -o ro /dev/vdb /mnt; ip link set eth0 up'
# carrier_is VALUE: what the guest sees of the cable.
carrier_is() {
	send 'sed "s/^/carrier: /" /sys/class/net/eth0/carrier || echo carrier: unknown'
	expect_line '^carrier: [01u]' 10 && is "carrier: $1" "$matched"
}
check "the guest's cable is plugged in" eventually carrier_is 1
check "vmm link down" ends 0 "$vmm" link web down
check "the guest sees it" eventually carrier_is 0
check "so does vmm status" status_has '^nic=0 .* link down'
check "vmm link 0 up" ends 0 "$vmm" link web 0 up
check "the guest sees that" eventually carrier_is 1
check "a card that is not there" ends 6 "$vmm" link web 1 up

# has_memory BYTES: that the guest has, or a little less, as it says itself.
has_memory() {
	local got
	got=$("$vmm" balloon web | sed -n 's/^actual=//p')
	[ "$got" -le "$1" ] && [ "$got" -gt $(($1 - 16777216)) ] && return
	echo "#   $got bytes"
	return 1
}
check "vmm balloon: all of it" has_memory 1073741824
check "vmm balloon 1000M" ends 0 "$vmm" balloon web 1000M
check "the guest gives it up" eventually has_memory 1048576000
check "and tells its statistics" balloon_has '^guest_free=[0-9]'
check "vmm balloon 1G" ends 0 "$vmm" balloon web 1G
check "the guest has it again" eventually has_memory 1073741824
check "more than it has is refused" ends 6 "$vmm" balloon web 2G

# ---- Clocks ----

# At work, for the kernel complains of lost time only when something wanted to run meanwhile.
send '/mnt/report-clock watch; while :; do :; done &'
expect_line '^clock [0-9]'

# clock_is_right NAME: the guest's clock and its RTC against the host's. $uptime is the guest's,
# $complaints what its kernel said of standing still.
clock_is_right() {
	local word time rtc now off_time off_rtc
	send /mnt/report-clock
	expect_line '^clock [0-9]' || return 1
	now=$(date +%s)
	read -r word time rtc uptime complaints <<<"$matched"
	off_time=$((now - time)) off_rtc=$((now - rtc))
	echo "#   $word: $off_time s behind the host, its RTC $off_rtc s; uptime $uptime s"
	check "$1: the guest's clock" test "${off_time#-}" -le 2
	check "$1: its RTC" test "${off_rtc#-}" -le 2
}

clock_is_right "before"
before=$uptime
start_s=$SECONDS
kill -STOP "$linux"
sleep "$gap_s"
check "stopped by SIGSTOP it is silent" lists "^web +$linux +silent"
kill -CONT "$linux"
clock_is_right "$gap_s s later, after SIGCONT"
check "its uptime went on" test $((uptime - before)) -ge $((SECONDS - start_s - 3))

check "vmm pause" ends 0 "$vmm" pause web
check "vmm list says so" lists "^web +$linux +paused"
check "it can't be paused twice" ends 6 "$vmm" pause web
send 'echo typed in the pause'
sleep "$gap_s"
check "nothing moved" is 0 "$(grep -c '^typed in the pause' "$console")"
check "vmm resume" ends 0 "$vmm" resume web
check "what was typed in the pause arrives" expect '^typed in the pause'
clock_is_right "after a pause of $gap_s s"
check "it can't be resumed twice" ends 6 "$vmm" resume web
sleep 3
clock_is_right "a little later"
check "the guest's kernel has not complained" is 0 "$complaints"
# shellcheck disable=SC2016 # the guest's own
send 'kill $!'

# ---- 10 MiB through vmm console, on the virtio console ----

bytes=$((paste_mib * 1048576))
head -c "$bytes" /dev/urandom >"$work/paste"
send "setsid sh -c '/mnt/take-paste $bytes <>/dev/hvc0 >&0 2>&1' &"
# wait_on_hvc0 PATTERN SECONDS: looks at what was said last, again and again.
wait_on_hvc0() {
	local deadline=$((SECONDS + $2))
	while [ "$SECONDS" -lt "$deadline" ]; do
		timeout 1 "$vmm" console web -c hvc0 </dev/null | tr -d '\r' >"$work/hvc0"
		grep -a -m 1 -- "$1" "$work/hvc0" >"$work/hvc0-line" && return
	done
	return 1
}
check "another console is attached to by name" wait_on_hvc0 '^ready for ' 60
start_ms=$(date +%s%3N)
paste_in() {
	timeout 300 "$vmm" console web -c hvc0 --send <"$work/paste" >/dev/null
}
check "vmm console --send ends when the guest has all of it" paste_in
echo "#   in $(($(date +%s%3N) - start_ms)) ms"
check "the guest has it" wait_on_hvc0 '^pasted ' 120
check "$paste_mib MiB through vmm console arrive whole" \
	is "pasted $(sha256sum <"$work/paste")" "$(cat "$work/hvc0-line")"

# ---- A host without a place for sockets ----

mkdir -m 755 "$work/open" "$work/open/vmm"
XDG_RUNTIME_DIR=$work/open "$vmm" -v --kernel "$(tiny EXIT 7)" -m 32M --cpus 1 --net none \
	</dev/null >/dev/null 2>"$work/errors"
check "a machine that can't be found runs all the same" is 7 $?
check "one line at -v tells of it" is 1 "$(grep -c "can't reach this machine by its name" "$work/errors")"

# ---- The end ----

check "vmm stop presses the power button and waits" ends 0 "$vmm" stop web
check "the guest powered off" ends_with 0 5
check "its files are gone" is '' "$(ls "$folder")"
finish
