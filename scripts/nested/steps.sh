# shellcheck shell=bash
# steps.sh - runs a command as one named step: one line on standard error, with the seconds that
# it has taken so far once these are more than two. The command's own output is shown only when
# it fails. To be sourced; the caller sets step_name, which begins each line.

# step TEXT COMMAND...: the command's exit status.
step() {
	local text=$1 log started seconds status=0 shown=0 pid
	shift
	log=$(mktemp) || return 1
	started=$SECONDS
	printf '%s: %s' "${step_name:-step}" "$text" >&2
	# In a process group of its own, so that an interrupted step is ended with all its children.
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	trap 'kill -- "-$pid" 2>/dev/null; rm -f "$log"; echo >&2; exit 130' INT TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		seconds=$((SECONDS - started))
		if [ "$seconds" -gt "$((shown + 1))" ]; then
			shown=$seconds
			if [ -t 2 ]; then
				printf '\r%s: %s … %d s' "${step_name:-step}" "$text" "$seconds" >&2
			else
				printf '.' >&2
			fi
		fi
		sleep 0.1
	done
	wait "$pid" || status=$?
	trap - INT TERM HUP
	seconds=$((SECONDS - started))
	if [ "$status" -ne 0 ]; then
		printf ' failed (%d s):\n' "$seconds" >&2
		tail -n 20 "$log" >&2
	elif [ "$seconds" -ge 2 ] && [ ! -t 2 ]; then
		printf ' %d s\n' "$seconds" >&2
	else
		printf '\n' >&2
	fi
	rm -f "$log"
	return "$status"
}
