"""The files that are started: found, unpacked, copied into memory, hashed."""

import gzip
import hashlib
import lzma
import os
import shutil
import struct
import subprocess

from .problem import EXIT_IMAGE, Problem

MAKE_HINT = "make guest-default guest-micro builds it; --guests DIR says where it is"


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def describe(path):
    return {"path": path, "bytes": os.path.getsize(path), "sha256": sha256(path)}


def unpack_lz4(data):
    """By the lz4 program: the frame is of the kernel's old kind, which its tool still reads."""
    if not shutil.which("lz4"):
        raise Problem("the kernel is packed by LZ4 and there is no program lz4",
                      "apt-get install lz4")
    return subprocess.run(["lz4", "-dc"], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False).stdout


def unpack_zstd(data):
    if not shutil.which("zstd"):
        raise Problem("the kernel is packed by Zstandard and there is no program zstd",
                      "apt-get install zstd")
    return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False).stdout


def unpack_gzip(data):
    return gzip.decompress(data)


def unpack_xz(data):
    return lzma.LZMADecompressor().decompress(data)


# What a packed kernel begins with.
UNPACKERS = ((b"\x02\x21\x4c\x18", unpack_lz4), (b"\x28\xb5\x2f\xfd", unpack_zstd),
             (b"\x1f\x8b", unpack_gzip), (b"\xfd7zXZ", unpack_xz))


def unpack_kernel(path, to):
    """The ELF file out of a bzImage (Documentation/x86/boot.rst: the set-up header)."""
    with open(path, "rb") as file:
        image = file.read()
    if len(image) < 0x250 or image[0x202:0x206] != b"HdrS":
        raise Problem("%s is no bzImage" % path, MAKE_HINT, EXIT_IMAGE)
    sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    # The last four bytes are the size when unpacked.
    packed = image[start:start + length - 4]
    for magic, unpack in UNPACKERS:
        if packed.startswith(magic):
            elf = unpack(packed)
            break
    else:
        raise Problem("%s is packed in an unknown way" % path, "", EXIT_IMAGE)
    if not elf.startswith(b"\x7fELF"):
        raise Problem("%s holds no ELF file" % path, "", EXIT_IMAGE)
    with open(to, "wb") as file:
        file.write(elf)


def unpack_cpio(path, to):
    """The files of an initramfs (newc), as far as an ordinary user can make them."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while data[at:at + 6] == b"070701":
        mode, size, name_size = (int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in (1, 6, 11))
        name = data[at + 110:at + 110 + name_size - 1].decode()
        at += (110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return
        if ".." in name.split("/") or name.startswith("/"):
            raise Problem("%s has a file named %s" % (path, name), "", EXIT_IMAGE)
        if mode & 0o170000 == 0o040000:
            os.makedirs(os.path.join(to, name), exist_ok=True)
        elif mode & 0o170000 == 0o100000:
            with open(os.path.join(to, name), "wb") as file:
                file.write(data[at:at + size])
            os.chmod(os.path.join(to, name), mode & 0o777)
        at += (size + 3) & ~3
    raise Problem("%s is no initramfs" % path, MAKE_HINT, EXIT_IMAGE)


class Artefacts:
    """Copies in `work`: kernels (stock packed and unpacked, micro), the initramfs, its tree."""

    def __init__(self, guests, work):
        self.files = {}
        self.work = work
        self.kernels = {
            "bz": self.take(guests, "default/vmlinuz-cloud", "vmlinuz"),
            "elf": os.path.join(work, "vmlinux"),
            "micro": self.take(guests, "micro/vmlinux", "micro-vmlinux"),
            "micro-bz": self.take(guests, "micro/bzImage", "micro-bzImage"),
        }
        self.initrd = self.take(guests, "micro/up.cpio", "up.cpio")
        unpack_kernel(self.kernels["bz"], self.kernels["elf"])
        self.files["vmlinux (from vmlinuz)"] = describe(self.kernels["elf"])
        self.root = os.path.join(work, "root")
        os.makedirs(self.root)
        unpack_cpio(self.initrd, self.root)
        # Where containers mount what they bring.
        for folder in ("proc", "dev", "sys", "etc", "run", "tmp"):
            os.makedirs(os.path.join(self.root, folder), exist_ok=True)
        self.program = os.path.join(self.root, "init")
        self.files["init"] = describe(self.program)

    def take(self, guests, name, to):
        source = os.path.join(guests, name)
        if not os.path.exists(source):
            raise Problem("there is no %s" % source, MAKE_HINT, EXIT_IMAGE)
        copy = os.path.join(self.work, to)
        shutil.copyfile(source, copy)
        self.files[name] = describe(copy)
        self.files[name]["path"] = source
        return copy
