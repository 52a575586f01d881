"""A child with limits: its own process group, what it may take, and a bound on what it says.

Threats                           limit                                 where
runs for ever                     processor time, time, standing still  Child.over_limit
prints for ever                   bytes kept of each stream             Child.pump
writes large or many files        RLIMIT_FSIZE; its folder's bytes,     command, Child.over_limit,
                                  names and depth                       folder_bytes
leaves what can't be removed      made removable, without recursion     remove
takes all memory, many processes  RLIMIT_AS, RLIMIT_NPROC               command
leaves processes behind           the group is killed at the end        Child.close
"""
import errno
import math
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

TICK_S = 0.03
FOLDER_NAMES_MAX = 20000
CLOCK_HZ = os.sysconf("SC_CLK_TCK")
# Set when everything is to end: no child goes on.
STOP = threading.Event()


@dataclass
class Limits:
    """Seconds and bytes. None: no limit of that kind."""

    cpu_s: float
    wall_s: float
    idle_s: float | None = None
    output_bytes: int = 65536
    file_bytes: int = 64 << 20
    memory_bytes: int | None = None
    processes: int | None = None
    folder: str | None = None  # all in it together may have this many bytes:
    folder_bytes: int = 256 << 20


def command(argv, limits):
    """The command with the limits that the kernel keeps, of each process: a little above ours."""
    cpu_s = math.ceil(limits.cpu_s)
    words = ["prlimit", f"--cpu={cpu_s + 1}:{cpu_s + 3}", f"--fsize={limits.file_bytes}",
             "--core=0", "--nofile=256"]
    if limits.memory_bytes:
        words.append(f"--as={limits.memory_bytes}")
    if limits.processes:
        words.append(f"--nproc={limits.processes}")
    return [*words, "--", *argv]


def clean_environment(home):
    """Nothing of ours: only what a compiler needs."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(home),
            "TMPDIR": str(home), "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "1704067200"}


def cpu_seconds(pid):
    """What the process and the children it has waited for used so far."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / CLOCK_HZ


def disk_bytes(entry):
    """What a file takes on the disk; nothing when it is gone."""
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except OSError:
        return 0


def folder_bytes(folder):
    """What all in it takes on the disk; without end where it is too deep or has too many names."""
    total, names, waiting = 0, 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    names += 1
                    total += disk_bytes(entry)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    if names > FOLDER_NAMES_MAX:
                        return math.inf
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return math.inf
    return total


def remove(folder):
    """Takes a folder away with all that strangers put there: it may be deeper than Python goes."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        for words in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*words, "--", folder], stdin=subprocess.DEVNULL, check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Child:
    """A running command: `out` and `err` are what it has said so far."""

    def __init__(self, argv, cwd, env, limits, on_output=None):
        self.limits, self.on_output = limits, on_output
        self.out, self.err = bytearray(), bytearray()
        self.why = ""  # which limit it ran into
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            command(argv, limits), cwd=cwd, env=env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.started = self.moved = time.monotonic()
        self.cpu_s = self.cpu_moved = 0.0
        self.next_look = 0.0
        self.selector = selectors.DefaultSelector()
        for stream, kept in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            os.set_blocking(stream.fileno(), False)
            self.selector.register(stream, selectors.EVENT_READ, kept)
        os.set_blocking(self.process.stdin.fileno(), False)

    def send(self, data):
        """Types. False when it takes no more: what was not taken is said by the rest."""
        try:
            return data[os.write(self.process.stdin.fileno(), data):]
        except BlockingIOError:
            return data
        except OSError:
            return b""

    def pump(self):
        """Waits a moment for output. False when there will be none any more."""
        for key, _ in self.selector.select(TICK_S):
            data = os.read(key.fd, 65536)
            if not data:
                self.selector.unregister(key.fileobj)
                continue
            self.moved = time.monotonic()
            key.data.extend(data)
            if len(key.data) > self.limits.output_bytes:
                del key.data[self.limits.output_bytes:]
                self.why = self.why or "output"
        self.over_limit()
        return bool(self.selector.get_map()) and not self.why

    def over_limit(self):
        """Looks at the limits, some times a second; `why` says which was passed."""
        now, limits = time.monotonic(), self.limits
        if self.why or now < self.next_look:
            return
        self.next_look = now + 0.05
        self.cpu_s = max(self.cpu_s, cpu_seconds(self.process.pid))
        if self.cpu_s > self.cpu_moved:
            self.cpu_moved, self.moved = self.cpu_s, now
        if STOP.is_set():
            self.why = "stopped"
        elif self.cpu_s >= limits.cpu_s:
            self.why = "cpu"
        elif now - self.started >= limits.wall_s:
            self.why = "wall"
        elif limits.idle_s and now - self.moved >= limits.idle_s:
            self.why = "idle"
        elif limits.folder and folder_bytes(limits.folder) > limits.folder_bytes:
            self.why = "disk"

    def is_running(self):
        """Whether it has not ended."""
        return self.process.poll() is None

    def stop(self, patience_s=3.0):
        """Asks it to end and takes its last words; kills it when it does not."""
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + patience_s
        while self.selector.get_map() and time.monotonic() < until:
            for key, _ in self.selector.select(TICK_S):
                data = os.read(key.fd, 65536)
                if not data:
                    self.selector.unregister(key.fileobj)
                elif len(key.data) < self.limits.output_bytes:
                    key.data.extend(data)

    def close(self):
        """Ends it and all of its group; returns its exit status, 128 + N for a signal."""
        try:
            self.process.wait(0 if self.why else 1)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        status = self.process.wait()
        self.selector.close()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except OSError:
                pass
        return status if status >= 0 else 128 - status


def run(argv, cwd, env, limits):
    """Runs it to its end, with no input. Returns status, output, errors, and which limit it met."""
    child = Child(argv, cwd, env, limits)
    child.process.stdin.close()
    try:
        while child.pump():
            pass
    finally:
        status = child.close()
    return status, bytes(child.out), bytes(child.err), child.why


# ---- A sandbox ----

def find_sandbox():
    """Words that put bubblewrap in front of a command, or nothing where it can't work."""
    words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"]
    try:
        done = subprocess.run([*words, "true"], stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return words if done.returncode == 0 else []


def boxed(sandbox, argv, folder, secret, devices=()):
    """The command in the sandbox: all is read-only but `folder`, there is no network, and nothing
    is in the folder `secret`."""
    if not sandbox:
        return argv
    words = [*sandbox, "--dev", "/dev", "--proc", "/proc"]
    if secret:
        words += ["--tmpfs", str(Path(secret).resolve())]
    for device in devices:
        words += ["--dev-bind", device, device]
    return [*words, "--bind", str(folder), str(folder), "--chdir", str(folder), *argv]
