"""Reads the tables of a LAB.toml: each key is asked for once, and what nobody asked for is wrong.

A file of a lab is its teacher's, but a slip in it must not cost a student points: everything is
checked before the first test runs, and a wrong value is a sentence with its place.
"""
import re

from gradelib.words import BAD_LAB, Failure, nearest

SIZE = re.compile(r"([0-9]{1,9})([KMG]?)")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
KINDS = {str: "a text", int: "a whole number", bool: "true or false", list: "a list",
         dict: "a table"}


def parse_size(text):
    """Bytes, or None where it is no size."""
    match = SIZE.fullmatch(text) if isinstance(text, str) else None
    return int(match[1]) * UNITS[match[2]] if match else None


class Reader:
    """One table. `where` names it in sentences."""

    def __init__(self, table, where):
        self.table, self.where, self.known = table, where, []

    def fail(self, text, hint=""):
        """Refuses the file."""
        raise Failure(BAD_LAB, f"{self.where}: {text}", hint)

    def get(self, key, kind, default=None):
        """The value of a key, of that type."""
        self.known.append(key)
        if key not in self.table:
            return default
        value = self.table[key]
        if type(value) is not kind:  # a bool is an int elsewhere
            self.fail(f"{key} has to be {KINDS[kind]}")
        return value

    def has(self, key):
        """Whether the key is there."""
        return key in self.table

    def need(self, key):
        """Refuses a table without it."""
        if key not in self.table:
            self.fail(f"there is no {key}")

    def text(self, key, default=None, may_be_empty=False):
        """A text, mostly of at least one character."""
        value = self.get(key, str, default)
        if value == "" and key in self.table and not may_be_empty:
            self.fail(f"{key} is empty")
        return value

    def number(self, key, default, low, high):
        """A whole number from low to high."""
        value = self.get(key, int, default)
        if value is not None and not low <= value <= high:
            self.fail(f"{key} is {value}; it can be {low} to {high}")
        return value

    def flag(self, key):
        """true or false."""
        return self.get(key, bool, False)

    def size(self, key, default, low, high):
        """Bytes of a size like "32M"."""
        value = self.text(key, default)
        if value is None:
            return None
        size = parse_size(value)
        if size is None:
            self.fail(f"{key} is '{value}', which is no size like 64K or 32M")
        if not low <= size <= high:
            self.fail(f"{key} is {value}; it can be {low} to {high} bytes")
        return size

    def strings(self, key, default=()):
        """A list of texts; one text stands for a list of one."""
        value = self.table.get(key)
        if isinstance(value, str):
            self.known.append(key)
            value = [value]
        else:
            value = self.get(key, list, list(default))
        if any(not isinstance(item, str) or not item for item in value):
            self.fail(f"{key} has to be a list of texts")
        return value

    def regexes(self, key):
        """Regular expressions that Python's re understands."""
        found = self.strings(key)
        for item in found:
            try:
                re.compile(item)
            except re.error as error:
                self.fail(f"{key}: '{item}' is no regular expression: {error}")
        return found

    def hex(self, key):
        """Bytes from hexadecimal digits, or None."""
        value = self.text(key)
        if value is None:
            return None
        try:
            return bytes.fromhex(value)
        except ValueError:
            self.fail(f"{key} has to be pairs of hexadecimal digits")

    def sub(self, key):
        """A Reader of the table below a key, or None."""
        value = self.get(key, dict)
        return None if value is None else Reader(value, f"{self.where}, {key}")

    def subs(self, key, what):
        """Readers of a list of tables."""
        value = self.get(key, list, [])
        if any(not isinstance(item, dict) for item in value):
            self.fail(f"{key} has to be a list of tables")
        return [Reader(item, f"{self.where}, {what} {nth}") for nth, item in enumerate(value, 1)]

    def one_of(self, keys):
        """The one key of these that is there."""
        found = [key for key in keys if key in self.table]
        if len(found) != 1:
            self.finish(keys)
            self.fail(f"it needs one of {', '.join(keys)}")
        return found[0]

    def finish(self, more=()):
        """Refuses keys that nobody asked for."""
        known = [*self.known, *more]
        for key in self.table:
            if key not in known:
                self.fail(f"there is no key '{key}' here", nearest(key, known) or
                          f"The keys are {', '.join(dict.fromkeys(known))}.")
