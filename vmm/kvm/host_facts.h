/*
 * What this host says about itself: processor, modules, the device node, memory.
 * Only reads files; opens no machine. Knows nothing of why it is asked: cause.h
 * and the doctor judge. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum host_cpu {
	HOST_CPU_OTHER,
	HOST_CPU_INTEL,
	HOST_CPU_AMD
};

struct host_facts {
	/* /proc/cpuinfo */
	enum host_cpu cpu;
	char cpu_model[64];
	unsigned cpu_count;
	bool has_virt_flag;   /* vmx or svm */
	bool is_guest;	      /* the hypervisor flag: this host is a virtual machine */
	bool off_in_firmware; /* the processor's register says so (readable by root only) */

	/* the kernel */
	char kernel[96];
	char modules[64];	/* of KVM that are loaded or built in: "kvm kvm_amd" */
	bool has_vendor_module; /* one of them gives KVM its processor: kvm_intel, kvm_amd, … */
	bool in_container;

	/* /dev/kvm and us */
	bool node_exists;
	bool node_is_device; /* a character device */
	unsigned node_mode;  /* permission bits */
	char node_group[40]; /* name, or the number when it has none */
	bool group_is_ours;  /* this process has the node's group */
	bool group_lists_us; /* the group's list names the user (takes effect at the next login) */
	char user[40];
	uid_t uid;

	/* resources */
	uint64_t memory_bytes, memory_free_bytes;
	uint64_t hugepages_free; /* of 2 MiB */
	char thp[24];		 /* transparent huge pages: "always", "madvise", "never", "" */
	bool has_tun;		 /* /dev/net/tun can be opened */
	char cgroups[64];	 /* where the cgroup2 hierarchy is mounted, "" if nowhere */
	bool cgroups_are_quick;	 /* with favordynmods: its locks wait for no grace period */
};

void host_facts_gather(struct host_facts *facts);

/* "kvm_amd" or "kvm_intel": the module that this processor needs. */
const char *host_facts_module(const struct host_facts *facts);
