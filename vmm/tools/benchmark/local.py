"""Where the host's files come over a slow line (a nested host): brings those that the programs
open into its memory, for with a clock of instructions waiting for a file would leap."""

import os
import re
import shutil
import subprocess

OPENED = re.compile(r'(?:open|openat|execve|readlink|stat|newfstatat)\((?:AT_FDCWD, )?"(/[^"]+)"')
PATIENCE_S = 20_000  # of a clock that leaps meanwhile
LOADER = "/lib64/ld-linux-x86-64.so.2"
LEAVE = ("/proc/", "/sys/", "/dev/")


def opened_files(argv, environment, work):
    log = os.path.join(work, "opened")
    try:
        subprocess.run(["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=openat,open,execve",
                        "-o", log, *argv], env=environment, cwd=work, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        pass
    with open(log, encoding="utf-8", errors="replace") as file:
        return sorted(set(OPENED.findall(file.read())))


def touch(path):
    """An overlay copies a file or link up into its memory when something of it is changed."""
    try:
        times = os.lstat(path)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)
        return times.st_size
    except OSError:
        return 0


def bring(path):
    """The file, and each symbolic link on the way to it: links are asked for again each time."""
    walked = "/"
    for part in path.split("/"):
        walked = os.path.join(walked, part)
        if walked.startswith(LEAVE):
            return 0
        if os.path.islink(walked):
            touch(walked)
            return bring(os.path.join(os.path.dirname(walked), os.readlink(walked)) +
                         path[len(walked):])
    return touch(walked) if os.path.isfile(walked) else 0


def bring_all(plan, cases, say):
    if not shutil.which("strace"):
        say("there is no strace: files of the programs may be waited for")
        return
    seen, total = set(), 0
    for case in cases:
        if case.who in seen or case.contain:
            continue
        seen.add(case.who)
        say("bringing what %s opens into memory" % case.who)
        say.tick(case.who)
        paths = opened_files(case.argv, plan.environment, plan.work)
        # The kernel opens a program's loader, which strace does not see.
        for path in paths + [LOADER]:
            total += bring(path)
    say("%d MiB of programs brought into memory" % (total >> 20))
