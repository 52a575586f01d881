"""vmm bench boot: does all the measuring and gives one result, which is plain data."""

import os
import subprocess
import time

from . import cold, exits, goals, host, idle, local, port, watched
from .cases import TABLES, all_cases
from .plan import Plan
from .problem import EXIT_NO_KVM, Problem
from .runner import WARM_UPS, Runner, result_of

FORMAT = "vmm-bench-boot 1"
PARTS = ("rounds", "exits", "port", "idle", "memory")


def check_kvm(vmm):
    """Stock kernels have to start here, or there is nothing to compare."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Problem("/dev/kvm can't be opened", "vmm doctor says why", EXIT_NO_KVM)
    if subprocess.run([vmm, "doctor", "-q"], capture_output=True, check=False).returncode:
        raise Problem("this host's KVM can't start stock kernels (vmm doctor)",
                      "make bench measures in a nested host", EXIT_NO_KVM)


def takes_part(case, parts):
    return ("rounds" in parts or ("exits" in parts and case.is_machine)
            or (parts & {"idle", "memory"} and idle.takes_part(case)))


def empty_result(options, plan, facts, clock, failed):
    return {
        "format": FORMAT, "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "clock": clock,
        "host": facts, "warnings": host.warnings(facts, clock),
        "settings": {"runs": options.runs, "warm_ups": WARM_UPS, "memory_mib": plan.memory_mib,
                     "page_cache": "cold" if options.cold else "warm"},
        "tables": [list(table) for table in TABLES],
        "files": plan.artefacts.files,
        "programs": {name: program.as_json() for name, program in plan.programs.items()},
        "missing": plan.missing, "failed": failed,
        "rounds": [], "cases": [], "exits": [], "port": {}, "idle": [], "memory": [],
        "density": [], "measured": [], "stalled": {},
    }


def measure(options, work, save, say):
    """Gives the result; save(result) is called with what there is so far. The parts that are
    whole stand in "measured"."""
    facts = host.facts()
    plan = Plan(options, work, facts, say)
    check_kvm(options.vmm)
    clock = host.clock_kind(plan.spawn)
    for name, why in plan.missing.items():
        say("no %s: it %s" % (name, why))
    parts = set(PARTS) - set(options.skip)
    cases = [case for case in all_cases(plan) if takes_part(case, parts)]
    if not cases and parts - {"port"}:
        raise Problem("--only leaves nothing to measure")
    if options.cold:
        cold.check([*plan.artefacts.kernels.values(),
                    *(program.path for program in plan.programs.values())], clock)
    runner = Runner(plan, clock, say)
    if options.progress:
        watched.listen(runner.give_up)
    if clock == "instructions":
        local.bring_all(plan, cases, say)
    cases, failed = runner.weed(cases)
    if failed and not cases:
        raise Problem("no init came up, not even one: " + "; ".join(failed.values())[:400])
    result = empty_result(options, plan, facts, clock, failed)
    result["stalled"] = runner.stalled

    def judge_and_save():
        result["goals"] = goals.judge(result)
        save(result)

    def save_round(kept, lost, done):
        result["cases"] = [result_of(case, kept[case.name], lost[case.name]) for case in cases]
        result["rounds"] = done
        judge_and_save()

    def save_exits(found):
        result["exits"] = found
        save(result)

    def measure_port():
        result["port"] = port.measure(runner, say)

    first = options.first_round
    steps = {
        "rounds": lambda: runner.rounds(cases, range(first, first + options.runs), options.cold,
                                        save_round),
        "exits": lambda: exits.measure(runner, cases, say, save_exits),
        "port": measure_port,
    }
    for part, step in steps.items():
        if part in parts:
            step()
            result["measured"].append(part)
            judge_and_save()
    if parts & {"idle", "memory"}:
        idle.measure(plan, cases, options, result, judge_and_save, say)
        result["measured"] += sorted(parts & {"idle", "memory"})
    result["goals"] = goals.judge(result)
    return result
