/*
 * See config.h. The defaults stand in config_parse(), the options in one table.
 */
#include "vmm/config.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/log.h"
#include "vmm/runtime_dir.h"
#include "vmm/verbs.h"

/* ---- --disk ---- */

const struct opt config_disk_keys[] = {
	{.name = "path",
		.type = OPT_TEXT,
		.offset = offsetof(struct disk_config, path),
		.value = "FILE",
		.help = "the image or block device; the key itself may be left out when it stands "
			"first"},
	{.name = "ro",
		.alias = "readonly",
		.type = OPT_FLAG,
		.offset = offsetof(struct disk_config, read_only),
		.help = "the guest can't write"},
	{.name = "ephemeral",
		.type = OPT_FLAG,
		.offset = offsetof(struct disk_config, ephemeral),
		.help = "what the guest writes is thrown away at the end, the file stays as it is"},
	{.name = "serial",
		.type = OPT_TEXT,
		.offset = offsetof(struct disk_config, serial),
		.value = "TEXT",
		.help = "the disk's serial number, up to 20 characters: the guest's udev makes "
			"/dev/disk/by-id/virtio-TEXT"},
	OPT_END,
};

static int check_disk(const struct disk_config *disk, struct err *err)
{
	size_t len = disk->serial ? strlen(disk->serial) : 0;

	if (!disk->path)
		return err_set(
			err, EXIT_CODE_USAGE, EINVAL, "--disk needs a FILE: --disk FILE[,KEY...]");
	if (disk->read_only && disk->ephemeral)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--disk: ro and ephemeral exclude each other: with ephemeral the guest "
			"can write, and the file stays as it is");
	if (len > CONFIG_DISK_SERIAL_MAX)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--disk: serial has %zu characters; it can have up to %d", len,
			CONFIG_DISK_SERIAL_MAX);
	for (size_t i = 0; i < len; i++)
		if (disk->serial[i] < 0x20 || disk->serial[i] > 0x7e)
			return err_set(err, EXIT_CODE_USAGE, EINVAL,
				"--disk: serial '%s' has a character that is not printable ASCII",
				disk->serial);
	return 0;
}

static int parse_disk(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct vm_config *config = target;
	struct disk_config *disk;
	int ret;

	(void)opt;
	if (config->disk_count == CONFIG_DISKS_MAX)
		return err_set(err, EXIT_CODE_USAGE, E2BIG, "--disk is given more than %d times",
			CONFIG_DISKS_MAX);
	disk = &config->disks[config->disk_count++];
	disk->text = strdup(text);
	if (!disk->text)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for the options");
	ret = opts_parse_keys(config_disk_keys, "--disk", disk->text, disk, err);
	return ret < 0 ? ret : check_disk(disk, err);
}

/* ---- Name, clock ---- */

/* The name becomes part of file names and of lines for people. */
static int parse_name(void *target, const struct opt *opt, const char *text, struct err *err)
{
	struct vm_config *config = target;

	(void)opt;
	if (!runtime_name_is_legal(text))
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--name: '%.70s' is no name: it can have up to %d letters, digits, '.', "
			"'_' and '-', and begins with none of '.' and '-'",
			text, RUNTIME_NAME_MAX);
	config->has_name = true;
	config->name = text;
	return 0;
}

static int parse_rtc_base(void *target, const struct opt *opt, const char *text, struct err *err)
{
	const int64_t year_10000_s = INT64_C(253402300800);
	struct vm_config *config = target;
	struct tm tm = {0};
	const char *end;
	uint64_t seconds;

	(void)opt;
	if (!strcmp(text, "utc")) {
		config->rtc_base_s = -1;
		return 0;
	}
	if (!text[strspn(text, "0123456789")]) {
		int ret = opts_parse_number(
			"--rtc-base", text, 0, (uint64_t)year_10000_s - 1, &seconds, err);

		config->rtc_base_s = (int64_t)seconds;
		return ret;
	}
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	config->rtc_base_s = end ? timegm(&tm) : -1;
	if (!end || *end || config->rtc_base_s < 0 || config->rtc_base_s >= year_10000_s)
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"--rtc-base: '%.60s' is neither utc, nor a time since 1970 like "
			"2024-01-31T12:00:00, nor that in seconds",
			text);
	return 0;
}

/* ---- The table ---- */

#define FIELD(name) .offset = offsetof(struct vm_config, name)

const struct opt config_options[] = {
	{.name = "kernel",
		.type = OPT_TEXT,
		FIELD(kernel),
		.value = "FILE",
		.choices = "file",
		.group = "What to boot",
		.help = "The kernel: a Linux bzImage, an ELF file like vmlinux, or a boot sector. "
			"Told apart by looking into the file."},
	{.name = "initrd",
		.alias = "initramfs",
		.type = OPT_CUSTOM,
		.repeats = true,
		.parse = config_parse_initrd,
		.value = "FILE",
		.choices = "file",
		.help = "The initial RAM disk. For a Multiboot kernel a module: up to 16, each a "
			"file or 'FILE WORDS'."},
	{.name = "append",
		.alias = "cmdline",
		.type = OPT_TEXT,
		.may_be_empty = true,
		FIELD(append),
		.value = "TEXT",
		.help = "Words for the kernel's command line. console= and, with a disk, root= "
			"are added unless the text already says something about them."},
	{.name = "disk",
		.type = OPT_CUSTOM,
		.repeats = true,
		.parse = parse_disk,
		.keys = config_disk_keys,
		.value = "FILE[,KEY...]",
		.choices = "file",
		.help = "A disk: a raw image or a block device. The first is /dev/vda in the "
			"guest, the second /dev/vdb."},
	{.name = "flat",
		.type = OPT_CUSTOM,
		.parse = config_parse_flat,
		.value = "ADDR[,16|32|64]",
		.help = "The kernel is a binary without a format: its bytes go to address ADDR, "
			"where it is entered in real, protected or (the default) long mode."},
	{.name = "boot-sector",
		.type = OPT_FLAG,
		FIELD(boot_sector),
		.help = "Start the boot sector of the first --disk, or of a --kernel that looks "
			"like a disk, as the BIOS of a PC does."},
	{.name = "no-boot-words",
		.type = OPT_FLAG,
		FIELD(no_boot_words),
		.help = "Do not tell a Linux kernel to leave out what only costs time at its "
			"start, or wakes it when idle: see MACHINES in the manual."},
	{.name = "no-unpack",
		.type = OPT_FLAG,
		FIELD(no_unpack),
		.help = "Let the kernel's own code unpack it, as firmware would. Without this vmm "
			"unpacks gzip, LZ4, Zstandard and XZ itself, which is faster."},
	{.name = "no-kernel-cache",
		.type = OPT_FLAG,
		FIELD(no_kernel_cache),
		.help = "Neither keep the unpacked kernel for the next start nor look for one "
			"that was kept."},

	{.name = "machine",
		.type = OPT_CUSTOM,
		.parse = config_parse_machine,
		.value = "pc|micro",
		.choices = "pc micro",
		.group = "The machine",
		.help = "pc (the default) is what any kernel knows: ACPI, serial port, clock chip. "
			"micro starts faster and has virtio devices and hvc0 only, described by a "
			"device tree: for kernels built for it, such as guest-micro's."},
	{.name = "cpus",
		.type = OPT_NUMBER,
		FIELD(cpus),
		.min = 1,
		.max = CONFIG_CPUS_MAX,
		.value = "N",
		.help = "Number of processors, 1 to 255. Default: as many as this host has, but "
			"at most 4."},
	{.name = "memory",
		.letter = 'm',
		.type = OPT_SIZE,
		FIELD(memory_bytes),
		.min = CONFIG_MEMORY_MIN,
		.max = CONFIG_MEMORY_MAX,
		.step = MIB,
		.value = "SIZE",
		.help = "Memory, like 512M or 4G; 32M at least. Default: 1G. The host gives it "
			"when the guest first touches it."},
	{.name = "hugepages",
		.type = OPT_FLAG,
		FIELD(hugepages),
		.help = "Take the memory from the host's pool of 2 MiB pages "
			"(/proc/sys/vm/nr_hugepages)."},
	{.name = "balloon",
		.type = OPT_SIZE,
		FIELD(balloon_keep_bytes),
		.min = CONFIG_MEMORY_MIN,
		.max = CONFIG_MEMORY_MAX,
		.step = MIB,
		.value = "SIZE",
		.help = "How much of its memory the guest keeps at first; the rest it gives back "
			"to the host. Default: all of it."},
	{.name = "vsock",
		.type = OPT_CUSTOM,
		.parse = config_parse_vsock,
		.keys = config_vsock_keys,
		.value = "[CID,]path=PATH",
		.help = "Sockets (AF_VSOCK) between the guest and programs of this host."},
	{.name = "no-balloon",
		.type = OPT_FLAG,
		FIELD(no_balloon),
		.help = "No memory goes back to the host. Without this what the guest frees does, "
			"by a virtio-balloon device."},
	{.name = "no-rng",
		.type = OPT_FLAG,
		FIELD(no_rng),
		.help = "No random numbers from the host. Without this the guest gets a "
			"virtio-rng device."},
	{.name = "rtc-base",
		.type = OPT_CUSTOM,
		.parse = parse_rtc_base,
		.value = "TIME",
		.choices = "utc",
		.help = "Where the guest's clock starts: utc (now, the default), a time like "
			"2024-01-31T12:00:00, or seconds since 1970."},
	{.name = "name",
		.type = OPT_CUSTOM,
		.parse = parse_name,
		.value = "NAME",
		.help = "The machine's name, by which vmm list, vmm stop and others find it. "
			"Default: the first of vmm, vmm2, vmm3 and so on that is not running."},

	{.name = "net",
		.type = OPT_CUSTOM,
		.repeats = true,
		.parse = config_parse_net,
		.keys = config_net_keys,
		.value = "user|tap=IFNAME|fd=N|socket=PATH|none[,KEY...]",
		.choices = "user none tap= fd= socket=",
		.group = "Network",
		.help = "A network card and its host side; up to 8. Default: one, user."},
	{.name = "publish",
		.letter = 'p',
		.type = OPT_CUSTOM,
		.repeats = true,
		.parse = config_parse_publish,
		.value = "[HOSTIP:]HOSTPORT:GUESTPORT[/udp]",
		.help = "Forward a port of this host to the guest, through the first user network: "
			"-p 2222:22. HOSTIP is 127.0.0.1 unless it is said, so that only this host "
			"can connect; 0.0.0.0 opens the port to others."},

	{.name = "display",
		.type = OPT_CUSTOM,
		.repeats = true,
		.parse = config_parse_display,
		.keys = config_display_keys,
		.value = "none|sdl|vnc=PLACE[,KEY...]",
		.choices = "none sdl vnc=",
		.group = "Screen",
		.help = "A screen, and where it is shown: in a window, to VNC viewers (both: give "
			"it twice), or nowhere. Default: a window, if the desktop's DISPLAY or "
			"WAYLAND_DISPLAY is set, standard output is no terminal, and no option "
			"says "
			"anything of consoles; else there is no screen."},
	{.name = "pointer",
		.type = OPT_CUSTOM,
		.parse = config_parse_pointer,
		.value = "tablet|mouse",
		.choices = "tablet mouse",
		.help = "What the guest points with: a tablet, which is where the host's pointer "
			"is "
			"(the default), or a mouse, for which the window has to grab the pointer."},

	{.name = "serial",
		.type = OPT_CUSTOM,
		.parse = config_parse_console,
		FIELD(serial),
		.value = "stdio|pty|file:PATH|unix:PATH|pipe:PATH|null|none",
		.choices = "stdio pty file: unix: pipe: null none",
		.group = "Consoles",
		.help = "The host's side of the serial port: this terminal (the default), a "
			"pseudo-terminal, a file, a listening socket, a FIFO or a pair of them, "
			"nothing, or no port at all (the default with --console hvc0)."},
	{.name = "hvc0",
		.type = OPT_CUSTOM,
		.parse = config_parse_console,
		FIELD(hvc0),
		.value = "stdio|pty|file:PATH|unix:PATH|pipe:PATH|null|none",
		.choices = "stdio pty file: unix: pipe: null none",
		.help = "The same for the virtio console hvc0. Default: this terminal with "
			"--console hvc0 or both, else none."},
	{.name = "console",
		.type = OPT_CUSTOM,
		.parse = config_parse_kernel_console,
		.value = "serial|hvc0|both",
		.choices = "serial hvc0 both",
		.help = "The guest kernel's console: the serial port ttyS0 (the default), which "
			"shows everything from the first line; hvc0, which is faster and knows the "
			"size of the window, but shows nothing before its driver is there; or "
			"both, "
			"with the keys for hvc0."},
	{.name = "port",
		.type = OPT_CUSTOM,
		.repeats = true,
		.parse = config_parse_port,
		.value = "NAME=stdio|pty|file:PATH|unix:PATH|pipe:PATH|null",
		.help = "A channel between a program in the guest and one on the host: "
			"/dev/virtio-ports/NAME there, and here what stands behind the =. Up to "
			"15."},
	{.name = "debugcon",
		.type = OPT_CUSTOM,
		.parse = config_parse_console,
		FIELD(debugcon),
		.value = "stdio|pty|file:PATH|unix:PATH|pipe:PATH|null|none",
		.choices = "stdio pty file: unix: pipe: null none",
		.help = "The same for the debug console at port 0xe9. Default: with the serial "
			"port, or else with hvc0."},

	{.name = "timeout",
		.type = OPT_SECONDS,
		FIELD(timeout_ms),
		.min = 1,
		.max = CONFIG_SECONDS_MAX * UINT64_C(1000),
		.value = "SECONDS",
		.group = "The end",
		.help = "End the machine by force after this time, with exit status 36."},
	{.name = "watchdog",
		.type = OPT_CUSTOM,
		.parse = config_parse_watchdog,
		.value = "SECONDS[,exit]|off",
		.choices = "off",
		.help = "When the guest has printed nothing for so long, look at what it does and "
			"say on stderr if and why it hangs; with exit also end it, with status 37. "
			"Default: 10 if the console is a terminal, else off."},
	{.name = "symbols",
		.type = OPT_TEXT,
		FIELD(symbols),
		.value = "FILE",
		.choices = "file",
		.help = "The kernel's vmlinux or System.map, to name places in it. Default: what "
			"lies beside the kernel."},
	{.name = "grace",
		.type = OPT_SECONDS,
		FIELD(grace_ms),
		.max = CONFIG_SECONDS_MAX * UINT64_C(1000),
		.value = "SECONDS",
		.help = "SIGTERM presses the power button; this long after it the machine is ended "
			"by force. Default: 30."},
	{.name = "no-reboot",
		.type = OPT_FLAG,
		FIELD(no_reboot),
		.help = "A reset by the guest ends vmm, with exit status 32."},

	{.name = "gdb",
		.type = OPT_CUSTOM,
		.parse = config_parse_gdb,
		.keys = config_gdb_keys,
		.implied = GDB_PLACE_DEFAULT,
		.value = "unix:PATH|tcp:[ADDRESS:]PORT[,KEY...]",
		.choices = "unix: tcp:",
		.group = "Debugging",
		.help = "Let gdb connect, at a socket or a TCP port of this host, to stop and step "
			"the guest and see and change its registers and memory. Alone: port 1234 "
			"of 127.0.0.1."},
	{.name = "gdb-wait",
		.type = OPT_FLAG,
		.offset = offsetof(struct vm_config, gdb.waits),
		.help = "The guest stands at its first instruction until gdb has connected and "
			"says continue. Means --gdb, if that is not said."},

	{.name = "boot-timer",
		.type = OPT_CUSTOM,
		.parse = config_parse_boot_timer,
		.implied = "text",
		.value = "FORMAT",
		.choices = "text json",
		.group = "Messages",
		.help = "When it has ended, tell on stderr how long each step of its start took: "
			"as a table (text), or as one line of json."},
	{.name = "trace",
		.type = OPT_CUSTOM,
		.parse = config_parse_trace,
		.keys = config_trace_keys,
		.value = "FILE[,record]",
		.choices = "file",
		.help = "Write every exit of the guest with its time to FILE, and what devices did "
			"meanwhile: vmm trace FILE shows it."},
	{.name = "quiet",
		.letter = 'q',
		.type = OPT_FLAG,
		FIELD(quiet),
		.help = "Only errors and warnings on stderr."},
	{.name = "verbose",
		.letter = 'v',
		.type = OPT_FLAG,
		FIELD(verbose),
		.help = "More on stderr."},
	{.name = "explain",
		.type = OPT_CUSTOM,
		.parse = config_parse_explain,
		.implied = "-",
		.value = "FILE",
		.choices = "file",
		.help = "Tell the start of the machine step by step, on stderr or to FILE: its "
			"files, the words of the command line, each call of KVM, devices, memory, "
			"what the kernel is told, and its first instruction. Then the guest runs."},
	{.name = "explain-only",
		.type = OPT_FLAG,
		FIELD(explain_only),
		.help = "The same on standard output, and end before the first instruction. Works "
			"without KVM as well."},
	{.name = "print-cmdline",
		.type = OPT_CUSTOM,
		.parse = config_parse_peer,
		.value = "qemu|firecracker|vmm",
		.choices = "qemu firecracker vmm",
		.help = "Print the command by which QEMU or vmm runs this guest, or Firecracker's "
			"configuration file, and end; on stderr what has no equal there."},
	{.name = "dump-acpi",
		.type = OPT_TEXT,
		FIELD(dump_acpi),
		.value = "DIR",
		.choices = "file",
		.help = "Write the machine's ACPI tables as files into the folder DIR and end: "
			"iasl -d reads them. Needs no KVM and no --kernel."},
	{.name = "dump-dtb",
		.type = OPT_TEXT,
		FIELD(dump_dtb),
		.value = "FILE",
		.choices = "file",
		.help = "Write the machine's device tree to FILE (- is standard output) and end. "
			"Needs no KVM and no --kernel."},
	{.name = "help", .letter = 'h', .type = OPT_FLAG, FIELD(show_help), .help = "This text."},
	{.name = "version",
		.letter = 'V',
		.type = OPT_FLAG,
		FIELD(show_version),
		.help = "The version."},
	OPT_END,
};

/* ---- Parsing ---- */

/* Processors that this process may run on: a container may have been given fewer. */
static unsigned host_cpus(void)
{
	cpu_set_t set;
	long count;

	if (!sched_getaffinity(0, sizeof(set), &set))
		return (unsigned)CPU_COUNT(&set);
	count = sysconf(_SC_NPROCESSORS_ONLN);
	return count > 0 ? (unsigned)count : 1;
}

/* The option that the word before names, if it takes a value in one way only. */
static const struct opt *find_asking(const char *before)
{
	for (const struct opt *opt = config_options; opt->name; opt++)
		if (opt->implied && !strncmp(before, "--", 2) && !strcmp(before + 2, opt->name))
			return opt;
	return NULL;
}

/* A word that belongs to no option: a file whose option was forgotten, or a misspelt verb. */
static int refuse_operand(const char *word, const char *before, struct err *err)
{
	const char *nearest = verb_nearest(word);
	const struct opt *asking = find_asking(before);
	int ret = err_set(
		err, EXIT_CODE_USAGE, EINVAL, "'%.200s' is neither an option nor a verb", word);

	if (asking)
		err_hint(err, "A value of --%s stands behind a =: --%s=%.60s", asking->name,
			asking->name, word);
	else if (nearest && !strcmp(nearest, word))
		err_hint(err, "A verb stands first: vmm %s", word);
	else if (!access(word, F_OK))
		err_hint(err,
			"To boot a kernel: vmm --kernel %.100s; for a disk: --disk %.100s. "
			"vmm inspect %.100s says what the file is",
			word, word, word);
	else if (nearest)
		err_hint(err, "Did you mean vmm %s?", nearest);
	else
		err_hint(err, "vmm --help lists options and verbs");
	return ret;
}

/* What one option alone can't tell. */
static int check_together(struct vm_config *config, struct err *err)
{
	if (config_check_kernel(config, err) < 0)
		return -EINVAL;
	if (config->hugepages && config->memory_bytes % (2 * MIB))
		return err_set(err, EXIT_CODE_USAGE, EINVAL,
			"with --hugepages the --memory has to be a multiple of 2M");
	if (config_check_balloon(config, err) < 0)
		return -EINVAL;
	if (config->quiet && config->verbose)
		return err_set(
			err, EXIT_CODE_USAGE, EINVAL, "--quiet and --verbose exclude each other");
	config_check_display(config);
	if (config_check_machine(config, err) < 0)
		return -EINVAL;
	if (config_check_gdb(config, err) < 0)
		return -EINVAL;
	if (config_check_consoles(config, err) < 0)
		return -EINVAL;
	return config_check_net(config, err);
}

int config_parse(int argc, char *const *argv, struct vm_config *config, struct err *err)
{
	int used, ret;

	*config = (struct vm_config){
		.name = "vmm",
		.memory_bytes = CONFIG_MEMORY_DEFAULT,
		.cpus = MIN(host_cpus(), (unsigned)CONFIG_CPUS_DEFAULT),
		.rtc_base_s = -1,
		.grace_ms = CONFIG_GRACE_DEFAULT_MS,
		.words = argv,
		.word_count = argc,
	};
	ret = opts_parse_words(config_options, argc, argv, config, &used, err);
	if (ret < 0 || config->show_help || config->show_version)
		return ret;
	if (used < argc)
		return refuse_operand(argv[used], used ? argv[used - 1] : "", err);
	return check_together(config, err);
}

void config_finish(struct vm_config *config)
{
	for (unsigned i = 0; i < config->disk_count; i++)
		free(config->disks[i].text);
	config->disk_count = 0;
	free(config->vsock.text);
	config->vsock.text = NULL;
	free(config->trace.text);
	config->trace.text = NULL;
	config_finish_net(config);
	config_finish_ports(config);
	config_finish_display(config);
	config_finish_gdb(config);
}

int config_check_memory(const struct vm_config *config, uint64_t host_bytes, struct err *err)
{
	char wanted[24];

	if (config->memory_bytes <= host_bytes)
		return 0;
	opts_format_size(config->memory_bytes, wanted, sizeof(wanted));
	/*
	 * Linux keeps 64 bytes for each page of 4 KiB and writes them all when it
	 * starts: with more than this it can't even begin.
	 */
	if (config->memory_bytes / 64 > host_bytes)
		return err_set(err, EXIT_CODE_USAGE, ENOMEM,
			"--memory: %s can't work here: this host has %llu MiB of RAM and swap, and "
			"the guest's own page table of it takes %llu MiB",
			wanted, (unsigned long long)(host_bytes / MIB),
			(unsigned long long)(config->memory_bytes / 64 / MIB));
	log_warn("--memory %s is more than this host's RAM and swap (%llu MiB): when the "
		 "guest uses it all, the host kills a process",
		wanted, (unsigned long long)(host_bytes / MIB));
	return 0;
}
