/*
 * The verbs: words that stand first on the command line and do something else
 * than run a machine. One list for main.c (which has a function run_NAME for each), the
 * help, the man page and the completions.
 *
 * VERB(name, arguments, what completes them: "file", "verb", "machine" or "", summary, text)
 */
#pragma once

#define VERB_TABLE(VERB)                                                                           \
	VERB(doctor, "[-q]", "", "say what this host's KVM can do",                                \
		"Runs small guests on /dev/kvm and prints a table of what works and one sentence " \
		"of verdict. With -q only the exit status tells. Exit status 0: stock kernels "    \
		"run here. 3: they do not, and the verdict says why and what helps.")              \
	VERB(list, "[-q] [--json]", "", "show the running machines",                               \
		"Prints a table of your running machines: name, process, state, processors, "      \
		"memory, how long they have been running, and what they run. A machine whose "     \
		"process does not answer is shown as silent. With -q names only, one a line; "     \
		"with --json an array for programs.")                                              \
	VERB(status, "NAME", "machine", "say more about one running machine",                      \
		"Prints lines KEY=VALUE: state, guest, memory in bytes, disks, consoles.")         \
	VERB(stop, "NAME [--timeout SECONDS]", "machine", "ask a machine to power off and wait",   \
		"Presses the machine's power button, as SIGTERM does, and waits until its "        \
		"process has ended, 60 seconds or as --timeout says. Exit status 0: it has "       \
		"ended. 36: it has not; it runs on. 6: there is no such machine, or it does not "  \
		"answer.")                                                                         \
	VERB(kill, "NAME", "machine", "end a machine at once",                                     \
		"The guest has no time to write anything back. A machine that does not answer "    \
		"within a second gets SIGKILL. Exit status 0: its process has ended.")             \
	VERB(console, "NAME [-c CONSOLE] [--send]", "machine",                                     \
		"attach this terminal to a console",                                               \
		"Shows the last 64 KiB of the console's output, then what comes, and types what "  \
		"you type; the console's own place and other clients stay as they are. Ctrl-a d "  \
		"(or Ctrl-a x) leaves and the machine runs on; Ctrl-a h lists the keys. With -c "  \
		"another console than the first: vmm status lists them. Standard input may be a "  \
		"pipe or a file; nothing of it is lost, however slow the guest is. Its end does "  \
		"not end vmm, unless --send is given: then it leaves as soon as the guest has "    \
		"taken all of it. Exit status 0: left, or the machine has ended.")                 \
	VERB(link, "NAME [NIC] up|down", "machine", "plug or unplug a network cable",              \
		"Unplugs the cable of a network card of the machine, or plugs it in again; the "   \
		"guest notices as it would with a real one. NIC counts from 0 (the default), as "  \
		"vmm status shows the cards.")                                                     \
	VERB(balloon, "NAME [SIZE]", "machine", "take memory from a guest, or give it back",       \
		"With a SIZE (like 512M) the guest is asked to make do with that much of its "     \
		"memory; what it gives up goes back to the host. It does so in its own time, and " \
		"takes memory back where it would else run out. Without a SIZE prints lines "      \
		"KEY=VALUE in bytes: what is wanted, what the guest has now, what was given "      \
		"back, and the guest's own statistics.")                                           \
	VERB(resize, "NAME WIDTHxHEIGHT", "machine", "ask for another size of a guest's screen",   \
		"Tells the guest that its monitor is another one, as a window does whose size is " \
		"changed. A graphical session on virtio-gpu that looks for that follows in its "   \
		"own time; the text console keeps the size it was started with.")                  \
	VERB(screenshot, "NAME FILE.png", "machine", "save a picture of a machine's screen",       \
		"Writes what is on the screen now, in the guest's own size and without the "       \
		"pointer, as a PNG file; - stands for standard output. The machine may run, be "   \
		"paused, and have no window (--display none). A file that is there is replaced "   \
		"when the new one is whole.")                                                      \
	VERB(key, "NAME KEY...", "machine", "press keys of a machine with a screen",               \
		"Presses and releases one key after the other. Keys are places on a keyboard, "    \
		"named as Linux names them: a, 1, f1, enter, leftshift, kpenter, volumeup; also "  \
		"ctrl, alt, shift, win, altgr, del. Several at once are joined: "                  \
		"vmm key NAME ctrl-alt-delete. What they mean is the guest's keyboard layout's "   \
		"business. Exit status 0: the guest has taken them. 6: it does not, or there is "  \
		"no such machine.")                                                                \
	VERB(type, "NAME TEXT", "machine", "type a text on a US keyboard",                         \
		"As vmm key, with the keys that make this text where the guest's layout is US. "   \
		"The text is one word of the command line; a line feed in it is Enter.")           \
	VERB(pointer, "NAME WORD...", "machine", "move the pointer, click, turn the wheel",        \
		"Each word is one act: X,Y a pixel of the screen as it is now; by=DX,DY a "        \
		"movement, with --pointer mouse; left, right, middle, side or extra a click; "     \
		"wheel-up, wheel-down, wheel-left or wheel-right a notch.")                        \
	VERB(pause, "NAME", "machine", "let a machine stand still",                                \
		"All its processors stop until vmm resume. Its memory stays, its disks and "       \
		"connections stay open. Its clocks go on: after the pause the guest's time is "    \
		"right, as after a laptop's sleep.")                                               \
	VERB(resume, "NAME", "machine", "let a paused machine go on",                              \
		"The guest goes on where it stood still, and is told that it did.")                \
	VERB(help, "[VERB]", "verb", "explain the options, or one verb",                           \
		"Without a word it is the same as --help.")                                        \
	VERB(version, "", "", "print the version", "It is the same as --version.")

/*
 * The verbs that are programs of their own (tool_exec.h), with the same columns. What is named here
 * is built from vmm/tools/vmm_NAME.c or is the script vmm/tools/NAME.
 */
#define TOOL_TABLE(TOOL)                                                                           \
	TOOL(stat, "NAME [--json]", "machine", "print a running machine's counters",               \
		"Lines KEY=VALUE, or with --json an object: memory and processor time of the "     \
		"process, requests and bytes of disks and network cards, kicks and interrupts of " \
		"other devices, and for each processor the time that its thread ran, its exits "   \
		"to vmm by kind, and KVM's own counts. They grow from the start of the machine; "  \
		"those of processors begin anew with a reset.")                                    \
	TOOL(top, "[-d SECONDS] [-n COUNT] [NAME...]", "machine",                                  \
		"watch running machines and their processors",                                     \
		"Shows every SECONDS (1), for the machines named or all that run, what they do "   \
		"in a second: exits by kind, interrupts, kicks, bytes and requests of disks and "  \
		"network cards, and how much of the time each processor ran and slept. q ends "    \
		"it, as does -n after COUNT pictures. Where standard output is no terminal each "  \
		"picture is printed below the one before. The first one is about the time since "  \
		"the machine's start.")                                                            \
	TOOL(grade, "[OPTIONS] LAB.toml|FOLDER...", "file", "build and test what students wrote",  \
		"Builds each folder by the rules of its lab and runs every test in a machine of "  \
		"its own. A FOLDER is a lab, of which start/ is graded, or a student's folder "    \
		"inside of one; with --lab LAB all are students' folders, and LAB is theirs, "     \
		"or the folder of all. Prints a table of points, and of each failed test what "    \
		"was expected and what came; -q leaves that out. --hidden DIR adds the tests of "  \
		"DIR/NAME-OF-THE-LAB/TESTS.toml, --test WORDS takes only those whose names hold "  \
		"the words, -j N runs so many at a time (default: one for each processor). "       \
		"--tap FILE, --junit FILE and --json FILE write reports (- is standard output). "  \
		"--no-sandbox builds without bubblewrap. Exit status 0: all passed. 1: some "      \
		"did not. 2: usage. 3: KVM unusable. 4: a faulty LAB.toml. 5: another failure. "   \
		"The format: guest-images/labs/LAB-FORMAT.md.")                                    \
	TOOL(inspect, "FILE [--json] [--config]", "file",                                          \
		"say what a kernel, initrd or disk image is",                                      \
		"Looks into the file, whatever its name is, and prints what it is and what vmm "   \
		"would do with it: version, packing, entry and every header field of a kernel, "   \
		"notes and segments of an ELF file, the files of an initrd, partitions and file "  \
		"systems of a disk, the source of a device tree. With --json an object for "       \
		"programs. With --config only the configuration that was built into a Linux "      \
		"kernel (CONFIG_IKCONFIG); exit status 4: there is none.")                         \
	TOOL(replay, "FILE [--differences N]", "file", "compare devices with a recording of them", \
		"Takes a recording (--trace FILE,record) and builds its machine once more, "       \
		"without KVM, disks and networks. Gives the devices all that the guest wrote and " \
		"read and all that the host said, and compares what they answer and how they "     \
		"interrupt. Prints the first differences (10, or N) and a line for each device, "  \
		"which says what of it was compared. Exit status 0: all of that is the same. "     \
		"1: not. 4: the file is no recording, or not of a machine that this vmm makes.")   \
	TOOL(trace, "FILE [OPTION...]", "file", "show the exits of a guest that ran with --trace", \
		"Prints what the exits in FILE were for: by reason and device, by processor, "     \
		"over time, with the guest's marks and the slowest ones (--slowest N, 10). "       \
		"--vcpu N, --device NAME, --from SECONDS and --to SECONDS (since the begin of "    \
		"the trace) leave out what happened elsewhere and at other times; with --raw "     \
		"each event has a line of its own. --perfetto OUT.json writes it for "             \
		"ui.perfetto.dev and chrome://tracing, --html OUT.html as a page with a "          \
		"timeline that needs no network; - is standard output.")                           \
	TOOL(bench, "boot|merge|report [OPTIONS]", "",                                             \
		"measure starts, beside containers and others",                                    \
		"boot starts the same static program in vmm, in the containers and in the other "  \
		"programs for virtual machines that are installed, and by itself, in turn, and "   \
		"writes what each start took: time, processor time, exits, memory. report makes "  \
		"the report of a result again, merge one result of several. "                      \
		"vmm bench boot --help lists the options.")

struct verb {
	const char *name;
	const char *arguments;
	const char *completes;
	const char *summary;
	const char *text;
};

/* Ended by a zero entry. */
extern const struct verb verbs[];

/* The verb of that name, or NULL. */
const struct verb *verb_find(const char *name);

/* The verb that `word` most likely meant, or NULL. */
const char *verb_nearest(const char *word);
