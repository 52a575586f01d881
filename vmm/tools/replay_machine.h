/*
 * The machine that a trace was recorded of, built once more without KVM and without what it had of
 * the host: its disks are empty, its networks and consoles lead nowhere, no kernel is loaded. A
 * trace is a stranger's: none of the files that its command line names is opened.
 *
 * One thread.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/config.h"
#include "vmm/machine.h"
#include "vmm/tools/trace_file.h"

enum {
	REPLAY_WORDS_MAX = TRACE_FACTS_MAX
};

/* A console's place, and another for it. */
struct replay_place {
	const char *was; /* borrowed */
	char is[80];
};

struct replay_machine {
	struct machine machine;
	struct vm_config config;
	char *words[REPLAY_WORDS_MAX];
	int disk_fds[CONFIG_DISKS_MAX];
	char disk_paths[CONFIG_DISKS_MAX][40];
	char folder[40]; /* of a vsock's sockets; or "" */
	char socket[64];
	bool vhost[CONFIG_NICS_MAX]; /* the host's kernel may have worked on its queues */
	const char *serial;	     /* its place was, borrowed */
	struct replay_place places[MACHINE_CONSOLES_MAX];
	unsigned place_count;
	bool is_made;
};

/*
 * Reads the recorded command line and makes its machine, with `hooks` (paper and tape) in the place
 * of the host. `made` is zero. Error: -errno and a sentence; replay_machine_finish() is due in
 * either case.
 */
int replay_machine_make(struct replay_machine *made, const struct trace_file *file,
	const struct machine_hooks *hooks, struct err *err);
void replay_machine_finish(struct replay_machine *made);
