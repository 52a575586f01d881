#!/bin/bash
# The verbs about running machines where none runs, or what runs is no machine: what they print, and
# their exit statuses. Real machines are the boot tests' (test_control.sh).
. "$(dirname "$0")/lib.sh"

# gives STATUS WORDS ARGUMENT...: WORDS must stand in what it prints on stderr, in whole sentences.
gives() {
	local wanted=$1 words=$2 status=0
	shift 2
	timeout 20 "$vmm" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	if [ "$status" -ne "$wanted" ]; then
		not_ok "vmm $*" "status $status, not $wanted" "$(cat "$work/err")"
	elif ! grep -qF -- "$words" "$work/err"; then
		not_ok "vmm $*" "'$words' is not in: $(cat "$work/err")"
	elif grep -qvE '^vmm: .*[.?!]$' "$work/err"; then
		not_ok "vmm $*" "no sentence: $(cat "$work/err")"
	else
		ok "$wanted: ${*@Q}"
	fi
}

# lists TEXT ARGUMENT...: status 0, exactly TEXT on stdout and nothing on stderr.
lists() {
	local text=$1 out
	shift
	out=$(timeout 20 "$vmm" list "$@" 2>&1 </dev/null)
	if [ "$?:$out" = "0:$text" ]; then
		ok "vmm list $*"
	else
		not_ok "vmm list $*" "$out"
	fi
}

lists 'NAME  PID  STATE  CPUS  MEMORY  UPTIME  GUEST'
lists '' -q
lists $'[\n]' --json
check "looking makes no folder" test ! -e "$XDG_RUNTIME_DIR/vmm"
declare -A two_words=([balloon]=1G)
for verb in status stop kill pause resume console balloon; do
	gives 2 "$verb needs a NAME" "$verb"
	gives 6 "no machine 'web' is running" "$verb" web
	gives 6 "no machine '../web' is running" "$verb" ../web
	gives 2 "no use for the word 'c'" "$verb" a ${two_words[$verb]:+"${two_words[$verb]}"} c
	gives 2 "no option '--now'" "$verb" --now a
done
gives 2 "no use for the word 'web'" list web
gives 2 'stat needs a NAME' stat
gives 6 "no machine 'web' is running" stat web --json
gives 2 "no use for the word 'c'" stat a c
gives 6 "no machine 'web' is running" top -n 1 web
gives 2 '-d' top -d 0
gives 2 "no option '--now'" top --now
gives 2 'link needs NAME [NIC] up|down' link web
gives 6 "no machine 'web' is running" link web down
gives 2 "no use for the word 'a b'" link web 'a b'
gives 2 'screenshot needs a NAME and a FILE' screenshot web
gives 6 "no machine 'web' is running" screenshot web "$work/a.png"
gives 6 "no machine 'web' is running" screenshot web -
check "no picture, no file" test ! -e "$work/a.png"
gives 2 '--timeout' stop web --timeout soon
gives 2 'key needs NAME KEY...' key web
gives 2 "there is no key 'foo' in 'ctrl-foo'" key web ctrl-foo
gives 6 "no machine 'web' is running" key web ctrl-alt-delete a
gives 2 'type needs NAME TEXT' type web two words
gives 2 'no key for byte 3 of the text' type web $'ab\001'
gives 6 "no machine 'web' is running" type web 'Hello, World!'
gives 2 'pointer needs NAME WORD...' pointer web
gives 6 "no machine 'web' is running" pointer web 0,0 left
gives 2 'resize needs a NAME and WIDTHxHEIGHT' resize web
gives 6 "no machine 'web' is running" resize web 800x600

# shows PATTERN ARGUMENT...: on stdout.
shows() {
	local pattern=$1
	shift
	"$vmm" "$@" | tee "$work/shown" | grep -q -- "$pattern" || { cat "$work/shown"; return 1; }
}

# is_shown LINE COMMAND...
is_shown() {
	local line=$1
	shift
	"$@" | grep -qx -- "$line"
}

is_empty() {
	[ -z "$(ls "$XDG_RUNTIME_DIR/vmm")" ]
}

is_gone() {
	! kill -0 "$pretender_pid" 2>/dev/null
}

# A machine that is none: something listens, holds the lock, and never answers; and one that lies.
mkdir -m 700 "$XDG_RUNTIME_DIR/vmm"
pretend() {
	coproc pretender {
		exec perl -e '
			use Fcntl; use IO::Socket::UNIX;
			my ($name, $answer) = @ARGV;
			sysopen my $lock, "$name.lock", O_RDWR | O_CREAT, 0600 or die $!;
			# struct flock: F_WRLCK, SEEK_SET, the whole file; 37 is F_OFD_SETLK.
			my $whole = pack "s s x4 q q i x4", 1, 0, 0, 0, 0;
			fcntl $lock, 37, $whole or die $!;
			unlink "$name.sock";
			my $listener = IO::Socket::UNIX->new(Local => "$name.sock", Listen => 5) or die $!;
			syswrite STDOUT, "ready\n";
			while (my $client = $listener->accept) {
				push @clients, $client;
				syswrite $client, $answer if $answer;
			}' "$XDG_RUNTIME_DIR/vmm/$1" "${2-}"
	}
	pretender_pid=$!
	disown
	read -r _ <&"${pretender[0]}"
}
end_pretender() {
	kill -KILL "$pretender_pid" 2>/dev/null
	while kill -0 "$pretender_pid" 2>/dev/null; do sleep 0.01; done
}

pretend web
lists web -q
check "one that does not answer is listed as silent" \
	shows "^web  *$pretender_pid  *silent  *-  *-  *-  -\$" list
gives 6 'Did you mean web' stop wbe
gives 6 "web (process $pretender_pid) does not answer" status web
check "vmm kill succeeds" "$vmm" kill web
check "it ends who does not answer" is_gone
check "and removes its files" is_empty
end_pretender
pretend web $'ok 99999\n'
gives 6 'no answer that this vmm understands' status web
end_pretender
pretend web $'ok 13\nstate=\e[31m!\n'
check "control characters of a liar are not shown" shows '?\[31m!' list
end_pretender
answers=
for ((i = 0; i < 255; i++)); do
	text=$'cpus=255\ncpu.'$i$'.run_ns=1\n'
	answers+="ok ${#text}"$'\n'$text
done
pretend web "$answers"
check "who tells of one processor at a time is not asked for ever" \
	test "$(timeout 20 "$vmm" stat web </dev/null | grep -c '^cpu\.')" = 8
end_pretender
pretend web $'ok 0\nthe last line\n'
# It never hangs up: the time limit ends it.
check "vmm console shows what comes" is_shown 'the last line' timeout 2 "$vmm" console web
gives 2 'is no name of a console' console web -c 'a b'
end_pretender
pretend web $'ok 5\nhello'
gives 6 'no answer that this vmm understands' console web
end_pretender
pretend web
gives 6 'does not answer' console web --send
end_pretender
lists '' -q
check "the left-overs of a killed process are gone" is_empty

chmod 755 "$XDG_RUNTIME_DIR/vmm"
gives 5 'open to other users' list
gives 5 'chmod 700' stop web
finish
