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
check "a part that is none" refuses 2 "known: exits, port, idle, memory" boot --skip xyz
check "a number that is none" refuses 2 "is no number from 1 to 1000" boot --runs 0
check "an option that is none" refuses 2 "there is no option or place for --fast" boot --fast
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

finish
