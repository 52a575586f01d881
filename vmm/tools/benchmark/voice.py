"""What is said meanwhile, on standard error: what is done, and, where another program watches
(hosts.py), each step of it."""

import sys
import time

TICK = "bench: . "


class Voice:
    def __init__(self, is_quiet=False, tells_steps=False):
        self.is_quiet = is_quiet
        self.tells_steps = tells_steps

    def __call__(self, text):
        if not self.is_quiet or self.tells_steps:
            print("bench: " + text, file=sys.stderr, flush=True)

    def tick(self, text):
        """A step begins."""
        if self.tells_steps:
            print(TICK + text, file=sys.stderr, flush=True)
            # What carries the line away is to be done with it when something is timed.
            time.sleep(0.02)
