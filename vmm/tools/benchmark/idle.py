"""Idle machines: what they keep of the host's memory, how often they leave the guest, wake up and
run, and how many there can be. The guest's init sleeps; no run is timed here.
"""

import os
import re
import subprocess
import time

from .processes import family, kill_all, read_lines, tasks

IDLE_S = 10
SETTLE_S = 2
START_LIMIT_S = 300
# Of MemAvailable, what is left alone: nobody measures a host that is out of memory.
RESERVE = 400 << 20
FLEET_MAX = 100
# What is measured, and how many at most: a stock kernel takes long to start, QEMU a lot of memory.
ROWS = {"vmm-elf": 10, "vmm-micro": 200, "qemu-microvm-elf": 5, "qemu-q35-elf": 1,
        "kvmtool-bz": 10, "firecracker-elf": 10, "cloud-hypervisor-elf": 10, "crun": 200,
        "runc": 10}
KVM_DEBUG = "/sys/kernel/debug/kvm"
MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ")


def available():
    for line in read_lines("/proc/meminfo"):
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return 0


def mappings(pid):
    """[(begin, end, PSS in KiB)...] of a process."""
    found = []
    for line in read_lines("/proc/%d/smaps" % pid):
        match = MAPPING.match(line)
        if match:
            found.append([int(match[1], 16), int(match[2], 16), 0])
        elif line.startswith("Pss:"):
            found[-1][2] = int(line.split()[1])
    return found


def guest_range(maps, guest_bytes):
    """Where the guest's memory is mapped: a run of mappings without a hole that has its size, else
    (it grew together with a neighbour) the one mapping that is larger."""
    edges = {}  # begin: end of the run without a hole that it lies in
    for begin, end, _ in reversed(maps):
        edges[begin] = edges.get(end, end)
    ends = {end for _, end, _ in maps}
    for begin in edges:
        if begin + guest_bytes in ends and begin + guest_bytes <= edges[begin]:
            return begin, begin + guest_bytes
    larger = [(begin, end) for begin, end, _ in maps if end - begin >= guest_bytes]
    return larger[0] if larger else (0, 0)


def guest_and_rest(pid, guest_bytes):
    """PSS of the guest's memory, and of all else of the process, in bytes."""
    maps = mappings(pid)
    begin, end = guest_range(maps, guest_bytes)
    guest = sum(kib for at, _, kib in maps if begin <= at < end)
    return guest * 1024, (sum(kib for _, _, kib in maps) - guest) * 1024


def threads(pids):
    """(ns on a CPU of all threads, how often those have waited that run no guest)."""
    ran = waits = 0
    for pid in pids:
        for task in tasks(pid):
            at = "/proc/%d/task/%d/" % (pid, task)
            ran += int((" ".join(read_lines(at + "schedstat")).split() or ["0"])[0])
            name = "".join(read_lines(at + "comm"))
            if name.startswith(("vcpu", "CPU ", "kvm-vcpu", "fc_vcpu")):
                continue
            waits += sum(int(line.split()[1]) for line in read_lines(at + "status")
                         if line.startswith("voluntary_ctxt"))
    return ran, waits


def exits():
    lines = read_lines(os.path.join(KVM_DEBUG, "exits"))
    return int(lines[0]) if lines else None


def takes_part(case):
    return case.name in ROWS and bool(case.idle_argv)


class Fleet:
    """Machines of one case that sleep."""

    def __init__(self, plan, case):
        self.plan = plan
        self.case = case
        self.processes = []

    def start(self):
        """True when its init is up."""
        number = len(self.processes)
        console = os.path.join(self.plan.work, "idle-%d" % number)
        argv = list(self.case.idle_argv)
        if self.case.who in ("runc", "crun"):
            argv[-1] += "-%d" % number
        with open(console, "wb") as out:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL,
                cwd=self.plan.work, env=self.plan.environment, start_new_session=True)
        self.processes.append(process)
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and process.poll() is None:
            if "up" in read_lines(console):
                return True
            time.sleep(0.02)
        return False

    def stop(self):
        """All at once: their ends, in which KVM waits, run beside each other."""
        for process in self.processes:
            kill_all(reversed(family(process.pid)))
        for process in self.processes:
            process.wait()
        # A container's manager that was killed removed nothing.
        if self.case.after:
            for number in range(len(self.processes)):
                subprocess.run([*self.case.after[:-1], "bench-wait-%d" % number],
                               capture_output=True, env=self.plan.environment, check=False)
        self.processes = []

    def pids(self):
        return [pid for process in self.processes for pid in family(process.pid)]


def measure_idle(fleet):
    time.sleep(SETTLE_S)
    pids, before_exits = fleet.pids(), exits()
    ran, waits = threads(pids)
    begin = time.monotonic()
    time.sleep(IDLE_S)
    seconds = time.monotonic() - begin
    ran_after, waits_after = threads(pids)
    after_exits = exits()
    return {"case": fleet.case.name,
            "exits_per_s": (after_exits - before_exits) / seconds if after_exits is not None
            else None,
            "wakeups_per_s": (waits_after - waits) / seconds,
            "cpu_per_mille": (ran_after - ran) / seconds / 1e6}


def measure_memory(fleet, guest_bytes, before):
    time.sleep(SETTLE_S)
    count = len(fleet.processes)
    guest = rest = 0
    for pid in fleet.pids():
        one_guest, one_rest = guest_and_rest(pid, guest_bytes)
        guest, rest = guest + one_guest, rest + one_rest
    used = before - available()
    return {"case": fleet.case.name, "machines": count, "pss_beyond": rest / count,
            "guest_each": guest / count, "available_each": used / count,
            "beyond_each": (used - guest) / count}


def has_room(fleet, before):
    used = before - available()
    count = max(len(fleet.processes), 1)
    return available() > RESERVE + used // count


def grow(fleet, before, say):
    """One machine more; False, with a word of it, when there can't be one."""
    if not has_room(fleet, before):
        say("%s: no memory for more than %d" % (fleet.case.name, len(fleet.processes)))
        return False
    say.tick("%s, number %d" % (fleet.case.name, len(fleet.processes) + 1))
    if not fleet.start():
        say("%s: number %d did not come up" % (fleet.case.name, len(fleet.processes)))
        return False
    return True


def measure_density(fleet, budget_mib, before, say):
    """Goes on until the budget is used."""
    is_used = before - available() >= budget_mib << 20
    while not is_used and len(fleet.processes) < FLEET_MAX and grow(fleet, before, say):
        is_used = before - available() >= budget_mib << 20
    row = measure_idle(fleet)
    return {"case": fleet.case.name, "budget_mib": budget_mib, "machines": len(fleet.processes),
            "is_used": is_used, "cpu_per_mille": row["cpu_per_mille"]}


def measure_case(plan, case, options, result, say):
    fleet = Fleet(plan, case)
    # What ended just now gives its memory back in its own time.
    time.sleep(SETTLE_S)
    before = available()
    counts = sorted({min(count, ROWS[case.name]) for count in options.machines})
    try:
        for number in range(1, max(counts) + 1):
            if not grow(fleet, before, say):
                return
            if number == 1 and "idle" not in options.skip:
                result["idle"].append(measure_idle(fleet))
            if "memory" in options.skip:
                return
            if number in counts:
                result["memory"].append(measure_memory(fleet, plan.memory_mib << 20, before))
        if options.budget_mib:
            result["density"].append(measure_density(fleet, options.budget_mib, before, say))
    finally:
        fleet.stop()


def measure(plan, cases, options, result, save, say):
    if os.geteuid() == 0 and not os.path.isdir(KVM_DEBUG):
        subprocess.run(["mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug"],
                       capture_output=True, check=False)
    for case in cases:
        if takes_part(case):
            say("idle: %s" % case.name)
            measure_case(plan, case, options, result, say)
            save()
