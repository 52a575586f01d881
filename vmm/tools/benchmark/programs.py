"""The programs that take part: where they are, their versions, sizes and libraries."""

import os
import re
import shutil
import subprocess
import tempfile

from .artefacts import sha256

# peer: names of its program, and how it tells its version.
PEERS = {
    "qemu-microvm": (("qemu-system-x86_64",), ("--version",)),
    "qemu-q35": (("qemu-system-x86_64",), ("--version",)),
    "kvmtool": (("lkvm", "kvmtool", "vm"), ("version",)),
    "firecracker": (("firecracker",), ("--version",)),
    "cloud-hypervisor": (("cloud-hypervisor",), ("--version",)),
    "runc": (("runc",), ("--version",)),
    "crun": (("crun",), ("--version",)),
    "bwrap": (("bwrap",), ("--version",)),
    "podman": (("podman",), ("--version",)),
    "bare": ((), ()),
    "exec": ((), ()),
}


class Program:
    def __init__(self, path, version_words=("--version",)):
        self.path = path
        self.bytes = os.path.getsize(path)
        self.stripped_bytes = self.stripped_size()
        self.sha256 = sha256(path)
        self.version = self.ask_version(version_words)
        self.libraries = self.find_libraries()

    def ask_version(self, words):
        try:
            out = subprocess.run([self.path, *words], capture_output=True, text=True, timeout=60,
                                 check=False).stdout
        except (OSError, subprocess.TimeoutExpired):
            return "unknown"
        return out.strip().split("\n")[0] or "unknown"

    def stripped_size(self):
        """What an installed program would have: debugging information is not counted."""
        if not shutil.which("strip"):
            return None
        with tempfile.NamedTemporaryFile() as file:
            done = subprocess.run(["strip", "-o", file.name, self.path], capture_output=True,
                                  check=False)
            return os.path.getsize(file.name) if done.returncode == 0 else None

    def find_libraries(self):
        """The shared libraries it names, and theirs: what the loader maps at each start."""
        if not shutil.which("ldd"):
            return []
        out = subprocess.run(["ldd", self.path], capture_output=True, text=True,
                             check=False).stdout
        paths = re.findall(r"(/\S+) \(0x", out)
        return [{"path": path, "bytes": os.path.getsize(path)} for path in paths
                if os.path.exists(path)]

    def as_json(self):
        return {"path": self.path, "version": self.version, "bytes": self.bytes,
                "stripped_bytes": self.stripped_bytes, "sha256": self.sha256,
                "libraries": self.libraries}


def find_peer(name, is_root):
    """(its Program or None, why it does not take part or '')."""
    names, version_words = PEERS[name]
    if not names:
        if name == "bare" and not is_root:
            return None, "needs root"
        return None, ""
    for word in names:
        # Ordinary users' PATH may lack where runc lies.
        path = shutil.which(word) or shutil.which(word, path="/usr/sbin:/sbin")
        if path:
            return Program(os.path.realpath(path), version_words), ""
    return None, "is not installed"


def find_vmm():
    """Where this tool's vmm is: it says so in VMM, else it is near."""
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    places = [os.environ.get("VMM", ""), os.path.join(here, "../../vmm"),
              os.path.join(here, "../../bin/vmm")]
    for place in places:
        if place and os.access(place, os.X_OK) and os.path.isfile(place):
            return os.path.realpath(place)
    return None
