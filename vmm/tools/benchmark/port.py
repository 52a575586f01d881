"""What a guest's write to a device's port costs, through vmm, through QEMU, and at least.

The guest is a few instructions: it writes to the scratch register of the serial port, and ends.
The difference of a run with many writes and one with few, in processor time, is their cost.
"""

import os
import struct
import subprocess

from . import stats
from .cases import MICROVM, Case

MANY, FEW = 50_000, 1
RUNS = 3
BASE = 0x100000


def guest_code(writes):
    """32-bit code that a PVH kernel is entered with, flat."""
    return b"".join((
        b"\x31\xc0",                              # xor eax, eax
        b"\xb9" + struct.pack("<I", writes),      # mov ecx, writes
        b"\x66\xba\xff\x03",                      # mov dx, 0x3ff
        b"\xee\x49\x75\xfc",                      # out dx, al; dec ecx; jnz to the out
        b"\xe6\xf4",                              # out 0xf4, al: the end
        b"\xf4\xeb\xfd",                          # hlt; again
    ))


def guest_elf(writes):
    """The code as an ELF file with a note that names its PVH entry (XEN_ELFNOTE_PHYS32_ENTRY)."""
    code = guest_code(writes)
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", BASE)
    headers = 64 + 2 * 56
    note_at, code_at = 0x200, 0x1000
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, BASE, 64, 0, 0,
                         64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 7, code_at, BASE, BASE, len(code), len(code), 0x1000)
    place = struct.pack("<IIQQQQQQ", 4, 4, note_at, 0, 0, len(note), len(note), 4)
    assert headers <= note_at
    return (header + load + place).ljust(note_at, b"\0") + note.ljust(
        code_at - note_at, b"\0") + code


def machines(plan):
    """who: a function that gives the command line for a guest."""
    vmm = plan.programs["vmm"].path
    yield "vmm", lambda guest: [vmm, "-q", "--kernel", guest, "-m", "32M", "--cpus", "1", "--net",
                                "none", "--no-rng", "--no-balloon"]
    if "qemu-microvm" in plan.programs:
        qemu = plan.programs["qemu-microvm"].path
        yield "QEMU microvm", lambda guest: [
            qemu, "-M", MICROVM, "-accel", "kvm", "-cpu", "host", "-m", "32", "-nodefaults",
            "-no-user-config", "-display", "none", "-serial", "stdio", "-kernel", guest,
            "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]


def measure(runner, say):
    plan, guests, found = runner.plan, {}, {}
    say("port writes")
    for writes in (FEW, MANY):
        guests[writes] = os.path.join(plan.work, "port-%d" % writes)
        with open(guests[writes], "wb") as file:
            file.write(guest_elf(writes))
    out = subprocess.run([plan.spawn, "--port", str(MANY)], capture_output=True, text=True,
                         check=False)
    if out.returncode == 0:
        found["floor"] = int(out.stdout)
    for who, argv in machines(plan):
        say.tick(who)
        cpu = {writes: stats.median([runner.spawn(Case("port", "", who, who, argv(guest)))["cpu"]
                                     for _ in range(RUNS)]) for writes, guest in guests.items()}
        found[who] = (cpu[MANY] - cpu[FEW]) / (MANY - FEW)
    return found
