/*
 * See cause.h. No state.
 */
#include "vmm/kvm/cause.h"

#include <errno.h>

#include "vmm/base/util.h"

/* Why there is no KVM at all: from the processor upwards. */
static enum kvm_cause cause_of_absence(const struct host_facts *facts)
{
	if (facts->has_vendor_module)
		return facts->in_container ? KVM_CAUSE_CONTAINER : KVM_CAUSE_NO_NODE;
	if (facts->off_in_firmware)
		return KVM_CAUSE_OFF_IN_FIRMWARE;
	if (facts->has_virt_flag)
		return KVM_CAUSE_NO_MODULE;
	return facts->is_guest ? KVM_CAUSE_NOT_NESTED : KVM_CAUSE_NO_HARDWARE;
}

enum kvm_cause kvm_cause_of_open(const struct host_facts *facts, int open_errno)
{
	switch (open_errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return cause_of_absence(facts);
	case EACCES:
		return KVM_CAUSE_NO_PERMISSION;
	case EPERM:
		return KVM_CAUSE_FORBIDDEN;
	case ENOTDIR:
	case EISDIR:
		return KVM_CAUSE_NOT_KVM;
	default:
		return KVM_CAUSE_OTHER;
	}
}

static const char *technology(const struct host_facts *facts)
{
	switch (facts->cpu) {
	case HOST_CPU_INTEL:
		return "Intel VT-x";
	case HOST_CPU_AMD:
		return "AMD-V (SVM)";
	default:
		return "hardware virtualization";
	}
}

/* Three ways in which a group does not let the user in, each with its own command. */
static int explain_permission(const struct host_facts *facts, int errnum, struct err *err)
{
	const char *group = facts->node_group;
	bool group_may = (facts->node_mode & 0060) == 0060;
	int ret;

	if (group_may)
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"no permission to open /dev/kvm: it is for group %s (mode %04o), and user "
			"%s "
			"is not in that group",
			group, facts->node_mode, facts->user);
	else
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"no permission to open /dev/kvm: its mode %04o lets no group in, and user "
			"%s "
			"is not its owner",
			facts->node_mode, facts->user);
	if (!group_may)
		err_hint(err,
			"run `sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm && "
			"sudo usermod -aG kvm %s`, then log out and log in again",
			facts->user);
	else if (facts->group_lists_us)
		err_hint(err,
			"the group's list has %s, but this session is older: log out and log "
			"in again, or run `newgrp %s`",
			facts->user, group);
	else
		err_hint(err, "run `sudo usermod -aG %s %s`, then log out and log in again", group,
			facts->user);
	return ret;
}

static int explain_absence(
	enum kvm_cause cause, const struct host_facts *facts, int errnum, struct err *err)
{
	const char *module = host_facts_module(facts);
	int ret;

	switch (cause) {
	case KVM_CAUSE_NO_HARDWARE:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"there is no /dev/kvm: this processor offers no hardware virtualization "
			"(no vmx or svm in /proc/cpuinfo)");
		err_hint(err,
			"switch %s on in the firmware setup (BIOS/UEFI); if it is not there "
			"the processor has none",
			technology(facts));
		return ret;
	case KVM_CAUSE_OFF_IN_FIRMWARE:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"there is no /dev/kvm: %s is switched off in this machine's firmware",
			technology(facts));
		err_hint(err,
			"switch it on in the firmware setup (BIOS/UEFI), then power the "
			"machine off and on");
		return ret;
	case KVM_CAUSE_NOT_NESTED:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"there is no /dev/kvm: this host is itself a virtual machine, and its "
			"hypervisor passes no hardware virtualization on (no nested "
			"virtualization)");
		err_hint(err,
			"switch nested virtualization on in the outer hypervisor, or run the "
			"command through scripts/with-kvm");
		return ret;
	default:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"there is no /dev/kvm: the kernel module %s is not loaded", module);
		err_hint(err, "run `sudo modprobe %s`", module);
		return ret;
	}
}

static int explain_node(
	enum kvm_cause cause, const struct host_facts *facts, int errnum, struct err *err)
{
	int ret;

	switch (cause) {
	case KVM_CAUSE_CONTAINER:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"there is no /dev/kvm in this container, though the host's kernel has KVM "
			"(%s)",
			facts->modules);
		err_hint(err, "start the container with --device /dev/kvm");
		return ret;
	case KVM_CAUSE_NO_NODE:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"there is no /dev/kvm, though the kernel has KVM (%s)", facts->modules);
		err_hint(err,
			"run `sudo mknod -m 660 /dev/kvm c 10 232 && sudo chgrp kvm /dev/kvm`; "
			"in a container or chroot pass the host's /dev/kvm on");
		return ret;
	case KVM_CAUSE_FORBIDDEN:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"opening /dev/kvm is forbidden, although its permissions may allow it: a "
			"container, a device cgroup or a sandbox stands in the way");
		err_hint(err, "start the container with --device /dev/kvm, or leave the sandbox");
		return ret;
	default:
		ret = err_set(err, EXIT_CODE_KVM, errnum, "/dev/kvm is not KVM but %s",
			facts->node_is_device ? "another device" : "no device at all");
		err_hint(err, "remove it, then run `sudo modprobe %s`", host_facts_module(facts));
		return ret;
	}
}

static int explain_kernel(enum kvm_cause cause, int errnum, const char *detail, struct err *err)
{
	int ret;

	switch (cause) {
	case KVM_CAUSE_WRONG_API:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"this kernel's KVM speaks version %s of its interface, and 12 is needed",
			detail);
		err_hint(
			err, "use another kernel: 12 has been the only version since Linux 2.6.22");
		return ret;
	case KVM_CAUSE_MISSING_CAPABILITY:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"this kernel's KVM lacks what is needed: %s", detail);
		err_hint(err, "use Linux 4.14 or newer");
		return ret;
	case KVM_CAUSE_BUSY:
		ret = err_set(err, EXIT_CODE_KVM, errnum,
			"KVM can't have the processor: another hypervisor holds its virtualization "
			"(VirtualBox or VMware)");
		err_hint(err,
			"shut its machines down, then run: sudo modprobe -r vboxnetadp "
			"vboxnetflt vboxdrv vmmon");
		return ret;
	default:
		ret = err_set(err, EXIT_CODE_KVM, errnum, "KVM failed: %s", detail);
		err_hint(err, "run `vmm doctor`, and look at the end of `sudo dmesg`");
		return ret;
	}
}

int kvm_cause_explain(enum kvm_cause cause, const struct host_facts *facts, int errnum,
	const char *detail, struct err *err)
{
	if (!detail)
		detail = "no details";
	switch (cause) {
	case KVM_CAUSE_NO_HARDWARE:
	case KVM_CAUSE_OFF_IN_FIRMWARE:
	case KVM_CAUSE_NOT_NESTED:
	case KVM_CAUSE_NO_MODULE:
		return explain_absence(cause, facts, errnum, err);
	case KVM_CAUSE_NO_PERMISSION:
		return explain_permission(facts, errnum, err);
	case KVM_CAUSE_CONTAINER:
	case KVM_CAUSE_NO_NODE:
	case KVM_CAUSE_FORBIDDEN:
	case KVM_CAUSE_NOT_KVM:
		return explain_node(cause, facts, errnum, err);
	default:
		return explain_kernel(cause, errnum, detail, err);
	}
}
