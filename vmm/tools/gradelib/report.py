"""What is told of a grading: the table for people, TAP, JUnit XML and JSON for programs."""
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from gradelib.words import plural, visible

OUTPUT_MAX = 16384
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class Graded:
    """One folder, graded by one lab."""

    lab: object
    student: str
    built: object
    outcomes: list = field(default_factory=list)

    @property
    def pairs(self):
        """Tests and what they came to."""
        return list(zip(self.lab.tests, self.outcomes))

    @property
    def points(self):
        """What was reached."""
        return sum(test.points for test, outcome in self.pairs if outcome.passed)

    @property
    def all_passed(self):
        """Whether nothing is wrong."""
        return all(outcome.passed for outcome in self.outcomes)


def failure_lines(test, outcome, told=None):
    """Why a test failed, for people. `told`: last words that they know already."""
    lines = []
    for what, expected, got in outcome.failures:
        lines += [f"{what + ':':9} expected {visible(expected)}", f"{'':9} got      {visible(got)}"]
    if outcome.words and outcome.words == told:
        lines.append("the machine's last words: the same")
    elif outcome.words:
        lines += ["the machine's last words:", *("  " + line for line in outcome.words)]
    if test.hint:
        lines.append("hint:     " + visible(test.hint))
    return lines


# ---- For people ----

def table(graded, quiet=False):
    """Lines about one folder."""
    lab = graded.lab
    lines = [f"{lab.name}: {lab.title}", f"  {visible(graded.student)}"]
    lines += [f"  {line}" for line in graded.built.remarks]
    if not graded.built.ok:
        lines.append("  It does not build:")
        lines += [f"    {line}" for line in graded.built.lines]
    told = None
    for test, outcome in graded.pairs:
        got = test.points if outcome.passed else 0
        mark = "ok  " if outcome.passed else "FAIL"
        hidden = " (hidden)" if test.hidden else ""
        lines.append(f"  {mark} {got:3}/{test.points:<3} {test.name}{hidden}")
        if not outcome.passed and not quiet and graded.built.ok:
            lines += [f"{'':15}{line}" for line in failure_lines(test, outcome, told)]
            told = outcome.words
    lines.append(f"  {graded.points} of {plural(lab.points, 'point')}")
    return lines


# ---- For programs ----

def write_tap(all_graded, file):
    """TAP version 13 with a block of YAML for each failure."""
    total = sum(len(graded.outcomes) for graded in all_graded)
    file.write(f"TAP version 13\n1..{total}\n")
    number = 0
    for graded in all_graded:
        for test, outcome in graded.pairs:
            number += 1
            name = f"{graded.lab.name}: {test.name}: {visible(graded.student)}".replace("#", "\\#")
            got = test.points if outcome.passed else 0
            file.write(f"{'ok' if outcome.passed else 'not ok'} {number} - {name} "
                       f"({got}/{test.points})\n")
            if not outcome.passed:
                file.write("  ---\n")
                lines = failure_lines(test, outcome) + ([] if graded.built.ok else
                                                        graded.built.lines)
                file.write("  message: |\n" + "".join(f"    {line}\n" for line in lines))
                file.write("  ...\n")


def xml_text(text):
    """Without the characters that XML can't hold."""
    return NOT_XML.sub("?", text)


def write_junit(all_graded, file):
    """JUnit XML as build servers read it."""
    root = ET.Element("testsuites")
    for graded in all_graded:
        suite = ET.SubElement(
            root, "testsuite", name=xml_text(f"{graded.lab.name}: {graded.student}"),
            tests=str(len(graded.outcomes)), errors="0", skipped="0",
            failures=str(sum(not outcome.passed for outcome in graded.outcomes)),
            time=f"{sum(outcome.seconds for outcome in graded.outcomes):.3f}")
        for test, outcome in graded.pairs:
            case = ET.SubElement(suite, "testcase", name=test.name,
                                 classname=xml_text(graded.lab.name),
                                 time=f"{outcome.seconds:.3f}")
            if not outcome.passed:
                lines = failure_lines(test, outcome) + graded.built.lines
                ET.SubElement(case, "failure", message=xml_text(lines[0])).text = xml_text(
                    "\n".join(lines))
                if outcome.output:
                    ET.SubElement(case, "system-out").text = xml_text(outcome.output[:OUTPUT_MAX])
    ET.indent(root)
    file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    file.write(ET.tostring(root, encoding="unicode") + "\n")


def write_json(all_graded, file):
    """Everything, for scripts of a teacher."""
    results = [{
        "lab": graded.lab.name, "title": graded.lab.title, "folder": graded.student,
        "points": graded.points, "of": graded.lab.points, "minimum": graded.lab.minimum,
        "builds": graded.built.ok, "build_errors": graded.built.lines,
        "build_seconds": round(graded.built.seconds, 3), "remarks": graded.built.remarks,
        "tests": [{
            "name": test.name, "hidden": test.hidden, "passed": outcome.passed,
            "points": test.points if outcome.passed else 0, "of": test.points,
            "failures": [dict(zip(("what", "expected", "got"), failure))
                         for failure in outcome.failures],
            "last_words": outcome.words, "hint": test.hint,
            "status": outcome.status, "end": outcome.end,
            "seconds": round(outcome.seconds, 3), "output": outcome.output[:OUTPUT_MAX],
            "errors": outcome.errors[:OUTPUT_MAX],
        } for test, outcome in graded.pairs],
    } for graded in all_graded]
    json.dump({"version": 1, "results": results}, file, indent=2, ensure_ascii=True)
    file.write("\n")
