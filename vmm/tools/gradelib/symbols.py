"""Where in the sources an address of a kernel is, by addr2line where that is installed."""
import re

from gradelib.process import Limits, boxed, clean_environment, run
from gradelib.words import visible

ADDRESS = re.compile(r"\bRIP (0x[0-9a-f]{1,16})\b")
PLACES_MAX = 3


def places(words, kernel, folder, setting):
    """Lines about the addresses in vmm's words: the function, file and line of each."""
    found = dict.fromkeys(hex(int(match, 16)) for line in words for match in ADDRESS.findall(line))
    with open(kernel, "rb") as file:
        if not found or file.read(4) != b"\x7fELF":
            return []
    asked = list(found)[:PLACES_MAX]
    # The file is a student's: what reads it is in the sandbox, too.
    argv = boxed(setting.sandbox, ["addr2line", "-afis", "-e", str(kernel), *asked], folder,
                 setting.hidden)
    try:
        _, out, _, _ = run(argv, folder, clean_environment(folder), Limits(cpu_s=2, wall_s=8))
    except OSError:
        return []
    text = re.sub(r" \(discriminator \d+\)", "", out.decode("utf-8", "replace"))
    found = [entry.splitlines() for entry in re.split(r"^0x", text, flags=re.MULTILINE)[1:]]
    # Of functions that were put into another the last is the one that was really called.
    return [f"{address} is in {visible(lines[-2], 60)}() ({visible(lines[-1], 60)})"
            for address, lines in zip(asked, found)
            if len(lines) > 2 and "?" not in lines[-2] + lines[-1]]
