"""How a guest leaves the processor from its start to its init, by kind, and what was executed
before it first ran: one more run of each machine, with the kernel's trace events counting.

A run that counts is slower than others, so nothing of its times is kept but those before the first
entry, where next to nothing is counted.
"""

import os
import re
import subprocess

from .problem import Problem

TRACING = "/sys/kernel/tracing"
INSTANCE = os.path.join(TRACING, "instances", "vmm-bench")

# Reasons of kvm_exit: arch/x86/include/uapi/asm/svm.h and vmx.h.
SVM_KINDS = {0x400: "page fault", 0x7b: "port", 0x72: "cpuid", 0x7c: "msr", 0x60: "interrupt",
             0x64: "interrupt window", 0x78: "halt", 0x81: "hypercall", 0x61: "nmi",
             0x7f: "shutdown"}
VMX_KINDS = {0: "exception or nmi", 48: "page fault", 49: "page fault", 30: "port", 10: "cpuid",
             31: "msr", 32: "msr", 1: "interrupt", 7: "interrupt window", 12: "halt",
             18: "hypercall", 52: "timer", 2: "shutdown"}
USER_KINDS = {2: "port", 6: "MMIO", 5: "halt", 8: "shutdown", 24: "system event", 4: "signal",
              10: "signal", 17: "internal error"}

LINE = re.compile(r"-(\d+)\s+\[\d+\].*?\s(\d+\.\d+): (\w+): ?(.*)")
HIST = re.compile(r"\{ ([^}]*)\} hitcount:\s+(\d+)")
FIELD = re.compile(r"(\w+):\s+(0x)?([0-9a-fA-F]+)")


def write(name, text, mode="w"):
    with open(os.path.join(INSTANCE, name), mode, encoding="ascii") as file:
        file.write(text)


def parse_hist(text):
    """[({key: number}, count)...] of a hist file."""
    rows = []
    for keys, count in HIST.findall(text):
        numbers = {name: int(digits, 16 if is_hex else 10)
                   for name, is_hex, digits in FIELD.findall(keys)}
        rows.append((numbers, int(count)))
    return rows


def name_kinds(rows, is_vmx, mmio):
    """kvm_exit's reasons as words; of the page faults those are apart that are registers."""
    table, kinds = VMX_KINDS if is_vmx else SVM_KINDS, {}
    for keys, count in rows:
        kind = table.get(keys.get("exit_reason"), "other")
        kinds[kind] = kinds.get(kind, 0) + count
    mmio = min(mmio, kinds.get("page fault", 0))
    if mmio:
        kinds["page fault"] -= mmio
        kinds["MMIO"] = mmio
    return {kind: count for kind, count in kinds.items() if count}


class Tracer:
    EVENTS = {"kvm/kvm_entry": "traceoff:1", "kvm/kvm_exit": "hist:keys=exit_reason,isa",
              "kvm/kvm_userspace_exit": "hist:keys=reason", "kvm/kvm_mmio": "hist:keys=type"}

    def __enter__(self):
        if not os.path.isdir(os.path.join(TRACING, "events")):
            subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACING], capture_output=True,
                           check=False)
        try:
            os.makedirs(INSTANCE, exist_ok=True)
            write("trace_clock", "mono")
            write("buffer_size_kb", "16384")
        except OSError as error:
            raise Problem("trace events can't be used: %s" % error.strerror) from error
        return self

    def __exit__(self, *_):
        self.disarm()
        try:
            os.rmdir(INSTANCE)
        except OSError:
            pass

    def arm(self):
        self.disarm()
        write("trace", "")
        for event, trigger in self.EVENTS.items():
            write("events/%s/trigger" % event, trigger, "a")
        write("events/kvm/kvm_entry/enable", "1")
        write("tracing_on", "1")

    def disarm(self):
        for event, trigger in self.EVENTS.items():
            for name, text in (("enable", "0"), ("trigger", "!" + trigger)):
                try:
                    write("events/%s/%s" % (event, name), text, "a")
                except OSError:
                    pass

    @staticmethod
    def hist(event):
        return os.path.join(INSTANCE, "events", event, "hist")

    @staticmethod
    def lines():
        with open(os.path.join(INSTANCE, "trace"), encoding="ascii", errors="replace") as file:
            found = [LINE.search(line) for line in file if not line.startswith("#")]
        return [(int(match[1]), int(match[2].replace(".", "")) * 1000, match[3], match[4])
                for match in found if match]


def read_hist(path):
    with open(path, encoding="ascii") as file:
        return parse_hist(file.read())


COUNTED = ("kvm_exit", "kvm_userspace_exit", "kvm_mmio")


def measure_case(runner, tracer, case, is_vmx):
    copy = os.path.join(runner.plan.work, "count-")
    snapshots = ["--snapshot=%s=%s" % (tracer.hist("kvm/" + event), copy + event)
                 for event in COUNTED]
    try:
        run = runner.spawn(case, "--kill", *snapshots, prepare=tracer.arm)
        lines = tracer.lines()
    finally:
        tracer.disarm()
    if not run["up"]:
        return None
    exits, user, mmio = (read_hist(copy + event) for event in COUNTED)
    # Of kvm_mmio the types 1 and 2 are reads and writes, and 0 a read whose data is to come.
    kinds = name_kinds(exits, is_vmx,
                       sum(count for keys, count in mmio if keys.get("type") != 0))
    entry = [at for _, at, event, _ in lines if event == "kvm_entry"]
    return {
        "case": case.name, "total": sum(kinds.values()), "kinds": kinds,
        "to_the_program": {USER_KINDS.get(keys.get("reason"), "other"): count
                           for keys, count in user},
        "first_entry": entry[0] - run["zero"] if entry else None,
        "console_bytes": run["bytes"],
    }


def measure(runner, cases, say, save):
    """Calls save(what there is so far) after each machine."""
    found = []
    is_vmx = os.path.isdir("/sys/module/kvm_intel")
    try:
        with Tracer() as tracer:
            for case in cases:
                if not case.is_machine:
                    continue
                say("counting exits of %s" % case.name)
                say.tick(case.name)
                one = measure_case(runner, tracer, case, is_vmx)
                if one:
                    found.append(one)
                save(found)
    except (Problem, OSError) as problem:
        say("no exits by kind: %s" % problem)
