"""Builds what a student wrote: make with the lab's own rules, in a folder of its own."""
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from gradelib.collect import take_files
from gradelib.process import Limits, boxed, clean_environment, run
from gradelib.words import visible

ERROR_LINES, LOG_BYTES = 12, 65536
ERROR = re.compile("error|undefined reference|multiple definition|cannot find|limit exceeded|"
                   "out of memory|memory exhausted", re.IGNORECASE)


@dataclass
class Built:
    """What came of it."""

    folder: Path
    ok: bool = False
    lines: list = field(default_factory=list)  # why not
    remarks: list = field(default_factory=list)
    log: str = ""
    seconds: float = 0.0


REASONS = {
    "cpu": "the build used more than {cpu:g} s of processor time",
    "wall": "the build took longer than {wall:g} s",
    "output": "the build printed more than 64 KiB",
    "disk": "the build wrote more than 256 MiB, or too many files",
}


def first_errors(log):
    """The lines of a compiler that say what is wrong, or the last ones."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if ERROR.search(line)]
    return [visible(line, 200) for line in (errors or lines[-ERROR_LINES:])[:ERROR_LINES]]


def build(lab, student, folder, setting):
    """Copies and builds into `folder`, which is there and empty."""
    built = Built(folder)
    count, built.remarks = take_files(lab, student, folder)
    if not count:
        built.lines, built.remarks = built.remarks, []
        return built
    limits = Limits(cpu_s=lab.build_seconds, wall_s=6 * lab.build_seconds + 20,
                    output_bytes=LOG_BYTES, memory_bytes=1 << 30,
                    processes=None if os.geteuid() == 0 else 4096,
                    folder=str(folder))
    argv = ["make", "--no-print-directory", "-r", "-s", "-f", str(lab.folder / lab.makefile),
            f"VMM={setting.vmm}"]
    began = time.monotonic()
    status, out, err, why = run(boxed(setting.sandbox, argv, folder, setting.hidden), folder,
                                clean_environment(folder), limits)
    built.seconds = time.monotonic() - began
    built.log = (out + err).decode("utf-8", "replace")
    built.ok = status == 0 and not why
    if why:
        built.lines = [REASONS[why].format(cpu=limits.cpu_s, wall=limits.wall_s)]
    elif status:
        built.lines = first_errors(built.log) or [f"make ended with status {status}"]
    return built


def product(folder, name):
    """The path of a built file; None where it is no regular file of bearable size."""
    path = Path(folder) / name
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 32 << 20:
        return None
    return path
