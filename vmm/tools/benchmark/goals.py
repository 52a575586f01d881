"""The project's goals for a start, judged from a result. Knows the result, not how it was made."""


def value_of(result, name, key):
    for case in result["cases"]:
        if case["name"] == name:
            summary = case["summary"].get(key)  # none before its first run
            return summary["median"] if summary else None
    return None


def step_cpu_of(result, name, step):
    for case in result["cases"]:
        if case["name"] == name and step in case["step_cpu"]:
            return case["step_cpu"][step]["median"]
    return None


def entry_of(rows, list_name, name, key, which=0):
    found = [row.get(key) for row in rows.get(list_name, []) if row.get("case") == name]
    return found[which] if found else None


def absolute(what, value, limit, unit, note="", scale=1.0):
    if value is None:
        return {"what": what, "goal": "≤ %g %s" % (limit, unit), "note": note, "is_met": None}
    shown = value / scale
    return {"what": what, "goal": "≤ %g %s" % (limit, unit), "value": shown, "unit": unit,
            "is_met": shown <= limit, "note": note}


def ratio(what, ours, theirs, limit, peer):
    row = {"what": what, "goal": "≤ %.2f × %s" % (limit, peer), "is_met": None, "note": ""}
    if ours is None or not theirs:
        return row
    row.update({"value": ours / theirs, "unit": "×", "is_met": ours / theirs <= limit,
                "ours": ours, "theirs": theirs})
    return row


# what is compared, vmm's row, the peer's row, the limit, the peer's name
RATIOS = (
    ("exec → up, stock kernel as ELF", "vmm-elf", "qemu-microvm-elf", 0.72, "QEMU microvm"),
    ("the same given a bzImage", "vmm-bz", "qemu-microvm-bz", 0.62, "QEMU microvm"),
    ("the same given a bzImage", "vmm-bz", "kvmtool-bz", 0.62, "kvmtool"),
    ("the same with all messages", "vmm-verbose", "qemu-microvm-verbose", 0.60, "QEMU microvm"),
    ("as shipped", "vmm-shipped", "qemu-microvm-shipped", 0.30, "QEMU microvm"),
)
SMALL = (("runc", 1.0), ("crun", 2.0))
CLOCKS = (("up", "time"), ("cpu", "CPU"))
MIB = 1 << 20


def start_goals(result):
    is_counted = result["clock"] == "instructions"
    for name, text in (("vmm-elf", "vmm"), ("vmm-static-elf", "vmm, static")):
        value = step_cpu_of(result, name, "run")
        if value is not None:
            yield absolute("exec → first KVM_RUN, stock kernel as ELF: %s" % text, value, 1.5,
                           "Mi" if is_counted else "ms", "its CPU time", 1e6)
    for what, ours, theirs, limit, peer in RATIOS:
        for key, text in CLOCKS:
            yield ratio("%s (%s)" % (what, text), value_of(result, ours, key),
                        value_of(result, theirs, key), limit, peer)
    for peer, limit in SMALL:
        for key, text in (("end", "time"), ("cpu", "CPU")):
            yield ratio("micro, small kernel, exec → up → reaped (%s)" % text,
                        value_of(result, "vmm-micro", key), value_of(result, peer, key), limit,
                        peer)


def other_goals(result):
    yield absolute("exits to init, stock kernel as ELF", entry_of(
        result, "exits", "vmm-elf", "total"), 1500, "exits")
    port = result.get("port")
    if port:
        yield ratio("a port exit through the dispatcher", port.get("vmm"), port.get("floor"), 1.15,
                    "a bare loop of KVM_RUN")
    idle = "idle, after init sleeps: "
    yield absolute(idle + "exits a second", entry_of(result, "idle", "vmm-elf", "exits_per_s"), 10,
                   "a second")
    yield absolute(idle + "wake-ups of the program", entry_of(
        result, "idle", "vmm-elf", "wakeups_per_s"), 0, "a second")
    yield absolute("memory beyond the guest's, one machine (PSS)", entry_of(
        result, "memory", "vmm-elf", "pss_beyond"), 1.0, "MiB", "", MIB)
    yield absolute("memory beyond the guest's, each of %s micro machines" % most_machines(result),
                   entry_of(result, "memory", "vmm-micro", "beyond_each", -1), 3.0, "MiB",
                   "by MemAvailable", MIB)
    program = result["programs"].get("vmm", {})
    yield absolute("the program, stripped", program.get("stripped_bytes"), 600, "kB", "", 1000)


def most_machines(result):
    counts = [row["machines"] for row in result.get("memory", []) if row["case"] == "vmm-micro"]
    return "%d" % max(counts) if counts else "50"


def judge(result):
    return list(start_goals(result)) + list(other_goals(result))
