"""Runs one test: a machine of its own (no terminal, no network, a fixed clock), or a program."""
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from gradelib.build import product
from gradelib.checks import (check_end, check_output, describe_end, last_words, nearest_line,
                             text_of)
from gradelib.disks import compare_disk, write_disk
from gradelib.picture import compare_screen, read_picture
from gradelib.process import Child, Limits, boxed, clean_environment, run
from gradelib.symbols import places
from gradelib.words import quoted

NAME = "lab"
IDLE_S, SCREEN_PATIENCE_S, SCREEN_PAUSE_S = 2.0, 2.0, 0.1
KILLED_BY_LIMIT = (128 + 9, 128 + 24)  # SIGKILL, SIGXCPU: of a process in the sandbox


@dataclass
class Outcome:
    """What a test came to. `failures`: (what, expected, got); `words`: of vmm, about the end."""

    failures: list = field(default_factory=list)
    words: list = field(default_factory=list)
    status: int | None = None
    end: str = ""
    output: str = ""
    errors: str = ""
    seconds: float = 0.0

    @property
    def passed(self):
        """Whether nothing was wrong."""
        return not self.failures


# ---- The steps ----

class Steps:
    """What is done to a running machine, one step after the other."""

    def __init__(self, steps, child, vmm, folder, env):
        self.steps, self.child, self.vmm = list(steps), child, vmm
        self.folder, self.env = folder, env
        self.failures, self.place, self.pending = [], 0, None
        self.helper, self.began, self.again = None, time.monotonic(), 0.0
        # Not in the folder, where a student's vmm could make it a link to somewhere.
        self.picture = Path(f"{folder}.png")

    def advance(self):
        """Takes as many steps as can be taken now. True when the machine is to be stopped."""
        while self.steps:
            step = self.steps[0]
            if step.kind == "stop":
                return True
            if not getattr(self, "do_" + step.kind)(step):
                return False
            self.steps.pop(0)
            self.began = self.child.moved = time.monotonic()
            self.pending = self.helper = None
        return False

    def finish(self):
        """The steps that a machine which has ended may have been through."""
        try:
            if self.helper and not self.child.why:
                self.helper.wait(10)
        except subprocess.TimeoutExpired:
            return
        self.advance()

    def find(self, step, pattern):
        """Goes on behind a match on the console."""
        text = text_of(bytes(self.child.out))
        match = re.compile(pattern, re.MULTILINE).search(text, self.place)
        if match:
            self.place = match.end()
        return match is not None

    def do_expect(self, step):
        """Waits for a text."""
        return self.find(step, re.escape(step.text))

    def do_expect_regex(self, step):
        """Waits for a match."""
        return self.find(step, step.text)

    def do_send(self, step):
        """Types into the console."""
        if self.pending is None:
            self.pending = step.text.encode()
        self.pending = self.child.send(self.pending)
        return not self.pending

    def ask(self, *words):
        """Runs `vmm WORDS` beside the machine; None while it runs, then its status."""
        if self.helper is None:
            self.helper = subprocess.Popen(  # pylint: disable=consider-using-with
                [self.vmm, *words], env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.child.moved = time.monotonic()
        return self.helper.poll()

    def type_words(self, step, *words):
        """A verb that the guest has to take."""
        status = self.ask(*words)
        if status and not self.has_ended():
            why = self.helper.stderr.read().decode("utf-8", "replace").strip().splitlines()
            self.failures.append((step.kind, f"the guest takes {quoted(step.text)}",
                                  why[0] if why else f"status {status}"))
        return status is not None

    def has_ended(self):
        """Whether the machine has ended or is about to: then a key may have been its last."""
        try:
            self.child.process.wait(0.5)
        except subprocess.TimeoutExpired:
            return False
        return True

    def do_key(self, step):
        """Presses keys."""
        return self.type_words(step, "key", NAME, *step.text.split())

    def do_type(self, step):
        """Types a text on the keyboard."""
        return self.type_words(step, "type", NAME, step.text)

    def do_pointer(self, step):
        """Moves the pointer, clicks."""
        return self.type_words(step, "pointer", NAME, *step.text.split())

    def do_screen(self, step):
        """Looks at the screen until it is right, or for two seconds."""
        if time.monotonic() < self.again:
            return False
        status = self.ask("screenshot", NAME, str(self.picture))
        if status is None:
            return False
        try:
            found = ("a screen", "there is no picture of it") if status else compare_screen(
                step.screen, read_picture(self.picture.read_bytes()))
        except (OSError, ValueError) as error:
            found = ("a picture of the screen", str(error))
        if not found:
            return True
        if time.monotonic() - self.began > SCREEN_PATIENCE_S:
            self.failures.append(("screen", *found))
            return True
        self.helper, self.again = None, time.monotonic() + SCREEN_PAUSE_S
        return False

    def left_over(self, why):
        """What was never reached."""
        if not self.steps or self.steps[0].kind == "stop":
            return []
        step = self.steps[0]
        rest = text_of(bytes(self.child.out))[self.place:]
        if step.kind in ("expect", "expect_regex"):
            return [("console", f"{quoted(step.text)} on the console",
                     nearest_line(step.text, rest))]
        return [(step.kind, f"the machine runs until {step.kind} {quoted(step.text)}", why)]

    def close(self):
        """Ends what was asked beside."""
        if self.helper and self.helper.poll() is None:
            self.helper.kill()
            self.helper.wait()
        self.picture.unlink(missing_ok=True)


# ---- The machine ----

def machine_words(test, kernel, limits):
    """vmm's options: the same for everybody, whatever the host."""
    machine = test.machine
    words = ["-q", "--kernel", str(kernel), "--cpus", str(machine.cpus),
             "--memory", machine.memory, "--rtc-base", machine.rtc, "--net", "none",
             "--no-balloon", "--no-kernel-cache", "--no-reboot", "--serial", "stdio",
             "--name", NAME, "--grace", "0", "--timeout", f"{limits.wall_s + 5:g}"]
    if machine.append:
        words += ["--append", machine.append]
    if not machine.rng:
        words.append("--no-rng")
    if machine.display:
        words += ["--display", f"none,{machine.display}"]
    for nth, disk in enumerate(test.disks):
        words += ["--disk", f"disk{nth}.img" + (",ro" if disk.read_only else "")]
    return words + machine.options


def run_machine(test, built, folder, setting):
    """A test with a guest."""
    kernel = product(built.folder, test.machine.kernel)
    if kernel is None:
        return Outcome([("build", f"a file {test.machine.kernel}", "the build made none")])
    vmm, box, watched = setting.vmm, [], None
    if test.machine.vmm:
        vmm, box = product(built.folder, test.machine.vmm), setting.sandbox
        watched = str(folder)  # ours writes nothing but its disks
        if vmm is None:
            return Outcome([("build", f"a program {test.machine.vmm}", "the build made none")])
    for nth, disk in enumerate(test.disks):
        write_disk(disk, Path(folder) / f"disk{nth}.img")
    limits = Limits(cpu_s=test.seconds, wall_s=6 * test.seconds + 10,
                    idle_s=None if box else IDLE_S, output_bytes=test.output.max_bytes,
                    file_bytes=2 << 30, folder=watched,
                    folder_bytes=(256 << 20) + sum(disk.size for disk in test.disks))
    env = {**clean_environment(folder), "XDG_RUNTIME_DIR": str(folder)}
    argv = boxed(box, [str(vmm), *machine_words(test, kernel, limits)], folder, setting.hidden,
                 ("/dev/kvm",))
    child = Child(argv, folder, env, limits)
    steps = Steps(test.steps, child, setting.vmm, folder, env)
    stopped = False
    try:
        while child.pump() and not stopped:
            stopped = steps.advance()
        steps.finish()
        if stopped or child.why == "stopped":
            child.process.kill()  # at once: what it would say depends on the moment
        elif child.why:
            child.stop()
    finally:
        steps.close()
        status = child.close()
    if box and status in KILLED_BY_LIMIT and not child.why:
        child.why = "cpu"
    outcome = judge(test, child, steps, status, stopped, folder)
    outcome.words += places(outcome.words, kernel, folder, setting)
    return outcome


def judge(test, child, steps, status, stopped, folder):
    """Everything that is checked after the end."""
    got = text_of(bytes(child.out))
    if stopped:
        got = got[:steps.place]  # how far it got beyond that is chance
    end = "it was stopped by the test" if stopped else describe_end(status, child.why, test.seconds)
    outcome = Outcome(failures=steps.failures + steps.left_over(end), output=got, end=end,
                      status=None if child.why or stopped else status,
                      errors=child.err.decode("utf-8", "replace"))
    if child.why != "output":
        outcome.failures += check_output(test.output, got)
    if not stopped:
        outcome.failures += check_end(test, status, child.why)
    for check in test.disk_checks:
        found = compare_disk(check, test.disks[check.disk], Path(folder) / f"disk{check.disk}.img")
        if found:
            outcome.failures.append(("disk", *found))
    if outcome.failures:
        outcome.words = last_words(bytes(child.err))
    return outcome


def run_program(test, built, folder, setting):
    """A test that is a program of the student's, in the sandbox where there is one."""
    program = product(built.folder, test.program[0])
    if program is None:
        return Outcome([("build", f"a program {test.program[0]}", "the build made none")])
    limits = Limits(cpu_s=test.seconds, wall_s=6 * test.seconds + 10,
                    output_bytes=test.output.max_bytes, folder=str(folder),
                    processes=None if os.geteuid() == 0 else 4096)
    argv = boxed(setting.sandbox, [str(program), *test.program[1:]], folder, setting.hidden,
                 [device for device in ("/dev/kvm",) if os.path.exists(device)])
    status, out, err, why = run(argv, folder, clean_environment(folder), limits)
    if status in KILLED_BY_LIMIT and not why:
        why = "cpu"
    got = text_of(out)
    outcome = Outcome(output=got, end=describe_end(status, why, test.seconds), status=status,
                      errors=err.decode("utf-8", "replace"))
    outcome.failures = check_end(test, status, why)
    if why != "output":
        outcome.failures += check_output(test.output, got)
    if outcome.failures:
        outcome.words = last_words(err)
    return outcome


def run_test(test, built, folder, setting):
    """Runs it in `folder`, which is there and empty."""
    began = time.monotonic()
    if not built.ok:
        return Outcome([("build", "it builds", "it does not build")])
    runner = run_program if test.program else run_machine
    outcome = runner(test, built, folder, setting)
    outcome.seconds = time.monotonic() - began
    return outcome
