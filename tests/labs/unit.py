#!/usr/bin/python3
"""Tests of vmm grade's modules, without a machine. Prints a line for each."""
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import tomllib
import types
import unittest
import unittest.mock
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "vmm/tools"))

# pylint: disable=wrong-import-position
from gradelib import build, checks, collect, disks, lab, picture, process, report, symbols, words
from gradelib.machine import Outcome, run_test
from gradelib.reader import Reader

GOOD = """
title = "t"
[machine]
kernel = "kernel.elf"
[[test]]
name = "one"
points = 1
"""
# What is put into a LAB.toml, and what is said of it. The key replaces that of GOOD.
FAULTS = [
    ("title = 3", "title has to be a text"),
    ("titel = 'x'\n" + GOOD, "no key 'titel' here"),
    ("", "there is no title"),
    ("title = 't'", "there is no [[test]]"),
    ("title = 't'\ntest = 3", "test has to be a list"),
    ("title = 't'\ntest = [3]", "test has to be a list of tables"),
    ("title = 't'\n[[test]]\npoints = 1", "there is no name"),
    ("title = 't'\n[[test]]\nname = 'a'", "there is no points"),
    ("title = 't'\n[[test]]\nname = 'a'\npoints = 1", "neither a kernel nor a program"),
    (GOOD + "points = 2", "is no TOML"),
    (GOOD + "exit = 256", "exit has to be a status"),
    (GOOD + "exit = true", "exit has to be a status"),
    (GOOD + "seconds = 0", "seconds is 0; it can be 1 to 600"),
    (GOOD + "seconds = true", "seconds has to be a whole number"),
    (GOOD + "hint = ''", "hint is empty"),
    (GOOD + "output.exakt = 'x'", "no key 'exakt' here"),
    (GOOD + "output.regex = '('", "is no regular expression"),
    (GOOD + "output.contains = [1]", "contains has to be a list of texts"),
    (GOOD + "steps = [{}]", "it needs one of expect"),
    (GOOD + "steps = [{expect='a', send='b'}]", "it needs one of expect"),
    (GOOD + "steps = [{expct='a'}]", "no key 'expct' here"),
    (GOOD + "steps = [{key='a'}]", "its steps need a screen"),
    (GOOD + "steps = [{stop=true}, {send='a'}]", "stop is the last of the steps"),
    (GOOD + "exit = 0\nsteps = [{stop=true}]", "leaves no exit"),
    (GOOD + "machine.memory = '16M'", "from 32M on"),
    (GOOD + "machine.memory = 'much'", "from 32M on"),
    (GOOD + "machine.kernel = '../x'", "inside the student's folder"),
    (GOOD + "machine.kernel = '/etc/passwd'", "inside the student's folder"),
    (GOOD + "machine.rtc = 'now'", "a time like"),
    (GOOD + "machine.display = 'big'", "a size like 320x200"),
    (GOOD + "disks = [{size='1K', text='a', hex='00'}]", "it needs one of file, text"),
    (GOOD + "disks = [{size='100'}]", "it can be 512 to"),
    (GOOD + "disks = [{size='513'}]", "in sectors of 512"),
    (GOOD + "disks = [{hex='0'}]", "pairs of hexadecimal digits"),
    (GOOD + "disks = [{file='../LAB.toml'}]", "inside the lab's folder"),
    (GOOD + "disks = [{file='none.img'}]", "can't read none.img"),
    (GOOD + "disks = [{tar={'/etc/x'='a'}}]", "has to be a name and its text"),
    (GOOD + "disk_checks = [{text='a'}]", "a disk that is not there"),
    (GOOD + "program = 'x'\nsteps = [{send='a'}]", "a program has no machine"),
    (GOOD + "machine.display='320x200'\nsteps = [{screen={}}]", "needs a picture, pixels or areas"),
    (GOOD + "machine.display='320x200'\nsteps = [{screen={pixels=[[1,2,'red']]}}]",
     "lists of 2 numbers"),
    (GOOD + "[[test]]\nname = 'one'\npoints = 1", "two tests have the name 'one'"),
    ("files = ['../*']\n" + GOOD, "is no pattern of names"),
    ("makefile = 'none.mk'\n" + GOOD, "there is no file none.mk"),
    ("title = \"\\u0000\"\n\xff", "is no TOML"),
]


class InFolder(unittest.TestCase):
    """A folder that goes away."""

    def setUp(self):
        self.box = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(self.box.cleanup)
        self.folder = Path(self.box.name)
        (self.folder / "lab.mk").write_text("all:\n")

    def load(self, text):
        """A lab of that text."""
        (self.folder / "LAB.toml").write_text(text, "utf-8")
        return lab.load_lab(self.folder)


class LabFile(InFolder):
    """LAB.toml"""

    def test_each_fault_is_a_sentence(self):
        for text, sentence in FAULTS:
            with self.subTest(text), self.assertRaises(words.Failure) as caught:
                self.load(text)
            self.assertIn(sentence, caught.exception.text)
            self.assertEqual(caught.exception.status, words.BAD_LAB)

    def test_the_nearest_key_is_named(self):
        with self.assertRaises(words.Failure) as caught:
            self.load(GOOD + "secnods = 3")
        self.assertEqual(caught.exception.hint, "Did you mean seconds?")

    def test_defaults(self):
        test = self.load(GOOD).tests[0]
        self.assertEqual((test.exit, test.seconds, test.machine.memory), ([0], 3, "32M"))

    def test_a_test_has_its_own_machine(self):
        loaded = self.load(GOOD + "machine.cpus = 2\n[[test]]\nname='b'\npoints=1")
        self.assertEqual([test.machine.cpus for test in loaded.tests], [2, 1])

    def test_hidden_tests_are_added(self):
        loaded = self.load(GOOD)
        (self.folder / "TESTS.toml").write_text("[[test]]\nname = 'two'\npoints = 2\n")
        self.assertTrue(lab.add_hidden(loaded, self.folder))
        self.assertEqual([test.hidden for test in loaded.tests], [False, True])
        self.assertEqual(loaded.points, 3)

    def test_no_bytes_crash_it(self):
        chance, keys = random.Random(6), [text for text, _ in FAULTS]
        for _ in range(400):
            text = bytearray(chance.choice(keys).encode())
            for _ in range(chance.randrange(6)):
                text[chance.randrange(len(text) + 1):chance.randrange(len(text) + 1)] = \
                    chance.choice([b"", b"[", b"=", b"\xff", b"\0", b"true", b"-1", b"{}", b"[[]]"])
            (self.folder / "LAB.toml").write_bytes(text)
            try:
                lab.load_lab(self.folder)
            except words.Failure:
                pass

    def test_the_labs_of_this_tree_are_sound(self):
        found = sorted((TOP / "guest-images/labs").glob("[0-9]*/LAB.toml"))
        for path in found:
            with self.subTest(path.parent.name):
                loaded = lab.load_lab(path.parent)
                self.assertTrue((path.parent / "start/Makefile").is_file())
                self.assertTrue((path.parent / "README.md").is_file())
                self.assertLess(loaded.minimum, loaded.points)
        self.assertTrue(found)


class Students(InFolder):
    """Which files are taken."""

    def take(self):
        """Count, remarks, and what was copied."""
        loaded = self.load("files = ['*.c', '*.h']\n" + GOOD)
        target = self.folder / "target"
        target.mkdir()
        count, remarks = collect.take_files(loaded, self.folder / "student", target)
        return count, "\n".join(remarks), sorted(os.listdir(target))

    def setUp(self):
        super().setUp()
        self.student = self.folder / "student"
        self.student.mkdir()

    def test_only_what_the_lab_takes(self):
        for name in ("a.c", "b.h", "Makefile", "LAB.toml", "a.so", ".c"):
            (self.student / name).write_text("x")
        self.assertEqual(self.take(), (2, ".c is not taken: its name has characters other than "
                                       "letters, digits, '.', '_' and '-'", ["a.c", "b.h"]))

    def test_no_links_pipes_folders(self):
        (self.student / "a.c").symlink_to("/etc/passwd")
        os.mkfifo(self.student / "b.c")
        (self.student / "c.c").mkdir()
        (self.student / "d.c").symlink_to("/dev/zero")
        count, remarks, names = self.take()
        self.assertEqual((count, names), (0, []))
        self.assertEqual(remarks.count("it is a symbolic link"), 2)
        self.assertIn("b.c is not taken: it is no regular file", remarks)
        self.assertIn("c.c is not taken: it is no regular file", remarks)

    def test_no_names_for_a_shell(self):
        for name in ("a;touch b.c", "$(x).c", "-o.c", "a b.c", "a\nb.c", "\x1b[2J.c", "ä.c"):
            (self.student / name).write_text("x")
        count, remarks, names = self.take()
        self.assertEqual((count, names), (0, []))
        self.assertTrue(all(line.isprintable() for line in remarks.splitlines()))

    def test_not_too_much(self):
        with open(self.student / "a.c", "wb") as file:
            file.truncate(1 << 40)
        for nth in range(12):
            (self.student / f"b{nth:02}.c").write_bytes(b"x" * (1 << 20))
        count, remarks, names = self.take()
        self.assertEqual((count, names[-1]), (8, "b07.c"))
        self.assertIn("a.c is not taken", remarks)
        self.assertIn("b08.c is not taken", remarks)

    def test_a_folder_that_is_gone_ends_nothing_else(self):
        self.student.rmdir()
        count, remarks, _ = self.take()
        self.assertEqual(count, 0)
        self.assertIn("can't be read: No such file", remarks)

    def test_a_product_is_a_regular_file(self):
        (self.student / "k").symlink_to("/etc/passwd")
        self.assertIsNone(build.product(self.student, "k"))
        self.assertIsNone(build.product(self.student, "none"))


class Checks(unittest.TestCase):
    """What is said of an output."""

    def said(self, got, **wanted):
        """The failures as text."""
        return [f"{expected} | {found}" for _, expected, found in
                checks.check_output(lab.Output(**wanted), got)]

    def test_exact(self):
        self.assertEqual(self.said("a\nb\n", exact="a\nb"), [])
        self.assertEqual(self.said("a\nc\n", exact="a\nb\n"), ['line 2: "b" | line 2: "c"'])
        self.assertEqual(self.said("a\n", exact="a\nb\n"),
                         ['line 2: "b" | line 2: the end of the output'])
        self.assertEqual(self.said("a\nb\nc\n", exact="a\nb\n"),
                         ['line 3: the end of the output | line 3: "c"'])

    def test_parts(self):
        self.assertEqual(self.said("one two\n", contains=["two"], lacks=["three"]), [])
        self.assertEqual(self.said("Hello, worle\n", contains=["Hello, world"]),
                         ['the text "Hello, world" | the line "Hello, worle"'])
        self.assertEqual(self.said("", contains=["x"]), ['the text "x" | no output at all'])
        self.assertEqual(self.said("b a", ordered=["a", "b"]),
                         ['the text "b" after "a" | it stands before'])
        self.assertEqual(self.said("a1\nb2\n", regex=[r"^b\d$"]), [])
        self.assertEqual(self.said("oops", lacks=["oops"]), ['no "oops" | the output has it'])

    def test_lines_end_as_the_guest_likes(self):
        self.assertEqual(checks.text_of(b"a\r\nb\rc\xff"), "a\nb\nc\N{REPLACEMENT CHARACTER}")

    def test_ends(self):
        test = lab.Test("t", 1, exit=[0])
        self.assertEqual(checks.check_end(test, 0, ""), [])
        self.assertIn("triple fault", checks.check_end(test, 33, "")[0][2])
        self.assertIn("endless loop", checks.check_end(test, 143, "cpu")[0][2])
        self.assertIn("stood still", checks.check_end(test, 143, "idle")[0][2])
        test.exit = None
        self.assertEqual(checks.check_end(test, 99, ""), [])

    def test_nothing_reaches_the_terminal(self):
        shown = words.quoted("\x1b[2J\a\N{RIGHT-TO-LEFT OVERRIDE}\n" + "x" * 999)
        self.assertTrue(shown.isprintable())
        self.assertLess(len(shown), 200)


def make_png(width, height, filters, alpha):
    """A picture with these filters in turn, and its rows."""
    chance, step, raw, rows = random.Random(1), 4 if alpha else 3, b"", []
    above = bytes(step * width)
    for y in range(height):
        row = bytes(chance.randrange(256) for _ in range(step * width))
        rows.append(row)
        kind = filters[y % len(filters)]
        raw += bytes([kind])
        for i, value in enumerate(row):
            left = row[i - step] if i >= step else 0
            corner = above[i - step] if i >= step else 0
            guess = (0, left, above[i], (left + above[i]) // 2,
                     picture.paeth(left, above[i], corner))[kind]
            raw += bytes([(value - guess) & 255])
        above = row

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + \
            struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 6 if alpha else 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) +
            chunk(b"IEND", b"")), rows


class Pictures(unittest.TestCase):
    """PNG, PPM, and what differs."""

    def test_png_with_every_filter(self):
        for alpha in (False, True):
            data, rows = make_png(7, 10, (0, 1, 2, 3, 4), alpha)
            got = picture.read_picture(data)
            step = 4 if alpha else 3
            for y, row in enumerate(rows):
                for x in range(7):
                    self.assertEqual(got.pixel(x, y), row[step * x:step * x + 3])

    def test_cut_and_changed_pictures(self):
        data, _ = make_png(5, 5, (4,), False)
        chance = random.Random(2)
        for cut in range(len(data) - 16):
            with self.assertRaises(ValueError):
                picture.read_picture(data[:cut])
        for _ in range(500):
            changed = bytearray(data)
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            try:
                picture.read_picture(bytes(changed))
            except ValueError:
                pass

    def test_ppm_and_comparison(self):
        one = picture.read_picture(b"P6\n2 1\n255\n\1\2\3\4\5\6")
        two = picture.read_picture(b"P6 # comment\n2 1 255\n\1\2\3\4\5\x09")
        check = picture.ScreenCheck(picture=one)
        self.assertIsNone(picture.compare_screen(check, one))
        self.assertEqual(picture.compare_screen(check, two),
                         ("pixel 1,0 #040506", "#040509; 1 pixels of 2 differ"))
        check.tolerance = 3
        self.assertIsNone(picture.compare_screen(check, two))
        check = picture.ScreenCheck(pixels=[(5, 5, b"\0\0\0")])
        self.assertEqual(picture.compare_screen(check, one)[1], "outside the screen")
        check = picture.ScreenCheck(areas=[(0, 0, 2, 1, b"\1\2\3")])
        self.assertEqual(picture.compare_screen(check, one)[1], "pixel 1,0 is #040506")


class Disks(InFolder):
    """Images and what is found on them."""

    def read(self, text):
        """One of `disks`."""
        return disks.read_disk(Reader(tomllib.loads(text), "disk"), self.folder)

    def test_made_and_compared(self):
        disk = self.read("text = 'hello'\nsize = '1K'")
        path = self.folder / "disk.img"
        disks.write_disk(disk, path)
        self.assertEqual(path.read_bytes(), b"hello".ljust(1024, b"\0"))
        self.assertIsNone(disks.compare_disk(disks.DiskCheck(0, 0, None), disk, path))
        self.assertIsNone(disks.compare_disk(disks.DiskCheck(0, 1, b"ell"), disk, path))
        self.assertEqual(disks.compare_disk(disks.DiskCheck(0, 0, b"hellO"), disk, path),
                         ('disk 0, from byte 0: "hellO"', 'disk 0, from byte 0: "hello"'))

    def test_what_a_strange_vmm_left_in_its_place(self):
        disk, path = self.read("text = 'hello'"), self.folder / "disk.img"
        check = disks.DiskCheck(0, 0, b"hello")
        (self.folder / "secret").write_bytes(b"hello")
        for make in (lambda: path.symlink_to("secret"), lambda: os.mkfifo(path), path.mkdir,
                     lambda: None):
            make()
            self.assertEqual(disks.compare_disk(check, disk, path)[0], "the file of disk 0")
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)

    def test_archives_are_the_same_every_time(self):
        one, two = (self.read("tar = {'a.txt' = 'text'}") for _ in range(2))
        self.assertEqual(one.content, two.content)
        self.assertEqual(one.content[257:262], b"ustar")


class Processes(InFolder):
    """Children with limits. Nothing here waits for a time to pass."""

    def run_sh(self, script, **limits):
        """Runs it by the shell."""
        return process.run(["sh", "-c", script], self.folder, {"PATH": os.environ["PATH"]},
                           process.Limits(cpu_s=30, wall_s=30, **limits))

    def test_output_has_an_end(self):
        status, out, _, why = self.run_sh("yes", output_bytes=5000)
        self.assertEqual((len(out), why, status), (5000, "output", 128 + 9))

    def test_files_have_an_end(self):
        status, _, _, _ = self.run_sh("exec head -c 9999 /dev/zero >big", file_bytes=4096)
        self.assertEqual(((self.folder / "big").stat().st_size, status), (4096, 128 + 25))

    def test_status_and_output(self):
        self.assertEqual(self.run_sh("echo a; echo b >&2; exit 7"), (7, b"a\n", b"b\n", ""))

    def test_nobody_is_left(self):
        _, out, _, _ = self.run_sh("sleep 1000 >&- 2>&- & echo $!")
        with self.assertRaises((ProcessLookupError, FileNotFoundError)):
            while True:  # it is killed; init has to hear of it
                state = Path(f"/proc/{int(out)}/stat").read_text("ascii").split()[2]
                if state == "Z":
                    raise ProcessLookupError

    def deep(self):
        """Folders in folders, deeper than a path or Python's stack."""
        self.addCleanup(process.remove, self.folder / "deep")
        made = "import os\nfor _ in range(3000):\n    os.mkdir('deep'); os.chdir('deep')\n"
        subprocess.run([sys.executable, "-c", made + "os.chmod('.', 0)"], cwd=self.folder,
                       check=True)

    def test_deep_folders_are_too_much(self):
        self.deep()
        self.assertEqual(self.run_sh("sleep 30", folder=str(self.folder))[3], "disk")

    def test_names_are_counted(self):
        for nth in range(30):
            (self.folder / f"{nth}").touch()
        self.assertLess(process.folder_bytes(self.folder), 1 << 20)
        with unittest.mock.patch.object(process, "FOLDER_NAMES_MAX", 20):
            self.assertGreater(process.folder_bytes(self.folder), 1 << 40)

    def test_a_vmm_of_a_student_fills_no_disk(self):
        vmm, box = self.folder / "vmm", self.folder / "t"
        box.mkdir()
        (self.folder / "kernel.elf").touch()
        vmm.write_text("#!/bin/sh\ntouch $(seq 30)\nexec sleep 30\n")
        vmm.chmod(0o755)
        test = lab.Test("t", 1, exit=[0], machine=lab.Machine(kernel="kernel.elf", vmm="vmm"))
        setting = types.SimpleNamespace(vmm="/bin/false", sandbox=[], hidden="")
        with unittest.mock.patch.object(process, "FOLDER_NAMES_MAX", 20):
            outcome = run_test(test, build.Built(self.folder, ok=True), box, setting)
        self.assertEqual(outcome.end, "it wrote more than it may, and was stopped")

    def test_any_folder_is_removed(self):
        self.deep()
        (self.folder / "deep/locked").mkdir(0)
        process.remove(self.folder / "deep")
        self.assertFalse((self.folder / "deep").exists())

    def test_the_environment_is_clean(self):
        self.assertNotIn("MAKEFLAGS", process.clean_environment("/"))


class Symbols(InFolder):
    """Addresses of a kernel."""

    def test_an_address_has_a_line(self):
        source, kernel = self.folder / "k.c", self.folder / "kernel.elf"
        source.write_text("void _start(void);\nvoid _start(void)\n{\n\tfor (;;)\n\t\t;\n}\n")
        subprocess.run(["gcc", "-g", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x100000",
                        "-o", kernel, source], check=True)
        setting = types.SimpleNamespace(sandbox=[], hidden="")
        self.assertRegex(symbols.places(["triple fault on CPU 0 at RIP 0x100004: x"], kernel,
                                        self.folder, setting)[0],
                         r"^0x100004 is in _start\(\) \(k.c:\d\)$")
        self.assertEqual(symbols.places(["at RIP 0x5 and RIP 0x6"], kernel, self.folder, setting),
                         [])
        self.assertEqual(symbols.places(["at RIP 0x100004"], source, self.folder, setting), [])


class Reports(InFolder):
    """TAP, JUnit and JSON, with what strangers wrote in them."""

    def graded(self):
        """One folder, a test of two failed with a hostile output."""
        loaded = self.load(GOOD + "[[test]]\nname='two # ]]> &'\npoints=2")
        bad = Outcome([("output", '"a"', "\x1b[2J\0]]></failure>\ud800")], output="\0\x1b]]>&<",
                      errors="\0", words=["# x"])
        return [report.Graded(loaded, "a#b\n</x>", build.Built(self.folder, ok=True),
                              [Outcome(), bad])]

    def test_tap(self):
        out = io.StringIO()
        report.write_tap(self.graded(), out)
        lines = out.getvalue().splitlines()
        self.assertEqual(lines[:2], ["TAP version 13", "1..2"])
        self.assertEqual(sum(line.startswith(("ok ", "not ok ")) for line in lines), 2)
        self.assertTrue(all(line.isprintable() for line in lines))

    def test_junit(self):
        out = io.StringIO()
        report.write_junit(self.graded(), out)
        suite = ET.fromstring(out.getvalue().encode()).find("testsuite")
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("2", "1"))
        self.assertEqual(len(suite.findall("testcase/failure")), 1)

    def test_json(self):
        out = io.StringIO()
        report.write_json(self.graded(), out)
        result = json.loads(out.getvalue())["results"][0]
        self.assertEqual((result["points"], result["of"]), (1, 3))

    def test_table(self):
        lines = report.table(self.graded()[0])
        self.assertTrue(all(line.isprintable() for line in lines))
        self.assertIn("1 of 3 points", lines[-1])


class Lines(unittest.TextTestResult):
    """A line for each test."""

    def line(self, test, good):
        """As tests/run-tests wants it."""
        name = test.id().partition(".")[2].replace("test_", "").replace("_", " ").replace(".", ": ")
        print(f"{'ok' if good else 'not ok'} - grade: {name}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line(test, True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, False)
        print("".join(f"# {line}\n" for line in self.failures[-1][1].splitlines()))

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, False)
        print("".join(f"# {line}\n" for line in self.errors[-1][1].splitlines()))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            print(f"not ok - grade: {subtest.id()}")


if __name__ == "__main__":
    runner = unittest.TextTestRunner(io.StringIO(), resultclass=Lines)
    suite_of_all = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    sys.exit(not runner.run(suite_of_all).wasSuccessful())
