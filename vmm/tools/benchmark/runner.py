"""The rounds: each case once a round, in an order that rotates. The first two runs of each do not
count: the one that shows whether it comes up at all, and the first round."""

import json
import os
import subprocess

from . import stats
from .cold import drop_caches
from .problem import Problem
from .processes import family, kill_all

WARM_UPS = 2
FIGURES = ("first_byte", "up", "end", "gone", "cpu", "bytes", "faults")
# Seconds of the clock that is used: of one of instructions, some times the longest start.
LIMITS_S = {"time": 300, "instructions": 10}
TRIES = 2
# So often is a run begun that another program has ended, which watches for stalls.
BEGINS = 4


def timer_steps(text, zero):
    """vmm's own steps, from its standard error, in ns since clock zero; and their CPU time."""
    for line in text.splitlines():
        if not line.startswith('{"unit"'):
            continue
        report = json.loads(line)
        shift = report["zero_monotonic"] - zero
        steps = {key: step["at"] + shift for key, step in report["steps"].items()}
        cpu = {key: step["cpu"] for key, step in report["steps"].items()}
        return steps, cpu, report.get("kernel_source", "")
    return {}, {}, ""


def read_tail(path, count=300):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()[-count:].strip()


class Runner:
    def __init__(self, plan, clock, say):
        self.plan = plan
        self.limit_s = LIMITS_S[clock]
        self.say = say
        self.running = None  # bench_spawn
        self.is_given_up = False
        self.stalled = {}  # how many runs of a case were ended and begun again
        self.console = os.path.join(plan.work, "console")
        self.errors = os.path.join(plan.work, "errors")

    def command(self, case, *options):
        return [self.plan.spawn, "--limit", str(self.limit_s), "--console", self.console,
                "--errors", self.errors, *options,
                *(["--contain", case.contain] if case.contain else []), "--", *case.argv]

    def give_up(self):
        """From another thread: what is being started has stalled, and is ended."""
        running = self.running
        if running:
            self.is_given_up = True
            kill_all(family(running.pid)[1:])

    def spawn(self, case, *options, prepare=None):
        """One run that was not given up. prepare() is called before each."""
        for _ in range(BEGINS):
            if prepare:
                prepare()
            self.is_given_up = False
            run = self.spawn_once(case, *options)
            if not self.is_given_up:
                break
            self.stalled[case.name] = self.stalled.get(case.name, 0) + 1
            self.say("%s stalled, and was ended; once more" % case.name)
            self.say.tick(case.name)
        else:
            run["up"] = None  # ended from outside to the last: it does not count
        return run

    def spawn_once(self, case, *options):
        """One run: what bench_spawn saw, as times since clock zero."""
        with subprocess.Popen(self.command(case, *options), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, cwd=self.plan.work,
                              env=self.plan.environment) as self.running:
            out, errors = self.running.communicate()
            status = self.running.returncode
            self.running = None
        if status:
            raise Problem("%s: %s" % (case.name, errors.strip()[-200:]))
        seen = json.loads(out)
        run = {key: seen[key] - seen["zero"] if seen[key] else None
               for key in ("first_byte", "up", "end", "gone")}
        run["cpu"] = (seen["user_us"] + seen["system_us"]) * 1000
        run.update({key: seen[key] for key in ("bytes", "faults", "waits", "exit_status",
                                               "timed_out", "zero")})
        if case.has_timer:
            with open(self.errors, encoding="utf-8", errors="replace") as file:
                run["steps"], run["step_cpu"], run["kernel_source"] = timer_steps(
                    file.read(), seen["zero"])
        if case.after and not run["up"]:
            subprocess.run(case.after, capture_output=True, check=False)
        return run

    def why_not(self, run):
        tail = read_tail(self.errors) or read_tail(self.console) or "it said nothing"
        return "exit status %d%s: %s" % (run["exit_status"],
                                         ", ended by force" if run["timed_out"] else "", tail)

    def why_not_up(self, case):
        self.say.tick(case.name)
        try:
            run = self.spawn(case)
            return "" if run["up"] else self.why_not(run)
        except Problem as problem:
            return str(problem)

    def weed(self, cases):
        """A first run of each: what does not get its init up takes no part, and why is said."""
        good, failed = [], {}
        for case in cases:
            for _ in range(TRIES):
                self.say("trying %s" % case.name)
                why = self.why_not_up(case)
                if not why:
                    good.append(case)
                    break
                self.say("it did not come up: %s" % why.replace("\n", " ")[-200:])
            else:
                failed[case.name] = why
        return good, failed

    def rounds(self, cases, numbers, is_cold, save):
        """Calls save({name: its runs that count}, {name: how many without an init mark}, the
        numbers of the rounds) after each round."""
        kept = {case.name: [] for case in cases}
        lost = {case.name: 0 for case in cases}
        done = []
        for number in (0, *numbers):
            self.say("round %d" % number if number else "warm-up")
            turn = number % len(cases)
            for case in cases[turn:] + cases[:turn]:
                if is_cold:
                    drop_caches()
                self.say.tick("round %d: %s" % (number, case.name))
                run = self.spawn(case)
                if number == 0:
                    continue
                run["round"] = number
                if run["up"]:
                    kept[case.name].append(run)
                else:
                    lost[case.name] += 1
            if number:
                done.append(number)
            save(kept, lost, done)


def summaries_of_steps(runs, name):
    rows = [run.get(name, {}) for run in runs]
    return stats.summaries(rows, sorted({key for row in rows for key in row}))


def result_of(case, runs, lost):
    """A case's part of the result."""
    return summed_up({
        "name": case.name, "table": case.table, "who": case.who, "label": case.label,
        "kernel": case.kernel, "argv": case.argv, "note": case.note, "lost": lost}, runs)


def summed_up(facts, runs):
    """What is known of a case, with its runs and what they come to."""
    return {
        **facts,
        "summary": stats.summaries(runs, FIGURES),
        "steps": summaries_of_steps(runs, "steps"),
        "step_cpu": summaries_of_steps(runs, "step_cpu"),
        "kernel_source": runs[-1].get("kernel_source", "") if runs else "",
        "runs": runs,
    }
