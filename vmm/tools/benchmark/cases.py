"""What is started, and how: one Case a row of the report."""

# Words that keep a stock kernel from testing and probing what a machine for programs lacks: those
# that vmm says by itself to a machine with one processor, and some that others say. In the equal
# configuration all machines are told all of them, and vmm adds none.
BOOT_WORDS = ("cryptomgr.notests pci=off pmtmr=0 nox2apic tsc=nowatchdog "
              "sysctl.vm.compaction_proactiveness=0 rcupdate.rcu_expedited=1 "
              "initcall_blacklist=ftrace_check_for_weak_functions,pci_arch_init "
              "i8042.noaux i8042.nomux i8042.nopnp i8042.dumbkbd swiotlb=noforce")
QUIET = "console=ttyS0 quiet " + BOOT_WORDS
VERBOSE = "console=ttyS0 " + BOOT_WORDS

TABLES = (
    ("equal", "Equal configuration",
     "The same stock kernel, initramfs, command line, memory and one processor; no disk, no "
     "network; what else each brings is left out as far as it lets."),
    ("shipped", "As shipped",
     "The same stock kernel and initramfs, and of the command line only what a start needs."),
    ("small", "The smallest guest, beside containers",
     "One static program: run by itself, in a container, and as the init of a small kernel."),
)

# The kernels' kinds, as they stand in the report.
KERNELS = {
    "elf": "stock kernel as ELF", "bz": "stock kernel as bzImage",
    "micro": "small kernel as ELF", "micro-bz": "small kernel as bzImage",
    "": "no kernel of its own",
}


class Case:
    def __init__(self, name, table, who, label, argv, **more):
        self.name = name
        self.table = table
        self.who = who          # key of the program
        self.label = label
        self.argv = argv
        self.kernel = more.get("kernel", "")
        self.contain = more.get("contain")  # root of the bare container
        self.has_timer = more.get("has_timer", False)
        self.after = more.get("after")      # a command that removes what a failed run leaves
        self.note = more.get("note", "")
        self.idle_argv = more.get("idle_argv")  # the same, with a program that sleeps
        self.is_machine = bool(self.kernel)


def vmm_argv(program, plan, kernel, words, *options):
    files = plan.artefacts
    return [program, "-q", "--kernel", files.kernels[kernel], "--initrd", files.initrd,
            "-m", "%dM" % plan.memory_mib, "--cpus", "1", "--append", words, *options]


LEAN = ("--net", "none", "--no-rng", "--no-balloon")
EQUAL = (*LEAN, "--no-boot-words")
TIMER = "--boot-timer=json"


def vmm_cases(plan):
    """Of the dynamic program and, where there is one, the static program."""
    def case(name, table, label, kernel, words, *options, who="vmm", **more):
        program = plan.programs[who].path
        return Case(name, table, who, label,
                    vmm_argv(program, plan, kernel, words, *options, TIMER), kernel=kernel,
                    has_timer=True,
                    idle_argv=vmm_argv(program, plan, kernel, words + " -- wait", *options),
                    **more)

    yield case("vmm-elf", "equal", "vmm", "elf", QUIET, *EQUAL)
    yield case("vmm-bz", "equal", "vmm, kernel in the cache", "bz", QUIET, *EQUAL)
    yield case("vmm-bz-uncached", "equal", "vmm, no cache", "bz", QUIET, *EQUAL,
               "--no-kernel-cache")
    yield case("vmm-verbose", "equal", "vmm, all messages", "elf", VERBOSE, *EQUAL)
    yield case("vmm-shipped", "shipped", "vmm", "bz", "quiet")
    micro = ("--machine", "micro", *LEAN)
    yield case("vmm-micro", "small", "vmm --machine micro", "micro", "quiet", *micro)
    if "vmm-static" in plan.programs:
        yield case("vmm-static-elf", "equal", "vmm, static", "elf", QUIET, *EQUAL,
                   who="vmm-static")
        yield case("vmm-static-micro", "small", "vmm --machine micro, static", "micro", "quiet",
                   *micro, who="vmm-static")


def qemu_argv(program, plan, machine, kernel, words, *options):
    files = plan.artefacts
    return [program, "-M", machine, "-accel", "kvm", "-cpu", "host", "-m", str(plan.memory_mib),
            "-smp", "1", "-no-reboot", "-kernel", files.kernels[kernel], "-initrd", files.initrd,
            "-append", words, *options]


# The real-time clock: without it Linux waits a second for one.
MICROVM = "microvm,rtc=on"
BARE = ("-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio")


def qemu_case(plan, who, name, table, label, machine, kernel, words, *options, **more):
    program = plan.programs[who].path
    end = more.pop("end", "")
    return Case(name, table, who, label,
                qemu_argv(program, plan, machine, kernel, words + end, *options), kernel=kernel,
                idle_argv=qemu_argv(program, plan, machine, kernel, words + " -- wait", *options),
                **more)


def qemu_microvm_cases(plan):
    def case(*arguments, **more):
        return qemu_case(plan, "qemu-microvm", *arguments, **more)

    yield case("qemu-microvm-elf", "equal", "QEMU microvm", MICROVM, "elf", QUIET, *BARE)
    yield case("qemu-microvm-bz", "equal", "QEMU microvm", MICROVM, "bz", QUIET, *BARE)
    yield case("qemu-microvm-verbose", "equal", "QEMU microvm, all messages", MICROVM, "elf",
               VERBOSE, *BARE)
    yield case("qemu-microvm-shipped", "shipped", "QEMU microvm", MICROVM, "bz",
               "console=ttyS0 quiet", "-nographic")
    # The small kernel has no ACPI to power off by: it ends by a reset.
    yield case("qemu-microvm-small", "small", "QEMU microvm", MICROVM + ",acpi=off", "micro-bz",
               "console=ttyS0 quiet reboot=t", *BARE, end=" -- restart")


def qemu_q35_cases(plan):
    def case(*arguments, **more):
        return qemu_case(plan, "qemu-q35", *arguments, **more)

    yield case("qemu-q35-elf", "equal", "QEMU q35", "q35", "elf", QUIET, *BARE)
    yield case("qemu-q35-bz", "equal", "QEMU q35", "q35", "bz", QUIET, *BARE)
    yield case("qemu-q35-shipped", "shipped", "QEMU q35", "q35", "bz", "console=ttyS0 quiet",
               "-nographic")


def kvmtool_cases(plan):
    program, files = plan.programs["kvmtool"].path, plan.artefacts

    def case(name, table, label, words, **more):
        def argv(extra):
            return [program, "run", "-k", files.kernels["bz"], "-i", files.initrd,
                    "-m", str(plan.memory_mib), "-c", "1", "--console", "serial",
                    "--network", "mode=none", "-p", words + extra]
        return Case(name, table, "kvmtool", label, argv(""), kernel="bz",
                    idle_argv=argv(" -- wait"), **more)

    yield case("kvmtool-bz", "equal", "kvmtool", QUIET)
    yield case("kvmtool-verbose", "equal", "kvmtool, all messages", VERBOSE)


def firecracker_cases(plan):
    program = plan.programs["firecracker"].path

    def case(name, table, label, kernel, words, **more):
        def argv(extra):
            return [program, "--no-api", "--config-file",
                    plan.firecracker_config(name + extra.strip(" -"), kernel, words + extra)]
        return Case(name, table, "firecracker", label, argv(""), kernel=kernel,
                    idle_argv=argv(" -- wait"), **more)

    yield case("firecracker-elf", "equal", "Firecracker", "elf", QUIET + " reboot=k")
    yield case("firecracker-verbose", "equal", "Firecracker, all messages", "elf",
               VERBOSE + " reboot=k")


def cloud_hypervisor_cases(plan):
    program, files = plan.programs["cloud-hypervisor"].path, plan.artefacts

    def case(name, table, label, words):
        def argv(extra):
            return [program, "--kernel", files.kernels["elf"], "--initramfs", files.initrd,
                    "--cpus", "boot=1", "--memory", "size=%dM" % plan.memory_mib,
                    "--serial", "tty", "--console", "off", "--cmdline", words + extra]
        return Case(name, table, "cloud-hypervisor", label, argv(""), kernel="elf",
                    idle_argv=argv(" -- wait"))

    yield case("cloud-hypervisor-elf", "equal", "Cloud Hypervisor", QUIET)
    yield case("cloud-hypervisor-verbose", "equal", "Cloud Hypervisor, all messages", VERBOSE)


# ---- Containers ----

def bundle_case(plan, who):
    """runc and crun: a bundle made from what their own `spec` writes."""
    program = plan.programs[who].path
    state = ["--root", plan.folder("state-" + who)]

    def argv(word):
        return [program, *state, "run", "--bundle", plan.bundle(program, who, word),
                "bench-" + (word or "up")]
    remove = [program, *state, "delete", "--force", "bench-up"]
    return Case(who, "small", who, who + " run", argv(""), after=remove, idle_argv=argv("wait"))


def bwrap_case(plan):
    argv = [plan.programs["bwrap"].path, "--ro-bind", plan.artefacts.root, "/", "--unshare-all",
            "/init"]
    return Case("bwrap", "small", "bwrap", "bubblewrap", argv, idle_argv=argv + ["wait"])


def podman_case(plan):
    program = plan.programs["podman"].path
    argv = [program, "--root", plan.folder("podman/root"), "--runroot",
            plan.folder("podman/run"), "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
            "--events-backend", "none", "run", "--rm", "--network", "none",
            "--rootfs", plan.artefacts.root, "/init"]
    return Case("podman", "small", "podman", "podman run", argv,
                idle_argv=argv + ["wait"])


def exec_case(plan):
    program = plan.artefacts.program
    return Case("exec", "small", "exec", "fork and exec on the host", [program],
                idle_argv=[program, "wait"])


def bare_case(plan):
    return Case("bare", "small", "bare", "clone and pivot_root, nothing else", ["/init"],
                contain=plan.artefacts.root, note="no program does it: a floor for containers")


MAKERS = {
    "qemu-microvm": qemu_microvm_cases,
    "qemu-q35": qemu_q35_cases,
    "kvmtool": kvmtool_cases,
    "firecracker": firecracker_cases,
    "cloud-hypervisor": cloud_hypervisor_cases,
    "runc": lambda plan: [bundle_case(plan, "runc")],
    "crun": lambda plan: [bundle_case(plan, "crun")],
    "bwrap": lambda plan: [bwrap_case(plan)],
    "podman": lambda plan: [podman_case(plan)],
    "bare": lambda plan: [bare_case(plan)],
    "exec": lambda plan: [exec_case(plan)],
}


def all_cases(plan):
    cases = list(vmm_cases(plan))
    for peer in plan.peers:
        cases += MAKERS[peer](plan)
    if plan.only:
        cases = [case for case in cases if any(word in case.name for word in plan.only)]
    return cases
