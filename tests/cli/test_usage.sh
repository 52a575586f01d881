#!/bin/bash
# What the program says to wrong command lines: one or two clean lines on stderr, nothing on stdout,
# and the exit status of the table. Which sentence each gets is the unit test's (test_config.c).
. "$(dirname "$0")/lib.sh"

# refuses STATUS WORDS ARGUMENT...: WORDS must stand in what it prints.
refuses() {
	local wanted=$1 words=$2 status=0 lines
	shift 2
	timeout 10 "$vmm" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	lines=$(wc -l <"$work/err")
	if [ "$status" -ne "$wanted" ]; then
		not_ok "vmm $*" "status $status, not $wanted" "$(cat "$work/err")"
	elif [ -s "$work/out" ]; then
		not_ok "vmm $*" "it printed to stdout: $(head -n 3 "$work/out")"
	elif ! grep -qF -- "$words" "$work/err"; then
		not_ok "vmm $*" "'$words' is not in: $(cat "$work/err")"
	elif [ "$lines" -gt 2 ] || grep -qvE '^vmm: .*[.?!]$' "$work/err"; then
		not_ok "vmm $*" "not one sentence, or two: $(cat "$work/err")"
	elif LC_ALL=C grep -q '[[:cntrl:]]' "$work/err"; then
		not_ok "vmm $*" "control characters: $(cat -v "$work/err")"
	else
		ok "refuses: ${*@Q}"
	fi
}

# prints WORDS ARGUMENT...: status 0, WORDS on stdout, nothing on stderr.
prints() {
	local words=$1 status=0
	shift
	timeout 10 "$vmm" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	if [ "$status" -eq 0 ] && [ ! -s "$work/err" ] && grep -qF -- "$words" "$work/out"; then
		ok "prints: $*"
	else
		not_ok "vmm $*" "status $status" "$(head -n 3 "$work/out" "$work/err")"
	fi
}

cd "$work" || exit 1
: >bzImage
refuses 2 'there is no --kernel'
refuses 2 'vmm --kernel bzImage --disk root.img' --disk root.img
refuses 2 "Did you mean --kernel?" --kernal bzImage
refuses 2 "Did you mean --kernel?" -kernel bzImage
refuses 2 "Did you mean vmm doctor?" docter
refuses 2 "To boot a kernel: vmm --kernel bzImage" bzImage
refuses 2 "A verb stands first: vmm doctor" --kernel bzImage doctor
refuses 2 "neither an option nor a verb" ''
refuses 2 'no option' $'--\e[31mred'
refuses 2 'no option' $'--a\nb'
refuses 2 '--memory: 16M is out of range' --kernel bzImage --memory 16M
refuses 2 'For 512 MiB write 512M' --kernel bzImage -m 512
refuses 2 '--memory: 4T can' --kernel bzImage --memory 4T
refuses 2 '--cpus: 256 is out of range' --kernel bzImage --cpus 256
refuses 2 "Did you mean ro?" --kernel bzImage --disk root.img,rw
refuses 2 'exclude each other' --kernel bzImage --disk root.img,ro,ephemeral
refuses 2 'Did you mean stdio?' --kernel bzImage --serial stdoi
refuses 2 'is not a number of seconds' --kernel bzImage --timeout forever
refuses 2 'is given twice' --kernel bzImage --kernel bzImage
refuses 2 'needs a value' --kernel
refuses 2 'inspect needs a FILE' inspect
refuses 2 "no use for the word 'b'" inspect a b
refuses 2 "no use for the word '--fast'" doctor --fast
refuses 2 "there is no verb 'me'" help me
refuses 2 "only for bash and zsh" help --completion fish
refuses 2 "can't open" help --man /nonexistent/vmm.1
refuses 2 "no use for the word 'x'" version x
refuses 4 'nonexistent' inspect /nonexistent/file
refuses 2 "no option" inspect --jsn bzImage
refuses 4 'is empty' inspect bzImage

prints 'Usage: vmm [OPTIONS]' --help
prints 'Usage: vmm [OPTIONS]' -h
prints 'Usage: vmm [OPTIONS]' help
prints 'Usage: vmm doctor' help doctor
prints 'Usage: vmm list' list --help
prints 'vmm ' --version
prints 'vmm ' -V
prints 'vmm ' version

if "$vmm" --help >/dev/full 2>"$work/err"; then
	not_ok "a full disk is told"
elif [ "$(cat "$work/err")" = "vmm: can't write to standard output." ]; then
	ok "a full disk is told"
else
	not_ok "a full disk is told" "$(cat "$work/err")"
fi
# shellcheck disable=SC2016 # the inner shell's
check "--help to a reader that has gone" \
	bash -c '"$0" --help 2>/dev/null | head -n 1 | grep -q Usage' "$vmm"
finish
