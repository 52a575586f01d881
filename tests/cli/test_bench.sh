#!/bin/bash
# vmm bench: its words, and its report, made from a result that was recorded. No KVM.
. "$(dirname "$0")/lib.sh"

if ! command -v python3 >/dev/null; then
	skip "vmm bench" "no python3"
	finish
fi
recorded=$here/bench-result.json

# refuses STATUS WORDS ARGUMENT...: ends so, and its sentence holds the words.
refuses() {
	local status=0 wanted=$1 words=$2 out
	shift 2
	out=$(cd "$work" && timeout 20 "$vmm" bench "$@" 2>&1 </dev/null) || status=$?
	printf '%s\n' "$out"
	[ "$status" -eq "$wanted" ] && [[ $out == *"$words"* ]] && [[ $out != *Traceback* ]]
}

# holds FILE TEXT...
holds() {
	local file=$1 text
	shift
	for text; do
		grep -qF -- "$text" "$file" || {
			printf 'not in %s: %s\n' "$file" "$text"
			return 1
		}
	done
}

is_whole_html() {
	python3 - "$1" <<'EOS'
import html.parser
import sys

class Checker(html.parser.HTMLParser):
    """All that is opened is closed, and nothing is fetched from elsewhere."""
    empty = {"meta", "br", "html", "body", "title_"}

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        assert not {"src", "href"} & {name for name, _ in attributes}, tag
        if tag not in self.empty:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.empty:
            assert self.open and self.open.pop() == tag, tag

checker = Checker()
checker.feed(open(sys.argv[1], encoding="utf-8").read())
assert not checker.open, checker.open
EOS
}

check "--help names every peer" refuses 0 "qemu-microvm, qemu-q35, kvmtool, firecracker" boot --help
check "without a word" refuses 2 "Usage: vmm bench boot"
check "another word" refuses 2 "did you mean boot?" bot
check "a peer that is none" refuses 2 "did you mean runc?" boot --against rnuc
check "a part that is none" refuses 2 "known: rounds, exits, port, idle, memory" boot --skip xyz
check "all parts left out" refuses 2 "leaves nothing to measure" boot \
	--skip rounds,exits,port,idle,memory
check "hosts by a command that is none" refuses 2 "there is no command 'no-such command'" boot \
	--fresh-hosts "no-such command"
check "hosts by an open quote" refuses 2 "is no command" boot --fresh-hosts "env '"
check "hosts in real time alone" refuses 2 "without --fresh-hosts" boot --real-time-hosts env
check "a number that is none" refuses 2 "is no number from 1 to 1000" boot --runs 0
check "an option that is none" refuses 2 "there is no option or place for --fast" boot --fast
if [ "$(id -u)" -eq 0 ]; then
	check "a cold cache where files lie in memory" refuses 2 "have their files in memory" boot \
		--cold --fresh-hosts env
else
	check "a cold cache without being root" refuses 2 "only root" boot --cold
fi
check "a folder without guests" refuses 4 "there is no $work/default/vmlinuz-cloud" boot \
	--guests "$work" --against exec
check "a result that is none" refuses 1 "can't read the result" report "$work/none.json"
echo '{"format":"another"}' >"$work/other.json"
check "a file of something else" refuses 1 "is no result of this vmm bench" report "$work/other.json"
head -c 3000 "$recorded" >"$work/cut.json"
check "a result that was cut" refuses 1 "can't read the result" report "$work/cut.json"
echo '{"format":"vmm-bench-boot 1","cases":[7]}' >"$work/bad.json"
check "a result of another shape" refuses 1 "is damaged" report "$work/bad.json"
# changed CODE: the recorded result, in which Python's CODE changed r.
changed() {
	python3 - "$recorded" "$work/bad.json" "$1" <<'END'
import json, sys
r = json.load(open(sys.argv[1]))
exec(sys.argv[3])
json.dump(r, open(sys.argv[2], "w"))
END
}
for change in 'r["cases"][0]["summary"]["gone"]["median"] = float("inf")' \
	'r["cases"] = r["cases"][:1]; [s.update(median=-9e9) for s in r["cases"][0]["summary"].values()]' \
	'r["cases"][0]["label"] = []' 'r["idle"] = [{"case": "x", "exits_per_s": 10**400}]' \
	'r["tables"][0][0] = r["cases"][0]["table"] = "../x"'; do
	changed "$change"
	check "a result with $change" refuses 1 "is damaged" report "$work/bad.json"
done
printf '{"a":%s' "$(printf '[%.0s' {1..100000})" >"$work/deep.json"
check "a result that is deep" refuses 1 "can't read the result" report "$work/deep.json"
changed 'r["warnings"] = ["\x1b[31mred\x9b1m"]'
check "a result with control characters" refuses 0 "?[31mred?1m" report "$work/bad.json"
: >"$work/file"
check "results into a file" refuses 1 "can't make the folder" report "$recorded" --output "$work/file/x"

check "a report" refuses 0 "GOALS" report "$recorded" --output "$work/report"
check "its page is whole and fetches nothing" is_whole_html "$work/report/report.html"
check "its page has bars, tables and hashes" holds "$work/report/report.html" "<svg" "<table" \
	"QEMU microvm" "clone and pivot_root" "runc run" \
	"$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["files"]["init"]["sha256"])' "$recorded")"
check "its head says what the clock counts" holds "$work/report/report.html" \
	"clock counts instructions"
check "and what distorts the figures" holds "$work/report/report.html" "exits are underpriced"
check "the Markdown has the tables" holds "$work/report/report.md" "## Equal configuration" \
	"| vmm --machine micro |"
check "the CSV has a line for each run" test "$(wc -l <"$work/report/result.csv")" = \
	"$(python3 -c 'import json, sys
print(1 + sum(len(case["runs"]) for case in json.load(open(sys.argv[1]))["cases"]))' "$recorded")"
check "the JSON comes back as it was" python3 -c 'import json, sys
assert json.load(open(sys.argv[1])) == json.load(open(sys.argv[2]))' \
	"$recorded" "$work/report/result.json"

# ---- In parts, each in a fresh host: tests/fake/bench_host stands for one ----

# in_hosts STATUS NAME BEHAVIOUR... [OPTION...]: the recorded result again, from parts, in
# $work/NAME; it ends so. What it said is in $work/NAME.text.
in_hosts() {
	local wanted=$1 name=$2 status=0 behaviour=()
	shift 2
	while [[ ${1-} == *:* ]]; do
		behaviour+=("$1")
		shift
	done
	mkdir -p "$work/$name-state"
	timeout 120 "$vmm" bench boot --output "$work/$name" --guests "$work" --fresh-hosts \
		"'$here/../fake/bench_host' '$recorded' '$work/$name-state' ${behaviour[*]} --" "$@" \
		>"$work/$name.text" 2>&1 </dev/null || status=$?
	if [ "$status" -ne "$wanted" ] || grep -q Traceback "$work/$name.text"; then
		printf 'exit status %s\n' "$status"
		cat "$work/$name.text"
		return 1
	fi
}

# is_as_recorded NAME: its rounds, medians and goals are those of the recorded result.
is_as_recorded() {
	python3 - "$recorded" "$work/$1/result.json" <<'EOS'
import json
import sys

old, new = (json.load(open(path)) for path in sys.argv[1:])
assert new["rounds"] == list(range(1, 10)), new["rounds"]
assert new["settings"]["runs"] == 9
assert [case["name"] for case in old["cases"]] == [case["name"] for case in new["cases"]]
for before, after in zip(old["cases"], new["cases"]):
    for key in ("summary", "steps", "step_cpu", "argv"):
        assert before[key] == after[key], (before["name"], key)
    assert [run["up"] for run in before["runs"]] == [run["up"] for run in after["runs"]]
for key in ("exits", "port", "idle", "memory", "goals"):
    assert old[key] == new[key], key
assert new["exits"] and new["port"]
assert not new["not_measured"]
EOS
}

# has_ended FILE: the process whose number is in it.
has_ended() {
	! kill -0 "$(cat "$1")" 2>/dev/null
}

# lacks FILE TEXT
lacks() {
	! grep -qF -- "$2" "$1"
}

# said NAME TEXT...
said() {
	local name=$1
	shift
	holds "$work/$name.text" "$@"
}

# A start that another program ends, as often as it is begun. It is begun NUMBER times more.
given_up() {
	PYTHONPATH=$here/../../vmm/tools PYTHONDONTWRITEBYTECODE=1 python3 - "$1" <<'EOS'
import sys
from types import SimpleNamespace

from benchmark.runner import BEGINS, Runner
from benchmark.voice import Voice

stalls, begun = int(sys.argv[1]), 0
runner = Runner(SimpleNamespace(work="/"), "time", Voice(is_quiet=True))

def spawn_once(case):
    global begun
    begun += 1
    runner.is_given_up = begun <= stalls
    return {"up": 1}

runner.spawn_once = spawn_once
run = runner.spawn(SimpleNamespace(name="one"))
assert begun == min(stalls + 1, BEGINS), begun
assert runner.stalled.get("one", 0) == min(stalls, BEGINS)
assert run["up"] == (1 if stalls < BEGINS else None), run
EOS
}
check "a start that went well" given_up 0
check "one that was ended is begun again" given_up 2
check "one that is ended each time does not count" given_up 100

mkdir -p "$work/parts/parts/host-1" && touch "$work/parts/parts/"{mine,host-1/old}
check "parts of a run in hosts of their own" in_hosts 0 parts --at-once 3
check "take the place of earlier ones" test ! -e "$work/parts/parts/host-1/old"
check "and of nothing else" test -e "$work/parts/parts/mine"
check "come to the result of a run in one" is_as_recorded parts
check "and to a report of all, which says how many hosts" holds "$work/parts/report.md" \
	"each in a host of its own that was started for it: 5 hosts" "## Exits" "## Port writes"
check "each host has its rounds" holds "$work/parts-state/arguments" \
	"--first-round 1 --runs 3" "--first-round 4 --runs 3" "--first-round 7 --runs 3"
check "a host that freezes once" in_hosts 0 once 4:freeze=1 --patience 3 --at-once 3
check "costs only the round it was at" holds "$work/once-state/arguments" \
	"--first-round 5 --runs 2"
check "and the result is whole" is_as_recorded once
check "it is said meanwhile" said once "rounds 4 to 6: it froze at round 5: vmm-elf"
check "and in the head of the report" holds "$work/once/report.md" "6 hosts" \
	"at round 5: vmm-elf; its round 4 counts; round 5 was begun again in another host"
check "nothing of it is left" has_ended "$work/once-state/frozen"
check "a guest that stalls and is skipped" in_hosts 0 skip 4:stall=1 --patience 3 --at-once 3
check "costs no host" holds "$work/skip/report.md" "5 hosts." "started again, and does not count: \
1 of vmm-elf."
check "and the result is whole" is_as_recorded skip
check "a part that freezes always: exit status 5" in_hosts 5 always exits:freeze=9 --patience 3 \
	--at-once 4
check "after three hosts, which is said" said always "exits and port: given up, after 3 hosts" \
	"Not measured: exits and port: given up after 3 hosts; the last one froze at"
check "and all else is in the report" holds "$work/always/report.md" "## Equal configuration" \
	"| vmm --machine micro |"
check "and nothing of the part" lacks "$work/always/report.md" "## Exits"
check "a part that fails and then does not" in_hosts 0 twice exits:fail=2
check "is whole" is_as_recorded twice
check "and its failures are told" holds "$work/twice/report.md" \
	"failed after" "exit status 1: vmm bench: the fake host fails."
check "a part that fails always, in its second round" in_hosts 5 rounds 7:fail=9 8-:fail=9 \
	--skip exits,port,idle,memory
check "leaves what it had measured" said rounds "7 runs of each in turn" \
	"Not measured: rounds 7 to 9: rounds 8 to 9 of them, given up after 3 hosts; the last one failed at"
check "when no part can be measured: exit status 1" in_hosts 1 none idle:fail=9 --skip \
	rounds,exits,port,memory
check "with a sentence" said none "vmm bench: nothing was measured: idle failed at"
check "where KVM can't be used no other host is tried" in_hosts 3 refused exits:refuse --skip \
	rounds,port,idle,memory
check "and it is said once" said refused "vmm bench: /dev/kvm can't be opened."
check "with one host" test "$(wc -l <"$work/refused-state/arguments")" = 1

is_ended_whole() {
	local pid
	mkdir -p "$work/ended-state"
	"$vmm" bench boot --output "$work/ended" --guests "$work" --fresh-hosts \
		"'$here/../fake/bench_host' '$recorded' '$work/ended-state' exits:freeze=9 --" \
		--skip rounds,port,idle,memory >"$work/ended.text" 2>&1 </dev/null &
	pid=$!
	while ! [ -s "$work/ended-state/frozen" ]; do
		kill -0 "$pid" || return 1
		sleep 0.05
	done
	kill "$pid"
	wait "$pid"
	[ "$?" -eq 143 ] && has_ended "$work/ended-state/frozen"
}
check "SIGTERM ends its hosts with it" is_ended_whole

# ---- Results put together by hand ----

check "results of parts can be merged by hand" refuses 0 "GOALS" merge \
	"$work"/parts/parts/host-?/result.json --output "$work/merged"
check "and come to the same" is_as_recorded merged
changed 'r["files"]["init"]["sha256"] = "0" * 64'
check "but not with one of another file" refuses 1 "the results differ in init" merge "$recorded" \
	"$work/bad.json"
changed 'r["clock"] = "time"'
check "or of another clock" refuses 1 "different clocks" merge "$recorded" "$work/bad.json"
changed 'r["cases"][0]["runs"] = 7'
check "or a damaged one" refuses 1 "is damaged" merge "$recorded" "$work/bad.json"
check "merge without a result" refuses 2 "results" merge

finish
