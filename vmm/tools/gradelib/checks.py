"""Compares what a test left with what it should have: a list of (what, expected, got)."""
import difflib
import re

from gradelib.words import plural, quoted, visible

ENDINGS = {
    32: "the guest reset the machine",
    33: "the guest crashed: a triple fault or something that KVM can't run",
    34: "the guest's kernel panicked",
    36: "the time limit",
}


def text_of(output):
    """The console as text: lines end with \\n however the guest ended them."""
    return output.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def first_difference(wanted, got):
    """The first line that differs, of both, with its number."""
    one, two = wanted.splitlines(), got.splitlines()
    for nth, pair in enumerate(zip(one, two), 1):
        if pair[0] != pair[1]:
            return nth, pair[0], pair[1]
    nth = min(len(one), len(two)) + 1
    return nth, *(lines[nth - 1] if nth <= len(lines) else None for lines in (one, two))


def line_or_end(line):
    """A line for people, or that there is none."""
    return "the end of the output" if line is None else quoted(line)


def check_exact(wanted, got):
    """All of the output, but for line feeds at its end."""
    if got.rstrip("\n") == wanted.rstrip("\n"):
        return []
    nth, one, two = first_difference(wanted.rstrip("\n"), got.rstrip("\n"))
    return [("output", f"line {nth}: {line_or_end(one)}", f"line {nth}: {line_or_end(two)}")]


def nearest_line(wanted, got):
    """What the output has that is most like it."""
    lines = [line for line in got.splitlines() if line.strip()]
    if not lines:
        return "no output at all" if not got.strip() else "empty lines"
    found = difflib.get_close_matches(wanted[:200], [line[:200] for line in lines[:500]], 1, 0.5)
    if found:
        return f"the line {quoted(found[0])}"
    return f"{plural(len(lines), 'line')}, the last is {quoted(lines[-1])}"


def check_output(output, got):
    """[test.output]"""
    failures = [] if output.exact is None else check_exact(output.exact, got)
    for text in output.contains:
        if text not in got:
            failures.append(("output", f"the text {quoted(text)}", nearest_line(text, got)))
    for pattern in output.regex:
        if not re.search(pattern, got, re.MULTILINE):
            failures.append(("output", f"a match of {quoted(pattern)}", nearest_line(pattern, got)))
    place = 0
    for nth, text in enumerate(output.ordered):
        found = got.find(text, place)
        if found < 0:
            after = f" after {quoted(output.ordered[nth - 1])}" if nth else ""
            there = "it stands before" if text in got else nearest_line(text, got)
            failures.append(("output", f"the text {quoted(text)}{after}", there))
            break
        place = found + len(text)
    for text in output.lacks:
        if text in got:
            failures.append(("output", f"no {quoted(text)}", "the output has it"))
    return failures


def describe_end(status, why, seconds):
    """How a machine ended, in words."""
    if why == "cpu":
        return f"it was still running after {seconds:g} s of processor time: an endless loop?"
    if why == "idle":
        return "it stood still: halted, and nothing woke it up"
    if why == "wall":
        return "it took too long"
    if why == "output":
        return "it printed more than it may, and was stopped"
    if why == "disk":
        return "it wrote more than it may, and was stopped"
    return f"status {status}" + (f" ({ENDINGS[status]})" if status in ENDINGS else "")


def check_end(test, status, why):
    """The exit status, and that no limit was met."""
    if why == "output":
        return [("output", f"at most {test.output.max_bytes} bytes", describe_end(0, why, 0))]
    if why:
        wanted = "an end" if test.exit != [0] else "an end with status 0"
        return [("end", wanted, describe_end(status, why, test.seconds))]
    if test.exit is not None and status not in test.exit:
        wanted = "status " + " or ".join(str(item) for item in test.exit)
        return [("end", wanted, describe_end(status, why, test.seconds))]
    return []


# ---- What vmm says of the machine's end ----

SILENT = ("offers no virtualization", "the guest is ended", "vmm: attached")
WANTED = re.compile(r"(vmm: |triple fault|KVM |Code at RIP|Page walk|Last exits|  \S)")
NOT_WANTED = re.compile(r"  (R[A-Z0-9]{1,2}|RIP|CR0|EFER|[CSDEFG]S|TR|LDT) +[0-9a-f]{4}")


def last_words(errors, limit=14):
    """The lines of vmm's diagnosis that help: not the registers, which stand in the JSON."""
    lines = []
    for line in errors.decode("utf-8", "replace").splitlines():
        if any(words in line for words in SILENT):
            continue
        if WANTED.match(line) and not NOT_WANTED.match(line):
            lines.append(visible(line, 160))
    return lines[:limit]
