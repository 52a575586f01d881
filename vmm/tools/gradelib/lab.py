"""What a LAB.toml says, checked. The format: guest-images/labs/LAB-FORMAT.md."""
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from gradelib.disks import Disk, DiskCheck, read_disk, read_disk_check
from gradelib.picture import ScreenCheck, read_screen
from gradelib.reader import Reader, parse_size
from gradelib.words import BAD_LAB, Failure

FILE_MAX = 1 << 20
PATTERN = re.compile(r"[A-Za-z0-9_.*?-]{1,60}")
PATH = re.compile(r"(?!/)(?!.*\.\.)[A-Za-z0-9_./-]{1,200}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@dataclass
class Machine:
    """The machine of a test; what is fixed for all is in machine.py."""

    kernel: str = ""
    vmm: str = ""
    memory: str = "32M"
    cpus: int = 1
    append: str = ""
    rtc: str = "2024-01-01T00:00:00"
    rng: bool = False
    display: str = ""
    options: list = field(default_factory=list)


@dataclass
class Output:
    """What the console has to say."""

    exact: str | None = None
    contains: list = field(default_factory=list)
    ordered: list = field(default_factory=list)
    regex: list = field(default_factory=list)
    lacks: list = field(default_factory=list)
    max_bytes: int = 16384


@dataclass
class Step:
    """One thing that is done while the machine runs."""

    kind: str
    text: str = ""
    screen: ScreenCheck | None = None


@dataclass
class Test:
    """One [[test]]."""

    name: str
    points: int
    hint: str = ""
    hidden: bool = False
    seconds: int = 3
    exit: list | None = None
    program: list = field(default_factory=list)
    machine: Machine = field(default_factory=Machine)
    output: Output = field(default_factory=Output)
    steps: list[Step] = field(default_factory=list)
    disks: list[Disk] = field(default_factory=list)
    disk_checks: list[DiskCheck] = field(default_factory=list)


@dataclass
class Lab:
    """One LAB.toml, with the hidden tests that were added to it."""

    folder: Path
    title: str
    minimum: int
    files: list
    makefile: str
    build_seconds: int
    base: Machine
    tests: list[Test]

    @property
    def name(self):
        """The name of its folder."""
        return self.folder.name

    @property
    def points(self):
        """What a perfect solution is given."""
        return sum(test.points for test in self.tests)


def load_toml(path):
    """The tables of a file that somebody wrote by hand."""
    try:
        if path.stat().st_size > FILE_MAX:
            raise Failure(BAD_LAB, f"{path} has more than a MiB")
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Failure(BAD_LAB, f"can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Failure(BAD_LAB, f"{path} is no text in UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Failure(BAD_LAB, f"{path} is no TOML: {error}") from error


def read_machine(reader, base):
    """A machine as `base` is, but for what the table says."""
    if reader is None:
        return base
    memory = reader.text("memory", base.memory)
    if not (parse_size(memory) or 0) >= 32 << 20:
        reader.fail(f"memory is '{memory}'; it has to be a size from 32M on")
    rtc = reader.text("rtc", base.rtc)
    if not TIME.fullmatch(rtc):
        reader.fail(f"rtc is '{rtc}'; it has to be a time like 2024-01-31T12:00:00")
    display = reader.text("display", base.display, may_be_empty=True)
    if display and not re.fullmatch(r"\d{3,4}x\d{3,4}", display):
        reader.fail(f"display is '{display}'; it has to be a size like 320x200")
    machine = Machine(
        kernel=read_path(reader, "kernel", base.kernel),
        vmm=read_path(reader, "vmm", base.vmm),
        memory=memory,
        cpus=reader.number("cpus", base.cpus, 1, 16),
        append=reader.text("append", base.append, may_be_empty=True),
        rtc=rtc,
        rng=reader.get("rng", bool, base.rng),
        display=display,
        options=reader.strings("options", base.options))
    reader.finish()
    return machine


def read_path(reader, key, default):
    """A path inside the folder that was built."""
    value = reader.text(key, default)
    if value and not PATH.fullmatch(value):
        reader.fail(f"{key} is '{value}'; it has to be a path inside the student's folder")
    return value


def read_output(reader):
    """[test.output]"""
    if reader is None:
        return Output()
    output = Output(exact=reader.text("exact", may_be_empty=True),
                    contains=reader.strings("contains"), ordered=reader.strings("ordered"),
                    regex=reader.regexes("regex"), lacks=reader.strings("lacks"),
                    max_bytes=reader.number("max_bytes", 16384, 1, 1 << 24))
    reader.finish()
    return output


def read_step(reader, folder):
    """One of `steps`."""
    kind = reader.one_of(("expect", "expect_regex", "send", "key", "type", "pointer", "screen",
                          "stop"))
    if kind == "screen":
        step = Step(kind, screen=read_screen(reader.sub("screen"), folder))
    elif kind == "stop":
        step = Step(kind)
        if not reader.flag("stop"):
            reader.fail("stop can only be true")
    elif kind == "expect_regex":
        step = Step(kind, reader.regexes(kind)[0])
    else:
        step = Step(kind, reader.text(kind))
    reader.finish()
    return step


def read_exit(reader):
    """The statuses that are right; None: any."""
    value = reader.table.get("exit", 0)
    reader.known.append("exit")
    if value == "any":
        return None
    values = value if isinstance(value, list) else [value]
    if not values or any(type(item) is not int or not 0 <= item <= 255 for item in values):
        reader.fail('exit has to be a status from 0 to 255, a list of them, or "any"')
    return values


def check_test(reader, test):
    """What one key alone can't tell."""
    if test.program and (test.steps or test.disks or reader.has("machine")):
        reader.fail("a program has no machine, steps or disks")
    if not test.program and not test.machine.kernel:
        reader.fail("there is neither a kernel nor a program")
    if any(step.kind in ("key", "type", "pointer", "screen") for step in test.steps) and \
            not test.machine.display:
        reader.fail('its steps need a screen: machine.display = "320x200"')
    if any(check.disk >= len(test.disks) for check in test.disk_checks):
        reader.fail("disk_checks speaks of a disk that is not there; they count from 0")
    stops = [nth for nth, step in enumerate(test.steps) if step.kind == "stop"]
    if stops and (stops[0] != len(test.steps) - 1 or reader.has("exit")):
        reader.fail("stop is the last of the steps, and leaves no exit to be checked")
    if stops:
        test.exit = None


def read_test(reader, folder, base, hidden):
    """One [[test]]."""
    reader.need("name")
    reader.need("points")
    test = Test(name=reader.text("name"), points=reader.number("points", 0, 0, 1000),
                hint=reader.text("hint", ""), hidden=hidden,
                seconds=reader.number("seconds", 3, 1, 600), exit=read_exit(reader),
                program=reader.strings("program"),
                machine=read_machine(reader.sub("machine"), base),
                output=read_output(reader.sub("output")),
                steps=[read_step(item, folder) for item in reader.subs("steps", "step")],
                disks=[read_disk(item, folder) for item in reader.subs("disks", "disk")],
                disk_checks=[read_disk_check(item, folder)
                             for item in reader.subs("disk_checks", "disk check")])
    if not test.name.isprintable():
        reader.fail("name has characters that can't be printed")
    reader.finish()
    check_test(reader, test)
    return test


def read_tests(reader, folder, base, hidden):
    """All [[test]] tables; names are unique, for reports go by them."""
    tests = [read_test(item, folder, base, hidden) for item in reader.subs("test", "test")]
    if not tests:
        reader.fail("there is no [[test]]")
    return tests


def load_lab(folder):
    """The lab in that folder."""
    folder = Path(folder).resolve()
    reader = Reader(load_toml(folder / "LAB.toml"), str(folder / "LAB.toml"))
    reader.need("title")
    files = reader.strings("files", ["*.c", "*.h", "*.S", "*.ld"])
    for pattern in files:
        if not PATTERN.fullmatch(pattern):
            reader.fail(f"files: '{pattern}' is no pattern of names like *.c")
    base = read_machine(reader.sub("machine"), Machine())
    lab = Lab(folder=folder, title=reader.text("title"),
              minimum=reader.number("minimum", 0, 0, 100000), files=files,
              makefile=read_path(reader, "makefile", "lab.mk"),
              build_seconds=reader.number("build_seconds", 60, 1, 3600),
              base=base, tests=read_tests(reader, folder, base, False))
    reader.finish()
    if not (folder / lab.makefile).is_file():
        reader.fail(f"there is no file {lab.makefile} beside it, by which a solution is built")
    check_names(lab, reader)
    return lab


def check_names(lab, reader):
    """Reports go by the names of tests."""
    names = [test.name for test in lab.tests]
    for name in names:
        if names.count(name) > 1:
            reader.fail(f"two tests have the name '{name}'")


def add_hidden(lab, folder):
    """Adds the tests of FOLDER/NAME/TESTS.toml or FOLDER/TESTS.toml, where there are any."""
    for path in (Path(folder) / lab.name / "TESTS.toml", Path(folder) / "TESTS.toml"):
        if path.is_file():
            path = path.resolve()
            reader = Reader(load_toml(path), str(path))
            lab.tests += read_tests(reader, path.parent, lab.base, True)
            reader.finish()
            check_names(lab, reader)
            return True
    return False
