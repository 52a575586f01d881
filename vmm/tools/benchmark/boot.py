"""vmm bench boot: does all the measuring and gives one result, which is plain data."""

import os
import subprocess
import time

from . import exits, goals, host, idle, local, port
from .cases import TABLES, all_cases
from .plan import Plan
from .problem import EXIT_NO_KVM, Problem
from .runner import WARM_UPS, Runner, result_of

FORMAT = "vmm-bench-boot 1"
PARTS = ("exits", "port", "idle", "memory")


def check_kvm(vmm):
    """Stock kernels have to start here, or there is nothing to compare."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Problem("/dev/kvm can't be opened", "vmm doctor says why", EXIT_NO_KVM)
    if subprocess.run([vmm, "doctor", "-q"], capture_output=True, check=False).returncode:
        raise Problem("this host's KVM can't start stock kernels (vmm doctor)",
                      "make bench measures in a nested host", EXIT_NO_KVM)


def measure(options, work, save, say):
    """Gives the result; save(result) is called with what there is so far."""
    facts = host.facts()
    plan = Plan(options, work, facts)
    check_kvm(options.vmm)
    clock = host.clock_kind(plan.spawn)
    for name, why in plan.missing.items():
        say("no %s: it %s" % (name, why))
    cases = all_cases(plan)
    if not cases:
        raise Problem("--only leaves nothing to measure")
    runner = Runner(plan, clock, say)
    if clock == "instructions":
        local.bring_all(plan, cases, say)
    cases, failed = runner.weed(cases)
    if not cases:
        raise Problem("no init came up, not even one: " + "; ".join(failed.values())[:400])
    result = {
        "format": FORMAT, "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "clock": clock,
        "host": facts, "warnings": host.warnings(facts, clock),
        "settings": {"runs": options.runs, "warm_ups": WARM_UPS, "memory_mib": plan.memory_mib,
                     "page_cache": "cold" if options.cold else "warm"},
        "tables": [list(table) for table in TABLES],
        "files": plan.artefacts.files,
        "programs": {name: program.as_json() for name, program in plan.programs.items()},
        "missing": plan.missing, "failed": failed,
        "cases": [], "exits": [], "port": {}, "idle": [], "memory": [], "density": [],
    }

    def judge_and_save():
        result["goals"] = goals.judge(result)
        save(result)

    def save_round(kept, lost):
        result["cases"] = [result_of(case, kept[case.name], lost[case.name]) for case in cases]
        judge_and_save()

    runner.rounds(cases, options.runs, options.cold, save_round)
    if "exits" not in options.skip:
        result["exits"] = exits.measure(runner, cases, say)
    if "port" not in options.skip:
        result["port"] = port.measure(runner, say)
    judge_and_save()
    if "idle" not in options.skip or "memory" not in options.skip:
        idle.measure(plan, cases, options, result, judge_and_save, say)
    result["goals"] = goals.judge(result)
    return result
