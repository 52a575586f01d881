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
    argv = boxed(setting.sandbox, ["addr2line", "-f", "-s", "-e", str(kernel), *asked], folder,
                 setting.hidden)
    try:
        _, out, _, _ = run(argv, folder, clean_environment(folder), Limits(cpu_s=2, wall_s=8))
    except OSError:
        return []
    lines = re.sub(r" \(discriminator \d+\)", "", out.decode("utf-8", "replace")).splitlines()
    return [f"{address} is in {visible(function, 60)}() ({visible(place, 60)})"
            for address, function, place in zip(asked, lines[::2], lines[1::2])
            if "?" not in function and "?" not in place]
