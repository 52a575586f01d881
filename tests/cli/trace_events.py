#!/usr/bin/env python3
"""trace_events.py FILE: checks a file against Chrome's Trace Event Format, its JSON object form:
the fields that each kind of event has, their types, and that times of complete events nest."""
import json
import sys

PHASES = {"X": {"ts", "dur"}, "i": {"ts", "s"}, "M": {"args"}}
METADATA = {"process_name", "thread_name"}


def check(event):
    phase = event["ph"]
    assert phase in PHASES, f"a phase {phase}"
    assert PHASES[phase] <= event.keys(), f"fields are missing: {event}"
    assert isinstance(event["name"], str) and event["name"]
    assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
    for key in ("ts", "dur"):
        if key in event:
            assert isinstance(event[key], (int, float)) and event[key] >= 0, event
    if phase == "M":
        assert event["name"] in METADATA and isinstance(event["args"]["name"], str)
    if phase == "i":
        assert event["s"] in ("g", "p", "t")
    assert isinstance(event.get("args", {}), dict)
    assert isinstance(event.get("cat", ""), str)


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        trace = json.load(file)
    assert trace["displayTimeUnit"] in ("ms", "ns")
    assert isinstance(trace["otherData"], dict)
    ends = {}
    names = set()
    for event in trace["traceEvents"]:
        check(event)
        thread = (event["pid"], event["tid"])
        if event["ph"] == "M":
            names.add(thread)
        if event["ph"] == "X":
            assert event["ts"] >= ends.get(thread, 0) - 0.001, f"two at once: {event}"
            ends[thread] = event["ts"] + event["dur"]
    assert set(ends) <= names, "a thread without a name"
    print(len(trace["traceEvents"]), "events")


main()
