"""The disks of a test: made from what its table says, and looked into afterwards."""
import io
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from gradelib.collect import open_regular
from gradelib.words import BAD_LAB, Failure, quoted

SECTOR = 512
DISK_MAX = 1 << 30
NAME = re.compile(r"(?!/)(?!.*\.\.)[A-Za-z0-9_.][A-Za-z0-9_./-]{0,99}")


@dataclass
class Disk:
    """What it holds at the start."""

    content: bytes
    size: int
    read_only: bool = False


@dataclass
class DiskCheck:
    """Bytes that have to stand at a place; None: it is as it was."""

    disk: int
    offset: int
    wanted: bytes | None


def lab_file(reader, key, folder):
    """The bytes of a file beside the LAB.toml, or None."""
    name = reader.text(key)
    if name is None:
        return None
    if not NAME.fullmatch(name):
        reader.fail(f"{key} is '{name}'; it has to be a path inside the lab's folder")
    try:
        return (Path(folder) / name).read_bytes()
    except OSError as error:
        raise Failure(BAD_LAB, f"{reader.where}: can't read {name}: {error.strerror}") from error


def make_tar(reader):
    """A ustar archive of `tar = { "name" = "text" }`, the same bytes every time."""
    table, buffer = reader.get("tar", dict, {}), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in table.items():
            if not NAME.fullmatch(name) or not isinstance(text, str):
                reader.fail(f"tar: '{name}' has to be a name and its text")
            info, content = tarfile.TarInfo(name), text.encode()
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def read_bytes(reader, folder, keys):
    """The bytes that one of the keys says."""
    kind = reader.one_of(keys)
    if kind == "text":
        return reader.text("text").encode()
    if kind == "hex":
        return reader.hex("hex")
    if kind == "tar":
        return make_tar(reader)
    return lab_file(reader, "file", folder)


def read_disk(reader, folder):
    """One of `disks`. Filled up with zeros to `size`, or to the next sector."""
    size = reader.size("size", None, SECTOR, DISK_MAX)
    keys = ("file", "text", "hex", "tar")
    content = b""
    if size is None or any(reader.has(key) for key in keys):
        content = read_bytes(reader, folder, keys)
    read_only = reader.flag("read_only")
    reader.finish(keys)
    least = max(-(-len(content) // SECTOR), 1) * SECTOR
    if size is not None and (size % SECTOR or size < least):
        reader.fail(f"size is {size} bytes; its content needs {least}, in sectors of {SECTOR}")
    return Disk(content, size or least, read_only)


def read_disk_check(reader, folder):
    """One of `disk_checks`."""
    disk = reader.number("disk", 0, 0, 15)
    offset = reader.number("offset", 0, 0, DISK_MAX)
    if reader.flag("unchanged"):
        wanted = None
    else:
        wanted = read_bytes(reader, folder, ("text", "hex", "file", "unchanged"))
    reader.finish(("text", "hex", "file", "unchanged"))
    return DiskCheck(disk, offset, wanted)


def write_disk(disk, path):
    """Makes the image."""
    with open(path, "xb") as image:
        image.write(disk.content)
        image.truncate(disk.size)


def compare_disk(check, disk, path):
    """None, or what was expected and what was there. A student's vmm may have put anything there."""
    try:
        image = open_regular(path)
    except OSError as error:
        return f"the file of disk {check.disk}", error.strerror or str(error)
    with image:
        if check.wanted is None:
            wanted, at = disk.content.ljust(disk.size, b"\0"), 0
            got = image.read(disk.size)
        else:
            wanted, at = check.wanted, check.offset
            image.seek(at)
            got = image.read(len(wanted))
    if got == wanted:
        return None
    first = next((nth for nth, pair in enumerate(zip(wanted, got)) if pair[0] != pair[1]),
                 min(len(wanted), len(got)))
    start = max(first - 8, 0)
    place = f"disk {check.disk}, from byte {at + start}"
    return (f"{place}: {show(wanted[start:start + 32])}", f"{place}: {show(got[start:start + 32])}")


def show(content):
    """Bytes as text where they are text, else as digits."""
    if content and all(32 <= byte < 127 or byte in b"\n\t" for byte in content):
        return quoted(content.decode("ascii"))
    return content.hex(" ") or "nothing"
