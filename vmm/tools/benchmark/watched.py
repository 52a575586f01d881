"""The part of a measuring process that another one watches (hosts.py): where it says `skip` on
standard input, what is being started is ended, for it has stalled."""

import os
import threading

SKIP = b"skip\n"


def listen(give_up):
    """Calls give_up(), in a thread of its own, at each such line. Without sys.stdin, whose lock
    this thread would have at the end."""
    def read():
        rest = b""
        while True:
            data = os.read(0, 4096)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line + b"\n" == SKIP:
                    give_up()

    threading.Thread(target=read, daemon=True).start()
