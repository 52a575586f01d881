/*
 * See machine_profile.h. The loop's thread, before a guest runs.
 */
#include "vmm/machine_profile.h"

#include <string.h>

/* ---- Devices ---- */

static bool is_one_of(const char *name, const char *const *names)
{
	for (size_t i = 0; names[i]; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

bool machine_profile_allows(enum machine_profile profile, const struct device_class *class)
{
	/* ACPI does what this device is for. */
	static const char *const not_in_pc[] = {"power", NULL};
	/* By name what is old; what is virtio is there when it is asked for. */
	static const char *const in_micro[] = {"power", "reset-port", "serial", NULL};

	if (profile == PROFILE_PC)
		return !is_one_of(class->name, not_in_pc);
	return is_one_of(class->name, in_micro) || !strncmp(class->name, "virtio-", 7);
}

/* ---- What the kernel is told ---- */

#define NO_INITCALLS "initcall_blacklist=ftrace_check_for_weak_functions,pci_arch_init"
/*
 * What an idle guest wakes up for: twice a second to compare the processor's clock with KVM's, which
 * is the one it uses; and twice to see whether its memory is in so many pieces that it should move
 * pages before anybody asks for a large one. A stock kernel that sleeps has 30 exits a second with
 * both, 22 without the first, 6 without either; the micro kernel, which has only the first, 15 and
 * none. To be told of the second costs 0.7 million instructions, and 10 ms of waiting for other
 * processors, of which there is no sense where there are none: so it is said with the word that
 * keeps the kernel from waiting.
 */
#define NO_CLOCK_WATCH "tsc=nowatchdog"
#define NO_EARLY_MOVES "sysctl.vm.compaction_proactiveness=0", "rcupdate.rcu_expedited=1"

const char *const *machine_profile_words(const struct vm_config *config)
{
	static const char *const nothing[] = {NULL};
	/*
	 * Crypto self-tests are two thirds of a distribution's boot (877 of 1,313 million
	 * instructions). There is no PCI bus to be searched (225 exits), and to check the rate of
	 * ACPI's timer the kernel waits busily for 10 ms; its clock is KVM's. Recent kernels
	 * look up the name of each of 38,000 functions that they can trace, to mark those that are
	 * never called: 74 of 408 million. The other step that is left out looks for a
	 * way to ask a PCI bus, even with pci=off, and calls it fatal that there is none: 136 exits,
	 * for 65 characters on a console where the person asked for quiet.
	 *
	 * One processor sends itself no interrupts that x2APIC makes cheaper, and to go over to it
	 * takes 288 exits. What else speeds up such a start is not said, as the guest would pay for
	 * it ever after: noreplace-smp, percpu_alloc=page (tests/bench/README.md).
	 */
	static const char *const pc[] = {
		"cryptomgr.notests", "pci=off", "pmtmr=0", NO_INITCALLS, NO_CLOCK_WATCH, NULL};
	static const char *const pc_of_one[] = {"cryptomgr.notests", "pci=off", "pmtmr=0",
		NO_INITCALLS, NO_CLOCK_WATCH, "nox2apic", NO_EARLY_MOVES, NULL};
	/*
	 * Reset by port 0xcf9, for there is neither an ACPI register nor an 8042; and at once:
	 * there is no need to take leave of an interrupt controller that ends as well, nor to look
	 * for a serial port that is not there.
	 *
	 * With one processor the kernel need not patch some thousand lock prefixes away, clear 2 MiB
	 * for that one's variables, nor learn a way to send interrupts to others. This machine is for
	 * guests that start often and end soon: it takes the words that the pc leaves out. What
	 * each is worth, and words that are worth nothing: guest-images/micro/README.md.
	 */
	static const char *const only_reset[] = {"reboot=p,force", NULL};
	static const char *const micro[2][2][7] = {
		{{"reboot=p,force", NO_CLOCK_WATCH, "8250.nr_uarts=0", NULL},
			{"reboot=p,force", NO_CLOCK_WATCH, NULL}},
		{{"reboot=p,force", NO_CLOCK_WATCH, "8250.nr_uarts=0", "noreplace-smp",
			 "percpu_alloc=page", "nox2apic", NULL},
			{"reboot=p,force", NO_CLOCK_WATCH, "noreplace-smp", "percpu_alloc=page",
				"nox2apic", NULL}},
	};
	bool has_serial = strcmp(config->serial, "none") != 0;

	if (config->profile == PROFILE_PC && config->no_boot_words)
		return nothing;
	if (config->profile == PROFILE_PC)
		return config->cpus == 1 ? pc_of_one : pc;
	/* How it resets is not a matter of speed alone. */
	return config->no_boot_words ? only_reset : micro[config->cpus == 1][has_serial];
}
