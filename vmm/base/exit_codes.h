/*
 * The exit statuses of the program: one list for --help, the man page, the
 * tests and the code. Statuses of 128+n mean that signal n ended the program.
 * A guest that writes to the debug-exit port chooses the status itself, 1:1.
 */
#pragma once

#define EXIT_CODE_TABLE(X)                                                                         \
	X(EXIT_CODE_OK, 0, "the guest powered off, or the verb succeeded")                         \
	X(EXIT_CODE_INTERNAL, 1, "vmm itself failed (out of memory, an internal error)")           \
	X(EXIT_CODE_USAGE, 2, "the command line is wrong")                                         \
	X(EXIT_CODE_KVM, 3, "KVM can't be used here (see vmm doctor)")                             \
	X(EXIT_CODE_IMAGE, 4, "a kernel, initrd or disk image can't be used")                      \
	X(EXIT_CODE_DEVICE, 5, "a device or its host side can't be set up")                        \
	X(EXIT_CODE_NAME, 6, "no machine of that name runs, or it refused or did not answer")      \
	X(EXIT_CODE_RESET, 32, "the guest asked for a reset and --no-reboot was given")            \
	X(EXIT_CODE_CRASH, 33, "the guest crashed (triple fault, or KVM could not go on)")         \
	X(EXIT_CODE_PANIC, 34, "the guest's kernel panicked")                                      \
	X(EXIT_CODE_TIMEOUT, 36, "the --timeout was reached")                                      \
	X(EXIT_CODE_HUNG, 37, "the guest hung, and --watchdog N,exit was given")

#define EXIT_CODE_ENUM(name, value, text) name = value,
enum exit_code {
	EXIT_CODE_TABLE(EXIT_CODE_ENUM)
};
#undef EXIT_CODE_ENUM

/* Added to a signal's number when it ends the program. */
#define EXIT_CODE_SIGNAL_BASE 128
