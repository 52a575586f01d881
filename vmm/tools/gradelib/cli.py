"""The command line of vmm grade, and the order of things."""
import concurrent.futures
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from gradelib import process, report
from gradelib.build import build
from gradelib.lab import add_hidden, load_lab
from gradelib.machine import run_test
from gradelib.words import (ALL_PASSED, INTERNAL, NO_KVM, SOME_FAILED, USAGE, Failure, nearest,
                            plural)

VALUES = ("--lab", "--hidden", "--tap", "--junit", "--json", "--test", "-j")
FLAGS = ("-q", "--quiet", "--no-sandbox")


@dataclass
class Setting:
    """What the whole run shares."""

    vmm: str = ""
    lab: str = ""
    hidden: str = ""
    files: dict = field(default_factory=dict)
    words: str = ""
    jobs: int = 0
    quiet: bool = False
    sandbox: list = field(default_factory=list)
    places: list = field(default_factory=list)


# ---- The command line ----

def usage(text, hint="vmm help grade says what it takes"):
    """Refuses the command line."""
    raise Failure(USAGE, f"grade: {text}", hint)


def split_words(argv):
    """Options as (name, value) and what is none."""
    options, places, words = [], [], list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            return options, places + words
        name, equals, value = word.partition("=")
        if word.startswith("-j") and word[2:].isdigit():
            name, equals, value = "-j", "=", word[2:]
        if not word.startswith("-"):
            places.append(word)
        elif name in FLAGS and not equals:
            options.append((name, ""))
        elif name in VALUES:
            if not equals and not words:
                usage(f"{name} needs a value")
            options.append((name, value if equals else words.pop(0)))
        else:
            usage(f"there is no option '{name}'", nearest(name, VALUES + FLAGS) or
                  "vmm help grade lists them")
    return options, places


def parse(argv):
    """The Setting that the words ask for."""
    setting = Setting(jobs=len(os.sched_getaffinity(0)))
    options, setting.places = split_words(argv)
    box = True
    for name, value in options:
        if name in VALUES and not value:
            usage(f"{name} needs a value")
        if name == "-j":
            if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 256:
                usage(f"-j is '{value}'; it can be 1 to 256")
            setting.jobs = int(value)
        elif name in ("--tap", "--junit", "--json"):
            setting.files[name[2:]] = value
        elif name == "--lab":
            setting.lab = value
        elif name == "--hidden":
            setting.hidden = value
        elif name == "--test":
            setting.words = value
        elif name == "--no-sandbox":
            box = False
        else:
            setting.quiet = True
    if not setting.places:
        usage("it needs a LAB.toml or a folder", "For example: vmm grade guest-images/labs/03-uart")
    if setting.hidden and not Path(setting.hidden).is_dir():
        usage(f"--hidden: {setting.hidden} is no folder", "")
    setting.sandbox = process.find_sandbox() if box else []
    return setting


def lab_by_name(folder, path):
    """The lab that --lab means: itself, or that of the labs in it whose name the student's folder
    or the one above has."""
    if folder.name == "LAB.toml":
        return folder.parent
    if (folder / "LAB.toml").is_file():
        return folder
    for name in (path.resolve().name, path.resolve().parent.name):
        if (folder / name / "LAB.toml").is_file():
            return folder / name
    return usage(f"there is no LAB.toml in {folder}, and no lab of {path}'s name", "")


def lab_of(place, setting):
    """The lab and the student's folder that a word means."""
    path = Path(place)
    if path.name == "LAB.toml" and path.is_file():
        path = path.parent
    if not path.is_dir():
        usage(f"{place} is neither a folder nor a LAB.toml", "")
    if setting.lab:
        return lab_by_name(Path(setting.lab), path), path
    # In a lab's folder a LAB.toml is the student's own, and nobody asked for it.
    if (path.resolve().parent / "LAB.toml").is_file():
        return path.resolve().parent, path
    if (path / "LAB.toml").is_file():
        return path, path / "start"
    return usage(f"there is no LAB.toml in {place} or above it",
                 "For a folder elsewhere: vmm grade --lab LAB FOLDER")


def only_wanted(lab, words):
    """Leaves the tests whose names hold the words."""
    if words:
        lab.tests = [test for test in lab.tests if words in test.name]
    return lab


def read_labs(setting):
    """All labs are read before the first test runs."""
    tasks, used = [], False
    for place in setting.places:
        folder, student = lab_of(place, setting)
        lab = load_lab(folder)
        if setting.hidden and add_hidden(lab, setting.hidden):
            used = True
        if not student.is_dir():
            usage(f"there is no folder {student}", "")
        tasks.append((only_wanted(lab, setting.words), student))
    if setting.hidden and not used:
        usage(f"--hidden: there is no {tasks[0][0].name}/TESTS.toml in {setting.hidden}", "")
    if not any(lab.tests for lab, _ in tasks):
        usage(f"no test has '{setting.words}' in its name", "")
    return tasks


# ---- Running ----

def grade_all(tasks, setting, work):
    """Builds and tests, as much at a time as -j says; in the order of the command line."""
    def one_build(nth):
        lab, student = tasks[nth]
        folder = Path(work) / f"b{nth}"
        folder.mkdir()
        return build(lab, student, folder, setting)

    def one_test(nth, which):
        folder = Path(work) / f"t{nth}.{which}"
        folder.mkdir()
        outcome = run_test(tasks[nth][0].tests[which], builds[nth].result(), folder, setting)
        process.remove(folder)
        return outcome

    pool = concurrent.futures.ThreadPoolExecutor(setting.jobs)
    try:
        # All builds are before all tests in the queue: no test waits for one that has no worker.
        builds = [pool.submit(one_build, nth) for nth in range(len(tasks))]
        tests = [[pool.submit(one_test, nth, which) for which in range(len(lab.tests))]
                 for nth, (lab, _) in enumerate(tasks)]
        for nth, (lab, student) in enumerate(tasks):
            yield report.Graded(lab, str(student), builds[nth].result(),
                                [test.result() for test in tests[nth]])
    except BaseException:
        process.STOP.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def open_reports(setting):
    """The files that were asked for; - is standard output. Before the work, which may take long."""
    for kind, place in setting.files.items():
        if place == "-":
            setting.files[kind] = sys.stdout
            continue
        try:
            setting.files[kind] = open(  # pylint: disable=consider-using-with
                place, "w", encoding="utf-8")
        except OSError as error:
            raise Failure(INTERNAL, f"grade: can't write {place}: {error.strerror}") from error


def write_reports(all_graded, setting):
    """Fills and closes them."""
    writers = {"tap": report.write_tap, "junit": report.write_junit, "json": report.write_json}
    for kind, file in setting.files.items():
        writers[kind](all_graded, file)
        file.flush()


def check_host(setting):
    """What every test needs."""
    setting.vmm = os.environ.get("VMM") or shutil.which("vmm") or ""
    if not os.access(setting.vmm, os.X_OK):
        raise Failure(INTERNAL, "grade: can't find the program vmm", "Start it as vmm grade")
    setting.vmm = os.path.abspath(setting.vmm)
    for tool in ("make", "prlimit"):
        if not shutil.which(tool):
            raise Failure(INTERNAL, f"grade: can't find the program {tool}")
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise Failure(NO_KVM, f"grade: can't open /dev/kvm: {error.strerror}; every test runs a "
                      "machine", "vmm doctor says what helps") from error


def run(argv):
    """Grades, and returns the exit status."""
    setting = parse(argv)
    tasks = read_labs(setting)
    check_host(setting)
    open_reports(setting)
    quiet_table = sys.stdout in setting.files.values()
    all_graded = []
    work = tempfile.mkdtemp(prefix="vmm-grade-")
    try:
        for graded in grade_all(tasks, setting, os.path.realpath(work)):
            all_graded.append(graded)
            if not quiet_table:
                print("\n".join(report.table(graded, setting.quiet)), flush=True)
    finally:
        process.remove(work)
    if not quiet_table and len(all_graded) > 1:
        print(f"{sum(graded.points for graded in all_graded)} of "
              f"{plural(sum(graded.lab.points for graded in all_graded), 'point')} in "
              f"{plural(len(all_graded), 'folder')}")
    write_reports(all_graded, setting)
    sys.stdout.flush()
    return ALL_PASSED if all(graded.all_passed for graded in all_graded) else SOME_FAILED


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def leave(number, _frame):
    """The first signal ends it; the next ones must not disturb it in taking everything away."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main(argv):
    """The program."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup asks for
            signal.signal(number, leave)
    try:
        return run(argv)
    except Failure as failure:
        print("\n".join(failure.lines()), file=sys.stderr)
        return failure.status
    except BrokenPipeError:
        sys.stderr.close()
        return 128 + signal.SIGPIPE
    except OSError as error:
        text = f"grade: {error.strerror}: {error.filename or ''}".rstrip(": ")
        print("\n".join(Failure(INTERNAL, text).lines()), file=sys.stderr)
        return INTERNAL
