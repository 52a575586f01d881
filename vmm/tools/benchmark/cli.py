"""The command line of vmm bench."""

import argparse
import difflib
import json
import math
import os
import shlex
import shutil
import signal
import sys
import tempfile

from . import boot, merge, output
from .hosts import TRIES, Hosts
from .problem import EXIT_USAGE, Problem
from .programs import PEERS, find_vmm
from .voice import Voice

USAGE = """\
Usage: vmm bench boot [OPTIONS]
       vmm bench merge RESULT.json... [--output DIR]
       vmm bench report RESULT.json [--output DIR]

boot: starts the same static program in vmm, in the containers and in the other programs for
virtual machines that are installed, and by itself, in turn; and writes what each start took.
merge: makes one result of several of the same programs and files, and its report.
report: writes the report of an earlier result again.

  --against NAME[,NAME...]  only these beside vmm; may be given again. Default: all that are here.
                            {peers}
  --only WORD[,WORD...]     only rows whose name holds a word, like vmm-micro or elf
  --runs N                  runs of each that count, after two that don't. Default: 9
  --quick                   3 runs, and the times only
  --skip PART[,PART...]     leave out: exits, port, idle, memory
  --memory MIB              the guests' memory. Default: 256
  --machines N[,N...]       how many idle machines at once, for their memory. Default: 1,10,50
  --budget MIB              start idle machines until this much memory is used, and say how
                            many they were. Default: not done
  --cold                    empty the page cache before each run (root, files on a disk). What
                            running programs have mapped, as the C library, stays
  --guests DIR              where default/vmlinuz-cloud and micro/ are. Default: guest/ beside vmm
  --output DIR              where the results go. Default: ./vmm-bench
  -q, --quiet               only the table

Where starting many machines may freeze the host, as an emulated one:
  --fresh-hosts COMMAND     measure in parts, each in a fresh host, which is what COMMAND runs
                            `vmm bench boot` in, like "scripts/with-kvm --icount --rw $PWD". What
                            freezes or fails is started again in another, until {tries} hosts after
                            one another got no further with it.
  --real-time-hosts COMMAND the same, for the parts idle and memory
  --at-once N               so many hosts at a time. Default: 1
  --batch N                 so many rounds in one host. Default: 3, and 2 with --quick
  --patience SECONDS        where no step ends for so long, the start that is under way is ended
                            and made again; where that does not help within as long again, the
                            host is frozen. Default: 60
  --first-round N           the number of the first round, which has to do with the order in it
  --progress                a line on standard error for each step; a line `skip` on standard
                            input ends the start that is under way
  -h, --help                this text

Results: result.json (all of it), result.csv (a line for each run), report.html, report.md,
and the report's charts as SVG.
Exit status: 0; 1 failed; 2 the command line is wrong; 3 KVM can't be used; 4 a file is missing;
5 some parts could not be measured in any host: the report has all others, and says which.
"""


class Parser(argparse.ArgumentParser):
    """Sentences of our own in place of argparse's."""

    def error(self, message):
        message = message.removeprefix("argument ").replace("unrecognized arguments:",
                                                            "there is no option or place for")
        raise Problem(message, "vmm bench boot --help lists the options", EXIT_USAGE)


def number(lowest, highest):
    def parse(text):
        if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError("'%.40s' is no number from %d to %d" %
                                             (text, lowest, highest))
        return int(text)
    return parse


def word_list(text):
    return [word for word in text.split(",") if word]


def numbers(text):
    parse = number(1, 200)
    return [parse(word) for word in word_list(text)] or parse(text)


def command(text):
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("'%.200s' is no command: %s" % (text, error)) from error
    if not words or not shutil.which(words[0]):
        raise argparse.ArgumentTypeError("there is no command '%.200s'" % text)
    return words


def make_parser(verb):
    parser = Parser(prog="vmm bench", add_help=False, allow_abbrev=False)
    parser.add_argument("--output", default="vmm-bench")
    parser.add_argument("-q", "--quiet", action="store_true")
    if verb == "report":
        parser.add_argument("result")
        return parser
    if verb == "merge":
        parser.add_argument("results", nargs="+")
        return parser
    parser.add_argument("--against", action="append", type=word_list)
    parser.add_argument("--only", action="extend", type=word_list, default=[])
    parser.add_argument("--runs", type=number(1, 1000))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--skip", action="extend", type=word_list, default=[])
    parser.add_argument("--memory", dest="memory_mib", type=number(64, 65536), default=256)
    parser.add_argument("--machines", type=numbers, default=[1, 10, 50])
    parser.add_argument("--budget", dest="budget_mib", type=number(64, 1 << 24))
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--guests")
    parser.add_argument("--fresh-hosts", dest="hosts", type=command)
    parser.add_argument("--real-time-hosts", type=command)
    parser.add_argument("--at-once", type=number(1, 64), default=1)
    parser.add_argument("--batch", type=number(1, 1000))
    parser.add_argument("--patience", dest="patience_s", type=number(1, 100000), default=60)
    parser.add_argument("--first-round", type=number(1, 1000), default=1)
    parser.add_argument("--progress", action="store_true")
    return parser


def check_words(words, known, option):
    for word in words:
        if word not in known:
            near = difflib.get_close_matches(word, known, 1)
            raise Problem("%s: there is no '%.40s'" % (option, word) if option else
                          "there is no '%.40s'" % word,
                          "did you mean %s?" % near[0] if near else "known: " + ", ".join(known),
                          EXIT_USAGE)


def complete(options):
    """Fills in what was not said."""
    options.against = [word for words in options.against or [list(PEERS)] for word in words]
    check_words(options.against, list(PEERS), "--against")
    check_words(options.skip, list(boot.PARTS), "--skip")
    options.against = list(dict.fromkeys(options.against))
    if options.quick:
        options.skip = [part for part in boot.PARTS if part != "rounds"]
    if set(options.skip) == set(boot.PARTS):
        raise Problem("--skip leaves nothing to measure", "", EXIT_USAGE)
    if options.cold and options.hosts:
        raise Problem("--cold: fresh hosts have their files in memory", "", EXIT_USAGE)
    if options.real_time_hosts and not options.hosts:
        raise Problem("--real-time-hosts is of no use without --fresh-hosts", "", EXIT_USAGE)
    options.runs = options.runs or (3 if options.quick else 9)
    options.batch = options.batch or (2 if options.quick else 3)
    options.vmm = find_vmm()
    if not options.vmm:
        raise Problem("there is no vmm near this program", "start it as: vmm bench boot")
    options.guests = options.guests or os.path.join(os.path.dirname(options.vmm), "guest")
    if options.cold and os.geteuid() != 0:
        raise Problem("--cold: only root may empty the page cache", "", EXIT_USAGE)
    return options


def make_output(folder):
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise Problem("--output: can't make the folder %.200s: %s" % (folder, error.strerror)
                      ) from error


def run_boot(options, save, say):
    # In memory where there is such a place: disks are no part of this, but for --cold.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    if options.cold:
        place = os.path.abspath(options.output)
    work = tempfile.mkdtemp(prefix="vmm-bench-", dir=place)
    try:
        return boot.measure(options, work, save, say)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def finite(text):
    """A number of a result; Python's JSON knows Infinity and NaN as well."""
    value = float(text)
    if not math.isfinite(value):
        raise OverflowError(text)
    return value


def read_result(path):
    try:
        with open(path, encoding="utf-8") as file:
            result = json.load(file, parse_float=finite, parse_constant=finite)
    except OverflowError as error:
        raise Problem("the result %.200s is damaged: it holds %.20s" % (path, error)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise Problem("can't read the result %.200s: %s" % (path, error)) from error
    if not isinstance(result, dict) or result.get("format") != boot.FORMAT:
        raise Problem("%.200s is no result of this vmm bench" % path,
                      "vmm bench boot writes result.json")
    return result


def usage(file, status):
    print(USAGE.format(peers=", ".join(PEERS), tries=TRIES), end="", file=file)
    return status


def read_and_use(paths, use):
    """use(the results); what is not as this program writes it is told so."""
    results = [read_result(path) for path in paths]
    try:
        return use(results)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Problem("the result %.200s is damaged" % " or ".join(paths)) from error


def end_by_signal(number, _frame):
    raise SystemExit(128 + number)


def run(words):
    if not words or words[0] in ("-h", "--help"):
        return usage(sys.stdout if words else sys.stderr, 0 if words else EXIT_USAGE)
    verb = words[0]
    check_words([verb], ["boot", "merge", "report"], "")
    if "-h" in words or "--help" in words:
        return usage(sys.stdout, 0)
    options = make_parser(verb).parse_args(words[1:])
    if verb == "boot":
        complete(options)
    make_output(options.output)

    say = Voice(options.quiet, getattr(options, "progress", False))
    status = 0

    def save(result):
        text = output.text_of(result)
        output.write_all(result, options.output)
        return text

    if verb == "report":
        text = read_and_use([options.result], lambda results: save(results[0]))
    elif verb == "merge":
        text = read_and_use(options.results, lambda results: save(merge.merge(results)))
    else:
        signal.signal(signal.SIGTERM, end_by_signal)
        if options.hosts:
            result, status = Hosts(options, save, say).run()
        else:
            result = run_boot(options, save, say)
        text = save(result)
    # What another's result holds is no command for this terminal.
    print("".join(char if char.isprintable() or char == "\n" else "?" for char in text), end="")
    say("the report is %s" % os.path.join(options.output, "report.html"))
    return status


def main(words):
    try:
        return run(words)
    except Problem as problem:
        print("vmm bench: %s." % str(problem).rstrip("."), file=sys.stderr)
        if problem.hint:
            print("vmm bench: %s%s" % (problem.hint, "" if problem.hint[-1] in ".?" else "."),
                  file=sys.stderr)
        return problem.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
