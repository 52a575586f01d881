"""Several results of the same things as one: of parts that were measured one by one, each in a host
of its own (hosts.py), or by hand (vmm bench merge). Knows the results, not how they were made."""

from . import goals
from .problem import Problem
from .runner import summed_up

SUMS = ("summary", "steps", "step_cpu", "kernel_source", "runs")
# What of a result is of which part; several hosts' rounds are put together, of others one counts.
LISTS = {"exits": "exits", "port": "port", "idle": "idle", "memory": "memory", "density": "memory"}


def identity(result):
    """What has to be the same in all, by name."""
    yield "the guests' memory", result["settings"]["memory_mib"]
    yield "the page cache", result["settings"]["page_cache"]
    for name, file in result["files"].items():
        yield name, file["sha256"]
    for name, program in result["programs"].items():
        yield program["path"], program["sha256"]


def check_same(results):
    known = {}
    for result in results:
        for name, value in identity(result):
            if known.setdefault(name, value) != value:
                raise Problem("the results differ in %.200s: they are not of the same things" %
                              name, "measure again what is to be compared")
    clocks = {result["clock"] for result in results if result["cases"]}
    if len(clocks) > 1:
        raise Problem("the results are of different clocks: " + " and ".join(sorted(clocks)))


def rounds_of(result):
    if "rounds" in result:
        return result["rounds"]
    return list(range(1, result["settings"]["runs"] + 1)) if result["cases"] else []


def merged_cases(results):
    found = {}
    for result in results:
        for case in result["cases"]:
            facts = {key: value for key, value in case.items() if key not in SUMS}
            first, runs = found.setdefault(case["name"], ({**facts, "lost": 0}, []))
            first["lost"] += case["lost"]
            runs += case["runs"]
    return [summed_up(facts, sorted(runs, key=lambda run: run.get("round", 0)))
            for facts, runs in found.values()]


def best(results, key):
    """Of those that have some of it one that has all, else one that has the most."""
    part = LISTS[key]
    return max(results, key=lambda one: (part in one.get("measured", ()), len(one[key])))


def once(lists):
    return list(dict.fromkeys(text for texts in lists for text in texts))


def merge(results, hosts=()):
    """hosts: what became of each host that was used, in turn."""
    check_same(results)
    main = next((one for one in results if one["cases"]), results[0])
    merged = {key: main[key] for key in ("format", "made", "clock", "host", "tables")}
    rounds = sorted(number for one in results for number in rounds_of(one))
    merged["settings"] = {**main["settings"], "runs": len(rounds)}
    for key in ("files", "programs", "missing"):
        merged[key] = {name: value for one in results for name, value in one[key].items()}
    same_clock = [one for one in results if one["clock"] == main["clock"]]
    merged["warnings"] = once(one["warnings"] for one in same_clock)
    merged["rounds"] = rounds
    merged["cases"] = merged_cases(results)
    measured = {case["name"] for case in merged["cases"] if case["runs"]}
    merged["failed"] = {name: why for one in results for name, why in one["failed"].items()
                        if name not in measured}
    merged["clocks"] = {}
    for key in LISTS:
        source = best(results, key)
        merged[key] = source[key]
        clock = source.get("clocks", {}).get(key, source["clock"])
        if source[key] and clock != merged["clock"]:
            merged["clocks"][key] = clock
    merged["measured"] = once(one.get("measured", ()) for one in results)
    merged["stalled"] = {}
    for one in results:
        for name, count in one.get("stalled", {}).items():
            merged["stalled"][name] = merged["stalled"].get(name, 0) + count
    merged["hosts"] = [host for one in results for host in one.get("hosts", ())] + list(hosts)
    merged["not_measured"] = once(one.get("not_measured", ()) for one in results)
    merged["goals"] = goals.judge(merged)
    return merged
