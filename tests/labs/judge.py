#!/usr/bin/python3
"""Says of a JSON report of vmm grade whether the folders in it have the points they should have.

judge.py full|minimum|wrong REPORT: a line "ok - NAME" or "not ok - NAME" for each folder.
"""
import json
import sys
from pathlib import Path


def words(result):
    """All that the report says about why a folder has failed."""
    lines = [*result["build_errors"], *result["remarks"]]
    for test in result["tests"]:
        for failure in test["failures"]:
            lines += [f"{failure['what']}: expected {failure['expected']}",
                      f"{failure['what']}: got {failure['got']}"]
        if not test["passed"]:
            lines += [*test["last_words"], test["errors"]]
    return "\n".join(lines)


def fault(kind, result):
    """Why the result is not what it should be, or nothing."""
    points = f"{result['points']} of {result['of']} points"
    if kind == "full":
        return "" if result["points"] == result["of"] > 0 else points
    if kind == "minimum":
        return "" if result["points"] == result["minimum"] else \
            f"{points}, and its minimum is {result['minimum']}"
    if result["points"] == result["of"]:
        return "a wrong solution has full marks"
    wanted = (Path(result["folder"]) / "EXPECT").read_text("utf-8").splitlines()
    missing = [line for line in wanted if line not in words(result)]
    return f"it does not say: {missing[0]}" if missing else ""


def main():
    """The program."""
    kind, report = sys.argv[1:]
    names = {"full": "the solution has full marks", "minimum": "the start has its minimum",
             "wrong": "is marked wrong"}
    for result in json.loads(Path(report).read_text("utf-8"))["results"]:
        why = fault(kind, result)
        name = f"{result['lab']}: {names[kind]}"
        if kind == "wrong":
            name += f": {Path(result['folder']).name}"
        print(f"{'not ok' if why else 'ok'} - {name}")
        if why:
            print("#   " + why)
            print("\n".join("#   " + line for line in words(result).splitlines()[:20]))


if __name__ == "__main__":
    main()
