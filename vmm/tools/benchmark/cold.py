"""A cold page cache: emptied before each run, and a look whether that empties it."""

import errno
import os

from .problem import EXIT_USAGE, Problem

PAGE = 4096


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")


def is_cached(path):
    """Whether its begin can be read without waiting; True where the file system can't tell, as
    those in memory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.preadv(fd, [bytearray(PAGE)], 0, os.RWF_NOWAIT)
    except OSError as error:
        return error.errno != errno.EAGAIN
    finally:
        os.close(fd)
    return True


def check(paths, clock):
    """Files have to come from a disk again, or runs would be called cold that are not."""
    if clock == "instructions":
        raise Problem("--cold: waiting for a disk is no instructions, which is what this host's "
                      "clock counts", "leave --cold out", EXIT_USAGE)
    drop_caches()
    for path in paths:
        if is_cached(path):
            raise Problem("--cold: %.200s stays in memory when the page cache is emptied" % path,
                          "put it on a disk; what is started is copied to --output", EXIT_USAGE)
