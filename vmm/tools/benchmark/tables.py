"""The tables of a result, as rows of text: for the terminal, Markdown and HTML alike."""

from .cases import KERNELS


def unit_of(result):
    return "Mi" if result["clock"] == "instructions" else "ms"


def unit_text(result):
    if result["clock"] == "instructions":
        return "Mi: million instructions, or as many nanoseconds of waiting"
    return "milliseconds"


def in_millions(ns):
    value = ns / 1e6
    return "%.0f" % value if value >= 1000 else "%.1f" % value if value >= 10 else "%.2f" % value


def figure(summary):
    return in_millions(summary["median"]) if summary else "–"


def spread(summary):
    if not summary or summary["n"] < 2 or not summary["median"]:
        return "–"
    half = max(summary["high"] - summary["median"], summary["median"] - summary["low"])
    return "±%.1f %%" % (100 * half / summary["median"])


def cases_of(result, table):
    """The fastest first."""
    found = [case for case in result["cases"] if case["table"] == table and "up" in case["summary"]]
    return sorted(found, key=lambda case: case["summary"]["up"]["median"])


def start_rows(result, table):
    head = ["what", "kernel", "exec → up", "spread", "exec → reaped", "all gone", "CPU",
            "up → reaped", "n"]
    rows = []
    for case in cases_of(result, table):
        of = case["summary"]
        down = of["end"]["median"] - of["up"]["median"]
        rows.append([case["label"], KERNELS[case["kernel"]], figure(of["up"]), spread(of["up"]),
                     figure(of["end"]), figure(of["gone"]), figure(of["cpu"]), in_millions(down),
                     "%d" % of["up"]["n"] + (" (%d lost)" % case["lost"] if case["lost"] else "")])
    return [head] + rows if rows else []


def goal_rows(result):
    rows = [["what", "goal", "measured", "met"]]
    for goal in result.get("goals", []):
        if goal["is_met"] is None:
            rows.append([goal["what"], goal["goal"], "not measured", "–"])
            continue
        text = "%.2f %s" % (goal["value"], goal["unit"])
        if "ours" in goal:
            show = in_millions if goal["theirs"] > 1e6 else "{:.0f}".format
            text += " (%s : %s)" % (show(goal["ours"]), show(goal["theirs"]))
        elif goal.get("note"):
            text += " (%s)" % goal["note"]
        rows.append([goal["what"], goal["goal"], text, "yes" if goal["is_met"] else "NO"])
    return rows if len(rows) > 1 else []


def label_of(result, name):
    for case in result["cases"]:
        if case["name"] == name:
            kernel = {"elf": ", ELF", "bz": ", bzImage", "micro": ", small kernel"}
            table = ", as shipped" if case["table"] == "shipped" else ""
            return case["label"] + kernel.get(case["kernel"], "") + table
    return name


def exit_rows(result):
    kinds = {}
    for one in result.get("exits", []):
        for kind, count in one["kinds"].items():
            kinds[kind] = kinds.get(kind, 0) + count
    order = sorted(kinds, key=lambda kind: -kinds[kind])
    rows = [["what", "all", *order, "reach the program", "exec → first KVM_RUN"]]
    for one in sorted(result.get("exits", []), key=lambda one: one["total"]):
        first = one.get("first_entry")
        rows.append([label_of(result, one["case"]), "%d" % one["total"],
                     *("%d" % one["kinds"].get(kind, 0) for kind in order),
                     "%d" % sum(one["to_the_program"].values()),
                     in_millions(first) if first else "–"])
    return rows if len(rows) > 1 else []


def mib(value):
    return "–" if value is None else "%.1f" % (value / (1 << 20))


def memory_rows(result):
    rows = [["what", "at once", "beyond the guest's memory, PSS of one", "the same, each, by "
             "MemAvailable", "guest's memory in use, each", "of all, each"]]
    for one in result.get("memory", []):
        rows.append([label_of(result, one["case"]), "%d" % one["machines"], mib(one["pss_beyond"]),
                     mib(one["beyond_each"]), mib(one["guest_each"]), mib(one["available_each"])])
    return rows if len(rows) > 1 else []


def idle_rows(result):
    rows = [["what", "exits a second", "wake-ups of the program a second", "CPU, ‰"]]
    for one in result.get("idle", []):
        rows.append([label_of(result, one["case"]), "%.1f" % one["exits_per_s"],
                     "%.1f" % one["wakeups_per_s"], "%.2f" % one["cpu_per_mille"]])
    return rows if len(rows) > 1 else []


def port_rows(result):
    port = result.get("port") or {}
    rows = [["through", "a write", "of the floor"]]
    clock = result.get("clocks", {}).get("port", result["clock"])
    unit = "instructions" if clock == "instructions" else "ns"
    for who, cost in sorted(port.items(), key=lambda item: item[1]):
        name = "nothing: a bare loop of KVM_RUN" if who == "floor" else who
        share = "%.2f ×" % (cost / port["floor"]) if port.get("floor") else "–"
        rows.append([name, "%.0f %s" % (cost, unit), share])
    return rows if len(rows) > 1 else []


def density_rows(result):
    rows = [["what", "budget", "machines", "CPU of all, ‰"]]
    for one in result.get("density", []):
        rows.append([label_of(result, one["case"]), "%d MiB" % one["budget_mib"],
                     "%d" % one["machines"] + ("" if one["is_used"] else " (and room for more)"),
                     "%.2f" % one["cpu_per_mille"]])
    return rows if len(rows) > 1 else []


def size_rows(result):
    rows = [["program", "version", "size", "stripped", "shared libraries", "their size"]]
    for name, one in result["programs"].items():
        rows.append([name, one["version"], mib(one["bytes"]), mib(one["stripped_bytes"]),
                     "%d" % len(one["libraries"]),
                     mib(sum(library["bytes"] for library in one["libraries"]))])
    return rows


def file_rows(result):
    rows = [["file", "bytes", "SHA-256"]]
    rows += [[name, "%d" % one["bytes"], one["sha256"]] for name, one in result["files"].items()]
    rows += [[one["path"], "%d" % one["bytes"], one["sha256"]]
             for one in result["programs"].values()]
    return rows


def clock_note(result, part):
    """Where a part was measured by another clock than the rest."""
    clock = result.get("clocks", {}).get(part)
    if not clock:
        return ""
    return (" Measured in a host of its own, " +
            ("whose clock counts instructions." if clock == "instructions" else
             "in real time, without the instruction clock."))


def sections(result):
    """(title, text, rows) of all that there is, in the report's order."""
    unit = unit_text(result)
    found = [("Goals", "Medians of this run.", goal_rows(result))]
    found += [(title, "%s Medians, in %s." % (text, unit), start_rows(result, key))
              for key, title, text in result["tables"]]
    found += [
        ("Exits", "Ways out of the guest from its start to its init's line, by kind, in a run of "
                  "its own. The last column is time and holds waits." +
         clock_note(result, "exits"), exit_rows(result)),
        ("Port writes", "A guest's write to the serial port's scratch register, in processor time "
                        "of host, program and guest." + clock_note(result, "port"),
         port_rows(result)),
        ("Memory", "Of idle machines, in MiB; guests' init sleeps." +
         clock_note(result, "memory"), memory_rows(result)),
        ("Idle", "The guest's init sleeps; of one machine, over %s s.%s" %
         (result["settings"].get("idle_s", 10), clock_note(result, "idle")), idle_rows(result)),
        ("Density", "Idle machines, started until the budget of the host's memory was used." +
         clock_note(result, "density"), density_rows(result)),
        ("Sizes", "In MiB.", size_rows(result)),
    ]
    return [section for section in found if section[2]]


def markdown_table(rows):
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows[1:]]) + "\n"


def round_words(numbers):
    return "round%s %s" % ("" if len(numbers) == 1 else "s", ", ".join(map(str, numbers)))


def hosts_lines(result):
    """How many hosts it took, and what came of those that did not get to their end."""
    hosts = result.get("hosts", [])
    if hosts:
        yield "Measured in parts, each in a host of its own that was started for it: %d hosts." % (
            len(hosts))
    for host in hosts:
        if host["outcome"] == "done":
            continue
        text = "Host %d (%s) %s after %d s, at %s%s" % (
            host["number"], host["part"], host["outcome"], host["seconds"], host["at"],
            ", " + host["why"].rstrip(".") if host["why"] else "")
        if host["kept"]:
            text += "; its %s count%s" % (round_words(host["kept"]),
                                          "" if len(host["kept"]) > 1 else "s")
        if host["lost"]:
            text += "; %s was begun again in another host" % round_words(host["lost"])
        yield text + "."
    stalled = result.get("stalled", {})
    if stalled:
        yield ("Guests that the emulated host lost, so that nothing happened any more; each was "
               "ended and started again, and does not count: %s." % ", ".join(
                   "%d of %s" % (count, name) for name, count in stalled.items()))
    for text in result.get("not_measured", []):
        yield "Not measured: %s." % text.rstrip(".")


def host_lines(result):
    host, settings = result["host"], result["settings"]
    yield "Host: %s; %d processors (%s), %d MiB, KVM: %s." % (
        host["kernel"], host["processors"], host["processor"], host["memory_mib"],
        host["kvm"] or "unknown")
    yield ("%(runs)d runs of each in turn, after %(warm_ups)d that do not count; page cache "
           "%(page_cache)s; guests of %(memory_mib)d MiB." % settings)
    yield from hosts_lines(result)
    for name, why in result["missing"].items():
        yield "Not measured: %s, which %s." % (name, why)
    for name, why in result["failed"].items():
        yield "Not measured: %s, whose init did not come up: %s" % (
            name, " ".join(why.split())[:200])


def markdown(result):
    parts = ["# What a start costs\n", "\n".join(result["warnings"]), "",
             "\n".join(host_lines(result)), ""]
    for title, text, rows in sections(result):
        parts += ["## %s\n" % title, text + "\n", markdown_table(rows)]
    return "\n".join(parts)


def plain_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
                     for row in rows)


def plain(result):
    parts = [*result["warnings"], *host_lines(result), ""]
    for title, text, rows in sections(result):
        if title != "Sizes":
            parts += [title.upper() + ": " + text, plain_table(rows), ""]
    return "\n".join(parts) + "\n"
