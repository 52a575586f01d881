#!/bin/bash
# What the runner makes of test programs that pass, fail, crash, hang, or do not do what they planned.
. "$(dirname "$0")/lib.sh"

# program NAME: a test program from standard input.
program() {
	{
		echo '#!/bin/bash'
		cat
	} >"$work/$1"
	chmod +x "$work/$1"
}

# becomes PROGRAM LINE...: just these lines are made of its results.
becomes() {
	local name=$1 got wanted
	shift
	got=$(PROGRAM_LIMIT_S=2 BUILD=$work "$top/tests/run-tests" --programs "$work/$name" 2>/dev/null |
		grep -E '^(ok|not ok|skip|end)')
	wanted=$(printf '%s\n' "$@" "end of $name")
	if [ "$got" = "$wanted" ]; then
		ok "$name"
	else
		not_ok "$name" "wanted: ${wanted//$'\n'/; }" "got: ${got//$'\n'/; }"
	fi
}

program passes <<<'echo "ok - a"; echo "and more"; echo "skip - b: no reason"'
becomes passes 'ok - passes: a' 'skip - passes: b: no reason'
program fails <<<'echo "ok - a"; echo "not ok - b"; exit 1'
becomes fails 'ok - fails: a' 'not ok - fails: b'
program crashes <<<'echo "ok - a"; kill -SEGV $$'
becomes crashes 'ok - crashes: a' 'not ok - crashes: ended with status 139'
program hangs <<<'echo "ok - a"; sleep 60'
becomes hangs 'ok - hangs: a' 'not ok - hangs: did not end within 2 s'
program silent <<<'echo hello'
becomes silent 'not ok - silent: ran no test'
program broken <<<'echo 1..3; echo "ok 1 - a"; echo "skip: why not"; echo "not ok 2 # SKIP b"'
becomes broken 'ok - broken: a' 'skip - broken: b: why not' \
	'not ok - broken: only 2 of 3 tests were run'
program tap <<<'echo 1..2; echo "ok 1 - a"; echo "not ok 2 - b"; echo "# 1 != 2"; exit 1'
becomes tap 'ok - tap: a' 'not ok - tap: b'
finish
