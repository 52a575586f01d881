"""Processes as /proc shows them."""

import os
import signal


def read_lines(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def tasks(pid):
    try:
        return [int(name) for name in os.listdir("/proc/%d/task" % pid)]
    except OSError:
        return []


def family(pid):
    """The process and all below it."""
    pids = [pid]
    for parent in pids:
        for task in tasks(parent):
            for word in " ".join(read_lines("/proc/%d/task/%d/children" % (parent, task))).split():
                pids.append(int(word))
    return pids


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
