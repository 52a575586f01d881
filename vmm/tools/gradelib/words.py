"""Errors as one sentence, and text of strangers made fit to be shown."""
import difflib

# Exit statuses of vmm grade; those of the program mean the same (vmm/base/exit_codes.h).
ALL_PASSED, SOME_FAILED, USAGE, NO_KVM, BAD_LAB, INTERNAL = 0, 1, 2, 3, 4, 5


class Failure(Exception):
    """Ends the program: what and why, what to do, and the exit status."""

    def __init__(self, status, text, hint=""):
        super().__init__(text)
        self.status, self.text, self.hint = status, text, hint

    def lines(self):
        """What is printed of it."""
        return [f"vmm: {visible(line)}{'' if line[-1] in '.?!' else '.'}"
                for line in (self.text, self.hint) if line]


def nearest(word, names):
    """`Did you mean X?`, or nothing."""
    found = difflib.get_close_matches(word, list(names), 1, 0.6)
    return f"Did you mean {found[0]}?" if found else ""


def visible(text, limit=500):
    """The text on one line, with everything that a terminal would act upon as an escape."""
    if len(text) > limit:
        text = text[:limit] + "..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def quoted(text, limit=120):
    """The same in quotes, with \\n for a line feed."""
    return '"' + visible(text, limit) + '"'


def plural(count, noun):
    """1 point, 2 points."""
    return f"{count} {noun}" + ("" if count == 1 else "s")
