"""Measures in parts, each in a host of its own that a command starts (scripts/with-kvm): one that
freezes costs what it was at, and not the run. What froze or failed is started again in another
host, so often that it ends; what was measured by then is kept, and the report says what was not."""

import glob
import json
import os
import selectors
import shutil
import signal
import subprocess
import time

from . import boot, merge
from .problem import EXIT_IMAGE, EXIT_NO_KVM, EXIT_PARTLY, EXIT_USAGE, Problem
from .voice import TICK
from .watched import SKIP

TRIES = 3  # hosts in which a part gets no further, one after the other
# What another host would only say again.
FINAL = (EXIT_USAGE, EXIT_NO_KVM, EXIT_IMAGE)
REAL_TIME = {"idle", "memory"}
SAID_MAX = 5


def span(numbers):
    first, last = numbers[0], numbers[-1]
    return "round %d" % first if first == last else "rounds %d to %d" % (first, last)


class Part:
    """Some rounds, or other parts of boot.PARTS together."""

    def __init__(self, words, rounds=()):
        self.words = set(words)
        self.rounds = list(rounds)  # that are still to be done
        self.name = span(self.rounds) if rounds else " and ".join(sorted(words))
        self.is_real_time = self.words <= REAL_TIME
        self.tries = 0
        self.is_done = False

    def arguments(self):
        words = ["--skip", ",".join(part for part in boot.PARTS if part not in self.words)]
        if self.rounds:
            words += ["--first-round", str(self.rounds[0]), "--runs", str(len(self.rounds))]
        return words

    def take(self, result, ended_well):
        """What a host measured. True when it got further."""
        if self.rounds:
            left = [number for number in self.rounds if number not in result.get("rounds", [])]
            is_further, self.rounds = len(left) < len(self.rounds), left
            self.is_done = not left
            return is_further
        self.is_done = ended_well or self.words <= set(result.get("measured", []))
        return self.is_done


def parts_of(options):
    """Those that take longest come first."""
    wanted = [part for part in boot.PARTS if part not in options.skip]
    numbers = range(options.first_round, options.first_round + options.runs)
    parts = [Part(["rounds"], numbers[at:at + options.batch])
             for at in range(0, len(numbers), options.batch)] if "rounds" in wanted else []
    for words in ({"idle", "memory"}, {"exits", "port"}):
        if words & set(wanted):
            parts.append(Part(words & set(wanted)))
    return parts


class Host:
    """One host that is running, with the part that it measures."""

    def __init__(self, number, part, command, folder, say):
        self.number = number
        self.part = part
        self.folder = folder
        self.say = say
        self.began = self.sign = time.monotonic()
        self.at = "its start"
        self.said = []
        self.rest = b""
        self.tried = list(part.rounds)
        self.is_asked = False
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        start_new_session=True)

    def read(self):
        """False at the end of what it says."""
        data = os.read(self.process.stderr.fileno(), 65536)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.sign = time.monotonic()
            self.is_asked = False
            self.hear(line.decode("utf-8", "replace"))
        return bool(data)

    def hear(self, line):
        if line.startswith(TICK):
            self.at = line[len(TICK):]
            return
        self.said = self.said[1 - SAID_MAX:] + [line]
        self.say("host %d, %s: %s" % (self.number, self.part.name, line.removeprefix("bench: ")))

    def ask_to_skip(self):
        """False when it was asked already: an emulated host that has lost a guest may live."""
        if self.is_asked:
            return False
        self.is_asked, self.sign = True, time.monotonic()
        self.say("host %d, %s: no step since %s; asked to end that" % (
            self.number, self.part.name, self.at))
        try:
            os.write(self.process.stdin.fileno(), SKIP)
        except OSError:
            return False
        return True

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def result(self):
        """What it left, or nothing: it may have ended before there was any."""
        try:
            with open(os.path.join(self.folder, "result.json"), encoding="utf-8") as file:
                result = json.load(file)
            return result if result["format"] == boot.FORMAT else {}
        except (OSError, ValueError, LookupError, TypeError):
            return {}


class Hosts:
    def __init__(self, options, save, say):
        self.options = options
        self.save = save
        self.say = say
        self.waiting = parts_of(options)
        self.parts = list(self.waiting)
        self.running = []
        self.results = []
        self.history = []
        self.folder = os.path.join(options.output, "parts")
        self.selector = selectors.DefaultSelector()

    def command(self, part, folder):
        options = self.options
        host = options.real_time_hosts if part.is_real_time else options.hosts
        words = [*(host or options.hosts), options.vmm, "bench", "boot", "--progress",
                 "--output", folder, "--guests", os.path.abspath(options.guests),
                 "--against", ",".join(options.against), "--memory", str(options.memory_mib),
                 "--machines", ",".join(map(str, options.machines)), *part.arguments()]
        if options.only:
            words += ["--only", ",".join(options.only)]
        if options.budget_mib:
            words += ["--budget", str(options.budget_mib)]
        return words

    def start(self, part):
        number = len(self.history) + len(self.running) + 1
        folder = os.path.abspath(os.path.join(self.folder, "host-%d" % number))
        try:
            os.makedirs(folder)
            host = Host(number, part, self.command(part, folder), folder, self.say)
        except OSError as error:
            raise Problem("can't start %s for %.200s: %s" % (
                self.options.hosts[0], folder, error.strerror)) from error
        self.say("host %d starts: %s" % (number, part.name))
        self.running.append(host)
        self.selector.register(host.process.stderr, selectors.EVENT_READ, host)

    def end(self, host, outcome, why=""):
        """The host has gone: what it measured is taken, and its part started again if need be."""
        self.selector.unregister(host.process.stderr)
        host.process.stderr.close()
        host.process.stdin.close()
        self.running.remove(host)
        part, result = host.part, host.result()
        if result:
            self.results.append(result)
        is_further = part.take(result, outcome == "done" and bool(result))
        kept = [number for number in host.tried if number not in part.rounds]
        self.history.append({"number": host.number, "part": part.name, "outcome": outcome,
                             "why": why, "at": host.at, "kept": kept, "lost": part.rounds[:1],
                             "seconds": round(time.monotonic() - host.began)})
        if outcome != "done":
            self.say("host %d, %s: it %s at %s" % (host.number, part.name, outcome, host.at) +
                     (", %s" % why if why else ""))
        if not part.is_done:
            part.tries = 0 if is_further else part.tries + 1
            if part.tries < TRIES:
                self.waiting.insert(0, part)
            else:
                self.say("%s: given up, after %d hosts" % (part.name, TRIES))
        self.save_all()

    def save_all(self):
        if self.results:
            self.save(self.merged())

    def merged(self):
        result = merge.merge(self.results, sorted(self.history, key=lambda one: one["number"]))
        result["made"] = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        result["not_measured"] += ["%s: %s" % (part.name, self.why_not(part))
                                   for part in self.parts if not part.is_done]
        return result

    def why_not(self, part):
        if part.tries < TRIES:
            return "to be done"
        last = [one for one in self.history if one["part"] == part.name][-1]
        left = "%s of them, " % span(part.rounds) if part.rounds else ""
        return "%sgiven up after %d hosts; the last one %s at %s%s" % (
            left, TRIES, last["outcome"], last["at"], ", " + last["why"] if last["why"] else "")

    def watch(self):
        """Waits for a word of any, and looks for those that say nothing more."""
        for key, _ in self.selector.select(timeout=1):
            host = key.data
            if not host.read():
                self.has_ended(host)
        for host in list(self.running):
            if (time.monotonic() - host.sign > self.options.patience_s
                    and not host.ask_to_skip()):
                host.kill()
                self.end(host, "froze")

    def has_ended(self, host):
        try:
            status = host.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            host.kill()
            status = host.process.returncode
        said = next((line for line in host.said if line.startswith("vmm bench: ")), "")
        if status in FINAL:
            # Told already, word by word.
            raise Problem(said.removeprefix("vmm bench: ") or "%s: exit status %d" % (
                host.part.name, status), "", status)
        if status:
            why = said or (host.said[-1] if host.said else "")
            self.end(host, "failed", "exit status %d%s" % (status, ": " + why if why else ""))
        else:
            self.end(host, "done")

    def remove_old(self):
        """What an earlier run left, and nothing else that may lie there."""
        for folder in glob.glob(os.path.join(glob.escape(self.folder), "host-*[0-9]")):
            shutil.rmtree(folder, ignore_errors=True)

    def run(self):
        self.remove_old()
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < self.options.at_once:
                    self.start(self.waiting.pop(0))
                self.watch()
        finally:
            for host in self.running:
                host.kill()
        if not self.results:
            raise Problem("nothing was measured: " + "; ".join(
                "%s %s at %s" % (one["part"], one["outcome"], one["at"])
                for one in self.history)[:600])
        result = self.merged()
        return result, EXIT_PARTLY if result["not_measured"] else 0
