"""The host: what it is, whether its clock counts instructions, and what makes figures doubtful."""

import os
import subprocess


def read_text(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return default


def first_match(text, key):
    for line in text.splitlines():
        if line.startswith(key):
            return line.split(":", 1)[-1].strip()
    return ""


def clock_kind(spawn):
    """'instructions' where 20 million of them take 20 ms to a ten-thousandth, else 'time'."""
    elapsed = []
    for _ in range(3):
        out = subprocess.run([spawn, "--clock"], capture_output=True, text=True, check=True).stdout
        elapsed.append(int(out))
    is_counter = all(abs(ns - 20_000_000) < 100_000 for ns in elapsed)
    return "instructions" if is_counter and max(elapsed) - min(elapsed) < 50_000 else "time"


def facts():
    cpuinfo = read_text("/proc/cpuinfo")
    kvm = [name for name in ("kvm_intel", "kvm_amd", "kvm_pvm")
           if os.path.isdir("/sys/module/" + name)]
    return {
        "kernel": " ".join(os.uname()[i] for i in (0, 2, 3)),
        "processor": first_match(cpuinfo, "model name"),
        "processors": os.cpu_count(),
        "memory_mib": int(first_match(read_text("/proc/meminfo"), "MemTotal").split()[0]) // 1024,
        "kvm": " ".join(kvm),
        "governor": read_text(
            "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or "unknown",
        "huge_pages": read_text("/sys/kernel/mm/transparent_hugepage/enabled").strip(),
        "command_line": read_text("/proc/cmdline").strip(),
        "load": read_text("/proc/loadavg").split()[:3],
        "is_root": os.geteuid() == 0,
        "is_virtual": "hypervisor" in first_match(cpuinfo, "flags").split(),
        "is_nested_host": os.environ.get("VMM_NESTED") == "1",
    }


def warnings(host, clock):
    """Sentences for the head of the report."""
    said = []
    if clock == "instructions":
        said.append("An emulated host whose clock counts instructions: one virtual nanosecond is "
                    "one instruction of everything together (host, program, guest), or an idle "
                    "nanosecond of waiting. Only ratios of one run mean something; none of this "
                    "is a time of real hardware.")
    elif host["is_nested_host"]:
        said.append("An emulated host in real time: what else its machine did is in the figures. "
                    "Only ratios mean something, and those not much.")
    elif host["is_virtual"]:
        said.append("The host is a virtual machine itself: exits cost more than on hardware.")
    if clock == "time" and float(host["load"][0]) > host["processors"] / 2:
        said.append("A noisy host: its load was %s with %d processors." %
                    (host["load"][0], host["processors"]))
    if clock == "time" and host["governor"] not in ("performance", "unknown"):
        said.append("The processors' frequency was left to the governor '%s'." % host["governor"])
    if not host["is_root"]:
        said.append("Not run by root: exits by kind, page caches and some containers are missing.")
    return said


DISTORTIONS = (
    "a VM exit's cost in hardware is almost nothing here, so exits are underpriced",
    "rep stos counts each iteration, so that zeroing memory is overpriced",
    "there is one processor: what would run beside it runs after it",
    "there are no caches, no TLB misses and no mitigations",
    "waits for RCU are time and not work: elapsed and CPU stand apart",
    "a distribution's kernel swamps the differences; the small kernel shows them",
)
