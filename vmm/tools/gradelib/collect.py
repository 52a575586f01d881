"""Takes a copy of a student's files. Their folder is hostile.

What a folder can hold                 what becomes of it
nothing that may be read               a remark, which ends nobody else's grading
a symbolic link, FIFO, device, folder  not taken; said
a name that a shell or make acts upon  not taken; said
a file of many bytes, or many files    a limit, before anything is read; said
a Makefile, LAB.toml, tests            not among the lab's `files`, so not taken
"""
import fnmatch
import os
import re
import stat
from pathlib import Path

from gradelib.words import plural, visible

FILE_BYTES_MAX, ALL_BYTES_MAX, FILES_MAX, LOOKED_AT_MAX = 1 << 20, 8 << 20, 200, 10000
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def open_regular(path):
    """A regular file, open for reading, and nothing else."""
    # Whatever the name leads to now: opening must not follow, wait or act.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("it is no regular file")
    return os.fdopen(handle, "rb")


def read_regular(path):
    """The bytes of a regular file; None where it is too large."""
    with open_regular(path) as file:
        content = file.read(FILE_BYTES_MAX + 1)
    return content if len(content) <= FILE_BYTES_MAX else None


def names_of(folder):
    """The names in it, sorted; a bounded number of them."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) == LOOKED_AT_MAX:
                break
    return sorted(names)


def take_files(lab, folder, target):
    """Copies what the lab takes from `folder` into `target`. Returns lines about what it left."""
    remarks, total, count = [], 0, 0
    try:
        names = names_of(folder)
    except OSError as error:
        return 0, [f"the folder can't be read: {error.strerror}"]
    for name in names:
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in lab.files):
            continue
        shown = visible(name, 60)
        if not SAFE_NAME.fullmatch(name):
            remarks.append(f"{shown} is not taken: its name has characters other than letters, "
                           "digits, '.', '_' and '-'")
            continue
        try:
            content = read_regular(Path(folder) / name)
        except OSError as error:
            why = "it is a symbolic link" if (Path(folder) / name).is_symlink() else \
                error.strerror or str(error)
            remarks.append(f"{shown} is not taken: {why}")
            continue
        if content is None or total + len(content) > ALL_BYTES_MAX or count == FILES_MAX:
            remarks.append(f"{shown} is not taken: a file can have {FILE_BYTES_MAX >> 20} MiB, "
                           f"all together {ALL_BYTES_MAX >> 20} MiB in {FILES_MAX} files")
            continue
        (Path(target) / name).write_bytes(content)
        total, count = total + len(content), count + 1
    if not count:
        remarks.append(f"there is no file to build among {plural(len(names), 'name')}: "
                       f"this lab takes {' '.join(lab.files)}")
    return count, remarks
