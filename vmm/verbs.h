/*
 * The verbs: words that stand first on the command line and do something else
 * than run a machine. One list for main.c (which has a function run_NAME for each), the
 * help, the man page and the completions.
 *
 * VERB(name, arguments, what completes them: "file", "verb" or "", summary, text)
 */
#pragma once

#define VERB_TABLE(VERB)                                                                           \
	VERB(doctor, "[-q]", "", "say what this host's KVM can do",                                \
		"Runs small guests on /dev/kvm and prints a table of what works and one sentence " \
		"of verdict. With -q only the exit status tells. Exit status 0: stock kernels "    \
		"run here. 3: they do not, and the verdict says why and what helps.")              \
	VERB(inspect, "FILE", "file", "say what a kernel, initrd or disk image is",                \
		"Looks into the file, whatever its name is, and prints what it is and what vmm "   \
		"would do with it: format, version, entry points and compression of a kernel, "    \
		"partitions and file systems of a disk.")                                          \
	VERB(help, "[VERB]", "verb", "explain the options, or one verb",                           \
		"Without a word it is the same as --help.")                                        \
	VERB(version, "", "", "print the version", "It is the same as --version.")

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
