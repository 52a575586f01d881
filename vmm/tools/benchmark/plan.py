"""One benchmark's plan: programs, files, a folder in memory, and what it makes for its peers."""

import json
import os
import subprocess

from . import programs as programs_module
from .artefacts import Artefacts
from .problem import Problem
from .programs import Program


class Plan:
    def __init__(self, options, work, host, say):
        self.work = work
        self.memory_mib = options.memory_mib
        self.only = options.only
        self.missing = {}
        self.spawn = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
                                  "bench_spawn")
        say.tick("files")
        self.artefacts = Artefacts(options.guests, work)
        say.tick("vmm")
        self.programs = {"vmm": Program(options.vmm)}
        static = options.vmm + "-static"
        if os.access(static, os.X_OK):
            self.programs["vmm-static"] = Program(static)
        self.peers = []
        for name in options.against:
            say.tick(name)
            program, why = programs_module.find_peer(name, host["is_root"])
            if why:
                self.missing[name] = why
                continue
            if program:
                self.programs[name] = program
            self.peers.append(name)
        self.environment = self.make_environment()

    def folder(self, name):
        path = os.path.join(self.work, name)
        os.makedirs(path, exist_ok=True)
        return path

    def make_environment(self):
        """Nothing of the user's takes part: no cache, no names, no desktop, no settings."""
        run = self.folder("run")
        os.chmod(run, 0o700)
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin",
                "HOME": self.folder("home"), "XDG_RUNTIME_DIR": run,
                "XDG_CACHE_HOME": self.folder("cache"), "LC_ALL": "C"}

    def bundle(self, program, who, word):
        """An OCI bundle of the root tree; its settings are the program's own."""
        path = self.folder("bundle-%s-%s" % (who, word or "up"))
        name = os.path.join(path, "config.json")
        if os.path.exists(name):
            return path
        made = subprocess.run([program, "spec"] + ([] if os.geteuid() == 0 else ["--rootless"]),
                              cwd=path, capture_output=True, text=True, check=False)
        if made.returncode:
            raise Problem("%s spec failed: %s" % (who, made.stderr.strip()[-200:]))
        with open(name, encoding="utf-8") as file:
            config = json.load(file)
        config["process"]["terminal"] = False
        config["process"]["args"] = ["/init"] + ([word] if word else [])
        config["root"] = {"path": self.artefacts.root, "readonly": True}
        with open(name, "w", encoding="utf-8") as file:
            json.dump(config, file)
        return path

    def firecracker_config(self, name, kernel, words):
        path = os.path.join(self.folder("firecracker"), name + ".json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({
                "boot-source": {"kernel_image_path": self.artefacts.kernels[kernel],
                                "initrd_path": self.artefacts.initrd, "boot_args": words},
                "drives": [],
                "machine-config": {"vcpu_count": 1, "mem_size_mib": self.memory_mib},
            }, file)
        return path
